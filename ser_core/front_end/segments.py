"""Cut a log-mel spectrogram into overlapping segments, the input of networks."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ser_core.errors import AudioRefused
from ser_core.settings import MAX_WHOLE_FRAMES, SegmentSettings

NOISE_FLOOR_PERCENTILE = 5
#: Minimum length of a recording that is one segment: 0.96 s by default.
MIN_WHOLE_FRAMES = 96


def split_into_segments(log_mel: np.ndarray, settings: SegmentSettings) -> tuple[np.ndarray, np.ndarray]:
    """Cut a log-mel spectrogram into equally long, overlapping segments that cover all of it.

    Parameters
    ----------
    log_mel : ndarray of shape (frames, bands), float32
        If shorter than one segment, it is padded with its noise floor.

    Returns
    -------
    values : ndarray of shape (segments, segment_frames, bands), float32
        A view unless it had to be padded.
    start_frames : ndarray of shape (segments,), int
        First frame of each segment. The last segment ends with the last frame.

    Raises
    ------
    AudioRefused
        If the whole recording is to be one segment and is longer than 60 s.

    References
    ----------
    Hershey et al. 2017, arXiv:1609.09430: 0.96 s, 96 frames x 64 bands.
    """
    if settings.segment_frames is None and len(log_mel) > MAX_WHOLE_FRAMES:
        raise AudioRefused(
            f"The recording has {len(log_mel)} frames; a model of whole recordings takes at most {MAX_WHOLE_FRAMES}. "
            "Cut it, or choose another model."
        )
    length = settings.segment_frames or max(len(log_mel), MIN_WHOLE_FRAMES)
    if len(log_mel) < length:
        missing = length - len(log_mel)
        log_mel = np.concatenate([log_mel, np.tile(noise_floor(log_mel), (missing, 1))])
    last = len(log_mel) - length
    starts = np.append(np.arange(0, last, settings.hop_frames), last)
    return sliding_window_view(log_mel, length, axis=0)[starts].swapaxes(1, 2), starts


def split_blocks_into_segments(
    log_mels: Iterator[np.ndarray], settings: SegmentSettings
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut a log-mel spectrogram that comes in blocks into the same segments as the whole.

    Parameters
    ----------
    log_mels : iterator of ndarray of shape (frames, bands), float32
    settings : SegmentSettings
        `segment_frames` must not be None.

    Yields
    ------
    values, start_frames
        As `split_into_segments` returns them; frames count from the beginning of the first block.
    """
    pending, first = next(log_mels), 0
    for log_mel in log_mels:
        # Leave enough frames for the last segment, because the end is not known yet.
        ready = (len(pending) - settings.segment_frames) // settings.hop_frames
        if ready > 0:
            end = (ready - 1) * settings.hop_frames + settings.segment_frames
            values, starts = split_into_segments(pending[:end], settings)
            yield values, first + starts
            pending, first = pending[ready * settings.hop_frames :], first + ready * settings.hop_frames
        pending = np.concatenate([pending, log_mel])
    values, starts = split_into_segments(pending, settings)
    yield values, first + starts


def noise_floor(log_mel: np.ndarray) -> np.ndarray:
    """Return the 5th percentile of each band over time, shape (bands,): its level in pauses."""
    return np.percentile(log_mel, NOISE_FLOOR_PERCENTILE, axis=0).astype(np.float32)
