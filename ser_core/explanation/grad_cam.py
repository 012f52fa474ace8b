"""Grad-CAM: where the network's last maps speak for an emotion."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from ser_core.classifier import Classifier
from ser_core.errors import Cancelled, SettingsRefused
from ser_core.explanation.relevance import Progress, Question, stitch
from ser_core.settings import GradCamSettings

SEGMENTS_AT_ONCE = 32


def grad_cam(
    classifier: Classifier,
    question: Question,
    settings: GradCamSettings,
    seed: int,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> np.ndarray:
    """Return the relevance (frames, bands), signed, in logits per cell of the layer's map.

    `seed` plays no part: nothing here is random.

    References
    ----------
    Selvaraju et al. 2017, arXiv:1610.02391, without its final ReLU: what speaks against the emotion stays visible.
    """
    if not classifier.layers:
        raise SettingsRefused(f"{classifier.name} has no feature map for Grad-CAM. Use LIME or occlusion.")
    weights = np.zeros(len(classifier.emotions), np.float32)
    weights[question.emotion] = 1
    if question.against is not None:
        weights[question.against] = -1
    values = question.segments.values[question.members]
    maps = []
    for start in range(0, len(values), SEGMENTS_AT_ONCE):
        if cancelled():
            raise Cancelled("Stopped.")
        part = values[start : start + SEGMENTS_AT_ONCE]
        cams = classifier.class_activation(part, weights, settings.layer or classifier.layers[0])
        maps.append(resize(cams, part.shape[1:]))
        progress(min(1.0, (start + len(part)) / len(values)), "Grad-CAM")
    return stitch(np.concatenate(maps), question)


def resize(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return maps (n, h, w) enlarged to (n, *size), linearly between the middles of their cells."""
    return F.interpolate(torch.from_numpy(maps)[:, None], size, mode="bilinear", align_corners=False)[:, 0].numpy()
