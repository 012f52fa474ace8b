"""Level and pitch of the voiced frames of a recording, inside and outside regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from swift_f0 import SwiftF0

from ser_core.analysis import Recording, Region
from ser_core.audio.reading import resample
from ser_core.settings import F0Settings

RATE_HZ = 16_000
LOWEST_HZ, HIGHEST_HZ = F0Settings().floor_hz, F0Settings().ceiling_hz
VOICED_CONFIDENCE = 0.5
#: Fewer voiced frames, of 16 ms each, do not represent a voice.
MIN_VOICED_FRAMES = 3


@dataclass(frozen=True, eq=False)
class Prosody:
    """Level and pitch of a recording's voiced 16 ms frames.

    Attributes
    ----------
    times_s : ndarray of shape (frames,), float64
        Middle of each voiced frame.
    level_dbfs : ndarray of shape (frames,), float64
        RMS of 32 ms, re full scale.
    pitch_hz : ndarray of shape (frames,), float64
        Fundamental frequency.
    """

    times_s: np.ndarray
    level_dbfs: np.ndarray
    pitch_hz: np.ndarray


@dataclass(frozen=True)
class Voice:
    """Mean power (dB re full scale) and median pitch (Hz) of some voiced frames."""

    level_dbfs: float
    pitch_hz: float


def prosody_of(recording: Recording) -> Prosody:
    """Return level and pitch of the voiced frames of a recording.

    References
    ----------
    Nieradzik 2025, SwiftF0, arXiv:2508.18440: the pitch detector and its confidence.
    """
    samples = resample(recording.samples, recording.sample_rate_hz, RATE_HZ)
    found = pitch_detector().detect(samples, RATE_HZ, LOWEST_HZ, HIGHEST_HZ)
    voiced = found.confidence >= VOICED_CONFIDENCE
    return Prosody(found.timestamps[voiced], found.loudness_db[voiced], found.pitch_hz[voiced])


def voice_in(prosody: Prosody, regions: Sequence[Region]) -> Voice | None:
    """Return level and pitch inside some regions; None if too little in them is voiced."""
    return _voice(prosody, times_within(prosody.times_s, regions))


def voice_outside(prosody: Prosody, regions: Sequence[Region]) -> Voice | None:
    """Return level and pitch outside all given regions; None if too little there is voiced."""
    return _voice(prosody, ~times_within(prosody.times_s, regions))


def times_within(times_s: np.ndarray, regions: Sequence[Region]) -> np.ndarray:
    """Return whether each time (n,) lies in one of some regions, shape (n,), bool."""
    within = np.zeros(len(times_s), bool)
    for region in regions:
        within |= (times_s >= region.start_s) & (times_s < region.end_s)
    return within


def semitones(pitch_hz: float, reference_hz: float) -> float:
    """Return how many semitones one pitch lies above another."""
    return 12 * float(np.log2(pitch_hz / reference_hz))


def _voice(prosody: Prosody, frames: np.ndarray) -> Voice | None:
    if np.count_nonzero(frames) < MIN_VOICED_FRAMES:
        return None
    power = np.mean(10 ** (prosody.level_dbfs[frames] / 10))
    return Voice(10 * float(np.log10(power)), float(np.median(prosody.pitch_hz[frames])))


@cache
def pitch_detector() -> SwiftF0:
    """Return the one pitch detector of this process."""
    # One thread that does not spin: it takes milliseconds, and the cores are for torch.
    return SwiftF0(threads=1, spin=False)
