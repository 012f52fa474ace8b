"""ONNX graphs of unknown origin, loaded and run in a process that may only compute.

A graph is a program: it may loop without end, take all memory, or lead the library that runs it astray. Each has a
process of its own, which starts with it, ends with it, and is started again after a failure. Segments go there and
logits come back as they lie in memory.
"""

import json
import os
import socket
import struct
import subprocess
import threading
import time
import weakref
from contextlib import suppress

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from ser_core.errors import ModelRefused
from ser_core.sandbox import allow_cpu, restrict_this_process, start_child

#: Of private memory.
MOST_BYTES = 2**30
#: Of processor time: to load a graph; to run it once, and for every segment of 96 frames and 64 bands.
LOAD_CPU_S, RUN_CPU_S, SEGMENT_CPU_S, SEGMENT_VALUES = 30.0, 10.0, 0.25, 96 * 64
#: How much longer a call may take where other processes are busy too.
WAIT_PER_CPU_S = 4

#: Whatever onnxruntime raises: its exceptions have no root of their own, and one whose text quotes broken bytes of the
#: file fails as it is made.
_FAULTS = (
    *(kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    UnicodeDecodeError,
    MemoryError,
)
SILENT = 4  # onnxruntime's log: only what is fatal

#: A message: what it is, how many bytes its content has, and the content.
HEAD, SHAPE = struct.Struct("<cQ"), struct.Struct("<QQQ")
ABOUT, LOAD, RUN, READY, LOGITS, REFUSED = b"A", b"L", b"R", b"r", b"l", b"X"
LARGEST_TEXT_BYTES = 4_096


class OnnxGraph:
    """An ONNX graph that runs in this process.

    Parameters
    ----------
    data : bytes
        The ONNX file.
    name : str
        What refusals call it.
    classes : int
        How many logits it must give of a segment.

    Raises
    ------
    ModelRefused
        If it cannot be run, or takes something else than segments.
    """

    def __init__(self, data: bytes, name: str, classes: int) -> None:
        self._name, self._classes = name, classes
        options = onnxruntime.SessionOptions()
        options.log_severity_level = SILENT
        # As many as there would be by default, but these ask for no processor of their own.
        options.intra_op_num_threads = os.cpu_count() or 1
        # Threads that wait for work would otherwise keep a core busy that others need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Weights in other files would be looked for where the app was started: nothing lies below a file.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            inputs = [(one.name, one.type, one.shape) for one in self._session.get_inputs()]
        except _FAULTS as reason:
            raise ModelRefused(
                f"{name}: its model.onnx cannot be run ({_short(reason)}). It must be one ONNX file with all its "
                "weights inside and no operators of its own."
            ) from None
        if len(inputs) != 1 or inputs[0][1] != "tensor(float)" or len(inputs[0][2]) != 3:
            found = ", ".join(f"{kind} {shape}" for _, kind, shape in inputs) or "nothing"
            raise ModelRefused(
                f"{name}: its model takes {found[:160]}; it must take one float32 array of segments x frames x bands. "
                "Export it with that input."
            )
        self._input = inputs[0][0]

    def run(self, segments: np.ndarray) -> np.ndarray:
        """Return the logits (n, classes), float32, of segments (n, frames, bands), float32.

        Raises
        ------
        ModelRefused
            If the graph fails, or gives something else.
        """
        try:
            logits = self._session.run(None, {self._input: segments})[0]
        except _FAULTS as reason:
            raise ModelRefused(
                f"{self._name}: the model fails at {_shape_in_words(segments)} ({_short(reason)}). Export it so that it "
                "takes any number of segments."
            ) from None
        wanted = (len(segments), self._classes)
        if not (isinstance(logits, np.ndarray) and logits.shape == wanted and logits.dtype == np.float32):
            found = f"{logits.dtype} {logits.shape}" if isinstance(logits, np.ndarray) else type(logits).__name__
            raise ModelRefused(
                f"{self._name}: of {wanted[0]} segments its first output is {found}; needed are float32 logits "
                f"{wanted}, one for each emotion of its card. Correct the card, or export the model anew."
            )
        return logits


class OnnxGraphApart:
    """An ONNX graph that runs in a process of its own, with limits on its time and memory; else as `OnnxGraph`."""

    def __init__(self, data: bytes, name: str, classes: int) -> None:
        self._data, self._name, self._classes = data, name, classes
        self._turn = threading.Lock()
        self._start()

    def run(self, segments: np.ndarray) -> np.ndarray:
        """Return the logits, as `OnnxGraph.run`.

        Raises
        ------
        ModelRefused
            As there; and if it crashes, or takes more time or memory than is allowed. The next call starts it again.
        """
        with self._turn:
            if not self._child.lives():
                self._start()
            message = RUN, SHAPE.pack(*segments.shape), memoryview(segments).cast("B")
            size = len(segments) * self._classes * 4
            logits = self._answer(LOGITS, size, _run_cpu_s(segments), _shape_in_words(segments), [message])
        return np.frombuffer(logits, np.float32).reshape(len(segments), self._classes)

    def _start(self) -> None:
        self._child = _Child()
        self._end = weakref.finalize(self, self._child.end)  # at the latest when this process ends
        about = json.dumps({"name": self._name, "classes": self._classes}).encode()
        self._answer(READY, 0, LOAD_CPU_S, "its loading", [(ABOUT, about), (LOAD, self._data)])

    def _answer(
        self, kind: bytes, size: int, cpu_s: float, at: str, messages: list[tuple[bytes | memoryview, ...]]
    ) -> bytearray:
        """Send messages and return the answer, which must be of this kind and size, or else a refusal."""
        until = time.monotonic() + WAIT_PER_CPU_S * cpu_s
        try:
            for message in messages:
                self._child.send(*message, until=until)
            found, content = self._child.receive(max(size, LARGEST_TEXT_BYTES), until)
            if found != REFUSED and (found, len(content)) != (kind, size):
                raise ValueError(found)
        except (OSError, EOFError, ValueError, struct.error):
            self._end()
            raise ModelRefused(
                f"{self._name}: its model.onnx was stopped at {at}: it crashed, or took more than {cpu_s:.0f} s of "
                f"processor time or {MOST_BYTES // 2**20} MiB of memory. Export it smaller, without loops."
            ) from None
        if found == REFUSED:
            raise ModelRefused("".join(c for c in content.decode("utf-8", "replace") if c.isprintable()))
        return content


class _Child:
    """The other process, and the socket to it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process: subprocess.Popen[bytes] = start_child("ser_core.onnx_process", theirs)

    def send(self, kind: bytes, *content: bytes | memoryview, until: float) -> None:
        _set_deadline(self._socket, until)
        _send(self._socket, kind, *content)

    def receive(self, largest: int, until: float) -> tuple[bytes, bytearray]:
        return _received(self._socket, largest, until)

    def lives(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _run_cpu_s(segments: np.ndarray) -> float:
    return RUN_CPU_S + SEGMENT_CPU_S * segments.size / SEGMENT_VALUES


def _shape_in_words(segments: np.ndarray) -> str:
    return f"{len(segments)} segments of {segments.shape[1]} frames and {segments.shape[2]} bands"


def _short(reason: Exception) -> str:
    return " ".join(str(reason).split())[:160]


# --- both sides ---


def _send(to: socket.socket, kind: bytes, *content: bytes | memoryview) -> None:
    to.sendall(HEAD.pack(kind, sum(len(part) for part in content)))
    for part in content:
        to.sendall(part)


def _received(of: socket.socket, largest: int = MOST_BYTES, until: float | None = None) -> tuple[bytes, bytearray]:
    kind, length = HEAD.unpack(_exactly(of, HEAD.size, until))
    if length > largest:
        raise ValueError(length)
    return kind, _exactly(of, length, until)


def _exactly(of: socket.socket, count: int, until: float | None) -> bytearray:
    content = bytearray(count)
    left = memoryview(content)
    while left:
        if until is not None:
            _set_deadline(of, until)
        got = of.recv_into(left)
        if not got:
            raise EOFError
        left = left[got:]
    return content


def _set_deadline(of: socket.socket, until: float) -> None:
    of.settimeout(max(until - time.monotonic(), 1e-3))


# --- the other process ---


def _serve(other: socket.socket) -> None:
    _, content = _received(other)
    about = json.loads(content)
    _, data = _received(other)
    graph = OnnxGraph(bytes(data), about["name"], about["classes"])
    del data
    _send(other, READY)
    while True:
        _, content = _received(other)
        segments = np.frombuffer(content, np.float32, offset=SHAPE.size).reshape(SHAPE.unpack_from(content))
        allow_cpu(_run_cpu_s(segments))
        try:
            logits = graph.run(segments)
        except ModelRefused as refusal:
            _send(other, REFUSED, _text(refusal))
        else:
            _send(other, LOGITS, memoryview(np.ascontiguousarray(logits)).cast("B"))


def _text(refusal: ModelRefused) -> bytes:
    return str(refusal).encode("utf-8", "replace")[:LARGEST_TEXT_BYTES]


def _main() -> None:
    with socket.socket(fileno=0) as other, suppress(EOFError):
        restrict_this_process(memory_bytes=MOST_BYTES, cpu_s=LOAD_CPU_S)
        try:
            _serve(other)
        except ModelRefused as refusal:  # of the graph itself: there is nothing to run
            _send(other, REFUSED, _text(refusal))


if __name__ == "__main__":
    _main()
