"""Change the quality of a voice: how breathy it is, and how creaky.

Breath is noise between the harmonics. A comb filter that follows the periods separates the repeating part from the
noise; noise is then added or removed, in each band in proportion to its own, while the envelope of each spectrum does
not change. A breathy glottis also closes less abruptly, so the first harmonic rises relative to the second.

Creak is rare and irregular pulses of the glottis. Nothing is synthesised; the waveform is only made weaker between the
pulses that remain.
"""

import numpy as np
import scipy
from scipy.ndimage import map_coordinates, spline_filter1d, uniform_filter

from ser_core.audio.voice_change.marks import PitchMarks
from ser_core.audio.voice_change.spectrum import filtered_in_blocks, with_power_of

#: Weights of a period and its neighbours; their weighted mean is the repeating part.
COMB = np.array([1, 2, 3, 2, 1]) / 9
#: Share of the power of noise that is not in that mean.
NOISE_IN_REST = float(1 - 2 * COMB[2] + np.sum(COMB**2))
NOISE_WINDOW_S = 0.040
#: Noise is smoothed over this many frames, and over this many times the pitch.
SMOOTHED_FRAMES, SMOOTHED_PITCHES = 3, 2.0
#: Removing noise leaves at least this share of the envelope's power.
MIN_REMAINING = 0.1
#: How much the first harmonic rises relative to the second per dB of noise. At the natural limit, half of the pairs of
#: one sentence in two emotions differ by less (`benchmarks/voice_quality.py`).
FIRST_HARMONIC_DB = 0.5
#: Maximum number of pulses per second of a creaky voice (Keating, Garellek and Kreiman 2015, ICPhS).
CREAK_HZ = 80.0
#: Share of the remaining pulses that come a period late.
LATE_PULSES = 0.3
SEED = 0


def with_breath(samples: np.ndarray, rate: int, marks: PitchMarks, noise_db: float) -> np.ndarray:
    """Return samples whose voiced parts have more or less noise, with the same length, envelope and power.

    Parameters
    ----------
    noise_db : float
        Added to the level of the noise relative to the harmonics.

    References
    ----------
    Klatt and Klatt 1990, JASA 87: noise and a strong first harmonic make a voice breathy.
    Kawahara, Estill and Fujimura 2001, MAVEBA: aperiodicity in bands, as vocoders change it.
    """
    if not marks.runs:
        return samples.copy()
    factor = 10 ** (noise_db / 10)
    stft = scipy.signal.ShortTimeFFT(
        scipy.signal.windows.hann(round(NOISE_WINDOW_S * rate), sym=False), round(NOISE_WINDOW_S / 4 * rate), rate
    )
    rest = samples - repeating_part(samples, marks)
    white_noise = np.random.default_rng(SEED).normal(size=len(samples)) if factor > 1 else None
    size = max(1, round(SMOOTHED_PITCHES * float(np.nanmedian(marks.pitch_hz)) / stft.delta_f)), SMOOTHED_FRAMES

    def changed(first: int, end: int) -> np.ndarray:
        def spectra(sound: np.ndarray) -> np.ndarray:
            return stft.stft(np.pad(sound[first:end], (0, stft.m_num)).astype(np.float64))

        whole, noise = spectra(samples), spectra(rest)
        power = uniform_filter(np.abs(noise) ** 2, size, mode="nearest").clip(0) / NOISE_IN_REST
        envelope = uniform_filter(np.abs(whole) ** 2, size, mode="nearest").clip(1e-20)
        added = spectra(white_noise) * np.sqrt((factor - 1) * power / np.sum(stft.win**2)) if factor > 1 else 0
        removed = (1 - np.sqrt(factor)) * noise if factor < 1 else 0
        same_envelope = np.sqrt(envelope / np.maximum(envelope + (factor - 1) * power, MIN_REMAINING * envelope))
        first_harmonic = 10 ** (FIRST_HARMONIC_DB * noise_db / 20 * _below_second_harmonic(stft, first, whole, marks))
        return (whole + added - removed) * same_envelope * first_harmonic

    return with_power_of(filtered_in_blocks(stft, len(samples), changed), samples)


def repeating_part(samples: np.ndarray, marks: PitchMarks) -> np.ndarray:
    """Return the mean of each period and its neighbours, and the samples themselves where nothing is voiced."""
    repeating = samples.astype(np.float64)
    spline, reach = spline_filter1d(repeating), len(COMB) // 2
    for first, last in marks.runs:
        positions = marks.samples[first : last + 1]
        periods, inside = np.arange(len(positions)), np.arange(positions[0], positions[-1])
        # Marks are whole samples, too coarse for high harmonics, so they are smoothed over their neighbours.
        if len(positions) > reach:
            padded = np.pad(positions.astype(np.float64), reach, "reflect", reflect_type="odd")
            positions = np.convolve(padded, COMB, "valid")
        period = np.interp(inside, positions, periods)
        total, weights = np.zeros(len(inside)), np.zeros(len(inside))
        for offset, weight in zip(range(-reach, reach + 1), COMB, strict=True):
            exists = (period + offset >= 0) & (period + offset <= periods[-1])
            at = np.interp(period[exists] + offset, periods, positions)
            total[exists] += weight * map_coordinates(spline, [at], prefilter=False, mode="nearest")
            weights[exists] += weight
        repeating[inside] = total / weights
    return repeating


def _below_second_harmonic(
    stft: "scipy.signal.ShortTimeFFT", first: int, spectra: np.ndarray, marks: PitchMarks
) -> np.ndarray:
    """Return 1 up to the pitch, falling to 0 an octave above, and 0 where nothing is voiced; (frequencies, frames)."""
    at = first + (stft.p_min + np.arange(spectra.shape[1])) * stft.hop
    pitch_hz = marks.pitch_hz[np.searchsorted(marks.samples, at, "right").clip(1, len(marks.samples) - 1) - 1]
    octaves = np.log2(np.maximum(stft.f, 1.0)[:, None] / pitch_hz)
    return np.nan_to_num(np.clip(1 - octaves, 0, 1))


def with_creak(samples: np.ndarray, marks: PitchMarks, between_db: float) -> np.ndarray:
    """Return samples in which most periods are weaker, so that pulses are rare and irregular, with the same power.

    Parameters
    ----------
    between_db : float
        How much weaker they are.

    References
    ----------
    Bohm et al. 2008, Acoustics '08: scaling single periods makes a modal voice irregular.
    """
    gains, rng, weak_gain = np.ones(len(marks.samples)), np.random.default_rng(SEED), 10 ** (-between_db / 20)
    for first, last in marks.runs:
        pulse = first
        while pulse < last:
            periods = max(2, int(np.ceil(marks.pitch_hz[pulse] / CREAK_HZ))) + int(rng.random() < LATE_PULSES)
            gains[pulse + 1 : min(pulse + periods, last + 1)] = weak_gain
            pulse += periods
    rise = np.concatenate([_rise(length) for length in np.diff(marks.samples)])
    before, after = (np.repeat(side, np.diff(marks.samples)) for side in (gains[:-1], gains[1:]))
    return with_power_of(samples * (before + (after - before) * rise), samples)


def _rise(count: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(np.pi * np.arange(count) / count)
