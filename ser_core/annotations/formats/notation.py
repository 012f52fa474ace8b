"""A mark as the text of a label: the name of the emotion, then everything else in brackets.

angry                                       a known emotion, and nothing else
angry [intensity=3; note="so loud"]         more fields; people may also type [intensity=3; note=so loud]
bored [status=open]                         any other emotion is recognised by its brackets
door slams                                  text without this notation is a note
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ser_core.analysis.emotions import COLOURS, known_emotion
from ser_core.annotations.annotation import RECORDING_TIER, REGION_TIER, AnnotatedRecording, Annotation, Tier
from ser_core.annotations.formats.fields import fields_of
from ser_core.annotations.formats.format import lost_of_marks, lost_recording_fields

KNOWN = frozenset(COLOURS)
#: Tiers of these names hold emotions, in any case.
EMOTION_TIERS = {REGION_TIER, RECORDING_TIER, "emotions", "emo", "affect", "emotionen", "감정", "émotion", "emoción"}

#: Fields of a mark with their values if the label does not contain them.
DEFAULTS: dict[str, Any] = {
    "emotion": None,
    "intensity": None,
    "confidence": None,
    "status": "open",
    "low_hz": None,
    "high_hz": None,
    "channel": None,
    "tier": REGION_TIER,
    "annotator": "",
    "note": "",
}

#: Characters that XML or lines of text cannot hold, or that their readers change.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
PAIR = re.compile(r'\s*(\w+)\s*=(\s*"(?:[^"\\]|\\.)*"\s*|[^";\[\]]*)(?:;|\Z)')


def holds_emotions(tier: str) -> bool:
    """Whether the labels of a tier are emotions, by its name; a number behind a repeated name is ignored."""
    return tier.casefold().partition(" #")[0] in EMOTION_TIERS


class Note(str):
    """A text that the file marks as a note, so that it is not read as the name of an emotion."""


def mark_text(
    annotation: Annotation, leave_out: Collection[str] = (), plain: bool = False, default_tier: str = REGION_TIER
) -> str:
    """Return the label of a mark, without characters that a line of text cannot hold.

    Parameters
    ----------
    leave_out : collection of str
        Fields that are stored elsewhere. Times and the time of change are never in the text.
    plain : bool
        Only the emotion or, without one, the note, as other tools expect it.
    default_tier : str
        The tier that a reader assumes if the text names none.
    """
    if plain:
        return UNSAFE.sub(" ", annotation.emotion or annotation.note).strip()
    fields = fields_of(annotation)
    stored = {
        field: fields[field]
        for field, default in (DEFAULTS | {"tier": default_tier}).items()
        if field not in leave_out and fields[field] != default
    }
    plain = stored.get("emotion", stored.get("note", ""))
    # A note that names an emotion would be read as that emotion.
    is_name = "emotion" not in stored and known_emotion(plain) is not None and holds_emotions(annotation.tier)
    if not UNSAFE.search(plain) and mark_fields(plain) == stored and not is_name:
        return plain
    head = stored.get("emotion", "")
    if UNSAFE.search(head) or "[" in head or _emotion(head) != head:
        head = ""
    rest = {field: value for field, value in stored.items() if not (head and field == "emotion")} or {"status": "open"}
    pairs = "; ".join(f"{field}={_value(value)}" for field, value in rest.items())
    return f"{head} [{pairs}]".lstrip()


def label_of(
    mark: Annotation, tier: Tier, leave_out: Collection[str] = (), plain: bool = False, is_declared: bool = True
) -> str:
    """Return the label of a mark in its tier.

    In a declared tier of labels or text, a note that is the name of an emotion needs no brackets, because no label
    there is read as an emotion.
    """
    is_text = is_declared and tier.content != "emotions"
    if is_text and mark.note in KNOWN and mark_text(mark, leave_out) == f"[note={mark.note}]":
        return mark.note
    return mark_text(mark, leave_out, plain)


def lost_by_plain_labels(annotations: Iterable[Annotation], leave_out: Collection[str], plain: bool) -> tuple[str, ...]:
    """Return, in words, the number of marks of which a plain label leaves something out."""
    lost = (mark for mark in annotations if mark_text(mark, leave_out) != mark_text(mark, leave_out, plain))
    return lost_of_marks(lost, "all but the label of {}") if plain else ()


def lost_in_texts(
    recording: AnnotatedRecording, fields: Sequence[str], leave_out: Collection[str] = (), plain: bool = False
) -> tuple[str, ...]:
    """Return, in words, the losses of a file with one text for each mark.

    Parameters
    ----------
    fields : sequence of str
        Lost fields of the recording, for `lost_recording_fields`.
    leave_out, plain
        As for `mark_text`.
    """
    marks = recording.annotations
    return (
        *lost_recording_fields(recording, *fields),
        *lost_of_marks((mark for mark in marks if mark.changed_at), "the time of change of {}"),
        *lost_by_plain_labels(marks, leave_out, plain),
    )


def mark_fields(label: str, tier: str = REGION_TIER) -> dict[str, str]:
    """Return the fields of a label, all as text, for `fields.annotation_of`.

    Parameters
    ----------
    tier : str
        Key of its tier: `angry` is an emotion in every tier, `Angry` only in one named for emotions.
    """
    head, bracket, rest = label.partition("[")
    pairs = _pairs(rest.rstrip()) if bracket else None
    if pairs is not None and not ("emotion" in pairs and head.strip()):
        return pairs | ({"emotion": _emotion(head)} if head.strip() else {})
    label = label.strip()
    if label in KNOWN or (label.casefold() in KNOWN and holds_emotions(tier)):
        return {"emotion": label.casefold()}
    return {"note": label} if label else {}


def _emotion(head: str) -> str:
    head = head.strip()
    return head.casefold() if head.casefold() in KNOWN else head


def _value(value: object) -> str:
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        return value if value.isascii() and value.isalpha() else UNSAFE.sub(escaped, quoted)
    return repr(value).removesuffix(".0")


def _pairs(rest: str) -> dict[str, str] | None:
    """Return the fields between brackets, or None if the text is not a list of fields with values."""
    if not rest.endswith("]"):
        return None
    inside, pairs, start = rest[:-1], {}, 0
    while start < len(inside):
        pair = PAIR.match(inside, start)
        if pair is None or pair[1] not in DEFAULTS or pair[1] in pairs:
            return None
        value = pair[2].strip()
        try:
            text = json.loads(value) if value.startswith('"') else value
            pairs[pair[1]] = Note(text) if pair[1] == "note" else text
        except json.JSONDecodeError:
            return None
        start = pair.end()
    return pairs or None


def escaped(found: re.Match[str]) -> str:
    """Return JSON's escape of a matched character."""
    return f"\\u{ord(found[0]):04x}"
