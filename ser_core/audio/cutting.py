"""Cut regions out of a recording and encode them as WAV."""

import io
from collections.abc import Sequence

import numpy as np
import soundfile

from ser_core.analysis import Recording, Region

#: Silence between concatenated regions.
GAP_S = 0.4


def region_samples(recording: Recording, region: Region, fade_s: float) -> np.ndarray:
    """Return the samples from round(start x rate) up to round(end x rate), faded in and out to avoid clicks.

    Parameters
    ----------
    fade_s : float
        Length of each raised-cosine fade; at most half of the region.

    Returns
    -------
    ndarray of shape (n,), float32
        Unchanged between the fades.
    """
    rate = recording.sample_rate_hz
    cut = recording.samples[round(region.start_s * rate) : round(region.end_s * rate)].copy()
    fade = min(round(fade_s * rate), len(cut) // 2)
    if fade:
        ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)).astype(np.float32)
        cut[:fade] *= ramp
        cut[-fade:] *= ramp[::-1]
    return cut


def concatenate_regions(recording: Recording, regions: Sequence[Region], fade_s: float) -> np.ndarray:
    """Return regions one after another, each faded, with silence in between; shape (n,), float32."""
    gap = np.zeros(round(GAP_S * recording.sample_rate_hz), np.float32)
    pieces = [piece for region in regions for piece in (gap, region_samples(recording, region, fade_s))]
    return np.concatenate(pieces[1:]) if pieces else np.empty(0, np.float32)


def wav_bytes(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """Return a mono 16-bit WAV file; samples beyond full scale are clipped."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), sample_rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()
