"""AlexNet's convolutions, for spectrograms of 64 bands."""

from torch import nn

from ser_core.model.peers.shared.convolution import convolution

CHANNELS = 256


def alexnet_convolutions() -> nn.Sequential:
    """Return five convolutions of 64, 192, 384, 256 and 256 channels; a segment of 96 x 64 becomes a map of 12 x 8.

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
        convolution(256, CHANNELS, 3),
    )
