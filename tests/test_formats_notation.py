"""The text of a label: readable, and read back unchanged."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis import Region
from ser_core.annotations.annotation import Annotation
from ser_core.annotations.formats.fields import annotation_of
from ser_core.annotations.formats.notation import UNSAFE, mark_fields, mark_text
from tests.annotated_recordings import annotations, texts

HERE = Region(0, 1)


@pytest.mark.parametrize(
    ("mark", "label"),
    [
        (Annotation(HERE), ""),
        (Annotation(HERE, emotion="angry"), "angry"),
        (Annotation(HERE, emotion="Angry"), "[emotion=Angry]"),
        (Annotation(HERE, emotion="bored"), "bored [status=open]"),
        (Annotation(HERE, emotion="very bored", status="done"), "very bored [status=done]"),
        (Annotation(HERE, emotion="a [b]"), '[emotion="a [b]"]'),
        (Annotation(HERE, emotion="two\nlines"), '[emotion="two\\nlines"]'),
        (Annotation(HERE, note="door slams"), "door slams"),
        (Annotation(HERE, note="sad"), "[note=sad]"),
        (Annotation(HERE, note=" x"), '[note=" x"]'),
        (Annotation(HERE, note="\x00\u2028"), '[note="\\u0000\\u2028"]'),
        (Annotation(HERE, note="슬픔 é"), "슬픔 é"),
        (Annotation(HERE, emotion="sad", note="슬픔"), 'sad [note="슬픔"]'),
        (
            Annotation(HERE, emotion="sad", intensity=3, confidence=0.25, note="x; y"),
            'sad [intensity=3; confidence=0.25; note="x; y"]',
        ),
        (Annotation(Region(0, 1, 300, 3000.5), emotion="sad"), "sad [low_hz=300; high_hz=3000.5]"),
        (Annotation(HERE, tier="words", annotator="anna k", note="x"), '[tier=words; annotator="anna k"; note=x]'),
    ],
)
def test_the_emotion_comes_first_and_the_rest_in_brackets(mark, label):
    assert mark_text(mark) == label
    assert annotation_of({"start_s": 0, "end_s": 1} | mark_fields(label), None) == mark


@pytest.mark.parametrize(
    ("label", "fields"),
    [
        ("angry", {"emotion": "angry"}),
        (" ANGRY ", {"emotion": "angry"}),
        ("angry?", {"note": "angry?"}),
        ("laughs", {"note": "laughs"}),
        ("[noise]", {"note": "[noise]"}),
        ("angry [maybe]", {"note": "angry [maybe]"}),
        ("a [f0=120]", {"note": "a [f0=120]"}),
        ("Angry [intensity=3]", {"emotion": "angry", "intensity": "3"}),
        ("bored[intensity=3;note = so loud ]", {"emotion": "bored", "intensity": "3", "note": "so loud"}),
        ('sad [note="a \\u00e9";]', {"emotion": "sad", "note": "a é"}),
        ("sad [note=a; note=b]", {"note": "sad [note=a; note=b]"}),
        ("sad [emotion=angry]", {"note": "sad [emotion=angry]"}),
        ('sad [note="a\\x"]', {"note": 'sad [note="a\\x"]'}),
        ("sad [intensity=3] x", {"note": "sad [intensity=3] x"}),
        ("", {}),
        (" \n", {}),
        ("[]", {"note": "[]"}),
    ],
)
def test_typed_labels_are_read_as_intended(label, fields):
    assert mark_fields(label) == fields


@given(annotations(1.0))
def test_any_mark_is_read_back_from_its_one_line_text(mark):
    label = mark_text(mark)
    assert not UNSAFE.search(label)
    assert label == label.strip()
    times = {"start_s": mark.region.start_s, "end_s": mark.region.end_s}
    assert annotation_of(times | mark_fields(label), None) == replace(mark, changed_at=None)


@given(st.none() | texts.filter(bool), texts)
def test_any_emotion_and_note_are_read_back(emotion, note):
    mark = Annotation(HERE, emotion=emotion, note=note)
    assert annotation_of({"start_s": 0, "end_s": 1} | mark_fields(mark_text(mark)), None) == mark


@given(st.text(max_size=30) | st.text('[]=;\\"ab ', max_size=30))
def test_any_text_is_read(label):
    assert set(map(type, mark_fields(label).values())) <= {str}


@pytest.mark.parametrize("start", ["x [note=", 'x [note="', "x [" + "a=b; " * 10, "[" * 20, '["'])
def test_long_texts_that_resemble_labels_are_read_quickly(start):
    label = start + "\\a =" * 25_000
    assert mark_fields(label) == {"note": label.strip()}
