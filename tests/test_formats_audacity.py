"""Labels of Audacity: as its manual shows them, and refused by line."""

import pytest

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats import FORMATS, format_key
from ser_core.errors import AnnotationsRefused
from tests.annotated_recordings import example

AUDACITY = FORMATS["audacity"]

#: With the numbers of the manual's own example of frequencies.
FROM_THE_MANUAL = (
    "1.000000\t1.000000\tThis point was clicked\n\\\t6928.456055\t6928.456055\n"
    "2.000000\t2.500000\tsad\n\\\t-1.000000\t6334.588867\n"
    "3.000000\t3.500000\tHappy\n\\\t8908.015625\t-1.000000\n"
    "4.000000\t4.500000\tdoor slams\n\\\t1484.669312\t2969.338523\n"
    "5.000000\t6.000000\t\n"
    "6.000000\t7.000000\n"
)


# --- golden ---


def test_labels_of_audacity_are_read_with_their_frequencies():
    found = AUDACITY.read(FROM_THE_MANUAL.encode(), "a.wav")
    marks = (
        Annotation(Point(1.0, 1.0, 6928.456055, 6928.456055), tier="emotion points", note="This point was clicked"),
        Annotation(Region(2.0, 2.5, None, 6334.588867), emotion="sad"),
        Annotation(Region(3.0, 3.5, 8908.015625), emotion="happy"),
        Annotation(Region(4.0, 4.5, 1484.669312, 2969.338523), note="door slams"),
        Annotation(Region(5.0, 6.0)),
        Annotation(Region(6.0, 7.0)),
    )
    assert found.recordings == (AnnotatedRecording("a.wav", None, 7.0, None, marks),)
    assert (found.dropped, found.changed) == ((), ("1 mark without a length, as points in a tier beside the others",))
    assert format_key(FROM_THE_MANUAL.encode()) == "audacity"


def test_labels_are_written_as_audacity_reads_them():
    assert AUDACITY.write([example()]).content.decode() == (
        "0.0\t1.5\tangry [annotator=anna]\n"
        "0.0\t3.25\tsad [intensity=2; tier=recording; annotator=bob]\n"
        '0.5\t1.25\tbored [intensity=3; confidence=0.5; status=done; annotator=anna; note="so \\"loud\\"; [x]"]\n'
        "\\\t300.0\t3000.5\n"
        "1.25\t3.0\tso what [tier=words]\n".replace("so what [tier=words]", '[tier=words; note="so what"]')
    )


def test_small_times_have_no_exponent():
    mark = Annotation(Region(1e-7, 2.5e-5), emotion="sad")
    written = AUDACITY.write([AnnotatedRecording("a", None, 1.0, None, (mark,))])
    assert written.content == b"0.0000001\t0.000025\tsad\n"


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_of_any_system_are_read(end):
    content = ("\ufeff" + FROM_THE_MANUAL.replace("\n", end)).encode()
    assert len(AUDACITY.read(content, "a").recordings[0].annotations) == 6


def test_a_label_may_contain_characters_that_python_takes_for_line_ends():
    (recording,) = AUDACITY.read("1\t2\ta\x0b\x85\u2028b\n".encode(), "a").recordings
    assert recording.annotations[0].note == "a\x0b\x85\u2028b"


def test_a_track_without_labels_is_an_empty_file():
    assert AUDACITY.write([AnnotatedRecording("a", None, 1.0, None, ())]).content == b""
    assert AUDACITY.read(b"", "a").recordings[0].annotations == ()


# --- refusal ---


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"1\t2\ta\n1.5 2.5 b\n", "line 2: A label needs a start, an end and a text, with tabs"),
        (b"1\t2\ta\n\n1,5\t2,5\tb\n", "line 3: The start '1,5' is not a number, with a point"),
        (b"1\tlater\ta\n", "line 1: The end 'later' is not a number"),
        (b"1\tnan\ta\n", "line 1: The end 'nan' is not a number"),
        (b"1\t1e999\ta\n", "line 1: The end '1e999' is not a number"),
        (b"1\t2_0\ta\n", "line 1: The end '2_0' is not a number"),
        (b"2\t1\ta\n", "line 1: A region from 2 to 1 s"),
        (b"\\\t1\t2\n1\t2\ta\n", "line 1: A line of frequencies needs a label above it"),
        (b"1\t2\ta\n\\\t1\t2\n\\\t1\t2\n", "line 3: A line of frequencies needs a label above it"),
        (b"1\t2\ta\n\\\t1\n", "line 2: A line of frequencies .* two numbers"),
        (b"1\t2\ta\n\\\tlow\thigh\n", "line 2: The frequency 'low' is not a number"),
        (b"1\t2\ta\n3\t4\tb\n\\\t500\t400\n", "line 2: Frequencies of 500 to 400 Hz"),
        (b"1\t2\ta [intensity=0]\n", "line 1: An intensity of 0"),
        (b"1\t2\ta\n3\t4\t\xe9\n", "line 2: this is not text in UTF-8"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(content, why):
    with pytest.raises(AnnotationsRefused, match=f"^here, {why}"):
        AUDACITY.read(content, "here")
