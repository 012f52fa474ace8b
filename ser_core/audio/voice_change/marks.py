"""The periods of a voice, on which changes of its pitch and quality are based."""

from dataclasses import dataclass

import numpy as np

from ser_core.analysis import Recording
from ser_core.audio.prosody import Prosody

#: Voiced frames this near to each other belong to one voiced stretch.
LONGEST_STEP_S = 0.025
#: How far a mark may be from where the pitch predicts it, as a share of the period.
PERIOD_TOLERANCE = 0.2
#: Marks of unvoiced sound are this far apart.
UNVOICED_STEP_S = 0.005


@dataclass(frozen=True, eq=False)
class PitchMarks:
    """The periods of a voice.

    Attributes
    ----------
    samples : ndarray of shape (marks,), int
        One mark in each period, at the same point of its waveform, and every 5 ms where nothing is voiced; the first
        is 0, the last is the recording's length.
    runs : tuple of (first, last)
        Indices of the first and last mark of each voiced stretch.
    pitch_hz : ndarray of shape (marks,), float64
        As measured; NaN outside the runs.
    """

    samples: np.ndarray
    runs: tuple[tuple[int, int], ...]
    pitch_hz: np.ndarray


def pitch_marks(recording: Recording, prosody: Prosody) -> PitchMarks:
    """Find the periods of a voice from its pitch: each where the waveform is most similar to the period before."""
    rate, count = recording.sample_rate_hz, len(recording.samples)
    marks, runs, pitches, step = [0], [], [np.nan], round(UNVOICED_STEP_S * rate)
    for times_s, pitch_hz in _voiced_runs(prosody):
        found = _marks_of_run(recording.samples, rate, times_s, pitch_hz)
        found = found[(found > marks[-1]) & (found < count)]
        if len(found) < 3:
            continue
        _add_unvoiced_marks(marks, pitches, int(found[0]), step)
        first = len(marks)
        marks += found.tolist()
        pitches += np.interp(found / rate, times_s, pitch_hz).tolist()
        runs.append((first, len(marks) - 1))
    _add_unvoiced_marks(marks, pitches, count, step)
    return PitchMarks(np.array([*marks, count]), tuple(runs), np.array([*pitches, np.nan]))


def _voiced_runs(prosody: Prosody) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return times (s) and pitch (Hz) of each stretch of voiced frames without a gap."""
    breaks = np.flatnonzero(np.diff(prosody.times_s) > LONGEST_STEP_S) + 1
    runs = zip(np.split(prosody.times_s, breaks), np.split(prosody.pitch_hz, breaks), strict=True)
    return [(times_s, pitch_hz) for times_s, pitch_hz in runs if len(times_s) > 1]


def _marks_of_run(samples: np.ndarray, rate: int, times_s: np.ndarray, pitch_hz: np.ndarray) -> np.ndarray:
    """Return a mark for each period of a voiced stretch, starting from its loudest point in both directions."""
    first, end = round(times_s[0] * rate), min(round(times_s[-1] * rate), len(samples) - 1)
    if end - first < 2:
        return np.empty(0, int)
    seed = first + int(np.argmax(np.abs(samples[first:end])))

    def follow(direction: int) -> list[float]:
        found, at = [], float(seed)
        while True:
            period = rate / np.interp(at / rate, times_s, pitch_hz)
            at = _next_period(samples, at, period, direction)
            if at is None or not first <= at <= end:
                return found
            found.append(at)

    return np.round([*reversed(follow(-1)), seed, *follow(1)]).astype(int)


def _next_period(samples: np.ndarray, at: float, period: float, direction: int) -> float | None:
    """Return the point about one period away whose surroundings are most similar to those of `at`; None near the ends.

    It may lie between samples, at the vertex of a parabola through the correlations: if it were rounded, every period
    would be wrong by the same fraction of a sample, and the marks would drift.
    """
    half, reach, here = round(period / 2), round(PERIOD_TOLERANCE * period), round(at)
    middle = here + direction * round(period)
    low, high = middle - half - reach, middle + half + reach + 1
    if min(low, here - half) < 0 or max(high, here + half + 1) > len(samples):
        return None
    pattern = samples[here - half : here + half + 1].astype(np.float64)
    there = samples[low:high].astype(np.float64)
    correlation = np.correlate(there, pattern, "valid")
    energy = np.cumsum(np.append(0.0, there**2))
    correlation /= np.sqrt(energy[len(pattern) :] - energy[: -len(pattern)] + 1e-12)
    best = int(np.argmax(correlation))
    if 0 < best < len(correlation) - 1:
        before, peak, after = correlation[best - 1 : best + 2]
        curve = before - 2 * peak + after
        best += (before - after) / (2 * curve) if curve < 0 else 0.0
    return at + middle - reach - here + best


def _add_unvoiced_marks(marks: list[int], pitches: list[float], until: int, step: int) -> None:
    """Add evenly spaced marks without pitch between the last mark and `until`, both excluded."""
    count = max(0, -(-(until - marks[-1]) // step) - 1)
    between = np.linspace(marks[-1], until, count + 2)[1:-1].round().astype(int)
    marks += between.tolist()
    pitches += [np.nan] * count
