"""One queue for the machine, for work that takes longer than a second; a job outlives the page that submitted it.

A job is a function that takes a `Work`, with which it reports progress and is stopped. Owners take turns: the owner
whose last job began longest ago goes first, so that ten jobs of one person do not hold up the single job of another.
Quick jobs, which take a fraction of a second, have their own worker: a verdict never waits for maps. With a cluster,
the jobs that it can compute run beside the others, as many at once as it has threads.
"""

import logging
import os
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Hashable, Sequence
from contextvars import ContextVar
from enum import IntEnum
from time import monotonic
from typing import Any, Protocol

from ser_core.errors import Cancelled, SerError
from ser_core.work.log import FIGURES, log_error
from ser_core.work.progress import Pace, Work

#: Added to the niceness of all but quick work, so that pages and verdicts stay responsive.
NICENESS = 5

#: The visit that a thread works for; empty on the command line, which may use all slots of the decoder.
work_owner: ContextVar[str] = ContextVar("work_owner", default="")

log = logging.getLogger(__name__)


class Lane(IntEnum):
    """How soon a job runs."""

    QUICK = 0
    """A fraction of a second, beside all others."""
    DRAFT = 1
    """Seconds; before all full ones."""
    FULL = 2
    CLUSTER_DRAFT = 3
    """As `DRAFT`, with a heavy step that a cluster can compute."""
    CLUSTER_FULL = 4


#: The lanes of each worker. Only quick jobs have one of their own: two threads of torch already fill a small machine.
WORKERS = ((Lane.QUICK,), (Lane.DRAFT, Lane.FULL))
#: The lanes of the cluster, and the lanes that take their jobs if there is no cluster.
CLUSTER_LANES = (Lane.CLUSTER_DRAFT, Lane.CLUSTER_FULL)
WITHOUT_CLUSTER = {Lane.CLUSTER_DRAFT: Lane.DRAFT, Lane.CLUSTER_FULL: Lane.FULL}
#: How often to update the cluster's number of threads while all of them are busy.
UPDATE_THREADS_S = 1.0


class Cluster(Protocol):
    """Other machines that compute heavy steps of jobs."""

    def threads(self) -> int:
        """Return the number of steps that it computes at once; 0 while it cannot be reached."""

    def compute(self, function: Callable[..., Any], arguments: tuple[Any, ...], work: Work) -> Any:
        """Return `function(*arguments, work)`, computed elsewhere, or here while the cluster cannot be reached."""


class Job:
    """One piece of work, from its submission until its result is forgotten.

    Attributes
    ----------
    queue : Jobs
        The queue that it was submitted to, and can be cancelled in.
    state : {"waiting", "running", "done", "failed", "cancelled"}
    fraction : float
        How much is done, 0 to 1.
    text : str
        What is being done.
    result : object
        What the function returned, once `state` is "done".
    refusal : str or None
        Why it failed, in a sentence that may be shown.
    ended_at : float or None
        When it ended, in seconds of the monotonic clock.
    """

    def __init__(
        self, queue: "Jobs", owner: str, key: Hashable, title: str, function: Callable[[Work], Any], lane: Lane
    ) -> None:
        self.queue, self.owner, self.key, self.title, self.lane = queue, owner, key, title, lane
        self.state, self.fraction, self.text = "waiting", 0.0, ""
        self.result: Any = None
        self.refusal: str | None = None
        self._function: Callable[[Work], Any] | None = function
        self._pace: Pace | None = None
        self._cancelled = threading.Event()
        self.ended = threading.Event()
        self.ended_at: float | None = None

    @property
    def kind(self) -> Hashable | None:
        """What kind of work it is: the first part of a key that is a tuple; None for a key of one part."""
        return self.key[0] if isinstance(self.key, tuple) else None

    def is_about(self, part: Hashable) -> bool:
        """Return whether this is a part of its key, such as the SHA-256 of a recording or of a model."""
        return isinstance(self.key, tuple) and part in self.key

    @property
    def seconds_left(self) -> float | None:
        """Estimated time left in seconds; None while that would be a guess."""
        return self._pace.seconds_left(self.fraction) if self._pace else None

    def _report(self, fraction: float, text: str) -> None:
        self.fraction, self.text = min(max(fraction, 0.0), 1.0), text

    def _run(self, cluster: Cluster | None) -> None:
        self._pace, self.state, began = Pace(), "running", monotonic()
        work_owner.set(self.owner)
        try:
            work = Work(self._report, self._cancelled.is_set, cluster and cluster.compute)
            self.result, self.state = self._function(work), "done"
        except Cancelled:
            self.state = "cancelled"
        except SerError as refusal:
            self.refusal, self.state = str(refusal), "failed"
        except Exception as error:  # the queue survives any error of a job; the log holds it
            reference = log_error(log, "A job failed", error)
            self.refusal = (
                f"Something went wrong that should not have. Please report the number {reference}, under which the log "
                "says where it happened."
            )
            self.state = "failed"
        figures = {"job": self.title, "state": self.state, "seconds": round(monotonic() - began, 3)}
        log.info("A job ended", extra={FIGURES: figures})

    def _refuse(self, refusal: str) -> None:
        self.refusal, self.state = refusal, "failed"
        self._end()

    def _end(self) -> None:
        self._function, self.ended_at = None, monotonic()
        self.ended.set()


class Jobs:
    """The queue.

    Parameters
    ----------
    most_waiting, max_queued_per_owner : int
        Further jobs are refused. By default 25 owners can each have as many jobs waiting as allowed.
    max_results_per_owner : int
        Number of finished jobs of one owner whose results are remembered; the least recently used is forgotten first.
        With a common limit, owners would displace each other's results.
    cluster : Cluster, optional
        Computes heavy steps of the jobs in `CLUSTER_LANES`.
    after_cancelled : callable
        Called whenever a cancelled job that was running has ended, to forget what it left behind.
    """

    def __init__(
        self,
        most_waiting: int = 200,
        max_queued_per_owner: int = 8,
        max_results_per_owner: int = 48,
        cluster: Cluster | None = None,
        after_cancelled: Callable[[], None] = lambda: None,
    ) -> None:
        self._most_waiting, self._max_queued_per_owner = most_waiting, max_queued_per_owner
        self._max_results_per_owner = max_results_per_owner
        self._jobs: OrderedDict[tuple[str, Hashable], Job] = OrderedDict()
        #: Waiting jobs by lane and owner.
        self._lanes: dict[Lane, OrderedDict[str, deque[Job]]] = {lane: OrderedDict() for lane in Lane}
        self._running: list[Job] = []
        self._changed = threading.Condition()
        self._cluster, self._after_cancelled = cluster, after_cancelled
        for lanes in WORKERS:
            threading.Thread(target=self._work, args=(lanes,), name=f"jobs {lanes[0].name}", daemon=True).start()
        if cluster is not None:
            threading.Thread(target=self._send_to_cluster, args=(cluster,), name="cluster jobs", daemon=True).start()

    def submit(
        self, owner: str, key: Hashable, title: str, function: Callable[[Work], Any], lane: Lane = Lane.FULL
    ) -> Job:
        """Queue work, or return the owner's job with the same key, whatever its state, until that is dropped.

        If too many jobs are waiting, a failed job that says so is returned. It is not remembered, so the same key can
        be submitted again later.

        Parameters
        ----------
        key : hashable
            A tuple of the kind of work and everything that its result depends on, as hashes and settings: see
            `Job.kind` and `Job.is_about`.
        title : str
            What is being done, as the log names it.
        """
        if self._cluster is None:
            lane = WITHOUT_CLUSTER.get(lane, lane)
        with self._changed:
            known = self.find(owner, key)
            if known is not None:
                return known
            job = Job(self, owner, key, title, function, lane)
            if refusal := self._refusal_if_full(owner):
                job._refuse(refusal)
                return job
            self._jobs[owner, key] = job
            self._lanes[lane].setdefault(owner, deque()).append(job)
            self._forget_oldest(owner)
            self._changed.notify_all()
            return job

    def _refusal_if_full(self, owner: str) -> str | None:
        if sum(len(lane.get(owner, ())) for lane in self._lanes.values()) >= self._max_queued_per_owner:
            return f"{self._max_queued_per_owner} of your jobs are already waiting. Wait for one, or stop it."
        if sum(len(queue) for lane in self._lanes.values() for queue in lane.values()) >= self._most_waiting:
            return f"{self._most_waiting} jobs are waiting on this machine. Try again in a few minutes."
        return None

    def find(self, owner: str, key: Hashable) -> Job | None:
        """Return the owner's job with this key, whatever its state, or None."""
        with self._changed:
            job = self._jobs.get((owner, key))
            if job is not None:
                self._jobs.move_to_end((owner, key))
            return job

    def finished(self, owner: str, about: Collection[Hashable]) -> list[Job]:
        """Return an owner's finished jobs that are about all of these (see `Job.is_about`)."""
        with self._changed:
            jobs = [job for job in self._jobs_of(owner) if job.state == "done"]
            return [job for job in jobs if all(map(job.is_about, about))]

    def add_finished(self, owner: str, key: Hashable, title: str, result: Any) -> None:
        """Store an earlier result as that of a finished job; it replaces a job with the same key."""
        with self._changed:
            if (known := self.find(owner, key)) is not None:
                self.drop(known)
            job = Job(self, owner, key, title, lambda _: None, Lane.QUICK)
            job.state, job.fraction, job.result = "done", 1.0, result
            job._end()
            self._jobs[owner, key] = job
            self._forget_oldest(owner)

    def share(self, owner: str, other: str) -> None:
        """Store the results of an owner's finished jobs for another owner too."""
        with self._changed:
            for job in self._jobs_of(owner):
                if job.state == "done":
                    self.add_finished(other, job.key, job.title, job.result)

    def move_to_front(self, job: Job) -> None:
        """Run a waiting job before the others of its owner; other owners keep their turns."""
        with self._changed:
            queue = self._lanes[job.lane].get(job.owner, ())
            if job in queue:
                queue.remove(job)
                queue.appendleft(job)

    def cancel(self, job: Job) -> None:
        """Ask a job to stop; a waiting job never starts."""
        with self._changed:
            job._cancelled.set()
            for lane in self._lanes.values():
                queue = lane.get(job.owner, ())
                if job in queue:
                    queue.remove(job)
                    if not queue:
                        del lane[job.owner]
                    job.state = "cancelled"
                    job._end()

    def drop(self, job: Job) -> None:
        """Forget a job, so that its key can be submitted again; a running job is cancelled."""
        with self._changed:
            self.cancel(job)
            if self._jobs.get((job.owner, job.key)) is job:
                del self._jobs[job.owner, job.key]

    def withdraw(self, owner: str, kinds: Collection[Hashable], *, running: bool = False) -> None:
        """Drop an owner's waiting jobs of these kinds, and running ones too if `running`."""
        states = ("waiting", "running") if running else ("waiting",)
        with self._changed:
            for job in self._jobs_of(owner):
                if job.state in states and job.kind in kinds:
                    self.drop(job)

    def ahead(self, job: Job) -> list[Job]:
        """Return the jobs that its worker runs before it, running ones first; none for a job that runs or has ended."""
        (lanes,) = (lanes for lanes in (*WORKERS, CLUSTER_LANES) if job.lane in lanes)
        with self._changed:
            order: list[Job] = []
            for lane in lanes:
                queues = list(self._lanes[lane].values())
                for turn in range(max(map(len, queues), default=0)):
                    order += [queue[turn] for queue in queues if turn < len(queue)]
            if job not in order:
                return []
            running = [other for other in self._running if other.lane in lanes]
            return [*running, *order[: order.index(job)]]

    def forget(self, owner: str, about: Hashable = None) -> None:
        """Cancel and drop an owner's jobs: all, or those that are about something (see `Job.is_about`)."""
        with self._changed:
            for job in self._jobs_of(owner):
                if about is None or job.is_about(about):
                    self.drop(job)

    def _jobs_of(self, owner: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.owner == owner]

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop all work, and wait for running jobs: a process that exits while torch's threads run is aborted."""
        with self._changed:
            for job in list(self._jobs.values()):
                self.cancel(job)
            running = list(self._running)
        for job in running:
            job.ended.wait(timeout_s)

    def _work(self, lanes: Sequence[Lane]) -> None:
        if Lane.QUICK not in lanes:
            _lower_priority()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._first_waiting(lanes))
                job = self._take(lanes)
            self._run_job(job)
            del job  # otherwise its result would stay in memory until the next job comes

    def _send_to_cluster(self, cluster: Cluster) -> None:
        _lower_priority()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._first_waiting(CLUSTER_LANES))
            max_running = max(1, cluster.threads())  # a request over the network, without the lock
            with self._changed:
                if not self._wait_for_cluster(max_running):
                    continue
                if not self._first_waiting(CLUSTER_LANES):  # it was cancelled meanwhile
                    continue
                job = self._take(CLUSTER_LANES)
            threading.Thread(target=self._run_job, args=(job, cluster), name="job on the cluster", daemon=True).start()
            del job

    def _wait_for_cluster(self, max_running: int) -> bool:
        """Wait until the cluster runs fewer jobs; return False if it does not within `UPDATE_THREADS_S`."""

        def has_free_thread() -> bool:
            return sum(job.lane in CLUSTER_LANES for job in self._running) < max_running

        return self._changed.wait_for(has_free_thread, UPDATE_THREADS_S)

    def _first_waiting(self, lanes: Sequence[Lane]) -> OrderedDict[str, deque[Job]] | None:
        """Return the first of some lanes in which a job is waiting."""
        for lane in lanes:
            if self._lanes[lane]:
                return self._lanes[lane]
        return None

    def _take(self, lanes: Sequence[Lane]) -> Job:
        lane = self._first_waiting(lanes)
        owner, queue = lane.popitem(last=False)
        job = queue.popleft()
        self._running.append(job)
        if queue:
            lane[owner] = queue  # after all other owners
        return job

    def _run_job(self, job: Job, cluster: Cluster | None = None) -> None:
        job._run(cluster)
        if job._cancelled.is_set():
            self._after_cancelled()
        with self._changed:
            self._running.remove(job)
            job._end()
            self._changed.notify_all()

    def _forget_oldest(self, owner: str) -> None:
        ended = [job for job in self._jobs_of(owner) if job.ended.is_set()]
        for job in ended[: max(0, len(ended) - self._max_results_per_owner)]:
            del self._jobs[job.owner, job.key]


def _lower_priority() -> None:
    """Lower the priority of this thread, on Linux only: there each thread has its own, which its threads inherit."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
