"""Compute the log-mel spectrogram of a recording."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from ser_core.analysis import Recording, Spectrogram
from ser_core.audio.reading import resample
from ser_core.front_end.torchaudio_import import torchaudio
from ser_core.settings import SpectrogramSettings

#: Spectrograms are in neper, the natural logarithm of magnitude; pictures show dB, as is usual for speech.
NEPER_IN_DB = 20 * np.log10(np.e)

#: 30 s per block by default: the spectrum of a long recording would take a gigabyte.
FFT_SAMPLES_PER_BLOCK = 3_000 * 1_200


def spectrogram_of(recording: Recording, settings: SpectrogramSettings) -> Spectrogram:
    """Return the log-mel spectrogram of a recording, resampled for this purpose only."""
    samples = resample(recording.samples, recording.sample_rate_hz, settings.sample_rate_hz)
    return Spectrogram(log_mel(samples, settings), settings)


def log_mel(samples: np.ndarray, settings: SpectrogramSettings) -> np.ndarray:
    """Return log(mel magnitude + offset), on AudioSet's scale.

    Parameters
    ----------
    samples : ndarray of shape (n,), float32
        At `settings.sample_rate_hz`, in [-1, 1].

    Returns
    -------
    ndarray of shape (frames, bands), float32
        In neper. Frame i covers the samples [hop i, hop i + window); the end is zero-padded so that the last sample
        lies in a frame.

    References
    ----------
    Kim and Kwak 2024, Tables 2 and 3; Hershey et al. 2017, arXiv:1609.09430, for the band limits and the offset.
    """
    frames = frame_count(len(samples), settings)
    padded = np.zeros((frames - 1) * settings.hop_samples + settings.window_samples, np.float32)
    padded[: len(samples)] = samples
    result = np.empty((frames, settings.bands), np.float32)
    block_frames = max(1, FFT_SAMPLES_PER_BLOCK // settings.fft_samples)
    with torch.inference_mode():
        for first in range(0, frames, block_frames):
            end = min(first + block_frames, frames)
            block = padded[first * settings.hop_samples : (end - 1) * settings.hop_samples + settings.window_samples]
            magnitude = _mel_magnitude(settings)(torch.from_numpy(block)) * settings.audioset_scale
            result[first:end] = torch.log(magnitude + settings.log_offset).T
    return result


def frame_count(samples: int, settings: SpectrogramSettings) -> int:
    """Return the number of frames that cover a number of samples."""
    return 1 + -(-max(samples - settings.window_samples, 0) // settings.hop_samples)


def split_into_frames(blocks: Iterator[np.ndarray], settings: SpectrogramSettings) -> Iterator[np.ndarray]:
    """Cut blocks of samples into pieces whose frames, concatenated, are those of the whole recording.

    Yields
    ------
    ndarray of shape (n,), float32
        Each piece begins with the samples that its first frame shares with the previous one.
    """
    pending, begun = np.empty(0, np.float32), False
    for block in blocks:
        pending = np.concatenate([pending, block])
        frames = 1 + (len(pending) - settings.window_samples) // settings.hop_samples
        if frames > 0:
            begun = True
            yield pending[: (frames - 1) * settings.hop_samples + settings.window_samples]
            pending = pending[frames * settings.hop_samples :]
    if len(pending) > settings.window_samples - settings.hop_samples or not begun:
        yield pending


def band_centres_hz(settings: SpectrogramSettings) -> np.ndarray:
    """Return the centre of each mel band in Hz, shape (bands,)."""
    return band_edges_hz(settings)[1:-1]


def band_edges_hz(settings: SpectrogramSettings) -> np.ndarray:
    """Return the mel filters' edges in Hz, shape (bands + 2,): band b rises from b to b + 1 and falls to b + 2."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (settings.low_hz, settings.high_hz))
    return 700 * (10 ** (np.linspace(low, high, settings.bands + 2) / 2595) - 1)


@lru_cache(maxsize=4)
def _mel_magnitude(settings: SpectrogramSettings) -> torch.nn.Module:
    # torchaudio's default, centred frames, would shift every frame by half a window.
    return torchaudio.transforms.MelSpectrogram(
        sample_rate=settings.sample_rate_hz,
        n_fft=settings.fft_samples,
        win_length=settings.window_samples,
        hop_length=settings.hop_samples,
        f_min=settings.low_hz,
        f_max=settings.high_hz,
        n_mels=settings.bands,
        power=1.0,
        center=False,
        norm=None,
        mel_scale="htk",
    )
