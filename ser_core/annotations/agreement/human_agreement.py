"""Agreement of explainers with people's marks: overlap, pointing game and ROC area, beside loudness and chance.

Recordings are explained again, for the emotion of their marks.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ser_core.analysis import Explanation, Recording, Region, Spectrogram, frame_edge_s
from ser_core.annotations.agreement.bootstrap import Measured, measured_ratio
from ser_core.annotations.agreement.matching import frames_inside, marked_frames, marks_in_time
from ser_core.annotations.annotation import REGION_TIER, AnnotatedRecording, without_gold
from ser_core.errors import AudioRefused
from ser_core.explanation import FOCUS_METHODS, explainers_of, focus_methods_of
from ser_core.explanation.agreement import with_consensus
from ser_core.explanation.focus import focus_regions, relevance_profile
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.model.classifier import Classifier
from ser_core.pipeline import analyse_recording
from ser_core.settings import AnalysisSettings, FocusSettings
from ser_core.work.progress import UNWATCHED, Work

CONSENSUS = "consensus"
COMPARED = (*FOCUS_METHODS, CONSENSUS)
#: A map that is independent of the model: log energy above the recording's mean.
ENERGY = "energy"
MEASURES = ("focus_iou", "box_iou", "pointing", "roc_area")


@dataclass(frozen=True)
class ScoreWithChance:
    """One measure of one map, 0 to 1, and its mean over all circular shifts of the map in time.

    A shift moves frames from the end to the start. So the chance level of the pointing game is the marked share of the
    time, and that of the ROC area is one half.
    """

    value: float
    by_chance: float


@dataclass(frozen=True, eq=False)
class RecordingAgainstMaps:
    """Maps of one recording compared with people's marks.

    Attributes
    ----------
    compared : dict of dict of Compared
        By method, `energy` last, then by measure; `box_iou` only if marks are bounded in frequency. Means over
        annotators. Empty if nothing can be compared.
    reason : str
        Why it is empty.
    """

    compared: dict[str, dict[str, ScoreWithChance]]
    reason: str = ""


@dataclass(frozen=True)
class MeasuredWithChance:
    """The mean of a measure over recordings, and the mean of its chance level."""

    value: Measured
    by_chance: Measured


@dataclass(frozen=True, eq=False)
class ComparedWithExplainers:
    """The recordings of a project compared with explainers.

    Attributes
    ----------
    by_sha256 : dict of RecordingAgainstMaps
    without_sound : int
        Number of recordings with marks in time whose sound is missing, or not accepted by the model.
    """

    by_sha256: dict[str, RecordingAgainstMaps]
    without_sound: int


def compare_with_explainers(
    recordings: Sequence[AnnotatedRecording],
    sound_of: Callable[[str], Recording | None],
    classifier: Classifier,
    methods: Sequence[str],
    work: Work = UNWATCHED,
) -> ComparedWithExplainers:
    """Explain the recordings with marks in time, and compare each map with the marks.

    Parameters
    ----------
    sound_of : callable
        From a recording's SHA-256 to its sound; None if the sound is missing.
    methods : sequence of str
        From `COMPARED`; the consensus is that of all maps, whichever others are chosen.

    Raises
    ------
    Cancelled
    """
    recordings = [without_gold(recording) for recording in recordings]
    marked = [r for r in recordings if any(mark.tier == REGION_TIER for mark in r.annotations)]
    compared: dict[str, RecordingAgainstMaps] = {}
    for done, recording in enumerate(marked):
        work.check("The comparison was stopped.")
        work.report(done / len(marked), f"Explaining recording {done + 1} of {len(marked)}")
        try:
            sound = sound_of(recording.sha256)
            if sound is not None:
                compared[recording.sha256] = _compare_recording(recording, sound, classifier, methods)
        except AudioRefused:  # counted with the recordings whose sound is missing
            continue
    return ComparedWithExplainers(compared, len(marked) - len(compared))


def _compare_recording(
    recording: AnnotatedRecording, sound: Recording, classifier: Classifier, methods: Sequence[str]
) -> RecordingAgainstMaps:
    """Compare marks with maps of their most frequent emotion or, if the model has none of these, the predicted one."""
    named = Counter(mark.emotion for mark in recording.annotations if mark.tier == REGION_TIER)
    emotion = next((emotion for emotion, _ in named.most_common() if emotion in classifier.emotions), None)
    of_consensus = explainers_of(classifier) if CONSENSUS in methods else ()
    explain = tuple(m for m in focus_methods_of(classifier) if m in methods or m in of_consensus)
    settings = AnalysisSettings(emotion=emotion, explain=explain, focus_by=None)
    analysis = analyse_recording(sound, classifier, settings)
    maps = with_consensus(analysis.explanations)
    wanted = {method: maps[method] for method in methods if method in maps}
    return marks_against_maps(recording, analysis.spectrogram, wanted, settings.focus)


def marks_against_maps(
    recording: AnnotatedRecording,
    spectrogram: Spectrogram,
    explanations: Mapping[str, Explanation],
    settings: FocusSettings,
) -> RecordingAgainstMaps:
    """Compare explanations of one emotion with people's marks of it in time.

    Each annotator is compared separately. Only frames that the explanations cover count. Marks without an emotion
    count; marks of other emotions do not.

    Parameters
    ----------
    explanations : mapping of Explanation
        By method, as in `Analysis`; all have the same target.
    settings : FocusSettings
        For the profile and the focus of a map.
    """
    if not explanations:
        return RecordingAgainstMaps({}, "Nothing was explained.")
    first = next(iter(explanations.values()))
    covered, times_s = first.covered, spectrogram.frame_times_s
    if not covered.any():
        return RecordingAgainstMaps({}, "The explanations cover no frame.")
    maps = {method: explanation.relevance for method, explanation in explanations.items()}
    maps[ENERGY] = spectrogram.log_mel - spectrogram.log_mel[covered].mean()
    by_annotator, reason = [], f"Nobody marked where it sounds {first.emotion}."
    for annotator in sorted({mark.annotator for mark in recording.annotations}):
        regions = [m.region for m in marks_in_time(recording, annotator) if m.emotion in (None, first.emotion)]
        if 0 < marked_frames(regions, times_s)[covered].mean() < 1:
            by_annotator.append({m: _scores(map_, covered, regions, spectrogram, settings) for m, map_ in maps.items()})
        elif regions:
            reason = "The marks cover all, or nothing, of what was explained."
    if not by_annotator:
        return RecordingAgainstMaps({}, reason)
    return RecordingAgainstMaps({method: _mean([each[method] for each in by_annotator]) for method in maps})


def people_against_maps(
    recordings: Sequence[RecordingAgainstMaps],
) -> dict[str, dict[str, MeasuredWithChance]]:
    """Return the means over the recordings of a project: by method, `energy` last, then by each of `MEASURES`."""
    methods = dict.fromkeys(method for recording in recordings for method in recording.compared)
    methods = [*(method for method in methods if method != ENERGY), ENERGY]
    pooled: dict[str, dict[str, MeasuredWithChance]] = defaultdict(dict)
    for method in methods:
        for measure in MEASURES:
            found = [
                recording.compared[method][measure]
                for recording in recordings
                if measure in recording.compared.get(method, {})
            ]
            pooled[method][measure] = MeasuredWithChance(
                _over_recordings([each.value for each in found], measure),
                _over_recordings([each.by_chance for each in found], measure),
            )
    return dict(pooled)


def _over_recordings(values: Sequence[float], measure: str) -> Measured:
    tallies = np.array([(value, 1.0) for value in values])
    nothing = "No recording has both marks and maps of the same emotion."
    if measure == "box_iou":
        nothing = "No recording has both maps and marks with frequencies of the same emotion."
    return measured_ratio(tallies, nothing=nothing, undefined=nothing)


def _mean(found: Sequence[dict[str, ScoreWithChance]]) -> dict[str, ScoreWithChance]:
    means = {}
    for measure in MEASURES:
        scores = [each[measure] for each in found if measure in each]
        if scores:
            means[measure] = ScoreWithChance(*np.mean([(c.value, c.by_chance) for c in scores], axis=0).tolist())
    return means


# --- the measures ---


def _scores(
    map_: np.ndarray,
    covered: np.ndarray,
    regions: Sequence[Region],
    spectrogram: Spectrogram,
    settings: FocusSettings,
) -> dict[str, ScoreWithChance]:
    frames, times_s = spectrogram.settings, spectrogram.frame_times_s
    profile = relevance_profile(map_, covered, round(settings.smoothing_s / frames.frame_hop_s))
    end_s = frame_edge_s(len(profile), frames)
    found = focus_regions(profile, covered, spectrogram.log_mel, end_s, settings, frames)
    focus = marked_frames([focus.region for focus in found], times_s)[covered]
    profile, inside = profile[covered], marked_frames(regions, times_s)[covered]
    compared = {
        "focus_iou": overlap(focus[:, None], inside[:, None]),
        "pointing": ScoreWithChance(pointing(profile, inside), float(inside.mean())),
        "roc_area": ScoreWithChance(roc_area(profile, inside), 0.5),
    }
    boxes = _points_in_boxes(regions, spectrogram)[covered]
    if boxes.any() and (boxes != inside[:, None]).any():
        compared["box_iou"] = overlap(strongest(map_[covered], int(boxes.sum())), boxes)
    return compared


def _points_in_boxes(regions: Sequence[Region], spectrogram: Spectrogram) -> np.ndarray:
    """Return the points whose middles lie in a region, shape (frames, bands); without limits it has all bands."""
    bands_hz = band_centres_hz(spectrogram.settings)
    points = np.zeros(spectrogram.log_mel.shape, bool)
    for region in regions:
        low_hz = 0.0 if region.low_hz is None else region.low_hz
        high_hz = np.inf if region.high_hz is None else region.high_hz
        points[frames_inside(region, spectrogram.frame_times_s)] |= (bands_hz >= low_hz) & (bands_hz <= high_hz)
    return points


def overlap(one: np.ndarray, other: np.ndarray) -> ScoreWithChance:
    """Return the intersection over union of two sets of points.

    Parameters
    ----------
    one : ndarray of shape (frames, bands), bool or float64
        If float, the share of each point that belongs to the set, 0 to 1.
    other : ndarray of shape (frames, bands), bool
        Not empty.
    """
    both = one.sum() + other.sum()
    # Circular correlation: the intersection for each shift of the first set.
    spectra = np.fft.rfft(one, axis=0), np.fft.rfft(other, axis=0)
    shared = np.fft.irfft((spectra[0].conj() * spectra[1]).sum(axis=1), len(one))
    unmoved = (one * other).sum()
    return ScoreWithChance(float(unmoved / (both - unmoved)), float((shared / (both - shared)).mean()))


def strongest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the `count` highest values (frames, bands) as a set of points, float64; ties share the remaining count."""
    edge = np.partition(values.ravel(), -count)[-count]
    above, level = values > edge, values == edge
    return above + level * ((count - above.sum()) / level.sum())


def pointing(profile: np.ndarray, marked: np.ndarray) -> float:
    """Return 1 if the highest frame of a profile (frames,) is marked (frames,), else 0; the mean over ties.

    References
    ----------
    Zhang et al. 2018, arXiv:1608.00507, there for images.
    """
    return float(marked[profile == profile.max()].mean())


def roc_area(profile: np.ndarray, marked: np.ndarray) -> float:
    """Return the share of pairs in which a marked frame is higher than an unmarked one; ties count half.

    There must be frames of both kinds.
    """
    inside = int(marked.sum())
    above = rankdata(profile)[marked].sum() - inside * (inside + 1) / 2
    return float(above / (inside * (len(marked) - inside)))
