"""Smooth a timeline over some seconds, with gaps in pauses, and find its strongest stretches."""

import numpy as np

from ser_core.analysis import Region
from ser_core.errors import SettingsRefused
from ser_core.timeline.timeline import Timeline

#: Segments with an RMS level below this are pauses in a recording of normal level.
QUIET_DBFS = -50.0
SMOOTHING_S = 10.0
LONGEST_SMOOTHING_S = 600.0
STRETCHES_PER_EMOTION = 3


def smoothed(timeline: Timeline, seconds: float = SMOOTHING_S, quiet_dbfs: float = QUIET_DBFS) -> np.ndarray:
    """Return a centred moving mean of the probabilities.

    Parameters
    ----------
    seconds : float
        Average segments whose middles are at most half of this away; 0: no averaging.
    quiet_dbfs : float
        Segments below this level are left out of every mean.

    Returns
    -------
    ndarray of shape (n, classes), float64
        NaN for quiet segments.
    """
    means, _ = _moving_means(timeline, seconds, quiet_dbfs)
    return means


def strongest_stretches(
    timeline: Timeline, seconds: float = SMOOTHING_S, quiet_dbfs: float = QUIET_DBFS
) -> dict[str, list[tuple[Region, float]]]:
    """Return where the smoothed probability of each emotion is highest, with that probability.

    A stretch is the range of one mean of `smoothed`. Stretches of one emotion do not overlap. Means over fewer than
    half as many segments as the largest are skipped: a mean of few may be high by chance.

    Returns
    -------
    dict of emotion to list of (Region, float)
        At most `STRETCHES_PER_EMOTION` each, the highest first.
    """
    means, counts = _moving_means(timeline, seconds, quiet_dbfs)
    middles = timeline.middles_s
    length_s = max(seconds, float((timeline.ends_s - timeline.starts_s).max()))
    found: dict[str, list[tuple[Region, float]]] = {emotion: [] for emotion in timeline.emotions}
    for index, stretches in enumerate(found.values()):
        free = (counts > 0) & (2 * counts >= counts.max())
        while free.any() and len(stretches) < STRETCHES_PER_EMOTION:
            peak = int(np.argmax(np.where(free, means[:, index], -1.0)))
            start_s, end_s = middles[peak] - length_s / 2, middles[peak] + length_s / 2
            region = Region(max(0.0, float(start_s)), min(float(end_s), timeline.duration_s))
            stretches.append((region, float(means[peak, index])))
            free &= np.abs(middles - middles[peak]) > length_s - 1e-6
    return found


def _moving_means(timeline: Timeline, seconds: float, quiet_dbfs: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean around each segment (n, classes), and the number of segments in it, 0 for quiet segments."""
    if not 0 <= seconds <= LONGEST_SMOOTHING_S:
        raise SettingsRefused(f"Smoothing over {seconds:g} s is not possible; choose 0 to {LONGEST_SMOOTHING_S:g} s.")
    loud = timeline.level_dbfs >= quiet_dbfs
    middles = timeline.middles_s
    # Middles exactly half of `seconds` away are included despite rounding.
    first = np.searchsorted(middles, middles - seconds / 2 - 1e-6)
    end = np.searchsorted(middles, middles + seconds / 2 + 1e-6)
    until = np.concatenate([[0], np.cumsum(loud)])
    counts = np.where(loud, until[end] - until[first], 0)
    sums = np.cumsum(np.where(loud[:, None], timeline.probabilities, 0.0), axis=0, dtype=np.float64)
    sums = np.concatenate([np.zeros((1, sums.shape[1])), sums])
    means = (sums[end] - sums[first]) / np.maximum(counts, 1)[:, None]
    return np.where(loud[:, None], means, np.nan), counts
