"""The F0 of recordings over time, measured and corrected by hand, as Praat's PitchTier and as CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ser_core.analysis import Recording, Region
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.exchange.exporting import stems_of
from ser_core.annotations.f0.operations import UNVOICED
from ser_core.audio.acoustics import fundamental_frequency
from ser_core.errors import AnnotationsRefused, AudioRefused, RecordingTooLong
from ser_core.settings import F0Settings
from ser_core.work.progress import Work

COLUMNS = ("time_s", "f0_hz", "source")
MEASURED, CORRECTED = "measured", "corrected"
#: A long recording is measured in pieces that begin at an even second, where the detector's frames begin too.
PIECE_S = 300.0


@dataclass(frozen=True, eq=False)
class F0Track:
    """The F0 of a recording, one value for each hop, at its middle.

    Attributes
    ----------
    name : str
        Of its files, without a suffix; unique in an export.
    duration_s : float
    f0_hz : ndarray of shape (frames,), float64
        NaN: unvoiced.
    is_corrected : ndarray of shape (frames,), bool
    """

    name: str
    duration_s: float
    f0_hz: np.ndarray
    is_corrected: np.ndarray

    @property
    def times_s(self) -> np.ndarray:
        return F0Settings().hop_s * (np.arange(len(self.f0_hz)) + 0.5)

    def pitch_tier(self) -> bytes:
        """Return the voiced frames as the text of a PitchTier.

        References
        ----------
        Praat's manual, "PitchTier" and "TextGrid file formats": a text file of `ooTextFile`.
        """
        points = [(time_s, hz) for time_s, hz in zip(self.times_s, self.f0_hz, strict=True) if not np.isnan(hz)]
        lines = [
            'File type = "ooTextFile"',
            'Object class = "PitchTier"',
            "",
            "xmin = 0 ",
            f"xmax = {self.duration_s!r} ",
            f"points: size = {len(points)} ",
        ]
        for number, (time_s, hz) in enumerate(points, start=1):
            lines += [f"points [{number}]:", f"    number = {round(time_s, 6)} ", f"    value = {float(hz)} "]
        return "\n".join([*lines, ""]).encode()

    def table(self) -> bytes:
        """Return a CSV with a row for each frame; unvoiced ones have no F0."""
        text = io.StringIO(newline="")
        rows = csv.writer(text)
        rows.writerow(COLUMNS)
        for time_s, hz, corrected in zip(self.times_s, self.f0_hz, self.is_corrected, strict=True):
            value = "" if np.isnan(hz) else f"{hz:.6g}"
            rows.writerow([round(time_s, 6), value, CORRECTED if corrected else MEASURED])
        return text.getvalue().encode("utf-8-sig")


@dataclass(frozen=True)
class WrittenF0:
    """Numbers of recordings whose F0 was written, of recordings without sound, and of corrected frames."""

    recordings: int
    without_sound: int
    corrected: int


def write_f0(
    recordings: Iterable[AnnotatedRecording],
    every: bool,
    sound_of: Callable[..., Recording | None],
    write: Callable[[str, bytes], object],
    work: Work,
) -> WrittenF0:
    """Write the files of each recording's F0 with a function of name and content.

    Parameters
    ----------
    every : bool
        Include recordings without corrections.

    Raises
    ------
    AnnotationsRefused
        If there are none, or the sound of all of them is missing.
    Cancelled
    """
    recordings = [recording for recording in recordings if every or recording.f0.frames]
    if not recordings and every:
        raise AnnotationsRefused("The project has no recordings. Add some first.")
    if not recordings:
        raise AnnotationsRefused(
            "Nobody has corrected F0 in this project. Correct it on Mark, or include recordings without corrections."
        )
    without_sound = corrected = 0
    for track in f0_tracks(recordings, sound_of, work):
        if track is None:
            without_sound += 1
            continue
        corrected += int(track.is_corrected.sum())
        write(f"{track.name}.PitchTier", track.pitch_tier())
        write(f"{track.name}-f0.csv", track.table())
    if without_sound == len(recordings):
        raise AnnotationsRefused("The sound of these recordings is missing. Add the audio files again.")
    return WrittenF0(len(recordings) - without_sound, without_sound, corrected)


def f0_tracks(
    recordings: Sequence[AnnotatedRecording], sound_of: Callable[..., Recording | None], work: Work | None = None
) -> Iterator[F0Track | None]:
    """Yield the F0 of each recording; None if its sound is missing or cannot be read.

    Parameters
    ----------
    sound_of : callable
        As `sounds_of` returns it.

    Raises
    ------
    Cancelled
    """
    work = work or Work()
    for done, (recording, name) in enumerate(zip(recordings, stems_of(recordings), strict=True)):
        part = work.part(done, len(recordings), f"Recording {done + 1} of {len(recordings)}: ")
        part.check("Measuring was stopped.")
        f0_hz = _measure(recording, sound_of, part)
        if f0_hz is None:
            yield None
            continue
        corrected = {frame: hz for frame, hz in recording.f0.hz.items() if frame < len(f0_hz)}
        is_corrected = np.zeros(len(f0_hz), bool)
        is_corrected[list(corrected)] = True
        f0_hz[list(corrected)] = [np.nan if hz == UNVOICED else hz for hz in corrected.values()]
        yield F0Track(name, recording.duration_s, f0_hz, is_corrected)


def _measure(recording: AnnotatedRecording, sound_of: Callable[..., Recording | None], work: Work) -> np.ndarray | None:
    try:
        sound = sound_of(recording.sha256)
        return None if sound is None else _measure_in(sound, 0.0, sound.duration_s, work)
    except RecordingTooLong:
        return _measure_in_pieces(recording, sound_of, work)
    except AudioRefused:
        return None


def _measure_in_pieces(
    recording: AnnotatedRecording, sound_of: Callable[..., Recording | None], work: Work
) -> np.ndarray | None:
    starts = np.arange(0.0, recording.duration_s, PIECE_S)
    pieces = []
    for done, start_s in enumerate(starts):
        end_s = min(start_s + PIECE_S, recording.duration_s)
        try:
            sound = sound_of(recording.sha256, Region(start_s, end_s))
        except AudioRefused:
            return None
        if sound is None:
            return None
        pieces.append(_measure_in(sound, start_s - sound.start_s, end_s - sound.start_s, work.part(done, len(starts))))
    return np.concatenate(pieces)


def _measure_in(sound: Recording, start_s: float, end_s: float, work: Work) -> np.ndarray:
    hop_s = F0Settings().hop_s
    times_s = start_s + hop_s * (np.arange(int((end_s - start_s) / hop_s)) + 0.5)
    return fundamental_frequency(sound, times_s, work)
