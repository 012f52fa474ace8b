"""From a model's logits to probabilities, and from those to the verdict and to evidence."""

import numpy as np

from ser_core.errors import ModelRefused
from ser_core.settings import VerdictSettings

#: Verdicts that name no emotion.
NOT_SURE, NO_SPEECH = "not sure", "no speech heard"
PROBABILITY_FLOOR = 1e-4
#: What can be averaged over a recording's segments.
POOLINGS = ("probabilities", "logits")
#: Smaller probabilities are raised to this, so that their logarithms are finite.
SMALLEST_PROBABILITY = 1e-300


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the softmax of logits along the last axis, float64. All scores of a model come from here.

    Raises
    ------
    ModelRefused
        If logits are not finite: their probabilities would be NaN, and look like a result.
    """
    scaled = np.asarray(logits, np.float64) / temperature
    finite = np.isfinite(scaled).all(axis=-1)
    if not finite.all():
        raise ModelRefused(
            f"The model's logits are not finite numbers in {np.count_nonzero(~finite)} of {finite.size} segments. "
            "Its weights are damaged or too large: fetch, train or export it again, or choose another model."
        )
    scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return scaled / scaled.sum(axis=-1, keepdims=True)


def recording_probabilities(logits: np.ndarray, temperature: float, pooling: str = "probabilities") -> np.ndarray:
    """Return a recording's probabilities (classes,), float64, from its segments' logits (segments, classes)."""
    return pool(softmax(logits, temperature), pooling)


def pool(probabilities: np.ndarray, pooling: str = "probabilities") -> np.ndarray:
    """Return a recording's probabilities (classes,), float64, from its segments' (segments, classes).

    Parameters
    ----------
    pooling : str
        One of `POOLINGS`: what is averaged over the segments. The softmax of mean logits is the geometric mean of the
        segments' probabilities, scaled to add up to 1.
    """
    return pooled(pooling_terms(probabilities, pooling).mean(axis=0), pooling)


def pooling_terms(probabilities: np.ndarray, pooling: str) -> np.ndarray:
    """Return the terms of the recording's mean, one row per segment, with the shape of the probabilities."""
    if pooling == "probabilities":
        return probabilities
    # The logits minus a constant per segment, which does not affect a softmax.
    return np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))


def pooled(mean_terms: np.ndarray, pooling: str) -> np.ndarray:
    """Return the probabilities (..., classes) of means of `pooling_terms`."""
    return mean_terms if pooling == "probabilities" else softmax(mean_terms)


def evidence(probabilities: np.ndarray, emotion: int, against: int | None = None) -> np.ndarray:
    """Return how strongly probabilities support an emotion, in log-odds.

    Parameters
    ----------
    probabilities : ndarray of shape (..., classes)
    emotion, against : int
        Indices of the emotions; `against` None means against all others together.

    Returns
    -------
    ndarray of shape (...)
        log p - log(1 - p), or log p minus the log of the other's p; each p is clipped to 1e-4 and 1 - 1e-4.
    """
    p = np.clip(probabilities, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    if against is None:
        return np.log(p[..., emotion]) - np.log1p(-p[..., emotion])
    return np.log(p[..., emotion]) - np.log(p[..., against])


def verdict_of(scores: np.ndarray, emotions: tuple[str, ...], speech_s: float, settings: VerdictSettings) -> str:
    """Return an emotion's name, `NOT_SURE` or `NO_SPEECH`.

    Parameters
    ----------
    scores : ndarray of shape (classes,)
        The recording's calibrated probabilities.
    speech_s : float
        Seconds of detected speech.
    """
    if speech_s < settings.least_speech_s:
        return NO_SPEECH
    if scores.max() < settings.least_score:
        return NOT_SURE
    return emotions[int(scores.argmax())]
