"""Mel-frequency cepstral coefficients, from the log-mel spectrogram that every model here takes."""

import math

import torch
from torch import Tensor

BANDS, COEFFICIENTS = 64, 40


def cosines() -> Tensor:
    """Return the orthonormal DCT-II (bands, coefficients): log-mel times it gives MFCCs, the first of them the level.

    References
    ----------
    Davis and Mermelstein 1980, doi:10.1109/TASSP.1980.1163420.
    """
    # Not on the device "meta", where checkpoints make networks for their shapes: `arange` there imports torch._dynamo,
    # which takes seconds.
    band = torch.arange(BANDS, dtype=torch.float64, device="cpu")[:, None] + 0.5
    basis = torch.cos(math.pi / BANDS * band * torch.arange(COEFFICIENTS, device="cpu"))
    basis[:, 0] /= math.sqrt(2)
    return (basis * math.sqrt(2 / BANDS)).float()
