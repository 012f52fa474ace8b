"""ONNX graphs of unknown origin, loaded and run in a process that may only compute.

A graph is a program: it may loop forever, exhaust memory, or exploit a bug in the library that runs it. Each graph has
its own process, which starts and ends with it and is restarted after a failure. Segments and logits are exchanged as
raw memory.
"""

import json
import struct
import threading
import time
import weakref

import numpy as np

from ser_core.errors import ModelRefused
from ser_core.settings import SegmentSettings, SpectrogramSettings
from ser_core.work.child_process import ChildProcess

#: Private memory of the process.
MAX_MEMORY_BYTES = 2**30
#: Processor time: to load a graph, to run it once, and per segment of the default size, `SEGMENT_VALUES`.
LOAD_CPU_S, RUN_CPU_S, SEGMENT_CPU_S = 30.0, 10.0, 0.25
SEGMENT_VALUES = SegmentSettings().segment_frames * SpectrogramSettings().bands
#: Waiting time per second of processor time; other processes may be busy too.
WAIT_PER_CPU_S = 4

#: RUN carries the numbers of segments, frames and bands, seconds of processor time, and the values; LOGITS carries the
#: values.
ARGS = struct.Struct("<QQQd")
ABOUT, LOAD, RUN, READY, LOGITS, REFUSED = b"A", b"L", b"R", b"r", b"l", b"X"
MAX_TEXT_BYTES = 4_096


class OnnxProcess:
    """An ONNX graph that runs in its own process with limited time and memory.

    Parameters
    ----------
    data : bytes
        The ONNX file.
    name : str
        Its name in refusals.
    classes : int
        Number of logits that it must return for each segment.

    Raises
    ------
    ModelRefused
        If it cannot be run, does not take segments, or needs too much time or memory to load.
    """

    def __init__(self, data: bytes, name: str, classes: int) -> None:
        self._data, self._name, self._classes = data, name, classes
        self._lock = threading.Lock()
        self._start()

    def run(self, segments: np.ndarray) -> np.ndarray:
        """Return the logits (n, classes), float32, of segments (n, frames, bands), float32 and contiguous.

        Raises
        ------
        ModelRefused
            If the graph fails, returns anything else, crashes, or exceeds its limits. The next call restarts it.
        """
        with self._lock:
            if not self._child.is_alive():
                self._end()
                self._start()
            cpu_s = RUN_CPU_S + SEGMENT_CPU_S * segments.size / SEGMENT_VALUES
            message = RUN, ARGS.pack(*segments.shape, cpu_s), memoryview(segments).cast("B")
            size = len(segments) * self._classes * 4
            logits = self._answer(LOGITS, size, cpu_s, shape_in_words(segments), [message])
        return np.frombuffer(logits, np.float32).reshape(len(segments), self._classes)

    def _start(self) -> None:
        try:
            self._child = ChildProcess("ser_core.model.onnx_graph")
        except OSError as reason:
            raise ModelRefused(
                f"{self._name}: no process can be started for its model.onnx ({reason.strerror}). Try again later."
            ) from None
        self._end = weakref.finalize(self, self._child.end)  # at the latest when this process ends
        about = json.dumps({"name": self._name, "classes": self._classes}).encode()
        self._answer(READY, 0, LOAD_CPU_S, "its loading", [(ABOUT, about), (LOAD, self._data)])

    def _answer(
        self, kind: bytes, size: int, cpu_s: float, at: str, messages: list[tuple[bytes | memoryview, ...]]
    ) -> bytearray:
        """Send messages and return the answer, which must have this kind and size or be a refusal."""
        deadline = time.monotonic() + WAIT_PER_CPU_S * cpu_s
        try:
            for message in messages:
                self._child.send(*message, deadline=deadline)
            found, content = self._child.receive(max(size, MAX_TEXT_BYTES), deadline)
            if found != REFUSED and (found, len(content)) != (kind, size):
                raise ValueError(found)
        except (OSError, EOFError, ValueError, struct.error):
            self._end()
            raise ModelRefused(
                f"{self._name}: its model.onnx was stopped at {at}: it crashed, or took more than {cpu_s:.0f} s of "
                f"processor time or {MAX_MEMORY_BYTES // 2**20} MiB of memory. Export it smaller, without loops."
            ) from None
        except BaseException:  # otherwise a late answer would be taken for that to the next call
            self._end()
            raise
        if found == REFUSED:
            raise ModelRefused("".join(c for c in content.decode("utf-8", "replace") if c.isprintable()))
        return content


def shape_in_words(segments: np.ndarray) -> str:
    """Describe the number of segments and their size."""
    return f"{len(segments)} segments of {segments.shape[1]} frames and {segments.shape[2]} bands"
