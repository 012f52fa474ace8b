"""The sound of recordings that are marked: kept in the data folder by its content, and found again."""

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ser_core.annotations.recordings import RecordingFile
from ser_core.audio import file_bytes, read_recording
from ser_core.errors import AnnotationsRefused, AudioRefused
from ser_core.recording import Recording
from ser_core.whole_folder import atomic_write

FOLDER = "recordings"


def keep_sound(source: bytes, data: Path) -> None:
    """Keep an audio file under the data folder, byte for byte, by its SHA-256.

    Raises
    ------
    AnnotationsRefused
        If it cannot be written; then nothing is left of it.
    """
    kept = data / FOLDER / hashlib.sha256(source).hexdigest()
    if kept.exists():
        return
    try:
        atomic_write(kept, source)
    except OSError as error:
        raise AnnotationsRefused(
            f"The sound cannot be kept in {kept.parent} ({error.strerror}). Make room there, or set SER_DATA to "
            "another folder."
        ) from None


def kept_sound(file: RecordingFile, data: Path) -> bytes | None:
    """Return a recording's audio file, kept here or where it was last seen; None where neither holds it any more."""
    places = [data / FOLDER / file.sha256] if re.fullmatch("[0-9a-f]{64}", file.sha256) else []
    for place in (*places, *([Path(file.path)] if file.path else [])):
        try:
            source = file_bytes(place, follow_link=False)
        except AudioRefused:
            continue
        if hashlib.sha256(source).hexdigest() == file.sha256:
            return source
    return None


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


def forget_sound(sha256: str, data: Path) -> None:
    """Delete the kept sound of a recording, if there is one."""
    if re.fullmatch("[0-9a-f]{64}", sha256):
        (data / FOLDER / sha256).unlink(missing_ok=True)
