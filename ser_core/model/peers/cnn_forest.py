"""A random forest on the features of a CNN.

References
----------
Zheng et al. 2018, "Speech Emotion Recognition Based on Convolution Neural Network Combined with Random Forest", CCDC.
The CNN is that of `cnn_dense`; the forest replaces its last layer.
"""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ser_core.model.peers.shared.network import SEGMENTS

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

#: The network that is trained first; this baseline uses its weights.
LEARNS_FROM = "cnn_dense"
FRONT_END = SEGMENTS


class Features(nn.Module):
    """From segments (n, frames, bands) to the features (n, features) of the trained network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, segments: Tensor) -> Tensor:
        return self.network.features(self.network.maps(segments.unsqueeze(1)))


def estimator(seed: int) -> "RandomForestClassifier":
    """Return an estimator of the features; its trees have at most 256 leaves, to keep the file small."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(200, max_leaf_nodes=256, class_weight="balanced", n_jobs=-1, random_state=seed)
