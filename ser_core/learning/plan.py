"""How a network learns."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from ser_core.corpora import corpus_names
from ser_core.emotions import EMOTION_SETS
from ser_core.errors import SettingsRefused
from ser_core.learning.augmentation import UNCHANGED, AugmentationSettings
from ser_core.model.checkpoint import ARCHITECTURES, DEFAULT_MODEL, find_model, load_network, training_list
from ser_core.model.networks.vggish import load_published_weights
from ser_core.model.networks.whisper import load_encoder_weights
from ser_core.model.networks.yamnet import load_audioset_weights
from ser_core.model.peers import ESTIMATOR_BASELINES
from ser_core.settings import FrontEnd


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


@dataclass(frozen=True)
class DiscriminantSettings:
    """How the head follows from the features, each of which has a standard deviation of 1.

    Attributes
    ----------
    shrinkage : float
        Variance that every direction is taken to have within a class beside its own.
    deviation_shrinkage : float
        The same for features that are deviations over time: these differ more between rooms, microphones and ways to
        cut a recording than means do.
    balance : float
        0 counts every recording the same, 1 every corpus and emotion.
    centred_share : float
        Weight of copies of the recordings whose voice's own mean is taken away, beside the recordings as they are: so
        one head serves voices that are known and voices that are not (see `ser_core.model.voice`).
    phone_share : float
        Weight of copies of the recordings as a phone line carries them, beside the recordings as they are.
    """

    shrinkage: float = 0.7
    deviation_shrinkage: float = 5.0
    balance: float = 1.0
    centred_share: float = 0.5
    phone_share: float = 0.1


#: Kim and Kwak 2024, Table 4: Adam, and nothing else that the paper tells of.
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


#: By default YAMNet, which knows sound from AudioSet, is changed carefully; VGGish begins with nothing and imitates it.
#: `every_segment` goes through all kept segments in each of a few epochs, so that fewer segments take less time.
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


#: The peers learn in one way, without any change of what they hear, because their sources tell of none; in so
#: few epochs that none takes more than eight minutes on two cores with the four corpora here.
BASELINE = TrainingSettings(epochs=12, weight_decay=0.01, label_smoothing=0.0, averaging=0.0, augmentation=UNCHANGED)


#: Networks whose body stays as it begins, and only whose last layer follows from the recordings, without epochs.
FROZEN: dict[str, DiscriminantSettings] = {"whisper": DiscriminantSettings()}


def settings_of(branch: str, preset: str) -> TrainingSettings | DiscriminantSettings:
    """Return how a network learns; of presets that do not name it, as the baselines do."""
    if branch in FROZEN:
        return FROZEN[branch]
    if branch in PRESETS[preset]:
        return PRESETS[preset][branch]
    whole = ARCHITECTURES[branch].front_end.segments.segment_frames is None
    return replace(BASELINE, batch=32, segments_per_recording=1) if whole else BASELINE


#: What can be trained.
TRAINABLE = (*ARCHITECTURES, *ESTIMATOR_BASELINES)


SPLITS = ("speaker", "sentence", "random", "corpus")


@dataclass(frozen=True)
class TrainingPlan:
    """All that a training follows from, beside the recordings themselves.

    Attributes
    ----------
    corpora : dict of str to str
        Names and folders.
    fold : int
        Which fold of the speakers (and sentences), or which corpus in the order of their names, is the test; from 1.
    epochs : int or None
        Of each branch; None as the preset says.
    warm_start : str or None
        A model, by name or path, that the branches begin as.
    front_end : FrontEnd
        None: the network's own.
    drop_unrecognised : bool
        Learn nothing from recordings whose emotion listeners did not find in the voice, as far as they were asked.
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
            raise SettingsRefused(f"{self.epochs} epochs teach nothing; ask for at least 1.")
        if self.epochs is not None and self.network in FROZEN:
            raise SettingsRefused(
                f"The last layer of {self.network} follows from the recordings in one step; leave the epochs out."
            )
        if self.warm_start is not None and not set(self.stages) & set(ARCHITECTURES):
            raise SettingsRefused(f"{self.network} learns anew each time; leave the warm start out.")
        if self.front_end is None:
            object.__setattr__(self, "front_end", own_front_end(self.network))

    @property
    def last_fold(self) -> int:
        """How many ways there are to divide."""
        if self.split == "corpus":
            return len(corpus_names(self.corpora, self.emotions))
        return 1 if self.split == "random" else self.folds

    @property
    def emotions(self) -> tuple[str, ...]:
        """What is told apart."""
        return EMOTION_SETS[self.emotion_set]

    @property
    def teaches(self) -> bool:
        """Whether YAMNet teaches VGGish."""
        return self.network in ("fusion", "vggish") and self.settings_of("vggish").imitation > 0

    @property
    def stages(self) -> tuple[str, ...]:
        """What is trained, in this order."""
        if self.network == "fusion":
            return "yamnet", "vggish", "fusion_head"
        if self.network in ESTIMATOR_BASELINES:
            learnt = ESTIMATOR_BASELINES[self.network].LEARNS_FROM
            return (learnt, "estimator") if learnt else ("estimator",)
        return ("yamnet", "vggish") if self.teaches else (self.network,)

    @property
    def pooling(self) -> str:
        """How segments become a recording: a head that follows from the means of recordings' features reads those."""
        return "logits" if self.network in FROZEN else "probabilities"

    def settings_of(self, branch: str) -> TrainingSettings | DiscriminantSettings:
        """Return how a branch learns."""
        settings = settings_of(branch, self.preset)
        return settings if self.epochs is None else replace(settings, epochs=self.epochs)


def own_front_end(network: str) -> FrontEnd:
    """Return what a network hears unless something else is asked for."""
    if network in ESTIMATOR_BASELINES:
        return ESTIMATOR_BASELINES[network].FRONT_END
    return getattr(ARCHITECTURES[network], "front_end", FrontEnd())


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
