"""Marks of two people in time: the frames that they cover, and the pairs that match."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import REGION_TIER, AnnotatedRecording, Annotation

#: Length of the frames in which annotators are compared, the hop of a spectrogram.
FRAME_S = 0.01
#: Intersection over union in time from which two regions match.
MIN_OVERLAP = 0.5
#: The largest distance of two points that match, as usual for boundaries of phones.
POINT_TOLERANCE_S = 0.02


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


def match_pairs(one: Sequence[Region], other: Sequence[Region]) -> list[tuple[int, int]]:
    """Return the indices of matching regions or points: each in at most one pair, and as many pairs as possible.

    Of several such solutions, the one with most overlap, or the smallest distances, is taken.
    """
    if not one or not other:
        return []
    if isinstance(one[0], Point):
        closeness = 1 - distance_s(one, other) / POINT_TOLERANCE_S
        same = closeness >= -1e-9
    else:
        closeness = overlap_in_time(one, other)
        same = closeness >= MIN_OVERLAP - 1e-9
    # All overlaps together weigh less than one more pair.
    worth = same * (1 + closeness / (1 + min(closeness.shape)))
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if same[i, j]]


def distance_s(one: Sequence[Point], other: Sequence[Point]) -> np.ndarray:
    """Return the distance of every pair of points in seconds, shape (one, other), float64."""
    return np.abs(np.subtract.outer([point.start_s for point in one], [point.start_s for point in other]))


def overlap_in_time(one: Sequence[Region], other: Sequence[Region]) -> np.ndarray:
    """Return the intersection over union in time of every pair, shape (one, other), float64, 0 to 1."""
    start, end = np.array([(region.start_s, region.end_s) for region in one]).T[:, :, None]
    other_start, other_end = np.array([(region.start_s, region.end_s) for region in other]).T[:, None, :]
    shared = np.maximum(0.0, np.minimum(end, other_end) - np.maximum(start, other_start))
    return shared / ((end - start) + (other_end - other_start) - shared)
