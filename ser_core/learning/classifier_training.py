"""From corpora to a model's folder: split, train stage by stage, calibrate, test once, write card and README."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import nn

from ser_core.learning.batches import figures_of, logits_of
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.estimator import fit_estimator
from ser_core.learning.evaluation import by_own_normal, logits_of_recordings, tabulate
from ser_core.learning.heads import (
    FusionHeadSettings,
    fine_tune_head,
    fit_bands,
    fit_discriminant_head,
    train_fusion_head,
)
from ser_core.learning.metrics import all_figures, headline
from ser_core.learning.plan import (
    FROZEN,
    TrainingPlan,
    fine_tunes_head,
    starting_branch,
    starts_from_published_weights,
)
from ser_core.learning.predictions import read_predictions, write_predictions
from ser_core.learning.training import best_settings, processes, train_network
from ser_core.learning.training_data import TrainingData, read_training_data
from ser_core.model.checkpoint import (
    ARCHITECTURES,
    TEST_TABLE,
    TEST_VOICE_TABLE,
    draft_of,
    publish,
    read_card,
    require_replaceable_model,
    save_model,
    write_card,
)
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.onnx_classifier import OnnxClassifier
from ser_core.model.peers import ESTIMATOR_BASELINES
from ser_core.model.scores import recording_probabilities
from ser_core.model.shipped_models import find_model, load_model
from ser_core.settings import VoiceSettings
from ser_core.work.progress import UNWATCHED, Work

LICENCE = "CC BY-NC-SA 4.0"


def train_classifier(
    plan: TrainingPlan,
    out: Path,
    runs: Path,
    *,
    resume: bool = False,
    work: Work = UNWATCHED,
) -> dict[str, Any]:
    """Train a classifier, test it once on the test side of its split, write its folder and return its card.

    The test runs the model as shipped: loaded from its folder, in half precision, on the audio files.

    Parameters
    ----------
    out : Path
        The model's folder.
    runs : Path
        Folder of the cached log-mel spectrograms and of each branch's state after its last finished epoch.
    resume : bool
        Continue from these states instead of starting over.

    Returns
    -------
    dict
        The card; empty in all processes but the first.

    Raises
    ------
    SettingsRefused, CorpusRefused
        If the plan does not fit the corpora, the starting weights or the states.
    Cancelled
    """
    require_replaceable_model(out)
    data = read_training_data(plan, runs / "log_mels", work)
    model, history = train_stages(plan, data, runs, resume, work)
    if not processes().is_global_zero:
        return {}
    temperature, validation_figures = _calibrate(_logits(model, plan, data.validation), data.validation, plan)
    card = card_of(plan, data, temperature, validation_figures, history)
    draft = draft_of(out)
    save_model(draft, model, card, list(data.seen.items()), "")
    classifier = load_model(draft)
    test_items = [entry.item for entry in data.test]
    logits, _ = logits_of_recordings(classifier, test_items, work.part(0, 1, "Testing"))
    emotions, temperature, pooling = classifier.emotions, classifier.temperature, classifier.pooling
    write_predictions(tabulate(emotions, temperature, logits, pooling), draft / TEST_TABLE)
    if classifier.voice is not None:
        shifted = by_own_normal(classifier, logits)
        write_predictions(tabulate(emotions, temperature, shifted, pooling), draft / TEST_VOICE_TABLE)
    # Metrics come from the table as written, so that its rounded probabilities give the same figures again.
    tested = read_predictions(draft / TEST_TABLE)
    card = read_card(draft) | {"test_figures": all_figures(tested) | {"headline": headline(tested)}}
    write_card(draft, card, readme_of(out.absolute().name, card))
    publish(draft, out)
    return card


def _logits(model: nn.Module | bytes, plan: TrainingPlan, dataset: Sequence[LabelledSpectrogram]) -> list[np.ndarray]:
    if isinstance(model, nn.Module):
        return logits_of(model, dataset)
    classifier = OnnxClassifier(
        model,
        name=plan.network,
        sha256=hashlib.sha256(model).hexdigest(),
        emotions=plan.emotions,
        front_end=plan.front_end,
    )
    return [classifier.score(entry.segments.astype(np.float32)) for entry in dataset]


def _calibrate(
    logits: list[np.ndarray], validation: Sequence[LabelledSpectrogram], plan: TrainingPlan
) -> tuple[float, dict[str, Any]]:
    if any(fine_tunes_head(stage, plan) for stage in plan.stages):
        # There are too few recordings to fit another temperature.
        temperature = read_card(find_model(plan.warm_start))["temperature"]
    else:
        temperature = fit_temperature(logits, np.array([entry.label for entry in validation]), plan.pooling)
    probabilities = np.stack([recording_probabilities(z, temperature, plan.pooling) for z in logits])
    return temperature, figures_of(probabilities, validation, plan.emotions)


def fit_temperature(
    logits_of_recordings: Sequence[np.ndarray], labels: np.ndarray, pooling: str = "probabilities"
) -> float:
    """Return the temperature that minimises the negative log-likelihood of the recordings' labels.

    Parameters
    ----------
    logits_of_recordings : sequence of ndarray of shape (segments, classes)
    labels : ndarray of shape (recordings,), int
    pooling : str
        How segments are pooled into a recording (see `ser_core.model.scores.pool`).

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599; here for recordings instead of segments, because the app shows recordings.
    """

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        p = np.stack([recording_probabilities(logits, temperature, pooling) for logits in logits_of_recordings])
        return float(-np.log(np.clip(p[np.arange(len(labels)), labels], 1e-9, 1)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))


History = dict[str, list[dict[str, Any]]]


def train_stages(
    plan: TrainingPlan,
    data: TrainingData,
    runs: Path,
    resume: bool,
    work: Work,
) -> tuple[nn.Module | bytes, History]:
    """Train the stages of a plan in order: branches, then the fusion head or the estimator.

    Parameters
    ----------
    runs : Path
        Folder of the branches' states, which are continued if `resume`, and of the features of frozen networks, which
        are always reused.

    Returns
    -------
    model : nn.Module or bytes
        The trained network, or the estimator as ONNX.
    history : dict of str to list of dict
        The epochs of each stage.

    Raises
    ------
    SettingsRefused
        If a branch has no starting weights, before any is trained; or if a state does not fit the plan.
    """
    for branch in [stage for stage in plan.stages if stage in ARCHITECTURES]:
        starting_branch(branch, plan)
    network = None
    branches: dict[str, nn.Module] = {}
    history: History = {}
    for done, stage in enumerate(plan.stages):
        stage_work = work.part(done, len(plan.stages), stage)
        if stage == "estimator":
            stage_work.report(0.0, "Fitting")
            began = time.perf_counter()
            baseline = ESTIMATOR_BASELINES[plan.network]
            estimator = fit_estimator(baseline, network, data.train, plan.emotions, plan.seed)
            history[stage] = [{"epoch": 1, "seconds": round(time.perf_counter() - began, 2)}]
            return estimator, history
        if stage == "fusion_head":
            network = _late_fusion(plan, branches)
            uar = train_fusion_head(
                network, data.train, data.validation, plan.emotions, FusionHeadSettings(), plan.seed, stage_work
            )
            history[stage] = [{"epoch": 1, "validation_uar": uar}]
            continue
        network = branches[stage] = starting_branch(stage, plan)
        if stage in FROZEN:
            history[stage] = [_frozen_stage(network, stage, plan, data, runs / "features", stage_work)]
        else:
            teacher = branches["yamnet"] if stage == "vggish" and plan.has_teacher else None
            history |= _network_stage(network, stage, plan, data, teacher, runs, resume, stage_work)
    return network, history


def _network_stage(
    network: nn.Module,
    stage: str,
    plan: TrainingPlan,
    data: TrainingData,
    teacher: nn.Module | None,
    runs: Path,
    resume: bool,
    work: Work,
) -> History:
    """Train a network in place, after a search for its hyperparameters if it has candidates."""
    recordings = data.train + (data.other_emotions if teacher is not None else [])
    state_file = runs / _state_name(plan, stage, recordings, data.validation, network, teacher)
    if not resume and processes().is_global_zero:
        for old in (state_file, *state_file.parent.glob(f"{state_file.stem}-try*.safetensors")):
            old.unlink(missing_ok=True)
    processes().barrier()
    history: History = {}
    settings = plan.settings_of(stage)
    validation, emotions, seed = data.validation, plan.emotions, plan.seed
    log_offset = plan.front_end.spectrogram.log_offset
    if candidates := getattr(network, "search", ()):
        settings, history["search"] = best_settings(
            network, candidates, data.train, validation, emotions, settings, seed, state_file, log_offset, work
        )
    history[stage] = train_network(
        network, recordings, validation, emotions, settings, seed, state_file, log_offset, work, teacher
    )
    return history


def _frozen_stage(
    network: nn.Module,
    stage: str,
    plan: TrainingPlan,
    data: TrainingData,
    cache: Path,
    work: Work,
) -> dict[str, Any]:
    """Fit the head of a frozen network in place, and its bands if needed; return the stage's only epoch."""
    began, figures = time.perf_counter(), {}
    if starts_from_published_weights(stage, plan):
        work.report(0.0, "Fitting the bands")
        all_sides = data.train + data.validation + data.test
        figures["bands_explained_variance"] = round(fit_bands(network, all_sides), 4)
    settings, spectrogram = plan.settings_of(stage), plan.front_end.spectrogram
    with processes().rank_zero_first():
        if fine_tunes_head(stage, plan):
            uar = fine_tune_head(network, data.train, data.validation, plan.emotions, settings, cache, work)
        else:
            uar = fit_discriminant_head(
                network, data.train, data.validation, plan.emotions, settings, spectrogram, cache, work
            )
    return {"epoch": 1, "validation_uar": uar, "seconds": round(time.perf_counter() - began, 2), **figures}


def _late_fusion(plan: TrainingPlan, branches: dict[str, nn.Module]) -> LateFusion:
    torch.manual_seed(plan.seed)
    fusion = LateFusion(len(plan.emotions))
    for name, branch in branches.items():
        body = {key: tensor for key, tensor in branch.state_dict().items() if not key.startswith("head.")}
        getattr(fusion, name).load_state_dict(body)
    return fusion


def _state_name(
    plan: TrainingPlan,
    branch: str,
    recordings: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    starting: nn.Module,
    teacher: nn.Module | None,
) -> str:
    """Return a file name with a hash of all inputs, so that `fusion` finds branches that are already trained."""
    input_hash = hashlib.sha256()
    for part in (recordings, validation):
        # In order, because the order decides which recordings are drawn.
        entries = [(entry.sha256, entry.start_frames.tolist(), entry.label) for entry in part]
        input_hash.update(repr(entries).encode())
    for network in (starting, teacher) if teacher is not None else (starting,):
        for tensor in network.state_dict().values():
            input_hash.update(tensor.numpy().tobytes())
    name = f"{branch}-{plan.emotion_set}-{plan.split}{plan.fold}-{plan.preset}-seed{plan.seed}"
    return f"{name}-{input_hash.hexdigest()[:12]}.safetensors"


def card_of(
    plan: TrainingPlan,
    data: TrainingData,
    temperature: float,
    validation_figures: dict[str, Any],
    history: History,
) -> dict[str, Any]:
    """Return the card of a model, without test figures."""
    sides = {"train": data.train, "validation": data.validation, "test": data.test}
    all_sides = data.train + data.validation + data.test
    return {
        "architecture": plan.network,
        "emotions": list(plan.emotions),
        "front_end": asdict(plan.front_end),
        "temperature": round(temperature, 4),
        "pooling": plan.pooling,
        "licence": LICENCE,
        "corpora": sorted({entry.item.corpus for entry in all_sides}),
        "split": data.description,
        "seed": plan.seed,
        "preset": plan.preset,
        "warm_start": plan.warm_start,
        "drop_unrecognised": plan.drop_unrecognised,
        "recordings": {name: len(side) for name, side in sides.items()},
        "left_out": {
            "other_emotions": data.others_count,
            "unrecognised": data.unrecognised_count,
            "refused": [name for name, _ in data.left_out],
        },
        "segments": {
            "before_selection": sum(entry.segments_before_selection for entry in all_sides),
            "kept": sum(len(entry.start_frames) for entry in all_sides),
        },
        "training": {
            stage: asdict(plan.settings_of(stage)) | _settings_found(history)
            for stage in plan.stages
            if stage in ARCHITECTURES
        },
        "validation_figures": validation_figures,
        "history": history,
        # The voice settings were chosen for discriminant heads.
        **({"voice": asdict(VoiceSettings())} if plan.network in FROZEN else {}),
    }


def _settings_found(history: History) -> dict[str, Any]:
    """Return the hyperparameters that the search found; none without a search."""
    tried = history.get("search", [])
    return max(tried, key=lambda candidate: candidate["validation_uar"])["settings"] if tried else {}


def readme_of(name: str, card: dict[str, Any]) -> str:
    """Return the README of a tested model."""
    text = f"""# {name}

Tells apart {", ".join(card["emotions"])} in acted speech. Architecture: {card["architecture"]}.

Figures are of recordings that the model was not trained on ({card["split"]}).
Intervals (95 %) resample speakers; with few speakers they are rough.

{_table(card["test_figures"])}
"""
    if cross_validation := card.get("cross_validation"):
        text += f"""
The same training on {cross_validation["folds"]} folds, each speaker tested by the model that was not trained on them:

{_table(cross_validation)}
"""
    if leave_one_out := card.get("leave_one_corpus_out"):
        text += f"""
The same training with each corpus left out in turn, and tested on it:

{_table(leave_one_out)}
"""
    return f"""{text}
`card.json` holds every setting and figure, `training.csv` every recording used in training or validation.
Licence: {card["licence"]}, as the data.
"""


def _table(figures: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {corpus} | {100 * f['uar']:.1f} % ({100 * f['interval'][0]:.0f}-{100 * f['interval'][1]:.0f}) "
        f"| {100 * f['accuracy']:.1f} % | {f['recordings']} | {f['speakers']} |"
        for corpus, f in figures["corpora"].items()
    )
    mean = f"| **mean over corpora** | **{100 * figures['mean_over_corpora_uar']:.1f} %** | | | |"
    headline_figures = figures.get("headline")
    if headline_figures and headline_figures["apart"]:
        apart, uar = ", ".join(headline_figures["apart"]), headline_figures["uar"]
        mean += f"\n| **mean without {apart}** | **{100 * uar:.1f} %** | | | |"
    return f"""| corpus | UAR | accuracy | recordings | speakers |
|---|---|---|---|---|
{rows}
{mean}"""
