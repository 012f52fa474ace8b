"""What of a recording's marks can be taught: the whole recording, or stretches of it, by the vote of its annotators."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ser_core.analysis import Region
from ser_core.annotations.agreement.region_agreement import matched
from ser_core.annotations.annotation import RECORDING_TIER, REGION_TIER, Annotation
from ser_core.corpora.manifest import SYNONYMS
from ser_core.emotions import COLOURS

TAUGHT_STATUSES = ("done", "verified")

OPEN = "a mark that is still open"
NAMELESS = "a mark without an emotion"
BESIDE_THE_WHOLE = "a region of a recording that is taught as a whole"
TIED = "annotators disagree, and no emotion has the most votes"


@dataclass(frozen=True)
class TaughtPiece:
    """A stretch that sounds like an emotion.

    Attributes
    ----------
    region : Region or None
        None for the whole recording.
    annotators : int
        How many voted.
    """

    region: Region | None
    emotion: str
    annotators: int


def pieces_to_teach(marks: Sequence[Annotation]) -> tuple[list[TaughtPiece], list[str]]:
    """Return what the marks of one recording teach, and why the rest is left out.

    Marks count that are done or verified and have an emotion. A label of the whole recording comes before all regions.
    Regions of several annotators that overlap enough to be the same are one piece, from the median of their starts to
    that of their ends. Of each piece the emotion with the most votes is taught.

    Returns
    -------
    pieces : list of TaughtPiece
        Their emotions are those of `ser_core.emotions`.
    left_out : list of str
        A reason for each mark, or piece, that is left out.
    """
    ours = [mark for mark in marks if mark.tier in (REGION_TIER, RECORDING_TIER)]
    done = [mark for mark in ours if mark.status in TAUGHT_STATUSES]
    named = [mark for mark in done if mark.emotion]
    left_out = [OPEN] * (len(ours) - len(done)) + [NAMELESS] * (len(done) - len(named))
    regions = [mark for mark in named if mark.tier == REGION_TIER]
    whole = [mark for mark in named if mark.tier == RECORDING_TIER]
    if whole:
        left_out += [BESIDE_THE_WHOLE] * len(regions)
        found = [_elected(None, whole)]
    else:
        found = [_elected(_median([mark.region for mark in same]), same) for same in _same_stretches(regions)]
    pieces = [piece for piece in found if isinstance(piece, TaughtPiece)]
    return pieces, left_out + [reason for reason in found if isinstance(reason, str)]


def _same_stretches(regions: Sequence[Annotation]) -> list[list[Annotation]]:
    """Return marks by stretch, of each annotator at most one."""
    stretches: list[list[Annotation]] = []
    for annotator in sorted({mark.annotator for mark in regions}):
        own = [mark for mark in regions if mark.annotator == annotator]
        pairs = matched([same[0].region for same in stretches], [mark.region for mark in own])
        for stretch, mark in pairs:
            stretches[stretch].append(own[mark])
        known = {mark for _, mark in pairs}
        stretches += [[mark] for place, mark in enumerate(own) if place not in known]
    return sorted(stretches, key=lambda same: same[0].region.start_s)


def _median(regions: Sequence[Region]) -> Region:
    start_s, end_s = np.median([(region.start_s, region.end_s) for region in regions], axis=0)
    return Region(float(start_s), float(end_s))


def _elected(region: Region | None, marks: Sequence[Annotation]) -> TaughtPiece | str:
    """Return a piece with the emotion that most annotators gave, or the reason why there is none."""
    words = {mark.annotator: mark.emotion.strip().lower() for mark in marks}
    votes = Counter(SYNONYMS.get(word, word) for word in words.values()).most_common(2)
    if len(votes) > 1 and votes[0][1] == votes[1][1]:
        return TIED
    emotion = votes[0][0]
    return TaughtPiece(region, emotion, len(words)) if emotion in COLOURS else f"no model knows the emotion '{emotion}'"
