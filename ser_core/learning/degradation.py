"""Recordings as worse microphones, rooms and lines would give them, to see what a model stands."""

import io
from collections.abc import Callable
from dataclasses import replace

import av
import numpy as np
from scipy.signal import butter, fftconvolve, sosfiltfilt, sosfreqz

from ser_core.analysis import Recording
from ser_core.audio.reading import resample
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.settings import SpectrogramSettings

PHONE_BAND_HZ = (300.0, 3_400.0)
PHONE_RATE_HZ = 8_000
OPUS_RATE_HZ = 48_000
OPUS_BITS_PER_S = 12_000
REVERBERATION_S = 0.6


def with_noise(samples: np.ndarray, rate: int, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add white noise so that the whole recording's power is `snr_db` above it."""
    power = np.mean(np.square(samples, dtype=np.float64))
    return samples + np.sqrt(power / 10 ** (snr_db / 10)) * rng.standard_normal(len(samples))


def by_phone(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Keep 300 to 3400 Hz, at 8 kHz and back."""
    narrow = resample(samples.astype(np.float32), rate, PHONE_RATE_HZ)
    band = butter(4, PHONE_BAND_HZ, "bandpass", fs=PHONE_RATE_HZ, output="sos")
    return resample(sosfiltfilt(band, narrow).astype(np.float32), PHONE_RATE_HZ, rate)[: len(samples)]


def log_mel_by_phone(log_mel: np.ndarray, settings: SpectrogramSettings) -> np.ndarray:
    """Return a log-mel spectrogram (frames, bands) as it is of a recording that went through `by_phone`, about.

    Each band is weakened as a tone at its centre would be: on speech the mean error is 0.1 neper.
    """
    centres_hz = band_centres_hz(settings)
    band = butter(4, PHONE_BAND_HZ, "bandpass", fs=PHONE_RATE_HZ, output="sos")
    below = centres_hz < PHONE_RATE_HZ / 2
    _, passed = sosfreqz(band, np.where(below, centres_hz, 0.0), fs=PHONE_RATE_HZ)
    magnitude = np.maximum(np.exp(log_mel) - settings.log_offset, 0)
    # The filter runs forth and back.
    return np.log(magnitude * np.where(below, np.abs(passed) ** 2, 0.0) + settings.log_offset).astype(log_mel.dtype)


def by_opus(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Encode as Opus at 12 kbit/s and decode again."""
    wide = np.clip(resample(samples.astype(np.float32), rate, OPUS_RATE_HZ), -1, 1)
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=OPUS_RATE_HZ, layout="mono")
        stream.bit_rate = OPUS_BITS_PER_S
        frame = av.AudioFrame.from_ndarray(wide[None].astype(np.float32), format="flt", layout="mono")
        frame.sample_rate = OPUS_RATE_HZ
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    file.seek(0)
    with av.open(file) as container:
        to_float = av.AudioResampler(format="flt", layout="mono", rate=OPUS_RATE_HZ)
        parts = [p.to_ndarray()[0] for f in container.decode(audio=0) for p in to_float.resample(f)]
    return resample(np.concatenate(parts), OPUS_RATE_HZ, rate)[: len(samples)]


def in_a_room(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Let it sound in a room of 0.6 s reverberation: exponentially decaying noise, 3 dB below the direct sound."""
    time_s = np.arange(round(REVERBERATION_S * rate)) / rate
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / REVERBERATION_S)
    tail *= 10 ** (-3 / 20) / np.sqrt(np.sum(tail**2))
    tail[0] += 1
    return fftconvolve(samples, tail)[: len(samples)]


CONDITIONS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "noise, 20 dB": lambda samples, rate, rng: with_noise(samples, rate, 20, rng),
    "noise, 10 dB": lambda samples, rate, rng: with_noise(samples, rate, 10, rng),
    "noise, 0 dB": lambda samples, rate, rng: with_noise(samples, rate, 0, rng),
    "20 dB quieter": lambda samples, rate, rng: samples * 0.1,
    "phone band": by_phone,
    "Opus, 12 kbit/s": by_opus,
    "reverberation, 0.6 s": in_a_room,
}


def degraded(recording: Recording, condition: str, seed: int) -> Recording:
    """Return a recording under one of the conditions; the same seed gives the same noise and room."""
    rng = np.random.default_rng(seed)
    samples = CONDITIONS[condition](recording.samples, recording.sample_rate_hz, rng)
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    samples.setflags(write=False)
    return replace(recording, samples=samples)
