"""What a network says of a dataset while it learns, and the figures that follow."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ser_core.learning.batches import as_batch
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.evaluation import figures_by_corpus


def logits_of(network: nn.Module, dataset: Sequence[LabelledSpectrogram]) -> list[np.ndarray]:
    """Return the logits (segments, classes), float32, of each recording's kept segments, computed in bfloat16."""
    return _in_one_pass(network, network.forward, dataset)


def features_of(network: nn.Module, dataset: Sequence[LabelledSpectrogram]) -> list[np.ndarray]:
    """Return the features (segments, features), float32, of each recording's kept segments."""
    return _in_one_pass(network, lambda x: network.features(network.maps(x)), dataset)


def mean_uar(probabilities: np.ndarray, dataset: Sequence[LabelledSpectrogram], emotions: tuple[str, ...]) -> float:
    """Return the UAR of recordings' probabilities (recordings, classes), mean over the corpora."""
    return figures_of(probabilities, dataset, emotions)["mean_over_corpora_uar"]


def figures_of(
    probabilities: np.ndarray, dataset: Sequence[LabelledSpectrogram], emotions: tuple[str, ...]
) -> dict[str, Any]:
    """Return the figures by corpus of recordings' probabilities (recordings, classes)."""
    return figures_by_corpus(
        probabilities.argmax(axis=1),
        np.array([entry.label for entry in dataset]),
        [entry.item.speaker_id for entry in dataset],
        [entry.item.corpus for entry in dataset],
        emotions,
    )


def _in_one_pass(
    network: nn.Module, function: Callable[[Tensor], Tensor], dataset: Sequence[LabelledSpectrogram], batch: int = 64
) -> list[np.ndarray]:
    network.eval()
    segments = [segment for entry in dataset for segment in entry.segments]
    results = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(segments), batch):
            part = as_batch(segments[start : start + batch])
            results.append(function(part.contiguous(memory_format=torch.channels_last)).float().numpy())
    ends = np.cumsum([len(entry.start_frames) for entry in dataset])
    return np.split(np.concatenate(results), ends[:-1])
