"""The difference of two models on the recordings that both were tested on."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import recall_score

from pages.shared.models.comparison_section import in_words
from ser_core.errors import SettingsRefused
from ser_core.learning.metrics import SEED, paired_difference
from ser_core.learning.predictions import Predictions


def table(rows, emotions=("angry", "sad")) -> Predictions:
    """A table of rows (recording, corpus, speaker, acted, predicted), emotions as indices."""
    names, corpora, speakers, labels, predicted = zip(*rows, strict=True)
    probabilities = np.full((len(rows), len(emotions)), 0.1)
    probabilities[np.arange(len(rows)), predicted] = 0.9
    of_corpora = tuple(f"{corpus}:{speaker}" for corpus, speaker in zip(corpora, speakers, strict=True))
    return Predictions(
        emotions, tuple(names), tuple(corpora), of_corpora, ("",) * len(rows), np.array(labels), probabilities
    )


def by_chance(right, seed, emotions=("angry", "happy", "sad")):
    """A model with this accuracy on the same 120 recordings by eleven people in two corpora."""
    same, chance = np.random.default_rng(0), np.random.default_rng(seed)
    rows = []
    for number in range(120):
        corpus = "large" if number < 90 else "small"
        speaker = f"s{same.integers(7 if corpus == 'large' else 4)}"
        label = int(same.integers(3))
        rows.append((f"r{number}", corpus, speaker, label, label if chance.random() < right else (label + 1) % 3))
    return table(rows, emotions)


ONE = table(
    [
        ("a", "x", "1", 0, 0),
        ("b", "x", "1", 0, 0),
        ("c", "x", "1", 1, 0),
        ("d", "x", "1", 1, 1),
        ("e", "y", "1", 0, 1),
        ("f", "y", "1", 1, 1),
    ]
)
OTHER = table(
    [
        ("f", "y", "1", 1, 0),
        ("e", "y", "1", 0, 1),
        ("d", "x", "1", 1, 1),
        ("c", "x", "1", 1, 0),
        ("b", "x", "1", 0, 1),
        ("a", "x", "1", 0, 1),
    ]
)


def test_the_difference_is_the_mean_over_corpora_worked_by_hand_whatever_the_order_of_the_rows():
    # In x: (1 + 1/2) / 2 against (0 + 1/2) / 2. In y: (0 + 1) / 2 against (0 + 0) / 2.
    found = paired_difference(ONE, OTHER)
    assert found.gain == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert (found.recordings, found.speakers) == (6, 2)
    assert found.interval == (found.gain, found.gain)  # one speaker each: nobody else can be drawn
    words = in_words("one", "other", found)
    assert "**Whether this is chance cannot be said** from one speaker of each corpus." in words
    assert "better" not in words


def test_interval_of_one_improved_speaker_of_two_worked_by_hand():
    # Draws of the two: the helped one twice (1/4), both (1/2), the other twice (1/4); so the interval is from 0 to 1.
    labels = [("a", "1", 0), ("b", "1", 1), ("c", "2", 0), ("d", "2", 1)]
    good = table([(name, "x", speaker, label, label) for name, speaker, label in labels])
    poor = table(
        [(name, "x", speaker, label, 1 - label if speaker == "1" else label) for name, speaker, label in labels]
    )
    found = paired_difference(good, poor)
    assert (found.gain, found.interval) == (0.5, (0.0, 1.0))


def test_a_model_does_not_differ_from_itself():
    model = by_chance(0.6, seed=1)
    found = paired_difference(model, model)
    assert (found.gain, found.interval) == (0.0, (0.0, 0.0))
    assert (found.recordings, found.speakers) == (120, 11)


def test_swapping_the_models_negates_the_difference():
    there, back = (
        paired_difference(*pair)
        for pair in ((by_chance(0.8, 1), by_chance(0.6, 2)), (by_chance(0.6, 2), by_chance(0.8, 1)))
    )
    assert there.gain == -back.gain > 0.05
    assert there.interval == pytest.approx([-bound for bound in reversed(back.interval)])
    assert there.interval[0] < there.gain < there.interval[1]


def test_only_recordings_that_both_were_tested_on_count():
    one, other = by_chance(0.8, 1), by_chance(0.6, 2)
    odd = np.arange(120) % 2 == 1
    third = np.arange(120) % 3 == 1
    found = paired_difference(one.subset(odd), other.subset(third))
    assert found == paired_difference(one.subset(odd & third), other.subset(odd & third))
    assert found.recordings == (odd & third).sum() == 20
    assert found != paired_difference(one, other)


def test_only_the_best_emotion_matters_not_its_score():
    one, other = by_chance(0.8, 1), by_chance(0.6, 2)
    surer = replace(one, probabilities=one.probabilities**3)
    assert paired_difference(surer, other) == paired_difference(one, other)


def test_the_interval_equals_that_of_a_loop_over_resampled_speakers_with_scikit_learns_recall(monkeypatch):
    monkeypatch.setattr("ser_core.learning.metrics.RESAMPLES", 60)
    one, other = by_chance(0.8, 1), by_chance(0.6, 2)

    def uar(model, rows):
        labels = model.labels[rows]
        return recall_score(labels, model.predicted[rows], labels=np.unique(labels), average="macro", zero_division=0)

    rng = np.random.default_rng(SEED)
    differences, gains = [], []
    for corpus in ("large", "small"):
        rows_of = {}
        for row, name in enumerate(one.speakers):
            if one.corpora[row] == corpus:
                rows_of.setdefault(name, []).append(row)
        people = sorted(rows_of)
        everybody = np.concatenate([rows_of[name] for name in people])
        gains.append(uar(one, everybody) - uar(other, everybody))
        differences.append([])
        for drawn in rng.integers(len(people), size=(60, len(people))):
            rows = np.concatenate([rows_of[people[place]] for place in drawn])
            differences[-1].append(uar(one, rows) - uar(other, rows))
    found = paired_difference(one, other)
    assert found.gain == pytest.approx(np.mean(gains))
    assert found.interval == pytest.approx(tuple(np.percentile(np.mean(differences, axis=0), [2.5, 97.5])))
    assert found.interval[1] - found.interval[0] > 0.05


def test_the_difference_is_the_same_each_time_and_for_any_order_of_the_rows():
    one, other = by_chance(0.8, 1), by_chance(0.6, 2)
    order = np.random.default_rng(3).permutation(120)
    found = paired_difference(one, other)
    assert found == paired_difference(one, other)
    shuffled = paired_difference(one.subset(order), other)
    assert shuffled.gain == pytest.approx(found.gain)
    assert shuffled.interval == pytest.approx(found.interval)


@pytest.mark.parametrize("emotions", [("angry", "sad", "happy"), ("angry", "happy", "neutral")])
def test_models_with_other_emotions_or_another_order_are_refused_naming_both(emotions):
    with pytest.raises(SettingsRefused, match=f"angry, happy, sad, the other {', '.join(emotions)}; choose models"):
        paired_difference(by_chance(0.8, 1), by_chance(0.6, 2, emotions))


def test_models_that_were_tested_on_different_recordings_are_refused():
    model = by_chance(0.8, 1)
    with pytest.raises(SettingsRefused, match="No recording was tested with both"):
        paired_difference(model.subset(np.arange(60)), model.subset(np.arange(60, 120)))
