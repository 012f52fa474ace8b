"""The mapping of emotions to the labels of a tier, for suggestions, teaching and comparisons.

A person chooses a label for each emotion. Without a choice, it is the label that names the emotion, in any case and in
several languages.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ser_core.analysis.emotions import COLOURS, known_emotion
from ser_core.annotations.annotation import (
    RECORDING_TIER,
    REGION_TIER,
    STATUSES,
    AnnotatedRecording,
    Annotation,
    Tier,
)


def can_be_mapped(tier: Tier) -> bool:
    """Whether emotions can be mapped to the labels of a tier."""
    return tier.content == "labels" and tier.kind == "intervals"


def label_of(tier: Tier, emotion: str) -> str | None:
    """Return the label of an emotion in a tier: the chosen one or, if none is, the first that names the emotion.

    >>> mood = Tier("mood", "mood", content="labels", labels=("calm", "Ärger", "tense"), mapping=(("calm", ""),))
    >>> [label_of(mood, emotion) for emotion in ("angry", "calm", "sad")]
    ['Ärger', None, None]
    """
    chosen = dict(tier.mapping).get(emotion)
    if chosen == "":
        return None
    return chosen if chosen in tier.labels else _by_name(tier, emotion)


def _by_name(tier: Tier, emotion: str) -> str | None:
    return next((label for label in tier.labels if known_emotion(label) == emotion), None)


def emotions_of(tier: Tier, label: str) -> tuple[str, ...]:
    """Return the emotions of a label in a tier: those mapped to it or, if none is, the one that it names.

    >>> mood = Tier("mood", "mood", content="labels", labels=("high", "Wut", "ok"), mapping=(("happy", "high"),))
    >>> [emotions_of(mood, label) for label in ("high", "Wut", "ok")]
    [('happy',), ('angry',), ()]
    """
    mapped = tuple(emotion for emotion in COLOURS if label_of(tier, emotion) == label)
    named = known_emotion(label)
    return mapped or (() if named is None or dict(tier.mapping).get(named) == "" else (named,))


def with_choice(tier: Tier, chosen: dict[str, str | None]) -> Tier:
    """Return a tier with a label, or None, chosen for emotions; choices that equal the default are not stored.

    >>> mood = Tier("mood", "mood", content="labels", labels=("sad", "high"))
    >>> with_choice(mood, {"angry": "high", "sad": "sad", "happy": None, "neutral": None}).mapping
    (('angry', 'high'),)
    """
    mapping = dict(tier.mapping)
    for emotion, label in chosen.items():
        mapping.pop(emotion, None)
        if label != _by_name(tier, emotion):
            mapping[emotion] = label or ""
    return replace(tier, mapping=tuple(mapping.items()))


def only_named_emotions(recordings: Sequence[AnnotatedRecording], tier: Tier) -> list[AnnotatedRecording]:
    """Return recordings of `as_emotions` with labels replaced by their emotion, or "" if they have none or several."""

    def emotion_of(mark: Annotation) -> str | None:
        emotions = emotions_of(tier, mark.emotion) if mark.emotion else ()
        return emotions[0] if len(emotions) == 1 else mark.emotion and ""

    return [
        replace(each, annotations=tuple(replace(mark, emotion=emotion_of(mark)) for mark in each.annotations))
        for each in recordings
    ]


def as_emotions(recording: AnnotatedRecording, tier: Tier, name: Callable[[str], str | None]) -> AnnotatedRecording:
    """Return a recording with the marks of a tier of labels as its only marks, those of emotions.

    Their annotator does not set labels of such a tier to done one by one: they are done if the recording is.

    Parameters
    ----------
    name : callable
        From a label to the emotion of its mark; None for no emotion.
    """
    done = {mark.annotator: mark.status for mark in recording.annotations if mark.tier == RECORDING_TIER}

    def of_label(mark: Annotation) -> Annotation:
        status = max(mark.status, done.get(mark.annotator, mark.status), key=STATUSES.index)
        return replace(mark, tier=REGION_TIER, emotion=name(mark.note), note="", status=status)

    found = (of_label(mark) for mark in recording.annotations if mark.tier == tier.key)
    return replace(recording, annotations=tuple(found))
