"""A folder that is written whole or not at all, whenever the process ends.

While `NAME` is written it stands beside its place as `.NAME.part`; what an older one held is `.NAME.old` for the moment
between two renamings. Neither is ever taken for a folder of that name.
"""

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from ser_core.errors import WriteRefused

log = logging.getLogger(__name__)

_turns: WeakValueDictionary[Path, Lock] = WeakValueDictionary()
_giving_turns = Lock()


def require_replaceable(folder: Path, known_by: str) -> None:
    """Refuse a folder that holds something, but not the file by which ours are known.

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
            f"{folder} is there already and holds something else, which would be lost. "
            "Choose a new folder, or an empty one."
        )


@contextmanager
def written_whole(folder: Path, known_by: str | None) -> Iterator[Path]:
    """Yield an empty folder to write into, which takes its place, and that of an older one, when all is written.

    Who writes the same folder in another thread waits.

    Parameters
    ----------
    known_by : str or None
        A file that every folder of this kind holds: what does not hold it is not replaced. None where the caller sees
        to that.

    Raises
    ------
    WriteRefused
        If it cannot be written, or something else stands there; then nothing is left of it, and the older one stands.
    """
    folder = folder.absolute()
    half_written = _beside(folder, "part")
    if known_by is not None:
        require_replaceable(folder, known_by)
    with _turn_at(folder):
        yield from _written(folder, half_written)


def _written(folder: Path, half_written: Path) -> Iterator[Path]:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if half_written.exists():
            log.warning("%s: an earlier run ended while writing it. It is written anew.", folder)
            shutil.rmtree(half_written)
        half_written.mkdir()
        try:
            yield half_written
            put_in_place(half_written, folder)
        finally:
            shutil.rmtree(half_written, ignore_errors=True)
    except OSError as reason:
        raise WriteRefused(
            f"{folder} cannot be written ({reason.strerror or reason}). "
            "Make room on the disk, or choose another folder."
        ) from None


def put_in_place(finished: Path, folder: Path) -> None:
    """Let a finished folder take its place; at every moment the older or the newer one is there or is brought back."""
    bring_back(folder)
    old = _beside(folder, "old")
    while True:
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(finished, folder)
            break
        except OSError as reason:
            bring_back(folder)
            # Somebody who looked just then has brought the older one back already.
            if reason.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    bring_back(folder)


def bring_back(folder: Path) -> None:
    """Put an older folder back that a process had moved out of the way and then ended; delete one that was replaced."""
    old = _beside(folder, "old")
    if not old.exists():
        return
    if folder.exists():
        delete(old)
    else:
        os.replace(old, folder)


def bring_all_back(parent: Path) -> None:
    """Put back what `bring_back` puts back, for all folders in one."""
    for old in parent.glob(".*.old"):
        bring_back(parent / old.name.removeprefix(".").removesuffix(".old"))


def delete(folder: Path) -> None:
    """Delete a folder, which is no longer there by its name as soon as its deletion begins."""
    doomed = _beside(folder, "part")
    with _turn_at(folder):
        shutil.rmtree(doomed, ignore_errors=True)
        os.replace(folder, doomed)
        shutil.rmtree(doomed)


def _turn_at(folder: Path) -> Lock:
    """Return what one thread of this process at a time may hold for a folder."""
    with _giving_turns:
        return _turns.setdefault(folder, Lock())


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name}.{ending}")
