"""Whether one model is better than another: the difference on the recordings that both were tested on."""

from dataclasses import dataclass

import numpy as np

from ser_core.errors import SettingsRefused
from ser_core.learning.evaluation import RESAMPLES, recalls
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
    """

    gain: float
    interval: tuple[float, float]
    recordings: int
    speakers: int


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
    rng = np.random.default_rng(SEED)
    gains, spreads = [], []
    for corpus in sorted(set(one.corpora)):
        here = np.array(one.corpora) == corpus
        names, speaker_of = np.unique(np.array(one.speakers)[here], return_inverse=True)
        drawn = rng.integers(len(names), size=(RESAMPLES, len(names)))
        uars = [_uars(model.of(here), speaker_of, np.vstack([np.arange(len(names)), drawn])) for model in (one, other)]
        gains.append(uars[0][0] - uars[1][0])
        spreads.append(uars[0][1:] - uars[1][1:])
    low, high = np.percentile(np.mean(spreads, axis=0), [2.5, 97.5])
    return PairedDifference(float(np.mean(gains)), (float(low), float(high)), len(both), len(set(one.speakers)))


def _uars(predictions: Predictions, speaker_of: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return the UAR (sets,) over sets of speakers (sets, speakers)."""
    classes = len(predictions.emotions)
    of_speaker = np.zeros((speaker_of.max() + 1, classes, classes))
    np.add.at(of_speaker, (speaker_of, predictions.labels, predictions.predicted), 1)
    return np.nanmean(recalls(of_speaker[drawn].sum(axis=1)), axis=-1)
