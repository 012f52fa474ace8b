"""Ratings that order a queue: the uncertainty of the model, the disagreement of its explainers and of annotators."""

from collections.abc import Callable

import numpy as np

from ser_core.analysis import Recording
from ser_core.annotations.agreement.agreement import disagreement
from ser_core.annotations.agreement.label_mapping import as_emotions
from ser_core.annotations.annotation import Tier
from ser_core.annotations.store.database import PAGE_SIZE
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import Store
from ser_core.errors import AudioRefused
from ser_core.explanation import explainers_of
from ser_core.explanation.agreement import agreement
from ser_core.model.classifier import Classifier
from ser_core.pipeline import analyse_recording, classify_recording
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED, Work


def uncertainty(scores: np.ndarray) -> float:
    """Return the entropy of probabilities (classes,) as a fraction of its maximum: 0 certain, 1 uniform."""
    return float(-np.sum(scores * np.log(np.maximum(scores, np.finfo(np.float64).tiny))) / np.log(len(scores)))


def explainers_disagreement(recording: Recording, classifier: Classifier) -> float | None:
    """Return 1 minus the mean rank correlation of a recording's draft maps: 0 if they agree, above 1 if they oppose.

    None if a map is constant.
    """
    settings = AnalysisSettings(explain=explainers_of(classifier), focus_by=None)
    analysis = analyse_recording(recording, classifier, settings.drafted())
    maps = {method: explanation.relevance for method, explanation in analysis.explanations.items()}
    covered = next(iter(analysis.explanations.values())).covered
    if len(maps) < 2 or not covered.any():
        return None
    correlations = agreement(maps, covered).rank_correlation[np.triu_indices(len(maps), 1)]
    return None if np.isnan(correlations).any() else float(1 - correlations.mean())


def rate_by_model(
    store: Store,
    project: int,
    rating: str,
    sound_of: Callable[[RecordingFile], Recording | None],
    classifier: Classifier,
    work: Work = UNWATCHED,
) -> int:
    """Rate all recordings of a project by a model; return the number of recordings without sound.

    Parameters
    ----------
    rating : {"uncertainty", "explainers_disagreement"}
    sound_of : callable
        From a file to its recording, or None if the sound is missing; its rating then stays as it was.

    Raises
    ------
    Cancelled
        Earlier ratings stay.
    """
    number = without_sound = 0
    while (page := store.recordings.page(project, page=number // PAGE_SIZE)).items:
        for queued in page.items:
            work.check("The rating was stopped; what was rated until then stays.")
            try:
                recording = sound_of(queued.file)
                if recording is not None:
                    store.recordings.rate(
                        project, rating, {queued.file.sha256: _by_model(rating, recording, classifier)}
                    )
            except AudioRefused:
                recording = None
            without_sound += recording is None
            number += 1
            work.report(number / page.total, f"{number} of {page.total} recordings")
        if number >= page.total:
            break
    return without_sound


def rate_by_marks(store: Store, project: int, tier: Tier | None = None, work: Work = UNWATCHED) -> None:
    """Rate all recordings of a project by the disagreement of their annotators, all or none.

    Parameters
    ----------
    tier : Tier, optional
        A tier of labels, of intervals or points, whose labels are compared instead of the marks of emotions.

    Raises
    ------
    Cancelled
        All ratings are as they were.
    """
    total = store.recordings.page(project, size=1).total
    found: dict[str, float | None] = {}
    for number, document in enumerate(store.transfer.export(project), start=1):
        work.check("The rating was stopped; nothing was changed.")
        compared = document if tier is None else as_emotions(document, tier, lambda label: label or None)
        found[document.sha256] = disagreement(compared)
        work.report(number / max(total, number), f"{number} of {total} recordings")
    store.recordings.rate(project, "annotators_disagreement", found, tier and tier.key)


def _by_model(rating: str, recording: Recording, classifier: Classifier) -> float | None:
    if rating == "explainers_disagreement":
        return explainers_disagreement(recording, classifier)
    return uncertainty(classify_recording(recording, classifier, AnalysisSettings()).scores.recording)
