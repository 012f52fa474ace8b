"""Occlusion: how much evidence is lost when a box of the spectrogram is replaced."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ser_core.explanation.relevance import ExplanationTarget, Perturbed, fill_values
from ser_core.model.classifier import Classifier
from ser_core.settings import OcclusionSettings
from ser_core.work.progress import Work


@dataclass(frozen=True, eq=False)
class OcclusionResult:
    """The recording's probabilities, (classes,), and those without each box, (boxes, classes)."""

    boxes: list[tuple[slice, slice]]
    original: np.ndarray
    remaining: np.ndarray

    def relevance(self, target: ExplanationTarget) -> np.ndarray:
        """Return the relevance (frames, bands), in log-odds: the mean loss over the boxes that contain a point."""
        losses = target.evidence(self.original) - target.evidence(self.remaining)
        total, count = np.zeros(target.log_mel.shape), np.zeros(target.log_mel.shape)
        for box, loss in zip(self.boxes, losses, strict=True):
            total[box] += loss
            count[box] += 1
        relevance = (total / np.maximum(count, 1)).astype(np.float32)
        relevance[~target.covered] = 0
        return relevance

    def stability(self, target: ExplanationTarget) -> None:
        """Return None: the positions of the boxes are not random."""

    def standard_error(self, target: ExplanationTarget) -> None:
        """Return None: the positions of the boxes are not random."""


def occlusion(
    classifier: Classifier,
    target: ExplanationTarget,
    settings: OcclusionSettings,
    seed: int,
    work: Work,
) -> OcclusionResult:
    """Score the recording with each box replaced in turn.

    References
    ----------
    Zeiler and Fergus 2014, arXiv:1311.2901; boxes and averaging as in `captum.attr.Occlusion`.
    """
    fill = fill_values(target.log_mel, settings.fill, np.random.default_rng(seed))
    perturbed = Perturbed.of_classifier(classifier, target, fill, locally=True)
    boxes = list(_boxes(target, settings))

    def masks() -> Iterator[np.ndarray]:
        for box in boxes:
            mask = np.zeros(target.log_mel.shape, bool)
            mask[box] = True
            yield mask

    return OcclusionResult(boxes, perturbed.original, perturbed.without(masks(), len(boxes), work))


def _boxes(target: ExplanationTarget, settings: OcclusionSettings) -> Iterator[tuple[slice, slice]]:
    frames, bands = target.end_frame - target.first_frame, target.log_mel.shape[1]
    for frame in _starts(frames, settings.window_frames, settings.stride_frames):
        for band in _starts(bands, settings.window_bands, settings.stride_bands):
            first = target.first_frame + frame
            end = min(first + settings.window_frames, target.end_frame)
            yield slice(first, end), slice(band, min(band + settings.window_bands, bands))


def _starts(length: int, window: int, stride: int) -> range:
    """Return where boxes start; the last box reaches the end, and may be cut off there."""
    return range(0, max(-(-(length - window) // stride), 0) * stride + 1, stride)
