"""Recordings of several lengths in one batch: digital silence is put after the shorter ones, and is not heard.

A network of whole recordings puts some silence after every recording itself, so that the end of one sounds to
convolutions alone as it did in a batch. At the end of a recording digital silence counts as padding too.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ser_core.settings import SpectrogramSettings

#: What digital silence is in a log-mel spectrogram, and how much louder is no silence any more.
SILENCE, HARDLY_LOUDER = math.log(SpectrogramSettings().log_offset), 0.01
#: More than what convolutions here hear beyond a recording's end.
AFTER_FRAMES = 64


def above_silence(segments: Tensor) -> Tensor:
    """Return segments counted from digital silence, so that what convolutions pad with is silence."""
    return segments - SILENCE


def followed_by_silence(segments: Tensor) -> Tensor:
    """Return segments (n, 1, frames, bands) counted from digital silence, with 64 frames of it after them."""
    return F.pad(above_silence(segments), (0, 0, 0, AFTER_FRAMES))


def heard(map_: Tensor, segments: Tensor) -> Tensor:
    """Return a map of `followed_by_silence(segments)` without the steps after the segments.

    Parameters
    ----------
    map_ : Tensor of shape (n, channels, h, w)
    segments : Tensor of shape (n, 1, frames, bands)

    Returns
    -------
    Tensor of shape (n, channels, steps, w)
        As many whole steps as the frames have; zeros where a segment is padding.
    """
    sounding = (segments > SILENCE + HARDLY_LOUDER).any(dim=3).any(dim=1)
    frames = torch.arange(1, sounding.shape[1] + 1)
    lengths = (sounding * frames).amax(dim=1).clamp_min(1)
    stride = round((sounding.shape[1] + AFTER_FRAMES) / map_.shape[2])
    map_ = map_[:, :, : sounding.shape[1] // stride]
    steps = (lengths // stride).clamp_min(1)
    return map_ * (torch.arange(map_.shape[2]) < steps[:, None])[:, None, :, None]


def steps_heard(map_: Tensor) -> Tensor:
    """Return up to which step of time a map of `heard` is not padding, shape (n,), int, at least 1."""
    sounding = map_.ne(0).any(dim=3).any(dim=1)
    return (sounding * torch.arange(1, sounding.shape[1] + 1)).amax(dim=1).clamp_min(1)
