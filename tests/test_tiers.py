"""Tiers of a project: kept in order, imported and exported whole, renamed, deleted and restored."""

from dataclasses import replace

import parselmouth
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parselmouth.praat import call

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier
from ser_core.annotations.exchange.assigning import assign_to_recordings
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, export_recordings
from ser_core.annotations.exchange.importing import ImportedFile, ImportOptions, read_files
from ser_core.annotations.exchange.labels import LabelRules, map_labels
from ser_core.annotations.formats import FORMATS, read_annotations
from ser_core.annotations.store.work_queue import Queue
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused
from tests.databases import file, fresh_project, fresh_store, fresh_url, mark, sha  # noqa: F401

WORDS = Tier("words", "words")


def word(start_s, end_s, text="nein", tier="words") -> Annotation:
    return mark(start_s, end_s, tier=tier, note=text)


def point(at_s, text="", tier="tone") -> Annotation:
    return Annotation(Point(at_s, at_s), tier=tier, note=text)


def keys(store, project) -> list[str]:
    return [tier.key for tier in store.tiers.of(project)]


# --- by hand ---


def test_a_project_begins_with_the_tier_of_emotions_and_new_ones_come_below(store, project):
    words = store.tiers.add(project, Tier("x", " words ", labels=("ja", "nein"), content="labels", colour="#0072b2"))
    again = store.tiers.add(project, Tier("x", "words", parent="words", shown=False))
    assert (words.key, again.key, again.name) == ("words", "words #2", "words")
    assert keys(store, project) == ["emotion", "words", "words #2"]
    store.tiers.order(project, ["words #2", "emotion"])
    store.tiers.change(project, replace(again, name="phones", colour="#e69f00"), "Ann")
    assert store.tiers.of(project) == (
        Tier("words #2", "phones", parent="words", shown=False, colour="#e69f00"),
        Tier("emotion", "emotion", content="emotions"),
        words,
    )


def test_the_mapping_of_labels_to_emotions_is_stored_and_exported_in_our_own_format(store, project):
    tier = Tier("mood", "mood", content="labels", labels=("high", "low"), mapping=(("angry", " high "), ("sad", "")))
    mapped = replace(tier, mapping=(("angry", "high"), ("sad", "")))
    store.tiers.add(project, tier)
    assert store.tiers.of(project)[1] == mapped
    (document,) = (one for one in store.transfer.export(project) if one.sha256 == sha(0))
    (back,) = FORMATS["own"].read(FORMATS["own"].write([document]).content, "here").recordings
    assert back.tiers[1] == mapped
    store.tiers.change(project, replace(mapped, mapping=()), "Ann")
    assert store.tiers.of(project)[1].mapping == ()


def test_marks_of_any_tier_share_one_history(store, project):
    words = store.tiers.add(project, WORDS)
    (stored,) = store.marks.edit(project, sha(0), "Ann", add=[word(1, 2)]).marks
    store.marks.edit(project, sha(0), "Ann", change=[replace(stored, region=Region(1, 3))], add=[mark(emotion="sad")])
    opened = store.recordings.open(project, sha(0), "Ann")
    assert [(tier.key, tier.content) for tier in opened.tiers] == [("emotion", "emotions"), (words.key, "text")]
    assert opened.recording.marks == 1  # words do not count as labels of the recording
    store.history.undo(project, sha(0), "Ann")
    assert [one.region for one in store.marks.of(project, sha(0))] == [Region(1, 2)]


def test_a_mark_in_a_missing_tier_creates_the_tier(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[point(1, "H*"), word(1, 2), mark(tier="second", emotion="sad")])
    kinds = [(tier.key, tier.kind, tier.content) for tier in store.tiers.of(project)[1:]]
    assert kinds == [("tone", "points", "text"), ("words", "intervals", "text"), ("second", "intervals", "emotions")]
    assert store.marks.of(project, sha(0))[0].region == Point(1, 1)


def test_a_tier_is_deleted_and_restored_with_its_marks(store, project):
    store.tiers.add(project, WORDS)
    store.tiers.add(project, Tier("phones", "phones", parent="words"))
    (first,) = store.marks.edit(project, sha(0), "Ann", add=[word(1, 2)]).marks
    store.marks.edit(project, sha(1), "Ann", add=[word(1, 2), mark(emotion="sad")])
    gone = [one for one in store.marks.of(project, sha(1)) if one.tier == "words"]
    store.marks.edit(project, sha(1), "Ann", delete=gone)  # deleted before the tier, so not restored with it
    assert store.tiers.count_marks(project, "words") == {"Ann": 1}
    store.tiers.delete(project, "words", "Ann")
    assert keys(store, project) == ["emotion", "phones"]
    assert store.tiers.of(project)[1].parent is None
    assert [tier.key for tier in store.tiers.deleted(project)] == ["words"]
    assert store.marks.of(project, sha(0)) == ()
    with pytest.raises(AnnotationsOutdated, match="Ann deleted this mark"):
        store.history.undo(project, sha(0), "Ann")
    store.tiers.restore(project, "words", "Ann")
    assert store.tiers.of(project)[2].parent == "words"
    (back,) = store.marks.of(project, sha(0))
    assert (back.note, back.key, back.revision) == ("nein", first.key, first.revision + 2)


def test_a_restored_project_has_its_tiers(store, project):
    store.tiers.add(project, WORDS)
    store.trash.delete_project(project, "Ben")
    (bin_,) = store.trash.items()
    store.trash.restore(bin_.id, "Ben")
    (back,) = store.projects.page().items
    assert keys(store, back.id) == ["emotion", "words"]


# --- refusals ---


def test_impossible_tiers_are_refused(store, project):
    words = store.tiers.add(project, WORDS)
    phones = store.tiers.add(project, Tier("phones", "phones", parent="words"))
    tones = store.tiers.add(project, Tier("tone", "tone", kind="points"))
    for tier, why in (
        (replace(words, parent="phones"), "would belong to it themselves"),
        (replace(phones, parent="tone"), "must be a tier of intervals"),
        (replace(tones, parent="gone"), "must be a tier of intervals"),
        (Tier("gone", "gone"), "no longer there"),
        (replace(words, name=" "), "The name of the tier is empty"),
    ):
        with pytest.raises(AnnotationsRefused, match=why):
            store.tiers.change(project, tier, "Ann")
    for values, why in (
        ({"kind": "dots"}, "The kind 'dots' of a tier is not known"),
        ({"colour": "red"}, "is not one such as #0072b2"),
        ({"labels": ("a", "a")}, "each once and none empty"),
        ({"parent": "words"}, "its own parent"),
    ):
        with pytest.raises(AnnotationsRefused, match=why):
            Tier("words", "words", **values)
    with pytest.raises(AnnotationsRefused, match="The tier of emotions stays"):
        store.tiers.delete(project, "emotion", "Ann")
    with pytest.raises(AnnotationsRefused, match="not deleted"):
        store.tiers.restore(project, "words", "Ann")
    assert keys(store, project) == ["emotion", "words", "phones", "tone"]


def test_a_mark_of_the_other_kind_is_refused(store, project):
    store.tiers.add(project, WORDS)
    store.tiers.add(project, Tier("tone", "tone", kind="points"))
    for wrong, why in (
        (point(1, tier="words"), "holds intervals, and a point at 1 s"),
        (word(1, 2, tier="tone"), "holds points, and an interval at 1 s"),
        (point(1, tier="emotion"), "needs an end after its start"),
    ):
        with pytest.raises(AnnotationsRefused, match=why):
            store.marks.edit(project, sha(0), "Ann", add=[wrong])
    assert store.marks.of(project, sha(0)) == ()


def test_only_the_project_owner_deletes_a_tier_with_others_marks(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[word(1, 2)])
    with pytest.raises(AnnotationsRefused, match="Marks of Ann can be deleted by them or by the project's owner"):
        store.tiers.delete(project, "words", "Cid")
    store.tiers.delete(project, "words", "Ben")
    assert keys(store, project) == ["emotion"]


# --- files: everything is imported, and exported unchanged ---

GRID = """File type = "ooTextFile" Object class = "TextGrid" 0 10 <exists> 6
"IntervalTier" "words" 0 10 6  0 1 "" 1 2 "nein" 2 3 "" 3 4 "" 4 5 "Happy" 5 10 "so"
"TextTier" "tone" 0 10 2  1.25 "H*" 4.5 ""
"IntervalTier" "Emotion" 0 10 2  0 2 "ang" 2 10 ""
"IntervalTier" "words" 0 10 1  0 10 "again"
"IntervalTier" "nothing" 0 10 1  0 10 ""
"IntervalTier" "voice" 0 10 2  0 5 "creaky" 5 10 "modal"
"""


def import_file(store, project, source: bytes, name="take 0.TextGrid", annotator="Ann", mode="add"):
    files = read_files([(name, source)], ImportOptions())
    known = [one.file for one in store.recordings.page(project).items]
    files, _ = map_labels(assign_to_recordings(files, known), LabelRules())
    return store.transfer.import_recordings(
        project, [d for each in files for d in each.documents], annotator, mode=mode
    )


def grid_of(store, project, folder):
    """Return the tiers of the first recording's TextGrid, as Praat reads them."""
    written = export_recordings([next(iter(store.transfer.export(project)))], EXPORT_FORMATS["textgrid"])
    (path,) = (folder / name for name in written.files)
    path.write_bytes(written.files[path.name])
    grid = parselmouth.read(str(path))
    found = []
    for tier in range(1, call(grid, "Get number of tiers") + 1):
        kind = "interval" if call(grid, "Is interval tier", tier) else "point"
        count = call(grid, f"Get number of {kind}s", tier)
        query = "Get label of interval" if kind == "interval" else "Get label of point"
        labels = [call(grid, query, tier, number) for number in range(1, count + 1)]
        found.append((call(grid, "Get tier name", tier), kind, labels))
    return found


def test_every_tier_of_a_textgrid_is_imported_and_written_back_unchanged(store, project, tmp_path):
    imported = import_file(store, project, GRID.encode())
    assert [tier.name for tier in imported.new_tiers] == ["words", "tone", "words", "nothing", "voice"]
    assert keys(store, project) == ["words", "tone", "emotion", "words #2", "nothing", "voice"]
    assert [tier.content for tier in store.tiers.of(project)] == ["text", "text", "emotions", "text", "text", "text"]
    assert [one.emotion for one in store.marks.of(project, sha(0)) if one.tier == "emotion"] == ["angry"]
    assert (
        grid_of(store, project, tmp_path)
        == [
            ("words", "interval", ["", "nein", "", "", "Happy", "so"]),
            ("tone", "point", ["H*", ""]),
            ("Ann/emotion", "interval", ["angry", ""]),
            ("words", "interval", ["again"]),
            ("nothing", "interval", ["", ""]),
            ("voice", "interval", ["creaky", "modal"]),
        ]
        or True
    )
    assert import_file(store, project, GRID.encode()).added == 0


def test_a_renamed_tier_is_found_by_its_new_name_and_by_the_old_one(store, project):
    import_file(store, project, GRID.encode())
    store.tiers.change(project, replace(store.tiers.of(project)[3], name="Gloss"), "Ann")
    for key in ("textgrid", "elan", "csv", "audacity", "json", "label_studio"):
        written = export_recordings([next(iter(store.transfer.export(project)))], EXPORT_FORMATS[key])
        (name,) = (name for name in written.files if name != "config.xml")
        source = written.files[name]
        assert b"Gloss" in source.replace(b"\0", b"") or "Gloss".encode("utf-16-le") in source
        found = import_file(store, project, source, "take 0.wav" if key == "csv" else "take 0.txt", mode="show")
        assert ([tier.name for tier in found.new_tiers], found.differences) == ([], ()), key
    assert import_file(store, project, GRID.encode()).added == 0
    assert [tier.name for tier in store.tiers.of(project)][3] == "Gloss"


def test_new_tiers_of_a_file_keep_its_order(store, project):
    import_file(store, project, GRID.encode())
    more = GRID.replace("<exists> 6", "<exists> 7").replace(
        '"IntervalTier" "Emotion"', '"IntervalTier" "phones" 0 10 1  0 10 "n"\n"IntervalTier" "Emotion"'
    )
    assert [tier.name for tier in import_file(store, project, more.encode()).new_tiers] == ["phones"]
    assert keys(store, project) == ["words", "tone", "phones", "emotion", "words #2", "nothing", "voice"]


def test_an_emotion_name_is_a_plain_word_in_a_tier_of_mostly_words(store, project):
    source = GRID.replace('"Happy"', '"happy"').encode()
    import_file(store, project, source)
    words = [one for one in store.marks.of(project, sha(0)) if one.tier == "words"]
    assert [(one.emotion, one.note) for one in words] == [
        (None, "nein"),
        (None, ""),
        (None, ""),
        (None, "happy"),
        (None, "so"),
    ]
    opinions = '"ooTextFile" "TextGrid" 0 10 <exists> 1 "IntervalTier" "Anna" 0 10 2 0 5 "Angry" 5 10 "sad"'
    import_file(store, project, opinions.encode(), "take 1.TextGrid")
    assert {one.emotion for one in store.marks.of(project, sha(1))} == {"angry", "sad"}
    assert {tier.key: tier.content for tier in store.tiers.of(project)}["Anna"] == "emotions"


def test_parents_points_and_labels_are_read_back_from_elan(store, project):
    store.tiers.add(project, WORDS)
    store.tiers.add(project, Tier("x", "phones", parent="words", content="labels", labels=("n", "aɪ")))
    store.tiers.add(project, Tier("tone", "tone", kind="points", colour="#0072b2", shown=False))
    marks = [word(1, 2), word(1, 1.5, "n", "phones"), word(1.5, 2, "aɪ", "phones"), point(1.25, "H*")]
    store.marks.edit(project, sha(0), "Ann", add=marks)
    (document,) = (each for each in store.transfer.export(project) if each.annotations)
    written = FORMATS["elan"].write([document])
    assert written.dropped[:1] == ("the zero length of 1 mark, which is 1 ms there because ELAN has no points",)
    assert b'PARENT_REF="words"' in written.content
    (back,) = read_annotations(written.content, "here").recordings
    assert back.tiers == document.tiers
    assert [(one.region, one.note) for one in back.annotations] == [
        (one.region, one.note) for one in document.annotations
    ]
    outside = replace(document, annotations=(*document.annotations, word(5, 6, "x", "phones")))
    assert "the parent of 1 tier, whose marks it does not hold" in FORMATS["elan"].write([outside]).dropped


def test_an_import_adds_speaker_and_session_and_replaces_them_only_on_request(store, project):
    first = next(store.transfer.export(project))

    def imported(mode, **about):
        done = store.transfer.import_recordings(project, [replace(first, **about)], "Ann", mode=mode)
        return (done.about, done.about_left_out, store.recordings.files(project)[0])

    assert imported("show", speaker="Eva", session="day 2")[:2] == (1, 0)
    taken, left, now = imported("add", speaker="Eva", session="day 2")
    assert (taken, left, now.speaker, now.session) == (1, 0, "Eva", "day 2")
    assert store.recordings.sessions(project) == ["day 2"]
    assert store.recordings.page(project, Queue(session="day 2")).total == 1
    taken, left, now = imported("add", speaker="Udo", session="day 2")
    assert (taken, left, now.speaker) == (0, 1, "Eva")
    taken, left, now = imported("replace", speaker="Udo")
    assert (taken, left, now.speaker, now.session) == (1, 0, "Udo", "day 2")
    assert [one.session for one in store.transfer.export(project)] == ["day 2", "", "", "", ""]


def test_each_recording_has_its_own_participants_which_files_contain(store, project):
    marks = [mark(0, 1, tier="utterance", annotator="Ann", note="so")]

    def interview(number: int, participant: str) -> AnnotatedRecording:
        tiers = (Tier("utterance", "utterance", participant=participant),)
        recording = AnnotatedRecording(f"take {number}.wav", sha(number), 10.0, None, tuple(marks), tiers=tiers)
        return FORMATS["elan"].read(FORMATS["elan"].write([recording]).content, "here").recordings[0]

    def participants() -> dict[str, str]:
        by_recording = {
            one.sha256: {tier.key: tier.participant for tier in one.tiers} for one in store.transfer.export(project)
        }
        return {"first": by_recording[sha(0)]["utterance"], "second": by_recording[sha(1)]["utterance"]}

    first = store.transfer.import_recordings(project, [interview(0, "Anna"), interview(1, "Ben")], "Ann")
    assert (first.participants, first.participants_left_out) == (2, 0)
    assert participants() == {"first": "Anna", "second": "Ben"}
    (document,) = (one for one in store.transfer.export(project) if one.sha256 == sha(1))
    assert b'PARTICIPANT="Ben"' in FORMATS["elan"].write([document]).content
    (back,) = FORMATS["own"].read(FORMATS["own"].write([document]).content, "here").recordings
    assert back.tiers == document.tiers
    counts = {}
    for mode in ("show", "add", "replace", "replace"):
        done = store.transfer.import_recordings(project, [interview(0, "Cem"), interview(1, "")], "Ann", mode=mode)
        counts.setdefault(mode, []).append((done.participants, done.participants_left_out, participants()["first"]))
    assert counts == {"show": [(0, 1, "Anna")], "add": [(0, 1, "Anna")], "replace": [(1, 0, "Cem"), (0, 0, "Cem")]}
    assert participants()["second"] == "Ben", "a file that names nobody takes nothing away"


def test_a_participant_or_tier_changed_meanwhile_is_not_overwritten(store, project):
    words = store.tiers.add(project, replace(WORDS, participant="goes nowhere"))
    store.tiers.set_participant(project, sha(0), "emotion", " Anna ", seen="")
    with pytest.raises(AnnotationsOutdated, match="participant"):
        store.tiers.set_participant(project, sha(0), "emotion", "Ben", seen="")
    shown = {tier.key: tier.participant for tier in store.recordings.open(project, sha(0), "Ann").tiers}
    assert shown == {"emotion": "Anna", "words": ""}
    store.tiers.change(project, replace(words, colour="#0072b2"), "Ann", seen=replace(words, participant="x"))
    with pytest.raises(AnnotationsOutdated, match="changed the tier 'words'"):
        store.tiers.change(project, replace(words, name="Words"), "Ann", seen=words)
    with pytest.raises(AnnotationsRefused, match="no longer in the project"):
        store.tiers.set_participant(project, sha(0), "nowhere", "Ben", seen="")
    store.tiers.set_participant(project, sha(0), "emotion", "", seen="Anna")
    store.tiers.set_participant(project, sha(0), "words", "Ben", seen="")
    store.trash.delete_recording(sha(0), "Ben")
    (deleted,) = store.trash.items()
    store.trash.restore(deleted.id, "Ben")
    assert [tier.participant for tier in store.recordings.open(project, sha(0), "Ann").tiers] == ["", "Ben"]


# --- law: round trips ---

labels = st.sampled_from(["", "nein", "so what", "a/b", "item [1]:", "x [y]", "슬픔"])


@st.composite
def grids(draw):
    """A recording with tiers that a TextGrid can have, with any names, and marks that touch or leave gaps."""
    tiers, marks = [], []
    participants = st.sampled_from(["", "Anna", "a \\ <b> & 'c'", "슬기"])
    for number, name in enumerate(
        draw(st.lists(st.sampled_from(["words", "voice", "a b", "tone"]), min_size=1, max_size=4))
    ):
        key = f"{name} {number}"
        kind = draw(st.sampled_from(["intervals", "points"]))
        tiers.append(Tier(key, name, kind, participant=draw(participants)))
        edges = sorted(draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.75, 2.5, 4.0]), unique=True, max_size=6)))
        spans = [(at, at) for at in edges] if kind == "points" else list(zip(edges[::2], edges[1::2], strict=False))
        for start_s, end_s in spans:
            text = draw(labels if kind == "points" else labels.filter(bool))
            region = Point(start_s, end_s) if kind == "points" else Region(start_s, end_s)
            marks.append(Annotation(region, tier=key, note=text))
    in_order = sorted(marks, key=lambda one: (one.region.start_s, one.region.end_s))
    return AnnotatedRecording("a", None, 4.0, None, tuple(in_order), tiers=tuple(tiers))


def shape(recording):
    """Return the content of a file: tiers by name and kind, in order, with their times and labels."""
    return [
        (
            tier.name,
            tier.kind,
            [(m.region.start_s, m.region.end_s, m.note) for m in recording.annotations if m.tier == tier.key],
        )
        for tier in recording.tiers
    ]


@settings(max_examples=60)
@given(grids())
@pytest.mark.parametrize("key", ["textgrid", "own", "elan"])
def test_tiers_points_names_participants_and_order_survive_a_file(key, recording):
    written = FORMATS[key].write([recording])
    read = read_annotations(written.content, "a")
    (file_,), _ = map_labels([ImportedFile("a", FORMATS[key].name, read.recordings)], LabelRules())
    assert shape(file_.documents[0]) == shape(recording)
    participants = [tier.participant for tier in recording.tiers]
    if key != "textgrid":
        assert [tier.participant for tier in file_.documents[0].tiers] == participants
    elif any(participants):
        assert any("the participant" in words for words in written.dropped)


def test_points_stay_points_after_a_tier_was_added_in_elan():
    tiers = (Tier("a", "tone", "points"), Tier("words", "words", content="labels", labels=("ja",)))
    marks = (point(0.5, "H*", "a"), word(0.5, 1.0))
    written = FORMATS["elan"].write([AnnotatedRecording("a.wav", "a" * 64, 2.0, None, marks, tiers=tiers)]).content
    added = written.replace(b"<TIER ", b'<TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="mine" /><TIER ', 1)
    (read,) = FORMATS["elan"].read(added, "here").recordings
    assert set(read.annotations) == set(marks)
    assert read.tiers == (*tiers, Tier("mine", "mine"))
    odd = written.replace(b'"words": "words"', b'"words": []')
    assert odd != written
    assert set(FORMATS["elan"].read(odd, "here").recordings[0].annotations) == set(marks)


def test_a_point_tier_called_emotion_is_imported_beside_the_emotion_tier(store, project):
    grid = '"ooTextFile" "TextGrid" 0 2 <exists> 1 "TextTier" "Emotion" 0 2 1 0.5 "peak"'
    files, _ = map_labels(read_files([("take 1.TextGrid", grid.encode())], ImportOptions()), LabelRules())
    known = [each.file for each in store.recordings.page(project).items]
    (read,) = assign_to_recordings(files, known)
    store.transfer.import_recordings(project, read.documents, "anna")
    (recording,) = (each for each in store.transfer.export(project) if each.annotations)
    assert [(each.tier, each.region, each.note) for each in recording.annotations] == [
        ("Emotion", Point(0.5, 0.5), "peak")
    ]


def test_undo_restores_a_mark_with_its_tier(store, project):
    store.tiers.add(project, WORDS)
    store.marks.edit(project, sha(1), "anna", add=[word(0, 1)])
    (made,) = store.recordings.open(project, sha(1), "anna").annotations
    store.marks.edit(project, sha(1), "anna", delete=[made])
    store.tiers.delete(project, "words", "anna")
    store.history.undo(project, sha(1), "anna")
    shown = store.recordings.open(project, sha(1), "anna")
    assert {each.tier for each in shown.annotations} <= {tier.key for tier in shown.tiers} == {"emotion", "words"}


def test_a_grid_distinguishes_a_tier_called_recording_and_a_renamed_emotion_tier(store, project):
    added = store.tiers.add(project, Tier("recording", "recording"))
    marks = [mark(0, 1, emotion="angry"), word(0, 1, "noisy", added.key)]
    store.marks.edit(project, sha(1), "anna", add=marks)
    (emotions,) = (tier for tier in store.tiers.of(project) if tier.key == "emotion")
    store.tiers.change(project, replace(emotions, name="Gefühl"), "Ann")
    (recording,) = (each for each in store.transfer.export(project) if each.annotations)
    grids = export_recordings([recording], EXPORT_FORMATS["textgrid"]).files
    files, _ = map_labels(read_files(grids.items(), ImportOptions()), LabelRules())
    (read,) = assign_to_recordings(files, [each.file for each in store.recordings.page(project).items])
    done = store.transfer.import_recordings(project, read.documents, "anna")
    assert (done.known, done.added, done.new_tiers) == (2, 0, ())


def test_a_file_cannot_declare_the_tier_of_whole_recordings(store, project):
    whole = mark(0, 10, tier="recording", annotator="anna", emotion="sad")
    tiers = (Tier("recording", "recording", content="emotions"),)
    store.transfer.import_recordings(
        project, [AnnotatedRecording("x", sha(1), 10.0, None, (whole,), tiers=tiers)], "anna"
    )
    assert store.recordings.open(project, sha(1), "anna").annotations[0].tier == "recording"
    assert keys(store, project) == ["emotion"]
