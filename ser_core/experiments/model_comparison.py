"""Compare models on recordings that none of them was trained on: figures, size and cost."""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ser_core.analysis import Recording
from ser_core.audio.reading import read_recording
from ser_core.corpora import read_corpus
from ser_core.errors import SerError, SettingsRefused
from ser_core.learning.metrics import all_figures, uars_over_speakers
from ser_core.learning.predictions import Predictions, read_predictions
from ser_core.model.checkpoint import FOLDS_TABLE, ONNX, TEST_TABLE, load_network, read_card
from ser_core.model.classifier import Classifier
from ser_core.model.peers import ESTIMATOR_BASELINES
from ser_core.model.shipped_models import DEFAULT_MODEL, find_model, load_model, model_names
from ser_core.pipeline import classify_recording
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import Work

#: How the description of a split begins in model cards. Fold 1 is the one that every model has.
SPLITS = {
    "speaker": "speaker-disjoint, fold 1 of",
    "sentence": "sentence- and speaker-disjoint, fold 1 of",
    "random": "random",
    "corpus": "corpus-disjoint",
}
TIMED_RECORDINGS, SEED = 20, 0


def compare_models(names: Sequence[str] | None, split: str, corpora: dict[str, str], work: Work) -> dict[str, Any]:
    """Return the figures of models in the same test, their size, and their training and prediction times.

    Parameters
    ----------
    names : sequence of str or None
        The others are compared with the first. None takes all shipped models that can be compared.
    split : {"speaker", "sentence", "random", "corpus"}
        How test and training data were separated.
    corpora : dict of str to str
        Folders of recordings for timing; nothing is timed if empty.

    Returns
    -------
    dict
        `split`, `recordings`, `speakers`, `machine`, `timed_recordings`, `left_out` (reasons by name) and `models`. For
        each model: `uar` (mean over corpora) and `corpora` (the UAR of each); `accuracy`, `macro_average_accuracy`,
        `auroc` and `recall` by emotion, of all corpora together; `interval` of the UAR; `gain` and `gain_interval`, the
        first model minus this one; `folds` (None, or `count`, `uar` and `interval` over all trained folds); `numbers`
        (learnt parameters); `training_seconds`; `learnt_from`, the network whose features an estimator learns from;
        and `milliseconds` (median prediction time of a recording, without decoding).

    Raises
    ------
    SettingsRefused
        If a named model cannot be compared, or fewer than two remain.
    """
    wanted = list(names or [name for name in model_names() if name != DEFAULT_MODEL])
    if not wanted:
        raise SettingsRefused("There are no shipped models. Train some, or give the folders of two with --models.")
    tables, left_out = {}, {}
    for name in wanted:
        try:
            tables[name] = _test_predictions(name, split, next(iter(tables.values()), None))
        except SerError as refusal:
            if names:
                raise
            left_out[name] = str(refusal)
    if len(tables) < 2:
        raise SettingsRefused(
            f"{len(tables)} of {len(wanted)} models can be compared; at least two tested with the {split} split are "
            "needed. " + " ".join(left_out.values())
        )
    first = next(iter(tables.values()))
    recordings = _draw_recordings(corpora)
    resampled = uars_over_speakers(list(tables.values()))
    models = {}
    for done, (name, table) in enumerate(tables.items()):
        work.report(done / len(tables), f"Model {done + 1} of {len(tables)}: {name}")
        models[name] = (
            _figures(table)
            | {"interval": _interval(resampled[done])}
            | _gain(resampled[0] - resampled[done])
            | _over_folds(find_model(name))
            | {"milliseconds": _milliseconds(load_model(name), recordings)}
            | _cost(find_model(name))
        )
    return {
        "split": read_card(find_model(next(iter(tables))))["split"],
        "recordings": len(first.labels),
        "speakers": len(set(first.speakers)),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "timed_recordings": len(recordings),
        "left_out": left_out,
        "models": models,
    }


def _test_predictions(name: str, split: str, first: Predictions | None) -> Predictions:
    """Return a model's test predictions, in the order of those of the first model."""
    folder = find_model(name)
    description = str(read_card(folder).get("split", ""))
    if not description.startswith(SPLITS[split]):
        raise SettingsRefused(f"{folder.name} was tested differently ({description or 'its card does not say how'}).")
    table = read_predictions(folder / TEST_TABLE)
    if first is None:
        return table
    if table.emotions != first.emotions:
        raise SettingsRefused(f"{folder.name} has other emotions ({', '.join(table.emotions)}).")
    row_of = {sha256: row for row, sha256 in enumerate(table.sha256)}
    if set(row_of) != set(first.sha256):
        raise SettingsRefused(f"{folder.name} was tested on other recordings. Train it with the same corpora and fold.")
    return table.subset(np.array([row_of[sha256] for sha256 in first.sha256]))


def _figures(table: Predictions) -> dict[str, Any]:
    figures = all_figures(table)
    return {
        "uar": figures["mean_over_corpora_uar"],
        "corpora": {corpus: of_corpus["uar"] for corpus, of_corpus in figures["corpora"].items()},
        **{name: figures["pooled"][name] for name in ("accuracy", "recall")},
        **{name: figures[name] for name in ("macro_average_accuracy", "auroc")},
    }


def _interval(uars: np.ndarray) -> list[float]:
    return [float(q) for q in np.percentile(uars[1:], [2.5, 97.5])]


def _gain(gains: np.ndarray) -> dict[str, Any]:
    return {"gain": float(gains[0]), "gain_interval": _interval(gains)}


def _over_folds(folder: Path) -> dict[str, Any]:
    if not (folder / FOLDS_TABLE).is_file():
        return {"folds": None}
    (uars,) = uars_over_speakers([read_predictions(folder / FOLDS_TABLE)])
    count = read_card(folder)["cross_validation"]["folds"]
    return {"folds": {"count": count, "uar": float(uars[0]), "interval": _interval(uars)}}


def _cost(folder: Path) -> dict[str, Any]:
    card = read_card(folder)
    baseline = ESTIMATOR_BASELINES.get(card["architecture"])
    return {
        "architecture": card["architecture"],
        "numbers": _count_onnx(folder / ONNX) if (folder / ONNX).is_file() else _count_network(folder),
        "training_seconds": sum(
            epoch.get("seconds", 0.0) for stage in card.get("history", {}).values() for epoch in stage
        ),
        "learnt_from": None if baseline is None else baseline.LEARNS_FROM,
    }


def _count_network(folder: Path) -> int:
    return sum(parameter.numel() for parameter in load_network(folder)[0].parameters())


def _count_onnx(file: Path) -> int:
    """Return the number of parameters in an ONNX file: tensors, and the attributes of trees and support vectors."""
    graph = onnx.load(file, load_external_data=False).graph
    tensors = sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)
    return tensors + sum(len(attribute.floats) for node in graph.node for attribute in node.attribute)


def _draw_recordings(corpora: dict[str, str]) -> list[Recording]:
    """Return recordings drawn evenly over the corpora."""
    rng, recordings = np.random.default_rng(SEED), []
    for name, folder in corpora.items():
        items = read_corpus(name, folder).recordings
        drawn = rng.permutation(len(items))[: -(-TIMED_RECORDINGS // len(corpora))]
        recordings += [read_recording(items[index].path) for index in drawn]
    return recordings


def _milliseconds(classifier: Classifier, recordings: Sequence[Recording]) -> float | None:
    if not recordings:
        return None
    settings, seconds = AnalysisSettings(), []
    classify_recording(recordings[0], classifier, settings)  # warm-up
    for recording in recordings:
        began = time.perf_counter()
        classify_recording(recording, classifier, settings)
        seconds.append(time.perf_counter() - began)
    return round(1000 * float(np.median(seconds)), 2)
