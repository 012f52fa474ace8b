"""A support vector machine on the spectrogram weighted by a residual network's Grad-CAM.

References
----------
Carofilis et al. 2023, IEEE/ACM TASLP 31, 2859-2871, which reports UAR and macro average accuracy.
"""

from typing import TYPE_CHECKING

from ser_core.model.peers.shared.grad_transfer import Features as Features
from ser_core.model.peers.shared.grad_transfer import on_components
from ser_core.model.peers.shared.network import SEGMENTS

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

LEARNS_FROM = "resnet"
FRONT_END = SEGMENTS


def estimator(seed: int) -> "Pipeline":
    """Return an estimator of the features."""
    from sklearn.svm import SVC

    return on_components(SVC(class_weight="balanced", random_state=seed))
