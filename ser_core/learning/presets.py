"""How each branch learns by default, how the paper's did, and how the baselines do."""

from dataclasses import replace

from ser_core.learning.augmentation import UNCHANGED
from ser_core.learning.discriminant_head import DiscriminantSettings
from ser_core.learning.training_settings import TrainingSettings
from ser_core.model.checkpoint import ARCHITECTURES

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
