"""Measures of all marks as one CSV: what the marks say, and how the voice sounds there."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields

from ser_core.analysis import Recording, Region, moved
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.f0.operations import corrected_tracks
from ser_core.annotations.formats import table
from ser_core.annotations.formats.gate import writable
from ser_core.annotations.saved_sounds import MARGIN_S
from ser_core.audio.acoustics import DEFAULT_CEILING_HZ, tracks_of
from ser_core.audio.long_recording import LONGEST_STRETCH_S
from ser_core.audio.measures import Measures, measures_of
from ser_core.errors import AudioRefused, RecordingTooLong
from ser_core.settings import F0Settings
from ser_core.work.progress import Work

#: In recordings of over ten minutes: the longest mark that is measured, and how much is analysed at once.
LONGEST_MEASURED_S = LONGEST_STRETCH_S - 2 * MARGIN_S - 4
TOGETHER_S = 60.0

MEASURES = tuple(field.name for field in fields(Measures))
COLUMNS = (*table.COLUMNS, *MEASURES)


@dataclass(frozen=True)
class MeasuredMarks:
    """A CSV with a row for each mark.

    Attributes
    ----------
    content : bytes
        The columns of our CSV of marks, then those of `Measures`; what could not be measured is empty.
    marks : int
    silent : int
        Number of recordings with marks whose sound is missing or cannot be read: their marks have no measures.
    too_long : int
        Number of marks in recordings of more than ten minutes that are too long to be measured.
    """

    content: bytes
    marks: int
    silent: int
    too_long: int = 0


def measured_marks(
    recordings: Sequence[AnnotatedRecording],
    sound_of: Callable[..., Recording | None],
    ceiling_hz: float = DEFAULT_CEILING_HZ,
    work: Work | None = None,
) -> MeasuredMarks:
    """Measure the marks of recordings.

    Parameters
    ----------
    sound_of : callable
        As `sounds_of` returns it.
    ceiling_hz : float
        See `formants`.

    Raises
    ------
    AnnotationsRefused
        If a mark cannot be written.
    Cancelled
    """
    work = work or Work()
    marked = [recording for recording in recordings if recording.annotations]
    text, silent, too_long = io.StringIO(newline=""), 0, 0
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for done, recording in enumerate(map(writable, marked)):
        part = work.part(done, len(marked), f"Recording {done + 1} of {len(marked)}")
        part.check("Measuring was stopped.")
        measures = _measures(recording, sound_of, ceiling_hz, part)
        silent += measures is None
        for number, mark in enumerate(recording.annotations):
            known = None if measures is None else measures[number]
            too_long += measures is not None and known is None
            cells = [""] * len(MEASURES) if known is None else map(_cell, astuple(known))
            rows.writerow([*table.row_of(recording, mark), *cells])
    marks = sum(len(recording.annotations) for recording in marked)
    return MeasuredMarks(text.getvalue().encode("utf-8-sig"), marks, silent, too_long)


def _measures(
    recording: AnnotatedRecording, sound_of: Callable[..., Recording | None], ceiling_hz: float, work: Work
) -> list[Measures | None] | None:
    """Return the measures of each mark, None for those that are too long; None if the sound is missing."""
    regions = [mark.region for mark in recording.annotations]
    try:
        sound = sound_of(recording.sha256)
        if sound is None:
            return None
        tracks = tracks_of(sound, ceiling_hz=ceiling_hz, work=work)
        tracks = corrected_tracks(tracks, sound, recording.f0.hz)
        return [measures_of(tracks, region) for region in regions]
    except RecordingTooLong:
        return _measures_in_stretches(recording, regions, sound_of, ceiling_hz, work)
    except AudioRefused:
        return None


def _measures_in_stretches(
    recording: AnnotatedRecording,
    regions: Sequence[Region],
    sound_of: Callable[..., Recording | None],
    ceiling_hz: float,
    work: Work,
) -> list[Measures | None] | None:
    """Return the measures of regions of a long recording, from stretches around them."""
    found: list[Measures | None] = [None] * len(regions)
    groups = _neighbours(regions)
    for done, group in enumerate(groups):
        part = work.part(done, len(groups))
        part.check("Measuring was stopped.")
        start_s = min(regions[index].start_s for index in group)
        around = Region(start_s, max(*(regions[index].end_s for index in group), start_s + F0Settings().hop_s))
        try:
            sound = sound_of(recording.sha256, around)
        except AudioRefused:
            return None
        if sound is None:
            return None
        tracks = tracks_of(sound, ceiling_hz=ceiling_hz, work=part)
        tracks = corrected_tracks(tracks, sound, recording.f0.from_time(sound.start_s).hz)
        for index in group:
            found[index] = measures_of(tracks, moved(regions[index], -sound.start_s))
    return found


def _neighbours(regions: Sequence[Region]) -> list[list[int]]:
    """Return the indices of regions in groups that are measured together, without those that are too long."""
    groups: list[list[int]] = []
    begins_s = 0.0
    for index in sorted(range(len(regions)), key=lambda index: regions[index].start_s):
        region = regions[index]
        if region.duration_s > LONGEST_MEASURED_S:
            continue
        if not groups or region.end_s - begins_s > TOGETHER_S:
            groups.append([])
            begins_s = region.start_s
        groups[-1].append(index)
    return groups


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
