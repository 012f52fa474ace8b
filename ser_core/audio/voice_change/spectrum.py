"""Zero-phase filters of a voice: its spectral tilt, the envelope of its spectra, and filtering block by block."""

from collections.abc import Callable

import numpy as np
import scipy

#: The tilt pivots on the middle of this range, and is flat beyond it.
TILT_LOW_HZ, TILT_HIGH_HZ = 62.5, 8_000.0
#: Sound is filtered in blocks, because its spectra take fifty times as much memory.
FILTER_BLOCK_S = 4.0


def with_tilt(samples: np.ndarray, rate: int, tilt_db: float) -> np.ndarray:
    """Return samples whose level rises by `tilt_db` for each octave, with the same power."""
    padding = rate // 10
    padded = np.pad(samples.astype(np.float64), padding)
    hz = np.clip(np.fft.rfftfreq(len(padded), 1 / rate), TILT_LOW_HZ, TILT_HIGH_HZ)
    octaves = np.log2(hz / np.sqrt(TILT_LOW_HZ * TILT_HIGH_HZ))
    tilted = np.fft.irfft(np.fft.rfft(padded) * 10 ** (tilt_db * octaves / 20), len(padded))[padding:-padding]
    return with_power_of(tilted, samples)


def log_envelope(log_magnitude: np.ndarray, quefrencies: int) -> np.ndarray:
    """Return log magnitudes (frequencies, frames) smoothed by the beginning of their cepstrum."""
    cepstrum = np.fft.irfft(log_magnitude, axis=0)
    lifter = np.zeros(len(cepstrum))
    count = max(quefrencies, 2)
    lifter[:count] = np.cos(np.pi / 2 * np.arange(count) / count)
    lifter[-count + 1 :] = lifter[count - 1 : 0 : -1]
    return np.fft.rfft(cepstrum * lifter[:, None], axis=0).real


def with_power_of(changed: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return a changed sound, float32, scaled to the power of the samples before the change."""
    power, before = np.mean(changed**2), np.mean(np.square(samples, dtype=np.float64))
    return (changed * np.sqrt(before / power) if power > 0 else changed).astype(np.float32)


def filtered_in_blocks(
    stft: "scipy.signal.ShortTimeFFT", count: int, spectra: Callable[[int, int], np.ndarray]
) -> np.ndarray:
    """Return the sound (n,), float32, of spectra that are computed a few seconds at a time.

    Parameters
    ----------
    spectra : callable
        Returns the spectra (frequencies, frames) between two samples; a frame begins at the first. A frame may depend
        on its neighbours: blocks are extended on both sides, so that their frames equal those of the whole sound.
    """
    filtered = np.empty(count, np.float32)
    reach = (stft.m_num // stft.hop + 3) * stft.hop
    length = round(FILTER_BLOCK_S * stft.fs / stft.hop) * stft.hop
    for start in range(0, count, length):
        first, end = max(0, start - reach), min(start + length, count)
        filtered[start:end] = stft.istft(spectra(first, end + reach), k1=end - first)[start - first :]
    return filtered
