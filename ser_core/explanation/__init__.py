"""The explainers, by the names that settings and the command line use. To change one, change its file."""

import time
from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from ser_core.analysis import Explanation
from ser_core.classifier import Classifier
from ser_core.errors import SettingsRefused
from ser_core.explanation.grad_cam import grad_cam
from ser_core.explanation.lime import lime
from ser_core.explanation.occlusion import occlusion
from ser_core.explanation.relevance import Progress, Question
from ser_core.regions import Region
from ser_core.settings import AnalysisSettings

EXPLAINERS: dict[str, Callable[..., np.ndarray]] = {"grad_cam": grad_cam, "lime": lime, "occlusion": occlusion}


def explain(
    method: str,
    classifier: Classifier,
    question: Question,
    stretch: Region,
    settings: AnalysisSettings,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> Explanation:
    """Ask one explainer one question.

    Raises
    ------
    SettingsRefused
        If there is no such explainer, or it cannot explain this classifier.
    Cancelled
        Soon after `cancelled()` is True.
    """
    if method not in EXPLAINERS:
        raise SettingsRefused(f"There is no explainer '{method}'; choose of {', '.join(EXPLAINERS)}.")
    own = getattr(settings, method)
    began = time.perf_counter()
    relevance = EXPLAINERS[method](classifier, question, own, settings.seed, progress, cancelled)
    return Explanation(
        method=method,
        emotion=classifier.emotions[question.emotion],
        against=None if question.against is None else classifier.emotions[question.against],
        relevance=relevance,
        covered=question.covered,
        stretch=stretch,
        layer=(own.layer or classifier.layers[0]) if method == "grad_cam" else None,
        settings=asdict(own),
        seed=settings.seed,
        seconds=time.perf_counter() - began,
    )
