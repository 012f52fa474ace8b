"""Move the bounds of words to pauses, or else to dips of energy.

Whisper aligns words by attention, in steps of 20 ms: a first word often begins at 0.0 s although speech begins later,
and a pause is counted as part of one of its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import maximum_filter1d

from ser_core.analysis import Recording, Region
from ser_core.audio.voice_activity import speech_frames

HOP_S, WINDOW_S = 0.005, 0.020
HOPS_AT_ONCE = 6_000


@dataclass(frozen=True)
class BoundSettings:
    """How bounds of words are moved; the defaults were chosen with `benchmarks/word_bounds.py`.

    Attributes
    ----------
    pause_db : float
        A frame is silent if it is this far below the loudest frame within `context_s`.
    noise_db : float
        A frame is also silent if it is less than this above the 5th percentile of all levels, if that is quiet.
    shortest_pause_s : float
        A shorter silence may be the closure of a stop consonant.
    reach_s : float
        A pause at most this far from a bound becomes the gap between the words.
    tail_s : float
        How far an end may move past other pauses, to the one before the next word.
    dip_s : float
        How far a bound moves to the lowest energy if there is no pause.
    """

    pause_db: float = 35.0
    noise_db: float = 6.0
    context_s: float = 1.0
    shortest_pause_s: float = 0.08
    reach_s: float = 0.30
    tail_s: float = 0.6
    dip_s: float = 0.04


def snap_words(
    words: Sequence[Region],
    recording: Recording,
    settings: BoundSettings | None = None,
    speech: np.ndarray | None = None,
) -> tuple[Region, ...]:
    """Return the words, in order of time, with bounds moved to pauses and dips of energy.

    Parameters
    ----------
    words : sequence of Region
        In order of time; they do not overlap.
    speech : ndarray of shape (pieces,), bool, optional
        As `detect_speech` returns it. The first word begins in speech: noise may be too loud for a pause before it.

    Returns
    -------
    tuple of Region
        The same words in the same order; they do not overlap, and each lasts at least one hop of 5 ms.
    """
    settings = settings or BoundSettings()
    if not words:
        return ()
    level_db = level_of(recording)
    pauses = _pauses(_silent(level_db, settings), settings)
    bounds = np.array([[_frame(word.start_s, level_db), _frame(word.end_s, level_db)] for word in words])
    if speech is not None:
        speech_start = int(np.argmax(speech_frames(speech, np.arange(len(level_db)) * HOP_S)))
        bounds[0, 0] = np.clip(speech_start, bounds[0, 0], bounds[0, 1])
    peaks = _peaks(bounds, level_db)
    starts, stops = [], []
    edges = [-1, *peaks, len(level_db)]
    for index in range(len(words) + 1):
        before = bounds[index - 1, 1] if index else bounds[0, 0]
        after = bounds[index, 0] if index < len(words) else bounds[-1, 1]
        inner = 0 < index < len(words)
        stop, start = _bound(before, after, edges[index], edges[index + 1], pauses, level_db, settings, inner=inner)
        stops.append(stop)
        starts.append(start)
    snapped, done = [], 0
    for word, start, stop in zip(words, starts[:-1], stops[1:], strict=True):
        start = max(start, done)  # words shorter than a frame may have the same one
        done = max(stop, start + 1)
        start_s, end_s = round(start * HOP_S, 3), min(round(done * HOP_S, 3), recording.duration_s)
        snapped.append(replace(word, start_s=start_s, end_s=max(end_s, start_s + 1e-3)))
    return tuple(snapped)


def level_of(recording: Recording) -> np.ndarray:
    """Return the level, in dB re full scale, of 20 ms windows every 5 ms, shape (frames,); frame i is at 5 i ms."""
    rate, samples = recording.sample_rate_hz, recording.samples
    edges = np.round(np.arange(0, len(samples) / rate + HOP_S, HOP_S) * rate).astype(int)
    edges = np.append(edges[edges < len(samples)], len(samples))
    power = np.empty(len(edges) - 1)
    for first in range(0, len(power), HOPS_AT_ONCE):  # squares of ten minutes at once would take half a gigabyte
        part = edges[first : first + HOPS_AT_ONCE + 1]
        squares = np.square(samples[part[0] : part[-1]], dtype=np.float64)
        power[first : first + HOPS_AT_ONCE] = np.add.reduceat(squares, part[:-1] - part[0])
    around = np.ones(round(WINDOW_S / HOP_S))
    return 10 * np.log10(np.convolve(power, around) / np.convolve(np.diff(edges), around) + 1e-10)[1 : len(power) + 2]


def _silent(level_db: np.ndarray, settings: BoundSettings) -> np.ndarray:
    loudest = maximum_filter1d(level_db, 2 * round(settings.context_s / HOP_S) + 1)
    floor = min(np.percentile(level_db, 5), level_db.max() - settings.pause_db)
    return level_db < np.maximum(loudest - settings.pause_db, floor + settings.noise_db)


def _pauses(silent: np.ndarray, settings: BoundSettings) -> np.ndarray:
    """Return first and end frame (excluded) of each silence that is long enough, shape (pauses, 2)."""
    runs = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]))).reshape(-1, 2)
    return runs[runs[:, 1] - runs[:, 0] >= round(settings.shortest_pause_s / HOP_S)]


def _frame(seconds: float, level_db: np.ndarray) -> int:
    return min(round(seconds / HOP_S), len(level_db) - 1)


def _peaks(bounds: np.ndarray, level_db: np.ndarray) -> list[int]:
    """Return the loudest frame of each word, in order, so that no bound can cross a word."""
    return [start + int(np.argmax(level_db[start : max(end, start + 1)])) for start, end in bounds]


def _bound(
    before: int,
    after: int,
    left: int,
    right: int,
    pauses: np.ndarray,
    level_db: np.ndarray,
    settings: BoundSettings,
    *,
    inner: bool,
) -> tuple[int, int]:
    """Return where one word ends and the next starts, between the peaks `left` and `right` of both words."""
    reach, tail = round(settings.reach_s / HOP_S), round(settings.tail_s / HOP_S)
    near = pauses[(pauses[:, 1] > max(before - reach, left)) & (pauses[:, 0] < min(after + reach, right))]
    near = near[(near[:, 0] > left) & (near[:, 1] <= right)]
    if len(near):
        _, start = _nearest(near, after)
        stop = near[near[:, 1] == start][0, 0]
        # Whisper puts the ends of words too early, so sound between two words belongs to the first, within limits.
        if stop - before > tail:
            stop, _ = _nearest(near, before)
        return int(stop), int(start)
    if not inner:
        return before, after
    middle, dip = (before + after) // 2, round(settings.dip_s / HOP_S)
    first, end = max(left + 1, min(before, middle - dip)), min(right, max(after, middle + dip) + 1)
    if end <= first:
        return middle, middle
    lowest = first + int(np.argmin(level_db[first:end]))
    return lowest, lowest


def _nearest(pauses: np.ndarray, frame: int) -> tuple[int, int]:
    """Return the pause that contains a frame or is nearest to it; of several equally near, the longest."""
    distance = np.maximum(0, np.maximum(pauses[:, 0] - frame, frame - pauses[:, 1]))
    first, end = pauses[np.lexsort((pauses[:, 0] - pauses[:, 1], distance))[0]]
    return int(first), int(end)
