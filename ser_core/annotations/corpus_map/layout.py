"""Layouts of features in two dimensions: principal components, or neighbours (t-SNE)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsTransformer

from ser_core.work.progress import UNWATCHED, Work

#: Neighbours are searched in this many principal components; further ones are mostly noise.
COMPONENTS = 50
#: Settings of t-SNE: the effective number of neighbours, the exaggeration, and rounds of 250 iterations.
PERPLEXITY, EXAGGERATION, ROUNDS, ROUND = 30.0, 12.0, 4, 250
#: Standard deviation of the first principal component at the start of t-SNE.
INITIAL_DEVIATION = 1e-4
#: Fewer points have no meaningful neighbourhoods.
MIN_POINTS = 8
#: The mean of fewer recordings depends more on the recordings than on their speaker.
MIN_RECORDINGS_OF_SPEAKER = 3


@dataclass(frozen=True, eq=False)
class Layout:
    """Points in two dimensions.

    Attributes
    ----------
    points : ndarray of shape (n, 2), float64
    variance : tuple of float, or None
        Share of the features' variance along each axis; None if the axes have no meaning.
    """

    points: np.ndarray
    variance: tuple[float, float] | None


def without_speaker_means(features: np.ndarray, speakers: Sequence[str | None]) -> tuple[np.ndarray, int]:
    """Move each speaker's mean to the mean of all, so that differences between speakers no longer shape the layout.

    Parameters
    ----------
    features : ndarray of shape (n, features)
    speakers : sequence of str or None
        None if unknown.

    Returns
    -------
    features : ndarray of shape (n, features), float64
    unadjusted : int
        Number of recordings that were not moved: their speaker is unknown, or has fewer than three recordings.
    """
    values = np.asarray(features, np.float64)
    centred = values.copy()
    unadjusted = len(values)
    for speaker, count in Counter(speakers).items():
        if speaker is not None and count >= MIN_RECORDINGS_OF_SPEAKER:
            is_own = np.array([each == speaker for each in speakers])
            centred[is_own] += values.mean(axis=0) - values[is_own].mean(axis=0)
            unadjusted -= count
    return centred, unadjusted


def principal_components(features: np.ndarray) -> Layout:
    """Lay features out along the two directions in which they vary most.

    Each feature is centred and scaled to deviation 1. The sign of a component is that of its largest weight, so that
    the same features always give the same picture.

    Parameters
    ----------
    features : ndarray of shape (n, features)
    """
    scores, variance = _components(features, 2)
    return Layout(scores, (float(variance[0]), float(variance[1])))


def by_neighbours(features: np.ndarray, work: Work = UNWATCHED) -> Layout:
    """Lay features out so that neighbours stay neighbours; distances between groups and the axes have no meaning.

    The same features always give the same picture. Fewer than eight points are laid out by their principal components.

    Raises
    ------
    Cancelled

    References
    ----------
    van der Maaten 2014, JMLR 15: Barnes-Hut t-SNE; begun at the principal components as in Kobak and Berens 2019,
    Nat. Commun. 10, 5416.
    """
    scores, _ = _components(features, COMPONENTS)
    points = scores[:, :2]
    if len(points) < MIN_POINTS:
        return Layout(points, None)
    work.report(0.0, "Looking for neighbours")
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    neighbours = KNeighborsTransformer(n_neighbors=min(len(points) - 1, int(3 * perplexity + 1))).fit_transform(scores)
    points = points * (INITIAL_DEVIATION / (points[:, 0].std() or 1.0))
    # In rounds, so that it can be stopped between them; only the first one exaggerates.
    for number in range(ROUNDS):
        work.check()
        work.report((number + 0.5) / (ROUNDS + 0.5), "Laying out by neighbours")
        points = TSNE(
            perplexity=perplexity,
            early_exaggeration=1.0 if number else EXAGGERATION,
            learning_rate=max(len(points) / EXAGGERATION / 4, 50.0),
            max_iter=ROUND,
            metric="precomputed",
            init=points,
        ).fit_transform(neighbours)
    return Layout(points.astype(np.float64), None)


def _components(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `count` principal components (n, count) of scaled features, and their shares of the variance."""
    values = np.asarray(features, np.float64)
    values = values - values.mean(axis=0)
    deviation = values.std(axis=0)
    values /= np.where(deviation > 0, deviation, 1.0)
    # Both products of the matrix with its transpose have the same eigenvalues; the smaller one is used.
    if len(values) > values.shape[1]:
        power, weights = np.linalg.eigh(values.T @ values)
    else:
        power, left = np.linalg.eigh(values @ values.T)
        weights = values.T @ left / np.sqrt(np.maximum(power, np.finfo(np.float64).tiny))
    first = np.argsort(power)[::-1][:count]
    weights, share = weights[:, first], np.maximum(power[first], 0.0) / (power.sum() or 1.0)
    largest = weights[np.abs(weights).argmax(axis=0), np.arange(weights.shape[1])]
    scores = values @ (weights * np.where(largest < 0, -1.0, 1.0))
    missing = count - scores.shape[1]
    return np.pad(scores, ((0, 0), (0, max(missing, 0)))), np.pad(share, (0, max(missing, 0)))


# --- the meaning of axes ---


@dataclass(frozen=True)
class AxisMeaning:
    """The association of measures and groups with an axis.

    Attributes
    ----------
    correlations : mapping of str to float
        Pearson's r between the points' positions and each measure.
    shares : mapping of str to float
        Share of the variance along the axis between groups (epsilon squared), by the name of the grouping.
    """

    correlations: Mapping[str, float]
    shares: Mapping[str, float]


def axis_meaning(
    positions: np.ndarray, measures: Mapping[str, np.ndarray], groups: Mapping[str, Sequence[str | None]]
) -> AxisMeaning:
    """Compare positions (n,) along an axis with measures (n,) and with groups, in which None is no group.

    Constant measures and groupings with fewer than two groups are left out.
    """
    correlations = {
        name: float(np.corrcoef(positions, values)[0, 1])
        for name, values in measures.items()
        if positions.std() > 0 and np.std(values) > 0
    }
    shares = {name: _epsilon_squared(positions, labels) for name, labels in groups.items()}
    return AxisMeaning(correlations, {name: share for name, share in shares.items() if share is not None})


def _epsilon_squared(positions: np.ndarray, labels: Sequence[str | None]) -> float | None:
    """Return eta squared without what chance alone gives: the number of groups less one, of the points less one."""
    labelled = positions[np.array([label is not None for label in labels], bool)]
    groups, index = np.unique([label for label in labels if label is not None], return_inverse=True)
    if len(groups) < 2 or len(labelled) <= len(groups) or labelled.std() == 0:
        return None
    means = np.bincount(index, labelled) / np.bincount(index)
    eta_squared = np.var(means[index]) / np.var(labelled)
    return max(0.0, float(1 - (1 - eta_squared) * (len(labelled) - 1) / (len(labelled) - len(groups))))
