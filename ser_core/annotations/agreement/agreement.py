"""Agreement of annotators: in labels of whole recordings, in labels of each moment, and in the marked regions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ser_core.analysis import Point
from ser_core.annotations.agreement.bootstrap import Measured, measured_ratio
from ser_core.annotations.agreement.label_agreement import (
    ALL_THE_SAME,
    NO_EMOTION,
    NO_MARK,
    NOT_LABELLED,
    NOT_MARKED,
    LabelAgreement,
    frame_label_agreement,
    recording_label_agreement,
)
from ser_core.annotations.agreement.matching import (
    frame_middles_s,
    frames_inside,
    marked_frames,
    marks_in_time,
    match_pairs,
)
from ser_core.annotations.annotation import GOLD, RECORDING_TIER, AnnotatedRecording, Annotation, without_gold

NONE_MATCHED = "No two regions overlap enough to match."
NO_EMOTIONS = "No two regions that match both have an emotion."
TOO_SHORT = "All marks are shorter than a frame of 10 ms."


@dataclass(frozen=True)
class RegionAgreement:
    """Agreement of two annotators on regions or points, over the recordings that both marked.

    Attributes
    ----------
    detection_f1 : Measured
        F1 of regions, which match if their intersection over union in time is at least 0.5, or of points, which match
        if they are at most 20 ms apart.
    time_f1 : Measured
        F1 of marked frames of 10 ms.
    start_error_ms, end_error_ms : Measured
        Mean absolute distance between the edges of matching regions.
    same_emotion : Measured
        Share of matching regions with the same emotion.
    """

    detection_f1: Measured
    time_f1: Measured
    start_error_ms: Measured
    end_error_ms: Measured
    same_emotion: Measured


@dataclass(frozen=True, eq=False)
class AnnotatorAgreement:
    """Agreement of annotators.

    Attributes
    ----------
    annotators : tuple of str
        In order of names, also within pairs.
    recordings, frames : LabelAgreement
        On labels of whole recordings, and of frames of 10 ms.
    regions : dict of RegionAgreement
        By pair of annotators.
    """

    annotators: tuple[str, ...]
    recordings: LabelAgreement
    frames: LabelAgreement
    regions: dict[tuple[str, str], RegionAgreement]


@dataclass(frozen=True)
class GoldAgreement:
    """Agreement of one annotator with the gold layer, over the recordings that it decides.

    Attributes
    ----------
    recordings : int
        Number of recordings with a gold layer in which the annotator has marks.
    same_label : Measured
        Share of whole recordings with the same emotion.
    kappa : Measured
        Cohen's kappa of the emotions of whole recordings.
    regions : RegionAgreement
    """

    recordings: int
    same_label: Measured
    kappa: Measured
    regions: RegionAgreement


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


def gold_agreement(recordings: Sequence[AnnotatedRecording]) -> dict[str, GoldAgreement]:
    """Compare each annotator with the gold layer, by name; only those who marked a recording that has one.

    Reviewers mostly decide recordings on which annotators disagree. On these everybody is wrong more often.
    """
    recordings = [recording for recording in recordings if recording.has_gold]
    annotators = sorted({mark.annotator for one in recordings for mark in one.annotations} - {GOLD})
    return {annotator: _gold_agreement(recordings, annotator) for annotator in annotators}


def _gold_agreement(recordings: Sequence[AnnotatedRecording], annotator: str) -> GoldAgreement:
    pair = annotator, GOLD
    of_pair = [
        replace(recording, annotations=tuple(mark for mark in recording.annotations if mark.annotator in pair))
        for recording in recordings
        if any(mark.annotator == annotator for mark in recording.annotations)
    ]
    labels = [found for recording in of_pair if len(found := _labels_of_recording(recording)) == len(pair)]
    same = np.array([(float(found[annotator] == found[GOLD]), 1.0) for found in labels])
    return GoldAgreement(
        len(of_pair),
        measured_ratio(same, nothing=NOT_LABELLED["both"], undefined=ALL_THE_SAME),
        recording_label_agreement(of_pair, pair).cohen[pair],
        region_agreement(of_pair, *pair),
    )


def disagreement(recording: AnnotatedRecording) -> float | None:
    """Return the disagreement of the annotators of one recording: 0 if all agree, 1 if nobody agrees with anybody.

    It is the mean over pairs of annotators of two values: whether their labels of the whole recording differ, and the
    share of the time marked by either of them in which they did not give the same emotion. For points, the second value
    is the share of all points, matching ones counted once, that do not match with the same emotion. Unlike kappa it
    needs no second recording.

    Returns
    -------
    disagreement : float or None
        None if no two annotators made marks of the same kind.
    """
    recording = without_gold(recording)
    annotators = sorted({mark.annotator for mark in recording.annotations})
    labels = _labels_of_recording(recording)
    middles_s = frame_middles_s(recording.duration_s)
    marks = {name: found for name in annotators if (found := marks_in_time(recording, name))}
    found = []
    for one, other in combinations(annotators, 2):
        if one in labels and other in labels:
            found.append(float(labels[one] != labels[other]))
        if one in marks and other in marks:
            found += _differing(marks[one], marks[other], middles_s)
    return float(np.mean(found)) if found else None


def _labels_of_recording(recording: AnnotatedRecording) -> dict[str, str]:
    """Return each annotator's emotion of the whole recording."""
    return {
        mark.annotator: mark.emotion for mark in recording.annotations if mark.tier == RECORDING_TIER and mark.emotion
    }


def _differing(one: list[Annotation], other: list[Annotation], middles_s: np.ndarray) -> list[float]:
    """Return, as a list of at most one value, the share of time or points that only one marked or both differ in."""
    if isinstance(one[0].region, Point):
        pairs = match_pairs([mark.region for mark in one], [mark.region for mark in other])
        same = sum(one[i].emotion == other[j].emotion for i, j in pairs)
        return [1 - same / (len(one) + len(other) - len(pairs))]
    emotions, others = (_emotions(each, middles_s) for each in (one, other))
    by_either = (emotions != NO_MARK) | (others != NO_MARK)
    return [float((emotions != others)[by_either].mean())] if by_either.any() else []


def _emotions(marks: list[Annotation], middles_s: np.ndarray) -> np.ndarray:
    """Return the emotion of each frame, or `NO_MARK`; where marks overlap, the later one counts."""
    emotions = np.full(len(middles_s), NO_MARK, dtype=object)
    for mark in marks:
        emotions[frames_inside(mark.region, middles_s)] = mark.emotion or NO_EMOTION
    return emotions


def recordings_in_cell(
    recordings: Sequence[AnnotatedRecording], pair: tuple[str, str], labels: tuple[str, str], *, whole: bool
) -> tuple[AnnotatedRecording, ...]:
    """Return the recordings that are counted in a cell of `LabelAgreement.confusion`.

    Parameters
    ----------
    pair : tuple of str
        Two annotators.
    labels : tuple of str
        The labels by the first and the second.
    whole : bool
        Whether these are labels of whole recordings. Otherwise they are of frames, and the recordings with most of
        these come first.
    """
    counts = []
    for recording in recordings:
        if whole:
            labels_of = _labels_of_recording(recording)
            counts.append(int(tuple(map(labels_of.get, pair)) == labels))
        else:
            marks = [marks_in_time(recording, annotator) for annotator in pair]
            one, other = (_emotions(each, frame_middles_s(recording.duration_s)) for each in marks)
            counts.append(int(((one == labels[0]) & (other == labels[1])).sum()) if all(marks) else 0)
    found = (number for number, count in enumerate(counts) if count)
    return tuple(recordings[number] for number in sorted(found, key=lambda number: (-counts[number], number)))


def region_agreement(recordings: Sequence[AnnotatedRecording], one: str, other: str) -> RegionAgreement:
    """Compare the regions or points of two annotators, of any emotion."""
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
    indices = match_pairs([mark.region for mark in one], [mark.region for mark in other])
    pairs = [(one[i], other[j]) for i, j in indices]
    named = [(a.emotion, b.emotion) for a, b in pairs if a.emotion and b.emotion]
    time, other_time = (marked_frames([mark.region for mark in marks], middles_s) for marks in (one, other))
    return [
        (2 * len(pairs), len(one) + len(other)),
        (2 * np.sum(time & other_time), time.sum() + other_time.sum()),
        (1000 * sum(abs(a.region.start_s - b.region.start_s) for a, b in pairs), len(pairs)),
        (1000 * sum(abs(a.region.end_s - b.region.end_s) for a, b in pairs), len(pairs)),
        (sum(a == b for a, b in named), len(named)),
    ]
