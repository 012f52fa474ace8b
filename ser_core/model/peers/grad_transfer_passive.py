"""A passive-aggressive classifier on the spectrogram weighted by a residual network's Grad-CAM.

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
    from sklearn.linear_model import SGDClassifier

    steps = {"learning_rate": "pa1", "eta0": 0.01}  # steps as large as the margin requires, up to `eta0`
    return on_components(SGDClassifier(loss="hinge", penalty=None, random_state=seed, **steps))
