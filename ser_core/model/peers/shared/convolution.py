"""A convolution with batch norm and ReLU, the main part of most networks here."""

from torch import nn


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
