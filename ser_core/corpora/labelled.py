"""Corpora as labelled recordings, with a reason for every file that is left out."""

import hashlib
import os
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".opus", ".ogg", ".mp3"})
#: Including the formats of phones.
ANY_AUDIO_SUFFIXES = AUDIO_SUFFIXES | {".aac", ".aif", ".aiff", ".m4a", ".oga", ".webm"}


@dataclass(frozen=True)
class LabelledRecording:
    """One recording of a corpus.

    Attributes
    ----------
    emotion : str
        A name of `ser_core.analysis.emotions`.
    speaker : str
        Unique within the corpus.
    text : str
        Identifies the sentence within the corpus: recordings with equal `text` have the same words. Empty if unknown.
    perceived_as : tuple of str or None
        The emotion that most listeners chose from the voice alone, several in a tie. None without listeners.
    """

    path: Path
    corpus: str
    speaker: str
    emotion: str
    text: str
    language: str
    gender: str | None = None
    perceived_as: tuple[str, ...] | None = None

    @property
    def unrecognised(self) -> bool:
        """Whether there were listeners and most of them did not perceive the acted emotion."""
        return self.perceived_as is not None and self.emotion not in self.perceived_as

    @property
    def speaker_id(self) -> str:
        """Unique over all corpora."""
        return f"{self.corpus}:{self.speaker}"


@dataclass(frozen=True)
class Corpus:
    """Recordings ordered by path, and the files left out with a reason for each."""

    name: str
    recordings: tuple[LabelledRecording, ...]
    left_out: tuple[tuple[Path, str], ...]

    def reasons(self) -> Counter[str]:
        """Count the files left out by reason."""
        return Counter(reason for _, reason in self.left_out)


def audio_files(folder: Path, suffixes: Set[str] = AUDIO_SUFFIXES) -> list[Path]:
    """Return every audio file under a folder, in a fixed order."""
    return [path for path in files_under(folder) if path.suffix.lower() in suffixes]


def files_under(folder: Path) -> list[Path]:
    """Return every file under a folder, in a fixed order; linked folders too, but none twice."""
    files, seen = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort(key=lambda name: (os.path.islink(os.path.join(parent, name)), name))
        files += [Path(parent, name) for name in names]
    return sorted(files)


def recordings_by_sha256(folder: Path) -> dict[str, Path]:
    """Return the audio files under a folder by the SHA-256 of their bytes; of identical files the first.

    Files that cannot be opened are left out.
    """
    paths: dict[str, Path] = {}
    for path in audio_files(folder):
        try:
            with path.open("rb") as file:
                paths.setdefault(hashlib.file_digest(file, "sha256").hexdigest(), path)
        except OSError:
            continue
    return paths
