"""What a machine does at the wrong moment: processes are killed, the disk is full or read-only."""

import os
import resource
import time
from contextlib import contextmanager
from pathlib import Path

from ser_core.batch import local_engine

#: One server forks all processes of the tests that a worker runs; what it has imported none of them imports again.
forks = local_engine.FORK_SERVER
forks.set_forkserver_preload(["ser_core.batch.dask_engine", "tests.test_annotation_faults", "tests.test_faults"])


def killed(work, *arguments, after, wait_s=0.0) -> list:
    """Start a process, kill it some time after a number of reports, and return all its reports."""
    reports, theirs = forks.Pipe(duplex=False)
    process = forks.Process(target=work, args=(*arguments, theirs))
    process.start()
    theirs.close()
    with reports:
        said = [reports.recv() for _ in range(after)]
        time.sleep(wait_s)
        process.kill()
        process.join()
        try:
            while True:
                said.append(reports.recv())
        except (EOFError, OSError):  # the last one may be cut
            return said


@contextmanager
def files_of_at_most(size):
    """Make writes of this process beyond a number of bytes in a file fail, after part of them was written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(folder):
    """Take the right to write to a folder and what lies in it, from root too."""
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
    """Return the names and bytes of all files of a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"\n".join(str(path).encode() + b"\n" + path.read_bytes() for path in files)
