"""TextGrids: Praat reads ours, we read Praat's, and files that Praat would not read are refused with their line."""

from itertools import pairwise

import parselmouth
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parselmouth.praat import call
from praatio import textgrid as praatio_textgrid

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier
from ser_core.annotations.formats import FORMATS, ReadOptions, read_annotations
from ser_core.annotations.formats.layers import annotator_and_tier, layers_of
from ser_core.annotations.formats.praat_grid import read_grid
from ser_core.errors import AnnotationsRefused
from tests.annotated_recordings import example, recordings, texts

TEXTGRID = FORMATS["textgrid"]
FORMS = [(short, encoding) for short in (False, True) for encoding in ("utf-8", "utf-16")]


def in_praat(content: bytes, folder) -> list[tuple[str, list[tuple[float, float, str]]]]:
    """Return the tiers of a file and their intervals, as Praat reads them."""
    file = folder / "a.TextGrid"
    file.write_bytes(content)
    grid = parselmouth.read(str(file))
    return [
        (
            call(grid, "Get tier name", tier),
            [
                (
                    call(grid, "Get start time of interval", tier, interval),
                    call(grid, "Get end time of interval", tier, interval),
                    call(grid, "Get label of interval", tier, interval),
                )
                for interval in range(1, call(grid, "Get number of intervals", tier) + 1)
            ],
        )
        for tier in range(1, call(grid, "Get number of tiers") + 1)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("praat")


# --- other library: Praat itself, and praatio ---


@pytest.mark.parametrize(("short", "encoding"), FORMS)
def test_praat_reads_what_a_phonetician_wants_to_see(short, encoding, folder):
    content = TEXTGRID.write([example()], short=short, encoding=encoding).content
    assert in_praat(content, folder) == [
        ("anna/emotion", [(0.0, 1.5, "angry"), (1.5, 3.25, "")]),
        (
            "anna/emotion (2)",
            [
                (0.0, 0.5, ""),
                (
                    0.5,
                    1.25,
                    "bored [intensity=3; confidence=0.5; status=done; low_hz=300; high_hz=3000.5; "
                    'note="so \\"loud\\"; [x]"]',
                ),
                (1.25, 3.25, ""),
            ],
        ),
        ("words", [(0.0, 1.25, ""), (1.25, 3.0, "so what"), (3.0, 3.25, "")]),
        ("bob/recording", [(0.0, 3.25, "sad [intensity=2]")]),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("short", "encoding"), FORMS)
@settings(max_examples=40)
@given(recording=recordings())
def test_praat_reads_the_same_boundaries_and_texts_as_we_do(recording, short, encoding, folder):
    content = TEXTGRID.write([recording], short=short, encoding=encoding).content
    grid = read_grid(content.decode(encoding), "here")
    ours = [(tier.name, list(tier.intervals)) for tier in grid.tiers.values()]
    assert in_praat(content, folder) == ours


LABELS = st.sampled_from(
    ["", " ", "happy", 'say "x"', "슬픔", "<exists>", "!x", "1.5", "item [1]:", "a\tb", "[x", "\\ae"]
)
TIERS = st.lists(
    st.tuples(
        st.sampled_from(["a", "emotion", "Emotion", "anna/emotion", "é"]),
        st.booleans(),
        st.lists(st.tuples(st.integers(1, 99), LABELS), max_size=5, unique_by=lambda item: item[0]),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=60)
@given(tiers=TIERS, start_s=st.sampled_from([0, 5]))
def test_files_made_by_praat_are_read_completely_and_alike_from_each_form(tiers, start_s, folder):
    names = [f"p{number}" if is_of_points else f"i{number}" for number, (_, is_of_points, _) in enumerate(tiers)]
    grid = call("Create TextGrid", start_s, start_s + 1, " ".join(names), " ".join(n for n in names if n[0] == "p"))
    texts = []
    for number, (name, is_of_points, items) in enumerate(tiers, start=1):
        call(grid, "Set tier name", number, name)
        for percent, label in items:
            if is_of_points:
                call(grid, "Insert point", number, start_s + percent / 100, label)
                texts.append((True, label.strip()))
            else:
                call(grid, "Insert boundary", number, start_s + percent / 100)
                call(grid, "Set interval text", number, call(grid, "Get number of intervals", number), label)
        if not is_of_points:
            count = call(grid, "Get number of intervals", number)
            texts_of = [call(grid, "Get label of interval", number, interval + 1).strip() for interval in range(count)]
            texts += [(False, text) for text in texts_of if text]
    found = []
    for form in ("text", "short text", "chronological text", "binary"):
        call(grid, f"Save as {form} file", str(folder / "praat.TextGrid"))
        found.append(read_annotations((folder / "praat.TextGrid").read_bytes(), "a").recordings[0].annotations)
    assert all(marks == found[0] for marks in found)
    texts_read = [(isinstance(m.region, Point), (m.emotion or m.note).strip()) for m in found[0]]
    assert sorted(each for each in texts_read if any(each)) == sorted(texts)


@pytest.mark.parametrize("form", ["Save as text file", "Save as short text file"])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "try ASCII, then UTF-16"])
def test_files_written_by_praat_are_read(form, encoding, folder):
    grid = call("Create TextGrid", 0.0, 2.5, "élan said bell", "bell")
    for edge in (0.25, 0.75, 1.5):
        call(grid, "Insert boundary", 1, edge)
    call(grid, "Set interval text", 1, 2, "Angry")
    call(grid, "Set interval text", 1, 3, 'item [1]: "quoted" \\ae 슬픔')
    call(grid, "Insert boundary", 2, 1.0)
    call(grid, "Set interval text", 2, 2, "sad [intensity=4; note=very low]")
    call(grid, "Insert point", 3, 0.5, "ding")
    file = folder / "praat.TextGrid"
    parselmouth.praat.run(f'Text writing preferences: "{encoding}"')
    call(grid, form, str(file))
    found = read_annotations(file.read_bytes(), "a.wav")
    marks = (
        Annotation(Region(0.25, 0.75), tier="élan", note="Angry"),
        Annotation(Point(0.5, 0.5), tier="bell", note="ding"),
        Annotation(Region(0.75, 1.5), tier="élan", note='item [1]: "quoted" \\ae 슬픔'),
        Annotation(Region(1.0, 2.5), tier="said", emotion="sad", intensity=4, note="very low"),
    )
    assert found.recordings == (AnnotatedRecording("a.wav", None, 2.5, None, marks),)
    assert (found.dropped, found.changed) == ((), ())
    assert [(tier.name, tier.kind) for tier in found.recordings[0].tiers] == [
        ("élan", "intervals"),
        ("said", "intervals"),
        ("bell", "points"),
    ]
    tiers = [(tier.name, tier.labels, tier.empty) for tier in found.tiers]
    assert tiers == [("élan", 2, 2), ("said", 1, 1), ("bell", 1, 0)]


@pytest.mark.parametrize("short", [False, True])
def test_praatio_reads_the_same(short, folder):
    file = folder / "praatio.TextGrid"
    file.write_bytes(TEXTGRID.write([example()], short=short).content)
    grid = praatio_textgrid.openTextgrid(str(file), includeEmptyIntervals=False)
    assert grid.tierNames == ("anna/emotion", "anna/emotion (2)", "words", "bob/recording")
    assert [tuple(entry) for entry in grid.getTier("words").entries] == [(1.25, 3.0, "so what")]


# --- by hand: files by people and other programs ---

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "anna/emotion"
        xmin = 0
        xmax = 2
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "happy"
        intervals [2]:
            xmin = 1.5
            xmax = 2
            text = ""
"""
HAPPY = (Annotation(Region(0, 1.5), annotator="anna", emotion="happy"),)


@pytest.mark.parametrize(
    "source",
    [
        LONG,
        LONG.replace("\n", "\r\n"),
        LONG.replace("\n", "\r"),
        "\ufeff" + LONG,
        LONG.replace(" = ", "="),
        LONG.replace("size = 1\n", "size = 1 ! one tier\n"),
        '"ooTextFile" "TextGrid" 0 2 <exists> 1 "IntervalTier" "anna/emotion" 0 2 1 0 1.5 "happy"',
        'File type = "ooTextFile short"\n"TextGrid"\n\n0\n2\n<exists>\n1\n'
        '"IntervalTier"\n"anna/emotion"\n0\n2\n1\n0\n1.5\n"happy"',
    ],
)
def test_forms_that_praat_reads_are_read(source):
    assert TEXTGRID.read(source.encode(), "here").recordings[0].annotations == HAPPY


#: As *Save as chronological text file* writes it: intervals and points in order of time.
CHRONOLOGICAL = """"Praat chronological TextGrid text file"
0 2   ! Time domain.
2   ! Number of tiers.
"IntervalTier" "anna/emotion" 0 2
"TextTier" "bell" 0 2
! anna/emotion:
1 0 1.5
"happy"
2 1
"ding"
1 1.5 2
\"\""""


def test_a_chronological_file_is_read():
    read = read_annotations(CHRONOLOGICAL.encode(), "here")
    assert read.recordings[0].annotations == (*HAPPY, Annotation(Point(1, 1), tier="bell", note="ding"))
    assert read.dropped == ()


@pytest.mark.parametrize("form", ["Save as chronological text file", "Save as binary file"])
def test_other_forms_that_praat_writes_are_read(form, folder):
    grid = call("Create TextGrid", -0.5, 2.5, "élan bell", "bell")
    for edge in (0.25, 0.75):
        call(grid, "Insert boundary", 1, edge)
    call(grid, "Set interval text", 1, 1, "sad")
    call(grid, "Set interval text", 1, 2, 'so 슬픔 😀 "x"')
    call(grid, "Insert point", 2, 0.5, "ding")
    file = folder / "praat.TextGrid"
    parselmouth.praat.run('Text writing preferences: "try ASCII, then UTF-16"')
    call(grid, form, str(file))
    found = read_annotations(file.read_bytes(), "a.wav")
    marks = (
        Annotation(Region(0, 0.25), tier="élan", emotion="sad"),
        Annotation(Region(0.25, 0.75), tier="élan", note='so 슬픔 😀 "x"'),
        Annotation(Point(0.5, 0.5), tier="bell", note="ding"),
    )
    assert found.recordings == (AnnotatedRecording("a.wav", None, 2.5, None, marks),)
    assert found.dropped == ()
    assert found.changed == ("1 mark cut at the start of the recording",)
    assert found.start_s == -0.5
    moved = read_annotations(file.read_bytes(), "a.wav", ReadOptions(offset_s=0.5))
    assert [(m.region.start_s, m.region.end_s) for m in moved.recordings[0].annotations] == [
        (0, 0.75),
        (0.75, 1.25),
        (1, 1),
    ]
    assert moved.recordings[0].duration_s == 3.0
    assert moved.changed == ()


@pytest.mark.parametrize(
    ("written", "end_s"),
    [("0x1", 1.0)] + [(written, 1.5) for written in ("3/2", "150%", "1.5s", "1.5,", "1.5!c", "+1.5", "15e-1")],
)
def test_numbers_are_read_as_praat_reads_them(written, end_s, folder):
    content = damaged("xmax = 1.5", f"xmax = {written}")
    assert read_grid(content.decode(), "here").tiers[1].intervals[0] == (0.0, end_s, "happy")
    if "x" not in written:  # this release of Praat takes it for 0
        assert in_praat(content, folder)[0][1][0] == (0.0, end_s, "happy")


@pytest.mark.parametrize(
    ("content", "note", "encoding"),
    [
        (LONG.replace("happy", "böse").encode("latin-1"), "böse", "cp1252"),
        (LONG.replace("happy", "it’s").encode("cp1252"), "it’s", "cp1252"),
        (LONG.replace("happy", "a\x81é").encode("latin-1"), "a\x81é", "latin-1"),
        (LONG.replace("happy", "böse").encode("utf-16-le"), "böse", None),
        (LONG.replace("happy", "böse").encode("utf-16-be"), "böse", None),
    ],
)
def test_text_in_another_encoding_is_read_and_the_assumed_encoding_reported(content, note, encoding):
    read = read_annotations(content, "here")
    assert read.recordings[0].annotations[0].note == note
    assert bool(read.changed) == (encoding is not None)
    assert encoding is None or encoding in read.changed[0]


def test_the_encoding_may_be_named():
    content = LONG.replace("happy", "böse").encode("mac_roman")
    read = read_annotations(content, "here", ReadOptions(encoding="mac_roman"))
    assert (read.recordings[0].annotations[0].note, read.changed) == ("böse", ())
    with pytest.raises(AnnotationsRefused, match="in the encoding utf-8"):
        read_annotations(content, "here", ReadOptions(encoding="utf-8"))


@pytest.mark.parametrize(
    ("old", "new", "region", "word"),
    [
        ("xmax = 1.5", "xmax = 0", Point(0, 0), "1 mark without a length, as points in a tier beside the others"),
        ("xmin = 0\n            xmax", "xmin = -1\n            xmax", Region(0, 1.5), "cut at the start"),
        ("xmax = 1.5", "xmax = 2.5", Region(0, 2.5), "1 mark beyond the end of the grid, which is 2 s"),
    ],
)
def test_files_that_praat_opens_are_read_and_losses_are_reported(old, new, region, word):
    read = TEXTGRID.read(damaged(old, new), "here")
    assert [mark.region for mark in read.recordings[0].annotations] == [region]
    assert word in " ".join(read.dropped + read.changed)


def test_equal_names_are_kept_apart_and_only_real_layers_are_merged_into_their_tier():
    tier = '"IntervalTier" "{}" 0 2 1 0 2 "{}" '
    names = ["emotion", "emotion", "emotion (2)", "tone (2)", "", "/", "bob/"]
    source = '"ooTextFile" "TextGrid" 0 2 <exists> 7 ' + "".join(tier.format(name, name or "x") for name in names)
    read = TEXTGRID.read(source.encode(), "a")
    (recording,) = read.recordings
    assert [(tier.key, tier.name) for tier in recording.tiers] == [
        ("emotion", "emotion"),
        ("emotion #2", "emotion"),
        ("tone (2)", "tone (2)"),
        ("tier 5", "tier 5"),
        ("/", "/"),
        ("bob/", "bob/"),
    ]
    of_emotion = [(mark.annotator, mark.tier) for mark in recording.annotations if mark.note == "emotion"]
    assert of_emotion == [("", "emotion"), ("", "emotion #2")]
    assert {mark.note: (mark.annotator, mark.tier) for mark in recording.annotations if mark.note != "emotion"} == {
        "emotion (2)": ("", "emotion"),
        "tone (2)": ("", "tone (2)"),
        "x": ("", "tier 5"),
        "/": ("", "/"),
        "bob/": ("", "bob/"),
    }


@pytest.mark.parametrize(
    "spans", [[(0, 1)], [(1, 2)], [(0, 1), (1, 2)], [(1, 2), (2, 3)], [(0, 1), (1, 2), (2, 3)], [(0, 1), (2, 3)]]
)
@pytest.mark.parametrize("said", [set(), {0}, {1}])
def test_marks_without_a_text_are_distinguished_from_gaps(spans, said):
    marks = tuple(Annotation(Region(*span), "words", note="so" * (at in said)) for at, span in enumerate(spans))
    tiers = (Tier("words", "words"),)
    written = TEXTGRID.write([AnnotatedRecording("a", None, 3.0, None, marks, tiers=tiers)]).content
    assert TEXTGRID.read(written, "a").recordings[0].annotations == marks


def test_a_recording_without_marks_has_one_empty_tier(folder):
    content = TEXTGRID.write([AnnotatedRecording("a", None, 2.0, None, ())]).content
    assert in_praat(content, folder) == [("emotion", [(0.0, 2.0, "")])]
    with pytest.raises(AnnotationsRefused, match="'a' has no length"):
        TEXTGRID.write([AnnotatedRecording("a", None, 0.0, None, ())])


def test_a_grid_without_tiers_is_one_without_marks():
    assert TEXTGRID.read(b'"ooTextFile" "TextGrid" 0 2 <absent>', "a").recordings[0].annotations == ()


def test_a_mark_too_short_for_two_times_is_dropped_and_counted():
    end_s = 3 * (1 + 2e-16)
    marks = (Annotation(Region(1, 2)), Annotation(Region(3, end_s)))
    written = TEXTGRID.write([AnnotatedRecording("a", None, 4.0, None, marks)])
    assert "1 mark too short for the times of a TextGrid" in written.dropped
    assert TEXTGRID.read(written.content, "a").recordings[0].annotations == marks[:1]


# --- law: layers ---


@given(recordings())
def test_marks_of_a_layer_do_not_overlap_and_its_name_identifies_tier_and_annotator(recording):
    layers = layers_of(recording)
    names = [layer.name for layer in layers]
    for layer in layers:
        assert all(one.region.end_s <= other.region.start_s for one, other in pairwise(layer.marks))
        assert {annotator_and_tier(layer.name, names, 1)} >= {(mark.annotator, mark.tier) for mark in layer.marks}
    assert sum(len(layer.marks) for layer in layers) == len(recording.annotations)


@given(st.sets(st.tuples(texts, texts.filter(str.strip)), min_size=1, max_size=4), st.integers(1, 3))
def test_any_annotator_and_tier_are_read_back_from_layer_names(owners, layers):
    marks = [Annotation(Region(0, 1), annotator=who, tier=tier) for who, tier in owners for _ in range(layers)]
    names = [layer.name for layer in layers_of(AnnotatedRecording("a", None, 1.0, None, tuple(marks)))]
    assert len(names) == len(owners) * layers
    assert {annotator_and_tier(name, names, 1) for name in names} == owners


def test_there_are_as_many_layers_as_marks_overlap_at_most():
    spans = [(0, 2), (1, 3), (2, 4), (3, 5), (1.5, 1.75)]
    marks = tuple(Annotation(Region(*span), emotion="sad") for span in spans)
    layers = layers_of(AnnotatedRecording("a", None, 5.0, None, marks))
    assert [layer.name for layer in layers] == ["emotion", "emotion (2)", "emotion (3)"]


# --- refusal, with the location ---


def damaged(old: str, new: str) -> bytes:
    assert old in LONG
    return LONG.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (damaged("TextGrid", "Pitch 1"), r"line 2: this is not a TextGrid"),
        (b"ooBinaryFile\x08TextGrid", "byte 21: the file ends where the start should be"),
        (b"ooBinaryFile\x07Pitch 1" + bytes(99), "this is not a TextGrid but, to Praat, 'Pitch 1'"),
        (damaged("xmax = 2", "xmax = two"), r"line 6: '<exists>' is where the end should be"),
        (damaged("xmax = 2", "xmax = 2,5"), r"line 5: The end '2,5' is not a number"),
        (damaged("xmax = 2", "xmax = 1/0"), r"line 5: The end '1/0' is not a number"),
        (damaged("xmax = 2", "xmax = --undefined--"), r"line 5: The end '--undefined--' is not a number"),
        (damaged("xmax = 2", "xmax = 1e999"), r"line 5: The end '1e999' is not a number"),
        (damaged("size = 1", "size = 2"), r"line 22: the file ends where the class of tier 2 should be"),
        (damaged("size = 1", "size = 0.5"), r"line 7: the number of tiers is 0.5"),
        (damaged("size = 1", "size = -1"), r"line 7: the number of tiers is -1"),
        (damaged("IntervalTier", "WordTier"), r"line 10: 'WordTier' is not a class of tier"),
        (damaged("size = 2", "size = 3"), r"line 22: the file ends where the start of interval 3 in tier 1 should be"),
        (damaged("size = 2", "size = 99999999999"), r"the start of interval 3 in tier 1"),
        (damaged('"happy"', '"happy'), r"line 18: a text begins where the text of interval 1 in tier 1 should be"),
        (damaged('"happy"', '"so "happy" now"'), r"line 18: a text begins .* has a quote that is not doubled"),
        (
            damaged('""', '"'),
            r"line 22: a text begins where the text of interval 2 in tier 1 should be and does not end",
        ),
        (damaged('"happy"', "happy"), r"line 20: '1.5' is where the text of interval 1 in tier 1 should be"),
        (damaged("xmax = 1.5", "xmax = -1.5"), r"line 17: the interval 1 of tier 1 runs backwards, from 0 to -1.5 s"),
        (damaged("happy", "happy [intensity=7]"), r"interval 1: An intensity of 7 is not possible"),
        (damaged("happy", "happy [status=begun]"), r"interval 1: The status 'begun' is not known"),
        (damaged("xmax = 1.5", "xmax = 0x1p9999"), r"line 17: The end .* '0x1p9999' is not a number"),
        (CHRONOLOGICAL.replace("\n2 1\n", "\n3 1\n").encode(), "line 9: there is no tier 3"),
        (CHRONOLOGICAL.partition("1 1.5 2")[0].encode(), "ends at 1.5 s of tier 1, which lasts until 2 s"),
        (CHRONOLOGICAL[:-1].encode(), "a text begins where the text of interval 2 in tier 1"),
        (LONG.encode("utf-16")[:-1], "this is not text in UTF-8 or UTF-16"),
    ],
)
def test_a_damaged_textgrid_is_refused_with_location_and_reason(content, why):
    with pytest.raises(AnnotationsRefused, match=f"^here.*{why}"):
        TEXTGRID.read(content, "here")
