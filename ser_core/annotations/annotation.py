"""Marks of people in recordings, tiers, recordings with their marks, and the gate that decides if a mark is valid."""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ser_core.analysis import Point, Region
from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.f0.corrections import CorrectedF0
from ser_core.errors import AnnotationsRefused

STATUSES = ("open", "done", "verified")
MIN_INTENSITY, MAX_INTENSITY = 1, 5
#: Files use the number 1 both for the first channel and for all channels, so only higher numbers are stored.
SECOND_CHANNEL, LAST_CHANNEL = 2, 999

#: The tier of marks in time, and the tier whose single mark labels the whole recording.
REGION_TIER, RECORDING_TIER = "emotion", "recording"

#: The annotator of the gold layer: decisions where people disagreed. Comparisons of people leave it out.
GOLD = "gold"

#: The kinds of tiers, and the contents of their marks: an emotion or, as a note, one of the labels or any text.
KINDS, CONTENTS = ("intervals", "points"), ("emotions", "labels", "text")
COLOUR = re.compile("#[0-9a-fA-F]{6}")
MAX_LABELS, MAX_LABEL_LENGTH = 200, 255

#: Most characters of a note, or of another text of a mark.
MAX_TEXT_LENGTH = 100_000

#: A mark may end this much after its recording, because tools round times, and is cut there.
END_SLACK_S = 0.001

#: Half of a surrogate pair, which no encoding of Unicode can write.
HALF_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Annotation:
    """One mark.

    The constructor checks each field; `valid_mark` checks the mark against its recording.

    Attributes
    ----------
    region : Region
        Its own label is not used.
    annotator : str
    emotion : str or None
        Any name; those of `ser_core.analysis.emotions` can be taught.
    intensity : int or None
        1, hardly there, to 5, very strong.
    confidence : float or None
        How sure the annotator is, 0 to 1.
    status : {"open", "done", "verified"}
    channel : int or None
        The channel of the recording that it is about, from 2; None: the first one, or all.
    changed_at : datetime or None
        Time of the last change, in UTC.
    key : str or None
        Its identity in a store; None outside of a store.
    revision : int
        Number of its changes in the store. A change of an older revision is refused.
    """

    region: Region
    tier: str = REGION_TIER
    annotator: str = ""
    emotion: str | None = None
    intensity: int | None = None
    note: str = ""
    confidence: float | None = None
    status: str = "open"
    channel: int | None = None
    changed_at: datetime | None = None
    key: str | None = None
    revision: int = 0

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise AnnotationsRefused(f"The status '{self.status}' is not known; choose {', '.join(STATUSES)}.")
        if self.intensity is not None and not MIN_INTENSITY <= self.intensity <= MAX_INTENSITY:
            raise AnnotationsRefused(
                f"An intensity of {self.intensity} is not possible; choose {MIN_INTENSITY} to {MAX_INTENSITY}."
            )
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise AnnotationsRefused(f"A confidence of {self.confidence:g} is not possible; choose 0 to 1.")
        if self.channel is not None and not SECOND_CHANNEL <= self.channel <= LAST_CHANNEL:
            raise AnnotationsRefused(f"A channel {self.channel} is not possible; choose 1 to {LAST_CHANNEL}.")
        if not self.tier.strip():
            raise AnnotationsRefused("A mark needs a tier with a name.")


@dataclass(frozen=True)
class Tier:
    """A tier of a project or file.

    Attributes
    ----------
    key : str
        The name by which marks refer to it; it never changes.
    name : str
        The name for people and files; several tiers may have the same name.
    kind : {"intervals", "points"}
    content : {"emotions", "labels", "text"}
    labels : tuple of str
        Only of a tier of labels; the keys 1 to 9 set the first nine.
    parent : str or None
        Key of the tier whose marks contain those of this one, as words contain phones.
    colour : str or None
        As `#rrggbb`; None: that of the theme.
    shown : bool
        Whether it has a lane on the page.
    participant : str
        Who speaks in its marks in one recording; "" if unknown. A tier of a project has none.
    mapping : tuple of (str, str)
        Only of a tier of labels: emotions with the label chosen for each, "" for none. Other emotions have the label of
        their name, if there is one (`ser_core.annotations.agreement.label_mapping`).
    """

    key: str
    name: str
    kind: str = "intervals"
    content: str = "text"
    labels: tuple[str, ...] = ()
    parent: str | None = None
    colour: str | None = None
    shown: bool = True
    mapping: tuple[tuple[str, str], ...] = ()
    participant: str = ""

    def __post_init__(self) -> None:
        if not self.key.strip():
            raise AnnotationsRefused("A tier needs a name.")
        for value, known, what in ((self.kind, KINDS, "kind"), (self.content, CONTENTS, "content")):
            if value not in known:
                raise AnnotationsRefused(f"The {what} '{value}' of a tier is not known; choose {', '.join(known)}.")
        if self.colour is not None and not COLOUR.fullmatch(self.colour):
            raise AnnotationsRefused(f"The colour {self.colour[:20]!r} is not one such as #0072b2.")
        if self.parent == self.key:
            raise AnnotationsRefused(f"The tier '{self.name}' cannot be its own parent; choose another one.")
        if self.key == REGION_TIER and (self.kind, self.content) != ("intervals", "emotions"):
            raise AnnotationsRefused(
                "The tier of emotions holds intervals with emotions; add another tier for the rest."
            )
        if len(self.labels) > MAX_LABELS or len(set(self.labels)) < len(self.labels) or not all(self.labels):
            raise AnnotationsRefused(f"A set of labels has up to {MAX_LABELS} of them, each once and none empty.")
        emotions = [emotion for emotion, _ in self.mapping]
        if len(set(emotions)) < len(emotions) or not COLOURS.keys() >= set(emotions):
            raise AnnotationsRefused(f"The tier '{self.name}' maps emotions that are not known, or one of them twice.")


@dataclass(frozen=True)
class Assignment:
    """The assignment of a recording to an annotator.

    Attributes
    ----------
    annotator : str
    drawn : str
        How it was drawn, in words; "" if nobody drew it.
    reason : str
        Why it was last sent back; "" if never.
    sent_back_by : str
        "" if never.
    sent_back_at : datetime or None
        In UTC.
    """

    annotator: str
    drawn: str = ""
    reason: str = ""
    sent_back_by: str = ""
    sent_back_at: datetime | None = None


EMOTION = Tier(REGION_TIER, REGION_TIER, content="emotions")


@dataclass(frozen=True)
class AnnotatedRecording:
    """A recording's marks, without its sound.

    Attributes
    ----------
    sha256 : str or None
        SHA-256 of the audio file, by which a moved or renamed file is found again; None if a format cannot hold it.
    annotations : tuple of Annotation
        In order of time.
    tiers : tuple of Tier
        In order, also those without marks; empty if the format has no tiers.
    provenance : mapping
        The origin of suggestions: the model's name and SHA-256, and settings; empty if nothing was suggested.
    exported_keys : mapping of str to int, optional
        Keys and revisions of all marks that were written to the file that it was read from, to find deleted ones.
    left_out : tuple of Annotation
        Further marks of that file, which are not imported and do not count as deleted.
    assignments : tuple of Assignment
    roles : mapping of str to str
        Roles of the project's members by name.
    f0 : CorrectedF0
        Corrected by hand.
    speaker : str
        "" if unknown.
    session : str
        The project's name of the session in which it was recorded; "" if there is none.
    """

    name: str
    sha256: str | None
    duration_s: float
    sample_rate_hz: int | None
    annotations: tuple[Annotation, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    exported_keys: Mapping[str, int] | None = field(default=None, compare=False)
    left_out: tuple[Annotation, ...] = field(default=(), compare=False)
    tiers: tuple[Tier, ...] = field(default=(), compare=False)
    assignments: tuple[Assignment, ...] = field(default=(), compare=False)
    roles: Mapping[str, str] = field(default_factory=dict, compare=False)
    f0: CorrectedF0 = field(default=CorrectedF0(), compare=False)
    speaker: str = field(default="", compare=False)
    session: str = field(default="", compare=False)

    @property
    def has_gold(self) -> bool:
        """Whether the gold layer has marks of emotions in it."""
        return any(is_gold(mark) for mark in self.annotations)

    @property
    def all_tiers(self) -> tuple[Tier, ...]:
        """The tiers, and those that only marks name; without the tier of labels of the whole recording."""
        known = {RECORDING_TIER, *(tier.key for tier in self.tiers)}
        others: dict[str, list[Annotation]] = {}
        for mark in self.annotations:
            if mark.tier not in known:
                others.setdefault(mark.tier, []).append(mark)
        return (*self.tiers, *(tier_of_marks(key, marks) for key, marks in others.items()))


def is_gold_name(name: str) -> bool:
    """Whether a name is that of the gold layer, or looks like it: with capitals, wide or invisible characters.

    >>> [is_gold_name(name) for name in ("gold", " Gold ", "ｇｏｌｄ", "go\u200bld", "Golda")]
    [True, True, True, True, False]
    """
    seen = "".join(one for one in unicodedata.normalize("NFKC", name) if unicodedata.category(one) != "Cf")
    return seen.casefold().strip() == GOLD


def is_gold(mark: Annotation) -> bool:
    """Whether a mark is a decision about emotions; words in the gold layer are not."""
    return mark.annotator == GOLD and mark.tier in (REGION_TIER, RECORDING_TIER)


def without_gold(recording: AnnotatedRecording) -> AnnotatedRecording:
    """Return a recording without the marks of the gold layer."""
    return replace(recording, annotations=tuple(mark for mark in recording.annotations if mark.annotator != GOLD))


def with_gold_applied(recording: AnnotatedRecording) -> AnnotatedRecording:
    """Return a recording in which the gold layer, if there is one, replaces everybody's marks of emotions."""
    if not recording.has_gold:
        return recording
    marks = (mark for mark in recording.annotations if is_gold(mark) or mark.tier not in (REGION_TIER, RECORDING_TIER))
    return replace(recording, annotations=tuple(marks))


def region_or_point(start_s: float, end_s: float, low_hz: float | None = None, high_hz: float | None = None) -> Region:
    """Return a region or, if it has no length, a point."""
    return (Point if start_s == end_s else Region)(start_s, end_s, low_hz, high_hz)


def tier_of_marks(key: str, marks: Iterable[Annotation]) -> Tier:
    """Return a tier for marks whose tier is not described."""
    marks = list(marks)
    has_emotions = key == REGION_TIER or any(mark.emotion is not None for mark in marks)
    is_points = key != REGION_TIER and bool(marks) and all(isinstance(mark.region, Point) for mark in marks)
    return Tier(key, key, "points" if is_points else "intervals", "emotions" if has_emotions else "text")


def valid_mark(mark: Annotation, duration_s: float | None) -> Annotation:
    """Return a mark that the store and files may contain, or refuse it: the one gate for marks.

    Parameters
    ----------
    duration_s : float or None
        Length of the recording, if known. A mark that ends up to `END_SLACK_S` later is cut there; a label of the whole
        recording always is.

    Raises
    ------
    AnnotationsRefused
        If it ends after its recording, its times or frequencies are impossible, its intensity is not a whole number, or
        a text is too long or cannot be written.
    """
    region = mark.region
    if not math.isfinite(region.end_s):
        raise AnnotationsRefused(f"A mark that ends at {region.end_s} s has no end; give one in seconds.")
    if isinstance(region, Point) and mark.tier in (REGION_TIER, RECORDING_TIER):
        raise AnnotationsRefused(
            f"A mark from {region.start_s:g} to {region.end_s:g} s is impossible in the tier {mark.tier}; it needs an "
            "end after its start. Points go into a tier of points."
        )
    limits = [hz for hz in (region.low_hz, region.high_hz) if hz is not None]
    if not all(0 <= hz < math.inf for hz in limits) or limits != sorted(
        limits if isinstance(region, Point) else set(limits)
    ):
        limits_hz = " to ".join(f"{hz:g}" for hz in limits)
        raise AnnotationsRefused(
            f"Frequencies of {limits_hz} Hz are not possible. The lower limit must be at least 0 and below the upper."
        )
    if mark.intensity is not None and mark.intensity != int(mark.intensity):
        raise AnnotationsRefused(f"An intensity of {mark.intensity} is not possible; choose a whole number.")
    for what in ("tier", "annotator", "emotion", "note"):
        require_text(getattr(mark, what) or "", what)
    if duration_s is None or region.end_s <= duration_s:
        return mark
    is_late = mark.tier != RECORDING_TIER and region.end_s > duration_s + END_SLACK_S
    if isinstance(region, Point) and not is_late:
        return replace(mark, region=replace(region, start_s=duration_s, end_s=duration_s))
    if is_late or region.start_s >= duration_s:
        raise AnnotationsRefused(
            f"The mark ends at {region.end_s:g} s, after its recording, which is {duration_s:g} s long. Cut it."
        )
    return replace(mark, region=replace(region, end_s=duration_s))


def require_text(value: str, what: str) -> None:
    """Refuse a text that is too long, or that no encoding of Unicode can write."""
    if len(value) > MAX_TEXT_LENGTH:
        raise AnnotationsRefused(f"The {what} has {len(value)} characters; at most {MAX_TEXT_LENGTH} are allowed.")
    if HALF_CHARACTER.search(value):
        raise AnnotationsRefused(f"The {what} {ascii(value)[:60]} contains half a character. Write it again.")
