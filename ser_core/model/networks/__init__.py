"""The networks, by their names on cards and the command line."""

from collections.abc import Callable

from torch import nn

from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.networks.vggish import VGGish
from ser_core.model.networks.whisper import Whisper
from ser_core.model.networks.yamnet import YAMNet

NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "fusion": LateFusion,
    "vggish": VGGish,
    "yamnet": YAMNet,
    "whisper": Whisper,
}
