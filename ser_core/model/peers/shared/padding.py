"""Recordings of different lengths in one batch: shorter ones are padded with digital silence, which is masked.

A network of whole recordings also pads every recording with some silence, so that convolutions see the same end whether
it comes alone or in a batch. Digital silence at the end of a recording counts as padding.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ser_core.settings import SpectrogramSettings

#: Digital silence in a log-mel spectrogram; points at most this margin above it are silent.
SILENCE, SILENCE_MARGIN = math.log(SpectrogramSettings().log_offset), 0.01
#: More than half the receptive field of all convolutions here.
AFTER_FRAMES = 64


def above_silence(segments: Tensor) -> Tensor:
    """Return segments relative to digital silence, so that zero padding in convolutions is silence."""
    return segments - SILENCE


def followed_by_silence(segments: Tensor) -> Tensor:
    """Return segments (n, 1, frames, bands) relative to digital silence, padded with 64 frames of it."""
    return F.pad(above_silence(segments), (0, 0, 0, AFTER_FRAMES))


def mask_padding(map_: Tensor, segments: Tensor) -> Tensor:
    """Return a map of `followed_by_silence(segments)` without the steps after the segments, padding masked.

    Parameters
    ----------
    map_ : Tensor of shape (n, channels, h, w)
    segments : Tensor of shape (n, 1, frames, bands)

    Returns
    -------
    Tensor of shape (n, channels, steps, w)
        As many whole steps as fit in the frames; zeros where a segment is padding.
    """
    sounding = (segments > SILENCE + SILENCE_MARGIN).any(dim=3).any(dim=1)
    frames = torch.arange(1, sounding.shape[1] + 1)
    lengths = (sounding * frames).amax(dim=1).clamp_min(1)
    stride = round((sounding.shape[1] + AFTER_FRAMES) / map_.shape[2])
    map_ = map_[:, :, : sounding.shape[1] // stride]
    steps = (lengths // stride).clamp_min(1)
    return map_ * (torch.arange(map_.shape[2]) < steps[:, None])[:, None, :, None]


def steps_before_padding(map_: Tensor) -> Tensor:
    """Return the number of steps, shape (n,), int, before the padding in a map of `mask_padding`; at least 1."""
    sounding = map_.ne(0).any(dim=3).any(dim=1)
    return (sounding * torch.arange(1, sounding.shape[1] + 1)).amax(dim=1).clamp_min(1)
