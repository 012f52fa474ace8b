"""Late fusion: the features of VGGish and YAMNet are concatenated before fully connected layers."""

import torch
from torch import Tensor, nn

from ser_core.model.networks.vggish import VGGish
from ser_core.model.networks.yamnet import YAMNet

HIDDEN = 256
DROPOUT = 0.5


class LateFusion(nn.Module):
    """Two branches trained on the same data, concatenated in depth and classified together.

    References
    ----------
    Kim and Kwak 2024, section 4.2 and Fig. 8.
    """

    features_count = VGGish.features_count + YAMNet.features_count

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.vggish = VGGish(classes)
        self.yamnet = YAMNet(classes)
        # Each branch was trained with its own head; fusion has one for both.
        self.vggish.head = self.yamnet.head = nn.Identity()
        self.head = nn.Sequential(
            nn.Linear(self.features_count, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, classes)
        )

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        """Return the maps of both branches for segments (n, 1, 96, 64)."""
        return self.outer(self.inner(segments))

    def inner(self, segments: Tensor) -> dict[str, Tensor]:
        """Return the inner maps of both branches for segments (n, 1, 96, 64)."""
        return self.vggish.inner(segments) | self.yamnet.inner(segments)

    def outer(self, inner: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the maps of both branches, computed from the inner ones."""
        return self.vggish.outer(inner) | self.yamnet.outer(inner)

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the features (n, 1280): VGGish's, then YAMNet's."""
        return torch.cat([self.vggish.features(maps), self.yamnet.features(maps)], dim=1)

    def classify(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the logits (n, classes) of the maps."""
        return self.head(self.features(maps))

    def forward(self, segments: Tensor) -> Tensor:
        """Return the logits (n, classes) for segments (n, 1, 96, 64)."""
        return self.classify(self.maps(segments))
