"""Marks written into others' TextGrids and EAFs, whose content stays byte for byte."""

import re
from dataclasses import replace

import parselmouth
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parselmouth.praat import call

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier
from ser_core.annotations.exchange.writing_into import write_into_file
from ser_core.annotations.formats import FORMATS
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.errors import AnnotationsRefused
from tests.annotated_recordings import recordings

KNOWN = [RecordingFile("ab" * 32, "take.wav", 3.0, 16_000)]
MARKS = (
    Annotation(Region(0.75, 1.0), annotator="anna", emotion="angry", intensity=3, key="k1", revision=1),
    Annotation(Region(1.0, 2.0), "words", note="so", key="k2", revision=1),
)
OURS = AnnotatedRecording("take.wav", "ab" * 32, 3.0, 16_000, MARKS)

#: As if written by hand: a comment, fractions, odd spaces, an empty interval of two.
GRID = """File type = "ooTextFile"
Object class = "TextGrid"
! by hand
xmin = 0
xmax = 3
tiers? <exists>
size = 2   ! tiers
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 3
        intervals: size = 4
        intervals [1]:  xmin = 0    xmax = 2/2   text = ""
        intervals [2]:  xmin = 1.0  xmax = 2.000 text = "so"
        intervals [3]:  xmin = 2.0  xmax = 2.5   text = ""
        intervals [4]:  xmin = 2.5  xmax = 3     text = ""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3
        points: size = 1
        points [1]:
            number = 50%
            mark = "é"
"""
EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://www.mpi.nl/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///x/take.wav" MIME_TYPE="audio/x-wav" TIME_ORIGIN="500"/>
        <PROPERTY NAME="lastUsedAnnotationId">7</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
        <TIME_SLOT TIME_SLOT_ID="ts2"/>
        <TIME_SLOT TIME_SLOT_ID="0b1c-uuid" TIME_VALUE="1500"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="utt" PARTICIPANT="a &gt; b" TIER_ID="words">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="3f-uuid" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="0b1c-uuid">
                <ANNOTATION_VALUE>so</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="ref" PARENT_REF="words" TIER_ID="gloss"><!-- mine -->
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a7" ANNOTATION_REF="3f-uuid"><ANNOTATION_VALUE>x</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" LINGUISTIC_TYPE_ID="ref" TIME_ALIGNABLE="false"/>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="utt" TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
"""
FILES = {"textgrid": ("take.TextGrid", GRID), "elan": ("take.eaf", EAF)}


def written_into(key: str, content: str | bytes, ours: AnnotatedRecording = OURS):
    content = content if isinstance(content, bytes) else content.encode()
    return write_into_file(content, FILES[key][0], KNOWN, lambda _: ours)


def is_within(parts: str, whole: str) -> bool:
    """Whether all lines of a text appear in order, possibly with others between them."""
    rest = iter(whole.splitlines())
    return all(line in rest for line in parts.splitlines())


@pytest.mark.parametrize("key", FILES)
def test_a_tier_that_is_missing_follows_the_last_one_and_all_else_stays(key):
    before = FILES[key][1]
    written = written_into(key, before)
    assert (written.into.added, written.into.replaced, written.unchanged) == (("anna/emotion",), (), ("words",))
    after = written.into.content.decode()
    counted = after.replace("size = 3   !", "size = 2   !").replace(">8</PROPERTY>", ">7</PROPERTY>")
    assert is_within(before, counted)
    (read,) = FORMATS[key].read(after.encode(), "take").recordings
    assert {(m.tier, m.annotator, m.region.start_s, m.region.end_s, m.emotion or m.note) for m in read.annotations} >= {
        ("emotion", "anna", 0.75, 1.0, "angry"),
        ("words", "", 1.0, 2.0, "so"),
    }
    again = written_into(key, after)
    assert again.into.content.decode() == after
    assert again.unchanged == ("anna/emotion", "words")


@pytest.mark.parametrize("key", FILES)
def test_only_the_tier_of_the_name_is_replaced(key):
    before = written_into(key, FILES[key][1]).into.content.decode()
    changed = replace(OURS, annotations=(replace(MARKS[0], emotion="fear"), MARKS[1]))
    written = written_into(key, before, changed)
    assert (written.into.added, written.into.replaced, written.unchanged) == ((), ("anna/emotion",), ("words",))
    assert written.gone == 1  # the label angry
    after = written.into.content.decode()
    assert after.count("fear") == 1
    assert "angry" not in after
    if key == "textgrid":
        assert after.replace("fear", "angry") == before
    else:
        without_ours = [re.sub(r"\s*<TIME_SLOT TIME_SLOT_ID=\"ts\d+\" .*?/>", "", each) for each in (before, after)]
        tiers = [
            re.sub(r'(?s)<TIER ANNOTATOR="anna".*?</TIER>|<PROPERTY.*?</PROPERTY>', "", each) for each in without_ours
        ]
        assert tiers[0] == tiers[1]


def test_times_of_an_eaf_are_those_of_its_medium_and_earlier_marks_are_counted():
    early = Annotation(Region(0.0, 0.25), annotator="anna", emotion="sad")
    late = replace(MARKS[0], region=Region(0.75, 1.25))
    written = written_into("elan", EAF, replace(OURS, annotations=(early, late)))
    assert written.into.dropped == ("1 mark before the TIME_ORIGIN of the file",)
    after = written.into.content.decode()
    assert re.findall(r'TIME_SLOT_ID="(ts\d+|0b1c-uuid)"(?: TIME_VALUE="(\d+)")?', after) == [
        ("ts3", "250"),
        ("ts1", "500"),
        ("ts2", ""),
        ("ts4", "750"),
        ("0b1c-uuid", "1500"),
    ]
    (read,) = FORMATS["elan"].read(after.encode(), "take").recordings
    assert [(m.region, m.key) for m in read.annotations if m.emotion] == [(late.region, "k1")]


def test_a_tier_that_others_belong_to_is_not_replaced():
    other = replace(OURS, annotations=(Annotation(Region(1.0, 2.0), "words", note="what"),))
    written = written_into("elan", EAF, other)
    assert (written.into.added, written.into.replaced) == (("words #2",), ())
    assert "<ANNOTATION_VALUE>so</ANNOTATION_VALUE>" in written.into.content.decode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_grid_keeps_its_encoding_and_its_line_ends(encoding, line_end):
    content = GRID.replace("\n", line_end).encode(encoding)
    after = written_into("textgrid", content).into.content
    assert after.startswith(content[:60])
    text = after.decode(encoding)
    assert text.replace("\r\n", "").count("\n") == (0 if line_end == "\r\n" else text.count("\n"))
    assert is_within(GRID.replace("size = 2   !", "size = 3   !"), text)
    if encoding == "cp1252":
        korean = replace(OURS, annotations=(replace(MARKS[1], note="화남"),))
        with pytest.raises(AnnotationsRefused, match="encoding cp1252, which has no"):
            written_into("textgrid", content, korean)


PRAAT = ["Save as text file", "Save as chronological text file", "Save as binary file"]


@pytest.mark.parametrize("form", PRAAT)
@pytest.mark.parametrize("start_s", [0.0, 7.0, -2.0])
def test_a_grid_that_praat_wrote_keeps_its_form_and_its_times_and_praat_opens_it(form, start_s, tmp_path):
    file = tmp_path / "take.TextGrid"
    theirs = call("Create TextGrid", start_s, start_s + 3, "words bell", "bell")
    call(theirs, "Insert boundary", 1, start_s + 1)
    call(theirs, "Set interval text", 1, 1, 'so "é"')
    call(theirs, "Insert point", 2, start_s + 1.5, "ding")
    call(theirs, form, str(file))
    before = file.read_bytes()
    late = replace(MARKS[0], region=Region(1.25, 3.0), note="화 😀")
    ours = replace(OURS, annotations=(late,))
    written = written_into("textgrid", before, ours).into
    assert (written.added, written.replaced) == (("anna/emotion",), ())
    file.write_bytes(written.content)
    both = parselmouth.read(str(file))
    assert [call(both, "Get tier name", tier) for tier in (1, 2)] == ["words", "bell"]
    assert call(both, "Get label of interval", 1, 1) == 'so "é"'
    assert call(both, "Get time of point", 2, 1) == start_s + 1.5
    assert "화 😀" in call(both, "Get label of interval", 3, 2)
    assert call(both, "Get start time of interval", 3, 2) == start_s + 1.25
    call(both, "Remove tier", 3)
    call(both, form, str(file))
    assert file.read_bytes() == before, "nothing else in it changed"
    changed = written_into("textgrid", written.content, replace(ours, annotations=(replace(late, note="x"),))).into
    assert changed.replaced == ("anna/emotion",)
    assert written_into("textgrid", changed.content, ours).into.content == written.content


def test_a_grid_66_ms_longer_than_its_sound_can_be_written_into():
    grid = GRID.replace("xmax = 3\n", "xmax = 3.066\n").replace('xmax = 3     text = ""', 'xmax = 3.066 text = "end"')
    written_into = write_into_file(grid.encode(), "take.TextGrid", KNOWN, lambda _: OURS).into
    assert written_into.added == ("anna/emotion",)
    written = written_into.content.decode()
    assert written.startswith(grid.replace("size = 2 ", "size = 3 ").rstrip())
    assert "xmax = 3.066" in written[len(grid) :]


def test_heads_of_new_tiers_come_before_all_intervals_of_a_chronological_file():
    empty = (
        '"Praat chronological TextGrid text file"\n0 3 ! Time domain.\n1 ! Number of tiers.\n"TextTier" "bell" 0 3\n'
    )
    after = written_into("textgrid", empty).into.content.decode()
    assert after.startswith(empty.replace("1 !", "3 !")[:-1] + '\n"IntervalTier" "anna/emotion" 0 3\n"IntervalTier" "')
    assert [
        mark.note or mark.emotion for mark in FORMATS["textgrid"].read(after.encode(), "a").recordings[0].annotations
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty; marks are written into"),
        (b"0\t1\tsad\n", "is a file of Audacity labels"),
        (GRID.partition("tiers?")[0].encode() + b"<absent>", "says that it has no tiers"),
        (GRID[:-20].encode(), "line"),
    ],
)
def test_other_and_damaged_files_are_refused(content, why):
    with pytest.raises(AnnotationsRefused, match=why):
        written_into("textgrid", content)


def test_no_annotation_with_times_comes_into_a_tier_of_elan_that_has_none():
    gloss = Annotation(Region(1.0, 2.0), "gloss", note="new")
    written = written_into("elan", EAF, replace(OURS, annotations=(gloss,))).into
    assert (written.added, written.replaced) == (("gloss #2",), ())
    assert is_within(EAF, written.content.decode().replace(">8</PROPERTY>", ">7</PROPERTY>"))


def test_points_that_are_written_into_an_eaf_are_points_when_it_is_read():
    tone = Tier("tone", "tone", "points")
    points = Annotation(Point(1.25, 1.25), "tone", note="H*"), Annotation(Point(2.0, 2.0), "tone", note="L*")
    ours = replace(OURS, annotations=(*MARKS, points[0]), tiers=(tone,))
    written = written_into("elan", EAF, ours).into
    assert "the zero length of 1 mark, which is 1 ms there because ELAN has no points" in written.dropped
    again = written_into("elan", written.content, replace(ours, annotations=(*MARKS, *points)))
    assert (again.into.added, again.into.replaced) == ((), ("tone",))
    assert again.into.content.count(b"hear-why tiers") == 1
    (read,) = FORMATS["elan"].read(again.into.content, "take").recordings
    assert {mark for mark in read.annotations if mark.tier == "tone"} == set(points)
    assert [tier for tier in read.tiers if tier.kind == "points"] == [tone]


def test_a_file_of_no_recording_here_is_refused():
    with pytest.raises(AnnotationsRefused, match="no recording called"):
        write_into_file(GRID.encode(), "other.TextGrid", KNOWN, lambda _: OURS)


@pytest.mark.parametrize("key", sorted(FORMATS.keys() & FILES.keys()))
def test_a_mark_that_another_one_moves_to_the_next_layer_stays_in_the_file(key):
    there, before = (Annotation(Region(start, 2), annotator="Ann", emotion="sad") for start in (1, 0.5))
    theirs = AnnotatedRecording("take.wav", None, 3.0, None, (there,))
    content = FORMATS[key].write([theirs]).content
    ours = replace(theirs, sha256="ab" * 32, annotations=(before, there))
    known = [RecordingFile("ab" * 32, "take.wav", 3.0, 16_000)]
    written = write_into_file(content, "take.wav", known, lambda _: ours).into
    read = FORMATS[key].read(written.content, "take").recordings[0].annotations
    assert sorted(mark.region.start_s for mark in read) == [0.5, 1]


@pytest.mark.slow
@pytest.mark.parametrize("key", sorted(FORMATS.keys() & FILES.keys()))
@given(theirs=recordings(), ours=recordings(), plain=st.booleans())
def test_whatever_is_written_into_whatever_can_be_read_and_is_there(key, theirs, ours, plain):
    duration_s = max(theirs.duration_s, ours.duration_s)
    known = [RecordingFile("ab" * 32, "take.wav", duration_s, 16_000)]
    content = FORMATS[key].write([replace(theirs, name="take.wav", sha256=None, duration_s=duration_s)]).content
    mine = replace(ours, name="take.wav", sha256="ab" * 32, duration_s=duration_s)
    written = write_into_file(content, "take.wav", known, lambda _: mine, plain).into
    before, after = (FORMATS[key].read(each, "take").recordings[0].annotations for each in (content, written.content))
    if not written.replaced:
        assert set(map(repr, before)) <= set(map(repr, after))
    again = write_into_file(written.content, "take.wav", known, lambda _: mine, plain).into
    assert plain or key == "elan" or not again.added
