"""Training in its own process, from files to a model that loads."""

import json
import threading

import pytest

from ser_core.errors import Cancelled
from ser_core.learning.predictions import read_predictions
from ser_core.model.checkpoint import TEST_TABLE, training_list
from ser_core.model.shipped_models import find_model, load_model, model_names
from ser_core.work.progress import UNWATCHED, Work
from ser_core.work.training_process import TrainingFailed, train_in_process

pytestmark = pytest.mark.process

needs_weights = pytest.mark.skipif("yamnet" not in model_names(), reason="no models/yamnet to start from")


@pytest.fixture(autouse=True)
def states_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "runs"))


def arguments(corpus, out, *more):
    return ["--corpus", f"emodb={corpus}", "--network", "yamnet", "--epochs", "1", "--out", str(out), *more]


@needs_weights
def test_a_training_in_a_process_of_its_own_ends_with_a_model_that_loads(small_corpus, tmp_path, monkeypatch):
    monkeypatch.delenv("SER_YAMNET_WEIGHTS", raising=False)
    printed = train_in_process(arguments(small_corpus, tmp_path / "mine"), UNWATCHED)
    assert "mean over corpora" in printed
    assert "speaker-disjoint, fold 1 of 5" in printed
    model = load_model(tmp_path / "mine")
    assert model.emotions == ("angry", "happy", "neutral", "sad")
    tested = read_predictions(tmp_path / "mine" / TEST_TABLE)
    seen = training_list(tmp_path / "mine")
    assert len(tested.labels) == 8
    assert len(seen) == 32 + len(training_list(find_model("yamnet")))  # the training list of the starting weights
    assert not set(tested.sha256) & set(seen)
    assert not set(tested.speakers) & set(seen.values())
    (history,) = (tmp_path / "runs").glob("*.json")
    assert [epoch["epoch"] for epoch in json.loads(history.read_text())] == [1]


def test_what_training_refuses_is_said_in_its_own_sentence(tmp_path):
    with pytest.raises(TrainingFailed, match="No audio was found under"):
        train_in_process(arguments(tmp_path, tmp_path / "mine"), UNWATCHED)
    assert not (tmp_path / "mine").exists()


def test_a_training_that_is_stopped_ends_its_process_and_writes_no_model(small_corpus, tmp_path):
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Cancelled, match="can be resumed"):
        train_in_process(arguments(small_corpus, tmp_path / "mine"), Work(stop=stopped.is_set))
    assert not (tmp_path / "mine").exists()
