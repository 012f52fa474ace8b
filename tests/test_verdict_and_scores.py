"""Probabilities, evidence and the verdict, worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis.emotions import EMOTION_SETS
from ser_core.errors import ModelRefused
from ser_core.model.scores import (
    NO_SPEECH,
    NOT_SURE,
    POOLINGS,
    evidence,
    pool,
    recording_probabilities,
    softmax,
    verdict_of,
)
from ser_core.settings import VerdictSettings

CORE4 = EMOTION_SETS["core4"]


def test_softmax_is_as_worked_by_hand():
    np.testing.assert_allclose(
        softmax(np.log([[1.0, 2.0, 5.0], [4.0, 4.0, 2.0]])), [[0.125, 0.25, 0.625], [0.4, 0.4, 0.2]]
    )


def test_temperature_divides_the_logits():
    np.testing.assert_allclose(softmax(np.log([1.0, 9.0]), temperature=2.0), [0.25, 0.75])


def test_softmax_of_huge_logits_is_finite():
    np.testing.assert_array_equal(softmax(np.array([1e4, -1e4, 1e4], np.float32)), [0.5, 0, 0.5])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_have_no_probabilities(wrong):
    logits = np.zeros((5, 4), np.float32)
    logits[3, 1] = wrong
    with pytest.raises(ModelRefused, match="in 1 of 5 segments"):
        softmax(logits)
    with pytest.raises(ModelRefused, match="in 1 of 5 segments"):
        recording_probabilities(logits, 1.0)


@given(
    logits=st.lists(st.floats(-50, 50), min_size=2, max_size=8), temperature=st.floats(0.1, 10), shift=st.floats(-9, 9)
)
def test_probabilities_sum_to_one_keep_the_order_and_ignore_a_shift(logits, temperature, shift):
    found = softmax(np.array(logits), temperature)
    assert found.sum() == pytest.approx(1)
    assert found[int(np.argmax(logits))] == found.max()
    np.testing.assert_allclose(softmax(np.array(logits) + shift, temperature), found, atol=1e-9)


def test_recording_is_the_mean_of_probabilities_not_the_probability_of_mean_logits():
    logits = np.log([[1.0, 9.0], [4.0, 1.0]])
    np.testing.assert_allclose(recording_probabilities(logits, 1.0), [0.45, 0.55])
    np.testing.assert_allclose(recording_probabilities(2 * logits, 2.0), [0.45, 0.55])


def test_recording_whose_model_pools_logits_has_the_probability_of_mean_logits():
    logits = np.log([[1.0, 9.0], [4.0, 1.0]])
    # By hand: odds of 1/9 and 4 have the geometric mean 2/3.
    np.testing.assert_allclose(recording_probabilities(logits, 1.0, "logits"), [0.4, 0.6])
    np.testing.assert_allclose(recording_probabilities(2 * logits, 2.0, "logits"), [0.4, 0.6])
    np.testing.assert_allclose(pool(softmax(logits + np.array([[3.0], [-7.0]])), "logits"), [0.4, 0.6])


def test_one_segment_is_its_recording_however_segments_are_pooled():
    logits = np.array([[3.0, -1.0, 0.5]])
    for pooling in POOLINGS:
        np.testing.assert_allclose(recording_probabilities(logits, 1.7, pooling), softmax(logits, 1.7)[0])


def test_a_probability_of_nought_in_one_segment_leaves_numbers():
    found = recording_probabilities(np.array([[0.0, 4000.0], [0.0, 0.0]]), 1.0, "logits")
    np.testing.assert_allclose(found, [0, 1], atol=1e-100)


def test_evidence_is_the_log_odds_worked_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]])
    np.testing.assert_allclose(evidence(p, 0), [np.log(7 / 3), 0], atol=1e-12)
    np.testing.assert_allclose(evidence(p, 2), [np.log(1 / 9), np.log(1 / 3)])


def test_evidence_against_one_emotion_is_the_log_of_the_ratio():
    p = np.array([0.6, 0.3, 0.1])
    assert evidence(p, 0, against=1) == pytest.approx(np.log(2))
    assert evidence(p, 1, against=0) == pytest.approx(-np.log(2))


def test_evidence_of_certainty_is_finite_and_bounded():
    certain = np.array([1.0, 0.0])
    limit = np.log((1 - 1e-4) / 1e-4)
    np.testing.assert_allclose([evidence(certain, 0), evidence(certain, 1)], [limit, -limit])
    np.testing.assert_allclose([evidence(certain, 0, 1), evidence(certain, 1, 0)], [limit, -limit])


@pytest.mark.parametrize(
    ("scores", "speech_s", "expected"),
    [
        ([0.6, 0.2, 0.1, 0.1], 2.0, "angry"),
        ([0.1, 0.2, 0.1, 0.6], 2.0, "sad"),
        ([0.1, 0.5, 0.2, 0.2], 0.25, "happy"),  # just enough of both
        ([0.1, 0.49, 0.21, 0.2], 2.0, NOT_SURE),
        ([0.25, 0.25, 0.25, 0.25], 2.0, NOT_SURE),
        ([0.97, 0.01, 0.01, 0.01], 0.24, NO_SPEECH),
        ([0.25, 0.25, 0.25, 0.25], 0.0, NO_SPEECH),
    ],
)
def test_verdict_names_an_emotion_only_where_there_is_speech_and_a_score_to_trust(scores, speech_s, expected):
    assert verdict_of(np.array(scores), CORE4, speech_s, VerdictSettings()) == expected


def test_limits_of_the_verdict_are_settings():
    lenient = VerdictSettings(least_score=0.2, least_speech_s=0.0)
    assert verdict_of(np.array([0.2, 0.3, 0.3, 0.2]), CORE4, 0.0, lenient) == "happy"
