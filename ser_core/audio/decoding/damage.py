"""Files that are damaged, truncated or joined: what is said of them, and what libsndfile does not report."""

import hashlib
import os
from typing import BinaryIO

import numpy as np
import soundfile

from ser_core.audio.decoding.blocks import BLOCK_FRAMES
from ser_core.audio.decoding.containers import bytes_at

DAMAGED = "The file is damaged: decoding stopped early, and only what came before was read."
TRUNCATED = "The file is truncated: its header promises more audio than it holds."
WRONG_CHECKSUM = "The audio does not match the file's MD5 checksum: it was damaged or changed after it was written."
_LARGEST_OGG_PAGE = 65_307


def rate_change(read_s: float, rate: int, next_rate: int) -> str:
    """Return the warning that only `read_s` were read, because the sample rate changes there."""
    return (
        f"Only the first {read_s:.1f} s were read: there the sample rate changes from {rate} to {next_rate} Hz, as if "
        "two files had been joined. Convert both to one rate and join them again."
    )


class Checksum:
    """The MD5 of a FLAC file's samples, to compare with the one in its header."""

    def __init__(self, reader: soundfile.SoundFile, expected: bytes, bits: int) -> None:
        self._reader, self._expected, self._bits, self._md5 = reader, expected, bits, hashlib.md5(usedforsecurity=False)

    @classmethod
    def of(cls, file: BinaryIO, container: str, start: int, reader: soundfile.SoundFile) -> "Checksum | None":
        if container != "flac":
            return None
        position = file.tell()
        head = bytes_at(file, start, 42)
        file.seek(position)
        expected, bits = head[26:42], ((head[20] & 1) << 4 | head[21] >> 4) + 1
        return cls(reader, expected, bits) if any(expected) else None

    def read(self) -> np.ndarray:
        """Return the next samples of shape (n, channels), float32, and add them to the digest."""
        block = self._reader.read(BLOCK_FRAMES, "int32", always_2d=True)
        samples, sample_bytes = block >> (32 - self._bits), (self._bits + 7) // 8
        if sample_bytes == 2:  # nearly all files, and 20 times as fast
            self._md5.update(samples.astype("<i2"))
        else:
            self._md5.update(samples.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :sample_bytes].tobytes())
        return block.astype(np.float32) * np.float32(2**-31)

    def matches(self) -> bool:
        return self._md5.digest() == self._expected


def ends_early(file: BinaryIO) -> bool:
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
