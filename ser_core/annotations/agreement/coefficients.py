"""Chance-corrected agreement: Cohen's and Fleiss' kappa, Krippendorff's alpha, from tables summed over recordings."""

import numpy as np

from ser_core.annotations.agreement.bootstrap import ratio


def cohen_kappa(confusion: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa of two annotators.

    Parameters
    ----------
    confusion : ndarray of shape (..., labels, labels)
        How often one gave the label of the row and the other that of the column.

    Returns
    -------
    ndarray of shape (...), float64
        NaN if both gave the same single label throughout.

    References
    ----------
    Cohen 1960, Educational and Psychological Measurement 20(1), 37-46.
    """
    total = confusion.sum(axis=(-2, -1), dtype=np.float64)
    # Not divided by the total, so that integers stay exact and a zero denominator is exactly zero.
    by_chance = (confusion.sum(axis=-1, dtype=np.float64) * confusion.sum(axis=-2)).sum(axis=-1)
    agreed = total * np.trace(confusion, axis1=-2, axis2=-1)
    return ratio(agreed - by_chance, total**2 - by_chance)


def fleiss_tally(counts: np.ndarray) -> np.ndarray:
    """Return what `fleiss_kappa` needs from units that everybody labelled.

    Parameters
    ----------
    counts : ndarray of shape (units, labels), int
        How many annotators gave each label; every row has the same sum.

    Returns
    -------
    ndarray of shape (1 + labels,), int
        Number of ordered pairs of annotators that agree, then how often each label was given.
    """
    return np.concatenate([[np.sum(counts * (counts - 1))], counts.sum(axis=0)])


def fleiss_kappa(tally: np.ndarray, annotators: int) -> np.ndarray:
    """Return Fleiss' kappa from a sum (..., 1 + labels) of tallies; NaN if only one label was given.

    References
    ----------
    Fleiss 1971, Psychological Bulletin 76(5), 378-382.
    """
    agreeing, given = tally[..., 0], tally[..., 1:]
    total = given.sum(axis=-1, dtype=np.float64)
    by_chance = np.square(given, dtype=np.float64).sum(axis=-1)
    return ratio(total * agreeing / (annotators - 1) - by_chance, total**2 - by_chance)


def coincidences(counts: np.ndarray) -> np.ndarray:
    """Return how often two labels were given to the same unit.

    Parameters
    ----------
    counts : ndarray of shape (units, labels), int
        How many annotators gave each label; units with fewer than two labels are ignored.

    Returns
    -------
    ndarray of shape (labels, labels), float64
        Ordered pairs, each divided by the unit's number of labels minus one; symmetric.
    """
    several = counts[counts.sum(axis=1) > 1]
    weighted = several / (several.sum(axis=1, keepdims=True) - 1)
    return several.T @ weighted - np.diag(weighted.sum(axis=0))


def krippendorff_alpha(table: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return Krippendorff's alpha.

    Parameters
    ----------
    table : ndarray of shape (..., labels, labels)
        A sum of `coincidences`.
    distance : ndarray of shape (labels, labels)
        Distance between two labels.

    Returns
    -------
    ndarray of shape (...), float64
        NaN if only one label was given.

    References
    ----------
    Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.
    """
    given = table.sum(axis=-1)
    observed = (table * distance).sum(axis=(-2, -1)) * (given.sum(axis=-1) - 1)
    by_chance = np.einsum("...i,...j,ij->...", given, given, distance)
    return ratio(by_chance - observed, by_chance)


def nominal_distance(labels: int) -> np.ndarray:
    """Return distances (labels, labels): 0 for the same label, 1 for different ones."""
    return 1.0 - np.eye(labels)


def interval_distance(values: np.ndarray) -> np.ndarray:
    """Return distances (labels, labels) between values (labels,) on an interval scale: squared differences."""
    return np.square(values[:, None] - values[None, :], dtype=np.float64)
