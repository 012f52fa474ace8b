"""The containers and codecs that are read, and how a file's content tells its container."""

import os
import re
from typing import BinaryIO

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


def container_of(file: BinaryIO) -> tuple[str, int]:
    """Return the name in CONTAINERS of a file's container ("" for none), and where it begins: after any ID3 tags."""
    start, head = 0, bytes_at(file, 0)
    while head[:3] == b"ID3" and len(head) > 10:
        size = sum((byte & 0x7F) << 7 * (3 - index) for index, byte in enumerate(head[6:10]))
        start += 10 + size + (10 if head[5] & 0x10 else 0)
        head = bytes_at(file, start)
    for container, pattern in CONTAINERS.items():
        if re.match(pattern, head, re.DOTALL) and (not start or container in ("flac", "mp3", "aac")):
            return container, start
    return "", 0


def bytes_at(file: BinaryIO, position: int, count: int = 64) -> bytes:
    """Return up to `count` bytes from a position in a file."""
    file.seek(position)
    return file.read(count)


class FileFrom:
    """A file from some position on. It has no name, from which both libraries would guess the format."""

    def __init__(self, file: BinaryIO, start: int = 0) -> None:
        self.read, self._file, self._start = file.read, file, start
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset + (self._start if whence == os.SEEK_SET else 0), whence) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start
