"""An LSTM over the time of a map."""

import torch
from torch import Tensor, nn

from ser_core.model.peers.shared.padding import steps_before_padding


class OverTime(nn.Module):
    """Run an LSTM over a map (n, channels, h, w); return its output (n, units) at the last step before padding."""

    def __init__(self, channels: int, width: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels * width, units, batch_first=True)

    def forward(self, map_: Tensor) -> Tensor:
        outputs, _ = self.lstm(map_.permute(0, 2, 1, 3).flatten(2))
        return outputs[torch.arange(len(outputs)), steps_before_padding(map_) - 1]
