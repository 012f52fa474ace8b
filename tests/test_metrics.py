"""Metrics worked by hand, against scikit-learn and by laws: figures, intervals, temperature, headline."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from ser_core.learning.classifier_training.calibration import fit_temperature
from ser_core.learning.metrics import (
    abstention_over_corpora,
    figures,
    figures_by_corpus,
    headline,
    reliability,
    speaker_interval,
    summed_over_drawn,
)
from ser_core.learning.predictions import Predictions, concatenate

EMOTIONS = ("angry", "happy", "sad")

# By hand: of 4 angry 3 are found (one taken for sad), of 2 happy 1 (one for angry), of 4 sad all.
LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
PREDICTED = np.array([0, 0, 0, 2, 1, 0, 2, 2, 2, 2])
SPEAKERS = ["a", "b"] * 5


def test_figures_of_ten_recordings_worked_by_hand():
    found = figures(PREDICTED, LABELS, SPEAKERS, EMOTIONS, seed=0)
    assert found["confusion"] == [[3, 0, 1], [1, 1, 0], [0, 0, 4]]
    assert found["accuracy"] == pytest.approx(8 / 10)
    assert found["recall"] == pytest.approx({"angry": 3 / 4, "happy": 1 / 2, "sad": 1})
    assert found["uar"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert found["macro_f1"] == pytest.approx((6 / 8 + 2 / 3 + 8 / 9) / 3)
    assert (found["recordings"], found["speakers"]) == (10, 2)


@pytest.mark.parametrize("seed", range(3))
def test_figures_equal_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=60)
    predicted = np.where(rng.random(60) < 0.6, labels, rng.integers(3, size=60))
    found = figures(predicted, labels, [f"s{i % 7}" for i in range(60)], EMOTIONS, seed)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert found["uar"] == pytest.approx(recall_score(labels, predicted, average="macro"))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found["confusion"] == confusion_matrix(labels, predicted).tolist()
    assert found["interval"][0] <= found["uar"] <= found["interval"][1]


def test_an_emotion_without_recordings_is_left_out_of_means():
    here = LABELS != 1
    found = figures(np.where(PREDICTED[here] == 1, 0, PREDICTED[here]), LABELS[here], ["a"] * 8, EMOTIONS, seed=0)
    assert found["uar"] == pytest.approx((3 / 4 + 1) / 2)
    assert found["macro_f1"] == pytest.approx((6 / 7 + 8 / 9) / 2)


def test_predicting_an_emotion_without_recordings_lowers_f1_as_in_scikit_learn():
    labels, predicted = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    found = figures(predicted, labels, ["a"] * 4, EMOTIONS, seed=0)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_figures_are_json_that_any_program_reads_even_where_an_emotion_is_missing():
    here = LABELS != 1
    found = figures(PREDICTED[here], LABELS[here], ["a"] * 8, EMOTIONS, seed=0)
    assert json.loads(json.dumps(found, allow_nan=False))["recall"] == {"angry": 0.75, "happy": None, "sad": 1.0}


def test_interval_of_one_speaker_has_no_width():
    low, high = speaker_interval(PREDICTED, LABELS, ["a"] * 10, 3, seed=0)
    assert low == high == pytest.approx(0.75)


def test_interval_is_the_same_for_the_same_seed_and_does_not_depend_on_the_order_of_recordings():
    order = np.random.default_rng(0).permutation(10)
    speakers = np.array([f"s{i // 2}" for i in range(10)])
    once = speaker_interval(PREDICTED, LABELS, speakers, 3, seed=4)
    assert once == speaker_interval(PREDICTED, LABELS, speakers, 3, seed=4)
    assert once == pytest.approx(speaker_interval(PREDICTED[order], LABELS[order], speakers[order], 3, seed=4))
    assert once != speaker_interval(PREDICTED, LABELS, speakers, 3, seed=5)


def test_sums_over_resampled_speakers_equal_those_computed_at_once():
    rng = np.random.default_rng(0)
    values, drawn = rng.integers(9, size=(7, 3, 3)), rng.integers(7, size=(50, 7))
    np.testing.assert_array_equal(summed_over_drawn(values, drawn), values[drawn].sum(axis=1))


def test_interval_resamples_speakers_and_not_recordings():
    # Ten voices, each always right or always wrong: drawing whole voices is the mean of ten fair coins.
    labels = np.tile([0, 1], 50)
    speakers = np.repeat([f"s{i}" for i in range(10)], 10)
    right = np.repeat(np.arange(10) % 2 == 0, 10)
    low, high = speaker_interval(np.where(right, labels, 1 - labels), labels, speakers, 2, seed=0)
    assert low == pytest.approx(0.2, abs=0.05)  # 100 independent recordings would give 0.4
    assert high == pytest.approx(0.8, abs=0.05)


def test_interval_survives_draws_in_which_an_emotion_is_missing():
    low, high = speaker_interval(np.array([0, 1, 1]), np.array([0, 1, 0]), ["a", "b", "c"], 2, seed=0)
    assert 0 <= low <= high <= 1


def calibrated(recordings=4_000, classes=4):
    """Logits of one segment each, and labels drawn from exactly these probabilities."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(recordings, classes)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > rng.random((recordings, 1))).argmax(axis=1)
    return logits, labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_logits_scaled_by_a_factor_give_it_as_temperature(factor):
    logits, labels = calibrated()
    assert fit_temperature(list(factor * logits[:, None, :]), labels) == pytest.approx(factor, rel=0.06)


def test_temperature_fits_the_mean_over_segments_and_not_the_segments():
    # One of two segments is uninformative, so a recording never exceeds 3/4; 3 of 4 are right, so that is correct:
    # the sure segment must be as sure as can be.
    logits = [np.array([[2.0, 0.0], [0.0, 0.0]])] * 4
    assert fit_temperature(logits, np.array([0, 0, 0, 1])) < 0.3
    each = [z[:1] for z in logits]
    assert fit_temperature(each, np.array([0, 0, 0, 1])) == pytest.approx(2 / np.log(3), rel=0.01)


def test_the_headline_is_the_mean_over_corpora_and_not_the_pool():
    labels = np.array([0, 1] * 10 + [0, 1])
    predicted = np.array([0, 1] * 10 + [1, 0])  # the large corpus is all right, the small one all wrong
    corpora = ["large"] * 20 + ["small"] * 2
    found = figures_by_corpus(predicted, labels, [f"{c}:1" for c in corpora], corpora, ("angry", "sad"))
    assert found["mean_over_corpora_uar"] == pytest.approx(0.5)
    assert found["pooled"]["uar"] == pytest.approx(20 / 22)
    assert {name: f["uar"] for name, f in found["corpora"].items()} == {"large": 1.0, "small": 0.0}
    assert found["corpora"]["large"] == figures(predicted[:20], labels[:20], ["large:1"] * 20, ("angry", "sad"), seed=0)


# --- headline ---


def table_of(corpus: str, labels, best, scores, speakers=None) -> Predictions:
    """Two emotions; `best` is what is predicted, with its score."""
    count, best = len(labels), np.array(best)
    probabilities = np.empty((count, 2))
    probabilities[np.arange(count), best] = scores
    probabilities[np.arange(count), 1 - best] = 1 - np.array(scores)
    return Predictions(
        ("angry", "sad"),
        tuple(f"{corpus}{n}" for n in range(count)),
        (corpus,) * count,
        tuple(f"{corpus}:{name}" for name in (speakers or range(count))),
        ("",) * count,
        np.array(labels),
        probabilities,
    )


#: 3 of 4 right: recalls 1 and 1/2. Scores 0.9 (three, of which two are right) and 0.6 (right).
RAVDESS = table_of("ravdess", [0, 0, 1, 1], [0, 0, 1, 0], [0.9, 0.6, 0.9, 0.9])
#: Half right: recalls 1 and 0. All scores 0.8.
NEMO = table_of("nemo", [0, 1], [0, 0], [0.8, 0.8])
#: All right, as if the words revealed the emotion. All scores 1.
KOREAN = table_of("korean_emotional_tts", [0, 1, 0, 1], [0, 1, 0, 1], [1.0] * 4)


def test_the_mean_is_over_corpora_except_those_whose_words_reveal_the_emotion():
    found = headline(concatenate([RAVDESS, NEMO, KOREAN]))
    assert (found["corpora"], found["apart"]) == (["nemo", "ravdess"], ["korean_emotional_tts"])
    assert {name: f["uar"] for name, f in found["by_corpus"].items()} == {
        "ravdess": 0.75,
        "nemo": 0.5,
        "korean_emotional_tts": 1.0,
    }
    assert found["uar"] == pytest.approx((0.75 + 0.5) / 2)
    assert found["interval"][0] <= found["uar"] <= found["interval"][1]


def test_a_table_of_only_such_corpora_has_its_own_mean():
    found = headline(KOREAN)
    assert (found["corpora"], found["apart"], found["uar"]) == (["korean_emotional_tts"], [], 1.0)


def test_the_calibration_error_is_the_mean_over_corpora():
    found = headline(concatenate([RAVDESS, NEMO, KOREAN]))
    # RAVDESS: three scores of 0.9 are right in 2/3, one of 0.6 is right. nEMO: two of 0.8 are right in a half.
    of_ravdess = (3 * (0.9 - 2 / 3) + 1 * (1 - 0.6)) / 4
    assert found["by_corpus"]["ravdess"]["expected_calibration_error"] == pytest.approx(of_ravdess)
    assert found["by_corpus"]["nemo"]["expected_calibration_error"] == pytest.approx(0.3)
    assert found["by_corpus"]["korean_emotional_tts"]["expected_calibration_error"] == pytest.approx(0)
    assert found["expected_calibration_error"] == pytest.approx((of_ravdess + 0.3) / 2)


def test_every_corpus_weighs_the_same_in_the_reliability_diagram():
    # Ten recordings of one corpus, all right, and one of another, wrong, with the same score: a half is right.
    large = table_of("large", [0] * 10, [0] * 10, [0.75] * 10)
    small = table_of("small", [1], [0], [0.75])
    (only,) = reliability([large, small])
    assert (only["from"], only["recordings"]) == (0.7, 11)
    assert (only["score"], only["accuracy"]) == pytest.approx((0.75, 0.5))


def test_abstention_is_a_mean_over_corpora_and_ends_when_one_has_no_answers_worked_by_hand():
    curve = abstention_over_corpora([RAVDESS, NEMO])
    assert curve[0] == pytest.approx({"least_score": 0, "answered": 1, "accuracy": (3 / 4 + 1 / 2) / 2, "uar": 0.625})
    at = {round(point["least_score"], 2): point for point in curve}
    # From 0.65 on RAVDESS answers three of four: angry 1 of 1, sad 1 of 2.
    assert at[0.65]["answered"] == pytest.approx((3 / 4 + 1) / 2)
    assert at[0.65]["accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert at[0.65]["uar"] == pytest.approx(((1 + 1 / 2) / 2 + (1 + 0) / 2) / 2)
    assert max(at) == 0.8  # nEMO has no higher score


def test_the_interval_resamples_speakers_within_their_corpora():
    # Two voices per corpus, one always right and one always wrong: each corpus' mean is 0, 1/2 or 1.
    corpora = [table_of(name, [0, 1] * 4, [0, 1] * 2 + [1, 0] * 2, [0.9] * 8, "aaaabbbb") for name in ("one", "two")]
    found = headline(concatenate(corpora))
    assert found["uar"] == pytest.approx(0.5)
    assert found["interval"] == pytest.approx([0, 1])  # in 1 of 16 draws each, both corpora draw the same voice twice
