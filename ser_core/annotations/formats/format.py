"""The interface of file formats of marks, and the words in which they report losses."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ser_core.annotations.annotation import REGION_TIER, AnnotatedRecording
from ser_core.errors import AnnotationsRefused

COUNTED_MARKS = re.compile(r"\b([0-9]+) marks?\b")


@dataclass(frozen=True)
class Written:
    """A file, and what it cannot hold of the marks.

    Attributes
    ----------
    dropped : tuple of str
        One text for each kind of loss, with its count: "the time of change of 3 marks". A missing key or revision does
        not count as a loss.
    """

    content: bytes
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadOptions:
    """How a person wants a file to be read.

    Attributes
    ----------
    offset_s : float
        Added to all times, for marks of a part of the recording.
    encoding : str or None
        Python's name for the encoding of a text file; None: detected from its first bytes.
    from_start : bool
        Count all times from `ReadResult.start_s`, which may be before 0.
    """

    offset_s: float = 0.0
    encoding: str | None = None
    from_start: bool = False


DEFAULT_OPTIONS = ReadOptions()


@dataclass(frozen=True)
class FileTier:
    """A tier as it is in a file.

    Attributes
    ----------
    labels : int
        Intervals or points with a text.
    empty : int
        Intervals or points without a text.
    """

    name: str
    labels: int
    empty: int = 0
    points: bool = False


@dataclass(frozen=True)
class ReadResult:
    """The recordings that were read from a file.

    Attributes
    ----------
    dropped, changed : tuple of str
        What cannot become a mark, and what is not read as it is written, in words as in `Written`.
    tiers : tuple of FileTier
        In the order of the file; empty if the format has none.
    start_s : float
        The time in the file at which its recording begins.
    """

    recordings: tuple[AnnotatedRecording, ...]
    dropped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    tiers: tuple[FileTier, ...] = ()
    start_s: float = 0.0


@dataclass(frozen=True)
class UpdatedFile:
    """A file into which tiers were written.

    Attributes
    ----------
    added, replaced : tuple of str
        Names of tiers that are new in it, and of those that replaced one of the same name.
    dropped : tuple of str
        As of `Written`.
    """

    content: bytes
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    name : str
        As people know it.
    endings : tuple of str
        Suffixes of its files, the default first. Files are recognised by content, never by name.
    holds_many : bool
        Whether a file holds several recordings; if not, `write` refuses any number but one.
    write : callable or None
        `write(recordings, **choices) -> Written`. The choice `plain` writes only the emotion of each mark or, without
        one, its note; the format's module documents other choices. Raises `AnnotationsRefused` if a file cannot hold so
        many recordings, or one of their marks. None: the format can only be read.
    read : callable
        `read(content, name, options) -> ReadResult`. The name is used in refusals, and for the recording if the file
        does not name it; the options are optional.
    recognises : callable
        `recognises(head) -> bool` returns whether a file whose text begins like this has the format.
    holds_tiers : bool
        Whether a file holds all tiers in order, with their names, also those without marks.
    companion_files : callable, optional
        `companion_files(recordings)` returns other files, by name, that belong to an export.
    """

    name: str
    endings: tuple[str, ...]
    media_type: str
    holds_many: bool
    write: Callable[..., Written] | None
    read: Callable[..., ReadResult]
    recognises: Callable[[str], bool]
    companion_files: Callable[[Sequence[AnnotatedRecording]], dict[str, bytes]] | None = None
    holds_tiers: bool = False


def only_one(recordings: Sequence[AnnotatedRecording], format_name: str) -> AnnotatedRecording:
    """Return the single recording that a file can hold, or refuse."""
    if len(recordings) != 1:
        raise AnnotationsRefused(
            f"A file of {format_name} holds one recording, and {len(recordings)} were given. Write a file for each."
        )
    return recordings[0]


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    >>> counted(1, "mark"), counted(3, "mark"), counted(2, "tier of points", "tiers of points")
    ('1 mark', '3 marks', '2 tiers of points')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def lost_of_marks(marks: Iterable[object], words: str) -> tuple[str, ...]:
    """Return the words with the number of these marks in place of {}, or nothing if there are none."""
    count = sum(1 for _ in marks)
    return (words.format(counted(count, "mark")),) if count else ()


def sum_losses(written: Iterable[Written]) -> list[str]:
    """Return the losses of several files, each kind once, with the total count.

    >>> sum_losses([Written(b"", ("the name of the recording", f"the notes of {counted(n, 'mark')}")) for n in (1, 2)])
    ['the name of the recording, in 2 files', 'the notes of 3 marks']
    """
    kinds: Counter[str] = Counter()
    for words in (words for each in written for words in each.dropped):
        found = COUNTED_MARKS.search(words)
        kinds[COUNTED_MARKS.sub("{}", words)] += int(found[1]) if found else 1
    return [
        kind.replace("{}", counted(count, "mark")) if "{}" in kind else f"{kind}, in {counted(count, 'file')}"
        for kind, count in kinds.items()
    ]


def lost_tier_fields(recording: AnnotatedRecording, *fields: str) -> tuple[str, ...]:
    """Return, in words, the number of tiers that lose each of these fields; "empty" counts those without marks."""
    marked = {mark.tier for mark in recording.annotations}
    words = {
        "empty": ("{} without marks", lambda tier: tier.key not in marked and tier.key != REGION_TIER),
        "labels": ("the labels of {}", lambda tier: bool(tier.labels)),
        "parent": ("the parent of {}", lambda tier: tier.parent is not None),
        "colour": ("the colour of {}", lambda tier: tier.colour is not None),
        "participant": ("the participant of {}", lambda tier: bool(tier.participant)),
    }
    lost = []
    for field in fields:
        text, is_lost = words[field]
        count = sum(map(is_lost, recording.tiers))
        if count:
            lost.append(text.format(counted(count, "tier")))
    return tuple(lost)


def lost_recording_fields(recording: AnnotatedRecording, *fields: str) -> tuple[str, ...]:
    """Return, in words, those of these fields that the recording has and the file loses."""
    words = {
        "name": "the name of the recording",
        "sha256": "the SHA-256 of the recording",
        "duration_s": "the length of the recording",
        "sample_rate_hz": "the sample rate of the recording",
        "provenance": "what the suggestions came from (model and settings)",
    }
    return tuple(words[field] for field in fields if getattr(recording, field))
