"""How a network learns."""

from dataclasses import dataclass, field

from ser_core.learning.augmentation import AugmentationSettings


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
