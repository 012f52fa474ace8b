"""Choose recordings for benchmarks, and compute means with confidence intervals."""

import os
import re
from pathlib import Path

import numpy as np

from ser_core.corpora import READERS, read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.splits import speaker_splits
from ser_core.learning.evaluation import unseen_recordings
from ser_core.model.checkpoint import read_card
from ser_core.model.shipped_models import find_model

RESAMPLES = 2_000


def corpora_and_word_model() -> tuple[Path, Path] | None:
    """Return the folders SER_CORPORA and SER_WORD_MODEL; None, and say so, if they are not both set."""
    corpora, word_model = os.environ.get("SER_CORPORA"), os.environ.get("SER_WORD_MODEL")
    if corpora and word_model:
        return Path(corpora), Path(word_model)
    print("SER_CORPORA and SER_WORD_MODEL are not both set; this benchmark needs corpora and a word model.")
    return None


def unseen(model: str) -> list[LabelledRecording]:
    """Return the recordings under SER_CORPORA that a model was not trained on; none if it is not set."""
    folder = os.environ.get("SER_CORPORA")
    if not folder:
        print("SER_CORPORA is not set; this benchmark needs the corpora.")
        return []
    corpora = {name: str(Path(folder) / name) for name in READERS if (Path(folder) / name).is_dir()}
    return unseen_recordings(model, corpora).recordings


def validating(model: str) -> list[LabelledRecording]:
    """Return the recordings that validated a model with a split by speaker."""
    return _recordings_of_side(model, "validation")


def trained_on(model: str) -> list[LabelledRecording]:
    """Return the recordings that a model with a split by speaker was trained on, without those that validated it."""
    return _recordings_of_side(model, "train")


def _recordings_of_side(model: str, side: str) -> list[LabelledRecording]:
    folder, card = os.environ.get("SER_CORPORA"), read_card(find_model(model))
    if not folder:
        print("SER_CORPORA is not set; this benchmark needs the corpora.")
        return []
    fold, folds = (int(number) for number in re.search(r"fold (\d+) of (\d+)", card["split"]).groups())
    items = [item for name in card["corpora"] for item in read_corpus(name, Path(folder) / name).recordings]
    items = [item for item in items if item.emotion in card["emotions"]]
    split = speaker_splits(items, folds, card["seed"])[fold - 1]
    return [items[index] for index in getattr(split, side)]


def mean_with_interval(values: np.ndarray, speakers: list[str], seed: int) -> list[float]:
    """Return the mean and its 95 % interval (low, high) from resampled speakers; NaN values are ignored."""
    valid = ~np.isnan(values)
    if not valid.any():
        return [float("nan")] * 3
    names, speaker_of = np.unique(speakers, return_inverse=True)
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    sums = np.bincount(speaker_of[valid], values[valid], minlength=len(names))[drawn].sum(axis=1)
    counts = np.bincount(speaker_of[valid], minlength=len(names))[drawn].sum(axis=1)
    low, high = np.percentile(sums[counts > 0] / counts[counts > 0], [2.5, 97.5])
    return [round(float(value), 4) for value in (values[valid].mean(), low, high)]
