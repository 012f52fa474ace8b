"""VGGish with batch norm; its map is the sum of those after pools 2, 3 and 4, over time and frequency."""

import hashlib
import io
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.errors import ModelRefused

GROUPS = ((64,), (128,), (256, 256), (512, 512))
FUSED_CHANNELS = 256
SQUEEZED_CHANNELS = 64
FEATURES = 256
DROPOUT = 0.5
FUSED_SIZE = (12, 8)
#: The maps that are fused: those after these pools, of 24 x 16, 12 x 8 and 6 x 4 cells.
POOLS = ("vggish_pool2", "vggish_pool3", "vggish_pool4")
#: First digits of the SHA-256 of the weights ported from TensorFlow, `vggish-10086976.pth` of
#: github.com/harritaylor/torchvggish, and the indices of its convolutions among its layers.
PUBLISHED_SHA256 = "10086976"
PUBLISHED_INDICES = (0, 3, 6, 8, 11, 13)


class PoolFusion(nn.Module):
    """Project the maps of three pools to the same channels and size, and add them."""

    def __init__(self) -> None:
        super().__init__()
        self.to_fused = nn.ModuleList(nn.Conv2d(group[-1], FUSED_CHANNELS, 1) for group in GROUPS[1:])

    def forward(self, pools: list[Tensor]) -> Tensor:
        maps = [to_fused(pool) for to_fused, pool in zip(self.to_fused, pools, strict=True)]
        return sum(F.interpolate(m, FUSED_SIZE, mode="bilinear", align_corners=False) for m in maps)


class VGGish(nn.Module):
    """Convolutions 64 | 128 | 256 256 | 512 512, pool fusion, and a dense layer, without global pooling.

    A 1x1 convolution reduces the fused map from 256 to 64 channels before it is flattened. Without it the dense layer
    alone would have 6.3 million weights, more than all convolutions.

    References
    ----------
    Hershey et al. 2017, arXiv:1609.09430; Kim and Kwak 2024, section 4.1 and Fig. 8.
    """

    features_count = FEATURES

    def __init__(self, classes: int) -> None:
        super().__init__()
        channels, self.groups = 1, nn.ModuleList()
        for group in GROUPS:
            layers: list[nn.Module] = []
            for out in group:
                layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)]
                layers.append(nn.ReLU(inplace=True))
                channels = out
            # ReLU and max pool commute; after the pool the ReLU has a quarter of the work.
            self.groups.append(nn.Sequential(*layers[:-1], nn.MaxPool2d(2), nn.ReLU(inplace=True)))
        self.fuse = PoolFusion()
        self.squeeze = nn.Sequential(nn.ReLU(), nn.Conv2d(FUSED_CHANNELS, SQUEEZED_CHANNELS, 1), nn.ReLU())
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(FUSED_SIZE[0] * FUSED_SIZE[1] * SQUEEZED_CHANNELS, FEATURES), nn.ReLU()
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(FEATURES, classes)

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        """Return the maps for Grad-CAM, for segments (n, 1, 96, 64)."""
        return self.outer(self.inner(segments))

    def inner(self, segments: Tensor) -> dict[str, Tensor]:
        """Return the maps after pools 2, 3 and 4 for segments (n, 1, 96, 64)."""
        pools = []
        for group in self.groups:
            segments = group(segments)
            pools.append(segments)
        return dict(zip(POOLS, pools[1:], strict=True))

    def outer(self, inner: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the fused map, computed from the inner ones."""
        return {"vggish": self.fuse([inner[name] for name in POOLS])}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the features (n, 256) of the maps."""
        return self.dense(self.squeeze(maps["vggish"]))

    def classify(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the logits (n, classes) of the maps."""
        return self.head(self.dropout(self.features(maps)))

    def forward(self, segments: Tensor) -> Tensor:
        """Return the logits (n, classes) for segments (n, 1, 96, 64)."""
        return self.classify(self.maps(segments))


def load_published_weights(network: VGGish, path: str | Path) -> None:
    """Load the weights published for AudioSet into the convolutions; later layers are unchanged.

    The published network has no batch norms; here they start as the identity plus the published biases.

    Raises
    ------
    ModelRefused
        If the file is missing or is not `vggish-10086976.pth`; no other is opened, because it could contain code.
    """
    path = Path(path)
    data = path.read_bytes() if path.is_file() else b""
    if not hashlib.sha256(data).hexdigest().startswith(PUBLISHED_SHA256):
        raise ModelRefused(
            f"{path.name}: these are not the published weights of VGGish. SER_VGGISH_WEIGHTS must name the file "
            "vggish-10086976.pth of github.com/harritaylor/torchvggish; or unset it, to start without them."
        )
    published = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    modules = [module for group in network.groups for module in group]
    pairs = [(a, b) for a, b in pairwise(modules) if isinstance(a, nn.Conv2d)]
    with torch.no_grad():
        for (convolution, norm), index in zip(pairs, PUBLISHED_INDICES, strict=True):
            convolution.weight.copy_(published[f"features.{index}.weight"])
            norm.bias.copy_(published[f"features.{index}.bias"])
