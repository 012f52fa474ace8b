"""Files and folders that are written atomically: whole or not at all, however the process ends.

While `NAME` is written it is called `.NAME.part` and locked by the process that writes it. An older folder is called
`.NAME.old` between two renames, and a folder that is being deleted `.NAME.gone`. The kernel releases the locks of a
process however it ends, so a hidden file or folder without a lock was left behind.
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

#: Do not follow links, and do not wait for FIFOs.
AS_IT_IS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
LONGEST_NAME_BYTES = 200
#: Windows takes these for devices, even with a suffix.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def folder_name(recording_name: str) -> str:
    """Return a recording's stem as a name that is safe in every file system."""
    stem = unicodedata.normalize("NFC", Path(recording_name.replace("\\", "/")).stem)
    safe = re.sub(r"[^\w.\- ]", "_", stem).strip(". ")[:80]
    # File systems allow 255 bytes, and letters of some scripts take four.
    short = safe.encode(errors="replace")[:LONGEST_NAME_BYTES].decode(errors="ignore").rstrip(". ") or "recording"
    return f"_{short}" if RESERVED.fullmatch(short) else short


def read_regular(file: Path, most_bytes: int, *, follow_link: bool = False) -> bytes:
    """Return the content of a regular file of at most `most_bytes` bytes.

    Raises
    ------
    OSError
        If it is larger, cannot be read, or is not a regular file, such as a link, FIFO or device.
    """
    descriptor = os.open(file, AS_IT_IS & ~os.O_NOFOLLOW if follow_link else AS_IT_IS)
    with open(descriptor, "rb") as opened:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(file))
        data = opened.read(most_bytes + 1) if about.st_size <= most_bytes else b""
    if about.st_size > most_bytes or len(data) > most_bytes:
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
    with _turn(_beside(file, "part"), is_file=True) as half_written:
        yield half_written
        sync(half_written)
        os.replace(half_written, file)
    sync(file.parent)


def require_replaceable(folder: Path, known_by: str) -> None:
    """Refuse a folder that is not empty and does not hold the file that identifies folders of this kind.

    Raises
    ------
    WriteRefused
    """
    try:
        others = folder.exists() and not (folder / known_by).exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as reason:
        raise WriteRefused(f"{folder} cannot be read ({reason.strerror}). Choose another folder.") from None
    if others:
        raise WriteRefused(
            f"{folder} already exists and holds something else, which would be lost. "
            "Choose a new folder, or an empty one."
        )


@contextmanager
def atomic_folder(folder: Path, known_by: str | None) -> Iterator[Path]:
    """Yield an empty folder to write into, which becomes `folder`, or replaces it, at the end of the block.

    Another thread or process that writes the same folder waits.

    Parameters
    ----------
    known_by : str or None
        A file in every folder of this kind: a folder without it is not replaced. None if the caller checks.

    Raises
    ------
    WriteRefused
        If it cannot be written, or something else is there; then nothing is left of it, and an older folder is
        unchanged.
    """
    folder = folder.absolute()
    if known_by is not None:
        require_replaceable(folder, known_by)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _turn(_beside(folder, "part")) as half_written:
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
        _bring_back(folder)
        if folder.exists():
            os.replace(folder, _beside(folder, "old"))
        try:
            os.replace(finished, folder)
        finally:
            _bring_back(folder)


def recover_all(parent: Path) -> None:
    """Restore folders that an ended process had moved aside; delete those that it had already replaced."""
    for old in parent.glob(".*.old"):
        folder = parent / old.name.removeprefix(".").removesuffix(".old")
        with _renaming(folder):
            _bring_back(folder)


def delete(folder: Path) -> None:
    """Delete a folder, whose name is free as soon as its deletion begins; a missing folder is no error."""
    with suppress(FileNotFoundError), _renaming(folder):
        _bring_back(folder)
        _hide(folder, folder)


def clear_half_written(parent: Path, name: str = "*") -> int:
    """Delete what ended processes left half written or half deleted in a folder; return the number of items.

    Parameters
    ----------
    name : str
        The only file or folder to look for, in a folder that holds other things too.
    """
    cleared = 0
    for left in (*parent.glob(f".{name}.part"), *parent.glob(f".{name}.gone")):
        with suppress(OSError), ExitStack() as held:
            with _locked(parent):
                # A living process locks what it writes or deletes. Without file locks, everything counts as locked.
                descriptor = held.enter_context(_locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB, required=True))
                if not _is(left, descriptor):  # its process has just finished
                    continue
            _remove(left)
            cleared += 1
    return cleared


@contextmanager
def _renaming(folder: Path) -> Iterator[None]:
    """Hold the lock for renames in the folder's parent, then delete what was hidden."""
    gone = _beside(folder, "gone")
    with ExitStack() as held:
        with _locked(folder.parent):
            yield
            with suppress(OSError):  # there is none
                held.enter_context(_locked(gone))
        sync(folder.parent)
        _remove(gone)


@contextmanager
def _turn(part: Path, is_file: bool = False) -> Iterator[Path]:
    """Hold the half-written folder, emptied, or file; others wait."""
    descriptor = _held(part, is_file)
    try:
        if not is_file:
            _remove(*part.iterdir())  # left by a process that ended
        yield part
    finally:
        if _is(part, descriptor):
            _remove(part)
        os.close(descriptor)


def _held(part: Path, is_file: bool) -> int:
    while True:
        with _locked(part.parent):  # so that nobody sees it unlocked
            if not is_file:
                part.mkdir(exist_ok=True)
            descriptor = os.open(part, AS_IT_IS | (os.O_CREAT if is_file else os.O_DIRECTORY), 0o666)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is(part, descriptor):
            if not is_file or stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            _remove(part)
        os.close(descriptor)  # its holder has put it in place


@contextmanager
def _locked(path: Path, how: int = fcntl.LOCK_EX, required: bool = False) -> Iterator[int]:
    descriptor = os.open(path, AS_IT_IS)
    try:
        try:
            fcntl.flock(descriptor, how)
        except OSError:  # a file system without locks, or another process holds it
            if required:
                raise
        yield descriptor
    finally:
        os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    """Whether a path still names the file that was opened."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    return False


def _bring_back(folder: Path) -> None:
    """Restore the old folder, or hide it as gone if the folder is there again."""
    old = _beside(folder, "old")
    if os.path.lexists(old):
        if folder.exists():
            _hide(old, folder)
        else:
            os.replace(old, folder)


def _hide(path: Path, folder: Path) -> None:
    gone = _beside(folder, "gone")
    with suppress(FileNotFoundError), _locked(gone):  # waits for another deletion
        _remove(gone)
    os.replace(path, gone)


def _remove(*paths: Path) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            there = path.lstat()
            while os.path.samestat(there, path.lstat()):  # a new one that others write by this name is not deleted
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
    """Make what was written to a file, or a rename in a folder, survive a power cut."""
    descriptor = os.open(path, AS_IT_IS)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")
