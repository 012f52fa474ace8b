"""Tiers written into a TextGrid that is there: all else in it stays as it is, byte for byte.

A tier of the same name and kind is replaced, others follow the last one.
"""

import codecs
from collections.abc import Sequence
from dataclasses import replace

from praatio.utilities import textgrid_io

from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.formats.content import encoding_of
from ser_core.annotations.formats.format import Into, marks_with
from ser_core.annotations.formats.gate import shown
from ser_core.annotations.formats.layers import Layer
from ser_core.annotations.formats.praat_grid import read_grid
from ser_core.annotations.formats.textgrid import as_printed, grid_of, tier_of_layer
from ser_core.errors import AnnotationsRefused

LINE_ENDS = ("\r\n", "\n", "\r")


def write_into(content: bytes, name: str, recording: AnnotatedRecording, layers: Sequence[Layer], plain: bool) -> Into:
    """Write layers of a recording's marks into a TextGrid in Praat's long or short form.

    Raises
    ------
    AnnotationsRefused
        If it is of another form, is damaged, or its encoding has no letters for a label.
    """
    if grid_of(content, name)[0].count_span is None:
        raise AnnotationsRefused(
            f"{name} is no TextGrid in Praat's long or short form, or holds no tiers. Save it as a text file in Praat."
        )
    if not layers:
        return Into(content, (), ())
    mark, source, encoding = _exact(content)
    target = _Target(source, name)
    declared = {tier.key for tier in recording.tiers}
    short = 0
    for given in layers:
        printed = [as_printed(mark, given.tier.kind == "points") for mark in given.marks]
        layer = replace(given, marks=[mark for mark in printed if mark is not None])
        short += len(printed) - len(layer.marks)
        if layer.marks:
            target.put(layer, _block(layer, layer.tier.key in declared, target, recording.duration_s, plain))
    text = mark + target.text()
    dropped = marks_with(range(short), "{} too short for the times of a TextGrid")
    try:
        return Into(text.encode(encoding), tuple(target.added), tuple(target.replaced), dropped)
    except UnicodeEncodeError as error:
        letter = shown(text[error.start : error.end])
        raise AnnotationsRefused(
            f"{name} is in the encoding {encoding}, which has no {letter}. Save it as UTF-8 in Praat."
        ) from None


class _Target:
    """The text of a TextGrid, and what is to stand where in it."""

    def __init__(self, source: str, name: str) -> None:
        self.grid = read_grid(source, name)
        self.added: list[str] = []
        self.replaced: list[str] = []
        self._source = source
        self._pieces: list[tuple[int, int, str]] = []
        first = self.grid.spans.get(1, (len(source), 0))[0]
        self.is_long = "item" in source[self.grid.count_span[1] : first]
        self._line_end = next((one for one in LINE_ENDS if one in source), "\n")
        self._last = max((end for _, end in self.grid.spans.values()), default=self.grid.count_span[1])
        self._free = {place: (tier.name, "intervals") for place, tier in self.grid.tiers.items()}
        self._free |= {place: (tier.name, "points") for place, tier in self.grid.points.items()}

    def put(self, layer: Layer, block: str) -> None:
        """Put the text of a tier in place of that of its name and kind, or behind the last one."""
        place = next((place for place, each in self._free.items() if each == (layer.name, layer.tier.kind)), None)
        if place is not None:
            del self._free[place]
            self.replaced.append(layer.name)
            self._pieces.append((*self.grid.spans[place], block.replace("\n", self._line_end)))
            return
        self.added.append(layer.name)
        count = len(self.grid.spans) + len(self.added)
        before = f"\n    item [{count}]:\n        class = " if self.is_long else "\n"
        self._pieces.append((self._last, self._last, f"{before}{block}".replace("\n", self._line_end)))

    def text(self) -> str:
        """Return the text with all that was put there."""
        pieces = list(self._pieces)
        if self.added:
            pieces.append((*self.grid.count_span, str(len(self.grid.spans) + len(self.added))))
        parts, since = [], 0
        for start, end, text in sorted(pieces, key=lambda piece: piece[:2]):
            parts += [self._source[since:start], text]
            since = end
        return "".join([*parts, self._source[since:]])


def _exact(content: bytes) -> tuple[str, str, str]:
    """Return the byte order mark and the text of a file, and an encoding in which they have these bytes again."""
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


def _block(layer: Layer, is_declared: bool, target: _Target, duration_s: float, plain: bool) -> str:
    """Return the text of a tier from its class to its last value; it covers the grid, and all marks."""
    starts, ends = zip(*((mark.region.start_s, mark.region.end_s) for mark in layer.marks), strict=True)
    bounds = {"xmin": min(target.grid.start_s, *starts), "xmax": max(target.grid.end_s, *ends)}
    tier = tier_of_layer(layer, is_declared, duration_s, plain) | bounds
    form = "long_textgrid" if target.is_long else "short_textgrid"
    text = textgrid_io.getTextgridAsStr(bounds | {"tiers": [tier]}, form, True, None)
    start, end = read_grid(text, layer.name).spans[1]
    return text[start:end]
