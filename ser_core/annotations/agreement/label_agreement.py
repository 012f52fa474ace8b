"""Agreement of annotators in labels, of whole recordings and of each moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.agreement.bootstrap import Measured, measured
from ser_core.annotations.agreement.coefficients import (
    cohen_kappa,
    coincidences,
    fleiss_kappa,
    fleiss_tally,
    interval_distance,
    krippendorff_alpha,
    nominal_distance,
)
from ser_core.annotations.agreement.matching import frame_middles_s, frames_inside, marks_in_time
from ser_core.annotations.annotation import (
    MAX_INTENSITY,
    MIN_INTENSITY,
    RECORDING_TIER,
    AnnotatedRecording,
    Annotation,
)

#: The label of a moment without a mark of an annotator who marked others, and that of a mark without an emotion.
NO_MARK, NO_EMOTION = "no mark", "no emotion"
MISSING = -1
INTENSITIES = np.arange(MIN_INTENSITY, MAX_INTENSITY + 1)

# Reasons why a figure has no value.
ALONE = "Agreement needs two annotators."
ALL_THE_SAME = "Only one label was given, so chance would agree as well."
NO_INTENSITIES = "No two people rated the intensity of the same item."
ALL_AS_STRONG = "Only one intensity was given, so chance would agree as well."
#: Reasons if too few annotators labelled the same units.
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
        By pair, the number of units to which the first gave the label of the row and the second that of the column.
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


@dataclass(frozen=True, eq=False)
class _Labelling:
    """The labels and intensities of the units of one recording, as indices; -1 for none.

    Attributes
    ----------
    labels, intensities : ndarray of shape (annotators, units), int
    """

    labels: np.ndarray
    intensities: np.ndarray


def recording_label_agreement(recordings: Sequence[AnnotatedRecording], annotators: tuple[str, ...]) -> LabelAgreement:
    """Compare the labels of whole recordings."""
    marks = [[m for m in recording.annotations if m.tier == RECORDING_TIER and m.emotion] for recording in recordings]
    labels = _labels([mark for each in marks for mark in each])
    labellings = []
    for each in marks:
        of_recording = _unlabelled(len(annotators), 1)
        for mark in each:
            _set_label(of_recording, annotators.index(mark.annotator), slice(None), mark, labels)
        labellings.append(of_recording)
    return _label_agreement(labellings, annotators, labels, NOT_LABELLED)


def frame_label_agreement(recordings: Sequence[AnnotatedRecording], annotators: tuple[str, ...]) -> LabelAgreement:
    """Compare the labels of each moment of recordings.

    An annotator without a mark in time in a recording did not annotate it. Where marks of one person overlap, the one
    that begins last counts.
    """
    marks = [[marks_in_time(recording, annotator) for annotator in annotators] for recording in recordings]
    labels = (*_labels([mark for recording in marks for each in recording for mark in each]), NO_MARK)
    labellings = []
    for recording, of_annotators in zip(recordings, marks, strict=True):
        middles_s = frame_middles_s(recording.duration_s)
        of_recording = _unlabelled(len(annotators), len(middles_s))
        for annotator, each in enumerate(of_annotators):
            of_recording.labels[annotator] = labels.index(NO_MARK) if each else MISSING
            for mark in each:
                _set_label(of_recording, annotator, frames_inside(mark.region, middles_s), mark, labels)
        labellings.append(of_recording)
    return _label_agreement(labellings, annotators, labels, NOT_MARKED)


def _labels(marks: Sequence[Annotation]) -> tuple[str, ...]:
    """Return the labels of marks: known emotions in their order, then the others by name."""
    found = {mark.emotion or NO_EMOTION for mark in marks}
    return (*(emotion for emotion in COLOURS if emotion in found), *sorted(found - set(COLOURS)))


def _unlabelled(annotators: int, units: int) -> _Labelling:
    return _Labelling(*np.full((2, annotators, units), MISSING))


def _set_label(labelling: _Labelling, annotator: int, units: slice, mark: Annotation, labels: tuple[str, ...]) -> None:
    labelling.labels[annotator, units] = labels.index(mark.emotion or NO_EMOTION)
    labelling.intensities[annotator, units] = MISSING if mark.intensity is None else mark.intensity - MIN_INTENSITY


def _label_agreement(
    labellings: Sequence[_Labelling], annotators: tuple[str, ...], labels: tuple[str, ...], reasons: Mapping[str, str]
) -> LabelAgreement:
    confusion = {
        (annotators[i], annotators[j]): [_confusion(each.labels[i], each.labels[j], len(labels)) for each in labellings]
        for i, j in combinations(range(len(annotators)), 2)
    }
    by_both = {"nothing": reasons["both"], "undefined": ALL_THE_SAME}
    counts = [_counts(each.labels, len(labels)) for each in labellings]
    # Only those who labelled anything.
    everybody = sum(
        any((each.labels[annotator] != MISSING).any() for each in labellings) for annotator in range(len(annotators))
    )
    return LabelAgreement(
        labels,
        {pair: np.sum(tables, axis=0) for pair, tables in confusion.items()},
        {pair: measured(_nonzero(tables), cohen_kappa, **by_both) for pair, tables in confusion.items()},
        _fleiss(counts, everybody, reasons["everybody"]),
        _alpha(
            counts,
            nominal_distance(len(labels)),
            nothing=reasons["two"] if everybody > 1 else ALONE,
            undefined=ALL_THE_SAME,
        ),
        _alpha(
            [_counts(each.intensities, len(INTENSITIES)) for each in labellings],
            interval_distance(INTENSITIES),
            nothing=NO_INTENSITIES if everybody > 1 else ALONE,
            undefined=ALL_AS_STRONG,
        ),
    )


def _confusion(one: np.ndarray, other: np.ndarray, labels: int) -> np.ndarray:
    both = (one != MISSING) & (other != MISSING)
    return np.bincount(one[both] * labels + other[both], minlength=labels**2).reshape(labels, labels)


def _counts(indices: np.ndarray, labels: int) -> np.ndarray:
    """Return the number of annotators who gave each label, shape (units, labels)."""
    return (indices[..., None] == np.arange(labels)).sum(axis=0)


def _nonzero(tallies: Sequence[np.ndarray]) -> np.ndarray:
    """Return the tallies of the recordings that contribute to a figure."""
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
