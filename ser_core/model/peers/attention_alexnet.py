"""AlexNet's convolutions over a recording of any length, and attention to the cells of their map. From scratch.

References
----------
Y. Zhang et al. 2018, "Attention-based Fully Convolutional Network for Speech Emotion Recognition", APSIPA ASC,
arXiv:1806.01506: which cells count is learnt, by tanh and a softmax that is made flatter by 0.3; nothing is fully
connected but the last layer. The source began with weights learnt on photographs.
"""

from torch import Tensor, nn

from ser_core.model.peers.shared.alexnet import CHANNELS, alexnet_convolutions
from ser_core.model.peers.shared.network import WHOLE_RECORDING, BaselineNetwork
from ser_core.model.peers.shared.padding import followed_by_silence, heard

FLATTER = 0.3
#: Low enough to get no weight; minus infinity would make nothing of a map without any sound.
NEVER = -1e4


class Network(BaselineNetwork):
    """The features are the mean of the map's cells, weighed by attention."""

    front_end = WHOLE_RECORDING

    def __init__(self, classes: int) -> None:
        super().__init__(classes, CHANNELS)
        self.convolutions = alexnet_convolutions()
        self.attention = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 1), nn.Tanh(), nn.Conv2d(CHANNELS, 1, 1))

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        return {"alexnet": heard(self.convolutions(followed_by_silence(segments)), segments)}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        cells = maps["alexnet"]
        wanted = FLATTER * self.attention(cells).float()
        # Where nothing sounds there is nothing to attend to.
        wanted = wanted.masked_fill(cells.eq(0).all(dim=(1, 3), keepdim=True), NEVER)
        weights = wanted.flatten(2).softmax(dim=2)
        return (cells.flatten(2) * weights).sum(dim=2)
