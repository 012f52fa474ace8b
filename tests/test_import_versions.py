"""A corrected file imported together with its original: a stretch keeps one label."""

import io
import zipfile
from dataclasses import replace

import pytest

from ser_core.analysis import Region
from ser_core.annotations.exchange.assigning import assign_to_recordings
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, export_recordings
from ser_core.annotations.exchange.importing import ImportOptions, read_files
from ser_core.annotations.exchange.versions import without_older_versions
from ser_core.annotations.formats.label_studio import CONFIGURATION
from ser_core.errors import AnnotationsRefused
from tests.databases import fresh_project, fresh_store, fresh_url, mark, sha  # noqa: F401
from tests.test_import_merge import ANN, MARKS, current_marks, difference_kinds, exported, relabel

FORMATS = ("textgrid", "audacity", "csv", "raven", "emu", "elan", "label_studio", "json")
NAMES = ("take 0.1", f"take 0-{sha(0)[:8]}.2")


@pytest.fixture
def marked(store, project):
    store.marks.edit(project, sha(0), ANN, add=MARKS)
    return project


def read(store, project, files):
    known = [queued.file for queued in store.recordings.page(project).items]

    def preview(documents):
        return store.transfer.import_recordings(project, documents, ANN, mode="show")

    return without_older_versions(assign_to_recordings(read_files(files, ImportOptions()), known), preview)


def import_documents(store, project, files, mode="replace"):
    documents = [document for file in files for document in file.documents]
    return store.transfer.import_recordings(project, documents, ANN, mode=mode)


def labels(store, project):
    return sorted((start_s, label) for start_s, _, label, _ in current_marks(store, project))


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("key", FORMATS)
def test_an_unchanged_file_beside_a_corrected_one_is_not_used_and_reported_as_older(store, marked, key, newest_first):
    content = exported(store, marked, key)
    corrected = content.replace(b"angry", b"calm")
    given = [corrected, content] if newest_first else [content, corrected]
    files = read(store, marked, list(zip(NAMES, given, strict=True)))
    old, new = files[::-1] if newest_first else files
    assert (old.documents, len(new.documents)) == ((), 1)
    (words,) = [words for words in old.dropped if "older version" in words]
    assert words.startswith(f"{len(MARKS)} marks")
    assert words.endswith(new.name)
    assert difference_kinds(import_documents(store, marked, files)) == ["changed"]
    assert [label for start_s, label in labels(store, marked) if start_s == 2] == ["calm"]


def test_a_zip_with_a_corrected_file_and_the_old_one_gives_each_stretch_one_label(store, marked):
    content, packed = exported(store, marked, "textgrid"), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"old/{NAMES[1]}", content)
        archive.writestr(f"new/{NAMES[0]}", content.replace(b'"happy"', b'"neutral"'))
    files = read(store, marked, [("both.zip", packed.getvalue())])
    assert [len(file.documents) for file in files] == [0, 1]
    assert difference_kinds(import_documents(store, marked, files)) == ["changed"]


@pytest.mark.parametrize("key", ["textgrid", "audacity", "elan", "json"])
def test_a_mark_that_was_deleted_in_the_corrected_file_is_not_kept_by_the_old_one(store, marked, key):
    content = exported(store, marked, key)
    gone = replace(next(m for m in store.marks.of(marked, sha(0)) if m.emotion == "angry"))
    store.marks.edit(marked, sha(0), ANN, delete=[gone])
    corrected = exported(store, marked, key)
    store.history.undo(marked, sha(0), ANN)
    if key in ("elan", "json"):  # with the keys of all written marks
        (document,) = read(store, marked, [("take 0", content)])[0].documents
        rest = [each for each in document.annotations if each.emotion != "angry"]
        files = read(store, marked, [("take 0", content)])
        files = [*files, replace(files[0], name="new", documents=(replace(document, annotations=tuple(rest)),))]
        files = without_older_versions(
            files, lambda documents: store.transfer.import_recordings(marked, documents, ANN, mode="show")
        )
    else:
        files = read(store, marked, list(zip(NAMES, (content, corrected), strict=True)))
    assert [len(file.documents) for file in files] == [0, 1]
    assert difference_kinds(import_documents(store, marked, files)) == ["deleted"]


@pytest.mark.parametrize("key", ["textgrid", "csv", "elan", "json"])
def test_two_files_that_were_both_changed_are_refused_by_name(store, marked, key):
    content = exported(store, marked, key)
    both = [content.replace(b"angry", b"calm"), content.replace(b"happy", b"calm")]
    with pytest.raises(AnnotationsRefused, match="different versions") as refusal:
        read(store, marked, list(zip(NAMES, both, strict=True)))
    assert all(name in str(refusal.value) for name in NAMES)
    for given in both:  # one after the other, as the refusal suggests
        import_documents(store, marked, read(store, marked, [("take 0", given)]))
    assert [label for _, label in labels(store, marked) if label in ("angry", "happy")] == []


@pytest.mark.parametrize("keys", [("json", "textgrid"), ("elan", "csv"), ("csv", "elan")])
def test_files_of_two_formats_of_which_one_was_corrected_are_versions_too(store, marked, keys):
    old, new = (exported(store, marked, key) for key in keys)
    given = [("take 0.old", old), ("take 0.new", new.replace(b"angry", b"calm"))]
    files = read(store, marked, given)
    assert [len(file.documents) for file in files] == [0, 1]
    assert difference_kinds(import_documents(store, marked, files)) == ["changed"]


@pytest.mark.parametrize("key", FORMATS)
def test_of_two_unchanged_exports_the_later_one_counts(store, marked, key):
    first = exported(store, marked, key)
    relabel(store, marked, "angry", "fear")
    second = exported(store, marked, key)
    for given in ([first, second], [second, first]):
        files = read(store, marked, list(zip(NAMES, given, strict=True)))
        assert [len(file.documents) for file in files] == [int(content is second) for content in given]
        assert difference_kinds(import_documents(store, marked, files, "add")) == []


def another_project(store, marked):
    empty = store.projects.create("Elsewhere")
    store.recordings.add(empty, [queued.file for queued in store.recordings.page(marked).items])
    return empty


def test_for_an_unknown_recording_the_later_revision_counts(store, marked):
    first = exported(store, marked, "json")
    relabel(store, marked, "angry", "fear")
    second = exported(store, marked, "json")
    project = another_project(store, marked)
    files = read(store, project, [("second", second), ("first", first)])
    assert [len(file.documents) for file in files] == [1, 0]
    import_documents(store, project, files)
    assert labels(store, project) == labels(store, marked)


@pytest.mark.parametrize("key", ["textgrid", "csv", "elan"])
def test_for_an_unknown_recording_versions_without_revisions_are_refused(store, marked, key):
    content = exported(store, marked, key)
    given = [content, content.replace(b"angry", b"calm")]
    with pytest.raises(AnnotationsRefused, match="different versions"):
        read(store, another_project(store, marked), list(zip(NAMES, given, strict=True)))


def test_files_with_marks_of_different_people_or_parts_are_all_used(store, marked):
    (document,) = (each for each in store.transfer.export(marked) if each.sha256 == sha(0))
    first, second = document.annotations[:2], document.annotations[2:]
    bens = tuple(replace(each, annotator="Ben", emotion=each.emotion and "fear", key=None) for each in first)
    for parts in ((first, second), (document.annotations, bens)):
        contents = [
            next(iter(export_recordings([replace(document, annotations=part)], EXPORT_FORMATS["csv"]).files.values()))
            for part in parts
        ]
        files = read(store, marked, [("take 0.1", contents[0]), ("take 0.2", contents[1])])
        assert [len(file.documents) for file in files] == [1, 1]
        assert set(difference_kinds(import_documents(store, marked, files, "show"))) <= {"new"}


def test_several_recordings_are_told_apart(store, marked):
    store.marks.edit(marked, sha(1), ANN, add=[mark(1, 2, emotion="sad", annotator=ANN)])
    old = export_recordings(list(store.transfer.export(marked)), EXPORT_FORMATS["json"]).files
    ((name, content),) = old.items()
    store.marks.edit(
        marked,
        sha(1),
        ANN,
        change=[replace(store.marks.of(marked, sha(1))[0], region=Region(1.25, 2))],
    )
    (new,) = export_recordings(list(store.transfer.export(marked)), EXPORT_FORMATS["json"]).files.values()
    files = read(store, marked, [(name, content), ("new", new)])
    assert [len(file.documents) for file in files] == [len(files[1].documents) - 1, len(files[1].documents)]
    assert CONFIGURATION not in [file.name for file in files]
