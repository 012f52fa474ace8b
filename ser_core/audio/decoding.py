"""Decode an audio file to mono blocks at its own sample rate, with libsndfile or FFmpeg."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

import av
import numpy as np
import soundfile

from ser_core.errors import AudioRefused, RecordingTooLong
from ser_core.settings import LONG_RECORDING, AudioLimits

READABLE = "WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, M4A (AAC) and WebM"

#: The containers that are read, by FFmpeg's names, and how their files begin. FFmpeg knows 350 more, including text
#: files that refer to other files and hosts.
CONTAINERS = {
    "wav": rb"(RIFF|RIFX|RF64)....WAVE",
    "aiff": rb"FORM....AIF[FC]",
    "flac": rb"fLaC",
    "ogg": rb"OggS\0",
    "mp3": rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]",  # layer III of MPEG 1, 2 and 2.5
    "aac": rb"\xff[\xf0\xf1\xf8\xf9]",
    "mov": rb"....ftyp",
    "matroska": rb"\x1aE\xdf\xa3.{1,40}\x42\x82\x84webm",
}
LIBSNDFILE_CONTAINERS = ("wav", "aiff", "flac", "ogg", "mp3")
#: The decoders that FFmpeg may use.
CODECS = {"aac", "opus", "libopus", "vorbis", "libvorbis", "mp3", "mp3float", "flac"} | {
    f"pcm_{kind}"
    for kind in (
        "u8",
        "s8",
        "alaw",
        "mulaw",
        *(f"{n}{e}" for n in ("s16", "s24", "s32", "f32", "f64") for e in ("le", "be")),
    )
}

# Small, so that a decompression bomb is noticed early, and little is lost before the damage in a file.
_BLOCK_FRAMES = 4_096
_LARGEST_OGG_PAGE, _LARGEST_MP3_FRAME = 65_307, 1_441
#: How far libsndfile may read beyond what it has decoded.
_READ_AHEAD = 2**17
#: Channels cancel each other out if the power of their mean is below this share of their mean power.
_CANCELLED_POWER = 0.01
_AUDIBLE_RMS = 1e-3
_DAMAGED = "The file is damaged: decoding stopped early, and only what came before was read."
_TRUNCATED = "The file is truncated: its header promises more audio than it holds."
_WRONG_CHECKSUM = "The audio does not match the file's MD5 checksum: it was damaged or changed after it was written."


@dataclass(frozen=True)
class Sound:
    """The audio of a file while it is decoded.

    Attributes
    ----------
    channels : int
        Number of channels at the beginning of the file.
    blocks : iterator of ndarray of shape (n,), float32
        The mean of the channels, in blocks of any length.
    warnings : list of str
        Complete only after the last block.
    """

    sample_rate_hz: int
    channels: int
    blocks: Iterator[np.ndarray]
    warnings: list[str]


@contextmanager
def decode(file: BinaryIO, name: str, limits: AudioLimits, from_s: float = 0.0) -> Iterator[Sound]:
    """Decode a file; its content determines the format, never its name.

    Parameters
    ----------
    file : binary file
        Seekable. It is read from its beginning and left open.
    from_s : float
        The blocks begin with sample round(from_s x rate). Earlier samples are skipped if the format can seek, else
        decoded and dropped.

    Raises
    ------
    AudioRefused
        If it holds no readable audio, or its sample rate or number of channels is outside the limits.
    RecordingTooLong
        From the blocks, as soon as they exceed the limits.
    """
    warnings: list[str] = []
    container, start = _container(file)
    with _open_reader(file, container, start, name) as reader:
        if isinstance(reader, soundfile.SoundFile):
            rate, channels = reader.samplerate, reader.channels
            _check_format(rate, channels, name, limits)
            first = _seek(reader, round(from_s * rate))
            blocks = _soundfile_blocks(reader, file, container, start, first, warnings)
        else:
            rate, channels, blocks = _av_blocks(reader, name, limits, warnings)
            first = 0
        blocks = _within_limits(blocks, rate, name, limits)
        yield Sound(rate, channels, _skip(blocks, round(from_s * rate) - first), warnings)


def _container(file: BinaryIO) -> tuple[str, int]:
    """Return the name in CONTAINERS of a file's container ("" for none), and where it begins: after any ID3 tags."""
    start, head = 0, _bytes_at(file, 0)
    while head[:3] == b"ID3" and len(head) > 10:
        size = sum((byte & 0x7F) << 7 * (3 - index) for index, byte in enumerate(head[6:10]))
        start += 10 + size + (10 if head[5] & 0x10 else 0)
        head = _bytes_at(file, start)
    for container, pattern in CONTAINERS.items():
        if re.match(pattern, head, re.DOTALL) and (not start or container in ("flac", "mp3", "aac")):
            return container, start
    return "", 0


def _bytes_at(file: BinaryIO, position: int, count: int = 64) -> bytes:
    file.seek(position)
    return file.read(count)


class _FileFrom:
    """A file from some position on. It has no name, from which both libraries would guess the format."""

    def __init__(self, file: BinaryIO, start: int = 0) -> None:
        self.read, self._file, self._start = file.read, file, start
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset + (self._start if whence == os.SEEK_SET else 0), whence) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start


def _open_reader(
    file: BinaryIO, container: str, start: int, name: str
) -> soundfile.SoundFile | av.container.InputContainer:
    # libsndfile guesses the length of an MP3 without a frame count, and stops there.
    guessed = container == "mp3" and not re.search(rb"Xing|Info|VBRI", _bytes_at(file, start))
    if container in LIBSNDFILE_CONTAINERS and not guessed:
        try:
            return soundfile.SoundFile(_FileFrom(file))
        except soundfile.LibsndfileError:
            pass
    with _ffmpeg_errors_as_refusal(name):
        if not container:
            raise ValueError
        options = {"protocol_whitelist": "none", "codec_whitelist": ",".join(sorted(CODECS))}
        return av.open(_FileFrom(file), format=container, options=options)


@contextmanager
def _ffmpeg_errors_as_refusal(name: str) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError):  # PyAV raises ValueError for text that is not UTF-8
        raise AudioRefused(
            f"{name}: this is not readable audio, or it is damaged at its start. "
            f"Readable formats are {READABLE}; export it as one of these."
        ) from None


def _seek(reader: soundfile.SoundFile, sample: int) -> int:
    """Seek to a sample if that is exact, and return the position."""
    # libsndfile seeks inaccurately near the end of Vorbis.
    if not sample or not reader.seekable() or reader.subtype == "VORBIS":
        return 0
    return reader.seek(min(sample, reader.frames))


def _soundfile_blocks(
    reader: soundfile.SoundFile, file: BinaryIO, container: str, start: int, first: int, warnings: list[str]
) -> Iterator[np.ndarray]:
    """Yield the audio of a file and of any files appended to it, where libsndfile stops."""
    rate, total, downmix = reader.samplerate, first, _Downmix(warnings)
    while True:
        read, checksum = first, None if first else _Checksum.of(file, container, start, reader)
        try:
            while len(block := checksum.read() if checksum else reader.read(_BLOCK_FRAMES, "float32", always_2d=True)):
                read += len(block)
                yield downmix(block)
        except soundfile.LibsndfileError:
            warnings.append(_DAMAGED)
            return
        total += read - first
        position = file.tell()
        truncated = 0 < reader.frames < 2**62 and read < 0.99 * reader.frames
        if checksum and not truncated and not checksum.matches() and _WRONG_CHECKSUM not in warnings:
            warnings.append(_WRONG_CHECKSUM)
        reader.close()
        start, reader, first = *_next_part(file, container, start, position), 0
        if truncated and _TRUNCATED not in warnings:
            warnings.append(_TRUNCATED)
        if reader is None:
            break
        if reader.samplerate != rate:
            reader.close()
            warnings.append(_rate_change(total / rate, rate, reader.samplerate))
            return
    if _TRUNCATED not in warnings and _ends_early(file):
        warnings.append(_TRUNCATED)


def _rate_change(read_s: float, rate: int, next_rate: int) -> str:
    return (
        f"Only the first {read_s:.1f} s were read: there the sample rate changes from {rate} to {next_rate} Hz, as if "
        "two files had been joined. Convert both to one rate and join them again."
    )


def _next_part(file: BinaryIO, container: str, start: int, position: int) -> tuple[int, soundfile.SoundFile | None]:
    """Return where another file of the same kind was appended, and its reader; None if nothing was.

    Parameters
    ----------
    start, position : int
        Where the previous part began, and where libsndfile stopped reading it.
    """
    earliest = max(start + 1, position - _READ_AHEAD)
    if container == "mp3":
        next_start = _next_mp3(file, max(start + 1, position))
    elif container == "ogg":
        # Parallel (not chained) streams all begin on its first pages.
        while (head := _bytes_at(file, start))[:4] == b"OggS" and head[5:6] and head[5] & 0x02:
            count = head[26]
            segments = _bytes_at(file, start + 27, count)
            start += 27 + count + sum(segments)
        next_start = _find(file, rb"OggS\0[\x02\x06]", max(start, earliest))
    elif container == "flac":
        next_start = _find(file, rb"fLaC\0\0\0\x22", earliest)
    else:
        next_start = None
    if next_start is not None:
        try:
            return next_start, soundfile.SoundFile(_FileFrom(file, next_start))
        except soundfile.LibsndfileError:
            pass
    return start, None


def _find(file: BinaryIO, pattern: bytes, position: int) -> int | None:
    """Return the next position of a pattern of up to 8 bytes."""
    tail = b""
    file.seek(position)
    while piece := file.read(2**16):
        if match := re.search(pattern, tail + piece, re.DOTALL):
            return position - len(tail) + match.start()
        position += len(piece)
        tail = (tail + piece)[-7:]
    return None


def _next_mp3(file: BinaryIO, position: int) -> int | None:
    """Return where MP3 audio continues: at three frame headers in a row, which do not occur in tags."""
    overlap = 3 * _LARGEST_MP3_FRAME
    while len(piece := _bytes_at(file, position, 2**16)) > 4:
        for match in re.finditer(CONTAINERS["mp3"], piece):
            frame = match.start()
            for _ in range(3):
                length = _mp3_frame_bytes(piece[frame : frame + 4])
                if not length:
                    break
                frame += length
            else:
                return position + match.start()
        position += len(piece) - overlap if len(piece) == 2**16 else len(piece)
    return None


def _mp3_frame_bytes(head: bytes) -> int:
    """Return the length of an MPEG layer III frame from its header, or 0 if it is no such header."""
    if len(head) < 4 or not re.match(CONTAINERS["mp3"], head):
        return 0
    version, rate_index, bitrate_index = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if rate_index == 3 or bitrate_index in (0, 15):
        return 0
    rate = (44_100, 48_000, 32_000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    kbps = (
        (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
        if version == 3
        else (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    )[bitrate_index]
    return (144 if version == 3 else 72) * 1_000 * kbps // rate + (head[2] >> 1 & 1)


class _Downmix:
    """The mean of the channels; from a block in which they cancel each other out, a single channel."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings, self._channel = warnings, None
        self._power_of_mean = self._power_of_channels = 0.0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Mix a block of shape (n, channels) down to samples of shape (n,)."""
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are refused later
            mean = block.mean(axis=1)
            if block.shape[1] == 1:
                return mean
            if self._channel is None:
                powers = np.square(block, dtype=np.float64).sum(axis=0)
                self._power_of_mean += float(np.square(mean, dtype=np.float64).sum())
                self._power_of_channels += float(powers.mean())
                cancelled = self._power_of_mean < _CANCELLED_POWER * self._power_of_channels
                if cancelled and powers.max() > len(block) * _AUDIBLE_RMS**2:
                    self._channel = int(powers.argmax())
                    self._warnings.append(
                        "The channels cancel each other out (one is the other inverted), so only channel "
                        f"{self._channel + 1} was read."
                    )
        return mean if self._channel is None or self._channel >= block.shape[1] else block[:, self._channel].copy()


class _Checksum:
    """The MD5 of a FLAC file's samples, to compare with the one in its header."""

    def __init__(self, reader: soundfile.SoundFile, expected: bytes, bits: int) -> None:
        self._reader, self._expected, self._bits, self._md5 = reader, expected, bits, hashlib.md5(usedforsecurity=False)

    @classmethod
    def of(cls, file: BinaryIO, container: str, start: int, reader: soundfile.SoundFile) -> "_Checksum | None":
        if container != "flac":
            return None
        position = file.tell()
        head = _bytes_at(file, start, 42)
        file.seek(position)
        expected, bits = head[26:42], ((head[20] & 1) << 4 | head[21] >> 4) + 1
        return cls(reader, expected, bits) if any(expected) else None

    def read(self) -> np.ndarray:
        """Return the next samples of shape (n, channels), float32, and add them to the digest."""
        block = self._reader.read(_BLOCK_FRAMES, "int32", always_2d=True)
        samples, sample_bytes = block >> (32 - self._bits), (self._bits + 7) // 8
        if sample_bytes == 2:  # nearly all files, and 20 times as fast
            self._md5.update(samples.astype("<i2"))
        else:
            self._md5.update(samples.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :sample_bytes].tobytes())
        return block.astype(np.float32) * np.float32(2**-31)

    def matches(self) -> bool:
        return self._md5.digest() == self._expected


def _ends_early(file: BinaryIO) -> bool:
    """Return whether a RIFF or Ogg container is cut off, which libsndfile does not report."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        promised = int.from_bytes(head[4:8], "little") + 8
        return size < promised < 0xFFFFFFF0  # a stream of unknown length writes the largest size
    if head[:4] == b"OggS":
        file.seek(max(0, size - _LARGEST_OGG_PAGE))
        tail = file.read()
        flags = tail[tail.rfind(b"OggS") :][5:6]
        return not flags or not flags[0] & 0x04
    return False


def _av_blocks(
    container: av.container.InputContainer, name: str, limits: AudioLimits, warnings: list[str]
) -> tuple[int, int, Iterator[np.ndarray]]:
    """Return the sample rate and the number of channels, which only the first frame gives reliably, and the blocks."""
    tracks = container.streams.audio
    if not tracks:
        raise AudioRefused(f"{name}: the file holds no audio. Choose a recording of speech.")
    track = next((one for one in tracks if one.disposition & av.stream.Disposition.default), tracks[0])
    if len(tracks) > 1:
        number = tracks.index(track) + 1
        warnings.append(f"The file has {len(tracks)} audio tracks; only number {number} was read.")
    codec = track.codec_context.name if track.codec_context else "unknown"
    if codec not in CODECS:
        raise AudioRefused(
            f"{name}: its audio is encoded as {codec}, which is not supported. Readable formats are {READABLE}; "
            "export it as one of these."
        )
    frames = container.decode(track)
    with _ffmpeg_errors_as_refusal(name):
        first = next(frames, None)
    if first is None:
        raise AudioRefused(f"{name}: the file holds no audio. Record or export it again.")
    rate, channels = first.sample_rate, first.layout.nb_channels
    _check_format(rate, channels, name, limits)

    def blocks() -> Iterator[np.ndarray]:
        to_float, layout, read, downmix = None, None, 0, _Downmix(warnings)
        with _ffmpeg_errors_as_refusal(name):
            try:
                for frame in chain([first], frames):
                    if frame.sample_rate != rate:
                        warnings.append(_rate_change(read / rate, rate, frame.sample_rate))
                        return
                    if to_float is None or frame.layout.name != layout:
                        _check_format(rate, frame.layout.nb_channels, name, limits)
                        to_float, layout = av.AudioResampler(format="fltp"), frame.layout.name
                    for part in to_float.resample(frame):
                        read += part.samples
                        yield downmix(part.to_ndarray().T)
            except av.FFmpegError:
                warnings.append(_DAMAGED)
        duration_is_exact = container.format.name != "mp3"  # FFmpeg only estimates that of an MP3
        if duration_is_exact and container.duration and read / rate < container.duration / av.time_base * 0.9 - 0.5:
            warnings.append(_TRUNCATED)

    return rate, channels, blocks()


def _check_format(rate: int, channels: int, name: str, limits: AudioLimits) -> None:
    if not limits.lowest_rate_hz <= rate <= limits.highest_rate_hz:
        raise AudioRefused(
            f"{name}: the sample rate is {rate} Hz; it must be {limits.lowest_rate_hz} to {limits.highest_rate_hz} Hz. "
            "Export it at 16 000 or 48 000 Hz."
        )
    if not 1 <= channels <= limits.max_channels:
        raise AudioRefused(
            f"{name}: the file has {channels} channels; at most {limits.max_channels} are mixed down. "
            "Export it with one or two."
        )


def _within_limits(blocks: Iterator[np.ndarray], rate: int, name: str, limits: AudioLimits) -> Iterator[np.ndarray]:
    total, longest_s = 0, min(limits.longest_s, limits.max_samples / rate)
    for block in blocks:
        total += len(block)
        if total > longest_s * rate:
            minutes = longest_s / 60
            longest = f"{minutes:g} minutes"
            if longest_s != limits.longest_s:
                longest = f"{minutes:g} minutes, the limit at {rate} Hz"
            advice = "Cut it into shorter pieces"
            if limits.longest_s < LONG_RECORDING.longest_s:
                hours = LONG_RECORDING.longest_s / 3600
                advice = f"Cut it into shorter pieces, or use the command timeline, which reads up to {hours:g} hours"
            raise RecordingTooLong(f"{name}: the recording is longer than {longest}. {advice}.")
        yield block


def _skip(blocks: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yield the blocks without their first `count` samples."""
    for block in blocks:
        if count < len(block):
            yield block[count:]
        count = max(0, count - len(block))


def merge_blocks(blocks: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yield the same samples in blocks of at least `count`, except for the last."""
    pending, total = [], 0
    for block in blocks:
        pending.append(block)
        total += len(block)
        if total >= count:
            yield np.concatenate(pending)
            pending, total = [], 0
    if pending:
        yield np.concatenate(pending)
