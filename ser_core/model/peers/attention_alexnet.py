"""AlexNet's convolutions on a recording of any length, with attention over the cells of their map, from scratch.

References
----------
Y. Zhang et al. 2018, "Attention-based Fully Convolutional Network for Speech Emotion Recognition", APSIPA ASC,
arXiv:1806.01506: attention with tanh and a softmax flattened by 0.3 weights the cells; only the last layer is fully
connected. The source started from weights trained on photographs.
"""

from torch import Tensor, nn

from ser_core.model.peers.shared.layers import ALEXNET_CHANNELS, alexnet_convolutions
from ser_core.model.peers.shared.network import WHOLE_RECORDING, BaselineNetwork
from ser_core.model.peers.shared.padding import followed_by_silence, mask_padding

FLATTENING = 0.3
#: Low enough to give no weight; minus infinity would give NaN for a map without any sound.
MASKED = -1e4


class Network(BaselineNetwork):
    """The features are the mean of the map's cells, weighted by attention."""

    front_end = WHOLE_RECORDING

    def __init__(self, classes: int) -> None:
        super().__init__(classes, ALEXNET_CHANNELS)
        self.convolutions = alexnet_convolutions()
        self.attention = nn.Sequential(
            nn.Conv2d(ALEXNET_CHANNELS, ALEXNET_CHANNELS, 1), nn.Tanh(), nn.Conv2d(ALEXNET_CHANNELS, 1, 1)
        )

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        return {"alexnet": mask_padding(self.convolutions(followed_by_silence(segments)), segments)}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        cells = maps["alexnet"]
        attention = FLATTENING * self.attention(cells).float()
        # Padding gets no attention.
        attention = attention.masked_fill(cells.eq(0).all(dim=(1, 3), keepdim=True), MASKED)
        weights = attention.flatten(2).softmax(dim=2)
        return (cells.flatten(2) * weights).sum(dim=2)
