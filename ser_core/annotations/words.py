"""Words with their times, read from a TextGrid or a CSV, and the phrases in focus regions."""

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from math import inf

from ser_core.analysis import Region
from ser_core.annotations.formats import format_key
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.praat_grid import Grid
from ser_core.annotations.formats.table import from_cell
from ser_core.annotations.formats.textgrid import grid_of
from ser_core.errors import AnnotationsRefused, WordsRefused

#: Share of a word that must lie in focus.
MIN_SHARE_IN_FOCUS = 0.5
WORD_TIERS = ("words", "word")
COLUMNS = ("start_s", "end_s", "word")
MAX_BYTES = 4 * 2**20


def read_words(source: bytes, name: str) -> tuple[Region, ...]:
    """Return the words of a file in order of time, each as a region with the word as its label.

    Parameters
    ----------
    source : bytes
        A Praat TextGrid of any form, of which the interval tier named words is read, or else the first interval tier;
        or a CSV with the columns start_s, end_s and word. Recognised by content.
    name : str
        The name of the file in refusals.

    Raises
    ------
    WordsRefused
        If it is neither, or contains no words.
    """
    if len(source) > MAX_BYTES:
        raise WordsRefused(
            f"{name}: the file has {len(source) / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB of words are read. "
            "Give only those of this recording."
        )
    try:
        if format_key(source) == "textgrid":
            words = _from_textgrid(grid_of(source, name)[0], name)
        else:
            words = _from_csv(text_of(source, name), name)
    except AnnotationsRefused as refusal:
        raise WordsRefused(str(refusal)) from None
    if not words:
        raise WordsRefused(f"{name}: it contains no words. Give a TextGrid with a tier of words, or a CSV.")
    return tuple(sorted(words, key=lambda word: word.start_s))


def phrases_under(regions: Sequence[Region], words: Sequence[Region]) -> list[str]:
    """Return the words of which at least half lies in some regions; consecutive words are one phrase."""
    under = [_share_within(word, regions) >= MIN_SHARE_IN_FOCUS for word in words]
    runs = groupby(zip(under, words, strict=True), key=lambda pair: pair[0])
    return [" ".join(word.label for _, word in run) for inside, run in runs if inside]


def _share_within(word: Region, regions: Sequence[Region]) -> float:
    inside = sum(max(0.0, min(word.end_s, r.end_s) - max(word.start_s, r.start_s)) for r in regions)
    return inside / word.duration_s


def _from_textgrid(grid: Grid, name: str) -> list[Region]:
    tiers = grid.tiers.values()
    named = [tier for tier in tiers if tier.name.strip().lower() in WORD_TIERS]
    tier = next(iter([*named, *tiers]), None)
    if tier is None:
        raise WordsRefused(f"{name}: the TextGrid has no interval tier. Words need a tier of intervals.")
    return [_word(start_s, end_s, label, name) for start_s, end_s, label in tier.intervals if label.strip()]


def _from_csv(text: str, name: str) -> list[Region]:
    rows = csv.reader(io.StringIO(text, newline=""))
    columns = [column.strip() for column in next(_numbered(rows, name), (1, []))[1]]
    if missing := [column for column in COLUMNS if column not in columns]:
        raise WordsRefused(
            f"{name}: neither a TextGrid nor a CSV with the columns {', '.join(COLUMNS)}; "
            f"{' and '.join(missing)} cannot be found."
        )
    words = []
    for line, cells in _numbered(rows, name):
        row = dict(zip(columns, cells, strict=False))
        try:
            start_s, end_s, word = float(row["start_s"]), float(row["end_s"]), from_cell(row.get("word", ""))
        except (KeyError, ValueError):
            raise WordsRefused(f"{name}, line {line}: start_s and end_s must be numbers of seconds.") from None
        if word.strip():
            words.append(_word(start_s, end_s, word, f"{name}, line {line}"))
    return words


def _numbered(rows: Iterator[list[str]], name: str) -> Iterator[tuple[int, list[str]]]:
    line = rows.line_num + 1
    try:
        for cells in rows:
            if cells:
                yield line, cells
            line = rows.line_num + 1
    except csv.Error as error:
        raise WordsRefused(f"{name}, line {line}: this is not a row of a CSV ({error}). Export it again.") from None


def _word(start_s: float, end_s: float, word: str, location: str) -> Region:
    if not 0 <= start_s < end_s < inf:
        raise WordsRefused(
            f"{location}: the word “{textwrap.shorten(word, 40)}” from {start_s:g} to {end_s:g} s has no length. "
            "It needs a start of at least 0 s and an end after its start."
        )
    return Region(start_s, end_s, label=" ".join(word.split()))
