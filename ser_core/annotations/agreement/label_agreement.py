"""How far annotators give the same labels: Cohen's and Fleiss' kappa, and Krippendorff's alpha."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

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
from ser_core.annotations.agreement.marked_time import frame_middles_s, frames_inside, marks_in_time
from ser_core.annotations.annotation import (
    LEAST_INTENSITY,
    MOST_INTENSITY,
    RECORDING_TIER,
    AnnotatedRecording,
    Annotation,
)
from ser_core.emotions import COLOURS

#: What stands for a moment that an annotator of the recording left free, and for a mark without an emotion.
NO_MARK, NO_EMOTION = "no mark", "no emotion"
MISSING = -1
INTENSITIES = np.arange(LEAST_INTENSITY, MOST_INTENSITY + 1)

ALONE = "Agreement needs two annotators."
ALL_THE_SAME = "Only one label was given, so that chance would agree as well."
NO_INTENSITIES = "No two people gave an intensity of the same."
ALL_AS_STRONG = "Only one intensity was given, so that chance would agree as well."


@dataclass(frozen=True, eq=False)
class LabelAgreement:
    """Agreement over units that can be labelled: whole recordings, or frames of 10 ms.

    Attributes
    ----------
    labels : tuple of str
        In the order of `confusion`.
    confusion : dict of ndarray of shape (labels, labels), int
        Of each pair: how many units the first gave the label of the row and the second that of the column.
    cohen : dict of Measured
        Cohen's kappa of each pair.
    fleiss : Measured
        Fleiss' kappa of the units that everybody labelled who labelled any.
    alpha : Measured
        Krippendorff's nominal alpha of the units that at least two labelled.
    intensity_alpha : Measured
        Krippendorff's interval alpha of the intensities, where at least two gave one.
    """

    labels: tuple[str, ...]
    confusion: dict[tuple[str, str], np.ndarray]
    cohen: dict[tuple[str, str], Measured]
    fleiss: Measured
    alpha: Measured
    intensity_alpha: Measured


@dataclass(frozen=True, eq=False)
class _Given:
    """What annotators said of the units of one recording, as places; -1 where they said nothing.

    Attributes
    ----------
    labels, intensities : ndarray of shape (annotators, units), int
    """

    labels: np.ndarray
    intensities: np.ndarray


def recording_label_agreement(recordings: Sequence[AnnotatedRecording], annotators: tuple[str, ...]) -> LabelAgreement:
    """Compare what annotators call whole recordings."""
    marks = [[m for m in recording.annotations if m.tier == RECORDING_TIER and m.emotion] for recording in recordings]
    labels = _labels([mark for each in marks for mark in each])
    given = []
    for each in marks:
        of_recording = _nothing(len(annotators), 1)
        for mark in each:
            _give(of_recording, annotators.index(mark.annotator), slice(None), mark, labels)
        given.append(of_recording)
    return _agreement(given, annotators, labels, "labelled")


def frame_label_agreement(recordings: Sequence[AnnotatedRecording], annotators: tuple[str, ...]) -> LabelAgreement:
    """Compare what annotators call each moment of recordings.

    Who has no mark in time in a recording took no part in it. Where marks of one person overlap, the one that begins
    last counts.
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
    return _agreement(given, annotators, labels, "marked in time")


def _labels(marks: Sequence[Annotation]) -> tuple[str, ...]:
    """Return the labels that marks have, the emotions that are known first, in their order."""
    found = {mark.emotion or NO_EMOTION for mark in marks}
    return (*(emotion for emotion in COLOURS if emotion in found), *sorted(found - set(COLOURS)))


def _nothing(annotators: int, units: int) -> _Given:
    return _Given(*np.full((2, annotators, units), MISSING))


def _give(given: _Given, who: int, units: slice, mark: Annotation, labels: tuple[str, ...]) -> None:
    given.labels[who, units] = labels.index(mark.emotion or NO_EMOTION)
    given.intensities[who, units] = MISSING if mark.intensity is None else mark.intensity - LEAST_INTENSITY


def _agreement(
    given: Sequence[_Given], annotators: tuple[str, ...], labels: tuple[str, ...], done: str
) -> LabelAgreement:
    confusion = {
        (annotators[i], annotators[j]): [_confusion(each.labels[i], each.labels[j], len(labels)) for each in given]
        for i, j in combinations(range(len(annotators)), 2)
    }
    by_both = {"nothing": f"No recording was {done} by both.", "undefined": ALL_THE_SAME}
    counts = [_counts(each.labels, len(labels)) for each in given]
    everybody = sum(any((each.labels[who] != MISSING).any() for each in given) for who in range(len(annotators)))
    return LabelAgreement(
        labels,
        {pair: np.sum(tables, axis=0) for pair, tables in confusion.items()},
        {pair: measured(_that_add(tables), cohen_kappa, **by_both) for pair, tables in confusion.items()},
        _fleiss(counts, everybody, done),
        _alpha(
            counts,
            nominal_distance(len(labels)),
            nothing=f"No recording was {done} by two people." if everybody > 1 else ALONE,
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


def _counts(places: np.ndarray, labels: int) -> np.ndarray:
    """Return how many annotators gave each label, shape (units, labels)."""
    return (places[..., None] == np.arange(labels)).sum(axis=0)


def _that_add(tallies: Sequence[np.ndarray]) -> np.ndarray:
    """Return the tallies of the recordings that add something."""
    return np.array([tally for tally in tallies if tally.any()])


def _fleiss(counts: Sequence[np.ndarray], annotators: int, done: str) -> Measured:
    if annotators < 2:
        return Measured(None, None, 0, ALONE)
    by_all = [each[each.sum(axis=1) == annotators] for each in counts]
    return measured(
        _that_add([fleiss_tally(each) for each in by_all]),
        lambda sums: fleiss_kappa(sums, annotators),
        nothing=f"No recording was {done} by everybody.",
        undefined=ALL_THE_SAME,
    )


def _alpha(counts: Sequence[np.ndarray], distance: np.ndarray, **reasons: str) -> Measured:
    tallies = _that_add([coincidences(each) for each in counts])
    return measured(tallies, lambda sums: krippendorff_alpha(sums, distance), **reasons)
