"""Train one network on segments, epoch by epoch, so that it can stop at any time and go on later."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.learning.batches import batches_of_an_epoch, sampling_weights, steps_of_an_epoch
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.network_outputs import logits_of, mean_uar
from ser_core.learning.processes import processes
from ser_core.learning.training_run import Run
from ser_core.learning.training_settings import TrainingSettings
from ser_core.model.scores import recording_probabilities
from ser_core.work.atomic_folder import atomic_write
from ser_core.work.progress import Work


def train_network(
    network: nn.Module,
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: TrainingSettings,
    seed: int,
    state_file: Path,
    log_offset: float,
    work: Work,
    teacher: nn.Module | None = None,
) -> list[dict[str, Any]]:
    """Train a network in place; it ends with the averaged weights of its best validated epoch.

    Everything random in an epoch follows from (`seed`, epoch), so that a run which was killed and resumed ends with the
    same weights as one that was not. Of several processes (see `ser_core.learning.processes`) each takes its part of
    every batch; a run goes on with as many processes as it began with.

    Parameters
    ----------
    dataset : sequence of LabelledSpectrogram
        A label of -1 is none: such a recording teaches only what the teacher's features are.
    state_file : Path
        Written whole after every epoch; where it exists, training goes on from it. The history stands beside it as
        JSON, for those who watch.
    teacher : nn.Module, optional
        A trained network; `settings.imitation` weighs how near the network's features come to its own, through a
        linear layer that is thrown away afterwards.

    Returns
    -------
    list of dict
        Of each epoch: `epoch`, `loss`, `validation_uar` (mean over corpora), `seconds` of training without validation.

    Raises
    ------
    Cancelled
        At the next batch once the person asked for it; finished epochs are kept.
    SettingsRefused
        If the state was made with other settings or another seed.

    References
    ----------
    Romero et al. 2015, arXiv:1412.6550, for learning a teacher's features; Beyer et al. 2022, arXiv:2106.05237, for
    showing both the same changed and mixed input.
    """
    fabric = processes()
    run = Run(network, teacher, settings, steps_of_an_epoch(dataset, settings), fabric)
    identity = {"settings": asdict(settings), "seed": seed, "recordings": len(dataset), "emotions": list(emotions)}
    history = run.restore(state_file, identity) if state_file.exists() else []
    weights = sampling_weights(dataset, settings.balance)
    for epoch in range(len(history), settings.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch.manual_seed(int(rng.integers(2**31)) + fabric.global_rank)
        losses, began = [], time.perf_counter()
        for done, (segments, labels) in enumerate(batches_of_an_epoch(dataset, weights, settings, rng)):
            work.check("Training was stopped; finished epochs are kept and it can be resumed.")
            own = slice(fabric.global_rank, None, fabric.world_size)
            losses.append(run.step(segments[own], _targets(labels[own], len(emotions)), log_offset))
            work.report(
                (epoch + done / run.steps_per_epoch) / settings.epochs, f"Epoch {epoch + 1} of {settings.epochs}"
            )
        seconds = round(time.perf_counter() - began, 2)
        of_recordings = logits_of(run.averaged, validation)
        probabilities = np.stack([recording_probabilities(logits, 1.0) for logits in of_recordings])
        uar = mean_uar(probabilities, validation, emotions)
        loss = float(np.mean(losses))
        history.append({"epoch": epoch + 1, "loss": loss, "validation_uar": uar, "seconds": seconds})
        run.keep_if_best(history)
        if fabric.is_global_zero:
            run.save(state_file, identity, history)
            atomic_write(state_file.with_suffix(".json"), json.dumps(history, indent=1))
    network.load_state_dict(fabric.broadcast(run.best))
    return fabric.broadcast(history)


def _targets(labels: Tensor, classes: int) -> Tensor:
    """Return target distributions (n, classes); those of labels that are -1 are all zero."""
    return F.one_hot(labels.clamp_min(0), classes) * (labels >= 0)[:, None].float()
