"""What a corpus of the labels would contain and leave out, and how to fix that: found beforehand, without sound."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from ser_core.annotations.annotation import AnnotatedRecording, Tier
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.teaching.corpus import NO_SOUND
from ser_core.annotations.teaching.pieces import (
    BESIDE_GOLD,
    BESIDE_THE_WHOLE,
    NAMELESS,
    OPEN,
    TIED,
    TaughtPiece,
    pieces_of,
)
from ser_core.settings import AudioLimits

SHORTEST_S = AudioLimits().shortest_s
TOO_SHORT = f"shorter than {SHORTEST_S:g} s"
TOO_LONG = "a label of a whole recording of over ten minutes"

REMEDIES = {
    OPEN: "Set them to done (D on Mark).",
    NAMELESS: "Give them an emotion, or delete them.",
    BESIDE_GOLD: "Nothing: only the decision counts.",
    BESIDE_THE_WHOLE: "Nothing; or delete the label of the whole recording to teach its regions.",
    TIED: "Decide on Agreement; then only the gold layer counts.",
    NO_SOUND: "Add the same file again; it is recognised by its content.",
    TOO_SHORT: f"Lengthen them to {SHORTEST_S:g} s.",
    TOO_LONG: "Mark stretches of it, and delete the label of the whole.",
}
UNCLEAR = "Map one emotion to it in Tiers, on Mark."
UNKNOWN = "Rename the label, or start from a model that knows it."


@dataclass(frozen=True)
class LeftOut:
    """What a corpus would leave out for one reason.

    Attributes
    ----------
    recordings : tuple of str
        SHA-256.
    labels : int
        Marks, or pieces that several people's marks make.
    remedy : str
        What to do about it.
    """

    reason: str
    recordings: tuple[str, ...]
    labels: int
    remedy: str


@dataclass(frozen=True)
class Foreseen:
    """What a corpus would be.

    Attributes
    ----------
    pieces : dict of str to int
        Number of each emotion.
    recordings, decided, speakers : int
        Recordings with something to teach; those in which the gold layer counts; named speakers in them.
    left_out : tuple of LeftOut
        The most labels first.
    """

    pieces: dict[str, int]
    recordings: int
    decided: int
    speakers: int
    left_out: tuple[LeftOut, ...]


def foresee(
    recordings: Iterable[AnnotatedRecording],
    files: Mapping[str, RecordingFile],
    has_sound: Callable[[RecordingFile], bool],
    emotions: Collection[str],
    model: str,
    tier: Tier | None = None,
) -> Foreseen:
    """Say what `write_teaching` would write and a training of a model would take.

    Sound that is there is not read: whether it can be decoded shows only when the corpus is made.

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
    return Foreseen(dict(sorted(pieces.items())), taught, decided, len(speakers), tuple(rows))


def remedy_of(reason: str) -> str:
    """Return what to do about what is left out for a reason."""
    return REMEDIES.get(reason) or (UNCLEAR if reason.startswith("the label '") else UNKNOWN)


def _hindrance(
    piece: TaughtPiece,
    file: RecordingFile | None,
    has_sound: Callable[[RecordingFile], bool],
    emotions: Collection[str],
    model: str,
) -> str | None:
    """Return why a piece would not be learnt, or None."""
    if file is None or not has_sound(file):
        return NO_SOUND
    if piece.emotion not in emotions:
        return f"{model} does not know the emotion '{piece.emotion}'"
    if piece.region is None:
        return TOO_LONG if file.is_long else None
    return TOO_SHORT if piece.region.duration_s < SHORTEST_S else None
