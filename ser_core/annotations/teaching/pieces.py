"""The pieces of recordings that marks teach, each with an emotion, and the reasons why other marks are left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ser_core.analysis import Region
from ser_core.analysis.emotions import COLOURS, SYNONYMS
from ser_core.annotations.agreement.label_mapping import as_emotions, emotions_of
from ser_core.annotations.agreement.matching import match_pairs
from ser_core.annotations.annotation import RECORDING_TIER, REGION_TIER, AnnotatedRecording, Annotation, Tier, is_gold

TAUGHT_STATUSES = ("done", "verified")

# Reasons for leaving a mark out.
OPEN = "a mark that is still open"
WITHOUT_EMOTION = "a mark without an emotion"
OVERRULED_BY_GOLD = "a mark of a recording that the gold layer decides"
OVERRULED_BY_WHOLE = "a region of a recording that is taught as a whole"
TIED = "annotators disagree, and no emotion has the most votes"


@dataclass(frozen=True)
class TaughtPiece:
    """A stretch of a recording and its emotion.

    Attributes
    ----------
    region : Region or None
        None for the whole recording.
    annotators : int
        Number of people who voted.
    """

    region: Region | None
    emotion: str
    annotators: int


def pieces_of(recording: AnnotatedRecording, tier: Tier | None) -> tuple[list[TaughtPiece], list[str]]:
    """Return `pieces_to_teach` of the marks of emotions or, given a tier of labels, of its marks.

    Labels that map to no emotion, or to several, are left out.
    """
    if tier is None:
        return pieces_to_teach(recording.annotations)
    marks = [mark for mark in recording.annotations if mark.tier == tier.key]
    emotions_by_label = {mark.note: emotions_of(tier, mark.note) for mark in marks if mark.note}
    clear = {label: emotions[0] for label, emotions in emotions_by_label.items() if len(emotions) == 1}
    unclear = [mark for mark in marks if mark.note and mark.note not in clear]
    others = tuple(mark for mark in recording.annotations if mark not in unclear)
    found, left_out = pieces_to_teach(as_emotions(replace(recording, annotations=others), tier, clear.get).annotations)
    return found, left_out + [_unclear(mark.note, emotions_by_label[mark.note]) for mark in unclear]


def _unclear(label: str, emotions: Sequence[str]) -> str:
    """Return why a label is left out."""
    if emotions:
        return f"the label '{label}' stands for several emotions ({', '.join(emotions)})"
    return f"the label '{label}' stands for no emotion"


def pieces_to_teach(marks: Sequence[Annotation]) -> tuple[list[TaughtPiece], list[str]]:
    """Return the pieces that the marks of one recording teach, and why others are left out.

    A gold layer replaces everybody's marks. Only marks that are done or verified and have an emotion count. A label of
    the whole recording takes precedence over all regions. Regions of several annotators that overlap enough to match
    are one piece, from the median of their starts to the median of their ends. The emotion with the most votes is
    taught.

    Returns
    -------
    pieces : list of TaughtPiece
        Their emotions are those of `ser_core.analysis.emotions`.
    left_out : list of str
        A reason for each mark or piece that is left out.
    """
    of_emotions = [mark for mark in marks if mark.tier in (REGION_TIER, RECORDING_TIER)]
    gold = [mark for mark in of_emotions if is_gold(mark)]
    counting = gold or of_emotions
    left_out = [OVERRULED_BY_GOLD] * (len(of_emotions) - len(counting))
    done = [mark for mark in counting if mark.status in TAUGHT_STATUSES]
    named = [mark for mark in done if mark.emotion]
    left_out += [OPEN] * (len(counting) - len(done)) + [WITHOUT_EMOTION] * (len(done) - len(named))
    regions = [mark for mark in named if mark.tier == REGION_TIER]
    whole = [mark for mark in named if mark.tier == RECORDING_TIER]
    if whole:
        left_out += [OVERRULED_BY_WHOLE] * len(regions)
        found = [_by_majority(None, whole)]
    else:
        found = [_by_majority(_median([mark.region for mark in same]), same) for same in _matching_groups(regions)]
    pieces = [piece for piece in found if isinstance(piece, TaughtPiece)]
    return pieces, left_out + [reason for reason in found if isinstance(reason, str)]


def _matching_groups(regions: Sequence[Annotation]) -> list[list[Annotation]]:
    """Return groups of marks that match, each with at most one mark of each annotator."""
    groups: list[list[Annotation]] = []
    for annotator in sorted({mark.annotator for mark in regions}):
        own = [mark for mark in regions if mark.annotator == annotator]
        pairs = match_pairs([group[0].region for group in groups], [mark.region for mark in own])
        for group, mark in pairs:
            groups[group].append(own[mark])
        known = {mark for _, mark in pairs}
        groups += [[mark] for index, mark in enumerate(own) if index not in known]
    return sorted(groups, key=lambda group: group[0].region.start_s)


def _median(regions: Sequence[Region]) -> Region:
    start_s, end_s = np.median([(region.start_s, region.end_s) for region in regions], axis=0)
    return Region(float(start_s), float(end_s))


def _by_majority(region: Region | None, marks: Sequence[Annotation]) -> TaughtPiece | str:
    """Return a piece with the emotion that has the most votes, or the reason why it has no emotion."""
    words = {mark.annotator: mark.emotion.strip().lower() for mark in marks}
    votes = Counter(SYNONYMS.get(word, word) for word in words.values()).most_common(2)
    if len(votes) > 1 and votes[0][1] == votes[1][1]:
        return TIED
    emotion = votes[0][0]
    return TaughtPiece(region, emotion, len(words)) if emotion in COLOURS else f"no model knows the emotion '{emotion}'"
