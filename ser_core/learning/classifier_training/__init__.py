"""From corpora to a model's folder: split, train stage by stage, calibrate, test once, write card and README."""

from pathlib import Path
from typing import Any

from ser_core.learning.classifier_training.calibration import calibrate
from ser_core.learning.classifier_training.card import card_of, readme_of
from ser_core.learning.classifier_training.stages import train_stages
from ser_core.learning.evaluation import by_own_normal, logits_of_recordings, tabulate
from ser_core.learning.metrics import all_figures, headline
from ser_core.learning.plan import TrainingPlan
from ser_core.learning.predictions import read_predictions, write_predictions
from ser_core.learning.training import processes
from ser_core.learning.training_data import TrainingData, read_training_data
from ser_core.model.checkpoint import (
    CARD,
    TEST_TABLE,
    TEST_VOICE_TABLE,
    read_card,
    require_replaceable_model,
    write_card,
    write_model,
)
from ser_core.model.shipped_models import load_model
from ser_core.work.atomic_folder import atomic_folder
from ser_core.work.progress import UNWATCHED, Work


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
    temperature, validation_figures = calibrate(model, plan, data.validation)
    card = card_of(plan, data, temperature, validation_figures, history)
    with atomic_folder(out, CARD) as draft:  # another training that writes the same folder waits
        write_model(draft, model, card, list(data.seen.items()), "")
        return _test(draft, data, readme_name=out.absolute().name, work=work.part(0, 1, "Testing"))


def _test(draft: Path, data: TrainingData, readme_name: str, work: Work) -> dict[str, Any]:
    """Test the model in a folder, add its table and figures there, and return its card."""
    classifier = load_model(draft)
    test_items = [entry.item for entry in data.test]
    logits, _ = logits_of_recordings(classifier, test_items, work)
    emotions, temperature, pooling = classifier.emotions, classifier.temperature, classifier.pooling
    write_predictions(tabulate(emotions, temperature, logits, pooling), draft / TEST_TABLE)
    if classifier.voice is not None:
        shifted = by_own_normal(classifier, logits)
        write_predictions(tabulate(emotions, temperature, shifted, pooling), draft / TEST_VOICE_TABLE)
    # Metrics come from the table as written, so that its rounded probabilities give the same figures again.
    tested = read_predictions(draft / TEST_TABLE)
    card = read_card(draft) | {"test_figures": all_figures(tested) | {"headline": headline(tested)}}
    write_card(draft, card, readme_of(readme_name, card))
    return card
