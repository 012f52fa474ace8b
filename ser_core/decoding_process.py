"""Decoding in a process of its own: what a hostile file does to the libraries that read it, it does not do here.

Every recording is decoded there, those of corpora too: a process that came to the end of a file without a word of
damage is kept for the next one, so that thousands of files cost one start, and a millisecond or so each. It imports
numpy, soundfile and PyAV but never torch, opens no file, and asks for the bytes that it wants; samples come back as
they lie in memory. It is started and never forked: the fork of a process in which torch runs threads may hang.
"""

import atexit
import io
import json
import logging
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from ser_core.decoding import Sound, decoded, gathered
from ser_core.errors import AudioRefused, RecordingTooLong
from ser_core.settings import AudioLimits

ROOT = Path(__file__).parent.parent

#: Of private memory. Sound within the limits takes a third of it; what leads a library astray takes gigabytes.
MOST_BYTES = 2**28
#: Of one processor, for one file; a long one is decoded at least 20 times as fast as it plays.
LEAST_CPU_S, LEAST_TIMES_REAL_TIME = 30, 20
#: From one message to the next.
LONGEST_SILENCE_S = 30.0
#: How many processes wait for a next file.
MOST_KEPT = 2
#: How many decode at once. Who uploads while so many do waits: twenty that start together starve each other.
MOST_AT_ONCE = 4

BLOCK_SAMPLES = 2**14
LARGEST_READ = 2**15
#: What has no more is sent at once: for the files of corpora, to ask for every piece took as long as to decode it.
SMALL_BYTES = 2**20
LARGEST_MESSAGE = 2**22

#: A message: what it is, how many bytes its content has, and the content. That of READ is a place in the file and how
#: many bytes are wanted; that of BLOCK samples as float32; that of BYTES what the file holds; of all others JSON.
HEAD, WANTED = struct.Struct("<cI"), struct.Struct("<QI")
DECODE, READ, BYTES, RATE, BLOCK, END, REFUSED = b"D", b"r", b"b", b"R", b"B", b"E", b"X"
REFUSALS = {kind.__name__: kind for kind in (AudioRefused, RecordingTooLong)}

log = logging.getLogger(__name__)


@contextmanager
def decoded_apart(file: BinaryIO, name: str, limits: AudioLimits, from_s: float = 0.0) -> Iterator[Sound]:
    """Decode a file as `ser_core.decoding.decoded` does, in another process.

    Raises
    ------
    AudioRefused
        As there; and where decoding crashes, or takes more time or memory than any recording within the limits.
    RecordingTooLong
        As there.
    """
    with _places:
        process = _taken() or _Process()
        try:
            warnings: list[str] = []
            rate = process.begin(file, name, limits, from_s)
            yield Sound(rate, process.blocks(warnings), warnings)
        finally:
            if process.unharmed and len(_kept) < MOST_KEPT:
                _kept.append(process)
            else:
                process.end()


class _Process:
    """The other process, and the file that it is at.

    Attributes
    ----------
    unharmed : bool
        Whether it came to the end of its file, and nothing of that was damaged.
    """

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(LONGEST_SILENCE_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ser_core.decoding_process"],
                cwd=ROOT,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # libraries complain there of every damaged frame
            )
        self.unharmed = False

    def begin(self, file: BinaryIO, name: str, limits: AudioLimits, from_s: float) -> int:
        """Have a file decoded, and return its rate."""
        self._file, self._name, self.unharmed = file, name, False
        size = file.seek(0, os.SEEK_END)
        asked = {"size": size, "name": name, "limits": asdict(limits), "from_s": from_s}
        file.seek(0)
        whole = file.read() if size <= SMALL_BYTES else None
        with self._refusing_what_breaks():
            _send(self._socket, DECODE, json.dumps(asked).encode())
            if whole is not None:
                _send(self._socket, BYTES, whole)
        return self._next(RATE)[1]["rate"]

    def blocks(self, warnings: list[str]) -> Iterator[np.ndarray]:
        """Yield samples of shape (n,), float32, and at their end add the warnings."""
        count = 0
        kind, content = self._next(BLOCK, END)
        while kind == BLOCK:
            count += len(content)
            yield content
            kind, content = self._next(BLOCK, END)
        if content["samples"] != count:
            self._broke()
        warnings += content["warnings"]
        self._file, self.unharmed = None, not warnings

    def lives(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _next(self, *kinds: bytes) -> tuple[bytes, Any]:
        """Return the next message of these kinds; until it comes, give the process what it wants to read."""
        while True:
            with self._refusing_what_breaks():
                kind, content = _received(self._socket)
            if kind in kinds:
                return kind, content
            if kind == REFUSED:
                raise REFUSALS[content["kind"]](content["text"])
            if kind != READ:
                self._broke()
            place, count = content
            self._file.seek(place)
            wanted = self._file.read(min(count, LARGEST_READ))
            with self._refusing_what_breaks():
                _send(self._socket, BYTES, wanted)

    @contextmanager
    def _refusing_what_breaks(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError, ValueError, struct.error):  # of these a silence too long is the first
            self._broke()

    def _broke(self) -> NoReturn:
        self.end()
        log.info("Decoding %r ended with %d", self._name, self._process.returncode)
        raise AudioRefused(
            f"{self._name}: the file breaks what decodes it, or keeps it busy without end. "
            "Export it again, as WAV or FLAC."
        ) from None


_kept: list[_Process] = []
_places = threading.BoundedSemaphore(MOST_AT_ONCE)


def _begin_anew() -> None:
    """What a process was forked from decodes there, not here."""
    global _places
    _kept.clear()
    _places = threading.BoundedSemaphore(MOST_AT_ONCE)


os.register_at_fork(after_in_child=_begin_anew)


def _taken() -> _Process | None:
    with suppress(IndexError):  # other threads take some too
        while True:
            process = _kept.pop()
            if process.lives():
                return process
            process.end()
    return None


@atexit.register
def _end_all() -> None:
    while _kept:
        _kept.pop().end()


# --- both sides ---


def _send(to: socket.socket, kind: bytes, content: bytes | memoryview) -> None:
    to.sendall(HEAD.pack(kind, len(content)) + content)


def _received(of: socket.socket) -> tuple[bytes, Any]:
    kind, length = HEAD.unpack(_exactly(of, HEAD.size))
    if length > LARGEST_MESSAGE:
        raise ValueError(length)
    content = _exactly(of, length)
    if kind == READ:
        return kind, WANTED.unpack(content)
    if kind == BLOCK:
        return kind, np.frombuffer(content, np.float32)
    return kind, content if kind == BYTES else json.loads(content)


def _exactly(of: socket.socket, count: int) -> bytearray:
    content = bytearray(count)
    left = memoryview(content)
    while left:
        got = of.recv_into(left)
        if not got:
            raise EOFError
        left = left[got:]
    return content


# --- the other process ---


class _Asked(io.RawIOBase):
    """The file, which lies on the other side."""

    def __init__(self, socket_: socket.socket, size: int) -> None:
        self._socket, self._size, self._place = socket_, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if start + place < 0:
            raise OSError("A place before the file's beginning")
        self._place = start + place
        return self._place

    def readinto(self, buffer: memoryview) -> int:
        if self._place >= self._size:
            return 0
        _send(self._socket, READ, WANTED.pack(self._place, len(buffer)))
        _, found = _received(self._socket)
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)


def _decode(asked: dict[str, Any], to: socket.socket) -> None:
    limits, samples = AudioLimits(**asked["limits"]), 0
    _allow_cpu(LEAST_CPU_S + limits.longest_s / LEAST_TIMES_REAL_TIME)
    small = asked["size"] <= SMALL_BYTES
    file = io.BytesIO(_received(to)[1]) if small else io.BufferedReader(_Asked(to, asked["size"]), LARGEST_READ)
    try:
        with decoded(file, asked["name"], limits, asked["from_s"]) as sound:
            _send(to, RATE, json.dumps({"rate": sound.sample_rate_hz}).encode())
            for block in gathered(sound.blocks, BLOCK_SAMPLES):
                samples += len(block)
                _send(to, BLOCK, memoryview(block).cast("B"))
            _send(to, END, json.dumps({"samples": samples, "warnings": sound.warnings}).encode())
    except AudioRefused as refusal:
        _send(to, REFUSED, json.dumps({"kind": type(refusal).__name__, "text": str(refusal)}).encode())


def _allow_cpu(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = round(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    with socket.socket(fileno=0) as other, suppress(EOFError):
        while True:
            _decode(_received(other)[1], other)


if __name__ == "__main__":
    _main()
