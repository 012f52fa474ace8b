"""Filters of a voice without phase: its spectral tilt, and the envelope of its spectra."""

import numpy as np

#: Tilt turns about the middle of this range, and is level beyond it.
TILT_LOW_HZ, TILT_HIGH_HZ = 62.5, 8_000.0


def with_tilt(samples: np.ndarray, rate: int, tilt_db: float) -> np.ndarray:
    """Return samples whose level rises by so many dB more with each octave; their power stays."""
    padding = rate // 10
    padded = np.pad(samples.astype(np.float64), padding)
    hz = np.clip(np.fft.rfftfreq(len(padded), 1 / rate), TILT_LOW_HZ, TILT_HIGH_HZ)
    octaves = np.log2(hz / np.sqrt(TILT_LOW_HZ * TILT_HIGH_HZ))
    tilted = np.fft.irfft(np.fft.rfft(padded) * 10 ** (tilt_db * octaves / 20), len(padded))[padding:-padding]
    return as_strong(tilted, samples)


def log_envelope(log_magnitude: np.ndarray, quefrencies: int) -> np.ndarray:
    """Return log magnitudes (frequencies, frames) smoothed by the beginning of their cepstrum."""
    cepstrum = np.fft.irfft(log_magnitude, axis=0)
    lifter = np.zeros(len(cepstrum))
    count = max(quefrencies, 2)
    lifter[:count] = np.cos(np.pi / 2 * np.arange(count) / count)
    lifter[-count + 1 :] = lifter[count - 1 : 0 : -1]
    return np.fft.rfft(cepstrum * lifter[:, None], axis=0).real


def as_strong(changed: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return a changed sound with the power that it had before, float32."""
    power, before = np.mean(changed**2), np.mean(np.square(samples, dtype=np.float64))
    return (changed * np.sqrt(before / power) if power > 0 else changed).astype(np.float32)
