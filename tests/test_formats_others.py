"""Formats that hold less: subtitles, RTTM, selection tables of Raven, EMU; and tables of other tools, by hand."""

import json
import time
from dataclasses import replace

import pytest
from hypothesis import example, given

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, export_recordings
from ser_core.annotations.exchange.importing import ImportOptions, read_files
from ser_core.annotations.formats import FORMATS, READERS, ReadOptions, format_key, read_annotations
from ser_core.errors import AnnotationsRefused
from tests.annotated_recordings import recordings, sorted_marks, without_fields
from tests.hostile_files import EMU, other_files

CONTENT = other_files()
SRT, VTT, RTTM, RAVEN = (CONTENT[key].decode() for key in ("srt", "vtt", "rttm", "raven"))


def read_marks(content: str | bytes, options=None):
    read = read_annotations(content.encode() if isinstance(content, str) else content, "here", options or ReadOptions())
    return read, [
        (recording.name, mark.tier, mark.region.start_s, mark.region.end_s, mark.emotion or mark.note)
        for recording in read.recordings
        for mark in recording.annotations
    ]


@pytest.mark.parametrize("content", ["; " * 60, "x" + " " * 60_000, " " * 60_000, "\n;" * 30_000])
def test_text_that_resembles_the_start_of_a_format_is_rejected_quickly(content):
    assert format_key(content.encode()) is None  # a backtracking expression would not end


def test_an_unclosed_voice_tag_is_rejected_quickly():
    cue = "00:00.000 --> 00:01.000\n<v" + " " * 90_000 + "so"
    assert len(read_marks(f"WEBVTT\n\n{cue}")[1]) == 1


@pytest.mark.parametrize("key", CONTENT)
def test_each_is_recognised_by_its_content_and_moved_by_an_offset(key):
    assert format_key(CONTENT[key]) == key
    _, marks = read_marks(CONTENT[key])
    _, moved = read_marks(CONTENT[key], ReadOptions(offset_s=1.0))
    assert [start + 1 for _, _, start, _, _ in marks] == pytest.approx([start for _, _, start, _, _ in moved])


def test_subtitles_are_notes_in_a_tier_of_their_own():
    read, marks = read_marks(SRT)
    assert marks == [("here", "subtitles", 0.5, 1.25, "so\nwhat?"), ("here", "subtitles", 60.0, 62.0, "sad")]
    assert read.dropped == ()
    assert read_marks(SRT.replace("\n", "\r\n"))[1] == marks


def test_web_subtitles_may_name_speakers_and_cues_and_hold_notes():
    read, marks = read_marks(VTT)
    assert marks == [("here", "speakers", 0.5, 1.25, "Anna"), ("here", "subtitles", 0.5, 1.25, "so & what?")]
    assert read.dropped == ("1 cue without a text",)


def test_cues_without_readable_times_are_left_out_and_reported_unless_there_are_no_others():
    read, marks = read_marks(SRT.replace("00:01:00,000 -->", "00:01:00 -->"))
    assert [mark[2] for mark in marks] == [0.5]
    assert read.dropped == ("1 cue without readable times",)
    with pytest.raises(AnnotationsRefused, match="line 3: 'words' is not a cue"):
        read_marks("WEBVTT\n\nwords\n")


def test_a_timing_line_in_the_text_of_a_web_subtitle_begins_another_cue():
    read, marks = read_marks("WEBVTT\n\n00:01.000 --> 00:02.000\n00:03.000 --> 00:04.000\nso\n")
    assert marks == [("here", "subtitles", 3.0, 4.0, "so")]
    assert read.dropped == ("1 cue without a text",)


def test_turns_of_several_recordings_are_read_with_their_speakers():
    read, marks = read_marks(RTTM)
    assert marks == [
        ("take_1", "speakers", 0.5, 1.25, "anna"),
        ("take_2", "speakers points", 1.0, 1.0, "ben"),
        ("take_2", "speakers", 2.0, 3.0, ""),
    ]
    assert read.dropped == ("1 row of the kind SPKR-INFO",)


TWO_TURNS = "SPEAKER a 1 0 1 <NA> <NA> x <NA> <NA>\nSPEAKER a 2 0 1 <NA> <NA> y <NA> <NA>\n"
TWO_SELECTIONS = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\n1\tWaveform 1\t1\t0\t1\n2\tWaveform 1\t2\t0\t1\n"
)


@pytest.mark.parametrize(
    ("key", "content", "odd", "lost"),
    [("rttm", TWO_TURNS, "a B", "1 turn"), ("raven", TWO_SELECTIONS, "1\tB", "1 row")],
)
def test_channels_are_kept_and_one_without_a_number_is_reported_as_lost(key, content, odd, lost):
    read = READERS[key].read(content.encode(), "here")
    assert (read.dropped, [mark.channel for mark in read.recordings[0].annotations]) == ((), [None, 2])
    again = READERS[key].read(READERS[key].write(read.recordings).content, "here")
    assert again.recordings[0].annotations == read.recordings[0].annotations
    named = content.replace("a 2", odd) if key == "rttm" else content.replace("1\t2\t0", "1\tB\t0")
    assert READERS[key].read(named.encode(), "here").dropped == (
        f"the channel of {lost}, which is not a number from 1",
    )


def test_without_a_speaker_tier_turns_come_from_tiers_with_a_participant():
    tiers = (Tier("utt", "utt", participant="Anna B"), Tier("words", "words", parent="utt", participant="Anna B"))
    marks = (Annotation(Region(0, 2), "utt", note="so what"), Annotation(Region(0, 1), "words", note="so"))
    written = READERS["rttm"].write([AnnotatedRecording("a.wav", None, 2.0, None, marks, tiers=tiers)])
    assert written.content == b"SPEAKER a 1 0.0 2.0 <NA> <NA> Anna_B <NA> <NA>\n"
    assert written.dropped[0] == "1 mark beside the turns of speakers"


def test_a_transcript_of_one_speaker_has_them_as_its_participant():
    alone = CONTENT["chat"].replace(b"*MOT", b"*CHI")
    assert {tier.key: tier.participant for tier in read_marks(alone)[0].recordings[0].tiers} == {
        "transcript": "CHI",
        "words": "CHI",
    }
    alone = CONTENT["transcriber"].replace(b'speaker="spk1 spk2"', b'speaker="spk1"')
    assert [tier.participant for tier in read_marks(alone)[0].recordings[0].tiers] == ["Anna"]
    assert read_marks(CONTENT["transcriber"])[0].recordings[0].tiers == ()


def test_selections_are_read_once_with_their_frequencies():
    read, marks = read_marks(RAVEN)
    assert marks == [("here", "emotion", 0.5, 1.25, "angry"), ("here", "emotion", 2.0, 3.0, "door slams")]
    assert [mark.region for mark in read.recordings[0].annotations] == [Region(0.5, 1.25, 300.0, 3000.5), Region(2, 3)]
    assert read.dropped == ("1 row of further views", "the frequencies of 1 row, which are no band", "1 other column")


def test_selections_in_several_sounds_have_their_times_in_each():
    table = (
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\n"
        "1\t0.5\t1\ta.wav\t0.5\n2\t10.5\t11\tb.wav\t0.25\n"
    )
    places = [(name, start, end) for name, _, start, end, _ in read_marks(table)[1]]
    assert places == [("a.wav", 0.5, 1), ("b.wav", 0.25, 0.75)]


def test_segments_of_emu_have_emus_times_and_items_those_of_their_segments():
    """The times in ms of /V/ are those of the EMU-SDMS manual: 187.425 to 256.925."""
    read, marks = read_marks(CONTENT["emu"])
    times = {label: (round(start * 1000, 3), round(end * 1000, 3)) for _, _, start, end, label in marks}
    assert times == {
        "V": (187.425, 256.925),
        "m": (256.925, 340.175),
        "so": (187.425, 340.175),
        "": (187.425, 340.175),
        "H*": (200, 200),
    }
    assert {mark[:2] for mark in marks} == {("take.wav", tier) for tier in ("Word", "Phonetic", "Utterance", "Tone")}
    held = [(tier.key, tier.kind, tier.parent) for tier in read.recordings[0].tiers]
    assert sorted(held) == [
        ("Lost", "intervals", None),
        ("Phonetic", "intervals", "Word"),
        ("Tone", "points", None),
        ("Utterance", "intervals", None),
        ("Word", "intervals", "Utterance"),
    ]
    assert read.dropped == (
        "1 label beside the first of an item",
        "1 item without segments",
    )
    assert [(tier.name, tier.labels, tier.points) for tier in read.tiers][2] == ("Tone", 1, True)


def test_further_labels_of_an_item_are_in_tiers_below_its_level():
    """As in the demo database ae of EMU, where words are in the attribute Text of the level Word."""
    word = EMU["levels"][0]["items"][0]
    labels = [{"name": "Word", "value": "F"}, {"name": "Text", "value": "I'll"}, {"name": "Accent", "value": ""}]
    content = json.dumps(EMU).replace(json.dumps(word["labels"]), json.dumps(labels))
    read = READERS["emu"].read(content.encode(), "here")
    said = {mark.tier: (mark.note, mark.region) for mark in read.recordings[0].annotations if mark.tier != "Phonetic"}
    assert said["Text"] == ("I'll", said["Word"][1])
    assert "Accent" not in said
    assert [(tier.key, tier.parent) for tier in read.recordings[0].tiers][:3] == [
        ("Word", "Utterance"),
        ("Text", "Word"),
        ("Accent", "Word"),
    ]


def test_transcriptions_have_texts_turns_topics_and_overlapping_speakers():
    read, marks = read_marks(CONTENT["transcriber"])
    assert {mark[0] for mark in marks} == {"take"}
    assert sorted(mark[1:] for mark in marks) == [
        ("speakers", 0, 3.25, "Anna"),
        ("speakers", 3.25, 5, "Anna"),
        ("speakers", 3.25, 5, "Ben"),
        ("topics", 0, 6.5, "le café"),
        ("transcript", 0, 1.5, "so what [rire] ?"),
        ("transcript", 2.5, 3.25, "and & then"),
        ("transcript", 3.25, 5, "Anna: yes"),
        ("transcript", 3.25, 5, "Ben: no"),
    ]
    assert read.dropped == (
        "2 descriptions of a speaker",
        "1 description of a turn, such as its channel",
        "1 background",
    )
    assert [(tier.name, tier.labels, tier.empty) for tier in read.tiers] == [
        ("transcript", 4, 2),
        ("speakers", 3, 0),
        ("topics", 1, 0),
    ]


def test_a_transcription_is_read_in_its_declared_or_a_given_encoding():
    older = CONTENT["transcriber"].replace(b"ISO-8859-1", b"UTF-8")
    with pytest.raises(AnnotationsRefused, match="line 5: this is not XML"):
        read_marks(older)
    assert read_marks(older, ReadOptions(encoding="latin-1"))[1] == read_marks(CONTENT["transcriber"])[1]


def test_utterances_with_times_are_read_from_chat():
    read, marks = read_marks(CONTENT["chat"])
    assert {mark[0] for mark in marks} == {"take"}
    assert sorted(mark[1:] for mark in marks) == [
        ("speakers", 0.5, 1.25, "CHI"),
        ("speakers", 1.3, 2.5, "MOT"),
        ("speakers", 2.6, 2.9, "CHI"),
        ("transcript", 0.5, 1.25, "more cookie ."),
        ("transcript", 1.3, 2.5, "you had one already ."),
        ("transcript", 2.6, 2.9, "why ?"),
        ("words", 0.5, 0.8, "more"),
        ("words", 0.8, 1.25, "cookie"),
    ]
    assert read.dropped == ("1 line %mor", "1 utterance without times")


# --- written, and read again ---


def test_a_name_with_line_ends_stays_in_its_row():
    recording = AnnotatedRecording("a\rb\n.wav", None, 3.0, None, annotations=(Annotation(Region(0.5, 1.0)),))
    written = READERS["raven"].write([recording]).content
    assert written.decode().splitlines()[1].split("\t")[7] == "a b .wav"
    (read,) = READERS["raven"].read(written, "table.txt").recordings
    assert sorted_marks(read.annotations) == sorted_marks(recording.annotations)


@given(recordings())
def test_a_selection_table_keeps_every_mark_but_its_time_of_change(recording):
    (read,) = READERS["raven"].read(READERS["raven"].write([recording]).content, recording.name).recordings
    assert sorted_marks(read.annotations) == sorted_marks(without_fields(recording, "changed_at").annotations)


@pytest.mark.parametrize("key", ["srt", "vtt"])
@given(recording=recordings())
@example(recording=AnnotatedRecording("take", None, 2.0, None, (Annotation(Region(0, 1), note=r"{\an8} [so]"),)))
@example(recording=AnnotatedRecording("take", None, 2.0, None, (Annotation(Region(0, 1), emotion="{\x1f}"),)))
def test_subtitles_keep_every_mark_but_its_time_of_change_within_a_millisecond(key, recording):
    written = READERS[key].write([recording])
    if recording.annotations:
        assert format_key(written.content) == key
    (read,) = READERS[key].read(written.content, recording.name).recordings
    edges, exact = (
        sorted(edge for mark in each.annotations for edge in (mark.region.start_s, mark.region.end_s))
        for each in (read, recording)
    )
    assert edges == pytest.approx(exact, rel=0, abs=0.001 + 1e-9)
    untimed = [
        sorted_marks(replace(mark, region=replace(mark.region, start_s=0, end_s=1)) for mark in marks)
        for marks in (read.annotations, without_fields(recording, "changed_at").annotations)
    ]
    assert untimed[0] == untimed[1]


def test_turns_of_speakers_are_written_exactly_and_other_marks_are_reported_as_lost():
    turns = (Annotation(Region(0.1, 0.3), "speakers", note="Anna B"), Annotation(Region(0.3, 1.05), "speakers"))
    marks = (*turns, Annotation(Region(0, 1), emotion="sad"))
    written = READERS["rttm"].write([AnnotatedRecording("take 1.wav", None, 2.0, None, marks)])
    assert written.content.decode().splitlines() == [
        "SPEAKER take_1 1 0.1 0.2 <NA> <NA> Anna_B <NA> <NA>",
        "SPEAKER take_1 1 0.3 0.75 <NA> <NA> <NA> <NA> <NA>",
    ]
    assert written.dropped[:2] == ("1 mark beside the turns of speakers", "the spaces in the name of 1 speaker")
    (read,) = READERS["rttm"].read(written.content, "here").recordings
    assert [mark.region for mark in read.annotations] == [turn.region for turn in turns]
    with pytest.raises(AnnotationsRefused, match="who speaks when"):
        READERS["rttm"].write([AnnotatedRecording("a", None, 2.0, None, marks[2:])])


@given(recordings())
def test_emu_keeps_every_mark_but_its_time_of_change_between_two_samples(recording):
    written = READERS["emu"].write([recording])
    (read,) = READERS["emu"].read(written.content, "here").recordings
    rate_hz = recording.sample_rate_hz or 48_000
    edges, exact = (
        sorted(edge for mark in each.annotations for edge in (mark.region.start_s, mark.region.end_s))
        for each in (read, recording)
    )
    assert edges == pytest.approx(exact, rel=0, abs=1.01 / rate_hz)
    untimed = [
        sorted_marks(replace(mark, region=replace(mark.region, start_s=0, end_s=1)) for mark in marks)
        for marks in (read.annotations, without_fields(recording, "changed_at").annotations)
    ]
    assert untimed[0] == untimed[1]
    again = READERS["emu"].write([replace(read, name=recording.name, sample_rate_hz=recording.sample_rate_hz)])
    assert again.content == written.content


def test_a_mark_shorter_than_a_sample_becomes_the_nearest_one_in_emu():
    spans = {(0.0001, 0.0002): 0, (0.1001, 0.1002): 100, (0.1008, 0.1009): 101}
    marks = tuple(Annotation(Region(*span)) for span in spans)
    written = json.loads(READERS["emu"].write([AnnotatedRecording("a.wav", None, 2.0, 1_000, marks)]).content)
    items = written["levels"][0]["items"]
    assert [(item["sampleStart"], item["sampleDur"]) for item in items] == [(first, 0) for first in spans.values()]


def test_marks_that_begin_at_the_same_sample_keep_their_levels_when_emu_is_written_again():
    marks = (Annotation(Region(0, 1)), Annotation(Region(1e-9, 6e-8), tier="words", note="so"))
    written = READERS["emu"].write([AnnotatedRecording("a.wav", None, 2.0, 48_000, marks)]).content
    (read,) = READERS["emu"].read(written, "a").recordings
    again = READERS["emu"].write([replace(read, name="a.wav", sample_rate_hz=48_000)]).content
    assert [level["name"] for level in json.loads(written)["levels"]] == ["words", "emotion"]
    assert again == written


@pytest.mark.parametrize(
    ("mark", "label", "expected"),
    [
        ({"emotion": "angry", "intensity": 3}, "sad", ("sad", "", 3)),
        ({"emotion": "angry", "note": "loud"}, "grumpy", ("grumpy", "loud", None)),
        ({"note": "so"}, "what", (None, "what", None)),
        ({"note": "so"}, "sad", ("sad", "", None)),
        ({"emotion": "angry"}, "", (None, "", None)),
    ],
)
def test_a_label_that_was_changed_in_emu_replaces_that_of_the_mark_and_nothing_else(mark, label, expected):
    marks = (Annotation(Region(0, 1), annotator="anna", **mark),)
    content = READERS["emu"].write([AnnotatedRecording("a.wav", None, 2.0, 16_000, marks)]).content
    before = mark.get("emotion", mark.get("note"))
    changed = content.decode().replace(f'"value": "{before}"', f'"value": "{label}"')
    ((read,),) = (each.annotations for each in READERS["emu"].read(changed.encode(), "a").recordings)
    assert (read.emotion, read.note, read.intensity) == expected
    assert (read.annotator, read.tier) == ("anna", "emotion")


@pytest.mark.parametrize("labels", [("anna_emotion",), ("anna_emotion", "anna_emotion_mark")])
def test_a_mark_added_in_emu_belongs_to_the_tier_and_annotator_of_its_level(labels):
    content = (
        READERS["emu"]
        .write(
            [
                AnnotatedRecording(
                    "a.wav", None, 2.0, 16_000, (Annotation(Region(0, 1), annotator="anna", emotion="sad"),)
                )
            ]
        )
        .content
    )
    document = json.loads(content)
    new = [{"name": name, "value": "Calm" if name == labels[0] else ""} for name in labels]
    document["levels"][0]["items"].append({"id": 9, "sampleStart": 16_000, "sampleDur": 7_999, "labels": new})
    (read,) = READERS["emu"].read(json.dumps(document).encode(), "a").recordings
    assert [(mark.annotator, mark.tier, mark.emotion) for mark in read.annotations] == [
        ("anna", "emotion", "sad"),
        ("anna", "emotion", "calm"),
    ]
    document["levels"][0]["items"][0]["labels"][0] = 5
    with pytest.raises(AnnotationsRefused, match="no list of labels"):
        READERS["emu"].read(json.dumps(document).encode(), "a")


def test_an_emu_database_has_all_levels_in_each_bundle_and_declares_them_once():
    marks = (Annotation(Region(0, 1), annotator="anna", emotion="sad"), Annotation(Region(1, 1.5), "words", note="so"))
    of = [AnnotatedRecording(f"{name} 1.wav", name * 64, 2.0, 16_000, marks[at:]) for at, name in enumerate("ab")]
    written = export_recordings(of, EXPORT_FORMATS["emu"], name="My voices")
    root = "My_voices_emuDB"
    assert list(written.files) == [
        f"{root}/My_voices_DBconfig.json",
        f"{root}/0000_ses/a_1_bndl/a_1_annot.json",
        f"{root}/0000_ses/b_1_bndl/b_1_annot.json",
    ]
    assert written.sounds == {f"{root}/0000_ses/{name}_1_bndl/{name}_1.wav": name * 64 for name in "ab"}
    config, first, second = map(json.loads, written.files.values())
    defined = [(level["name"], level["type"]) for level in config["levelDefinitions"]]
    assert defined == [("anna_emotion", "SEGMENT"), ("words", "SEGMENT")]
    attributes = [one["name"] for level in config["levelDefinitions"] for one in level["attributeDefinitions"]]
    assert attributes == ["anna_emotion", "anna_emotion_mark", "words", "words_mark"]
    for bundle in (first, second):
        assert [(level["name"], level["type"]) for level in bundle["levels"]] == defined
        assert {
            label["name"] for level in bundle["levels"] for item in level["items"] for label in item["labels"]
        } <= set(attributes)
    assert (first["annotates"], second["levels"][0]["items"]) == ("a_1.wav", [])
    files = read_files(written.files.items(), ImportOptions())
    assert [(file.format_name, len(file.documents)) for file in files] == [
        ("EMU-SDMS configuration", 0),
        ("EMU-SDMS", 1),
        ("EMU-SDMS", 1),
    ]


def test_sessions_and_speakers_of_a_database_are_read_and_written_back():
    marks = (Annotation(Region(0, 1), annotator="anna", emotion="sad"),)
    made = READERS["emu"].write([AnnotatedRecording("a.wav", None, 2.0, 16_000, marks)]).content
    files = {
        "my_emuDB/my_DBconfig.json": b'{"levelDefinitions": [], "metadataDefaults": {"Speaker": "everybody"}}',
        "my_emuDB/0000_ses/a_bndl/a_annot.json": made,
        "my_emuDB/day 2_ses/day 2.meta_json": b'[{"Participant.ID": "P11", "Recording.Date": "2019-03-06"}]',
        "my_emuDB/day 2_ses/b_bndl/b_annot.json": made.replace(b"a.wav", b"b.wav"),
        "my_emuDB/day 2_ses/c_bndl/c_annot.json": made.replace(b"a.wav", b"c.wav"),
        "my_emuDB/day 2_ses/c_bndl/c.meta_json": b'{"speaker": 12}',
    }
    read = read_files(files.items(), ImportOptions())
    documents = [document for file in read for document in file.documents]
    expected = [("", "everybody"), ("day 2", "P11"), ("day 2", "12")]
    assert [(each.session, each.speaker) for each in documents] == expected
    assert [file.dropped for file in read if file.dropped] == [("the field 'Recording.Date' of metadata",)]
    documents = [replace(each, sha256=name * 64) for each, name in zip(documents, "abc", strict=True)]
    written = export_recordings(documents, EXPORT_FORMATS["emu"], name="my")
    assert {name.split("/")[1] for name in written.files} == {"my_DBconfig.json", "0000_ses", "day_2_ses"}
    again = [one for file in read_files(written.files.items(), ImportOptions()) for one in file.documents]
    assert [(one.session.replace("_", " "), one.speaker) for one in again] == expected
    own = export_recordings(documents, EXPORT_FORMATS["json"]).files
    assert [(one.session, one.speaker) for one in read_files(own.items(), ImportOptions())[0].documents] == expected
    assert "the speaker of 3 recordings" in export_recordings(documents, EXPORT_FORMATS["csv"]).dropped
    with pytest.raises(AnnotationsRefused, match="a single JSON object"):
        read_files([("a.meta_json", b"[1, 2]")], ImportOptions())


STRING, LIST = {"name": str}, {"order": list}
#: The fields that EMU-webApp's schemas require of a configuration and of an annotation, with their types.
SCHEMA = {
    "name": str,
    "UUID": str,
    "mediafileExtension": "wav",
    "ssffTrackDefinitions": [{}],
    "levelDefinitions": [
        STRING | {"type": ("SEGMENT", "EVENT"), "attributeDefinitions": [STRING | {"type": "STRING"}]}
    ],
    "linkDefinitions": [{}],
    "EMUwebAppConfig": {
        "perspectives": [
            STRING
            | {"signalCanvases": LIST | {"assign": list, "contourLims": list}, "levelCanvases": LIST}
            | {"twoDimCanvases": LIST}
        ],
        "activeButtons": {"saveBundle": bool, "showHierarchy": bool},
    },
}
ITEM = {"id": int, "labels": [STRING | {"value": str}]}
TIMES = {"SEGMENT": {"sampleStart": int, "sampleDur": int}, "EVENT": {"samplePoint": int}}


def matches_schema(value, schema) -> bool:
    """Whether a value has exactly the fields of a schema, which allows no others."""
    if isinstance(schema, dict):
        return value.keys() == schema.keys() and all(matches_schema(value[field], schema[field]) for field in schema)
    if isinstance(schema, list):
        return isinstance(value, list) and all(matches_schema(each, schema[0]) for each in value)
    if isinstance(schema, tuple):
        return value in schema
    return value == schema if isinstance(schema, str) else type(value) is schema


@pytest.mark.parametrize("plain", [False, True])
def test_a_database_has_the_fields_that_emu_requires_and_no_others(plain):
    marks = (
        Annotation(Region(0, 1), annotator="anna", emotion="sad"),
        Annotation(Region(0.5, 1.5), annotator="anna", emotion="angry", intensity=2),
        Annotation(Point(1.5, 1.5), "clicks", note="x"),
    )
    written = export_recordings(
        [AnnotatedRecording("a.wav", "a" * 64, 2.0, 16_000, marks)], EXPORT_FORMATS["emu"], {"plain": plain}
    )
    config, bundle = map(json.loads, written.files.values())
    assert matches_schema(config, SCHEMA)
    assert matches_schema(
        bundle | {"levels": []}, STRING | {"annotates": str, "sampleRate": int, "levels": [{}], "links": [{}]}
    )
    items = [item for level in bundle["levels"] for item in level["items"]]
    assert len({item["id"] for item in items}) == len(items) == len(marks)
    for level, defined in zip(bundle["levels"], config["levelDefinitions"], strict=True):
        assert matches_schema(
            level, {"name": defined["name"], "type": defined["type"], "items": [ITEM | TIMES[level["type"]]]}
        )
        names = [attribute["name"] for attribute in defined["attributeDefinitions"]]
        assert all([label["name"] for label in item["labels"]] == names for item in level["items"])
        ends = [item.get("sampleStart", 0) + item.get("sampleDur", 0) for item in level["items"]]
        assert all(end < item["sampleStart"] for end, item in zip(ends, level["items"][1:], strict=False))


def test_a_plain_table_has_the_columns_that_other_tools_know_and_is_read_again():
    marks = (
        Annotation(Region(0.25, 1.0), annotator="anna", emotion="sad", intensity=3),
        Annotation(Region(1.0, 2.0), "words", note="=so"),
    )
    written = FORMATS["csv"].write([AnnotatedRecording("a.wav", None, 2.0, None, marks)], plain=True)
    assert written.content.decode("utf-8-sig").splitlines() == [
        "recording,start,end,tier,annotator,label",
        "a.wav,0.25,1.0,emotion,anna,sad",
        "a.wav,1.0,2.0,words,,'=so",
    ]
    assert written.dropped == ("all but the label of 1 mark",)
    (read,) = FORMATS["csv"].read(written.content, "here").recordings
    assert read.annotations == (replace(marks[0], intensity=None), marks[1])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("start,end,word\n0.5,1,so\n", ("words", 0.5, 1.0, "so")),
        ("Start;End;Emotion\n0,5;1,25;sad\n", ("emotion", 0.5, 1.25, "sad")),
        ("onset\toffset\tlabel\n0.5\t1\thmm\n", ("emotion", 0.5, 1.0, "hmm")),
        ("tmin,text,tier,tmax\n0.5,Angry,mood,1\n", ("mood", 0.5, 1.0, "angry")),
        ("file,begin,duration,label\na.wav,0.5,0.25,sad\n", ("emotion", 0.5, 0.75, "sad")),
        ("start;dur;word;emotion\n0,5;1;so;sad\n", ("emotion", 0.5, 1.5, "sad")),
        ("name,start_seconds,stop_seconds\nhmm,0.5,1\n", ("emotion", 0.5, 1.0, "hmm")),
        ("label,onset_s,offset_s,notated_path\nhmm,0.5,1,a.wav\n", ("emotion", 0.5, 1.0, "hmm")),
    ],
)
def test_tables_of_other_tools_are_read_by_the_names_of_their_columns(table, expected):
    assert format_key(table.encode()) == "csv"
    read, ((name, *mark),) = read_marks(table)
    assert tuple(mark) == expected
    assert name == ("a.wav" if "a.wav" in table else "here")
    assert read.dropped == ()


@pytest.mark.parametrize(
    ("key", "old", "new", "why"),
    [
        ("srt", "00:01:02,000 X", "00:00:02,000 X", "line 6: A region from 60 to 2 s"),
        ("rttm", "0.75 <NA>", "x <NA>", "line 3: The duration 'x' is not a number"),
        ("rttm", "0.75 <NA>", "-1 <NA>", "line 3: The turn lasts -1 s"),
        ("rttm", "SPKR-INFO take_1 1", "SPKR-INFO", "line 2: .* is not a row of RTTM"),
        ("raven", "\t2.0\t", "\t4.0\t", "line 4: A region from 4 to 3 s"),
        ("raven", "\t0.5\t", "\tx\t", "line 2: The start 'x' is not a number"),
        ("transcriber", "</Turn>", "", "line 24: Turn is in Turn"),
        ("transcriber", 'time="2.5"', 'time="x"', "line 21: The time 'x' is not a number"),
        ("transcriber", '"3.25" mode', '"1" mode', "line 23: A region from 2.5 to 1 s"),
        ("transcriber", "</Trans>", "", "line 38: this is not XML"),
        ("transcriber", '<Section type="report"', "<Part", "line 13: Turn is in Part"),
        ("transcriber", "<Sync", '<Turn startTime="0" endTime="1"/><Sync', "line 14: Turn is in Turn"),
        ("transcriber", '"trans-14.dtd"', '"a" [<!ENTITY b "c">]', "line 2: the file defines entities"),
        ("chat", "@End", "@Comment:\tcut off", "ends without @End"),
        ("chat", "500_1250\x15\n%mor", "500_x\x15\n%mor", "line 7: a time is not two numbers"),
        ("chat", "1250\x15\n%mor", "1250\n%mor", "line 7: a time is not two numbers"),
        ("chat", "1300_2500", "2500_1300", "line 10: A region from 2.5 to 1.3 s"),
        ("chat", "*MOT:\tno", "MOT:\tno", "line 12: .* is not a line of CHAT"),
        ("emu", "20000", "0", "A sample rate of 0 Hz"),
        ("emu", '"sampleDur": 1389', '"sampleDur": -1390', "item 2: A region from"),
        ("emu", '"sampleStart": 3749', '"sampleStart": null', "item 2: The first sample None"),
        ("emu", '"items"', '"item"', "there is no list 'items'"),
        ("emu", '"labels": [{"name": "Word"', '"label": [{"name": "Word"', "It has no list of labels"),
    ],
)
def test_a_damaged_file_is_refused_with_the_location(key, old, new, why):
    content = CONTENT[key].decode("latin-1")
    assert old in content
    with pytest.raises(AnnotationsRefused, match=f"(?s)^here.*{why}"):
        READERS[key].read(content.replace(old, new, 1).encode("latin-1"), "here")


def test_numbers_with_huge_exponents_and_unknown_elements_are_handled():
    row = f"SPEAKER a 1 1e-{'9' * 25} 1 <NA> <NA> A <NA> <NA>\n"
    (read,) = READERS["rttm"].read(row.encode(), "here").recordings
    assert [(mark.region.start_s, mark.region.end_s) for mark in read.annotations] == [(0.0, 1.0)]
    content = CONTENT["transcriber"].replace(b"</Turn>", b"<Foo/><Foo/></Turn>", 1)
    assert "2 elements 'Foo' of a turn" in READERS["transcriber"].read(content, "here").dropped


def test_a_long_text_of_many_lines_is_read_quickly():
    content = CONTENT["transcriber"].replace(b"</Turn>", b"a b c d e f g h i j\n" * 80_000 + b"</Turn>", 1)
    begun = time.process_time()
    with pytest.raises(AnnotationsRefused, match="characters; at most"):
        READERS["transcriber"].read(content, "here")
    assert time.process_time() - begun < 2
