"""The CSV: spreadsheets run nothing in it, columns may be missing, and errors are refused with their line."""

import csv
import io

import pytest
from hypothesis import given

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats import FORMATS, format_key
from ser_core.annotations.formats.table import COLUMNS
from ser_core.errors import AnnotationsRefused
from tests.annotated_recordings import example, recordings, texts

CSV = FORMATS["csv"]


def rows_of(recording: AnnotatedRecording) -> list[dict[str, str]]:
    text = CSV.write([recording]).content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


# --- golden ---


def test_every_mark_is_a_row_with_its_recording():
    assert rows_of(example())[2] == {
        "recording_name": "a b.wav",
        "recording_sha256": "ab" * 32,
        "start_s": "0.5",
        "end_s": "1.25",
        "low_hz": "300.0",
        "high_hz": "3000.5",
        "channel": "",
        "tier": "emotion",
        "annotator": "anna",
        "emotion": "bored",
        "intensity": "3",
        "confidence": "0.5",
        "status": "done",
        "note": 'so "loud"; [x]',
        "changed_at": "2024-05-01T12:00:00+00:00",
        "recording_duration_s": "3.25",
        "recording_sample_rate_hz": "16000",
    }
    assert list(rows_of(example())[0]) == list(COLUMNS)


def test_a_channel_is_kept_and_one_without_a_number_is_reported_as_lost():
    found = CSV.read(b"start_s,end_s,channel\n0,1,2\n1,2,1\n2,3,left\n", "a.wav")
    assert [mark.channel for mark in found.recordings[0].annotations] == [2, None, None]
    assert found.dropped == ("the channel of 1 row, which is not a number from 1",)


def test_the_file_has_a_byte_order_mark_for_spreadsheets():
    assert CSV.write([example()]).content.startswith(b"\xef\xbb\xbfrecording_name,")


def test_only_times_are_needed_in_any_order_and_with_other_columns():
    content = b'end_s , who,start_s,emotion\n1.5,A,1,sad\n\n ,,,\n3,"B, C",2.5,\n'
    found = CSV.read(content, "a.wav")
    marks = Annotation(Region(1, 1.5), emotion="sad"), Annotation(Region(2.5, 3))
    assert found.recordings == (AnnotatedRecording("a.wav", None, 3.0, None, marks),)
    assert found.dropped == ("the column 'who'",)
    assert format_key(content) == "csv"


def test_rows_of_several_recordings_may_be_mixed():
    content = (
        "recording_name,recording_sha256,recording_duration_s,start_s,end_s\n"
        f"a,,4,2,3\nb,{'AB' * 32},5,0,1\na,,4,0,1\n,,,0,9\n"
    )
    a, b, c = CSV.read(content.encode(), "here").recordings
    assert (a.name, a.duration_s, [mark.region.start_s for mark in a.annotations]) == ("a", 4.0, [0.0, 2.0])
    assert (b.name, b.sha256, b.duration_s) == ("b", "ab" * 32, 5.0)
    assert (c.name, c.duration_s) == ("here", 9.0)


# --- no text is a formula to a spreadsheet ---


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_formulas_are_escaped_with_an_apostrophe(start):
    mark = Annotation(Region(0, 1), start + "t", start + "a", start + "e", note=start + '1+cmd|"/c calc"!A1')
    recording = AnnotatedRecording(start + "n", None, 1.0, None, (mark,))
    (row,) = rows_of(recording)
    for column in ("recording_name", "tier", "annotator", "emotion", "note"):
        assert row[column].startswith("'" + start)
    assert CSV.read(CSV.write([recording]).content, "here").recordings == (recording,)


@given(recordings())
def test_no_cell_begins_like_a_formula(recording):
    for row in rows_of(recording):
        for column in ("recording_name", "tier", "annotator", "emotion", "note"):
            assert not row[column].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@given(texts)
def test_a_note_is_read_back_whatever_apostrophes_it_begins_with(note):
    for start in ("", "'", "''", "'="):
        mark = Annotation(Region(0, 1), note=start + note)
        recording = AnnotatedRecording("a", None, 1.0, None, (mark,))
        assert CSV.read(CSV.write([recording]).content, "here").recordings == (recording,)


def test_an_apostrophe_written_by_others_is_kept():
    (recording,) = CSV.read(b"start_s,end_s,note\n0,1,'tis\n", "a").recordings
    assert recording.annotations[0].note == "'tis"


# --- refusal ---

TIMES = "start_s,end_s"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "line 1: the column start_s is missing"),
        ("start_s end_s\n1 2\n", "line 1: the column start_s is missing.*with commas"),
        ("start_s;end_s\n1.000,5;2\n", "line 2: The start '1.000,5' is not a number"),
        ("start_s,emotion\n1,sad\n", "line 1: the column end_s is missing"),
        ("start_s,end_s,note,note\n1,2,a,b\n", "line 1: the column note is there 2 times"),
        (f"{TIMES}\n1,2\n1,2,3\n", "line 3: there are 3 cells for 2 columns"),
        (f"{TIMES}\n1,2\n3\n", "line 3: The mark has no start or no end"),
        (f"{TIMES}\n1,2\n,3\n", "line 3: The mark has no start or no end"),
        (f"{TIMES}\n1,two\n", "line 2: The end 'two' is not a number"),
        (f"{TIMES}\n1,nan\n", "line 2: The end 'nan'"),
        (f"{TIMES}\n1,inf\n", "line 2: The end 'inf'"),
        (f"{TIMES}\n2,1\n", "line 2: A region from 2 to 1 s"),
        (f"{TIMES},low_hz,high_hz\n0,1,500,400\n", "line 2: Frequencies of 500 to 400"),
        (f"{TIMES},intensity\n0,1,3.0\n0,1,3.5\n", "line 3: The intensity '3.5' is not a whole number"),
        (f"{TIMES},confidence\n0,1,1.5\n", "line 2: A confidence of 1.5"),
        (f"{TIMES},status\n0,1,begun\n", "line 2: The status 'begun'"),
        (f"{TIMES},changed_at\n0,1,01.05.2024\n", "line 2: The time of change '01.05.2024' is not a time"),
        (f"{TIMES},changed_at\n0,1,0001-01-01T00:00+14:00\n", "line 2: The time of change"),
        (f"{TIMES},recording_duration_s\n0,1,2\n0,3,2\n", "line 3: The mark ends at 3 s, after its recording"),
        (
            f"{TIMES},recording_duration_s\n0,1,2\n0,1,4\n",
            "line 3: The length of the recording is '4' here and '2' above",
        ),
        (f"{TIMES},recording_duration_s\n0,1,-2\n", "line 2: The length of the recording is -2 s"),
        (f"{TIMES},recording_sample_rate_hz\n0,1,0\n", "line 2: A sample rate of 0 Hz"),
        (f"{TIMES},recording_sha256\n0,1,xyz\n", "line 2: The SHA-256 'xyz'"),
        (f'{TIMES},note\n0,1,"two\nlines"\n0,1,"open\n', "line 4: this is not a row of a CSV"),
        (f'{TIMES},note\n0,1,"a"b\n', "line 2: this is not a row of a CSV"),
        (f"{TIMES},note\n0,1,{'x' * 200_000}\n", "line 2: this is not a row of a CSV .*field limit"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(content, why):
    with pytest.raises(AnnotationsRefused, match=f"(?s)^here, {why}"):
        CSV.read(content.encode(), "here")


def test_a_file_in_another_encoding_is_refused_with_its_line():
    with pytest.raises(AnnotationsRefused, match=r"^here, line 3: this is not text in UTF-8 or UTF-16"):
        CSV.read("start_s,end_s,note\n0,1,a\n0,1,böse\n".encode("latin-1"), "here")
