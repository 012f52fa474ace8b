"""One pass: evidence over time, decoded from the tokens of a single pass; and its consensus with LIME over time."""

from dataclasses import dataclass

import numpy as np

from ser_core.errors import SettingsRefused
from ser_core.explanation.lime import LimeResult, lime
from ser_core.explanation.relevance import ExplanationTarget, contrasted
from ser_core.model.classifier import Classifier
from ser_core.model.scores import recording_probabilities
from ser_core.settings import LimeSettings, OnePassSettings
from ser_core.work.progress import Work

SEGMENTS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class OnePassResult:
    """The evidence of each frame.

    Attributes
    ----------
    evidence : ndarray of shape (classes, frames), float32
        A frame's share of the recording's logits, compared with average speech; sums to 0 over classes.
    original : ndarray of shape (classes,)
        The recording's probabilities.
    """

    evidence: np.ndarray
    original: np.ndarray

    def relevance(self, target: ExplanationTarget) -> np.ndarray:
        """Return the relevance (frames, bands), in log-odds for a frame: the same in all bands."""
        profile = contrasted(self.evidence, self.original, target)
        return np.repeat(profile[:, None], target.log_mel.shape[1], axis=1).astype(np.float32)

    def stability(self, target: ExplanationTarget) -> None:
        """Return None: nothing is random."""

    def standard_error(self, target: ExplanationTarget) -> None:
        """Return None: nothing is random."""


def has_decoder(classifier: Classifier) -> bool:
    """Return whether a decoder was fitted for a classifier."""
    return getattr(classifier, "decoder", None) is not None


def one_pass(
    classifier: Classifier,
    target: ExplanationTarget,
    settings: OnePassSettings,
    seed: int,
    work: Work,
) -> OnePassResult:
    """Run the network once and decode its tokens; `settings` and `seed` are unused.

    LIME and occlusion compare speech with silence; the decoder compares it with other speech of the same person. A
    frame counts once for each member that covers it, as in the recording's mean logits.

    References
    ----------
    Jethani et al. 2022, arXiv:2107.07436 (FastSHAP), for fitting an explainer to changes of predictions.
    """
    if not has_decoder(classifier):
        raise SettingsRefused(f"No decoder was fitted for {classifier.name}. Choose another explainer.")
    members, length = target.members, target.segments.segment_frames
    values, starts = target.segments.values[members], target.segments.start_frames[members]
    total, logits = np.zeros((len(classifier.emotions), max(len(target.log_mel), length))), []
    for first in range(0, len(values), SEGMENTS_AT_ONCE):
        work.check()
        part = slice(first, first + SEGMENTS_AT_ONCE)
        part_logits, evidence = classifier.decoded(values[part])
        for start, segment_evidence in zip(starts[part], evidence, strict=True):
            total[:, start : start + length] += segment_evidence
        logits.append(part_logits)
        work.report(min(1.0, (first + SEGMENTS_AT_ONCE) / len(values)), "One pass")
    evidence = total[:, : len(target.log_mel)] / (len(members) * classifier.temperature)
    evidence[:, ~target.covered] = 0
    original = recording_probabilities(np.concatenate(logits), classifier.temperature, classifier.pooling)
    return OnePassResult(evidence.astype(np.float32), original)


@dataclass(frozen=True, eq=False)
class TimeConsensusResult:
    """The results of LIME over time and One pass; both count equally in their mean."""

    lime: LimeResult
    one_pass: OnePassResult

    def relevance(self, target: ExplanationTarget) -> np.ndarray:
        """Return the relevance (frames, bands), in LIME's log-odds: the same in all bands."""
        if not target.covered.any():
            return np.zeros_like(self.lime.relevance(target))
        lime_map, one_pass_map = self.lime.relevance(target), self.one_pass.relevance(target)
        lime_spread, one_pass_spread = (map_[target.covered].std() for map_ in (lime_map, one_pass_map))
        scaled = one_pass_map * (lime_spread / max(one_pass_spread, 1e-12))
        return ((lime_map + scaled) / 2).astype(np.float32)

    def stability(self, target: ExplanationTarget) -> float | None:
        """Return the expected correlation with another seed's map; only the error of LIME is random.

        None if it is not known, or the map is constant.
        """
        if not target.covered.any():
            return None
        errors, variance = self.standard_error(target), self.relevance(target)[target.covered].var()
        if errors is None or variance == 0:
            return None
        return max(0.0, 1 - float(np.square(errors[target.covered]).mean() / variance))

    def standard_error(self, target: ExplanationTarget) -> np.ndarray | None:
        """Return how far each point (frames, bands), float32, differs with another seed; None if unknown."""
        errors = self.lime.standard_error(target)
        return None if errors is None else errors / 2


def time_consensus(
    classifier: Classifier, target: ExplanationTarget, settings: LimeSettings, seed: int, work: Work
) -> TimeConsensusResult:
    """Run LIME over time with these settings, and One pass.

    LIME compares speech with silence, One pass with other speech of the same person.

    Raises
    ------
    SettingsRefused
        If no decoder was fitted for the classifier.
    """
    decoded = one_pass(classifier, target, OnePassSettings(), seed, work.silently())
    return TimeConsensusResult(lime(classifier, target, settings, seed, work), decoded)
