"""What a branch begins with: published weights, those of a model, or chance."""

import os
from pathlib import Path

import torch
from torch import nn

from ser_core.errors import SettingsRefused
from ser_core.learning.presets import FROZEN
from ser_core.learning.training_plan import TrainingPlan
from ser_core.model.checkpoint import ARCHITECTURES, find_model, load_network, training_list
from ser_core.model.networks.vggish import load_published_weights
from ser_core.model.networks.whisper import load_encoder_weights
from ser_core.model.networks.yamnet import load_audioset_weights

YAMNET_WEIGHTS, VGGISH_WEIGHTS, WHISPER_WEIGHTS = "SER_YAMNET_WEIGHTS", "SER_VGGISH_WEIGHTS", "SER_WHISPER_WEIGHTS"
#: Branches that begin as the shipped model of their name, unless this variable names a file of published weights.
PUBLISHED = {"yamnet": YAMNET_WEIGHTS, "whisper": WHISPER_WEIGHTS}


def starting_branch(branch: str, plan: TrainingPlan) -> nn.Module:
    """Return a branch before its training.

    The files that `SER_YAMNET_WEIGHTS` and `SER_VGGISH_WEIGHTS` name hold the weights published for AudioSet, that of
    `SER_WHISPER_WEIGHTS` the beginning of Whisper base's encoder. Without them YAMNet and Whisper begin as the shipped
    models, VGGish with weights drawn by chance. A warm start comes before all.

    Raises
    ------
    SettingsRefused
        If the model to begin with has no such branch.
    """
    torch.manual_seed(plan.seed)
    network = ARCHITECTURES[branch](len(plan.emotions))
    if model := _model_to_begin_with(branch, plan):
        _fill(network, branch, model, plan.emotions)
    elif branch == "yamnet":
        load_audioset_weights(network, os.environ[YAMNET_WEIGHTS])
    elif branch == "whisper":
        load_encoder_weights(network, os.environ[WHISPER_WEIGHTS])
    elif branch == "vggish" and (published := os.environ.get(VGGISH_WEIGHTS)):
        load_published_weights(network, published)
    return network


def heard_before(plan: TrainingPlan) -> dict[str, str]:
    """Return the recordings that the starting weights of a plan have learnt from: sha256 to corpus:speaker.

    A frozen body has learnt from no recording here, but for a map between two spectrograms, which knows no labels.
    """
    branches = [stage for stage in plan.stages if stage in ARCHITECTURES and stage not in FROZEN]
    models = {model for branch in branches if (model := _model_to_begin_with(branch, plan))}
    return {sha256: speaker for model in models for sha256, speaker in training_list(model).items()}


def _model_to_begin_with(branch: str, plan: TrainingPlan) -> Path | None:
    if plan.warm_start is not None:
        return find_model(plan.warm_start)
    return find_model(branch) if branch in PUBLISHED and not os.environ.get(PUBLISHED[branch]) else None


def begins_as_published(branch: str, plan: TrainingPlan) -> bool:
    """Return whether a branch begins with the weights in the file that its variable names."""
    return branch in PUBLISHED and _model_to_begin_with(branch, plan) is None


def _fill(network: nn.Module, branch: str, model: Path, emotions: tuple[str, ...]) -> None:
    """Take over all weights of a branch; its last layer where the model tells the same emotions apart."""
    donor, card, _ = load_network(model)
    weights = donor.state_dict()
    if any(name.startswith(f"{branch}.") for name in weights):
        weights = {n.removeprefix(f"{branch}."): w for n, w in weights.items() if n.startswith(f"{branch}.")}
    ours = network.state_dict()
    fitting = {name: w for name, w in weights.items() if name in ours and w.shape == ours[name].shape}
    if tuple(card["emotions"]) != emotions:
        fitting = {name: w for name, w in fitting.items() if not name.startswith("head.")}
    if any(name not in fitting for name in ours if not name.startswith("head.")):
        raise SettingsRefused(
            f"{model.name} has no {branch} to begin with; give a model of {branch}"
            f"{'' if branch in FROZEN else ' or of fusion'}, or train without a warm start."
        )
    network.load_state_dict(fitting, strict=False)
