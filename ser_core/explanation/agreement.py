"""How far explainers agree on the same target, and their consensus."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy

from ser_core.analysis import Explanation
from ser_core.explanation import TIME_METHODS

TOP_SHARE = 0.1

#: Minimum rank correlations of maps that agree well, in part or hardly; below the last, maps contradict each other.
AGREE_WELL, AGREE_IN_PART, HARDLY_AGREE = 0.6, 0.3, -0.2

#: Values of a frame that differ by less than this share of the map's highest value are the same.
ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Agreement:
    """Pairwise agreement of maps.

    Attributes
    ----------
    methods : tuple of str
    rank_correlation, top_overlap : ndarray of shape (methods, methods), float64
        1 on the diagonal; NaN where a map is constant.
    """

    methods: tuple[str, ...]
    rank_correlation: np.ndarray
    top_overlap: np.ndarray


def agreement(maps: Mapping[str, np.ndarray], covered: np.ndarray) -> Agreement:
    """Compare maps (frames, bands) on the covered frames.

    Raises
    ------
    ValueError
        If no frame is covered.
    """
    if not covered.any():
        raise ValueError("No frame is covered, so there is nothing to compare.")
    values = [map_[covered].ravel() for map_ in maps.values()]
    correlations, overlaps = np.eye(len(values)), np.eye(len(values))
    for i, one in enumerate(values):
        for j, other in enumerate(values[:i]):
            correlations[i, j] = correlations[j, i] = rank_correlation(one, other)
            overlaps[i, j] = overlaps[j, i] = top_overlap(one, other)
    return Agreement(tuple(maps), correlations, overlaps)


def with_consensus(explanations: Mapping[str, Explanation]) -> dict[str, Explanation]:
    """Return explanations of one target and, if several of them are maps, the consensus of these last.

    Maps of times alone are left out of it (see `with_frequencies`).
    """
    maps = {name: one for name, one in explanations.items() if one.method not in TIME_METHODS}
    if len(maps) < 2:
        return dict(explanations)
    joined = with_frequencies({name: one.relevance for name, one in maps.items()})
    return {**explanations, "consensus": combined({name: maps[name] for name in joined})}


def combined(maps: Mapping[str, Explanation]) -> Explanation:
    """Return the consensus of maps of one target, which cover the same frames, as an explanation."""
    first = next(iter(maps.values()))
    return replace(
        first,
        method="consensus",
        relevance=consensus({name: one.relevance for name, one in maps.items()}, first.covered),
        layer=None,
        settings={"of": tuple(maps)},
        seconds=sum(one.seconds for one in maps.values()),
        stability=None,
        standard_error=None,
    )


def with_frequencies(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the maps (frames, bands) that tell bands apart, or all maps if only one of them does.

    Grad-CAM of `whisper` shows times alone, and would mark all bands of a frame alike in a consensus. docs/results.md
    has the figures of the consensus with and without it.
    """
    telling = {name: map_ for name, map_ in maps.items() if not _shows_times_alone(map_)}
    return telling if len(telling) > 1 else dict(maps)


def _shows_times_alone(map_: np.ndarray) -> bool:
    highest = np.abs(map_).max()
    return bool(highest > 0 and np.ptp(map_, axis=1).max() <= ROUNDING * highest)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation, NaN if either is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(scipy.stats.rankdata(one), scipy.stats.rankdata(other))[0, 1])


def top_overlap(one: np.ndarray, other: np.ndarray, share: float = TOP_SHARE) -> float:
    """Return the intersection over union of the cells with the highest values, with all ties at the threshold.

    NaN if either is constant: then all its cells are the highest.
    """
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    first, second = _are_top(one, share), _are_top(other, share)
    return float((first & second).sum() / (first | second).sum())


def _are_top(values: np.ndarray, share: float) -> np.ndarray:
    """Return which values are in the highest share, including all ties at its threshold."""
    count = max(1, round(share * values.size))
    return values >= np.partition(values, -count)[-count]


def consensus(maps: Mapping[str, np.ndarray], covered: np.ndarray) -> np.ndarray:
    """Return the mean of maps (frames, bands), float32, each first divided by its root mean square.

    The maps of explainers have different units; the division removes them and keeps the signs. A map that is zero
    everywhere counts too.
    """
    total = np.zeros(next(iter(maps.values())).shape)
    for map_ in maps.values():
        spread = np.sqrt(np.mean(np.square(map_[covered], dtype=np.float64))) if covered.any() else 0.0
        if spread > 0:
            total += map_ / spread
    total[~covered] = 0
    return (total / len(maps)).astype(np.float32)
