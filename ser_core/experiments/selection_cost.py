"""What data selection saves and costs, compared with dropping as many other segments (Figs. 20 to 23, Table 5)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ser_core.front_end.selection import select_segments
from ser_core.learning.batches import logits_of
from ser_core.learning.classifier_training.stages import train_stages
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.evaluation import RecordingLogits, tabulate
from ser_core.learning.metrics import all_figures, paired_difference
from ser_core.learning.plan import TrainingPlan
from ser_core.learning.predictions import Predictions, concatenate
from ser_core.learning.training_data import TrainingData, read_training_data
from ser_core.settings import FrontEnd, SelectionSettings
from ser_core.work.progress import Work

#: Rules for training: `minmax` is the paper's; the last two drop as many segments of each recording as it does.
RULES = ("none", "minmax", "random", "quietest")
THRESHOLDS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
#: Loss of validation UAR that is accepted for a threshold.
ADMISSIBLE_LOSS = 0.005


def selection_cost(
    corpora: dict[str, str], network: str, folds: Sequence[int], runs: Path, work: Work
) -> dict[str, Any]:
    """Train with all segments and with fewer, and compare the results.

    Each epoch uses every remaining segment, so that fewer segments take less time. The threshold is the highest that
    costs the model trained on all segments at most half a point of UAR on the validation speakers of the folds. Tests
    use every segment, so that the rules differ only in training. The paper also selects segments in the test, which is
    measured as `selected_test`.

    Parameters
    ----------
    runs : Path
        Folder of the trainings' states, from which they are resumed.

    Returns
    -------
    dict
        `threshold`, and for each of `rules`: training `segments` and `seconds`, summed over the folds; `figures` of all
        tested recordings; `gain` and `interval`, the paired difference from training with all segments.
    """
    plan = TrainingPlan(
        corpora, network=network, preset="every_segment", front_end=FrontEnd(selection=SelectionSettings("none"))
    )
    rules = RULES if network == "yamnet" else RULES[:2]
    steps = len(rules) * len(folds)

    def part(done: int, title: str) -> Work:
        return work.part(done, steps, title)

    data_of_fold = {
        fold: read_training_data(replace(plan, fold=fold), runs / "log_mels", part(0, "reading")) for fold in folds
    }
    trained, uars_of_folds = {}, []
    for done, fold in enumerate(folds):
        data = data_of_fold[fold]
        trained["none", fold] = _train(replace(plan, fold=fold), data, runs, part(done, f"none, fold {fold}"))
        logits = logits_of(trained["none", fold]["network"], data.validation)
        tables = _predict_by_threshold(data.validation, logits, plan.emotions)
        uars_of_folds.append([all_figures(table)["mean_over_corpora_uar"] for table in tables])
    uars = np.mean(uars_of_folds, axis=0)
    admissible = [t for t, uar in zip(THRESHOLDS, uars[1:], strict=True) if uar >= uars[0] - ADMISSIBLE_LOSS]
    threshold = max(admissible, default=THRESHOLDS[0])
    for index, rule in enumerate(rules[1:], start=1):
        for done, fold in enumerate(folds):
            data = data_of_fold[fold]
            data = replace(data, train=[_drop_segments(entry, rule, threshold) for entry in data.train])
            step = part(index * len(folds) + done, f"{rule}, fold {fold}")
            trained[rule, fold] = _train(replace(plan, fold=fold), data, runs, step)
    return {
        "network": network,
        "folds": list(folds),
        "threshold": threshold,
        "validated": dict(zip(("all", *map(str, THRESHOLDS)), np.round(uars, 4).tolist(), strict=True)),
        **_compare(rules, trained, data_of_fold, plan, threshold),
    }


def _train(plan: TrainingPlan, data: TrainingData, runs: Path, work: Work) -> dict[str, Any]:
    network, history = train_stages(plan, data, runs, True, work)
    return {
        "network": network,
        "segments": sum(len(entry.start_frames) for entry in data.train),
        "seconds": sum(epoch["seconds"] for stage in history.values() for epoch in stage),
    }


def _predict_by_threshold(
    entries: Sequence[LabelledSpectrogram], logits: Sequence[np.ndarray], emotions: tuple[str, ...]
) -> list[Predictions]:
    """Return the predictions from all segments, then from those that each threshold selects."""
    tables = [_predict(entries, logits, emotions)]
    for threshold in THRESHOLDS:
        selected = [z[_select(entry, threshold)] for entry, z in zip(entries, logits, strict=True)]
        tables.append(_predict(entries, selected, emotions))
    return tables


def _predict(
    entries: Sequence[LabelledSpectrogram], logits: Sequence[np.ndarray], emotions: tuple[str, ...]
) -> Predictions:
    recordings = [RecordingLogits(entry.sha256, entry.item, z) for entry, z in zip(entries, logits, strict=True)]
    return tabulate(emotions, 1.0, recordings)


def _select(entry: LabelledSpectrogram, threshold: float) -> np.ndarray:
    """Return which segments the paper's rule selects, shape (segments,), bool."""
    segments = entry.segments.astype(np.float32)
    return select_segments(segments, SelectionSettings("minmax", threshold))[0]


def _drop_segments(entry: LabelledSpectrogram, rule: str, threshold: float) -> LabelledSpectrogram:
    """Return a recording with the segments that a rule selects; all rules select as many as `minmax`."""
    selected = np.flatnonzero(_select(entry, threshold))
    if rule == "random":
        rng = np.random.default_rng(int(entry.sha256[:8], 16))
        selected = np.sort(rng.permutation(len(entry.start_frames))[: len(selected)])
    elif rule == "quietest":
        power = np.exp(2 * entry.segments.astype(np.float32)).mean(axis=(1, 2))
        selected = np.sort(np.argsort(power)[len(power) - len(selected) :])
    return replace(entry, start_frames=entry.start_frames[selected])


def _compare(
    rules: Sequence[str],
    trained: dict[tuple[str, int], dict[str, Any]],
    data_of_fold: dict[int, TrainingData],
    plan: TrainingPlan,
    threshold: float,
) -> dict[str, Any]:
    tables, result = {}, {}
    for rule in rules:
        test_logits = {
            fold: logits_of(trained[rule, fold]["network"], data.test) for fold, data in data_of_fold.items()
        }
        tables[rule] = concatenate(
            [_predict(data.test, test_logits[fold], plan.emotions) for fold, data in data_of_fold.items()]
        )
        difference = paired_difference(tables[rule], tables["none"])
        result[rule] = {
            "segments": sum(trained[rule, fold]["segments"] for fold in data_of_fold),
            "seconds": round(sum(trained[rule, fold]["seconds"] for fold in data_of_fold), 1),
            "figures": all_figures(tables[rule]),
            "gain": difference.gain,
            "interval": list(difference.interval),
        }
        if rule == "minmax":
            selected_tables = []
            for fold, data in data_of_fold.items():
                test = zip(data.test, test_logits[fold], strict=True)
                selected = [z[_select(entry, threshold)] for entry, z in test]
                selected_tables.append(_predict(data.test, selected, plan.emotions))
            result[rule]["selected_test"] = all_figures(concatenate(selected_tables))
    differences = {}
    for rule in rules[2:]:
        difference = paired_difference(tables["minmax"], tables[rule])
        differences[rule] = {"gain": difference.gain, "interval": list(difference.interval)}
    return {"rules": result, "minmax_minus": differences}
