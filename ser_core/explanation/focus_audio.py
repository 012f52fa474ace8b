"""Make the marks of a map audible: the recording with parts of its spectrogram reduced to its noise floor."""

from dataclasses import dataclass

import numpy as np
import scipy

from ser_core.analysis import Recording
from ser_core.front_end.segments import NOISE_FLOOR_PERCENTILE
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.settings import SpectrogramSettings

WINDOW_S, HOP_S = 0.025, 0.005
MAX_PEAK = 0.99
#: Sound is processed in blocks, because its spectra take fifty times as much memory.
BLOCK_S = 4.0
#: Maximum number of frames for the noise floor; longer recordings use every second frame, or every third, and so on.
FLOOR_FRAMES = 3_000


@dataclass(frozen=True, eq=False)
class ChangedSound:
    """A changed sound and its scores.

    Attributes
    ----------
    samples : ndarray of shape (n,), float32
        At the recording's own rate.
    scores : ndarray of shape (classes,), float64
    """

    samples: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class FocusScores:
    """The focus alone, and the recording without it."""

    alone: ChangedSound
    without: ChangedSound


def focus_mask(relevance: np.ndarray, covered: np.ndarray, share: float) -> np.ndarray:
    """Return the points with the highest relevance: positive ones that fill at most a share of the covered area.

    Parameters
    ----------
    relevance : ndarray of shape (frames, bands)
    covered : ndarray of shape (frames,), bool
    share : float
        Share of the area in time and frequency, 0 to 1. Ties at the limit are taken in order of time, so that the area
        never exceeds it.

    Returns
    -------
    ndarray of shape (frames, bands), bool
    """
    values = np.where(covered[:, None], relevance, 0).ravel()
    max_points = int(share * covered.sum() * relevance.shape[1])
    strongest = np.argsort(-values, kind="stable")[: min(max_points, int((values > 0).sum()))]
    mask = np.zeros(values.size, bool)
    mask[strongest] = True
    return mask.reshape(relevance.shape)


def sound_without(
    recording: Recording, removed: np.ndarray, frame_times_s: np.ndarray, settings: SpectrogramSettings
) -> np.ndarray:
    """Return the recording's samples with parts of its spectrogram at the noise floor, phases unchanged.

    Parameters
    ----------
    removed : ndarray of shape (frames, bands)
        At 1 a point is reduced to the level that its frequency exceeds in 95 % of the frames (of at most 3000 evenly
        spaced ones), at 0 it is unchanged, and values between reduce its magnitude in proportion. They are interpolated
        between band centres; beyond the first and last centre, those of that band apply.
    frame_times_s : ndarray of shape (frames,)
        Centres of the frames.

    Returns
    -------
    ndarray of shape (samples,), float32
        At the recording's own rate; as long as the recording.
    """
    rate = recording.sample_rate_hz
    stft = scipy.signal.ShortTimeFFT(
        scipy.signal.windows.hann(round(WINDOW_S * rate), sym=False), round(HOP_S * rate), rate
    )
    floor = _noise_floor(recording.samples, stft)[:, None]
    changed = np.empty(len(recording.samples), np.float32)
    reach = (stft.m_num // stft.hop + 1) * stft.hop
    length = round(BLOCK_S * rate / stft.hop) * stft.hop
    for start in range(0, len(changed), length):
        # A block is extended on both sides, so that its frames equal those of the whole recording.
        first, end = max(0, start - reach), min(start + length, len(changed))
        extended = _padded(recording.samples[first : end + reach], stft)
        spectrum = stft.stft(extended)
        frames = first // stft.hop + np.arange(stft.p_min, stft.p_max(len(extended)))
        magnitude = np.abs(spectrum)
        removed_share = _on_grid(removed, frame_times_s, settings, frames * stft.delta_t, stft.f)
        gain = 1 - removed_share * (1 - np.minimum(magnitude, floor) / np.maximum(magnitude, 1e-12))
        changed[start:end] = stft.istft(spectrum * gain, k1=end - first)[start - first :]
    return changed


def _padded(samples: np.ndarray, stft: "scipy.signal.ShortTimeFFT") -> np.ndarray:
    """Return samples followed by silence, which the last samples and recordings shorter than the window need."""
    return np.concatenate([samples, np.zeros(stft.m_num, np.float32)])


def _noise_floor(samples: np.ndarray, stft: "scipy.signal.ShortTimeFFT") -> np.ndarray:
    """Return the magnitude (frequencies,) that each frequency exceeds in 95 % of the frames."""
    hop = stft.hop * (len(samples) // (stft.hop * FLOOR_FRAMES) + 1)
    frames = scipy.signal.ShortTimeFFT(stft.win, hop, stft.fs)
    padded = _padded(samples, stft)
    inside = frames.t(len(padded)) <= len(samples) / stft.fs
    return np.percentile(np.abs(frames.stft(padded)[:, inside]), NOISE_FLOOR_PERCENTILE, axis=1)


def _on_grid(
    values: np.ndarray,
    frame_times_s: np.ndarray,
    settings: SpectrogramSettings,
    times_s: np.ndarray,
    hz: np.ndarray,
) -> np.ndarray:
    """Return values (frames, bands) at other times and frequencies, shape (frequencies, times), 0 to 1."""
    bands = np.interp(hz, band_centres_hz(settings), np.arange(settings.bands))
    lower = np.minimum(bands.astype(int), settings.bands - 2)
    part = bands - lower
    frames = np.clip(np.searchsorted(frame_times_s, times_s), 1, max(len(frame_times_s) - 1, 1))
    # The nearer of the two frames around each time, not a mixture, so that the edges of masks stay sharp.
    earlier = np.minimum(frames, len(frame_times_s)) - 1
    later = np.minimum(frames, len(frame_times_s) - 1)
    nearest = np.where(times_s - frame_times_s[earlier] <= frame_times_s[later] - times_s, earlier, later)
    at_times = values[nearest].astype(np.float64)
    return ((1 - part) * at_times[:, lower] + part * at_times[:, lower + 1]).T


def level_matched(samples: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return samples (n,) scaled to the RMS of a reference (m,), or to the largest gain that does not clip."""
    own_rms, target_rms = (np.sqrt(np.mean(np.square(x, dtype=np.float64))) for x in (samples, reference))
    peak = float(np.abs(samples).max(initial=0))
    if own_rms == 0 or peak == 0:
        return samples.copy()
    return (samples * min(target_rms / own_rms, MAX_PEAK / peak)).astype(np.float32)
