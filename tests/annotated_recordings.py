"""Annotated recordings with arbitrary texts and times, drawn by hypothesis for the tests of file formats."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from ser_core.analysis import Region
from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.annotation import STATUSES, AnnotatedRecording, Annotation

#: Texts that a reader could misread: brackets of our notation, words of Praat, escapes, layers, formulas, line ends.
TRICKY = (
    "angry",
    "Angry",
    " angry",
    "[status=open]",
    "angry [intensity=3]",
    'a [note="b"]',
    "x [y] [z=1]",
    "item [1]:",
    'intervals [2]: text = "x"',
    '"IntervalTier"',
    "! no comment",
    "<exists>",
    "a/b",
    "\\/",
    "\\u0041",
    "\\e'",
    "emotion (2)",
    "emotion (1)",
    "=1+1",
    "'=1",
    "'tis",
    "-5",
    "@x",
    "\ttab",
    "two\nlines\r\nand\ra third",
    "\x00\x1f\x7f\x85\u2028\ufeff\ufffe",
    "<!DOCTYPE a>&amp;]]>",
    "1.5\t2.5\tx",
    "\\\t1\t2",
    "😀 e\u0301 슬픔",
    "null",
    "null, true",
    "a;b=c,d",
)
texts = st.one_of(st.sampled_from(TRICKY), st.text(max_size=12))
names = texts.filter(str.strip)
moments = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1)).map(
    lambda time: time.replace(tzinfo=UTC)
) | st.just(datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=9))))
frequencies = st.none() | st.floats(0, 30_000)
provenances = st.sampled_from([{}, {"model": {"name": "fusion", "sha256": "ab" * 32}, "settings": {"x": [1.5, None]}}])


@st.composite
def regions(draw, duration_s: float):
    times = st.one_of(st.floats(0, duration_s), st.sampled_from([0.0, duration_s / 2, duration_s]))
    start_s, end_s = sorted(draw(st.lists(times, min_size=2, max_size=2, unique=True)))
    limits = draw(st.tuples(frequencies, frequencies))
    known = sorted({hz for hz in limits if hz is not None})
    if len(known) == 2:
        limits = tuple(known)
    elif None not in limits:
        limits = None, limits[0]
    return Region(start_s, end_s, *limits)


@st.composite
def annotations(draw, duration_s: float):
    return Annotation(
        region=draw(regions(duration_s)),
        tier=draw(st.sampled_from(["emotion", "recording"]) | names),
        annotator=draw(st.sampled_from(["", "anna"]) | texts),
        emotion=draw(st.none() | st.sampled_from(sorted(COLOURS)) | texts.filter(bool)),
        intensity=draw(st.none() | st.integers(1, 5)),
        note=draw(st.just("") | texts),
        confidence=draw(st.none() | st.floats(0, 1)),
        status=draw(st.sampled_from(STATUSES)),
        channel=draw(st.none() | st.integers(2, 999)),
        changed_at=draw(st.none() | moments),
    )


@st.composite
def recordings(draw):
    duration_s = draw(st.sampled_from([3.25, 10.0]) | st.floats(0.01, 4_000))
    marks = draw(st.lists(annotations(duration_s), max_size=5))
    return AnnotatedRecording(
        name=draw(texts),
        sha256=draw(st.none() | st.just("0123456789abcdef" * 4)),
        duration_s=duration_s,
        sample_rate_hz=draw(st.none() | st.sampled_from([16_000, 44_100])),
        annotations=tuple(sorted(marks, key=lambda mark: (mark.region.start_s, mark.region.end_s))),
        provenance=draw(provenances),
    )


def sets_of_recordings():
    """Up to three recordings with different names."""
    return st.lists(recordings(), max_size=3, unique_by=lambda recording: recording.name)


def sorted_marks(marks) -> list[Annotation]:
    """Return marks in an order that does not depend on their order at equal times."""
    return sorted(marks, key=repr)


def without_fields(recording: AnnotatedRecording, *fields: str) -> AnnotatedRecording:
    """Return a recording whose marks lack these fields."""
    defaults = {"changed_at": None, "note": ""}
    marks = [replace(mark, **{field: defaults[field] for field in fields}) for mark in recording.annotations]
    return replace(recording, annotations=tuple(marks))


def example() -> AnnotatedRecording:
    """A recording with marks of every kind, one overlapping another."""
    marks = (
        Annotation(Region(0.0, 1.5), annotator="anna", emotion="angry"),
        Annotation(Region(0.0, 3.25), tier="recording", annotator="bob", emotion="sad", intensity=2),
        Annotation(
            Region(0.5, 1.25, 300.0, 3000.5),
            annotator="anna",
            emotion="bored",
            intensity=3,
            confidence=0.5,
            status="done",
            note='so "loud"; [x]',
            changed_at=datetime(2024, 5, 1, 12, tzinfo=UTC),
        ),
        Annotation(Region(1.25, 3.0), tier="words", note="so what"),
    )
    return AnnotatedRecording("a b.wav", "ab" * 32, 3.25, 16_000, marks, {"model": {"name": "fusion"}})


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()
