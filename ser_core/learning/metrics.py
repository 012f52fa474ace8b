"""Figures of a classifier on labelled recordings, with intervals that resample speakers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, roc_auc_score

from ser_core.errors import SettingsRefused
from ser_core.learning.predictions import Predictions

RESAMPLES = 2_000
CALIBRATION_BINS = 10
ABSTENTION_SCORES = np.arange(0, 1, 0.05)
FEWEST_OF_A_SPEAKER = 8
SEED = 0
#: Corpora whose words betray the emotion: figures of their own, and no part of the mean.
APART = frozenset({"korean_emotional_tts"})
#: The corpora that models are measured by.
MEASURED = ("ravdess", "emodb", "nemo", "crema_d")
#: Finer where a model that is often sure would end early.
LEAST_SCORES = (*ABSTENTION_SCORES, 0.97, 0.98, 0.99)


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


def all_figures(predictions: Predictions) -> dict[str, Any]:
    """Return every figure of a model: by corpus, by gender, the worst speaker, and how its scores can be trusted."""
    p = predictions
    by_gender = {
        gender: figures(p.predicted[here], p.labels[here], np.array(p.speakers)[here], p.emotions, 0)
        for gender in sorted(set(p.genders) - {""})
        if (here := np.array(p.genders) == gender).any()
    }
    return figures_by_corpus(p.predicted, p.labels, p.speakers, p.corpora, p.emotions) | {
        "auroc": auroc(p),
        "macro_average_accuracy": macro_average_accuracy(p),
        "gender": by_gender,
        "worst_speaker": worst_speaker(p),
        "calibration": calibration(p),
        "abstention": abstention(p),
    }


def auroc(predictions: Predictions) -> float | None:
    """Return the area under the ROC curve of each emotion's score against all others, their mean.

    None where an emotion has no recording, or all recordings are of one.
    """
    of_emotions = [predictions.labels == number for number in range(len(predictions.emotions))]
    if not all(0 < own.sum() < len(own) for own in of_emotions):
        return None
    areas = [roc_auc_score(own, predictions.probabilities[:, number]) for number, own in enumerate(of_emotions)]
    return float(np.mean(areas))


def macro_average_accuracy(predictions: Predictions) -> float:
    """Return the mean over emotions of how often it is told rightly that a recording is of it, or is not.

    Higher than accuracy, and by chance already above a half: of four emotions three are always rightly denied.
    """
    of_emotions = np.arange(len(predictions.emotions))[:, None]
    return float(np.mean((predictions.predicted == of_emotions) == (predictions.labels == of_emotions)))


def worst_speaker(predictions: Predictions) -> dict[str, Any] | None:
    """Return the speaker with the lowest accuracy among those with at least eight recordings, or None."""
    speakers = np.array(predictions.speakers)
    right = predictions.predicted == predictions.labels
    accuracy = {
        str(name): float(right[speakers == name].mean())
        for name in np.unique(speakers)
        if (speakers == name).sum() >= FEWEST_OF_A_SPEAKER
    }
    if not accuracy:
        return None
    worst = min(accuracy, key=accuracy.get)
    return {"speaker": worst, "accuracy": accuracy[worst], "recordings": int((speakers == worst).sum())}


def calibration(predictions: Predictions) -> dict[str, Any]:
    """Return the expected calibration error of the best score, and what stands in each of its ten bins.

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599.
    """
    best = predictions.probabilities.max(axis=1)
    right = predictions.predicted == predictions.labels
    bins = calibration_bins(best, right, np.ones(len(best)))
    error = sum(b["recordings"] * abs(b["score"] - b["accuracy"]) for b in bins) / len(best)
    return {"expected_error": float(error), "bins": bins}


def calibration_bins(best: np.ndarray, right: np.ndarray, weights: np.ndarray) -> list[dict[str, float]]:
    """Return of each bin that holds something where it begins, its recordings, and its weighted score and accuracy."""
    bin_of = np.minimum((best * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "from": number / CALIBRATION_BINS,
            "recordings": int(here.sum()),
            "score": float(np.average(best[here], weights=weights[here])),
            "accuracy": float(np.average(right[here], weights=weights[here])),
        }
        for number in range(CALIBRATION_BINS)
        if (here := bin_of == number).any()
    ]


def abstention(predictions: Predictions) -> list[dict[str, float]]:
    """Return, for rising least scores, the share of recordings that still get an answer and how many are right."""
    best = predictions.probabilities.max(axis=1)
    right = predictions.predicted == predictions.labels
    curve = []
    for least in ABSTENTION_SCORES:
        answered = best >= least
        if not answered.any():
            break
        accuracy = float(right[answered].mean())
        curve.append({"least_score": float(least), "answered": float(answered.mean()), "accuracy": accuracy})
    return curve


@dataclass(frozen=True)
class PairedDifference:
    """UAR of one model minus that of another, mean over corpora.

    Attributes
    ----------
    gain : float
        Between -1 and 1.
    interval : tuple of float
        95 %, over sets of speakers drawn with replacement within each corpus, the same for both models.
    recordings, speakers : int
        That both were tested on.
    corpora : tuple of str
        That the mean is over.
    """

    gain: float
    interval: tuple[float, float]
    recordings: int
    speakers: int
    corpora: tuple[str, ...]


def paired_difference(one: Predictions, other: Predictions) -> PairedDifference:
    """Return how much better one model is than another.

    Raises
    ------
    SettingsRefused
        If they tell other emotions apart, or no recording was tested with both.
    """
    if one.emotions != other.emotions:
        raise SettingsRefused(
            f"One model tells apart {', '.join(one.emotions)}, the other {', '.join(other.emotions)}; "
            "choose models of the same emotions."
        )
    place = {sha256: number for number, sha256 in enumerate(other.sha256)}
    both = [number for number, sha256 in enumerate(one.sha256) if sha256 in place]
    if not both:
        raise SettingsRefused("No recording was tested with both models; choose models of the same split.")
    one, other = one.of(np.array(both)), other.of(np.array([place[one.sha256[number]] for number in both]))
    gains = np.subtract(*uars_over_speakers([one, other]))
    low, high = np.percentile(gains[1:], [2.5, 97.5])
    corpora = tuple(sorted(set(one.corpora)))
    return PairedDifference(float(gains[0]), (float(low), float(high)), len(both), len(set(one.speakers)), corpora)


def uars_over_speakers(tables: Sequence[Predictions]) -> np.ndarray:
    """Return the UAR, mean over corpora, of tables of the same recordings in the same order.

    Returns
    -------
    ndarray of shape (tables, 1 + RESAMPLES)
        As it is, then over sets of speakers drawn with replacement within each corpus, the same for all tables.
    """
    rng = np.random.default_rng(SEED)
    first = tables[0]
    of_corpora = []
    for corpus in sorted(set(first.corpora)):
        here = np.array(first.corpora) == corpus
        names, speaker_of = np.unique(np.array(first.speakers)[here], return_inverse=True)
        drawn = rng.integers(len(names), size=(RESAMPLES, len(names)))
        sets = np.vstack([np.arange(len(names)), drawn])
        of_corpora.append([_uars(table.of(here), speaker_of, sets) for table in tables])
    return np.mean(of_corpora, axis=0)


def _uars(predictions: Predictions, speaker_of: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return the UAR (sets,) over sets of speakers (sets, speakers)."""
    classes = len(predictions.emotions)
    of_speaker = np.zeros((speaker_of.max() + 1, classes, classes))
    np.add.at(of_speaker, (speaker_of, predictions.labels, predictions.predicted), 1)
    return np.nanmean(recalls(summed_over_drawn(of_speaker, drawn)), axis=-1)


def headline(predictions: Predictions) -> dict[str, Any]:
    """Return the mean over corpora without those whose words betray the emotion, and each corpus by itself.

    Returns
    -------
    dict
        `corpora`, the names in the mean, and `apart`, those that are not; `uar`, their mean, with its `interval` (95 %,
        over sets of speakers drawn within each corpus); `expected_calibration_error`, the mean of the corpora's;
        `reliability`, bins as `calibration` has them in which every corpus weighs the same; `abstention`; and
        `by_corpus`: of each corpus, those apart too, `uar`, `interval`, `recall`, `recordings`, `speakers` and
        `expected_calibration_error`. Where all corpora are apart, they are the mean.
    """
    p = predictions
    every = sorted(set(p.corpora))
    meant = [name for name in every if name not in APART] or every
    of_corpora = {name: p.of(np.array(p.corpora) == name) for name in every}
    resampled = uars_over_speakers([p.of(np.isin(p.corpora, meant))])[0]
    low, high = np.percentile(resampled[1:], [2.5, 97.5])
    by_corpus = {name: _of_corpus(table) for name, table in of_corpora.items()}
    return {
        "corpora": meant,
        "apart": [name for name in every if name not in meant],
        "uar": float(resampled[0]),
        "interval": [float(low), float(high)],
        "expected_calibration_error": float(np.mean([by_corpus[name]["expected_calibration_error"] for name in meant])),
        "reliability": reliability([of_corpora[name] for name in meant]),
        "abstention": abstention_over_corpora([of_corpora[name] for name in meant]),
        "by_corpus": by_corpus,
    }


def _of_corpus(table: Predictions) -> dict[str, Any]:
    found = figures(table.predicted, table.labels, table.speakers, table.emotions, 0)
    chosen = {name: found[name] for name in ("uar", "interval", "recall", "recordings", "speakers")}
    return chosen | {"expected_calibration_error": calibration(table)["expected_error"]}


def figures_at(curve: list[dict[str, float]], answered: float) -> dict[str, float] | None:
    """Return accuracy and UAR where this share of recordings is answered, between the points of `abstention`.

    None below the smallest share of the curve.
    """
    shares = [point["answered"] for point in reversed(curve)]
    if answered < shares[0]:
        return None
    return {
        name: float(np.interp(answered, shares, [point[name] for point in reversed(curve)]))
        for name in ("accuracy", "uar")
    }


def reliability(corpora: list[Predictions]) -> list[dict[str, float]]:
    """Return the bins of a reliability diagram in which every corpus has the same weight."""
    together = [
        (table.probabilities.max(axis=1), table.predicted == table.labels, np.full(len(table.labels), weight))
        for table in corpora
        for weight in (1 / len(corpora) / len(table.labels),)
    ]
    best, right, weights = (np.concatenate(column) for column in zip(*together, strict=True))
    return calibration_bins(best, right, weights)


def abstention_over_corpora(corpora: list[Predictions]) -> list[dict[str, float]]:
    """Return, for rising least scores, the share of recordings answered, and accuracy and UAR of the answers.

    All are means over the corpora. The curve ends where a corpus has no answer left.
    """
    curve = []
    for least in LEAST_SCORES:
        answered = [table.of(table.probabilities.max(axis=1) >= least) for table in corpora]
        if not all(len(table.labels) for table in answered):
            break
        shares = [len(some.labels) / len(table.labels) for some, table in zip(answered, corpora, strict=True)]
        curve.append(
            {
                "least_score": float(least),
                "answered": float(np.mean(shares)),
                "accuracy": float(np.mean([np.mean(some.predicted == some.labels) for some in answered])),
                "uar": float(np.mean([_uar(some) for some in answered])),
            }
        )
    return curve


def _uar(table: Predictions) -> float:
    classes = len(table.emotions)
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (table.labels, table.predicted), 1)
    return float(np.nanmean(recalls(confusion)))
