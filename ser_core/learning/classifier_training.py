"""From corpora to a model's folder: split, train the branches, fuse them, calibrate, test once, write it down."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ser_core.checkpoint import TEST_TABLE, find_model, load_network, save_model
from ser_core.corpora import read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.emotions import EMOTION_SETS
from ser_core.errors import SettingsRefused
from ser_core.learning.dataset import LabelledSpectrogram, Progress, load_dataset
from ser_core.learning.evaluation import fit_temperature
from ser_core.learning.fusion_head import FusionHeadSettings, train_fusion_head
from ser_core.learning.model_evaluation import tabulate
from ser_core.learning.predictions import Predictions, all_figures, write_predictions
from ser_core.learning.training import TrainingSettings, figures_of, logits_of, train_network
from ser_core.networks import NETWORKS
from ser_core.networks.late_fusion import LateFusion
from ser_core.networks.yamnet import load_audioset_weights
from ser_core.scores import mean_probabilities
from ser_core.settings import FrontEnd
from ser_core.splits import Split, corpus_splits, random_splits, speaker_splits

SPLITS = ("speaker", "random", "corpus")
LICENCE = "CC BY-NC-SA 4.0"

#: YAMNet knows sound from AudioSet and is changed carefully; VGGish starts from nothing and needs longer.
BRANCH_SETTINGS = {
    "yamnet": TrainingSettings(epochs=40, rate=5e-4, head_rate=1e-3),
    "vggish": TrainingSettings(epochs=20, rate=1e-3, head_rate=1e-3),
}


@dataclass(frozen=True)
class TrainingPlan:
    """What to train on, how it is divided, and what comes of it."""

    corpora: dict[str, str]
    network: str = "fusion"
    emotion_set: str = "core4"
    split: str = "speaker"
    folds: int = 5
    fold: int = 1
    seed: int = 0
    epochs: int | None = None
    front_end: FrontEnd = field(default_factory=FrontEnd)

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise SettingsRefused(f"There is no network '{self.network}'; choose one of {', '.join(NETWORKS)}.")
        if self.split not in SPLITS:
            raise SettingsRefused(f"There is no split '{self.split}'; choose one of {', '.join(SPLITS)}.")
        last = {"speaker": self.folds, "random": 1, "corpus": len(self.corpora)}[self.split]
        if not 1 <= self.fold <= last:
            raise SettingsRefused(f"Fold {self.fold} is outside 1 to {last}.")

    @property
    def emotions(self) -> tuple[str, ...]:
        return EMOTION_SETS[self.emotion_set]

    def branch_settings(self, branch: str) -> TrainingSettings:
        settings = BRANCH_SETTINGS[branch]
        return settings if self.epochs is None else replace(settings, epochs=self.epochs)


def train_classifier(
    plan: TrainingPlan,
    out: Path,
    runs: Path,
    *,
    resume: bool = False,
    progress: Progress = lambda fraction, text: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train a classifier, test it once on the speakers it never met, write its folder and return its card.

    Parameters
    ----------
    runs : Path
        Holds the log-mel spectrograms, and for each branch the state after its last finished epoch.
    resume : bool
        Go on from those states; False begins anew.
    """
    items = _read_corpora(plan)
    dataset, left_out = load_dataset(items, plan.emotions, plan.front_end, runs / "log_mels", progress)
    split = _split(plan, dataset)
    train, validation = [dataset[i] for i in split.train], [dataset[i] for i in split.validation]
    network, history = _train(plan, train, validation, runs, resume, progress, cancelled)
    temperature, validated = _calibrate(network, validation, plan.emotions)
    predictions = _predict(network, [dataset[i] for i in split.test], temperature, plan.emotions)
    card = _card(plan, split, dataset, items, left_out, temperature, validated, all_figures(predictions), history)
    seen = [(entry.sha256, entry.item.speaker_id) for entry in train + validation]
    save_model(out, network, card, seen, _readme(out.name, card))
    write_predictions(predictions, out / TEST_TABLE)
    return card


def _split(plan: TrainingPlan, dataset: Sequence[LabelledSpectrogram]) -> Split:
    items = [entry.item for entry in dataset]
    if plan.split == "speaker":
        return speaker_splits(items, plan.folds, plan.seed)[plan.fold - 1]
    return (random_splits if plan.split == "random" else corpus_splits)(items, plan.seed)[plan.fold - 1]


def _read_corpora(plan: TrainingPlan) -> list[LabelledRecording]:
    return [item for name, folder in plan.corpora.items() for item in read_corpus(name, folder).recordings]


def _train(
    plan: TrainingPlan,
    train: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    runs: Path,
    resume: bool,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[nn.Module, dict[str, Any]]:
    branches = ("yamnet", "vggish") if plan.network == "fusion" else (plan.network,)
    parts = len(branches) + (plan.network == "fusion")
    networks: dict[str, nn.Module] = {}
    history: dict[str, Any] = {}
    for done, branch in enumerate(branches):
        state = runs / _state_name(plan, branch, train)
        if not resume:
            state.unlink(missing_ok=True)
        networks[branch] = _fresh(branch, plan)
        history[branch] = train_network(
            networks[branch],
            train,
            validation,
            plan.emotions,
            plan.branch_settings(branch),
            plan.seed,
            state,
            plan.front_end.spectrogram.log_offset,
            lambda fraction, text, done=done, branch=branch: progress((done + fraction) / parts, f"{branch}: {text}"),
            cancelled,
        )
    if plan.network != "fusion":
        return networks[plan.network], history
    torch.manual_seed(plan.seed)
    fusion = LateFusion(len(plan.emotions))
    fusion.yamnet.load_state_dict(_without_head(networks["yamnet"]))
    fusion.vggish.load_state_dict(_without_head(networks["vggish"]))
    uar = train_fusion_head(
        fusion,
        train,
        validation,
        plan.emotions,
        FusionHeadSettings(),
        plan.seed,
        lambda fraction, text: progress((parts - 1 + fraction) / parts, text),
        cancelled,
    )
    return fusion, history | {"fusion_head": [{"validation_uar": uar}]}


def _state_name(plan: TrainingPlan, branch: str, train: Sequence[LabelledSpectrogram]) -> str:
    """Name a branch's state by what it learns from, so that a fusion finds the branches that are trained already."""
    seen = hashlib.sha256("".join(sorted(entry.sha256 for entry in train)).encode()).hexdigest()[:12]
    return f"{branch}-{plan.emotion_set}-{plan.split}{plan.fold}-seed{plan.seed}-{seen}.safetensors"


def _fresh(branch: str, plan: TrainingPlan) -> nn.Module:
    torch.manual_seed(plan.seed)
    network = NETWORKS[branch](len(plan.emotions))
    if branch == "yamnet":
        if published := os.environ.get("SER_YAMNET_WEIGHTS"):
            load_audioset_weights(network, published)
        else:
            shipped = load_network(find_model("yamnet"))[0].state_dict()
            network.load_state_dict({k: v for k, v in shipped.items() if not k.startswith("head.")}, strict=False)
    return network


def _without_head(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("head.")}


def _calibrate(
    network: nn.Module, validation: Sequence[LabelledSpectrogram], emotions: tuple[str, ...]
) -> tuple[float, dict[str, Any]]:
    logits = logits_of(network, validation)
    temperature = fit_temperature(logits, np.array([entry.label for entry in validation]))
    probabilities = np.stack([mean_probabilities(z, temperature) for z in logits])
    return temperature, figures_of(probabilities, validation, emotions)


def _predict(
    network: nn.Module, entries: Sequence[LabelledSpectrogram], temperature: float, emotions: tuple[str, ...]
) -> Predictions:
    probabilities = [mean_probabilities(z, temperature) for z in logits_of(network, entries)]
    return tabulate(emotions, [(e.sha256, e.item, p) for e, p in zip(entries, probabilities, strict=True)])


def _card(
    plan: TrainingPlan,
    split: Split,
    dataset: Sequence[LabelledSpectrogram],
    items: Sequence[LabelledRecording],
    left_out: list[tuple[str, str]],
    temperature: float,
    validated: dict[str, Any],
    tested: dict[str, Any],
    history: dict[str, Any],
) -> dict[str, Any]:
    branches = [name for name in history if name in BRANCH_SETTINGS]
    return {
        "architecture": plan.network,
        "emotions": list(plan.emotions),
        "front_end": asdict(plan.front_end),
        "temperature": round(temperature, 4),
        "licence": LICENCE,
        "corpora": sorted(plan.corpora),
        "split": split.words,
        "seed": plan.seed,
        "recordings": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        "left_out": {
            "other_emotions": sum(item.emotion not in plan.emotions for item in items),
            "refused": [name for name, _ in left_out],
        },
        "segments": {
            "before_selection": sum(entry.segments_before_selection for entry in dataset),
            "kept": sum(len(entry.start_frames) for entry in dataset),
        },
        "training": {name: asdict(plan.branch_settings(name)) for name in branches},
        "validation_figures": validated,
        "test_figures": tested,
        "history": history,
    }


def _readme(name: str, card: dict[str, Any]) -> str:
    tested = card["test_figures"]
    rows = "\n".join(
        f"| {corpus} | {100 * f['uar']:.1f} % ({100 * f['interval'][0]:.0f}-{100 * f['interval'][1]:.0f}) "
        f"| {100 * f['accuracy']:.1f} % | {f['recordings']} | {f['speakers']} |"
        for corpus, f in tested["corpora"].items()
    )
    return f"""# {name}

Tells apart {", ".join(card["emotions"])} in acted speech. Architecture: {card["architecture"]}.

Figures are of recordings by speakers whom the model never heard ({card["split"]}).
Intervals (95 %) resample speakers; with few speakers they are rough.

| corpus | UAR | accuracy | recordings | speakers |
|---|---|---|---|---|
{rows}
| **mean over corpora** | **{100 * tested["mean_over_corpora_uar"]:.1f} %** | | | |

`card.json` holds every setting and figure, `training.csv` every recording that training or validation saw.
Licence: {card["licence"]}, as the data.
"""
