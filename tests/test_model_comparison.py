"""Models compared in the same test: figures, differences, size, cost; the command and the results page."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import accuracy_score

from ser_core.commands import main
from ser_core.experiments import COMPARISON, read_result, results_page, write_result
from ser_core.experiments.model_comparison import compare_models
from ser_core.learning.metrics import all_figures, auroc, macro_average_accuracy, paired_difference, uars_over_speakers
from ser_core.learning.predictions import Predictions, read_predictions, write_predictions
from ser_core.model.checkpoint import CARD, TEST_TABLE
from ser_core.model.networks import NETWORKS
from ser_core.model.shipped_models import find_model, model_names
from ser_core.work.progress import UNWATCHED

needs_yamnet = pytest.mark.skipif("yamnet" not in model_names(), reason="no models/yamnet to compare")


def table_of(labels, probabilities) -> Predictions:
    count = len(labels)
    hashes = tuple(f"{number:064x}" for number in range(count))
    speakers = tuple(f"toy:{number % 3}" for number in range(count))
    return Predictions(
        ("angry", "happy", "sad"),
        hashes,
        ("toy",) * count,
        speakers,
        ("",) * count,
        np.array(labels),
        np.array(probabilities, float),
    )


# --- figures ---


def test_macro_average_accuracy_counts_true_negatives():
    # Predicted: 0, 1, 1, 2. Against all others, angry is right 4 times of 4, happy 3 times, sad 3 times.
    table = table_of([0, 1, 2, 2], np.eye(3)[[0, 1, 1, 2]])
    assert macro_average_accuracy(table) == pytest.approx((4 + 3 + 3) / 12)


def test_macro_average_accuracy_equals_scikit_learns_one_versus_rest():
    rng = np.random.default_rng(0)
    table = table_of(rng.integers(0, 3, 50), rng.dirichlet([1, 1, 1], 50))
    expected = [accuracy_score(table.labels == c, table.predicted == c) for c in range(3)]
    assert macro_average_accuracy(table) == pytest.approx(np.mean(expected))


def test_auroc_is_the_share_of_pairs_that_are_ranked_correctly():
    rng = np.random.default_rng(1)
    table = table_of(rng.integers(0, 3, 60), rng.dirichlet([1, 1, 1], 60))
    areas = []
    for c in range(3):
        own, others = (table.probabilities[table.labels == c, c], table.probabilities[table.labels != c, c])
        areas.append(mannwhitneyu(own, others).statistic / (len(own) * len(others)))
    assert auroc(table) == pytest.approx(np.mean(areas))


def test_without_recordings_of_an_emotion_there_is_no_auroc():
    assert auroc(table_of([0, 1, 1], np.eye(3)[[0, 1, 2]])) is None


def test_resampled_uars_begin_with_the_uar_and_give_the_paired_interval():
    rng = np.random.default_rng(2)
    one, other = (table_of(np.arange(60) % 3, rng.dirichlet([1, 1, 1], 60)) for _ in range(2))
    uars = uars_over_speakers([one, other])
    assert uars[0, 0] == pytest.approx(all_figures(one)["mean_over_corpora_uar"])
    found = paired_difference(one, other)
    assert found.gain == pytest.approx(uars[0, 0] - uars[1, 0])
    assert found.interval == pytest.approx(tuple(np.percentile(uars[0, 1:] - uars[1, 1:], [2.5, 97.5])))


# --- models ---


@pytest.fixture
def two(tmp_path):
    """YAMNet, and a copy that predicts every recording of the test correctly."""
    yamnet, right = (shutil.copytree(find_model("yamnet"), tmp_path / name) for name in ("yamnet", "right"))
    table = read_predictions(right / TEST_TABLE)
    write_predictions(replace(table, probabilities=np.eye(len(table.emotions))[table.labels]), right / TEST_TABLE)
    return [str(yamnet), str(right)]


@needs_yamnet
def test_a_model_that_is_always_right_is_better_by_the_missing_points(two):
    result = compare_models(two, "speaker", {}, UNWATCHED)
    table = read_predictions(find_model("yamnet") / TEST_TABLE)
    first, right = result["models"].values()
    assert result["recordings"] == len(table.labels)
    assert first["uar"] == all_figures(table)["mean_over_corpora_uar"]
    assert (first["gain"], right["uar"], right["auroc"], right["macro_average_accuracy"]) == (0.0, 1.0, 1.0, 1.0)
    assert right["gain"] == pytest.approx(first["uar"] - 1)
    assert right["gain_interval"][1] < 0
    assert first["numbers"] == sum(p.numel() for p in NETWORKS["yamnet"](4).parameters())
    assert first["milliseconds"] is None


@needs_yamnet
def test_a_difference_does_not_depend_on_the_order_of_the_rows(two, tmp_path):
    file = tmp_path / "yamnet" / TEST_TABLE
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], *np.random.default_rng(0).permutation(lines[1:])]) + "\n")
    right_first = compare_models(two[::-1], "speaker", {}, UNWATCHED)["models"][two[0]]
    original = compare_models([two[1], "yamnet"], "speaker", {}, UNWATCHED)["models"]["yamnet"]
    assert right_first["gain"] == original["gain"]


@needs_yamnet
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda card: card.update(split="random 85:15"), "was tested differently (random 85:15)"),
        (lambda card: card.pop("split"), "its card does not say how"),
    ],
)
def test_a_named_model_of_another_split_is_refused_in_one_line(two, change, reason, capsys, tmp_path):
    card = json.loads((tmp_path / "right" / CARD).read_text())
    change(card)
    (tmp_path / "right" / CARD).write_text(json.dumps(card))
    assert main(["compare", "--models", *two]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line


@needs_yamnet
def test_a_model_that_was_tested_on_other_recordings_is_refused(two, tmp_path, capsys):
    file = tmp_path / "right" / TEST_TABLE
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    assert main(["compare", "--models", *two]) == 2
    assert "right was tested on other recordings" in capsys.readouterr().err


@needs_yamnet
def test_one_model_alone_is_refused(two, capsys):
    assert main(["compare", "--models", two[0]]) == 2
    assert "1 of 1 models can be compared; at least two" in capsys.readouterr().err


# --- what is written ---


@needs_yamnet
def test_the_command_prints_times_and_writes_json(two, small_corpus, tmp_path, capsys):
    file = tmp_path / "found.json"
    assert main(["compare", "--models", *two, "--corpus", f"emodb={small_corpus}", "--json", str(file)]) == 0
    result = json.loads(file.read_text())
    lines = capsys.readouterr().out.splitlines()
    assert result["timed_recordings"] == min(20, len(list(small_corpus.iterdir())))
    for line, (name, model) in zip(lines, result["models"].items(), strict=False):
        assert line.startswith(name)
        assert f"UAR {100 * model['uar']:5.1f} %" in line
        assert line.endswith(f"{model['milliseconds']:.0f} ms per recording")
        assert model["milliseconds"] > 0


@needs_yamnet
def test_every_shipped_model_is_on_the_results_page_or_has_a_reason_not_to_be(tmp_path):
    models = tmp_path / "models"
    for name in ("yamnet", "other"):
        shutil.copytree(find_model("yamnet"), models / name)
    result = compare_models(["yamnet", str(models / "other")], "speaker", {}, UNWATCHED)
    result["models"]["other"] = result["models"].pop(str(models / "other")) | {"learnt_from": "yamnet"}
    write_result(COMPARISON, result | {"left_out": {"six": "six tells other emotions apart."}}, models)
    assert read_result(COMPARISON, models)["models"]["other"]["gain"] == 0.0
    text = results_page.write_results_page(models).read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("| other | ") and "min, yamnet with it" in line)
    assert f"{100 * result['models']['yamnet']['uar']:.1f} %" in line
    assert "+0.0 points (+0.0 to +0.0)" in line
    assert "- six tells other emotions apart." in text
