"""An LSTM over the time of a map."""

import torch
from torch import Tensor, nn

from ser_core.model.peers.shared.padding import steps_heard


class OverTime(nn.Module):
    """Read a map (n, channels, h, w) step by step; what the LSTM knows at the last step that was heard, (n, units)."""

    def __init__(self, channels: int, width: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels * width, units, batch_first=True)

    def forward(self, map_: Tensor) -> Tensor:
        known, _ = self.lstm(map_.permute(0, 2, 1, 3).flatten(2))
        return known[torch.arange(len(known)), steps_heard(map_) - 1]
