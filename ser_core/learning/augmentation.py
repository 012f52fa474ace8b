"""Change segments as other speakers, rooms and microphones would, so that a network does not learn them by heart."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from ser_core.audio.torchaudio_import import torchaudio

FRAME_S = 0.010
#: Of a line's edges: 26 dB a band.
STEEPNESS = 3.0


@dataclass(frozen=True)
class AugmentationSettings:
    """Ranges are drawn from evenly; 0 turns a change off.

    Attributes
    ----------
    shift_frames : int
        A segment starts up to this much earlier or later.
    gain_db : float
        Level changes by up to this much either way.
    tempo, vocal_tract : float
        Time and band axes are stretched by up to this part either way; the latter as a longer or shorter vocal tract
        would.
    time_mask_frames, band_mask : int
        Longest masks of SpecAugment; two of each.
    reverberation : float
        Part of the segments that sound in a room of 0.2 to 1 s reverberation, 0 to 10 dB below the direct sound.
    noise : float
        Part of the segments that get noise of a smooth spectrum, its magnitude 8 dB above to 30 dB below their own.
    equaliser_db : float
        Each band's level changes by up to about this much, smoothly over the bands, as another microphone would.
    band_limit : float
        Part of the segments that lose up to ten of the lowest and up to 24 of the highest bands, as on a phone line.
    mixup : float
        Both parameters of the beta distribution that mixing weights are drawn from.
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


#: Segments as they are.
UNCHANGED = AugmentationSettings(**dict.fromkeys((field.name for field in fields(AugmentationSettings)), 0))


def augment(segments: Tensor, settings: AugmentationSettings, log_offset: float) -> Tensor:
    """Return changed copies of segments (n, 1, frames, bands); draws from torch's global generator.

    References
    ----------
    Park et al. 2019, arXiv:1904.08779, for the masks; Jaitly and Hinton 2013 for the vocal tract.
    """
    segments = _warp(segments, settings)
    s = settings
    if s.reverberation or s.noise or s.gain_db or s.equaliser_db or s.band_limit:
        # In the order of the sound's way: the room, what else sounds in it, the microphone, the line.
        magnitude = _in_a_room((segments.exp() - log_offset).clamp_min(0), s.reverberation)
        magnitude = _coloured(_with_noise(magnitude, s.noise), s)
        segments = (_through_a_line(magnitude, s.band_limit) + log_offset).log()
    # torchaudio's axes: (n, channel, frequency, time). The mean is what a mask may hide without being heard itself.
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
    along = weight.view(-1, 1, 1, 1)
    return (
        along * segments + (1 - along) * segments[other],
        weight[:, None] * targets + (1 - weight[:, None]) * targets[other],
    )


def _coloured(magnitude: Tensor, settings: AugmentationSettings) -> Tensor:
    """Change level and colour: a gain, and a curve over the bands made of the three slowest cosines."""
    count, bands = len(magnitude), magnitude.shape[3]
    level_db = _evenly(count, settings.gain_db)[:, None]
    along = torch.linspace(0, torch.pi, bands)
    for cosine in (1, 2, 3):
        level_db = level_db + _evenly(count, settings.equaliser_db / cosine)[:, None] * torch.cos(cosine * along)
    return magnitude * 10 ** (level_db.view(count, 1, 1, -1) / 20)


def _in_a_room(magnitude: Tensor, share: float) -> Tensor:
    """Let each band's power linger: direct sound, and a tail that falls off exponentially from frame to frame."""
    if not share:
        return magnitude
    count, _, frames, _ = magnitude.shape
    reverberation_frames = (0.2 + 0.8 * torch.rand(count, 1, 1)) / FRAME_S
    left_per_frame = 10 ** (-6 / reverberation_frames)
    tail = 10 ** -torch.rand(count, 1, 1) * (torch.rand(count, 1, 1) < share)
    after = torch.arange(frames)[:, None] - torch.arange(frames)
    lingering = torch.where(after >= 0, tail * (1 - left_per_frame) * left_per_frame ** after.clamp_min(0), 0.0)
    return ((torch.eye(frames) + lingering)[:, None] @ magnitude**2).sqrt()


def _with_noise(magnitude: Tensor, share: float) -> Tensor:
    if not share:
        return magnitude
    count, _, frames, bands = magnitude.shape
    # White noise whose power is 10 dB below that of speech has a mean magnitude of 2 dB above: it fills every band.
    level_db = 8 - 38 * torch.rand(count)
    level = magnitude.mean(dim=(1, 2, 3)) * 10 ** (level_db / 20) * (torch.rand(count) < share)
    tilt = _evenly(count, 12.0)[:, None] * torch.linspace(-1, 1, bands)
    # A band's magnitude in steady noise is spread about its mean as the root of a chi-squared variable is.
    grain = 0.7 + 0.6 * torch.rand(count, 1, frames, bands)
    return magnitude + grain * (level[:, None] * 10 ** (tilt / 20)).view(count, 1, 1, bands)


def _through_a_line(magnitude: Tensor, share: float) -> Tensor:
    if not share:
        return magnitude
    count, bands = len(magnitude), magnitude.shape[3]
    band = torch.arange(bands).float()
    lowest, highest = 10 * torch.rand(count, 1), bands - 24 * torch.rand(count, 1)
    passed = torch.sigmoid(STEEPNESS * (band - lowest)) * torch.sigmoid(STEEPNESS * (highest - band))
    passed = torch.where(torch.rand(count, 1) < share, passed, 1.0)
    return magnitude * passed.view(count, 1, 1, bands)


def _warp(segments: Tensor, settings: AugmentationSettings) -> Tensor:
    if not (settings.tempo or settings.vocal_tract):
        return segments
    count = len(segments)
    scale_time = 1 + _evenly(count, settings.tempo)
    scale_bands = 1 + _evenly(count, settings.vocal_tract)
    # The affine grid's first axis is the last of the data: bands. The lowest band stays where it is.
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 2] = scale_bands, scale_bands - 1
    matrix[:, 1, 1] = scale_time
    grid = F.affine_grid(matrix, list(segments.shape), align_corners=False)
    return F.grid_sample(segments, grid, padding_mode="border", align_corners=False)


def _evenly(count: int, most: float) -> Tensor:
    return (torch.rand(count) * 2 - 1) * most
