import numpy as np
import pytest

from ser_core.errors import Cancelled
from ser_core.explanation.counterfactual.cells import (
    Counterfactual,
    _shortest_range,
    counterfactual_in_words,
    find_counterfactual,
)
from ser_core.explanation.relevance import Perturbed
from ser_core.settings import SpectrogramSettings
from ser_core.work.progress import UNWATCHED, Work
from tests.tiny_networks import (
    EMOTIONS,
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    fresh,
    probabilities_slowly,
    random_log_mel,
    target_of_log_mel,
)

CELLS = np.arange(96)[:, None] // 8 * 16 + np.arange(64) // 4  # of a recording of one segment


def spread_worth(worth_by_cell):
    """Spread the worth of one segment's cells over their points, (96, 64)."""
    worth = np.zeros(192)
    for cell, value in worth_by_cell.items():
        worth[cell] = value
    return worth[CELLS] / 32


def linear(*worth, emotion=0, against=None):
    """Return a recording of ones, filled with zeros, in which each logit is the sum of its points' worth."""
    target = target_of_log_mel(np.ones((96, 64), np.float32), emotion, against)
    classifier = LinearClassifier(np.stack(worth), emotions=EMOTIONS[: len(worth)])
    return Perturbed(classifier.score, 1.0, target, np.zeros((96, 64), np.float32)), target, classifier


def flip(relevance, perturbed, target):
    return find_counterfactual(relevance, perturbed, target, UNWATCHED)


# --- by hand ---


def test_flip_worked_by_hand():
    worth = spread_worth({5: 3.0, 40: 2.0, 100: 1.0, 7: -2.5})
    perturbed, target, _ = linear(worth, np.zeros((96, 64)))
    found = flip(worth, perturbed, target)  # 3.5, without the first 0.5, without the second too -1.5
    np.testing.assert_array_equal(found.mask, (CELLS == 5) | (CELLS == 40))
    assert found.share == 2 / 192
    assert found.emotion == 1


def test_cells_are_removed_in_the_maps_order_not_by_their_true_worth():
    worth = spread_worth({5: 3.0, 40: 2.0, 100: 1.0})
    map_ = spread_worth({100: 9.0, 40: 8.0, 5: 7.0, 30: 6.0})
    perturbed, target, _ = linear(worth, spread_worth({190: 3.5}))
    np.testing.assert_array_equal(flip(map_, perturbed, target).mask, (CELLS == 100) | (CELLS == 40))


def test_the_emotion_after_a_flip_is_the_best_of_all_others():
    perturbed, target, _ = linear(
        spread_worth({0: 1.0}),
        spread_worth({1: 9.0}),
        spread_worth({2: 4.0, 3: 4.0}),
        spread_worth({4: 8.5}),
        emotion=1,
    )
    assert flip(spread_worth({1: 1.0}), perturbed, target).emotion == 3
    assert flip(spread_worth({1: 2.0, 4: 3.0}), perturbed, target).emotion == 2


def test_against_another_emotion_the_better_score_of_the_two_decides():
    logits = (
        spread_worth({0: 1.5, 1: 1.0, 2: 0.7}),
        spread_worth({150: 3.0}),
        spread_worth({151: 1.0}),
        np.zeros((96, 64)),
    )
    perturbed, target, _ = linear(*logits, against=2)
    found = flip(logits[0], perturbed, target)  # 3.2, 1.7, 0.7; the second is always best
    assert (found.emotion, found.share) == (2, 2 / 192)
    perturbed, target, _ = linear(*logits)
    found = flip(logits[0], perturbed, target)
    assert (found.emotion, found.share) == (1, 1 / 192)


def test_an_equal_score_is_not_a_flip():
    worth = spread_worth({0: 2.0, 1: 1.0})
    perturbed, target, _ = linear(worth, spread_worth({9: 1.0}))
    assert flip(worth, perturbed, target).share == 2 / 192


def test_an_emotion_that_does_not_score_best_has_no_flip():
    worth, other = spread_worth({0: 2.0}), spread_worth({1: 3.0})
    perturbed, target, _ = linear(worth, other)
    assert flip(worth, perturbed, target) is None
    perturbed, target, _ = linear(worth, other, np.zeros((96, 64)), against=1)
    assert flip(worth, perturbed, target) is None
    perturbed, target, _ = linear(other, worth)
    assert flip(other, perturbed, target) is not None


def test_there_is_no_flip_if_removing_all_positive_cells_does_not_suffice():
    worth = spread_worth({0: 2.0, 1: 1.0, 2: 0.5})
    perturbed, target, _ = linear(worth, spread_worth({9: 1.0}))
    only_some = spread_worth(
        {0: 1.0, 2: 1.0, 1: -1.0}
    )  # 1.0 remains, as cells that are negative in the map are never removed
    assert flip(only_some, perturbed, target) is None
    assert flip(-worth, perturbed, target) is None
    assert flip(0 * worth, perturbed, target) is None


def test_a_flip_that_removing_all_positive_cells_undoes_is_still_found():
    map_ = spread_worth({0: 3.0, 1: 2.0})
    perturbed, target, _ = linear(spread_worth({0: 2.0}), spread_worth({1: 1.5, 2: 0.1}))
    assert flip(map_, perturbed, target).share == 1 / 192  # 2.0 : 1.6, 0 : 1.6, 0 : 0.1
    perturbed, target, _ = linear(spread_worth({0: 2.0, 3: 1.0}), spread_worth({1: 1.5, 2: 0.1}))
    assert flip(map_, perturbed, target).share == 1 / 192  # and then 1.0 : 0.1


# --- slow twin ---


def flipped_slowly(relevance, target, classifier, fill):
    """Remove cell after cell and predict again; return the first mask that changes the verdict."""
    cells = {}
    for frame in np.flatnonzero(target.covered):
        for band in range(64):
            cells.setdefault(((frame - target.first_frame) // 8, band // 4), []).append((frame, band))
    mean = {cell: np.mean([relevance[point] for point in points]) for cell, points in cells.items()}
    share = np.zeros(target.log_mel.shape)
    for number, cell in enumerate(sorted(mean, key=lambda cell: -mean[cell]), start=1):
        if mean[cell] <= 0:
            return None
        for point in cells[cell]:
            share[point] = 1
        probabilities = probabilities_slowly(classifier, target, fill, share)
        if target.against is None and probabilities.argmax() != target.emotion:
            return share > 0, number / len(cells), probabilities.argmax()
        if target.against is not None and probabilities[target.against] > probabilities[target.emotion]:
            return share > 0, number / len(cells), target.against
    return None


@pytest.mark.parametrize(
    ("frames", "first", "end", "selected"),
    [
        (96, 0, 96, None),
        (40, 0, 37, None),
        (240, 45, 190, None),
        (240, 20, 230, [True, False, False, True]),
    ],
)
@pytest.mark.parametrize("against", [None, 3])
def test_a_flip_equals_removing_cell_after_cell_if_each_lowers_the_score(frames, first, end, selected, against):
    target = target_of_log_mel(np.ones((frames, 64), np.float32), 1, against, first, end, selected)
    rng, fill = np.random.default_rng(frames), np.zeros((frames, 64), np.float32)
    relevance = np.where(target.covered[:, None], rng.normal(size=(frames, 64)) + 0.1, 0).astype(np.float32)
    numbers = set()
    for lead in (0.999, 0.99, 0.97, 0.9, 0.8, 0.5, 0.01):
        weights = np.zeros((4, 96, 64))
        weights[1] = rng.random((96, 64)) * 20 / (64 * 96)
        # Another emotion's logit does not depend on the input: the last band of the fill is as the recording.
        weights[1, :, -1] = 0
        weights[2, :, -1] = lead * weights[1].sum() / 96
        weights[3, :, -1] = 0.9 * weights[2, :, -1]
        fill[:, -1] = 1
        classifier = LinearClassifier(weights)
        perturbed = Perturbed(classifier.score, 1.0, target, fill)
        found, expected = flip(relevance, perturbed, target), flipped_slowly(relevance, target, classifier, fill)
        assert (found is None) == (expected is None)
        if found is not None:
            np.testing.assert_array_equal(found.mask, expected[0])
            assert (found.share, found.emotion) == (pytest.approx(expected[1]), expected[2])
            numbers.add(round(found.share, 3))
    assert len(numbers) >= 3


def network_flips():
    """Yield flips of a network, with their targets."""
    classifier = classifier_of(fresh(TinyNetwork))
    for seed in range(12):
        log_mel = random_log_mel(150, seed)
        whole = target_of_log_mel(log_mel)
        fill = np.full((150, 64), -6, np.float32)
        best = Perturbed(classifier.score, 1.0, whole, fill).original.argmax()
        target = target_of_log_mel(log_mel, int(best), first=10, end=140)
        perturbed = Perturbed(classifier.score, 1.0, target, fill)
        relevance = np.random.default_rng(seed).normal(size=(150, 64)) * target.covered[:, None]
        found = flip(relevance, perturbed, target)
        if found is not None:
            yield found, target, perturbed, relevance


def test_removing_the_cells_of_a_flip_changes_the_verdict_and_one_fewer_does_not():
    count = 0
    for found, target, perturbed, relevance in network_flips():
        cell_of = np.where(target.covered[:, None], (np.arange(150) - 10)[:, None] // 8 * 16 + np.arange(64) // 4, -1)
        inside = np.unique(cell_of[found.mask])
        means = [relevance[cell_of == cell].mean() for cell in inside]
        one_less = found.mask & (cell_of != inside[np.argmin(means)])
        with_it, without_it = perturbed.without([found.mask, one_less], 2, UNWATCHED)
        assert with_it.argmax() == found.emotion != target.emotion
        assert without_it.argmax() == target.emotion
        assert found.share == pytest.approx(len(inside) / len(np.unique(cell_of[cell_of >= 0])))
        count += 1
    assert count >= 4


# --- laws ---


@pytest.mark.parametrize("scale", [1e-25, 7.0])
def test_the_scale_of_the_map_does_not_change_a_flip(scale):
    for found, target, perturbed, relevance in network_flips():
        again = flip(scale * relevance, perturbed, target)
        np.testing.assert_array_equal(again.mask, found.mask)


def test_few_versions_are_predicted_to_find_a_flip_and_progress_rises():
    worth = np.random.default_rng(0).random(192)[CELLS] / 32
    for lead in (0.02, 0.3, 0.7, 0.99):
        constant = np.zeros((96, 64))
        constant[:, -1] = lead * worth[:, :-1].sum() / 96
        own = worth.copy()
        own[:, -1] = 0
        target = target_of_log_mel(np.ones((96, 64), np.float32))
        classifier, fill = LinearClassifier(np.stack([own, constant]), EMOTIONS[:2]), np.zeros((96, 64), np.float32)
        fill[:, -1] = 1
        perturbed, told = Perturbed(classifier.score, 1.0, target, fill), []
        classifier.calls.clear()
        assert (
            find_counterfactual(own, perturbed, target, Work(lambda fraction, text, told=told: told.append(fraction)))
            is not None
        )
        assert sum(map(len, classifier.calls)) <= 32
        assert told[0] == 0
        assert told == sorted(told)
        assert max(told) <= 1


def test_a_flip_is_refused_where_no_frame_is_covered():
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, False, False], first=200, end=230)
    perturbed = Perturbed(classifier_of(fresh(TinyNetwork)).score, 1.0, target, target.log_mel)
    with pytest.raises(ValueError, match="No frame is covered"):
        flip(np.ones((240, 64), np.float32), perturbed, target)


def test_a_cancelled_search_stops():
    worth = spread_worth({5: 3.0, 40: 2.0})
    perturbed, target, classifier = linear(worth, spread_worth({150: 1.0}))
    classifier.calls.clear()
    with pytest.raises(Cancelled):
        find_counterfactual(worth, perturbed, target, Work(stop=lambda: True))
    assert not classifier.calls


# --- in words ---


def masked(frames, bands):
    mask = np.zeros((200, 64), bool)
    mask[frames, bands] = True
    return mask


def test_a_flip_in_words_names_share_position_and_emotion():
    target = target_of_log_mel(random_log_mel(200), emotion=3)
    # Of 48 frames the first 39 hold four fifths, from 0.8075 s on; of 12 bands the first 10, between the corners 8
    # and 19 of the mel bands, 394 and 914 Hz.
    found = Counterfactual(masked(slice(80, 128), slice(8, 20)), 0.0612, 1)
    assert counterfactual_in_words(found, target, EMOTIONS, SpectrogramSettings()) == (
        "Without the outlined 6 % of the stretch (mostly 0.81 to 1.20 s, 390 to 910 Hz) the model would predict happy."
    )
    found = Counterfactual(masked(slice(0, 8), slice(2, 64)), 0.0034, 0)  # 7 frames and 50 bands, corners 2 to 53
    assert counterfactual_in_words(found, target, EMOTIONS, SpectrogramSettings()) == (
        "Without the outlined 0.3 % of the stretch (mostly 0.01 to 0.08 s, 190 to 4700 Hz) "
        "the model would predict angry."
    )


def test_the_words_locate_a_flip_where_most_of_its_points_are():
    mask = masked(slice(80, 90), slice(8, 18))  # 100 points, and 10 further ones in a row and in a column
    mask[90:100, 8] = mask[80, 18:28] = True
    words = counterfactual_in_words(
        Counterfactual(mask, 0.5, 1), target_of_log_mel(random_log_mel(200), 3), EMOTIONS, SpectrogramSettings()
    )
    # Of 120 points 96 are wanted. Frame 80 holds 20, the nine after it 10 each: eight of these will do; so with bands.
    assert "mostly 0.81 to 0.90 s, 390 to 860 Hz" in words


def test_a_flip_against_another_emotion_says_which_of_the_two_is_likelier():
    target = target_of_log_mel(random_log_mel(200), emotion=3, against=2)
    words = counterfactual_in_words(
        Counterfactual(masked(slice(80, 128), slice(8, 20)), 0.2, 2), target, EMOTIONS, SpectrogramSettings()
    )
    assert words.endswith(") neutral would be likelier than sad.")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([0, 0, 5, 0], (2, 3)),
        ([1, 4, 4, 1], (1, 3)),
        ([1, 4, 0, 3, 2], (0, 4)),  # 8 of 10; no three hold as many
        ([1, 1, 1, 1, 1], (0, 4)),
        ([9, 0, 0, 0, 1], (0, 1)),
        ([1, 0, 0, 0, 9], (4, 5)),
    ],
)
def test_the_shortest_range_holds_four_fifths(counts, expected):
    assert _shortest_range(np.array(counts)) == expected
