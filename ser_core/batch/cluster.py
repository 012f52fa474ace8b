"""Heavy steps of the app's jobs on the workers of a Dask scheduler.

A step is a pickled function with its arguments, such as a log-mel spectrogram or, for changes of the voice, the sound
of a stretch. Of a model only the identity is sent; the worker computes with its own copy.
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
#: How long to compute jobs here before trying the scheduler again.
RETRY_S = 30
#: How long a step waits for a new worker when all are gone, before it is computed here.
NO_WORKERS_TIMEOUT_S = 30
CHECK_WORKERS_S = 2
POLL_S = 0.05
RESULT_TIMEOUT_S = 60
REPORT_EVERY_S = 0.3

#: Start of Dask's message if the scheduler or a worker cannot import the classes of a step.
NOT_READABLE = "Error during deserialization"
#: What Dask raises if the scheduler cannot be reached.
CONNECTION_ERRORS = (OSError, TimeoutError, CancelledError, ValueError, RuntimeError)

log = logging.getLogger(__name__)


class ClusterGone(Exception):
    """The scheduler can no longer be reached, or has no workers."""


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
        self._tried_at = -float(RETRY_S)
        self._computing_here = threading.Lock()
        #: Callbacks for the progress of running steps, by the key of the step.
        self._progress_of: dict[str, Callable[[float, str], None]] = {}
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its messages contain host names
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"})

    def threads(self) -> int:
        """Return the number of threads of all workers; 0 while the scheduler cannot be reached."""
        client = self._connected_client()
        if client is None:
            return 0
        try:
            return sum(client.sync(client.scheduler.ncores, callback_timeout=CONNECT_TIMEOUT_S).values())
        except CONNECTION_ERRORS:
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
        if (client := self._connected_client()) is not None:
            try:
                return self._compute_on_cluster(client, function, arguments, work)
            except ClusterGone as reason:
                log.warning("A job of the cluster is computed here", extra={FIGURES: {"reason": str(reason)}})
                work.report(0.0, "The cluster cannot be reached; computing here")
        with self._one_at_a_time(work):
            return function(*arguments, Work(work.progress, work.stop))

    def _compute_on_cluster(
        self, client: Client, function: Callable[..., Any], arguments: tuple[Any, ...], work: Work
    ) -> Any:
        if not self.threads():
            raise ClusterGone("the cluster has no workers")
        step, key = io.BytesIO(), f"hear-why-{uuid4().hex}"
        _Pickler(step).dump((function, arguments))
        self._progress_of[key] = work.progress
        work.report(0.0, "Waiting for a worker of the cluster")
        try:
            future = client.submit(run_step, step.getvalue(), key, self._topic(client), key=key, pure=False)
            self._wait(future, work)
            error = future.exception(timeout=RESULT_TIMEOUT_S)
            result = None if error else future.result(timeout=RESULT_TIMEOUT_S)
        except CONNECTION_ERRORS as reason:
            raise ClusterGone("the scheduler of the cluster is gone") from reason
        finally:
            del self._progress_of[key]
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
        checked_at = had_workers_at = monotonic()
        while not future.done():
            if work.stop():
                future.cancel()
                raise Cancelled("Stopped.")
            if monotonic() - checked_at > CHECK_WORKERS_S:
                if self.threads():
                    had_workers_at = monotonic()
                checked_at = monotonic()
            if checked_at - had_workers_at > NO_WORKERS_TIMEOUT_S:
                future.cancel()
                raise ClusterGone("the cluster has no workers")
            sleep(POLL_S)

    def _connected_client(self) -> Client | None:
        """Return a connected client; None for `RETRY_S` after the scheduler did not answer."""
        with self._connecting:
            if self._client is not None and self._client.status != "running":
                self._client.close(timeout=CONNECT_TIMEOUT_S)
                self._client = None
            if self._client is None and monotonic() - self._tried_at > RETRY_S:
                self._client = self._connect()
                self._tried_at = monotonic()
            return self._client

    def _connect(self) -> Client | None:
        try:
            asyncio.run(_require_reachable(self._address))  # closing a client that could not connect takes too long
            client = Client(self._address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except (*CONNECTION_ERRORS, TypeError, ImportError) as error:  # also without certificates
            figures = {"error": type(error).__name__}
            log.warning("The scheduler of the cluster does not answer", extra={FIGURES: figures})
            return None
        client.subscribe_topic(self._topic(client), self._on_progress)
        return client

    @staticmethod
    def _topic(client: Client) -> str:
        return f"hear-why-{client.id}"

    def _on_progress(self, event: tuple[float, tuple[str, float, str]]) -> None:
        key, fraction, text = event[1]
        if (progress := self._progress_of.get(key)) is not None:
            progress(fraction, text)

    @contextmanager
    def _one_at_a_time(self, work: Work) -> Iterator[None]:
        """Wait for the other steps that are computed here; on the cluster there may have been several at once."""
        while not self._computing_here.acquire(timeout=POLL_S):
            work.check()
        try:
            yield
        finally:
            self._computing_here.release()


async def _require_reachable(address: str) -> None:
    comm = await connect(address, timeout=CONNECT_TIMEOUT_S, **Security().get_connection_args("client"))
    await comm.close()


class _Pickler(pickle.Pickler):
    """Pickles a model as its identity, with the voice's normal that it is adapted to."""

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, (NetworkClassifier, OnnxClassifier)):
            return None
        base, normal = value.adapted_from or (value, None)
        return base.name, model_identity(base), normal


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, persistent_id: Any) -> Classifier:
        name, identity, normal = persistent_id
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
    worker, reported_at = get_worker(), 0.0

    def report(fraction: float, text: str) -> None:
        nonlocal reported_at
        if monotonic() - reported_at > REPORT_EVERY_S:
            reported_at = monotonic()
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
