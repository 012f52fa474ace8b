"""Heavy steps of the app's jobs on the workers of a Dask scheduler.

A step is a function and its arguments, pickled: the log-mel spectrogram of a recording, for changes of the voice the
sound of the stretch. Of a model only its identity is sent; the worker computes with its own copy.
"""

import asyncio
import io
import logging
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import dask
from distributed import Client, Future, KilledWorker, Security, get_worker
from distributed.comm import connect

from ser_core.batch.chunk import model_identity
from ser_core.errors import Cancelled, ClusterRefused, ModelRefused
from ser_core.model.classifier import Classifier, NetworkClassifier
from ser_core.model.onnx_classifier import OnnxClassifier
from ser_core.model.shipped_models import load_model, name_of_model
from ser_core.work.log import FIGURES
from ser_core.work.progress import Work

CONNECT_TIMEOUT_S = 5
#: How long jobs are computed here before the scheduler is tried again.
RETRY_S = 30
#: How long a step waits for another worker once all have gone, before it is computed here.
NO_WORKERS_TIMEOUT_S = 30
ASK_WORKERS_S = 2
POLL_S = 0.05
RESULT_TIMEOUT_S = 60
REPORT_EVERY_S = 0.3

#: How Dask begins to say that a scheduler or worker cannot import what a step is made of.
NOT_READABLE = "Error during deserialization"
#: What Dask raises where the scheduler cannot be reached.
LOST = (OSError, TimeoutError, CancelledError, ValueError, RuntimeError)

log = logging.getLogger(__name__)


class ClusterGone(Exception):
    """The scheduler cannot be reached any more, or has no workers."""


class Cluster:
    """The workers of a scheduler, as `ser_core.work.jobs.Cluster`; jobs are computed here while it cannot be reached.

    Dask itself gives a step whose worker died to another worker, and gives up after the fourth death.

    Parameters
    ----------
    address : str
        Such as `tcp://10.0.0.5:8786`, or `tls://...` with certificates in Dask's configuration.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Client | None = None
        self._connecting = threading.Lock()
        self._tried = -float(RETRY_S)
        self._here = threading.Lock()
        #: What is told of the progress of a step, by its key.
        self._watching: dict[str, Callable[[float, str], None]] = {}
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it would log names of hosts, and in its own form
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"})

    def threads(self) -> int:
        """Return how many threads all workers have; 0 while the scheduler cannot be reached."""
        client = self._connected()
        if client is None:
            return 0
        try:
            return sum(client.sync(client.scheduler.ncores, callback_timeout=CONNECT_TIMEOUT_S).values())
        except LOST:
            return 0

    def compute(self, function: Callable[..., Any], arguments: tuple[Any, ...], work: Work) -> Any:
        """Return `function(*arguments, work)`, computed by a worker, or here while the cluster cannot be reached.

        Raises
        ------
        ClusterRefused
            If workers died computing it, or have another version of this project.
        ModelRefused
            If the worker lacks a model, or has a different one.
        Cancelled
        """
        if (client := self._connected()) is not None:
            try:
                return self._compute_there(client, function, arguments, work)
            except ClusterGone as reason:
                log.warning("A job of the cluster is computed here", extra={FIGURES: {"reason": str(reason)}})
                work.report(0.0, "The cluster cannot be reached; computing here")
        with self._turn_here(work):
            return function(*arguments, Work(work.progress, work.stop))

    def _compute_there(
        self, client: Client, function: Callable[..., Any], arguments: tuple[Any, ...], work: Work
    ) -> Any:
        if not self.threads():
            raise ClusterGone("the cluster has no workers")
        step, key = io.BytesIO(), f"hear-why-{uuid4().hex}"
        _Pickler(step).dump((function, arguments))
        self._watching[key] = work.progress
        work.report(0.0, "Waiting for a worker of the cluster")
        try:
            future = client.submit(run_step, step.getvalue(), key, self._topic(client), key=key, pure=False)
            self._wait(future, work)
            error = future.exception(timeout=RESULT_TIMEOUT_S)
            result = None if error else future.result(timeout=RESULT_TIMEOUT_S)
        except LOST as reason:
            raise ClusterGone("the scheduler of the cluster is gone") from reason
        finally:
            del self._watching[key]
        if isinstance(error, KilledWorker):
            raise ClusterRefused(
                "Each worker of the cluster that computed this died. Give the workers more memory, then start it again."
            )
        if isinstance(error, RuntimeError) and str(error).startswith(NOT_READABLE):
            raise ClusterRefused(
                "The cluster does not find this project. Install its requirements there, and start the scheduler and "
                "the workers in the project's folder."
            )
        if error is not None:
            raise error
        return result

    def _wait(self, future: Future, work: Work) -> None:
        """Wait until a step has ended; cancel it if the work is stopped, or there have been no workers for too long."""
        checked = with_workers = monotonic()
        while not future.done():
            if work.stop():
                future.cancel()
                raise Cancelled("Stopped.")
            if monotonic() - checked > ASK_WORKERS_S:
                with_workers = monotonic() if self.threads() else with_workers
                checked = monotonic()
            if checked - with_workers > NO_WORKERS_TIMEOUT_S:
                future.cancel()
                raise ClusterGone("the cluster has no workers")
            sleep(POLL_S)

    def _connected(self) -> Client | None:
        """Return a client that is connected, or None, for a while, after the scheduler did not answer."""
        with self._connecting:
            if self._client is not None and self._client.status != "running":
                self._client.close(timeout=CONNECT_TIMEOUT_S)
                self._client = None
            if self._client is None and monotonic() - self._tried > RETRY_S:
                self._client = self._connect()
                self._tried = monotonic()
            return self._client

    def _connect(self) -> Client | None:
        try:
            asyncio.run(_reach(self._address))  # a client that cannot connect would hold up whoever clears it away
            client = Client(self._address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except (*LOST, TypeError, ImportError) as error:  # without certificates, or with another version of Dask
            figures = {"error": type(error).__name__}
            log.warning("The scheduler of the cluster does not answer", extra={FIGURES: figures})
            return None
        client.subscribe_topic(self._topic(client), self._reported)
        return client

    @staticmethod
    def _topic(client: Client) -> str:
        return f"hear-why-{client.id}"

    def _reported(self, event: tuple[float, tuple[str, float, str]]) -> None:
        key, fraction, text = event[1]
        if (progress := self._watching.get(key)) is not None:
            progress(fraction, text)

    @contextmanager
    def _turn_here(self, work: Work) -> Iterator[None]:
        """Compute one step at a time here, although several may have been on the cluster."""
        while not self._here.acquire(timeout=POLL_S):
            work.check()
        try:
            yield
        finally:
            self._here.release()


async def _reach(address: str) -> None:
    comm = await connect(address, timeout=CONNECT_TIMEOUT_S, **Security().get_connection_args("client"))
    await comm.close()


class _Pickler(pickle.Pickler):
    """Writes of a model only which one it is."""

    def persistent_id(self, one: Any) -> Any:
        if not isinstance(one, (NetworkClassifier, OnnxClassifier)):
            return None
        base, normal = one.adapted_from or (one, None)
        return base.name, model_identity(base), normal


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, written: Any) -> Classifier:
        name, identity, normal = written
        model = _model(identity["sha256"])
        if model is None:
            raise ModelRefused(
                f"The worker {socket.gethostname()} of the cluster does not have the model {name}. "
                "Copy its folder into models/ there."
            )
        if model_identity(model) != identity:
            raise ModelRefused(
                f"The card of the model {name} is different on the worker {socket.gethostname()} of the cluster. "
                "Copy the model's folder there, and restart the worker."
            )
        return model if normal is None else model.with_voice(normal)


@lru_cache(maxsize=8)
def _load(name: str, sha256: str) -> Classifier:
    return load_model(name)


def _model(sha256: str) -> Classifier | None:
    name = name_of_model(sha256)
    return None if name is None else _load(name, sha256)


def run_step(step: bytes, key: str, topic: str) -> Any:
    """Compute a step on a worker, report its progress, and stop once Dask has cancelled it."""
    worker, reported = get_worker(), 0.0

    def report(fraction: float, text: str) -> None:
        nonlocal reported
        if monotonic() - reported > REPORT_EVERY_S:
            reported = monotonic()
            worker.log_event(topic, (key, float(fraction), text))

    def is_cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    try:
        function, arguments = _Unpickler(io.BytesIO(step)).load()
    except (ImportError, AttributeError, pickle.UnpicklingError):
        raise ClusterRefused(
            f"The worker {socket.gethostname()} of the cluster has another version of this project. "
            "Install the one that the app has there."
        ) from None
    return function(*arguments, Work(report, is_cancelled))
