"""The spectrogram, weighed by where a residual network's Grad-CAM finds the evidence for what it hears.

References
----------
Carofilis et al. 2023, "Improvement of accent classification models through grad-transfer from spectrograms and
gradient-weighted class activation mapping", IEEE/ACM TASLP 31, 2859-2871.
"""

from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.model.peers.shared.padding import above_silence
from ser_core.settings import FrontEnd

_SEGMENTS = FrontEnd()
#: Frames and bands of a segment.
SEGMENT_SHAPE = _SEGMENTS.segments.segment_frames, _SEGMENTS.spectrogram.bands
#: Four frames and four bands make one feature.
POOL = 4
#: Of the variance that the components keep.
KEPT = 0.9


class Features(nn.Module):
    """Segments (n, frames, bands) to features (n, frames x bands / 16).

    Behind a global mean and one linear layer the gradient of a logit is that layer's weight, the same in all cells:
    Grad-CAM needs no gradients then (Selvaraju et al. 2017, arXiv:1610.02391, section 3), so that an ONNX file can hold
    it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, segments: Tensor) -> Tensor:
        segments = segments.unsqueeze(1)
        map_ = self.network.maps(segments)["resnet"]
        heard = self.network.classify({"resnet": map_}).argmax(dim=1)
        weights = self.network.head.weight[heard]
        cam = F.relu((map_ * weights[:, :, None, None]).sum(dim=1, keepdim=True))
        cam = cam / (cam.amax(dim=(2, 3), keepdim=True) + 1e-6)
        cam = F.interpolate(cam, SEGMENT_SHAPE, mode="bilinear", align_corners=False)
        return F.avg_pool2d(cam * above_silence(segments), POOL).flatten(1)


def on_components(estimator: object) -> Pipeline:
    """Return an estimator of the features' principal components, each of variance 1."""
    return make_pipeline(StandardScaler(), PCA(KEPT, whiten=True), estimator)
