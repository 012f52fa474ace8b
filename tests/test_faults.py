"""Faults while anything but marks is written: the process is killed, the disk is full or read-only.

In every case: what was reported as saved is there, nothing half-written counts as complete, and the next call
works. Marks are tested in test_annotation_faults.
"""

import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import numpy as np
import psutil
import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ser_core.annotations.saved_sounds import save_sound
from ser_core.annotations.store.transactions import open_store
from ser_core.commands import main
from ser_core.errors import AnnotationsRefused, AudioRefused, SettingsRefused, WriteRefused
from ser_core.learning import training
from ser_core.model.checkpoint import require_replaceable_model, save_model
from ser_core.model.networks.yamnet import YAMNet
from ser_core.model.shipped_models import load_model, model_names
from ser_core.output import overview_picture
from ser_core.output.analysis_folder import save_analysis
from ser_core.output.saved_analyses import clear_unfinished, delete, list_saved_analyses, save_with_source
from ser_core.pipeline import analyse_recording
from ser_core.settings import AnalysisSettings, OcclusionSettings
from ser_core.words.word_model import WORD_MODEL
from ser_core.work.atomic_folder import (
    atomic_file,
    atomic_folder,
    atomic_write,
    clear_half_written,
    read_regular,
    recover_all,
)
from ser_core.work.progress import UNWATCHED
from ser_core.work.training_process import forget_interrupted_training, interrupted_training, train_in_process
from tests.broken_machine import files_of_at_most, forks, killed, read_only
from tests.conftest import seeds
from tests.databases import file, mark
from tests.test_checkpoint import SEEN, card_of
from tests.test_training import SETTINGS, fresh_network, labelled, same_weights, train, without_seconds
from tests.tiny_networks import TinyNetwork, classifier_of, fresh, noise_recording

pytestmark = pytest.mark.process

KILLS = 6
QUESTION = AnalysisSettings(explain=("occlusion",), occlusion=OcclusionSettings(stride_frames=16, stride_bands=8))
STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


@cache
def analysis():
    return analyse_recording(noise_recording(1.0), classifier_of(fresh(TinyNetwork)), QUESTION)


def no_picture(analysis, path) -> None:
    """Replace the overview, which takes a hundred times as long to draw as everything else to write."""
    path.write_bytes(b"picture")


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(overview_picture, "save_overview", no_picture)


def hidden(folder) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


# --- killed before each step of replacing a folder ---


def kill_before(step, work, *arguments) -> None:
    """Do some work in this process, which is killed before the step of that number."""
    seen = count()

    def watch(event, _) -> None:
        if event in STEPS and next(seen) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    work(*arguments)


def survives(step, work, *arguments) -> bool:
    process = forks.Process(target=kill_before, args=(step, work, *arguments))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def fill(folder, word) -> None:
    (folder / "inside").mkdir()
    for name in ("a", "inside/b"):
        (folder / name).write_text(word)


def write(folder, word) -> None:
    with atomic_folder(folder, "a") as half_written:
        fill(half_written, word)


def words_in(folder) -> list[str]:
    return [(folder / name).read_text() for name in ("a", "inside/b")]


def test_a_folder_whose_replacement_was_killed_at_any_step_is_completely_old_or_new(tmp_path):
    folder, kept = tmp_path / "folder", []
    write(folder, "older")
    for step in count():
        ended = survives(step, write, folder, "newer")
        recover_all(tmp_path)
        kept += [words_in(folder)]
        if ended:
            break
        write(folder, "older")
        assert (words_in(folder), hidden(tmp_path)) == (["older", "older"], [])
    older, newer = ["older", "older"], ["newer", "newer"]
    assert kept == kept.count(older) * [older] + kept.count(newer) * [newer]
    assert min(kept.count(older), kept.count(newer)) > 3


def test_two_threads_that_write_one_folder_take_turns(tmp_path):
    folder, inside = tmp_path / "folder", Barrier(2)

    def write_slowly(word):
        with atomic_folder(folder, "a") as half_written:
            with suppress(BrokenBarrierError):
                inside.wait(0.5)  # both are inside only if they do not take turns
            fill(half_written, word)

    with ThreadPoolExecutor(2) as threads:
        for written in [threads.submit(write_slowly, word) for word in ("one", "other")]:
            written.result()
    assert words_in(folder) in (["one", "one"], ["other", "other"])
    assert hidden(tmp_path) == []
    assert inside.broken


def test_a_folder_that_is_not_ours_is_not_replaced(tmp_path):
    thesis = tmp_path / "interview" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years")
    with pytest.raises(WriteRefused, match="holds something else, which would be lost"):
        write(thesis.parent, "newer")
    with pytest.raises(WriteRefused, match="holds something else"):
        require_replaceable_model(thesis.parent)
    assert thesis.read_text() == "years"
    assert sorted(tmp_path.iterdir()) == [thesis.parent]
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "newer")
    write(tmp_path / "empty", "newest")
    assert words_in(tmp_path / "empty") == ["newest", "newest"]


def test_a_folder_whose_deletion_was_killed_at_any_step_is_complete_or_gone(tmp_path):
    data, saved = tmp_path, tmp_path / "analyses" / f"{'a' * 16}-{'b' * 8}"
    for step in count():
        about = {"recording_name": "a", "model_name": "b", "verdict": "c", "settings": {}}
        with atomic_folder(saved, "question.json") as folder:
            (folder / "recording.original").write_bytes(b"sound")
            (folder / "question.json").write_text(json.dumps(about))
        (found,) = list_saved_analyses(data)
        ended = survives(step, delete, found, data)
        left = list_saved_analyses(data)
        assert [one.source() for one in left] == len(left) * [b"sound"]
        message = clear_unfinished(data)
        assert hidden(data) == []
        if ended:
            break
        assert (message is None) == bool(left)
    assert (left, message) == ([], None)
    assert step > 3


def replace_for_a_while(parent, word, reports) -> None:
    for _ in range(60):
        write(parent / "folder", word)
    reports.send("done")


def test_a_folder_is_never_lost_while_processes_write_recover_and_clear_it(tmp_path):
    write(tmp_path / "folder", "first")
    processes = []
    for word in ("one", "other"):
        ours, theirs = forks.Pipe(duplex=False)
        processes.append((forks.Process(target=replace_for_a_while, args=(tmp_path, word, theirs)), ours))
    for process, _ in processes:
        process.start()
    while any(process.is_alive() for process, _ in processes):
        recover_all(tmp_path)
        assert clear_half_written(tmp_path) == 0
    for process, ours in processes:
        process.join()
        assert (process.exitcode, ours.recv()) == (0, "done")
    assert words_in(tmp_path / "folder") in (["one", "one"], ["other", "other"])
    assert hidden(tmp_path) == []


def write_and_wait(parent, reports) -> None:
    with atomic_folder(parent / "folder", "a") as folder, atomic_file(parent / "file") as file:
        fill(folder, "new")
        file.write_text("new")
        reports.send("inside")
        time.sleep(60)


def test_only_files_of_killed_processes_are_cleared(tmp_path):
    reports, theirs = forks.Pipe(duplex=False)
    process = forks.Process(target=write_and_wait, args=(tmp_path, theirs))
    process.start()
    assert reports.recv() == "inside"
    assert clear_half_written(tmp_path) == 0
    assert words_in(tmp_path / ".folder.part") == ["new", "new"]
    process.kill()
    process.join()
    assert hidden(tmp_path)
    assert clear_half_written(tmp_path) == 2
    assert list(tmp_path.iterdir()) == []


def test_saves_of_two_apps_at_once_survive_the_start_of_a_third(tmp_path):
    made = analysis()
    save_with_source(b"0", made, QUESTION, tmp_path)
    with ThreadPoolExecutor(3) as threads:
        saving = [
            threads.submit(save_with_source, f"{n}".encode(), made, replace(QUESTION, seed=n), tmp_path)
            for n in range(6)
        ]
        while not all(one.done() for one in saving):
            assert clear_unfinished(tmp_path) is None
            assert len(list_saved_analyses(tmp_path)) <= 1  # between two renamings there may be none
        assert all(one.result().is_dir() for one in saving)
    (saved,) = list_saved_analyses(tmp_path)
    assert saved.source() == f"{saved.settings.seed}".encode()


def test_only_a_killed_download_is_cleared_from_the_data_folder(tmp_path):
    ours, anothers = tmp_path / f".{WORD_MODEL}.part", tmp_path / ".film.part"
    for folder in (ours, anothers):
        folder.mkdir()
        (folder / "model.bin").write_bytes(b"half")
    assert clear_unfinished(tmp_path) is None
    assert not ours.exists()
    assert anothers.exists()


def test_a_file_whose_replacement_was_killed_at_any_step_is_completely_old_or_new(tmp_path):
    file, found = tmp_path / "file", []
    for step in count():
        atomic_write(file, "older")
        ended = survives(step, atomic_write, file, "newer")
        found.append(file.read_text())
        clear_half_written(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        if ended:
            break
    assert set(found) == {"older", "newer"}
    assert found[-1] == "newer"


def test_a_file_that_cannot_be_written_leaves_nothing_and_the_older_one_stays(tmp_path):
    file = tmp_path / "file"
    atomic_write(file, "older")
    with files_of_at_most(3), pytest.raises(OSError, match="File too large"):
        atomic_write(file, "newer")
    with pytest.raises(OSError, match="File name too long"):
        atomic_write(tmp_path / ("x" * 300), "new")
    assert file_contents(tmp_path) == {"file": b"older"}


def test_hidden_names_that_are_links_or_fifos_neither_hang_nor_lead_elsewhere(tmp_path):
    precious = tmp_path / "elsewhere" / "precious"
    precious.parent.mkdir()
    precious.write_text("years")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / ".file.part").symlink_to(precious)
    (inside / ".folder.part").symlink_to(precious.parent)
    os.mkfifo(inside / ".other.part")
    with pytest.raises(OSError, match="symbolic links"):
        atomic_write(inside / "file", "new")
    with pytest.raises(WriteRefused):
        write(inside / "folder", "new")
    atomic_write(inside / "other", "new")
    clear_half_written(inside)
    assert (inside / "other").read_text() == "new"
    assert precious.read_text() == "years"


# --- what is listed ---


def saved_at(data, number, seconds) -> Path:
    folder = data / "analyses" / f"{number:016x}-{'b' * 8}"
    folder.mkdir(parents=True)
    about = {"recording_name": f"take {number}.wav", "model_name": "m", "verdict": "sad", "settings": {}}
    (folder / "question.json").write_text(json.dumps(about))
    (folder / "recording.original").write_bytes(b"sound")
    os.utime(folder, (seconds, seconds))
    return folder


def delete_all(data, reports) -> None:
    for saved in list_saved_analyses(data):
        delete(saved, data)
    reports.send("done")


def test_analyses_deleted_by_two_processes_during_listing_vanish_without_an_error(tmp_path):
    for number in range(200):
        saved_at(tmp_path, number, number)
    _, theirs = forks.Pipe(duplex=False)
    processes = [forks.Process(target=delete_all, args=(tmp_path, theirs)) for _ in range(2)]
    for process in processes:
        process.start()
    counts = [200]
    while any(process.is_alive() for process in processes):
        counts.append(len(list_saved_analyses(tmp_path)))
        assert clear_unfinished(tmp_path) is None
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert counts == sorted(counts, reverse=True)
    assert file_contents(tmp_path) == {}


def test_analyses_are_listed_newest_first_and_only_regular_files_are_opened(tmp_path):
    folders = [saved_at(tmp_path, number, 1_000 + number) for number in range(6)]
    for folder, spoil in zip(
        folders,
        (os.mkfifo, lambda f: f.symlink_to(folders[5] / "question.json"), lambda f: f.write_bytes(b" " * 2_000_000)),
        strict=False,
    ):
        (folder / "question.json").unlink()
        spoil(folder / "question.json")
    (tmp_path / "analyses" / f"{9:016x}-{'c' * 8}").symlink_to(folders[5])
    for number, folder in enumerate(folders):
        os.utime(folder, (1_000 + number,) * 2)
    assert [saved.recording_name for saved in list_saved_analyses(tmp_path)] == [
        "take 5.wav",
        "take 4.wav",
        "take 3.wav",
    ]
    (folders[5] / "recording.original").unlink()
    os.mkfifo(folders[5] / "recording.original")
    with pytest.raises(AudioRefused, match=r"^take 5\.wav: .*not a regular file"):
        list_saved_analyses(tmp_path)[0].source()


def test_a_file_is_read_up_to_its_limit_and_not_beyond(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_regular(file, 5) == b"12345"
    for most, path in ((4, file), (5, tmp_path), (5, Path("/dev/zero"))):
        with pytest.raises(OSError, match=r"more than 4 bytes|not a regular file|s a directory"):
            read_regular(path, most)


# --- killed at random moments ---


def save_repeatedly(data, made, first, reports) -> None:
    overview_picture.save_overview = no_picture
    for number in count(first):
        save_with_source(f"{number}".encode() * 1000, made, replace(QUESTION, seed=number), data)
        reports.send(number)


@pytest.mark.parametrize("seed", seeds(1, long=4))
def test_a_save_killed_at_any_moment_loses_nothing_and_leaves_nothing_half_written(tmp_path, seed):
    rng, made, done, said = np.random.default_rng(seed), analysis(), 0, 0
    for _ in range(KILLS):
        reported = killed(save_repeatedly, tmp_path, made, done + 1, after=1, wait_s=rng.uniform(0, 0.2))
        (saved,) = list_saved_analyses(tmp_path)
        done = saved.settings.seed
        assert done in (reported[-1], reported[-1] + 1)
        assert saved.source() == f"{done}".encode() * 1000
        assert json.loads((saved.folder / "analysis.json").read_text())["recording"]["name"] == "noise.wav"
        with np.load(saved.folder / "maps.npz") as maps:
            assert np.isfinite(maps["occlusion"]).all()
        half_written = hidden(tmp_path)
        words = clear_unfinished(tmp_path)
        assert (words is not None) == bool(half_written)
        said += words is not None
        assert hidden(tmp_path) == []
    assert said > KILLS / 2
    assert words is None or words.endswith("Everything that had been reported as saved is there.")


def export_repeatedly(url, folder, first, reports) -> None:
    for number in count(first):
        out = str(folder / f"{number}")
        main(["annotations", "export", "--database", url, "--format", "textgrid", "--out", out])
        reports.send(number)


@pytest.mark.parametrize("seed", seeds(1, long=4))
def test_an_export_killed_at_any_moment_leaves_only_complete_folders(tmp_path, seed):
    url, rng, done = f"sqlite:///{tmp_path}/a.sqlite", np.random.default_rng(seed), 0
    with closing(open_store(url)) as store:
        project = store.projects.create("Voices")
        store.recordings.add(project, [file(number) for number in range(60)])
        for number in range(60):
            store.marks.edit(project, file(number).sha256, "Ann", add=[mark(0, 1, note="x" * 2_000)])
    folder = tmp_path / "out"
    for _ in range(KILLS):
        reported = killed(export_repeatedly, url, folder, done + 1, after=1, wait_s=rng.uniform(0, 0.4))
        whole = sorted(int(path.name) for path in folder.iterdir() if not path.name.startswith("."))
        assert whole[-1] in (reported[-1], reported[-1] + 1)
        assert whole == list(range(1, whole[-1] + 1))
        done = whole[-1]
    one, *others = (contents(folder / f"{number}") for number in whole)
    assert len(one) == 60
    assert all(other == one for other in others)
    write(folder / f"{done + 1}", "again")
    assert hidden(folder / f"{done + 1}") == []


def contents(folder) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


DATASET = [labelled(number, number % 2) for number in range(12)]
HELD_OUT = [labelled(100 + number, number % 2) for number in range(6)]
LONG = replace(SETTINGS, epochs=20)


def train_slowly(state, reports) -> None:
    torch.set_num_threads(1)
    network = fresh_network()

    def noted() -> bool:
        if state.exists():
            reports.send(epochs_in(state))
        return False

    train(network, DATASET, HELD_OUT, state, LONG, stop=noted)


def epochs_in(state) -> int:
    with safe_open(state, "pt") as opened:
        return len(json.loads(opened.metadata()["history"]))


@pytest.mark.parametrize("seed", seeds(1, long=4))
def test_a_training_killed_at_any_moment_keeps_its_epochs_and_ends_with_the_same_weights(tmp_path, seed):
    state, rng, epochs = tmp_path / "runs" / "state.safetensors", np.random.default_rng(seed), 0
    for _ in range(KILLS // 2):
        reported = killed(train_slowly, state, after=int(rng.integers(1, 5)), wait_s=rng.uniform(0, 0.02))
        assert epochs <= reported[-1] <= epochs_in(state)
        epochs = epochs_in(state)
    assert 0 < epochs < LONG.epochs
    straight, resumed = fresh_network(), fresh_network()
    torch.set_num_threads(1)
    history = train(straight, DATASET, HELD_OUT, tmp_path / "straight.safetensors", LONG)
    assert without_seconds(train(resumed, DATASET, HELD_OUT, state, LONG)) == without_seconds(history)
    assert same_weights(resumed, straight)
    assert [path.name for path in sorted((tmp_path / "runs").iterdir())] == ["state.json", "state.safetensors"]


def save_models_repeatedly(models, first, reports) -> None:
    network = fresh(YAMNet)
    for number in count(first):
        save_model(models / "mine", network, card_of(temperature=float(number)), SEEN, "# mine\n")
        reports.send(number)


@pytest.mark.parametrize("seed", seeds(1, long=4))
def test_a_model_whose_writing_was_killed_is_the_older_or_the_newer_one(tmp_path, seed):
    rng, done = np.random.default_rng(seed), 0
    for _ in range(KILLS):
        reported = killed(save_models_repeatedly, tmp_path, done + 1, after=1, wait_s=rng.uniform(0, 0.1))
        assert model_names(tmp_path) == ["mine"]
        done = int(load_model("mine", tmp_path).temperature)
        assert done in (reported[-1], reported[-1] + 1)


def save_sounds_repeatedly(data, first, reports) -> None:
    for number in count(first):
        save_sound(f"{number}".encode() * 300_000, data)
        reports.send(number)


@pytest.mark.parametrize("seed", seeds(1, long=4))
def test_a_sound_whose_saving_was_killed_is_complete_or_absent(tmp_path, seed):
    rng, done = np.random.default_rng(seed), 0
    for _ in range(KILLS):
        reported = killed(save_sounds_repeatedly, tmp_path, done + 1, after=1, wait_s=rng.uniform(0, 0.02))
        clear_unfinished(tmp_path)
        sounds = list((tmp_path / "recordings").iterdir())
        assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in sounds)
        assert len(sounds) in (reported[-1], reported[-1] + 1)
        done = len(sounds)


# --- a training of the app that is killed ---


def train_as_the_app_does(runs, arguments) -> None:
    os.environ["SER_RUNS"] = runs
    train_in_process(arguments, UNWATCHED)


def processes_with(word) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if word in (one.info["cmdline"] or [])]


def wait_until(condition) -> None:
    for _ in range(2_400):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError


def test_a_training_ends_with_its_killed_app_and_the_next_start_says_so(small_corpus, tmp_path, monkeypatch):
    runs, out = tmp_path / "runs", str(tmp_path / "mine")
    monkeypatch.setenv("SER_RUNS", str(runs))
    arguments = ["--corpus", f"emodb={small_corpus}", "--network", "yamnet", "--epochs", "100", "--out", out]
    assert interrupted_training() is None
    app = forks.Process(target=train_as_the_app_does, args=(str(runs), arguments))
    app.start()
    wait_until(lambda: processes_with(out))
    assert interrupted_training() is None
    app.kill()
    app.join()
    wait_until(lambda: not processes_with(out))
    assert interrupted_training() == arguments
    assert interrupted_training() == arguments
    assert not Path(out).exists()
    forget_interrupted_training()
    assert interrupted_training() is None


@pytest.mark.parametrize("note", ["", "[1, 2]", '["--network", "yamnet"]', '{"--out": "x"}', '["x", "--out"]'])
def test_an_invalid_note_of_a_training_is_ignored(note, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_RUNS", str(tmp_path))
    (tmp_path / "training.begun").write_text(note)
    assert interrupted_training() is None


def test_a_damaged_training_state_is_refused_in_one_sentence(tmp_path):
    state = tmp_path / "state.safetensors"
    train(fresh_network(), DATASET, HELD_OUT, state, replace(SETTINGS, epochs=1))
    whole = state.read_bytes()
    for content in (b"", whole[:1000], whole[:-1], b"\xff" * 5000):
        state.write_bytes(content)
        with pytest.raises(SettingsRefused, match=r"damaged\. Train without --resume to start over\.$"):
            train(fresh_network(), DATASET, HELD_OUT, state)


# --- the disk ---


def save(folder, number):
    save_analysis(analysis(), folder / "analysis", {"number": f"{number}".encode()})


def saved(folder, number):
    save_with_source(f"{number}".encode(), analysis(), QUESTION, folder)


def model(folder, number):
    save_model(folder / "model", fresh(YAMNet), card_of(), SEEN, f"{number}")


def file_contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("action", [save, saved, model])
@pytest.mark.parametrize("size", [0, 100, 5_000])
def test_a_save_without_room_is_refused_leaves_nothing_and_the_older_one_stays(action, size, tmp_path):
    for before in (False, True):
        if before:
            action(tmp_path, 1)
        stood = file_contents(tmp_path)
        with files_of_at_most(size), pytest.raises(WriteRefused, match=r"cannot be written \(File too large\)\. Free"):
            action(tmp_path, 2)
        assert file_contents(tmp_path) == stood
        assert hidden(tmp_path) == []
    action(tmp_path, 2)
    assert file_contents(tmp_path) != stood


@pytest.mark.parametrize("action", [save, saved, model])
def test_a_save_without_permission_is_refused_and_the_older_one_stays(action):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "folder"
        folder.mkdir()
        Path(place).chmod(0o755)
        action(folder, 1)
        before = file_contents(folder)
        parent = folder / "analyses" if action is saved else folder
        with read_only(parent), pytest.raises(WriteRefused, match=r"cannot be written \(Permission denied\)\. Free"):
            action(folder, 2)
        assert file_contents(folder) == before


def test_a_saved_analysis_on_a_read_only_disk_is_listed_and_its_deletion_refused():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        data = Path(place) / "data"
        saved(data, 1)
        with read_only(data / "analyses"):
            (found,) = list_saved_analyses(data)
            with pytest.raises(WriteRefused, match=r"cannot be deleted \(Permission denied\)"):
                delete(found, data)
        assert list_saved_analyses(data) == [found]
        assert found.source() == b"1"


def test_a_sound_without_room_is_refused_and_leaves_nothing(tmp_path):
    with files_of_at_most(1_000), pytest.raises(AnnotationsRefused, match=r"cannot be saved in .* \(File too large\)"):
        save_sound(b"x" * 5_000, tmp_path)
    assert file_contents(tmp_path) == {}


@contextmanager
def half_written(room, monkeypatch):
    """Make the writing of a state larger than `room` end halfway, as in a power failure."""

    def write_half(tensors, file, words) -> None:
        save_file(tensors, file, words)
        if file.stat().st_size > room:
            os.truncate(file, room // 2)
            raise SafetensorError("File too large")

    with monkeypatch.context() as patched:
        patched.setattr(training, "save_file", write_half)
        yield


@pytest.mark.parametrize("failing", [lambda room, _: files_of_at_most(room), half_written], ids=["no room", "half"])
def test_a_training_whose_state_cannot_be_written_keeps_the_previous_epoch_and_can_be_resumed(
    failing, tmp_path, monkeypatch
):
    state, straight, resumed = tmp_path / "state.safetensors", fresh_network(), fresh_network()
    train(fresh_network(), DATASET, HELD_OUT, tmp_path / "one.safetensors", replace(SETTINGS, epochs=1))
    # Every epoch's line of the history makes the state about 100 bytes longer.
    room = (tmp_path / "one.safetensors").stat().st_size + 40
    with failing(room, monkeypatch), pytest.raises(OSError, match="File too large") as refused:
        train(fresh_network(), DATASET, HELD_OUT, state)
    assert refused.value.filename == str(state)
    assert epochs_in(state) == 1
    train(straight, DATASET, HELD_OUT, tmp_path / "straight.safetensors")
    train(resumed, DATASET, HELD_OUT, state)
    assert same_weights(resumed, straight)


def test_commands_report_a_failed_write_in_one_line(small_corpus, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "file" / "runs"))
    train_it = ["train", "--corpus", f"emodb={small_corpus}", "--network", "yamnet", "--out", str(tmp_path / "mine")]
    save_model(tmp_path / "model", fresh(YAMNet), card_of(), SEEN, "")
    first, second = sorted(map(str, small_corpus.iterdir()))[:2]
    out = str(tmp_path / "file" / "out")
    analyse = ["analyse", first, second, "--model", str(tmp_path / "model"), "--explain", "grad_cam", "--out", out]
    timeline = ["timeline", first, second, "--model", str(tmp_path / "model"), "--out", out]
    for command, lines in ((train_it, 1), (analyse, 2), (timeline, 2)):
        assert main(command) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == lines
        assert all("cannot be written (Not a directory)" in line for line in said)
