"""Labelled recordings as log-mel spectrograms, with the segments that data selection selects."""

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ser_core.audio.reading import file_bytes, read_recording
from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import AudioRefused, SettingsRefused
from ser_core.front_end.segments import split_into_segments
from ser_core.front_end.selection import select_segments
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.settings import FrontEnd
from ser_core.work.atomic_folder import atomic_file, read_regular
from ser_core.work.progress import Work

MAX_CACHED_BYTES = 100_000_000


@dataclass(frozen=True, eq=False)
class LabelledSpectrogram:
    """One recording ready for a network.

    Attributes
    ----------
    log_mel : ndarray of shape (frames, bands), float16
        At least one segment long.
    start_frames : ndarray of shape (segments,), int
        First frames of the selected segments.
    label : int
        Index of its emotion in the model; -1 if the model does not have it.
    segment_frames : int
        Length of each segment; all frames for a model of whole recordings.
    """

    item: LabelledRecording
    sha256: str
    log_mel: np.ndarray
    start_frames: np.ndarray
    segments_before_selection: int
    label: int
    segment_frames: int = 96

    @property
    def segments(self) -> np.ndarray:
        """The selected segments, shape (segments, segment_frames, bands), float16."""
        return np.stack([self.log_mel[start : start + self.segment_frames] for start in self.start_frames])


def require_every_emotion(dataset: Sequence[LabelledSpectrogram], emotions: tuple[str, ...]) -> None:
    """Refuse recordings to learn from that lack an emotion."""
    if missing := sorted(set(range(len(emotions))) - {entry.label for entry in dataset}):
        raise SettingsRefused(
            f"There is no recording of {emotions[missing[0]]} to learn from. Give a corpus that has some, "
            "or choose a set of fewer emotions."
        )


def load_dataset(
    items: Sequence[LabelledRecording],
    emotions: tuple[str, ...],
    front_end: FrontEnd,
    cache: Path,
    work: Work,
) -> tuple[list[LabelledSpectrogram], list[tuple[str, str]]]:
    """Compute log-mel spectrograms, or read them from the cache, and select their segments.

    Returns
    -------
    dataset : list of LabelledSpectrogram
    left_out : list of (file name, reason)
        Files that were refused.
    """
    dataset, left_out = [], []
    cache.mkdir(parents=True, exist_ok=True)
    labels = {emotion: index for index, emotion in enumerate(emotions)}
    for done, item in enumerate(items):
        if done % 50 == 0:
            work.report(done / len(items), f"Reading recording {done} of {len(items)}")
        try:
            sha256, log_mel = _cached_log_mel(item.path, front_end, cache)
            segments, starts = split_into_segments(log_mel.astype(np.float32), front_end.segments)
        except AudioRefused as refusal:
            left_out.append((item.path.name, str(refusal)))
            continue
        selected, _ = select_segments(segments, front_end.selection)
        frames = segments.shape[1]
        if len(log_mel) < frames:
            log_mel = segments[0].astype(np.float16)
        label = labels.get(item.emotion, -1)
        dataset.append(LabelledSpectrogram(item, sha256, log_mel, starts[selected], len(starts), label, frames))
    return dataset, left_out


def _cached_log_mel(path: Path, front_end: FrontEnd, cache: Path) -> tuple[str, np.ndarray]:
    data = file_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    settings = json.dumps(asdict(front_end.spectrogram), sort_keys=True)
    file = cache / f"{hashlib.sha256(f'{sha256} {settings}'.encode()).hexdigest()[:32]}.npy"
    with suppress(OSError, ValueError, EOFError):  # missing or damaged
        return sha256, np.load(io.BytesIO(read_regular(file, MAX_CACHED_BYTES)))
    log_mel = spectrogram_of(read_recording(data, path.name), front_end.spectrogram).log_mel.astype(np.float16)
    with atomic_file(file) as half_written, half_written.open("wb") as stream:
        np.save(stream, log_mel)
    return sha256, log_mel
