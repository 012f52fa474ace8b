"""Whether one model is better than another: the difference on the recordings that both were tested on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ser_core.errors import SettingsRefused
from ser_core.learning.evaluation import RESAMPLES, recalls, summed_over_drawn
from ser_core.learning.predictions import Predictions

SEED = 0


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
