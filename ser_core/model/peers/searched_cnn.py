"""A 2-D CNN with a hyperparameter search, from scratch.

References
----------
Cesarelli et al. 2022, "Deep Learning for Heartbeat Phonocardiogram Signals Explainable Classification", BIBE: the best
of the same networks with several rates, batches and epochs, and Grad-CAM over time, which the profile shows here. The
best is chosen on the validation speakers after a fifth of the epochs.
"""

from torch import Tensor, nn

from ser_core.model.peers.shared.layers import convolution
from ser_core.model.peers.shared.network import BaselineNetwork
from ser_core.model.peers.shared.padding import above_silence

UNITS = 128


class Network(BaselineNetwork):
    """Three convolutions with pools, and a dense layer; the map is the output of the third, 12 x 8."""

    search = tuple(
        {"rate": rate, "head_rate": rate, "batch": batch} for rate in (1e-4, 1e-3, 1e-2) for batch in (32, 128)
    )

    def __init__(self, classes: int) -> None:
        super().__init__(classes, UNITS)
        self.convolutions = nn.Sequential(
            convolution(1, 32, 3, pool=2), convolution(32, 64, 3, pool=2), convolution(64, 128, 3, pool=2)
        )
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(128 * 12 * 8, UNITS), nn.ReLU())

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        return {"cnn": self.convolutions(above_silence(segments))}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        return self.dense(maps["cnn"])
