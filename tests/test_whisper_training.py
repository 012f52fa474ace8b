"""Training with Whisper's encoder: starting weights, what is fitted, and separation of training and test."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ser_core.annotations.teaching.taught_model import learns_in_epochs, require_teachable
from ser_core.audio.reading import read_recording
from ser_core.corpora import read_corpus
from ser_core.corpora.splits import speaker_splits
from ser_core.errors import CorpusRefused, SettingsRefused
from ser_core.learning import batches
from ser_core.learning.batches import features_of
from ser_core.learning.classifier_training import train_classifier
from ser_core.learning.cross_validation import cross_validate
from ser_core.learning.dataset import load_dataset
from ser_core.learning.heads import fit_bands
from ser_core.learning.plan import TrainingPlan, seen_by_starting_weights, starting_branch
from ser_core.learning.predictions import read_predictions
from ser_core.model import checkpoint
from ser_core.model.checkpoint import load_network, training_list
from ser_core.model.networks import whisper
from ser_core.model.networks.whisper import Whisper, whisper_log_mel
from ser_core.model.shipped_models import find_model, load_model
from ser_core.pipeline import analyse_recording
from ser_core.settings import AnalysisSettings, VoiceSettings
from ser_core.work.progress import UNWATCHED
from tests import tiny_networks
from tests.tiny_networks import EMOTIONS, fresh, noise_recording, published_encoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one_block():
    """Whisper with one of its three blocks: the same training and saving in less time."""

    def forget_sizes() -> None:
        tiny_networks._made.cache_clear()
        checkpoint._shapes.cache_clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whisper, "BLOCKS", 1)
        forget_sizes()
        yield
    forget_sizes()


@pytest.fixture(scope="module")
def encoder(one_block, tmp_path_factory):
    """A file of made-up weights in the published format of Whisper."""
    file = tmp_path_factory.mktemp("weights") / "made-up.safetensors"
    save_file(published_encoder(fresh(Whisper, seed=2)), file)
    return file


@pytest.fixture(autouse=True)
def from_the_file(encoder, monkeypatch):
    monkeypatch.setenv("SER_WHISPER_WEIGHTS", str(encoder))


@pytest.fixture(scope="module")
def trained(small_corpus, encoder, tmp_path_factory):
    """A model, and its plan."""
    place = tmp_path_factory.mktemp("trained")
    plan = TrainingPlan({"emodb": str(small_corpus)}, network="whisper")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_WHISPER_WEIGHTS", str(encoder))
        train_classifier(plan, place / "ours", place / "runs")
    return place, plan


def dataset_of(corpus, tmp_path):
    plan = TrainingPlan({"emodb": str(corpus)}, network="whisper")
    items = read_corpus("emodb", str(corpus)).recordings
    return load_dataset(items, plan.emotions, plan.front_end, tmp_path / "log_mels", UNWATCHED)[0]


def test_a_trained_model_is_the_published_encoder_with_bands_and_a_head_of_its_own(trained, encoder):
    place, plan = trained
    network, card, _ = load_network(place / "ours")
    begun = starting_branch("whisper", plan)
    for name, tensor in network.state_dict().items():
        own = name.startswith(("bands.", "head."))
        assert torch.equal(tensor, begun.state_dict()[name].half().float()) != own, name
    assert card["front_end"]["segments"] == {"segment_frames": 240, "hop_frames": 120}
    assert card["training"]["whisper"]["centred_share"] == 0.5
    assert card["pooling"] == load_model(place / "ours").pooling == "logits"
    assert load_model(place / "ours").voice == VoiceSettings()
    assert card["history"]["whisper"][0]["bands_explained_variance"] > 0.8


def test_its_test_speakers_are_none_that_it_was_trained_on(trained):
    place, _ = trained
    tested = read_predictions(place / "ours" / "test.csv")
    assert not set(tested.speakers) & set(training_list(place / "ours").values())
    assert (len(tested.labels), len(training_list(place / "ours"))) == (8, 32)


def test_a_recording_is_scored_and_explained_on_its_segments(trained):
    classifier = load_model(trained[0] / "ours")
    analysis = analyse_recording(noise_recording(3.0), classifier, AnalysisSettings(explain=("grad_cam",)))
    assert analysis.segments.segment_frames == 240
    assert analysis.explanations["grad_cam"].relevance.shape == analysis.spectrogram.log_mel.shape
    assert np.ptp(analysis.explanations["grad_cam"].relevance) > 0
    short = analyse_recording(noise_recording(1.0), classifier, AnalysisSettings(explain=(), focus_by=None))
    assert any("Shorter than the 2.40 s" in warning for warning in short.warnings)


def test_all_folds_are_trained_from_the_same_features_and_resumed_without_any(small_corpus, tmp_path, monkeypatch):
    counts = []
    monkeypatch.setattr(
        batches,
        "features_of",
        lambda network, dataset: counts.append(len(dataset)) or features_of(network, dataset),
    )
    plan = TrainingPlan({"emodb": str(small_corpus)}, network="whisper")
    card = cross_validate(plan, (1, 2), tmp_path / "out", tmp_path / "runs")
    assert card["cross_validation"]["pooled"]["recordings"] == 16
    # Each recording once, though most are used twice, and training recordings once more through the phone band.
    splits = speaker_splits(read_corpus("emodb", str(small_corpus)).recordings, 5, 0)[:2]
    computed = 40 + len({place for split in splits for place in split.train})
    assert sum(counts) == computed
    again = cross_validate(plan, (1, 2), tmp_path / "out", tmp_path / "runs", resume=True)
    assert again == card
    assert sum(counts) == computed


def test_the_bands_map_a_spectrogram_to_whispers_at_the_same_moment(small_corpus, tmp_path):
    network, dataset = fresh(Whisper), dataset_of(small_corpus, tmp_path)
    explained = fit_bands(network, dataset)
    assert 0.8 < explained < 1
    entry = dataset[3]
    recording = read_recording(entry.item.path)
    assert recording.sample_rate_hz == 16_000
    theirs = whisper_log_mel(recording.samples)
    frames = torch.tensor(entry.log_mel[: len(theirs) - 2]).float()
    with torch.inference_mode():
        ours = network.bands(frames).numpy()
    assert np.corrcoef(ours.ravel(), (0.75 * theirs[1:-1] + 0.25 * theirs[2:])[: len(ours)].ravel())[0, 1] > 0.9


def test_the_bands_are_the_same_whichever_side_a_recording_is_on(small_corpus, tmp_path):
    one, other, dataset = fresh(Whisper), fresh(Whisper, seed=3), dataset_of(small_corpus, tmp_path)
    fit_bands(one, dataset)
    fit_bands(other, dataset[7:] + dataset[:7])
    assert torch.equal(one.bands.weight, other.bands.weight)
    assert torch.equal(one.bands.bias, other.bands.bias)


def test_bands_without_any_recording_are_refused():
    with pytest.raises(CorpusRefused, match="no recording to fit Whisper's bands on"):
        fit_bands(fresh(Whisper), [])


@pytest.fixture
def shipped(trained, tmp_path, monkeypatch):
    """A models folder with a whisper model, without published weights."""
    shutil.copytree(trained[0] / "ours", tmp_path / "models" / "whisper")
    monkeypatch.delenv("SER_WHISPER_WEIGHTS")
    monkeypatch.setattr("ser_core.learning.plan.find_model", lambda name: tmp_path / "models" / name)
    return tmp_path / "models" / "whisper"


def test_without_published_weights_it_begins_as_the_shipped_model_and_keeps_its_bands(
    shipped, trained, small_corpus, tmp_path
):
    plan = trained[1]
    train_classifier(plan, tmp_path / "again", tmp_path / "runs")
    one, other = (load_network(folder)[0].state_dict() for folder in (shipped, tmp_path / "again"))
    assert all(torch.equal(one[name], other[name]) for name in one if not name.startswith("head."))
    history = json.loads((tmp_path / "again" / "card.json").read_text())["history"]["whisper"][0]
    assert "bands_explained_variance" not in history


def test_what_a_model_was_trained_on_is_left_out_of_the_test_only_if_its_head_goes_on(shipped, trained):
    assert len(training_list(shipped)) == 32
    assert seen_by_starting_weights(trained[1]) == {}
    warm = replace(trained[1], warm_start=str(shipped))
    assert seen_by_starting_weights(warm) == training_list(shipped)
    assert seen_by_starting_weights(replace(warm, emotion_set="seven")) == {}


def test_a_warm_start_changes_the_head_a_little_and_nothing_else(small_corpus, trained, tmp_path):
    place, plan = trained
    disputed = tmp_path / "disputed"
    disputed.mkdir()
    for file in small_corpus.glob("*.wav"):  # somebody swaps angry and happy
        shutil.copy(file, disputed / file.name.translate(str.maketrans("WF", "FW")))
    plan = replace(plan, corpora={"emodb": str(disputed)}, warm_start=str(place / "ours"))
    card = train_classifier(plan, tmp_path / "more", place / "runs")
    before, old_card, _ = load_network(place / "ours")
    after, _, _ = load_network(tmp_path / "more")
    for name, tensor in after.state_dict().items():
        assert torch.equal(tensor, before.state_dict()[name]) != name.startswith("head."), name
    assert torch.nn.functional.cosine_similarity(after.head.weight.flatten(), before.head.weight.flatten(), 0) > 0.9
    assert card["temperature"] == old_card["temperature"]
    assert card["voice"] == old_card["voice"]
    assert training_list(tmp_path / "more").keys() >= training_list(place / "ours").keys()


def test_a_warm_start_from_a_model_without_the_encoder_is_refused(trained):
    with pytest.raises(SettingsRefused, match="yamnet has no whisper to start from; give a model of whisper, or train"):
        starting_branch("whisper", replace(trained[1], warm_start=str(find_model("yamnet"))))


def test_labels_can_be_taught_to_it_in_one_step(trained):
    model = str(trained[0] / "ours")
    require_teachable(model)
    assert not learns_in_epochs(model)
    assert learns_in_epochs("yamnet")


def test_a_missing_emotion_is_refused(small_corpus, tmp_path):
    few = Path(shutil.copytree(small_corpus, tmp_path / "few"))
    for file in few.glob("*W?.wav"):
        file.unlink()
    with pytest.raises(SettingsRefused, match=f"no recording of {EMOTIONS[0]} to learn from"):
        train_classifier(TrainingPlan({"emodb": str(few)}, network="whisper"), tmp_path / "out", tmp_path / "runs")
