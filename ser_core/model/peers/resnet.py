"""A residual network with global average pooling, from scratch.

References
----------
Bicer et al. 2022, "Explainable Acoustic Scene Classification: Making Decisions Audible", IWAENC: Grad-CAM of such a
network marks time and frequency, and the marked parts are made audible; here by `focus_audio`. He et al. 2016,
arXiv:1512.03385, for the blocks; eight with 32 to 256 channels, half the width of its eighteen-layer network.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.model.peers.shared.layers import convolution
from ser_core.model.peers.shared.network import BaselineNetwork
from ser_core.model.peers.shared.padding import above_silence

#: Channels and stride of each block.
BLOCKS = ((32, 1), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1))
FEATURES = 256


class Block(nn.Module):
    """Two convolutions whose output is added to the input."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(channels, out, 3, stride)
        self.second = convolution(out, out, 3)[:2]  # the ReLU comes after the sum
        self.shortcut = nn.Identity() if channels == out else convolution(channels, out, 1, stride)[:2]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class Network(BaselineNetwork):
    """The map is the output of the last block, 6 x 4; only its mean is classified."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, FEATURES, dropout=0.2)
        self.blocks = nn.Sequential(convolution(1, 32, 5, stride=2))
        channels = 32
        for out, stride in BLOCKS:
            self.blocks.append(Block(channels, out, stride))
            channels = out

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        return {"resnet": self.blocks(above_silence(segments))}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return maps["resnet"].mean(dim=(2, 3))
