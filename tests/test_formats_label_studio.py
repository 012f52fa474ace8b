"""Tasks of Label Studio: its exports as JSON and JSON-MIN by its documented format, ours, and refusals by task."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier
from ser_core.annotations.exchange.exporting import export_recordings
from ser_core.annotations.formats import FORMATS, format_key, read_annotations
from ser_core.errors import AnnotationsRefused
from tests.annotated_recordings import as_json, example, texts

STUDIO = FORMATS["label_studio"]
AT = datetime(2024, 3, 9, 22, 16, 8, 728378, tzinfo=UTC)
UPLOAD = "/data/upload/7/3f2a1b9c-Anna%201.wav"


def region(own: str, kind: str, control: str, **value) -> dict:
    return {
        "original_length": 4.5,
        "value": {"start": 0.25, "end": 1.5, "channel": 0} | value,
        "id": own,
        "from_name": control,
        "to_name": "audio",
        "type": kind,
        "origin": "manual",
    }


def result_of_whole(own: str, kind: str, control: str, **value) -> dict:
    return {"value": value, "id": own, "from_name": control, "to_name": "audio", "type": kind, "origin": "manual"}


def task(*results, **fields) -> dict:
    annotation = {
        "id": 1001,
        "completed_by": 3,
        "result": list(results),
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2024-03-09T22:10:00.000000Z",
        "updated_at": "2024-03-09T22:16:08.728378Z",
        "lead_time": 4.288,
        "task": 1,
    }
    return {
        "id": 1,
        "annotations": [annotation | fields],
        "file_upload": "3f2a1b9c-Anna_1.wav",
        "drafts": [],
        "predictions": [],
        "data": {"audio": UPLOAD},
        "meta": {},
        "project": 7,
    }


def read(*tasks):
    return STUDIO.read(as_json(list(tasks)), "here")


# --- golden: JSON ---


def test_an_export_as_json_is_read_with_rating_and_text_of_each_region():
    found = read(
        task(
            region("Dx_aB91ISN", "labels", "emotion", labels=["Angry"]),
            region("Dx_aB91ISN", "rating", "strength", rating=4),
            region("Dx_aB91ISN", "textarea", "remark", text=["so loud", "and short"]),
            region("b", "labels", "speaker", labels=["A", "B"], start=2, end=4.5),
            result_of_whole("c", "choices", "verdict", choices=["sad"]),
        )
    )
    who = {"annotator": "3", "changed_at": AT}
    marks = (
        Annotation(Region(0, 4.5), "recording", emotion="sad", **who),
        Annotation(Region(0.25, 1.5), "emotion", emotion="Angry", intensity=4, note="so loud\nand short", **who),
        Annotation(Region(2, 4.5), "speaker", emotion="A", **who),
        Annotation(Region(2, 4.5), "speaker", emotion="B", **who),
    )
    assert found.recordings == (AnnotatedRecording("Anna 1.wav", None, 4.5, None, marks),)
    assert found.dropped == ()


def test_each_annotator_has_an_annotation_and_tasks_with_the_same_sound_are_one_recording():
    first = task(region("a", "labels", "emotion", labels=["sad"]), completed_by={"id": 5, "email": "anna@x.org"})
    second = task(region("a", "labels", "emotion", labels=["happy"]), completed_by={"id": 6}, updated_at=None)
    (recording,) = read(first, second).recordings
    assert [(mark.annotator, mark.emotion) for mark in recording.annotations] == [("anna@x.org", "sad"), ("6", "happy")]
    assert recording.annotations[1].changed_at == datetime(2024, 3, 9, 22, 10, tzinfo=UTC)


def test_ratings_and_texts_of_the_whole_recording_belong_to_its_label():
    (recording,) = read(
        task(
            result_of_whole("a", "rating", "strength", rating=2),
            result_of_whole("b", "choices", "recording", choices=["bored"]),
            result_of_whole("c", "textarea", "remark", text="quiet"),
            region("d", "textarea", "transcription", text=["so what"]),
        )
    ).recordings
    label, spoken = recording.annotations
    assert (label.tier, label.emotion, label.intensity, label.note) == ("recording", "bored", 2, "quiet")
    assert (spoken.tier, spoken.emotion, spoken.note) == ("emotion", None, "so what")


def test_of_several_choices_emotions_become_labels_and_others_keep_their_control():
    (recording,) = read(
        task(
            result_of_whole("a", "choices", "sex", choices=["female"]),
            result_of_whole("b", "choices", "feeling", choices=["Happy"]),
        )
    ).recordings
    assert {(mark.tier, mark.emotion) for mark in recording.annotations} == {("sex", "female"), ("recording", "Happy")}


def test_a_rating_of_something_else_is_not_an_intensity_and_the_channel_is_kept():
    found = read(
        task(
            region("a", "labels", "emotion", labels=["Sad"], channel=1),
            region("a", "rating", "valence", rating=9),
            region("a", "rating", "Intensity", rating=2, channel=1),
            region("b", "labels", "emotion", labels=["Sad"], channel="left"),
        )
    )
    (recording,) = found.recordings
    assert [(mark.emotion, mark.intensity, mark.channel) for mark in recording.annotations] == [
        ("Sad", 2, 2),
        ("Sad", None, None),
    ]
    assert found.dropped == (
        "1 rating of the control 'valence'",
        "1 channel of a mark, which is not a number from 0",
    )
    (task_,) = json.loads(STUDIO.write([recording]).content)
    assert [result["value"].get("channel") for result in task_["annotations"][0]["result"]] == [1, None, 0]


def test_predictions_are_suggestions_in_tasks_without_annotations():
    predicted = {"model_version": "m1", "result": [region("a", "labels", "emotion", labels=["sad"])]}
    found = read(task() | {"annotations": [], "predictions": [predicted]})
    assert [(mark.emotion, mark.annotator, mark.status) for mark in found.recordings[0].annotations] == [
        ("sad", "m1", "open")
    ]
    assert found.dropped == ()


def test_the_configuration_of_the_project_is_written_beside_the_tasks():
    recording = AnnotatedRecording(
        "a b.wav", None, 2.0, None, (Annotation(Region(0, 1), emotion="bored", tier="mood"),)
    )
    files = export_recordings([recording], STUDIO, {"url_prefix": "https://x.org/s/"}).files
    view = ElementTree.fromstring(files["config.xml"])
    assert {(each.tag, each.get("name")) for each in view} >= {("Labels", "mood"), ("Rating", "intensity")}
    assert "bored" in [label.get("value") for label in view.iter("Label")]
    content = files["annotations.json"]
    assert json.loads(content)[0]["data"]["audio"] == "https://x.org/s/a%20b.wav"
    assert STUDIO.read(content, "here").recordings == (recording,)


SET = ("read", "spoken & loud", "style")
TIERS = (
    Tier("style", "style", content="labels", labels=SET, colour="#0072b2"),
    Tier("w", "words"),
    Tier("tone", "tone", kind="points"),
    Tier("note", "note"),
)


def in_tiers(*notes: tuple[str, str]) -> AnnotatedRecording:
    """Return a recording with a mark for each tier and note, one after another."""
    marks = tuple(
        Annotation((Point if tier == "tone" else Region)(at, at if tier == "tone" else at + 0.5), tier, note=note)
        for at, (tier, note) in enumerate(notes)
    )
    return AnnotatedRecording("a.wav", None, 20.0, None, marks, tiers=TIERS)


def test_each_tier_offers_its_own_labels_and_its_marks_have_them():
    recording = in_tiers(("style", "spoken & loud"), ("w", "so"), ("tone", "H*"), ("note", "hm"))
    files = export_recordings([recording], STUDIO).files
    offered = {
        control.get("name"): [label.get("value") for label in control]
        for control in ElementTree.fromstring(files["config.xml"]).iter("Labels")
    }
    # Label Studio refuses a second control that is called note.
    assert offered | {"emotion": []} == {
        "emotion": [],
        "style": list(SET),
        "words": ["words"],
        "tone": ["tone"],
        "note #2": ["note #2"],
    }
    (ours,) = json.loads(files["annotations.json"])
    said = [
        (result["from_name"], result["value"].get("labels") or result["value"]["text"])
        for result in ours["annotations"][0]["result"]
    ]
    assert said == [
        ("style", ["spoken & loud"]),
        *(("words", ["words"]), ("note", ["so"])),
        *(("tone", ["tone"]), ("note", ["H*"])),
        *(("note #2", ["note #2"]), ("note", ["hm"])),
    ]


def test_a_mark_relabelled_within_its_set_has_that_label_and_no_emotion():
    content = json.loads(STUDIO.write([in_tiers(("style", "read"), ("style", "odd"), ("tone", "H*"))]).content)
    read_, odd, _, tone, tone_text = content[0]["annotations"][0]["result"]
    read_["value"]["labels"] = ["style"]
    odd["value"]["labels"] = ["spoken & loud"]
    for result in (tone, tone_text):
        result["value"]["end"] += 1
    content[0]["annotations"][0]["result"].append(region("new", "labels", "style", labels=["happy"], start=9, end=9.5))
    found = STUDIO.read(as_json(content), "here")
    assert [(mark.tier, mark.emotion, mark.note) for mark in found.recordings[0].annotations] == [
        ("style", None, "style"),
        ("style", None, "spoken & loud"),
        ("tone", None, "H*"),
        ("style", None, "happy"),
    ]
    assert found.dropped == ("1 text beside a label of the tier 'style'", "1 length of a mark in a tier of points")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["style", "w", "tone", "note"]), texts | st.sampled_from([*SET, "words", "note", "angry"])
        ),
        max_size=6,
    )
)
def test_marks_of_declared_tiers_come_back_with_their_tiers(notes):
    recording = in_tiers(*notes)
    (found,) = STUDIO.read(STUDIO.write([recording]).content, "here").recordings
    keys = {tier.key: ours.key for tier, ours in zip(found.tiers, TIERS, strict=True)}
    assert tuple(replace(tier, key=keys[tier.key]) for tier in found.tiers) == TIERS
    assert tuple(replace(mark, tier=keys[mark.tier]) for mark in found.annotations) == recording.annotations


def test_results_that_are_not_marks_are_counted_in_words():
    found = read(
        task(
            {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"},
            region("a", "taxonomy", "kind", taxonomy=[["x"]]),
            region("b", "taxonomy", "kind", taxonomy=[["x"]]),
            region("c", "labels", "emotion", labels=["sad"], start=1, end=1),
        )
        | {"predictions": [{"result": []}, {"result": []}], "drafts": [{"result": []}]},
        task(region("d", "labels", "emotion", labels=["sad"]), was_cancelled=True),
        {"id": 3, "data": {"audio": "other.wav"}},
    )
    assert found.dropped == (
        "2 predictions",
        "1 draft",
        "1 result of the kind 'relation'",
        "2 results of the kind 'taxonomy'",
        "1 cancelled annotation",
    )
    assert [len(recording.annotations) for recording in found.recordings] == [1, 0]


def test_the_information_that_label_studio_keeps_with_a_region_is_its_note():
    (recording,) = read(task(region("a", "labels", "e", labels=["sad"]) | {"meta": {"text": ["unsure"]}})).recordings
    assert recording.annotations[0].note == "unsure"


def test_labels_of_the_whole_recording_need_no_length():
    found = read(task(result_of_whole("a", "choices", "emotion", choices=["sad"])))
    assert found.recordings[0].annotations[0].region == Region(0, 1)
    assert found.dropped == ()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"audio": UPLOAD}, "Anna 1.wav"),
        ({"audio": "https://host/x/b.wav?token=1"}, "b.wav"),
        ({"audio": "s3://bucket/3f2a1b9c-b.wav"}, "3f2a1b9c-b.wav"),
        ({"url": "/data/local-files/?d=talks/c.flac"}, "c.flac"),
        ({"text": "hello", "sound": "d.MP3"}, "d.MP3"),
        ({"text": "hello"}, "hello"),
        ({"audio": "http://["}, "["),
        ({"count": 3}, "task 1"),
    ],
)
def test_a_recording_is_named_by_the_last_part_of_its_url(data, name):
    assert read({"data": data, "annotations": []}).recordings[0].name == name


def test_a_single_task_and_the_old_key_of_annotations_are_read():
    old = task(region("a", "labels", "emotion", labels=["sad"]), created_at=1_579_530_000, updated_at=None)
    old["completions"] = old.pop("annotations")
    found = STUDIO.read(as_json(old), "here")
    assert [mark.emotion for mark in found.recordings[0].annotations] == ["sad"]
    assert found.recordings[0].annotations[0].changed_at is None


# --- golden: JSON-MIN ---


def record(controls: dict, **fields) -> dict:
    """Return a record with its keys in the order in which Label Studio writes them."""
    end = {
        "annotator": 3,
        "annotation_id": 1001,
        "created_at": "2024-03-09T22:10:00.000000Z",
        "updated_at": "2024-03-09T22:16:08.728378Z",
        "lead_time": 4.288,
    }
    return {"audio": UPLOAD, "speaker": "A", "id": 1} | controls | end | fields


def span(start: float, end: float, **said) -> dict:
    return {"start": start, "end": end, "channel": 0} | said


def marks_of(found) -> list[tuple]:
    (recording,) = found.recordings
    return [
        (mark.region.start_s, mark.region.end_s, mark.tier, mark.emotion, mark.intensity, mark.note)
        for mark in recording.annotations
    ]


def test_an_export_as_json_min_is_read():
    found = read(
        record(
            {
                "emotion": [span(0.25, 1.5, labels=["sad"]), span(2, 3, labels=["happy"])],
                "strength": [span(0.25, 1.5, rating=4)],
                "remark": ["so low", "so high"],
                "recording": "bored",
            }
        )
    )
    assert marks_of(found) == [
        (0.0, 3.0, "recording", "bored", None, ""),
        (0.25, 1.5, "emotion", "sad", 4, "so low"),
        (2.0, 3.0, "emotion", "happy", None, "so high"),
    ]
    (recording,) = found.recordings
    assert recording.name == "Anna 1.wav"
    assert {(mark.annotator, mark.changed_at) for mark in recording.annotations} == {("3", AT)}
    assert found.dropped == ()


def test_in_json_min_a_known_emotion_is_a_choice_and_other_text_a_note_of_the_whole():
    found = read(record({"verdict": "Sad", "strength": [{"rating": 2}], "remark": "quiet"}))
    assert marks_of(found) == [(0.0, 1.0, "recording", "Sad", 2, "quiet")]


def test_in_json_min_a_single_text_belongs_to_a_single_region():
    found = read(record({"emotion": [span(0, 1, labels=["sad"])], "remark": "low"}))
    assert marks_of(found) == [(0.0, 1.0, "emotion", "sad", None, "low")]


def test_in_json_min_texts_that_fit_no_region_are_dropped_and_counted():
    spans = [span(0, 1, labels=["sad"]), span(1, 2, labels=["sad"]), span(2, 3, labels=["sad"])]
    found = read(record({"emotion": spans, "remark": ["a", "b"], "kind": [span(0, 1, taxonomy=[["x"]])]}))
    assert [note for *_, note in marks_of(found)] == ["", "", ""]
    assert found.dropped[:2] == (
        "1 value of the control 'kind'",
        "2 texts of the control 'remark', with no region to it",
    )


def test_json_min_has_no_keys_so_no_mark_counts_as_deleted_in_it():
    marks = (Annotation(Region(0, 1), emotion="sad", key="k", revision=1),)
    (ours,) = json.loads(STUDIO.write([AnnotatedRecording("a.wav", None, 2.0, None, marks)]).content)
    found = read(ours["data"] | record({"emotion": [span(0, 1, labels=["sad"])]}))
    assert found.recordings[0].exported_keys is None


def test_in_json_min_each_annotator_has_a_record():
    records = [record({"emotion": [span(0, 1, labels=[name])]}, annotator=name) for name in ("sad", "happy")]
    (recording,) = read(*records).recordings
    assert [(mark.annotator, mark.emotion) for mark in recording.annotations] == [("sad", "sad"), ("happy", "happy")]


def test_our_tasks_exported_as_json_min_belong_to_the_same_recording():
    """Written from Label Studio's own converter: data, id, controls by name, annotator."""
    (ours,) = json.loads(STUDIO.write([example()]).content)
    records = []
    for annotation in ours["annotations"]:
        controls: dict[str, list] = {}
        for result in annotation["result"]:
            controls.setdefault(result["from_name"], []).append(result["value"])
        if "recording" in controls:
            controls["recording"] = controls["recording"][0]["choices"][0]
        if "note" in controls:
            controls["note"] = controls["note"][0]["text"][0] if len(controls["note"]) == 1 else controls["note"]
        end = {"annotator": 1, "annotation_id": 1, "created_at": None, "updated_at": None, "lead_time": 1.0}
        records.append(ours["data"] | {"id": 1} | controls | end)
    (recording,) = read(*records).recordings
    assert (recording.name, recording.sha256, recording.duration_s) == ("a b.wav", "ab" * 32, 3.25)
    assert recording.provenance == example().provenance
    assert {(mark.region.start_s, mark.tier, mark.emotion) for mark in recording.annotations} == {
        (0.0, "emotion", "angry"),
        (0.5, "emotion", "bored"),
        (0.0, "recording", "sad"),
        (1.25, "words", None),
    }


# --- golden: ours ---


def test_our_tasks_have_the_structure_of_label_studios():
    (ours,) = json.loads(STUDIO.write([example()]).content)
    assert ours["data"]["audio"] == "a b.wav"
    anna, bob, nobody = (annotation["result"] for annotation in ours["annotations"])
    labels, rating, note = (result for result in anna if result["id"] == "mark3")
    assert labels == {
        "id": "mark3",
        "from_name": "emotion",
        "to_name": "audio",
        "type": "labels",
        "origin": "manual",
        "original_length": 3.25,
        "value": {"start": 0.5, "end": 1.25, "channel": 0, "labels": ["bored"]},
        "meta": {
            "hear_why": {
                "low_hz": 300.0,
                "high_hz": 3000.5,
                "annotator": "anna",
                "confidence": 0.5,
                "status": "done",
                "changed_at": "2024-05-01T12:00:00+00:00",
            }
        },
    }
    assert (rating["type"], rating["value"]) == ("rating", {"start": 0.5, "end": 1.25, "rating": 3})
    assert (note["type"], note["value"]) == ("textarea", {"start": 0.5, "end": 1.25, "text": ['so "loud"; [x]']})
    assert [(result["type"], result["value"]) for result in bob] == [
        ("choices", {"choices": ["sad"]}),
        ("rating", {"rating": 2}),
    ]
    assert [result["type"] for result in nobody] == ["labels", "textarea"]


# --- refusal ---


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("text", "the JSON is not a list of tasks"),
        ([1], "task 1: 1 is not an object"),
        ([{"data": {}}, {}], "task 2: there is no 'data'"),
        ([{"data": []}], "task 1: there is no 'data'"),
        ([{"data": {}, "annotations": {}}], "task 1: its 'annotations' are not a list"),
        (
            [{"data": {}, "annotations": [{"result": None}]}],
            "task 1: its 'annotations' are not a list of objects, each",
        ),
        ([task(3)], "task 1, annotation 1, result 1: 3 is not an object"),
        ([task({"type": "labels", "value": []})], "result 1: Its value '?.. is not an object"),
        ([task({"type": 5, "value": {}})], "result 1: The kind of result 5 is not a text"),
        ([task(region("a", "labels", "e", labels="sad"))], "result 1: It has no list of labels"),
        ([task(region("a", "labels", "e", labels=[1]))], "result 1: The label 1 is not a text"),
        ([task(region("a", "labels", 5, labels=["x"]))], "result 1: The name of the control 5 is not a text"),
        ([task(region("a", "labels", "e", labels=[], start="x"))], "result 1: The start 'x' is not a number"),
        ([task(region("a", "rating", "strength", rating=None))], "result 1: The rating None is not a number"),
        ([task(region("a", "rating", "strength", rating=9))], "annotation 1: An intensity of 9"),
        ([task(region("a", "textarea", "e", text=None))], "result 1: It has no text"),
        ([task(region("a", "labels", "e", labels=[], start=2, end=1))], "annotation 1: A region from 2 to 1"),
        ([task(region("a", "labels", "e", labels=[], end=5))], "annotation 1: The mark ends at 5 s, after its"),
        ([task(region("a", "labels", "e", labels=[]), updated_at="x")], "annotation 1: The time of change 'x'"),
        ([task(region("a", "labels", "e", labels=[]) | {"original_length": "x"})], "The length of the recording 'x'"),
        ([{"data": {"hear_why": {"sha256": "x"}}}], "task 1: The SHA-256 'x'"),
    ],
)
def test_impossible_values_are_refused_with_the_number_of_the_task(document, why):
    with pytest.raises(AnnotationsRefused, match=f"^here.*{why}"):
        STUDIO.read(as_json(document), "here")


def test_any_other_json_is_taken_for_label_studios_and_refused():
    assert format_key(b'{"a": 1}') == "label_studio"
    with pytest.raises(
        AnnotationsRefused, match=r"^here, task 1: there is no 'data', as a task of Label Studio has it"
    ):
        read_annotations(b'{"a": 1}', "here")
