"""Marks written as annotations of EMU-SDMS: a level for each annotator and tier.

The first label of an item, for queries, is an emotion or a note; the second has all fields of the mark.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from math import ceil

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats.content import json_bytes
from ser_core.annotations.formats.fields import writable
from ser_core.annotations.formats.format import Written, lost_of_marks, lost_recording_fields, only_one
from ser_core.annotations.formats.layers import Layer, layers_of
from ser_core.annotations.formats.notation import lost_by_plain_labels, mark_text
from ser_core.work.atomic_folder import folder_name

SEGMENT, EVENT = "SEGMENT", "EVENT"
#: Follows the name of a level in that of its second label.
MORE = "_mark"
#: Characters that a query does not accept in the name of a level.
NOT_IN_NAMES = re.compile(r"[^\w.\-]+")
DEFAULT_RATE_HZ = 48_000


def write(
    recordings: Sequence[AnnotatedRecording], plain: bool = False, levels: Mapping[str, str] | None = None
) -> Written:
    """Write the marks of one recording; edges move by up to half a sample, to lie between two.

    Parameters
    ----------
    plain : bool
        Write only the first label of each mark.
    levels : mapping of str to str, optional
        All levels of the database with their types, as `levels_of` returns them; default: those of this recording.

    Raises
    ------
    AnnotationsRefused
        If there is not exactly one recording, or one of its marks cannot be written.
    """
    recording = writable(only_one(recordings, "EMU-SDMS"))
    rate_hz = recording.sample_rate_hz or DEFAULT_RATE_HZ
    types = levels_of([recording]) if levels is None else levels
    found, ids = {name: layer.marks for name, layer in _by_level(recording).items()}, count(1)
    written = [
        {
            "name": name,
            "type": kind,
            "items": [
                {"id": next(ids), **_samples(mark.region, rate_hz), "labels": _written_labels(mark, name, plain)}
                for mark in found.get(name, ())
            ],
        }
        for name, kind in types.items()
    ]
    stem = bundle_of(recording.name)
    head = {"name": stem, "annotates": f"{stem}.wav", "sampleRate": rate_hz}
    marks = recording.annotations
    dropped = (
        *lost_recording_fields(recording, "sha256", "provenance"),
        *lost_of_marks((mark for mark in marks if mark.changed_at), "the time of change of {}"),
        *lost_by_plain_labels(marks, (), plain),
        *lost_of_marks(marks, "up to half a sample of the times of {}"),
    )
    return Written(json_bytes(head | {"levels": written, "links": []}), dropped)


def bundle_of(name: str) -> str:
    """Return the name of a recording's bundle, or of a database, without spaces."""
    return "_".join(folder_name(name).split())


def levels_of(recordings: Iterable[AnnotatedRecording]) -> dict[str, str]:
    """Return the names of all levels that recordings need, with their types."""
    found: dict[str, str] = {}
    for recording in recordings:
        for name, layer in _by_level(recording).items():
            found.setdefault(name, EVENT if layer.tier.kind == "points" else SEGMENT)
    return found


def _by_level(recording: AnnotatedRecording) -> dict[str, Layer]:
    """Return the levels of a recording by name, with the times of marks that `read` will return."""
    rate_hz = recording.sample_rate_hz or DEFAULT_RATE_HZ
    marks = [replace(mark, region=_at_samples(mark.region, rate_hz)) for mark in recording.annotations]
    marks.sort(key=lambda mark: (mark.region.start_s, mark.region.end_s))
    found: dict[str, Layer] = {}
    for layer in layers_of(replace(recording, annotations=tuple(marks))):
        plain, number = NOT_IN_NAMES.sub("_", layer.name).strip("_") or "level", 1
        level = plain
        while level in found:
            number += 1
            level = f"{plain}_{number}"
        found[level] = layer
    return found


def _at_samples(region: Region, rate_hz: int) -> Region:
    """Return a region from half a sample before its first to half a sample after its last, or a point on a sample."""
    if region.start_s == region.end_s:
        time_s = round(region.start_s * rate_hz) / rate_hz
        return replace(region, start_s=time_s, end_s=time_s)
    first, after = ceil(region.start_s * rate_hz), ceil(region.end_s * rate_hz)
    if first == after:  # shorter than a sample, and between two: the nearer one
        first = round((region.start_s + region.end_s) / 2 * rate_hz)
    last = max(after - 1, first)
    return replace(region, start_s=max(first - 0.5, 0.0) / rate_hz, end_s=(last + 0.5) / rate_hz)


def _samples(region: Region, rate_hz: int) -> dict[str, int]:
    """Return the samples of a region of `_at_samples`."""
    if region.start_s == region.end_s:
        return {"samplePoint": round(region.start_s * rate_hz)}
    first, last = ceil(region.start_s * rate_hz - 0.25), ceil(region.end_s * rate_hz - 0.75)
    return {"sampleStart": first, "sampleDur": last - first}


def _written_labels(mark: Annotation, level: str, plain: bool) -> list[dict[str, str]]:
    labels = [{"name": level, "value": mark_text(mark, plain=True)}]
    if not plain:
        labels.append({"name": level + MORE, "value": mark_text(mark, default_tier=level)})
    return labels
