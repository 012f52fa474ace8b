from dataclasses import astuple

import captum.metrics
import numpy as np
import pytest
import torch

from ser_core.errors import Cancelled
from ser_core.explanation import faithfulness, relevance
from ser_core.explanation.faithfulness import (
    SHARES,
    curves_of,
    infidelity,
    mask_metrics,
    ranked_cells,
    reference_maps,
)
from ser_core.explanation.relevance import Perturbed, fill_values
from ser_core.model.scores import evidence, softmax
from ser_core.work.progress import UNWATCHED, Work
from tests.tiny_networks import (
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    fresh,
    probabilities_slowly,
    random_log_mel,
    target_of_log_mel,
)

ENDS = (0.0, *SHARES, 1.0)


def random_fill(target):
    return np.ascontiguousarray(fill_values(target.log_mel, "random", np.random.default_rng(3)))


def perturbed_of(classifier, target):
    return Perturbed(classifier.score, classifier.temperature, target, random_fill(target))


def random_map(target, seed=0):
    """Return a map as explainers give them: signed, 0 where nothing is covered, and float32."""
    values = np.random.default_rng(seed).normal(size=target.log_mel.shape).astype(np.float32)
    return np.where(target.covered[:, None], values, 0)


def additive(contributions):
    """Return a recording of ones, filled with zeros, in which each point has the given worth, in log-odds.

    Two emotions: the evidence is the logit itself.
    """
    target = target_of_log_mel(np.ones(contributions.shape, np.float32))
    weights = np.zeros((2, 96, 64))
    weights[0, : len(contributions)] = contributions
    classifier = LinearClassifier(weights, emotions=("angry", "sad"))
    return Perturbed(classifier.score, 1.0, target, np.zeros(contributions.shape, np.float32)), target


def of_cells(worth):
    """Spread the worth of cells, (12, 16), over their 8 x 4 points."""
    return np.kron(worth, np.ones((8, 4))) / 32


def random_worth(seed=0):
    return np.random.default_rng(seed).normal(size=(12, 16)) * 0.08


def curves(maps, perturbed, target):
    return curves_of(maps, perturbed, target, UNWATCHED)


def curves_measured(map_, perturbed, target):
    found = curves({"map": map_}, perturbed, target)["map"]
    return np.concatenate([found.deletion, found.insertion])


def masks_measured(map_, perturbed, target):
    return np.array(astuple(mask_metrics(map_, perturbed, target)), float)


def infidelity_of(map_, perturbed, target, boxes, seed):
    return infidelity({"map": map_}, perturbed, target, boxes, seed, UNWATCHED)["map"]


def infidelity_measured(map_, perturbed, target):
    return infidelity_of(map_, perturbed, target, 40, 0)


measures = pytest.mark.parametrize("measured", [curves_measured, masks_measured, infidelity_measured])


# --- what holds for every measure ---


@measures
@pytest.mark.parametrize("scale", [1e-25, 0.3, 1e6])
def test_the_scale_of_the_map_changes_no_measure(measured, scale):
    target, classifier = target_of_log_mel(random_log_mel(150)), classifier_of(fresh(TinyNetwork))
    perturbed, map_ = perturbed_of(classifier, target), random_map(target)
    expected = measured(map_, perturbed, target)
    assert np.any(expected != 0)
    np.testing.assert_allclose(measured(scale * map_, perturbed, target), expected, rtol=1e-4, atol=1e-6)


@measures
def test_no_measure_depends_on_the_batch_size(monkeypatch, measured):
    target, classifier = target_of_log_mel(random_log_mel(150)), classifier_of(fresh(TinyNetwork))
    perturbed, map_ = perturbed_of(classifier, target), random_map(target)
    together = measured(map_, perturbed, target)
    monkeypatch.setattr(relevance, "PASSES_AT_ONCE", 7)
    np.testing.assert_allclose(measured(map_, perturbed, target), together, atol=1e-5)


@measures
def test_nothing_outside_the_stretch_is_perturbed(measured):
    log_mel = random_log_mel(240)
    target = target_of_log_mel(log_mel, first=60, end=131)
    classifier = LinearClassifier(np.random.default_rng(1).normal(size=(4, 96, 64)) * 0.003)
    perturbed = perturbed_of(classifier, target)
    classifier.calls.clear()
    measured(random_map(target), perturbed, target)
    starts = target.segments.start_frames[target.members]
    predicted = np.concatenate(classifier.calls)
    assert len(predicted) >= 2
    assert (starts < 60).any()
    assert (starts + 96 > 131).any()
    for segment in predicted:
        before = [np.array_equal(segment[: max(0, 60 - s)], log_mel[s : max(s, 60)]) for s in starts]
        behind = [np.array_equal(segment[131 - s :], log_mel[131 : s + 96]) for s in starts]
        assert any(a and b for a, b in zip(before, behind, strict=True))


@pytest.mark.parametrize("measured", [curves_measured, masks_measured])
def test_values_of_a_map_outside_covered_frames_do_not_count(measured):
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, False, True], first=20, end=230)
    perturbed, map_ = perturbed_of(classifier_of(fresh(TinyNetwork)), target), random_map(target)
    expected = measured(map_, perturbed, target)
    assert not target.covered[96:144].any()
    other = np.where(target.covered[:, None], map_, 1e3)
    np.testing.assert_allclose(measured(other, perturbed, target), expected, atol=1e-6)


@measures
def test_padding_of_a_short_recording_is_never_changed(measured):
    target, classifier = target_of_log_mel(random_log_mel(37)), LinearClassifier(np.ones((4, 96, 64)) * 0.001)
    perturbed = perturbed_of(classifier, target)
    classifier.calls.clear()
    measured(random_map(target), perturbed, target)
    predicted = np.concatenate(classifier.calls)
    assert (predicted[:, :37] != target.log_mel).any()
    np.testing.assert_array_equal(
        predicted[:, 37:], np.broadcast_to(target.segments.values[0, 37:], predicted[:, 37:].shape)
    )


@measures
def test_a_measure_is_refused_where_no_frame_is_covered(measured):
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, False, False], first=200, end=230)
    perturbed = perturbed_of(classifier_of(fresh(TinyNetwork)), target)
    with pytest.raises(ValueError, match="No frame is covered"):
        measured(np.ones((240, 64), np.float32), perturbed, target)


@pytest.mark.parametrize("measured", [curves_of, infidelity])
def test_cancelled_work_stops_before_the_next_batch_is_computed(monkeypatch, measured):
    monkeypatch.setattr(relevance, "PASSES_AT_ONCE", 4)
    target, classifier = target_of_log_mel(random_log_mel()), LinearClassifier(np.ones((4, 96, 64)) * 0.001)
    perturbed, map_ = perturbed_of(classifier, target), random_map(target)
    classifier.calls.clear()
    args = ({"map": map_}, perturbed, target) if measured is curves_of else (map_, perturbed, target, 20, 0)
    with pytest.raises(Cancelled):
        measured(*args, Work(stop=lambda: len(classifier.calls) == 2))
    assert len(classifier.calls) == 2


# --- deletion and insertion ---


def test_curves_and_their_area_worked_by_hand():
    worth = np.zeros(192)
    worth[np.random.default_rng(0).permutation(192)[:96]] = 0.05  # half of the cells: 4.8 in all
    contributions = of_cells(worth.reshape(12, 16))
    found = curves({"map": contributions}, *additive(contributions))["map"]
    np.testing.assert_allclose(found.shares, [0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1])
    # 10, 19, 38, 58, 96, 144 of 192 cells: the cells with a worth go first.
    np.testing.assert_allclose(found.deletion, [4.8, 4.3, 3.85, 2.9, 1.9, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found.insertion, [0, 0.5, 0.95, 1.9, 2.9, 4.8, 4.8, 4.8], atol=1e-6)
    # Insertion minus deletion is -4.8, -3.8, -2.9, -1, 1, 4.8, 4.8, 4.8; trapezoids between them.
    assert found.area == pytest.approx(0.05 * (-4.3 - 3.35) + 0.1 * (-1.95 + 0) + 0.2 * 2.9 + 0.25 * 9.6, abs=1e-6)


def curves_slowly(map_, classifier, target, fill):
    """Cell by cell: sort them by their mean, remove or keep the first, predict again."""
    cells = {}
    for frame in np.flatnonzero(target.covered):
        for band in range(64):
            cells.setdefault(((frame - target.first_frame) // 8, band // 4), []).append((frame, band))
    order = sorted(cells, key=lambda cell: -np.mean([map_[point] for point in cells[cell]]))

    def remaining(removed):
        share = np.zeros(target.log_mel.shape)
        for cell in removed:
            for point in cells[cell]:
                share[point] = 1
        return target.evidence(probabilities_slowly(classifier, target, fill, share))

    counts = [round(share * len(order)) for share in ENDS]
    return [remaining(order[:n]) for n in counts], [remaining(order[n:]) for n in counts]


@pytest.mark.parametrize(
    ("frames", "first", "end", "selected"),
    [
        (240, 0, 240, None),
        (240, 45, 190, None),  # the last row of cells is one frame high
        (240, 20, 230, [True, False, False, True]),  # cells at 92 and 140 are partly covered, those between not at all
        (40, 0, 37, None),  # padded
        (3, 0, 3, None),
    ],
)
@pytest.mark.parametrize("against", [None, 2])
def test_curves_equal_removing_cells_one_by_one_and_predicting_again(frames, first, end, selected, against):
    target = target_of_log_mel(random_log_mel(frames), 1, against, first, end, selected)
    classifier = classifier_of(fresh(TinyNetwork), temperature=1.3)
    map_ = random_map(target)
    found = curves({"map": map_}, perturbed_of(classifier, target), target)["map"]
    deletion, insertion = curves_slowly(map_, classifier, target, random_fill(target))
    assert np.ptp(deletion) > (0.1 if frames > 3 else 0.005)
    np.testing.assert_allclose(found.deletion, deletion, atol=1e-5)
    np.testing.assert_allclose(found.insertion, insertion, atol=1e-5)


def test_all_curves_run_from_the_recording_to_the_filled_stretch():
    target, classifier = (
        target_of_log_mel(random_log_mel(240), first=30, end=200),
        classifier_of(fresh(TinyNetwork)),
    )
    inside = np.zeros((240, 64))
    inside[30:200] = 1
    whole, nothing = (
        target.evidence(probabilities_slowly(classifier, target, random_fill(target), share))
        for share in (0 * inside, inside)
    )
    assert abs(whole - nothing) > 0.1
    maps = {"one": random_map(target, 1), "two": random_map(target, 2), "nothing": np.zeros((240, 64), np.float32)}
    for found in curves(maps, perturbed_of(classifier, target), target).values():
        np.testing.assert_allclose(found.shares[[0, -1]], [0, 1])
        np.testing.assert_allclose(found.deletion[[0, -1]], [whole, nothing], atol=1e-5)
        np.testing.assert_allclose(found.insertion[[0, -1]], [nothing, whole], atol=1e-5)


def test_deletion_by_a_map_is_insertion_by_its_negative_run_backwards(monkeypatch):
    monkeypatch.setattr(faithfulness, "SHARES", (0.1, 0.25, 0.5, 0.75, 0.9))
    target, classifier = target_of_log_mel(random_log_mel(240)), classifier_of(fresh(TinyNetwork))
    map_ = random_map(target)
    both = curves({"map": map_, "negative": -map_}, perturbed_of(classifier, target), target)
    assert np.ptp(both["map"].deletion) > 0.1
    np.testing.assert_allclose(both["negative"].insertion, both["map"].deletion[::-1], atol=1e-6)
    np.testing.assert_allclose(both["negative"].deletion, both["map"].insertion[::-1], atol=1e-6)
    assert both["negative"].area == pytest.approx(-both["map"].area, abs=1e-6)
    assert abs(both["map"].area) > 0.01


def test_with_additive_evidence_one_curve_gains_what_the_other_loses():
    contributions = of_cells(random_worth())
    perturbed, target = additive(contributions)
    maps = {"faithful": contributions, "random": random_map(target)}
    for found in curves(maps, perturbed, target).values():
        np.testing.assert_allclose(found.deletion + found.insertion, contributions.sum(), atol=1e-5)


def test_with_additive_evidence_the_evidence_itself_has_the_largest_area_and_its_negative_the_smallest():
    contributions = of_cells(random_worth())
    perturbed, target = additive(contributions)
    maps = {"faithful": contributions, "reverse": -contributions} | {
        str(seed): reference_maps(target, seed)["random"] for seed in range(30)
    }
    areas = {name: found.area for name, found in curves(maps, perturbed, target).items()}
    best, worst = areas.pop("faithful"), areas.pop("reverse")
    assert best > 2 > -2 > worst
    assert worst + 1 < min(areas.values()) < 0 < max(areas.values()) < best - 1
    assert abs(np.mean(list(areas.values()))) < 0.1 * best  # random maps find nothing on average


def test_a_map_of_a_networks_own_losses_has_more_area_than_chance():
    target, classifier = target_of_log_mel(random_log_mel(96)), classifier_of(fresh(TinyNetwork))
    perturbed = perturbed_of(classifier, target)
    cells = np.arange(96)[:, None] // 8 * 16 + np.arange(64) // 4
    remaining = perturbed.without([cells == cell for cell in range(192)], 192, UNWATCHED)
    losses = (target.evidence(perturbed.original) - target.evidence(remaining))[cells]
    maps = {"losses": losses} | {str(seed): reference_maps(target, seed)["random"] for seed in range(30)}
    areas = {name: found.area for name, found in curves(maps, perturbed, target).items()}
    assert areas.pop("losses") > max(areas.values())


def test_only_the_rank_of_a_cells_mean_counts():
    target = target_of_log_mel(random_log_mel(96))
    perturbed = perturbed_of(classifier_of(fresh(TinyNetwork)), target)
    rng = np.random.default_rng(5)
    worth = np.repeat(np.repeat(rng.normal(size=(12, 16)), 8, axis=0), 4, axis=1)
    ripple = rng.normal(size=(12, 8, 16, 4))
    ripple = (ripple - ripple.mean(axis=(1, 3), keepdims=True)).reshape(96, 64)
    maps = {"even": worth, "rippled": worth + 5 * ripple, "bent": np.exp(2 * worth), "lifted": worth - 40}
    even, *others = curves(maps, perturbed, target).values()
    assert np.ptp(even.deletion) > 0.1
    for other in others:
        # The same segments in other batches differ by rounding.
        np.testing.assert_allclose(other.deletion, even.deletion, rtol=1e-6)
        np.testing.assert_allclose(other.insertion, even.insertion, rtol=1e-6)


def test_curves_of_a_map_do_not_depend_on_which_others_are_measured_with_it():
    target = target_of_log_mel(random_log_mel(150))
    perturbed = perturbed_of(classifier_of(fresh(TinyNetwork)), target)
    maps = {name: random_map(target, seed) for seed, name in enumerate(("one", "two", "three"))}
    together = curves(maps, perturbed, target)
    backwards = curves(dict(reversed(maps.items())), perturbed, target)
    assert list(together) == ["one", "two", "three"]
    assert list(backwards) == ["three", "two", "one"]
    assert np.abs(together["one"].deletion - together["two"].deletion).max() > 0.01
    for name, map_ in maps.items():
        alone = curves({name: map_}, perturbed, target)[name]
        for found in (together[name], backwards[name]):
            np.testing.assert_allclose(found.deletion, alone.deletion, atol=1e-6)
            np.testing.assert_allclose(found.insertion, alone.insertion, atol=1e-6)


def test_frames_that_no_selected_segment_covers_are_not_ranked():
    # Maps are 0 there: among values below zero that would be the highest, among those above it the lowest.
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, False, True])
    assert target.covered.sum() == 192
    perturbed = perturbed_of(classifier_of(fresh(TinyNetwork)), target)
    map_, covered = random_map(target), target.covered[:, None]
    maps = {"above": np.where(covered, map_ + 10, 0), "below": np.where(covered, map_ - 10, 0)}
    above, below = curves(maps, perturbed, target).values()
    assert np.ptp(above.deletion) > 0.05
    np.testing.assert_array_equal(above.deletion, below.deletion)
    np.testing.assert_array_equal(above.insertion, below.insertion)


def test_cells_are_ranked_by_mean_without_uncovered_ones():
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, False, True], first=20, end=230)
    map_ = random_map(target)
    place, means = ranked_cells(np.where(target.covered[:, None], map_, 50), target)
    assert (place[~target.covered] == -1).all()
    np.testing.assert_array_equal(np.unique(place[target.covered]), np.arange(len(means)))
    np.testing.assert_allclose(means, [map_[place == at].mean() for at in range(len(means))], atol=1e-6)
    assert (np.diff(means) <= 0).all()


# --- baseline maps ---


def test_the_random_map_has_one_value_per_cell_and_differs_between_seeds():
    target = target_of_log_mel(random_log_mel(240), first=40, end=70)
    found = reference_maps(target, 1)["random"]
    assert found.dtype == np.float32
    assert len(np.unique(found[40:70])) == 4 * 16  # rows of 8, 8, 8 and 6 frames
    assert all(np.ptp(found[row : row + 8, 20:24]) == 0 for row in (40, 48, 56))
    assert np.ptp(found[64:70, 20:24]) == 0
    assert found[40:70].min() > 0
    assert found.max() < 1
    np.testing.assert_array_equal(found, reference_maps(target, 1)["random"])
    other = reference_maps(target, 2)["random"]
    assert abs(np.corrcoef(found[40:70, ::4].ravel(), other[40:70, ::4].ravel())[0, 1]) < 0.3


def test_the_energy_map_is_the_level_above_the_noise_floor_for_any_seed_and_loudness():
    log_mel = random_log_mel(101)
    target = target_of_log_mel(log_mel)
    found = reference_maps(target, 1)["energy"]
    assert found.dtype == np.float32
    # Of 101 frames five lie below the 5th percentile of their band.
    np.testing.assert_allclose(found, log_mel - np.sort(log_mel, axis=0)[5], atol=1e-6)
    np.testing.assert_array_equal(found, reference_maps(target, 2)["energy"])
    louder = reference_maps(target_of_log_mel(log_mel + 3), 1)["energy"]
    np.testing.assert_allclose(louder, found, atol=1e-5)


def test_reference_maps_are_zero_where_nothing_is_covered():
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, False, True], first=20, end=230)
    for map_ in reference_maps(target, 0).values():
        assert (map_[~target.covered] == 0).all()
        assert (map_[target.covered] != 0).all()


def test_the_energy_map_removes_the_loudest_cells_first():
    log_mel = np.random.default_rng(0).normal(size=(96, 64)).astype(np.float32) * 0.1
    loud = np.zeros((12, 16), bool)
    loud.flat[np.random.default_rng(1).permutation(192)[:10]] = True  # a share of 0.05
    log_mel[np.kron(loud, np.ones((8, 4))).astype(bool)] += 2
    target, classifier = target_of_log_mel(log_mel), LinearClassifier(np.ones((4, 96, 64)) * 0.001)
    perturbed = Perturbed(classifier.score, 1.0, target, np.full((96, 64), -9, np.float32))
    classifier.calls.clear()
    curves({"energy": reference_maps(target, 0)["energy"]}, perturbed, target)
    _, without_first, *_ = np.concatenate(classifier.calls)
    np.testing.assert_array_equal((without_first == -9)[::8, ::4], loud)


# --- effect of a mask on the score ---


def logistic(x):
    return 1 / (1 + np.exp(-x))


def three_cells():
    """Return a recording whose log-odds are 2 + 1 - 1.5, each from one cell, and the cells' positions."""
    places = (np.s_[0:8, 0:4], np.s_[16:24, 8:12], np.s_[48:56, 40:44])
    contributions = np.zeros((96, 64))
    for place, worth in zip(places, (2, 1, -1.5), strict=True):
        contributions[place] = worth / 32
    return additive(contributions), places


@pytest.mark.parametrize(
    ("values", "with_mask", "without_mask"),
    [
        ((4, 2, -7), 2 + 0.5, 0.5 - 1.5),  # a mask of 1 and 0.5; evidence against is never inserted
        ((0, 0, 3), -1.5, 3.0),  # the wrong cell
        ((1, 1, 1), 1.5, 0.0),
        ((0, 0.1, 0.1), -0.5, 2.0),
    ],
)
def test_mask_metrics_worked_by_hand(values, with_mask, without_mask):
    args, places = three_cells()
    map_ = np.zeros((96, 64), np.float32)
    for place, value in zip(places, values, strict=True):
        map_[place] = value
    found = mask_metrics(map_, *args)
    before, only, without = (logistic(z) for z in (1.5, with_mask, without_mask))
    assert found.increase == (with_mask > 1.5)
    assert found.drop == pytest.approx(max(before - only, 0) / before, abs=1e-6)
    assert found.gain == pytest.approx(max(only - before, 0) / (1 - before), abs=1e-6)
    assert found.faithfulness == pytest.approx(before - without, abs=1e-6)
    assert found.fidelity == (with_mask > 0)  # of two emotions the first is predicted where its log-odds exceed 0


@pytest.mark.parametrize(
    ("frames", "first", "end", "selected"),
    [(240, 0, 240, None), (240, 45, 190, None), (240, 20, 230, [True, False, False, True]), (40, 0, 40, None)],
)
def test_mask_metrics_of_all_maps_and_emotions_equal_the_papers_formulas(frames, first, end, selected):
    # An unsure network: with such masks the predicted class changes now and then.
    classifier, found, expected = classifier_of(fresh(TinyNetwork), temperature=1.3), [], []
    for seed in range(4):
        for emotion in range(4):
            target = target_of_log_mel(random_log_mel(frames, seed), emotion, None, first, end, selected)
            fill, map_, inside = random_fill(target), random_map(target, seed) ** 3, target.covered[:, None]
            found.append(astuple(mask_metrics(map_, perturbed_of(classifier, target), target)))
            mask = np.maximum(map_, 0) / map_.max()
            p, p_in, p_out = (
                probabilities_slowly(classifier, target, fill, share) for share in (0 * mask, inside * (1 - mask), mask)
            )
            expected.append(
                (
                    p_in[emotion] > p[emotion],
                    max(p[emotion] - p_in[emotion], 0) / p[emotion],
                    max(p_in[emotion] - p[emotion], 0) / (1 - p[emotion]),
                    p[emotion] - p_out[emotion],
                    np.argmax(p) == np.argmax(p_in),
                )
            )
    np.testing.assert_allclose(np.array(found, float), np.array(expected, float), atol=1e-4)
    for column in np.array(expected, float).T:
        assert np.ptp(column) > 0.005  # each of them is informative


def test_a_mask_of_ones_removes_nothing():
    log_mel, classifier = random_log_mel(240), classifier_of(fresh(TinyNetwork))
    for emotion in range(4):
        target = target_of_log_mel(log_mel, emotion, first=60, end=131)
        map_ = np.where(target.covered[:, None], np.float32(0.2), 0) * np.ones((240, 64), np.float32)
        found = mask_metrics(map_, perturbed_of(classifier, target), target)
        inside = np.where(map_ > 0, 1.0, 0.0)
        filled = probabilities_slowly(classifier, target, random_fill(target), inside)[emotion]
        before = probabilities_slowly(classifier, target, random_fill(target), 0 * inside)[emotion]
        assert found.drop == pytest.approx(0, abs=1e-6)
        assert found.gain == pytest.approx(0, abs=1e-6)
        assert found.faithfulness == pytest.approx(before - filled, abs=1e-6)
        assert found.fidelity


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_a_map_without_positive_values_inserts_and_deletes_nothing(value):
    target, classifier = target_of_log_mel(random_log_mel(150), emotion=2), classifier_of(fresh(TinyNetwork))
    found = mask_metrics(np.full((150, 64), value, np.float32), perturbed_of(classifier, target), target)
    before, filled = (
        probabilities_slowly(classifier, target, random_fill(target), np.full((150, 64), share)) for share in (0.0, 1.0)
    )
    assert found.faithfulness == pytest.approx(0, abs=1e-7)
    assert found.increase == (filled[2] > before[2])
    assert found.drop == pytest.approx(max(before[2] - filled[2], 0) / before[2], abs=1e-5)
    assert found.gain == pytest.approx(max(filled[2] - before[2], 0) / (1 - before[2]), abs=1e-5)


def test_negative_values_of_a_map_do_not_change_its_mask():
    target = target_of_log_mel(random_log_mel(150))
    perturbed, map_ = perturbed_of(classifier_of(fresh(TinyNetwork)), target), random_map(target)
    once = mask_metrics(map_, perturbed, target)
    assert mask_metrics(np.where(map_ < 0, 100 * map_, map_), perturbed, target) == once
    assert mask_metrics(np.maximum(map_, 0), perturbed, target) == once
    assert mask_metrics(-map_, perturbed, target) != once


# --- infidelity ---


@pytest.mark.parametrize("against", [None, 2])
@pytest.mark.parametrize("kind", ["random", "near the truth", "positive", "its negative"])
def test_infidelity_of_one_segment_equals_captums_under_the_same_perturbations(against, kind):
    log_mel, weights = random_log_mel(), np.random.default_rng(1).normal(size=(4, 96, 64)) * 0.01
    target, classifier = target_of_log_mel(log_mel, 1, against), LinearClassifier(weights)
    fill = np.ascontiguousarray(fill_values(log_mel, "noise_floor", np.random.default_rng(0)))
    assert (fill != log_mel).all()  # captum divides by what differs
    map_ = random_map(target)
    if kind == "near the truth":
        map_ = (weights[1] - weights[2]) * (log_mel - fill)
    elif kind == "positive":
        map_ = np.abs(map_)
    elif kind == "its negative":
        map_ = -np.abs(map_)
    perturbed = Perturbed(classifier.score, 1.0, target, fill)
    classifier.calls.clear()
    ours = infidelity_of(map_, perturbed, target, 60, 0)
    versions = np.concatenate(classifier.calls)
    assert versions.shape == (60, 96, 64)

    def remaining(segments):
        return torch.tensor(evidence(softmax(classifier.score(segments.numpy())), 1, against))

    # For maps multiplied with the input, captum's perturbation is 1 at filled points.
    @captum.metrics.infidelity_perturb_func_decorator(multiply_by_inputs=True)
    def same_boxes(inputs, baselines):
        return torch.tensor(versions, dtype=torch.float64)

    theirs = captum.metrics.infidelity(
        remaining,
        same_boxes,
        torch.tensor(log_mel, dtype=torch.float64)[None],
        torch.tensor(map_, dtype=torch.float64)[None],
        baselines=torch.tensor(fill, dtype=torch.float64)[None],
        n_perturb_samples=60,
        normalize=True,
    ).item()
    assert theirs > 1e-3 or (kind == "near the truth" and against == 2)
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-8)


def test_with_additive_evidence_the_infidelity_of_the_true_worths_is_zero_at_any_scale():
    contributions = of_cells(random_worth())
    perturbed, target = additive(contributions)
    for scale in (1, 1e-6, -20):
        assert infidelity_of(scale * contributions, perturbed, target, 50, 0) < 1e-10
    assert infidelity_of(random_map(target), perturbed, target, 50, 0) > 0.01


def infidelity_slowly(map_, classifier, target, boxes, scale):
    """Box by box, and with a given scale: the squared difference between the sum of the map and the loss."""
    fill, errors = random_fill(target), []
    whole = target.evidence(probabilities_slowly(classifier, target, fill, np.zeros(map_.shape)))
    for box in boxes:
        lost = whole - target.evidence(probabilities_slowly(classifier, target, fill, box))
        errors.append((scale * map_[box].sum() - lost) ** 2)
    return np.mean(errors)


def boxes_drawn(target, boxes, seed):
    """Return the boxes, (boxes, frames, bands), that a stand-in for the recording receives."""

    class Listening:
        original = np.full(4, 0.25)

        def without(self, masks, count, work):
            self.masks = np.stack(list(masks))
            return np.full((count, 4), 0.25)

    listening = Listening()
    infidelity_of(random_map(target), listening, target, boxes, seed)
    return listening.masks


@pytest.mark.parametrize(
    ("first", "end", "selected"), [(0, 240, None), (45, 190, None), (0, 240, [True, False, True, True])]
)
def test_infidelity_is_the_smallest_error_over_all_scales_of_the_map(first, end, selected):
    target = target_of_log_mel(random_log_mel(240) + 3, 1, None, first, end, selected)
    classifier = LinearClassifier(np.random.default_rng(1).normal(size=(4, 96, 64)) * 0.002)
    classifier.weights[1] += 0.004  # wants everything loud: the difference from the fill predicts part of the loss
    map_ = np.where(target.covered[:, None], target.log_mel - random_fill(target), 0)
    found = infidelity_of(map_, perturbed_of(classifier, target), target, 30, 2)
    boxes = boxes_drawn(target, 30, 2)
    # A parabola through three scales has its minimum there.
    scales = np.array([-1e-3, 0, 1e-3])
    a, b, c = np.polyfit(scales, [infidelity_slowly(map_, classifier, target, boxes, s) for s in scales], 2)
    assert found == pytest.approx(c - b**2 / (4 * a), rel=1e-3)
    assert 0.001 < found < 0.9 * c


def test_infidelity_of_a_zero_map_is_the_mean_square_of_the_losses():
    target, classifier = target_of_log_mel(random_log_mel(150)), classifier_of(fresh(TinyNetwork))
    nothing = np.zeros((150, 64), np.float32)
    found = infidelity_of(nothing, perturbed_of(classifier, target), target, 30, 2)
    expected = infidelity_slowly(nothing, classifier, target, boxes_drawn(target, 30, 2), 1.0)
    assert expected > 0.001
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("selected", "covered"),
    [(None, (60, 230)), ([True, False, True, True], (96, 230)), ([True, True, False, True], (60, 230))],
)
def test_boxes_cover_everything_between_the_first_and_the_last_covered_frame(selected, covered):
    target = target_of_log_mel(random_log_mel(240), selected=selected, first=60, end=230)
    assert tuple(np.flatnonzero(target.covered)[[0, -1]]) == (covered[0], covered[1] - 1)
    boxes = boxes_drawn(target, 1_000, 0)
    assert boxes.shape == (1_000, 240, 64)
    frames, bands = boxes.any(axis=2), boxes.any(axis=1)
    np.testing.assert_array_equal(boxes, frames[:, :, None] & bands[:, None, :])
    for sides in (frames, bands):  # in one piece, and never empty
        assert (np.abs(np.diff(sides.astype(int), axis=1, prepend=0, append=0)).sum(axis=1) == 2).all()
    assert np.flatnonzero(frames.any(axis=0)).tolist() == list(range(*covered))
    assert bands.any(axis=0).all()
    assert frames.sum(axis=1).min() < 5
    assert bands.sum(axis=1).min() == 1
    assert bands.sum(axis=1).max() > 60
    assert np.corrcoef(frames.sum(axis=1), bands.sum(axis=1))[0, 1] < 0.1
    assert frames.sum(axis=1).max() > covered[1] - covered[0] - 10


def test_infidelity_is_the_same_for_the_same_seed_and_another_for_another():
    target = target_of_log_mel(random_log_mel(150))
    perturbed, map_ = perturbed_of(classifier_of(fresh(TinyNetwork)), target), random_map(target)

    def measured(seed):
        return infidelity_of(map_, perturbed, target, 20, seed)

    assert measured(1) == measured(1)
    assert abs(measured(1) - measured(2)) > 1e-4
