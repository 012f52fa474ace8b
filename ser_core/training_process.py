"""Training in a process of its own, which a page starts, watches and stops."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ser_core.errors import Cancelled, SerError

POLL_S = 0.3
ROOT = Path(__file__).parent.parent
PROGRESS = re.compile(r"\s*(\d+) %  (.*?)(?:, about \d+ min left)?$")


def runs_folder() -> Path:
    """Return where trainings keep their states: `SER_RUNS`, else `runs` beside the app."""
    return Path(os.environ.get("SER_RUNS") or ROOT / "runs")


class TrainingFailed(SerError):
    """Training that was refused or broke off; the text is what it said last."""


def train_in_process(
    arguments: Sequence[str], progress: Callable[[float, str], None], cancelled: Callable[[], bool]
) -> str:
    """Run `python -m ser_core train` with these arguments and return what it printed.

    The process gives way to others on the machine. When it is stopped, its finished epochs are kept.

    Raises
    ------
    Cancelled
        After `cancelled()` was True and the process has ended.
    TrainingFailed
        With the sentence that it ended with.
    """
    command = [sys.executable, "-m", "ser_core", "train", *arguments]
    if nice := shutil.which("nice"):
        command = [nice, "-n", "10", *command]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, cwd=ROOT, stdout=printed, stderr=said, text=True)
        try:
            while _still_running(process):
                if cancelled():
                    raise Cancelled("Training was stopped; finished epochs are kept and it can be resumed.")
                _report(_last_line(said), progress)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
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


def _report(line: str, progress: Callable[[float, str], None]) -> None:
    if match := PROGRESS.match(line):
        progress(int(match[1]) / 100, match[2])
