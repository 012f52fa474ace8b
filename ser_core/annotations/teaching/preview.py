"""A preview of the corpus that labels would give: what it contains, what it leaves out, and how to fix that."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from ser_core.annotations.annotation import AnnotatedRecording, Tier
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.teaching.corpus import NO_SOUND
from ser_core.annotations.teaching.pieces import (
    OPEN,
    OVERRULED_BY_GOLD,
    OVERRULED_BY_WHOLE,
    TIED,
    WITHOUT_EMOTION,
    TaughtPiece,
    pieces_of,
)
from ser_core.settings import AudioLimits

SHORTEST_S = AudioLimits().shortest_s
TOO_SHORT = f"shorter than {SHORTEST_S:g} s"
TOO_LONG = "a label of a whole recording of over ten minutes"

REMEDIES = {
    OPEN: "Set them to done (D on Mark).",
    WITHOUT_EMOTION: "Give them an emotion, or delete them.",
    OVERRULED_BY_GOLD: "Nothing: only the decision counts.",
    OVERRULED_BY_WHOLE: "Nothing; or delete the label of the whole recording to teach its regions.",
    TIED: "Decide on Agreement; then only the gold layer counts.",
    NO_SOUND: "Add the same file again; it is recognised by its content.",
    TOO_SHORT: f"Lengthen them to {SHORTEST_S:g} s.",
    TOO_LONG: "Mark stretches of it, and delete the label of the whole.",
}
UNCLEAR = "Map one emotion to it in Tiers, on Mark."
UNKNOWN = "Rename the label, or start from a model that knows it."


@dataclass(frozen=True)
class LeftOut:
    """The labels that a corpus would leave out for one reason.

    Attributes
    ----------
    recordings : tuple of str
        SHA-256.
    labels : int
        Number of marks, or of pieces on which several people's marks agree.
    remedy : str
        How to fix it.
    """

    reason: str
    recordings: tuple[str, ...]
    labels: int
    remedy: str


@dataclass(frozen=True)
class TeachingPreview:
    """A corpus before it is written.

    Attributes
    ----------
    pieces : dict of str to int
        Number of pieces of each emotion.
    recordings, decided, speakers : int
        Numbers of recordings with something to teach, of those with a gold layer, and of their named speakers.
    left_out : tuple of LeftOut
        Those with the most labels first.
    """

    pieces: dict[str, int]
    recordings: int
    decided: int
    speakers: int
    left_out: tuple[LeftOut, ...]


def preview_teaching(
    recordings: Iterable[AnnotatedRecording],
    files: Mapping[str, RecordingFile],
    has_sound: Callable[[RecordingFile], bool],
    emotions: Collection[str],
    model: str,
    tier: Tier | None = None,
) -> TeachingPreview:
    """Return what `write_taught_corpus` would write, and what training of a model would use of it.

    Sound is not read: whether it can be decoded is known only when the corpus is made.

    Parameters
    ----------
    files : mapping of str to RecordingFile
        By SHA-256.
    emotions : collection of str
        Those of the model.
    tier : Tier, optional
        A tier of labels that is taught instead of the marks of emotions.
    """
    pieces: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {}
    taught, decided, speakers = 0, 0, set()
    for recording in recordings:
        file = files.get(recording.sha256)
        found, left_out = pieces_of(recording, tier)
        ours = []
        for piece in found:
            why = _hindrance(piece, file, has_sound, emotions, model)
            (ours if why is None else left_out).append(piece.emotion if why is None else why)
        pieces.update(ours)
        for reason in left_out:
            reasons.setdefault(reason, Counter())[recording.sha256] += 1
        if ours:
            taught += 1
            decided += recording.has_gold and tier is None
            speakers |= {file.speaker} - {None}
    rows = [LeftOut(reason, tuple(counts), counts.total(), remedy_of(reason)) for reason, counts in reasons.items()]
    rows.sort(key=lambda row: (-row.labels, row.reason))
    return TeachingPreview(dict(sorted(pieces.items())), taught, decided, len(speakers), tuple(rows))


def remedy_of(reason: str) -> str:
    """Return how to fix a reason for leaving labels out."""
    return REMEDIES.get(reason) or (UNCLEAR if reason.startswith("the label '") else UNKNOWN)


def _hindrance(
    piece: TaughtPiece,
    file: RecordingFile | None,
    has_sound: Callable[[RecordingFile], bool],
    emotions: Collection[str],
    model: str,
) -> str | None:
    """Return the reason why a piece would be left out, or None."""
    if file is None or not has_sound(file):
        return NO_SOUND
    if piece.emotion not in emotions:
        return f"{model} does not know the emotion '{piece.emotion}'"
    if piece.region is None:
        return TOO_LONG if file.is_long else None
    return TOO_SHORT if piece.region.duration_s < SHORTEST_S else None
