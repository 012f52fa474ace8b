"""From a model's logits to probabilities, and from probabilities to evidence."""

import numpy as np

from ser_core.errors import ModelRefused

PROBABILITY_FLOOR = 1e-4


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return probabilities along the last axis, float64: all scores of a model come from here.

    Raises
    ------
    ModelRefused
        If logits are not finite: their probabilities would be nan, and look like a result.
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


def mean_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return a recording's probabilities (classes,), the mean over its segments' (segments, classes), float64."""
    return softmax(logits, temperature).mean(axis=0)


def evidence(probabilities: np.ndarray, emotion: int, against: int | None = None) -> np.ndarray:
    """Return how strongly probabilities speak for an emotion, in log-odds.

    Parameters
    ----------
    probabilities : ndarray of shape (..., classes)
    emotion, against : int
        Places of the emotions; `against` None: against all others together.

    Returns
    -------
    ndarray of shape (...)
        log p - log(1 - p), or log p - log of the other's p, each p kept within 1e-4 and 1 - 1e-4.
    """
    p = np.clip(probabilities, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    if against is None:
        return np.log(p[..., emotion]) - np.log1p(-p[..., emotion])
    return np.log(p[..., emotion]) - np.log(p[..., against])
