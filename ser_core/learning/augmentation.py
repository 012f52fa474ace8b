"""Augmentation of log-mel segments for training, and degradation of recordings to measure robustness."""

import io
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import av
import numpy as np
import torch
from scipy.signal import butter, fftconvolve, sosfiltfilt, sosfreqz
from torch import Tensor
from torch.nn import functional as F

from ser_core.analysis import Recording
from ser_core.audio.reading import resample
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.front_end.torchaudio_import import torchaudio
from ser_core.settings import SpectrogramSettings

FRAME_S = 0.010
#: Slope at the edges of a phone line: 26 dB per band.
STEEPNESS = 3.0

PHONE_BAND_HZ, PHONE_RATE_HZ = (300.0, 3_400.0), 8_000
OPUS_RATE_HZ, OPUS_BITS_PER_S = 48_000, 12_000
REVERBERATION_S = 0.6


@dataclass(frozen=True)
class AugmentationSettings:
    """Strength of each augmentation; 0 turns it off. Values are drawn uniformly from the ranges.

    Attributes
    ----------
    shift_frames : int
        A segment starts up to this much earlier or later.
    gain_db : float
        The level changes by up to this much in either direction.
    tempo, vocal_tract : float
        The time and the band axis are stretched by up to this share in either direction; the band axis as by a longer
        or shorter vocal tract.
    time_mask_frames, band_mask : int
        Maximum lengths of SpecAugment's masks, two of each kind.
    reverberation : float
        Share of the segments with reverberation: 0.2 to 1 s long, 0 to 10 dB below the direct sound.
    noise : float
        Share of the segments with noise of a smooth spectrum, its magnitude 8 dB above to 30 dB below the segment's.
    equaliser_db : float
        The level of each band changes by up to about this much, smoothly over the bands, as with another microphone.
    band_limit : float
        Share of the segments that lose up to ten of the lowest and up to 24 of the highest bands, as on a phone line.
    mixup : float
        Both parameters of the beta distribution of mixing weights.
    """

    shift_frames: int = 24
    gain_db: float = 12.0
    tempo: float = 0.12
    vocal_tract: float = 0.10
    time_mask_frames: int = 12
    band_mask: int = 6
    reverberation: float = 0.15
    noise: float = 0.25
    equaliser_db: float = 4.0
    band_limit: float = 0.15
    mixup: float = 0.2


#: No augmentation.
UNCHANGED = AugmentationSettings(**dict.fromkeys((field.name for field in fields(AugmentationSettings)), 0))


def augment(segments: Tensor, settings: AugmentationSettings, log_offset: float) -> Tensor:
    """Return augmented copies of segments (n, 1, frames, bands). Draws from torch's global generator.

    References
    ----------
    Park et al. 2019, arXiv:1904.08779, for the masks; Jaitly and Hinton 2013 for the vocal tract.
    """
    segments = _warped(segments, settings)
    s = settings
    if s.reverberation or s.noise or s.gain_db or s.equaliser_db or s.band_limit:
        # In the order of the signal path: room, noise in it, microphone, phone line.
        magnitude = _reverberated((segments.exp() - log_offset).clamp_min(0), s.reverberation)
        magnitude = _equalised(_noisy(magnitude, s.noise), s)
        segments = (_band_limited(magnitude, s.band_limit) + log_offset).log()
    # torchaudio's axes: (n, channel, frequency, time). A mask is filled with the mean, the least conspicuous value.
    means = segments.mean(dim=(2, 3), keepdim=True)
    centred = (segments - means).transpose(2, 3)
    for _ in range(2):
        if settings.time_mask_frames:
            centred = torchaudio.functional.mask_along_axis_iid(centred, settings.time_mask_frames, 0.0, 3)
        if settings.band_mask:
            centred = torchaudio.functional.mask_along_axis_iid(centred, settings.band_mask, 0.0, 2)
    return centred.transpose(2, 3) + means


def mixup(segments: Tensor, targets: Tensor, settings: AugmentationSettings) -> tuple[Tensor, Tensor]:
    """Mix each segment, and its target distribution (n, classes), with another of the batch.

    References
    ----------
    Zhang et al. 2018, arXiv:1710.09412.
    """
    if not settings.mixup:
        return segments, targets
    weight = torch.distributions.Beta(settings.mixup, settings.mixup).sample((len(segments),))
    weight = torch.maximum(weight, 1 - weight)
    other = torch.randperm(len(segments))
    segment_weight, target_weight = weight.view(-1, 1, 1, 1), weight[:, None]
    return (
        segment_weight * segments + (1 - segment_weight) * segments[other],
        target_weight * targets + (1 - target_weight) * targets[other],
    )


def _equalised(magnitude: Tensor, settings: AugmentationSettings) -> Tensor:
    """Change the level by a gain, and the spectrum by a curve of the three slowest cosines over the bands."""
    count, bands = len(magnitude), magnitude.shape[3]
    level_db = _uniform(count, settings.gain_db)[:, None]
    phase = torch.linspace(0, torch.pi, bands)
    for cosine in (1, 2, 3):
        level_db = level_db + _uniform(count, settings.equaliser_db / cosine)[:, None] * torch.cos(cosine * phase)
    return magnitude * 10 ** (level_db.view(count, 1, 1, -1) / 20)


def _reverberated(magnitude: Tensor, share: float) -> Tensor:
    """Add to each band's power a tail that decays exponentially from frame to frame."""
    if not share:
        return magnitude
    count, _, frames, _ = magnitude.shape
    reverberation_frames = (0.2 + 0.8 * torch.rand(count, 1, 1)) / FRAME_S
    decay_per_frame = 10 ** (-6 / reverberation_frames)
    tail_power = 10 ** -torch.rand(count, 1, 1) * (torch.rand(count, 1, 1) < share)
    delay_frames = torch.arange(frames)[:, None] - torch.arange(frames)
    decay = decay_per_frame ** delay_frames.clamp_min(0)
    tail = torch.where(delay_frames >= 0, tail_power * (1 - decay_per_frame) * decay, 0.0)
    return ((torch.eye(frames) + tail)[:, None] @ magnitude**2).sqrt()


def _noisy(magnitude: Tensor, share: float) -> Tensor:
    if not share:
        return magnitude
    count, _, frames, bands = magnitude.shape
    # White noise fills every band: 10 dB below speech in power, its mean magnitude is 2 dB above that of speech.
    level_db = 8 - 38 * torch.rand(count)
    level = magnitude.mean(dim=(1, 2, 3)) * 10 ** (level_db / 20) * (torch.rand(count) < share)
    tilt = _uniform(count, 12.0)[:, None] * torch.linspace(-1, 1, bands)
    # The spread of a band's magnitude in steady noise: the square root of a chi-squared variable.
    grain = 0.7 + 0.6 * torch.rand(count, 1, frames, bands)
    return magnitude + grain * (level[:, None] * 10 ** (tilt / 20)).view(count, 1, 1, bands)


def _band_limited(magnitude: Tensor, share: float) -> Tensor:
    if not share:
        return magnitude
    count, bands = len(magnitude), magnitude.shape[3]
    band = torch.arange(bands).float()
    lowest, highest = 10 * torch.rand(count, 1), bands - 24 * torch.rand(count, 1)
    gain = torch.sigmoid(STEEPNESS * (band - lowest)) * torch.sigmoid(STEEPNESS * (highest - band))
    gain = torch.where(torch.rand(count, 1) < share, gain, 1.0)
    return magnitude * gain.view(count, 1, 1, bands)


def _warped(segments: Tensor, settings: AugmentationSettings) -> Tensor:
    if not (settings.tempo or settings.vocal_tract):
        return segments
    count = len(segments)
    scale_time = 1 + _uniform(count, settings.tempo)
    scale_bands = 1 + _uniform(count, settings.vocal_tract)
    # The affine grid's first axis is the data's last: bands. The lowest band does not move.
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 2] = scale_bands, scale_bands - 1
    matrix[:, 1, 1] = scale_time
    grid = F.affine_grid(matrix, list(segments.shape), align_corners=False)
    return F.grid_sample(segments, grid, padding_mode="border", align_corners=False)


def _uniform(count: int, limit: float) -> Tensor:
    return (torch.rand(count) * 2 - 1) * limit


def with_noise(samples: np.ndarray, rate: int, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add white noise at a signal-to-noise ratio, by the power of the whole recording."""
    power = np.mean(np.square(samples, dtype=np.float64))
    return samples + np.sqrt(power / 10 ** (snr_db / 10)) * rng.standard_normal(len(samples))


def with_phone_band(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Resample to 8 kHz, pass 300 to 3400 Hz, and resample back."""
    narrow = resample(samples.astype(np.float32), rate, PHONE_RATE_HZ)
    band = butter(4, PHONE_BAND_HZ, "bandpass", fs=PHONE_RATE_HZ, output="sos")
    return resample(sosfiltfilt(band, narrow).astype(np.float32), PHONE_RATE_HZ, rate)[: len(samples)]


def log_mel_with_phone_band(log_mel: np.ndarray, settings: SpectrogramSettings) -> np.ndarray:
    """Return approximately the log-mel spectrogram (frames, bands) of the recording after `with_phone_band`.

    Each band is attenuated like a tone at its centre. On speech the mean error is 0.1 neper.
    """
    centres_hz = band_centres_hz(settings)
    band = butter(4, PHONE_BAND_HZ, "bandpass", fs=PHONE_RATE_HZ, output="sos")
    below_nyquist = centres_hz < PHONE_RATE_HZ / 2
    _, response = sosfreqz(band, np.where(below_nyquist, centres_hz, 0.0), fs=PHONE_RATE_HZ)
    magnitude = np.maximum(np.exp(log_mel) - settings.log_offset, 0)
    # Squared, because the filter runs forwards and backwards.
    gain = np.where(below_nyquist, np.abs(response) ** 2, 0.0)
    return np.log(magnitude * gain + settings.log_offset).astype(log_mel.dtype)


def with_opus(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
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


def with_reverberation(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Add reverberation of 0.6 s: exponentially decaying noise, 3 dB below the direct sound."""
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
    "phone band": with_phone_band,
    "Opus, 12 kbit/s": with_opus,
    "reverberation, 0.6 s": with_reverberation,
}


def degrade(recording: Recording, condition: str, seed: int) -> Recording:
    """Return a recording degraded by one of `CONDITIONS`. The same seed gives the same noise and reverberation."""
    rng = np.random.default_rng(seed)
    samples = CONDITIONS[condition](recording.samples, recording.sample_rate_hz, rng)
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    samples.setflags(write=False)
    return replace(recording, samples=samples)
