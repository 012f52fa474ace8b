"""Files and folders that are written atomically: completely or not at all, even if the process is killed.

While `NAME` is written it is called `.NAME.part` and locked by the process that writes it. An older folder is called
`.NAME.old` between two renames, and a folder that is being deleted `.NAME.gone`. The kernel releases the locks of a
process when it ends, so a hidden file or folder without a lock was left behind by a process that has ended.
"""

import errno
import fcntl
import os
import re
import shutil
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ser_core.errors import WriteRefused

#: Flags to open a file without following links or waiting for FIFOs.
OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
MAX_NAME_BYTES = 200
#: Windows takes these for devices, even with a suffix.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def folder_name(recording_name: str) -> str:
    """Return a recording's stem as a name that is safe in every file system."""
    stem = unicodedata.normalize("NFC", Path(recording_name.replace("\\", "/")).stem)
    safe = re.sub(r"[^\w.\- ]", "_", stem).strip(". ")[:80]
    # File systems allow 255 bytes, and letters of some scripts take four.
    short = safe.encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore").rstrip(". ") or "recording"
    return f"_{short}" if RESERVED.fullmatch(short) else short


def read_regular(file: Path, most_bytes: int, *, follow_link: bool = False) -> bytes:
    """Return the content of a regular file of at most `most_bytes` bytes.

    Raises
    ------
    OSError
        If it is larger, cannot be read, or is not a regular file, such as a link, FIFO or device.
    """
    descriptor = os.open(file, OPEN_FLAGS & ~os.O_NOFOLLOW if follow_link else OPEN_FLAGS)
    with open(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(file))
        data = opened.read(most_bytes + 1) if status.st_size <= most_bytes else b""
    if status.st_size > most_bytes or len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"more than {most_bytes} bytes", str(file))
    return data


def atomic_write(file: Path, content: bytes | str) -> None:
    """Write a file atomically, text as UTF-8; once this returns, it survives a power cut.

    Raises
    ------
    OSError
        If it cannot be written; then nothing is left of it, and an older file is unchanged.
    """
    with atomic_file(file) as half_written:
        half_written.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """Yield the path of a hidden file to write, which replaces `file` at the end of the block.

    Another thread or process that writes the same file waits.

    Raises
    ------
    OSError
        As in `atomic_write`.
    """
    file = file.absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(_hidden_path(file, "part"), is_file=True) as half_written:
        yield half_written
        sync(half_written)
        os.replace(half_written, file)
    sync(file.parent)


def require_replaceable(folder: Path, marker_file: str) -> None:
    """Refuse a folder that is not empty and lacks the file that marks folders of this kind.

    Raises
    ------
    WriteRefused
    """
    try:
        is_own = not folder.exists() or (folder / marker_file).exists()
        is_replaceable = is_own or (folder.is_dir() and not any(folder.iterdir()))
    except OSError as reason:
        raise WriteRefused(f"{folder} cannot be read ({reason.strerror}). Choose another folder.") from None
    if not is_replaceable:
        raise WriteRefused(
            f"{folder} already exists and holds something else, which would be lost. "
            "Choose a new folder, or an empty one."
        )


@contextmanager
def atomic_folder(folder: Path, marker_file: str | None) -> Iterator[Path]:
    """Yield an empty folder to write into, which becomes `folder`, or replaces it, at the end of the block.

    Another thread or process that writes the same folder waits.

    Parameters
    ----------
    marker_file : str or None
        Name of a file in every folder of this kind: a folder without it is not replaced. None if the caller checks.

    Raises
    ------
    WriteRefused
        If it cannot be written, or something else is there; then nothing is left of it, and an older folder is
        unchanged.
    """
    folder = folder.absolute()
    if marker_file is not None:
        require_replaceable(folder, marker_file)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(_hidden_path(folder, "part")) as half_written:
            yield half_written
            _sync_all(half_written)
            put_in_place(half_written, folder)
    except OSError as reason:
        raise WriteRefused(
            f"{folder} cannot be written ({reason.strerror or reason}). "
            "Free some space on the disk, or choose another folder."
        ) from None


@contextmanager
def atomic_new_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into, which becomes `folder` at the end of the block.

    Raises
    ------
    WriteRefused
        If `folder` exists and is not empty, or cannot be written; then nothing is left of it.
    """
    with atomic_folder(folder, None) as half_written:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise WriteRefused(f"{folder} already exists and is not empty. Choose a new folder.")
        yield half_written


def put_in_place(finished: Path, folder: Path) -> None:
    """Move a finished folder into place; at any moment the older or the newer one exists or can be recovered."""
    with _renaming(folder):
        _restore_old(folder)
        if folder.exists():
            os.replace(folder, _hidden_path(folder, "old"))
        try:
            os.replace(finished, folder)
        finally:
            _restore_old(folder)


def recover_all(parent: Path) -> None:
    """Restore folders that an ended process had moved aside; delete those that it had already replaced."""
    for old in parent.glob(".*.old"):
        folder = parent / old.name.removeprefix(".").removesuffix(".old")
        with _renaming(folder):
            _restore_old(folder)


def delete(folder: Path) -> None:
    """Delete a folder; its name can be used again as soon as the deletion begins. A missing folder is no error."""
    with suppress(FileNotFoundError), _renaming(folder):
        _restore_old(folder)
        _rename_to_gone(folder, folder)


def clear_half_written(parent: Path, name: str = "*") -> int:
    """Delete what ended processes left half written or half deleted in a folder; return the number of items.

    Parameters
    ----------
    name : str
        The only file or folder to look for, in a folder that holds other things too.
    """
    cleared = 0
    for hidden in (*parent.glob(f".{name}.part"), *parent.glob(f".{name}.gone")):
        with suppress(OSError), ExitStack() as locks:
            with _locked(parent):
                # A living process locks what it writes or deletes. Without file locks, everything counts as locked.
                descriptor = locks.enter_context(_locked(hidden, fcntl.LOCK_EX | fcntl.LOCK_NB, required=True))
                if not _is_open_file(hidden, descriptor):  # its process has just finished
                    continue
            _remove(hidden)
            cleared += 1
    return cleared


@contextmanager
def _renaming(folder: Path) -> Iterator[None]:
    """Hold the lock for renames in the folder's parent, then delete a folder that was renamed to `.NAME.gone`."""
    gone = _hidden_path(folder, "gone")
    with ExitStack() as locks:
        with _locked(folder.parent):
            yield
            with suppress(OSError):  # there is none
                locks.enter_context(_locked(gone))
        sync(folder.parent)
        _remove(gone)


@contextmanager
def _exclusive(part: Path, is_file: bool = False) -> Iterator[Path]:
    """Create and lock a half-written file, or an empty folder; other threads and processes wait."""
    descriptor = _create_locked(part, is_file)
    try:
        if not is_file:
            _remove(*part.iterdir())  # left by a process that ended
        yield part
    finally:
        if _is_open_file(part, descriptor):
            _remove(part)
        os.close(descriptor)


def _create_locked(part: Path, is_file: bool) -> int:
    while True:
        with _locked(part.parent):  # so that no other process sees it without its lock
            if not is_file:
                part.mkdir(exist_ok=True)
            descriptor = os.open(part, OPEN_FLAGS | (os.O_CREAT if is_file else os.O_DIRECTORY), 0o666)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_open_file(part, descriptor):
            if not is_file or stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            _remove(part)
        os.close(descriptor)  # another process has moved it into place


@contextmanager
def _locked(path: Path, lock_mode: int = fcntl.LOCK_EX, required: bool = False) -> Iterator[int]:
    descriptor = os.open(path, OPEN_FLAGS)
    try:
        try:
            fcntl.flock(descriptor, lock_mode)
        except OSError:  # a file system without locks, or another process holds it
            if required:
                raise
        yield descriptor
    finally:
        os.close(descriptor)


def _is_open_file(path: Path, descriptor: int) -> bool:
    """Return whether a path still names the file that was opened."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    return False


def _restore_old(folder: Path) -> None:
    """Restore the old folder, or rename it for deletion if the folder exists again."""
    old = _hidden_path(folder, "old")
    if os.path.lexists(old):
        if folder.exists():
            _rename_to_gone(old, folder)
        else:
            os.replace(old, folder)


def _rename_to_gone(path: Path, folder: Path) -> None:
    gone = _hidden_path(folder, "gone")
    with suppress(FileNotFoundError), _locked(gone):  # waits for another deletion
        _remove(gone)
    os.replace(path, gone)


def _remove(*paths: Path) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.lstat()
            while os.path.samestat(status, path.lstat()):  # do not delete a new one that others write by this name
                with suppress(FileNotFoundError):  # another process was faster
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink()


def _sync_all(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for path in (*(Path(parent, name) for name in names), parent):
            sync(path)


def sync(path: Path | str) -> None:
    """Make the content of a file, or the renames in a folder, survive a power cut."""
    descriptor = os.open(path, OPEN_FLAGS)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hidden_path(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")
