"""Marks in a store: what is saved, what is refused, who did what, and undoing and redoing it; in both databases."""

import math
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from ser_core.analysis import Region
from ser_core.annotations.annotation import RECORDING_TIER
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.marks import content_of
from ser_core.annotations.store.transactions import open_store
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused
from tests.databases import file, fresh_project, fresh_schema, fresh_store, fresh_url, mark, sha  # noqa: F401

FULL = mark(
    0.1 + 0.2,
    math.pi,
    emotion="traurig, ü 悲",
    intensity=4,
    note='\'; DROP TABLE marks; --\n"zwei" Zeilen',
    confidence=1 / 3,
    status="done",
)


def contents(annotations):
    return [content_of(annotation) for annotation in annotations]


def emotions(store, project, annotator=None):
    return [annotation.emotion for annotation in store.marks.of(project, sha(0), annotator)]


# --- edits ---


def test_mark_is_unchanged_after_the_store_is_opened_again(store, project, database_url):
    box = replace(FULL, region=Region(0.5, 1.5, 125.25, 7500.0), tier="laughter", annotator="Ben")
    before = datetime.now(UTC)
    step = store.marks.edit(project, sha(0), "Ann", add=[FULL, box])
    store.close()
    with closing(open_store(database_url)) as again:
        found = again.marks.of(project, sha(0))
    assert contents(found) == contents([replace(FULL, annotator="Ann"), box])
    assert found == step.marks
    assert [annotation.revision for annotation in found] == [1, 1]
    assert all(before <= annotation.changed_at <= datetime.now(UTC) for annotation in found)
    assert all(annotation.changed_at.utcoffset().total_seconds() == 0 for annotation in found)


def test_marks_come_in_order_of_time_and_of_one_annotator_on_request(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[mark(5, 6, emotion="late"), mark(1, 3, emotion="long")])
    store.marks.edit(project, sha(0), "Ben", add=[mark(1, 2, emotion="short")])
    store.marks.edit(project, sha(1), "Ann", add=[mark(emotion="elsewhere")])
    assert emotions(store, project) == ["short", "long", "late"]
    assert emotions(store, project, "Ann") == ["long", "late"]
    assert emotions(store, project, "Nobody") == []
    assert store.marks.of(project, "f" * 64) == ()


def test_a_change_keeps_the_identity_and_the_annotator_of_a_mark(store, project):
    (first,) = store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad")]).marks
    step = store.marks.edit(project, sha(0), "Ben", change=[replace(first, emotion="happy", annotator="Ben")])
    (second,) = store.marks.of(project, sha(0))
    assert step.marks == (second,)
    assert (second.key, second.annotator, second.emotion, second.revision) == (first.key, "Ann", "happy", 2)
    assert second.changed_at > first.changed_at


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"region": Region(0, 2)}, "done"),
        ({"emotion": "happy"}, "done"),
        ({"intensity": 5}, "done"),
        ({"note": "read twice"}, "verified"),
        ({"emotion": "happy", "status": "open"}, "open"),
    ],
)
def test_a_verified_mark_whose_label_changes_is_no_longer_verified(store, project, values, status):
    (made,) = store.marks.edit(project, sha(0), "Ann", add=[mark(0, 4, emotion="sad", status="done")]).marks
    (verified,) = store.marks.edit(project, sha(0), "Ben", change=[replace(made, status="verified")]).marks
    assert (verified.status, verified.annotator) == ("verified", "Ann")
    (changed,) = store.marks.edit(project, sha(0), "Ann", change=[replace(verified, **values)]).marks
    assert changed.status == status
    store.history.undo(project, sha(0), "Ann")
    assert store.marks.of(project, sha(0))[0].status == "verified"


def test_split_is_one_step_and_all_or_nothing(store, project):
    (whole,) = store.marks.edit(project, sha(0), "Ann", add=[mark(0, 4)]).marks
    left, right = replace(whole, region=Region(0, 2)), mark(2, 4)
    with pytest.raises(AnnotationsRefused, match="has no end"):
        store.marks.edit(project, sha(0), "Ann", change=[left], add=[mark(2, math.inf)])
    assert store.marks.of(project, sha(0)) == (whole,)
    step = store.marks.edit(project, sha(0), "Ann", change=[left], add=[right])
    assert [annotation.region for annotation in step.marks] == [Region(0, 2), Region(2, 4)]
    assert store.marks.of(project, sha(0)) == step.marks
    assert store.history.page(project, sha(0)).total == 2
    store.history.undo(project, sha(0), "Ann")
    assert contents(store.marks.of(project, sha(0))) == contents([whole])


def test_new_marks_get_new_keys_whatever_keys_they_bring(store, project):
    (first,) = store.marks.edit(project, sha(0), "Ann", add=[mark()]).marks
    (second,) = store.marks.edit(project, sha(0), "Ann", add=[first]).marks
    assert (second.key != first.key, second.revision) == (True, 1)
    assert len(store.marks.of(project, sha(0))) == 2


def test_the_provenance_of_suggested_marks_is_kept(store, project):
    about = {"model": "fusion", "sha256": "ab", "threshold": 0.25, "odd": "\0"}
    store.marks.edit(project, sha(0), "fusion", add=[mark()], provenance=about)
    store.marks.edit(project, sha(0), "Ann", add=[mark()])
    assert store.recordings.open(project, sha(0), "Ann").provenance == about
    assert store.recordings.open(project, sha(1), "Ann").provenance == {}


def test_name_of_an_annotator_is_the_same_however_it_is_typed(store, project):
    store.marks.edit(project, sha(0), " Zoë ", add=[mark(annotator="Ann")])
    store.marks.edit(project, sha(0), "Zoe\u0308", add=[mark()])  # the same name in another Unicode form
    assert {mark.annotator for mark in store.marks.of(project, sha(0))} == {"Ann", "Zoë"}


# --- nobody overwrites others' changes ---


def test_a_change_of_a_mark_that_somebody_else_changed_is_refused_with_who_and_when(store, project):
    (mine,) = store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad")]).marks
    (theirs,) = store.marks.edit(project, sha(0), "Ben", change=[replace(mine, emotion="happy")]).marks
    when = f"{theirs.changed_at:%Y-%m-%d at %H:%M:%S} UTC"
    with pytest.raises(AnnotationsOutdated, match=f"^Ben changed this mark on {when}.*Nothing was overwritten"):
        store.marks.edit(project, sha(0), "Ann", change=[replace(mine, note="x")], add=[mark(7, 8)])
    with pytest.raises(AnnotationsOutdated, match=r"^Ben changed"):
        store.marks.edit(project, sha(0), "Ann", delete=[mine])
    assert store.marks.of(project, sha(0)) == (theirs,)
    assert store.history.page(project, sha(0)).total == 2


def test_a_change_of_a_mark_that_somebody_else_deleted_is_refused(store, project):
    (mine,) = store.marks.edit(project, sha(0), "Ann", add=[mark()]).marks
    store.marks.edit(project, sha(0), "Ben", delete=[mine])
    for late in ({"change": [mine]}, {"delete": [mine]}, {"change": [replace(mine, revision=2)]}):
        with pytest.raises(AnnotationsOutdated, match=r"^Ben deleted this mark on "):
            store.marks.edit(project, sha(0), "Ann", **late)
    assert store.marks.of(project, sha(0)) == ()


def test_annotator_has_one_label_of_the_whole_recording_and_others_have_theirs(store, project):
    label = mark(0, 10, tier=RECORDING_TIER, status="done")
    (first,) = store.marks.edit(project, sha(0), "Ann", add=[label]).marks
    store.marks.edit(project, sha(0), "Ben", add=[label])
    with pytest.raises(AnnotationsRefused, match="Ann has already labelled this recording as a whole"):
        store.marks.edit(project, sha(0), "Ann", add=[label])
    with pytest.raises(AnnotationsRefused, match="already"):
        store.marks.edit(project, sha(1), "Ann", add=[label, label])
    replaced = store.marks.edit(project, sha(0), "Ann", delete=[first], add=[replace(label, emotion="sad")])
    store.history.undo(project, sha(0), "Ann")
    assert contents(store.marks.of(project, sha(0), "Ann")) == contents([first])
    store.history.redo(project, sha(0), "Ann")
    assert contents(store.marks.of(project, sha(0), "Ann")) == contents(replaced.marks)


# --- refusals ---


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (mark(note="a\0b"), "note 'a.x00b' holds characters that are not text"),
        (mark(emotion="\udcff"), "emotion .* half a character"),
        (mark(emotion="  "), "emotion is empty"),
        (mark(tier="x" * 256), "has 256 characters; at most 255"),
        (mark(annotator="\0"), "not text"),
        (mark(intensity=2.5), "intensity of 2.5 is not possible"),
        (replace(mark(), region=Region(0, math.inf)), "ends at inf s has no end"),
        (replace(mark(), region=Region(0, 1, 300.0, 200.0)), "300 to 200 Hz are not possible"),
        (replace(mark(), region=Region(0, 1, 200.0, 200.0)), "below the upper"),
        (replace(mark(), region=Region(0, 1, -1.0, 200.0)), "at least 0 and below"),
        (replace(mark(), region=Region(0, 1, math.nan, None)), "nan Hz are not possible"),
        (replace(mark(), region=Region(0, 1, None, math.inf)), "inf Hz are not possible"),
        (mark(9, 10.002), r"ends at 10\.002 s, after its recording, which is 10 s long"),
        (mark(10, 10.0005), "after its recording"),
        (mark(note="x" * 100_001), "note has 100001 characters; at most 100000"),
    ],
)
def test_an_impossible_mark_is_refused(store, project, wrong, words):
    with pytest.raises(AnnotationsRefused, match=words):
        store.marks.edit(project, sha(0), "Ann", add=[wrong])
    assert store.marks.of(project, sha(0)) == ()


def test_an_edit_of_an_unknown_mark_is_refused(store, project):
    (elsewhere,) = store.marks.edit(project, sha(1), "Ann", add=[mark()]).marks
    for wrong in (elsewhere, mark(), replace(elsewhere, key="\0")):
        with pytest.raises(AnnotationsRefused, match=r"not in this recording|not text"):
            store.marks.edit(project, sha(0), "Ann", change=[wrong])
    with pytest.raises(AnnotationsRefused, match="ffffffffffff… is not in this project"):
        store.marks.edit(project, "f" * 64, "Ann", add=[mark()])
    with pytest.raises(AnnotationsRefused, match="not in this project"):
        store.marks.edit(project + 1, sha(0), "Ann", add=[mark()])
    with pytest.raises(AnnotationsRefused, match="none of them twice"):
        store.marks.edit(project, sha(1), "Ann", change=[elsewhere], delete=[elsewhere])
    with pytest.raises(AnnotationsRefused, match="at least one mark"):
        store.marks.edit(project, sha(0), "Ann")
    with pytest.raises(AnnotationsRefused, match="name of the annotator is empty"):
        store.marks.edit(project, sha(0), " ", add=[mark()])


def test_the_database_enforces_its_own_constraints(store, project, database_url):
    store.marks.edit(project, sha(0), "Ann", add=[mark(), mark(0, 10, tier=RECORDING_TIER)])
    engine = create_engine(database_url)
    for wrong in ("intensity = 6", "confidence = 1.5", "status = 'new'", "start_s = end_s + 1", "tier = 'recording'"):
        with pytest.raises(Exception, match=r"(?i)constraint"), engine.begin() as connection:
            connection.execute(text(f"UPDATE marks SET {wrong}"))
    engine.dispose()


# --- history ---


def test_history_lists_who_changed_what_before_and_after_newest_first(store, project):
    (first,) = store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad")]).marks
    (second,) = store.marks.edit(project, sha(0), "Ben", change=[replace(first, emotion="happy")]).marks
    store.marks.edit(project, sha(0), "Ann", delete=[second])
    store.history.undo(project, sha(0), "Ann")
    store.history.redo(project, sha(0), "Ann")
    store.marks.edit(project, sha(1), "Ann", add=[mark()])
    steps = store.history.page(project, sha(0))
    listed = [
        (step.annotator, step.kind, *(change and change.emotion for change in vars(step.changes[0]).values()))
        for step in steps.items
    ]
    assert listed == [
        ("Ann", "redo", "happy", None),
        ("Ann", "undo", None, "happy"),
        ("Ann", "edit", "happy", None),
        ("Ben", "edit", "sad", "happy"),
        ("Ann", "edit", None, "sad"),
    ]
    assert steps.total == 5
    assert steps.items[3].changes[0].before == first
    assert steps.items[3].changes[0].after == second
    assert store.history.page(project, sha(0), size=2).items == steps.items[:2]
    assert sorted(step.at for step in steps.items) == [step.at for step in reversed(steps.items)]


def test_undo_and_redo_reach_over_a_restart(store, project, database_url):
    for emotion in ("sad", "happy", "angry"):
        store.marks.edit(project, sha(0), "Ann", add=[mark(emotion=emotion)])
    store.history.undo(project, sha(0), "Ann")
    store.close()
    with closing(open_store(database_url)) as again:
        assert isinstance(again.history.undo(project, sha(0), "Ann"), Step)
        assert emotions(again, project) == ["sad"]
        again.history.redo(project, sha(0), "Ann")
        again.history.redo(project, sha(0), "Ann")
        assert sorted(emotions(again, project)) == ["angry", "happy", "sad"]
        assert again.history.redo(project, sha(0), "Ann") is None


def test_undo_covers_only_ones_own_edits_in_this_recording(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad")])
    store.marks.edit(project, sha(1), "Ann", add=[mark(emotion="elsewhere")])
    store.marks.edit(project, sha(0), "Ben", add=[mark(emotion="happy")])
    assert store.history.undo(project, sha(0), "Cid") is None
    store.history.undo(project, sha(0), "Ann")
    assert emotions(store, project) == ["happy"]
    assert store.history.undo(project, sha(0), "Ann") is None
    assert len(store.marks.of(project, sha(1))) == 1


def test_a_new_edit_after_an_undo_clears_redo(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad")])
    store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="happy")])
    store.history.undo(project, sha(0), "Ann")
    assert store.recordings.open(project, sha(0), "Ann").can_redo
    store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="angry")])
    opened = store.recordings.open(project, sha(0), "Ann")
    assert (opened.can_undo, opened.can_redo) == (True, False)
    assert store.history.redo(project, sha(0), "Ann") is None
    store.history.undo(project, sha(0), "Ann")
    store.history.undo(project, sha(0), "Ann")
    opened = store.recordings.open(project, sha(0), "Ann")
    assert (opened.can_undo, opened.can_redo, opened.annotations) == (False, True, ())
    store.history.redo(project, sha(0), "Ann")
    store.history.redo(project, sha(0), "Ann")
    assert sorted(emotions(store, project)) == ["angry", "sad"]


def test_undo_and_redo_are_refused_after_somebody_else_changed_the_mark(store, project):
    (first, other) = store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad"), mark(5, 6)]).marks
    store.marks.edit(project, sha(0), "Ben", change=[replace(first, emotion="happy")])
    with pytest.raises(AnnotationsOutdated, match=r"^Ben changed this mark .* It was not undone"):
        store.history.undo(project, sha(0), "Ann")
    assert emotions(store, project) == ["happy", other.emotion]
    store.history.undo(project, sha(0), "Ben")
    store.history.undo(project, sha(0), "Ann")
    assert emotions(store, project) == []
    store.history.redo(project, sha(0), "Ann")
    (first, _) = store.marks.of(project, sha(0))
    store.marks.edit(project, sha(0), "Ann", change=[replace(first, note="mine")])
    store.history.undo(project, sha(0), "Ann")
    store.marks.edit(project, sha(0), "Ben", delete=[store.marks.of(project, sha(0))[0]])
    with pytest.raises(AnnotationsOutdated, match=r"^Ben deleted this mark .* It was not redone"):
        store.history.redo(project, sha(0), "Ann")


def test_mark_that_was_open_before_an_undo_is_outdated_after_it(store, project):
    (first,) = store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad")]).marks
    (second,) = store.marks.edit(project, sha(0), "Ann", change=[replace(first, emotion="happy")]).marks
    store.history.undo(project, sha(0), "Ann")
    for old in (first, second):
        with pytest.raises(AnnotationsOutdated, match=r"^Ann changed"):
            store.marks.edit(project, sha(0), "Ben", change=[old])


# --- a twin in plain Python, with lists as stacks ---


class Twin:
    """Marks as a dict, and an undo list and a redo list per annotator."""

    def __init__(self) -> None:
        self.marks, self.done, self.undone = {}, {}, {}

    def edit(self, annotator, changes) -> None:
        self.done.setdefault(annotator, []).append(changes)
        self.undone[annotator] = []
        self.marks |= {key: after for key, _, after in changes}

    def move(self, annotator, source, target, backwards) -> str:
        if not source.get(annotator):
            return "nothing"
        changes = source[annotator][-1]
        if any(self.marks[key] != (before, after)[backwards] for key, before, after in changes):
            return "outdated"
        target.setdefault(annotator, []).append(source[annotator].pop())
        self.marks |= {key: (after, before)[backwards] for key, before, after in changes}
        return "moved"

    def undo(self, annotator) -> str:
        return self.move(annotator, self.done, self.undone, True)

    def redo(self, annotator) -> str:
        return self.move(annotator, self.undone, self.done, False)


def outcome(action, *arguments) -> str:
    try:
        return "nothing" if action(*arguments) is None else "moved"
    except AnnotationsOutdated:
        return "outdated"


deeds = st.tuples(
    st.sampled_from(["add", "change", "delete", "split", "undo", "undo", "redo"]),
    st.sampled_from(["Ann", "Ben"]),
    st.integers(0, 5),
    st.sampled_from(["sad", "happy", "angry"]),
)


def act_on_both(deed, annotator, place, emotion, store, twin, project, recording) -> None:
    """Do the same in store and twin; an action on a mark takes one of the existing marks."""
    if deed in ("undo", "redo"):
        assert outcome(getattr(store.history, deed), project, recording, annotator) == getattr(twin, deed)(annotator)
        return
    there = store.marks.of(project, recording)
    old = there[place % len(there)] if there else None
    if deed == "add" or old is None:
        changes = {"add": [mark(place, place + 1, emotion=emotion, note=annotator)]}
    elif deed == "change":
        changes = {"change": [replace(old, emotion=emotion, intensity=1 + place % 5)]}
    elif deed == "delete":
        changes = {"delete": [old]}
        if annotator not in ("Ann", old.annotator):
            with pytest.raises(AnnotationsRefused, match="can be deleted by them or by the project's owner"):
                store.marks.edit(project, recording, annotator, **changes)
            return
    else:
        middle = (old.region.start_s + old.region.end_s) / 2
        left, right = Region(old.region.start_s, middle), Region(middle, old.region.end_s)
        changes = {"change": [replace(old, region=left)], "add": [replace(old, region=right)]}
    step = store.marks.edit(project, recording, annotator, **changes)
    known = twin.marks
    new = {annotation.key: content_of(annotation) for annotation in step.marks}
    new |= {annotation.key: None for annotation in changes.get("delete", ())}
    twin.edit(annotator, [(key, known.get(key), after) for key, after in new.items()])


def existing_marks(twin):
    return {key: content for key, content in twin.marks.items() if content is not None}


@pytest.mark.database
@settings(max_examples=25)
@given(st.lists(deeds, max_size=40))
def test_any_sequence_of_actions_has_the_same_result_as_in_the_twin(store_of_all_examples, sequence):
    store, project = store_of_all_examples
    recording = sha(store.recordings.page(project).total)
    store.recordings.add(project, [file(int(recording, 16))])
    twin = Twin()
    for deed in sequence:
        act_on_both(*deed, store, twin, project, recording)
        found = store.marks.of(project, recording)
        assert {annotation.key: content_of(annotation) for annotation in found} == existing_marks(twin)
        for annotator in ("Ann", "Ben"):
            opened = store.recordings.open(project, recording, annotator)
            expected = (bool(stacks.get(annotator)) for stacks in (twin.done, twin.undone))
            assert (opened.can_undo, opened.can_redo) == tuple(expected)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store_of_all_examples(request, tmp_path_factory):
    if request.param == "sqlite":
        file_of_all = tmp_path_factory.mktemp("twin") / "annotations.sqlite"
        with closing(open_store(f"sqlite:///{file_of_all}")) as store:
            yield store, store.projects.create("Twin", "Ann")
    else:
        with fresh_schema() as url, closing(open_store(url)) as store:
            yield store, store.projects.create("Twin", "Ann")
