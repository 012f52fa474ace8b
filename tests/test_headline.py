"""The figures that count, worked by hand: the mean over corpora, calibration error and abstention."""

import numpy as np
import pytest

from ser_core.learning.metrics import abstention_over_corpora, headline, reliability
from ser_core.learning.predictions import Predictions, pooled


def table(corpus: str, labels, best, scores, speakers=None) -> Predictions:
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
RAVDESS = table("ravdess", [0, 0, 1, 1], [0, 0, 1, 0], [0.9, 0.6, 0.9, 0.9])
#: Half right: recalls 1 and 0. All scores 0.8.
NEMO = table("nemo", [0, 1], [0, 0], [0.8, 0.8])
#: All right, as where the words say what is felt. All scores 1.
KOREAN = table("korean_emotional_tts", [0, 1, 0, 1], [0, 1, 0, 1], [1.0] * 4)


def test_the_mean_is_of_corpora_and_leaves_out_those_whose_words_betray_the_emotion():
    found = headline(pooled([RAVDESS, NEMO, KOREAN]))
    assert (found["corpora"], found["apart"]) == (["nemo", "ravdess"], ["korean_emotional_tts"])
    assert {name: f["uar"] for name, f in found["by_corpus"].items()} == {
        "ravdess": 0.75,
        "nemo": 0.5,
        "korean_emotional_tts": 1.0,
    }
    assert found["uar"] == pytest.approx((0.75 + 0.5) / 2)
    assert found["interval"][0] <= found["uar"] <= found["interval"][1]


def test_a_table_of_nothing_else_has_its_own_mean():
    found = headline(KOREAN)
    assert (found["corpora"], found["apart"], found["uar"]) == (["korean_emotional_tts"], [], 1.0)


def test_the_calibration_error_is_the_mean_of_the_corpora_s():
    found = headline(pooled([RAVDESS, NEMO, KOREAN]))
    # RAVDESS: three scores of 0.9 are right in 2/3, one of 0.6 is right. nEMO: two of 0.8 are right in a half.
    of_ravdess = (3 * (0.9 - 2 / 3) + 1 * (1 - 0.6)) / 4
    assert found["by_corpus"]["ravdess"]["expected_calibration_error"] == pytest.approx(of_ravdess)
    assert found["by_corpus"]["nemo"]["expected_calibration_error"] == pytest.approx(0.3)
    assert found["by_corpus"]["korean_emotional_tts"]["expected_calibration_error"] == pytest.approx(0)
    assert found["expected_calibration_error"] == pytest.approx((of_ravdess + 0.3) / 2)


def test_in_the_reliability_diagram_every_corpus_weighs_the_same():
    # Ten recordings of one corpus, all right, and one of another, wrong, with the same score: a half is right.
    large = table("large", [0] * 10, [0] * 10, [0.75] * 10)
    small = table("small", [1], [0], [0.75])
    (only,) = reliability([large, small])
    assert (only["from"], only["recordings"]) == (0.7, 11)
    assert (only["score"], only["accuracy"]) == pytest.approx((0.75, 0.5))


def test_abstention_by_hand_is_a_mean_over_corpora_and_ends_with_the_first_that_has_no_answer():
    curve = abstention_over_corpora([RAVDESS, NEMO])
    assert curve[0] == pytest.approx({"least_score": 0, "answered": 1, "accuracy": (3 / 4 + 1 / 2) / 2, "uar": 0.625})
    at = {round(point["least_score"], 2): point for point in curve}
    # From 0.65 on RAVDESS answers three of four: angry 1 of 1, sad 1 of 2.
    assert at[0.65]["answered"] == pytest.approx((3 / 4 + 1) / 2)
    assert at[0.65]["accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert at[0.65]["uar"] == pytest.approx(((1 + 1 / 2) / 2 + (1 + 0) / 2) / 2)
    assert max(at) == 0.8  # nEMO has no score above


def test_the_interval_draws_speakers_within_their_corpora():
    # Two voices a corpus, one always right and one always wrong: each corpus' mean is 0, 1/2 or 1.
    corpora = [table(name, [0, 1] * 4, [0, 1] * 2 + [1, 0] * 2, [0.9] * 8, "aaaabbbb") for name in ("one", "two")]
    found = headline(pooled(corpora))
    assert found["uar"] == pytest.approx(0.5)
    assert found["interval"] == pytest.approx([0, 1])  # both corpora draw the same voice twice in 1 of 16 draws each
