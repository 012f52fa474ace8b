"""Import from other tools: assigning marks to recordings, and marks that do not fit."""

import io
import json
import re
import zipfile
from dataclasses import replace

import pytest

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier
from ser_core.annotations.exchange import importing
from ser_core.annotations.exchange.assigning import assign_to_recordings
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, choices_of, export_recordings
from ser_core.annotations.exchange.importing import ImportOptions, read_files
from ser_core.annotations.exchange.labels import LabelRules, map_labels, rules_from_pairs, unknown_labels
from ser_core.annotations.formats import READERS
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.errors import AnnotationsRefused, RecordingUnclear

VOICE = RecordingFile("a" * 64, "voice.wav", 2.0, 16_000)


def grid(*labels: tuple[float, float, str], name: str = "emotion", end_s: float = 2.0) -> bytes:
    """Return a TextGrid of one tier."""
    said = " ".join(f'{start} {end} "{label}"' for start, end, label in labels)
    tier = f'"IntervalTier" "{name}" 0 {end_s} {len(labels)} {said}'
    return f'"ooTextFile" "TextGrid" 0 {end_s} <exists> 1 {tier}'.encode()


def imported(content: bytes, options=None, known=(VOICE,), name="voice.TextGrid"):
    """Return an imported file and its only document, assigned to a recording."""
    options = options or ImportOptions()
    read = read_files([(name, content)], options)
    (file,) = assign_to_recordings(read, known, tolerance_s=options.tolerance_s)
    (document,) = file.documents
    return file, document


# --- by hand: a grid of another length than its audio ---


def test_a_grid_66_ms_longer_than_its_audio_is_cut_and_reported():
    file, document = imported(grid((0, 1, "sad"), (1, 2.03, "angry"), (2.03, 2.066, "happy"), end_s=2.066))
    assert [mark.region for mark in document.annotations] == [Region(0, 1), Region(1, 2)]
    assert (document.sha256, document.duration_s) == (VOICE.sha256, VOICE.duration_s)
    assert file.changed == ("1 mark cut at the end of the recording, at 2 s",)
    assert file.dropped == ("1 mark after the end of the recording, at 2 s",)


@pytest.mark.parametrize(("tolerance_s", "end_s"), [(0.0, 2.01), (0.05, 2.066), (0.1, 2.2)])
def test_marks_that_end_later_than_the_tolerance_are_refused(tolerance_s, end_s):
    with pytest.raises(AnnotationsRefused, match=rf"voice.TextGrid: Mark 1.*ends at {end_s} s.*larger tolerance"):
        imported(grid((1, end_s, "sad"), end_s=end_s), ImportOptions(tolerance_s=tolerance_s))


def starting_at(start_s: float, content: bytes) -> bytes:
    return content.replace(b'"TextGrid" 0', f'"TextGrid" {start_s}'.encode())


@pytest.mark.parametrize("start_s", [12.5, -0.5])
def test_a_file_as_long_as_its_recording_starts_at_zero_even_with_preserved_times(start_s):
    spans = ((start_s, start_s + 1, "sad"), (start_s + 1, start_s + 2, "angry"))
    file, document = imported(starting_at(start_s, grid(*spans, end_s=start_s + 2)))
    assert [mark.region for mark in document.annotations] == [Region(0, 1), Region(1, 2)]
    assert (file.dropped, file.start_s) == ((), start_s)
    assert file.changed == (f"its times, which begin at {start_s} s, as times from the start of the recording",)


def test_a_file_of_another_length_uses_the_recordings_times_and_marks_outside_are_reported():
    early = starting_at(-0.75, grid((-0.75, -0.25, "x"), (-0.25, 1, "sad"), (1, 2, "angry"), name="words"))
    file, document = imported(early)
    assert [mark.region for mark in document.annotations] == [Region(0, 1), Region(1, 2)]
    assert (file.dropped, file.changed) == (
        ("1 mark before the start of the recording",),
        ("1 mark cut at the start of the recording",),
    )
    middle = starting_at(0.5, grid((0.5, 1, "sad"), (1, 1.5, ""), end_s=1.5))
    file, document = imported(middle)
    assert [mark.region for mark in document.annotations] == [Region(0.5, 1)]
    assert (file.dropped, file.changed, file.start_s) == ((), (), 0.0)


def test_times_of_a_part_can_be_shifted_and_the_refusal_says_by_how_much():
    part = starting_at(12.5, grid((12.5, 13.5, "sad"), (13.5, 15, ""), end_s=15))
    with pytest.raises(AnnotationsRefused, match=r"add -12\.5 s to all times"):
        imported(part)
    file, document = imported(part, ImportOptions(offset_s=-12.5))
    assert [mark.region for mark in document.annotations] == [Region(0, 1)]
    assert (file.dropped, file.changed) == ((), ())


@pytest.mark.parametrize(
    "options",
    [
        {"offset_s": float("nan")},
        {"offset_s": 1e9},
        {"tolerance_s": -1},
        *({"encoding": name} for name in ("klingon", "hex", "idna", "punycode")),
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(AnnotationsRefused):
        ImportOptions(**options)


def test_a_byte_order_mark_is_not_part_of_a_text_declared_as_utf_8():
    (file,) = read_files([("a", b"\xef\xbb\xbfstart_s,end_s\n0,1\n")], ImportOptions(encoding="UTF8"))
    assert len(file.documents[0].annotations) == 1


# --- assigning marks to recordings ---


def test_a_file_with_an_unknown_or_ambiguous_name_is_refused_with_the_reason():
    twin = RecordingFile("b" * 64, "voice.wav", 2.0, 16_000)
    with pytest.raises(RecordingUnclear, match=r"has 2 recordings called.*: 'voice-\w{8}' or 'voice-b{8}'\.$"):
        imported(grid((0, 1, "sad")), known=(VOICE, twin))
    with pytest.raises(RecordingUnclear, match=r"no recording called 'other.TextGrid'.* name the file for it\.$"):
        imported(grid((0, 1, "sad")), name="other.TextGrid")


def test_a_file_named_for_its_recording_is_used_whatever_name_it_contains_and_that_is_reported():
    """Films are often annotated in ELAN, and their sound here."""
    twin = RecordingFile("b" * 64, "voice.wav", 2.0, 16_000)
    mark = Annotation(Region(0, 1), emotion="sad")
    of_film, of_twins = (
        re.sub(b"<PROPERTY.*</PROPERTY>", b"", EXPORT_FORMATS["elan"].write([recording]).content)
        for recording in (AnnotatedRecording(name, None, 2.0, None, (mark,)) for name in ("film.mp4", "voice.wav"))
    )
    file, document = imported(of_film, name="voice.eaf")
    assert (document.sha256, len(document.annotations)) == (VOICE.sha256, 1)
    assert "marks of 'film.mp4' as those of the recording that the file is named for" in file.changed
    file, document = imported(of_twins, name="voice-bbbbbbbb.eaf", known=(VOICE, twin))
    assert document.sha256 == twin.sha256
    file, document = imported(of_twins, name="other.eaf")
    assert (document.sha256, file.changed) == (VOICE.sha256, ())


# --- labels ---


def with_labels(*labels: str, tier: str = "emotion", **rules):
    """Return the marks of a grid with these labels, and how the labels were used."""
    content = grid(*((place / 10, (place + 1) / 10, label) for place, label in enumerate(labels)), name=tier)
    files, uses = map_labels(read_files([("voice.TextGrid", content)], ImportOptions()), LabelRules(**rules))
    return files[0], files[0].documents[0].annotations, uses


def test_names_in_other_languages_and_codes_become_emotions_case_insensitively():
    _, marks, uses = with_labels("anger", "Ärger", "화남", "ang", "HAP", "joy", "Angry")
    assert [(mark.emotion, mark.note) for mark in marks] == [("angry", "")] * 4 + [("happy", "")] * 2 + [("angry", "")]
    assert {use.label: use.emotion for use in uses if use.label != use.emotion} == {
        "anger": "angry",
        "Ärger": "angry",
        "화남": "angry",
        "ang": "angry",
        "HAP": "happy",
        "joy": "happy",
    }
    assert unknown_labels(uses) == []


def test_labels_that_are_not_known_emotions_are_counted_and_stay_notes():
    _, marks, uses = with_labels("hmm", "hmm", "xyz", "sad")
    assert [(mark.emotion, mark.note) for mark in marks] == [(None, "hmm")] * 2 + [(None, "xyz"), ("sad", "")]
    (sentence,) = unknown_labels(uses)
    assert sentence.startswith("3 labels of the tier 'emotion'")
    assert "hmm 2, xyz 1" in sentence


def test_words_are_emotions_only_in_a_chosen_tier():
    _, marks, uses = with_labels("ang", "joy", tier="words")
    assert {mark.emotion for mark in marks} == {None}
    assert unknown_labels(uses) == []
    _, marks, _ = with_labels("ang", "joy", tier="words", tiers=("Words",))
    assert [mark.emotion for mark in marks] == ["angry", "happy"]


def test_the_name_of_the_tier_emotion_is_case_insensitive():
    _, marks, _ = with_labels("ang", tier="Emotion")
    assert (marks[0].tier, marks[0].emotion) == ("emotion", "angry")


def test_labels_can_be_mapped_or_left_out_and_the_status_set():
    rules = {"emotions": rules_from_pairs(["HMM=calm", "ang=rage", "x="]), "status": "done"}
    file, marks, _ = with_labels("hmm", "ang", "x", "sad", **rules)
    assert [(mark.emotion, mark.status) for mark in marks] == [("calm", "done"), ("rage", "done"), ("sad", "done")]
    assert file.dropped == ("1 mark with the label 'x', as it was mapped",)


def test_texts_become_notes_on_request():
    _, marks, uses = with_labels("sad", "angry [note=loud]", as_notes=True)
    assert [(mark.emotion, mark.note) for mark in marks] == [(None, "sad"), (None, "angry: loud")]
    assert unknown_labels(uses) == []


def test_only_the_chosen_tiers_are_imported_and_a_missing_one_is_refused():
    with pytest.raises(AnnotationsRefused, match="no marks in a tier 'mood'; the files have 'emotion'"):
        with_labels("sad", tiers=("mood",))
    both = grid((0, 1, "sad")).replace(b"<exists> 1", b"<exists> 2") + b' "IntervalTier" "words" 0 2 1 0 1 "so"'
    (file,), _ = map_labels(read_files([("a", both)], ImportOptions()), LabelRules(tiers=("EMOTION",)))
    assert [mark.emotion for mark in file.documents[0].annotations] == ["sad"]
    assert file.dropped == ("1 mark of the tier 'words', which was not chosen",)


def test_a_note_in_a_file_is_not_taken_for_a_label():
    note = Annotation(Region(0, 1), note="ang", annotator="Ann")
    for key in ("textgrid", "elan", "audacity", "csv", "label_studio", "json"):
        written = EXPORT_FORMATS[key].write([AnnotatedRecording("a.wav", None, 2.0, None, (note,))]).content
        (file,), uses = map_labels(read_files([("a", written)], ImportOptions()), LabelRules())
        (read,) = file.documents[0].annotations
        assert (read.emotion, read.note) == (None, "ang"), key
        assert unknown_labels(uses) == []
    (file,), _ = map_labels(read_files([("a", written)], ImportOptions()), LabelRules(emotions={"ang": "angry"}))
    assert file.documents[0].annotations[0].emotion == "angry"  # a person's rule decides about notes, too


def test_our_own_files_are_imported_unchanged():
    mark = Annotation(Region(0, 1), emotion="anger", tier="Emotion")
    own = EXPORT_FORMATS["json"].write([AnnotatedRecording("a", None, 2.0, None, (mark,))]).content
    (file,), _ = map_labels(read_files([("a", own)], ImportOptions()), LabelRules())
    assert file.documents[0].annotations == (mark,)


@pytest.mark.parametrize("pair", ["angry", "=angry", " = "])
def test_a_pair_that_maps_nothing_is_refused(pair):
    with pytest.raises(AnnotationsRefused, match="LABEL=EMOTION"):
        rules_from_pairs([pair])


# --- plain labels ---


@pytest.mark.parametrize("key", [key for key in EXPORT_FORMATS if "plain" in choices_of(EXPORT_FORMATS[key])])
def test_plain_labels_contain_only_the_emotion_or_note_and_losses_are_counted(key):
    marks = (
        Annotation(Region(0, 1), emotion="angry", intensity=3, note="two\nlines"),
        Annotation(Region(1, 1.5), note="so [x=1]"),
        Annotation(Region(1.5, 2), emotion="sad"),
    )
    written = export_recordings(
        [AnnotatedRecording("a.wav", "a" * 64, 2.0, None, marks)], EXPORT_FORMATS[key], {"plain": True}
    )
    (content,) = (each for name, each in written.files.items() if name.endswith(EXPORT_FORMATS[key].endings[0]))
    assert "all but the label of 1 mark" in written.dropped
    read = EXPORT_FORMATS[key].read(content, "a").recordings[0].annotations
    assert [(mark.emotion, mark.note, mark.intensity) for mark in read] == [
        ("angry", "", None),
        (None, "so [x=1]", None),
        ("sad", "", None),
    ]


# --- an exported ZIP ---


def packed(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"folder/{name}", content)
    return made.getvalue()


def test_a_zip_is_read_as_its_files_and_label_studios_configuration_as_no_marks():
    mark = Annotation(Region(0, 1), emotion="sad")
    tasks = export_recordings(
        [AnnotatedRecording("a.wav", None, 2.0, None, (mark,))], EXPORT_FORMATS["label_studio"]
    ).files
    files = read_files([("all.zip", packed(**tasks))], ImportOptions())
    assert [(file.name, len(file.documents)) for file in files] == [
        ("folder/annotations.json", 1),
        ("folder/config.xml", 0),
    ]
    assert files[0].documents[0].annotations == (mark,)


def test_files_that_macos_adds_to_a_zip_are_ignored():
    content = packed(**{"a.txt": b"0\t1\tsad\n", "._a.txt": bytes(99)})
    assert [file.name for file in read_files([("all.zip", content)], ImportOptions())] == ["folder/a.txt"]


def test_equal_names_in_folders_of_a_zip_are_not_taken_for_one_recording():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for folder in ("ann", "ben"):
            archive.writestr(f"{folder}/voice.txt", b"0\t1\tsad\n")
    files = read_files([("all.zip", made.getvalue())], ImportOptions())
    with pytest.raises(AnnotationsRefused, match=r"ann/voice\.txt and ben/voice\.txt have the same name"):
        assign_to_recordings(files, [VOICE])
    (first,) = assign_to_recordings(files[:1], [VOICE])
    assert first.documents[0].sha256 == VOICE.sha256


def test_bundles_of_one_name_in_two_sessions_are_distinguished_by_the_projects_sessions():
    marks = (Annotation(Region(0, 1), annotator="anna", emotion="sad"),)
    made = READERS["emu"].write([AnnotatedRecording("voice.wav", None, 2.0, 16_000, marks)]).content
    given = [(f"my_emuDB/{day}_ses/voice_bndl/voice_annot.json", made) for day in ("1", "day_2")]
    about = ("my_emuDB/1_ses/voice_bndl/voice.meta_json", b'[{"Speaker": "Zoe"}]')
    files = read_files([*given, about], ImportOptions())[:2]
    first, second = replace(VOICE, session="1"), replace(VOICE, sha256="b" * 64, session="day 2")

    def found(*known):
        return [file.documents[0].sha256 for file in assign_to_recordings(files, known)]

    assert found(first, second) == found(second, first) == [VOICE.sha256, "b" * 64]
    assert found(first, replace(second, session=None)) == [VOICE.sha256, "b" * 64]
    documents = [file.documents[0] for file in assign_to_recordings(files, [first, second])]
    assert [(one.session, one.speaker) for one in documents] == [("1", "Zoe"), ("day_2", "")]
    with pytest.raises(AnnotationsRefused, match=r"has 2 recordings called 'voice\.wav'"):
        found(replace(first, session=None), replace(second, session=None))
    with pytest.raises(AnnotationsRefused, match="have the same name"):
        found(first)


def test_a_zip_whose_unpacking_may_take_any_memory_is_refused():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.txt", b"0\t1\tsad\n")
    with pytest.raises(AnnotationsRefused, match="only the usual compression"):
        read_files([("all.zip", made.getvalue())], ImportOptions())


def test_a_broken_or_a_huge_zip_is_refused(monkeypatch):
    good = packed(a=b"0\t1\tsad\n")
    for content in (good[:40], good[:60] + bytes(20), b"PK\x03\x04" + bytes(99)):
        with pytest.raises(AnnotationsRefused, match=r"all.zip: the ZIP cannot be read"):
            read_files([("all.zip", content)], ImportOptions())
    monkeypatch.setattr(importing, "MAX_UNPACKED_BYTES", 5)
    with pytest.raises(AnnotationsRefused, match="at most"):
        read_files([("all.zip", good)], ImportOptions())


@pytest.mark.parametrize("names", [(), ("voice.wav", "__MACOSX/._voice.TextGrid")])
def test_a_zip_without_files_of_marks_is_refused(names):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    with pytest.raises(AnnotationsRefused, match=r"^all\.zip: there are no files of marks"):
        read_files([("all.zip", made.getvalue())], ImportOptions())


def test_an_emu_database_has_a_renamed_tier_once_and_tiers_of_one_kind():
    marks = (mark_of("b", Region(0.5, 1.0)), mark_of("a", Point(0.5, 0.5)))
    tiers = (Tier("b", "a"), Tier("a", "b", "points"), Tier("c", "inner", parent="b"))
    written = export_recordings(
        [AnnotatedRecording("x.wav", "a" * 64, 2.0, 16_000, marks, tiers=tiers)], EXPORT_FORMATS["emu"]
    )
    (content,) = (file for name, file in written.files.items() if name.endswith("_annot.json"))
    levels = json.loads(content)["levels"]
    assert [(level["name"], level["type"], len(level["items"])) for level in levels] == [
        ("a", "SEGMENT", 1),
        ("b", "EVENT", 1),
        ("inner", "SEGMENT", 0),
    ]
    (read,) = EXPORT_FORMATS["emu"].read(content, "x").recordings
    assert {(mark.tier, type(mark.region)) for mark in read.annotations} == {("a", Region), ("b", Point)}


@pytest.mark.parametrize("key", ["emu", "rttm"])
def test_recordings_whose_names_differ_only_in_spaces_stay_distinct_in_formats_without_spaces(key):
    turn = mark_of("speakers", Region(0.5, 1.0))
    names = {"a" * 64: "take 1.wav", "b" * 64: "take_1.wav", "c" * 64: "take 2.wav"}
    recordings = [AnnotatedRecording(name, sha256, 2.0, 16_000, (turn,)) for sha256, name in names.items()]
    written = export_recordings(recordings, EXPORT_FORMATS[key])
    contents = [file for name, file in written.files.items() if name.endswith((".rttm", "_annot.json"))]
    read = [recording.name for content in contents for recording in EXPORT_FORMATS[key].read(content, "x").recordings]
    stems = [name.removesuffix(".wav") for name in read]
    assert stems == ["take_1-aaaaaaaa", "take_1-bbbbbbbb", "take_2"]
    known = [RecordingFile(sha256, name, 2.0, 16_000) for sha256, name in names.items()]
    files = read_files([(f"{place}.x", content) for place, content in enumerate(contents)], ImportOptions())
    documents = [each for file in assign_to_recordings(files, known) for each in file.documents]
    assert [each.sha256 for each in documents] == list(names)


def mark_of(tier: str, region: Region) -> Annotation:
    return Annotation(region, tier=tier, note="said")


# --- by hand: an empty interval after the end ---


def test_an_empty_interval_after_the_end_of_its_audio_is_dropped_and_reported():
    file, document = imported(grid((0, 1, "so"), (1, 2, ""), (2, 3.5, ""), (3.5, 4, ""), name="words", end_s=4))
    assert [(mark.region.end_s, mark.note) for mark in document.annotations] == [(1, "so"), (2, "")]
    assert file.dropped == ("2 intervals without a text after the end of the recording, at 2 s",)


def test_a_text_after_the_end_of_its_audio_is_refused_as_before():
    with pytest.raises(AnnotationsRefused, match=r"ends at 4 s.*larger tolerance"):
        imported(grid((0, 2, "so"), (2, 3.5, ""), (3.5, 4, "late"), name="words", end_s=4))
