"""Decode in a sandboxed process, so that a hostile file that exploits a decoder cannot harm this one.

Every recording is decoded there, corpora included. A process that reads a file to its end without damage is reused for
the next, so that thousands of files cost one start and about a millisecond each. It imports numpy, soundfile and PyAV
but never torch, gives up everything except computing (`sandbox`), and requests the bytes it needs; samples come back as
raw float32. It is started, not forked: forking a process in which torch runs threads may hang.
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

from ser_core.audio.decoding import Sound, decode
from ser_core.audio.decoding.blocks import merge_blocks
from ser_core.errors import AudioRefused, RecordingTooLong
from ser_core.settings import AudioLimits
from ser_core.work.child_process import ChildProcess, receive, send
from ser_core.work.jobs import work_owner
from ser_core.work.log import FIGURES
from ser_core.work.sandbox import LANDLOCK, SECCOMP, allow_cpu, restrict_this_process

#: Private memory of a process. Audio within the limits takes a third of it, a file that misleads a library gigabytes.
MAX_MEMORY_BYTES = 2**28
#: Processor time for one file: a minimum, and more for long files, which decode at least 20 times as fast as they play.
MIN_CPU_S, MIN_CPU_SPEED = 30, 20
MESSAGE_TIMEOUT_S = 30.0
#: Time for a new process to be ready; long, because the delay of a busy machine is no fault of the file.
MAX_START_S = 120.0
#: Waiting time for one file: a minimum, and 1 s more for every 5 s decoded.
MIN_WAIT_S, MIN_WAIT_SPEED = 30.0, 5
MAX_IDLE = 2
#: Decoders that run at once, in total and per owner. Further uploads wait: twenty at once would starve each other.
MAX_RUNNING, MAX_RUNNING_PER_OWNER = 4, 2

BLOCK_SAMPLES = 2**14
MAX_READ_BYTES = 2**15
#: Smaller files are sent whole: for corpora, requesting every piece took as long as decoding it.
SMALL_BYTES = 2**20
MAX_MESSAGE_BYTES = 2**22

#: The content of READ: a position in the file, and the number of bytes to send.
READ_REQUEST = struct.Struct("<QI")
#: Kinds of messages. BLOCK carries float32 samples, BYTES a piece of the file, READ `READ_REQUEST`, all others JSON.
READY, DECODE, READ, BYTES, FORMAT, BLOCK, END, REFUSED = b"!", b"D", b"r", b"b", b"F", b"B", b"E", b"X"
REFUSALS = {kind.__name__: kind for kind in (AudioRefused, RecordingTooLong)}

log = logging.getLogger(__name__)


@contextmanager
def decode_in_subprocess(file: BinaryIO, name: str, limits: AudioLimits, from_s: float = 0.0) -> Iterator[Sound]:
    """Decode a file as `ser_core.audio.decoding.decode` does, in another process.

    Raises
    ------
    AudioRefused
        As `decode`, and if decoding crashes or exceeds the time or memory that any recording within the limits needs.
    RecordingTooLong
        As `decode`.
    """
    owner = work_owner.get()
    with _slots.acquire(owner):
        decoder = _take_idle(owner) or _start(name)
        decoder.owner = owner  # a process that one person's file may have corrupted never decodes another's
        try:
            warnings: list[str] = []
            rate, channels = decoder.begin(file, name, limits, from_s)
            yield Sound(rate, channels, decoder.blocks(warnings), warnings)
        finally:
            if decoder.reusable:
                _idle.append(decoder)
                while len(_idle) > MAX_IDLE:
                    _idle.pop(0).child.end()
            else:
                decoder.child.end()


class _Decoder:
    """A decoding process and the file that it decodes.

    Attributes
    ----------
    reusable : bool
        Whether it read its last file to the end and found no damage.
    """

    def __init__(self) -> None:
        self.child = ChildProcess("ser_core.audio.decoding_process")
        self.owner, self.reusable, self._ready = "", False, False

    def begin(self, file: BinaryIO, name: str, limits: AudioLimits, from_s: float) -> tuple[int, int]:
        """Start to decode a file and return its sample rate and number of channels."""
        self._file, self._name, self.reusable = file, name, False
        self._left_s = MIN_WAIT_S + from_s / MIN_WAIT_SPEED
        self._size = size = file.seek(0, os.SEEK_END)
        args = {"size": size, "name": name, "limits": asdict(limits), "from_s": from_s}
        file.seek(0)
        whole = file.read() if size <= SMALL_BYTES else None
        with self._failing_as_refusal():
            self._send(DECODE, json.dumps(args).encode())
            if whole is not None:
                self._send(BYTES, whole)
        content = self._next(FORMAT)[1]
        with self._failing_as_refusal():
            self._rate, channels = content["rate"], content["channels"]
            if not isinstance(self._rate, int) or not limits.lowest_rate_hz <= self._rate <= limits.highest_rate_hz:
                raise ValueError(self._rate)
            if not isinstance(channels, int) or not 1 <= channels <= limits.max_channels:
                raise ValueError(channels)
        self._max_samples = min(limits.longest_s * self._rate, limits.max_samples)
        return self._rate, channels

    def blocks(self, warnings: list[str]) -> Iterator[np.ndarray]:
        """Yield samples of shape (n,), float32; after the last block, add the warnings."""
        count = 0
        kind, content = self._next(BLOCK, END)
        while kind == BLOCK:
            count += len(content)
            if count > self._max_samples:
                self._fail()
            self._left_s += len(content) / self._rate / MIN_WAIT_SPEED
            yield content
            kind, content = self._next(BLOCK, END)
        with self._failing_as_refusal():
            if content["samples"] != count:
                raise ValueError(count)
            warnings += [str(one) for one in content["warnings"]]
        self._file, self.reusable = None, not warnings

    def _send(self, kind: bytes, content: bytes) -> None:
        self.child.send(kind, content, deadline=monotonic() + MESSAGE_TIMEOUT_S)

    def _next(self, *kinds: bytes) -> tuple[bytes, Any]:
        """Return the next message of one of these kinds; meanwhile send the pieces of the file that are requested."""
        began = monotonic()
        while True:
            with self._failing_as_refusal():
                deadline = min(monotonic() + MESSAGE_TIMEOUT_S, began + self._left_s)
                if not self._ready:
                    deadline = began + MAX_START_S
                kind, content = _parse(*self.child.receive(MAX_MESSAGE_BYTES, deadline))
            if kind in kinds:
                self._left_s -= monotonic() - began
                return kind, content
            if kind == REFUSED:
                with self._failing_as_refusal():
                    refusal = REFUSALS[content["kind"]](str(content["text"]))
                raise refusal
            if kind == READY:
                self._ready, began = True, monotonic()
                with self._failing_as_refusal():
                    _log_missing_restrictions(content["applied"])
            elif kind == READ:
                position, count = content
                if position > self._size:
                    self._fail()
                self._file.seek(position)
                piece = self._file.read(min(count, MAX_READ_BYTES))
                with self._failing_as_refusal():
                    self._send(BYTES, piece)
            else:
                self._fail()

    @contextmanager
    def _failing_as_refusal(self) -> Iterator[None]:
        try:
            yield
        # A timeout is an OSError; the last three are what a corrupted process may send.
        except (OSError, EOFError, ValueError, struct.error, LookupError, TypeError, RecursionError):
            self._fail()

    def _fail(self) -> NoReturn:
        self.child.end()
        log.info("Decoding %r ended with %d", self._name, self.child.process.returncode)
        raise AudioRefused(
            f"{self._name}: the file crashes the decoder or keeps it busy without end. Export it again, as WAV or FLAC."
        ) from None


class _Slots:
    """Limits the decoders that run at once to MAX_RUNNING, and MAX_RUNNING_PER_OWNER; first come, first served."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: list[str] = []
        self._waiting: list[tuple[str, object]] = []

    @contextmanager
    def acquire(self, owner: str) -> Iterator[None]:
        """Wait for a slot and hold it."""
        ticket = owner, object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._first() is ticket)
                self._running.append(owner)
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._running.remove(owner)
                self._changed.notify_all()

    def _first(self) -> tuple[str, object] | None:
        """Return the oldest ticket that may start."""
        if len(self._running) >= MAX_RUNNING:
            return None
        for ticket in self._waiting:
            owner = ticket[0]
            if not owner or self._running.count(owner) < MAX_RUNNING_PER_OWNER:
                return ticket
        return None


_idle: list[_Decoder] = []
_slots = _Slots()
_logged = threading.Event()


def _log_missing_restrictions(applied: list[str]) -> None:
    """Log once which restrictions the kernel does not enforce; the limits of memory and time always apply."""
    missing = [name for name in (LANDLOCK, SECCOMP) if name not in applied]
    if missing and not _logged.is_set():
        _logged.set()
        log.info("Decoding is held back by less than it could be", extra={FIGURES: {"missing": missing}})


def _reset_after_fork() -> None:
    """Forget the parent's processes, which serve only the parent."""
    global _slots
    _idle.clear()
    _slots = _Slots()


os.register_at_fork(after_in_child=_reset_after_fork)


def _start(name: str) -> _Decoder:
    try:
        return _Decoder()
    except OSError as reason:
        raise AudioRefused(
            f"{name}: no process can be started to decode it ({reason.strerror}). Try again later."
        ) from None


def _take_idle(owner: str) -> _Decoder | None:
    for decoder in [one for one in _idle if one.owner == owner]:
        with suppress(ValueError):  # another thread may have taken it
            _idle.remove(decoder)
            if decoder.child.is_alive():
                return decoder
            decoder.child.end()
    return None


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.pop().child.end()


# --- both sides ---


def _parse(kind: bytes, content: bytearray) -> tuple[bytes, Any]:
    if kind == READ:
        return kind, READ_REQUEST.unpack(content)
    if kind == BLOCK:
        return kind, np.frombuffer(content, np.float32)
    return kind, content if kind == BYTES else json.loads(content)


# --- the decoding process ---


class _RemoteFile(io.RawIOBase):
    """The file, read from the parent process."""

    def __init__(self, channel: socket.socket, size: int) -> None:
        self._channel, self._size, self._position = channel, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + position < 0:
            raise OSError("A position before the beginning of the file")
        self._position = start + position
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        if self._position >= self._size:
            return 0
        send(self._channel, READ, READ_REQUEST.pack(self._position, len(buffer)))
        _, piece = receive(self._channel, MAX_MESSAGE_BYTES)
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


def _serve_one(channel: socket.socket) -> None:
    args = json.loads(receive(channel, MAX_MESSAGE_BYTES)[1])
    limits, samples = AudioLimits(**args["limits"]), 0
    allow_cpu(MIN_CPU_S + limits.longest_s / MIN_CPU_SPEED)
    if args["size"] <= SMALL_BYTES:
        file = io.BytesIO(receive(channel, MAX_MESSAGE_BYTES)[1])
    else:
        file = io.BufferedReader(_RemoteFile(channel, args["size"]), MAX_READ_BYTES)
    try:
        with decode(file, args["name"], limits, args["from_s"]) as sound:
            send(channel, FORMAT, json.dumps({"rate": sound.sample_rate_hz, "channels": sound.channels}).encode())
            for block in merge_blocks(sound.blocks, BLOCK_SAMPLES):
                samples += len(block)
                send(channel, BLOCK, memoryview(block).cast("B"))
            send(channel, END, json.dumps({"samples": samples, "warnings": sound.warnings}).encode())
    except AudioRefused as refusal:
        send(channel, REFUSED, json.dumps({"kind": type(refusal).__name__, "text": str(refusal)}).encode())


def _main() -> None:
    hashlib.md5(usedforsecurity=False)  # OpenSSL opens files when it is first used
    with socket.socket(fileno=0) as channel, suppress(EOFError):
        applied = restrict_this_process(memory_bytes=MAX_MEMORY_BYTES, cpu_s=MIN_CPU_S)
        send(channel, READY, json.dumps({"applied": applied}).encode())
        while True:
            _serve_one(channel)


if __name__ == "__main__":
    _main()
