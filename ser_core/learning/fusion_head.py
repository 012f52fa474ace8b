"""Train the head of late fusion on the branches' features, which are computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ser_core.learning.batches import sampling_weights
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.network_outputs import features_of, mean_uar
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.scores import recording_probabilities
from ser_core.work.progress import Work


@dataclass(frozen=True)
class FusionHeadSettings:
    """How the head learns; an epoch takes as many segments as there are."""

    epochs: int = 12
    batch: int = 128
    rate: float = 5e-4
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    balance: float = 0.5


def train_fusion_head(
    network: LateFusion,
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: FusionHeadSettings,
    seed: int,
    work: Work,
) -> float:
    """Train `network.head` in place, keep its best validated epoch, and return that epoch's UAR, mean over corpora."""
    work.report(0.0, "Computing the branches' features")
    features = features_of(network, dataset)
    held_out = [torch.from_numpy(f) for f in features_of(network, validation)]
    counts = [len(f) for f in features]
    inputs = torch.from_numpy(np.concatenate(features))
    labels = torch.from_numpy(np.repeat([entry.label for entry in dataset], counts))
    # A recording counts by its weight, not by how long it is.
    weights = np.repeat(sampling_weights(dataset, settings.balance) / counts, counts)
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(network.head.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    best, best_uar = {k: v.clone() for k, v in network.head.state_dict().items()}, -1.0
    for epoch in range(settings.epochs):
        network.head.train()
        for places in np.array_split(
            rng.choice(len(inputs), size=len(inputs), p=weights), max(1, len(inputs) // settings.batch)
        ):
            work.check("Training was stopped; the branches are kept and it can be resumed.")
            loss = F.cross_entropy(
                network.head(inputs[places]), labels[places], label_smoothing=settings.label_smoothing
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        uar = _validated_uar(network, held_out, validation, emotions)
        if uar > best_uar:
            best, best_uar = {k: v.clone() for k, v in network.head.state_dict().items()}, uar
        work.report((epoch + 1) / settings.epochs, f"Fusion head, epoch {epoch + 1} of {settings.epochs}")
    network.head.load_state_dict(best)
    return best_uar


def _validated_uar(
    network: LateFusion,
    held_out: list[torch.Tensor],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
) -> float:
    network.head.eval()
    with torch.inference_mode():
        probabilities = np.stack([recording_probabilities(network.head(f).numpy(), 1.0) for f in held_out])
    return mean_uar(probabilities, validation, emotions)
