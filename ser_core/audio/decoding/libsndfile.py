"""Decode with libsndfile, with any files that were appended to the file."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from ser_core.audio.decoding.blocks import BLOCK_FRAMES, Downmix
from ser_core.audio.decoding.containers import CONTAINERS, FileFrom, bytes_at
from ser_core.audio.decoding.damage import DAMAGED, TRUNCATED, WRONG_CHECKSUM, Checksum, ends_early, rate_change

#: How far libsndfile may read beyond what it has decoded.
_READ_AHEAD = 2**17
_LARGEST_MP3_FRAME = 1_441


def seek(reader: soundfile.SoundFile, sample: int) -> int:
    """Seek to a sample if that is exact, and return the position."""
    # libsndfile seeks inaccurately near the end of Vorbis.
    if not sample or not reader.seekable() or reader.subtype == "VORBIS":
        return 0
    return reader.seek(min(sample, reader.frames))


def soundfile_blocks(
    reader: soundfile.SoundFile, file: BinaryIO, container: str, start: int, first: int, warnings: list[str]
) -> Iterator[np.ndarray]:
    """Yield the audio of a file and of any files appended to it, where libsndfile stops."""
    rate, total, downmix = reader.samplerate, first, Downmix(warnings)
    while True:
        read, checksum = first, None if first else Checksum.of(file, container, start, reader)
        try:
            while len(block := checksum.read() if checksum else reader.read(BLOCK_FRAMES, "float32", always_2d=True)):
                read += len(block)
                yield downmix(block)
        except soundfile.LibsndfileError:
            warnings.append(DAMAGED)
            return
        total += read - first
        position = file.tell()
        truncated = 0 < reader.frames < 2**62 and read < 0.99 * reader.frames
        if checksum and not truncated and not checksum.matches() and WRONG_CHECKSUM not in warnings:
            warnings.append(WRONG_CHECKSUM)
        reader.close()
        start, reader, first = *_next_part(file, container, start, position), 0
        if truncated and TRUNCATED not in warnings:
            warnings.append(TRUNCATED)
        if reader is None:
            break
        if reader.samplerate != rate:
            reader.close()
            warnings.append(rate_change(total / rate, rate, reader.samplerate))
            return
    if TRUNCATED not in warnings and ends_early(file):
        warnings.append(TRUNCATED)


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
        while (head := bytes_at(file, start))[:4] == b"OggS" and head[5:6] and head[5] & 0x02:
            count = head[26]
            segments = bytes_at(file, start + 27, count)
            start += 27 + count + sum(segments)
        next_start = _find(file, rb"OggS\0[\x02\x06]", max(start, earliest))
    elif container == "flac":
        next_start = _find(file, rb"fLaC\0\0\0\x22", earliest)
    else:
        next_start = None
    if next_start is not None:
        try:
            return next_start, soundfile.SoundFile(FileFrom(file, next_start))
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
    while len(piece := bytes_at(file, position, 2**16)) > 4:
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
