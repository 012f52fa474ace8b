"""Labels of many recordings at once: all or none, each an undoable step, never overwriting later changes."""

from contextlib import closing
from dataclasses import replace

import pytest

from ser_core.annotations.annotation import RECORDING_TIER, Annotation, Tier, region_or_point
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.store.transactions.labels import MAX_RECORDINGS, LabelledRecording
from ser_core.annotations.store.work_queue import Queue
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused
from tests.databases import file, fresh_project, fresh_store, fresh_url, mark, sha, statements  # noqa: F401


def whole_label(**others):
    return mark(0.0, 10.0, tier=RECORDING_TIER, **others)


def labels(store, project, annotator="Ann") -> list[tuple[str | None, str] | None]:
    """Return emotion and status of an annotator's label of each recording, in order of addition."""
    found = [one.labels.get(annotator) for one in store.labels.of(project)]
    return [mark and (mark.emotion, mark.status) for mark in found]


@pytest.fixture
def revisions(store, project) -> dict[str, int]:
    """Revisions of Ann's labels: of 0 done and sad, of 1 verified and happy, of 2 none; Ben calls 2 angry."""
    store.marks.edit(project, sha(0), "Ann", add=[whole_label(emotion="sad", status="done")])
    store.marks.edit(project, sha(1), "Ann", add=[whole_label(emotion="happy", status="verified", note="laughs")])
    store.marks.edit(project, sha(2), "Ben", add=[whole_label(emotion="angry")])
    return {sha(0): 1, sha(1): 1, sha(2): 0}


def test_labels_change_together_and_each_history_lists_it(store, project, revisions):
    done = store.labels.change(project, revisions, "Ann", emotion="sad")
    assert done.sha256 == (sha(1), sha(2))  # 0 was sad already
    # A verified label that changes becomes done; a new label is open.
    assert labels(store, project) == [("sad", "done"), ("sad", "done"), ("sad", "open"), None, None]
    assert labels(store, project, "Ben")[2] == ("angry", "open")
    (whole,) = store.marks.of(project, sha(1))
    assert (whole.note, whole.revision, whole.region.end_s) == ("laughs", 2, 10.0)
    assert [store.history.page(project, sha(number)).total for number in range(4)] == [1, 2, 2, 0]
    assert store.recordings.open(project, sha(2), "Ann").can_undo
    store.labels.change(project, {sha(0): 1, sha(3): 0}, "Ann", status="verified")
    assert labels(store, project)[:4:3] == [("sad", "verified"), (None, "verified")]


def test_labels_are_undone_together_or_one_by_one(store, project, revisions):
    before = labels(store, project)
    done = store.labels.change(project, revisions, "Ann", emotion="fear")
    store.labels.undo(project, done, "Ann")
    assert labels(store, project) == before
    store.history.redo(project, sha(2), "Ann")
    assert labels(store, project)[2] == ("fear", "open")
    store.history.undo(project, sha(2), "Ann")
    assert labels(store, project) == before


def test_recordings_edited_since_are_not_undone(store, project, revisions):
    done = store.labels.change(project, revisions, "Ann", emotion="fear")
    store.marks.edit(project, sha(1), "Ann", add=[mark()])
    with pytest.raises(AnnotationsOutdated, match="1 of these recordings"):
        store.labels.undo(project, done, "Ann")
    assert [one and one[0] for one in labels(store, project)] == ["fear", "fear", "fear", None, None]
    with pytest.raises(AnnotationsOutdated, match="3 of these"):  # and never twice, or by others
        store.labels.undo(project, done, "Ben")


@pytest.mark.parametrize("change", ["changed", "deleted", "made"])
def test_labels_changed_meanwhile_are_not_overwritten(store, project, revisions, change):
    (theirs,) = store.marks.of(project, sha(0), "Ann")
    if change == "changed":
        store.marks.edit(project, sha(0), "Ann", change=[replace(theirs, emotion="calm")])
    elif change == "deleted":
        store.marks.edit(project, sha(0), "Ann", delete=[theirs])
    else:
        store.marks.edit(project, sha(2), "Ann", add=[whole_label(emotion="calm")])
    before = labels(store, project)
    with pytest.raises(AnnotationsOutdated, match="1 of these recordings were changed"):
        store.labels.change(project, revisions, "Ann", emotion="fear")
    assert labels(store, project) == before


def test_one_impossible_label_refuses_all(store, project, revisions):
    before = labels(store, project)
    for chosen, emotion, words in (
        (revisions | {sha(77): 0}, "sad", "1 of the chosen recordings are no longer in this project"),
        (revisions, " ", "emotion is empty"),
        ({sha(number): 0 for number in range(MAX_RECORDINGS + 1)}, "sad", f"at most {MAX_RECORDINGS}"),
    ):
        with pytest.raises(AnnotationsRefused, match=words):
            store.labels.change(project, chosen, "Ann", emotion=emotion)
    assert labels(store, project) == before
    assert store.labels.change(project, {}, "Ann", emotion="sad").sha256 == ()


def test_the_number_of_statements_does_not_grow_with_the_recordings(store, project, revisions):
    counts = []
    for chosen in ({sha(3): 0}, {sha(2): 0, sha(4): 0, sha(0): 1, sha(1): 1}):
        with statements() as sent:
            done = store.labels.change(project, chosen, "Ann", emotion="disgust")
        with statements() as undone:
            store.labels.undo(project, done, "Ann")
        counts.append((len(sent), len(undone)))
    assert counts == [(4, 5), (4, 5)]


def test_labels_are_read_again_only_after_a_possible_change(store, database_url, project, revisions):
    def read():
        with statements() as sent:
            found = store.labels.of(project)
        return sum("mark_key" in statement for statement, _ in sent), found

    read()
    assert read()[0] == 0
    with closing(open_store(database_url)) as elsewhere:  # another process
        for change in (
            lambda: elsewhere.history.undo(project, sha(0), "Ann"),
            lambda: elsewhere.history.redo(project, sha(0), "Ann"),
            lambda: elsewhere.recordings.add(project, [file(0, name="renamed.wav", speaker="S")]),
            lambda: elsewhere.trash.delete_recording(sha(0), "Ben"),
            lambda: elsewhere.trash.restore(elsewhere.trash.items()[0].id, "Ben"),
        ):
            change()
            assert read() == (1, elsewhere.labels.of(project))
            assert read()[0] == 0
        assert read()[1][0] == LabelledRecording(
            file(0, name="renamed.wav", speaker="S"), {"Ann": elsewhere.marks.of(project, sha(0))[0]}
        )
        # The newest step, of another project, is deleted for good, and SQLite reuses its id in this project.
        others = elsewhere.projects.create("Others", "Ben")
        elsewhere.recordings.add(others, [file(50)])
        elsewhere.marks.edit(others, sha(50), "Ann", add=[whole_label(emotion="sad")])
        read()
        elsewhere.trash.delete_recording(sha(50), "Ben", for_good=True)
        elsewhere.marks.edit(project, sha(3), "Ann", add=[whole_label(emotion="calm")])
        assert read() == (1, elsewhere.labels.of(project))


def test_a_recording_has_the_label_that_lasts_longest_in_a_tier(store, project):
    tier = store.tiers.add(project, Tier("mood", "mood", content="labels", labels=("high", "low"))).key

    def add_mark(start_s, end_s, note, who="Ann"):
        store.marks.edit(project, sha(1), who, add=[mark(start_s, end_s, tier=tier, note=note)])

    for stretch in ((0, 1, "high"), (1, 2.5, "low"), (3, 4, "high"), (4, 9, "")):
        add_mark(*stretch)
    add_mark(0, 1, "low", "Ben")
    add_mark(5, 6, "high", "Ben")  # as long: the first by name
    found = store.labels.of(project, tier)
    assert [one.main_labels for one in found] == [{}, {"Ann": "high", "Ben": "high"}, {}, {}, {}]
    add_mark(6, 9, "low")
    assert store.labels.of(project, tier)[1].main_labels == {"Ann": "low", "Ben": "high"}


def test_a_recording_has_the_most_frequent_label_of_its_points_in_a_tier(store, project):
    tier = store.tiers.add(project, Tier("tone", "tone", "points", "labels", labels=("H*", "L*"))).key
    points = [Annotation(region_or_point(at_s, at_s), tier, note=note) for at_s, note in enumerate(("H*", "L*", "L*"))]
    store.marks.edit(project, sha(1), "Ann", add=points)
    store.marks.edit(project, sha(1), "Ben", add=points[:2])  # as often: the first by name
    assert store.labels.of(project, tier)[1].main_labels == {"Ann": "L*", "Ben": "H*"}


def test_a_queue_of_chosen_recordings_contains_only_them(store, project):
    queue = Queue(among=frozenset({sha(1), sha(3), sha(77)}))
    assert [item.file.sha256 for item in store.recordings.page(project, queue).items] == [sha(1), sha(3)]
    opened = store.recordings.open(project, sha(1), "Ann", queue)
    assert (opened.previous, opened.next) == (None, sha(3))
    assert store.recordings.page(project, Queue(among=frozenset())).total == 0
