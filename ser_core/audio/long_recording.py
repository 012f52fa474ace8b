"""The gate of recordings that are never held as a whole: they stay in their file and are read in blocks."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ser_core.analysis import display_name
from ser_core.audio.decoding import merge_blocks
from ser_core.audio.decoding_process import decode_in_subprocess
from ser_core.audio.reading import SoundCheck, check_size, open_regular_file
from ser_core.errors import AudioRefused
from ser_core.settings import AudioLimits
from ser_core.work.progress import UNWATCHED, Work

Source = str | Path | BinaryIO


@dataclass(frozen=True, eq=False)
class LongRecording:
    """A recording that passed the gate, in an open file.

    Attributes
    ----------
    sha256 : str
        Of the file.
    samples : int
        How many there are.
    check : SoundCheck
        What is known of the samples.
    warnings : tuple of str
        What a person should know before they trust the result.
    version : tuple of int
        Of the file on disk: its size and when it was last written.
    """

    name: str
    sha256: str
    samples: int
    sample_rate_hz: int
    check: SoundCheck
    warnings: tuple[str, ...]
    file: BinaryIO
    version: tuple[int, ...]
    limits: AudioLimits

    @property
    def duration_s(self) -> float:
        return self.samples / self.sample_rate_hz

    def blocks(self, block_s: float) -> Iterator[np.ndarray]:
        """Yield the samples in blocks of shape (n,), float32, of `block_s` or a little more; louder is scaled down.

        Raises
        ------
        AudioRefused
            At the end, if the file has changed since it was opened.
        """
        count = 0
        with _unless_changed(self.file, self.name, self.version):
            with decode_in_subprocess(self.file, self.name, self.limits) as sound:
                for block in merge_blocks(sound.blocks, round(block_s * self.sample_rate_hz)):
                    count += len(block)
                    yield self.check.scaled(block)
            if (count, _sha256(self.file)) != (self.samples, self.sha256):
                raise _changed(self.name)


@contextmanager
def long_recording(
    source: Source,
    name: str,
    limits: AudioLimits,
    work: Work,
) -> Iterator[LongRecording]:
    """Open a recording and listen to all of it, so that what its end holds is refused before any work is done.

    Parameters
    ----------
    source : path or binary file
        A whole audio file; a binary file must be seekable and is left open.

    Raises
    ------
    AudioRefused
        As in `read_recording`.
    Cancelled
    """
    name = display_name(name)
    with opened(source, name, limits) as file:
        version = _version(file)
        with _unless_changed(file, name, version):
            sha256, size = _sha256(file, work), file.tell()
            with decode_in_subprocess(file, name, limits) as sound:
                check, heard = SoundCheck(sound.sample_rate_hz), 0.0
                for block in sound.blocks:
                    work.check()
                    check.add(block)
                    heard = max(heard, min(file.tell() / size, 1.0))  # the head of some is looked at again at the end
                    work.report(heard, "Checking the recording")
            check.refuse(name, limits)
        warnings = (*sound.warnings, *check.warnings())
        yield LongRecording(name, sha256, check.count, sound.sample_rate_hz, check, warnings, file, version, limits)


@contextmanager
def opened(source: Source, name: str, limits: AudioLimits) -> Iterator[BinaryIO]:
    """Open a path, or pass a file on; one that is missing, empty or too large is refused."""
    if isinstance(source, str | Path):
        with open_regular_file(Path(source), limits) as file:
            yield file
    else:
        check_size(source.seek(0, os.SEEK_END), name, limits)
        yield source


def source_name(source: Source) -> str:
    """Return what a source is called where nobody named it."""
    return display_name(Path(source).name) if isinstance(source, str | Path) else "The recording"


@contextmanager
def _unless_changed(file: BinaryIO, name: str, version: tuple[int, ...]) -> Iterator[None]:
    """Refuse a file that changed while it was read, which is also what a refusal of its content would come from."""
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
        found = os.fstat(file.fileno())
    except io.UnsupportedOperation:  # it is held in memory
        return ()
    return found.st_size, found.st_mtime_ns


def _changed(name: str) -> AudioRefused:
    return AudioRefused(f"{name}: the file changed while it was read. Wait until nothing writes to it, then try again.")


def _sha256(file: BinaryIO, work: Work = UNWATCHED) -> str:
    # hashlib.file_digest would first copy a file that is held in memory.
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(2**20):
        work.check()
        digest.update(block)
    return digest.hexdigest()
