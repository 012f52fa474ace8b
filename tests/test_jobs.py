"""The queue: order, turns, cancelling and stored results. Events, not clocks, control the timing."""

import os
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest

from ser_core.errors import AudioRefused, Cancelled
from ser_core.work.jobs import Jobs, Lane

PATIENCE_S = 120


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


GATES: weakref.WeakSet["Gate"] = weakref.WeakSet()


@pytest.fixture(autouse=True)
def _gates_open_at_the_end() -> Iterator[None]:
    """End work that a test left waiting at a gate; it would fail minutes later, in another test's log."""
    yield
    for gate in list(GATES):
        gate.may_end.set()


class Gate:
    """Work that reports its start and ends when it is allowed to."""

    def __init__(self, result=None) -> None:
        self.began, self.may_end, self.result = threading.Event(), threading.Event(), result
        GATES.add(self)

    def __call__(self, work):
        self.began.set()
        assert self.may_end.wait(PATIENCE_S)
        if work.stop():
            raise Cancelled("Stopped.")
        return self.result


def at_work(jobs: Jobs, owner: str = "someone else", result=None):
    """Return a gate at which the worker waits, and its job; everything else waits until it opens."""
    gate = Gate(result)
    job = jobs.submit(owner, "gate", "Gate", gate)
    assert gate.began.wait(PATIENCE_S)
    return gate, job


def ended(*jobs_to_end) -> None:
    for job in jobs_to_end:
        assert job.ended.wait(PATIENCE_S)


def submit_noting(jobs: Jobs, order: list, owner: str, *keys, lane: Lane = Lane.FULL):
    """Submit work that notes its key in `order` and returns it."""

    def noting(key):
        def work(work):
            order.append(key)
            return key

        return work

    return [jobs.submit(owner, key, str(key), noting(key), lane) for key in keys]


def test_a_forgotten_result_is_released_even_without_further_work(jobs):
    gone = threading.Event()

    def large(work):
        result = Gate()
        weakref.finalize(result, gone.set)
        return result

    ended(jobs.submit("ann", "large", "Large", large))
    assert not gone.is_set()
    jobs.forget("ann")
    assert gone.wait(5)


def test_quick_jobs_do_not_wait(jobs):
    _, running = at_work(jobs)
    (waiting,) = submit_noting(jobs, [], "ann", "waiting", lane=Lane.DRAFT)
    (quick,) = submit_noting(jobs, [], "ann", "quick", lane=Lane.QUICK)
    ended(quick)
    assert [job.state for job in (running, waiting, quick)] == ["running", "waiting", "done"]


def test_drafts_run_before_full_jobs_in_turns_and_queue_positions_say_so(jobs):
    gate, running = at_work(jobs)
    order = []
    full = submit_noting(jobs, order, "ann", "ann 1", "ann 2") + submit_noting(jobs, order, "bea", "bea 1")
    drafts = submit_noting(jobs, order, "cy", "cy 1", "cy 2", lane=Lane.DRAFT)
    drafts += submit_noting(jobs, order, "ann", "ann draft", lane=Lane.DRAFT)
    assert [len(jobs.ahead(job)) for job in (*full, *drafts)] == [4, 6, 5, 1, 3, 2]
    gate.may_end.set()
    ended(running, *full, *drafts)
    assert order == ["cy 1", "ann draft", "cy 2", "ann 1", "bea 1", "ann 2"]


def test_a_prioritised_job_goes_only_before_its_owners_other_jobs(jobs):
    gate, running = at_work(jobs)
    order = []
    waiting = submit_noting(jobs, order, "ann", "ann 1", "ann 2") + submit_noting(jobs, order, "bea", "bea 1")
    for job in (waiting[1], waiting[2], running):
        jobs.move_to_front(job)
    gate.may_end.set()
    ended(running, *waiting)
    assert order == ["ann 2", "bea 1", "ann 1"]
    jobs.move_to_front(waiting[0])
    assert [job.state for job in waiting] == ["done"] * 3


class TwoThreads:
    """A cluster that is in this process, and computes nothing while it has no threads."""

    def __init__(self):
        self.most = 2

    def threads(self):
        return self.most

    def compute(self, function, arguments, work):
        return "on the cluster", function(*arguments, work)


def test_a_cluster_runs_as_many_jobs_as_it_has_threads_drafts_first_and_delays_no_local_jobs():
    jobs = Jobs(cluster=TwoThreads())
    gates = [Gate(), Gate()]
    running = [jobs.submit("zoe", n, "Gate", gate, Lane.CLUSTER_FULL) for n, gate in enumerate(gates)]
    assert all(gate.began.wait(PATIENCE_S) for gate in gates)
    order = []
    full = submit_noting(jobs, order, "ann", "ann 1", "ann 2", lane=Lane.CLUSTER_FULL)
    full += submit_noting(jobs, order, "bea", "bea 1", lane=Lane.CLUSTER_FULL)
    drafts = submit_noting(jobs, order, "cy", "cy draft", lane=Lane.CLUSTER_DRAFT)
    assert [len(jobs.ahead(job)) for job in (*drafts, *full)] == [2, 3, 5, 4]
    ended(*submit_noting(jobs, order, "dan", "here"))
    gates[0].may_end.set()
    ended(running[0], *full, *drafts)
    assert order == ["here", "cy draft", "ann 1", "bea 1", "ann 2"]
    assert running[1].state == "running"


def test_only_the_heavy_step_of_a_job_for_the_cluster_is_computed_there():
    cluster, found = TwoThreads(), []
    for jobs, lane in (
        (Jobs(cluster=cluster), Lane.CLUSTER_FULL),
        (Jobs(cluster=cluster), Lane.FULL),
        (Jobs(), Lane.CLUSTER_FULL),
    ):
        job = jobs.submit("ann", "key", "Working", lambda work: work.part(0, 2).compute(lambda work: "done"), lane)
        ended(job)
        found.append(job.result)
    assert found == [("on the cluster", "done"), "done", "done"]


def test_a_cluster_without_threads_gets_one_job_at_a_time():
    cluster = TwoThreads()
    cluster.most = 0
    jobs, order = Jobs(cluster=cluster), []
    ended(*submit_noting(jobs, order, "ann", 1, 2, lane=Lane.CLUSTER_DRAFT))
    assert order == [1, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own here")
def test_jobs_yield_to_pages(jobs):
    job = jobs.submit("ann", "key", "Working", lambda *_: os.getpriority(os.PRIO_PROCESS, 0))
    ended(job)
    assert job.result > os.getpriority(os.PRIO_PROCESS, 0)


def test_closing_cancels_waiting_jobs_and_waits_for_running_ones(jobs):
    def until_cancelled(work):
        began.set()
        while not work.stop():
            pass
        raise Cancelled("Stopped.")

    began, order = threading.Event(), []
    running = jobs.submit("ann", "key", "Working", until_cancelled)
    assert began.wait(PATIENCE_S)
    waiting = submit_noting(jobs, order, "bea", "bea 1")
    jobs.close(PATIENCE_S)
    assert [job.state for job in (running, *waiting)] == ["cancelled", "cancelled"]
    assert order == []


def test_a_waiting_draft_is_cancelled_withdrawn_and_counted_like_any_job():
    jobs = Jobs(max_queued_per_owner=2)
    gate, running = at_work(jobs)
    order = []
    (kept,) = submit_noting(jobs, order, "ann", ("listen", 1))
    (stopped,) = submit_noting(jobs, order, "ann", ("listen", 2), lane=Lane.DRAFT)
    (refused,) = submit_noting(jobs, order, "ann", ("listen", 3), lane=Lane.DRAFT)
    assert "2 of your jobs are already waiting" in refused.refusal
    jobs.cancel(stopped)
    assert stopped.state == "cancelled"
    (withdrawn,) = submit_noting(jobs, order, "ann", ("judge", 4), lane=Lane.DRAFT)
    jobs.withdraw("ann", {"judge"})
    assert withdrawn.state == "cancelled"
    gate.may_end.set()
    ended(running, kept)
    assert order == [("listen", 1)]


def test_result_and_state_are_there_when_the_job_has_ended(jobs):
    job = jobs.submit("ann", "key", "Adding", lambda work: 1 + 1)
    ended(job)
    assert (job.state, job.result, job.refusal) == ("done", 2, None)
    assert (job.owner, job.key, job.title) == ("ann", "key", "Adding")


def test_jobs_of_one_person_run_in_the_order_they_came(jobs):
    gate, _ = at_work(jobs)
    order = []
    waiting = submit_noting(jobs, order, "ann", 1, 2, 3, 4)
    gate.may_end.set()
    ended(*waiting)
    assert order == [1, 2, 3, 4]


def test_people_take_turns_so_that_ten_jobs_do_not_delay_one(jobs):
    gate, _ = at_work(jobs)
    order = []
    waiting = submit_noting(jobs, order, "ann", "a1", "a2", "a3", "a4")
    waiting += submit_noting(jobs, order, "bob", "b1", "b2")
    waiting += submit_noting(jobs, order, "cy", "c1")
    gate.may_end.set()
    ended(*waiting)
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_a_newcomers_job_goes_before_the_next_job_of_the_person_being_served(jobs):
    gate, _ = at_work(jobs, owner="ann")
    order = []
    waiting = submit_noting(jobs, order, "bob", "b1")
    waiting += submit_noting(jobs, order, "ann", "a2")
    waiting += submit_noting(jobs, order, "bob", "b2")
    gate.may_end.set()
    ended(*waiting)
    assert order == ["b1", "a2", "b2"]


def test_one_job_runs_at_a_time(jobs):
    gate, first = at_work(jobs)
    (second,) = submit_noting(jobs, [], "ann", 1)
    assert (first.state, second.state) == ("running", "waiting")
    gate.may_end.set()
    ended(second)


def test_the_queue_position_counts_the_jobs_that_end_before_by_turns(jobs):
    gate, running = at_work(jobs)
    order = []
    a1, a2, a3 = submit_noting(jobs, order, "ann", "a1", "a2", "a3")
    b1, b2 = submit_noting(jobs, order, "bob", "b1", "b2")
    places = {len(jobs.ahead(job)): job.key for job in (a1, a2, a3, b1, b2)}
    assert len(jobs.ahead(running)) == 0
    assert jobs.ahead(b1) == [running, a1]
    assert [job.owner for job in jobs.ahead(a2)] == ["someone else", "ann", "bob"]
    assert sorted(places) == [1, 2, 3, 4, 5]
    gate.may_end.set()
    ended(a1, a2, a3, b1, b2)
    assert order == [places[place] for place in range(1, 6)]
    assert [len(jobs.ahead(job)) for job in (a1, a2, a3, b1, b2)] == 5 * [0]


def test_a_job_cancelled_while_waiting_never_starts_and_the_others_move_up(jobs):
    gate, _ = at_work(jobs)
    order = []
    one, two, three = submit_noting(jobs, order, "ann", 1, 2, 3)
    jobs.cancel(two)
    assert two.state == "cancelled"
    assert two.ended.is_set()
    assert (len(jobs.ahead(two)), len(jobs.ahead(three))) == (0, 2)
    gate.may_end.set()
    ended(one, three)
    assert order == [1, 3]


def test_the_last_waiting_job_of_a_person_can_be_cancelled_without_harm_to_the_queue(jobs):
    gate, _ = at_work(jobs)
    order = []
    (only,) = submit_noting(jobs, order, "ann", "a")
    (other,) = submit_noting(jobs, order, "bob", "b")
    jobs.cancel(only)
    gate.may_end.set()
    ended(other)
    assert order == ["b"]


def test_running_job_is_told_that_it_is_cancelled_and_the_next_one_runs(jobs):
    gate, running = at_work(jobs)
    (following,) = submit_noting(jobs, [], "ann", 1)
    jobs.cancel(running)
    gate.may_end.set()
    ended(running, following)
    assert (running.state, running.result, running.refusal) == ("cancelled", None, None)
    assert following.state == "done"


def test_cancelling_a_finished_job_keeps_its_result(jobs):
    (job,) = submit_noting(jobs, [], "ann", 7)
    ended(job)
    jobs.cancel(job)
    assert (job.state, job.result) == ("done", 7)


def test_a_refusal_keeps_its_text(jobs):
    def refuse(work):
        raise AudioRefused("hum.wav: the recording is silent.")

    job = jobs.submit("ann", "key", "Listening", refuse)
    ended(job)
    assert (job.state, job.refusal, job.result) == ("failed", "hum.wav: the recording is silent.", None)


def test_an_unexpected_error_is_logged_and_shown_as_a_sentence_and_the_queue_continues(jobs, caplog):
    def stumble(work):
        return 1 / 0

    job = jobs.submit("ann", "key", "Dividing", stumble)
    (following,) = submit_noting(jobs, [], "ann", 1)
    ended(job, following)
    assert job.state == "failed"
    assert "Something went wrong" in job.refusal
    assert "ZeroDivisionError" not in job.refusal
    assert "ZeroDivisionError" in caplog.text
    assert following.state == "done"


def test_progress_is_visible_during_the_work_and_stays_between_zero_and_one(jobs):
    cancelled, go_on = threading.Event(), threading.Event()
    seen = []

    def work(work):
        work.report(0.25, "Listening")
        cancelled.set()
        assert go_on.wait(PATIENCE_S)
        work.report(1.5, "Ending")

    job = jobs.submit("ann", "key", "Working", work)
    assert cancelled.wait(PATIENCE_S)
    seen.append((job.state, job.fraction, job.text))
    assert job.seconds_left >= 0
    go_on.set()
    ended(job)
    assert seen == [("running", 0.25, "Listening")]
    assert (job.fraction, job.text) == (1.0, "Ending")


def test_same_key_of_the_same_person_is_the_same_job_while_it_waits_runs_and_is_done(jobs):
    gate, running = at_work(jobs, owner="ann", result="first")
    assert jobs.submit("ann", "gate", "Again", Gate()) is running
    (waiting,) = submit_noting(jobs, [], "ann", "next")
    assert submit_noting(jobs, [], "ann", "next") == [waiting]
    gate.may_end.set()
    ended(running, waiting)
    assert jobs.submit("ann", "gate", "Again", Gate()) is running
    assert running.result == "first"


def test_same_key_of_another_person_is_another_job(jobs):
    gate, running = at_work(jobs, owner="ann")
    (other,) = submit_noting(jobs, [], "bob", "gate")
    assert other is not running
    gate.may_end.set()
    ended(other)
    assert other.result == "gate"


def test_a_result_is_found_again_by_its_key(jobs):
    done, *others = submit_noting(jobs, [], "ann", "kept", 1, 2, 3)
    ended(done, *others)
    assert jobs.find("ann", "kept") is done
    assert jobs.find("ann", "kept").result == "kept"
    assert jobs.find("ann", "never asked for") is None
    assert jobs.find("bob", "kept") is None


def test_dropped_job_may_be_submitted_again(jobs):
    (first,) = submit_noting(jobs, [], "ann", "key")
    ended(first)
    jobs.drop(first)
    assert jobs.find("ann", "key") is None
    (second,) = submit_noting(jobs, [], "ann", "key")
    assert second is not first
    ended(second)
    jobs.drop(first)
    assert jobs.find("ann", "key") is second


def test_a_job_dropped_while_running_is_cancelled_and_does_not_replace_its_successor(jobs):
    gate, running = at_work(jobs, owner="ann")
    jobs.drop(running)
    (second,) = submit_noting(jobs, [], "ann", "gate")
    assert second is not running
    gate.may_end.set()
    ended(running, second)
    assert (running.state, second.state) == ("cancelled", "done")


def test_what_a_cancelled_job_leaves_behind_is_forgotten_once_it_has_ended():
    states = []
    jobs = Jobs(after_cancelled=states.clear)

    def computing(work):
        gate(work)
        states.append("kept by the model")

    gate = Gate()
    running = jobs.submit("ann", "key", "Computing", computing)
    assert gate.began.wait(PATIENCE_S)
    waiting = jobs.submit("ann", "other", "Computing", lambda work: states.append("of another"))
    jobs.forget("ann")
    states.append("kept by the model")
    gate.may_end.set()
    ended(running, waiting)
    assert states == []
    undisturbed = jobs.submit("ann", "key", "Computing", lambda work: states.append("kept by the model"))
    ended(undisturbed)
    assert states == ["kept by the model"]


def test_ninth_waiting_job_of_one_person_is_refused_and_another_persons_is_not(jobs):
    gate, _ = at_work(jobs)
    waiting = submit_noting(jobs, [], "ann", *range(8))
    (refused,) = submit_noting(jobs, [], "ann", "one too many")
    assert (refused.state, refused.ended.is_set()) == ("failed", True)
    assert refused.refusal == "8 of your jobs are already waiting. Wait for one, or stop it."
    assert jobs.find("ann", "one too many") is None
    waiting += submit_noting(jobs, [], "bob", 1)
    gate.may_end.set()
    ended(*waiting)
    (again,) = submit_noting(jobs, [], "ann", "one too many")
    ended(again)
    assert again.state == "done"


def test_the_total_queue_is_limited_too_and_cancelling_makes_room():
    jobs = Jobs(most_waiting=3)
    gate, _ = at_work(jobs)
    waiting = [submit_noting(jobs, [], owner, 1)[0] for owner in ("ann", "bob", "cy")]
    (refused,) = submit_noting(jobs, [], "dee", 1)
    assert refused.refusal == "3 jobs are waiting on this machine. Try again in a few minutes."
    jobs.cancel(waiting[0])
    waiting += submit_noting(jobs, [], "dee", 1)
    gate.may_end.set()
    ended(*waiting)


def test_forgetting_a_person_cancels_only_their_jobs_and_drops_only_their_results(jobs):
    order = []
    done, bobs = submit_noting(jobs, order, "ann", "done") + submit_noting(jobs, order, "bob", "bobs")
    ended(done, bobs)
    gate, running = at_work(jobs, owner="ann")
    (waiting,) = submit_noting(jobs, order, "ann", "waiting")
    jobs.forget("ann")
    assert [jobs.find("ann", key) for key in ("done", "gate", "waiting")] == 3 * [None]
    assert jobs.find("bob", "bobs") is bobs
    gate.may_end.set()
    ended(running, waiting)
    assert (running.state, waiting.state) == ("cancelled", "cancelled")
    assert order == ["done", "bobs"]


def test_the_least_recently_used_result_is_forgotten_first():
    jobs = Jobs(max_results_per_owner=2)
    ended(*submit_noting(jobs, [], "ann", "first", "second"))
    assert jobs.find("ann", "first").result == "first"
    ended(*submit_noting(jobs, [], "ann", "third"))
    ended(*submit_noting(jobs, [], "ann", "fourth"))
    assert jobs.find("ann", "second") is None
    assert [jobs.find("ann", key).result for key in ("first", "third", "fourth")] == ["first", "third", "fourth"]


def test_results_are_not_forgotten_for_jobs_that_only_wait():
    jobs = Jobs(max_results_per_owner=2)
    done = submit_noting(jobs, [], "ann", "one") + submit_noting(jobs, [], "ann", "two")
    ended(*done)
    gate, _ = at_work(jobs)
    waiting = submit_noting(jobs, [], "bob", 1, 2, 3)
    assert [jobs.find("ann", key) for key in ("one", "two")] == done
    gate.may_end.set()
    ended(*waiting)


def test_results_of_one_person_are_not_evicted_by_those_of_others():
    jobs = Jobs(max_results_per_owner=2)
    anns = submit_noting(jobs, [], "ann", "one", "two")
    ended(*anns)
    for owner in ("bob", "cy", "dee"):
        ended(*submit_noting(jobs, [], owner, "one", "two", "three"))
    assert [jobs.find("ann", key) for key in ("one", "two")] == anns


def test_twenty_people_with_all_their_jobs_are_served_in_rounds_and_nobody_is_refused(jobs):
    gate, _ = at_work(jobs)
    order, people = [], [f"person {number}" for number in range(20)]
    waiting = [
        job for person in people for job in submit_noting(jobs, order, person, *((person, turn) for turn in range(8)))
    ]
    assert {job.state for job in waiting} == {"waiting"}
    places = sorted(len(jobs.ahead(job)) for job in waiting)
    assert places == list(range(1, 161))
    # The last person's first job is done before anybody's second.
    assert len(jobs.ahead(jobs.find("person 19", ("person 19", 0)))) == 20
    gate.may_end.set()
    ended(*waiting)
    assert order == [(person, turn) for turn in range(8) for person in people]


def test_queue_positions_only_decrease_while_others_are_served(jobs):
    gate, _ = at_work(jobs)
    seen, last = [], []
    for person in range(19):
        jobs.submit(f"person {person}", "key", "Noting", lambda *_: seen.append(len(jobs.ahead(last[0]))))
    last += submit_noting(jobs, [], "person 19", "mine")
    assert len(jobs.ahead(last[0])) == 20
    gate.may_end.set()
    ended(*last)
    assert seen == list(range(19, 0, -1))


def test_only_waiting_jobs_of_the_person_and_kinds_are_withdrawn(jobs):
    gate, _ = at_work(jobs, owner="ann")
    order = []
    old, export, plain = submit_noting(jobs, order, "ann", ("explain", 1), ("export", 1), "explain")
    (bobs,) = submit_noting(jobs, order, "bob", ("explain", 1))
    jobs.withdraw("ann", ("explain", "judge"))
    jobs.withdraw("nobody", ("explain",))
    assert (old.state, jobs.find("ann", ("explain", 1))) == ("cancelled", None)
    gate.may_end.set()
    ended(export, plain, bobs)
    assert order == [("export", 1), ("explain", 1), "explain"]
    assert jobs.find("ann", "gate").state == "done"


def test_a_result_of_an_earlier_visit_counts_as_a_finished_job(jobs):
    key = ("explain", "recording", "model")
    jobs.add_finished("ann", key, "LIME", 7)
    job = jobs.submit("ann", key, "LIME", lambda _: pytest.fail("this was computed before"))
    assert (job.state, job.result) == ("done", 7)
    gate, running = at_work(jobs, "ann")
    assert jobs.finished("ann", ["recording", "model"]) == [job]
    assert jobs.finished("ann", ["recording", "another model"]) == jobs.finished("bob", ["recording"]) == []
    gate.may_end.set()
    ended(running)
