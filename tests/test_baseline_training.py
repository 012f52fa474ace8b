"""Baselines are trained as our networks are: same splits, same card; estimators after the network they learn from."""

import json
import threading

import numpy as np
import pytest
import torch

from ser_core.analysis import Recording
from ser_core.audio.reading import read_recording
from ser_core.errors import AudioRefused, ModelRefused, SettingsRefused
from ser_core.explanation import explainers_of
from ser_core.learning import classifier_training, training
from ser_core.learning.augmentation import UNCHANGED
from ser_core.learning.batches import as_batch, grouped_by_length
from ser_core.learning.classifier_training import train_classifier
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.plan import TRAINABLE, TrainingPlan, TrainingSettings, starting_branch
from ser_core.learning.predictions import read_predictions
from ser_core.model.checkpoint import training_list
from ser_core.model.peers import ESTIMATOR_BASELINES, NETWORK_BASELINES
from ser_core.model.peers.shared.padding import SILENCE
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import analyse_recording, classify_recording
from ser_core.settings import AnalysisSettings, LimeSettings, OcclusionSettings
from ser_core.timeline.timeline import emotion_timeline
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import EMOTIONS, TinyNetwork, noise_recording, random_log_mel

pytestmark = pytest.mark.slow

COARSE = AnalysisSettings(
    occlusion=OcclusionSettings(64, 32, 64, 32), lime=LimeSettings(64, 32, 64, masks=16), explain=("lime", "occlusion")
)


@pytest.fixture(scope="module")
def trained(small_corpus, tmp_path_factory):
    """A CNN and LSTM over whole recordings, and a forest, of one epoch each."""
    place = tmp_path_factory.mktemp("trained")
    for network in ("padded_cnn_lstm", "cnn_forest"):
        plan = TrainingPlan({"emodb": str(small_corpus)}, network=network, epochs=1)
        train_classifier(plan, place / network, place / "runs")
    return place


@pytest.mark.parametrize("network", ["padded_cnn_lstm", "cnn_forest"])
def test_a_baseline_is_tested_on_unseen_speakers_and_its_card_says_all(trained, network):
    card = json.loads((trained / network / "card.json").read_text())
    tested = read_predictions(trained / network / "test.csv")
    seen = training_list(trained / network)
    assert not set(tested.speakers) & set(seen.values())
    assert (len(tested.labels), len(seen)) == (8, 32)
    assert card["architecture"] == network
    assert card["front_end"]["selection"]["rule"] == "none"
    assert card["segments"]["kept"] == card["segments"]["before_selection"]
    assert list(card["history"]) == (
        ["padded_cnn_lstm"] if network == "padded_cnn_lstm" else ["cnn_dense", "estimator"]
    )
    assert {f for of in card["training"].values() for f in of["augmentation"].values()} == {0}


def test_a_network_of_whole_recordings_has_one_segment_a_recording(trained, make_voice):
    card = json.loads((trained / "padded_cnn_lstm" / "card.json").read_text())
    assert card["segments"]["kept"] == sum(card["recordings"].values()) == 40
    model = load_model(trained / "padded_cnn_lstm")
    analysis = analyse_recording(noise_recording(2.3), model, COARSE)
    assert len(analysis.segments.start_frames) == 1
    assert analysis.segments.segment_frames == len(analysis.spectrogram.log_mel)
    assert set(analysis.explanations) == {"lime", "occlusion"}
    assert all(explanation.covered.all() for explanation in analysis.explanations.values())
    assert explainers_of(model) == ("grad_cam", "lime", "occlusion")


def test_a_model_of_whole_recordings_pads_short_ones_with_a_warning_and_refuses_long_ones(trained):
    model = load_model(trained / "padded_cnn_lstm")
    short = classify_recording(noise_recording(0.5), model, COARSE)
    assert short.segments.segment_frames == 96
    assert any("padded with its noise floor" in warning for warning in short.warnings)
    long = Recording("long.wav", "3" * 64, np.zeros(61 * 8_000, np.float32) + 0.01, 8_000)
    with pytest.raises(AudioRefused, match="model of whole recordings takes at most"):
        classify_recording(long, model, COARSE)


def test_a_model_of_whole_recordings_has_no_timeline(trained, small_corpus):
    model = load_model(trained / "padded_cnn_lstm")
    with pytest.raises(SettingsRefused, match="padded_cnn_lstm only classifies whole recordings"):
        emotion_timeline(next(small_corpus.glob("*.wav")), model)


def test_a_forest_is_an_onnx_file_that_predicts_like_any_model(trained, small_corpus):
    assert (trained / "cnn_forest" / "model.onnx").is_file()
    assert not (trained / "cnn_forest" / "model.safetensors").exists()
    model = load_model(trained / "cnn_forest")
    recording = read_recording(next(small_corpus.glob("*.wav")))
    analysis = analyse_recording(recording, model, COARSE)
    assert analysis.scores.recording.sum() == pytest.approx(1)
    with pytest.raises(SettingsRefused, match="Grad-CAM does not apply to cnn_forest"):
        analyse_recording(recording, model, AnalysisSettings())


def test_another_forest_reuses_the_network_that_is_already_trained(trained, small_corpus, tmp_path):
    before = sorted((trained / "runs").glob("cnn_dense-*.safetensors"))
    written = [file.stat().st_mtime_ns for file in before]
    plan = TrainingPlan({"emodb": str(small_corpus)}, network="cnn_forest", epochs=1)
    train_classifier(plan, tmp_path / "again", trained / "runs", resume=True)
    assert len(before) == 1
    assert [file.stat().st_mtime_ns for file in before] == written
    again = read_predictions(tmp_path / "again" / "test.csv")
    np.testing.assert_array_equal(
        again.probabilities, read_predictions(trained / "cnn_forest" / "test.csv").probabilities
    )


@pytest.mark.parametrize("wrong", ["vggish", "cnn_dense"])
def test_a_network_of_segments_is_not_loaded_with_a_card_of_whole_recordings(trained, tmp_path, wrong):
    folder = trained / "padded_cnn_lstm"
    copied = tmp_path / "models" / "copied"
    copied.mkdir(parents=True)
    card = json.loads((folder / "card.json").read_text())
    (copied / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (copied / "card.json").write_text(json.dumps(card | {"architecture": wrong}))
    with pytest.raises(ModelRefused, match="copied"):
        load_model(copied)
    segments = card["front_end"] | {"segments": {"segment_frames": 96, "hop_frames": 48}}
    (copied / "card.json").write_text(json.dumps(card | {"front_end": segments}))
    with pytest.raises(ModelRefused, match="96 frames and 64 bands are not those of this network"):
        load_model(copied)


@pytest.mark.parametrize("name", [*NETWORK_BASELINES, *ESTIMATOR_BASELINES])
def test_a_plan_uses_the_baselines_own_front_end_and_no_augmentation_of_its_input(name):
    plan = TrainingPlan({}, network=name)
    own = NETWORK_BASELINES[name].front_end if name in NETWORK_BASELINES else ESTIMATOR_BASELINES[name].FRONT_END
    assert name in TRAINABLE
    assert plan.front_end == own
    assert not plan.has_teacher
    networks = [stage for stage in plan.stages if stage != "estimator"]
    assert all(plan.settings_of(stage).augmentation == UNCHANGED for stage in networks)
    # The network that an estimator learns from has the same input.
    assert all(NETWORK_BASELINES[stage].front_end == own for stage in networks)


def test_a_baseline_starts_from_random_weights_even_if_pretrained_ones_are_available(monkeypatch):
    monkeypatch.setenv("SER_VGGISH_WEIGHTS", "/nowhere.pth")
    monkeypatch.setenv("SER_YAMNET_WEIGHTS", "/nowhere.safetensors")
    one, same = (starting_branch("cnn_dense", TrainingPlan({}, network="cnn_dense", seed=3)) for _ in range(2))
    other = starting_branch("cnn_dense", TrainingPlan({}, network="cnn_dense", seed=4))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_recordings_of_similar_length_share_a_batch_and_none_is_lost():
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.arange(100, 180))
    entries = [LabelledSpectrogram(None, "", np.empty((n, 64)), np.array([0]), 1, 0, int(n)) for n in lengths]
    dealt = [entry.segment_frames for entry, _ in grouped_by_length([(entry, 0) for entry in entries], 8, rng)]
    batches = np.reshape(dealt, (10, 8))
    assert sorted(dealt) == list(range(100, 180))
    assert np.ptp(batches, axis=1).tolist() == [7] * 10
    assert batches.min(axis=1).tolist() != list(range(100, 180, 8))


def test_a_batch_of_several_lengths_is_filled_with_silence():
    long, short = random_log_mel(120), random_log_mel(97)
    batch = as_batch([short, long])
    assert batch.shape == (2, 1, 120, 64)
    np.testing.assert_array_equal(batch[1, 0], long)
    np.testing.assert_array_equal(batch[0, 0, :97], short)
    assert torch.all(batch[0, 0, 97:] == np.float32(SILENCE))


def test_a_search_picks_the_best_candidate_on_the_validation_speakers(monkeypatch, tmp_path):
    calls = []

    def trained_as(network, dataset, validation, emotions, settings, seed, state_file, *_):
        calls.append((settings.rate, settings.epochs, state_file.name))
        network.head.weight.data += 1
        reached = {1e-4: 0.4, 1e-3: 0.7, 1e-2: 0.5}[settings.rate]
        return [{"validation_uar": reached, "seconds": 1.0}, {"validation_uar": reached - 0.1, "seconds": 2.0}]

    monkeypatch.setattr(training, "train_network", trained_as)
    network = TinyNetwork(4)
    before = network.head.weight.clone()
    candidates = [{"rate": 1e-4}, {"rate": 1e-3}, {"rate": 1e-2}]
    settings, tried = training.best_settings(
        network, candidates, [], [], EMOTIONS, TrainingSettings(epochs=20), 0, tmp_path / "a.safetensors", 0.001,
        UNWATCHED,
    )  # fmt: skip
    assert (settings.rate, settings.epochs) == (1e-3, 20)
    assert [(one["epoch"], one["validation_uar"], one["seconds"]) for one in tried] == [
        (1, 0.4, 3.0),
        (2, 0.7, 3.0),
        (3, 0.5, 3.0),
    ]
    assert [epochs for _, epochs, _ in calls] == [4, 4, 4]
    assert len({file for _, _, file in calls}) == 3
    assert torch.equal(network.head.weight, before)


@pytest.mark.parametrize("network", ["mfcc_cnn1d", "mfcc_svm"])
def test_no_network_learns_an_emotion_of_which_there_is_no_recording(network, small_corpus, tmp_path):
    (tmp_path / "emodb").mkdir()
    for file in small_corpus.iterdir():
        if "T" not in file.stem:  # sad
            (tmp_path / "emodb" / file.name).symlink_to(file)
    plan = TrainingPlan({"emodb": str(tmp_path / "emodb")}, network=network)
    with pytest.raises(SettingsRefused, match="no recording of sad to learn from"):
        train_classifier(plan, tmp_path / "mine", tmp_path / "runs")
    assert not (tmp_path / "mine").exists()


def test_of_two_trainings_into_one_folder_each_tests_its_own_model(small_corpus, tmp_path, monkeypatch):
    plans = [TrainingPlan({"emodb": str(small_corpus)}, network="mfcc_svm", folds=3, seed=seed) for seed in (0, 1)]
    test, second = classifier_training.logits_of_recordings, []

    def while_another_ends(*args):
        if not second:  # the second training ends while the first one tests
            work = (plans[1], tmp_path / "mine", tmp_path / "runs")
            second.append(threading.Thread(target=train_classifier, args=work))
            second[0].start()
            second[0].join(timeout=5)
        return test(*args)

    monkeypatch.setattr(classifier_training, "logits_of_recordings", while_another_ends)
    card = train_classifier(plans[0], tmp_path / "mine", tmp_path / "runs")
    second[0].join()
    assert card["seed"] == 0
    published = json.loads((tmp_path / "mine" / "card.json").read_text())
    assert published["seed"] == 1  # it waited for the first
    assert not set(read_predictions(tmp_path / "mine" / "test.csv").sha256) & set(training_list(tmp_path / "mine"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
