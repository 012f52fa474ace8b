"""The sound of recordings that are marked: kept in the data folder by its content, and found again."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ser_core.analysis import Recording
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.audio.reading import file_bytes, read_recording
from ser_core.errors import AnnotationsRefused, AudioRefused
from ser_core.work.atomic_folder import atomic_write, sync

FOLDER = "recordings"
SHA256 = re.compile("[0-9a-f]{64}")


def keep_sound(source: bytes, data: Path) -> None:
    """Keep an audio file under the data folder, byte for byte, by its SHA-256; one that is damaged there is replaced.

    What has returned outlives a power cut.

    Raises
    ------
    AnnotationsRefused
        If it cannot be written; then nothing is left of it.
    """
    sha256 = hashlib.sha256(source).hexdigest()
    kept = data / FOLDER / sha256
    if _intact(kept, sha256) is not None:
        return
    try:
        atomic_write(kept, source)
    except OSError as error:
        raise AnnotationsRefused(
            f"The sound cannot be kept in {kept.parent} ({error.strerror}). Make room there, or set SER_DATA to "
            "another folder."
        ) from None


def kept_sound(file: RecordingFile, data: Path) -> bytes | None:
    """Return a recording's audio file, kept here or where it was last seen; None where neither holds it intact."""
    if not SHA256.fullmatch(file.sha256):
        return None
    kept = _intact(data / FOLDER / file.sha256, file.sha256)
    if kept is not None or not file.path:
        return kept
    return _intact(Path(file.path), file.sha256)


def sounds_of(files: Iterable[RecordingFile], data: Path) -> Callable[[str], Recording | None]:
    """Return a function from the SHA-256 of one of the recordings to its sound, None where that is not at hand.

    It raises `AudioRefused` as `read_recording` does.
    """
    by_sha256 = {file.sha256: file for file in files}

    def sound_of(sha256: str) -> Recording | None:
        file = by_sha256.get(sha256)
        source = None if file is None else kept_sound(file, data)
        return None if source is None else read_recording(source, file.name)

    return sound_of


def kept_sha256(data: Path) -> list[str]:
    """Return the SHA-256 of all sounds that are kept."""
    folder = data / FOLDER
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        files = [each.name for each in entries if not each.is_dir(follow_symlinks=False)]
    return sorted(name for name in files if SHA256.fullmatch(name))


def forget_sound(sha256: str, data: Path) -> None:
    """Delete the kept sound of a recording, if there is one."""
    if SHA256.fullmatch(sha256):
        kept = data / FOLDER / sha256
        kept.unlink(missing_ok=True)
        if kept.parent.is_dir():
            sync(kept.parent)


def _intact(path: Path, sha256: str) -> bytes | None:
    """Return a file's bytes if these are its bytes; a link is not followed, and nothing but a file is opened."""
    try:
        source = file_bytes(path, follow_link=False)
    except AudioRefused:
        return None
    return source if hashlib.sha256(source).hexdigest() == sha256 else None
