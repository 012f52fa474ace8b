"""Marks as a Praat TextGrid: a tier for each annotator and tier, with emotions as the text of intervals."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from praatio.utilities import textgrid_io
from praatio.utilities.my_math import numToStr

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats.content import MOST_PARTS, text_of
from ser_core.annotations.formats.format import Format, ReadIn, Written, counted, marks_with, of_the_recording, only_one
from ser_core.annotations.formats.gate import annotation_of, at, recording_of, shown, writable
from ser_core.annotations.formats.layers import laid_out, owner_of
from ser_core.annotations.formats.notation import mark_fields, mark_text
from ser_core.annotations.formats.praat_grid import Tier, read_grid
from ser_core.errors import AnnotationsRefused

#: To Praat, an interval without text is not a mark.
NOTHING_SAID = "[status=open]"


def write(
    recordings: Sequence[AnnotatedRecording],
    short: bool = False,
    encoding: Literal["utf-8", "utf-16"] = "utf-8",
) -> Written:
    """Write the marks of one recording.

    Times are exact, except that a time within a relative 1e-14 of a whole second becomes that second.

    Raises
    ------
    AnnotationsRefused
        If there is not exactly one recording, it has no length, or one of its marks cannot be written.
    """
    recording = writable(only_one(recordings, "Praat"))
    if not recording.duration_s:
        raise AnnotationsRefused(f"{shown(recording.name)} has no length, and a TextGrid needs one.")
    marks = [_as_printed(mark) for mark in recording.annotations]
    long_enough = [mark for mark in marks if mark is not None]
    tiers = [
        {
            "class": "IntervalTier",
            "name": name,
            "xmin": 0,
            "xmax": recording.duration_s,
            "entries": [_interval(mark) for mark in layer],
        }
        for name, layer in laid_out(long_enough).items()
    ]
    grid = textgrid_io.getTextgridAsStr(
        {"xmin": 0, "xmax": recording.duration_s, "tiers": tiers},
        "short_textgrid" if short else "long_textgrid",
        includeBlankSpaces=True,
        minimumIntervalLength=None,
    )
    dropped = (
        *of_the_recording(recording, "name", "sha256", "sample_rate_hz", "provenance"),
        *marks_with((mark for mark in long_enough if mark.changed_at), "the time of change of {}"),
        *marks_with((mark for mark in marks if mark is None), "{} too short for the times of a TextGrid"),
    )
    return Written(grid.encode(encoding), dropped)


def _as_printed(mark: Annotation) -> Annotation | None:
    """Return a mark with the times that praatio writes, or None if they are equal."""
    start_s, end_s = float(numToStr(mark.region.start_s)), float(numToStr(mark.region.end_s))
    if start_s == end_s:
        return None
    return replace(mark, region=Region(start_s, end_s, mark.region.low_hz, mark.region.high_hz))


def _interval(mark: Annotation) -> tuple[float, float, str]:
    label = mark_text(mark, leave_out=("tier", "annotator"))
    return mark.region.start_s, mark.region.end_s, label or NOTHING_SAID


def read(content: bytes, name: str) -> ReadIn:
    """Read the intervals with text as the marks of one recording.

    Raises
    ------
    AnnotationsRefused
        If the file is not a TextGrid in text form, is damaged, or an interval is not a valid mark, with the line, or
        the tier and the number of the interval.
    """
    grid = read_grid(text_of(content, name, '"', 2 * MOST_PARTS), name)
    names = {tier.name for tier in grid.tiers.values()}
    marks: list[Annotation] = []
    for place, tier in grid.tiers.items():
        annotator, tier_name = owner_of(tier.name, names, place)
        marks += _marks_of(tier, {"annotator": annotator, "tier": tier_name}, grid.end_s, f"{name}, tier {place}")
    with at(name):
        recording = recording_of({"name": name, "duration_s": grid.end_s}, marks)
    points = (counted(grid.point_tiers, "tier of points", "tiers of points"),) if grid.point_tiers else ()
    return ReadIn((recording,), points)


def _marks_of(tier: Tier, owner: dict[str, str], duration_s: float, place: str) -> list[Annotation]:
    marks = []
    for count, (start_s, end_s, label) in enumerate(tier.intervals, start=1):
        if label.strip():
            with at(f"{place} ({shown(tier.name)}), interval {count}"):
                times = {"start_s": start_s, "end_s": end_s}
                marks.append(annotation_of(times | mark_fields(label) | owner, duration_s))
    return marks


FORMAT = Format(
    name="Praat TextGrid",
    endings=(".TextGrid",),
    media_type="text/plain",
    holds_many=False,
    write=write,
    read=read,
    recognises=lambda head: "ooTextFile" in head[:200] or head.startswith("ooBinaryFile"),
)
