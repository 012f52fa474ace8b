"""A child process that may only compute: it tries everything else, and nothing works.

Run as a module it is that child: it receives over its socket what to apply and try, and returns the outcomes.
"""

import ctypes
import encodings.idna  # noqa: F401 - for `connect`
import functools
import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import numpy.random  # nothing can be imported later
import pytest

from ser_core.work import sandbox
from ser_core.work.sandbox import LANDLOCK, SECCOMP, allow_cpu, restrict_this_process, start_child

pytestmark = pytest.mark.process

LINUX = pytest.mark.skipif(
    sys.platform != "linux" or sandbox._landlock_abi() < 1 or sandbox._libseccomp() is None,
    reason="only Linux has Landlock and seccomp, and not every one",
)
MEMORY_BYTES, CPU_S = 2**29, 20
PRIORITY = os.getpriority(os.PRIO_PROCESS, 0)
SECRET, VICTIM = Path(__file__), Path(tempfile.gettempdir()) / f"sandbox-{os.getpid()}"


# --- what the child tries ---


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _execute() -> None:
    os.execv("/bin/true", ["true"])


def _run_a_program() -> None:
    subprocess.run(["/bin/true"], check=True)


def _connect() -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=1).close()


def _listen_to_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("0.0.0.0", 0))


def _socket_pair() -> None:
    socket.socketpair()


FILES = {
    "read a file": lambda: SECRET.read_bytes(),
    "write a file": lambda: VICTIM.write_bytes(b"x"),
    "delete a file": lambda: VICTIM.unlink(),
    "list a folder": lambda: os.listdir("/"),
    "read what processes are": lambda: Path("/proc/self/environ").read_bytes(),
    "execute": _execute,
    "run a program": _run_a_program,
}
OTHERS = {
    "look at a file": lambda: SECRET.stat(),
    "connect": _connect,
    "listen to udp": _listen_to_udp,
    "socket pair": _socket_pair,
    "fork": _fork,
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "limit the parent": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE),
    # To its current value: without a sandbox, another one would slow down the tests.
    "take a parent's priority": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), PRIORITY),
    "pipe": os.pipe,
    "trace": lambda: _syscall({"x86_64": 101}.get(os.uname().machine, 117), 0, 0, 0, 0),
    "io_uring": lambda: _syscall(425, 8, ctypes.create_string_buffer(120)),
    "memory as a file": lambda: os.memfd_create("code"),
    "new namespaces": lambda: _syscall({"x86_64": 272}.get(os.uname().machine, 97), 0x10000000),
}


def _compute(model: str) -> float:
    """Compute with numpy and onnxruntime, in threads of both."""
    matrix, found = numpy.random.default_rng(0).normal(size=(200, 200)), []
    thread = threading.Thread(target=lambda: found.append(np.linalg.svd(matrix)[1].sum()))
    thread.start()
    thread.join()
    onnxruntime = sys.modules["onnxruntime"]
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 2
    session = onnxruntime.InferenceSession(bytes.fromhex(model), settings, providers=["CPUExecutionProvider"])
    return found[0] + float(session.run(None, {"segments": np.ones((2, 3, 64), np.float32)})[0].sum())


def _take_much_memory() -> int:
    return len(bytearray(2 * MEMORY_BYTES))


def _never_end() -> None:
    allow_cpu(1)
    while True:
        pass


WITHIN = {
    "take much memory": _take_much_memory,
    "never end": _never_end,
    "environment": lambda: sorted(os.environ),
    "descriptors": lambda: sorted(os.readlink(f"/proc/self/fd/{one}")[:7] for one in os.listdir("/proc/self/fd")[:-1]),
}
BOTH = (LANDLOCK, SECCOMP)


def _outcome(attempt) -> tuple[str, object]:
    try:
        return "done", attempt()
    except Exception as reason:
        return "refused", type(reason).__name__


def _child() -> None:
    with socket.socket(fileno=0) as parent:
        task = json.loads(parent.makefile().readline())
        attempts = FILES | OTHERS | WITHIN | {"compute": lambda: _compute(task["model"])}
        VICTIM.touch()
        if task["model"]:
            importlib.import_module("onnxruntime")
        applied = []
        if task["apply"] is not None:
            if "no library" in task["apply"]:
                sandbox._libseccomp = lambda: None
            for layer in set(BOTH) - set(task["apply"]):
                setattr(sandbox, f"_apply_{layer}", lambda *args: False)
            applied = restrict_this_process(memory_bytes=MEMORY_BYTES, cpu_s=CPU_S)
        outcomes = {name: _outcome(attempts[name]) for name in task["attempts"]}
        parent.sendall(json.dumps([applied, outcomes], default=str).encode())
        os._exit(0)  # at a regular end onnxruntime waits for threads that would send telemetry


# --- the tests ---


@functools.cache
def run_attempts(
    attempts: tuple[str, ...], apply: tuple[str, ...] | None = BOTH, model: str = ""
) -> tuple[list[str], dict]:
    """Return what was applied in a child, and for each attempt ("done", result) or ("refused", type of error).

    If the child was killed, return its exit status and no outcomes.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        child = start_child("tests.test_sandbox", theirs)
    with ours, ours.makefile() as answer:
        ours.sendall(json.dumps({"attempts": attempts, "apply": apply, "model": model}).encode() + b"\n")
        found = answer.read()
    code = child.wait(30)
    (VICTIM.parent / f"sandbox-{child.pid}").unlink(missing_ok=True)
    applied, outcomes = json.loads(found) if found else (code, {})
    return applied, {name: tuple(outcome) for name, outcome in outcomes.items()}


REFUSED = ("refused", "PermissionError")


@LINUX
@pytest.mark.parametrize("attempt", [*FILES, *OTHERS])
def test_a_restricted_child_cannot(attempt):
    applied, outcomes = run_attempts((*FILES, *OTHERS))
    assert applied == [LANDLOCK, SECCOMP]
    assert outcomes[attempt] == REFUSED


@LINUX
@pytest.mark.parametrize("attempt", FILES)
def test_landlock_alone_blocks_files(attempt):
    applied, outcomes = run_attempts((*FILES,), (LANDLOCK,))
    assert applied == [LANDLOCK]
    assert outcomes[attempt] == REFUSED


@LINUX
@pytest.mark.parametrize("attempt", [*FILES, *OTHERS])
def test_seccomp_alone_blocks_everything(attempt):
    applied, outcomes = run_attempts((*FILES, *OTHERS), (SECCOMP,))
    assert applied == [SECCOMP]
    assert outcomes[attempt] == REFUSED


@LINUX
def test_without_libseccomp_landlock_still_holds_and_that_is_reported():
    assert run_attempts(("read a file",), (*BOTH, "no library")) == ([LANDLOCK], {"read a file": REFUSED})


@LINUX
@pytest.mark.parametrize("attempt", sorted({*FILES, *OTHERS} - {"execute", "connect", "trace", "new namespaces"}))
def test_forbidden_actions_work_in_a_child_without_restrictions(attempt):
    harmless = tuple(sorted({*FILES, *OTHERS} - {"execute", "connect", "trace", "new namespaces"}))
    assert run_attempts(harmless, None)[1][attempt][0] == "done"


def test_a_restricted_child_computes_with_numpy_and_onnxruntime():
    from tests.test_onnx_classifier import onnx_model  # not above: importing torch in each child would be slow

    model = onnx_model().hex()
    outcome = run_attempts(("compute",), BOTH, model)[1]["compute"]
    assert outcome[0] == "done"
    assert outcome == run_attempts(("compute",), None, model)[1]["compute"]


@LINUX
def test_a_restricted_child_has_no_more_memory_than_it_was_given():
    assert run_attempts(("take much memory",))[1]["take much memory"] == ("refused", "MemoryError")


def test_a_restricted_child_has_no_more_processor_time_than_it_was_given():
    assert run_attempts(("never end",)) == (-signal.SIGXCPU, {})


@LINUX
def test_a_child_starts_with_an_empty_environment_and_one_socket(monkeypatch):
    monkeypatch.setenv("SER_DATABASE_URL", "postgresql://USER:PASSWORD@HOST/NAME")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    with SECRET.open() as inherited:
        os.set_inheritable(inherited.fileno(), True)
        _, outcomes = run_attempts(("environment", "descriptors"), None)
    # All but the first are those of Python and of ser_core itself.
    allowed = {"OPENBLAS_NUM_THREADS", "LC_CTYPE", "OMP_WAIT_POLICY", "ORT_DISABLE_TELEMETRY"}
    assert set(outcomes["environment"][1]) <= allowed
    assert outcomes["descriptors"] == ("done", ["/dev/nu", "/dev/nu", "socket:"])


if __name__ == "__main__":
    _child()
