import numpy as np
import pytest
from scipy.stats import spearmanr

from ser_core.analysis import Explanation, Region
from ser_core.explanation.agreement import (
    agreement,
    consensus,
    rank_correlation,
    top_overlap,
    with_consensus,
    with_frequencies,
)

EVERYWHERE = np.ones(40, bool)


def random_maps(*names, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(40, 16)).astype(np.float32) for name in names}


def related_maps():
    """Return three maps that share a common part to different degrees."""
    own = random_maps("one", "two", "three", "shared")
    shared = own.pop("shared")
    return {name: (shared + share * own[name]) for name, share in (("one", 0.3), ("two", 0.6), ("three", 2.0))}


# --- rank correlation ---


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 1000], 1.0),
        ([1, 2, 3, 4], [0, -1, -2, -30], -1.0),
        ([1, 2, 3, 4], [1, 2, 4, 3], 0.8),  # 1 - 6 * (0 + 0 + 1 + 1) / (4 * 15)
        ([-5, 0, 2, 9, 7], [1, 3, 2, 4, 5], 0.8),  # 1 - 6 * (0 + 1 + 1 + 1 + 1) / (5 * 24)
        ([0, 0, 1, 1], [0, 1, 0, 1], 0.0),
    ],
)
def test_rank_correlation_worked_by_hand(one, other, expected):
    assert rank_correlation(np.array(one, float), np.array(other, float)) == pytest.approx(expected)


@pytest.mark.parametrize("steps", [3, 10, 1_000_000])  # with many, some and no ties
def test_rank_correlation_equals_scipys(steps):
    rng = np.random.default_rng(steps)
    one = np.round(rng.normal(size=500) * steps)
    other = np.round((one / steps + rng.normal(size=500)) * steps)
    expected = spearmanr(one, other).statistic
    assert 0.5 < expected < 0.9
    assert rank_correlation(one, other) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("measured", [rank_correlation, top_overlap])
def test_constant_values_have_no_rank_correlation_on_either_side(measured):
    same, other = np.full(20, 0.3), np.arange(20.0)
    assert np.isnan(measured(same, other))
    assert np.isnan(measured(other, same))


# --- overlap of the highest cells ---


def overlap_slowly(one, other, share):
    """Cell by cell: a cell is among the highest if few enough exceed it."""
    count = max(1, round(share * len(one)))
    tops = [{i for i, v in enumerate(values) if sum(w > v for w in values) < count} for values in (one, other)]
    return len(tops[0] & tops[1]) / len(tops[0] | tops[1])


@pytest.mark.parametrize("share", [0.004, 0.1, 0.33, 1.0])
@pytest.mark.parametrize("steps", [1, 100])
def test_overlap_equals_counting_cell_by_cell(share, steps):
    rng = np.random.default_rng(1)
    one = np.round(rng.normal(size=120) * steps)
    other = np.round((one / steps + rng.normal(size=120)) * steps)
    assert top_overlap(one, other, share) == overlap_slowly(one, other, share)


def test_overlap_of_the_highest_tenth_worked_by_hand():
    one, other, quiet = np.zeros((3, 30))
    one[[3, 4, 5]] = 1, 2, 3
    other[[4, 5, 6]] = 9, 8, 7
    quiet[[4, 5, 6]] = -9, -8, -7
    assert top_overlap(one, other) == 2 / 4
    assert top_overlap(one, one) == 1
    assert top_overlap(other, quiet) == 0  # the strongest evidence against is not the strongest evidence for
    assert top_overlap(one, other, share=0.01) == 0  # one cell at least: 5 and 4


def test_cells_tied_at_the_edge_of_the_highest_tenth_all_belong_to_it():
    one, other = np.zeros((2, 20))
    one[[0, 1, 2]] = 5, 1, 1  # two of 20 cells, and one more that is as high as the second
    other[[0, 1]] = 5, 1
    assert top_overlap(one, other) == 2 / 3


def test_unrelated_maps_agree_at_chance_level():
    one, other = np.random.default_rng(0).normal(size=(2, 100_000))
    assert abs(rank_correlation(one, other)) < 0.01
    # By chance a tenth of one tenth is in the other: 0.01 of 0.19.
    assert top_overlap(one, other) == pytest.approx(0.01 / 0.19, abs=0.005)


# --- all pairs ---


def test_agreement_of_two_maps_does_not_depend_on_their_order():
    maps = related_maps()
    found = agreement(maps, EVERYWHERE)
    assert found.methods == ("one", "two", "three")
    values = [map_.ravel() for map_ in maps.values()]
    for i in range(3):
        for j in range(3):
            expected = spearmanr(values[i], values[j]).statistic
            assert found.rank_correlation[i, j] == pytest.approx(expected, abs=1e-12)
            assert found.top_overlap[i, j] == overlap_slowly(values[i], values[j], 0.1)
    assert found.rank_correlation[0, 1] > found.rank_correlation[1, 2] > 0.1


def test_order_of_the_methods_changes_nothing():
    maps = related_maps()
    names = ("three", "one", "two")
    found, other = agreement(maps, EVERYWHERE), agreement({name: maps[name] for name in names}, EVERYWHERE)
    places = [found.methods.index(name) for name in names]
    assert other.methods == names
    np.testing.assert_array_equal(other.rank_correlation, found.rank_correlation[np.ix_(places, places)])
    np.testing.assert_array_equal(other.top_overlap, found.top_overlap[np.ix_(places, places)])


@pytest.mark.parametrize("change", [lambda m: 1e-6 * m, lambda m: 1e6 * m + 3, np.arctan, lambda m: m**3])
def test_monotonic_changes_of_a_map_do_not_change_agreement(change):
    maps = {name: map_.astype(np.float64) for name, map_ in related_maps().items()}
    found, other = agreement(maps, EVERYWHERE), agreement(maps | {"two": change(maps["two"])}, EVERYWHERE)
    np.testing.assert_allclose(other.rank_correlation, found.rank_correlation, atol=1e-12)
    np.testing.assert_array_equal(other.top_overlap, found.top_overlap)


def test_a_negated_map_has_the_negated_correlation():
    maps = related_maps()
    found, turned = agreement(maps, EVERYWHERE), agreement(maps | {"two": -maps["two"]}, EVERYWHERE)
    np.testing.assert_allclose(turned.rank_correlation[1, [0, 2]], -found.rank_correlation[1, [0, 2]], atol=1e-12)
    assert turned.rank_correlation[0, 2] == found.rank_correlation[0, 2]


def test_frames_that_are_not_covered_do_not_count():
    maps, covered = related_maps(), np.arange(40) % 4 > 0
    other = {name: map_.copy() for name, map_ in maps.items()}
    for map_ in other.values():
        map_[~covered] = 0
    for found in (agreement(maps, covered), agreement(other, covered)):
        alone = agreement({name: map_[covered] for name, map_ in maps.items()}, EVERYWHERE[:30])
        np.testing.assert_array_equal(found.rank_correlation, alone.rank_correlation)
        np.testing.assert_array_equal(found.top_overlap, alone.top_overlap)


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_a_map_that_is_the_same_everywhere_agrees_with_no_other(value):
    maps = {**random_maps("one", "two"), "flat": np.full((40, 16), value, np.float32)}
    found = agreement(maps, EVERYWHERE)
    for pairs in (found.rank_correlation, found.top_overlap):
        assert np.isnan(pairs[2, :2]).all()
        assert np.isnan(pairs[:2, 2]).all()
        assert np.isfinite(pairs[:2, :2]).all()
        assert (np.diag(pairs) == 1).all()


def test_agreement_is_refused_where_no_frame_is_covered():
    with pytest.raises(ValueError, match="No frame is covered"):
        agreement(random_maps("one", "two"), ~EVERYWHERE)


# --- the map that they share ---


def test_consensus_worked_by_hand():
    maps = {"one": np.array([[3.0, -4.0], [5.0, 0.0]]), "other": np.array([[0.0, 0.1], [0.1, -0.1]])}
    # Root mean squares: sqrt(50 / 4) and sqrt(0.03 / 4).
    ones, others = np.array([[3, -4], [5, 0]]) / 12.5**0.5, np.array([[0, 1], [1, -1]]) / 0.75**0.5
    covered = np.ones(2, bool)
    np.testing.assert_allclose(consensus(maps, covered), (ones + others) / 2, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_consensus_of_one_map_is_that_map_up_to_its_scale(scale):
    (map_,) = random_maps("one").values()
    found = consensus({"one": scale * map_}, EVERYWHERE)
    assert found.dtype == np.float32
    assert np.sqrt(np.mean(found**2)) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found, map_ / np.sqrt(np.mean(map_**2)), rtol=1e-5)


def test_consensus_does_not_depend_on_units_nor_on_the_order_of_the_maps():
    maps = related_maps()
    scaled = {"three": 1e-9 * maps["three"], "one": 1e6 * maps["one"], "two": maps["two"]}
    np.testing.assert_allclose(consensus(scaled, EVERYWHERE), consensus(maps, EVERYWHERE), atol=1e-6)


def test_consensus_keeps_a_common_sign_and_opposite_maps_cancel():
    maps = related_maps()
    found, signs = consensus(maps, EVERYWHERE), np.sign(np.stack(list(maps.values())))
    agreed = np.abs(signs.sum(axis=0)) == 3
    assert 0.3 < agreed.mean() < 0.9
    np.testing.assert_array_equal(np.sign(found[agreed]), signs[0][agreed])
    assert (consensus({"one": maps["one"], "turned": -2 * maps["one"]}, EVERYWHERE) == 0).all()


def test_consensus_is_nearer_to_what_maps_share_than_any_of_them():
    own = random_maps("one", "two", "three", "shared")
    shared = own.pop("shared")
    maps = {name: shared + map_ for name, map_ in own.items()}
    each = [rank_correlation(map_.ravel(), shared.ravel()) for map_ in maps.values()]
    together = rank_correlation(consensus(maps, EVERYWHERE).ravel(), shared.ravel())
    assert together > max(each) + 0.05


def test_a_map_that_is_zero_everywhere_counts_as_such():
    maps = random_maps("one", "two")
    with_zero = consensus({**maps, "zero": np.zeros((40, 16), np.float32)}, EVERYWHERE)
    np.testing.assert_allclose(with_zero, consensus(maps, EVERYWHERE) * 2 / 3, atol=1e-6)


def test_consensus_is_zero_outside_covered_frames_which_do_not_affect_its_scale():
    maps, covered = related_maps(), np.arange(40) < 30
    loud = {name: map_.copy() for name, map_ in maps.items()}
    loud["two"][30:] = 1e6
    found = consensus(loud, covered)
    assert (found[30:] == 0).all()
    alone = {name: map_[:30] for name, map_ in maps.items()}
    np.testing.assert_allclose(found[:30], consensus(alone, EVERYWHERE[:30]), atol=1e-6)
    assert (consensus(maps, ~EVERYWHERE) == 0).all()


def test_consensus_leaves_the_maps_as_they_were():
    maps = related_maps()
    before = {name: map_.copy() for name, map_ in maps.items()}
    consensus(maps, np.arange(40) < 30)
    for name, map_ in maps.items():
        np.testing.assert_array_equal(map_, before[name])


def explanation_of(method, relevance, covered=EVERYWHERE, seconds=1.0):
    return Explanation(
        method, "angry", "sad", relevance, covered, Region(0.0, 0.4), "last", {"fill": "random"}, 3, seconds, 0.5
    )


def test_explanations_of_several_methods_end_with_their_consensus():
    maps, covered = related_maps(), np.arange(40) < 30
    given = {name: explanation_of(name, map_, covered, 2.0) for name, map_ in maps.items()}
    found = with_consensus(given)
    assert list(found) == ["one", "two", "three", "consensus"]
    assert all(found[name] is explanation for name, explanation in given.items())
    shared = found["consensus"]
    np.testing.assert_array_equal(shared.relevance, consensus(maps, covered))
    np.testing.assert_array_equal(shared.covered, covered)
    assert (shared.method, shared.emotion, shared.against) == ("consensus", "angry", "sad")
    assert (shared.stretch, shared.seed, shared.seconds) == (Region(0.0, 0.4), 3, 6.0)
    assert (shared.layer, shared.stability) == (None, None)  # those of one method are not those of all
    assert shared.settings == {"of": ("one", "two", "three")}


@pytest.mark.parametrize("names", [[], ["one"]])
def test_a_single_explanation_has_no_consensus(names):
    given = {name: explanation_of(name, related_maps()[name]) for name in names}
    assert with_consensus(given) == given


def test_two_explanations_have_a_consensus():
    maps = random_maps("one", "two")
    found = with_consensus({name: explanation_of(name, map_) for name, map_ in maps.items()})
    np.testing.assert_array_equal(found["consensus"].relevance, consensus(maps, EVERYWHERE))


def test_maps_of_times_alone_are_left_out_of_a_consensus_of_two_or_more_others():
    maps = random_maps("one", "two")
    times = np.repeat(maps["one"][:, :1], maps["one"].shape[1], axis=1)
    all_maps = {"times": times, **maps}
    assert list(with_frequencies(all_maps)) == ["one", "two"]
    assert list(with_frequencies({"times": times, "one": maps["one"]})) == ["times", "one"]
    silent = np.zeros_like(times)  # no evidence anywhere still counts as a map
    assert list(with_frequencies({**all_maps, "silent": silent})) == ["one", "two", "silent"]
    shared = with_consensus({name: explanation_of(name, map_) for name, map_ in all_maps.items()})["consensus"]
    np.testing.assert_array_equal(shared.relevance, consensus(maps, EVERYWHERE))
    assert shared.settings == {"of": ("one", "two")}
