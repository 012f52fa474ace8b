"""From an audio file to its sound: mono blocks at the file's own rate, by whichever library reads it."""

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
from ser_core.settings import AudioLimits

READABLE = "WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, M4A (AAC) and WebM"

#: What is looked at in blocks, for its emotions over time. A WAV file cannot be larger, and never is all of it held.
LONG = AudioLimits(longest_s=7_200.0, max_samples=7_200 * 192_000, largest_file_bytes=4 * 2**30)

#: FFmpeg's names of the containers that are read, and how their files begin. FFmpeg knows 350 more, among them texts
#: that name other files, and hosts.
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
LIBSNDFILE_READS = ("wav", "aiff", "flac", "ogg", "mp3")
#: The decoders that FFmpeg may open.
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

# Small, so that a bomb is noticed early, and since the block in which a damaged file breaks off is lost whole.
_BLOCK_FRAMES = 4_096
_LARGEST_OGG_PAGE, _LARGEST_MP3_FRAME = 65_307, 1_441
#: How far libsndfile reads beyond the end of what it decodes, at most.
_READ_AHEAD = 2**17
#: Channels cancel each other out where their mean has less than this part of their power.
_CANCELLED = 0.01
_AUDIBLE = 1e-3
_DAMAGED = "The file is damaged: decoding stopped early, and only what came before was read."
_TRUNCATED = "The file is truncated: it promises more sound than it holds."
_WRONG_CHECKSUM = (
    "The sound is not what the file's checksum (MD5) says: it was damaged or changed after it was written."
)


@dataclass(frozen=True)
class Sound:
    """The sound of a file while it is decoded.

    Attributes
    ----------
    blocks : iterator of ndarray of shape (n,), float32
        The mean of the channels, in pieces as short as they come.
    warnings : list of str
        Complete once the blocks are through: only then is it known whether the file holds what it promises.
    """

    sample_rate_hz: int
    blocks: Iterator[np.ndarray]
    warnings: list[str]


@contextmanager
def decoded(file: BinaryIO, name: str, limits: AudioLimits, from_s: float = 0.0) -> Iterator[Sound]:
    """Decode a file whose format is found from its content, never from its name.

    Parameters
    ----------
    file : binary file
        Seekable. It is read from its beginning and left open.
    from_s : float
        The blocks begin with sample round(from_s x rate). What comes before is passed over where the format allows,
        else decoded in vain.

    Raises
    ------
    AudioRefused
        If it holds no sound that can be read here, or its rate or its channels are outside the limits.
    RecordingTooLong
        From the blocks, as soon as they are longer than the limits allow.
    """
    warnings: list[str] = []
    container, start = _container(file)
    with _opened(file, container, start, name) as reader:
        if isinstance(reader, soundfile.SoundFile):
            rate = reader.samplerate
            _check_format(rate, reader.channels, name, limits)
            first = _sought(reader, round(from_s * rate))
            blocks = _soundfile_blocks(reader, file, container, start, first, warnings)
        else:
            rate, blocks = _av_blocks(reader, name, limits, warnings)
            first = 0
        yield Sound(rate, _without(_limited(blocks, rate, name, limits), round(from_s * rate) - first), warnings)


def _container(file: BinaryIO) -> tuple[str, int]:
    """Return which of CONTAINERS a file is, and where that begins, which is behind ID3 tags."""
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


class _Part:
    """A file from some position on, without its name, from which both libraries would guess its format."""

    def __init__(self, file: BinaryIO, start: int = 0) -> None:
        self.read, self._file, self._start = file.read, file, start
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset + (self._start if whence == os.SEEK_SET else 0), whence) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start


def _opened(file: BinaryIO, container: str, start: int, name: str) -> soundfile.SoundFile | av.container.InputContainer:
    # Of an MP3 that does not say how many frames it has libsndfile guesses the length, and stops there.
    guessed = container == "mp3" and not re.search(rb"Xing|Info|VBRI", _bytes_at(file, start))
    if container in LIBSNDFILE_READS and not guessed:
        try:
            return soundfile.SoundFile(_Part(file))
        except soundfile.LibsndfileError:
            pass
    with _refusing_what_ffmpeg_does(name):
        if not container:
            raise ValueError
        options = {"protocol_whitelist": "none", "codec_whitelist": ",".join(sorted(CODECS))}
        return av.open(_Part(file), format=container, options=options)


@contextmanager
def _refusing_what_ffmpeg_does(name: str) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError):  # text that is no UTF-8 is a ValueError
        raise AudioRefused(
            f"{name}: this is not audio that can be read, or it is damaged at its start. "
            f"Readable are {READABLE}; export it as one of these."
        ) from None


def _sought(reader: soundfile.SoundFile, sample: int) -> int:
    """Go on from a sample where that is exact, and return where that is."""
    # Close to the end of Vorbis, libsndfile comes out at another place than it says.
    if not sample or not reader.seekable() or reader.subtype == "VORBIS":
        return 0
    return reader.seek(min(sample, reader.frames))


def _soundfile_blocks(
    reader: soundfile.SoundFile, file: BinaryIO, container: str, start: int, first: int, warnings: list[str]
) -> Iterator[np.ndarray]:
    """Yield the sound of a file, and of those that were appended to it: libsndfile stops before these."""
    rate, total, mixed = reader.samplerate, first, _Mix(warnings)
    while True:
        read, checksum = first, None if first else _Checksum.of(file, container, start, reader)
        try:
            while len(block := checksum.read() if checksum else reader.read(_BLOCK_FRAMES, "float32", always_2d=True)):
                read += len(block)
                yield mixed(block)
        except soundfile.LibsndfileError:
            warnings.append(_DAMAGED)
            return
        total += read - first
        position = file.tell()
        cut = 0 < reader.frames < 2**62 and read < 0.99 * reader.frames
        if checksum and not cut and not checksum.matches() and _WRONG_CHECKSUM not in warnings:
            warnings.append(_WRONG_CHECKSUM)
        reader.close()
        start, reader, first = *_next_part(file, container, start, position), 0
        if cut and _TRUNCATED not in warnings:
            warnings.append(_TRUNCATED)
        if reader is None:
            break
        if reader.samplerate != rate:
            reader.close()
            warnings.append(_changes(total / rate, rate, reader.samplerate))
            return
    if _TRUNCATED not in warnings and _ends_early(file):
        warnings.append(_TRUNCATED)


def _changes(read_s: float, rate: int, then_rate: int) -> str:
    return (
        f"Only the first {read_s:.1f} s were read: there the sample rate changes from {rate} to {then_rate} Hz, as it "
        "does where two files were joined. Convert both to one rate, and join them again."
    )


def _next_part(file: BinaryIO, container: str, start: int, position: int) -> tuple[int, soundfile.SoundFile | None]:
    """Return where another file of the same kind was appended, and its reader; None where nothing was.

    Parameters
    ----------
    start, position : int
        Where the part before began, and where libsndfile stopped to read in it.
    """
    earliest = max(start + 1, position - _READ_AHEAD)
    if container == "mp3":
        found = _next_mp3(file, max(start + 1, position))
    elif container == "ogg":
        # Its streams that are not chained but lie beside each other all begin on its first pages.
        while (head := _bytes_at(file, start))[:4] == b"OggS" and head[5:6] and head[5] & 0x02:
            count = head[26]
            segments = _bytes_at(file, start + 27, count)
            start += 27 + count + sum(segments)
        found = _find(file, rb"OggS\0[\x02\x06]", max(start, earliest))
    elif container == "flac":
        found = _find(file, rb"fLaC\0\0\0\x22", earliest)
    else:
        found = None
    if found is not None:
        try:
            return found, soundfile.SoundFile(_Part(file, found))
        except soundfile.LibsndfileError:
            pass
    return start, None


def _find(file: BinaryIO, pattern: bytes, position: int) -> int | None:
    """Return where a pattern of up to 8 bytes is next found."""
    kept = b""
    file.seek(position)
    while piece := file.read(2**16):
        if match := re.search(pattern, kept + piece, re.DOTALL):
            return position - len(kept) + match.start()
        position += len(piece)
        kept = (kept + piece)[-7:]
    return None


def _next_mp3(file: BinaryIO, position: int) -> int | None:
    """Return where MP3 goes on: at three headers in a row, of which tags have none."""
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
    """Return how long a frame of MPEG layer III is, by its header, or 0."""
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


class _Mix:
    """The mean of the channels, or one of them from where on they cancel each other out."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings, self._channel = warnings, None
        self._power_of_mean = self._power_of_channels = 0.0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Return samples of shape (n,) of a block of shape (n, channels)."""
        with np.errstate(invalid="ignore", over="ignore"):  # what is not a number is refused later
            mean = block.mean(axis=1)
            if block.shape[1] == 1:
                return mean
            if self._channel is None:
                powers = np.square(block, dtype=np.float64).sum(axis=0)
                self._power_of_mean += float(np.square(mean, dtype=np.float64).sum())
                self._power_of_channels += float(powers.mean())
                cancelled = self._power_of_mean < _CANCELLED * self._power_of_channels
                if cancelled and powers.max() > len(block) * _AUDIBLE**2:
                    self._channel = int(powers.argmax())
                    self._warnings.append(
                        "The channels cancel each other out (one is the other upside down), so that only channel "
                        f"{self._channel + 1} was read."
                    )
        return mean if self._channel is None or self._channel >= block.shape[1] else block[:, self._channel].copy()


class _Checksum:
    """The MD5 of a FLAC's samples, of which its head says what it should be."""

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
        """Return the next samples of shape (n, channels), float32."""
        block = self._reader.read(_BLOCK_FRAMES, "int32", always_2d=True)
        whole, count = block >> (32 - self._bits), (self._bits + 7) // 8
        if count == 2:  # as nearly all, and 20 times as fast
            self._md5.update(whole.astype("<i2"))
        else:
            self._md5.update(whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :count].tobytes())
        return block.astype(np.float32) * np.float32(2**-31)

    def matches(self) -> bool:
        return self._md5.digest() == self._expected


def _ends_early(file: BinaryIO) -> bool:
    """Whether a RIFF or Ogg container says that more should have followed; libsndfile reads on without a word."""
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
) -> tuple[int, Iterator[np.ndarray]]:
    """Return the rate, which only the first frame tells for sure, and the blocks."""
    tracks = container.streams.audio
    if not tracks:
        raise AudioRefused(f"{name}: the file holds no sound. Choose a recording of speech.")
    track = next((one for one in tracks if one.disposition & av.stream.Disposition.default), tracks[0])
    if len(tracks) > 1:
        number = tracks.index(track) + 1
        warnings.append(f"The file has {len(tracks)} tracks of sound, of which only number {number} was read.")
    codec = track.codec_context.name if track.codec_context else "unknown"
    if codec not in CODECS:
        raise AudioRefused(
            f"{name}: its sound is coded as {codec}, which is not read here. Readable are {READABLE}; export it as one "
            "of these."
        )
    frames = container.decode(track)
    with _refusing_what_ffmpeg_does(name):
        first = next(frames, None)
    if first is None:
        raise AudioRefused(f"{name}: the file holds no sound. Record or export it again.")
    rate = first.sample_rate
    _check_format(rate, first.layout.nb_channels, name, limits)

    def blocks() -> Iterator[np.ndarray]:
        to_float, layout, read, mixed = None, None, 0, _Mix(warnings)
        with _refusing_what_ffmpeg_does(name):
            try:
                for frame in chain([first], frames):
                    if frame.sample_rate != rate:
                        warnings.append(_changes(read / rate, rate, frame.sample_rate))
                        return
                    if to_float is None or frame.layout.name != layout:
                        _check_format(rate, frame.layout.nb_channels, name, limits)
                        to_float, layout = av.AudioResampler(format="fltp"), frame.layout.name
                    for part in to_float.resample(frame):
                        read += part.samples
                        yield mixed(part.to_ndarray().T)
            except av.FFmpegError:
                warnings.append(_DAMAGED)
        promises = container.format.name != "mp3"  # that of one which comes here is guessed
        if promises and container.duration and read / rate < container.duration / av.time_base * 0.9 - 0.5:
            warnings.append(_TRUNCATED)

    return rate, blocks()


def _check_format(rate: int, channels: int, name: str, limits: AudioLimits) -> None:
    if not limits.lowest_rate_hz <= rate <= limits.highest_rate_hz:
        raise AudioRefused(
            f"{name}: the sample rate is {rate} Hz; needed are {limits.lowest_rate_hz} to {limits.highest_rate_hz} Hz. "
            "Export it at 16 000 or 48 000 Hz."
        )
    if not 1 <= channels <= limits.max_channels:
        raise AudioRefused(
            f"{name}: the file has {channels} channels; at most {limits.max_channels} are mixed down. "
            "Export one or two."
        )


def _limited(blocks: Iterator[np.ndarray], rate: int, name: str, limits: AudioLimits) -> Iterator[np.ndarray]:
    total, longest_s = 0, min(limits.longest_s, limits.max_samples / rate)
    for block in blocks:
        total += len(block)
        if total > longest_s * rate:
            at_rate = "" if longest_s == limits.longest_s else f", the most that is held at {rate} Hz"
            advice = "Cut it into shorter pieces"
            if limits.longest_s < LONG.longest_s:
                advice += f", or see it over time with the command timeline, up to {LONG.longest_s / 3600:g} hours"
            longest = f"{longest_s / 60:g} minutes{at_rate}"
            raise RecordingTooLong(f"{name}: the recording is longer than {longest}. {advice}.")
        yield block


def _without(blocks: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yield the blocks without their first so many samples."""
    for block in blocks:
        if count < len(block):
            yield block[count:]
        count = max(0, count - len(block))


def merge_blocks(blocks: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yield the same samples in blocks of at least so many, but for the last."""
    held, total = [], 0
    for block in blocks:
        held.append(block)
        total += len(block)
        if total >= count:
            yield np.concatenate(held)
            held, total = [], 0
    if held:
        yield np.concatenate(held)
