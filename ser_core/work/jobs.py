"""Work that takes longer than a second: one queue for the machine, which outlives the page that asked.

A job is a function of a `Work`, to which it reports and by which it is stopped. People take turns: the one who has
waited longest since their last job began goes first, so that ten jobs of one person do not hold up the single job of
another. Quick work, which takes a fraction of a second, goes before everything else: a verdict does not wait for
everybody's maps.
"""

import logging
import os
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Hashable
from contextvars import ContextVar
from time import monotonic
from typing import Any

from ser_core.errors import Cancelled, SerError
from ser_core.work.log import FIGURES, failed
from ser_core.work.progress import Pace, Work

#: How much lower the priority of work is than that of pages, which stay quick while it goes on.
GIVES_WAY = 5

#: For which visit a thread works. On the command line it is nobody in particular, who has all slots of the decoder.
work_owner: ContextVar[str] = ContextVar("work_owner", default="")

log = logging.getLogger(__name__)


class Job:
    """One piece of work, from the moment it waits until its result is forgotten.

    Attributes
    ----------
    queue : Jobs
        Where it waits, and where it is cancelled.
    state : {"waiting", "running", "done", "failed", "cancelled"}
    fraction : float
        Part that is done, 0 to 1.
    text : str
        What is being done.
    result : object
        What the work returned, once `state` is "done".
    refusal : str or None
        Why it failed, in a sentence that may be shown.
    """

    def __init__(self, queue: "Jobs", owner: str, key: Hashable, title: str, function: Callable[[Work], Any]) -> None:
        self.queue, self.owner, self.key, self.title = queue, owner, key, title
        self.state, self.fraction, self.text = "waiting", 0.0, ""
        self.result: Any = None
        self.refusal: str | None = None
        self._function: Callable[[Work], Any] | None = function
        self._pace: Pace | None = None
        self._cancelled = threading.Event()
        self.ended = threading.Event()

    @property
    def seconds_left(self) -> float | None:
        """How much longer it will take at the pace so far, or None as long as that is a guess."""
        return self._pace.seconds_left(self.fraction) if self._pace else None

    def _report(self, fraction: float, text: str) -> None:
        self.fraction, self.text = min(max(fraction, 0.0), 1.0), text

    def _run(self) -> None:
        self._pace, self.state, begun = Pace(), "running", monotonic()
        work_owner.set(self.owner)
        try:
            self.result, self.state = self._function(Work(self._report, self._cancelled.is_set)), "done"
        except Cancelled:
            self.state = "cancelled"
        except SerError as refusal:
            self.refusal, self.state = str(refusal), "failed"
        except Exception as error:  # the queue outlives whatever one job meets; the log holds what it was
            reference = failed(log, "A job failed", error)
            self.refusal = (
                f"Something went wrong that should not have. Please report the number {reference}, under which the log "
                "says where it happened."
            )
            self.state = "failed"
        figures = {"job": self.title, "state": self.state, "seconds": round(monotonic() - begun, 3)}
        log.info("A job ended", extra={FIGURES: figures})

    def _refuse(self, refusal: str) -> None:
        self.refusal, self.state = refusal, "failed"
        self._end()

    def _end(self) -> None:
        self._function = None
        self.ended.set()


class Jobs:
    """The queue. One worker: two threads of torch already fill a small machine.

    Parameters
    ----------
    most_waiting, max_queued_per_owner : int
        More are refused. 25 people at a time may have all of theirs waiting.
    max_results_per_owner : int
        How many ended jobs of one person are remembered with their results, the longest unused forgotten first. A
        limit for all would let people who wait together push out each other's results, which they would ask for anew.
    """

    def __init__(self, most_waiting: int = 200, max_queued_per_owner: int = 8, max_results_per_owner: int = 48) -> None:
        self._most_waiting, self._max_queued_per_owner = most_waiting, max_queued_per_owner
        self._max_results_per_owner = max_results_per_owner
        self._jobs: OrderedDict[tuple[str, Hashable], Job] = OrderedDict()
        #: The quick lane and the other one: of each owner what waits.
        self._lanes: dict[bool, OrderedDict[str, deque[Job]]] = {True: OrderedDict(), False: OrderedDict()}
        self._running: Job | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="jobs", daemon=True).start()

    def submit(
        self, owner: str, key: Hashable, title: str, function: Callable[[Work], Any], *, quick: bool = False
    ) -> Job:
        """Queue work, or return the owner's job of the same key, whatever its state, until that is dropped.

        Where too much is waiting, a job is returned that has failed already and says so. It is not remembered: who
        asks again later is answered anew.
        """
        with self._changed:
            known = self.find(owner, key)
            if known is not None:
                return known
            job = Job(self, owner, key, title, function)
            if refusal := self._too_much_waits(owner):
                job._refuse(refusal)
                return job
            self._jobs[owner, key] = job
            self._lanes[quick].setdefault(owner, deque()).append(job)
            self._forget_oldest(owner)
            self._changed.notify()
            return job

    def _too_much_waits(self, owner: str) -> str | None:
        if sum(len(lane.get(owner, ())) for lane in self._lanes.values()) >= self._max_queued_per_owner:
            return f"{self._max_queued_per_owner} of your jobs are waiting already. Wait for one, or stop it."
        if sum(len(queue) for lane in self._lanes.values() for queue in lane.values()) >= self._most_waiting:
            return f"{self._most_waiting} jobs are waiting on this machine. Try again in a few minutes."
        return None

    def find(self, owner: str, key: Hashable) -> Job | None:
        """Return the owner's job of this key, whatever its state, or None."""
        with self._changed:
            job = self._jobs.get((owner, key))
            if job is not None:
                self._jobs.move_to_end((owner, key))
            return job

    def cancel(self, job: Job) -> None:
        """Ask a job to stop; one that has not begun never will."""
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
        """Forget a job, so that the same key may be submitted anew; one that still runs is cancelled."""
        with self._changed:
            self.cancel(job)
            if self._jobs.get((job.owner, job.key)) is job:
                del self._jobs[job.owner, job.key]

    def withdraw(self, owner: str, kinds: Collection[Hashable], *, running: bool = False) -> None:
        """Drop an owner's waiting jobs of these kinds, the first parts of keys; on request running ones too."""
        states = ("waiting", "running") if running else ("waiting",)
        with self._changed:
            for job in [job for (whose, _), job in self._jobs.items() if whose == owner and job.state in states]:
                if isinstance(job.key, tuple) and job.key[0] in kinds:
                    self.drop(job)

    def place(self, job: Job) -> int:
        """Return how many jobs end before this one begins; 0 for one that runs or has ended."""
        with self._changed:
            order = [
                queue[turn]
                for lane in self._lanes.values()
                for turn in range(max(map(len, lane.values()), default=0))
                for queue in lane.values()
                if turn < len(queue)
            ]
            return order.index(job) + (self._running is not None) if job in order else 0

    def forget(self, owner: str, about: Hashable = None) -> None:
        """Cancel an owner's jobs, of all or those whose key is a tuple that holds `about`, and drop their results."""
        with self._changed:
            for job in [job for (whose, _), job in self._jobs.items() if whose == owner]:
                if about is None or (isinstance(job.key, tuple) and about in job.key):
                    self.drop(job)

    def close(self, patience_s: float = 5.0) -> None:
        """Stop all work, and wait a while for what runs: a process that ends within torch's threads is aborted."""
        with self._changed:
            for job in list(self._jobs.values()):
                self.cancel(job)
            running = self._running
        if running is not None:
            running.ended.wait(patience_s)

    def _work(self) -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own, and those that torch starts inherit it
            os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + GIVES_WAY)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: any(self._lanes.values()))
                lane = self._lanes[True] or self._lanes[False]
                owner, queue = lane.popitem(last=False)
                job = self._running = queue.popleft()
                if queue:
                    lane[owner] = queue  # behind everyone else
            job._run()
            with self._changed:
                self._running = None
                job._end()

    def _forget_oldest(self, owner: str) -> None:
        ended = [place for place, job in self._jobs.items() if job.owner == owner and job.ended.is_set()]
        for place in ended[: max(0, len(ended) - self._max_results_per_owner)]:
            del self._jobs[place]
