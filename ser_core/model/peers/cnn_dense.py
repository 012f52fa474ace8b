"""Three convolutions and three fully connected layers, from scratch.

References
----------
Badshah et al. 2017, "Speech Emotion Recognition from Spectrograms with Deep Convolutional Neural Network", PlatCon:
convolutions of 120, 256 and 384 kernels of 11 x 11, 5 x 5 and 3 x 3. Their images have 256 x 256 points, segments here
96 x 64, so the first stride is 2, not 4; dense layers have 512 units, not 2048, to keep a model below 20 MB; batch norm
is ours.
"""

from torch import Tensor, nn

from ser_core.model.peers.shared.layers import convolution
from ser_core.model.peers.shared.network import BaselineNetwork
from ser_core.model.peers.shared.padding import above_silence

UNITS = 512


class Network(BaselineNetwork):
    """The map is the output of the third convolution, 12 x 8."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, UNITS)
        self.convolutions = nn.Sequential(
            convolution(1, 120, 11, stride=2, pool=2), convolution(120, 256, 5, pool=2), convolution(256, 384, 3)
        )
        self.dense = nn.Sequential(
            nn.MaxPool2d(4), nn.Flatten(), nn.Linear(384 * 3 * 2, UNITS), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(UNITS, UNITS), nn.ReLU(),
        )  # fmt: skip

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        return {"cnn": self.convolutions(above_silence(segments))}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return self.dense(maps["cnn"])
