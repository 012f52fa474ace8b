"""The engine `dask`: processes of this machine, or a cluster whose scheduler has an address."""

import logging
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

from distributed import Client, Future, KilledWorker, LocalCluster, wait

from ser_core.batch.chunk import Chunk, Outcome, WorkerSettings, analyse_chunk
from ser_core.batch.local_engine import Outcomes, ignoring_sigint
from ser_core.errors import BatchRefused, SerError

CONNECT_S = 5
FIRST_WORKER_S = 10
WITHOUT_WORKERS_S = 60
LOOK_S = 5
CHUNKS_A_THREAD = 2


@contextmanager
def dask_engine(scheduler: str | None, workers: int) -> Iterator[Outcomes]:
    """Connect to a scheduler, or start one with so many processes on this machine.

    Dask itself gives a chunk whose worker died to another worker, and only gives up when it has died of it four times.

    Raises
    ------
    BatchRefused
        If there is no scheduler, or none of its workers.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is told by the outcomes
    with _cluster(workers) if scheduler is None else _client(scheduler) as client:
        try:
            client.wait_for_workers(1, timeout=FIRST_WORKER_S)
        except TimeoutError:
            raise BatchRefused(f"The scheduler at {scheduler} has no workers. Start some with: dask worker.") from None

        def outcomes(waiting: deque[Chunk], worker: WorkerSettings) -> Iterator[tuple[Chunk, Outcome | None]]:
            try:
                yield from _outcomes(client, waiting, worker)
            except (CancelledError, OSError, ValueError):
                raise BatchRefused(
                    "The scheduler is gone; what is done is kept. Start it, and run the same command again."
                ) from None

        yield outcomes


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
            f"Dask cannot start its processes here ({type(reason).__name__}). Ask for fewer, or take local."
        ) from None
    with cluster, Client(cluster) as client:
        yield client


@contextmanager
def _client(scheduler: str) -> Iterator[Client]:
    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError, RuntimeError):
        raise BatchRefused(
            f"No Dask scheduler answers at {scheduler!r}. Start one (dask scheduler) and give its address."
        ) from None
    with client:
        yield client


def _outcomes(client: Client, waiting: deque[Chunk], worker: WorkerSettings) -> Iterator[tuple[Chunk, Outcome | None]]:
    running: dict[Future, Chunk] = {}
    deserted = None
    while waiting or running:
        threads = sum(client.nthreads().values())
        deserted = None if threads else deserted or time.monotonic()
        if deserted and time.monotonic() - deserted > WITHOUT_WORKERS_S:
            raise BatchRefused("The cluster has lost all its workers. Start some, and run the same command again.")
        while waiting and len(running) < max(1, CHUNKS_A_THREAD * threads):
            chunk = waiting.popleft()
            running[client.submit(analyse_chunk, chunk, worker, pure=False)] = chunk
        for future in _ended(running):
            yield running.pop(future), _outcome(future)


def _ended(running: dict[Future, Chunk]) -> list[Future]:
    """Return what has ended by now or ends soon."""
    try:
        return list(wait(list(running), timeout=LOOK_S, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []


def _outcome(future: Future) -> Outcome | None:
    error = future.exception()
    if isinstance(error, KilledWorker):
        return None
    if isinstance(error, SerError):
        raise error
    if error is not None:
        raise BatchRefused(
            f"A worker cannot do this work ({type(error).__name__}: {error}). "
            "Give it this project and its requirements, and start it in the project's folder."
        )
    return future.result()
