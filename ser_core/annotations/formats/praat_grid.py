"""A Praat TextGrid in text form, read as Praat itself reads it; refusals name the line.

Praat takes quoted texts, numbers and <flags> in order and ignores all other words, so that the long and the short form
are read alike. praatio, which we write with, looks for words such as `item [` instead and is misled by labels that
contain them; it also reads a damaged file as far as it can.

References
----------
Praat manual, "TextGrid file formats".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ser_core.annotations.formats.gate import number, shown
from ser_core.errors import AnnotationsRefused

TOKEN = re.compile(
    r"""
    ![^\n]*                                 # a comment, to the end of its line
    | "(?P<text>[^"]*(?:""[^"]*)*)"         # quotes inside are doubled
    | <(?P<flag>\w*)>
    | (?P<open>")
    | (?P<word>[^\s"=!<][^\s"=]*)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Tier:
    """An interval tier; tiers of points are only counted."""

    name: str
    intervals: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class Grid:
    """A TextGrid.

    Attributes
    ----------
    tiers : dict of int to Tier
        By their number in the file, from 1.
    point_tiers : int
        Number of tiers of points.
    """

    end_s: float
    tiers: dict[int, Tier]
    point_tiers: int


def read_grid(source: str, name: str) -> Grid:
    """Read a TextGrid, long or short.

    Parameters
    ----------
    source : str
        The whole file.
    name : str
        What to call the file if it is refused.

    Raises
    ------
    AnnotationsRefused
        If it is not a TextGrid, or damaged, with the line.
    """
    if source.startswith("ooBinaryFile"):
        raise AnnotationsRefused(f"{name}: this is a binary Praat file. Save the TextGrid as a text file.")
    tokens = _Tokens(source, name)
    if not tokens.text("the file type").startswith("ooTextFile") or tokens.text("the class") != "TextGrid":
        tokens.refuse("this is not a TextGrid")
    tokens.number("the start")
    end_s = tokens.number("the end")
    if tokens.next("flag", "whether there are tiers") != "exists":
        return Grid(end_s, {}, 0)
    tiers = {place: _tier(tokens, place) for place in range(1, tokens.count("the number of tiers") + 1)}
    intervals = {place: tier for place, tier in tiers.items() if tier is not None}
    return Grid(end_s, intervals, len(tiers) - len(intervals))


def _tier(tokens: "_Tokens", place: int) -> Tier | None:
    kind = tokens.text(f"the class of tier {place}")
    if kind not in ("IntervalTier", "TextTier"):
        tokens.refuse(f"{shown(kind)} is not a class of tier")
    name = tokens.text(f"the name of tier {place}")
    for edge in ("start", "end"):
        tokens.number(f"the {edge} of tier {place}")
    count = tokens.count(f"the number of intervals in tier {place}")
    if kind == "TextTier":
        for point in range(1, count + 1):
            tokens.number(f"the time of point {point} in tier {place}")
            tokens.text(f"the mark of point {point} in tier {place}")
        return None
    return Tier(name, tuple(_interval(tokens, place, interval) for interval in range(1, count + 1)))


def _interval(tokens: "_Tokens", tier: int, interval: int) -> tuple[float, float, str]:
    where = f"of interval {interval} in tier {tier}"
    start_s, end_s = tokens.number(f"the start {where}"), tokens.number(f"the end {where}")
    if end_s < start_s:
        tokens.refuse(f"the interval {interval} of tier {tier} runs backwards, from {start_s:g} to {end_s:g} s")
    return start_s, end_s, tokens.text(f"the text {where}")


class _Tokens:
    """The tokens that Praat takes from a text file, in order, each checked for its kind."""

    def __init__(self, source: str, name: str) -> None:
        self._source = source
        self._name = name
        self._place = 0
        self._found = self._all()

    def _all(self) -> Iterator[re.Match[str]]:
        for found in TOKEN.finditer(self._source):
            word = found["word"]
            if found.lastgroup is not None and (word is None or word[0] in "+-.0123456789"):
                yield found

    def next(self, kind: str, what: str) -> str:
        found = next(self._found, None)
        self._place = len(self._source.rstrip()) if found is None else found.start()
        if found is None:
            self.refuse(f"the file ends where {what} should be")
        if found.lastgroup == "open":
            self.refuse(f"a text begins where {what} should be and does not end")
        if found[kind] is None:
            self.refuse(f"{found[0][:40]!r} stands where {what} should be")
        return found[kind]

    def text(self, what: str) -> str:
        return self.next("text", what).replace('""', '"')

    def number(self, what: str) -> float:
        word = self.next("word", what)
        try:
            return number(word, what.removeprefix("the "))
        except AnnotationsRefused as refusal:  # only now, because finding the line is slow
            raise AnnotationsRefused(f"{self._where()}: {refusal}") from None

    def count(self, what: str) -> int:
        count = self.number(what)
        if not (count.is_integer() and count >= 0):
            self.refuse(f"{what} is {count:g}")
        return int(count)

    def refuse(self, reason: str) -> None:
        raise AnnotationsRefused(f"{self._where()}: {reason}. Open the file in Praat and save it again.")

    def _where(self) -> str:
        return f"{self._name}, line {self._source.count(chr(10), 0, self._place) + 1}"
