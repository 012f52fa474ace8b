"""Write tiers into an existing TextGrid: everything else stays as it is, byte for byte.

A tier of the same name and kind is replaced; other tiers are added behind the last one. Files keep their form: long,
short, chronological or binary.
"""

import codecs
import struct
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from praatio.utilities import textgrid_io
from praatio.utilities.my_math import numToStr

from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.formats.content import encoding_of
from ser_core.annotations.formats.format import UpdatedFile, lost_of_marks
from ser_core.annotations.formats.layers import Layer
from ser_core.annotations.formats.praat_binary import HEAD, binary_tier
from ser_core.annotations.formats.praat_grid import Grid, PointTier, Tier, read_grid
from ser_core.annotations.formats.textgrid import as_printed, grid_of, tier_of_layer
from ser_core.annotations.formats.values import quoted
from ser_core.errors import AnnotationsRefused

LINE_ENDS = ("\r\n", "\n", "\r")
QUOTE = '"'


def write_into(
    content: bytes,
    name: str,
    recording: AnnotatedRecording,
    layers: Sequence[Layer],
    plain: bool,
    start_s: float = 0.0,
) -> UpdatedFile:
    """Write layers of a recording's marks into a TextGrid.

    Parameters
    ----------
    start_s : float
        The time in the file at which the recording begins.

    Raises
    ------
    AnnotationsRefused
        If it states that it has no tiers, is damaged, or its encoding lacks characters of a label.
    """
    grid = grid_of(content, name)[0]
    if grid.count_span is None:
        raise AnnotationsRefused(f"{name} says that it has no tiers. Add one in Praat and save it again.")
    if not layers:
        return UpdatedFile(content, (), ())
    target = _Target(content, name, grid)
    declared = {tier.key for tier in recording.tiers}
    too_short = 0
    for exact in layers:
        printed = [as_printed(mark, exact.tier.kind == "points") for mark in exact.marks]
        layer = replace(exact, marks=[mark for mark in printed if mark is not None])
        too_short += len(printed) - len(layer.marks)
        if layer.marks:
            tier = tier_of_layer(layer, layer.tier.key in declared, recording.duration_s, plain)
            target.replace_or_add(layer, _block(tier, target.grid, start_s))
    dropped = lost_of_marks(range(too_short), "{} too short for the times of a TextGrid")
    try:
        return UpdatedFile(target.content(), tuple(target.added), tuple(target.replaced), dropped)
    except UnicodeEncodeError as error:
        letter = quoted(error.object[error.start : error.end])
        raise AnnotationsRefused(
            f"{name} is in the encoding {target.encoding}, which has no {letter}. Save it as UTF-8 in Praat."
        ) from None


@dataclass(frozen=True)
class _Block:
    """A tier to write: its values, its edges, and its text in the long and the short form."""

    tier: Tier | PointTier
    edges: tuple[float, float]
    long: str
    short: str


class _Target:
    """A TextGrid, and the pieces to write into it with their positions."""

    def __init__(self, content: bytes, name: str, grid: Grid) -> None:
        self.added: list[str] = []
        self.replaced: list[str] = []
        self._is_binary = content.startswith(HEAD)
        self._mark, self.encoding = "", ""
        self._source: str | bytes = content
        if not self._is_binary:
            self._mark, self._source, self.encoding = _decode_exactly(content)
            grid = read_grid(self._source, name)  # whose positions are those in this text
            self._line_end = next((one for one in LINE_ENDS if one in self._source), "\n")
            first = grid.spans.get(1, (len(self._source), 0))[0]
            self._is_long = "item" in self._source[grid.count_span[1] : first]
        self.grid = grid
        self._heads: list[tuple[int, int, str]] = []  # of tiers, where intervals and points follow all of them
        self._pieces: list[tuple[int, int, str | bytes]] = []
        self._last = max((end for _, end in grid.spans.values()), default=grid.count_span[1])
        self._free = {index: (tier.name, "intervals") for index, tier in grid.tiers.items()}
        self._free |= {index: (tier.name, "points") for index, tier in grid.points.items()}

    def replace_or_add(self, layer: Layer, block: _Block) -> None:
        """Replace the tier of the same name and kind, or add one behind the last one."""
        index = next((index for index, each in self._free.items() if each == (layer.name, layer.tier.kind)), None)
        is_new = index is None
        if is_new:
            self.added.append(layer.name)
            index = len(self.grid.spans) + len(self.added)
        else:
            del self._free[index]
            self.replaced.append(layer.name)
        if self.grid.items is not None:
            self._put_in_order_of_time(index, block, is_new)
        elif is_new:
            before = b"" if self._is_binary else f"\n    item [{index}]:\n        class = " if self._is_long else "\n"
            self._pieces.append((self._last, self._last, self._written(before, block)))
        else:
            self._pieces.append((*self.grid.spans[index], self._written(b"" if self._is_binary else "", block)))

    def _written(self, before: str | bytes, block: _Block) -> str | bytes:
        if self._is_binary:
            return before + binary_tier(block.tier, *block.edges)
        return (before + (block.long if self._is_long else block.short)).replace("\n", self._line_end)

    def _put_in_order_of_time(self, index: int, block: _Block, is_new: bool) -> None:
        """Put a tier into a chronological file, in which each interval and point follows the last earlier one."""
        kind = "TextTier" if isinstance(block.tier, PointTier) else "IntervalTier"
        if is_new:
            head = " ".join([f'"{kind}"', _quoted(block.tier.name), *map(numToStr, block.edges)])
            self._heads.append((self._last, self._last, f"{self._line_end}{head}"))
        ends = [self._last, *(end for *_, end in self.grid.items)]
        of_tier = [position for position, (of, *_) in enumerate(self.grid.items) if of == index]
        self._pieces += [(ends[position], ends[position + 1], "") for position in of_tier]
        starts = list(accumulate((start_s for _, start_s, _ in self.grid.items), max))
        for *times, label in block.tier.points if kind == "TextTier" else block.tier.intervals:
            position = ends[bisect_right(starts, times[0])]
            lines = (
                "",
                "",
                f"! {' '.join(block.tier.name.split())}:",
                " ".join([str(index), *map(numToStr, times)]),
                _quoted(label),
            )
            self._pieces.append((position, position, self._line_end.join(lines)))

    def content(self) -> bytes:
        """Return the file with all pieces."""
        pieces = [*self._heads, *self._pieces]
        if self.added:
            count = len(self.grid.spans) + len(self.added)
            pieces.append((*self.grid.count_span, struct.pack(">i", count) if self._is_binary else str(count)))
        parts, position = [], 0
        for start, end, text in sorted(pieces, key=lambda piece: piece[:2]):
            parts += [self._source[position:start], text]
            position = end
        whole = self._source[:0].join([*parts, self._source[position:]])
        return whole if self._is_binary else (self._mark + whole).encode(self.encoding)


def _quoted(text: str) -> str:
    return QUOTE + text.replace(QUOTE, 2 * QUOTE) + QUOTE


def _decode_exactly(content: bytes) -> tuple[str, str, str]:
    """Return the byte order mark and the text of a file, and an encoding that restores its bytes."""
    encoding = encoding_of(content)
    if encoding == "utf-16":
        encoding = "utf-16-le" if content.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    for one in (encoding.removesuffix("-sig"), "cp1252"):
        try:
            source = content.decode(one)
        except UnicodeDecodeError:
            continue
        mark = source[: source.startswith("\ufeff")]
        return mark, source[len(mark) :], one
    return "", content.decode("latin-1"), "latin-1"


def _block(tier: Mapping[str, Any], grid: Grid, start_s: float) -> _Block:
    """Return a tier in the times of the file, which may be negative; it covers the grid and all marks."""
    entries = [(*(time_s + start_s for time_s in times), label) for *times, label in tier["entries"]]
    edges = min(grid.start_s, entries[0][0]), max(grid.end_s, *(entry[-2] for entry in entries))
    bounds = dict(zip(("xmin", "xmax"), edges, strict=True))
    tiers = bounds | {"tiers": [{**tier, **bounds, "entries": entries}]}
    texts = []
    for form in ("long_textgrid", "short_textgrid"):
        text = textgrid_io.getTextgridAsStr(tiers, form, True, None)
        read = read_grid(text, tier["name"])
        start, end = read.spans[1]
        texts.append(text[start:end])
    return _Block((read.tiers | read.points)[1], edges, *texts)
