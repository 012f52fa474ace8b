"""YAMNet: MobileNet-v1 on log-mel segments; its last map is averaged over time and frequency."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.errors import ModelRefused

#: Output channels and stride of the separable layers 2 to 14; layer 1 is a full convolution to 32 channels.
SEPARABLE = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1),
    (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
#: The last map of 6 x 4 cells is that of layer 12, the separable layer before the last stride.
INNER, INNER_END = "yamnet_layer12", 23
FEATURES = 1024
DROPOUT = 0.3
AUDIOSET_CLASSES = 521
BATCH_NORM_EPSILON = 1e-4


class SamePadConvolution(nn.Module):
    """3x3 or 1x1 convolution with TensorFlow's SAME padding, then batch norm and ReLU."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        if stride > 1:
            needed = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
            height, width = needed
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.relu(self.bn(self.convolved(x)), inplace=True)

    def convolved(self, x: Tensor) -> Tensor:
        """Convolve. In training, use forms whose bfloat16 gradients are fast in oneDNN, which halves a step's time."""
        if self.training and self.conv.kernel_size == (1, 1):
            return F.linear(x.permute(0, 2, 3, 1), self.conv.weight.flatten(1)).permute(0, 3, 1, 2)
        if self.training and self.conv.groups > 1 and self.conv.stride[0] > 1:
            with torch.autocast("cpu", enabled=False):
                return self.conv(x.to(self.conv.weight.dtype))
        return self.conv(x)


class YAMNet(nn.Module):
    """MobileNet-v1 whose features are the mean of its last map (1024 x 3 x 2).

    References
    ----------
    Plakal and Ellis, TensorFlow Models, research/audioset/yamnet; Kim and Kwak 2024, section 4.1.
    """

    features_count = FEATURES

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(SamePadConvolution(1, 32, 3, stride=2))
        channels = 32
        for out, stride in SEPARABLE:
            self.layers.append(SamePadConvolution(channels, channels, 3, stride, groups=channels))
            self.layers.append(SamePadConvolution(channels, out, 1))
            channels = out
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(FEATURES, classes)

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        """Return the maps for Grad-CAM, for segments (n, 1, frames, bands)."""
        return self.outer(self.inner(segments))

    def inner(self, segments: Tensor) -> dict[str, Tensor]:
        """Return the inner map, twice as fine, for segments (n, 1, frames, bands)."""
        return {INNER: self.layers[:INNER_END](segments)}

    def outer(self, inner: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the last map, computed from the inner one."""
        return {"yamnet": self.layers[INNER_END:](inner[INNER])}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the features (n, 1024) of the maps."""
        return maps["yamnet"].mean(dim=(2, 3))

    def classify(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the logits (n, classes) of the maps."""
        return self.head(self.dropout(self.features(maps)))

    def forward(self, segments: Tensor) -> Tensor:
        """Return the logits (n, classes) for segments (n, 1, frames, bands)."""
        return self.classify(self.maps(segments))


def load_audioset_weights(network: YAMNet, path: str | Path) -> None:
    """Load the weights published for AudioSet; the head's too, if it has AudioSet's 521 classes.

    The published batch norm has no scale, so the network's scale stays 1.

    Raises
    ------
    ModelRefused
        If the file is missing or does not contain YAMNet's weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelRefused(f"{path.name}: YAMNet's AudioSet weights are missing. Set SER_YAMNET_WEIGHTS to their file.")
    try:
        renamed = {_our_name(name): tensor for name, tensor in load_file(path).items()}
    except (SafetensorError, ValueError) as reason:
        raise ModelRefused(f"{path.name}: these are not YAMNet's weights ({reason}).") from None
    if network.head.out_features != AUDIOSET_CLASSES:
        renamed = {name: tensor for name, tensor in renamed.items() if not name.startswith("head.")}
    ours = network.state_dict()
    reshaped = [name for name, tensor in renamed.items() if name in ours and tensor.shape != ours[name].shape]
    if reshaped:
        raise ModelRefused(f"{path.name}: these are not YAMNet's weights ({reshaped[0]} has another shape).")
    missing, unexpected = network.load_state_dict(renamed, strict=False)
    wrong = [
        name for name in missing if not name.endswith(("bn.weight", "num_batches_tracked", "head.weight", "head.bias"))
    ]
    if wrong or unexpected:
        raise ModelRefused(f"{path.name}: these are not YAMNet's weights ({(wrong + unexpected)[0]} does not fit).")


def _our_name(published: str) -> str:
    layer, _, rest = published.partition(".")
    if layer == "classifier":
        return f"head.{rest}"
    number = int(layer.removeprefix("layer"))
    if number == 1:
        return f"layers.0.{_in_convolution(rest, 'conv')}"
    kind = rest.split(".")[0]
    index = 2 * number - 3 + (kind == "pointwise")
    return f"layers.{index}.{_in_convolution(rest, kind)}"


def _in_convolution(rest: str, kind: str) -> str:
    tail = rest.removeprefix(f"{kind}.")
    return f"conv.{tail}" if tail == "weight" else tail
