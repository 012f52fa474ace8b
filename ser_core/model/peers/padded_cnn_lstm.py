"""A CNN and an LSTM on recordings padded to the longest, from scratch.

References
----------
Ma et al. 2018, "Emotion Recognition from Variable-Length Speech Segments Using Deep Learning on Spectrograms",
Interspeech: recordings of any length, padding masked in training. H. Li et al. 2021, ICSIP, pp. 795-799: features by a
CNN, their course by an LSTM. Sizes that the available descriptions do not give are ours.
"""

from torch import Tensor, nn

from ser_core.model.peers.shared.layers import OverTime, convolution
from ser_core.model.peers.shared.network import WHOLE_RECORDING, BaselineNetwork
from ser_core.model.peers.shared.padding import followed_by_silence, mask_padding

UNITS = 128


class Network(BaselineNetwork):
    """Three convolutions with pools, and an LSTM over the pooled time."""

    front_end = WHOLE_RECORDING

    def __init__(self, classes: int) -> None:
        super().__init__(classes, UNITS)
        self.convolutions = nn.Sequential(
            convolution(1, 32, 3, pool=2), convolution(32, 64, 3, pool=2), convolution(64, 128, 3, pool=2)
        )
        self.over_time = OverTime(128, 8, UNITS)

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        return {"cnn": mask_padding(self.convolutions(followed_by_silence(segments)), segments)}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return self.over_time(maps["cnn"])
