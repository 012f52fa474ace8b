"""Gaussian data selection: select the segments whose levels are distributed as in the rest of the recording."""

import numpy as np

from ser_core.analysis import Recording, Segments, Spectrogram
from ser_core.front_end.segments import split_into_segments
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.settings import FrontEnd, SelectionSettings

GRID_POINTS = 256
MIN_SEGMENTS = 3


def segments_of_recording(recording: Recording, front_end: FrontEnd) -> Segments:
    """Return the segments of a recording, and which of them are selected."""
    return segments_of(spectrogram_of(recording, front_end.spectrogram), front_end)


def segments_of(spectrogram: Spectrogram, front_end: FrontEnd) -> Segments:
    """Cut a spectrogram into segments and select among them; perturbations of it reuse this selection."""
    values, starts = split_into_segments(spectrogram.log_mel, front_end.segments)
    selected, gds_score = select_segments(values, front_end.selection)
    return Segments(values, starts, selected, gds_score)


def gaussian_densities(segments: np.ndarray) -> np.ndarray:
    """Return each segment's Gaussian density on a grid that all segments of the recording share.

    Parameters
    ----------
    segments : ndarray of shape (segments, frames, bands), float
        In neper.

    Returns
    -------
    ndarray of shape (segments, GRID_POINTS), float64
        The grid runs from the lowest to the highest value. The standard deviation is at least one grid step, because
        digital silence has none.
    """
    low, high = float(segments.min()), float(segments.max())
    grid = np.linspace(low, max(high, low + 1e-6), GRID_POINTS)
    mean = segments.mean(axis=(1, 2), dtype=np.float64)[:, None]
    deviation = np.maximum(segments.std(axis=(1, 2), dtype=np.float64), grid[1] - grid[0])[:, None]
    return np.exp(-0.5 * ((grid - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))


def selection_scores(segments: np.ndarray, rule: str) -> np.ndarray | None:
    """Score how much each segment resembles the others; None if there are fewer than three.

    Parameters
    ----------
    segments : ndarray of shape (segments, frames, bands), float
    rule : {"minmax", "guarded"}
        `minmax` is the published algorithm: row sums of the correlations, scaled to 0 to 1, so that the least similar
        segment scores 0 even if all are alike. `guarded` is the mean correlation with the other segments, -1 to 1.

    Returns
    -------
    ndarray of shape (segments,), float64, or None

    References
    ----------
    Kim and Kwak 2024, Algorithm 1. The shared grid is our reading: the paper evaluates each Gaussian at its own values.
    """
    if len(segments) < MIN_SEGMENTS:
        return None
    correlation = np.corrcoef(gaussian_densities(segments))
    if rule == "minmax":
        sums = correlation.sum(axis=1)
        spread = sums.max() - sums.min()
        return (sums - sums.min()) / spread if spread > 1e-9 else np.ones(len(sums))
    return (correlation.sum(axis=1) - 1) / (len(segments) - 1)


def select_segments(segments: np.ndarray, settings: SelectionSettings) -> tuple[np.ndarray, np.ndarray | None]:
    """Select the segments whose score exceeds the threshold.

    Returns
    -------
    selected : ndarray of shape (segments,), bool
        All True if there are no scores, or none exceeds the threshold.
    scores : ndarray of shape (segments,), float64, or None
    """
    scores = None if settings.rule == "none" else selection_scores(segments, settings.rule)
    if scores is None:
        return np.ones(len(segments), bool), None
    selected = scores > settings.threshold
    return (selected if selected.any() else np.ones(len(segments), bool)), scores
