"""Evidence of words: Shapley values by hand and against all orders, and the game that they are computed from."""

from itertools import permutations

import numpy as np
import pytest

from pages.shared.evidence import words_section
from ser_core.analysis import Explanation, Region
from ser_core.explanation.relevance import ExplanationTarget, Perturbed, fill_values
from ser_core.words.evidence import (
    MIN_RANKED_WORDS,
    WordGame,
    evidence_of_words,
    focus_words,
    frames_of_words,
    rank_agreement,
)
from ser_core.words.shapley import SETS, shapley_values, word_sets
from ser_core.work.progress import Work
from tests.tiny_networks import EMOTIONS, LinearClassifier, target_of_log_mel

TIMES_S = np.arange(200) * 0.01 + 0.005
WORDS = (
    Region(0.1, 0.4, label="so"),
    Region(0.4, 0.9, label="much"),
    Region(1.0, 1.3, label="for"),
    Region(1.3, 1.9, label="sure"),
)


def by_all_orders(sets, evidences):
    """Return Shapley values as defined: the mean gain of a word over all orders of words."""
    count = sets.shape[1]
    of_set = {tuple(row): value for row, value in zip(sets.tolist(), evidences, strict=True)}
    gains = np.zeros(count)
    orders = list(permutations(range(count)))
    for order in orders:
        present = [False] * count
        for word in order:
            before = of_set[tuple(present)]
            present[word] = True
            gains[word] += of_set[tuple(present)] - before
    return gains / len(orders)


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_values_from_all_sets_are_those_of_all_orders(count):
    rng = np.random.default_rng(count)
    sets, weights, drawn = word_sets(count, rng)
    assert (len(sets), drawn) == (2**count, 0)
    evidences = rng.normal(size=len(sets))
    values, errors = shapley_values(sets, evidences, weights, drawn)
    np.testing.assert_allclose(values, by_all_orders(sets, evidences), atol=1e-9)
    assert not errors.any()


def test_a_pair_that_counts_only_together_shares_its_worth():
    sets, weights, _ = word_sets(3, np.random.default_rng(0))
    values, _ = shapley_values(sets, 2.0 * (sets[:, 0] & sets[:, 2]) + sets[:, 1], weights)
    np.testing.assert_allclose(values, [1, 1, 1], atol=1e-9)


def test_drawn_sets_give_an_additive_game_exactly_and_a_game_of_pairs_nearly():
    rng = np.random.default_rng(3)
    sets, weights, drawn = word_sets(9, rng)
    assert len(sets) == SETS + 2
    assert drawn == (SETS - 18) // 2
    worth = rng.normal(size=9)
    values, errors = shapley_values(sets, sets @ worth - 1, weights, drawn)
    np.testing.assert_allclose(values, worth, atol=1e-9)
    np.testing.assert_allclose(errors, 0, atol=1e-9)

    pairs = np.triu(rng.normal(size=(9, 9)), 1)
    true = (pairs.sum(axis=0) + pairs.sum(axis=1)) / 2
    values, errors = shapley_values(sets, np.einsum("si,ij,sj->s", sets * 1.0, pairs, sets * 1.0), weights, drawn)
    assert values.sum() == pytest.approx(pairs.sum())
    assert (np.abs(values - true) <= 5 * errors + 1e-9).all()


def spoken(seed=0, against=1):
    """Return a linear classifier, and a target whose evidence is a sum over its points."""
    rng = np.random.default_rng(seed)
    log_mel = rng.normal(size=(200, 64)).astype(np.float32)
    classifier = LinearClassifier(rng.normal(size=(4, 96, 64)) * 1e-3)
    classifier.pooling = "logits"
    return classifier, target_of_log_mel(log_mel, against=against)


def test_values_of_a_linear_model_are_what_its_weights_say():
    classifier, target = spoken()
    evidence = evidence_of_words(WORDS, classifier, target, TIMES_S)
    difference = classifier.weights[target.emotion] - classifier.weights[target.against]
    expected = np.zeros((2, len(WORDS)))
    starts = target.segments.start_frames[target.members]
    for row, name in zip(expected, ("noise_floor", "band_mean"), strict=True):
        change = target.log_mel - fill_values(target.log_mel, name, np.random.default_rng(0))
        for index, word in enumerate(WORDS):
            for frame in range(round(100 * word.start_s), round(100 * word.end_s)):
                for start in starts:
                    if start <= frame < start + 96:
                        row[index] += difference[frame - start] @ change[frame] / len(starts)
    np.testing.assert_allclose(evidence.value, expected.mean(axis=0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(evidence.low, expected.min(axis=0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(evidence.high, expected.max(axis=0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(evidence.alone, evidence.value, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(evidence.with_next, expected[0, :-1] + expected[0, 1:], rtol=1e-3, atol=1e-5)
    assert evidence.exact


def test_the_game_predicts_what_masking_the_recording_does():
    classifier, target = spoken()
    fill = fill_values(target.log_mel, "noise_floor", np.random.default_rng(0))
    of_frame = frames_of_words(WORDS, TIMES_S)
    game = WordGame(classifier, target, of_frame, len(WORDS), fill)
    sets = np.array([[True] * 4, [False, True, True, False], [False] * 4])
    perturbed = Perturbed(classifier.score, 1.0, target, fill, "logits")
    masks = [np.repeat(np.isin(of_frame, np.flatnonzero(~row))[:, None], 64, axis=1) for row in sets]
    np.testing.assert_allclose(game.probabilities(sets), perturbed.without(masks, 3, Work()), rtol=1e-5)


def test_a_segment_is_predicted_once_for_each_set_of_its_own_words():
    classifier, target = spoken()
    WordGame(classifier, target, frames_of_words(WORDS, TIMES_S), 4, target.log_mel * 0).probabilities(
        word_sets(4, np.random.default_rng(0))[0]
    )
    starts = target.segments.start_frames[target.members]
    held = [sum(100 * w.start_s < s + 96 and 100 * w.end_s > s for w in WORDS) for s in starts]
    assert sum(map(len, classifier.calls)) == sum(2**words for words in held)


def test_a_word_outside_the_stretch_has_no_value_and_removing_the_best_words_first_costs_most():
    classifier, target = spoken(seed=1)
    inside = ExplanationTarget(target.log_mel, target.segments, target.emotion, target.against, 0, 96)
    evidence = evidence_of_words(WORDS, classifier, inside, TIMES_S)
    np.testing.assert_array_equal(np.isnan(evidence.value), [False, False, True, True])
    assert not np.isnan(evidence.with_next[0])
    assert np.isnan(evidence.with_next[1:]).all()

    relevance = np.zeros((200, 64), np.float32)
    whole = evidence_of_words(WORDS, classifier, target, TIMES_S)
    for frame, word in enumerate(frames_of_words(WORDS, TIMES_S)):
        relevance[frame] = whole.value[word] if word >= 0 else 0
    map_ = Explanation("lime", EMOTIONS[0], None, relevance, target.covered, Region(0, 2), None, {}, 0, 0.0)
    whole = evidence_of_words(WORDS, classifier, target, TIMES_S, [map_])
    read = whole.maps["lime"]
    np.testing.assert_allclose(read.sums, whole.value * [30, 50, 30, 60], rtol=1e-4)
    assert read.agreement is None  # of four words it would mean nothing
    assert whole.lowest_first_aopc <= read.aopc <= whole.aopc + 1e-9


def test_rank_correlation_is_given_from_eight_measured_words_on():
    value, sums = np.arange(9.0), np.arange(9.0) ** 2
    assert rank_agreement(value[:8], sums[:8]) == pytest.approx(1)
    assert rank_agreement(value[:7], sums[:7]) is None
    value[[0, 4]] = np.nan
    assert rank_agreement(value, sums) is None
    assert "too few words" in words_section._correlation(value, sums, "lime")
    assert words_section._correlation(np.arange(8.0), np.zeros(8), "lime") == ""
    assert words_section._correlation(np.arange(8.0), np.arange(8.0), "lime") == "Rank correlation with LIME: +1.00."


def test_chance_alone_gives_three_words_a_perfect_rank_correlation_in_a_third_of_cases_but_hardly_eight():
    def share(count: int, beyond: float) -> float:
        ranks = np.array(list(permutations(range(count))))
        r = 1 - 6 * ((ranks - np.arange(count)) ** 2).sum(axis=1) / (count * (count**2 - 1))
        return float(np.mean(np.abs(r) > beyond))

    assert share(3, 0.99) == pytest.approx(1 / 3)
    assert share(MIN_RANKED_WORDS, 0.71) == pytest.approx(0.06, abs=0.005)


def test_more_than_ten_words_are_explained_in_groups_and_none_at_all_without_harm():
    classifier, target = spoken()
    many = [Region(at, at + 0.1, label=str(at)) for at in np.arange(12) * 0.15]
    evidence = evidence_of_words(many, classifier, target, TIMES_S)
    assert not evidence.exact
    np.testing.assert_allclose(evidence.value, evidence.alone, rtol=1e-3, atol=1e-5)  # the evidence is additive
    assert evidence_of_words((), classifier, target, TIMES_S).phrases == []


def test_the_focus_is_the_fewest_words_with_half_of_the_evidence_and_neighbours_are_one_phrase():
    np.testing.assert_array_equal(focus_words(np.array([1.0, 3.0, np.nan, -9.0, 2.0])), [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(focus_words(np.array([2.0, 2.0, 1.0, 2.0])), [1, 1, 0, 0])
    assert not focus_words(np.array([-1.0, 0.0])).any()
    assert not focus_words(np.empty(0)).any()
