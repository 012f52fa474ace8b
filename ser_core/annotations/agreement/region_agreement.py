"""How far two annotators mark the same stretches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ser_core.analysis import Region
from ser_core.annotations.agreement.bootstrap import Measured, measured_ratio
from ser_core.annotations.agreement.marked_time import frame_middles_s, marked_frames, marks_in_time
from ser_core.annotations.annotation import AnnotatedRecording, Annotation

#: Intersection over union in time from which two regions are taken for the same.
LEAST_OVERLAP = 0.5

NOTHING = "No recording was marked in time by both."
NONE_MATCHED = "No two regions overlap enough to be taken for the same."
NO_EMOTIONS = "No two regions that are taken for the same have both an emotion."
TOO_SHORT = "All marks are shorter than a frame of 10 ms."


@dataclass(frozen=True)
class RegionAgreement:
    """Agreement of two annotators in where they mark, over the recordings in which both did.

    Attributes
    ----------
    detection_f1 : Measured
        Of regions, of which two are the same from an intersection over union of 0.5 in time.
    time_f1 : Measured
        Of marked frames of 10 ms.
    start_error_ms, end_error_ms : Measured
        How far the edges of regions that are the same lie apart: the mean of the absolute differences.
    same_emotion : Measured
        Share of regions that are the same to which both gave the same emotion.
    """

    detection_f1: Measured
    time_f1: Measured
    start_error_ms: Measured
    end_error_ms: Measured
    same_emotion: Measured


def region_agreement(recordings: Sequence[AnnotatedRecording], one: str, other: str) -> RegionAgreement:
    """Compare where two annotators mark, whatever the emotion."""
    tallies = []
    for recording in recordings:
        marks = marks_in_time(recording, one), marks_in_time(recording, other)
        if all(marks):
            tallies.append(_tally(*marks, frame_middles_s(recording.duration_s)))
    reasons = (NONE_MATCHED, TOO_SHORT, NONE_MATCHED, NONE_MATCHED, NO_EMOTIONS)
    figures = np.array(tallies).reshape(-1, len(reasons), 2).swapaxes(0, 1)
    return RegionAgreement(
        *(measured_ratio(each, nothing=NOTHING, undefined=why) for each, why in zip(figures, reasons, strict=True))
    )


def _tally(one: Sequence[Annotation], other: Sequence[Annotation], middles_s: np.ndarray) -> list[tuple[float, float]]:
    """Return both numbers of the ratio that each attribute of `RegionAgreement` is."""
    places = matched([mark.region for mark in one], [mark.region for mark in other])
    same = [(one[i], other[j]) for i, j in places]
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
    """Return the places of regions that are the same: each in at most one pair, as many pairs as there can be.

    Of equally many pairs those that overlap most are taken.
    """
    if not one or not other:
        return []
    overlap = overlap_in_time(one, other)
    same = overlap >= LEAST_OVERLAP - 1e-9
    # All overlaps together weigh less than one more pair.
    worth = same * (1 + overlap / (1 + min(overlap.shape)))
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if same[i, j]]


def overlap_in_time(one: Sequence[Region], other: Sequence[Region]) -> np.ndarray:
    """Return the intersection over union in time of every pair, shape (one, other), float64, 0 to 1."""
    start, end = np.array([(region.start_s, region.end_s) for region in one]).T[:, :, None]
    other_start, other_end = np.array([(region.start_s, region.end_s) for region in other]).T[:, None, :]
    shared = np.maximum(0.0, np.minimum(end, other_end) - np.maximum(start, other_start))
    return shared / ((end - start) + (other_end - other_start) - shared)
