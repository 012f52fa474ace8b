"""Convolutions along time on MFCCs, from scratch.

References
----------
Subramanian et al. 2021, "Audio Emotion Recognition by Deep Neural Networks and Machine Learning Algorithms", ICAECA,
which compares this with an SVM and a 2-D CNN. Sizes that the available description does not give are ours.
"""

from torch import Tensor, nn

from ser_core.model.peers.shared.cepstrum import COEFFICIENTS, cosines
from ser_core.model.peers.shared.layers import convolution
from ser_core.model.peers.shared.network import WHOLE_RECORDING, BaselineNetwork
from ser_core.model.peers.shared.padding import followed_by_silence, mask_padding, steps_before_padding

CHANNELS = 128


class Network(BaselineNetwork):
    """The map has time but no frequency; the features are its mean over the recording without padding."""

    front_end = WHOLE_RECORDING

    def __init__(self, classes: int) -> None:
        super().__init__(classes, CHANNELS)
        self.register_buffer("cosines", cosines(), persistent=False)
        self.convolutions = nn.Sequential(
            convolution(COEFFICIENTS, 64, (5, 1), pool=(2, 1)),
            convolution(64, 128, (5, 1), pool=(2, 1)),
            convolution(128, CHANNELS, (5, 1)),
        )

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        # The coefficients are channels of a map over time.
        mfcc = (followed_by_silence(segments) @ self.cosines).transpose(1, 3)
        return {"cnn": mask_padding(self.convolutions(mfcc), segments)}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return maps["cnn"].sum(dim=(2, 3)) / steps_before_padding(maps["cnn"])[:, None]
