"""Features of recordings, saved in the data folder by recording and model, and deleted with the recording's sound."""

import io
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser_core.work.atomic_folder import atomic_write, read_regular

FOLDER = "features"
MAX_BYTES = 1_000_000
NAME = re.compile(r"([0-9a-f]{64})\.npy")


@dataclass(frozen=True, eq=False)
class RecordingFeatures:
    """A model's mean features and probabilities of a recording.

    Attributes
    ----------
    features : ndarray of shape (features,), float32
        Mean over the selected segments of what the model's last layers read.
    probabilities : ndarray of shape (classes,), float32
    speech_s : float
        Seconds of detected speech.
    """

    features: np.ndarray
    probabilities: np.ndarray
    speech_s: float


@dataclass(frozen=True)
class FeatureFolder:
    """The features of one model, a file for each recording.

    Attributes
    ----------
    data : Path
        The data folder.
    model_sha256 : str
    classes : int
    """

    data: Path
    model_sha256: str
    classes: int

    def load(self, sha256: str) -> RecordingFeatures | None:
        """Return the saved features of a recording, or None if they are missing or damaged."""
        file = self._file(sha256)
        with suppress(OSError, ValueError, EOFError):
            values = np.load(io.BytesIO(read_regular(file, MAX_BYTES)))
            fits = values.dtype == np.float32 and values.ndim == 1 and len(values) > self.classes + 1
            if fits and np.isfinite(values).all():
                features, probabilities, speech_s = np.split(values, [-self.classes - 1, -1])
                return RecordingFeatures(features, probabilities, float(speech_s[0]))
        return None

    def save(self, sha256: str, found: RecordingFeatures) -> None:
        """Save the features of a recording; if the disk is full, they are not saved and are computed again."""
        content = io.BytesIO()
        np.save(content, np.concatenate([found.features, found.probabilities, [found.speech_s]]).astype(np.float32))
        with suppress(OSError):
            atomic_write(self._file(sha256), content.getvalue())

    def missing(self, sha256: Iterable[str]) -> list[str]:
        """Return the recordings without saved features."""
        return [one for one in sha256 if not self._file(one).is_file()]

    def _file(self, sha256: str) -> Path:
        name = f"{sha256}.npy"
        if not NAME.fullmatch(name):
            raise ValueError(f"{sha256[:80]!r} is no SHA-256.")
        return self.data / FOLDER / self.model_sha256[:16] / name


def sha256_with_features(data: Path) -> set[str]:
    """Return the SHA-256 of the recordings with saved features."""
    names = (NAME.fullmatch(file.name) for folder in _folders(data) for file in folder.iterdir())
    return {name[1] for name in names if name}


def delete_features(sha256: str, data: Path) -> None:
    """Delete the features of a recording, of every model."""
    for folder in _folders(data):
        (folder / f"{sha256}.npy").unlink(missing_ok=True)


def _folders(data: Path) -> list[Path]:
    folder = data / FOLDER
    return [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
