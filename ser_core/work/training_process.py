"""Training in a separate process, which a page starts, watches and stops."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ser_core.errors import SerError
from ser_core.work.atomic_folder import atomic_write, read_regular
from ser_core.work.progress import Work

POLL_S = 0.3
#: The file in the runs folder that holds the arguments of the running training.
ARGUMENTS_FILE = "training.begun"
MAX_ARGUMENTS_BYTES = 1_000_000
ROOT = Path(__file__).parents[2]
PROGRESS = re.compile(r"\s*(\d+) %  (.*?)(?:, about \d+ (?:s|min) left)?$")


def runs_folder() -> Path:
    """Return the folder for the states of trainings: `SER_RUNS`, else `runs` beside the app."""
    return Path(os.environ.get("SER_RUNS") or ROOT / "runs")


class TrainingFailed(SerError):
    """Training that was refused or failed; the text is its last message."""


def train_in_process(arguments: Sequence[str], work: Work) -> str:
    """Run `python -m ser_core train` with these arguments and return what it printed.

    The process has a low priority. If it is stopped, its finished epochs remain. If this process ends, it ends too, and
    `interrupted_training` returns its arguments at the next start.

    Raises
    ------
    Cancelled
        If the work was stopped; the process has then ended.
    TrainingFailed
        With its last message.
    """
    with _arguments_stored(arguments):
        command = [sys.executable, "-m", "ser_core", "train", "--end-with-input", *arguments]
        return _run_training(command, work)


def interrupted_training() -> list[str] | None:
    """Return the arguments of a training that was running when the app ended; None without one, or if it still runs."""
    file = runs_folder() / ARGUMENTS_FILE
    try:
        if not file.exists():
            return None
        with _lock():
            arguments = json.loads(read_regular(file, MAX_ARGUMENTS_BYTES))
    except (OSError, ValueError, RecursionError, Timeout):
        return None
    is_valid = isinstance(arguments, list) and all(isinstance(argument, str) for argument in arguments)
    return arguments if is_valid and "--out" in arguments[:-1] else None


def forget_interrupted_training() -> None:
    """Forget that a training was interrupted; its states stay, and `--resume` finds them."""
    with suppress(OSError):
        (runs_folder() / ARGUMENTS_FILE).unlink()


def _lock() -> FileLock:
    # It is released even if the process is killed.
    return FileLock(runs_folder() / ".training.lock", timeout=0)


@contextmanager
def _arguments_stored(arguments: Sequence[str]) -> Iterator[None]:
    """Store the arguments of a training while it runs; only a process that is killed leaves their file behind."""
    lock = _lock()
    try:
        runs_folder().mkdir(parents=True, exist_ok=True)
        lock.acquire()
        atomic_write(runs_folder() / ARGUMENTS_FILE, json.dumps(list(arguments)))
    except Timeout:
        raise TrainingFailed("Another app on this machine is training. Wait until it ends, or stop it there.") from None
    except OSError as reason:
        lock.release()
        raise TrainingFailed(
            f"{runs_folder()} cannot be written ({reason.strerror}). Free some space, or set SER_RUNS to another "
            "folder."
        ) from None
    try:
        yield
    finally:
        forget_interrupted_training()
        lock.release()


def _run_training(command: list[str], work: Work) -> str:
    if nice := shutil.which("nice"):
        command = [nice, "-n", "10", *command]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=printed, stderr=said, text=True)
        try:
            while _still_running(process):
                work.check("Training was stopped; finished epochs are kept and it can be resumed.")
                _report(_last_line(said), work)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
            process.stdin.close()
        if process.returncode != 0:
            raise TrainingFailed(f"Training ended early: {_last_line(said) or 'it said nothing'}")
        printed.seek(0)
        return printed.read()


def _still_running(process: subprocess.Popen) -> bool:
    try:
        process.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _last_line(file: object) -> str:
    file.seek(0)
    lines = [line for line in file.read().splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _report(line: str, work: Work) -> None:
    if match := PROGRESS.match(line):
        work.report(int(match[1]) / 100, match[2])
