"""EAF: pympi and ELAN read ours, we read theirs, and files that would harm or mislead pympi never reach it."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pympi.Elan import Eaf

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier
from ser_core.annotations.formats import FORMATS, format_key
from ser_core.errors import AnnotationsRefused
from tests.annotated_recordings import example

ELAN = FORMATS["elan"]

#: Made as ELAN 6 writes: adjacent annotations, a tier of details, one of parts, and an annotation without times.
BY_ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-05-01T12:00:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <LICENSE LICENSE_URL=""/>
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/talks/an%20interview.wav" MIME_TYPE="audio/x-wav"
            RELATIVE_MEDIA_URL="./an%20interview.wav"/>
        <PROPERTY NAME="URN">urn:nl-mpi-tools-elan-eaf:0</PROPERTY>
        <PROPERTY NAME="lastUsedAnnotationId">6</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="0"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1100"/>
        <TIME_SLOT TIME_SLOT_ID="ts3"/>
        <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="2500"/>
    </TIME_ORDER>
    <TIER ANNOTATOR="AB" LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="Speaker 1" TIER_ID="utterance">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
                <ANNOTATION_VALUE>so what?</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts4">
                <ANNOTATION_VALUE/>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER ANNOTATOR="AB" LINGUISTIC_TYPE_REF="detail" PARENT_REF="utterance" TIER_ID="emotion">
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
                <ANNOTATION_VALUE>Angry</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="parts" PARENT_REF="utterance" TIER_ID="words">
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1">
                <ANNOTATION_VALUE>so</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a1" PREVIOUS_ANNOTATION="a4">
                <ANNOTATION_VALUE>what</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="free">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a6" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
                <ANNOTATION_VALUE>somewhere</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" GRAPHIC_REFERENCES="false"
        LINGUISTIC_TYPE_ID="detail" TIME_ALIGNABLE="false"/>
    <CONSTRAINT DESCRIPTION="1-1 association with a parent annotation" STEREOTYPE="Symbolic_Association"/>
    <CONTROLLED_VOCABULARY CV_ID="emotions">
        <DESCRIPTION LANG_REF="und"/>
        <CV_ENTRY_ML CVE_ID="cveid0"><CVE_VALUE LANG_REF="und">angry</CVE_VALUE></CV_ENTRY_ML>
    </CONTROLLED_VOCABULARY>
</ANNOTATION_DOCUMENT>
"""


# --- golden and other library ---


def test_annotations_of_elan_are_read_with_the_times_of_their_parents():
    found = ELAN.read(BY_ELAN.encode(), "here")
    marks = (
        Annotation(Region(0, 1.1), tier="utterance", annotator="AB", note="so what?"),
        Annotation(Region(0, 1.1), tier="emotion", annotator="AB", emotion="angry"),
        Annotation(Region(0, 0.55), tier="words", note="so"),
        Annotation(Region(0.55, 1.1), tier="words", note="what"),
        Annotation(Region(1.1, 2.5), tier="utterance", annotator="AB"),
    )
    (recording,) = found.recordings
    assert (recording.name, recording.duration_s) == ("an interview.wav", 2.5)
    assert sorted(recording.annotations, key=str) == sorted(marks, key=str)
    # Two words share their utterance, and one annotation has no time of its own.
    assert found.changed == ("2 annotations without times, as equal parts of what they belong to",)
    assert found.dropped == (
        "1 annotation without times",
        "1 controlled vocabulary that no tier uses",
    )
    assert [(tier.key, tier.parent, tier.participant) for tier in recording.tiers] == [
        ("utterance", None, "Speaker 1"),
        ("emotion", None, ""),
        ("words", "utterance", ""),
        ("free", None, ""),
    ]
    tiers = [(tier.name, tier.labels, tier.empty) for tier in found.tiers]
    assert tiers == [("utterance", 1, 1), ("emotion", 1, 0), ("words", 2, 0), ("free", 1, 0)]
    assert format_key(BY_ELAN.encode()) == "elan"


def test_the_vocabulary_of_a_tier_is_its_set_of_labels():
    kind = 'LINGUISTIC_TYPE_ID="default-lt"'
    used = BY_ELAN.replace(f"{kind} TIME", f'{kind} CONTROLLED_VOCABULARY_REF="emotions" TIME')
    found = ELAN.read(used.encode(), "here")
    assert not any("vocabular" in words for words in found.dropped)
    held = {tier.key: (tier.content, tier.labels) for tier in found.recordings[0].tiers}
    assert held == {
        "utterance": ("labels", ("angry",)),
        "emotion": ("emotions", ()),
        "words": ("text", ()),
        "free": ("labels", ("angry",)),
    }


def divided(slots: str, annotations: str, tier: str = "") -> bytes:
    """Return an EAF with one tier, some of whose annotations have no times."""
    return (
        '<ANNOTATION_DOCUMENT VERSION="3.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="x"><HEADER><MEDIA_DESCRIPTOR MEDIA_URL="a.wav" TIME_ORIGIN="500"/></HEADER>'
        f'<TIME_ORDER>{slots}</TIME_ORDER><TIER TIER_ID="words" LINGUISTIC_TYPE_REF="x" PARTICIPANT="A">{annotations}'
        f"</TIER>{tier}</ANNOTATION_DOCUMENT>"
    ).encode()


def aligned(own: str, start: str, end: str) -> str:
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{own}" TIME_SLOT_REF1="{start}" TIME_SLOT_REF2="{end}">'
        f"<ANNOTATION_VALUE>{own}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
    )


def referring(own: str, parent: str, previous: str = "") -> str:
    before = f' PREVIOUS_ANNOTATION="{previous}"' if previous else ""
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{own}" ANNOTATION_REF="{parent}"{before}>'
        f"<ANNOTATION_VALUE>{own}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


def test_annotations_without_times_divide_their_parent_as_in_elan():
    """By hand: three parts of a second, of which the second is divided by four, told out of order; half a second on."""
    times = {"ts1": 'TIME_VALUE="1000"', "ts2": "", "ts3": "", "ts4": 'TIME_VALUE="1900"'}
    slots = "".join(f'<TIME_SLOT TIME_SLOT_ID="{own}" {value}/>' for own, value in times.items())
    words = aligned("a1", "ts1", "ts2") + aligned("a2", "ts2", "ts3") + aligned("a3", "ts3", "ts4")
    parts = [("a7", "a6"), ("a4", ""), ("a6", "a5"), ("a5", "a4")]
    tier = '<TIER TIER_ID="parts" LINGUISTIC_TYPE_REF="y" PARENT_REF="words">'
    tier += "".join(referring(own, "a2", previous) for own, previous in parts) + "</TIER>"
    found = ELAN.read(divided(slots, words, tier), "here")
    edges = {
        mark.note: (round(mark.region.start_s, 6), round(mark.region.end_s, 6))
        for mark in found.recordings[0].annotations
    }
    assert edges == {
        "a1": (1.5, 1.8),
        "a2": (1.8, 2.1),
        "a3": (2.1, 2.4),
        "a4": (1.8, 1.875),
        "a5": (1.875, 1.95),
        "a6": (1.95, 2.025),
        "a7": (2.025, 2.1),
    }
    assert found.changed == (
        "its times, to which the TIME_ORIGIN of 0.5 s is added",
        "7 annotations without times, as equal parts of what they belong to",
    )
    assert (found.dropped, found.recordings[0].tiers[0].participant) == ((), "A")


def test_a_participant_is_written_like_elan_and_a_second_one_in_a_tier_is_reported_as_lost(tmp_path):
    marks = [Annotation(Region(0, 1), "words", name, note="so") for name in ("anna", "ben")]
    tiers = (Tier("words", "words", participant="Ann & Co"),)
    written = ELAN.write([AnnotatedRecording("a.wav", None, 2.0, None, tuple(marks), tiers=tiers)])
    (tmp_path / "a.eaf").write_bytes(written.content)
    eaf = Eaf(tmp_path / "a.eaf")
    assert [eaf.tiers[name][2]["PARTICIPANT"] for name in eaf.tiers] == ["Ann & Co"] * 2
    changed = written.content.replace(b'PARTICIPANT="Ann &amp; Co"', b'PARTICIPANT="Ben"', 1)
    read = ELAN.read(changed, "here")
    assert (read.recordings[0].tiers[0].participant, read.dropped) == (
        "Ben",
        ("the participant of 1 tier, which has another one",),
    )
    gone = ELAN.read(written.content.replace(b' PARTICIPANT="Ann &amp; Co"', b""), "here")
    assert gone.recordings[0].tiers[0].participant == "", "what ELAN says now is newer than our property"


def test_ids_without_numbers_are_read():
    one, two = "b8f0e1c2-aaaa-4bbb-8ccc-dddddddddddd", "x"
    slots = f'<TIME_SLOT TIME_SLOT_ID="{one}" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="{two}" TIME_VALUE="900"/>'
    tier = f'<TIER TIER_ID="emotion" LINGUISTIC_TYPE_REF="y">{referring("zwei", "eins")}</TIER>'
    found = ELAN.read(divided(slots, aligned("eins", one, two), tier), "here")
    assert [(mark.note, mark.region.end_s) for mark in found.recordings[0].annotations] == [
        ("eins", 1.4),
        ("zwei", 1.4),
    ]


def test_files_written_by_pympi_are_read(tmp_path):
    eaf = Eaf()
    eaf.add_tier("emotion", ann="CD")
    eaf.add_annotation("emotion", 500, 900, "sad [intensity=4]")
    eaf.add_annotation("emotion", 900, 1000, "happy")
    eaf.to_file(tmp_path / "a.eaf")
    (recording,) = ELAN.read((tmp_path / "a.eaf").read_bytes(), "a.wav").recordings
    assert recording.name == "a.wav"
    assert recording.annotations == (
        Annotation(Region(0.5, 0.9), annotator="CD", emotion="sad", intensity=4),
        Annotation(Region(0.9, 1.0), annotator="CD", emotion="happy"),
    )


def test_pympi_reads_what_we_write(tmp_path):
    file = tmp_path / "a.eaf"
    file.write_bytes(ELAN.write([example()]).content)
    eaf = Eaf(file)
    assert list(eaf.tiers) == ["anna/emotion", "anna/emotion (2)", "words", "bob/recording"]
    assert [eaf.get_parameters_for_tier(tier).get("ANNOTATOR") for tier in eaf.tiers] == ["anna", "anna", None, "bob"]
    assert eaf.get_annotation_data_for_tier("anna/emotion") == [(0, 1500, "angry")]
    assert eaf.get_annotation_data_for_tier("bob/recording") == [(0, 3250, "sad [intensity=2]")]
    assert eaf.media_descriptors[0]["MEDIA_URL"] == "a%20b.wav"


def test_time_slots_are_sorted_and_never_shared_by_two_annotations():
    root = ElementTree.fromstring(ELAN.write([example()]).content)
    slots = [(slot.get("TIME_SLOT_ID"), int(slot.get("TIME_VALUE"))) for slot in root.iter("TIME_SLOT")]
    assert [name for name, _ in slots] == [f"ts{place}" for place in range(1, 9)]
    assert [time for _, time in slots] == [0, 0, 500, 1250, 1250, 1500, 3000, 3250]
    references = [found.get(f"TIME_SLOT_REF{n}") for found in root.iter("ALIGNABLE_ANNOTATION") for n in (1, 2)]
    assert len(references) == len(set(references)) == 8


def test_the_file_names_elans_schema_and_the_date_of_the_last_change():
    root = ElementTree.fromstring(ELAN.write([example()]).content)
    assert root.get("DATE") == "2024-05-01T12:00:00+00:00"
    assert [child.tag for child in root][:3] == ["HEADER", "TIME_ORDER", "TIER"]


# --- by hand: rounding ---


def test_rounding_is_reported_and_a_mark_that_would_vanish_is_one_millisecond_long():
    spans = [(0.0, 0.5), (0.5004, 0.9996), (1.0001, 1.0002), (1.9998, 1.9999)]
    marks = tuple(Annotation(Region(*span), emotion="sad") for span in spans)
    written = ELAN.write([AnnotatedRecording("a", None, 1.9999, None, marks)])
    assert written.dropped == ("the microseconds of 3 marks",)
    (recording,) = ELAN.read(written.content, "a").recordings
    found = [(mark.region.start_s, mark.region.end_s) for mark in recording.annotations]
    assert found == [(0.0, 0.5), (0.5, 1.0), (1.0, 1.001), (1.999, 1.9999)]


def test_adjacent_marks_stay_in_one_tier_and_overlapping_ones_get_another():
    spans = [(0, 1), (1, 2), (1.5, 3)]
    marks = tuple(Annotation(Region(*span), emotion="sad") for span in spans)
    root = ElementTree.fromstring(ELAN.write([AnnotatedRecording("a", None, 3.0, None, marks)]).content)
    assert [(tier.get("TIER_ID"), len(tier)) for tier in root.iter("TIER")] == [("emotion", 2), ("emotion (2)", 1)]


def test_a_recording_without_marks_has_an_empty_tier():
    recording = AnnotatedRecording("a", None, 2.0, None, ())
    content = ELAN.write([recording]).content
    assert [tier.get("TIER_ID") for tier in ElementTree.fromstring(content).iter("TIER")] == ["emotion"]
    assert ELAN.read(content, "here").recordings == (recording,)


# --- refusal ---


def damaged(old: str, new: str) -> bytes:
    assert old in BY_ELAN
    return BY_ELAN.replace(old, new, 1).encode()


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (damaged("<ANNOTATION_DOCUMENT", f"{BOMB}\n<ANNOTATION_DOCUMENT"), "line 2: the file defines a document type"),
        (
            damaged("<ANNOTATION_DOCUMENT", '<!DOCTYPE a SYSTEM "file:///etc/passwd">\n<ANNOTATION_DOCUMENT'),
            "line 2: the file defines a document type",
        ),
        (damaged("so what?", "&c;"), "line 21: this is not XML .undefined entity"),
        (damaged("</TIER>", "</TIERS>"), "line 29: this is not XML .mismatched tag"),
        (BY_ELAN[:900].encode(), "this is not XML"),
        (b"", "line 1: this is not XML .no element found"),
        (b"<html/>", "line 1: 'html' is not the beginning of an EAF"),
        (damaged(' VERSION="3.0"', ""), "line 2: ANNOTATION_DOCUMENT has no VERSION"),
        (damaged("xsi:noNamespaceSchemaLocation", "xsi:x"), "line 2: ANNOTATION_DOCUMENT has no noNamespaceSchema"),
        (damaged('TIME_SLOT_ID="ts2"', ""), "line 14: TIME_SLOT has no TIME_SLOT_ID"),
        (damaged('TIME_SLOT_ID="ts2"', 'TIME_SLOT_ID="ts1"'), "line 14: there are two of the TIME_SLOT_ID 'ts1'"),
        (damaged('"1100"', '"1100.5"'), "line 14: the TIME_VALUE '1100.5' is not a whole number of milliseconds"),
        (damaged('"1100"', '"-1"'), "line 14: the TIME_VALUE '-1' is not"),
        (damaged('"1100"', f'"{"9" * 5_000}"'), "line 14: the TIME_VALUE '9+… is not"),
        (damaged('"1100"', '"3000"'), "line 25: an annotation from 3000 to 2500 ms has no length"),
        (damaged('"1100"', '"0"'), "line 20: an annotation from 0 to 0 ms has no length"),
        (damaged('TIER_ID="emotion"', 'TIER_ID="utterance"'), "line 30: there are two of the TIER_ID 'utterance'"),
        (damaged('ID="a2"', 'ID="a1"'), "line 25: there are two of the ANNOTATION_ID 'a1'"),
        (damaged('REF2="ts2"', 'REF2="ts9"'), "line 20: there is no time slot 'ts9'"),
        (damaged('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a9"'), "line 32: there is no annotation 'a9' to refer to"),
        (damaged("<ANNOTATION_VALUE/>", ""), "line 27: ALIGNABLE_ANNOTATION does not begin with its ANNOTATION_VALUE"),
        (damaged("<TIME_ORDER>", "<TIME_ORDER><TIER TIER_ID='x'/>"), "line 12: 'TIER' is in TIME_ORDER"),
        (damaged("<HEADER", "<a>" * 30 + "</a>" * 30 + "<HEADER"), "line 6: the elements are nested too deeply"),
        (damaged("Angry", "Angry [intensity=9]"), "line 32: An intensity of 9"),
        (damaged("urn:nl", "\x00"), "line 9: this is not XML"),
        (BY_ELAN.replace("somewhere", "böse").encode("latin-1"), "line 52: this is not text in UTF-8"),
        (damaged('encoding="UTF-8"', 'encoding="x-none"'), "this is not XML .*unknown encoding"),
        (damaged('NAME="URN">urn', 'NAME="hear-why recording">urn'), "property .* line 1, column 1: this is not JSON"),
        (
            damaged('NAME="URN">urn:nl-mpi-tools-elan-eaf:0', 'NAME="hear-why recording">[]'),
            "the property hear-why recording is not an object",
        ),
        (
            damaged(
                'NAME="URN">urn:nl-mpi-tools-elan-eaf:0', 'NAME="hear-why recording">{"name": "a", "duration_s": 1}'
            ),
            "line 20: The mark ends at 1.1 s, after its recording",
        ),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(content, why):
    with pytest.raises(AnnotationsRefused, match=f"^here.*{why}"):
        ELAN.read(content, "here")


def test_entities_are_refused_in_every_encoding():
    for encoding in ("utf-8", "utf-16"):
        content = damaged("<ANNOTATION_DOCUMENT", f"{BOMB}\n<ANNOTATION_DOCUMENT").decode()
        with pytest.raises(AnnotationsRefused, match=r"the file defines a document type"):
            ELAN.read(re.sub('encoding="UTF-8"', f'encoding="{encoding}"', content).encode(encoding), "here")


def test_an_escaped_doctype_in_a_text_is_accepted():
    content = damaged("so what?", "&lt;!DOCTYPE a&gt; &amp;c;")
    assert "<!DOCTYPE a> &c;" in [mark.note for mark in ELAN.read(content, "here").recordings[0].annotations]


def test_annotations_that_refer_to_each_other_have_no_times():
    content = damaged('ANNOTATION_ID="a3" ANNOTATION_REF="a1"', 'ANNOTATION_ID="a3" ANNOTATION_REF="a3"')
    assert ELAN.read(content, "here").dropped[0] == "2 annotations without times"


def test_utf_16_is_read():
    content = BY_ELAN.replace("UTF-8", "UTF-16").encode("utf-16")
    assert format_key(content) == "elan"
    assert len(ELAN.read(content, "here").recordings[0].annotations) == 5


def test_the_medium_is_named_by_the_last_part_of_its_url():
    for address, name in (
        ("file:///a/b%20c.wav", "b c.wav"),
        ("https://host/x/d.wav?y=1", "d.wav"),
        ("C:\\x\\e.wav", "e.wav"),
        ("http://[", "here"),
        ("", "here"),
    ):
        content = damaged("file:///C:/talks/an%20interview.wav", address)
        assert ELAN.read(content, "here").recordings[0].name == name


def test_of_a_video_and_a_sound_the_sound_is_the_recording_and_gives_the_time_origin():
    video = '<MEDIA_DESCRIPTOR MEDIA_URL="a/film.mpg" MIME_TYPE="video/mpeg" TIME_ORIGIN="900"/>'
    sound = '<MEDIA_DESCRIPTOR MEDIA_URL="a/voice.wav" MIME_TYPE="audio/x-wav" TIME_ORIGIN="250"/>'
    content = re.sub(r"<MEDIA_DESCRIPTOR[^>]*/>", video + sound, BY_ELAN).encode()
    read, plain = (ELAN.read(each, "here") for each in (content, BY_ELAN.encode()))
    assert read.recordings[0].name == "voice.wav"
    first, before = (each.recordings[0].annotations[0].region.start_s for each in (read, plain))
    assert first == pytest.approx(before + 0.25)


def test_pympi_alone_would_lose_a_tier_of_the_same_name(tmp_path):
    """The reason for our own check; if this fails, pympi refuses such files by now."""
    file = Path(tmp_path / "a.eaf")
    file.write_bytes(damaged('TIER_ID="emotion"', 'TIER_ID="utterance"'))
    assert len(Eaf(file).tiers) == 3
