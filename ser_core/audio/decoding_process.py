"""Decoding in a process of its own: what a hostile file does to the libraries that read it, it does not do here.

Every recording is decoded there, those of corpora too: a process that came to the end of a file without a word of
damage is kept for the next one, so that thousands of files cost one start, and a millisecond or so each. It imports
numpy, soundfile and PyAV but never torch, then gives up all but computing (`sandbox`), and asks for the bytes
that it wants; samples come back as they lie in memory. It is started and never forked: the fork of a process in which
torch runs threads may hang.
"""

import atexit
import hashlib
import io
import json
import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from time import monotonic
from typing import Any, BinaryIO, NoReturn

import av.subtitles.stream  # noqa: F401 - PyAV imports it when it first opens a file, which is too late
import numpy as np

from ser_core.audio.decoding import Sound, decoded, merge_blocks
from ser_core.errors import AudioRefused, RecordingTooLong
from ser_core.settings import AudioLimits
from ser_core.work.jobs import work_owner
from ser_core.work.log import FIGURES
from ser_core.work.sandbox import LANDLOCK, SECCOMP, allow_cpu, restrict_this_process, start_child

#: Of private memory. Sound within the limits takes a third of it; what leads a library astray takes gigabytes.
MOST_BYTES = 2**28
#: Of one processor, for one file; a long one is decoded at least 20 times as fast as it plays.
LEAST_CPU_S, LEAST_TIMES_REAL_TIME = 30, 20
#: From one message to the next.
LONGEST_SILENCE_S = 30.0
#: How long one file may be waited for in all: so long, and then a part of what it plays.
LEAST_WAIT_S, LEAST_TIMES_REAL_TIME_WAITED = 30.0, 5
#: How many processes wait for a next file.
MOST_KEPT = 2
#: How many decode at once, and how many of one owner. Who uploads while so many do waits: twenty that start together
#: starve each other.
MOST_AT_ONCE, MOST_OF_ONE = 4, 2

BLOCK_SAMPLES = 2**14
LARGEST_READ = 2**15
#: What has no more is sent at once: for the files of corpora, to ask for every piece took as long as to decode it.
SMALL_BYTES = 2**20
LARGEST_MESSAGE = 2**22

#: A message: what it is, how many bytes its content has, and the content. That of READ is a place in the file and how
#: many bytes are wanted; that of BLOCK samples as float32; that of BYTES what the file holds; of all others JSON.
HEAD, WANTED = struct.Struct("<cI"), struct.Struct("<QI")
READY, DECODE, READ, BYTES, RATE, BLOCK, END, REFUSED = b"!", b"D", b"r", b"b", b"R", b"B", b"E", b"X"
REFUSALS = {kind.__name__: kind for kind in (AudioRefused, RecordingTooLong)}

log = logging.getLogger(__name__)


@contextmanager
def decode_in_subprocess(file: BinaryIO, name: str, limits: AudioLimits, from_s: float = 0.0) -> Iterator[Sound]:
    """Decode a file as `ser_core.audio.decoding.decoded` does, in another process.

    Raises
    ------
    AudioRefused
        As there; and where decoding crashes, or takes more time or memory than any recording within the limits.
    RecordingTooLong
        As there.
    """
    owner = work_owner.get()
    with _slots.one(owner):
        process = _taken(owner) or _started(name)
        process.owner = owner  # nobody's file goes where somebody else's may have led the libraries astray
        try:
            warnings: list[str] = []
            rate = process.begin(file, name, limits, from_s)
            yield Sound(rate, process.blocks(warnings), warnings)
        finally:
            if process.reusable:
                _kept.append(process)
                while len(_kept) > MOST_KEPT:
                    _kept.pop(0).end()
            else:
                process.end()


class _Process:
    """The other process, and the file that it is at.

    Attributes
    ----------
    reusable : bool
        Whether it came to the end of its file, and nothing of that was damaged.
    """

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(LONGEST_SILENCE_S)
        with theirs:
            self._process = start_child("ser_core.audio.decoding_process", theirs)
        self.owner, self.reusable = "", False

    def begin(self, file: BinaryIO, name: str, limits: AudioLimits, from_s: float) -> int:
        """Have a file decoded, and return its rate."""
        self._file, self._name, self.reusable = file, name, False
        self._left_s = LEAST_WAIT_S + from_s / LEAST_TIMES_REAL_TIME_WAITED
        self._size = size = file.seek(0, os.SEEK_END)
        asked = {"size": size, "name": name, "limits": asdict(limits), "from_s": from_s}
        file.seek(0)
        whole = file.read() if size <= SMALL_BYTES else None
        with self._refusing_what_breaks():
            _send(self._socket, DECODE, json.dumps(asked).encode())
            if whole is not None:
                _send(self._socket, BYTES, whole)
        content = self._next(RATE)[1]
        with self._refusing_what_breaks():
            self._rate = content["rate"]
            if not isinstance(self._rate, int) or not limits.lowest_rate_hz <= self._rate <= limits.highest_rate_hz:
                raise ValueError(self._rate)
        self._most = min(limits.longest_s * self._rate, limits.max_samples)
        return self._rate

    def blocks(self, warnings: list[str]) -> Iterator[np.ndarray]:
        """Yield samples of shape (n,), float32, and at their end add the warnings."""
        count = 0
        kind, content = self._next(BLOCK, END)
        while kind == BLOCK:
            count += len(content)
            if count > self._most:
                self._broke()
            self._left_s += len(content) / self._rate / LEAST_TIMES_REAL_TIME_WAITED
            yield content
            kind, content = self._next(BLOCK, END)
        with self._refusing_what_breaks():
            if content["samples"] != count:
                raise ValueError(count)
            warnings += [str(one) for one in content["warnings"]]
        self._file, self.reusable = None, not warnings

    def lives(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _next(self, *kinds: bytes) -> tuple[bytes, Any]:
        """Return the next message of these kinds; until it comes, give the process what it wants to read."""
        begun = monotonic()
        while True:
            with self._refusing_what_breaks():
                now = monotonic()
                kind, content = _received(self._socket, min(now + LONGEST_SILENCE_S, begun + self._left_s))
            if kind in kinds:
                self._left_s -= monotonic() - begun
                return kind, content
            if kind == REFUSED:
                with self._refusing_what_breaks():
                    refusal = REFUSALS[content["kind"]](str(content["text"]))
                raise refusal
            if kind == READY:
                with self._refusing_what_breaks():
                    _log_what_is_missing(content["applied"])
            elif kind == READ:
                position, count = content
                if position > self._size:
                    self._broke()
                self._file.seek(position)
                wanted = self._file.read(min(count, LARGEST_READ))
                with self._refusing_what_breaks():
                    self._socket.settimeout(LONGEST_SILENCE_S)
                    _send(self._socket, BYTES, wanted)
            else:
                self._broke()

    @contextmanager
    def _refusing_what_breaks(self) -> Iterator[None]:
        try:
            yield
        # A silence too long is an OSError; the last three are what a process led astray may send.
        except (OSError, EOFError, ValueError, struct.error, LookupError, TypeError, RecursionError):
            self._broke()

    def _broke(self) -> NoReturn:
        self.end()
        log.info("Decoding %r ended with %d", self._name, self._process.returncode)
        raise AudioRefused(
            f"{self._name}: the file breaks what decodes it, or keeps it busy without end. "
            "Export it again, as WAV or FLAC."
        ) from None


class _Slots:
    """Who decodes now: at most MOST_AT_ONCE, and MOST_OF_ONE of one owner, in the order in which they came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._decoding: list[str] = []
        self._waiting: list[tuple[str, object]] = []

    @contextmanager
    def one(self, owner: str) -> Iterator[None]:
        """Wait for a slot, and hold it."""
        ticket = owner, object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._first() is ticket)
                self._decoding.append(owner)
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._decoding.remove(owner)
                self._changed.notify_all()

    def _first(self) -> tuple[str, object] | None:
        """Return who has waited longest of those that may begin."""
        if len(self._decoding) >= MOST_AT_ONCE:
            return None
        may = (one for one in self._waiting if not one[0] or self._decoding.count(one[0]) < MOST_OF_ONE)
        return next(may, None)


_kept: list[_Process] = []
_slots = _Slots()
_logged = threading.Event()


def _log_what_is_missing(applied: list[str]) -> None:
    """Say once if the kernel does not hold the processes back; their limits of memory and time apply anyway."""
    missing = [name for name in (LANDLOCK, SECCOMP) if name not in applied]
    if missing and not _logged.is_set():
        _logged.set()
        log.info("Decoding is held back by less than it could be", extra={FIGURES: {"missing": missing}})


def _begin_anew() -> None:
    """What a process was forked from decodes there, not here."""
    global _slots
    _kept.clear()
    _slots = _Slots()


os.register_at_fork(after_in_child=_begin_anew)


def _started(name: str) -> _Process:
    try:
        return _Process()
    except OSError as reason:
        raise AudioRefused(
            f"{name}: no process can be started to decode it ({reason.strerror}). Try again later."
        ) from None


def _taken(owner: str) -> _Process | None:
    for process in [one for one in _kept if one.owner == owner]:
        with suppress(ValueError):  # other threads take some too
            _kept.remove(process)
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


def _received(of: socket.socket, until: float | None = None) -> tuple[bytes, Any]:
    """Return a message; `until` is the time, as of `monotonic`, by which all of it has to be there."""
    kind, length = HEAD.unpack(_exactly(of, HEAD.size, until))
    if length > LARGEST_MESSAGE:
        raise ValueError(length)
    content = _exactly(of, length, until)
    if kind == READ:
        return kind, WANTED.unpack(content)
    if kind == BLOCK:
        return kind, np.frombuffer(content, np.float32)
    return kind, content if kind == BYTES else json.loads(content)


def _exactly(of: socket.socket, count: int, until: float | None) -> bytearray:
    content = bytearray(count)
    left = memoryview(content)
    while left:
        if until is not None:
            of.settimeout(max(until - monotonic(), 1e-3))
        got = of.recv_into(left)
        if not got:
            raise EOFError
        left = left[got:]
    return content


# --- the other process ---


class _Asked(io.RawIOBase):
    """The file, which lies on the other side."""

    def __init__(self, socket_: socket.socket, size: int) -> None:
        self._socket, self._size, self._position = socket_, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + position < 0:
            raise OSError("A position before the file's beginning")
        self._position = start + position
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        if self._position >= self._size:
            return 0
        _send(self._socket, READ, WANTED.pack(self._position, len(buffer)))
        _, found = _received(self._socket)
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)


def _decode(asked: dict[str, Any], to: socket.socket) -> None:
    limits, samples = AudioLimits(**asked["limits"]), 0
    allow_cpu(LEAST_CPU_S + limits.longest_s / LEAST_TIMES_REAL_TIME)
    small = asked["size"] <= SMALL_BYTES
    file = io.BytesIO(_received(to)[1]) if small else io.BufferedReader(_Asked(to, asked["size"]), LARGEST_READ)
    try:
        with decoded(file, asked["name"], limits, asked["from_s"]) as sound:
            _send(to, RATE, json.dumps({"rate": sound.sample_rate_hz}).encode())
            for block in merge_blocks(sound.blocks, BLOCK_SAMPLES):
                samples += len(block)
                _send(to, BLOCK, memoryview(block).cast("B"))
            _send(to, END, json.dumps({"samples": samples, "warnings": sound.warnings}).encode())
    except AudioRefused as refusal:
        _send(to, REFUSED, json.dumps({"kind": type(refusal).__name__, "text": str(refusal)}).encode())


def _main() -> None:
    hashlib.md5(usedforsecurity=False)  # at its first use OpenSSL opens files
    with socket.socket(fileno=0) as other, suppress(EOFError):
        applied = restrict_this_process(memory_bytes=MOST_BYTES, cpu_s=LEAST_CPU_S)
        _send(other, READY, json.dumps({"applied": applied}).encode())
        while True:
            _decode(_received(other)[1], other)


if __name__ == "__main__":
    _main()
