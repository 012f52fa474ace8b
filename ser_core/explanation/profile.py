"""Relevance over time: a map's mean over the bands, smoothed."""

import numpy as np


def relevance_profile(relevance: np.ndarray, covered: np.ndarray, smoothing_frames: int) -> np.ndarray:
    """Return the smoothed mean over bands.

    Parameters
    ----------
    relevance : ndarray of shape (frames, bands)
    covered : ndarray of shape (frames,), bool
        Other frames neither count in the mean nor have a profile.
    smoothing_frames : int
        Length of the centred moving average; an even one is made odd by one more frame, so that it has a middle.

    Returns
    -------
    ndarray of shape (frames,), float64
        0 where `covered` is False. At the edges the mean is over the frames that there are.
    """
    window = np.ones(smoothing_frames + 1 - smoothing_frames % 2)
    reach = len(window) // 2
    # "full", cut by the reach: "same" would return the window's length for a recording shorter than it.
    total = np.convolve(np.where(covered, relevance.mean(axis=1), 0.0), window)[reach : reach + len(relevance)]
    count = np.convolve(covered.astype(float), window)[reach : reach + len(relevance)]
    return np.where(covered, total / np.maximum(count, 1), 0.0)
