"""The label, speaker and verdict of the recordings on a map, by which their points are grouped."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ser_core.annotations.agreement.label_mapping import emotions_of
from ser_core.annotations.annotation import Tier
from ser_core.annotations.store.transactions.labels import LabelledRecording

NO_LABEL, NO_SPEAKER = "no label", "speaker not known"
PEOPLE_DIFFER = "people differ"
AGREES, DIFFERS, NO_VERDICT = "model agrees", "model differs", "model names no such emotion"


@dataclass(frozen=True)
class Point:
    """The groups of a recording on the map.

    Attributes
    ----------
    label : str
        Its label as a whole, `NO_LABEL`, or `PEOPLE_DIFFER` if no label has the most votes.
    verdict : str
        The model's.
    disagreement : str
        Whether people and the model agree.
    """

    label: str
    speaker: str
    verdict: str
    disagreement: str


def point_of(
    recording: LabelledRecording,
    verdict: str,
    emotions: Sequence[str],
    annotator: str | None,
    tier: Tier | None = None,
) -> Point:
    """Return the groups of a recording.

    Parameters
    ----------
    emotions : sequence of str
        The emotions of the model.
    annotator : str or None
        Whose label counts; None: everybody's.
    tier : Tier, optional
        The tier of the labels; their emotions are compared with the model.
    """
    labels = [label for who, label in recording.main_labels.items() if annotator in (None, who)]
    label = _majority_label(labels)
    named = (label,) if tier is None else emotions_of(tier, label)
    return Point(
        label,
        recording.file.speaker or NO_SPEAKER,
        verdict,
        PEOPLE_DIFFER if len(set(labels)) > 1 else _against_model(label, named, verdict, emotions),
    )


def _majority_label(labels: Sequence[str]) -> str:
    first = Counter(labels).most_common(2)
    if not first:
        return NO_LABEL
    return PEOPLE_DIFFER if len(first) > 1 and first[0][1] == first[1][1] else first[0][0]


def _against_model(label: str, named: Sequence[str], verdict: str, emotions: Sequence[str]) -> str:
    if label == NO_LABEL:
        return NO_LABEL
    if not set(named) & set(emotions) or verdict not in emotions:
        return NO_VERDICT
    return AGREES if verdict in named else DIFFERS
