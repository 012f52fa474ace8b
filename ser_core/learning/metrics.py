"""Metrics of predictions: UAR with intervals over speakers, calibration, abstention, paired differences, headline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ser_core.errors import SettingsRefused
from ser_core.learning.predictions import Predictions

RESAMPLES = 2_000
CALIBRATION_BINS = 10
ABSTENTION_SCORES = np.arange(0, 1, 0.05)
#: Speakers with fewer recordings cannot be the worst speaker.
MIN_SPEAKER_RECORDINGS = 8
SEED = 0
#: Corpora whose words give the emotion away. They are reported separately and not in the mean.
APART = frozenset({"korean_emotional_tts"})
#: Speakers counted at once when sets of them are drawn.
MAX_DRAWN_AT_ONCE = 2**16
#: The corpora on which models are compared.
COMPARED_CORPORA = ("ravdess", "emodb", "nemo", "crema_d")
#: Finer near 1, because the curve of a model that is often confident would end early.
MIN_SCORES = (*ABSTENTION_SCORES, 0.97, 0.98, 0.99)


def figures(
    predicted: np.ndarray, labels: np.ndarray, speakers: Sequence[str], emotions: tuple[str, ...], seed: int
) -> dict[str, Any]:
    """Return accuracy, UAR, macro F1, recalls, the confusion matrix and a 95 % interval of the UAR.

    Parameters
    ----------
    predicted, labels : ndarray of shape (recordings,), int
    speakers : sequence of str
        The interval resamples speakers, because recordings of one voice are not independent.

    Returns
    -------
    dict
        `confusion` has true emotions in rows. The recall of an emotion without recordings is None and left out of the
        UAR. If it was predicted nevertheless, its F1 is 0 and counts, as in scikit-learn.
    """
    confusion = np.zeros((len(emotions), len(emotions)), int)
    np.add.at(confusion, (labels, predicted), 1)
    class_recalls = recalls(confusion)
    with np.errstate(invalid="ignore"):
        f1 = 2 * np.diag(confusion) / (confusion.sum(axis=0) + confusion.sum(axis=1))
    return {
        "recordings": len(labels),
        "speakers": len(set(speakers)),
        "accuracy": float(np.mean(predicted == labels)),
        "uar": float(np.nanmean(class_recalls)),
        "macro_f1": float(np.nanmean(f1)),
        "recall": {
            emotion: None if np.isnan(recall) else float(recall)
            for emotion, recall in zip(emotions, class_recalls, strict=True)
        },
        "confusion": confusion.tolist(),
        "interval": speaker_interval(predicted, labels, speakers, len(emotions), seed),
    }


def speaker_interval(
    predicted: np.ndarray, labels: np.ndarray, speakers: Sequence[str], classes: int, seed: int
) -> list[float]:
    """Return the 2.5th and 97.5th percentile of the UAR over sets of speakers drawn with replacement."""
    names, speaker_of = np.unique(np.asarray(speakers), return_inverse=True)
    per_speaker = np.zeros((len(names), classes, classes))
    np.add.at(per_speaker, (speaker_of, labels, predicted), 1)
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    uars = np.nanmean(recalls(summed_over_drawn(per_speaker, drawn)), axis=-1)
    return [float(q) for q in np.percentile(uars, [2.5, 97.5])]


def summed_over_drawn(per_speaker: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return sums (sets, ...) of values (speakers, ...) over sets of speakers (sets, n), drawn with replacement.

    Some sets at a time, because all at once would take memory for thousands of sets times thousands of speakers.
    """
    values = per_speaker.reshape(len(per_speaker), -1)
    count = len(values)
    sums = []
    for sets in np.array_split(drawn, -(-drawn.size // MAX_DRAWN_AT_ONCE)):
        rows = np.arange(len(sets))[:, None]
        times = np.bincount((count * rows + sets).ravel(), minlength=count * len(sets)).reshape(len(sets), count)
        sums.append(times @ values)
    return np.concatenate(sums).reshape(len(drawn), *per_speaker.shape[1:])


def figures_by_corpus(
    predicted: np.ndarray,
    labels: np.ndarray,
    speakers: Sequence[str],
    corpora: Sequence[str],
    emotions: tuple[str, ...],
) -> dict[str, Any]:
    """Return `figures` of all recordings (`pooled`) and of each of the `corpora`, and `mean_over_corpora_uar`.

    In the pool, one corpus can outweigh all others.
    """
    speakers, corpora = np.asarray(speakers), np.asarray(corpora)
    by_corpus = {}
    for name in sorted(set(corpora.tolist())):
        rows = corpora == name
        by_corpus[name] = figures(predicted[rows], labels[rows], speakers[rows], emotions, 0)
    return {
        "pooled": figures(predicted, labels, speakers, emotions, 0),
        "corpora": by_corpus,
        "mean_over_corpora_uar": float(np.mean([f["uar"] for f in by_corpus.values()])),
    }


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Return the recall of each class of confusion matrices (..., true, predicted); NaN without a recording."""
    with np.errstate(invalid="ignore"):
        return np.diagonal(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=-1)


def all_figures(predictions: Predictions) -> dict[str, Any]:
    """Return all metrics of predictions: by corpus and gender, the worst speaker, calibration and abstention."""
    p = predictions
    by_gender = {}
    for gender in sorted(set(p.genders) - {""}):
        rows = np.array(p.genders) == gender
        by_gender[gender] = figures(p.predicted[rows], p.labels[rows], np.array(p.speakers)[rows], p.emotions, 0)
    return figures_by_corpus(p.predicted, p.labels, p.speakers, p.corpora, p.emotions) | {
        "auroc": auroc(p),
        "macro_average_accuracy": macro_average_accuracy(p),
        "gender": by_gender,
        "worst_speaker": worst_speaker(p),
        "calibration": calibration(p),
        "abstention": abstention(p),
    }


def auroc(predictions: Predictions) -> float | None:
    """Return the area under the ROC curve, one emotion against the rest, mean over emotions.

    None if an emotion has no recording, or all of them.
    """
    from sklearn.metrics import roc_auc_score  # the import takes a second

    is_emotion = [predictions.labels == index for index in range(len(predictions.emotions))]
    if not all(0 < labels.sum() < len(labels) for labels in is_emotion):
        return None
    areas = [roc_auc_score(labels, predictions.probabilities[:, index]) for index, labels in enumerate(is_emotion)]
    return float(np.mean(areas))


def macro_average_accuracy(predictions: Predictions) -> float:
    """Return the accuracy of one emotion against the rest, mean over emotions.

    It is higher than accuracy, and above one half by chance: of four emotions, three are negatives for each recording.
    """
    emotions = np.arange(len(predictions.emotions))[:, None]
    return float(np.mean((predictions.predicted == emotions) == (predictions.labels == emotions)))


def worst_speaker(predictions: Predictions) -> dict[str, Any] | None:
    """Return the speaker with the lowest accuracy, of those with at least eight recordings; None if there is none."""
    speakers = np.array(predictions.speakers)
    right = predictions.predicted == predictions.labels
    accuracy = {
        str(name): float(right[speakers == name].mean())
        for name in np.unique(speakers)
        if (speakers == name).sum() >= MIN_SPEAKER_RECORDINGS
    }
    if not accuracy:
        return None
    worst = min(accuracy, key=accuracy.get)
    return {"speaker": worst, "accuracy": accuracy[worst], "recordings": int((speakers == worst).sum())}


def calibration(predictions: Predictions) -> dict[str, Any]:
    """Return the expected calibration error of the best score, and its ten bins (see `calibration_bins`).

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
    """Return the lower edge, recordings, and weighted mean score and accuracy of each bin that is not empty."""
    bin_of = np.minimum((best * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    bins = []
    for number in np.unique(bin_of).tolist():
        rows = bin_of == number
        bins.append(
            {
                "from": number / CALIBRATION_BINS,
                "recordings": int(rows.sum()),
                "score": float(np.average(best[rows], weights=weights[rows])),
                "accuracy": float(np.average(right[rows], weights=weights[rows])),
            }
        )
    return bins


def abstention(predictions: Predictions) -> list[dict[str, float]]:
    """Return, for rising score thresholds, the share of recordings answered and the accuracy of the answers."""
    best = predictions.probabilities.max(axis=1)
    right = predictions.predicted == predictions.labels
    curve = []
    for min_score in ABSTENTION_SCORES:
        answered = best >= min_score
        if not answered.any():
            break
        accuracy = float(right[answered].mean())
        curve.append({"least_score": float(min_score), "answered": float(answered.mean()), "accuracy": accuracy})
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
        Those that both were tested on.
    corpora : tuple of str
        Those in the mean.
    """

    gain: float
    interval: tuple[float, float]
    recordings: int
    speakers: int
    corpora: tuple[str, ...]


def paired_difference(one: Predictions, other: Predictions) -> PairedDifference:
    """Return the difference between two models on the recordings that both were tested on.

    Raises
    ------
    SettingsRefused
        If the models have different emotions, or no recording in common.
    """
    if one.emotions != other.emotions:
        raise SettingsRefused(
            f"One model recognises {', '.join(one.emotions)}, the other {', '.join(other.emotions)}; "
            "choose models of the same emotions."
        )
    row_in_other = {sha256: row for row, sha256 in enumerate(other.sha256)}
    common = [sha256 for sha256 in one.sha256 if sha256 in row_in_other]
    if not common:
        raise SettingsRefused("No recording was tested with both models; choose models of the same split.")
    one = one.subset(np.array([sha256 in row_in_other for sha256 in one.sha256]))
    other = other.subset(np.array([row_in_other[sha256] for sha256 in common]))
    gains = np.subtract(*uars_over_speakers([one, other]))
    low, high = np.percentile(gains[1:], [2.5, 97.5])
    corpora = tuple(sorted(set(one.corpora)))
    return PairedDifference(float(gains[0]), (float(low), float(high)), len(common), len(set(one.speakers)), corpora)


def uars_over_speakers(tables: Sequence[Predictions]) -> np.ndarray:
    """Return the UAR, mean over corpora, of tables of the same recordings in the same order.

    Returns
    -------
    ndarray of shape (tables, 1 + RESAMPLES)
        First as measured, then over sets of speakers drawn with replacement within each corpus, the same sets for all
        tables.
    """
    rng = np.random.default_rng(SEED)
    first = tables[0]
    by_corpus = []
    for corpus in sorted(set(first.corpora)):
        rows = np.array(first.corpora) == corpus
        names, speaker_of = np.unique(np.array(first.speakers)[rows], return_inverse=True)
        drawn = rng.integers(len(names), size=(RESAMPLES, len(names)))
        sets = np.vstack([np.arange(len(names)), drawn])
        by_corpus.append([_uars(table.subset(rows), speaker_of, sets) for table in tables])
    return np.mean(by_corpus, axis=0)


def _uars(predictions: Predictions, speaker_of: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return the UAR (sets,) over sets of speakers (sets, speakers)."""
    classes = len(predictions.emotions)
    per_speaker = np.zeros((speaker_of.max() + 1, classes, classes))
    np.add.at(per_speaker, (speaker_of, predictions.labels, predictions.predicted), 1)
    return np.nanmean(recalls(summed_over_drawn(per_speaker, drawn)), axis=-1)


def headline(predictions: Predictions) -> dict[str, Any]:
    """Return the headline figures: means over the corpora that are not in `APART`, and each corpus on its own.

    If all corpora are in `APART`, the means are over them.

    Returns
    -------
    dict
        - `corpora` in the means, and those `apart`;
        - `uar` and its `interval` (95 %, over sets of speakers drawn within each corpus);
        - `expected_calibration_error`;
        - `reliability`, bins of `calibration_bins` in which every corpus has the same weight;
        - `abstention`, see `abstention_over_corpora`;
        - `by_corpus`, for all corpora: `uar`, `interval`, `recall`, `recordings`, `speakers` and
          `expected_calibration_error`.
    """
    p = predictions
    corpora = sorted(set(p.corpora))
    in_mean = [name for name in corpora if name not in APART] or corpora
    tables = {name: p.subset(np.array(p.corpora) == name) for name in corpora}
    resampled = uars_over_speakers([p.subset(np.isin(p.corpora, in_mean))])[0]
    low, high = np.percentile(resampled[1:], [2.5, 97.5])
    by_corpus = {name: _corpus_figures(table) for name, table in tables.items()}
    return {
        "corpora": in_mean,
        "apart": [name for name in corpora if name not in in_mean],
        "uar": float(resampled[0]),
        "interval": [float(low), float(high)],
        "expected_calibration_error": float(
            np.mean([by_corpus[name]["expected_calibration_error"] for name in in_mean])
        ),
        "reliability": reliability([tables[name] for name in in_mean]),
        "abstention": abstention_over_corpora([tables[name] for name in in_mean]),
        "by_corpus": by_corpus,
    }


def _corpus_figures(table: Predictions) -> dict[str, Any]:
    all_of_corpus = figures(table.predicted, table.labels, table.speakers, table.emotions, 0)
    chosen = {name: all_of_corpus[name] for name in ("uar", "interval", "recall", "recordings", "speakers")}
    return chosen | {"expected_calibration_error": calibration(table)["expected_error"]}


def figures_at(curve: list[dict[str, float]], answered: float) -> dict[str, float] | None:
    """Return accuracy and UAR at a share of recordings answered, interpolated on a curve of abstention.

    None below the smallest share of the curve.
    """
    points = curve[::-1]
    shares = [point["answered"] for point in points]
    if answered < shares[0]:
        return None
    return {name: float(np.interp(answered, shares, [point[name] for point in points])) for name in ("accuracy", "uar")}


def reliability(corpora: list[Predictions]) -> list[dict[str, float]]:
    """Return the bins of a reliability diagram in which every corpus has the same weight."""
    best = np.concatenate([table.probabilities.max(axis=1) for table in corpora])
    right = np.concatenate([table.predicted == table.labels for table in corpora])
    sizes = [len(table.labels) for table in corpora]
    weights = np.concatenate([np.full(size, 1 / len(corpora) / size) for size in sizes])
    return calibration_bins(best, right, weights)


def abstention_over_corpora(corpora: list[Predictions]) -> list[dict[str, float]]:
    """Return, for rising score thresholds, the share of recordings answered, and accuracy and UAR of the answers.

    All are means over corpora. The curve ends where a corpus has no answer left.
    """
    curve = []
    for min_score in MIN_SCORES:
        answered = [table.subset(table.probabilities.max(axis=1) >= min_score) for table in corpora]
        if not all(len(table.labels) for table in answered):
            break
        shares = [len(part.labels) / len(table.labels) for part, table in zip(answered, corpora, strict=True)]
        curve.append(
            {
                "least_score": float(min_score),
                "answered": float(np.mean(shares)),
                "accuracy": float(np.mean([np.mean(part.predicted == part.labels) for part in answered])),
                "uar": float(np.mean([_uar(part) for part in answered])),
            }
        )
    return curve


def _uar(table: Predictions) -> float:
    classes = len(table.emotions)
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (table.labels, table.predicted), 1)
    return float(np.nanmean(recalls(confusion)))
