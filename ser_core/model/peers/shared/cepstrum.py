"""Mel-frequency cepstral coefficients, from the log-mel spectrogram that every model here hears."""

import math

import torch
from torch import Tensor

COEFFICIENTS = 40


def cosines(bands: int = 64, coefficients: int = COEFFICIENTS) -> Tensor:
    """Return the orthonormal DCT-II (bands, coefficients): log-mel times it are the MFCC, the first the level's.

    References
    ----------
    Davis and Mermelstein 1980, doi:10.1109/TASSP.1980.1163420.
    """
    band = torch.arange(bands, dtype=torch.float64)[:, None] + 0.5
    basis = torch.cos(math.pi / bands * band * torch.arange(coefficients))
    basis[:, 0] /= math.sqrt(2)
    return (basis * math.sqrt(2 / bands)).float()
