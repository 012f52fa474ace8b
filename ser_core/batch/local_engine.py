"""The engine `local`: processes on this machine."""

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event

from ser_core.batch.chunk import (
    Chunk,
    ChunkOutcomes,
    Engine,
    Outcome,
    WorkerSettings,
    analyse_chunk,
    ignoring_sigint,
)
from ser_core.work.progress import Work

# A process forked here would inherit locks without the threads that hold them. The fork server has no such threads, and
# its imports, which take seconds, are not repeated by workers.
FORK_SERVER = get_context("forkserver")
FORK_SERVER.set_forkserver_preload(["ser_core.batch.chunk"])


@contextmanager
def local_engine(workers: int) -> Iterator[Engine]:
    """Start worker processes, and end them and their work on leaving.

    Each process is a pool of its own: if one dies, its chunk is known and the others continue.
    """
    stopped = FORK_SERVER.Event()
    idle = [_start_process(stopped) for _ in range(workers)]
    running: dict[Future, tuple[ProcessPoolExecutor, Chunk]] = {}

    def run_chunks(waiting: deque[Chunk], worker: WorkerSettings) -> ChunkOutcomes:
        while waiting or running:
            while waiting and idle:
                process = idle.pop()
                try:
                    future = process.submit(_analyse, waiting[0], worker)
                except BrokenProcessPool:  # it died while idle
                    idle.append(_start_process(stopped))
                    continue
                running[future] = process, waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                process, chunk = running.pop(future)
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    process.shutdown()
                    process, outcome = _start_process(stopped), None
                finally:
                    idle.append(process)
                yield chunk, outcome

    try:
        yield run_chunks
    finally:
        with _without_further_interrupts():
            stopped.set()
            for process in [*idle, *(process for process, _ in running.values())]:
                process.shutdown(cancel_futures=True)


@contextmanager
def _without_further_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C; a second one would leave processes that wait for ever, and the command with them."""
    previous = signal.getsignal(signal.SIGINT)
    if previous is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _start_process(stopped: Event) -> ProcessPoolExecutor:
    executor = ProcessPoolExecutor(1, mp_context=FORK_SERVER, initializer=_initialise, initargs=(stopped,))
    with ignoring_sigint():
        executor.submit(int)  # starts the process
    return executor


def _initialise(stopped: Event) -> None:
    global _stopped
    _stopped = stopped
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the fork server may have been started without blocking it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Otherwise a process that waits for work would not notice that its parent was killed.
    parent_process().join()
    os._exit(1)


def _analyse(chunk: Chunk, worker: WorkerSettings) -> Outcome:
    return analyse_chunk(chunk, worker, Work(stop=_stopped.is_set))
