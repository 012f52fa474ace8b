"""The paper's experiments: what they compute, and the page of results."""

import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_core.commands import main
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.listeners import measure_listeners, restrict_recall
from ser_core.errors import CorpusRefused, SettingsRefused
from ser_core.experiments import (
    branch_maps,
    experiment_sections,
    read_result,
    relevance_by_band,
    results_page,
    selection_cost,
    write_result,
)
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.evaluation import Unseen
from ser_core.learning.plan import PRESETS, TrainingSettings
from ser_core.learning.predictions import Predictions, write_predictions
from ser_core.model.checkpoint import CORPORA_TABLE, CORPORA_VOICE_TABLE, TEST_TABLE, save_model
from ser_core.model.networks.yamnet import YAMNet
from ser_core.model.shipped_models import model_names
from ser_core.settings import FrontEnd
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import LinearClassifier

needs_yamnet = pytest.mark.skipif("yamnet" not in model_names(), reason="no models/yamnet to explain")


# --- frequencies that are evidence for emotions ---


def test_the_centre_is_the_mean_mel_position_of_the_positive_evidence():
    band_hz = np.array([100.0, 200.0, 400.0, 800.0])
    shares = np.array([[0, 0, 1, 0], [0.5, 0, 0.5, -0.9], [1, 0, 0, 1]])
    # Between the first and the third band lies the second; between the first and the last, half way from 200 to 400 Hz.
    np.testing.assert_allclose(relevance_by_band._centres(shares, band_hz), [400, 200, 300])


def test_every_speaker_counts_once_and_every_corpus_once():
    shares = defaultdict(list)
    shares["sad", "a", "1"] = [np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.0, 1.0])]
    shares["sad", "a", "2"] = [np.array([1.0, 0.0])]
    shares["sad", "b", "1"] = [np.array([0.0, -1.0])]
    shares["angry", "b", "1"] = [np.array([9.0, 9.0])]
    result = relevance_by_band._over_speakers("sad", shares, np.array([100.0, 200.0]))
    of_a = (np.array([1 / 3, 2 / 3]) + np.array([1.0, 0.0])) / 2
    np.testing.assert_allclose(result["share"], (of_a + np.array([0.0, -1.0])) / 2, atol=1e-5)
    assert result["recordings"] == 5


class OneBandClassifier(LinearClassifier):
    """Finds all its evidence for sadness in the uppermost eighth of the bands."""

    layers = ("map",)

    def class_activation(self, segments, class_weights, layer):
        map_ = np.zeros((len(class_weights), len(segments), 12, 8), np.float32)
        map_[..., -1] = 2 * class_weights[:, 3, None, None]
        return map_


def test_a_model_that_uses_only_high_bands_has_its_centre_there(small_corpus, monkeypatch):
    classifier = OneBandClassifier(np.zeros((4, 96, 64)))
    monkeypatch.setattr(relevance_by_band, "load_model", lambda _: classifier)
    items = [
        LabelledRecording(path, "toy", path.stem[:2], "sad", "", "none") for path in sorted(small_corpus.iterdir())[:6]
    ]
    monkeypatch.setattr(relevance_by_band, "unseen_recordings", lambda *_: Unseen(items, 0, 0, [], {}))
    result = relevance_by_band.relevance_by_band("any", {}, UNWATCHED)
    assert list(result["emotions"]) == ["sad"]  # there are no recordings of the others
    sad = result["emotions"]["sad"]
    assert sum(sad["share"]) == pytest.approx(1, abs=1e-3)
    assert sum(sad["share"][-12:]) == pytest.approx(1, abs=1e-3)
    assert result["band_hz"][-12] < sad["centre_hz"] < result["band_hz"][-1]
    assert sad["interval"][0] == pytest.approx(sad["interval"][1], abs=0.2)  # all speakers are alike here
    assert sad["recordings"] == 6


@pytest.mark.parametrize("experiment", [relevance_by_band.relevance_by_band, branch_maps.branch_maps])
def test_an_experiment_of_which_no_file_can_be_read_is_refused(experiment, tmp_path, monkeypatch):
    (tmp_path / "21a01Wa.wav").write_text("this is no sound")
    with pytest.raises(CorpusRefused, match="None of the 1 recordings could be read and explained"):
        experiment("fusion", {"emodb": str(tmp_path)}, UNWATCHED)


# --- what data selection costs ---


def labelled(levels):
    """A recording of non-overlapping segments, each of its own level in neper."""
    rng = np.random.default_rng(len(levels))
    log_mel = np.concatenate([rng.normal(level, 0.5, size=(96, 64)) for level in levels]).astype(np.float16)
    item = LabelledRecording(Path("x.wav"), "toy", "1", "sad", "", "none")
    return LabelledSpectrogram(item, "ab" * 32, log_mel, 96 * np.arange(len(levels)), len(levels), 3)


def test_every_rule_drops_as_many_segments_as_the_papers_rule():
    entry = labelled([-3.0, -3.1, -6.5, -2.9, 1.0])
    kept = {rule: selection_cost._drop_segments(entry, rule, 0.3).start_frames for rule in selection_cost.RULES[1:]}
    assert kept["minmax"].tolist() == [0, 96, 288]  # segments unlike the rest are dropped, loud or quiet
    assert kept["quietest"].tolist() == [0, 288, 384]
    assert len(kept["random"]) == 3
    assert set(kept["random"]) <= set(entry.start_frames)
    again = selection_cost._drop_segments(entry, "random", 0.3).start_frames
    assert np.array_equal(kept["random"], again)


@pytest.mark.slow
@needs_yamnet
def test_the_experiment_of_selection_ends_with_figures_for_every_rule(make_voice, tmp_path, monkeypatch):
    monkeypatch.delenv("SER_YAMNET_WEIGHTS", raising=False)
    one_epoch = TrainingSettings(epochs=1, segments_per_recording=None)
    monkeypatch.setitem(PRESETS["every_segment"], "yamnet", one_epoch)
    corpora = {"emodb": str(tmp_path)}
    for number, speaker in enumerate(("21", "22", "23", "24", "25")):
        for place, letter in enumerate("WFNT"):
            samples = make_voice(2.2, 16_000, seed=10 * number + place)
            soundfile.write(tmp_path / f"{speaker}a0{place + 1}{letter}a.wav", samples, 16_000)
    result = selection_cost.selection_cost(corpora, "yamnet", [2], tmp_path / "runs", UNWATCHED)
    assert list(result["rules"]) == list(selection_cost.RULES)
    assert list(result["validated"]) == ["all", *(str(t) for t in selection_cost.THRESHOLDS)]
    segments = {rule: figures["segments"] for rule, figures in result["rules"].items()}
    assert segments["none"] > segments["minmax"] == segments["random"] == segments["quietest"]
    assert all(figures["figures"]["pooled"]["recordings"] == 4 for figures in result["rules"].values())
    assert result["rules"]["none"]["gain"] == 0
    assert result["rules"]["none"]["interval"] == [0, 0]
    assert set(result["minmax_minus"]) == {"random", "quietest"}
    again = selection_cost.selection_cost(corpora, "yamnet", [2], tmp_path / "runs", UNWATCHED)
    assert again == result  # the trainings and their seconds are found


# --- the commands and the page of results ---


@pytest.mark.slow
@needs_yamnet
def test_bands_and_robustness_are_commands_that_write_their_figures_and_the_page(small_corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("ser_core.commands.experiment.write_result", lambda n, r: write_result(n, r, tmp_path))
    monkeypatch.setattr("ser_core.commands.experiment.write_results_page", lambda: tmp_path / "RESULTS.md")
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted(small_corpus.iterdir())[:8]:
        (few / file.name).symlink_to(file)
    for name in ("bands", "robustness"):
        assert main(["experiment", name, "--model", "yamnet", "--corpus", f"emodb={few}"]) == 0
    bands = read_result("bands", tmp_path)
    assert set(bands["emotions"]) == {"angry", "happy", "neutral", "sad"}
    assert all(len(emotion["share"]) == 64 for emotion in bands["emotions"].values())
    assert all(np.abs(emotion["share"]).sum() <= 1 + 1e-3 for emotion in bands["emotions"].values())
    conditions = read_result("robustness-yamnet", tmp_path)["conditions"]
    assert next(iter(conditions)) == "as recorded"
    assert conditions["noise, 0 dB"]["mean_over_corpora_uar"] == conditions["noise, 0 dB"]["corpora"]["emodb"]


@needs_yamnet
def test_maps_of_both_branches_are_refused_of_a_model_that_has_one(small_corpus, capsys):
    assert main(["experiment", "branches", "--model", "yamnet", "--corpus", f"emodb={small_corpus}"]) == 2
    assert "choose a fusion of both branches" in capsys.readouterr().err


def test_missing_results_are_none_and_damaged_ones_are_refused(tmp_path):
    assert read_result("bands", tmp_path) is None
    file = write_result("bands", {"a": 1}, tmp_path)
    assert read_result("bands", tmp_path) == {"a": 1}
    assert [path.name for path in file.parent.iterdir()] == ["bands.json"]
    file.write_text('{"a": ')
    with pytest.raises(SettingsRefused, match=r"bands\.json is damaged"):
        read_result("bands", tmp_path)


def emotions_at(**intervals):
    return {name: {"interval": list(interval)} for name, interval in intervals.items()}


def test_the_page_says_whether_the_papers_claim_about_frequencies_holds():
    says = experiment_sections._verdict_on_bands
    holds = emotions_at(angry=(3, 4), happy=(5, 6), neutral=(1, 2), sad=(0, 1))
    assert says(holds) == "That holds here: no intervals overlap."
    none = emotions_at(angry=(1, 4), happy=(1, 4), neutral=(1, 4), sad=(1, 4))
    assert says(none) == "That does not hold here, and not for other pairs."
    some = emotions_at(angry=(5, 6), happy=(1, 2), neutral=(3, 4), sad=(3, 5.5))
    assert says(some) == (
        "That holds here for angry against neutral, with disjoint intervals; "
        "happy against neutral, happy against sad are the other way round."
    )


@needs_yamnet
def test_every_figure_of_the_page_matches_the_tables_and_results(tmp_path):
    from ser_core.learning.metrics import all_figures
    from ser_core.learning.predictions import read_test_predictions
    from ser_core.model.checkpoint import read_card
    from ser_core.model.shipped_models import MODELS

    (tmp_path / "yamnet").symlink_to(MODELS / "yamnet")
    rules = {
        rule: {
            "segments": segments,
            "seconds": seconds,
            "gain": gain,
            "interval": [gain - 0.01, gain + 0.01],
            "figures": all_figures(read_test_predictions(MODELS / "yamnet")),
            "selected_test": {"mean_over_corpora_uar": 0.712},
        }
        for rule, segments, seconds, gain in (("none", 1000, 600.0, 0.0), ("minmax", 800, 450.0, -0.004))
    }
    result = {"network": "yamnet", "folds": [1, 2], "threshold": 0.1, "rules": rules, "minmax_minus": {}}
    write_result("selection-yamnet", result, tmp_path)
    text = results_page.write_results_page(tmp_path).read_text()
    uar = all_figures(read_test_predictions(MODELS / "yamnet"))["mean_over_corpora_uar"]
    assert f"| yamnet | {100 * uar:.1f} % |" in text
    card = read_card(MODELS / "yamnet")
    assert card.get("cross_validation", card)["split"].split(",")[0] in text
    assert "800 (20.0 % fewer)" in text
    assert "7.5 min (25 % less)" in text
    assert "-0.4 points (-1.4 to +0.6)" in text
    assert "UAR 71.2 %" in text
    assert json.loads((tmp_path / "experiments" / "selection-yamnet.json").read_text()) == result


# --- new people and new corpora ---


def predicted(corpora, right, voices=2):
    """Two emotions, spoken twice by every voice of each corpus; all are predicted correctly in the corpora `right`."""
    rows = [(c, f"{c}:{v}", label) for c in corpora for v in range(voices) for label in (0, 1) for _ in range(2)]
    best = [label if corpus in right else 0 for corpus, _, label in rows]
    probabilities = np.full((len(rows), 2), 0.2)
    probabilities[np.arange(len(rows)), best] = 0.8
    columns = [tuple(row[number] for row in rows) for number in (0, 1)]
    sha256 = tuple(f"{number:064x}" for number in range(len(rows)))
    return Predictions(
        ("angry", "sad"), sha256, *columns, ("",) * len(rows), np.array([r[2] for r in rows]), probabilities
    )


@pytest.fixture
def model_of_tables(tmp_path):
    """A model's folder with tables of new people and of new corpora, and people who listened."""
    folder, corpora = tmp_path / "made", ("crema_d", "ravdess", "korean_emotional_tts")
    card = {"architecture": "yamnet", "emotions": ["angry", "sad"], "split": "speaker-disjoint, fold 1 of 5"}
    save_model(folder, YAMNet(2), card | {"front_end": asdict(FrontEnd()), "temperature": 1.0}, [], "")
    write_predictions(predicted(corpora, corpora), folder / TEST_TABLE)
    write_predictions(predicted(corpora, ["korean_emotional_tts"]), folder / CORPORA_TABLE)
    write_predictions(predicted(corpora, ["korean_emotional_tts", "ravdess"]), folder / CORPORA_VOICE_TABLE)
    people = {"recall": {"angry": 0.6, "sad": 0.2, "fear": 0.9}}
    write_result("listeners", {"corpora": {"crema_d": people}}, tmp_path)
    return tmp_path


def test_new_people_and_new_corpora_are_rows_and_the_mean_leaves_out_the_corpus_whose_words_reveal_the_emotion(
    model_of_tables,
):
    text = results_page.write_results_page(model_of_tables).read_text()
    assert "korean_emotional_tts (apart)" in text
    sure, half = "100.0 % (100 to 100)", "50.0 % (50 to 50)"
    assert f"| made | new people | 6 | {sure} | {sure} | {sure} | {sure} |" in text
    # By hand: ravdess and crema_d are the mean, korean_emotional_tts is not.
    assert f"| made | new corpora | 6 | {half} | {half} | {half} | {sure} |" in text
    with_normal = "75.0 % (75 to 75)"
    assert f"| made | new corpora, with own normal | 6 | {with_normal} | {sure} | {half} | {sure} |" in text
    assert "- made, new corpora: the speakers' own normal adds +25.0 points (+25.0 to +25.0)." in text


def test_human_listeners_are_compared_with_the_model_in_its_emotions_only(model_of_tables):
    text = results_page.write_results_page(model_of_tables).read_text()
    assert "| crema_d, 2 emotions | mean | angry | sad |" in text
    assert "| people, from the voice alone | 40.0 % | 60.0 % | 20.0 % |" in text
    assert "| made, new corpora | 50.0 % | 100.0 % | 0.0 % |" in text


def test_calibration_and_silence_on_new_corpora_are_worked_by_hand(model_of_tables):
    text = results_page.write_results_page(model_of_tables).read_text()
    # All scores are 0.8: half right in ravdess and crema_d (30 points off), all right in the Korean one (20 points).
    assert "| made | new corpora | 30.0 % | 30.0 % | 30.0 % | 20.0 % |" in text
    assert "| made | new corpora | 50.0 % | - | - | - |" in text  # a single score: everything is answered, or nothing
    assert "No figures for new corpora yet" not in text


def test_a_model_without_a_table_of_new_corpora_is_named_with_the_command_that_makes_it(model_of_tables):
    (model_of_tables / "made" / CORPORA_TABLE).unlink()
    text = results_page.write_results_page(model_of_tables).read_text()
    assert "No figures for new corpora yet: made." in text
    assert "--split corpus --fold all --figures-of" in text


def test_listeners_of_corpora_without_votes_are_refused(small_corpus):
    with pytest.raises(SettingsRefused, match="no listeners' votes for emodb"):
        measure_listeners({"emodb": str(small_corpus)})


def test_human_listeners_are_compared_only_with_models_of_their_emotions():
    human = {"recall": {"angry": 0.6, "sad": 0.2, "fear": 0.9}}
    assert restrict_recall(human, ("angry", "happy", "sad")) == {
        "recall": {"angry": 0.6, "sad": 0.2},
        "uar": pytest.approx(0.4),
    }
    assert restrict_recall(human, ("happy", "calm")) is None
