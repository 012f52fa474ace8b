"""Marks as a Praat TextGrid: tiers of intervals and points, with a tier of emotions for each annotator."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

from praatio.utilities import textgrid_io
from praatio.utilities.my_math import numToStr

from ser_core.annotations.annotation import REGION_TIER, AnnotatedRecording, Annotation, region_or_point
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import MAX_BYTES, MAX_PARTS, encoding_of, old_encoding_of, text_of
from ser_core.annotations.formats.fields import recording_of, writable
from ser_core.annotations.formats.format import (
    DEFAULT_OPTIONS,
    FileTier,
    Format,
    ReadOptions,
    ReadResult,
    Written,
    counted,
    lost_of_marks,
    lost_recording_fields,
    lost_tier_fields,
    only_one,
)
from ser_core.annotations.formats.layers import FIELDS_IN_NAME, FileTiers, Layer, layers_of, lost_annotators
from ser_core.annotations.formats.notation import label_of, lost_by_plain_labels, mark_fields, mark_text
from ser_core.annotations.formats.praat_binary import HEAD, read_binary_grid
from ser_core.annotations.formats.praat_grid import CHRONOLOGICAL, Grid, read_grid
from ser_core.annotations.formats.values import error_context, quoted
from ser_core.errors import AnnotationsRefused

#: The text of an empty mark: to Praat, an interval without text is not a mark.
EMPTY_MARK = "[status=open]"


def write(
    recordings: Sequence[AnnotatedRecording],
    short: bool = False,
    encoding: Literal["utf-8", "utf-16"] = "utf-8",
    plain: bool = False,
) -> Written:
    """Write the marks of one recording.

    Times are exact, except that a time within a relative 1e-14 of a whole second becomes that second.

    Parameters
    ----------
    short : bool
        Write Praat's short form.
    plain : bool
        Write only the emotion of each mark or, without one, its note. Marks without both are left out.

    Raises
    ------
    AnnotationsRefused
        If there is not exactly one recording, it has no length, or one of its marks cannot be written.
    """
    recording = writable(only_one(recordings, "Praat"))
    if not recording.duration_s:
        raise AnnotationsRefused(f"{quoted(recording.name)} has no length, and a TextGrid needs one.")
    points = {tier.key for tier in recording.all_tiers if tier.kind == "points"}
    marks = [as_printed(mark, mark.tier in points) for mark in recording.annotations]
    long_enough = [mark for mark in marks if mark is not None]
    without_label = {tier.key for tier in recording.tiers if tier.content != "emotions"}
    written = [mark for mark in long_enough if not plain or mark.tier in without_label or mark_text(mark, plain=True)]
    layers = layers_of(replace(recording, annotations=tuple(written)))
    declared = {tier.key for tier in recording.tiers}
    tiers = [tier_of_layer(layer, layer.tier.key in declared, recording.duration_s, plain) for layer in layers]
    grid = textgrid_io.getTextgridAsStr(
        {"xmin": 0, "xmax": recording.duration_s, "tiers": tiers},
        "short_textgrid" if short else "long_textgrid",
        includeBlankSpaces=True,
        minimumIntervalLength=None,
    )
    dropped = (
        *lost_recording_fields(recording, "name", "sha256", "sample_rate_hz", "provenance"),
        *lost_of_marks((mark for mark in long_enough if mark.changed_at), "the time of change of {}"),
        *lost_of_marks((mark for mark in marks if mark is None), "{} too short for the times of a TextGrid"),
        *lost_of_marks(range(len(long_enough) - len(written)), "{} without a label"),
        *lost_annotators(layers),
        *lost_tier_fields(recording, "labels", "parent", "colour", "participant"),
        *lost_by_plain_labels(written, FIELDS_IN_NAME, plain),
    )
    return Written(grid.encode(encoding), dropped)


def as_printed(mark: Annotation, is_point: bool) -> Annotation | None:
    """Return a mark with the times that praatio writes, or None if these leave an interval no length."""
    start_s, end_s = float(numToStr(mark.region.start_s)), float(numToStr(mark.region.end_s))
    if start_s == end_s and not is_point:
        return None
    return replace(mark, region=region_or_point(start_s, end_s, mark.region.low_hz, mark.region.high_hz))


def tier_of_layer(layer: Layer, is_declared: bool, duration_s: float, plain: bool) -> dict[str, Any]:
    """Return a tier as praatio takes it."""
    labels = [label_of(mark, layer.tier, FIELDS_IN_NAME, plain, is_declared) for mark in layer.marks]
    if layer.tier.kind == "points":
        entries = [(mark.region.start_s, label) for mark, label in zip(layer.marks, labels, strict=True)]
    else:
        edges = [(mark.region.start_s, mark.region.end_s) for mark in layer.marks]
        is_text = is_declared and layer.tier.content != "emotions"
        readable = _readable_when_empty(edges, labels, duration_s) if is_text and not plain else {*range(len(labels))}
        empty_text = "" if is_text else EMPTY_MARK
        entries = [
            (*edges[index], label or (empty_text if index in readable else EMPTY_MARK))
            for index, label in enumerate(labels)
        ]
    kind = "TextTier" if layer.tier.kind == "points" else "IntervalTier"
    return {"class": kind, "name": layer.name, "xmin": 0, "xmax": duration_s, "entries": entries}


def _readable_when_empty(edges: Sequence[tuple[float, float]], labels: Sequence[str], duration_s: float) -> set[int]:
    """Return the indices of intervals without a text that are read as marks: two or more in a row, without gaps."""
    readable: set[int] = set()
    runs = [0, *(index for index in range(1, len(labels)) if labels[index] or labels[index - 1]), len(labels)]
    for first, after in pairwise(runs):
        bounds = [0.0 if first == 0 else edges[first - 1][1], *(edge for pair in edges[first:after] for edge in pair)]
        bounds.append(duration_s if after == len(labels) else edges[after][0])
        if after - first > 1 and all(end == start for end, start in zip(bounds[::2], bounds[1::2], strict=True)):
            readable.update(range(first, after))
    return readable


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read tiers, intervals and points as the marks of one recording, from any form of TextGrid that Praat writes.

    As in Praat, text that is not UTF-8 is read as Western European text.

    Raises
    ------
    AnnotationsRefused
        If the file is not a TextGrid, is damaged, or an interval is not a valid mark, with the line, or the tier and
        the number of the interval.
    """
    grid, changed = grid_of(content, name, options.encoding)
    if options.from_start:
        options = replace(options, offset_s=options.offset_s - grid.start_s)
    marks = Collected(options)
    tiers = FileTiers({tier.name for tier in (*grid.tiers.values(), *grid.points.values())})
    for index, tier in sorted((grid.tiers | grid.points).items()):
        is_points = index in grid.points
        annotator, key = tiers.add(tier.name, index, "points" if is_points else "intervals")
        owner = {"annotator": annotator, "tier": key}
        spans = [(time_s, time_s, label) for time_s, label in tier.points] if is_points else tier.intervals
        for count in _mark_indices(spans, is_points, key == REGION_TIER):
            start_s, end_s, label = spans[count]
            times = {"start_s": start_s, "end_s": end_s}
            where = f"{name}, tier {index} ({quoted(tier.name)}), {'point' if is_points else 'interval'} {count + 1}"
            marks.add(times | mark_fields(label, key) | owner, where, is_points)
    ends_s = [end_s for tier in grid.tiers.values() for _, end_s, label in tier.intervals if label.strip()]
    if late := sum(end_s > grid.end_s for end_s in ends_s):
        changed += (f"{counted(late, 'mark')} beyond the end of the grid, which is {grid.end_s:g} s",)
    last_s = max([grid.last_s + options.offset_s, 0.0, *(mark.region.end_s for mark in marks.annotations)])
    with error_context(name):
        recording = recording_of({"name": name, "duration_s": last_s}, marks.annotations)
    recording = replace(recording, tiers=tiers.all)
    changed += in_words(marks.altered)
    return ReadResult((recording,), in_words(marks.left_out), changed, _tiers(grid), grid.start_s)


def _mark_indices(spans: Sequence[tuple[float, float, str]], is_points: bool, is_of_emotions: bool) -> list[int]:
    """Return the indices of spans that become marks: points, intervals with a text, and empty ones beside an empty one.

    A single interval without text is the gap between its neighbours, and is written again with the tier.
    """
    has_text = [bool(label.strip()) for *_, label in spans]
    neighbours = [True, *has_text, True]
    beside_empty = [not (neighbours[index] and neighbours[index + 2]) for index in range(len(spans))]
    if is_points:
        return list(range(len(spans)))
    return [index for index in range(len(spans)) if has_text[index] or (beside_empty[index] and not is_of_emotions)]


def grid_of(content: bytes, name: str, encoding: str | None = None) -> tuple[Grid, tuple[str, ...]]:
    """Return the TextGrid of a file and, in words, what is not read as it is written."""
    if content.startswith(HEAD):
        if len(content) > MAX_BYTES:
            raise AnnotationsRefused(
                f"{name} has {len(content) / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB are read."
            )
        return read_binary_grid(content, name), ()
    changed: tuple[str, ...] = ()
    if encoding is None and encoding_of(content) == "utf-8-sig":
        try:
            content.decode()
        except UnicodeDecodeError:
            encoding = old_encoding_of(content)
            changed = (f"its text, which is not in UTF-8, as {encoding}; name its encoding if letters are wrong",)
    grid = read_grid(text_of(content, name, '"', 2 * MAX_PARTS, encoding), name)
    if grid.odd_numbers:
        changed += (f"{counted(grid.odd_numbers, 'number')} with more than digits, as Praat reads them",)
    return grid, changed


def _tiers(grid: Grid) -> tuple[FileTier, ...]:
    found = {index: (tier.name, [label for *_, label in tier.intervals], False) for index, tier in grid.tiers.items()}
    found |= {index: (tier.name, [label for _, label in tier.points], True) for index, tier in grid.points.items()}
    tiers = []
    for _, (name, labels, points) in sorted(found.items()):
        labelled = sum(bool(label.strip()) for label in labels)
        tiers.append(FileTier(name, labelled, len(labels) - labelled, points))
    return tuple(tiers)


FORMAT = Format(
    name="Praat TextGrid",
    endings=(".TextGrid",),
    media_type="text/plain",
    holds_many=False,
    write=write,
    read=read,
    recognises=lambda head: "ooTextFile" in head[:200] or head.startswith(("ooBinaryFile", f'"{CHRONOLOGICAL}"')),
    holds_tiers=True,
)
