"""Compare where VGGish and YAMNet look in the same segment (the paper's Fig. 7)."""

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import AudioRefused, CorpusRefused, SettingsRefused
from ser_core.explanation.grad_cam import resize
from ser_core.front_end.selection import segments_of_recording
from ser_core.learning.evaluation import unseen_recordings
from ser_core.model.classifier import Classifier
from ser_core.model.scores import softmax
from ser_core.model.shipped_models import load_model
from ser_core.work.progress import Work

BRANCHES = ("vggish", "yamnet")


def branch_maps(model: str, corpora: dict[str, str], work: Work) -> dict[str, Any]:
    """Return how similar the Grad-CAM maps of the two branches are, and both maps of an example.

    Each recording counts with one segment: the selected one with the highest score for the acted emotion.

    Returns
    -------
    dict
        `rank_correlation` of the two maps, the median over recordings, and its `quartiles`; `cells`, the size of each
        branch's map; `example`, the segment with the highest score of all: its `log_mel` (frames, bands), the `maps` of
        both branches, each on its own grid, `emotion`, `corpus` and `score`.

    Raises
    ------
    SettingsRefused
        If the model does not have both branches.
    """
    classifier = load_model(model)
    if not set(BRANCHES) <= set(classifier.layers):
        raise SettingsRefused(
            f"{model} has the layers {', '.join(classifier.layers)}; choose a fusion of both branches."
        )
    items = unseen_recordings(model, corpora).recordings
    correlations, example = [], {"score": -1.0}
    for done, item in enumerate(items):
        work.report(done / len(items), f"Explaining recording {done} of {len(items)}")
        best = _best_segment(item, classifier)
        if best is None:
            continue
        values, score = best
        maps = _maps(values, item.emotion, classifier)
        resized = [resize(map_[None], values.shape).ravel() for map_ in maps.values()]
        correlations.append(spearmanr(*resized).statistic)
        if score > example["score"]:
            example = {
                "score": round(score, 4),
                "emotion": item.emotion,
                "corpus": item.corpus,
                "log_mel": np.round(values.astype(float), 1).tolist(),
                "maps": {name: np.round(map_.astype(float), 5).tolist() for name, map_ in maps.items()},
            }
    if not correlations:
        raise CorpusRefused(f"None of the {len(items)} recordings could be read and explained. Give other corpora.")
    return {
        "model": model,
        "corpora": sorted({item.corpus for item in items}),
        "recordings": len(correlations),
        "rank_correlation": round(float(np.nanmedian(correlations)), 3),
        "quartiles": np.round(np.nanpercentile(correlations, [25, 75]), 3).tolist(),
        "cells": {name: [len(map_), len(map_[0])] for name, map_ in example["maps"].items()},
        "example": example,
    }


def _best_segment(item: LabelledRecording, classifier: Classifier) -> tuple[np.ndarray, float] | None:
    """Return the segment with the highest score for the acted emotion, and that score; None for a refused file."""
    try:
        recording = read_recording(item.path)
    except AudioRefused:
        return None
    segments = segments_of_recording(recording, classifier.front_end)
    values = segments.values[segments.selected]
    scores = softmax(classifier.score(values), classifier.temperature)[:, classifier.emotions.index(item.emotion)]
    return values[scores.argmax()], float(scores.max())


def _maps(values: np.ndarray, emotion: str, classifier: Classifier) -> dict[str, np.ndarray]:
    weights = np.array([name == emotion for name in classifier.emotions], np.float32)
    return {branch: classifier.class_activation(values[None], weights, branch)[0] for branch in BRANCHES}
