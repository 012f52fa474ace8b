"""Batches of segments for training, and the outputs of a network for a whole dataset, computed once."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ser_core.learning.dataset import MAX_CACHED_BYTES, LabelledSpectrogram
from ser_core.learning.metrics import figures_by_corpus
from ser_core.learning.plan import TrainingSettings
from ser_core.model.checkpoint import fastest_precision
from ser_core.model.peers.shared.padding import SILENCE
from ser_core.work.atomic_folder import atomic_file, read_regular
from ser_core.work.progress import Work

#: Segments in a forward pass without gradients.
OUTPUT_BATCH = 64
#: Recordings whose features are computed before any of them is saved.
RECORDINGS_AT_ONCE = 16


def steps_per_epoch(dataset: Sequence[LabelledSpectrogram], settings: TrainingSettings) -> int:
    """Return the number of full batches in an epoch, at least one."""
    segments = sum(len(entry.start_frames) for entry in dataset)
    if settings.segments_per_recording is not None:
        segments = len(dataset) * settings.segments_per_recording
    return max(1, segments // settings.batch)


def sampling_weights(dataset: Sequence[LabelledSpectrogram], balance: float) -> np.ndarray:
    """Return the probability (recordings,) of drawing each recording.

    It is proportional to n ** -`balance`, with n recordings of the same corpus and emotion.
    """
    groups = [(entry.item.corpus, entry.label) for entry in dataset]
    sizes = {group: groups.count(group) for group in set(groups)}
    weights = np.array([sizes[group] ** -balance for group in groups])
    return weights / weights.sum()


def epoch_batches(
    dataset: Sequence[LabelledSpectrogram], weights: np.ndarray, settings: TrainingSettings, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (segments, labels) of an epoch, each segment shifted in time at random."""
    max_shift = settings.augmentation.shift_frames
    drawn = epoch_segments(dataset, weights, settings, rng)
    if len({entry.segment_frames for entry, _ in drawn}) > 1:
        drawn = grouped_by_length(drawn, settings.batch, rng)
    for done in range(0, len(drawn), settings.batch):
        entries, segments = drawn[done : done + settings.batch], []
        for entry, start in entries:
            first = start + int(rng.integers(-max_shift, max_shift + 1))
            first = min(max(first, 0), len(entry.log_mel) - entry.segment_frames)
            segments.append(entry.log_mel[first : first + entry.segment_frames])
        yield as_batch(segments), torch.tensor([entry.label for entry, _ in entries])


def as_batch(segments: Sequence[np.ndarray]) -> Tensor:
    """Return segments (frames, bands) as a batch (n, 1, frames of the longest, bands), float32, padded with silence."""
    frames = max(len(segment) for segment in segments)
    batch = np.full((len(segments), frames, segments[0].shape[1]), SILENCE, np.float32)
    for index, segment in enumerate(segments):
        batch[index, : len(segment)] = segment
    return torch.from_numpy(batch).unsqueeze(1)


def grouped_by_length(
    drawn: list[tuple[LabelledSpectrogram, int]], batch: int, rng: np.random.Generator
) -> list[tuple[LabelledSpectrogram, int]]:
    """Return the segments ordered into batches of similar length, in random order, so that less is padded."""
    ordered = sorted(drawn, key=lambda entry_and_start: entry_and_start[0].segment_frames)
    batches = [ordered[done : done + batch] for done in range(0, len(ordered), batch)]
    return [segment for index in rng.permutation(len(batches)) for segment in batches[index]]


def epoch_segments(
    dataset: Sequence[LabelledSpectrogram], weights: np.ndarray, settings: TrainingSettings, rng: np.random.Generator
) -> list[tuple[LabelledSpectrogram, int]]:
    """Return an epoch as (recording, start frame): all segments, or one segment of each of the recordings drawn."""
    count = steps_per_epoch(dataset, settings) * settings.batch
    if settings.segments_per_recording is None:
        segments = [(entry, int(start)) for entry in dataset for start in entry.start_frames]
        return [segments[index] for index in rng.permutation(len(segments))[:count]]
    drawn = [dataset[index] for index in rng.choice(len(dataset), size=count, p=weights)]
    return [(entry, int(rng.choice(entry.start_frames))) for entry in drawn]


def autocast() -> torch.autocast:
    """Return a context in which layers compute in this processor's fastest precision."""
    return torch.autocast("cpu", torch.bfloat16, enabled=fastest_precision() == torch.bfloat16)


def logits_of(network: nn.Module, dataset: Sequence[LabelledSpectrogram]) -> list[np.ndarray]:
    """Return the logits (segments, classes), float32, of each recording's selected segments."""
    return _outputs_of(network, network.forward, dataset)


def features_of(network: nn.Module, dataset: Sequence[LabelledSpectrogram]) -> list[np.ndarray]:
    """Return the features (segments, features), float32, of each recording's selected segments."""
    return _outputs_of(network, lambda x: network.features(network.maps(x)), dataset)


def cached_features(
    network: nn.Module,
    dataset: Sequence[LabelledSpectrogram],
    cache: Path,
    work: Work,
) -> list[np.ndarray]:
    """Return the features (segments, features), float32, of each recording, cached in half precision."""
    cache.mkdir(parents=True, exist_ok=True)
    body_hash = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        if not name.startswith("head."):
            body_hash.update(name.encode() + tensor.numpy().tobytes())
    result = []
    for start in range(0, len(dataset), RECORDINGS_AT_ONCE):
        work.check("Training was stopped; the features so far are saved and it can be resumed.")
        work.report(start / len(dataset), f"Computing features of recording {start} of {len(dataset)}")
        part = dataset[start : start + RECORDINGS_AT_ONCE]
        files = [cache / _cache_name(body_hash.hexdigest(), entry) for entry in part]
        stored = [_read_cached(file, len(entry.start_frames)) for file, entry in zip(files, part, strict=True)]
        missing = [index for index, features in enumerate(stored) if features is None]
        if missing:
            computed = features_of(network, [part[index] for index in missing])
            for index, features in zip(missing, computed, strict=True):
                stored[index] = features.astype(np.float16)
                with atomic_file(files[index]) as half_written, half_written.open("wb") as file:
                    np.save(file, stored[index])
        result += [features.astype(np.float32) for features in stored]
    return result


def _cache_name(body_hash: str, entry: LabelledSpectrogram) -> str:
    key = hashlib.sha256(f"{body_hash} {entry.start_frames.tolist()} {entry.segment_frames}".encode())
    key.update(entry.log_mel.tobytes())
    return f"{key.hexdigest()[:32]}.npy"


def _read_cached(file: Path, segments: int) -> np.ndarray | None:
    with suppress(OSError, ValueError, EOFError):  # missing or damaged
        features = np.load(BytesIO(read_regular(file, MAX_CACHED_BYTES)))
        return features if len(features) == segments and np.isfinite(features).all() else None
    return None


def mean_uar(probabilities: np.ndarray, dataset: Sequence[LabelledSpectrogram], emotions: tuple[str, ...]) -> float:
    """Return the UAR of probabilities (recordings, classes), mean over corpora."""
    return figures_of(probabilities, dataset, emotions)["mean_over_corpora_uar"]


def figures_of(
    probabilities: np.ndarray, dataset: Sequence[LabelledSpectrogram], emotions: tuple[str, ...]
) -> dict[str, Any]:
    """Return the metrics of probabilities (recordings, classes) by corpus (see `figures_by_corpus`)."""
    return figures_by_corpus(
        probabilities.argmax(axis=1),
        np.array([entry.label for entry in dataset]),
        [entry.item.speaker_id for entry in dataset],
        [entry.item.corpus for entry in dataset],
        emotions,
    )


def _outputs_of(
    network: nn.Module, function: Callable[[Tensor], Tensor], dataset: Sequence[LabelledSpectrogram]
) -> list[np.ndarray]:
    network.eval()
    segments = [segment for entry in dataset for segment in entry.segments]
    results = []
    with torch.inference_mode(), autocast():
        for start in range(0, len(segments), OUTPUT_BATCH):
            part = as_batch(segments[start : start + OUTPUT_BATCH])
            results.append(function(part.contiguous(memory_format=torch.channels_last)).float().numpy())
    ends = np.cumsum([len(entry.start_frames) for entry in dataset])
    return np.split(np.concatenate(results), ends[:-1])
