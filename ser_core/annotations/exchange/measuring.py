"""Measures of all marks as one CSV: what the marks say, and how the voice sounds there."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields

from ser_core.analysis import Recording
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.formats import table
from ser_core.annotations.formats.gate import writable
from ser_core.audio.acoustics import DEFAULT_CEILING_HZ, Tracks, tracks_of
from ser_core.audio.measures import Measures, measures_of
from ser_core.errors import AudioRefused
from ser_core.work.progress import Work

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
    """

    content: bytes
    marks: int
    silent: int


def measured_marks(
    recordings: Sequence[AnnotatedRecording],
    sound_of: Callable[[str], Recording | None],
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
    text, silent = io.StringIO(newline=""), 0
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for done, recording in enumerate(map(writable, marked)):
        part = work.part(done, len(marked), f"Recording {done + 1} of {len(marked)}: ")
        part.check("Measuring was stopped.")
        tracks = _tracks(recording.sha256, sound_of, ceiling_hz, part)
        silent += tracks is None
        for mark in recording.annotations:
            cells = [""] * len(MEASURES) if tracks is None else map(_cell, astuple(measures_of(tracks, mark.region)))
            rows.writerow([*table.row_of(recording, mark), *cells])
    marks = sum(len(recording.annotations) for recording in marked)
    return MeasuredMarks(text.getvalue().encode("utf-8-sig"), marks, silent)


def _tracks(sha256: str, sound_of: Callable[[str], Recording | None], ceiling_hz: float, work: Work) -> Tracks | None:
    """Return the tracks of a recording, None if its sound is not at hand."""
    try:
        sound = sound_of(sha256)
    except AudioRefused:
        return None
    return None if sound is None else tracks_of(sound, ceiling_hz=ceiling_hz, work=work)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
