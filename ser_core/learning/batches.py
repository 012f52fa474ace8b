"""Which segments a network learns from in an epoch, and in which batches."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ser_core.learning.dataset import SEGMENT_FRAMES, LabelledSpectrogram
from ser_core.learning.training_settings import TrainingSettings


def steps_of_an_epoch(dataset: Sequence[LabelledSpectrogram], settings: TrainingSettings) -> int:
    """Return how many whole batches an epoch has, at least one."""
    segments = sum(len(entry.start_frames) for entry in dataset)
    if settings.segments_per_recording is not None:
        segments = len(dataset) * settings.segments_per_recording
    return max(1, segments // settings.batch)


def sampling_weights(dataset: Sequence[LabelledSpectrogram], balance: float) -> np.ndarray:
    """Return how often to draw each recording: its corpus and emotion's share to the power -`balance`; sums to 1."""
    groups = [(entry.item.corpus, entry.label) for entry in dataset]
    sizes = {group: groups.count(group) for group in set(groups)}
    weights = np.array([sizes[group] ** -balance for group in groups])
    return weights / weights.sum()


def batches_of_an_epoch(
    dataset: Sequence[LabelledSpectrogram], weights: np.ndarray, settings: TrainingSettings, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (segments, labels) of selected segments, each moved in time by chance."""
    most = settings.augmentation.shift_frames
    drawn = drawn_segments(dataset, weights, settings, rng)
    for done in range(0, len(drawn), settings.batch):
        entries, segments = drawn[done : done + settings.batch], []
        for entry, start in entries:
            first = start + int(rng.integers(-most, most + 1))
            first = min(max(first, 0), len(entry.log_mel) - SEGMENT_FRAMES)
            segments.append(entry.log_mel[first : first + SEGMENT_FRAMES])
        batch = torch.from_numpy(np.stack(segments).astype(np.float32)).unsqueeze(1)
        yield batch, torch.tensor([entry.label for entry, _ in entries])


def drawn_segments(
    dataset: Sequence[LabelledSpectrogram], weights: np.ndarray, settings: TrainingSettings, rng: np.random.Generator
) -> list[tuple[LabelledSpectrogram, int]]:
    """Return the recordings and start frames of an epoch: all segments, or recordings by weight and one of each."""
    count = steps_of_an_epoch(dataset, settings) * settings.batch
    if settings.segments_per_recording is None:
        everything = [(entry, int(start)) for entry in dataset for start in entry.start_frames]
        return [everything[place] for place in rng.permutation(len(everything))[:count]]
    drawn = [dataset[place] for place in rng.choice(len(dataset), size=count, p=weights)]
    return [(entry, int(rng.choice(entry.start_frames))) for entry in drawn]
