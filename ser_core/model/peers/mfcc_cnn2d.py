"""Convolutions along both axes of MFCCs over time, from scratch.

References
----------
Subramanian et al. 2021, "Audio Emotion Recognition by Deep Neural Networks and Machine Learning Algorithms", ICAECA:
the best of the three it compares. Sizes that the available description does not give are ours.
"""

from torch import Tensor, nn

from ser_core.model.peers.shared.cepstrum import cosines
from ser_core.model.peers.shared.layers import convolution
from ser_core.model.peers.shared.network import WHOLE_RECORDING, BaselineNetwork
from ser_core.model.peers.shared.padding import followed_by_silence, mask_padding, steps_before_padding

CHANNELS = 128


class Network(BaselineNetwork):
    """The map has time but no frequency: the axis of coefficients is averaged."""

    front_end = WHOLE_RECORDING

    def __init__(self, classes: int) -> None:
        super().__init__(classes, CHANNELS)
        self.register_buffer("cosines", cosines(), persistent=False)
        self.convolutions = nn.Sequential(
            convolution(1, 32, 3, pool=2), convolution(32, 64, 3, pool=2), convolution(64, CHANNELS, 3)
        )

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        image = self.convolutions(followed_by_silence(segments) @ self.cosines)
        return {"cnn": mask_padding(image.mean(dim=3, keepdim=True), segments)}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return maps["cnn"].sum(dim=(2, 3)) / steps_before_padding(maps["cnn"])[:, None]
