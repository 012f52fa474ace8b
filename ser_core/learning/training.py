"""Train one network by gradient descent: resumable, in one or several processes, with or without a teacher."""

import atexit
import copy
import errno
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from ser_core.errors import SettingsRefused
from ser_core.learning.augmentation import augment, mixup
from ser_core.learning.batches import (
    autocast,
    epoch_batches,
    logits_of,
    mean_uar,
    sampling_weights,
    steps_per_epoch,
)
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.plan import TrainingSettings
from ser_core.model.scores import recording_probabilities
from ser_core.work.atomic_folder import atomic_file, atomic_write
from ser_core.work.progress import Work

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: A search tries each candidate for one in this many epochs.
SEARCH_EPOCHS_DIVISOR = 5


@cache
def processes() -> "Fabric":
    """Return the group of processes that torchrun started; without torchrun, only this one.

    `torchrun --nproc-per-node 2 -m ser_core train ...` starts two. With several machines, `runs` and the corpora need
    the same paths on each.
    """
    from lightning_fabric import Fabric  # it imports torch's compiler, which takes four seconds

    local_processes, machines = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), int(os.environ.get("GROUP_WORLD_SIZE", 1))
    strategy = "ddp" if local_processes * machines > 1 else "auto"
    fabric = Fabric(accelerator="cpu", strategy=strategy, devices=local_processes, num_nodes=machines)
    fabric.launch()
    if distributed.is_initialized():
        # gloo's threads must end before the process does, or the process sometimes aborts at exit.
        atexit.register(distributed.destroy_process_group)
    return fabric


class _Learner(nn.Module):
    """A network and, with a teacher, the linear layer from its features to the teacher's."""

    def __init__(self, network: nn.Module, teacher: nn.Module | None) -> None:
        super().__init__()
        self.network = network
        self.imitator = nn.Linear(network.features_count, teacher.features_count) if teacher is not None else None

    def forward(self, segments: Tensor) -> tuple[Tensor, Tensor | None]:
        maps = self.network.maps(segments)
        logits = self.network.classify(maps)
        return logits, None if self.imitator is None else self.imitator(self.network.features(maps))


class Run:
    """State of a training: network, optimiser, averaged weights and best weights."""

    def __init__(
        self, network: nn.Module, teacher: nn.Module | None, settings: TrainingSettings, steps: int, fabric: "Fabric"
    ) -> None:
        self.network = network.to(memory_format=torch.channels_last)
        self.teacher = None if teacher is None else _frozen_copy(teacher).to(memory_format=torch.channels_last)
        self.settings, self.steps_per_epoch, self.fabric = settings, steps, fabric
        self.averaged = _frozen_copy(network)
        self.best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self.learner = _Learner(network, teacher)
        head = [p for name, p in self.learner.named_parameters() if not _is_body(name)]
        body = [p for name, p in self.learner.named_parameters() if _is_body(name)]
        groups = [{"params": body, "lr": settings.rate}, {"params": head, "lr": settings.head_rate}]
        optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        self.peak_rates = [group["lr"] for group in groups]
        self.steps_done = 0
        self.shared_learner, self.optimiser = fabric.setup(self.learner, optimiser)

    def step(self, segments: Tensor, targets: Tensor, log_offset: float) -> float:
        """Take one optimiser step on segments (n, 1, frames, bands) and targets (n, classes), and return the loss."""
        self.learner.train()
        segments = augment(segments, self.settings.augmentation, log_offset)
        segments, targets = mixup(segments, targets, self.settings.augmentation)
        segments = segments.contiguous(memory_format=torch.channels_last)
        with autocast():
            logits, imitated = self.shared_learner(segments)
            loss = label_loss(logits.float(), targets, self.settings.label_smoothing)
            if imitated is not None:
                with torch.no_grad():
                    expected = self.teacher.features(self.teacher.maps(segments)).float()
                distance = 1 - F.cosine_similarity(imitated.float(), expected)
                loss = loss + self.settings.imitation * distance.mean()
        self.optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if self.settings.longest_gradient:
            nn.utils.clip_grad_norm_(self.learner.parameters(), self.settings.longest_gradient)
        for group, peak in zip(self.optimiser.param_groups, self.peak_rates, strict=True):
            group["lr"] = peak * self._rate_now()
        self.optimiser.step()
        self.steps_done += 1
        self._average()
        return loss.item()

    def _rate_now(self) -> float:
        """Return the share of the peak rate at this step: linear warm-up, then half a cosine."""
        total = self.settings.epochs * self.steps_per_epoch
        warm_up = int(self.settings.warm_up_share * total)
        if self.steps_done < warm_up:
            return (self.steps_done + 1) / warm_up
        cosine = 0.5 * (1 + math.cos(math.pi * (self.steps_done - warm_up) / max(1, total - warm_up)))
        return self.settings.final_rate_share + (1 - self.settings.final_rate_share) * cosine

    def _average(self) -> None:
        # The decay is smaller at first; otherwise the starting weights would dominate the average.
        decay = min(self.settings.averaging, (1 + self.steps_done) / (10 + self.steps_done))
        with torch.no_grad():
            averaged, current = self.averaged.state_dict().values(), self.network.state_dict().values()
            for average, value in zip(averaged, current, strict=True):
                if average.is_floating_point():
                    average.lerp_(value, 1 - decay)
                else:
                    average.copy_(value)

    def update_best(self, history: list[dict[str, Any]]) -> None:
        """Store the averaged weights if the last epoch's UAR on validation is the highest."""
        if history[-1]["validation_uar"] >= max(entry["validation_uar"] for entry in history):
            self.best = {name: tensor.clone() for name, tensor in self.averaged.state_dict().items()}

    def save(self, file: Path, identity: dict[str, Any], history: list[dict[str, Any]]) -> None:
        """Write the state, the inputs of the training (`identity`) and the history to a file."""
        tensors = {f"network/{k}": v for k, v in self.network.state_dict().items()}
        if self.learner.imitator is not None:
            tensors |= {f"imitator/{k}": v for k, v in self.learner.imitator.state_dict().items()}
        tensors |= {f"averaged/{k}": v for k, v in self.averaged.state_dict().items()}
        tensors |= {f"best/{k}": v for k, v in self.best.items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{number}/{k}": v for k, v in moments.items()}
        metadata = {"identity": json.dumps(identity, sort_keys=True), "history": json.dumps(history)}
        with atomic_file(file) as half_written:
            try:
                save_file({k: v.contiguous() for k, v in tensors.items()}, half_written, metadata)
            except SafetensorError as reason:
                raise OSError(errno.EIO, str(reason), str(file)) from None

    def restore(self, file: Path, identity: dict[str, Any]) -> list[dict[str, Any]]:
        """Load a state that `save` wrote, and return its history.

        Raises
        ------
        SettingsRefused
            If the file is damaged, or belongs to a training with another identity.
        """
        try:
            with safe_open(file, "pt") as state:
                metadata = state.metadata()
                tensors = {name: state.get_tensor(name) for name in state.keys()}  # noqa: SIM118 - not a dict
            saved_identity, history = metadata["identity"], json.loads(metadata["history"])
        except (SafetensorError, KeyError, TypeError, ValueError):
            raise SettingsRefused(
                f"{file.name} is not the state of a training, or is damaged. Train without --resume to start over."
            ) from None
        if saved_identity != json.dumps(identity, sort_keys=True):
            raise SettingsRefused(
                f"{file.name} belongs to a training with other settings or data. "
                "Give the same ones, or train without --resume to start over."
            )
        self.network.load_state_dict(_without_prefix("network/", tensors))
        self.averaged.load_state_dict(_without_prefix("averaged/", tensors))
        if self.learner.imitator is not None:
            self.learner.imitator.load_state_dict(_without_prefix("imitator/", tensors))
        self.best = _without_prefix("best/", tensors)
        optimiser: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _without_prefix("optimiser/", tensors).items():
            number, _, moment = name.partition("/")
            optimiser.setdefault(int(number), {})[moment] = tensor
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": optimiser})
        self.steps_done = len(history) * self.steps_per_epoch
        return history


def _is_body(name: str) -> bool:
    return not name.startswith(("network.head.", "imitator."))


def label_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross entropy of the labelled segments, with smoothed targets."""
    is_labelled = targets.sum(dim=1, keepdim=True)
    smoothed = (1 - smoothing) * targets + smoothing * is_labelled / targets.shape[1]
    return F.cross_entropy(logits, smoothed, reduction="sum") / is_labelled.sum().clamp_min(1e-6)


def _without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _frozen_copy(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(False).eval()


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
    """Train a network in place. It ends with the averaged weights of the epoch with the highest validation UAR.

    The randomness of an epoch depends only on (`seed`, epoch): a run that is killed and resumed ends with the same
    weights as one that is not. With several processes (see `processes`) each takes its share of every batch, and a run
    must be resumed with the same number of processes.

    Parameters
    ----------
    dataset : sequence of LabelledSpectrogram
        Recordings with the label -1 count only for the distillation loss.
    state_file : Path
        Written atomically after every epoch, with the history beside it as JSON. If it exists, training resumes from
        it.
    log_offset : float
        That of the log-mel spectrograms (see `SpectrogramSettings`).
    teacher : nn.Module, optional
        A trained network. `settings.imitation` weights the cosine distance between its features and the network's,
        after a linear layer that is discarded afterwards.

    Returns
    -------
    list of dict
        For each epoch `epoch`, `loss`, `validation_uar` (mean over corpora) and `seconds`, without validation.

    Raises
    ------
    Cancelled
        At the next batch once it is stopped; finished epochs are saved.
    SettingsRefused
        If the state file is damaged, or was written with other settings, data or another seed.

    References
    ----------
    Romero et al. 2015, arXiv:1412.6550, for learning a teacher's features. Beyer et al. 2022, arXiv:2106.05237, for
    giving teacher and student the same augmented and mixed input.
    """
    fabric = processes()
    run = Run(network, teacher, settings, steps_per_epoch(dataset, settings), fabric)
    identity = {"settings": asdict(settings), "seed": seed, "recordings": len(dataset), "emotions": list(emotions)}
    history = run.restore(state_file, identity) if state_file.exists() else []
    weights = sampling_weights(dataset, settings.balance)
    for epoch in range(len(history), settings.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch.manual_seed(int(rng.integers(2**31)) + fabric.global_rank)
        losses, began = [], time.perf_counter()
        for done, (segments, labels) in enumerate(epoch_batches(dataset, weights, settings, rng)):
            work.check("Training was stopped; finished epochs are saved and it can be resumed.")
            own_share = slice(fabric.global_rank, None, fabric.world_size)
            losses.append(run.step(segments[own_share], _targets(labels[own_share], len(emotions)), log_offset))
            work.report(
                (epoch + done / run.steps_per_epoch) / settings.epochs, f"Epoch {epoch + 1} of {settings.epochs}"
            )
        seconds = round(time.perf_counter() - began, 2)
        outputs = logits_of(run.averaged, validation)
        probabilities = np.stack([recording_probabilities(logits, 1.0) for logits in outputs])
        uar = mean_uar(probabilities, validation, emotions)
        loss = float(np.mean(losses))
        history.append({"epoch": epoch + 1, "loss": loss, "validation_uar": uar, "seconds": seconds})
        run.update_best(history)
        if fabric.is_global_zero:
            run.save(state_file, identity, history)
            atomic_write(state_file.with_suffix(".json"), json.dumps(history, indent=1))
    network.load_state_dict(fabric.broadcast(run.best))
    return fabric.broadcast(history)


def _targets(labels: Tensor, classes: int) -> Tensor:
    """Return target distributions (n, classes); a label of -1 becomes all zeros."""
    return F.one_hot(labels.clamp_min(0), classes) * (labels >= 0)[:, None].float()


def best_settings(
    network: nn.Module,
    candidates: Sequence[dict[str, Any]],
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: TrainingSettings,
    seed: int,
    state_file: Path,
    log_offset: float,
    work: Work,
) -> tuple[TrainingSettings, list[dict[str, Any]]]:
    """Search hyperparameters: train with each candidate for a fifth of the epochs, and take the best on validation.

    Parameters
    ----------
    network : nn.Module
        Copied, so that all candidates, and the training after the search, start from the same weights.
    candidates : sequence of dict
        Fields of the settings to replace.

    Returns
    -------
    settings : TrainingSettings
    tried : list of dict
        For each candidate its number as `epoch`, `validation_uar`, `seconds` and `settings`.
    """
    short = replace(settings, epochs=max(1, settings.epochs // SEARCH_EPOCHS_DIVISOR))
    tried = []
    for number, candidate in enumerate(candidates, start=1):
        history = train_network(
            copy.deepcopy(network),
            dataset,
            validation,
            emotions,
            replace(short, **candidate),
            seed,
            state_file.with_name(f"{state_file.stem}-try{number}.safetensors"),
            log_offset,
            work.part(number - 1, len(candidates), f"Trying {number} of {len(candidates)}"),
        )
        best_uar = max(epoch["validation_uar"] for epoch in history)
        seconds = sum(epoch["seconds"] for epoch in history)
        tried.append({"epoch": number, "validation_uar": best_uar, "seconds": seconds, "settings": candidate})
    best = max(tried, key=lambda result: result["validation_uar"])
    return replace(settings, **best["settings"]), tried
