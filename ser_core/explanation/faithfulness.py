"""Faithfulness of a map: how the evidence changes as cells are removed or inserted in the map's order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ser_core.explanation.relevance import ExplanationTarget, Perturbed
from ser_core.front_end.segments import noise_floor
from ser_core.work.progress import Work

#: Shares of the cells to remove or insert.
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75)
CELL_FRAMES, CELL_BANDS = 8, 4


@dataclass(frozen=True, eq=False)
class Curves:
    """The evidence for the emotion, in log-odds, over the share of cells, from 0 to 1.

    Attributes
    ----------
    deletion : ndarray of shape (shares,)
        The evidence without the cells that the map marks most; it falls fast for a faithful map.
    insertion : ndarray of shape (shares,)
        The evidence of those cells alone; it rises fast for a faithful map.
    """

    shares: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def area(self) -> float:
        """The mean of insertion minus deletion over the shares, in log-odds; higher is more faithful."""
        return float(np.trapezoid(self.insertion - self.deletion, self.shares))


def curves_of(
    maps: Mapping[str, np.ndarray],
    perturbed: Perturbed,
    target: ExplanationTarget,
    work: Work,
) -> dict[str, Curves]:
    """Return the curves of each map (frames, bands).

    Whole cells of 8 frames and 4 bands are removed: single points would leave a pattern of holes with an effect of its
    own. Only covered frames belong to cells: the model does not use the others, but their relevance of 0 would get a
    rank.

    Raises
    ------
    ValueError
        If no frame is covered.

    References
    ----------
    Petsiuk et al. 2018, arXiv:1806.07421, who use probabilities of images.
    """
    masks = {method: _masks(map_, target) for method, map_ in maps.items()}
    everything = np.broadcast_to(target.covered[:, None], target.log_mel.shape)
    removed = [everything, *(mask for of_map in masks.values() for mask in of_map)]
    evidences = target.evidence(perturbed.without(removed, len(removed), work))
    whole, nothing = float(target.evidence(perturbed.original)), evidences[0]
    rest = evidences[1:].reshape(len(maps), -1)
    shares = np.array([0.0, *SHARES, 1.0])
    return {
        method: Curves(
            shares,
            np.array([whole, *row[: len(SHARES)], nothing]),
            np.array([nothing, *row[len(SHARES) :], whole]),
        )
        for method, row in zip(maps, rest, strict=True)
    }


def _masks(relevance: np.ndarray, target: ExplanationTarget) -> list[np.ndarray]:
    """Return the cells to remove at each share: for deletion those marked most, then for insertion all others."""
    rank, means = ranked_cells(relevance, target)
    inside = rank >= 0
    most = [inside & (rank < round(share * len(means))) for share in SHARES]
    return [*most, *(inside & ~mask for mask in most)]


def ranked_cells(relevance: np.ndarray, target: ExplanationTarget) -> tuple[np.ndarray, np.ndarray]:
    """Rank the cells of a map (frames, bands), the highest mean relevance first.

    Returns
    -------
    rank : ndarray of shape (frames, bands), int
        Rank of each point's cell, from 0; -1 where no frame is covered.
    means : ndarray of shape (cells,), float64
        Mean relevance of the cells, descending.

    Raises
    ------
    ValueError
        If no frame is covered.
    """
    cell_of, means = _cells(relevance, target)
    order = np.argsort(-means, kind="stable")
    rank = np.empty(len(means), int)
    rank[order] = np.arange(len(means))
    return np.where(cell_of >= 0, rank[cell_of], -1), means[order]


def _cells(relevance: np.ndarray, target: ExplanationTarget) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell of each point (frames, bands), -1 where no frame is covered, and each cell's mean relevance."""
    frames, bands = relevance.shape
    covered = np.flatnonzero(_covered_frames(target))
    rows = (covered - target.first_frame) // CELL_FRAMES
    grid = rows[:, None] * bands + np.arange(bands) // CELL_BANDS
    cell_of = np.full((frames, bands), -1)
    cell_of[covered] = np.unique(grid, return_inverse=True)[1]
    inside = cell_of >= 0
    return cell_of, np.bincount(cell_of[inside], relevance[inside]) / np.bincount(cell_of[inside])


def _covered_frames(target: ExplanationTarget) -> np.ndarray:
    covered = target.covered
    if not covered.any():
        raise ValueError("No frame is covered, so there is nothing to measure.")
    return covered


def reference_maps(target: ExplanationTarget, seed: int) -> dict[str, np.ndarray]:
    """Return maps that do not depend on the model: `random`, from the seed, and `energy`.

    Energy is the level above the noise floor, so that 0 means no evidence, as in every map.
    """
    rng = np.random.default_rng(seed)
    cell_of, means = _cells(target.log_mel, target)
    maps = {
        "random": rng.random(len(means))[cell_of],
        "energy": target.log_mel - noise_floor(target.log_mel),
    }
    return {name: np.where(cell_of >= 0, map_, 0).astype(np.float32) for name, map_ in maps.items()}


@dataclass(frozen=True)
class MaskMetrics:
    """The effect of a map's mask on the score of the explained class, as the literature on audio defines it.

    The mask is the map's positive part divided by its maximum; each point is blended with the fill by that share.
    Everything outside the stretch is unchanged, as for the explainers.

    Attributes
    ----------
    increase : bool
        AI over recordings: whether the score with the mask alone is higher.
    drop : float
        AD: relative fall of the score with the mask alone; 0 if it rises.
    gain : float
        AG: rise of the score relative to its distance from 1; 0 if it falls.
    faithfulness : float
        FF: fall of the score when the mask is removed.
    fidelity : bool
        Fid-In: whether the same class is predicted with the mask alone.
    """

    increase: bool
    drop: float
    gain: float
    faithfulness: float
    fidelity: bool


def mask_metrics(relevance: np.ndarray, perturbed: Perturbed, target: ExplanationTarget) -> MaskMetrics:
    """Measure a map (frames, bands) by the scores with its mask alone and without it.

    Raises
    ------
    ValueError
        If no frame is covered.

    References
    ----------
    Paissan et al. 2024, arXiv:2403.13086, for AI, AD, AG, FF and Fid-In; Parekh et al. 2022, arXiv:2202.11479, for FF.
    """
    covered = _covered_frames(target)[:, None]
    mask = np.where(covered, np.clip(relevance, 0, None), 0)
    mask /= mask.max() or 1  # if nothing is positive, the mask is empty
    alone, without = perturbed.blend(covered * (1 - mask)), perturbed.blend(mask)
    before, with_mask, without_mask = (float(p[target.emotion]) for p in (perturbed.original, alone, without))
    return MaskMetrics(
        increase=with_mask > before,
        drop=max(0.0, before - with_mask) / max(before, 1e-12),
        gain=max(0.0, with_mask - before) / max(1 - before, 1e-12),
        faithfulness=before - without_mask,
        fidelity=bool(alone.argmax() == perturbed.original.argmax()),
    )


def infidelity(
    maps: Mapping[str, np.ndarray],
    perturbed: Perturbed,
    target: ExplanationTarget,
    boxes: int,
    seed: int,
    work: Work,
) -> dict[str, float]:
    """Return the mean squared error of each map's predictions of the evidence lost when random boxes are filled.

    All maps (frames, bands) predict the same boxes. Because they have different units, each is first scaled by the
    factor that predicts best; a map and its negative have the same error.

    Raises
    ------
    ValueError
        If no frame is covered.

    References
    ----------
    Yeh et al. 2019, arXiv:1901.09392, equation 1, with its optimal scaling.
    """
    rng = np.random.default_rng(seed)
    masks = list(_random_boxes(target, boxes, rng))
    lost = target.evidence(perturbed.original) - target.evidence(perturbed.without(masks, boxes, work))
    errors = {}
    for name, relevance in maps.items():
        predicted = np.array([relevance[mask].sum(dtype=np.float64) for mask in masks])
        scale = predicted @ lost / (predicted @ predicted) if predicted.any() else 0.0
        errors[name] = float(np.mean((scale * predicted - lost) ** 2))
    return errors


def _random_boxes(target: ExplanationTarget, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    bands = target.log_mel.shape[1]
    covered = np.flatnonzero(_covered_frames(target))
    for _ in range(count):
        first, end = np.sort(rng.choice(np.arange(covered[0], covered[-1] + 2), 2, replace=False))
        low, high = np.sort(rng.choice(bands + 1, 2, replace=False))
        mask = np.zeros(target.log_mel.shape, bool)
        mask[first:end, low:high] = True
        yield mask
