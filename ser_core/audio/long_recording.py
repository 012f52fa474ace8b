"""Recordings too long to hold in memory: checked, then read in blocks."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ser_core.analysis import display_name
from ser_core.audio.decoding.blocks import merge_blocks
from ser_core.audio.decoding_process import decode_in_subprocess
from ser_core.audio.reading import SampleCheck, check_size, open_regular_file
from ser_core.errors import AudioRefused
from ser_core.settings import AudioLimits
from ser_core.work.progress import UNWATCHED, Work

Source = str | Path | BinaryIO


@dataclass(frozen=True, eq=False)
class LongRecording:
    """A checked recording in an open file.

    Attributes
    ----------
    sha256 : str
        Of the file.
    samples : int
        Number of samples.
    check : SampleCheck
        What the first pass found.
    warnings : tuple of str
        What a person should know before trusting the result.
    version : tuple of int
        Size and modification time of the file on disk.
    """

    name: str
    sha256: str
    samples: int
    sample_rate_hz: int
    channels: int
    check: SampleCheck
    warnings: tuple[str, ...]
    file: BinaryIO
    version: tuple[int, ...]
    limits: AudioLimits

    @property
    def duration_s(self) -> float:
        return self.samples / self.sample_rate_hz

    def blocks(self, block_s: float) -> Iterator[np.ndarray]:
        """Yield samples in blocks of shape (n,), float32, of `block_s` or a little more, scaled into full scale.

        Raises
        ------
        AudioRefused
            At the end, if the file has changed since it was opened.
        """
        count = 0
        with _refuse_changes(self.file, self.name, self.version):
            with decode_in_subprocess(self.file, self.name, self.limits) as sound:
                for block in merge_blocks(sound.blocks, round(block_s * self.sample_rate_hz)):
                    count += len(block)
                    yield self.check.scaled(block)
            if (count, _sha256(self.file)) != (self.samples, self.sha256):
                raise _changed(self.name)


@contextmanager
def open_long_recording(
    source: Source,
    name: str,
    limits: AudioLimits,
    work: Work,
    take: Callable[[np.ndarray], None] | None = None,
) -> Iterator[LongRecording]:
    """Open a recording and check all of it, so that a fault near its end is refused before any other work is done.

    Parameters
    ----------
    source : path or binary file
        A complete audio file; a binary file must be seekable and is left open.
    take : callable, optional
        Called with every block of samples as it is checked: shape (n,), float32, not scaled.

    Raises
    ------
    AudioRefused
        As in `read_recording`.
    Cancelled
    """
    name = display_name(name)
    with open_source(source, name, limits) as file:
        version = _version(file)
        with _refuse_changes(file, name, version):
            sha256, size = _sha256(file, work), file.tell()
            with decode_in_subprocess(file, name, limits) as sound:
                check, fraction = SampleCheck(sound.sample_rate_hz), 0.0
                for block in sound.blocks:
                    work.check()
                    check.add(block)
                    if take is not None:
                        take(block)
                    fraction = max(fraction, min(file.tell() / size, 1.0))  # some formats return to the header
                    work.report(fraction, "Checking the recording")
            check.refuse(name, limits)
        warnings = (*sound.warnings, *check.warnings())
        yield LongRecording(
            name, sha256, check.count, sound.sample_rate_hz, sound.channels, check, warnings, file, version, limits
        )


@contextmanager
def open_source(source: Source, name: str, limits: AudioLimits) -> Iterator[BinaryIO]:
    """Open a path, or pass a file through; refuse a file that is missing, empty or too large."""
    if isinstance(source, str | Path):
        with open_regular_file(Path(source), limits) as file:
            yield file
    else:
        check_size(source.seek(0, os.SEEK_END), name, limits)
        yield source


def source_name(source: Source) -> str:
    """Return the display name of a source."""
    return display_name(Path(source).name) if isinstance(source, str | Path) else "The recording"


@contextmanager
def _refuse_changes(file: BinaryIO, name: str, version: tuple[int, ...]) -> Iterator[None]:
    """Refuse a file that changes while it is read, even if the change makes it unreadable."""
    try:
        yield
    except AudioRefused:
        if _version(file) != version:
            raise _changed(name) from None
        raise
    if _version(file) != version:
        raise _changed(name)


def _version(file: BinaryIO) -> tuple[int, ...]:
    try:
        status = os.fstat(file.fileno())
    except io.UnsupportedOperation:  # a file in memory
        return ()
    return status.st_size, status.st_mtime_ns


def _changed(name: str) -> AudioRefused:
    return AudioRefused(f"{name}: the file changed while it was read. Wait until nothing writes to it, then try again.")


def _sha256(file: BinaryIO, work: Work = UNWATCHED) -> str:
    # hashlib.file_digest would copy a file in memory first.
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(2**20):
        work.check()
        digest.update(block)
    return digest.hexdigest()
