"""How far people agree: in what they call a recording, in what they call each moment of it, and in where they mark."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ser_core.annotations.agreement.label_agreement import (
    LabelAgreement,
    frame_label_agreement,
    recording_label_agreement,
)
from ser_core.annotations.agreement.region_agreement import RegionAgreement, region_agreement
from ser_core.annotations.annotation import AnnotatedRecording


@dataclass(frozen=True, eq=False)
class AnnotatorAgreement:
    """How far annotators agree.

    Attributes
    ----------
    annotators : tuple of str
        By name; every pair is in this order.
    recordings, frames : LabelAgreement
        In labels of whole recordings, and of frames of 10 ms.
    regions : dict of RegionAgreement
        Of each pair.
    """

    annotators: tuple[str, ...]
    recordings: LabelAgreement
    frames: LabelAgreement
    regions: dict[tuple[str, str], RegionAgreement]


def annotator_agreement(recordings: Sequence[AnnotatedRecording]) -> AnnotatorAgreement:
    """Compare all annotators of a project, or of one recording where only that is given.

    Parameters
    ----------
    recordings : sequence of AnnotatedRecording
        Each recording once, with everybody's marks. Marks of every status count.
    """
    annotators = tuple(sorted({mark.annotator for recording in recordings for mark in recording.annotations}))
    return AnnotatorAgreement(
        annotators,
        recording_label_agreement(recordings, annotators),
        frame_label_agreement(recordings, annotators),
        {(one, other): region_agreement(recordings, one, other) for one, other in combinations(annotators, 2)},
    )
