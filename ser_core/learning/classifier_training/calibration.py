"""Calibrate a trained model: fit the temperature of its scores on the validation side."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from torch import nn

from ser_core.learning.batches import figures_of, logits_of
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.plan import TrainingPlan, fine_tunes_head
from ser_core.model.checkpoint import read_card
from ser_core.model.onnx_classifier import OnnxClassifier
from ser_core.model.scores import recording_probabilities
from ser_core.model.shipped_models import find_model


def calibrate(
    model: nn.Module | bytes, plan: TrainingPlan, validation: Sequence[LabelledSpectrogram]
) -> tuple[float, dict[str, Any]]:
    """Return the temperature of a network, or of an estimator as ONNX, and its figures on the validation side."""
    logits = _logits(model, plan, validation)
    if any(fine_tunes_head(stage, plan) for stage in plan.stages):
        # There are too few recordings to fit another temperature.
        temperature = read_card(find_model(plan.warm_start))["temperature"]
    else:
        temperature = fit_temperature(logits, np.array([entry.label for entry in validation]), plan.pooling)
    probabilities = np.stack([recording_probabilities(z, temperature, plan.pooling) for z in logits])
    return temperature, figures_of(probabilities, validation, plan.emotions)


def _logits(model: nn.Module | bytes, plan: TrainingPlan, dataset: Sequence[LabelledSpectrogram]) -> list[np.ndarray]:
    if isinstance(model, nn.Module):
        return logits_of(model, dataset)
    classifier = OnnxClassifier(
        model,
        name=plan.network,
        sha256=hashlib.sha256(model).hexdigest(),
        emotions=plan.emotions,
        front_end=plan.front_end,
    )
    return [classifier.score(entry.segments.astype(np.float32)) for entry in dataset]


def fit_temperature(
    logits_of_recordings: Sequence[np.ndarray], labels: np.ndarray, pooling: str = "probabilities"
) -> float:
    """Return the temperature that minimises the negative log-likelihood of the recordings' labels.

    Parameters
    ----------
    logits_of_recordings : sequence of ndarray of shape (segments, classes)
    labels : ndarray of shape (recordings,), int
    pooling : str
        How segments are pooled into a recording (see `ser_core.model.scores.pool`).

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599; here for recordings instead of segments, because the app shows recordings.
    """

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        p = np.stack([recording_probabilities(logits, temperature, pooling) for logits in logits_of_recordings])
        return float(-np.log(np.clip(p[np.arange(len(labels)), labels], 1e-9, 1)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))
