"""A recording as it was decoded: its own samples at its own rate."""

import unicodedata
from dataclasses import dataclass

import numpy as np

LONGEST_NAME = 120


def shown_name(name: str) -> str:
    """Return a file's name as it can be shown anywhere: nothing that a terminal obeys, and at most 120 characters.

    Spaces of other scripts, and the joiners that some scripts and emoji are written with, stay.
    """
    shown = "".join(one if _is_shown(one) else "\N{REPLACEMENT CHARACTER}" for one in name)
    if len(shown) <= LONGEST_NAME:
        return shown
    return f"{shown[: LONGEST_NAME - 21]}\N{HORIZONTAL ELLIPSIS}{shown[-20:]}"


def _is_shown(character: str) -> bool:
    joins = character in "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
    return character.isprintable() or joins or unicodedata.category(character) == "Zs"


@dataclass(frozen=True, eq=False)
class Recording:
    """Decoded mono speech.

    Attributes
    ----------
    name : str
        The file's name without its folder, as `shown_name` returns it; never used as a path.
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
