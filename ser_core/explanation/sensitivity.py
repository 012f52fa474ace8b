"""Sensitivity of maps to small changes of the input, and to random weights of the model."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ser_core.explanation.agreement import rank_correlation
from ser_core.explanation.relevance import ExplanationTarget
from ser_core.model.classifier import Classifier
from ser_core.work.progress import Work

Maps = Mapping[str, np.ndarray]


def max_sensitivity(
    maps: Maps,
    explain: Callable[[ExplanationTarget], Maps],
    target: ExplanationTarget,
    radius: float,
    samples: int,
    seed: int,
    work: Work,
) -> dict[str, float]:
    """Return the largest change of each map, relative to its own norm, under small changes of the input.

    Each point of the log-mel spectrogram changes independently and uniformly within the radius; the selection of
    segments does not change. The norm of a map that is zero everywhere counts as 1.

    Parameters
    ----------
    maps : mapping of str to ndarray of shape (frames, bands)
        Maps of the unchanged target.
    explain : callable
        Returns the same maps for the changed target.
    radius : float
        In neper.
    samples : int
        Number of changed inputs; each costs as much as the maps did.

    Raises
    ------
    Cancelled

    References
    ----------
    Yeh et al. 2019, arXiv:1901.09392, as `captum.metrics.sensitivity_max`.
    """
    rng = np.random.default_rng(seed)
    largest = dict.fromkeys(maps, 0.0)
    for done in range(samples):
        work.check()
        work.report(done / samples, f"{done} of {samples} changed inputs explained")
        change = rng.uniform(-radius, radius, target.log_mel.shape).astype(np.float32)
        changed = explain(_with_log_mel(target, target.log_mel + change))
        for name, map_ in maps.items():
            distance = float(np.linalg.norm(map_ - changed[name]) / (np.linalg.norm(map_) or 1))
            largest[name] = max(largest[name], distance)
    return largest


def _with_log_mel(target: ExplanationTarget, log_mel: np.ndarray) -> ExplanationTarget:
    length = target.segments.segment_frames
    padding = target.segments.values[-1][len(log_mel) :]  # of a short recording
    windows = sliding_window_view(np.concatenate([log_mel, padding]), length, axis=0)
    values = windows[target.segments.start_frames].swapaxes(1, 2)
    return replace(target, log_mel=log_mel, segments=replace(target.segments, values=values))


def weight_randomisation(
    maps: Maps, explain: Callable[[Classifier], Maps], classifier: Classifier, covered: np.ndarray, seed: int
) -> dict[str, float] | None:
    """Return the rank correlation of each map with that of the same architecture with random weights.

    Near 0 a map shows what the model learnt; near 1 only the recording. NaN if a map is constant.

    Parameters
    ----------
    maps : mapping of str to ndarray of shape (frames, bands)
        Maps of the classifier.
    explain : callable
        Returns the same maps for another classifier.
    covered : ndarray of shape (frames,), bool
        Frames to compare.

    Returns
    -------
    dict or None
        None if the classifier has no version with random weights.

    References
    ----------
    Adebayo et al. 2018, arXiv:1810.03292: all weights at once, with signed maps.
    """
    randomised = classifier.randomised(seed)
    if randomised is None:
        return None
    other = explain(randomised)
    return {name: rank_correlation(map_[covered].ravel(), other[name][covered].ravel()) for name, map_ in maps.items()}
