"""Fit the map from our 64 mel bands to the 80 that Whisper was trained on; labels play no part in it."""

from collections.abc import Sequence

import numpy as np
import torch

from ser_core.audio.reading import read_recording, resample
from ser_core.audio.torchaudio_import import torchaudio
from ser_core.errors import CorpusRefused
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.model.networks.whisper import WHISPER_BANDS, Whisper

RATE_HZ, WINDOW_SAMPLES, HOP_SAMPLES = 16_000, 400, 160
#: Powers below this part of the recording's highest count as this part, and none as less than the floor.
RANGE_DECADES, POWER_FLOOR = 8, 1e-10
#: More recordings change nothing: a map of 5 200 numbers is fitted to some 40 000 frames.
RECORDINGS = 150
#: Penalty of the map's weights, part of the number of frames: neighbouring bands are nearly the same.
RIDGE = 1e-5


def whisper_log_mel(samples: np.ndarray) -> np.ndarray:
    """Return Whisper's own input.

    Parameters
    ----------
    samples : ndarray of shape (n,), float32
        At 16 kHz.

    Returns
    -------
    ndarray of shape (frames, 80), float32
        Frame j is centred on sample 160 j.

    References
    ----------
    Radford et al. 2022, arXiv:2212.04356, and whisper/audio.py of openai-whisper.
    """
    window = torch.hann_window(WINDOW_SAMPLES)
    sound = torch.tensor(np.ascontiguousarray(samples))
    spectrum = torch.stft(sound, WINDOW_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    bands = torchaudio.functional.melscale_fbanks(
        WINDOW_SAMPLES // 2 + 1, 0.0, RATE_HZ / 2, WHISPER_BANDS, RATE_HZ, norm="slaney", mel_scale="slaney"
    )
    decades = (spectrum[:, :-1].abs().square().T @ bands).clamp_min(POWER_FLOOR).log10()
    return ((decades.maximum(decades.max() - RANGE_DECADES) + 4) / 4).numpy()


def fit_bands(network: Whisper, dataset: Sequence[LabelledSpectrogram]) -> float:
    """Set `network.bands` by least squares on some of the recordings; return the explained part of the variance.

    Which recordings follows from their content alone, so that all folds of the same recordings begin with the same map,
    and features that do not learn are computed once for all of them.

    Raises
    ------
    CorpusRefused
        If there is no frame to fit it on.
    """
    pairs = [_frames_of_both(entry) for entry in _drawn(dataset)]
    if not any(len(ours) for ours, _ in pairs):
        raise CorpusRefused("There is no recording to fit Whisper's bands on. Give a corpus that has some.")
    ours, theirs = (np.concatenate(side).astype(np.float64) for side in zip(*pairs, strict=True))
    mean, their_mean = ours.mean(axis=0), theirs.mean(axis=0)
    centred, their_centred = ours - mean, theirs - their_mean
    moments = centred.T @ centred + RIDGE * len(centred) * np.eye(centred.shape[1])
    weights = np.linalg.solve(moments, centred.T @ their_centred)
    with torch.no_grad():
        network.bands.weight.copy_(torch.from_numpy(weights.T))
        network.bands.bias.copy_(torch.from_numpy(their_mean - mean @ weights))
    return float(1 - (their_centred - centred @ weights).var() / theirs.var())


def _drawn(dataset: Sequence[LabelledSpectrogram]) -> list[LabelledSpectrogram]:
    """Return the first recordings of each corpus by their SHA-256, as good as by chance, as many of each."""
    corpora = sorted({entry.item.corpus for entry in dataset})
    by_sha256 = sorted(dataset, key=lambda entry: entry.sha256)
    each = -(-RECORDINGS // max(1, len(corpora)))
    return [entry for corpus in corpora for entry in [e for e in by_sha256 if e.item.corpus == corpus][:each]]


def _frames_of_both(entry: LabelledSpectrogram) -> tuple[np.ndarray, np.ndarray]:
    """Return the same moments in our bands and in Whisper's."""
    recording = read_recording(entry.item.path)
    theirs = whisper_log_mel(resample(recording.samples, recording.sample_rate_hz, RATE_HZ))
    count = max(0, min(len(entry.log_mel), len(theirs) - 2))
    # Our frame i begins at 10 i ms and is centred 12.5 ms later: between Whisper's frames i + 1 and i + 2.
    return entry.log_mel[:count], 0.75 * theirs[1 : count + 1] + 0.25 * theirs[2 : count + 2]
