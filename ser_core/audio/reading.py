"""Read and check audio files: from bytes to a Recording or a refusal. Also resampling."""

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr

from ser_core.analysis import Recording, display_name
from ser_core.audio.decoding_process import decode_in_subprocess
from ser_core.errors import AudioRefused
from ser_core.settings import AudioLimits

FULL_SCALE = 0.999
SILENCE_PEAK = 1e-4
QUIET_RMS = 10 ** (-50 / 20)
CLIPPED_SHARE = 5e-4
GROWTH_SAMPLES = 2**19


def read_recording(source: bytes | str | Path, name: str = "", limits: AudioLimits | None = None) -> Recording:
    """Decode a recording; refuse it if it cannot be analysed, and warn of faults that make results doubtful.

    Parameters
    ----------
    source : bytes or path
        A complete audio file. Its content determines the format, never its name.
    name : str
        Its name in the result, made safe by `display_name`; by default that of the path.
    limits : AudioLimits, optional
        Decoding stops as soon as a limit is exceeded.

    Raises
    ------
    RecordingTooLong
        If it is longer than the limits allow.
    AudioRefused
        If it is missing, empty, not audio, outside the other limits, silent, or holds NaN or infinite samples.
    """
    limits = limits or AudioLimits()
    if not isinstance(source, bytes):
        name, source = name or Path(source).name, file_bytes(Path(source), limits)
    name = display_name(name) or "The recording"
    if not source:
        raise AudioRefused(f"{name}: the file is empty. Record or export it again.")
    with decode_in_subprocess(io.BytesIO(source), name, limits) as sound:
        check = SampleCheck(sound.sample_rate_hz)
        samples = _concatenate(sound.blocks, check)
    check.refuse(name, limits)
    if check.full_scale > 1:
        samples /= np.float32(check.full_scale)
    samples.setflags(write=False)
    warnings = (*sound.warnings, *check.warnings())
    sha256 = hashlib.sha256(source).hexdigest()
    return Recording(name, sha256, samples, sound.sample_rate_hz, warnings, channels=sound.channels)


def _concatenate(blocks: Iterator[np.ndarray], check: "SampleCheck") -> np.ndarray:
    # np.concatenate of all blocks would hold the samples twice for a moment.
    samples = np.empty(0, np.float32)
    for block in blocks:
        check.add(block)
        if check.count > len(samples):
            samples.resize(check.count + GROWTH_SAMPLES, refcheck=False)
        samples[check.count - len(block) : check.count] = block
    samples.resize(check.count, refcheck=False)
    return samples


class SampleCheck:
    """Checks samples, which may come in blocks, for silence, excessive level, clipping and values that are not finite.

    Attributes
    ----------
    count : int
        Number of samples so far.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.count = 0
        self._rate = sample_rate_hz
        self._wrong, self._first_wrong = 0, 0
        self._peak, self._clipped, self._squares = 0.0, 0, 0.0

    @property
    def full_scale(self) -> float:
        """What the samples must be divided by so that none exceeds full scale."""
        return self._peak if self._peak > 1.001 else 1.0

    def add(self, samples: np.ndarray) -> None:
        """Add the next samples, of shape (n,), float32."""
        finite = np.isfinite(samples)
        if not finite.all():
            self._first_wrong = self._first_wrong if self._wrong else self.count + int(finite.argmin())
            self._wrong += int(np.count_nonzero(~finite))
        elif len(samples):
            magnitude, previous = np.abs(samples), self.full_scale
            self._peak = max(self._peak, float(magnitude.max()))
            if self.full_scale * FULL_SCALE > previous:
                self._clipped = 0  # full scale is higher than assumed so far
            self._clipped += int(np.count_nonzero(magnitude >= np.float32(FULL_SCALE * self.full_scale)))
            self._squares += float(np.square(samples, dtype=np.float64).sum())
        self.count += len(samples)

    def refuse(self, name: str, limits: AudioLimits) -> None:
        """Raise AudioRefused if the samples are too few, not finite, or silent."""
        if self.count < limits.shortest_s * self._rate:
            raise AudioRefused(
                f"{name}: the recording lasts {self.count / self._rate:.3f} s; at least {limits.shortest_s:g} s are "
                "needed. Make a longer recording."
            )
        if self._wrong:
            raise AudioRefused(
                f"{name}: {self._wrong} of {self.count} samples are not numbers (NaN or infinity), "
                f"the first at {self._first_wrong / self._rate:.3f} s. Export it again."
            )
        if self._peak < SILENCE_PEAK:
            raise AudioRefused(f"{name}: the recording is silent. Check the microphone and record it again.")

    def scaled(self, samples: np.ndarray) -> np.ndarray:
        """Return samples scaled for analysis, float32: none exceeds full scale."""
        return samples if self.full_scale == 1 else samples / np.float32(self.full_scale)

    def warnings(self) -> list[str]:
        """Return what a person should know before trusting the result."""
        warnings = []
        if self.full_scale > 1:
            excess_db = 20 * np.log10(self.full_scale)
            warnings.append(f"Peaks {excess_db:.1f} dB above full scale; the recording was scaled down.")
        clipped = self._clipped / self.count
        if clipped > CLIPPED_SHARE:
            warnings.append(
                f"Clipped: {100 * clipped:.1f} % of the samples are at full scale. "
                "Record with less gain for a reliable result."
            )
        rms = np.sqrt(self._squares / self.count) / self.full_scale
        if rms < QUIET_RMS:
            warnings.append(f"Very quiet: {20 * np.log10(rms):.0f} dBFS on average. Move closer to the microphone.")
        return warnings


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample with a band-limiting filter; returns round(n x to / from) samples, float32.

    libsoxr rather than torchaudio, whose resampler builds a filter of rate x rate taps if the rates share no divisor
    (44 101 to 48 000 Hz: 17 GB) and attenuates the bands below 7.5 kHz by 0.2 neper from 16 kHz (soxr: 0.01).
    """
    if from_hz == to_hz:
        return samples
    return soxr.resample(samples, from_hz, to_hz, quality="VHQ").astype(np.float32, copy=False)


def resample_blocks(blocks: Iterator[np.ndarray], from_hz: int, to_hz: int) -> Iterator[np.ndarray]:
    """Resample block by block; the blocks of shape (n,), float32, add up to what `resample` returns."""
    if from_hz == to_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(from_hz, to_hz, num_channels=1, dtype="float32", quality="VHQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def file_bytes(path: Path, limits: AudioLimits | None = None, *, follow_link: bool = True) -> bytes:
    """Return the content of a file.

    Raises
    ------
    AudioRefused
        If `open_regular_file` refuses it.
    """
    limits = limits or AudioLimits()
    with open_regular_file(path, limits, follow_link=follow_link) as file:
        content = file.read(limits.largest_file_bytes + 1)
        check_size(len(content), display_name(path.name), limits)
        return content


@contextmanager
def open_regular_file(path: Path, limits: AudioLimits, *, follow_link: bool = True) -> Iterator[BinaryIO]:
    """Open a file for reading, and turn errors while it is open into refusals.

    Parameters
    ----------
    follow_link : bool
        False for a path found by searching a folder: a link could lead out of it.

    Raises
    ------
    AudioRefused
        If it is missing, unreadable, too large, or not a regular file: reading a pipe or a device might never end.
    """
    name, regular = display_name(path.name), False
    with suppress(OSError, ValueError):  # the name is too long for any file, or holds a null byte
        regular = stat.S_ISREG(path.stat(follow_symlinks=follow_link).st_mode)
    if not regular:
        raise AudioRefused(f"{name}: there is no such file. Check the path.")
    try:
        # The file may just have been replaced by a pipe or a link.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow_link else os.O_NOFOLLOW))
        with open(descriptor, "rb") as file:
            now = os.fstat(descriptor)
            if not stat.S_ISREG(now.st_mode):
                raise AudioRefused(f"{name}: there is no such file. Check the path.")
            check_size(now.st_size, name, limits)
            yield file
    except OSError as reason:
        raise AudioRefused(
            f"{name}: the file cannot be read ({reason.strerror}). Check its permissions and its disk."
        ) from None


def check_size(size_bytes: int, name: str, limits: AudioLimits) -> None:
    """Raise AudioRefused if a file is empty or too large."""
    if not size_bytes:
        raise AudioRefused(f"{name}: the file is empty. Record or export it again.")
    if size_bytes > limits.largest_file_bytes:
        raise AudioRefused(
            f"{name}: the file has {size_bytes / 2**20:.0f} MiB; "
            f"at most {limits.largest_file_bytes / 2**20:.0f} MiB are read. Cut it, or save it as FLAC."
        )
