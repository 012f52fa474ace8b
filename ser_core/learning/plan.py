"""The plan of a training: corpora, split, presets of hyperparameters, and the weights that it starts from."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from ser_core.analysis.emotions import EMOTION_SETS
from ser_core.corpora import corpus_names
from ser_core.errors import SettingsRefused
from ser_core.learning.augmentation import UNCHANGED, AugmentationSettings
from ser_core.model.checkpoint import ARCHITECTURES, load_network, read_card, training_list
from ser_core.model.networks.vggish import load_published_weights
from ser_core.model.networks.whisper import load_encoder_weights
from ser_core.model.networks.yamnet import load_audioset_weights
from ser_core.model.peers import ESTIMATOR_BASELINES
from ser_core.model.shipped_models import DEFAULT_MODEL, find_model
from ser_core.settings import FrontEnd


@dataclass(frozen=True)
class TrainingSettings:
    """Hyperparameters of training a network by gradient descent.

    Attributes
    ----------
    head_rate, rate : float
        Peak learning rates of the last layers and of all layers before them. They warm up, then follow a cosine.
    final_rate_share : float
        Share of the peak at which the cosine ends; 1 means constant rates.
    longest_gradient : float
        Gradients are clipped to this norm; 0 turns clipping off.
    segments_per_recording : int or None
        Segments drawn at random per epoch, on average. None takes all selected segments, except those that would not
        fill the last batch.
    balance : float
        0 draws every recording equally often, 1 every corpus and emotion. No effect if all segments are taken.
    averaging : float
        Decay of the running average of the weights. The averaged weights are validated and saved.
    imitation : float
        Weight of the distillation loss on the teacher's features, if there is a teacher.
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


@dataclass(frozen=True)
class DiscriminantSettings:
    """Hyperparameters of a linear discriminant head, on features scaled to a standard deviation of 1.

    Attributes
    ----------
    shrinkage : float
        Added to the variance within a class, in every direction.
    deviation_shrinkage : float
        The same for features that are deviations over time. They vary more than means do with room, microphone and
        the way a recording is cut.
    balance : float
        0 weights every recording equally, 1 every corpus and emotion.
    centred_share : float
        Weight of the copies from which the speaker's mean is subtracted. With them one head serves both known and
        unknown voices (see `ser_core.model.voice`).
    phone_share : float
        Weight of the copies with the bandwidth of a phone line.
    loyalty : float
        When the head of a model is trained further: penalty on the squared change of its weights.
    """

    shrinkage: float = 0.7
    deviation_shrinkage: float = 5.0
    balance: float = 1.0
    centred_share: float = 0.5
    phone_share: float = 0.1
    loyalty: float = 1000.0


#: Kim and Kwak 2024, Table 4: Adam, without anything that the paper does not mention.
PAPER = TrainingSettings(
    epochs=20,
    batch=128,
    head_rate=0.01,
    rate=0.01,
    weight_decay=0.0,
    warm_up_share=0.0,
    final_rate_share=1.0,
    label_smoothing=0.0,
    longest_gradient=0.0,
    segments_per_recording=None,
    balance=0.0,
    averaging=0.0,
    augmentation=UNCHANGED,
)

#: `default` fine-tunes YAMNet, which is pretrained on AudioSet, and trains VGGish with YAMNet as its teacher.
#: `every_segment` takes all selected segments in each of a few epochs, so that fewer segments take less time.
PRESETS: dict[str, dict[str, TrainingSettings]] = {
    "default": {
        "yamnet": TrainingSettings(),
        "vggish": TrainingSettings(epochs=14, imitation=2.0),
    },
    "paper": {"yamnet": PAPER, "vggish": PAPER},
    "every_segment": {
        "yamnet": TrainingSettings(epochs=4, segments_per_recording=None),
        "vggish": TrainingSettings(epochs=4, segments_per_recording=None, imitation=2.0),
    },
}

#: All peers are trained in the same way: without augmentation, because their sources mention none, and for so few
#: epochs that each takes at most eight minutes on two cores with the four corpora of docs/training.md.
BASELINE = TrainingSettings(epochs=12, weight_decay=0.01, label_smoothing=0.0, averaging=0.0, augmentation=UNCHANGED)

#: Networks with a frozen body. Only their last layer is fitted, in one step and without epochs.
FROZEN: dict[str, DiscriminantSettings] = {"whisper": DiscriminantSettings()}


def settings_of(branch: str, preset: str) -> TrainingSettings | DiscriminantSettings:
    """Return the hyperparameters of a network; a network that the preset does not name takes those of the baselines."""
    if branch in FROZEN:
        return FROZEN[branch]
    if branch in PRESETS[preset]:
        return PRESETS[preset][branch]
    takes_whole_recordings = ARCHITECTURES[branch].front_end.segments.segment_frames is None
    return replace(BASELINE, batch=32, segments_per_recording=1) if takes_whole_recordings else BASELINE


#: Networks and estimators that can be trained.
TRAINABLE = (*ARCHITECTURES, *ESTIMATOR_BASELINES)
SPLITS = ("speaker", "sentence", "random", "corpus")


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that determines a training, except the recordings themselves.

    Attributes
    ----------
    corpora : dict of str to str
        Names and folders.
    fold : int
        The test fold of speakers (and sentences), or the number of the test corpus in alphabetical order; from 1.
    epochs : int or None
        Epochs of each branch; None takes those of the preset.
    warm_start : str or None
        Name or path of the model that gives the branches their starting weights.
    front_end : FrontEnd
        None takes the network's own.
    drop_unrecognised : bool
        In corpora with listeners, exclude from training the recordings whose emotion they did not recognise.

    Raises
    ------
    SettingsRefused
        If a value is unknown, out of range or does not fit the network.
    """

    corpora: dict[str, str]
    network: str = DEFAULT_MODEL
    emotion_set: str = "core4"
    split: str = "speaker"
    folds: int = 5
    fold: int = 1
    seed: int = 0
    preset: str = "default"
    epochs: int | None = None
    warm_start: str | None = None
    front_end: FrontEnd | None = None
    drop_unrecognised: bool = False

    def __post_init__(self) -> None:
        for what, chosen, offered in (
            ("network", self.network, TRAINABLE),
            ("split", self.split, SPLITS),
            ("preset", self.preset, PRESETS),
            ("set of emotions", self.emotion_set, EMOTION_SETS),
        ):
            if chosen not in offered:
                raise SettingsRefused(f"There is no {what} '{chosen}'; choose one of {', '.join(offered)}.")
        if not 1 <= self.fold <= self.last_fold:
            raise SettingsRefused(f"Fold {self.fold} is outside 1 to {self.last_fold}.")
        if self.epochs is not None and self.epochs < 1:
            raise SettingsRefused(f"{self.epochs} epochs are too few; choose at least 1.")
        if self.epochs is not None and not set(self.stages) & set(ARCHITECTURES) - set(FROZEN):
            raise SettingsRefused(f"{self.network} is fitted in one step, without epochs; leave the epochs out.")
        if self.preset != "default" and not set(self.stages) & set(PRESETS[self.preset]):
            raise SettingsRefused(
                f"The preset {self.preset} has no settings for {self.network}, only for "
                f"{', '.join(PRESETS[self.preset])}; leave the preset out."
            )
        if self.warm_start is not None and not set(self.stages) & set(ARCHITECTURES):
            raise SettingsRefused(f"{self.network} is always fitted from scratch; leave the warm start out.")
        if self.front_end is None:
            object.__setattr__(self, "front_end", own_front_end(self.network))

    @property
    def last_fold(self) -> int:
        """Number of folds."""
        if self.split == "corpus":
            return len(corpus_names(self.corpora, self.emotions))
        return 1 if self.split == "random" else self.folds

    @property
    def emotions(self) -> tuple[str, ...]:
        """Emotions that the model recognises."""
        return EMOTION_SETS[self.emotion_set]

    @property
    def has_teacher(self) -> bool:
        """Whether YAMNet is the teacher of VGGish."""
        return self.network in ("fusion", "vggish") and self.settings_of("vggish").imitation > 0

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages of the training, in order."""
        if self.network == "fusion":
            return "yamnet", "vggish", "fusion_head"
        if self.network in ESTIMATOR_BASELINES:
            features_network = ESTIMATOR_BASELINES[self.network].LEARNS_FROM
            return (features_network, "estimator") if features_network else ("estimator",)
        return ("yamnet", "vggish") if self.has_teacher else (self.network,)

    @property
    def pooling(self) -> str:
        """How segments are pooled: by their logits if the head is fitted on mean features."""
        return "logits" if self.network in FROZEN else "probabilities"

    def settings_of(self, branch: str) -> TrainingSettings | DiscriminantSettings:
        """Return the hyperparameters of a branch."""
        settings = settings_of(branch, self.preset)
        return settings if self.epochs is None else replace(settings, epochs=self.epochs)


def own_front_end(network: str) -> FrontEnd:
    """Return the front end that a network uses by default."""
    if network in ESTIMATOR_BASELINES:
        return ESTIMATOR_BASELINES[network].FRONT_END
    return getattr(ARCHITECTURES[network], "front_end", FrontEnd())


YAMNET_WEIGHTS, VGGISH_WEIGHTS, WHISPER_WEIGHTS = "SER_YAMNET_WEIGHTS", "SER_VGGISH_WEIGHTS", "SER_WHISPER_WEIGHTS"
#: Branches that start from the shipped model of their name, unless this variable names a file of published weights.
PUBLISHED = {"yamnet": YAMNET_WEIGHTS, "whisper": WHISPER_WEIGHTS}


def starting_branch(branch: str, plan: TrainingPlan) -> nn.Module:
    """Return a branch with its starting weights.

    A warm start has priority. Otherwise `SER_YAMNET_WEIGHTS` and `SER_VGGISH_WEIGHTS` name files with the weights
    published for AudioSet, and `SER_WHISPER_WEIGHTS` one with the first blocks of Whisper base's encoder. Without these
    files YAMNet and Whisper start from the shipped models and VGGish from random weights.

    Raises
    ------
    SettingsRefused
        If the model of the warm start has no such branch.
    """
    torch.manual_seed(plan.seed)
    network = ARCHITECTURES[branch](len(plan.emotions))
    if model := _starting_model(branch, plan):
        _copy_weights(network, branch, model, plan.emotions)
    elif branch == "yamnet":
        load_audioset_weights(network, os.environ[YAMNET_WEIGHTS])
    elif branch == "whisper":
        load_encoder_weights(network, os.environ[WHISPER_WEIGHTS])
    elif branch == "vggish" and (published := os.environ.get(VGGISH_WEIGHTS)):
        load_published_weights(network, published)
    return network


def seen_by_starting_weights(plan: TrainingPlan) -> dict[str, str]:
    """Return the recordings that the starting weights of a plan were trained on: sha256 to corpus:speaker.

    Frozen networks whose head is fitted from scratch add none: recordings were only used to fit their map between two
    spectrograms, without labels.
    """
    branches = [
        stage
        for stage in plan.stages
        if stage in ARCHITECTURES and (stage not in FROZEN or fine_tunes_head(stage, plan))
    ]
    models = {model for branch in branches if (model := _starting_model(branch, plan))}
    return {sha256: speaker for model in models for sha256, speaker in training_list(model).items()}


def _starting_model(branch: str, plan: TrainingPlan) -> Path | None:
    if plan.warm_start is not None:
        return find_model(plan.warm_start)
    if branch in PUBLISHED and not os.environ.get(PUBLISHED[branch]):
        return find_model(branch)
    return None


def fine_tunes_head(branch: str, plan: TrainingPlan) -> bool:
    """Return whether a frozen network's head starts from that of a warm start with the same emotions."""
    return branch in FROZEN and keeps_emotions(plan)


def keeps_emotions(plan: TrainingPlan) -> bool:
    """Return whether the training starts from a model that already knows the emotions of the plan."""
    if plan.warm_start is None:
        return False
    return tuple(read_card(find_model(plan.warm_start)).get("emotions", ())) == plan.emotions


def starts_from_published_weights(branch: str, plan: TrainingPlan) -> bool:
    """Return whether a branch starts from the file of published weights that its variable names."""
    return branch in PUBLISHED and _starting_model(branch, plan) is None


def _copy_weights(network: nn.Module, branch: str, model: Path, emotions: tuple[str, ...]) -> None:
    """Copy the weights of a branch from a model; those of the last layer only if the emotions are the same."""
    donor, card, _ = load_network(model)
    weights = donor.state_dict()
    if any(name.startswith(f"{branch}.") for name in weights):
        weights = {n.removeprefix(f"{branch}."): w for n, w in weights.items() if n.startswith(f"{branch}.")}
    own = network.state_dict()
    copied = {name: w for name, w in weights.items() if name in own and w.shape == own[name].shape}
    if tuple(card["emotions"]) != emotions:
        copied = {name: w for name, w in copied.items() if not name.startswith("head.")}
    if any(name not in copied for name in own if not name.startswith("head.")):
        raise SettingsRefused(
            f"{model.name} has no {branch} to start from; give a model of {branch}, or train without a warm start."
            if branch in FROZEN
            else f"{model.name} has no {branch} to start from; give a model of {branch} or of fusion, or train without "
            "a warm start."
        )
    network.load_state_dict(copied, strict=False)
