"""Grad-CAM: where in the network's last feature maps the evidence for an emotion lies."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ser_core.errors import SettingsRefused
from ser_core.explanation.relevance import ExplanationTarget, contrasted, stitch
from ser_core.model.classifier import Classifier
from ser_core.model.scores import recording_probabilities
from ser_core.settings import GradCamSettings
from ser_core.work.progress import Work

SEGMENTS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class GradCamResult:
    """The Grad-CAM maps of a layer for every class.

    Attributes
    ----------
    maps : ndarray of shape (classes, frames, bands)
        One for the logit of each class.
    original : ndarray of shape (classes,)
        The recording's probabilities.
    """

    maps: np.ndarray
    original: np.ndarray

    def relevance(self, target: ExplanationTarget) -> np.ndarray:
        """Return the relevance (frames, bands), signed, in logits per cell of the layer's map.

        It maps the same evidence as LIME and occlusion (see `contrasted`).
        """
        return contrasted(self.maps, self.original, target)

    def stability(self, target: ExplanationTarget) -> None:
        """Return None: Grad-CAM is deterministic."""

    def standard_error(self, target: ExplanationTarget) -> None:
        """Return None: Grad-CAM is deterministic."""


def grad_cam(
    classifier: Classifier,
    target: ExplanationTarget,
    settings: GradCamSettings,
    seed: int,
    work: Work,
) -> GradCamResult:
    """Compute the Grad-CAM maps of a layer for every class.

    There is no final ReLU, so that a map is linear in the logits and evidence against an emotion stays visible. `seed`
    is unused: nothing here is random.

    References
    ----------
    Selvaraju et al. 2017, arXiv:1610.02391.
    """
    if not classifier.layers:
        raise SettingsRefused(grad_cam_refusal(classifier))
    values = target.segments.values[target.members]
    every_class = np.eye(len(classifier.emotions), dtype=np.float32)
    maps = []
    for start in range(0, len(values), SEGMENTS_AT_ONCE):
        work.check()
        part = values[start : start + SEGMENTS_AT_ONCE]
        cams = classifier.class_activation(part, every_class, settings.layer or classifier.layers[0])
        maps.append([resize(cam, part.shape[1:]) for cam in cams])
        work.report(min(1.0, (start + len(part)) / len(values)), "Grad-CAM")
    stitched = [stitch(class_maps, target) for class_maps in np.concatenate(maps, axis=1)]
    original = recording_probabilities(classifier.score(values), classifier.temperature, classifier.pooling)
    return GradCamResult(np.stack(stitched), original)


def grad_cam_refusal(classifier: Classifier) -> str:
    """Return the sentence that says why Grad-CAM does not apply to a classifier without layers."""
    return (
        f"Grad-CAM does not apply to {classifier.name}: it has no feature map whose gradient could be taken. "
        "LIME and occlusion do: they only need its predictions."
    )


def resize(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return maps (n, h, w) resized to (n, *size), interpolated linearly between the centres of their cells."""
    return F.interpolate(torch.from_numpy(maps)[:, None], size, mode="bilinear", align_corners=False)[:, 0].numpy()
