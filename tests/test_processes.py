"""Two processes train together like one alone.

As a script this is what each process runs: `python -m tests.test_processes FOLDER [COMMAND ...]`, with a command of
`ser_core`.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ser_core.corpora.labelled import LabelledRecording
from ser_core.learning.augmentation import UNCHANGED
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.plan import TrainingSettings
from ser_core.learning.predictions import read_predictions
from ser_core.learning.training import processes, train_network
from ser_core.model.checkpoint import TEST_TABLE, training_list
from ser_core.model.shipped_models import load_model, model_names
from ser_core.work.progress import UNWATCHED

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent
SETTINGS = TrainingSettings(epochs=2, batch=8, rate=1e-2, head_rate=1e-2, augmentation=UNCHANGED, averaging=0.5)


class LinearNetwork(nn.Module):
    """A linear layer on the means over time, in single precision: no randomness, no coarse rounding."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, classes)
        self.learnt_from = 0

    def maps(self, segments):
        self.learnt_from += len(segments) * self.training
        return {"means": segments.mean(dim=(1, 2))}

    def classify(self, maps):
        with torch.autocast("cpu", enabled=False):
            return self.head(maps["means"].float())

    def forward(self, segments):
        return self.classify(self.maps(segments))


def recordings(count, seed):
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        log_mel = rng.normal(size=(144, 64)) + rng.normal(size=64)
        log_mel[:, 32 * (number % 2) :] += 0.3
        item = LabelledRecording(Path(f"{number}.wav"), "toy", f"s{number % 3}", "sad", "text", "en")
        made.append(
            LabelledSpectrogram(item, f"{number:064x}", log_mel.astype(np.float16), np.array([0, 48]), 2, number % 2)
        )
    return made


def train_linear_network(folder: Path, settings=SETTINGS):
    """Train, and write the result under this process's rank, with a state folder of its own."""
    rank = processes().global_rank
    torch.manual_seed(5)
    network = LinearNetwork(2)
    state = folder / f"state{rank}" / "state.safetensors"
    data = recordings(16, 0), recordings(6, 1), ("angry", "sad")
    history = train_network(network, *data, settings, 1, state, 0.001, UNWATCHED)
    folder.mkdir(exist_ok=True)
    save_file(network.state_dict(), folder / f"weights{rank}.safetensors")
    (folder / f"history{rank}.json").write_text(json.dumps(history))
    (folder / f"segments{rank}.txt").write_text(str(network.learnt_from))


def run_in_two_processes(*arguments, **environment):
    """Run a module in two processes; return what they printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", *arguments]
    surrounding = {name: value for name, value in os.environ.items() if name != "SER_YAMNET_WEIGHTS"}
    run = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=surrounding | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


@pytest.fixture(scope="module")
def two_processes(small_corpus, tmp_path_factory):
    """Files and output of two processes: for the linear network, and a model trained from files in `trained`."""
    folder = tmp_path_factory.mktemp("together")
    arguments = ["train", "--corpus", f"emodb={small_corpus}", "--network", "yamnet", "--epochs", "1"]
    command = [*arguments, "--out", folder / "trained" / "mine"] if "yamnet" in model_names() else []
    printed = run_in_two_processes("tests.test_processes", folder, *command, SER_RUNS=str(folder / "trained" / "runs"))
    (folder / "printed.txt").write_text(printed)
    return folder


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """Files of one process."""
    folder = tmp_path_factory.mktemp("alone")
    train_linear_network(folder)
    return folder


def test_without_torchrun_there_is_one_process():
    assert (processes().world_size, processes().global_rank, processes().is_global_zero) == (1, 0, True)


def test_two_processes_end_with_identical_weights_and_history(two_processes):
    first, second = (load_file(two_processes / f"weights{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (two_processes / "history0.json").read_text() == (two_processes / "history1.json").read_text()


def test_each_of_two_processes_learns_from_half_of_the_segments(two_processes, one_process):
    # 2 segments of each of 16 recordings, in 2 epochs.
    assert (one_process / "segments0.txt").read_text() == "64"
    assert [(two_processes / f"segments{rank}.txt").read_text() for rank in (0, 1)] == ["32", "32"]


def test_two_processes_learn_from_halves_of_the_batches_what_one_learns_from_the_whole(two_processes, one_process):
    # The mean of the gradients of two halves is the gradient of the whole.
    found, expected = (load_file(folder / "weights0.safetensors") for folder in (two_processes, one_process))
    torch.manual_seed(5)
    before = LinearNetwork(2).state_dict()
    for name, tensor in expected.items():
        assert (tensor - before[name]).abs().max() > 0.01
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=2e-5)


def test_batches_of_half_the_size_give_other_weights(one_process, tmp_path):
    train_linear_network(tmp_path, replace(SETTINGS, batch=4))
    other, expected = (load_file(folder / "weights0.safetensors") for folder in (tmp_path, one_process))
    assert (other["head.weight"] - expected["head.weight"]).abs().max() > 1e-3


def test_only_the_first_process_writes_the_state(two_processes):
    states = [path.relative_to(two_processes).as_posix() for path in two_processes.glob("state*/*")]
    assert sorted(states) == ["state0/state.json", "state0/state.safetensors"]
    assert not (two_processes / "state1").exists()


@pytest.mark.skipif("yamnet" not in model_names(), reason="no models/yamnet to start from")
def test_two_processes_train_one_model_from_files_and_write_it_once(two_processes):
    printed, trained = (two_processes / "printed.txt").read_text(), two_processes / "trained"
    assert printed.count("Written to") == 1
    assert printed.count("mean over corpora") == 1
    assert load_model(trained / "mine").emotions == ("angry", "happy", "neutral", "sad")
    tested, seen = read_predictions(trained / "mine" / TEST_TABLE), training_list(trained / "mine")
    assert len(tested.labels) == 8
    assert not set(tested.speakers) & set(seen.values())
    assert sorted(path.name for path in trained.iterdir()) == ["mine", "runs"]
    (history,) = (trained / "runs").glob("*.json")
    assert [epoch["epoch"] for epoch in json.loads(history.read_text())] == [1]
    assert not list((trained / "runs").rglob("*.part"))


if __name__ == "__main__":
    train_linear_network(Path(sys.argv[1]))
    if command := sys.argv[2:]:
        from ser_core.commands import main

        sys.exit(main(command))
