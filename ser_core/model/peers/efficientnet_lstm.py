"""An EfficientNet and an LSTM over the time of its map, from scratch.

References
----------
Lee et al. 2022, cited by Kim and Kwak 2024 as [18]: voices before and after surgery, an EfficientNet and an LSTM, with
Grad-CAM, measured by AUROC. Tan and Le 2019, arXiv:1905.11946, for the blocks; half as many as in B0, and narrower,
so that an epoch takes no longer than its peers'.
"""

from torch import Tensor, nn

from ser_core.model.peers.shared.layers import OverTime
from ser_core.model.peers.shared.network import BaselineNetwork
from ser_core.model.peers.shared.padding import above_silence

#: Channels, stride and kernel of each block; the first does not expand.
BLOCKS = ((16, 1, 3), (24, 2, 3), (24, 1, 3), (40, 2, 5), (40, 1, 5), (80, 2, 3), (80, 1, 3), (112, 1, 5))
EXPANSION, SQUEEZED = 4, 4
LAST, UNITS = 256, 128


class SqueezeExcite(nn.Module):
    """Weight each channel by the means of all channels."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, squeezed, 1), nn.SiLU(), nn.Conv2d(squeezed, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weigh(x.mean(dim=(2, 3), keepdim=True))


class Block(nn.Module):
    """Expand, convolve depthwise, weight the channels, and project."""

    def __init__(self, channels: int, out: int, stride: int, kernel: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.layers = nn.Sequential(
            *(_convolution(channels, wide, 1) if expansion > 1 else ()),
            *_convolution(wide, wide, kernel, stride, groups=wide),
            SqueezeExcite(wide, max(1, channels // SQUEEZED)),
            *_convolution(wide, out, 1)[:2],
        )
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


class Network(BaselineNetwork):
    """The map is the last before the LSTM, 6 x 4."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, UNITS, dropout=0.2)
        channels, layers = 24, [*_convolution(1, 24, 3, stride=2)]
        for index, (out, stride, kernel) in enumerate(BLOCKS):
            layers.append(Block(channels, out, stride, kernel, EXPANSION if index else 1))
            channels = out
        self.blocks = nn.Sequential(*layers, *_convolution(channels, LAST, 1))
        self.over_time = OverTime(LAST, 4, UNITS)

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        return {"efficientnet": self.blocks(above_silence(segments))}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return self.over_time(maps["efficientnet"])


def _convolution(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.SiLU(inplace=True))
