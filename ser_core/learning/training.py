"""Train one network on segments, epoch by epoch, so that it can stop at any time and go on later."""

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.errors import Cancelled, SettingsRefused
from ser_core.learning.augmentation import AugmentationSettings, augment, mixup
from ser_core.learning.dataset import LabelledSpectrogram, Progress
from ser_core.learning.evaluation import figures_by_corpus
from ser_core.learning.processes import processes
from ser_core.scores import mean_probabilities

SEGMENT_FRAMES = 96


@dataclass(frozen=True)
class TrainingSettings:
    """How a network learns.

    Attributes
    ----------
    head_rate, rate : float
        Peak learning rates of the last layers and of all before them; they warm up and then follow a cosine.
    final_rate_share : float
        Part of the peak that the cosine ends at; 1 keeps the rates as they are.
    longest_gradient : float
        Longer ones are shortened to this norm; 0 leaves them.
    segments_per_recording : int or None
        Drawn by chance in an epoch, on average; None goes through all kept segments, but for those that would not fill
        the last batch.
    balance : float
        0 takes every recording equally often, 1 every corpus and emotion; without effect where all segments are taken.
    averaging : float
        Decay of the running average of the weights, which is what is validated and kept.
    imitation : float
        Weight of the teacher's features, where there is a teacher, beside the labels.
    """

    epochs: int = 30
    batch: int = 64
    head_rate: float = 1e-3
    rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up_share: float = 0.1
    final_rate_share: float = 0.0
    label_smoothing: float = 0.1
    longest_gradient: float = 5.0
    segments_per_recording: int | None = 2
    balance: float = 0.5
    averaging: float = 0.995
    imitation: float = 0.0
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)


def train_network(
    network: nn.Module,
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: TrainingSettings,
    seed: int,
    state_file: Path,
    log_offset: float,
    progress: Progress,
    cancelled: Callable[[], bool],
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
        At the next batch after `cancelled()` is True; finished epochs are kept.
    SettingsRefused
        If the state was made with other settings or another seed.

    References
    ----------
    Romero et al. 2015, arXiv:1412.6550, for learning a teacher's features; Beyer et al. 2022, arXiv:2106.05237, for
    showing both the same changed and mixed input.
    """
    fabric = processes()
    run = Run(network, teacher, settings, _steps(dataset, settings), fabric)
    identity = {"settings": asdict(settings), "seed": seed, "recordings": len(dataset), "emotions": list(emotions)}
    history = run.restore(state_file, identity) if state_file.exists() else []
    weights = sampling_weights(dataset, settings.balance)
    for epoch in range(len(history), settings.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch.manual_seed(int(rng.integers(2**31)) + fabric.global_rank)
        losses, began = [], time.perf_counter()
        for done, (segments, labels) in enumerate(_batches_of_an_epoch(dataset, weights, settings, rng)):
            if cancelled():
                raise Cancelled("Training was stopped; finished epochs are kept and it can be resumed.")
            own = slice(fabric.global_rank, None, fabric.world_size)
            losses.append(run.step(segments[own], _targets(labels[own], len(emotions)), log_offset))
            progress((epoch + done / run.steps_per_epoch) / settings.epochs, f"Epoch {epoch + 1} of {settings.epochs}")
        seconds = round(time.perf_counter() - began, 2)
        probabilities = np.stack([mean_probabilities(logits, 1.0) for logits in logits_of(run.averaged, validation)])
        uar = mean_uar(probabilities, validation, emotions)
        loss = float(np.mean(losses))
        history.append({"epoch": epoch + 1, "loss": loss, "validation_uar": uar, "seconds": seconds})
        run.keep_if_best(history)
        if fabric.is_global_zero:
            run.save(state_file, identity, history)
            _write_whole(state_file.with_suffix(".json"), json.dumps(history, indent=1))
    network.load_state_dict(fabric.broadcast(run.best))
    return fabric.broadcast(history)


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


class _Learner(nn.Module):
    """A network and, where there is a teacher, the layer through which its features are compared with the teacher's."""

    def __init__(self, network: nn.Module, teacher: nn.Module | None) -> None:
        super().__init__()
        self.network = network
        self.imitator = nn.Linear(network.features_count, teacher.features_count) if teacher is not None else None

    def forward(self, segments: Tensor) -> tuple[Tensor, Tensor | None]:
        maps = self.network.maps(segments)
        logits = self.network.classify(maps)
        return logits, None if self.imitator is None else self.imitator(self.network.features(maps))


class Run:
    """Network, optimiser, averaged weights and best weights: all that a state file holds."""

    def __init__(
        self, network: nn.Module, teacher: nn.Module | None, settings: TrainingSettings, steps: int, fabric: Fabric
    ) -> None:
        self.network = network.to(memory_format=torch.channels_last)
        self.teacher = None if teacher is None else _copy_of(teacher).to(memory_format=torch.channels_last)
        self.settings, self.steps_per_epoch, self.fabric = settings, steps, fabric
        self.averaged = _copy_of(network)
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
        self.learner.train()
        segments = augment(segments, self.settings.augmentation, log_offset)
        segments, targets = mixup(segments, targets, self.settings.augmentation)
        segments = segments.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits, imitated = self.shared_learner(segments)
            loss = _label_loss(logits.float(), targets, self.settings.label_smoothing)
            if imitated is not None:
                with torch.no_grad():
                    taught = self.teacher.features(self.teacher.maps(segments)).float()
                distance = 1 - F.cosine_similarity(imitated.float(), taught)
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
        """Return the part of the peak rate: up in a line, then down as half a cosine."""
        total = self.settings.epochs * self.steps_per_epoch
        warm_up = int(self.settings.warm_up_share * total)
        if self.steps_done < warm_up:
            return (self.steps_done + 1) / warm_up
        cosine = 0.5 * (1 + math.cos(math.pi * (self.steps_done - warm_up) / max(1, total - warm_up)))
        return self.settings.final_rate_share + (1 - self.settings.final_rate_share) * cosine

    def _average(self) -> None:
        # Early on the average follows closely, or it would remember the start.
        decay = min(self.settings.averaging, (1 + self.steps_done) / (10 + self.steps_done))
        with torch.no_grad():
            for kept, now in zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True):
                if kept.is_floating_point():
                    kept.lerp_(now, 1 - decay)
                else:
                    kept.copy_(now)

    def keep_if_best(self, history: list[dict[str, Any]]) -> None:
        if history[-1]["validation_uar"] >= max(entry["validation_uar"] for entry in history):
            self.best = {name: tensor.clone() for name, tensor in self.averaged.state_dict().items()}

    def save(self, file: Path, identity: dict[str, Any], history: list[dict[str, Any]]) -> None:
        tensors = {f"network/{k}": v for k, v in self.network.state_dict().items()}
        if self.learner.imitator is not None:
            tensors |= {f"imitator/{k}": v for k, v in self.learner.imitator.state_dict().items()}
        tensors |= {f"averaged/{k}": v for k, v in self.averaged.state_dict().items()}
        tensors |= {f"best/{k}": v for k, v in self.best.items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{number}/{k}": v for k, v in moments.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        half_written = file.with_suffix(".part")
        words = {"identity": json.dumps(identity, sort_keys=True), "history": json.dumps(history)}
        save_file({k: v.contiguous() for k, v in tensors.items()}, half_written, words)
        half_written.replace(file)

    def restore(self, file: Path, identity: dict[str, Any]) -> list[dict[str, Any]]:
        with safe_open(file, "pt") as state:
            words = state.metadata()
            if words["identity"] != json.dumps(identity, sort_keys=True):
                raise SettingsRefused(
                    f"{file.name} belongs to a training with other settings or data. "
                    "Ask for the same ones, or train without --resume to begin anew."
                )
            tensors = {name: state.get_tensor(name) for name in state.keys()}  # noqa: SIM118 - not a dict
        history = json.loads(words["history"])
        self.network.load_state_dict(_under("network/", tensors))
        self.averaged.load_state_dict(_under("averaged/", tensors))
        if self.learner.imitator is not None:
            self.learner.imitator.load_state_dict(_under("imitator/", tensors))
        self.best = _under("best/", tensors)
        optimiser: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser/", tensors).items():
            number, _, moment = name.partition("/")
            optimiser.setdefault(int(number), {})[moment] = tensor
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": optimiser})
        self.steps_done = len(history) * self.steps_per_epoch
        return history


def _is_body(name: str) -> bool:
    return not name.startswith(("network.head.", "imitator."))


def _targets(labels: Tensor, classes: int) -> Tensor:
    """Return target distributions (n, classes); those of labels that are -1 are all zero."""
    return F.one_hot(labels.clamp_min(0), classes) * (labels >= 0)[:, None].float()


def _label_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Return the cross entropy per labelled segment, with smoothed targets."""
    known = targets.sum(dim=1, keepdim=True)
    smoothed = (1 - smoothing) * targets + smoothing * known / targets.shape[1]
    return F.cross_entropy(logits, smoothed, reduction="sum") / known.sum().clamp_min(1e-6)


def _write_whole(file: Path, text: str) -> None:
    half_written = file.with_suffix(".part")
    half_written.write_text(text, encoding="utf-8")
    half_written.replace(file)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _copy_of(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(False).eval()


def _steps(dataset: Sequence[LabelledSpectrogram], settings: TrainingSettings) -> int:
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


def _batches_of_an_epoch(
    dataset: Sequence[LabelledSpectrogram], weights: np.ndarray, settings: TrainingSettings, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (segments, labels) of selected segments, each moved in time by chance."""
    most = settings.augmentation.shift_frames
    drawn = _drawn(dataset, weights, settings, rng)
    for done in range(0, len(drawn), settings.batch):
        entries, segments = drawn[done : done + settings.batch], []
        for entry, start in entries:
            first = start + int(rng.integers(-most, most + 1))
            first = min(max(first, 0), len(entry.log_mel) - SEGMENT_FRAMES)
            segments.append(entry.log_mel[first : first + SEGMENT_FRAMES])
        batch = torch.from_numpy(np.stack(segments).astype(np.float32)).unsqueeze(1)
        yield batch, torch.tensor([entry.label for entry, _ in entries])


def _drawn(
    dataset: Sequence[LabelledSpectrogram], weights: np.ndarray, settings: TrainingSettings, rng: np.random.Generator
) -> list[tuple[LabelledSpectrogram, int]]:
    """Return the recordings and start frames of an epoch: all segments, or recordings by weight and one of each."""
    count = _steps(dataset, settings) * settings.batch
    if settings.segments_per_recording is None:
        everything = [(entry, int(start)) for entry in dataset for start in entry.start_frames]
        return [everything[place] for place in rng.permutation(len(everything))[:count]]
    drawn = [dataset[place] for place in rng.choice(len(dataset), size=count, p=weights)]
    return [(entry, int(rng.choice(entry.start_frames))) for entry in drawn]


def _in_one_pass(
    network: nn.Module, function: Callable[[Tensor], Tensor], dataset: Sequence[LabelledSpectrogram], batch: int = 64
) -> list[np.ndarray]:
    network.eval()
    segments = np.concatenate([entry.segments(SEGMENT_FRAMES) for entry in dataset])
    results = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(segments), batch):
            part = torch.from_numpy(segments[start : start + batch].astype(np.float32)).unsqueeze(1)
            results.append(function(part.contiguous(memory_format=torch.channels_last)).float().numpy())
    ends = np.cumsum([len(entry.start_frames) for entry in dataset])
    return np.split(np.concatenate(results), ends[:-1])
