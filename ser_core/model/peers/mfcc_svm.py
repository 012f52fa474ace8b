"""A support vector machine on the mean and deviation of MFCCs over a recording.

References
----------
Subramanian et al. 2021, "Audio Emotion Recognition by Deep Neural Networks and Machine Learning Algorithms", ICAECA:
the weakest of the three it compares.
"""

from typing import TYPE_CHECKING

from torch import Tensor, cat, nn

from ser_core.model.peers.shared.cepstrum import cosines
from ser_core.model.peers.shared.network import WHOLE_RECORDING

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

LEARNS_FROM = None
FRONT_END = WHOLE_RECORDING


class Features(nn.Module):
    """From segments (n, frames, bands) to features (n, 80)."""

    def __init__(self, network: None) -> None:
        super().__init__()
        self.register_buffer("cosines", cosines())

    def forward(self, segments: Tensor) -> Tensor:
        mfcc = segments @ self.cosines
        mean = mfcc.mean(dim=1, keepdim=True)
        return cat([mean[:, 0], (mfcc - mean).square().mean(dim=1).sqrt()], dim=1)


def estimator(seed: int) -> "Pipeline":
    """Return an estimator of the features."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(C=10, class_weight="balanced", random_state=seed))
