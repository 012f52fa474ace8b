"""Decode an audio file to mono blocks at its own sample rate, with libsndfile or FFmpeg."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import av
import numpy as np
import soundfile

from ser_core.audio.decoding.blocks import check_format, skip, within_limits
from ser_core.audio.decoding.containers import CODECS, LIBSNDFILE_CONTAINERS, FileFrom, bytes_at, container_of
from ser_core.audio.decoding.ffmpeg import av_blocks, ffmpeg_errors_as_refusal
from ser_core.audio.decoding.libsndfile import seek, soundfile_blocks
from ser_core.settings import AudioLimits


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
    container, start = container_of(file)
    with _open_reader(file, container, start, name) as reader:
        if isinstance(reader, soundfile.SoundFile):
            rate, channels = reader.samplerate, reader.channels
            check_format(rate, channels, name, limits)
            first = seek(reader, round(from_s * rate))
            blocks = soundfile_blocks(reader, file, container, start, first, warnings)
        else:
            rate, channels, blocks = av_blocks(reader, name, limits, warnings)
            first = 0
        blocks = within_limits(blocks, rate, name, limits)
        yield Sound(rate, channels, skip(blocks, round(from_s * rate) - first), warnings)


def _open_reader(
    file: BinaryIO, container: str, start: int, name: str
) -> soundfile.SoundFile | av.container.InputContainer:
    # libsndfile guesses the length of an MP3 without a frame count, and stops there.
    guessed = container == "mp3" and not re.search(rb"Xing|Info|VBRI", bytes_at(file, start))
    if container in LIBSNDFILE_CONTAINERS and not guessed:
        try:
            return soundfile.SoundFile(FileFrom(file))
        except soundfile.LibsndfileError:
            pass
    with ffmpeg_errors_as_refusal(name):
        if not container:
            raise ValueError
        options = {"protocol_whitelist": "none", "codec_whitelist": ",".join(sorted(CODECS))}
        return av.open(FileFrom(file), format=container, options=options)
