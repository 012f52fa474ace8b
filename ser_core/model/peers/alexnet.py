"""AlexNet on spectrograms, from scratch; the source started from weights trained on photographs.

References
----------
Badshah et al. 2017, "Speech Emotion Recognition from Spectrograms with Deep Convolutional Neural Network", PlatCon.
`--warm-start` starts from a model of this network. Dense layers have 512 units, not 4096, to keep a model below 20 MB.
"""

from torch import Tensor, nn

from ser_core.model.peers.shared.layers import ALEXNET_CHANNELS, alexnet_convolutions
from ser_core.model.peers.shared.network import BaselineNetwork
from ser_core.model.peers.shared.padding import above_silence

UNITS = 512


class Network(BaselineNetwork):
    """Five convolutions and three fully connected layers; the map is the output of the fifth convolution, 12 x 8."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, UNITS)
        self.convolutions = alexnet_convolutions()
        self.dense = nn.Sequential(
            nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(ALEXNET_CHANNELS * 6 * 4, UNITS), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(UNITS, UNITS), nn.ReLU(),
        )  # fmt: skip

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        return {"alexnet": self.convolutions(above_silence(segments))}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return self.dense(maps["alexnet"])
