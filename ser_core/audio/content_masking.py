"""Speech whose words are masked while its prosody or timbre remains, and words without pitch.

References
----------
Scherer 1971, Journal of Experimental Research in Personality 5: filtered and spliced speech, which masks the words.
van Bezooijen and Boves 1986, Journal of Psycholinguistic Research 15: what remains after low-pass filtering.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.signal import ShortTimeFFT, butter, sosfiltfilt
from scipy.signal.windows import hann

from ser_core.analysis import Recording
from ser_core.audio.prosody import RATE_HZ, prosody_of
from ser_core.audio.reading import resample
from ser_core.audio.voice_change.spectrum import log_envelope, with_power_of

#: The fundamental and a few harmonics pass, but not the second formant.
LOW_PASS_HZ, LOW_PASS_ORDER = 400.0, 8
WINDOW_S, HOP_S = 0.032, 0.008
#: The envelope is the cepstrum below this; even the period of a voice of 400 Hz is longer.
ENVELOPE_S = 0.002
#: Times farther than this from any voiced frame are unvoiced.
VOICED_REACH_S = 0.016
#: Frames this far below the loudest are rarely audible.
FLOOR_DB = 60.0


def low_passed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return speech below 400 Hz: pitch, loudness and rhythm."""
    return sosfiltfilt(butter(LOW_PASS_ORDER, LOW_PASS_HZ, fs=RATE_HZ, output="sos"), samples)


def hummed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a hum with the pitch and level of speech over time, and its mean spectrum."""
    stft = _stft()
    spectrum = np.abs(stft.stft(samples))
    levels = np.sqrt(np.mean(spectrum**2, axis=0))
    loud = levels > levels.max() * 10 ** (-FLOOR_DB / 20)
    mean = np.sqrt(np.mean((spectrum[:, loud] / levels[loud]) ** 2, axis=1))
    source = stft.stft(_source(samples, rng))
    source /= np.maximum(np.sqrt(np.mean(np.abs(source) ** 2, axis=0)), 1e-9)  # the same level in all frames
    return stft.istft(source * mean[:, None] * levels, k1=len(samples))


def reversed_in_time(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return speech backwards: the same spectra and pitches, the melody mirrored."""
    return samples[::-1]


def whispered(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return noise with the spectral envelope of speech: its words and rhythm without pitch."""
    stft = _stft()
    spectrum, noise = stft.stft(samples), stft.stft(rng.normal(size=len(samples)))
    floor = np.abs(spectrum).max() * 10 ** (-FLOOR_DB / 20) + 1e-12
    envelope = log_envelope(np.log(np.abs(spectrum) + floor), round(ENVELOPE_S * RATE_HZ))
    return stft.istft(noise * np.exp(envelope), k1=len(samples))


#: Ways to mask speech, by name; each takes samples at 16 kHz.
MASKINGS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "low-pass, 400 Hz": low_passed,
    "hum": hummed,
    "backwards": reversed_in_time,
    "whispered": whispered,
}


def masked(recording: Recording, masking: str, seed: int) -> Recording:
    """Return a recording masked in one of the ways of `MASKINGS`, at 16 kHz, with the same length and power."""
    samples = resample(recording.samples, recording.sample_rate_hz, RATE_HZ)
    changed = MASKINGS[masking](samples.astype(np.float64), np.random.default_rng(seed))
    changed = np.ascontiguousarray(with_power_of(changed, samples))
    changed.setflags(write=False)
    return replace(recording, samples=changed, sample_rate_hz=RATE_HZ)


def _stft() -> ShortTimeFFT:
    return ShortTimeFFT(hann(round(WINDOW_S * RATE_HZ), sym=False), round(HOP_S * RATE_HZ), RATE_HZ)


def _source(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return pulses at the pitch of samples where they are voiced, and noise elsewhere."""
    prosody = prosody_of(Recording("", "", samples.astype(np.float32), RATE_HZ))
    noise = rng.normal(size=len(samples))
    if not len(prosody.times_s):
        return noise
    times_s = np.arange(len(samples)) / RATE_HZ
    cycles = np.floor(np.cumsum(np.interp(times_s, prosody.times_s, prosody.pitch_hz)) / RATE_HZ)
    pulses = np.diff(cycles, prepend=0.0)
    after = np.minimum(np.searchsorted(prosody.times_s, times_s), len(prosody.times_s) - 1)
    distance_s = np.minimum(
        np.abs(prosody.times_s[after] - times_s), np.abs(prosody.times_s[np.maximum(after - 1, 0)] - times_s)
    )
    return np.where(distance_s <= VOICED_REACH_S, pulses, noise)
