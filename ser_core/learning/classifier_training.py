"""From corpora to a model's folder: divide, train, calibrate, test once, write it down."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ser_core.learning.branch_training import train_stages
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.evaluation import fit_temperature
from ser_core.learning.headline import headline
from ser_core.learning.material import read_material
from ser_core.learning.model_card import card_of, readme_of
from ser_core.learning.model_evaluation import by_own_normal, logits_of_recordings, tabulate
from ser_core.learning.network_outputs import figures_of, logits_of
from ser_core.learning.predictions import all_figures, read_predictions, write_predictions
from ser_core.learning.processes import processes
from ser_core.learning.training_plan import TrainingPlan
from ser_core.model.checkpoint import (
    TEST_TABLE,
    TEST_VOICE_TABLE,
    draft_of,
    load_model,
    publish,
    read_card,
    require_room,
    save_model,
    write_card,
)
from ser_core.model.onnx_classifier import OnnxClassifier
from ser_core.model.scores import recording_probabilities
from ser_core.work.progress import UNWATCHED, Work


def train_classifier(
    plan: TrainingPlan,
    out: Path,
    runs: Path,
    *,
    resume: bool = False,
    work: Work = UNWATCHED,
) -> dict[str, Any]:
    """Train a classifier, test it once on the speakers it never met, write its folder and return its card.

    What is tested is the model as it is shipped: read from its folder, in half precision, on the recordings' files.

    Parameters
    ----------
    runs : Path
        Holds the log-mel spectrograms, and for each branch the state after its last finished epoch.
    resume : bool
        Go on from those states; False begins anew.
    """
    require_room(out)
    material = read_material(plan, runs / "log_mels", work)
    model, history = train_stages(plan, material, runs, resume, work)
    if not processes().is_global_zero:
        return {}
    temperature, validated = _calibrate(_logits(model, plan, material.validation), material.validation, plan)
    card = card_of(plan, material, temperature, validated, history)
    draft = draft_of(out)
    save_model(draft, model, card, list(material.heard.items()), "")
    classifier = load_model(draft)
    said, _ = logits_of_recordings(
        classifier,
        [entry.item for entry in material.test],
        work.part(0, 1, "Testing, "),
    )
    about = classifier.emotions, classifier.temperature
    write_predictions(tabulate(*about, said, classifier.pooling), draft / TEST_TABLE)
    if classifier.voice is not None:
        known = by_own_normal(classifier, said)
        write_predictions(tabulate(*about, known, classifier.pooling), draft / TEST_VOICE_TABLE)
    # Every figure is one of the table, which holds fewer digits than what the model said.
    tested = read_predictions(draft / TEST_TABLE)
    card = read_card(draft) | {"test_figures": all_figures(tested) | {"headline": headline(tested)}}
    write_card(draft, card, readme_of(out.absolute().name, card))
    publish(draft, out)
    return card


def _logits(model: nn.Module | bytes, plan: TrainingPlan, dataset: Sequence[LabelledSpectrogram]) -> list[np.ndarray]:
    if isinstance(model, nn.Module):
        return logits_of(model, dataset)
    about = {"name": plan.network, "sha256": hashlib.sha256(model).hexdigest(), "front_end": plan.front_end}
    classifier = OnnxClassifier(model, emotions=plan.emotions, **about)
    return [classifier.score(entry.segments.astype(np.float32)) for entry in dataset]


def _calibrate(
    logits: list[np.ndarray], validation: Sequence[LabelledSpectrogram], plan: TrainingPlan
) -> tuple[float, dict[str, Any]]:
    temperature = fit_temperature(logits, np.array([entry.label for entry in validation]), plan.pooling)
    probabilities = np.stack([recording_probabilities(z, temperature, plan.pooling) for z in logits])
    return temperature, figures_of(probabilities, validation, plan.emotions)
