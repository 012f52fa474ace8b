"""The recordings of a project as a queue: found again, filtered, ordered, paged, counted; in both databases."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from pages.shared.annotation.queue import queue_table
from ser_core.annotations.annotation import RECORDING_TIER, STATUSES, Tier
from ser_core.annotations.store.recordings import RATINGS
from ser_core.annotations.store.work_queue import ORDERS, Queue
from ser_core.errors import AnnotationsRefused
from tests.databases import file, fresh_project, fresh_store, fresh_url, mark, sha  # noqa: F401

NAMES = ["b10.wav", "A_1%.wav", "ärger.wav", "Ä2.wav", "c.wav", "a.wav", "Z.wav"]


@pytest.fixture
def voices(store) -> int:
    """Seven recordings, added in the order of NAMES."""
    made = store.projects.create("Queue")
    store.recordings.add(made, [file(number, name=name) for number, name in enumerate(NAMES)])
    return made


def whole_label(status, **others):
    return mark(0, 10, tier=RECORDING_TIER, status=status, **others)


def names(store, project, **filters) -> list[str]:
    page = store.recordings.page(project, Queue(**filters))
    assert page.total == len(page.items)
    return [item.file.name for item in page.items]


def test_a_moved_and_renamed_file_is_found_again_with_its_marks(store, project):
    store.marks.edit(project, sha(1), "Ann", add=[mark(emotion="sad")])
    before = store.recordings.open(project, sha(1), "Ann").recording
    moved = file(1, name="new name.wav", path="/elsewhere/new name.wav", duration_s=99.0)
    store.recordings.add(project, [moved])
    after = store.recordings.open(project, sha(1), "Ann").recording
    assert store.recordings.page(project).total == 5
    assert after.file == replace(moved, duration_s=10.0)  # of identical files, the first one counts
    assert (after.marks, after.added_at) == (1, before.added_at)
    assert names(store, project, text="NEW") == ["new name.wav"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sha256": "abc"}, "SHA-256 'abc'; it must be 64 lowercase hexadecimal digits"),
        ({"sha256": "A" * 64}, "64 lowercase hexadecimal digits"),
        ({"name": " "}, "name of a recording is empty"),
        ({"name": "\udcff.wav"}, "not text"),
        ({"path": "\udcff/a.wav"}, "path .* not text"),
        ({"duration_s": 0.0}, "lasts 0 s"),
        ({"duration_s": float("inf")}, "lasts inf s"),
        ({"duration_s": 1e9}, "at most 7200 s"),
    ],
)
def test_an_impossible_recording_is_refused_with_all_others_of_the_call(store, project, wrong, words):
    with pytest.raises(AnnotationsRefused, match=words):
        store.recordings.add(project, [file(8), file(9, **wrong)])
    assert store.recordings.page(project).total == 5


def test_projects_share_no_marks_and_are_deleted_with_all_their_data(store, project, database_url):
    other = store.projects.create("Another")
    store.recordings.add(other, [file(0), file(7)])
    for of in (project, other):
        store.marks.edit(of, sha(0), "Ann", add=[mark()])
    assert [(item.name, item.recordings) for item in store.projects.page().items] == [("Another", 2), ("Voices", 5)]
    assert [item.name for item in store.projects.page(size=1).items] == ["Another"]
    with pytest.raises(AnnotationsRefused, match="already a project 'Voices'"):
        store.projects.create(" Voices ")
    store.trash.delete_project(other, "Ann", for_good=True)
    assert store.projects.page().total == 1
    assert store.marks.of(other, sha(0)) == ()
    assert store.history.page(other, sha(0)).total == 0
    assert len(store.marks.of(project, sha(0))) == 1
    with pytest.raises(AnnotationsRefused, match="project is no longer there"):
        store.recordings.add(other, [file(1)])
    assert store.projects.create("Another") != project


def test_names_are_ordered_alike_in_both_databases_capitals_or_not(store, voices):
    assert names(store, voices) == NAMES
    assert names(store, voices, order="name") == [
        "a.wav",
        "A_1%.wav",
        "b10.wav",
        "c.wav",
        "Z.wav",
        "Ä2.wav",
        "ärger.wav",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [("WAV", 7), ("ä", 2), ("A\u0308RG", 1), ("_1%", 1), ("%", 1), ("_", 1), ("b10", 1), ("\\", 0), ("'", 0), ("", 7)],
)
def test_the_search_in_names_is_literal(store, voices, text, found):
    assert len(names(store, voices, text=text)) == found


@pytest.mark.parametrize("rating", RATINGS)
def test_recordings_are_sorted_by_rating_highest_first_unrated_last(store, voices, rating):
    store.recordings.rate(voices, rating, {sha(1): 0.5, sha(3): 2.0, sha(4): 0.0, sha(5): 0.5, "f" * 64: 1.0})
    ordered = store.recordings.page(voices, Queue(order=rating)).items
    assert [getattr(item, rating) for item in ordered] == [2.0, 0.5, 0.5, 0.0, None, None, None]
    store.recordings.rate(voices, rating, {sha(3): None})
    assert getattr(store.recordings.open(voices, sha(3), "Ann").recording, rating) is None
    assert store.recordings.page(voices, Queue(order=rating)).items[0].file.sha256 in (sha(1), sha(5))


def test_an_impossible_rating_is_refused(store, voices):
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(AnnotationsRefused, match="starts at 0"):
            store.recordings.rate(voices, "uncertainty", {sha(0): 0.5, sha(1): wrong})
    with pytest.raises(AnnotationsRefused, match="'beauty' is not known; choose uncertainty,"):
        store.recordings.rate(voices, "beauty", {sha(0): 0.5})
    assert store.recordings.page(voices, Queue(order="uncertainty")).items[0].uncertainty is None


@pytest.fixture
def project_in_progress(store, voices) -> int:
    """Ann has done 0 and 1, Ben verified 1 and left 2 open; 3 has marks of Ann without a label; others have none."""
    for number, annotator, status in [
        (0, "Ann", "done"),
        (1, "Ann", "done"),
        (1, "Ben", "verified"),
        (2, "Ben", "open"),
    ]:
        store.marks.edit(voices, sha(number), annotator, add=[whole_label(status, emotion="sad" if number else None)])
    (gone, _) = store.marks.edit(voices, sha(3), "Ann", add=[mark(emotion="sad"), mark(emotion="angry")]).marks
    store.marks.edit(voices, sha(3), "Ann", delete=[gone])
    return voices


def test_marks_are_counted_for_everybody_and_for_the_annotator(store, project_in_progress):
    for annotator, counts in (("Ann", [(1, 1), (2, 1), (1, 0), (1, 1)]), (None, [(1, 1), (2, 2), (1, 1), (1, 1)])):
        items = store.recordings.page(project_in_progress, Queue(annotator=annotator)).items[:4]
        assert [(item.marks, item.own_marks) for item in items] == counts


def test_marks_of_a_tier_of_labels_are_counted_and_found_by_their_labels(store, project_in_progress):
    tier = store.tiers.add(project_in_progress, Tier("mood", "mood", content="labels", labels=("high", "low"))).key
    for number, who, note in ((3, "Ann", "high"), (3, "Ben", "high"), (3, "Ben", "low"), (4, "Ben", "low")):
        store.marks.edit(project_in_progress, sha(number), who, add=[mark(tier=tier, note=note)])
    counts = [
        (item.marks, item.own_marks)
        for item in store.recordings.page(project_in_progress, Queue("Ann", tier=tier)).items
    ]
    assert counts == [(0, 0), (0, 0), (0, 0), (3, 1), (1, 0), (0, 0), (0, 0)]
    found = [
        {
            item.file.sha256
            for item in store.recordings.page(project_in_progress, Queue(who, tier=tier, label=label)).items
        }
        for who, label in (("Ann", "high"), ("Ann", "low"), (None, "low"), (None, "sad"))
    ]
    assert found == [{sha(3)}, set(), {sha(3), sha(4)}, set()]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"status": "open"}, {2, 3, 4, 5, 6}),
        ({"status": "done"}, {0}),
        ({"status": "verified"}, {1}),
        ({"status": "done", "annotator": "Ann"}, {0, 1}),
        ({"status": "open", "annotator": "Ben"}, {0, 2, 3, 4, 5, 6}),
        ({"marked": True}, {0, 1, 2, 3}),
        ({"marked": False}, {4, 5, 6}),
        ({"marked": True, "annotator": "Ben"}, {1, 2}),
        ({"marked": True, "annotator": "Ben", "status": "open"}, {2}),
        ({"label": "sad"}, {1, 2}),
        ({"label": "sad", "annotator": "Ann"}, {1}),
        ({"label": "angry"}, {3}),
        ({"label": "angry", "text": "b10"}, set()),
    ],
)
def test_filters_select_the_same_recordings_in_every_order(store, project_in_progress, filters, found):
    for order in ORDERS:
        items = store.recordings.page(project_in_progress, Queue(order=order, **filters)).items
        assert {int(item.file.sha256, 16) for item in items} == found


def test_status_and_mark_count_are_those_of_the_chosen_annotator(store, project_in_progress):
    everybody = store.recordings.page(project_in_progress).items
    assert [item.status for item in everybody] == ["done", "verified", *["open"] * 5]
    assert [item.marks for item in everybody] == [1, 2, 1, 1, 0, 0, 0]
    ann = store.recordings.page(project_in_progress, Queue(annotator="Ann")).items
    assert [item.status for item in ann] == ["done", "done", *["open"] * 5]
    assert store.recordings.open(project_in_progress, sha(1), "Ann", Queue(annotator="Ann")).recording.status == "done"


def test_progress_counts_every_recording_once_and_follows_undo(store, project_in_progress):
    assert store.recordings.count_by_status(project_in_progress) == {"open": 5, "done": 1, "verified": 1}
    assert store.recordings.count_by_status(project_in_progress, "Ann") == {"open": 5, "done": 2, "verified": 0}
    assert store.recordings.count_by_status(project_in_progress, "Nobody") == {"open": 7, "done": 0, "verified": 0}
    store.history.undo(project_in_progress, sha(0), "Ann")
    assert store.recordings.count_by_status(project_in_progress) == {"open": 6, "done": 0, "verified": 1}
    assert list(store.recordings.count_by_status(project_in_progress + 1)) == list(STATUSES)


@pytest.mark.parametrize("order", ORDERS)
def test_neighbours_follow_the_list_from_end_to_end(store, project_in_progress, order):
    store.recordings.rate(
        project_in_progress, "uncertainty", {sha(number): (number * 3) % 4 / 4 for number in range(5)}
    )
    for filters in ({}, {"status": "open"}, {"label": "sad"}, {"text": "a."}):
        queue = Queue(order=order, **filters)
        listed = [item.file.sha256 for item in store.recordings.page(project_in_progress, queue).items]
        for before, here, after in zip([None, *listed], listed, [*listed[1:], None], strict=False):
            opened = store.recordings.open(project_in_progress, here, "Ann", queue)
            assert (opened.previous, opened.next) == (before, after)


def test_a_recording_that_has_just_left_the_queue_keeps_its_neighbours(store, voices):
    queue = Queue(annotator="Ann", status="open", order="name")
    before = store.recordings.open(voices, sha(0), "Ann", queue)
    store.marks.edit(voices, sha(0), "Ann", add=[whole_label("done")])
    after = store.recordings.open(voices, sha(0), "Ann", queue)
    assert (after.previous, after.next) == (before.previous, before.next) == (sha(1), sha(4))


def test_all_pages_together_are_the_list(store, voices):
    for order in ORDERS:
        pages = [store.recordings.page(voices, Queue(order=order), page, 3) for page in range(4)]
        assert [page.total for page in pages] == [7] * 4
        assert [len(page.items) for page in pages] == [3, 3, 1, 0]
        everything = store.recordings.page(voices, Queue(order=order)).items
        assert sum((page.items for page in pages), ()) == everything


def test_an_unknown_recording_or_queue_is_refused(store, voices):
    with pytest.raises(AnnotationsRefused, match="ffffffffffff… is not in this project"):
        store.recordings.open(voices, "f" * 64, "Ann")
    with pytest.raises(AnnotationsRefused, match="order 'beauty' is not known; choose added, name"):
        Queue(order="beauty")
    with pytest.raises(AnnotationsRefused, match="status 'new' is not known"):
        Queue(status="new")
    for wrong in ({"text": "\0"}, {"annotator": "\0"}, {"label": "\0"}):
        with pytest.raises(AnnotationsRefused, match="not text"):
            Queue(**wrong)
    with pytest.raises(AnnotationsRefused, match="not text"):
        store.marks.of(voices, "\0")


@pytest.mark.parametrize(("sent", "opened"), [("a", ["a"]), ("c", []), (["a"], []), ({"a": 1}, []), (None, [])])
def test_only_a_row_of_the_list_is_opened_whatever_the_browser_sends(sent, opened, monkeypatch):
    monkeypatch.setattr(queue_table, "st", SimpleNamespace(session_state={"queue": {"opened": sent}}))
    monkeypatch.setattr(queue_table, "_mount", lambda **given: given["on_opened_change"]())
    found = []
    rows = [queue_table.Row("a", ("a.wav",)), queue_table.Row("b", ("b.wav",))]
    queue_table.queue_table([queue_table.Column("Recording")], rows, None, "queue", found.append)
    assert found == opened
