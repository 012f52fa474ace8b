"""How each branch learns by default, and how the paper's did."""

from ser_core.learning.augmentation import UNCHANGED
from ser_core.learning.training_settings import TrainingSettings

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
