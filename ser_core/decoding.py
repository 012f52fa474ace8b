"""From an audio file to its sound: mono blocks at the file's own rate, by whichever library reads it."""

import os
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
LONG = AudioLimits(longest_s=7_200.0, most_samples=7_200 * 192_000, largest_file_bytes=4 * 2**30)

# Small, so that a bomb is noticed early, and since the block in which a damaged file breaks off is lost whole.
_BLOCK_FRAMES = 4_096
_LARGEST_OGG_PAGE = 65_307
_DAMAGED = "The file is damaged: decoding stopped early, and only what came before was read."
_TRUNCATED = "The file is truncated: it promises more sound than it holds."


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
    nameless = _Nameless(file)
    warnings: list[str] = []
    with _opened(nameless, name) as reader:
        if isinstance(reader, soundfile.SoundFile):
            rate = reader.samplerate
            _check_format(rate, reader.channels, name, limits)
            at = _sought(reader, round(from_s * rate))
            blocks = _soundfile_blocks(reader, nameless, at, warnings)
        else:
            rate, blocks = _av_blocks(reader, name, limits, warnings)
            at = 0
        yield Sound(rate, _without(_limited(blocks, rate, name, limits), round(from_s * rate) - at), warnings)


class _Nameless:
    """A file without its name, from which both libraries would guess its format."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _opened(file: _Nameless, name: str) -> soundfile.SoundFile | av.container.InputContainer:
    file.seek(0)
    try:
        return soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        file.seek(0)
    with _refusing_what_ffmpeg_does(name):
        return av.open(file)


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
    reader: soundfile.SoundFile, file: _Nameless, read: int, warnings: list[str]
) -> Iterator[np.ndarray]:
    try:
        while len(block := reader.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
            read += len(block)
            with np.errstate(invalid="ignore", over="ignore"):  # what is not a number is refused later
                mixed = block.mean(axis=1)
            yield mixed
    except soundfile.LibsndfileError:
        warnings.append(_DAMAGED)
        return
    cut = 0 < reader.frames < 2**62 and read < 0.99 * reader.frames
    if cut or _ends_early(file):
        warnings.append(_TRUNCATED)


def _ends_early(file: _Nameless) -> bool:
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
    if not container.streams.audio:
        raise AudioRefused(f"{name}: the file holds no sound. Choose a recording of speech.")
    frames = container.decode(container.streams.audio[0])
    with _refusing_what_ffmpeg_does(name):
        first = next(frames, None)
    if first is None:
        raise AudioRefused(f"{name}: the file holds no sound. Record or export it again.")
    rate = first.sample_rate
    _check_format(rate, first.layout.nb_channels, name, limits)

    def blocks() -> Iterator[np.ndarray]:
        to_float, read = av.AudioResampler(format="fltp"), 0
        with _refusing_what_ffmpeg_does(name):
            try:
                for frame in chain([first], frames):
                    for part in to_float.resample(frame):
                        read += part.samples
                        yield part.to_ndarray().mean(axis=0)
            except av.FFmpegError:
                warnings.append(_DAMAGED)
        if container.duration and read / rate < container.duration / av.time_base * 0.9 - 0.5:
            warnings.append(_TRUNCATED)

    return rate, blocks()


def _check_format(rate: int, channels: int, name: str, limits: AudioLimits) -> None:
    if not limits.lowest_rate_hz <= rate <= limits.highest_rate_hz:
        raise AudioRefused(
            f"{name}: the sample rate is {rate} Hz; needed are {limits.lowest_rate_hz} to {limits.highest_rate_hz} Hz. "
            "Export it at 16 000 or 48 000 Hz."
        )
    if not 1 <= channels <= limits.most_channels:
        raise AudioRefused(
            f"{name}: the file has {channels} channels; at most {limits.most_channels} are mixed down. "
            "Export one or two."
        )


def _limited(blocks: Iterator[np.ndarray], rate: int, name: str, limits: AudioLimits) -> Iterator[np.ndarray]:
    total, longest_s = 0, min(limits.longest_s, limits.most_samples / rate)
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


def gathered(blocks: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
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
