"""Cross-validation: train on every fold, and pool the predictions that each model makes for its test set."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ser_core.audio.reading import file_bytes
from ser_core.corpora import corpus_names, read_corpus
from ser_core.errors import AudioRefused, SettingsRefused
from ser_core.learning.classifier_training import train_classifier
from ser_core.learning.classifier_training.card import readme_of
from ser_core.learning.evaluation import by_own_normal, logits_of_recordings, tabulate, unseen_recordings
from ser_core.learning.metrics import all_figures, headline
from ser_core.learning.plan import FROZEN, TrainingPlan, starting_branch
from ser_core.learning.predictions import Predictions, concatenate, read_predictions, write_predictions
from ser_core.learning.training import processes
from ser_core.model.checkpoint import (
    ARCHITECTURES,
    CARD,
    CORPORA_TABLE,
    CORPORA_VOICE_TABLE,
    FOLDS_TABLE,
    FOLDS_VOICE_TABLE,
    TEST_TABLE,
    TEST_VOICE_TABLE,
    read_card,
    require_replaceable_model,
    write_card,
)
from ser_core.model.shipped_models import find_model, load_model
from ser_core.work.atomic_folder import atomic_folder
from ser_core.work.progress import UNWATCHED, Work

#: The file in the folder of a finished fold that holds the plan of its training.
PLAN = "plan.json"
#: The entry of a card with the figures on new corpora.
NEW_CORPORA = "leave_one_corpus_out"


def cross_validate(
    plan: TrainingPlan,
    folds: Sequence[int],
    out: Path,
    runs: Path,
    *,
    resume: bool = False,
    work: Work = UNWATCHED,
) -> dict[str, Any]:
    """Train a model on each of the folds, write the first one's folder with the metrics of all, and return its card.

    The card's `cross_validation` has the metrics over all folds, and `folds.csv` the predictions that they are computed
    from. With a split by corpus these are `leave_one_corpus_out` and `corpora.csv`.

    Parameters
    ----------
    folds : sequence of int
        From 1.
    runs : Path
        Also holds the models of the folds. If `resume`, a finished fold is not trained again.

    Raises
    ------
    SettingsRefused
        If there is no such fold, before any is trained.
    """
    require_replaceable_model(out)
    models = _models_of_folds(plan, folds, runs, resume, work)
    if not processes().is_global_zero:
        return {}
    return _write_figures(models[0], out, plan, folds, models)


def measure_recipe(
    plan: TrainingPlan,
    folds: Sequence[int],
    model: str | Path,
    runs: Path,
    *,
    resume: bool = False,
    work: Work = UNWATCHED,
) -> dict[str, Any]:
    """Train on each of the folds as an existing model was trained, add the metrics to its folder, and return its card.

    For example, this shows how the training of a model with a split by speaker does on corpora that are left out. The
    rest of the folder does not change.

    Raises
    ------
    SettingsRefused
        If the model was trained with other settings, or there is no such fold, before any is trained.
    """
    folder = find_model(model)
    _require_same_recipe(plan, read_card(folder), folder.name)
    models = _models_of_folds(plan, folds, runs, resume, work)
    if not processes().is_global_zero:
        return {}
    return _write_figures(folder, folder, plan, folds, models)


def measure_new_corpora(
    model: str | Path, corpora: dict[str, str], work: Work = UNWATCHED
) -> tuple[dict[str, Any], list[str]]:
    """Test a model on corpora that it was not trained on, and add the metrics to its folder.

    Returns
    -------
    card : dict
        Of the model.
    refused : list of str
        Why recordings were left out.

    Raises
    ------
    SettingsRefused
        If the model was trained on one of the corpora, or has figures of corpora that were left out of its training.
    CorpusRefused
        If a corpus cannot be read, or nothing in it can be measured.
    """
    folder, classifier = find_model(model), load_model(model)
    card = read_card(folder)
    if card.get(NEW_CORPORA, {}).get("split", "").startswith("corpus split"):
        raise SettingsRefused(
            f"{folder.name} already has figures of corpora that were left out of its training in turn, and these would "
            "replace them. Evaluate without adding the figures."
        )
    unseen = unseen_recordings(model, corpora)
    if known := [corpus for corpus, counts in unseen.overlap.items() if counts["trained_on"]]:
        raise SettingsRefused(
            f"{folder.name} was trained on {', '.join(known)}, so this is not new to it; leave it out. "
            "`train --split corpus --figures-of` measures the same training without it."
        )
    logits, refused = logits_of_recordings(classifier, unseen.recordings, work)
    emotions, temperature, pooling = classifier.emotions, classifier.temperature, classifier.pooling
    shifted = None
    if classifier.voice is not None:
        shifted = tabulate(emotions, temperature, by_own_normal(classifier, logits), pooling)
    tested = tabulate(emotions, temperature, logits, pooling)
    names = sorted(set(tested.corpora))
    split = f"this model on {', '.join(names)}, of which nothing was in its training"
    card = add_figures(folder, folder, tested, shifted, split, len(names), corpora=True)
    return card, unseen.copies + refused


def add_figures(
    folder: Path,
    out: Path,
    predictions: Predictions,
    voices: Predictions | None,
    split: str,
    folds: int,
    *,
    corpora: bool,
) -> dict[str, Any]:
    """Write the folder of a model with the predictions of its folds' models added, and return its card.

    Parameters
    ----------
    predictions : Predictions
        For every recording, by a model that was not trained on its speaker or, if `corpora`, on its corpus.
    voices : Predictions or None
        The same with each voice judged by its own normal; None for models without this.
    split : str
        The split in words.
    """
    key, table = (NEW_CORPORA, CORPORA_TABLE) if corpora else ("cross_validation", FOLDS_TABLE)
    card = read_card(folder)
    with atomic_folder(out, CARD) as draft:
        shutil.copytree(folder, draft, ignore=shutil.ignore_patterns(PLAN), dirs_exist_ok=True)
        write_predictions(predictions, draft / table)
        tested = read_predictions(draft / table)  # the figures are those of the rounded probabilities
        card |= {key: all_figures(tested) | {"headline": headline(tested), "folds": folds, "split": split}}
        if voices is not None:
            write_predictions(voices, draft / (CORPORA_VOICE_TABLE if corpora else FOLDS_VOICE_TABLE))
        readme = (draft / "README.md").read_text(encoding="utf-8") if (draft / "README.md").is_file() else ""
        # Not for a model that was not trained here, whose README is its author's.
        if "test_figures" in card:
            readme = readme_of(out.absolute().name, card)
        write_card(draft, card, readme)
    return card


def _write_figures(
    folder: Path, out: Path, plan: TrainingPlan, folds: Sequence[int], models: Sequence[Path]
) -> dict[str, Any]:
    predictions = concatenate([read_predictions(model / TEST_TABLE) for model in models])
    voices = None
    if all((model / TEST_VOICE_TABLE).is_file() for model in models):
        voices = concatenate([read_predictions(model / TEST_VOICE_TABLE) for model in models])
    numbers, last_fold = ", ".join(map(str, folds)), plan.last_fold
    corpora = ", ".join(sorted(set(predictions.corpora)))
    split = {  # whole sentences, which pages translate
        "speaker": f"speaker split, folds {numbers} of {last_fold}",
        "sentence": f"sentence split, folds {numbers} of {last_fold}",
        "random": f"random split, folds {numbers} of {last_fold}",
        "corpus": f"corpus split, folds {numbers} of {last_fold}: {corpora} left out of training in turn",
    }[plan.split]
    by_corpus = plan.split == "corpus"
    return add_figures(folder, out, predictions, voices, split, len(folds), corpora=by_corpus)


def _require_same_recipe(plan: TrainingPlan, card: dict[str, Any], name: str) -> None:
    branches = [stage for stage in plan.stages if stage in ARCHITECTURES]
    planned = {
        "architecture": plan.network,
        "emotions": list(plan.emotions),
        "preset": plan.preset,
        "corpora": corpus_names(plan.corpora, plan.emotions),
        "front_end": asdict(plan.front_end),
        "warm_start": plan.warm_start,
        "drop_unrecognised": plan.drop_unrecognised,
        "pooling": plan.pooling,
        "training": {branch: _recipe(asdict(plan.settings_of(branch)), branch) for branch in branches},
    }
    of_card = {"drop_unrecognised": False, "pooling": "probabilities"} | card
    of_card["training"] = {branch: _recipe(settings, branch) for branch, settings in card.get("training", {}).items()}
    other = [key for key, value in planned.items() if of_card.get(key) != value]
    if other:
        raise SettingsRefused(
            f"{name} was trained with other settings ({', '.join(other)}), so these figures would not be its own. "
            "Give the network, corpora, emotions, preset and epochs that its card.json names."
        )


def _recipe(settings: dict[str, Any], branch: str) -> dict[str, Any]:
    """Return the settings of a branch that must match: its epochs, or all settings of a head in closed form."""
    # Older cards lack newer settings, whose defaults change nothing.
    return asdict(FROZEN[branch]) | settings if branch in FROZEN else {"epochs": settings["epochs"]}


def _models_of_folds(
    plan: TrainingPlan,
    folds: Sequence[int],
    runs: Path,
    resume: bool,
    work: Work,
) -> list[Path]:
    """Train the folds that are not finished, and return the folders of all folds' models."""
    plans = [replace(plan, fold=fold) for fold in folds]
    models, input_hash = [], _input_hash(plan)
    for done, fold_plan in enumerate(plans):
        fold_work = work.part(done, len(folds), f"Fold {fold_plan.fold}")
        models.append(_model_of_fold(fold_plan, input_hash, runs, resume, fold_work))
    return models


def _input_hash(plan: TrainingPlan) -> str:
    """Return a hash of the recordings, their speakers and emotions, and the starting weights."""
    input_hash = hashlib.sha256()
    for name, folder in plan.corpora.items():
        for item in read_corpus(name, folder).recordings:
            with suppress(AudioRefused):  # left out of the training too
                input_hash.update(hashlib.sha256(file_bytes(item.path)).digest())
            input_hash.update(repr((item.speaker_id, item.emotion, item.text, item.gender)).encode())
            if plan.drop_unrecognised:
                input_hash.update(repr(item.unrecognised).encode())
    for branch in [stage for stage in plan.stages if stage in ARCHITECTURES]:
        for tensor in starting_branch(branch, plan).state_dict().values():
            input_hash.update(tensor.numpy().tobytes())
    return input_hash.hexdigest()


def _model_of_fold(plan: TrainingPlan, input_hash: str, runs: Path, resume: bool, work: Work) -> Path:
    settings = {stage: asdict(plan.settings_of(stage)) for stage in plan.stages if stage in ARCHITECTURES}
    plan_text = json.dumps(asdict(plan) | {"training": settings, "learnt_from": input_hash}, indent=1)
    plan_hash = hashlib.sha256(plan_text.encode()).hexdigest()[:12]  # so that two trainings at once do not meet
    folder = runs / "folds" / f"{plan.network}-{plan.emotion_set}-{plan.split}{plan.fold}-{plan_hash}"
    finished = folder / PLAN
    if resume and finished.is_file() and finished.read_text(encoding="utf-8") == plan_text:
        return folder
    train_classifier(plan, folder, runs, resume=resume, work=work)
    if processes().is_global_zero:
        finished.write_text(plan_text, encoding="utf-8")
    return folder
