"""Our own JSON: everything, with provenance and a version."""

import json

import pytest

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats import FORMATS
from ser_core.errors import AnnotationsRefused
from tests.annotated_recordings import as_json, example

OWN = FORMATS["own"]


def document(**changes) -> dict:
    return json.loads(OWN.write([example()]).content) | changes


def test_the_file_states_its_format_version_and_provenance():
    written = document()
    (recording,) = written["recordings"]
    assert list(written) == ["format", "version", "recordings"]
    assert (written["format"], written["version"]) == ("hear-why annotations", 1)
    assert recording["sha256"] == "ab" * 32
    assert recording["provenance"] == {"model": {"name": "fusion"}}
    assert recording["annotations"][2] == {
        "start_s": 0.5,
        "end_s": 1.25,
        "low_hz": 300.0,
        "high_hz": 3000.5,
        "tier": "emotion",
        "annotator": "anna",
        "emotion": "bored",
        "intensity": 3,
        "confidence": 0.5,
        "status": "done",
        "note": 'so "loud"; [x]',
        "changed_at": "2024-05-01T12:00:00+00:00",
        "revision": 0,
    }


def test_texts_are_written_without_escapes():
    mark = Annotation(Region(0, 1), note="슬픔 é")
    assert "슬픔 é" in OWN.write([AnnotatedRecording("a", None, 1.0, None, (mark,))]).content.decode()


def test_absent_fields_have_their_defaults():
    found = document(recordings=[{"name": "a", "annotations": [{"start_s": 0, "end_s": 2}]}])
    (recording,) = OWN.read(as_json(found), "here").recordings
    assert recording == AnnotatedRecording("a", None, 2.0, None, (Annotation(Region(0, 2)),))


def document_of_mark(**mark) -> dict:
    return document(recordings=[{"name": "a", "duration_s": 2, "annotations": [{"start_s": 0, "end_s": 1} | mark]}])


def document_of_recording(**fields) -> dict:
    return document(recordings=[{"name": "a", "annotations": []} | fields])


def nested(levels: int) -> dict:
    value: dict = {}
    for _ in range(levels):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([], "the JSON is not in our format, which says 'hear-why annotations'"),
        (document(format="x"), "not in our format"),
        (document(version=2), "has version 2, and this program reads up to 1. Update it"),
        (document(version="1"), "'1' is not a version"),
        (document(version=True), "True is not a version"),
        (document(version=0), "0 is not a version"),
        (document(recordings={}), "there is no list 'recordings'"),
        (document(recordings=[1]), "number 1 of 'recordings': 1 is not an object"),
        (document(recordings=[{"name": "a"}]), "recording 1: there is no list 'annotations'"),
        (document(recordings=[{"annotations": []}]), "recording 1: The name of the recording None is not a text"),
        (document_of_recording(duration_s=-1), "recording 1: The length of the recording is -1 s"),
        (document_of_recording(duration_s="long"), "recording 1: The length of the recording 'long' is not a number"),
        (document_of_recording(sha256="AB"), "recording 1: The SHA-256 'ab' does not have 64"),
        (document_of_recording(sample_rate_hz=16000.5), "recording 1: The sample rate 16000.5 is not a whole number"),
        (document_of_recording(provenance=[1]), "recording 1: The provenance .1. is not an object"),
        (document_of_recording(provenance=nested(40)), "recording 1: The provenance is nested too deeply"),
        (document_of_mark(start_s=None), "recording 1, mark 1: The mark has no start or no end"),
        (document_of_mark(end_s=True), "mark 1: The end True is not a number"),
        (document_of_mark(end_s=10**400), "mark 1: The end 1000.*… is not a number"),
        (document_of_mark(end_s=3), "mark 1: The mark ends at 3 s, after its recording, which is 2 s"),
        (document_of_mark(start_s=1), "mark 1: A region from 1 to 1 s"),
        (document_of_mark(low_hz=5, high_hz=1), "mark 1: Frequencies of 5 to 1 Hz"),
        (document_of_mark(intensity=6), "mark 1: An intensity of 6"),
        (document_of_mark(intensity=[]), "mark 1: The intensity .* is not a number"),
        (document_of_mark(confidence=-0.1), "mark 1: A confidence of -0.1"),
        (document_of_mark(status="begun"), "mark 1: The status 'begun'"),
        (document_of_mark(note=5), "mark 1: The note 5 is not a text"),
        (document_of_mark(note="x" * 100_001), "mark 1: The note has 100001 characters"),
        (document_of_mark(note="\ud83d"), "mark 1: The note '.ud83d' contains half a character"),
        (document_of_mark(tier=" "), "mark 1: A mark needs a tier"),
        (document_of_mark(tier=[]), r"mark 1: The tier \[\] is not"),
        (document_of_mark(changed_at="yesterday"), "mark 1: The time of change 'yesterday' is not a time"),
        (document_of_mark(changed_at=1_700_000_000), "mark 1: The time of change 1700000000 is not a time"),
        (document_of_mark(revision="new"), "mark 1: The revision 'new' is not a number"),
        (
            document_of_recording(tiers=[{"key": "m", "mapping": [["angry"]]}]),
            r"The mapping \[\['angry'\]\] of a tier is not a list of",
        ),
        (
            document_of_recording(tiers=[{"key": "m", "mapping": [["awe", "x"]]}]),
            "The tier 'm' maps emotions that are not known",
        ),
    ],
)
def test_impossible_values_are_refused_with_the_number_of_the_mark(content, why):
    with pytest.raises(AnnotationsRefused, match=f"^here.*{why}"):
        OWN.read(as_json(content), "here")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            b'{"format": "hear-why annotations",\n "version": 1,\n "recordings": [}',
            "line 3, column 17: this is not JSON",
        ),
        (b'{"a": NaN}', "The JSON holds NaN, which is not a number"),
        (b'{"a": -Infinity}', "The JSON holds -Infinity"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "a number with thousands of digits"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format": "hear-why annotations"', "line 1, column 34: this is not JSON"),
        (b"", "line 1, column 1: this is not JSON"),
        (b'{"a":\n"\xff"}', "line 2: this is not text in UTF-8"),
    ],
)
def test_invalid_json_is_refused_with_line_and_column(content, why):
    with pytest.raises(AnnotationsRefused, match=f"^here.*{why}"):
        OWN.read(content, "here")


@pytest.mark.parametrize("key", ["own", "label_studio", "elan"])
@pytest.mark.parametrize("inside", [float("nan"), object(), {1, 2}, b"x"])
def test_provenance_that_json_cannot_hold_is_refused(key, inside):
    recording = AnnotatedRecording("a", None, 1.0, None, (), {"settings": inside})
    with pytest.raises(AnnotationsRefused, match="The provenance holds something that JSON cannot"):
        FORMATS[key].write([recording])
