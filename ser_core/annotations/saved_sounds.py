"""The audio of annotated recordings: saved in the data folder by SHA-256, loaded, and deleted permanently."""

import hashlib
import math
import os
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from ser_core.analysis import Recording, Region
from ser_core.annotations.corpus_map.saved_features import delete_features, sha256_with_features
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import Store
from ser_core.annotations.store.trash import TRASH_PERIOD
from ser_core.annotations.teaching.corpus import TAUGHT, delete_taught
from ser_core.audio.cutting import wav_bytes
from ser_core.audio.long_recording import Source, open_long_recording
from ser_core.audio.reading import check_size, file_bytes, read_recording
from ser_core.audio.working_copy import FULL_SCALE, LONGEST_STRETCH_S, FileBytes, WorkingCopy, working_copy
from ser_core.errors import AnnotationsRefused, AudioRefused, RecordingTooLong
from ser_core.settings import LONG_RECORDING, AudioLimits
from ser_core.work.atomic_folder import atomic_write, clear_half_written, sync
from ser_core.work.progress import UNWATCHED

FOLDER = "recordings"
#: The head of a WAV file of 16-bit samples that are not compressed.
PLAIN_WAV = re.compile(rb"RIFF.{4}WAVEfmt \x10\0\0\0\x01\0.{12}\x10\0", re.DOTALL)
SHA256 = re.compile("[0-9a-f]{64}")
#: A file beside the sounds with the hashes of the databases that were opened with them.
DATABASES = ".databases"
NOTED_AT_ONCE = 1_000
#: Added before and after a region, in seconds, for windows that reach beyond it.
MARGIN_S = 1


def audio_file(source: Source, name: str, path: str | None = None, speaker: str | None = None) -> RecordingFile:
    """Check a whole audio file of up to two hours, block by block, and return what a project stores about it.

    Parameters
    ----------
    source : path or binary file
        A binary file must be seekable and is left open.

    Raises
    ------
    AudioRefused
        As in `read_recording`.
    """
    with open_long_recording(source, name, LONG_RECORDING, UNWATCHED) as recording:
        size_bytes = recording.file.seek(0, os.SEEK_END)
        found = RecordingFile(
            recording.sha256, recording.name, recording.duration_s, recording.sample_rate_hz, path, speaker
        )
        if not found.is_long:
            check_size(size_bytes, recording.name, AudioLimits())
    return found


def save_sound(source: bytes, data: Path) -> None:
    """Save an audio file under the data folder, byte for byte, by its SHA-256; a damaged one there is replaced.

    Once this returns, the file survives a power cut.

    Raises
    ------
    AnnotationsRefused
        If it cannot be written; then nothing is left of it.
    """
    sha256 = hashlib.sha256(source).hexdigest()
    saved = data / FOLDER / sha256
    if _intact(saved, sha256) is not None:
        return
    try:
        atomic_write(saved, source)
    except OSError as error:
        raise AnnotationsRefused(
            f"The sound cannot be saved in {saved.parent} ({error.strerror}). Free some space there, or set "
            "SER_DATA to another folder."
        ) from None


def saved_sound(file: RecordingFile, data: Path) -> bytes | None:
    """Return a recording's audio file, saved here or at its last known path; None if neither is intact."""
    if not SHA256.fullmatch(file.sha256):
        return None
    saved = _intact(data / FOLDER / file.sha256, file.sha256)
    if saved is not None or not file.path:
        return saved
    return _intact(Path(file.path), file.sha256)


def saved_file(file: RecordingFile, data: Path) -> Path | None:
    """Return the path of a recording's audio file, saved here or last known; its content is not checked."""
    candidates = [data / FOLDER / file.sha256] if SHA256.fullmatch(file.sha256) else []
    candidates += [Path(file.path)] if file.path else []
    return next((path for path in candidates if path.is_file() and not path.is_symlink()), None)


def last_change_of_sounds(data: Path) -> int:
    """Return when a sound was last saved or deleted, in nanoseconds; 0 if never."""
    folder = data / FOLDER
    return folder.stat().st_mtime_ns if folder.is_dir() else 0


def sounds_of(files: Iterable[RecordingFile], data: Path) -> Callable[..., Recording | None]:
    """Return a function from the SHA-256 of one of the recordings to its sound, None if that is missing.

    It raises `AudioRefused` as `read_recording` does. Of a recording of more than ten minutes it needs a region as its
    second argument, and returns a stretch of at most ten minutes around it.
    """
    by_sha256 = {file.sha256: file for file in files}
    copies = working_copies(by_sha256.values(), data)

    def sound_of(sha256: str, region: Region | None = None) -> Recording | None:
        file = by_sha256.get(sha256)
        if file is not None and file.is_long:
            if region is None:
                raise RecordingTooLong(
                    f"{file.name} is longer than {AudioLimits().longest_s / 60:g} minutes, so only stretches of it are "
                    "analysed. Mark regions in it."
                )
            copy = copies(sha256)
            return None if copy is None else _stretch_around(copy, region)
        source = None if file is None else saved_sound(file, data)
        return None if source is None else read_recording(source, file.name)

    return sound_of


def _stretch_around(copy: WorkingCopy, region: Region) -> Recording:
    """Return a stretch that begins at an even second, where frames of measures and of the F0 detector begin."""
    start_s = 2.0 * max(0, math.floor((region.start_s - MARGIN_S) / 2))
    end_s = min(math.ceil(region.end_s) + MARGIN_S, start_s + LONGEST_STRETCH_S)
    samples = copy.pcm(start_s, end_s).astype(np.float32)
    samples /= FULL_SCALE
    samples.setflags(write=False)
    sha256 = hashlib.sha256(samples).hexdigest()
    return Recording(copy.name, sha256, samples, copy.sample_rate_hz, copy.warnings, copy.sha256, start_s)


def working_copies(files: Iterable[RecordingFile], data: Path) -> Callable[[str], WorkingCopy | None]:
    """Return a function from the SHA-256 of one of the recordings to its working copy, None if it is missing.

    Only the last copy stays open. The function raises `AudioRefused` as `working_copy` does.
    """
    by_sha256 = {file.sha256: file for file in files}

    @lru_cache(maxsize=1)
    def copy_of(sha256: str) -> WorkingCopy | None:
        file = by_sha256.get(sha256)
        path = None if file is None else saved_file(file, data)
        copy = None if path is None else working_copy(path, file.name, data)
        return copy if copy is not None and copy.sha256 == sha256 else None

    return copy_of


def wav_files_of(files: Iterable[RecordingFile], data: Path) -> Callable[[str], bytes | FileBytes | None]:
    """Return a function from the SHA-256 of one of the recordings to its sound as a WAV file of 16 bits.

    A sound that is such a file is returned unchanged; that of a long recording is on disk. None if the sound is missing
    or cannot be read.
    """
    by_sha256 = {file.sha256: file for file in files}
    copies = working_copies(by_sha256.values(), data)

    def wav_file(sha256: str) -> bytes | FileBytes | None:
        file = by_sha256.get(sha256)
        try:
            if file is not None and file.is_long:
                copy = copies(sha256)
                return None if copy is None else copy.wav
            source = None if file is None else saved_sound(file, data)
            if source is None or PLAIN_WAV.match(source):
                return source
            recording = read_recording(source, file.name)
        except AudioRefused:
            return None
        return wav_bytes(recording.samples, recording.sample_rate_hz)

    return wav_file


def saved_sha256(data: Path) -> list[str]:
    """Return the SHA-256 of all saved sounds."""
    folder = data / FOLDER
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        files = [each.name for each in entries if not each.is_dir(follow_symlinks=False)]
    return sorted(name for name in files if SHA256.fullmatch(name))


def delete_sound(sha256: str, data: Path) -> None:
    """Delete the saved sound of a recording, if there is one."""
    if SHA256.fullmatch(sha256):
        saved = data / FOLDER / sha256
        saved.unlink(missing_ok=True)
        if saved.parent.is_dir():
            sync(saved.parent)


def _intact(path: Path, sha256: str) -> bytes | None:
    """Return a file's bytes if they have this SHA-256; a link is not followed, and only a regular file is opened."""
    try:
        source = file_bytes(path, follow_link=False)
    except AudioRefused:
        return None
    return source if hashlib.sha256(source).hexdigest() == sha256 else None


# --- permanent deletion ---


def finish_deletions(store: Store, data: Path, now: datetime | None = None) -> None:
    """Delete permanently what has been in the trash for 30 days, and finish every permanent deletion.

    A permanent deletion covers sounds, features, taught corpora and deleted rows in SQLite's file. The database's
    journal lists what remains to be done until it is done, so that a killed program continues where it stopped. Sounds
    without a known recording, left behind by older versions, are deleted after 30 days.

    Raises
    ------
    AnnotationsRefused
        If something cannot be deleted; the next call tries again.
    """
    now = now or datetime.now(UTC)
    store.trash.empty(now)
    _note_orphans(store, data, now)
    failed: dict[str, OSError] = {}

    def delete(sha256: str) -> None:
        try:
            delete_sound(sha256, data)
            delete_features(sha256, data)
            delete_taught(sha256, data / TAUGHT)
        except OSError as reason:  # the others are still deleted
            failed[sha256] = reason

    for folder in (FOLDER, TAUGHT):
        clear_half_written(data / folder)
    done = store.trash.delete_sounds(now, delete) - failed.keys()
    if done:
        store.trash.overwrite_deleted()
        store.trash.mark_finished(done)
    for reason in failed.values():
        raise AnnotationsRefused(
            f"{reason.filename or data} cannot be deleted ({reason.strerror}). Check its permissions; "
            "it is tried again at the next start."
        )


def _note_orphans(store: Store, data: Path, now: datetime) -> None:
    """Note sounds and features without a recording for deletion, unless another database may need them."""
    if (data / FOLDER).is_dir() and _is_only_database(store, data / FOLDER):
        saved = sorted({*saved_sha256(data), *sha256_with_features(data)})
        for start in range(0, len(saved), NOTED_AT_ONCE):
            store.trash.note_sounds(saved[start : start + NOTED_AT_ONCE], now + TRASH_PERIOD)


def _is_only_database(store: Store, folder: Path) -> bool:
    """Whether no other database has ever been opened with these sounds; note this one."""
    noted, own = folder / DATABASES, hashlib.sha256(store.location.encode()).hexdigest()
    try:
        if noted.is_symlink() or (noted.exists() and not noted.is_file()):
            return False
        known = set(noted.read_text().split()) if noted.exists() else set()
        if own not in known:
            with noted.open("a") as file:
                file.write(f"{own}\n")
    except OSError:  # nothing could be deleted from a read-only folder anyway
        return False
    return known <= {own}
