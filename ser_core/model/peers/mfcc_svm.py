"""Mean and spread of the MFCC over a recording, and a support vector machine.

References
----------
Subramanian et al. 2021, "Audio Emotion Recognition by Deep Neural Networks and Machine Learning Algorithms", ICAECA:
the weakest of the three that it compares.
"""

from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, cat, nn

from ser_core.model.peers.shared.cepstrum import cosines
from ser_core.model.peers.shared.network import WHOLE_RECORDING

LEARNS_FROM = None
FRONT_END = WHOLE_RECORDING


class Features(nn.Module):
    """Segments (n, frames, bands) to features (n, 80)."""

    def __init__(self, network: None) -> None:
        super().__init__()
        self.register_buffer("cosines", cosines())

    def forward(self, segments: Tensor) -> Tensor:
        mfcc = segments @ self.cosines
        mean = mfcc.mean(dim=1, keepdim=True)
        return cat([mean[:, 0], (mfcc - mean).square().mean(dim=1).sqrt()], dim=1)


def estimator(seed: int) -> Pipeline:
    """Return what learns from the features."""
    return make_pipeline(StandardScaler(), SVC(C=10, class_weight="balanced", random_state=seed))
