"""Find the recordings of a batch, under a folder or in a manifest, and hash them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ser_core.analysis import display_name
from ser_core.audio.reading import open_regular_file
from ser_core.corpora.labelled import ANY_AUDIO_SUFFIXES, audio_files
from ser_core.corpora.manifest import read_unlabelled
from ser_core.errors import AudioRefused, BatchRefused
from ser_core.settings import AudioLimits
from ser_core.work.progress import Work


@dataclass(frozen=True)
class BatchFiles:
    """The files of a batch.

    Attributes
    ----------
    folder : Path
        Absolute; the folder searched, or that of the manifest.
    files : dict of str to tuple of Path
        SHA-256 to the files with that content, ordered by path; the first is read.
    failures : tuple of (Path, str)
        Files that cannot be read or that the manifest leaves out, and why.
    speakers : dict of str to str
        SHA-256 to speaker, from the manifest; empty unless the batch is by speaker.
    """

    folder: Path
    files: dict[str, tuple[Path, ...]]
    failures: tuple[tuple[Path, str], ...]
    speakers: dict[str, str]

    def name_of(self, path: Path) -> str:
        """Return a path as the results show it: relative to the folder, with undecodable bytes replaced."""
        relative = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        return relative.as_posix().encode(errors="replace").decode()


def find_recordings(source: Path, work: Work, *, by_speaker: bool = False) -> BatchFiles:
    """Find the recordings of a folder or a CSV manifest, and hash each.

    If `by_speaker`, rows of the manifest without a speaker are left out.

    Raises
    ------
    BatchRefused
        If the folder is missing or holds no audio.
    CorpusRefused
        If the manifest is refused.
    """
    source = source.resolve()
    left_out: tuple[tuple[Path, str], ...] = ()
    if source.suffix.lower() == ".csv":
        speaker_of, left_out = read_unlabelled(source, by_speaker=by_speaker)
        folder, paths = source.parent, list(speaker_of)
    else:
        folder, speaker_of, paths = source, {}, audio_files(source, ANY_AUDIO_SUFFIXES)
    if not paths:
        raise BatchRefused(
            f"No audio was found under {source}; give a folder that holds some, or a CSV manifest of recordings."
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
    speakers = {sha256: speaker_of[same[0]] for sha256, same in files.items() if by_speaker and speaker_of}
    return BatchFiles(folder, files, tuple(failures), speakers)


def _sha256(path: Path) -> str:
    with open_regular_file(path, AudioLimits(), follow_link=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
