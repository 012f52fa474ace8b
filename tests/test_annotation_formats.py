"""All formats together: what was written is read again, files are found by content, and what is broken is refused."""

import json
import tempfile
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis import Region
from ser_core.annotations.annotation import END_SLACK_S, AnnotatedRecording, Annotation
from ser_core.annotations.formats import FORMATS, format_key, read_annotations, with_audio
from ser_core.annotations.formats.fields import writable
from ser_core.errors import AnnotationsRefused, SerError
from tests.annotated_recordings import (
    annotations,
    as_json,
    example,
    recordings,
    sets_of_recordings,
    sorted_marks,
    without_fields,
)

MANY = [key for key, file_format in FORMATS.items() if file_format.holds_many]
ONE = [key for key in FORMATS if key not in MANY]


def round_trip(key: str, *given_recordings: AnnotatedRecording, name: str = "here"):
    """Return recordings after writing and reading them in a format."""
    return FORMATS[key].read(FORMATS[key].write(given_recordings).content, name).recordings


# --- law: export, then import, is identity ---


@pytest.mark.slow
@given(sets_of_recordings())
def test_our_own_format_keeps_everything(given_recordings):
    read = round_trip("own", *given_recordings)
    assert read == tuple(given_recordings)
    assert FORMATS["own"].write(given_recordings).dropped == ()


def test_our_own_format_keeps_the_identity_that_a_store_gave():
    mark = Annotation(Region(0, 1), key="k1", revision=7, changed_at=datetime(2024, 1, 1, tzinfo=UTC))
    (read,) = round_trip("own", replace(example(), annotations=(mark,)))
    assert read.annotations == (mark,)


@given(sets_of_recordings())
def test_label_studio_keeps_everything(given_recordings):
    read = round_trip("label_studio", *given_recordings)
    assert FORMATS["label_studio"].write(given_recordings).dropped == ()
    for one, other in zip(read, given_recordings, strict=True):
        assert sorted_marks(one.annotations) == sorted_marks(other.annotations)
        assert replace(one, annotations=()) == replace(other, annotations=())


@given(sets_of_recordings())
def test_a_csv_keeps_every_mark_and_says_that_it_drops_provenance_and_recordings_without_marks(given_recordings):
    marked = [recording for recording in given_recordings if recording.annotations]
    names = {recording.name or "here" for recording in marked}
    if len(names) < len(marked):  # a recording without a name takes that of the file
        return
    read = round_trip("csv", *given_recordings)
    for one, other in zip(read, marked, strict=True):
        assert sorted_marks(one.annotations) == sorted_marks(other.annotations)
        assert one == replace(other, name=other.name or "here", annotations=one.annotations, provenance={})
    dropped = " ".join(FORMATS["csv"].write(given_recordings).dropped)
    assert ("without marks" in dropped) == (len(marked) < len(given_recordings))
    assert ("came from" in dropped) == any(recording.provenance for recording in given_recordings)


@given(recordings())
def test_audacity_keeps_every_mark_but_its_time_of_change(recording):
    (read,) = round_trip("audacity", recording, name=recording.name)
    assert sorted_marks(read.annotations) == sorted_marks(without_fields(recording, "changed_at").annotations)


@given(recordings(), st.booleans(), st.sampled_from(["utf-8", "utf-16"]))
def test_a_textgrid_keeps_every_mark_but_its_time_of_change(recording, short, encoding):
    file_format = FORMATS["textgrid"]
    written = file_format.write([recording], short=short, encoding=encoding)
    (read,) = file_format.read(written.content, recording.name).recordings
    assert read.duration_s == pytest.approx(recording.duration_s, rel=1e-14)
    printed = [with_printed_times(mark) for mark in without_fields(recording, "changed_at").annotations]
    expected = [mark for mark in printed if mark is not None]
    assert sorted_marks(read.annotations) == sorted_marks(expected)
    assert ("too short" in " ".join(written.dropped)) == (len(expected) < len(printed))


def with_printed_times(mark: Annotation) -> Annotation | None:
    """Return a mark whose edges less than 1e-14 after a whole second are moved to it; None if it has no length then."""
    edges = (mark.region.start_s, mark.region.end_s)
    start_s, end_s = (float(int(edge)) if edge - int(edge) <= 1e-14 * edge else edge for edge in edges)
    return None if start_s == end_s else replace(mark, region=replace(mark.region, start_s=start_s, end_s=end_s))


@given(st.integers(1, 48_000 * 3_600), st.integers(1, 48_000 * 3_600))
def test_times_of_samples_are_exact_in_a_textgrid_and_in_audacity(start, length):
    mark = Annotation(Region(start / 48_000, (start + length) / 48_000), emotion="sad")
    recording = AnnotatedRecording("a", None, 7_200.0, 48_000, (mark,))
    for key in ("textgrid", "audacity"):
        (read,) = round_trip(key, recording)
        assert read.annotations == (mark,)


@given(recordings())
def test_elan_keeps_every_mark_but_its_time_of_change_within_a_millisecond(recording):
    written = FORMATS["elan"].write([recording])
    (read,) = FORMATS["elan"].read(written.content, "here").recordings
    assert replace(read, annotations=()) == replace(recording, annotations=())
    assert len(read.annotations) == len(recording.annotations)
    whole = [untimed(mark) for mark in without_fields(recording, "changed_at").annotations]
    assert sorted_marks(map(untimed, read.annotations)) == sorted_marks(whole)
    edges = sorted(edge for mark in recording.annotations for edge in (mark.region.start_s, mark.region.end_s))
    found = sorted(edge for mark in read.annotations for edge in (mark.region.start_s, mark.region.end_s))
    assert found == pytest.approx(edges, rel=0, abs=0.001 + 1e-9)
    moved = any(edge != round(edge * 1000) / 1000 for edge in edges)
    assert ("microseconds" in " ".join(written.dropped)) == moved


def untimed(mark: Annotation) -> Annotation:
    return replace(mark, region=replace(mark.region, start_s=0, end_s=1))


@given(st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 900)), max_size=6))
def test_whole_milliseconds_are_exact_in_elan(spans):
    marks = tuple(Annotation(Region(start / 1000, (start + length) / 1000), emotion="happy") for start, length in spans)
    recording = AnnotatedRecording("a.wav", None, 10.0, None, marks)
    written = FORMATS["elan"].write([recording])
    assert written.dropped == ()
    (read,) = FORMATS["elan"].read(written.content, "here").recordings
    assert sorted_marks(read.annotations) == sorted_marks(marks)


@given(recordings())
def test_the_same_marks_give_the_same_file(recording):
    for file_format in FORMATS.values():
        assert file_format.write([recording]) == file_format.write([recording])


# --- what is dropped is reported ---


@pytest.mark.parametrize("key", FORMATS)
def test_losses_are_reported_in_words_with_counts(key):
    expected = {
        "own": (),
        "label_studio": (),
        "elan": ("the time of change of 1 mark",),
        "csv": ("what the suggestions in 1 recording came from (model and settings)",),
        "textgrid": (
            "the name of the recording",
            "the SHA-256 of the recording",
            "the sample rate of the recording",
            "what the suggestions came from (model and settings)",
            "the time of change of 1 mark",
        ),
        "audacity": (
            "the name of the recording",
            "the SHA-256 of the recording",
            "the length of the recording",
            "the sample rate of the recording",
            "what the suggestions came from (model and settings)",
            "the time of change of 1 mark",
        ),
    }
    assert FORMATS[key].write([example()]).dropped == expected[key]


# --- found by content ---


@pytest.mark.parametrize("key", FORMATS)
@given(recording=recordings())
def test_a_file_is_found_by_its_content(key, recording):
    content = FORMATS[key].write([recording]).content
    if key == "audacity" and not recording.annotations:
        assert content == b""
    else:
        assert format_key(content) == key
        assert read_annotations(content, "here") == FORMATS[key].read(content, "here")


def test_the_format_does_not_depend_on_the_name_of_the_file():
    content = FORMATS["elan"].write([example()]).content
    assert read_annotations(content, "marks.TextGrid").recordings[0].name == "a b.wav"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"hello", "no known format"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "no known format"),
        (b"RIFF\x24\x08\x00\x00WAVEfmt ", "no known format"),
        (b"<html></html>", "no known format"),
        (bytes(range(256)), "no known format"),
    ],
)
def test_an_unknown_format_is_refused_with_a_list_of_the_known_ones(content, why):
    with pytest.raises(AnnotationsRefused, match=f"^here.*{why}.*Praat TextGrid, ELAN EAF, Audacity labels, CSV"):
        read_annotations(content, "here")


# --- one recording or many ---


@pytest.mark.parametrize("key", ONE)
@pytest.mark.parametrize("count", [0, 2])
def test_a_format_of_one_recording_refuses_any_other_number(key, count):
    with pytest.raises(AnnotationsRefused, match=f"holds one recording, and {count} were given"):
        FORMATS[key].write([example()] * count)


@pytest.mark.parametrize("key", MANY)
def test_a_format_of_many_recordings_accepts_none(key):
    assert round_trip(key) == ()


# --- the gate ---


@pytest.mark.parametrize("key", FORMATS)
@pytest.mark.parametrize(
    ("mark", "why"),
    [
        (Annotation(Region(0, 3.26)), "ends at 3.26 s, after its recording, which is 3.25 s long"),
        (Annotation(Region(0, float("inf"))), "end inf is not a number"),
        (Annotation(Region(0, 1, float("nan"))), "lower frequency nan is not a number"),
        (Annotation(Region(0, 1, 500, 400)), "Frequencies of 500 to 400 Hz"),
        (Annotation(Region(0, 1, 400, 400)), "Frequencies of 400 to 400 Hz"),
        (Annotation(Region(0, 1, -2)), "Frequencies of -2 Hz"),
        (Annotation(Region(0, 1), note="\ud800"), "contains half a character"),
        (Annotation(Region(0, 1), note="x" * 100_001), "at most 100000 are allowed"),
        (Annotation(Region(0, 1), intensity=2.5), "intensity 2.5 is not a whole number"),
    ],
)
def test_a_mark_that_could_not_be_read_again_is_not_written(key, mark, why):
    with pytest.raises(AnnotationsRefused, match=f"^'a b.wav', mark 2: .*{why}"):
        FORMATS[key].write([replace(example(), annotations=(Annotation(Region(0, 1)), mark))])


@pytest.mark.parametrize("key", FORMATS)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "\udcff.wav"}, "half a character"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"sample_rate_hz": 0}, "sample rate of 0 Hz"),
        ({"duration_s": float("nan"), "annotations": ()}, "length of the recording nan"),
    ],
)
def test_a_recording_that_could_not_be_read_again_is_not_written(key, change, why):
    with pytest.raises(AnnotationsRefused, match=why):
        FORMATS[key].write([replace(example(), **change)])


def test_a_mark_a_little_longer_than_its_recording_is_cut():
    late = replace(example(), annotations=(Annotation(Region(3.0, 3.25 + END_SLACK_S / 2)),))
    assert writable(late).annotations == (Annotation(Region(3.0, 3.25)),)


def test_marks_are_sorted_by_time():
    spans = [(0.0, 3.0), (0.0, 1.0), (2.0, 2.5), (0.5, 3.0)]
    shuffled = replace(example(), annotations=tuple(Annotation(Region(*span)) for span in spans))
    assert [(mark.region.start_s, mark.region.end_s) for mark in writable(shuffled).annotations] == sorted(spans)


# --- marks and the existing audio ---


def test_marks_are_cut_to_the_audio_and_whole_labels_get_its_length():
    found = AnnotatedRecording(
        "a.TextGrid", None, 3.0, None, (Annotation(Region(0, 1)), Annotation(Region(0, 3), tier="recording"))
    )
    here = with_audio(found, "a.wav", "ab" * 32, 2.5, 8_000)
    assert here == AnnotatedRecording(
        "a.wav", "ab" * 32, 2.5, 8_000, (Annotation(Region(0, 1)), Annotation(Region(0, 2.5), tier="recording"))
    )


def test_marks_of_other_audio_and_marks_after_its_end_are_refused():
    with pytest.raises(AnnotationsRefused, match=r"other audio, 'a b.wav' with the SHA-256 abababababab…"):
        with_audio(example(), "b.wav", "cd" * 32, 3.25, 16_000)
    with pytest.raises(AnnotationsRefused, match=r"^Mark 4, in the tier 'words': The mark ends at 3 s"):
        with_audio(example(), "a b.wav", "ab" * 32, 2.0, 16_000)


# --- refusal: always in words, whatever the bytes ---


def read_or_refuse(content: bytes) -> None:
    """Read in every way; only a refusal in words may be raised."""
    for read in (read_annotations, *(file_format.read for file_format in FORMATS.values())):
        refusal, found = None, None
        try:
            found = read(content, "here")
        except SerError as error:
            refusal = str(error)
        if found is None:
            assert refusal.startswith("here")
        else:
            assert [writable(recording) for recording in found.recordings] == list(found.recordings)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_in_words(content):
    read_or_refuse(content)


#: Replacements for a part of a valid file.
INSERTED = st.sampled_from(
    [
        *(b"", b"-1", b"nan", b"inf", b"1e999", b"9" * 5_000, b"0", b"null", b"{}", b"[]", b'""', b"true"),
        *(b'"', b"'", b"<", b">", b"&", b"&x;", b"\n", b"\t", b"\\", b"]", b"[", b"/", b"=", b",", b"\x00", b"\xff"),
        *(b"<!DOCTYPE a>", b"<a>" * 50, b"[" * 50, b"\xff\xfe", b"\xef\xbb\xbf", b"\\ud800", "²".encode(), b"<TIER/>"),
        *(b"ts1", b"a1", b"emotion", b"audio", b"start_s", b"<exists>", b'"IntervalTier"', b"start", b"labels"),
    ]
)


@pytest.mark.parametrize("key", FORMATS)
@given(data=st.data())
def test_a_file_damaged_anywhere_is_read_or_refused_in_words(key, data):
    content = FORMATS[key].write([example()]).content
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 12) | st.integers(0, len(content)))
        content = content[:start] + data.draw(INSERTED | st.binary(max_size=4)) + content[start + length :]
    read_or_refuse(content)


#: Values that any JSON field may have.
VALUES = st.sampled_from(
    [None, True, -1, 0.5, 1e300, 10**400, "", "x", "\ud800", [], ["x"], [[]], [{}], {}, {"text": 3}]
)


@pytest.mark.parametrize("key", ["own", "label_studio"])
@given(data=st.data())
def test_json_with_any_value_anywhere_is_read_or_refused_in_words(key, data):
    document = json_of_example(key)
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(list(places_in(document))))
        container, index = place
        container[index] = deepcopy(data.draw(VALUES))
    read_or_refuse(as_json(document))


def json_of_example(key: str):
    return json.loads(FORMATS[key].write([example()]).content)


def places_in(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for index, inner in items:
        yield value, index
        yield from places_in(inner)


@pytest.mark.parametrize("key", FORMATS)
def test_a_file_cut_off_anywhere_is_read_or_refused_in_words(key):
    content = FORMATS[key].write([example()]).content
    for end in range(0, len(content), max(1, len(content) // 150)):
        read_or_refuse(content[:end])


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        as_json({"format": "hear-why annotations", "version": 1, "recordings": []})[:-2] + b"[" * 100_000,
        b'[{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        b'{"format": "hear-why annotations", "version": ' + b"9" * 10_000 + b"}",
    ],
)
def test_deep_and_huge_json_is_refused_in_a_sentence(content):
    with pytest.raises(AnnotationsRefused, match=r"^here"):
        read_annotations(content, "here")


def test_a_file_over_the_limit_is_refused_unread(monkeypatch):
    monkeypatch.setattr("ser_core.annotations.formats.content.MAX_BYTES", 1_000)
    for file_format in FORMATS.values():
        with pytest.raises(AnnotationsRefused, match=r"^here has .* MiB; at most"):
            file_format.read(b"x" * 1_001, "here")


@pytest.mark.parametrize("key", FORMATS)
def test_reading_leaves_no_file_behind(key, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    content = FORMATS[key].write([example()]).content
    FORMATS[key].read(content, "here")
    with pytest.raises(AnnotationsRefused):
        FORMATS[key].read(content[: len(content) // 2] + b"\xff", "here")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("key", FORMATS)
def test_a_file_of_many_marks_is_read(key, count):
    marks = tuple(Annotation(Region(n, n + 1), emotion="sad", annotator="anna") for n in range(count))
    (read,) = round_trip(key, AnnotatedRecording("long.wav", None, count, None, marks))
    assert read.annotations == marks


@given(annotations(3.25))
def test_a_mark_is_kept_unchanged(mark):
    recording = replace(example(), annotations=(mark,))
    assert writable(recording) == recording
