"""Marks in time, and the frames that lie inside them."""

from collections.abc import Sequence

import numpy as np

from ser_core.analysis import Region
from ser_core.annotations.annotation import REGION_TIER, AnnotatedRecording, Annotation

#: In which people are compared; the frames of a spectrogram are as long.
FRAME_S = 0.01


def marks_in_time(recording: AnnotatedRecording, annotator: str) -> list[Annotation]:
    """Return an annotator's marks in time, in order of their starts."""
    marks = [mark for mark in recording.annotations if (mark.tier, mark.annotator) == (REGION_TIER, annotator)]
    return sorted(marks, key=lambda mark: (mark.region.start_s, mark.region.end_s))


def frame_middles_s(duration_s: float) -> np.ndarray:
    """Return the middles of the frames of a recording in seconds, shape (frames,); there is at least one."""
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
