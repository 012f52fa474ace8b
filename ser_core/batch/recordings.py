"""Which recordings a batch is of: the audio under a folder, or what a manifest lists, by the SHA-256 of the bytes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ser_core.analysis import display_name
from ser_core.audio.reading import open_regular_file
from ser_core.corpora import read_corpus
from ser_core.corpora.labelled import ANY_AUDIO_SUFFIXES, audio_files
from ser_core.errors import AudioRefused, BatchRefused
from ser_core.settings import AudioLimits
from ser_core.work.progress import Work


@dataclass(frozen=True)
class Found:
    """The files of a batch.

    Attributes
    ----------
    folder : Path
        Absolute; the manifest's own, where it is one.
    files : dict of str to tuple of Path
        SHA-256 to the files with these bytes, in the order of their paths; the first is read.
    failures : tuple of (Path, str)
        What could not be read or was left out by the manifest, and why.
    speakers : dict of str to str
        SHA-256 to who speaks, as the manifest says; empty where there is none.
    """

    folder: Path
    files: dict[str, tuple[Path, ...]]
    failures: tuple[tuple[Path, str], ...]
    speakers: dict[str, str]

    def named(self, path: Path) -> str:
        """Return a path as the results name it: relative to the folder, and text, whatever bytes it was made of."""
        inside = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        return inside.as_posix().encode(errors="replace").decode()


def find_recordings(place: Path, work: Work) -> Found:
    """Find the recordings of a folder or of a CSV manifest, and read each once to know it again.

    Raises
    ------
    BatchRefused
        If the folder is not there or holds no audio.
    CorpusRefused
        If the manifest is refused.
    """
    place = place.resolve()
    left_out: tuple[tuple[Path, str], ...] = ()
    if place.suffix.lower() == ".csv":
        corpus = read_corpus("batch", place)
        folder, left_out = place.parent, corpus.left_out
        speaker_of = {item.path: item.speaker_id for item in corpus.recordings}
        paths = list(speaker_of)
    else:
        folder, speaker_of, paths = place, {}, audio_files(place, ANY_AUDIO_SUFFIXES)
    if not paths:
        raise BatchRefused(
            f"No audio was found under {place}; give a folder that holds some, or a CSV manifest of recordings."
        )
    files: dict[str, tuple[Path, ...]] = {}
    failures = [(folder / path, reason) for path, reason in left_out]
    for number, path in enumerate(paths):
        work.report(0.0, f"Reading file {number + 1} of {len(paths)}")
        try:
            sha256 = _sha256(path)
        except AudioRefused as refusal:
            failures.append((path, str(refusal).removeprefix(f"{display_name(path.name)}: ")))
        else:
            files[sha256] = (*files.get(sha256, ()), path)
    speakers = {sha256: speaker_of[same[0]] for sha256, same in files.items() if speaker_of}
    return Found(folder, files, tuple(failures), speakers)


def _sha256(path: Path) -> str:
    with open_regular_file(path, AudioLimits(), follow_link=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
