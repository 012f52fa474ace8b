"""Fundamental frequency, intensity, formants, harmonics-to-noise ratio and spectral tilt over time.

Definitions and settings are Praat's. Every function takes the times at which to measure, and returns NaN where the
measure does not exist: where its window extends beyond the recording, and in unvoiced frames if it needs a voice.
Frames are analysed a few hundred at a time, so that ten minutes of audio need little more memory than their samples,
and `work` can be stopped in between.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy  # imports its parts when they are first used; `scipy.signal` takes half as long as torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft, next_fast_len, rfft

from ser_core.analysis import Recording
from ser_core.audio.prosody import HIGHEST_HZ, LOWEST_HZ, RATE_HZ, VOICED_CONFIDENCE, pitch_detector
from ser_core.audio.reading import resample
from ser_core.errors import SettingsRefused
from ser_core.settings import F0Settings
from ser_core.work.progress import Work

#: The reference of intensities, the auditory threshold at 1 kHz; a sample of 1 counts as 1 Pa.
REFERENCE_PA = 2e-5
SILENCE_DB = -300.0
#: Praat's default lowest F0 for intensities; the window is 6.4 of its periods long.
INTENSITY_LOWEST_F0_HZ = 100.0

#: The ceiling of formants and its range. Praat advises 5500 Hz for women, 5000 for men, up to 8000 for small children.
DEFAULT_CEILING_HZ = 5_500.0
LOWEST_CEILING_HZ, HIGHEST_CEILING_HZ = 3_000.0, 8_000.0
FORMANTS = 4
FORMANT_WINDOW_S = 0.025
#: Formants nearer than this to 0 Hz or to the ceiling are artefacts of the prediction.
FORMANT_MARGIN_HZ = 50.0
PREEMPHASIS_FROM_HZ = 50.0

#: Windows of the autocorrelation, as long as Praat's: 3 and 4.5 periods of its default lowest F0 of 75 Hz.
F0_WINDOW_S = 3 / 75
HNR_WINDOW_S = 4.5 / 75
#: The detector's F0 is refined by at most this factor.
MAX_REFINEMENT = 1.12
#: Lags are computed at up to this resolution, and between them interpolated by a parabola.
LAGS_PER_S = 64_000

TILT_WINDOW_S = 0.04
TILT_BAND_HZ = 100.0
TILT_LOW_HZ, TILT_HIGH_HZ = 100.0, 5_000.0

FRAMES_AT_ONCE = 512
#: Whole seconds, so that a block begins with a whole sample at both rates.
BLOCK_S, BLOCK_MARGIN_S = 20, 1


@dataclass(frozen=True, eq=False)
class Tracks:
    """All measures of a recording at the same times: every `hop_s`, the first after half a hop.

    Attributes
    ----------
    hop_s : float
    f0_hz, intensity_db, hnr_db, tilt_db_per_octave : ndarray of shape (frames,), float64
    formants_hz : ndarray of shape (frames, 4), float64
    measured_f0_hz : ndarray of shape (frames,), float64, or None
        F0 before it was corrected by hand; None if it was not.
    """

    hop_s: float
    f0_hz: np.ndarray
    intensity_db: np.ndarray
    formants_hz: np.ndarray
    hnr_db: np.ndarray
    tilt_db_per_octave: np.ndarray
    measured_f0_hz: np.ndarray | None = None

    @property
    def times_s(self) -> np.ndarray:
        return self.hop_s * (np.arange(len(self.f0_hz)) + 0.5)

    @property
    def f0_is_corrected(self) -> np.ndarray:
        """Whether F0 of each frame was corrected by hand, shape (frames,), bool."""
        if self.measured_f0_hz is None:
            return np.zeros(len(self.f0_hz), bool)
        unvoiced = np.isnan(self.f0_hz) & np.isnan(self.measured_f0_hz)
        return (self.f0_hz != self.measured_f0_hz) & ~unvoiced


def tracks_of(
    recording: Recording,
    hop_s: float = F0Settings().hop_s,
    ceiling_hz: float = DEFAULT_CEILING_HZ,
    work: Work | None = None,
) -> Tracks:
    """Return all measures of a recording over time.

    Parameters
    ----------
    ceiling_hz : float
        See `formants`.

    Raises
    ------
    SettingsRefused
        If the ceiling is out of range.
    Cancelled
    """
    work = work or Work()
    times_s = hop_s * (np.arange(int(recording.duration_s / hop_s)) + 0.5)
    formants_hz = formants(recording, times_s, ceiling_hz, work=work.part(0, 5))
    f0_hz = fundamental_frequency(recording, times_s, work.part(1, 5))
    hnr_db = harmonics_to_noise(recording, times_s, f0_hz, work.part(2, 5))
    intensity_db = intensity(recording, times_s, work=work.part(3, 5))
    tilt = spectral_tilt(recording, times_s, work.part(4, 5))
    return Tracks(hop_s, f0_hz, intensity_db, formants_hz, hnr_db, np.where(np.isnan(f0_hz), np.nan, tilt))


def fundamental_frequency(recording: Recording, times_s: np.ndarray, work: Work | None = None) -> np.ndarray:
    """Return F0 in Hz at some times; NaN where there is no voice.

    SwiftF0 finds the voiced frames and their F0 to about 1 %; the autocorrelation refines it.

    References
    ----------
    Nieradzik 2025, SwiftF0, arXiv:2508.18440.
    Boersma 1993, Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
    sampled sound, IFA Proceedings 17: autocorrelation divided by that of the window.
    """
    samples = resample(recording.samples, recording.sample_rate_hz, RATE_HZ)
    found = pitch_detector().detect(samples, RATE_HZ, LOWEST_HZ, HIGHEST_HZ)
    nearest = np.searchsorted((found.timestamps[1:] + found.timestamps[:-1]) / 2, times_s)
    voiced = found.confidence[nearest] >= VOICED_CONFIDENCE
    coarse = np.where(voiced, found.pitch_hz[nearest], np.nan)
    lags_s, _ = _strongest_lags(samples, RATE_HZ, times_s, coarse, F0_WINDOW_S, work)
    return 1 / lags_s


def harmonics_to_noise(
    recording: Recording, times_s: np.ndarray, f0_hz: np.ndarray, work: Work | None = None
) -> np.ndarray:
    """Return the harmonics-to-noise ratio in dB at some times; NaN without F0, or where nothing repeats after a period.

    The share of energy that repeats after a period is the autocorrelation r at that lag; the ratio is r / (1 - r).
    r is divided by the autocorrelation of the window, so it may exceed 1 where the sound grows quickly. Then 1 / r is
    used, as in Praat.

    References
    ----------
    Boersma 1993, as in `fundamental_frequency`.
    """
    _, strength = _strongest_lags(recording.samples, recording.sample_rate_hz, times_s, f0_hz, HNR_WINDOW_S, work)
    strength = np.where(strength > 0, strength, np.nan)
    strength = np.minimum(np.minimum(strength, 1 / strength), 1 - 1e-10)
    return 10 * np.log10(strength / (1 - strength))


def intensity(recording: Recording, times_s: np.ndarray, work: Work | None = None) -> np.ndarray:
    """Return the intensity in dB re 20 micropascal at some times; silence has -300 dB.

    It is the mean square, after subtraction of the mean, under a Kaiser window with sidelobes below -190 dB; the window
    is 6.4 periods of 100 Hz long, effectively half of that.

    References
    ----------
    Praat's manual, "Intro 6.2. Configuring the intensity contour" and "Sound: To Intensity...".
    """
    rate = recording.sample_rate_hz
    window = np.kaiser(2 * int(3.2 / INTENSITY_LOWEST_F0_HZ * rate) + 1, 2 * np.pi**2 + 0.5)
    window /= window.sum()
    result = np.full(len(times_s), np.nan)
    for index, frames in _frames(recording.samples, rate, times_s, len(window), work):
        power = (frames - frames.mean(axis=1, keepdims=True)) ** 2 @ window
        result[index] = _decibels(power / REFERENCE_PA**2)
    return result


def formants(
    recording: Recording,
    times_s: np.ndarray,
    ceiling_hz: float = DEFAULT_CEILING_HZ,
    work: Work | None = None,
) -> np.ndarray:
    """Return the four lowest formants in Hz at some times, shape (times, 4).

    They are the angles of the poles of a linear prediction with ten coefficients by Burg's method. The sound is
    resampled to twice the ceiling and pre-emphasised from 50 Hz; the window is Gaussian-like and twice 25 ms long.

    Parameters
    ----------
    ceiling_hz : float
        Five formants are expected below it.

    Raises
    ------
    SettingsRefused
        If the ceiling is out of range.

    References
    ----------
    Praat's manual, "Sound: To Formant (burg)...".
    Childers 1978, Modern spectrum analysis, pp. 252-255: Burg's method.
    """
    if not LOWEST_CEILING_HZ <= ceiling_hz <= HIGHEST_CEILING_HZ:
        raise SettingsRefused(
            f"A formant ceiling of {ceiling_hz:g} Hz is not possible; choose {LOWEST_CEILING_HZ:g} to "
            f"{HIGHEST_CEILING_HZ:g} Hz: about 5000 for men, 5500 for women, 8000 for small children."
        )
    rate = round(2 * ceiling_hz)
    samples = _resample_with_sharp_cutoff(recording.samples, recording.sample_rate_hz, rate)
    emphasised = scipy.signal.lfilter([1, -np.exp(-2 * np.pi * PREEMPHASIS_FROM_HZ / rate)], 1, samples)
    length = round(2 * FORMANT_WINDOW_S * rate)
    position = (np.arange(1, length + 1) - (length + 1) / 2) / (length + 1)
    window = (np.exp(-48 * position**2) - np.exp(-12)) / (1 - np.exp(-12))
    result = np.full((len(times_s), FORMANTS), np.nan)
    for index, frames in _frames(emphasised, rate, times_s, length, work):
        roots = np.linalg.eigvals(_companion_matrices(_burg(frames * window, order=10)))
        hz = np.abs(np.angle(roots)) * rate / (2 * np.pi)
        usable = (roots.imag >= 0) & (hz >= FORMANT_MARGIN_HZ) & (hz <= ceiling_hz - FORMANT_MARGIN_HZ)
        result[index] = np.sort(np.where(usable, hz, np.nan), axis=1)[:, :FORMANTS]
    return result


def spectral_tilt(recording: Recording, times_s: np.ndarray, work: Work | None = None) -> np.ndarray:
    """Return the slope of the spectrum in dB per octave at some times; NaN in silence.

    It is the slope of the least-squares line through the levels of 100 Hz bands over log frequency, from 100 to 5000 Hz
    or half the sample rate, in 40 ms under a Hann window. Praat calls it the spectral tilt of a long-term average
    spectrum.
    """
    rate = recording.sample_rate_hz
    length = round(TILT_WINDOW_S * rate)
    hz = np.fft.rfftfreq(length, 1 / rate)
    band = (hz / TILT_BAND_HZ).astype(int)
    wanted = np.flatnonzero(np.bincount(band))
    middles_hz = (wanted + 0.5) * TILT_BAND_HZ
    wanted = wanted[(middles_hz > TILT_LOW_HZ) & (middles_hz < min(TILT_HIGH_HZ, rate / 2 - TILT_BAND_HZ / 2))]
    mean_of_band = (band[:, None] == wanted) / np.bincount(band)[wanted]
    octaves = np.log2((wanted + 0.5) * TILT_BAND_HZ)
    octaves -= octaves.mean()
    window = np.hanning(length + 2)[1:-1]
    result = np.full(len(times_s), np.nan)
    for index, frames in _frames(recording.samples, rate, times_s, length, work):
        power = np.abs(rfft(frames * window, axis=1)) ** 2 @ mean_of_band
        levels = _decibels(power)
        slope = levels @ octaves / (octaves @ octaves)
        result[index] = np.where(power.min(axis=1) > 0, slope, np.nan)
    return result


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))


def _frames(
    samples: np.ndarray, rate: int, times_s: np.ndarray, length: int, work: Work | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield indices of times and the frames around them, float64 of shape (frames, length).

    Times whose frame extends beyond the samples are skipped.
    """
    starts = np.round(np.asarray(times_s) * rate - length / 2).astype(int)
    whole = np.flatnonzero((starts >= 0) & (starts + length <= len(samples)))
    if not len(whole):
        return
    windows, work = sliding_window_view(samples, length), work or Work()
    for first in range(0, len(whole), FRAMES_AT_ONCE):
        work.check("Measuring was stopped.")
        work.report(first / len(whole), "Measuring the voice")
        index = whole[first : first + FRAMES_AT_ONCE]
        yield index, windows[starts[index]].astype(np.float64)


def _resample_with_sharp_cutoff(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample with a cut-off exactly at half of the lower rate.

    The filter of an ordinary resampler slopes over a tenth of the spectrum. Linear prediction would spend a pole on
    that slope, and a tenth of the formants would be wrong.
    """
    seconds = -(-len(samples) // from_hz)
    resampled = np.empty(seconds * to_hz)
    for first in range(0, seconds, BLOCK_S):
        last = min(first + BLOCK_S, seconds)
        start, length_s = first - BLOCK_MARGIN_S, last - first + 2 * BLOCK_MARGIN_S
        block = np.zeros(length_s * from_hz)
        piece = samples[max(0, start) * from_hz : (start + length_s) * from_hz]
        offset = max(0, -start) * from_hz
        block[offset : offset + len(piece)] = piece
        margin = BLOCK_MARGIN_S * to_hz
        resampled[first * to_hz : last * to_hz] = scipy.signal.resample(block, length_s * to_hz)[margin:-margin]
    return resampled[: round(len(samples) * to_hz / from_hz)]


def _strongest_lags(
    samples: np.ndarray,
    rate: int,
    times_s: np.ndarray,
    f0_hz: np.ndarray,
    window_s: float,
    work: Work | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lag in seconds, near one period, at which the autocorrelation is highest, and its height there."""
    length = round(window_s * rate)
    lags_per_sample = max(1, LAGS_PER_S // rate)
    lowest_hz = float(np.nanmin(f0_hz, initial=LOWEST_HZ))  # F0 corrected by hand may be lower
    count = int(lags_per_sample * rate * MAX_REFINEMENT / lowest_hz) + 2
    size = next_fast_len(length + count // lags_per_sample + 2, real=True)
    window = np.hanning(length + 2)[1:-1]
    of_window = _autocorrelation(window[None], size, lags_per_sample, count)[0]
    lags = np.arange(count) / (lags_per_sample * rate)
    lags_s, heights = np.full(len(times_s), np.nan), np.full(len(times_s), np.nan)
    voiced = np.flatnonzero(~np.isnan(f0_hz))
    for index, frames in _frames(samples, rate, times_s[voiced], length, work):
        index = voiced[index]
        frames = (frames - frames.mean(axis=1, keepdims=True)) * window
        correlation = _autocorrelation(frames, size, lags_per_sample, count)
        correlation /= of_window * np.maximum(correlation[:, :1], np.finfo(float).tiny) / of_window[0]
        period = 1 / f0_hz[index, None]
        near = (lags > period / MAX_REFINEMENT) & (lags < period * MAX_REFINEMENT)
        near[:, [0, -1]] = False
        best = np.where(near, correlation, -np.inf).argmax(axis=1)
        rows = np.arange(len(best))
        before, at, after = (correlation[rows, best + step] for step in (-1, 0, 1))
        # The vertex of the parabola through the three; if the strongest lag is the first or last, there is no peak.
        curve = before - 2 * at + after
        shift = np.where(curve < 0, np.clip((before - after) / (2 * np.where(curve < 0, curve, 1)), -0.5, 0.5), 0)
        lags_s[index] = (best + shift) / (lags_per_sample * rate)
        heights[index] = at - (before - after) * shift / 4
    return lags_s, heights


def _autocorrelation(frames: np.ndarray, size: int, lags_per_sample: int, lags: int) -> np.ndarray:
    power = np.abs(rfft(frames, size, axis=1)) ** 2
    return irfft(power, size * lags_per_sample, axis=1)[:, :lags] * lags_per_sample


def _burg(frames: np.ndarray, order: int) -> np.ndarray:
    """Return the prediction coefficients of each frame, shape (frames, order): x[n] is about sum(a[i] x[n - 1 - i])."""
    forward, backward = frames[:, 1:], frames[:, :-1]
    coefficients = np.zeros((len(frames), order))
    for stage in range(order):
        energy = (forward**2).sum(axis=1) + (backward**2).sum(axis=1)
        reflection = 2 * (forward * backward).sum(axis=1) / np.where(energy > 0, energy, 1)
        reflection = reflection[:, None]
        coefficients[:, :stage] -= reflection * coefficients[:, :stage][:, ::-1]
        coefficients[:, stage] = reflection[:, 0]
        forward, backward = (forward - reflection * backward)[:, 1:], (backward - reflection * forward)[:, :-1]
    return coefficients


def _companion_matrices(coefficients: np.ndarray) -> np.ndarray:
    """Return matrices whose eigenvalues are the poles of the predictions."""
    count, order = coefficients.shape
    companions = np.zeros((count, order, order))
    companions[:, 0] = coefficients
    companions[:, 1:, :-1] = np.eye(order - 1)
    return companions
