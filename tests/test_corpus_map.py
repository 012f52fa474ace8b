"""The map of recordings: its features, its layouts by hand and by other libraries, and what the axes mean."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.preprocessing import StandardScaler

from ser_core.annotations.corpus_map.layout import axis_meaning, by_neighbours, principal_components
from ser_core.errors import Cancelled
from ser_core.work.progress import Work


def blobs(count: int = 60, groups: int = 4, dimensions: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Points around centres on a circle of the first two dimensions that is hidden in many, and their groups."""
    rng = np.random.default_rng(1)
    of = np.arange(count) % groups
    centres = rng.normal(size=(groups, dimensions)) * 4
    return centres[of] + rng.normal(size=(count, dimensions)), of


# --- principal components ---


def test_points_on_a_line_lie_on_the_first_axis_worked_by_hand():
    # Two features that say the same: 0, 1, 2 have deviation sqrt(2/3), so each is -1.22, 0, 1.22; along the diagonal
    # that is sqrt(2) times as far, and nothing is left for the second axis.
    layout = principal_components(np.array([[0, 0], [1, 10], [2, 20]]))
    assert layout.points == pytest.approx(np.array([[-np.sqrt(3), 0], [0, 0], [np.sqrt(3), 0]]), abs=1e-7)
    assert layout.variance == pytest.approx((1, 0))


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_components_are_those_of_scikit_learn(shape):
    features = np.random.default_rng(0).normal(size=shape) @ np.diag(np.linspace(1, 5, shape[1]))
    features[:, 1] = features[:, 0] + 0.1 * features[:, 1]
    ours, theirs = principal_components(features), PCA(2)
    expected = theirs.fit_transform(StandardScaler().fit_transform(features))
    assert np.abs(ours.points) == pytest.approx(np.abs(expected), abs=1e-6)
    assert ours.variance == pytest.approx(theirs.explained_variance_ratio_)


def test_picture_depends_neither_on_the_order_of_recordings_nor_on_the_scale_of_features():
    features, _ = blobs()
    points = principal_components(features).points
    order = np.random.default_rng(2).permutation(len(features))
    assert principal_components(features[order] * 1_000 + 5).points == pytest.approx(points[order])


@pytest.mark.parametrize("features", [np.zeros((1, 5)), np.ones((3, 5)), np.zeros((9, 1))])
@pytest.mark.parametrize("lay_out", [principal_components, by_neighbours])
def test_too_little_to_lay_out_gives_points_all_the_same(features, lay_out):
    assert np.isfinite(lay_out(features).points).all()


# --- neighbours ---


def test_neighbours_stay_neighbours_as_well_as_in_scikit_learn_in_one_go():
    features, of = blobs(120)
    ours = by_neighbours(features)
    theirs = TSNE(init="pca", perplexity=30, random_state=0).fit_transform(StandardScaler().fit_transform(features))
    trust = [trustworthiness(features, points, n_neighbors=8) for points in (ours.points, theirs)]
    assert trust[0] > max(0.9, trust[1] - 0.03)
    distances = np.linalg.norm(ours.points[:, None] - ours.points[None], axis=2) + np.diag(np.full(120, np.inf))
    assert (of[distances.argmin(axis=1)] == of).all()
    assert ours.variance is None
    assert (by_neighbours(features).points == ours.points).all()


def test_layout_stops_between_its_rounds():
    stops = iter([False, False, True])
    with pytest.raises(Cancelled):
        by_neighbours(blobs()[0], Work(stop=lambda: next(stops)))


# --- what the axes mean ---


def test_meaning_of_an_axis_worked_by_hand():
    positions = np.array([0.0, 1, 2, 3])
    measures = {"rising": 2 * positions, "falling": -positions, "constant": np.ones(4)}
    groups = {"halves": ["a", "a", "b", "b"], "alone": ["a"] * 4, "unknown": [None, "a", "b", None]}
    meaning = axis_meaning(positions, measures, groups)
    assert meaning.correlations == pytest.approx({"rising": 1, "falling": -1})
    # Means 0.5 and 2.5 around 1.5: variance 1, of 1.25 in all. Two points in two groups say nothing.
    assert meaning.shares == pytest.approx({"halves": 0.8})
