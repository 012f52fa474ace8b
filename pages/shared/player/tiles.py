"""Values over time as files of columns at several zoom levels, from which the browser fetches the visible part."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ser_core.audio.working_copy import OVERVIEW_STEP

#: Number of columns of the finest level in one column of each level.
MAP_STEPS = (1, 8, 64)
SAMPLE_STEPS = (OVERVIEW_STEP, 16_384)
PROFILE_STEPS = (1, 16, 256)
TRACK_STEPS = (1, 16, 256)

#: Columns fetched at once: 30 s of a spectrogram at its finest level.
MAP_TILE = 3_000
LINE_TILE = 16_384
#: 20 s of all measures at their finest level.
TRACK_TILE = 2_048

#: Percentiles of a spectrogram with the darkest and the brightest colour; values beyond are clipped.
DARKEST_PERCENTILE, BRIGHTEST_PERCENTILE = 2.0, 99.8
MAX_RANKED_VALUES = 500_000
INT16_MAX = 32_767

Reduction = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Level:
    """One zoom level: a file of consecutive columns without a header.

    Attributes
    ----------
    content : bytes
        Little-endian, of shape (columns, rows).
    type : str
        u1, i2 or f4, as NumPy names them.
    step : int
        Number of columns of the finest level in one column.
    tile : int
        Number of columns that the browser should fetch at once.
    """

    content: bytes
    type: str
    step: int
    columns: int
    rows: int
    tile: int

    @cached_property
    def identity(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def spectrogram_levels(log_mel: np.ndarray) -> tuple[list[Level], float, float]:
    """Return the levels of a log-mel spectrogram (frames, bands) as bytes, and the nepers of 0 and 255."""
    ranked = log_mel[:: 1 + log_mel.size // MAX_RANKED_VALUES]
    low, high = np.percentile(ranked, (DARKEST_PERCENTILE, BRIGHTEST_PERCENTILE)).astype(float)
    high = max(high, low + 1.0)
    scaled = np.clip((log_mel - low) * (255 / (high - low)), 0, 255)
    return [_level(_blocks(scaled, step, _mean).round(), "u1", step, MAP_TILE) for step in MAP_STEPS], low, high


def relevance_levels(relevance: np.ndarray) -> tuple[list[Level], float]:
    """Return the levels of a map (frames, bands) in 16 bits, and the relevance of the highest number."""
    largest = float(np.abs(relevance).max(initial=0.0)) or 1.0
    scaled = relevance * (INT16_MAX / largest)
    return [_level(_blocks(scaled, step, _mean).round(), "i2", step, MAP_TILE) for step in MAP_STEPS], largest


def profile_levels(profile: np.ndarray) -> list[Level]:
    """Return the levels of a profile (frames,): its values, then minimum and maximum of longer and longer blocks."""
    finest = _level(profile[:, None], "f4", 1, LINE_TILE)
    return [finest, *(_level(_blocks(profile, step, _extremes), "f4", step, LINE_TILE) for step in PROFILE_STEPS[1:])]


def track_levels(values: np.ndarray) -> list[Level]:
    """Return the levels of measures (frames, measures) in 32 bits: their values, then minima and maxima of blocks.

    A column of a coarser level has the minima of all measures, then their maxima, without the frames where a measure
    is NaN; NaN where it always is.
    """
    finest = _level(values, "f4", 1, TRACK_TILE)
    return [finest, *(_level(_blocks(values, step, _ranges), "f4", step, TRACK_TILE) for step in TRACK_STEPS[1:])]


def sample_levels(samples: np.ndarray) -> list[Level]:
    """Return minimum and maximum of longer and longer blocks of samples (n,) in [-1, 1], in 16 bits."""
    finest = _blocks(samples, SAMPLE_STEPS[0], _extremes)
    return overview_levels((np.clip(finest, -1, 1) * INT16_MAX).round())


def overview_levels(extremes: np.ndarray) -> list[Level]:
    """Return the levels of `sample_levels` from the finest one, shape (blocks, 2), in 16 bits."""
    coarser = _blocks(extremes, SAMPLE_STEPS[1] // SAMPLE_STEPS[0], _extremes)
    return [
        _level(values, "i2", step, LINE_TILE) for values, step in zip((extremes, coarser), SAMPLE_STEPS, strict=True)
    ]


def _level(columns: np.ndarray, kind: str, step: int, tile: int) -> Level:
    return Level(columns.astype(f"<{kind}").tobytes(), kind, step, len(columns), columns.shape[1], tile)


def _blocks(values: np.ndarray, step: int, reduction: Reduction) -> np.ndarray:
    """Reduce each `step` values to one column; the last column reduces the remaining values."""
    whole = len(values) // step * step
    reduced = reduction(values[:whole].reshape(-1, step, *values.shape[1:]))
    if whole == len(values):
        return reduced
    return np.concatenate([reduced, reduction(values[None, whole:])])


def _mean(blocks: np.ndarray) -> np.ndarray:
    return blocks.mean(axis=1) if blocks.shape[1] > 1 else blocks[:, 0]


def _extremes(blocks: np.ndarray) -> np.ndarray:
    """Return minimum and maximum of each block of values or of such pairs, shape (blocks, 2)."""
    within = tuple(range(1, blocks.ndim))
    return np.stack([blocks.min(axis=within), blocks.max(axis=within)], axis=1)


def _ranges(blocks: np.ndarray) -> np.ndarray:
    """Return minima and maxima of each block (blocks, frames, measures), shape (blocks, 2 x measures)."""
    return np.concatenate([np.fmin.reduce(blocks, axis=1), np.fmax.reduce(blocks, axis=1)], axis=1)
