"""Faults of a machine for tests: killed processes, a full or a read-only disk."""

import os
import resource
import time
from contextlib import contextmanager
from pathlib import Path

from ser_core.batch import local_engine

#: One fork server for all processes that a pytest worker's tests start: they import none of its modules again.
forks = local_engine.FORK_SERVER
forks.set_forkserver_preload(["ser_core.batch.dask_engine", "tests.test_annotation_faults", "tests.test_faults"])


def killed(work, *arguments, after, wait_s=0.0) -> list:
    """Start a process, kill it some time after a number of reports, and return all its reports."""
    reports, theirs = forks.Pipe(duplex=False)
    process = forks.Process(target=work, args=(*arguments, theirs))
    process.start()
    theirs.close()
    with reports:
        received = [reports.recv() for _ in range(after)]
        time.sleep(wait_s)
        process.kill()
        process.join()
        try:
            while True:
                received.append(reports.recv())
        except (EOFError, OSError):  # the last report may be incomplete
            return received


@contextmanager
def files_of_at_most(size):
    """Limit files to a number of bytes: a longer write of this process writes a part of it and fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(folder):
    """Make a folder and its files read-only, for root too."""
    root = os.geteuid() == 0
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555)
    try:
        if root:
            os.seteuid(65_534)
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)


def everything_under(folder: Path) -> bytes:
    """Return the paths and bytes of all files under a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"\n".join(str(path).encode() + b"\n" + path.read_bytes() for path in files)
