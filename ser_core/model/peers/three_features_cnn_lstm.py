"""Fusion of filter bank, MFCCs and spectrogram, each with its own CNN and LSTM, from scratch.

References
----------
S. Zhang and C. Li 2022, "Research on feature fusion speech emotion recognition technology for smart teaching", Mobile
Information Systems 2022, 7785929. Here all three derive from the log-mel spectrogram: itself, its bands in pairs as the
filter bank, and its cosine transform as the MFCCs. The three are trained together, not one by one.
"""

import torch
from torch import Tensor, nn

from ser_core.model.peers.shared.cepstrum import COEFFICIENTS, cosines
from ser_core.model.peers.shared.layers import OverTime, convolution
from ser_core.model.peers.shared.network import WHOLE_RECORDING, BaselineNetwork
from ser_core.model.peers.shared.padding import followed_by_silence, mask_padding

UNITS = 64


class Network(BaselineNetwork):
    """One map for each of the three; that of the MFCCs has time but no frequency."""

    front_end = WHOLE_RECORDING

    def __init__(self, classes: int) -> None:
        super().__init__(classes, 3 * UNITS)
        self.register_buffer("cosines", cosines(), persistent=False)
        self.spectrogram, self.filter_bank = _image(), _image()
        self.mfcc = nn.Sequential(
            convolution(COEFFICIENTS, 64, (5, 1), pool=(2, 1)),
            convolution(64, 64, (5, 1), pool=(2, 1)),
            convolution(64, 64, (5, 1), pool=(2, 1)),
        )
        self.over_time = nn.ModuleDict(
            {
                "spectrogram": OverTime(64, 8, UNITS),
                "filter_bank": OverTime(64, 4, UNITS),
                "mfcc": OverTime(64, 1, UNITS),
            }
        )

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        levels = followed_by_silence(segments)
        mfcc = (levels @ self.cosines).transpose(1, 3)  # coefficients are channels of a map over time
        maps = {
            "spectrogram": self.spectrogram(levels),
            "filter_bank": self.filter_bank(in_pairs(levels)),
            "mfcc": self.mfcc(mfcc),
        }
        return {name: mask_padding(map_, segments) for name, map_ in maps.items()}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return torch.cat([self.over_time[name](map_) for name, map_ in maps.items()], dim=1)


def in_pairs(levels: Tensor) -> Tensor:
    """Return log magnitudes (..., bands / 2) of the mean of every two bands, from log magnitudes (..., bands)."""
    return levels.exp().unflatten(-1, (-1, 2)).mean(dim=-1).log()


def _image() -> nn.Sequential:
    return nn.Sequential(convolution(1, 16, 3, pool=2), convolution(16, 32, 3, pool=2), convolution(32, 64, 3, pool=2))
