"""Recordings too long to hold in memory: checked, read in blocks, and decoded to a working copy on disk."""

import hashlib
import io
import os
import struct
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from ser_core.analysis import clock, display_name
from ser_core.audio.decoding import merge_blocks
from ser_core.audio.decoding_process import decode_in_subprocess
from ser_core.audio.reading import SampleCheck, check_size, open_regular_file
from ser_core.errors import AudioRefused, SettingsRefused
from ser_core.settings import LONG_RECORDING, AudioLimits
from ser_core.work.progress import UNWATCHED, Work

Source = str | Path | BinaryIO

#: Each column of the overview holds the lowest and highest of this many samples.
OVERVIEW_STEP = 256
LONGEST_STRETCH_S = AudioLimits().longest_s
BLOCK_S = 60.0
FULL_SCALE = 32_768
HEADER_BYTES = 44


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
        about = name, sha256, check.count, sound.sample_rate_hz, sound.channels
        yield LongRecording(*about, check, warnings, file, version, limits)


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
    """Return the name of a source that has no given one."""
    return display_name(Path(source).name) if isinstance(source, str | Path) else "The recording"


@contextmanager
def _refuse_changes(file: BinaryIO, name: str, version: tuple[int, ...]) -> Iterator[None]:
    """Refuse a file that changes while it is read, also if the change made its content unreadable."""
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
    except io.UnsupportedOperation:  # a file in memory
        return ()
    return found.st_size, found.st_mtime_ns


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


# --- the working copy ---


class FileBytes:
    """The bytes of a file, which stays open as long as this object exists; only the slices taken are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor, self._size = os.dup(file.fileno()), os.fstat(file.fileno()).st_size
        weakref.finalize(self, os.close, self._descriptor)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, wanted: slice) -> bytes:
        first, end, _ = wanted.indices(self._size)
        return os.pread(self._descriptor, max(0, end - first), first)


@dataclass(frozen=True, eq=False)
class WorkingCopy:
    """A decoded long recording, to play, cut and measure.

    Attributes
    ----------
    sha256 : str
        Of the recording's own file.
    samples : int
        Number of samples.
    overview : ndarray of shape (ceil(samples / 256), 2), int16
        Lowest and highest of every 256 samples.
    wav : FileBytes
        A WAV file without a name; its space is freed with the last reference to it.
    """

    name: str
    sha256: str
    samples: int
    sample_rate_hz: int
    channels: int
    warnings: tuple[str, ...]
    overview: np.ndarray
    wav: FileBytes

    @property
    def duration_s(self) -> float:
        return self.samples / self.sample_rate_hz

    @property
    def peak(self) -> float:
        """Highest absolute value of the samples, in [0, 1]."""
        return float(np.abs(self.overview.astype(np.int32)).max()) / FULL_SCALE

    def pcm(self, start_s: float, end_s: float) -> np.ndarray:
        """Return the samples from round(start x rate) up to round(end x rate) or the end, shape (n,), int16.

        Raises
        ------
        SettingsRefused
            If the stretch is not in the recording, or is longer than ten minutes.
        """
        if not 0 <= start_s < end_s or round(start_s * self.sample_rate_hz) >= self.samples:
            raise SettingsRefused(
                f"{start_s:g} to {end_s:g} s is not a stretch of {self.name}, which lasts {clock(self.duration_s)}. "
                "Choose another one."
            )
        if end_s - start_s > LONGEST_STRETCH_S + 1e-6:
            raise SettingsRefused(
                f"The stretch lasts {clock(end_s - start_s)}; at most {clock(LONGEST_STRETCH_S)} can be opened at "
                "once. Choose a shorter one."
            )
        first, end = round(start_s * self.sample_rate_hz), round(end_s * self.sample_rate_hz)
        # Rounding both ends may make ten minutes one sample longer.
        end = min(end, first + int(LONGEST_STRETCH_S * self.sample_rate_hz))
        return np.frombuffer(self.wav[HEADER_BYTES + 2 * first : HEADER_BYTES + 2 * end], "<i2")

    def stretch(self, start_s: float, end_s: float) -> bytes:
        """Return a stretch as a mono WAV file of 16 bits; see `pcm`."""
        file = io.BytesIO()
        soundfile.write(file, self.pcm(start_s, end_s), self.sample_rate_hz, format="WAV", subtype="PCM_16")
        return file.getvalue()


def working_copy(source: Source, name: str, folder: Path, work: Work = UNWATCHED) -> WorkingCopy:
    """Check a recording of up to two hours and decode it, block by block.

    Parameters
    ----------
    source : path or binary file
        A complete audio file; a binary file must be seekable and is left open.
    folder : Path
        For the copy: 115 MB per hour at 16 kHz, 346 MB at 48 kHz.

    Raises
    ------
    AudioRefused
        As in `read_recording`, and if there is no room.
    Cancelled
    """
    name = display_name(name)
    with _refuse_without_room(name, folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Without a buffer: it would be written at the end, too late for a refusal.
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed below

    def take(samples: np.ndarray) -> None:
        with _refuse_without_room(name, folder):  # otherwise the reader would blame the recording's file
            pcm.add(samples)

    with file:
        pcm = _Pcm(file)
        with open_long_recording(source, name, LONG_RECORDING, work, take) as recording:
            if recording.check.full_scale > 1:  # known only now
                pcm = _Pcm(file)
                for block in recording.blocks(BLOCK_S):
                    work.check()
                    take(block)
        with _refuse_without_room(name, folder):
            overview = pcm.finish(recording.sample_rate_hz)
        return WorkingCopy(
            recording.name,
            recording.sha256,
            recording.samples,
            recording.sample_rate_hz,
            recording.channels,
            recording.warnings,
            overview,
            FileBytes(file),
        )


@contextmanager
def _refuse_without_room(name: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as reason:
        raise AudioRefused(
            f"{name}: it cannot be decoded into {folder} ({reason.strerror}). Free some space there, or set "
            "SER_DATA to another folder."
        ) from None


class _Pcm:
    """Writes 16-bit samples into a file, after space for a header, and collects their overview."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._columns, self._rest = file, [], np.empty(0, "<i2")
        file.seek(HEADER_BYTES)

    def add(self, samples: np.ndarray) -> None:
        """Write the next samples, shape (n,), float32; they are clipped at full scale."""
        with np.errstate(invalid="ignore"):  # NaN is refused at the end
            pcm = np.clip(np.rint(samples * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
        self._write(pcm.tobytes())
        pcm = np.concatenate([self._rest, pcm])
        whole = len(pcm) // OVERVIEW_STEP * OVERVIEW_STEP
        self._rest = pcm[whole:]
        self._add_columns(pcm[:whole])

    def finish(self, sample_rate_hz: int) -> np.ndarray:
        """Write the header, and return the overview."""
        self._add_columns(self._rest)
        size = self._file.tell() - HEADER_BYTES
        format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate_hz, 2 * sample_rate_hz, 2, 16)
        self._file.seek(0)
        self._write(struct.pack("<4sI4s", b"RIFF", size + HEADER_BYTES - 8, b"WAVE"))
        self._write(format_chunk + struct.pack("<4sI", b"data", size))
        return np.concatenate(self._columns)

    def _write(self, content: bytes) -> None:
        while content:  # a full disk takes part of it, then raises an error
            content = content[self._file.write(content) :]

    def _add_columns(self, pcm: np.ndarray) -> None:
        starts = np.arange(0, len(pcm), OVERVIEW_STEP)
        if len(starts):
            extremes = np.minimum.reduceat(pcm, starts), np.maximum.reduceat(pcm, starts)
            self._columns.append(np.column_stack(extremes))
