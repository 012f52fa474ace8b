"""A new folder of files that is written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_core.errors import AnnotationsRefused
from ser_core.work.atomic_folder import atomic_folder


@contextmanager
def filled_whole(folder: Path) -> Iterator[Path]:
    """Yield a folder to write into, which becomes `folder` when all is written; otherwise nothing is left of it.

    Raises
    ------
    AnnotationsRefused
        If `folder` is there and not empty.
    WriteRefused
        If it cannot be written.
    """
    with atomic_folder(folder, None) as half_written:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise AnnotationsRefused(f"{folder} is there already and not empty. Choose a new folder.")
        yield half_written
