"""The figures that count: how a table's corpora do on average, each of them once, and how far scores can be trusted."""

from typing import Any

import numpy as np

from ser_core.learning.comparison import uars_over_speakers
from ser_core.learning.evaluation import figures, recalls
from ser_core.learning.predictions import ABSTENTION_SCORES, Predictions, calibration, calibration_bins

#: Corpora whose words betray the emotion: figures of their own, and no part of the mean.
APART = frozenset({"korean_emotional_tts"})
#: The corpora that models are measured by.
MEASURED = ("ravdess", "emodb", "nemo", "crema_d")
#: Finer where a model that is often sure would end early.
LEAST_SCORES = (*ABSTENTION_SCORES, 0.97, 0.98, 0.99)
#: What is new in each of a model's tables (see `ser_core.learning.predictions.tables_of`).
WAYS = {
    "people": "new people",
    "people_voice": "new people, with own normal",
    "corpora": "new corpora",
    "corpora_voice": "new corpora, with own normal",
}


def way_words(way: str, card: dict[str, Any]) -> str:
    """Return what is new in a table; what a model's own split keeps apart need not be people."""
    split = str(card.get("cross_validation", card).get("split", ""))
    return WAYS[way] if split.startswith("speaker") else WAYS[way].replace("new people", "its own test")


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
