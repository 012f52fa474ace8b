"""The explainers, by the names in settings and on the command line. To change one, change its file."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ser_core.analysis import Explanation, Region
from ser_core.errors import SettingsRefused
from ser_core.explanation.grad_cam import grad_cam
from ser_core.explanation.lime import lime
from ser_core.explanation.occlusion import occlusion
from ser_core.explanation.one_pass import has_decoder, one_pass, time_consensus
from ser_core.explanation.relevance import ExplainerResult, ExplanationTarget
from ser_core.model.classifier import Classifier
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import Work

EXPLAINERS: dict[str, Callable[..., ExplainerResult]] = {"grad_cam": grad_cam, "lime": lime, "occlusion": occlusion}
#: LIME with cells that span all bands: it locates evidence in time only, and draws no map.
OVER_TIME = "lime_time"
#: A decoder fitted to the network's tokens; it locates evidence in time only, too.
ONE_PASS = "one_pass"
#: The mean of both.
TIME_CONSENSUS = "time_consensus"
#: Methods that locate evidence in time, but not in frequency.
TIME_METHODS = (TIME_CONSENSUS, OVER_TIME, ONE_PASS)
#: The methods that can give the focus, the default first.
FOCUS_METHODS = (*TIME_METHODS, *EXPLAINERS)
_EXPLAINERS = {TIME_CONSENSUS: time_consensus, OVER_TIME: lime, ONE_PASS: one_pass} | EXPLAINERS
METHOD_NAMES = {
    TIME_CONSENSUS: "Consensus over time",
    OVER_TIME: "LIME over time",
    ONE_PASS: "One pass",
    "grad_cam": "Grad-CAM",
    "lime": "LIME",
    "occlusion": "Occlusion",
    "consensus": "Consensus",
}


def explainers_of(classifier: Classifier) -> tuple[str, ...]:
    """Return the explainers that draw maps of a classifier: Grad-CAM only if it has layers."""
    return tuple(method for method in EXPLAINERS if method != "grad_cam" or classifier.layers)


def focus_methods_of(classifier: Classifier) -> tuple[str, ...]:
    """Return the methods that can give a classifier's focus, the one that measured best first."""
    over_time = TIME_METHODS if has_decoder(classifier) else (OVER_TIME,)
    return (*over_time, *explainers_of(classifier))


@dataclass(frozen=True, eq=False)
class ExplainerRun:
    """One run of an explainer over a stretch of a recording, from which every emotion can be explained.

    Attributes
    ----------
    seconds : float
        How long it took.
    """

    method: str
    result: ExplainerResult
    stretch: Region
    layer: str | None
    settings: dict[str, Any]
    seed: int
    seconds: float

    def explain(self, target: ExplanationTarget, emotions: tuple[str, ...]) -> Explanation:
        """Return the explanation of one emotion, against another or all others."""
        return Explanation(
            method=self.method,
            emotion=emotions[target.emotion],
            against=None if target.against is None else emotions[target.against],
            relevance=self.result.relevance(target),
            covered=target.covered,
            stretch=self.stretch,
            layer=self.layer,
            settings=self.settings,
            seed=self.seed,
            seconds=self.seconds,
            stability=self.result.stability(target),
            standard_error=self.result.standard_error(target),
        )


def run_explainer(
    method: str,
    classifier: Classifier,
    target: ExplanationTarget,
    stretch: Region,
    settings: AnalysisSettings,
    work: Work,
) -> ExplainerRun:
    """Run one explainer on the target's stretch; its emotions are not used yet.

    If no decoder was fitted for the classifier, LIME over time replaces the consensus over time.

    Raises
    ------
    SettingsRefused
        If there is no such explainer, or it cannot explain this classifier.
    Cancelled
        Soon after the work is stopped.
    """
    if method not in FOCUS_METHODS:
        raise SettingsRefused(f"There is no explainer '{method}'; choose one of {', '.join(FOCUS_METHODS)}.")
    if method == TIME_CONSENSUS and not has_decoder(classifier):
        method = OVER_TIME
    method_settings = getattr(settings, method)
    began = time.perf_counter()
    result = _EXPLAINERS[method](classifier, target, method_settings, settings.seed, work)
    seconds = time.perf_counter() - began
    layer = (method_settings.layer or classifier.layers[0]) if method == "grad_cam" else None
    return ExplainerRun(method, result, stretch, layer, asdict(method_settings), settings.seed, seconds)
