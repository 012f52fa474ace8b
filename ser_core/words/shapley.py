"""Shapley values: which sets of words to try, and how much each word adds on average to the sets without it.

References
----------
Shapley 1953. Lundberg and Lee 2017, arXiv:1705.07874: the regression whose weights are Shapley values; sets come in
complementary pairs (Covert and Lee 2021, arXiv:2012.01536).
"""

import numpy as np

#: Sets of words to try with each fill, besides all and none. For up to six words these are all sets.
SETS = 64
#: How often to draw another set if a set was drawn before.
DRAWS = 8


def word_sets(count: int, rng: np.random.Generator, budget: int = SETS) -> tuple[np.ndarray, np.ndarray, int]:
    """Return sets of words to try, none and all first, and their weights in the regression.

    If the budget allows, these are all sets. Otherwise they are the sets of one word, of all words but one, and random
    pairs of a set and its complement.

    Returns
    -------
    sets : ndarray of shape (sets, count), bool
    weights : ndarray of shape (sets,), float64
        0 for none and all, which the regression fits exactly.
    drawn : int
        Number of random pairs; they are the last rows, each set before its complement.
    """
    none_and_all = np.array([np.zeros(count, bool), np.ones(count, bool)])
    if count < 2:
        return none_and_all, np.zeros(2), 0
    sizes = np.arange(1, count)
    mass = (count - 1) / (sizes * (count - sizes))  # of all sets of a size together
    if 2**count - 2 <= budget:
        inner = (np.arange(1, 2**count - 1)[:, None] >> np.arange(count)) & 1 == 1
        size = inner.sum(axis=1)
        per_set = mass / np.bincount(size, minlength=count)[1:count]
        return np.concatenate([none_and_all, inner]), np.concatenate([[0, 0], per_set[size - 1]]), 0
    single = np.eye(count, dtype=bool)
    drawn = max(1, (budget - 2 * count) // 2)
    # Sizes are stratified, and drawing a set twice is avoided: both reduce the error.
    steps = (np.arange(drawn) + rng.random()) / drawn
    ranks = np.searchsorted(np.cumsum(mass[1:-1]) / mass[1:-1].sum(), steps)
    pair_sizes = sizes[1:-1][np.minimum(ranks, count - 4)]
    pairs: list[np.ndarray] = []
    for size in pair_sizes:
        for _ in range(DRAWS):
            chosen = np.isin(np.arange(count), rng.permutation(count)[:size])
            if not any(np.array_equal(chosen, other) for other in pairs):
                break
        pairs += [chosen, ~chosen]
    weights = [0, 0, *np.repeat(mass[0] / count, 2 * count), *np.repeat(mass[1:-1].sum() / (2 * drawn), 2 * drawn)]
    return np.concatenate([none_and_all, single, ~single, pairs]), np.array(weights), drawn


def shapley_values(
    sets: np.ndarray, evidences: np.ndarray, weights: np.ndarray, drawn: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return Shapley values from the evidence of sets, and their standard errors by the jackknife over drawn pairs.

    With all sets the values are exact and the errors 0.

    Parameters
    ----------
    sets, weights, drawn
        As `word_sets` returns them.
    evidences : ndarray of shape (sets,)

    Returns
    -------
    values, errors : ndarray of shape (count,)
    """
    values = _regression(sets, evidences, weights)
    if drawn < 2:
        return values, np.zeros(len(values))
    without_pair = []
    for pair in range(drawn):
        reduced = weights.copy()
        first = len(sets) - 2 * (drawn - pair)
        reduced[first : first + 2] = 0
        reduced[-2 * drawn :] *= drawn / (drawn - 1)
        without_pair.append(_regression(sets, evidences, reduced))
    deviations = without_pair - np.mean(without_pair, axis=0)
    return values, np.sqrt((drawn - 1) / drawn * np.square(deviations).sum(axis=0))


def _regression(sets: np.ndarray, evidences: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weights of a linear model of the evidence that is exact for no words and for all words."""
    gain, total = evidences - evidences[0], evidences[1] - evidences[0]
    if sets.shape[1] < 2:
        return np.full(sets.shape[1], total)
    # The last word's value is the total minus the others'.
    rows = sets[:, :-1].astype(float) - sets[:, -1:]
    root = np.sqrt(weights)
    first, *_ = np.linalg.lstsq(rows * root[:, None], (gain - total * sets[:, -1]) * root, rcond=None)
    return np.append(first, total - first.sum())
