"""Batches: each recording is analysed once, whatever process dies; workers are real unless a test says otherwise."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import dask
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from ser_core.audio.reading import read_recording
from ser_core.batch import chunk as chunks
from ser_core.batch import dask_engine, run
from ser_core.batch.chunk import WorkerSettings, analyse_chunk
from ser_core.batch.local_engine import local_engine
from ser_core.batch.recordings import find_recordings
from ser_core.batch.results import ResultsFolder
from ser_core.batch.run import run_batch
from ser_core.commands import main
from ser_core.errors import BatchRefused, Cancelled, CorpusRefused, SettingsRefused
from ser_core.model.checkpoint import save_model
from ser_core.model.networks.whisper import Whisper
from ser_core.model.networks.yamnet import YAMNet
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import analyse_recording, find_focus
from ser_core.pipeline.voice import speaker_normal
from ser_core.settings import AnalysisSettings, FocusSettings, FrontEnd, LimeSettings
from ser_core.work.progress import UNWATCHED, Work
from tests.broken_machine import forks
from tests.conftest import voice_like
from tests.running_app import ROOT
from tests.tiny_networks import EMOTIONS, fresh

pytestmark = pytest.mark.process

#: With a fixed share: threads and bfloat16 change scores a little, and with them the focus that decides.
SETTINGS = AnalysisSettings(explain=("grad_cam",), focus_by="grad_cam", focus=FocusSettings(share=0.35))
VERDICTS_ONLY = AnalysisSettings(explain=(), focus_by=None)
RECORDINGS = 12
MORE = 12
PATIENCE_S = 120


def save_small_model(folder, seed=0):
    card = {"architecture": "yamnet", "emotions": list(EMOTIONS), "front_end": asdict(FrontEnd()), "temperature": 1.0}
    save_model(folder, fresh(YAMNet, seed=seed), card, [("0" * 64, "corpus:1")], "# small\n")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def recordings_folder(tmp_path_factory):
    """Twelve recordings, one of them twice, and a file that is not audio."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(RECORDINGS):
        path = folder / ("deep/er" if number % 2 else "") / f"{number:02d}.flac"
        soundfile.write(path, voice_like(0.8 + 0.1 * number, 16_000, seed=number), 16_000)
    shutil.copy(folder / "00.flac", folder / "deep" / "copy of 00.flac")
    (folder / "text.wav").write_text("this is no sound")
    return folder


def batch(recordings_folder, model, out, **more):
    return run_batch(recordings_folder, str(model), SETTINGS, out, **({"chunk_size": 1} | more))


@pytest.fixture(scope="module")
def reference_run(recordings_folder, model, tmp_path_factory):
    """The folder and counts of an uninterrupted run by two local processes."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    return out, batch(recordings_folder, model, out, workers=2, chunk_size=5)


def table(out):
    """Return all rows as Parquet readers give them, sorted by the recordings' hashes."""
    return pd.read_parquet(out / "results").sort_values("sha256").reset_index(drop=True)


def failures(out):
    with (out / "failures.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def assert_equals_reference(out, reference_run):
    """All recordings once, none lost, none twice, and the same figures to the last bit."""
    pd.testing.assert_frame_equal(table(out), table(reference_run[0]), check_exact=True)
    assert [failed["path"] for failed in failures(out)] == ["text.wav"]


class AfterFirstChunk:
    """A progress callback that runs an action after the first chunk, while others are still running."""

    def __init__(self, action):
        self.action, self.fractions = action, []

    def __call__(self, fraction, text):
        if not fraction:
            return
        if not self.fractions:
            assert fraction < 0.5
            self.action()
        self.fractions.append(fraction)


class InThisProcess:
    """An engine that remembers what was analysed; a chunk with one of `deadly` kills its worker."""

    def __init__(self, deadly=()):
        self.analysed, self.deadly, self.deaths = Counter(), set(deadly), 0

    def __call__(self, *args):
        return self

    def __enter__(self):
        return self.run_chunks

    def __exit__(self, *error):
        return None

    def run_chunks(self, waiting, worker):
        while waiting:
            chunk = waiting.popleft()
            names = [Path(path).name for _, path in chunk.recordings]
            if self.deadly & set(names):
                self.deaths += 1
                yield chunk, None
                continue
            self.analysed.update(names)
            yield chunk, analyse_chunk(chunk, worker)


@pytest.fixture
def engine(monkeypatch):
    one = InThisProcess()
    monkeypatch.setattr(run, "_start_engine", one)
    return one


# --- results ---


def test_figures_and_focus_equal_the_pipelines(recordings_folder, model, reference_run):
    rows = {row["path"]: row for row in table(reference_run[0]).to_dict("records")}
    classifier = load_model(model)
    for path in ("00.flac", "deep/er/07.flac"):
        analysis = analyse_recording(read_recording(recordings_folder / path), classifier, SETTINGS)
        row = rows[path]
        assert row["sha256"] == analysis.recording.sha256
        assert (row["duration_s"], row["sample_rate_hz"]) == (analysis.recording.duration_s, 16_000)
        assert (row["emotion"], row["verdict"]) == (analysis.emotion, analysis.verdict)
        assert list(row["warnings"]) == list(analysis.warnings)
        # Threads share sums in another order, and bfloat16 has steps.
        assert [row[f"p_{emotion}"] for emotion in EMOTIONS] == pytest.approx(analysis.scores.recording, abs=0.01)
        found = [(focus["start_s"], focus["end_s"]) for focus in row["focus_grad_cam"]]
        focused = find_focus(analysis, "grad_cam", classifier, SETTINGS).focus
        expected = [(focus.region.start_s, focus.region.end_s) for focus in focused]
        assert len(found) == len(expected) > 0
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, abs=0.02)


def test_identical_files_are_analysed_once_and_both_are_named(recordings_folder, reference_run):
    out, counts = reference_run
    assert (counts.files, counts.recordings, counts.done) == (RECORDINGS + 2, RECORDINGS + 1, RECORDINGS)
    assert table(out)["sha256"].is_unique
    files = pd.read_parquet(out / "recordings.parquet")
    twins = files[files["sha256"] == files.set_index("path")["sha256"]["00.flac"]]
    assert sorted(twins["path"]) == ["00.flac", "deep/copy of 00.flac"]
    assert set(table(out)["sha256"]) < set(files["sha256"])
    assert len(files) == counts.files


def test_a_failure_is_listed_with_its_reason_and_affects_no_other_recording(reference_run):
    out, counts = reference_run
    (failed,) = failures(out)
    assert (failed["path"], counts.failed) == ("text.wav", 1)
    assert failed["reason"].startswith("this is not readable audio")
    assert len(failed["sha256"]) == 64
    assert len(table(out)) == RECORDINGS


def test_batch_json_says_what_made_the_results(model, reference_run):
    out, counts = reference_run
    about = json.loads((out / "batch.json").read_text())
    assert about["model"]["sha256"] == load_model(model).sha256
    assert about["settings"]["explain"] == ["grad_cam"]
    assert about["counts"] == asdict(counts)
    assert about["versions"]["torch"] == torch.__version__
    assert counts.audio_s == pytest.approx(sum(0.8 + 0.1 * number for number in range(RECORDINGS)))


def test_no_file_is_left_half_written(reference_run):
    names = [path.name for path in reference_run[0].rglob("*") if path.is_file() and path.name != ".lock"]
    assert not [name for name in names if name.startswith(".")]
    assert sum(len(pq.read_table(part)) for part in (reference_run[0] / "results").iterdir()) == RECORDINGS
    assert len(list((reference_run[0] / "results").iterdir())) == 3


# --- engines, and what dies ---


def test_dask_gives_the_same_table_as_local_processes(recordings_folder, model, reference_run, tmp_path):
    counts = batch(recordings_folder, model, tmp_path / "out", engine="dask", workers=1)
    assert counts.new == RECORDINGS
    assert_equals_reference(tmp_path / "out", reference_run)


def wait_until(true, alive=lambda: True):
    for _ in range(PATIENCE_S * 20):
        if true():
            return
        assert alive(), "the process has ended early"
        time.sleep(0.05)
    raise TimeoutError("it did not happen")


def run_dask(kind, log, allowed_failures, *arguments):
    """Run a scheduler or worker of Dask as its command does, in this process."""
    dask.config.set({"distributed.scheduler.allowed-failures": allowed_failures})
    for descriptor in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), descriptor)
    os.chdir(ROOT)
    import_module(f"distributed.cli.dask_{kind}").main(["--no-dashboard", *arguments])


@contextmanager
def cluster(folder, workers, allowed_failures=3):
    """Start a scheduler and workers, each a process; yield the address, the scheduler and the workers."""
    about, started = folder / "scheduler.json", []

    def start(kind, *arguments):
        # A lost worker is noticed within seconds on any machine: its connection ends.
        started.append(
            forks.Process(target=run_dask, args=(kind, str(folder / "cluster.log"), allowed_failures, *arguments))
        )
        started[-1].start()

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(about))
        wait_until(about.exists, started[0].is_alive)
        wait_until(lambda: about.read_text().strip().endswith("}"), started[0].is_alive)
        address = json.loads(about.read_text())["address"]
        for _ in range(workers):
            start("worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
        yield address, started[0], started[1:]
    finally:
        for process in started:
            process.kill()
            process.join()


def dies_before_it_sends_the_second_result(worker):
    outcome, results = dask_engine._outcome, []

    def killing(future):
        if results:
            worker.kill()
            worker.join(PATIENCE_S)
        results.append(future)
        return outcome(future)

    return killing


def test_a_cluster_that_loses_a_worker_continues_and_one_that_loses_all_is_refused(
    recordings_folder, model, reference_run, tmp_path, monkeypatch
):
    out, other, third = (tmp_path / name for name in ("out", "other", "third"))
    with cluster(tmp_path, workers=2) as (address, _, workers):
        on_cluster = {"engine": "dask", "scheduler": address}
        counts = batch(recordings_folder, model, out, **on_cluster, work=Work(AfterFirstChunk(workers[0].kill)))
        workers[0].join(PATIENCE_S)
        assert workers[0].exitcode == -signal.SIGKILL
        assert workers[1].is_alive()
        for patience in ("NO_WORKERS_TIMEOUT_S", "POLL_S", "FIRST_WORKER_TIMEOUT_S"):
            monkeypatch.setattr(dask_engine, patience, 0.5)
        monkeypatch.setattr(dask_engine, "_outcome", dies_before_it_sends_the_second_result(workers[1]))
        with pytest.raises(BatchRefused, match="lost all its workers"):
            batch(recordings_folder, model, other, **on_cluster)
        with pytest.raises(BatchRefused, match="has no workers"):
            batch(recordings_folder, model, third, **on_cluster)
    assert counts.new == RECORDINGS
    assert_equals_reference(out, reference_run)
    assert 0 < len(table(other)) < RECORDINGS
    assert not third.exists()


def test_a_cluster_whose_scheduler_dies_is_refused_and_another_engine_continues(
    recordings_folder, model, reference_run, tmp_path
):
    gone = pytest.raises(BatchRefused, match="The scheduler cannot be reached")
    with cluster(tmp_path, workers=1) as (address, scheduler, _), gone:
        batch(
            recordings_folder,
            model,
            tmp_path / "out",
            engine="dask",
            scheduler=address,
            work=Work(AfterFirstChunk(scheduler.kill)),
        )
    before = len(table(tmp_path / "out"))
    assert 0 < before < RECORDINGS
    assert batch(recordings_folder, model, tmp_path / "out", workers=1, chunk_size=5).new == RECORDINGS - before
    assert_equals_reference(tmp_path / "out", reference_run)


def workers_of_engine():
    """Return the processes of the engine `local`: those that the fork server has forked."""
    return [
        worker
        for child in psutil.Process().children()
        if "forkserver" in " ".join(child.cmdline())
        for worker in child.children()
    ]


def test_a_local_process_that_dies_while_idle_is_replaced(recordings_folder, model):
    worker = WorkerSettings(str(model), chunks.model_identity(load_model(model)), VERDICTS_ONLY)
    path = recordings_folder / "00.flac"
    chunk = chunks.Chunk(((read_recording(path).sha256, str(path)),))
    with local_engine(1) as run_chunks:
        (first,) = run_chunks(deque([chunk]), worker)
        killed = workers_of_engine()
        for child in killed:
            child.kill()
        psutil.wait_procs(killed, PATIENCE_S)
        time.sleep(0.5)  # until its pool notices
        (second,) = run_chunks(deque([chunk]), worker)
    assert len(killed) == 1
    assert first == second
    assert [row["sha256"] for row in first[1].rows] == [chunk.recordings[0][0]]


def test_a_local_process_that_is_killed_mid_run_costs_no_recording(recordings_folder, model, reference_run, tmp_path):
    def kill_one():
        workers = workers_of_engine()
        assert len(workers) == 2
        workers[0].kill()

    kill = AfterFirstChunk(kill_one)
    batch(recordings_folder, model, tmp_path / "out", workers=2, chunk_size=2, work=Work(kill))
    assert kill.fractions[-1] == 1
    assert_equals_reference(tmp_path / "out", reference_run)


def has_ended(process):
    """Whether a process has ended, even if nobody waited for it because its parent was killed."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def command(recordings_folder, model, out, *more):
    """Start the command as a terminal does, in a group of its own, and wait for its first results."""
    line = [
        sys.executable,
        "-m",
        "ser_core",
        "batch",
        str(recordings_folder),
        "--model",
        str(model),
        "--out",
        str(out),
        *more,
    ]
    # A shell that runs the tests in the background makes their processes ignore Ctrl-C.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            line, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, previous)
    family = []
    try:
        wait_until(lambda: list((out / "results").glob("*.parquet")), lambda: process.poll() is None)
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        yield process
        wait_until(lambda: all(map(has_ended, family)))
    finally:
        for child in [process, *family]:
            if psutil.pid_exists(child.pid):
                child.kill()
        process.communicate()


@pytest.fixture(scope="module")
def longer(recordings_folder, tmp_path_factory):
    """A folder with more chunks than are processed at once."""
    folder = tmp_path_factory.mktemp("longer")
    shutil.copytree(recordings_folder, folder, dirs_exist_ok=True)
    for number in range(MORE):
        soundfile.write(folder / f"more{number}.flac", voice_like(1.2, 16_000, seed=100 + number), 16_000)
    return folder


def test_a_killed_run_resumes_where_it_stopped(longer, model, tmp_path, engine):
    out, whole = tmp_path / "out", tmp_path / "whole"
    explained = ("--explain", "grad_cam")
    with command(longer, model, out, *explained, "--workers", "2") as process:
        process.kill()
        process.wait()
    before = {part: part.read_bytes() for part in (out / "results").glob("*.parquet")}
    done = sum(len(pq.read_table(part)) for part in before)
    assert 0 < done < RECORDINGS + MORE
    arguments = ["batch", str(longer), "--model", str(model), *explained, "--workers", "1"]
    assert main([*arguments, "--out", str(out)]) == 2
    assert {part: part.read_bytes() for part in before} == before
    assert json.loads((out / "batch.json").read_text())["counts"]["new"] == RECORDINGS + MORE - done
    assert main([*arguments, "--out", str(whole)]) == 2
    pd.testing.assert_frame_equal(table(out), table(whole), check_exact=True)
    assert len(table(out)) == RECORDINGS + MORE


@pytest.mark.parametrize("engine", run.ENGINES)
def test_ctrl_c_ends_all_processes_and_keeps_finished_results(longer, model, tmp_path, engine):
    out, explained = tmp_path / "out", ("--explain", "grad_cam", "--workers", "1")
    with command(longer, model, out, *explained, "--engine", engine) as process:
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    lines = [line for line in errors.splitlines() if " %  " not in line]
    assert lines == [f"Stopped. Results so far are saved in {out}; the same command continues from there."]
    assert 0 < len(table(out)) < RECORDINGS + MORE


def test_a_second_ctrl_c_while_processes_end_leaves_none_behind(monkeypatch):
    class InterruptedAgain(ProcessPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            processes.extend(self._processes.values())
            signal.raise_signal(signal.SIGINT)
            super().shutdown(wait, cancel_futures=cancel_futures)

    processes = []
    monkeypatch.setattr(import_module("ser_core.batch.local_engine"), "ProcessPoolExecutor", InterruptedAgain)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with local_engine(2):
            pass
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, previous)
    assert len(processes) == 2
    assert not any(process.is_alive() for process in processes)


def test_a_worker_computes_with_one_thread(model):
    chunks._model.cache_clear()
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert torch.get_num_threads() == 3
        chunks._model(str(model))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)  # threads that start later would compute with three, and add up in another order


# --- a whole run, with an engine in this process ---


def test_a_recording_that_kills_its_worker_fails_alone(recordings_folder, model, tmp_path, engine):
    engine.deadly = {"02.flac"}
    counts = batch(recordings_folder, model, tmp_path / "out", chunk_size=20)
    assert engine.deaths == 2
    assert (counts.done, counts.failed) == (RECORDINGS - 1, 2)
    reasons = {failed["path"]: failed["reason"] for failed in failures(tmp_path / "out")}
    assert reasons["02.flac"].startswith("The process that analysed it died")
    assert "text.wav" in reasons


def test_finished_recordings_are_skipped_and_failed_ones_are_retried(recordings_folder, model, tmp_path, engine):
    engine.deadly = {"02.flac", "03.flac"}
    batch(recordings_folder, model, tmp_path / "out", chunk_size=4)
    engine.deadly, engine.analysed = {"02.flac"}, Counter()
    counts = batch(recordings_folder, model, tmp_path / "out", chunk_size=4)
    assert engine.analysed == {"03.flac": 1, "text.wav": 1}
    assert (counts.new, counts.done, counts.failed) == (1, RECORDINGS - 1, 2)


def test_in_a_grown_folder_only_new_recordings_are_analysed(recordings_folder, model, tmp_path, engine):
    grown = tmp_path / "grown"
    shutil.copytree(recordings_folder, grown)
    batch(grown, model, tmp_path / "out", chunk_size=4)
    engine.analysed.clear()
    shutil.copy(recordings_folder / "02.flac", grown / "another name.flac")
    soundfile.write(grown / "new.wav", voice_like(1.0, 16_000, seed=50), 16_000)
    counts = batch(grown, model, tmp_path / "out", chunk_size=4)
    assert engine.analysed == {"new.wav": 1, "text.wav": 1}
    assert (counts.files, counts.recordings, counts.done, counts.new) == (16, 14, 13, 1)


def test_an_unexpected_error_fails_only_its_recording_with_one_line(
    recordings_folder, model, tmp_path, engine, monkeypatch
):
    def analyse(recording, *more, **named):
        if recording.name == "04.flac":
            raise RuntimeError("out of\n   luck")
        return analyse_recording(recording, *more, **named)

    monkeypatch.setattr(chunks, "analyse_recording", analyse)
    assert batch(recordings_folder, model, tmp_path / "out", chunk_size=20).done == RECORDINGS - 1
    reasons = {failed["path"]: failed["reason"] for failed in failures(tmp_path / "out")}
    assert reasons["04.flac"] == "RuntimeError: out of luck"


def test_a_file_that_changes_after_it_was_hashed_is_not_given_the_other_s_figures(
    recordings_folder, model, tmp_path, engine
):
    changing = tmp_path / "changing"
    shutil.copytree(recordings_folder, changing)

    def change():
        shutil.copy(changing / "00.flac", changing / "10.flac")

    batch(changing, model, tmp_path / "out", work=Work(AfterFirstChunk(change)))
    reasons = {failed["path"]: failed["reason"] for failed in failures(tmp_path / "out")}
    assert "has changed since" in reasons["10.flac"]
    assert len(table(tmp_path / "out")) == RECORDINGS - 1


def test_a_manifest_lists_the_recordings_and_its_wrong_rows_are_failures(recordings_folder, model, tmp_path, engine):
    manifest = tmp_path / "list.csv"
    for name in ("00.flac", "02.flac", "04.flac"):
        shutil.copy(recordings_folder / name, tmp_path / name)
    rows = "00.flac,anger,anna\n02.flac,sadness,ben\nmissing.flac,joy,ben\n=cmd.flac,joy,ben\n"
    manifest.write_text("path,emotion,speaker\n" + rows)
    counts = batch(manifest, model, tmp_path / "out")
    assert sorted(table(tmp_path / "out")["path"]) == ["00.flac", "02.flac"]
    assert (counts.recordings, counts.failed) == (2, 2)
    reasons = {failed["path"]: failed["reason"] for failed in failures(tmp_path / "out")}
    assert reasons["missing.flac"].startswith("row 4: there is no file")
    assert "'=cmd.flac" in reasons  # a spreadsheet would run this as a formula


def test_a_manifest_of_a_batch_needs_no_emotions_and_speakers_only_if_judged_by_them(
    recordings_folder, voiced, tmp_path
):
    for name in ("00.flac", "02.flac", "04.flac"):
        shutil.copy(recordings_folder / name, tmp_path / name)
    paths, people = tmp_path / "paths.csv", tmp_path / "people.csv"
    paths.write_text("path,emotion\n00.flac,\n02.flac,unheard of\n")
    people.write_text("path,speaker\n00.flac,ann\n02.flac,ann\n04.flac,\n")
    assert batch(paths, voiced, tmp_path / "by path").done == 2
    assert batch(people, voiced, tmp_path / "by row").done == 3
    counts = by_speaker(people, voiced, tmp_path / "by speaker")
    assert (counts.done, counts.failed) == (2, 1)
    assert sorted(table(tmp_path / "by speaker")["voice_recordings"]) == [2, 2]
    assert [failed["reason"] for failed in failures(tmp_path / "by speaker")] == ["row 4: no speaker"]
    with pytest.raises(CorpusRefused, match="needs each of path, speaker once"):
        by_speaker(paths, voiced, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_each_explainer_has_its_own_focus_column(recordings_folder, model, tmp_path, engine):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(recordings_folder / "00.flac", alone)
    settings = AnalysisSettings(explain=("lime_time", "grad_cam"), lime=LimeSettings(masks=8), seed=3)
    run_batch(alone, str(model), settings, tmp_path / "out", workers=1)
    (row,) = table(tmp_path / "out").to_dict("records")
    classifier = load_model(model)
    analysis = analyse_recording(read_recording(alone / "00.flac"), classifier, settings)
    for method in settings.explain:
        expected = find_focus(analysis, method, classifier, settings).focus
        assert [focus["start_s"] for focus in row[f"focus_{method}"]] == [f.region.start_s for f in expected]
        assert [focus["share"] for focus in row[f"focus_{method}"]] == pytest.approx([f.share for f in expected])


def test_a_batch_that_is_cancelled_keeps_what_is_done(recordings_folder, model, tmp_path, engine):
    with pytest.raises(Cancelled, match="continues from there"):
        batch(recordings_folder, model, tmp_path / "out", chunk_size=3, work=Work(stop=lambda: True))
    assert len(table(tmp_path / "out")) == 3


def test_progress_counts_finished_recordings_up_to_all(recordings_folder, model, tmp_path, engine):
    reports = []
    batch(recordings_folder, model, tmp_path / "out", chunk_size=5, work=Work(lambda *said: reports.append(said)))
    assert [fraction for fraction, _ in reports if fraction] == pytest.approx([5 / 13, 10 / 13, 1.0])
    assert reports[-1][1] == "12 of 13 recordings, 1 failed"


# --- refusals ---


def test_a_folder_without_audio_is_refused_and_nothing_is_written(model, tmp_path, engine):
    (tmp_path / "empty").mkdir()
    for empty in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(BatchRefused, match="No audio was found under"):
            batch(empty, model, tmp_path / "out")
    with pytest.raises(CorpusRefused, match="cannot be read as CSV"):
        batch(tmp_path / "missing.csv", model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_resuming_with_another_model_settings_or_recordings_is_refused(recordings_folder, model, tmp_path, engine):
    out = tmp_path / "out"
    batch(recordings_folder, model, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    other = save_small_model(tmp_path / "small", seed=1)
    with pytest.raises(BatchRefused, match="holds a batch with another model"):
        batch(recordings_folder, other, out)
    with pytest.raises(BatchRefused, match="holds a batch with other settings"):
        run_batch(recordings_folder, str(model), VERDICTS_ONLY, out)
    with pytest.raises(BatchRefused, match="holds a batch of other recordings"):
        batch(recordings_folder / "deep", model, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert batch(recordings_folder, shutil.copytree(model, tmp_path / "moved"), out).new == 0


def test_a_worker_with_another_model_ends_the_batch(recordings_folder, model, tmp_path, engine, monkeypatch):
    monkeypatch.setattr(
        run, "model_identity", lambda classifier: chunks.model_identity(classifier) | {"temperature": 2.0}
    )
    with pytest.raises(BatchRefused, match=r"The model small on .* is not the one"):
        batch(recordings_folder, model, tmp_path / "out")


def test_a_second_run_into_the_same_folder_is_refused(recordings_folder, model, tmp_path, engine):
    def begin_another():
        with pytest.raises(BatchRefused, match="Another run is writing to"):
            batch(recordings_folder, model, tmp_path / "out")

    assert (
        batch(recordings_folder, model, tmp_path / "out", work=Work(AfterFirstChunk(begin_another))).done == RECORDINGS
    )


def test_a_damaged_part_is_named_and_its_recordings_are_analysed_again_once_it_is_deleted(
    recordings_folder, model, tmp_path, engine
):
    batch(recordings_folder, model, tmp_path / "out", chunk_size=4)
    whole = table(tmp_path / "out")
    part = tmp_path / "out" / "results" / "part-000002.parquet"
    part.write_bytes(part.read_bytes()[:-5])
    with pytest.raises(BatchRefused, match=r"part-000002.parquet is damaged .* Delete it"):
        batch(recordings_folder, model, tmp_path / "out", chunk_size=4)
    part.unlink()
    assert batch(recordings_folder, model, tmp_path / "out", chunk_size=4).new == 4
    pd.testing.assert_frame_equal(table(tmp_path / "out"), whole)


def test_results_of_unknown_origin_are_left_alone(recordings_folder, model, tmp_path, engine):
    batch(recordings_folder, model, tmp_path / "out")
    (tmp_path / "out" / "batch.json").write_text("[")
    with pytest.raises(BatchRefused, match="cannot be read"):
        batch(recordings_folder, model, tmp_path / "out")
    (tmp_path / "out" / "batch.json").unlink()
    with pytest.raises(BatchRefused, match="unknown batch"):
        batch(recordings_folder, model, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(
    recordings_folder, model, tmp_path, engine, monkeypatch
):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BatchRefused, match="cannot be written"):
        batch(recordings_folder, model, tmp_path / "file" / "out")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BatchRefused, match="No space left on device"):
        batch(recordings_folder, model, tmp_path / "out")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"engine": "spark"}, "no engine 'spark'"),
        ({"scheduler": "127.0.0.1:8786"}, "needs the engine dask"),
        ({"engine": "dask", "scheduler": "127.0.0.1:8786", "workers": 2}, "has its own workers"),
        ({"workers": 0}, "at least 1 worker"),
        ({"settings": AnalysisSettings(explain=("magic",))}, "no explainer 'magic'"),
        (
            {"model": "mfcc_svm", "settings": AnalysisSettings(explain=("grad_cam",))},
            "mfcc_svm cannot be explained by grad_cam",
        ),
        ({"settings": AnalysisSettings(emotion="boredom")}, "does not know the emotion"),
    ],
)
def test_impossible_arguments_are_refused_before_anything_is_started(recordings_folder, model, tmp_path, args, said):
    args = {"model": str(model), "settings": SETTINGS} | args
    with pytest.raises(SettingsRefused, match=said):
        run_batch(recordings_folder, args.pop("model"), args.pop("settings"), tmp_path / "out", **args)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "127.0.0.1:notaport"])
def test_an_unknown_scheduler_is_refused_in_one_sentence(recordings_folder, model, tmp_path, capfd, address):
    arguments = ["batch", str(recordings_folder), "--model", str(model), "--engine", "dask", "--scheduler", address]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    output = capfd.readouterr()
    assert output.err == f"No Dask scheduler answers at {address!r}. Start one (dask scheduler) and give its address.\n"
    assert output.out == ""
    assert not (tmp_path / "out").exists()


def test_a_refused_run_unlocks_its_folder(tmp_path):
    about = {"place": "a", "model": {}, "settings": {}}
    schema = run.columns(EMOTIONS, ())
    with ResultsFolder(tmp_path / "out", about, schema):
        pass
    with pytest.raises(BatchRefused, match="of other recordings"):
        ResultsFolder(tmp_path / "out", about | {"place": "b"}, schema)
    with ResultsFolder(tmp_path / "out", about, schema) as results:
        assert results.done == {}


def test_in_a_folder_links_are_not_followed_and_pipes_not_waited_for(tmp_path):
    folder, secret = tmp_path / "folder", tmp_path / "secret.wav"
    folder.mkdir()
    secret.write_bytes(b"RIFF secret")
    (folder / "own.wav").write_bytes(b"RIFF own")
    (folder / "link.wav").symlink_to(secret)
    os.mkfifo(folder / "pipe.wav")
    found = find_recordings(folder, UNWATCHED)
    assert [path.name for paths in found.files.values() for path in paths] == ["own.wav"]
    assert sorted(path.name for path, reason in found.failures if "no such file" in reason) == ["link.wav", "pipe.wav"]


# --- speakers judged by their own normal ---


@pytest.fixture(scope="module")
def voiced(tmp_path_factory):
    """A model that can judge a voice by its own normal, with random weights."""
    folder = tmp_path_factory.mktemp("models") / "voiced"
    card = {"architecture": "whisper", "emotions": list(EMOTIONS), "temperature": 1.0}
    card |= {
        "front_end": asdict(Whisper.front_end),
        "voice": {"one_emotion_spread": -2.0, "mixed_spread": -1.0},
    }
    save_model(folder, fresh(Whisper), card, [("0" * 64, "corpus:1")], "# voiced\n")
    return folder


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Three recordings of one person and two of another; one more of Ann's that is not audio."""
    folder = tmp_path_factory.mktemp("people")
    rows = ["path,emotion,speaker"]
    for number, speaker in enumerate(("ann", "bea", "ann", "bea", "ann")):
        soundfile.write(folder / f"{number}.wav", voice_like(1.0 + 0.2 * number, 16_000, seed=number), 16_000)
        rows.append(f"{number}.wav,sad,{speaker}")
    (folder / "text.wav").write_text("this is no sound")
    (folder / "list.csv").write_text("\n".join([*rows, "text.wav,sad,ann"]))
    return folder / "list.csv"


def by_speaker(manifest, model, out, **more):
    return run_batch(manifest, str(model), VERDICTS_ONLY, out, by_speaker=True, workers=1, **more)


def test_each_speaker_is_judged_by_the_normal_of_all_their_recordings(manifest, voiced, tmp_path):
    counts = by_speaker(manifest, voiced, tmp_path / "out")
    assert (counts.done, counts.failed) == (5, 1)
    rows = {row["path"]: row for row in table(tmp_path / "out").to_dict("records")}
    classifier = load_model(voiced)
    for paths in (("0.wav", "2.wav", "4.wav"), ("1.wav", "3.wav")):
        recordings = [read_recording(manifest.parent / path) for path in paths]
        adapted = classifier.with_voice(speaker_normal(recordings, classifier))
        assert [rows[path]["voice_recordings"] for path in paths] == len(paths) * [len(paths)]
        analysis = analyse_recording(recordings[-1], adapted, VERDICTS_ONLY)
        row = rows[paths[-1]]
        assert [row[f"p_{one}"] for one in EMOTIONS] == pytest.approx(analysis.scores.recording, abs=0.02)
        assert row["voice_share"] == pytest.approx(analysis.voice.share, abs=0.01)


def test_a_resumed_batch_by_speaker_computes_normals_from_all_recordings(manifest, voiced, tmp_path, engine):
    assert by_speaker(manifest, voiced, tmp_path / "whole").done == 5
    with pytest.raises(Cancelled):
        by_speaker(manifest, voiced, tmp_path / "out", work=Work(stop=lambda: True))
    assert 0 < len(table(tmp_path / "out")) < 5
    assert by_speaker(manifest, voiced, tmp_path / "out").done == 5
    pd.testing.assert_frame_equal(table(tmp_path / "out"), table(tmp_path / "whole"), check_exact=True)


def test_a_batch_by_speaker_and_one_without_are_different_batches(manifest, voiced, tmp_path, engine):
    by_speaker(manifest, voiced, tmp_path / "out")
    with pytest.raises(BatchRefused, match="another setting of --voice"):
        run_batch(manifest, str(voiced), VERDICTS_ONLY, tmp_path / "out", workers=1)


def test_by_speaker_needs_a_manifest_and_a_model_with_voice_settings(
    recordings_folder, manifest, model, voiced, tmp_path, engine
):
    with pytest.raises(SettingsRefused, match="column speaker"):
        by_speaker(recordings_folder, voiced, tmp_path / "out")
    with pytest.raises(SettingsRefused, match="cannot judge a voice"):
        by_speaker(manifest, model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_speaker_whose_recordings_changed_is_not_judged_by_two_normals_in_one_table(
    manifest, voiced, tmp_path, engine
):
    manifest = shutil.copytree(manifest.parent, tmp_path / "people") / manifest.name
    by_speaker(manifest, voiced, tmp_path / "out")
    before = table(tmp_path / "out")
    text = manifest.read_text()
    manifest.write_text(text.replace("4.wav,sad,ann", "4.wav,sad,cleo"))
    with pytest.raises(BatchRefused, match="ann with another own normal"):
        by_speaker(manifest, voiced, tmp_path / "out")
    assert "ann" not in (tmp_path / "out" / "batch.json").read_text()  # results name no speaker
    pd.testing.assert_frame_equal(table(tmp_path / "out"), before)
    manifest.write_text("\n".join(line for line in text.splitlines() if not line.endswith("ann")))
    assert by_speaker(manifest, voiced, tmp_path / "out").new == 0  # a speaker less changes nobody's normal
    manifest.write_text(text.replace("4.wav,sad,ann", "4.wav,sad,cleo"))
    with pytest.raises(BatchRefused, match="ann with another own normal"):
        by_speaker(manifest, voiced, tmp_path / "out")
