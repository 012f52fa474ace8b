"""The sound of recordings that are marked: kept in the data folder by its content, and found again."""

import hashlib
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ser_core.annotations.recordings import RecordingFile
from ser_core.audio import read_recording
from ser_core.errors import AnnotationsRefused
from ser_core.recording import Recording
from ser_core.settings import AudioLimits

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
    if _intact(kept, sha256, in_folder=True) is not None:
        return
    half_written = kept.with_name(f".{uuid.uuid4().hex}.part")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with half_written.open("xb") as file:
            file.write(source)
            file.flush()
            os.fsync(file.fileno())
        half_written.replace(kept)
        _sync_folder(kept.parent)
    except OSError as error:
        with suppress(OSError):
            half_written.unlink()
        raise AnnotationsRefused(
            f"The sound cannot be kept in {kept.parent} ({error.strerror}). Make room there, or set SER_DATA to "
            "another folder."
        ) from None


def kept_sound(file: RecordingFile, data: Path) -> bytes | None:
    """Return a recording's audio file, kept here or where it was last seen; None where neither holds it intact."""
    if not SHA256.fullmatch(file.sha256):
        return None
    kept = _intact(data / FOLDER / file.sha256, file.sha256, in_folder=True)
    if kept is not None or not file.path:
        return kept
    return _intact(Path(file.path), file.sha256, in_folder=False)


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
            _sync_folder(kept.parent)


def _intact(path: Path, sha256: str, *, in_folder: bool) -> bytes | None:
    """Return a file's bytes if it is a file, no larger than what is read, and these are its bytes.

    In the folder of kept sounds, into which only files are written, a link is none of ours. Nothing waits for whoever
    would write into a pipe.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | (os.O_NOFOLLOW if in_folder else 0)
    largest_bytes = AudioLimits().largest_file_bytes
    try:
        # What is no file is not opened at all: to open a device can do something.
        if not stat.S_ISREG(os.stat(path, follow_symlinks=not in_folder).st_mode):
            return None
        with open(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_size > largest_bytes:
                return None
            source = file.read(largest_bytes + 1)
    except (OSError, ValueError):
        return None
    return source if hashlib.sha256(source).hexdigest() == sha256 else None


def _sync_folder(folder: Path) -> None:
    """Let a change of names in a folder outlive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
