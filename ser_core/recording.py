"""A recording as it was decoded: its own samples at its own rate."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Recording:
    """Decoded mono speech.

    Attributes
    ----------
    name : str
        The file's name without its folder, for showing; never used as a path.
    sha256 : str
        Of the file's bytes, in hexadecimal; the recording's identity everywhere.
    samples : ndarray of shape (n,), float32, read-only
        At `sample_rate_hz`, nominally in [-1, 1].
    warnings : tuple of str
        What a person should know before they trust the result.
    """

    name: str
    sha256: str
    samples: np.ndarray
    sample_rate_hz: int
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz
