"""What to train on, how it is divided, and what comes of it."""

from dataclasses import dataclass, replace

from ser_core.corpora import corpus_names
from ser_core.emotions import EMOTION_SETS
from ser_core.errors import SettingsRefused
from ser_core.learning.discriminant_head import DiscriminantSettings
from ser_core.learning.presets import FROZEN, PRESETS, settings_of
from ser_core.learning.training_settings import TrainingSettings
from ser_core.model.checkpoint import ARCHITECTURES, DEFAULT_MODEL
from ser_core.model.peers import ESTIMATOR_BASELINES
from ser_core.settings import FrontEnd

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
