"""Marks that were exported, corrected in another tool and imported: differences are found, and nothing is doubled."""

import re
from dataclasses import replace

import pytest

from ser_core.analysis import Region
from ser_core.annotations.annotation import RECORDING_TIER, Annotation
from ser_core.annotations.exchange import matching, merging
from ser_core.annotations.exchange.assigning import assign_to_recordings
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, export_recordings
from ser_core.annotations.exchange.importing import ImportOptions, read_files
from ser_core.annotations.exchange.labels import LabelRules, map_labels
from ser_core.annotations.exchange.report import difference_lines, difference_rows
from ser_core.annotations.formats.label_studio import CONFIGURATION
from ser_core.annotations.store.marks import content_of
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused
from tests.databases import fresh_project, fresh_store, fresh_url, mark, sha  # noqa: F401

ANN = "Ann"
MARKS = (
    mark(0.5, 1.0004, emotion="sad", annotator=ANN, intensity=2),
    mark(2, 3, emotion="angry", annotator=ANN),
    mark(5, 6, emotion="happy", annotator=ANN),
    mark(7, 8, note="laughs", annotator=ANN),
    mark(0, 10, emotion="sad", tier=RECORDING_TIER, annotator=ANN),
)


@pytest.fixture
def marked(store, project):
    store.marks.edit(project, sha(0), ANN, add=MARKS)
    return project


def exported(store, project, key, **choices) -> bytes:
    """Return the file of the first recording."""
    (document,) = (document for document in store.transfer.export(project) if document.sha256 == sha(0))
    *_, content = (
        file
        for name, file in export_recordings([document], EXPORT_FORMATS[key], choices).files.items()
        if name != CONFIGURATION
    )
    return content


def import_back(store, project, content: bytes, mode: str, who: str = ANN, restore: bool = False):
    return import_files(store, project, [("take 0.TextGrid", content)], mode, who, restore)


def import_files(store, project, files, mode: str, who: str = ANN, restore: bool = False):
    known = [queued.file for queued in store.recordings.page(project).items]
    files = assign_to_recordings(read_files(files, ImportOptions()), known)
    documents = [document for file in files for document in file.documents]
    return store.transfer.import_recordings(project, documents, who, mode=mode, restore=restore)


def current_marks(store, project):
    return [
        (m.region.start_s, m.region.end_s, m.emotion or m.note, m.intensity) for m in store.marks.of(project, sha(0))
    ]


def difference_kinds(imported):
    return sorted(each.difference.kind for each in imported.differences)


@pytest.mark.parametrize("key", [key for key in EXPORT_FORMATS if key != "rttm"])
def test_a_file_that_nobody_changed_changes_nothing(store, marked, key):
    before = store.marks.of(marked, sha(0))
    for mode in ("show", "add", "replace"):
        imported = import_back(store, marked, exported(store, marked, key), mode)
        assert (imported.known, difference_kinds(imported)) == (len(MARKS), [])
    assert store.marks.of(marked, sha(0)) == before
    assert store.history.page(marked, sha(0)).total == 1


@pytest.mark.parametrize("keys", [("json", "csv"), ("textgrid", "elan"), ("srt", "textgrid"), ("csv", "vtt", "emu")])
def test_the_same_marks_in_files_of_several_formats_are_imported_once(store, marked, keys):
    contents = [exported(store, marked, key) for key in keys]
    empty = store.projects.create("Elsewhere")
    store.recordings.add(empty, [queued.file for queued in store.recordings.page(marked).items])
    for given in (contents, contents[::-1]):
        files = [(f"take 0.{number}", content) for number, content in enumerate(given)]
        imported = import_files(store, marked, files, "show")
        assert (imported.recordings, imported.known, difference_kinds(imported)) == (1, len(keys) * len(MARKS), [])
        imported = import_files(store, empty, files, "show")
        assert (imported.known, difference_kinds(imported)) == ((len(keys) - 1) * len(MARKS), ["new"] * len(MARKS))


#: Edits in another tool: a changed label, a moved edge, a new mark and a deleted one.
EDITS = {
    "textgrid": [
        (b'"angry"', b'"fear"'),
        (b"xmax = 6", b"xmax = 6.25"),
        (b"xmin = 6", b"xmin = 6.25"),
        (b'"laughs"', b'""'),
    ],
    "audacity": [
        (b"\tangry", b"\tfear"),
        (b"6.0\thappy", b"6.25\thappy"),
        (b"7.0\t8.0\t[annotator=Ann; note=laughs]\n", b""),
    ],
}


def with_edits(key: str, content: bytes) -> bytes:
    for old, new in EDITS[key]:
        assert old in content, content.decode()
        content = content.replace(old, new, 1)
    return content


@pytest.mark.parametrize("key", EDITS)
def test_relabelled_moved_and_deleted_marks_are_recognised_and_replaced(store, marked, key):
    content = with_edits(key, exported(store, marked, key))
    before = store.marks.of(marked, sha(0))
    imported = import_back(store, marked, content, "show")
    assert difference_kinds(imported) == ["changed", "deleted", "moved"]
    assert (imported.known, imported.changed, imported.moved, imported.deleted) == (2, 1, 1, 1)
    assert store.marks.of(marked, sha(0)) == before
    imported = import_back(store, marked, content, "add")
    assert (imported.added, imported.left_out) == (0, 2)
    assert store.marks.of(marked, sha(0)) == before
    import_back(store, marked, content, "replace")
    assert current_marks(store, marked) == [
        (0, 10, "sad", None),
        (0.5, 1.0004, "sad", 2),
        (2, 3, "fear", None),
        (5, 6.25, "happy", None),
    ]
    store.history.undo(marked, sha(0), ANN)
    assert [content_of(m) for m in store.marks.of(marked, sha(0))] == [content_of(m) for m in before]


def test_plain_labels_keep_fields_that_they_do_not_contain(store, marked):
    content = exported(store, marked, "textgrid", plain=True)
    assert (import_back(store, marked, content, "replace").known, current_marks(store, marked)[1]) == (
        5,
        (0.5, 1.0004, "sad", 2),
    )


@pytest.mark.parametrize("key", ["elan", "label_studio", "json"])
def test_changes_made_here_since_the_export_are_never_overwritten(store, marked, key):
    content = exported(store, marked, key)
    angry = next(m for m in store.marks.of(marked, sha(0)) if m.emotion == "angry")
    store.marks.edit(marked, sha(0), ANN, change=[replace(angry, emotion="fear")])
    assert difference_kinds(import_back(store, marked, content, "replace")) == []  # the file has nothing new
    imported = import_back(store, marked, content.replace(b"angry", b"disgust"), "replace")
    assert (difference_kinds(imported), imported.left_out) == (["conflict"], 1)
    assert (2, 3, "fear", None) in current_marks(store, marked)


KEYLESS = ("textgrid", "audacity", "csv", "raven", "emu")


def relabel(store, project, old: str, new: str) -> None:
    (there,) = (m for m in store.marks.of(project, sha(0)) if m.emotion == old)
    store.marks.edit(project, sha(0), ANN, change=[replace(there, emotion=new)])


@pytest.mark.parametrize("key", KEYLESS)
def test_without_keys_the_history_distinguishes_changes_here_from_changes_in_the_file(store, marked, key):
    content = exported(store, marked, key)
    relabel(store, marked, "angry", "fear")
    imported = import_back(store, marked, content, "replace")  # changed here only
    assert (difference_kinds(imported), imported.known, imported.left_out) == (["changed here"], len(MARKS) - 1, 1)
    corrected = content.replace(b"happy", b"calm")
    imported = import_back(store, marked, corrected, "replace")  # one changed here, another one in the file
    assert (difference_kinds(imported), imported.changed) == (["changed", "changed here"], 1)
    assert {(2, 3, "fear", None), (5, 6, "calm", None)} < set(current_marks(store, marked))
    same_change = content.replace(b"happy", b"calm").replace(b"angry", b"fear")
    assert difference_kinds(import_back(store, marked, same_change, "show")) == []


@pytest.mark.parametrize("key", KEYLESS)
def test_without_keys_a_mark_changed_here_and_in_the_file_since_the_export_is_a_conflict(store, marked, key):
    content = exported(store, marked, key)
    relabel(store, marked, "angry", "fear")
    relabel(store, marked, "happy", "neutral")  # unchanged in the file, which dates the file
    imported = import_back(store, marked, content.replace(b"angry", b"disgust"), "replace")
    assert (difference_kinds(imported), imported.left_out) == (["changed here", "conflict"], 2)
    assert {(2, 3, "fear", None), (5, 6, "neutral", None)} < set(current_marks(store, marked))


@pytest.mark.parametrize("key", KEYLESS)
def test_without_keys_an_undone_import_can_be_imported_again(store, marked, key):
    corrected = exported(store, marked, key).replace(b"happy", b"calm")
    for _ in range(2):
        imported = import_back(store, marked, corrected, "replace")
        assert (difference_kinds(imported), imported.changed) == (["changed"], 1)
        assert (5, 6, "calm", None) in current_marks(store, marked)
        store.history.undo(marked, sha(0), ANN)
    store.history.redo(marked, sha(0), ANN)
    assert difference_kinds(import_back(store, marked, corrected, "replace")) == []
    relabel(store, marked, "calm", "sad")
    assert difference_kinds(import_back(store, marked, corrected, "show")) == ["changed here"]


def test_without_keys_an_unknown_order_of_changes_is_reported(store, marked):
    relabel(store, marked, "angry", "fear")
    content = exported(store, marked, "textgrid").replace(b'"fear"', b'"disgust"')
    (each,) = import_back(store, marked, content, "show").differences
    assert (each.difference.kind, each.difference.unsure) == ("changed", True)
    assert "unknown" in difference_lines([each])[0]
    row = difference_rows([each])[0]
    assert (row["Tier"], row["Here"], row["In the files"]) == (
        "Ann, emotion",
        "2.000 to 3.000 s, fear",
        "2.000 to 3.000 s, disgust",
    )
    relabel(store, marked, "happy", "neutral")
    dated = exported(store, marked, "textgrid").replace(b'"fear"', b'"disgust"')  # knows a later change
    (each,) = import_back(store, marked, dated, "show").differences
    assert (each.difference.kind, each.difference.unsure) == ("changed", False)


@pytest.mark.parametrize("key", KEYLESS)
def test_without_keys_new_marks_stay_and_deleted_ones_return_only_on_request(store, marked, key):
    content = exported(store, marked, key)
    store.marks.edit(marked, sha(0), ANN, add=[mark(8.5, 9, emotion="calm", annotator=ANN)])
    imported = import_back(store, marked, content, "replace")
    assert (difference_kinds(imported), imported.deleted) == (["conflict"], 0)
    gone = [m for m in store.marks.of(marked, sha(0)) if m.emotion == "angry" or m.tier == RECORDING_TIER]
    store.marks.edit(marked, sha(0), ANN, delete=gone)
    imported = import_back(store, marked, content, "replace")
    # The file is older than both, so the new mark cannot have been deleted in it.
    assert (difference_kinds(imported), imported.added, imported.left_out) == (["deleted here"] * 2, 0, 2)
    assert import_back(store, marked, content, "add", restore=True).restored == 2
    assert len(store.marks.of(marked, sha(0))) == len(MARKS) + 1


def test_a_mark_moved_far_here_still_matches_the_one_relabelled_in_the_file(store, marked):
    content = exported(store, marked, "textgrid").replace(b'"angry"', b'"fear"')
    (angry,) = (m for m in store.marks.of(marked, sha(0)) if m.emotion == "angry")
    store.marks.edit(marked, sha(0), ANN, change=[replace(angry, region=Region(8.5, 9.5))])
    relabel(store, marked, "happy", "neutral")
    assert difference_kinds(import_back(store, marked, content, "replace")) == ["changed here", "conflict"]
    assert (8.5, 9.5, "angry", None) in current_marks(store, marked)


@pytest.mark.parametrize("key", ["json", "label_studio"])
def test_new_marks_here_are_not_taken_for_deleted_by_files_with_keys(store, marked, key):
    content = exported(store, marked, key)
    store.marks.edit(marked, sha(0), ANN, add=[mark(8.5, 9, emotion="calm", annotator=ANN)])
    assert difference_kinds(import_back(store, marked, content, "show")) == []


def test_marks_made_here_since_an_export_with_keys_are_not_taken_for_deleted(store, marked):
    content = exported(store, marked, "elan")
    store.marks.edit(marked, sha(0), ANN, add=[mark(8.5, 9, emotion="calm", annotator=ANN)])
    assert difference_kinds(import_back(store, marked, content, "show")) == []
    first = content.index(b"<ANNOTATION>")
    without = content[:first] + content[content.index(b"</ANNOTATION>") + len(b"</ANNOTATION>") :]
    imported = import_back(store, marked, without, "replace")
    assert difference_kinds(imported) == ["deleted"]
    assert len(store.marks.of(marked, sha(0))) == len(MARKS)


def test_tiers_and_labels_that_are_left_out_of_an_import_are_not_deleted(store, marked):
    store.marks.edit(marked, sha(0), ANN, add=[mark(4, 5, note="so", annotator=ANN, tier="words")])
    known = [queued.file for queued in store.recordings.page(marked).items]
    for key in ("elan", "label_studio", "json"):
        files = read_files([("take 0.TextGrid", exported(store, marked, key))], ImportOptions())
        files, _ = map_labels(files, LabelRules(tiers=("emotion",), emotions={"angry": ""}))
        documents = [document for file in assign_to_recordings(files, known) for document in file.documents]
        assert difference_kinds(store.transfer.import_recordings(marked, documents, ANN, mode="show")) == []


@pytest.mark.parametrize("key", ["textgrid", "audacity", "csv"])
def test_a_label_that_is_mapped_to_nothing_deletes_no_marks(store, marked, key):
    known = [queued.file for queued in store.recordings.page(marked).items]
    read = read_files([("take 0.TextGrid", exported(store, marked, key))], ImportOptions())
    files, _ = map_labels(assign_to_recordings(read, known), LabelRules(emotions={"angry": "", "laughs": ""}))
    imported = store.transfer.import_recordings(marked, [d for f in files for d in f.documents], ANN, mode="replace")
    assert (imported.known, difference_kinds(imported)) == (len(MARKS) - 2, [])


def test_a_mark_left_out_of_an_import_stays_even_if_another_tool_changed_its_key():
    standing = mark(2, 3, emotion="angry", annotator=ANN, key="ours", revision=1)
    theirs = replace(standing, key="theirs")
    for left_out, differences in (([theirs], []), ([], ["deleted"])):
        found = merging.compare_marks([standing], [], {"ours": 1}, lambda _: {}, left_out=left_out)
        assert [difference.kind for difference in found.differences] == differences


@pytest.mark.parametrize("key", ["elan", "label_studio", "json"])
def test_a_mark_deleted_here_is_restored_only_on_request(store, marked, key):
    content = exported(store, marked, key)
    gone = [m for m in store.marks.of(marked, sha(0)) if m.emotion == "angry" or m.tier == RECORDING_TIER]
    store.marks.edit(marked, sha(0), ANN, delete=gone)
    for mode in ("show", "add", "replace"):
        imported = import_back(store, marked, content, mode)
        assert (difference_kinds(imported), imported.added, imported.left_out) == (["deleted here"] * 2, 0, 2)
    assert len(store.marks.of(marked, sha(0))) == len(MARKS) - 2
    imported = import_back(store, marked, content, "add", restore=True)
    assert (imported.restored, imported.added, imported.left_out) == (2, 0, 0)
    back_again = {m.key: m.revision for m in store.marks.of(marked, sha(0))}
    assert len(back_again) == len(MARKS)
    assert all(back_again[m.key] > m.revision for m in gone)
    store.history.undo(marked, sha(0), ANN)
    assert len(store.marks.of(marked, sha(0))) == len(MARKS) - 2


def test_a_deleted_label_of_the_whole_recording_is_not_restored_beside_a_new_one(store, marked):
    content = exported(store, marked, "json")
    (label,) = (m for m in store.marks.of(marked, sha(0)) if m.tier == RECORDING_TIER)
    store.marks.edit(marked, sha(0), ANN, delete=[label])
    store.marks.edit(marked, sha(0), ANN, add=[replace(MARKS[4], emotion="fear")])
    assert difference_kinds(import_back(store, marked, content, "add", restore=True)) in (["changed"], ["conflict"])
    assert len(store.marks.of(marked, sha(0))) == len(MARKS)


def test_deleted_marks_of_others_are_not_restored_by_a_person_without_a_role(store, marked):
    content = exported(store, marked, "json")
    store.marks.edit(marked, sha(0), ANN, delete=[store.marks.of(marked, sha(0))[2]])
    with pytest.raises(AnnotationsRefused, match="can be restored by them"):
        import_back(store, marked, content, "add", who="Cid", restore=True)


def test_shifted_marks_are_compared_with_few_others(monkeypatch):
    pairs, closeness = [], matching._closeness
    monkeypatch.setattr(matching, "_closeness", lambda *pair: pairs.append(pair) or closeness(*pair))
    existing = [mark(i, i + 0.8, annotator=ANN, emotion="sad", key=f"k{i}") for i in range(3_000)]
    moved = [mark(i + 0.1, i + 0.9, annotator=ANN, emotion="sad") for i in range(3_000)]
    found = merging.compare_marks(existing, moved, None, lambda _: {}).differences
    assert {(each.before.key, each.after.region.start_s - 0.1) for each in found} == {
        (f"k{i}", i + 0.1 - 0.1) for i in range(3_000)
    }
    assert len(pairs) < 12 * len(existing)


@pytest.mark.parametrize("key", ["elan", "json", "csv"])
def test_two_equal_marks_both_stay(store, marked, key):
    store.marks.edit(marked, sha(0), ANN, add=[MARKS[1]])
    imported = import_back(store, marked, exported(store, marked, key), "show")
    assert (imported.known, difference_kinds(imported)) == (len(MARKS) + 1, [])


def test_a_second_label_of_the_whole_recording_is_a_conflict(store, marked):
    (document,) = (each for each in store.transfer.export(marked) if each.sha256 == sha(0))
    second = replace(document, annotations=(*document.annotations, replace(MARKS[4], emotion="fear")))
    becomes_one = [replace(each, tier=RECORDING_TIER) if each.note else each for each in document.annotations]
    for wanted in (second, replace(document, annotations=tuple(becomes_one))):
        for mode in ("add", "replace"):
            assert "conflict" in difference_kinds(store.transfer.import_recordings(marked, [wanted], ANN, mode=mode))


def test_an_annotation_of_another_tool_does_not_take_the_key_of_a_mark(store, marked):
    content = exported(store, marked, "elan").decode()
    angry = next(one for one in re.findall("<ANNOTATION>.*?</ANNOTATION>", content, re.DOTALL) if ">angry" in one)
    added = re.sub('ANNOTATION_ID=".*?"', 'ANNOTATION_ID="new-one"', angry).replace(">angry", ">calm")
    imported = import_back(store, marked, content.replace(angry, added + angry, 1).encode(), "show")
    assert (imported.known, difference_kinds(imported)) == (len(MARKS), ["new"])


def test_a_transcript_without_names_stays_its_authors(store, project):
    words = [mark(at, at + 0.5, note=f"w{at}", annotator=ANN, tier="words") for at in range(4)]
    store.marks.edit(project, sha(0), ANN, add=words)
    content = exported(store, project, "textgrid")
    assert b"Ann" not in content
    assert (
        import_back(store, project, content, "show", who="Cid").known,
        import_back(store, project, content, "add").added,
    ) == (
        4,
        0,
    )
    corrected = content.replace(b'"w1"', b'"W1"').replace(b'"w2"', b'"W2"')  # half of it is unchanged
    assert difference_kinds(import_back(store, project, corrected, "replace", who="Cid")) == ["changed", "changed"]
    assert {(m.annotator, m.note) for m in store.marks.of(project, sha(0))} == {
        (ANN, word) for word in ("w0", "W1", "W2", "w3")
    }
    another = content.replace(b'"w', b'"x').replace(b'"xords"', b'"words"')
    assert import_back(store, project, another, "add", who="Cid").added == 4


def test_marks_of_others_are_not_deleted_by_a_person_without_a_role(store, marked):
    content = exported(store, marked, "audacity").replace(b"7.0\t8.0\t[annotator=Ann; note=laughs]\n", b"")
    with pytest.raises(AnnotationsRefused, match="Marks of Ann can be deleted by them"):
        import_back(store, marked, content, "replace", who="Cid")
    assert len(store.marks.of(marked, sha(0))) == len(MARKS)


def test_a_new_mark_is_new_even_if_others_have_the_same_label(store, marked):
    content = b"8.5\t9.5\tsad [annotator=Ann]\n"
    assert import_back(store, marked, content, "add").added == 1


def test_an_import_that_would_differ_from_its_preview_is_not_done(store, marked):
    content = with_edits("audacity", exported(store, marked, "audacity"))
    (file,) = assign_to_recordings(
        read_files([("take 0.txt", content)], ImportOptions()),
        [each.file for each in store.recordings.page(marked).items],
    )
    seen = store.transfer.import_recordings(marked, file.documents, ANN, mode="show")
    store.marks.edit(marked, sha(0), ANN, add=[mark(9, 9.5, emotion="calm", annotator=ANN)])
    with pytest.raises(AnnotationsOutdated, match="nothing was imported"):
        store.transfer.import_recordings(marked, file.documents, ANN, mode="replace", preview=seen)
    assert len(store.marks.of(marked, sha(0))) == len(MARKS) + 1
    seen = store.transfer.import_recordings(marked, file.documents, ANN, mode="show")
    assert store.transfer.import_recordings(marked, file.documents, ANN, mode="replace", preview=seen).deleted == 1


def test_a_preview_adds_neither_recordings_nor_annotators(store, project):
    own = EXPORT_FORMATS["json"].write(
        [replace(next(iter(store.transfer.export(project))), sha256=sha(77), annotations=(Annotation(Region(0, 1)),))]
    )
    (file,) = read_files([("a", own.content)], ImportOptions())
    imported = store.transfer.import_recordings(project, file.documents, "Somebody new", mode="show")
    assert imported.added == 1
    assert store.recordings.page(project).total == 5
