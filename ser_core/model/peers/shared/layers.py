"""Layers of several networks: convolutions with batch norm, AlexNet's convolutions, an LSTM over time."""

import torch
from torch import Tensor, nn

from ser_core.model.peers.shared.padding import steps_before_padding

ALEXNET_CHANNELS = 256


def convolution(
    channels: int, out: int, kernel: int | tuple[int, int], stride: int = 1, pool: int | tuple[int, int] | None = None
) -> nn.Sequential:
    """Return a convolution that changes the size only by its stride, batch norm, ReLU and an optional max pool."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, sides, stride, (sides[0] // 2, sides[1] // 2), bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers, *([nn.MaxPool2d(pool)] if pool else []))


def alexnet_convolutions() -> nn.Sequential:
    """Return convolutions of 64, 192, 384, 256 and 256 channels; a segment of 96 x 64 becomes a map of 12 x 8.

    The first has a stride of 2, not 4, because segments are smaller than the images of 224 x 224; batch norm replaces
    local response normalisation.

    References
    ----------
    Krizhevsky 2014, arXiv:1404.5997.
    """
    return nn.Sequential(
        convolution(1, 64, 11, stride=2, pool=2),
        convolution(64, 192, 5, pool=2),
        convolution(192, 384, 3),
        convolution(384, 256, 3),
        convolution(256, ALEXNET_CHANNELS, 3),
    )


class OverTime(nn.Module):
    """Run an LSTM over a map (n, channels, h, w); return its output (n, units) at the last step before padding."""

    def __init__(self, channels: int, width: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels * width, units, batch_first=True)

    def forward(self, map_: Tensor) -> Tensor:
        outputs, _ = self.lstm(map_.permute(0, 2, 1, 3).flatten(2))
        return outputs[torch.arange(len(outputs)), steps_before_padding(map_) - 1]
