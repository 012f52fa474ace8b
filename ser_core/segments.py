"""Cut a log-mel spectrogram into the overlapping segments that networks see."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ser_core.settings import SegmentSettings

NOISE_FLOOR_PERCENTILE = 5


def split_into_segments(log_mel: np.ndarray, settings: SegmentSettings) -> tuple[np.ndarray, np.ndarray]:
    """Cut a log-mel spectrogram into equally long, overlapping segments that cover all of it.

    Parameters
    ----------
    log_mel : ndarray of shape (frames, bands), float32
        Where it is shorter than one segment, noise floor is put after it.

    Returns
    -------
    values : ndarray of shape (segments, segment_frames, bands), float32
        A view wherever nothing had to be added.
    start_frames : ndarray of shape (segments,), int
        First frame of each segment. The last segment ends with the last frame.

    References
    ----------
    Hershey et al. 2017, arXiv:1609.09430: 0.96 s, 96 frames x 64 bands.
    """
    length = settings.segment_frames or len(log_mel)
    if len(log_mel) < length:
        missing = length - len(log_mel)
        log_mel = np.concatenate([log_mel, np.tile(noise_floor(log_mel), (missing, 1))])
    last = len(log_mel) - length
    starts = np.append(np.arange(0, last, settings.hop_frames), last)
    return sliding_window_view(log_mel, length, axis=0)[starts].swapaxes(1, 2), starts


def noise_floor(log_mel: np.ndarray) -> np.ndarray:
    """Return the level of each band that 95 % of the frames exceed, shape (bands,): what its pauses hold."""
    return np.percentile(log_mel, NOISE_FLOOR_PERCENTILE, axis=0).astype(np.float32)
