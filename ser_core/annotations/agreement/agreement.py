"""How far annotators agree: in their labels of recordings, in their labels of each moment, and in what they mark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ser_core.analysis import Point, Region
from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.agreement.bootstrap import Measured, measured, measured_ratio
from ser_core.annotations.agreement.coefficients import (
    cohen_kappa,
    coincidences,
    fleiss_kappa,
    fleiss_tally,
    interval_distance,
    krippendorff_alpha,
    nominal_distance,
)
from ser_core.annotations.annotation import (
    LEAST_INTENSITY,
    MOST_INTENSITY,
    RECORDING_TIER,
    REGION_TIER,
    AnnotatedRecording,
    Annotation,
    without_gold,
)

#: Length of the frames in which annotators are compared; those of a spectrogram are as long.
FRAME_S = 0.01
#: Intersection over union in time from which two regions match.
LEAST_OVERLAP = 0.5
#: Two points match up to this far apart, as boundaries of phones that two people set are compared.
POINT_TOLERANCE_S = 0.02

#: Labels of a moment that an annotator of the recording did not mark, and of a mark without an emotion.
NO_MARK, NO_EMOTION = "no mark", "no emotion"
MISSING = -1
INTENSITIES = np.arange(LEAST_INTENSITY, MOST_INTENSITY + 1)

# Reasons why a figure has no value.
ALONE = "Agreement needs two annotators."
ALL_THE_SAME = "Only one label was given, so chance would agree as well."
NO_INTENSITIES = "No two people rated the intensity of the same item."
ALL_AS_STRONG = "Only one intensity was given, so chance would agree as well."
NONE_MATCHED = "No two regions overlap enough to match."
NO_EMOTIONS = "No two regions that match both have an emotion."
TOO_SHORT = "All marks are shorter than a frame of 10 ms."
#: Said where too few annotators labelled the same.
NOT_LABELLED = {
    "both": "No recording was labelled by both.",
    "two": "No recording was labelled by two people.",
    "everybody": "No recording was labelled by everybody.",
}
NOT_MARKED = {
    "both": "No recording was marked in time by both.",
    "two": "No recording was marked in time by two people.",
    "everybody": "No recording was marked in time by everybody.",
}


@dataclass(frozen=True, eq=False)
class LabelAgreement:
    """Agreement over units that are labelled: whole recordings, or frames of 10 ms.

    Attributes
    ----------
    labels : tuple of str
        In the order of `confusion`.
    confusion : dict of ndarray of shape (labels, labels), int
    For each pair, the number of units to which the first gave the label of the row and the second that of the column.
    cohen : dict of Measured
        Cohen's kappa of each pair.
    fleiss : Measured
        Fleiss' kappa over units labelled by everybody who labelled any.
    alpha : Measured
        Krippendorff's nominal alpha over units labelled by at least two.
    intensity_alpha : Measured
        Krippendorff's interval alpha over units to which at least two gave an intensity.
    """

    labels: tuple[str, ...]
    confusion: dict[tuple[str, str], np.ndarray]
    cohen: dict[tuple[str, str], Measured]
    fleiss: Measured
    alpha: Measured
    intensity_alpha: Measured


@dataclass(frozen=True)
class RegionAgreement:
    """Agreement of two annotators on what they mark, over the recordings that both marked.

    Attributes
    ----------
    detection_f1 : Measured
        F1 of regions, which match from an intersection over union of 0.5 in time, or of points, up to 20 ms apart.
    time_f1 : Measured
        F1 of marked frames of 10 ms.
    start_error_ms, end_error_ms : Measured
        Mean absolute distance between the edges of matching regions.
    same_emotion : Measured
        Share of matching regions to which both gave the same emotion.
    """

    detection_f1: Measured
    time_f1: Measured
    start_error_ms: Measured
    end_error_ms: Measured
    same_emotion: Measured


@dataclass(frozen=True, eq=False)
class AnnotatorAgreement:
    """How far annotators agree.

    Attributes
    ----------
    annotators : tuple of str
        By name; every pair is in this order.
    recordings, frames : LabelAgreement
        On labels of whole recordings, and of frames of 10 ms.
    regions : dict of RegionAgreement
        For each pair.
    """

    annotators: tuple[str, ...]
    recordings: LabelAgreement
    frames: LabelAgreement
    regions: dict[tuple[str, str], RegionAgreement]


def annotator_agreement(recordings: Sequence[AnnotatedRecording]) -> AnnotatorAgreement:
    """Compare all annotators of a project, or of one recording.

    Parameters
    ----------
    recordings : sequence of AnnotatedRecording
        Each recording once, with everybody's marks. Marks of every status count; those of the gold layer do not.
    """
    recordings = [without_gold(recording) for recording in recordings]
    annotators = tuple(sorted({mark.annotator for recording in recordings for mark in recording.annotations}))
    return AnnotatorAgreement(
        annotators,
        recording_label_agreement(recordings, annotators),
        frame_label_agreement(recordings, annotators),
        {(one, other): region_agreement(recordings, one, other) for one, other in combinations(annotators, 2)},
    )


def disagreement(recording: AnnotatedRecording) -> float | None:
    """Return how far the annotators of one recording disagree: 0 if they all agree, 1 if nobody agrees with anybody.

    It is the mean over pairs of annotators of whether their labels of the whole recording differ, and of the share of
    the time marked by either in which they did not give the same emotion. Of points it is the share of those set by
    either, matching ones counted once, that do not match with the same emotion. Unlike kappa it needs no second
    recording.

    Returns
    -------
    disagreement : float or None
        None if no two annotators made marks of the same kind.
    """
    recording = without_gold(recording)
    annotators = sorted({mark.annotator for mark in recording.annotations})
    labels = {m.annotator: m.emotion for m in recording.annotations if m.tier == RECORDING_TIER and m.emotion}
    middles_s = frame_middles_s(recording.duration_s)
    marks = {name: found for name in annotators if (found := marks_in_time(recording, name))}
    found = []
    for one, other in combinations(annotators, 2):
        if one in labels and other in labels:
            found.append(float(labels[one] != labels[other]))
        if one in marks and other in marks:
            found += _differing(marks[one], marks[other], middles_s)
    return float(np.mean(found)) if found else None


def _differing(one: list[Annotation], other: list[Annotation], middles_s: np.ndarray) -> list[float]:
    """Return the share of the time, or of the points, that only one marked or both labelled differently."""
    if isinstance(one[0].region, Point):
        pairs = matched([mark.region for mark in one], [mark.region for mark in other])
        same = sum(one[i].emotion == other[j].emotion for i, j in pairs)
        return [1 - same / (len(one) + len(other) - len(pairs))]
    emotions, others = (_emotions(each, middles_s) for each in (one, other))
    by_either = (emotions != NO_MARK) | (others != NO_MARK)
    return [float((emotions != others)[by_either].mean())] if by_either.any() else []


def _emotions(marks: list[Annotation], middles_s: np.ndarray) -> np.ndarray:
    """Return what is marked at each frame, or `NO_MARK`; where marks overlap, the later one counts."""
    emotions = np.full(len(middles_s), NO_MARK, dtype=object)
    for mark in marks:
        emotions[frames_inside(mark.region, middles_s)] = mark.emotion or NO_EMOTION
    return emotions


def in_cell(
    recordings: Sequence[AnnotatedRecording], pair: tuple[str, str], labels: tuple[str, str], *, whole: bool
) -> tuple[AnnotatedRecording, ...]:
    """Return the recordings that a cell of `LabelAgreement.confusion` counts.

    Parameters
    ----------
    pair : tuple of str
        Two annotators.
    labels : tuple of str
        What the first and the second said.
    whole : bool
        Labels of whole recordings; else of frames, and recordings with more of these come first.
    """
    counts = []
    for recording in recordings:
        if whole:
            said = {m.annotator: m.emotion for m in recording.annotations if m.tier == RECORDING_TIER and m.emotion}
            counts.append(int(tuple(map(said.get, pair)) == labels))
        else:
            marks = [marks_in_time(recording, annotator) for annotator in pair]
            one, other = (_emotions(each, frame_middles_s(recording.duration_s)) for each in marks)
            counts.append(int(((one == labels[0]) & (other == labels[1])).sum()) if all(marks) else 0)
    found = (number for number, count in enumerate(counts) if count)
    return tuple(recordings[number] for number in sorted(found, key=lambda number: (-counts[number], number)))


# --- marks in time ---


def marks_in_time(recording: AnnotatedRecording, annotator: str) -> list[Annotation]:
    """Return an annotator's marks in time, in order of their starts."""
    marks = [mark for mark in recording.annotations if (mark.tier, mark.annotator) == (REGION_TIER, annotator)]
    return sorted(marks, key=lambda mark: (mark.region.start_s, mark.region.end_s))


def frame_middles_s(duration_s: float) -> np.ndarray:
    """Return the middles of a recording's frames in seconds, shape (frames,); there is at least one."""
    return (np.arange(max(1, round(duration_s / FRAME_S))) + 0.5) * FRAME_S


def frames_inside(region: Region, middles_s: np.ndarray) -> slice:
    """Return the frames whose middles (frames,) lie in a region, its end excluded."""
    first, end = np.searchsorted(middles_s, [region.start_s, region.end_s])
    return slice(int(first), int(end))


def marked_frames(regions: Sequence[Region], middles_s: np.ndarray) -> np.ndarray:
    """Return which frames lie in one of the regions, shape (frames,), bool."""
    marked = np.zeros(len(middles_s), bool)
    for region in regions:
        marked[frames_inside(region, middles_s)] = True
    return marked


# --- labels ---


@dataclass(frozen=True, eq=False)
class _Given:
    """What annotators said about the units of one recording, as indices; -1 where they said nothing.

    Attributes
    ----------
    labels, intensities : ndarray of shape (annotators, units), int
    """

    labels: np.ndarray
    intensities: np.ndarray


def recording_label_agreement(recordings: Sequence[AnnotatedRecording], annotators: tuple[str, ...]) -> LabelAgreement:
    """Compare how annotators label whole recordings."""
    marks = [[m for m in recording.annotations if m.tier == RECORDING_TIER and m.emotion] for recording in recordings]
    labels = _labels([mark for each in marks for mark in each])
    given = []
    for each in marks:
        of_recording = _nothing(len(annotators), 1)
        for mark in each:
            _give(of_recording, annotators.index(mark.annotator), slice(None), mark, labels)
        given.append(of_recording)
    return _label_agreement(given, annotators, labels, NOT_LABELLED)


def frame_label_agreement(recordings: Sequence[AnnotatedRecording], annotators: tuple[str, ...]) -> LabelAgreement:
    """Compare how annotators label each moment of recordings.

    An annotator without a mark in time in a recording did not annotate it. Where marks of one person overlap, the one
    that begins last counts.
    """
    marks = [[marks_in_time(recording, annotator) for annotator in annotators] for recording in recordings]
    labels = (*_labels([mark for recording in marks for each in recording for mark in each]), NO_MARK)
    given = []
    for recording, of_annotators in zip(recordings, marks, strict=True):
        middles_s = frame_middles_s(recording.duration_s)
        of_recording = _nothing(len(annotators), len(middles_s))
        for who, each in enumerate(of_annotators):
            of_recording.labels[who] = labels.index(NO_MARK) if each else MISSING
            for mark in each:
                _give(of_recording, who, frames_inside(mark.region, middles_s), mark, labels)
        given.append(of_recording)
    return _label_agreement(given, annotators, labels, NOT_MARKED)


def _labels(marks: Sequence[Annotation]) -> tuple[str, ...]:
    """Return the labels of marks, known emotions first, in their own order."""
    found = {mark.emotion or NO_EMOTION for mark in marks}
    return (*(emotion for emotion in COLOURS if emotion in found), *sorted(found - set(COLOURS)))


def _nothing(annotators: int, units: int) -> _Given:
    return _Given(*np.full((2, annotators, units), MISSING))


def _give(given: _Given, who: int, units: slice, mark: Annotation, labels: tuple[str, ...]) -> None:
    given.labels[who, units] = labels.index(mark.emotion or NO_EMOTION)
    given.intensities[who, units] = MISSING if mark.intensity is None else mark.intensity - LEAST_INTENSITY


def _label_agreement(
    given: Sequence[_Given], annotators: tuple[str, ...], labels: tuple[str, ...], nothing: Mapping[str, str]
) -> LabelAgreement:
    confusion = {
        (annotators[i], annotators[j]): [_confusion(each.labels[i], each.labels[j], len(labels)) for each in given]
        for i, j in combinations(range(len(annotators)), 2)
    }
    by_both = {"nothing": nothing["both"], "undefined": ALL_THE_SAME}
    counts = [_counts(each.labels, len(labels)) for each in given]
    everybody = sum(any((each.labels[who] != MISSING).any() for each in given) for who in range(len(annotators)))
    return LabelAgreement(
        labels,
        {pair: np.sum(tables, axis=0) for pair, tables in confusion.items()},
        {pair: measured(_nonzero(tables), cohen_kappa, **by_both) for pair, tables in confusion.items()},
        _fleiss(counts, everybody, nothing["everybody"]),
        _alpha(
            counts,
            nominal_distance(len(labels)),
            nothing=nothing["two"] if everybody > 1 else ALONE,
            undefined=ALL_THE_SAME,
        ),
        _alpha(
            [_counts(each.intensities, len(INTENSITIES)) for each in given],
            interval_distance(INTENSITIES),
            nothing=NO_INTENSITIES if everybody > 1 else ALONE,
            undefined=ALL_AS_STRONG,
        ),
    )


def _confusion(one: np.ndarray, other: np.ndarray, labels: int) -> np.ndarray:
    both = (one != MISSING) & (other != MISSING)
    return np.bincount(one[both] * labels + other[both], minlength=labels**2).reshape(labels, labels)


def _counts(indices: np.ndarray, labels: int) -> np.ndarray:
    """Return how many annotators gave each label, shape (units, labels)."""
    return (indices[..., None] == np.arange(labels)).sum(axis=0)


def _nonzero(tallies: Sequence[np.ndarray]) -> np.ndarray:
    """Return the tallies of recordings that contribute something."""
    return np.array([tally for tally in tallies if tally.any()])


def _fleiss(counts: Sequence[np.ndarray], annotators: int, nothing: str) -> Measured:
    if annotators < 2:
        return Measured(None, None, 0, ALONE)
    by_all = [each[each.sum(axis=1) == annotators] for each in counts]
    return measured(
        _nonzero([fleiss_tally(each) for each in by_all]),
        lambda sums: fleiss_kappa(sums, annotators),
        nothing=nothing,
        undefined=ALL_THE_SAME,
    )


def _alpha(counts: Sequence[np.ndarray], distance: np.ndarray, **reasons: str) -> Measured:
    tallies = _nonzero([coincidences(each) for each in counts])
    return measured(tallies, lambda sums: krippendorff_alpha(sums, distance), **reasons)


# --- regions ---


def region_agreement(recordings: Sequence[AnnotatedRecording], one: str, other: str) -> RegionAgreement:
    """Compare what two annotators mark, whatever the emotion."""
    tallies = []
    for recording in recordings:
        marks = marks_in_time(recording, one), marks_in_time(recording, other)
        if all(marks):
            tallies.append(_region_tally(*marks, frame_middles_s(recording.duration_s)))
    reasons = (NONE_MATCHED, TOO_SHORT, NONE_MATCHED, NONE_MATCHED, NO_EMOTIONS)
    figures = np.array(tallies).reshape(-1, len(reasons), 2).swapaxes(0, 1)
    nothing = NOT_MARKED["both"]
    return RegionAgreement(
        *(measured_ratio(each, nothing=nothing, undefined=why) for each, why in zip(figures, reasons, strict=True))
    )


def _region_tally(
    one: Sequence[Annotation], other: Sequence[Annotation], middles_s: np.ndarray
) -> list[tuple[float, float]]:
    """Return numerator and denominator of each attribute of `RegionAgreement`."""
    indices = matched([mark.region for mark in one], [mark.region for mark in other])
    same = [(one[i], other[j]) for i, j in indices]
    named = [(a.emotion, b.emotion) for a, b in same if a.emotion and b.emotion]
    time, other_time = (marked_frames([mark.region for mark in marks], middles_s) for marks in (one, other))
    return [
        (2 * len(same), len(one) + len(other)),
        (2 * np.sum(time & other_time), time.sum() + other_time.sum()),
        (1000 * sum(abs(a.region.start_s - b.region.start_s) for a, b in same), len(same)),
        (1000 * sum(abs(a.region.end_s - b.region.end_s) for a, b in same), len(same)),
        (sum(a == b for a, b in named), len(named)),
    ]


def matched(one: Sequence[Region], other: Sequence[Region]) -> list[tuple[int, int]]:
    """Return the indices of matching regions or points: each in at most one pair, and as many pairs as possible.

    Among equally many pairs, those that overlap most, or are closest, are taken.
    """
    if not one or not other:
        return []
    if isinstance(one[0], Point):
        closeness = 1 - distance_s(one, other) / POINT_TOLERANCE_S
        same = closeness >= -1e-9
    else:
        closeness = overlap_in_time(one, other)
        same = closeness >= LEAST_OVERLAP - 1e-9
    # All overlaps together weigh less than one more pair.
    worth = same * (1 + closeness / (1 + min(closeness.shape)))
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if same[i, j]]


def distance_s(one: Sequence[Point], other: Sequence[Point]) -> np.ndarray:
    """Return how far apart every pair of points is in seconds, shape (one, other), float64."""
    return np.abs(np.subtract.outer([point.start_s for point in one], [point.start_s for point in other]))


def overlap_in_time(one: Sequence[Region], other: Sequence[Region]) -> np.ndarray:
    """Return the intersection over union in time of every pair, shape (one, other), float64, 0 to 1."""
    start, end = np.array([(region.start_s, region.end_s) for region in one]).T[:, :, None]
    other_start, other_end = np.array([(region.start_s, region.end_s) for region in other]).T[:, None, :]
    shared = np.maximum(0.0, np.minimum(end, other_end) - np.maximum(start, other_start))
    return shared / ((end - start) + (other_end - other_start) - shared)
