"""Logits of VGGish, alone or fused, after a few frames of a segment have changed."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.networks.vggish import POOLS, VGGish


class LocalMaps:
    """Scores versions of one segment that differ from it in a few frames, exactly as the network does.

    Each convolution of VGGish computes only the frames that the changed ones affect; all others are those of the
    unchanged segment. YAMNet, a seventh of the fusion's time, is run as a whole.

    Parameters
    ----------
    network : VGGish or LateFusion
        In float32, with batch norms folded into the convolutions before them.
    scoring : VGGish or LateFusion
        The same network in the precision of the maps.
    segment : Tensor of shape (frames, bands), float32
    """

    def __init__(self, network: VGGish | LateFusion, scoring: VGGish | LateFusion, segment: Tensor) -> None:
        self._network, self._scoring = network, scoring
        self._vggish = scoring.vggish if isinstance(scoring, LateFusion) else scoring
        #: For each group: the input of each of its modules, then its output, for the unchanged segment.
        self._unchanged: list[list[Tensor]] = []
        with torch.inference_mode():
            values = self._prepared(segment[None])
            for group in self._vggish.groups:
                inputs = [values]
                for module in group:
                    inputs.append(module(inputs[-1]))
                self._unchanged.append(inputs)
                values = inputs[-1]

    def logits(self, changed: Tensor, first_frame: int, end_frame: int) -> Tensor:
        """Return the logits (n, classes) of versions (n, frames, bands) that differ within the given frames alone."""
        with torch.inference_mode():
            segments = self._prepared(changed)
            maps = self._vggish.outer(self._inner(segments[:, :, first_frame:end_frame], first_frame))
            if isinstance(self._scoring, LateFusion):
                maps |= self._scoring.yamnet.maps(segments)
            return self._network.classify({name: map_.float() for name, map_ in maps.items()})

    def _prepared(self, segments: Tensor) -> Tensor:
        return segments[:, None].to(memory_format=torch.channels_last).to(self._vggish.groups[0][0].weight.dtype)

    def _inner(self, part: Tensor, first: int) -> dict[str, Tensor]:
        """Return the maps after pools 2, 3 and 4, given the changed frames, which begin at frame `first`."""
        pools = []
        for group, unchanged in zip(self._vggish.groups, self._unchanged, strict=True):
            for module, before in zip(group, unchanged[:-1], strict=True):
                if isinstance(module, nn.Conv2d):
                    start, stop = max(first - 1, 0), min(first + part.shape[2] + 1, before.shape[2])
                    part = _with_neighbours(part, first, before, start - 1, stop + 1)
                    part, first = F.conv2d(part, module.weight, module.bias, padding=(0, 1)), start
                elif isinstance(module, nn.MaxPool2d):
                    start, stop = first // 2 * 2, -(-(first + part.shape[2]) // 2) * 2
                    part, first = module(_with_neighbours(part, first, before, start, stop)), start // 2
                else:
                    part = module(part)
            pools.append(_with_neighbours(part, first, unchanged[-1], 0, unchanged[-1].shape[2]))
        return dict(zip(POOLS, pools[1:], strict=True))


def _with_neighbours(part: Tensor, first: int, unchanged: Tensor, start: int, stop: int) -> Tensor:
    """Return the frames from `start` to `stop`: changed ones from `first` on, unchanged ones, and zeros outside."""
    n, count = len(part), unchanged.shape[2]
    before, after = unchanged[:, :, max(start, 0) : first], unchanged[:, :, first + part.shape[2] : min(stop, count)]
    whole = torch.cat([before.expand(n, -1, -1, -1), part, after.expand(n, -1, -1, -1)], dim=2)
    return F.pad(whole, (0, 0, max(-start, 0), max(stop - count, 0))) if start < 0 or stop > count else whole
