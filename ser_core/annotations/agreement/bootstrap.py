"""A figure over recordings with a bootstrap interval, or the reason why it is undefined."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ser_core.learning.metrics import RESAMPLES

SEED = 0


@dataclass(frozen=True)
class Measured:
    """A figure.

    Attributes
    ----------
    value : float or None
        None if it is undefined; `reason` says why.
    interval : tuple of float, or None
        95 %, from sets of recordings drawn with replacement; None with fewer than two recordings.
    recordings : int
        Number of recordings that it is computed from.
    """

    value: float | None
    interval: tuple[float, float] | None
    recordings: int
    reason: str = ""


def measured(
    tallies: np.ndarray, figure: Callable[[np.ndarray], np.ndarray], *, nothing: str, undefined: str
) -> Measured:
    """Return a figure that is a function of sums over recordings.

    Parameters
    ----------
    tallies : ndarray of shape (recordings, ...)
        The contribution of each recording to the sums.
    figure : callable
        From sums (sets, ...) to values (sets,), NaN where undefined; such sets are left out of the interval.
    nothing, undefined : str
        The reason if there is no recording, and if the value is undefined.
    """
    count = len(tallies)
    if not count:
        return Measured(None, None, 0, nothing)
    value = float(figure(tallies.sum(axis=0)[None])[0])
    if np.isnan(value):
        return Measured(None, None, count, undefined)
    if count == 1:
        return Measured(value, None, count)
    drawn = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    values = figure((drawn @ tallies.reshape(count, -1)).reshape(RESAMPLES, *tallies.shape[1:]))
    low, high = np.percentile(values[~np.isnan(values)], [2.5, 97.5])
    return Measured(value, (float(low), float(high)), count)


def measured_ratio(tallies: np.ndarray, *, nothing: str, undefined: str) -> Measured:
    """Return the sum of the first column of (recordings, 2) over that of the second: the mean, if the second is 1."""
    return measured(tallies, lambda sums: ratio(sums[:, 0], sums[:, 1]), nothing=nothing, undefined=undefined)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the ratio, float64, NaN where the denominator is 0; both have the same shape."""
    return np.divide(
        numerator, denominator, out=np.full(np.shape(denominator), np.nan), where=np.asarray(denominator) != 0
    )
