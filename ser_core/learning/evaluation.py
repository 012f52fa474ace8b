"""Figures of a classifier on labelled recordings, with intervals that resample speakers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.metrics import confusion_matrix

from ser_core.model.scores import recording_probabilities

RESAMPLES = 2_000


def fit_temperature(
    logits_of_recordings: Sequence[np.ndarray], labels: np.ndarray, pooling: str = "probabilities"
) -> float:
    """Return the temperature under which the recordings' probabilities fit their labels best.

    Parameters
    ----------
    logits_of_recordings : sequence of ndarray of shape (segments, classes)
    labels : ndarray of shape (recordings,), int
    pooling : str
        How the segments become a recording (see `ser_core.model.scores.pool`).

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599; here of the recording, which is what the app shows.
    """

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        p = np.stack([recording_probabilities(logits, temperature, pooling) for logits in logits_of_recordings])
        return float(-np.log(np.clip(p[np.arange(len(labels)), labels], 1e-9, 1)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))


def figures(
    predicted: np.ndarray, labels: np.ndarray, speakers: Sequence[str], emotions: tuple[str, ...], seed: int
) -> dict[str, Any]:
    """Return accuracy, UAR, macro F1, recalls, the confusion matrix and a 95 % interval of the UAR.

    Parameters
    ----------
    predicted, labels : ndarray of shape (recordings,), int
    speakers : sequence of str
        The interval resamples these, because recordings of one voice are not independent.

    Returns
    -------
    dict
        `confusion` has true emotions in rows. An emotion that no recording has has no recall (None) and is left out of
        the means; the F1 of one that was heard nevertheless is 0 and counts, as in scikit-learn.
    """
    classes = range(len(emotions))
    confusion = confusion_matrix(labels, predicted, labels=list(classes))
    of_classes = recalls(confusion)
    with np.errstate(invalid="ignore"):
        f1 = 2 * np.diag(confusion) / (confusion.sum(axis=0) + confusion.sum(axis=1))
    return {
        "recordings": len(labels),
        "speakers": len(set(speakers)),
        "accuracy": float(np.mean(predicted == labels)),
        "uar": float(np.nanmean(of_classes)),
        "macro_f1": float(np.nanmean(f1)),
        "recall": {
            emotion: None if np.isnan(recall) else float(recall)
            for emotion, recall in zip(emotions, of_classes, strict=True)
        },
        "confusion": confusion.tolist(),
        "interval": speaker_interval(predicted, labels, speakers, len(emotions), seed),
    }


def speaker_interval(
    predicted: np.ndarray, labels: np.ndarray, speakers: Sequence[str], classes: int, seed: int
) -> list[float]:
    """Return the 2.5th and 97.5th percentile of the UAR over sets of speakers drawn with replacement."""
    names, speaker_of = np.unique(np.asarray(speakers), return_inverse=True)
    of_speaker = np.zeros((len(names), classes, classes))
    np.add.at(of_speaker, (speaker_of, labels, predicted), 1)
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    uars = np.nanmean(recalls(summed_over_drawn(of_speaker, drawn)), axis=-1)
    return [float(q) for q in np.percentile(uars, [2.5, 97.5])]


def summed_over_drawn(of_speaker: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return sums (sets, ...) of values (speakers, ...) over sets of speakers (sets, n), drawn with replacement.

    Set by set: all that is drawn, at once, would be values for each of thousands of sets and of speakers.
    """
    values = of_speaker.reshape(len(of_speaker), -1)
    sums = np.stack([np.bincount(one, minlength=len(values)) @ values for one in drawn])
    return sums.reshape(len(drawn), *of_speaker.shape[1:])


def figures_by_corpus(
    predicted: np.ndarray,
    labels: np.ndarray,
    speakers: Sequence[str],
    corpora: Sequence[str],
    emotions: tuple[str, ...],
    seed: int = 0,
) -> dict[str, Any]:
    """Return `pooled`, `corpora` and `mean_over_corpora_uar`, the headline: the pool is mostly one corpus."""
    speakers, corpora = np.asarray(speakers), np.asarray(corpora)
    each = {}
    for name in sorted(set(corpora.tolist())):
        here = corpora == name
        each[name] = figures(predicted[here], labels[here], speakers[here], emotions, seed)
    return {
        "pooled": figures(predicted, labels, speakers, emotions, seed),
        "corpora": each,
        "mean_over_corpora_uar": float(np.mean([f["uar"] for f in each.values()])),
    }


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Return the recall of each class, NaN where it has no recording, of confusion matrices (..., true, heard)."""
    with np.errstate(invalid="ignore"):
        return np.diagonal(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=-1)
