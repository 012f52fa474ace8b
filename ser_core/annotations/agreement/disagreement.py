"""How far the annotators of one recording disagree, so that a queue can begin with what they have to talk about."""

from itertools import combinations

import numpy as np

from ser_core.annotations.agreement.marked_time import frame_middles_s, frames_inside, marks_in_time
from ser_core.annotations.annotation import RECORDING_TIER, AnnotatedRecording, Annotation


def disagreement(recording: AnnotatedRecording) -> float | None:
    """Return 0 where all say the same, to 1 where nobody agrees with anybody.

    The mean over pairs of annotators: whether their labels of the whole recording differ, and the part of the time that
    either marked to which they did not give the same emotion. Other than kappa it needs no second recording.

    Returns
    -------
    disagreement : float or None
        None where no two annotators said anything of the same kind.
    """
    annotators = sorted({mark.annotator for mark in recording.annotations})
    labels = {m.annotator: m.emotion for m in recording.annotations if m.tier == RECORDING_TIER and m.emotion}
    middles_s = frame_middles_s(recording.duration_s)
    times = {name: _emotions(marks, middles_s) for name in annotators if (marks := marks_in_time(recording, name))}
    found = []
    for one, other in combinations(annotators, 2):
        if one in labels and other in labels:
            found.append(float(labels[one] != labels[other]))
        if one in times and other in times:
            by_either = (times[one] != "") | (times[other] != "")
            if by_either.any():
                found.append(float((times[one] != times[other])[by_either].mean()))
    return float(np.mean(found)) if found else None


def _emotions(marks: list[Annotation], middles_s: np.ndarray) -> np.ndarray:
    """Return what is marked at each frame, "" where nothing is; of marks that overlap the later one counts."""
    emotions = np.full(len(middles_s), "", dtype=object)
    for mark in marks:
        emotions[frames_inside(mark.region, middles_s)] = f"marked {mark.emotion or ''}"
    return emotions
