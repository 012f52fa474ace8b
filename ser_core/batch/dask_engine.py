"""The engine `dask`: processes on this machine, or the cluster of a scheduler."""

import logging
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

from distributed import Client, Future, KilledWorker, LocalCluster, wait

from ser_core.batch.chunk import (
    Chunk,
    ChunkOutcomes,
    Engine,
    Outcome,
    WorkerSettings,
    analyse_chunk,
    ignoring_sigint,
)
from ser_core.errors import BatchRefused, SerError

CONNECT_TIMEOUT_S = 5
FIRST_WORKER_TIMEOUT_S = 10
NO_WORKERS_TIMEOUT_S = 60
POLL_S = 5
CHUNKS_PER_THREAD = 2


@contextmanager
def dask_engine(scheduler: str | None, workers: int) -> Iterator[Engine]:
    """Connect to a scheduler, or start one with worker processes on this machine.

    Dask itself gives a chunk whose worker died to another worker, and gives up after the fourth death.

    Raises
    ------
    BatchRefused
        If there is no scheduler, or it has no workers.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # failures are in the outcomes
    with _cluster(workers) if scheduler is None else _client(scheduler) as client:
        try:
            client.wait_for_workers(1, timeout=FIRST_WORKER_TIMEOUT_S)
        except TimeoutError:
            raise BatchRefused(f"The scheduler at {scheduler} has no workers. Start some with: dask worker.") from None

        def run_chunks(waiting: deque[Chunk], worker: WorkerSettings) -> ChunkOutcomes:
            try:
                yield from _run_chunks(client, waiting, worker)
            except (CancelledError, OSError, ValueError):
                raise BatchRefused(
                    "The scheduler cannot be reached; finished results are saved. Start it, and run the same command "
                    "again."
                ) from None

        yield run_chunks


@contextmanager
def _cluster(workers: int) -> Iterator[Client]:
    try:
        with ignoring_sigint():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
    except (OSError, RuntimeError) as reason:
        raise BatchRefused(
            f"Dask cannot start its processes here ({type(reason).__name__}). Use fewer workers, or the engine local."
        ) from None
    with cluster, Client(cluster) as client:
        yield client


@contextmanager
def _client(scheduler: str) -> Iterator[Client]:
    try:
        client = Client(scheduler, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError, RuntimeError):
        raise BatchRefused(
            f"No Dask scheduler answers at {scheduler!r}. Start one (dask scheduler) and give its address."
        ) from None
    with client:
        yield client


def _run_chunks(client: Client, waiting: deque[Chunk], worker: WorkerSettings) -> ChunkOutcomes:
    running: dict[Future, Chunk] = {}
    no_workers_since = None
    while waiting or running:
        threads = sum(client.nthreads().values())
        if threads:
            no_workers_since = None
        elif no_workers_since is None:
            no_workers_since = time.monotonic()
        if no_workers_since and time.monotonic() - no_workers_since > NO_WORKERS_TIMEOUT_S:
            raise BatchRefused("The cluster has lost all its workers. Start some, and run the same command again.")
        while waiting and len(running) < max(1, CHUNKS_PER_THREAD * threads):
            chunk = waiting.popleft()
            running[client.submit(analyse_chunk, chunk, worker, pure=False)] = chunk
        for future in _wait_for_some(running):
            try:
                outcome = _outcome(future)
            except TimeoutError:  # its worker died before it sent the result; Dask gives the chunk to another
                continue
            yield running.pop(future), outcome


def _wait_for_some(running: dict[Future, Chunk]) -> list[Future]:
    """Return the futures that are done, after waiting a while for the first."""
    try:
        return list(wait(list(running), timeout=POLL_S, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []


def _outcome(future: Future) -> Outcome | None:
    error = future.exception(timeout=NO_WORKERS_TIMEOUT_S)
    if isinstance(error, KilledWorker):
        return None
    if isinstance(error, SerError):
        raise error
    if error is not None:
        raise BatchRefused(
            f"A worker cannot analyse recordings ({type(error).__name__}: {error}). "
            "Install this project with its requirements there, and start the worker in the project's folder."
        )
    return future.result(timeout=NO_WORKERS_TIMEOUT_S)
