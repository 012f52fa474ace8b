"""The interface of batch engines: a context manager of each engine's module starts workers and yields an `Engine`."""

import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from ser_core.batch.chunk import Chunk, Outcome, WorkerSettings

ChunkOutcomes = Iterator[tuple[Chunk, Outcome | None]]
#: Analyses the chunks of a queue, which may grow meanwhile; yields each with its outcome, or None if its worker died.
Engine = Callable[[deque[Chunk], WorkerSettings], ChunkOutcomes]


@contextmanager
def ignoring_sigint() -> Iterator[None]:
    """Make processes and threads started here ignore Ctrl-C, which a terminal sends to all processes at once."""
    resource_tracker.ensure_running()  # unblocks the signal when it starts
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
