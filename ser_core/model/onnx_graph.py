"""The process that `ser_core.model.onnx_process` starts. It runs one ONNX graph and may do nothing else."""

import json
import os
import socket
from contextlib import suppress

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from ser_core.errors import ModelRefused
from ser_core.model.onnx_process import (
    ARGS,
    LOAD_CPU_S,
    LOGITS,
    MAX_MEMORY_BYTES,
    MAX_TEXT_BYTES,
    READY,
    REFUSED,
    shape_in_words,
)
from ser_core.work.child_process import receive, send
from ser_core.work.sandbox import allow_cpu, restrict_this_process

#: All exceptions that onnxruntime raises: they have no common base, and creating one fails if its text quotes invalid
#: bytes of the file.
_FAULTS = (
    *(kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    UnicodeDecodeError,
    MemoryError,
)
SILENT = 4  # onnxruntime logs only fatal errors
#: The default number. Because it is set explicitly, onnxruntime does not bind the threads to processors.
THREADS = os.cpu_count() or 1


class OnnxGraph:
    """An ONNX graph that runs in this process; parameters and errors are those of `OnnxProcess`."""

    def __init__(self, data: bytes, name: str, classes: int) -> None:
        self._name, self._classes = name, classes
        options = onnxruntime.SessionOptions()
        options.log_severity_level = SILENT
        options.intra_op_num_threads = THREADS
        # Otherwise waiting threads would keep cores busy.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # By default, weights in other files are searched for in the working directory; below this file there are none.
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
        """Return the logits, as `OnnxProcess.run` does."""
        try:
            logits = self._session.run(None, {self._input: segments})[0]
        except _FAULTS as reason:
            raise ModelRefused(
                f"{self._name}: the model fails on {shape_in_words(segments)} ({_short(reason)}). Export it so that it "
                "takes any number of segments."
            ) from None
        expected_shape = (len(segments), self._classes)
        if not (isinstance(logits, np.ndarray) and logits.shape == expected_shape and logits.dtype == np.float32):
            found = f"{logits.dtype} {logits.shape}" if isinstance(logits, np.ndarray) else type(logits).__name__
            raise ModelRefused(
                f"{self._name}: for {expected_shape[0]} segments its first output is {found}; needed are float32 "
                f"logits {expected_shape}, one for each emotion of its card. Correct the card, or export the model "
                "again."
            )
        return logits


def _short(reason: Exception) -> str:
    return " ".join(str(reason).split())[:160]


def _serve(parent: socket.socket) -> None:
    _, content = receive(parent, MAX_MEMORY_BYTES)
    about = json.loads(content)
    _, data = receive(parent, MAX_MEMORY_BYTES)
    graph = OnnxGraph(bytes(data), about["name"], about["classes"])
    del data
    send(parent, READY)
    while True:
        _, content = receive(parent, MAX_MEMORY_BYTES)
        *shape, cpu_s = ARGS.unpack_from(content)
        segments = np.frombuffer(content, np.float32, offset=ARGS.size).reshape(shape)
        allow_cpu(cpu_s)
        try:
            logits = graph.run(segments)
        except ModelRefused as refusal:
            send(parent, REFUSED, _text(refusal))
        else:
            send(parent, LOGITS, memoryview(np.ascontiguousarray(logits)).cast("B"))


def _text(refusal: ModelRefused) -> bytes:
    return str(refusal).encode("utf-8", "replace")[:MAX_TEXT_BYTES]


def _main() -> None:
    with socket.socket(fileno=0) as parent, suppress(EOFError):
        restrict_this_process(memory_bytes=MAX_MEMORY_BYTES, cpu_s=LOAD_CPU_S)
        try:
            _serve(parent)
        except ModelRefused as refusal:  # the graph itself is refused: there is nothing to run
            send(parent, REFUSED, _text(refusal))


if __name__ == "__main__":
    _main()
