"""Whether an explainer looks where people mark: overlap, pointing game and ROC area, beside loudness and chance."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ser_core.analysis import Explanation, Region, Spectrogram, frame_edge_s
from ser_core.annotations.agreement.bootstrap import Measured, measured_ratio
from ser_core.annotations.agreement.marked_time import frames_inside, marked_frames, marks_in_time
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.explanation.focus import focus_regions
from ser_core.explanation.profile import relevance_profile
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.settings import FocusSettings

#: The map that knows nothing of the model: where it is louder than the recording's mean.
ENERGY = "energy"
MEASURES = ("focus_iou", "box_iou", "pointing", "roc_area")


@dataclass(frozen=True)
class Compared:
    """One measure of one map, 0 to 1, and the mean of that measure over the map moved round the recording.

    Moved by each number of frames in turn, what leaves at the end comes in at the start. So the chance of the pointing
    game is the marked share of the time, and that of the ROC area one half.
    """

    value: float
    by_chance: float


@dataclass(frozen=True, eq=False)
class RecordingAgainstMaps:
    """Maps of one recording held against the marks of people.

    Attributes
    ----------
    compared : dict of dict of Compared
        By method, `energy` the last, then by measure; `box_iou` only where marks are bounded in frequency. Means over
        annotators. Empty where nothing can be compared.
    reason : str
        Why it is empty.
    """

    compared: dict[str, dict[str, Compared]]
    reason: str = ""


@dataclass(frozen=True)
class MeasuredBesideChance:
    """The mean of a measure over recordings, and that of its chance."""

    value: Measured
    by_chance: Measured


def marks_against_maps(
    recording: AnnotatedRecording,
    spectrogram: Spectrogram,
    explanations: Mapping[str, Explanation],
    settings: FocusSettings,
) -> RecordingAgainstMaps:
    """Compare the explanations of one question with the marks in time that people made for the same emotion.

    Each annotator is compared alone. Only frames that the explanations cover count; marks of other emotions do not, but
    marks without one do.

    Parameters
    ----------
    explanations : mapping of Explanation
        By method, as in `Analysis`.
    settings : FocusSettings
        How a map becomes a profile and a focus.
    """
    if not explanations:
        return RecordingAgainstMaps({}, "Nothing was explained.")
    asked = next(iter(explanations.values()))
    covered, times_s = asked.covered, spectrogram.frame_times_s
    if not covered.any():
        return RecordingAgainstMaps({}, "The explanations cover no frame.")
    maps = {method: explanation.relevance for method, explanation in explanations.items()}
    maps[ENERGY] = spectrogram.log_mel - spectrogram.log_mel[covered].mean()
    by_annotator, reason = [], f"Nobody marked where it sounds {asked.emotion}."
    for annotator in sorted({mark.annotator for mark in recording.annotations}):
        regions = [m.region for m in marks_in_time(recording, annotator) if m.emotion in (None, asked.emotion)]
        if 0 < marked_frames(regions, times_s)[covered].mean() < 1:
            by_annotator.append(
                {m: _compared(map_, covered, regions, spectrogram, settings) for m, map_ in maps.items()}
            )
        elif regions:
            reason = "The marks hold all, or nothing, of what was explained."
    if not by_annotator:
        return RecordingAgainstMaps({}, reason)
    return RecordingAgainstMaps({method: _mean([each[method] for each in by_annotator]) for method in maps})


def people_against_maps(
    recordings: Sequence[RecordingAgainstMaps],
) -> dict[str, dict[str, MeasuredBesideChance]]:
    """Return the means over the recordings of a project: by method, `energy` the last, then by each of `MEASURES`."""
    methods = dict.fromkeys(method for recording in recordings for method in recording.compared)
    methods = [*(method for method in methods if method != ENERGY), ENERGY]
    pooled: dict[str, dict[str, MeasuredBesideChance]] = defaultdict(dict)
    for method in methods:
        for measure in MEASURES:
            found = [
                recording.compared[method][measure]
                for recording in recordings
                if measure in recording.compared.get(method, {})
            ]
            pooled[method][measure] = MeasuredBesideChance(
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


def _mean(found: Sequence[dict[str, Compared]]) -> dict[str, Compared]:
    means = {}
    for measure in MEASURES:
        here = [each[measure] for each in found if measure in each]
        if here:
            means[measure] = Compared(*np.mean([(c.value, c.by_chance) for c in here], axis=0).tolist())
    return means


def _compared(
    map_: np.ndarray,
    covered: np.ndarray,
    regions: Sequence[Region],
    spectrogram: Spectrogram,
    settings: FocusSettings,
) -> dict[str, Compared]:
    frames, times_s = spectrogram.settings, spectrogram.frame_times_s
    profile = relevance_profile(map_, covered, round(settings.smoothing_s / frames.frame_hop_s))
    found = focus_regions(profile, covered, frame_edge_s(len(profile), frames), settings, frames)
    focus = marked_frames([focus.region for focus in found], times_s)[covered]
    profile, inside = profile[covered], marked_frames(regions, times_s)[covered]
    compared = {
        "focus_iou": overlap(focus[:, None], inside[:, None]),
        "pointing": Compared(pointing(profile, inside), float(inside.mean())),
        "roc_area": Compared(roc_area(profile, inside), 0.5),
    }
    boxes = _points_in_boxes(regions, spectrogram)[covered]
    if boxes.any() and (boxes != inside[:, None]).any():
        compared["box_iou"] = overlap(strongest(map_[covered], int(boxes.sum())), boxes)
    return compared


def _points_in_boxes(regions: Sequence[Region], spectrogram: Spectrogram) -> np.ndarray:
    """Return the points whose middles lie in a region, shape (frames, bands); one without frequencies holds all."""
    bands_hz = band_centres_hz(spectrogram.settings)
    points = np.zeros(spectrogram.log_mel.shape, bool)
    for region in regions:
        low_hz = 0.0 if region.low_hz is None else region.low_hz
        high_hz = np.inf if region.high_hz is None else region.high_hz
        points[frames_inside(region, spectrogram.frame_times_s)] |= (bands_hz >= low_hz) & (bands_hz <= high_hz)
    return points


def overlap(one: np.ndarray, other: np.ndarray) -> Compared:
    """Return the intersection over union of two sets of points.

    Parameters
    ----------
    one : ndarray of shape (frames, bands), bool or float64
        Where float, the part of each point that belongs to the set.
    other : ndarray of shape (frames, bands), bool
        Not empty.
    """
    both = one.sum() + other.sum()
    # Circular correlation: what they share when the one is moved by each number of frames.
    spectra = np.fft.rfft(one, axis=0), np.fft.rfft(other, axis=0)
    shared = np.fft.irfft((spectra[0].conj() * spectra[1]).sum(axis=1), len(one))
    unmoved = (one * other).sum()
    return Compared(float(unmoved / (both - unmoved)), float((shared / (both - shared)).mean()))


def strongest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the highest values (frames, bands) as a set of so many points, float64; equal ones share what is left."""
    edge = np.partition(values.ravel(), -count)[-count]
    above, level = values > edge, values == edge
    return above + level * ((count - above.sum()) / level.sum())


def pointing(profile: np.ndarray, marked: np.ndarray) -> float:
    """Return 1 where the highest frame of a profile (frames,) is marked (frames,), else 0; of equal ones the mean.

    References
    ----------
    Zhang et al. 2018, arXiv:1608.00507, there of pictures.
    """
    return float(marked[profile == profile.max()].mean())


def roc_area(profile: np.ndarray, marked: np.ndarray) -> float:
    """Return how often a marked frame is higher than another, equal ones half; some frames are marked, some not."""
    inside = int(marked.sum())
    above = rankdata(profile)[marked].sum() - inside * (inside + 1) / 2
    return float(above / (inside * (len(marked) - inside)))
