"""A new folder of files that is written whole or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_core.errors import AnnotationsRefused


@contextmanager
def filled_whole(folder: Path) -> Iterator[Path]:
    """Yield a folder to write into, which becomes `folder` when all is written; otherwise nothing is left of it.

    Raises
    ------
    AnnotationsRefused
        If `folder` is there and not empty, or cannot be written.
    """
    half_written = folder.parent / f".{uuid.uuid4().hex}.part"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise AnnotationsRefused(f"{folder} is there already and not empty. Choose a new folder.")
        half_written.mkdir(parents=True)
        yield half_written
        half_written.replace(folder)
    except OSError as reason:
        raise AnnotationsRefused(
            f"{folder} cannot be written ({reason.strerror}). Choose another folder, or make room on the disk."
        ) from None
    finally:
        shutil.rmtree(half_written, ignore_errors=True)
