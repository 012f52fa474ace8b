"""Filter bank, MFCC and spectrogram, each heard by a CNN and an LSTM of its own, and fused. From scratch.

References
----------
S. Zhang and C. Li 2022, "Research on feature fusion speech emotion recognition technology for smart teaching", Mobile
Information Systems 2022, 7785929. All three derive from the log-mel spectrogram here: it stands for the spectrogram,
its bands in pairs for the filter bank, its cosine transform for the MFCC. The three learn together, not one by one.
"""

import torch
from torch import Tensor, nn

from ser_core.model.peers.shared.cepstrum import COEFFICIENTS, cosines
from ser_core.model.peers.shared.convolution import convolution
from ser_core.model.peers.shared.network import WHOLE_RECORDING, BaselineNetwork
from ser_core.model.peers.shared.padding import followed_by_silence, heard
from ser_core.model.peers.shared.recurrence import OverTime

UNITS = 64


class Network(BaselineNetwork):
    """A map for each of the three; that of the MFCC knows when, not at which frequency."""

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
        mfcc = (levels @ self.cosines).transpose(1, 3)  # coefficients are the channels of a line in time
        maps = {
            "spectrogram": self.spectrogram(levels),
            "filter_bank": self.filter_bank(in_pairs(levels)),
            "mfcc": self.mfcc(mfcc),
        }
        return {name: heard(map_, segments) for name, map_ in maps.items()}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return torch.cat([self.over_time[name](map_) for name, map_ in maps.items()], dim=1)


def in_pairs(levels: Tensor) -> Tensor:
    """Return the log of the mean of every two bands' magnitudes, whose logs (..., bands) are given."""
    return levels.exp().unflatten(-1, (-1, 2)).mean(dim=-1).log()


def _image() -> nn.Sequential:
    return nn.Sequential(convolution(1, 16, 3, pool=2), convolution(16, 32, 3, pool=2), convolution(32, 64, 3, pool=2))
