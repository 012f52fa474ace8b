"""Train the stages of a plan: branches, then the fusion head or the estimator."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ser_core.learning.dataset import LabelledSpectrogram, require_every_emotion
from ser_core.learning.estimator import fit_estimator
from ser_core.learning.heads import (
    FusionHeadSettings,
    fine_tune_head,
    fit_bands,
    fit_discriminant_head,
    train_fusion_head,
)
from ser_core.learning.plan import (
    FROZEN,
    TrainingPlan,
    fine_tunes_head,
    keeps_emotions,
    starting_branch,
    starts_from_published_weights,
)
from ser_core.learning.training import best_settings, processes, train_network
from ser_core.learning.training_data import TrainingData
from ser_core.model.checkpoint import ARCHITECTURES
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.peers import ESTIMATOR_BASELINES
from ser_core.work.progress import Work

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
        If a branch has no starting weights, or an emotion no recording to learn from, before any is trained; or if a
        state does not fit the plan.
    """
    for branch in [stage for stage in plan.stages if stage in ARCHITECTURES]:
        starting_branch(branch, plan)
    if not keeps_emotions(plan):
        require_every_emotion(data.train, plan.emotions)
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
