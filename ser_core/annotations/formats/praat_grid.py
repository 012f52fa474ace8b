"""A Praat TextGrid, read as Praat itself reads it; refusals name the line.

Praat reads quoted texts, numbers and <flags> in order and ignores all other words, so that the long and the short form
are read alike. praatio, which writes our files, looks for words such as `item [` instead and is misled by labels that
contain them; it also reads a damaged file as far as it can.

References
----------
Praat manual, "TextGrid file formats".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from ser_core.annotations.formats.values import number, quoted
from ser_core.errors import AnnotationsRefused

TOKEN = re.compile(
    r"""
    ![^\n\r]*                                    # a comment, to the end of its line
    | "(?P<text>[^"]*(?:""[^"]*)*)"(?=[\s\0]|\Z)  # quotes inside are doubled
    | <(?P<flag>\w*)>
    | (?P<open>")
    | (?P<word>[^\s"=!<][^\s"=!]*)
    """,
    re.VERBOSE,
)
#: The beginning of a word that Praat reads as a number.
NUMERIC = re.compile(r"[-+.]*[0-9]|-")
#: A number at the beginning of a word.
NUMBER = re.compile(
    r"""
    (?P<hex>[-+]?0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?(?:[pP][-+]?[0-9]+)?)
    | (?P<plain>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)(?P<percent>%?)
    """,
    re.VERBOSE,
)
DECIMAL_COMMA = re.compile(r",[0-9]")

CHRONOLOGICAL = "Praat chronological TextGrid text file"
CLASS = "TextGrid"

#: A chronological file does not contain the number of intervals: the last one of a tier must reach its end, up to this.
ROUNDING_S = 1e-4

Refuse = Callable[[str], NoReturn]


class Values(Protocol):
    """The values of a TextGrid, text or binary, in order; each call names the expected value, for refusals."""

    refuse: Refuse

    def number(self, what: str) -> float: ...

    def text(self, what: str) -> str: ...


@dataclass(frozen=True)
class Tier:
    """An interval tier."""

    name: str
    intervals: tuple[tuple[float, float, str], ...]
    end_s: float


@dataclass(frozen=True)
class PointTier:
    """A tier of points, each a time and a text."""

    name: str
    points: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Grid:
    """A TextGrid.

    Attributes
    ----------
    tiers, points : dict
        Tiers of intervals and of points, by their number in the file, from 1.
    odd_numbers : int
        Numbers that Praat reads although they have more than digits: `3/2`, `150%`, `0x10`, `1.5s`.
    spans : dict of tuple of int
        Position of each tier in the file, from its class to its last value; in a chronological file, to its end time.
    count_span : tuple of int, optional
        Position of the number of tiers; None if the file states that there are none.
    items : tuple of tuple, optional
        The intervals and points of a chronological file in order: number of the tier, start in seconds, and position of
        the end in the text.
    """

    start_s: float
    end_s: float
    tiers: dict[int, Tier]
    points: dict[int, PointTier]
    odd_numbers: int = 0
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    count_span: tuple[int, int] | None = None
    items: tuple[tuple[int, float, int], ...] | None = None

    @property
    def last_s(self) -> float:
        """The end of the grid or, if one is later, of its last interval."""
        return max([self.end_s, *(end_s for tier in self.tiers.values() for _, end_s, _ in tier.intervals)])


def read_grid(source: str, name: str) -> Grid:
    """Read a TextGrid, long, short or chronological.

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
    tokens = _Tokens(source, name)
    kind = tokens.text("the file type")
    if kind == CHRONOLOGICAL:
        return _chronological(tokens)
    if not kind.startswith("ooTextFile"):
        tokens.refuse("this is not a TextGrid")
    required_class(tokens.text("the class"), tokens.refuse)
    start_s, end_s = tokens.number("the start"), tokens.number("the end")
    tiers: dict[int, Tier] = {}
    points: dict[int, PointTier] = {}
    spans: dict[int, tuple[int, int]] = {}
    count_span = None
    if tokens.take("flag", "whether there are tiers").casefold() == "exists":
        tier_count = tokens.count("the number of tiers")
        count_span = tokens.span
        for index in range(1, tier_count + 1):
            first = tokens.next_position
            kind, tier_name, tier_end_s = _head(tokens, index)
            count = tokens.count(f"the number of intervals in tier {index}")
            if kind == "TextTier":
                points[index] = PointTier(tier_name, tuple(point_of(tokens, index, one) for one in range(1, count + 1)))
            else:
                intervals = tuple(interval_of(tokens, index, one) for one in range(1, count + 1))
                tiers[index] = Tier(tier_name, intervals, tier_end_s)
            spans[index] = first, tokens.span[1]
    return Grid(start_s, end_s, tiers, points, tokens.odd_numbers, spans, count_span)


def required_class(found: str, refuse: Refuse) -> None:
    """Refuse another class of Praat objects than a TextGrid."""
    if found != CLASS:
        refuse(f"this is not a TextGrid but, to Praat, {quoted(found)}")


def interval_of(values: Values, tier: int, interval: int) -> tuple[float, float, str]:
    """Return start, end and text of an interval; one that runs backwards is refused, as in Praat."""
    where = f"of interval {interval} in tier {tier}"
    start_s, end_s = values.number(f"the start {where}"), values.number(f"the end {where}")
    if end_s < start_s:
        values.refuse(f"the interval {interval} of tier {tier} runs backwards, from {start_s:g} to {end_s:g} s")
    return start_s, end_s, values.text(f"the text {where}")


def point_of(values: Values, tier: int, point: int) -> tuple[float, str]:
    """Return time and text of a point."""
    where = f"of point {point} in tier {tier}"
    return values.number(f"the time {where}"), values.text(f"the mark {where}")


def _head(tokens: "_Tokens", index: int) -> tuple[str, str, float]:
    kind = tokens.text(f"the class of tier {index}")
    if kind not in ("IntervalTier", "TextTier"):
        tokens.refuse(f"{quoted(kind)} is not a class of tier")
    name = tokens.text(f"the name of tier {index}")
    tokens.number(f"the start of tier {index}")
    return kind, name, tokens.number(f"the end of tier {index}")


def _chronological(tokens: "_Tokens") -> Grid:
    """Read intervals and points in order of time, each after the number of its tier, until the file ends."""
    start_s, end_s = tokens.number("the start"), tokens.number("the end")
    count = tokens.count("the number of tiers")
    count_span = tokens.span
    heads, spans = {}, {}
    for index in range(1, count + 1):
        first = tokens.next_position
        heads[index] = _head(tokens, index)
        spans[index] = first, tokens.span[1]
    found: dict[int, list] = {index: [] for index in heads}
    items = []
    while not tokens.at_end():
        index = tokens.count("the number of a tier")
        if index not in heads:
            tokens.refuse(f"there is no tier {index}")
        read = point_of if heads[index][0] == "TextTier" else interval_of
        found[index].append(read(tokens, index, len(found[index]) + 1))
        items.append((index, found[index][-1][0], tokens.span[1]))
    tiers: dict[int, Tier] = {}
    points: dict[int, PointTier] = {}
    for index, (kind, tier_name, tier_end_s) in heads.items():
        if kind == "TextTier":
            points[index] = PointTier(tier_name, tuple(found[index]))
            continue
        last_s = found[index][-1][1] if found[index] else start_s
        if last_s < tier_end_s - ROUNDING_S:
            tokens.refuse(f"the file ends at {last_s:g} s of tier {index}, which lasts until {tier_end_s:g} s")
        tiers[index] = Tier(tier_name, tuple(found[index]), tier_end_s)
    return Grid(start_s, end_s, tiers, points, tokens.odd_numbers, spans, count_span, tuple(items))


def _from_hex(digits: str, what: str) -> float:
    try:
        return float.fromhex(digits)
    except OverflowError:
        return number(digits, what)  # which refuses it


class _Tokens:
    """The tokens that Praat takes from a text file, in order, each checked for its kind."""

    def __init__(self, source: str, name: str) -> None:
        self.odd_numbers = 0
        self.span = (0, 0)
        self._source = source
        self._name = name
        self._position = 0
        self._tokens = self._all()
        self._next_token: re.Match[str] | None = None

    def _all(self) -> Iterator[re.Match[str]]:
        for found in TOKEN.finditer(self._source):
            word = found["word"]
            if found.lastgroup is not None and (word is None or NUMERIC.match(word)):
                yield found

    def at_end(self) -> bool:
        self._next_token = self._next_token or next(self._tokens, None)
        return self._next_token is None

    @property
    def next_position(self) -> int:
        """Where the next token begins."""
        return len(self._source) if self.at_end() else self._next_token.start()

    def take(self, kind: str, what: str) -> str:
        found = None if self.at_end() else self._next_token
        self._next_token = None
        self._position = len(self._source.rstrip()) if found is None else found.start()
        self.span = (self._position, self._position if found is None else found.end())
        if found is None:
            self.refuse(f"the file ends where {what} should be")
        if found.lastgroup == "open":
            self.refuse(f"a text begins where {what} should be and does not end, or has a quote that is not doubled")
        if found[kind] is None:
            self.refuse(f"{found[0][:40]!r} is where {what} should be")
        return found[kind]

    def text(self, what: str) -> str:
        return self.take("text", what).replace('""', '"')

    def number(self, what: str) -> float:
        word = self.take("word", what)
        try:
            return self._value(word, what.removeprefix("the "))
        except AnnotationsRefused as refusal:  # finding the line is slow, so only for a refusal
            raise AnnotationsRefused(f"{self._where()}: {refusal}") from None

    def _value(self, word: str, what: str) -> float:
        """Return a number as Praat reads it: fractions and per cent count, characters behind the number do not."""
        parts = []
        for part in word.split("/", 1):
            found = NUMBER.match(part)
            if found is None or DECIMAL_COMMA.match(part, found.end()):
                return number(word, what)  # which refuses it
            if found["hex"]:
                parts.append(_from_hex(found["hex"], what))
            else:
                parts.append(number(found["plain"], what) * (0.01 if found["percent"] else 1))
        self.odd_numbers += found[0] != word or not found["plain"] or bool(found["percent"])
        return parts[0] if len(parts) == 1 else number(parts[0] / parts[1] if parts[1] else "1/0", what)

    def count(self, what: str) -> int:
        count = self.number(what)
        if not (count.is_integer() and count >= 0):
            self.refuse(f"{what} is {count:g}")
        return int(count)

    def refuse(self, reason: str) -> NoReturn:
        raise AnnotationsRefused(f"{self._where()}: {reason}. Open the file in Praat and save it again.")

    def _where(self) -> str:
        return f"{self._name}, line {self._source.count(chr(10), 0, self._position) + 1}"
