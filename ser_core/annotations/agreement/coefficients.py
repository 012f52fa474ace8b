"""Chance-corrected agreement from tables summed over recordings: Cohen's and Fleiss' kappa, Krippendorff's alpha."""

import numpy as np

from ser_core.annotations.agreement.bootstrap import ratio


def cohen_kappa(confusion: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa of two annotators.

    Parameters
    ----------
    confusion : ndarray of shape (..., labels, labels)
        Number of units to which one gave the label of the row and the other that of the column.

    Returns
    -------
    ndarray of shape (...), float64
        NaN if both gave a single label, the same one, to all units.

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
    """Return the tally for `fleiss_kappa` of units that everybody labelled.

    Parameters
    ----------
    counts : ndarray of shape (units, labels), int
        Number of annotators who gave each label; every row has the same sum.

    Returns
    -------
    ndarray of shape (1 + labels,), int
        Number of ordered pairs of annotators that agree, then the count of each label.
    """
    return np.concatenate([[np.sum(counts * (counts - 1))], counts.sum(axis=0)])


def fleiss_kappa(tally: np.ndarray, annotators: int) -> np.ndarray:
    """Return Fleiss' kappa from a sum (..., 1 + labels) of tallies; NaN if only one label was given.

    References
    ----------
    Fleiss 1971, Psychological Bulletin 76(5), 378-382.
    """
    agreeing, label_counts = tally[..., 0], tally[..., 1:]
    total = label_counts.sum(axis=-1, dtype=np.float64)
    by_chance = np.square(label_counts, dtype=np.float64).sum(axis=-1)
    return ratio(total * agreeing / (annotators - 1) - by_chance, total**2 - by_chance)


def coincidences(counts: np.ndarray) -> np.ndarray:
    """Return the coincidence matrix of labels: how often two labels were given to the same unit.

    Parameters
    ----------
    counts : ndarray of shape (units, labels), int
        Number of annotators who gave each label; units with fewer than two labels are ignored.

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
    label_counts = table.sum(axis=-1)
    observed = (table * distance).sum(axis=(-2, -1)) * (label_counts.sum(axis=-1) - 1)
    by_chance = np.einsum("...i,...j,ij->...", label_counts, label_counts, distance)
    return ratio(by_chance - observed, by_chance)


def nominal_distance(labels: int) -> np.ndarray:
    """Return distances (labels, labels): 0 for the same label, 1 for different ones."""
    return 1.0 - np.eye(labels)


def interval_distance(values: np.ndarray) -> np.ndarray:
    """Return distances (labels, labels) between values (labels,) on an interval scale: squared differences."""
    return np.square(values[:, None] - values[None, :], dtype=np.float64)
