"""Jobs of the app on a Dask cluster: byte-identical results, progress, Stop, and processes that die.

One scheduler and two workers, processes of their own, serve the file; the last test uses them up.
"""

import os
import threading
import time
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from ser_core.analysis import Region
from ser_core.batch import cluster as clusters
from ser_core.batch.cluster import Cluster
from ser_core.errors import Cancelled, ClusterRefused, ModelRefused, SettingsRefused
from ser_core.model.shipped_models import load_model, model_names
from ser_core.pipeline import (
    classify_recording,
    explain_words,
    explainer_run,
    judge_maps,
    target_of,
    with_deciding_focus,
)
from ser_core.pipeline.voice import find_voice_counterfactuals, speaker_normal
from ser_core.settings import AnalysisSettings
from ser_core.work.jobs import Jobs, Lane
from ser_core.work.progress import Work
from tests.test_batch import cluster, save_small_model, wait_until

pytestmark = pytest.mark.process

SETTINGS = AnalysisSettings().drafted()
PATIENCE_S = 120


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The address of a scheduler, its process, and those of its workers."""
    with cluster(tmp_path_factory.mktemp("cluster"), workers=2, allowed_failures=1) as processes:
        yield processes


@pytest.fixture(scope="module")
def dask_cluster(running):
    return Cluster(running[0])


@pytest.fixture(scope="module")
def classifier():
    return load_model("yamnet")


@pytest.fixture
def analysis(recording, classifier):
    second = replace(recording, samples=recording.samples[:16_000])  # one segment: the test is about the transport
    return classify_recording(second, classifier, SETTINGS)


def content(found):
    """Return the whole content of a result, arrays as bytes, except the seconds that it took."""
    if is_dataclass(found):
        found = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "seconds"}
    if isinstance(found, np.ndarray):
        return found.dtype, found.shape, found.tobytes()
    if isinstance(found, dict):
        return {name: content(value) for name, value in found.items()}
    return [content(one) for one in found] if isinstance(found, (list, tuple)) else found


# --- steps that a worker imports from here ---


def report_until_stopped(noted, work):
    Path(noted).write_text("began")
    while not work.stop():
        work.report(0.5, "half of it")
        time.sleep(0.05)
    Path(noted).write_text("stopped")
    raise Cancelled("Stopped.")


def die(home, work):
    if os.getpid() != home:
        os._exit(1)
    return "computed at home"


def refuse(work):
    raise SettingsRefused("There is no such thing. Choose another.")


# --- results ---


def test_a_worker_gives_the_same_bytes_for_explainers_focus_faithfulness_words_and_voice(
    dask_cluster, analysis, classifier
):
    run = explainer_run(analysis, "occlusion", classifier, SETTINGS)
    explanation = run.explain(target_of(analysis, SETTINGS), analysis.emotions)
    words = (Region(0.1, 0.5, label="one"), Region(0.6, 1.1, label="two"))
    steps = {
        "occlusion": lambda work: explainer_run(analysis, "occlusion", classifier, SETTINGS, work),
        "over time": lambda work: explainer_run(analysis, "lime_time", classifier, SETTINGS, work),
        "focus": lambda work: with_deciding_focus(analysis, explanation, classifier, SETTINGS, work),
        "faithfulness": lambda work: judge_maps(analysis, {"occlusion": explanation}, classifier, SETTINGS, work),
        "words": lambda work: explain_words(analysis, words, classifier, SETTINGS, work=work),
        "voice": lambda work: find_voice_counterfactuals(analysis, classifier, words[:1], work, unnatural=False),
    }
    sent = []

    def compute(function, arguments, work):
        sent.append(function)
        return dask_cluster.compute(function, arguments, work)

    for name, step in steps.items():
        assert content(step(Work(cluster=compute))) == content(step(Work())), name
    assert len(sent) == len(steps)


def test_model_that_is_adapted_to_a_voice_is_adapted_on_the_worker(dask_cluster, recording):
    if "whisper" not in model_names():
        pytest.skip("the model is not shipped")
    base = load_model("whisper")
    adapted = base.with_voice(speaker_normal([recording], base, mixed=True))
    analysis = classify_recording(recording, adapted, SETTINGS)
    here, away = (
        explainer_run(analysis, "grad_cam", adapted, SETTINGS, work)
        for work in (Work(), Work(cluster=dask_cluster.compute))
    )
    assert content(here) == content(away)


def test_a_model_that_a_worker_lacks_is_refused_with_the_names_of_both(dask_cluster, recording, tmp_path):
    classifier = load_model(save_small_model(tmp_path / "mine"))
    analysis = classify_recording(recording, classifier, SETTINGS)
    with pytest.raises(ModelRefused, match=r"worker .* does not have the model mine"):
        explainer_run(analysis, "occlusion", classifier, SETTINGS, Work(cluster=dask_cluster.compute))


def test_model_with_another_card_is_a_refusal(dask_cluster, analysis, monkeypatch):
    other = load_model("yamnet")
    monkeypatch.setattr(other, "temperature", 7.0)
    with pytest.raises(ModelRefused, match="card of the model yamnet is different"):
        explainer_run(analysis, "occlusion", other, SETTINGS, Work(cluster=dask_cluster.compute))


def test_the_refusal_of_a_step_is_passed_on_unchanged(dask_cluster):
    with pytest.raises(SettingsRefused, match="no such thing"):
        dask_cluster.compute(refuse, (), Work())


def test_step_that_a_worker_does_not_know_is_a_refusal(dask_cluster, monkeypatch):
    monkeypatch.setattr("tests.test_cluster.new", refuse, raising=False)
    monkeypatch.setattr(refuse, "__qualname__", "new")
    with pytest.raises(ClusterRefused, match="another version"):
        dask_cluster.compute(refuse, (), Work())


def test_jobs_on_workers_report_progress_run_in_parallel_and_can_be_stopped(dask_cluster, tmp_path):
    queue, notes = Jobs(cluster=dask_cluster), [tmp_path / "0", tmp_path / "1"]

    def submit(note):
        step = lambda work: work.compute(report_until_stopped, str(note))  # noqa: E731
        return queue.submit("ann", note.name, "Working", step, Lane.CLUSTER_FULL)

    jobs = [submit(note) for note in notes]
    wait_until(lambda: all(job.fraction == 0.5 for job in jobs))
    assert {job.text for job in jobs} == {"half of it"}
    queue.cancel(jobs[0])
    queue.forget("ann")
    wait_until(lambda: all(note.read_text() == "stopped" for note in notes))
    assert [job.state for job in jobs if job.ended.wait(PATIENCE_S)] == ["cancelled", "cancelled"]


# --- what dies ---


def test_a_scheduler_that_does_not_answer_is_waited_for_once_and_work_is_done_locally(monkeypatch, caplog):
    monkeypatch.setattr(clusters, "CONNECT_TIMEOUT_S", 0.5)
    nobody, at_once, most = Cluster("tcp://127.0.0.1:9"), [], []

    def step(work):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.05)
        at_once.pop()
        return work.cluster

    queue = Jobs(cluster=nobody)
    jobs = [queue.submit("ann", n, "Working", lambda work: work.compute(step), Lane.CLUSTER_DRAFT) for n in range(3)]
    assert [job.result for job in jobs if job.ended.wait(PATIENCE_S)] == [None] * 3
    assert max(most) == 1
    assert [record.msg for record in caplog.records].count("The scheduler of the cluster does not answer") == 1


def test_a_step_that_kills_workers_is_retried_then_refused_and_computed_locally_without_a_cluster(
    dask_cluster, running, monkeypatch
):
    _, scheduler, workers = running
    assert dask_cluster.threads() == 2
    with pytest.raises(ClusterRefused, match="died"):
        dask_cluster.compute(die, (os.getpid(),), Work())
    for worker in workers:
        worker.join(PATIENCE_S)
    assert [worker.exitcode for worker in workers] == [1, 1]
    assert dask_cluster.threads() == 0

    reports = []
    watched = Work(lambda _, text: reports.append(text))
    assert dask_cluster.compute(die, (os.getpid(),), watched) == "computed at home"
    monkeypatch.setattr(clusters, "NO_WORKERS_TIMEOUT_S", 0.5)
    monkeypatch.setattr(clusters, "CHECK_WORKERS_S", 0.1)
    threads = iter([1])  # then they are gone
    monkeypatch.setattr(dask_cluster, "threads", lambda: next(threads, 0))
    assert dask_cluster.compute(die, (os.getpid(),), watched) == "computed at home"
    gone = "The cluster cannot be reached; computing here"
    assert reports == [gone, "Waiting for a worker of the cluster", gone]

    monkeypatch.setattr(dask_cluster, "threads", lambda: 1)
    killer = threading.Timer(0.5, scheduler.kill)
    killer.start()
    assert dask_cluster.compute(die, (os.getpid(),), Work()) == "computed at home"
    monkeypatch.undo()
    assert dask_cluster.threads() == 0
    assert dask_cluster.compute(die, (os.getpid(),), Work()) == "computed at home"
