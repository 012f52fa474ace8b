"""The engine `local`: processes of this machine."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.synchronize import Event

from ser_core.batch.chunk import Chunk, Outcome, WorkerSettings, analyse_chunk
from ser_core.work.progress import Work

#: Takes chunks from a queue, which may grow meanwhile, and yields each with its outcome, or None if its worker died.
Outcomes = Callable[[deque[Chunk], WorkerSettings], Iterator[tuple[Chunk, Outcome | None]]]

# A forked process would share the threads' locks of its parent, but not the threads.
SPAWN = get_context("spawn")


@contextmanager
def local_engine(workers: int) -> Iterator[Outcomes]:
    """Start so many processes, and end them, and what they are doing, at the end.

    Each is a pool of its own, so that it is known of which chunk one died, and that the others go on.
    """
    stopped = SPAWN.Event()
    idle = [_process(stopped) for _ in range(workers)]
    running: dict[Future, tuple[ProcessPoolExecutor, Chunk]] = {}

    def outcomes(waiting: deque[Chunk], worker: WorkerSettings) -> Iterator[tuple[Chunk, Outcome | None]]:
        while waiting or running:
            while waiting and idle:
                process = idle.pop()
                try:
                    future = process.submit(_analyse, waiting[0], worker)
                except BrokenProcessPool:  # it died while it had nothing to do
                    idle.append(_process(stopped))
                    continue
                running[future] = process, waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                process, chunk = running.pop(future)
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    process.shutdown()
                    process, outcome = _process(stopped), None
                finally:
                    idle.append(process)
                yield chunk, outcome

    try:
        yield outcomes
    finally:
        stopped.set()
        for process in [*idle, *(process for process, _ in running.values())]:
            process.shutdown(cancel_futures=True)


def _process(stopped: Event) -> ProcessPoolExecutor:
    executor = ProcessPoolExecutor(1, mp_context=SPAWN, initializer=_begin, initargs=(stopped,))
    with ignoring_sigint():
        executor.submit(int)
    return executor


@contextmanager
def ignoring_sigint() -> Iterator[None]:
    """Start processes, or threads that start some, which do not hear what a terminal tells all processes at once."""
    resource_tracker.ensure_running()  # unblocks the signal when it starts
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _begin(stopped: Event) -> None:
    global _stopped
    _stopped = stopped
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Of a killed parent nobody else would tell a process that waits for work.
    parent_process().join()
    os._exit(1)


def _analyse(chunk: Chunk, worker: WorkerSettings) -> Outcome:
    return analyse_chunk(chunk, worker, Work(stop=_stopped.is_set))
