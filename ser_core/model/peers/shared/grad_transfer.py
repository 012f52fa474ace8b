"""The spectrogram, weighted by a residual network's Grad-CAM for the emotion that it predicts.

References
----------
Carofilis et al. 2023, "Improvement of accent classification models through grad-transfer from spectrograms and
gradient-weighted class activation mapping", IEEE/ACM TASLP 31, 2859-2871.
"""

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.model.peers.shared.padding import above_silence
from ser_core.settings import FrontEnd

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_SEGMENTS = FrontEnd()
#: Frames and bands of a segment.
SEGMENT_SHAPE = _SEGMENTS.segments.segment_frames, _SEGMENTS.spectrogram.bands
#: Frames and bands per feature.
POOL = 4
#: Share of the variance that the components explain.
EXPLAINED_VARIANCE = 0.9


class Features(nn.Module):
    """From segments (n, frames, bands) to features (n, frames x bands / 16).

    With a global mean and one linear layer after the map, the gradient of a logit is that layer's weight in every cell.
    Grad-CAM then needs no gradients (Selvaraju et al. 2017, arXiv:1610.02391, section 3), and fits in an ONNX file.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, segments: Tensor) -> Tensor:
        segments = segments.unsqueeze(1)
        map_ = self.network.maps(segments)["resnet"]
        predicted = self.network.classify({"resnet": map_}).argmax(dim=1)
        weights = self.network.head.weight[predicted]
        cam = F.relu((map_ * weights[:, :, None, None]).sum(dim=1, keepdim=True))
        cam = cam / (cam.amax(dim=(2, 3), keepdim=True) + 1e-6)
        cam = F.interpolate(cam, SEGMENT_SHAPE, mode="bilinear", align_corners=False)
        return F.avg_pool2d(cam * above_silence(segments), POOL).flatten(1)


def on_components(estimator: object) -> "Pipeline":
    """Return the estimator on principal components of the features, each of variance 1."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), PCA(EXPLAINED_VARIANCE, whiten=True), estimator)
