"""Train the branches of a plan one after the other, and the head that fuses them."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.discriminant_head import fit_discriminant_head
from ser_core.learning.estimator import fit_estimator
from ser_core.learning.fusion_head import FusionHeadSettings, train_fusion_head
from ser_core.learning.material import Material
from ser_core.learning.presets import FROZEN
from ser_core.learning.processes import processes
from ser_core.learning.search import best_settings
from ser_core.learning.starting_weights import begins_as_published, starting_branch
from ser_core.learning.training import train_network
from ser_core.learning.training_plan import TrainingPlan
from ser_core.learning.whisper_bands import fit_bands
from ser_core.model.checkpoint import ARCHITECTURES
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.peers import ESTIMATOR_BASELINES
from ser_core.work.progress import Work

History = dict[str, list[dict[str, Any]]]


def train_stages(
    plan: TrainingPlan,
    material: Material,
    runs: Path,
    resume: bool,
    work: Work,
) -> tuple[nn.Module | bytes, History]:
    """Return the plan's network, trained, or its estimator as ONNX, and the history of each stage.

    Parameters
    ----------
    runs : Path
        Holds the states of branches; where one is found and `resume`, its training goes on, or is done already. Holds
        the features of networks that are frozen too, which are always used again.

    Raises
    ------
    SettingsRefused
        If a branch cannot begin as it should, before any is trained.
    """
    for branch in [stage for stage in plan.stages if stage in ARCHITECTURES]:
        starting_branch(branch, plan)
    network = None
    branches: dict[str, nn.Module] = {}
    history: History = {}
    for done, stage in enumerate(plan.stages):
        of_stage = work.part(done, len(plan.stages), f"{stage}: ")
        if stage == "fusion_head":
            network = _fused(plan, branches)
            trained = (network, material.train, material.validation, plan.emotions)
            uar = train_fusion_head(*trained, FusionHeadSettings(), plan.seed, of_stage)
            history[stage] = [{"epoch": 1, "validation_uar": uar}]
            continue
        if stage == "estimator":
            of_stage.report(0.0, "Fitting")
            began = time.perf_counter()
            baseline = ESTIMATOR_BASELINES[plan.network]
            estimator = fit_estimator(baseline, network, material.train, plan.emotions, plan.seed)
            history[stage] = [{"epoch": 1, "seconds": round(time.perf_counter() - began, 2)}]
            return estimator, history
        network = branches[stage] = starting_branch(stage, plan)
        if stage in FROZEN:
            history[stage] = [_frozen_stage(network, stage, plan, material, runs / "features", of_stage)]
            continue
        teacher = branches["yamnet"] if stage == "vggish" and plan.teaches else None
        learns_from = material.train + (material.other_emotions if teacher is not None else [])
        state = runs / _state_name(plan, stage, learns_from, material.validation, network, teacher)
        if not resume and processes().is_global_zero:
            for old in (state, *state.parent.glob(f"{state.stem}-try*.safetensors")):
                old.unlink(missing_ok=True)
        processes().barrier()
        settings, log_offset = plan.settings_of(stage), plan.front_end.spectrogram.log_offset
        if candidates := getattr(network, "search", ()):
            taught = (network, candidates, material.train, material.validation, plan.emotions, settings, plan.seed)
            settings, history["search"] = best_settings(*taught, state, log_offset, of_stage)
        history[stage] = train_network(
            network,
            learns_from,
            material.validation,
            plan.emotions,
            settings,
            plan.seed,
            state,
            log_offset,
            of_stage,
            teacher,
        )
    return network, history


def _frozen_stage(
    network: nn.Module,
    stage: str,
    plan: TrainingPlan,
    material: Material,
    cache: Path,
    work: Work,
) -> dict[str, Any]:
    """Fit what a network that stays as it begins still needs, in place, and return how that went."""
    began, figures = time.perf_counter(), {}
    if begins_as_published(stage, plan):
        work.report(0.0, "Fitting the bands")
        everything = material.train + material.validation + material.test
        figures["bands_explained_variance"] = round(fit_bands(network, everything), 4)
    taught = (network, material.train, material.validation, plan.emotions, plan.settings_of(stage))
    with processes().rank_zero_first():
        uar, expected = fit_discriminant_head(*taught, plan.front_end.spectrogram, cache, work)
    figures["expected_logits"] = expected.round(4).tolist()
    return {"epoch": 1, "validation_uar": uar, "seconds": round(time.perf_counter() - began, 2), **figures}


def _fused(plan: TrainingPlan, branches: dict[str, nn.Module]) -> LateFusion:
    torch.manual_seed(plan.seed)
    fusion = LateFusion(len(plan.emotions))
    for name, branch in branches.items():
        body = {key: tensor for key, tensor in branch.state_dict().items() if not key.startswith("head.")}
        getattr(fusion, name).load_state_dict(body)
    return fusion


def _state_name(
    plan: TrainingPlan,
    branch: str,
    learns_from: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    begins_as: nn.Module,
    teacher: nn.Module | None,
) -> str:
    """Name a state by what it follows from, so that a fusion finds the branches that are trained already."""
    learnt_from = hashlib.sha256()
    for part in (learns_from, validation):
        # In their order, by which they are drawn.
        about = [(entry.sha256, entry.start_frames.tolist(), entry.label) for entry in part]
        learnt_from.update(repr(about).encode())
    for network in (begins_as, teacher) if teacher is not None else (begins_as,):
        for tensor in network.state_dict().values():
            learnt_from.update(tensor.numpy().tobytes())
    words = f"{branch}-{plan.emotion_set}-{plan.split}{plan.fold}-{plan.preset}-seed{plan.seed}"
    return f"{words}-{learnt_from.hexdigest()[:12]}.safetensors"
