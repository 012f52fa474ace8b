"""The working copy of a long recording: decoded to 16-bit samples on disk, to play, cut and measure."""

import io
import os
import struct
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from ser_core.analysis import clock, display_name
from ser_core.audio.long_recording import Source, open_long_recording
from ser_core.errors import AudioRefused, SettingsRefused
from ser_core.settings import LONG_RECORDING, AudioLimits
from ser_core.work.progress import UNWATCHED, Work

#: Each column of the overview holds the minimum and maximum of this many samples.
OVERVIEW_STEP = 256
LONGEST_STRETCH_S = AudioLimits().longest_s
BLOCK_S = 60.0
FULL_SCALE = 32_768
HEADER_BYTES = 44


class FileBytes:
    """The bytes of a file, which stays open as long as this object exists; only the requested slices are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor, self._size = os.dup(file.fileno()), os.fstat(file.fileno()).st_size
        weakref.finalize(self, os.close, self._descriptor)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, positions: slice) -> bytes:
        first, end, _ = positions.indices(self._size)
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
        Minimum and maximum of every 256 samples.
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
        # Unbuffered: a buffer would be written at the end, too late for a refusal.
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed below

    def take(samples: np.ndarray) -> None:
        with _refuse_without_room(name, folder):  # before the reader takes it for an error of the recording's file
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
