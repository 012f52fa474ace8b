"""Train one network on segments, epoch by epoch, so that it can stop at any time and go on later."""

import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.errors import Cancelled, SettingsRefused
from ser_core.learning.augmentation import AugmentationSettings, augment, mixup
from ser_core.learning.dataset import LabelledSpectrogram, Progress
from ser_core.learning.evaluation import figures_by_corpus
from ser_core.scores import mean_probabilities

SEGMENT_FRAMES = 96


@dataclass(frozen=True)
class TrainingSettings:
    """How a network learns.

    Attributes
    ----------
    head_rate, rate : float
        Peak learning rates of the last layers and of all before them; they warm up and then follow a cosine.
    balance : float
        0 takes every recording equally often, 1 every corpus and emotion.
    averaging : float
        Decay of the running average of the weights, which is what is validated and kept.
    """

    epochs: int = 14
    batch: int = 64
    head_rate: float = 1e-3
    rate: float = 5e-4
    weight_decay: float = 0.05
    warm_up_share: float = 0.1
    label_smoothing: float = 0.1
    segments_per_recording: int = 2
    balance: float = 0.5
    averaging: float = 0.995
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
) -> list[dict[str, Any]]:
    """Train a network in place; it ends with the averaged weights of its best validated epoch.

    Everything random in an epoch follows from (`seed`, epoch), so that a run which was killed and resumed ends with the
    same weights as one that was not.

    Parameters
    ----------
    state_file : Path
        Written whole after every epoch; where it exists, training goes on from it. The history stands beside it as
        JSON, for those who watch.

    Returns
    -------
    list of dict
        Of each epoch: `epoch`, `loss`, `validation_uar` (mean over corpora).

    Raises
    ------
    Cancelled
        At the next batch after `cancelled()` is True; finished epochs are kept.
    SettingsRefused
        If the state was made with other settings or another seed.
    """
    run = _Run(network, settings, steps=_steps(dataset, settings))
    identity = {"settings": asdict(settings), "seed": seed, "recordings": len(dataset), "emotions": list(emotions)}
    history = run.restore(state_file, identity) if state_file.exists() else []
    weights = sampling_weights(dataset, settings.balance)
    for epoch in range(len(history), settings.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch.manual_seed(int(rng.integers(2**31)))
        losses = []
        for done, (segments, labels) in enumerate(_batches_of_an_epoch(dataset, weights, settings, rng)):
            if cancelled():
                raise Cancelled("Training was stopped; finished epochs are kept and it can be resumed.")
            losses.append(run.step(segments, F.one_hot(labels, len(emotions)).float(), log_offset))
            progress((epoch + done / run.steps_per_epoch) / settings.epochs, f"Epoch {epoch + 1} of {settings.epochs}")
        probabilities = np.stack([mean_probabilities(logits, 1.0) for logits in logits_of(run.averaged, validation)])
        uar = mean_uar(probabilities, validation, emotions)
        history.append({"epoch": epoch + 1, "loss": float(np.mean(losses)), "validation_uar": uar})
        run.keep_if_best(history)
        run.save(state_file, identity, history)
        _write_whole(state_file.with_suffix(".json"), json.dumps(history, indent=1))
    network.load_state_dict(run.best)
    return history


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


class _Run:
    """Network, optimiser, averaged weights and best weights: all that a state file holds."""

    def __init__(self, network: nn.Module, settings: TrainingSettings, steps: int) -> None:
        self.network, self.settings, self.steps_per_epoch = (
            network.to(memory_format=torch.channels_last),
            settings,
            steps,
        )
        self.averaged = _copy_of(network)
        self.best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        head = [p for name, p in network.named_parameters() if name.startswith("head.")]
        body = [p for name, p in network.named_parameters() if not name.startswith("head.")]
        groups = [{"params": body, "lr": settings.rate}, {"params": head, "lr": settings.head_rate}]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        self.peak_rates = [group["lr"] for group in groups]
        self.steps_done = 0

    def step(self, segments: Tensor, targets: Tensor, log_offset: float) -> float:
        self.network.train()
        segments = augment(segments, self.settings.augmentation, log_offset)
        segments, targets = mixup(segments, targets, self.settings.augmentation)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(segments.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), targets, label_smoothing=self.settings.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        for group, peak in zip(self.optimiser.param_groups, self.peak_rates, strict=True):
            group["lr"] = peak * self._rate_now()
        self.optimiser.step()
        self.steps_done += 1
        self._average()
        return loss.item()

    def _rate_now(self) -> float:
        """Return the part of the peak rate: up in a line, then down as half a cosine."""
        total = self.settings.epochs * self.steps_per_epoch
        warm_up = max(1, int(self.settings.warm_up_share * total))
        if self.steps_done < warm_up:
            return (self.steps_done + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (self.steps_done - warm_up) / max(1, total - warm_up)))

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
        self.best = _under("best/", tensors)
        optimiser: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser/", tensors).items():
            number, _, moment = name.partition("/")
            optimiser.setdefault(int(number), {})[moment] = tensor
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": optimiser})
        self.steps_done = len(history) * self.steps_per_epoch
        return history


def _write_whole(file: Path, text: str) -> None:
    half_written = file.with_suffix(".part")
    half_written.write_text(text, encoding="utf-8")
    half_written.replace(file)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _copy_of(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(False).eval()


def _steps(dataset: Sequence[LabelledSpectrogram], settings: TrainingSettings) -> int:
    return max(1, len(dataset) * settings.segments_per_recording // settings.batch)


def sampling_weights(dataset: Sequence[LabelledSpectrogram], balance: float) -> np.ndarray:
    """Return how often to draw each recording: its corpus and emotion's share to the power -`balance`; sums to 1."""
    groups = [(entry.item.corpus, entry.label) for entry in dataset]
    sizes = {group: groups.count(group) for group in set(groups)}
    weights = np.array([sizes[group] ** -balance for group in groups])
    return weights / weights.sum()


def _batches_of_an_epoch(
    dataset: Sequence[LabelledSpectrogram], weights: np.ndarray, settings: TrainingSettings, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (segments, labels): recordings drawn by weight, of each a selected segment, moved by up to half a hop."""
    count = _steps(dataset, settings) * settings.batch
    drawn = rng.choice(len(dataset), size=count, p=weights)
    for start in range(0, count, settings.batch):
        entries = [dataset[i] for i in drawn[start : start + settings.batch]]
        segments = []
        for entry in entries:
            first = int(rng.choice(entry.start_frames)) + int(rng.integers(-24, 25))
            first = min(max(first, 0), len(entry.log_mel) - SEGMENT_FRAMES)
            segments.append(entry.log_mel[first : first + SEGMENT_FRAMES])
        batch = torch.from_numpy(np.stack(segments).astype(np.float32)).unsqueeze(1)
        yield batch, torch.tensor([entry.label for entry in entries])


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
