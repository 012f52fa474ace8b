"""The people of a project: roles, assignment with overlap, what is sent back, and the gold layer."""

import json
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations

import numpy as np
import pytest

from ser_core.annotations.agreement.agreement import annotator_agreement, disagreement, recordings_in_cell
from ser_core.annotations.annotation import (
    GOLD,
    RECORDING_TIER,
    REGION_TIER,
    AnnotatedRecording,
    Assignment,
    Tier,
    with_gold_applied,
)
from ser_core.annotations.assignment import AssignmentPlan, draw_assignments
from ser_core.annotations.formats import FORMATS
from ser_core.annotations.store.people import Person
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.store.work_queue import Queue
from ser_core.annotations.teaching.corpus import NO_SOUND
from ser_core.annotations.teaching.pieces import (
    OPEN,
    OVERRULED_BY_GOLD,
    OVERRULED_BY_WHOLE,
    TIED,
    WITHOUT_EMOTION,
    pieces_to_teach,
)
from ser_core.annotations.teaching.preview import TOO_LONG, TOO_SHORT, preview_teaching
from ser_core.errors import AnnotationsRefused
from tests.databases import file, fresh_project, fresh_store, fresh_url, mark, sha  # noqa: F401

OWN = FORMATS["own"]


def whole(**others):
    return mark(0, 10, tier=RECORDING_TIER, **others)


def names_in(store, project, **wanted) -> list[str]:
    return [one.file.name for one in store.recordings.page(project, Queue(**wanted)).items]


# --- random assignment ---


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("people", "overlap", "each"), [(2, 0.2, 2), (5, 0.5, 2), (4, 1.0, 3), (3, 0.0, 2)])
def test_everything_is_assigned_with_the_planned_overlap_and_evenly(people, overlap, each, seed):
    recordings, annotators = [sha(number) for number in range(50)], "abcdefg"[:people]
    drawn = draw_assignments(recordings, annotators, AssignmentPlan(overlap, each, seed))
    assert set(drawn) == set(recordings)
    assert all(len(set(names)) == len(names) for names in drawn.values())
    wanted = {each: round(50 * overlap), 1: 50 - round(50 * overlap)}
    assert Counter(map(len, drawn.values())) == {size: count for size, count in wanted.items() if count}
    load = Counter(name for names in drawn.values() for name in names)
    assert max(load.values()) - min(load.values()) <= 1


def test_assignment_depends_on_the_seed_and_not_on_the_order():
    recordings, plan = [sha(number) for number in range(30)], AssignmentPlan()
    drawn = draw_assignments(recordings, ["Ann", "Ben"], plan)
    assert draw_assignments(recordings[::-1], ["Ben", "Ann"], plan) == drawn
    assert draw_assignments(recordings, ["Ann", "Ben"], replace(plan, seed=1)) != drawn


def test_every_pair_shares_about_as_many_recordings():
    drawn = draw_assignments([sha(number) for number in range(60)], "abcd", AssignmentPlan(1.0))
    pairs = Counter(pair for names in drawn.values() for pair in combinations(names, 2))
    assert len(pairs) == 6
    assert max(pairs.values()) - min(pairs.values()) <= 2


@pytest.mark.parametrize(
    ("annotators", "plan", "words"),
    [
        ((), {}, "0 annotators cannot"),
        (("Ann",), {}, "2 people are to annotate .*1 can"),
        (("Ann", "Ben"), {"overlap": 1.5}, "overlap of 1.5"),
        (("Ann", "Ben"), {"people": 1}, "make no overlap"),
        (("Ann", "Ben"), {"seed": -1}, "seed -1"),
    ],
)
def test_impossible_plans_are_refused(annotators, plan, words):
    with pytest.raises(AnnotationsRefused, match=words):
        draw_assignments([sha(number) for number in range(5)], annotators, AssignmentPlan(**plan))


# --- roles ---


def test_without_roles_everybody_reviews_and_with_them_only_owner_and_reviewers(store, project):
    (theirs,) = store.marks.edit(project, sha(0), "Ann", add=[mark(status="done")]).marks
    store.marks.edit(project, sha(0), "Cid", change=[replace(theirs, status="verified")])
    store.history.undo(project, sha(0), "Cid")
    store.people.set_roles(project, "Ben", {"Dan": "reviewer"})
    (theirs,) = store.marks.of(project, sha(0))
    for action in (
        lambda: store.marks.edit(project, sha(0), "Cid", change=[replace(theirs, status="verified")]),
        lambda: store.marks.edit(project, sha(0), "Cid", add=[mark(annotator=GOLD)]),
        lambda: store.marks.edit(project, sha(0), "Cid", add=[mark(annotator="Ann", emotion="sad")]),
        lambda: store.history.redo(project, sha(0), "Cid"),
        lambda: store.marks.set_status(project, [sha(0)], "Cid", "open"),
        lambda: store.people.send_back(project, sha(0), "Cid", "Ann", "No."),
        lambda: store.people.withdraw(project, sha(0), "Cid", "Ann"),
    ):
        with pytest.raises(AnnotationsRefused, match=r"Cid is an annotator here, and only reviewers"):
            action()
    assert store.marks.of(project, sha(0)) == (theirs,)
    assert [store.people.may_review(project, name) for name in ("Ben", "Dan", "Cid")] == [True, True, False]
    (verified,) = store.marks.edit(project, sha(0), "Dan", change=[replace(theirs, status="verified")]).marks
    store.marks.edit(project, sha(0), "Ben", change=[replace(verified, status="done")])


def test_words_can_be_edited_by_everybody_whatever_the_roles(store, project):
    store.people.set_roles(project, "Ben", {"Ann": "annotator"})
    store.tiers.add(project, Tier("words", "words"))
    (word,) = store.marks.edit(project, sha(0), "Ann", add=[mark(tier="words", note="nein")]).marks
    (changed,) = store.marks.edit(project, sha(0), "Cid", change=[replace(word, note="Nein")]).marks
    assert (changed.note, changed.annotator) == ("Nein", "Ann")
    for turned in ({"emotion": "sad"}, {"tier": REGION_TIER}):  # a word must not become an emotion label of Ann's
        with pytest.raises(AnnotationsRefused, match="make or change marks of Ann"):
            store.marks.edit(project, sha(0), "Cid", change=[replace(changed, **turned)])


def test_annotators_cannot_change_others_labels_in_a_tier_in_any_way(store, project):
    store.tiers.add(project, Tier("tone", "tone", content="labels", labels=("high", "low")))
    (theirs,) = store.marks.edit(project, sha(0), "Ann", add=[mark(tier="tone", note="high")]).marks
    store.people.set_roles(project, "Ben", {"Ann": "annotator"})
    (document, *_) = store.transfer.export(project)
    low = replace(theirs, note="low")
    # A file may omit the annotator of a tier: if all labels there are Ann's, so are the file's.
    unsigned = replace(document, annotations=(replace(low, annotator=""),))
    for action in (
        lambda: store.marks.edit(project, sha(0), "Cid", change=[low]),
        lambda: store.marks.edit(project, sha(0), "Cid", add=[mark(7, 8, tier="tone", note="low", annotator="Ann")]),
        lambda: store.marks.edit(project, sha(0), "Cid", change=[replace(theirs, tier="words")]),
        lambda: store.marks.set_status(project, [sha(0)], "Cid", "done", tier="tone"),
        lambda: store.transfer.import_recordings(project, [unsigned], "Cid", mode="replace"),
    ):
        with pytest.raises(AnnotationsRefused, match="make or change marks of Ann"):
            action()
    assert store.marks.of(project, sha(0)) == (theirs,)
    (own,) = store.marks.edit(project, sha(0), "Cid", add=[mark(tier="tone", note="low")]).marks
    assert own.annotator == "Cid"
    store.marks.edit(project, sha(0), "Ben", change=[low])


@pytest.mark.parametrize("mode", ["add", "replace"])
def test_an_annotators_import_neither_makes_nor_changes_others_marks(store, project, mode):
    (theirs,) = store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad")]).marks
    store.people.set_roles(project, "Ben", {"Cid": "annotator"})
    (document, *_) = store.transfer.export(project)
    new = mark(5, 6, emotion="angry", annotator="Ann")
    wanted = replace(document, annotations=(replace(theirs, emotion="angry"), new))
    with pytest.raises(AnnotationsRefused, match="make or change marks of Ann"):
        store.transfer.import_recordings(project, [wanted], "Cid", mode=mode)
    assert store.marks.of(project, sha(0)) == (theirs,)
    own = replace(document, annotations=(theirs, replace(new, annotator="Cid")))
    assert store.transfer.import_recordings(project, [own], "Cid", mode=mode).added == 1


def test_an_annotator_cannot_turn_others_labels_into_text_or_change_their_meaning(store, project):
    mood = store.tiers.add(project, Tier("mood", "mood", content="labels", labels=("high", "low")))
    store.marks.edit(project, sha(0), "Ann", add=[mark(tier="mood", note="high")])
    store.people.set_roles(project, "Ben", {"Ann": "annotator", "Cid": "annotator", "Dan": "reviewer"})
    words = r"Cid is an annotator here, .*change the content and labels of a tier with others' marks"
    for change in ({"content": "text", "labels": ()}, {"labels": ("low",)}, {"mapping": (("sad", "high"),)}):
        with pytest.raises(AnnotationsRefused, match=words):
            store.tiers.change(project, replace(mood, **change), "Cid", seen=mood)
    assert store.tiers.of(project)[1] == mood
    store.tiers.change(project, replace(mood, name="Mood", colour="#0072b2"), "Cid")
    # Ann may change what only she has labelled, and so may a reviewer.
    store.tiers.change(project, replace(mood, labels=("high", "low", "flat")), "Ann")
    store.tiers.change(project, replace(mood, content="text", labels=()), "Dan")
    assert store.tiers.of(project)[1].content == "text"


def test_anybody_may_change_a_tier_of_a_project_without_roles(store, project):
    mood = store.tiers.add(project, Tier("mood", "mood", content="labels", labels=("high", "low")))
    store.marks.edit(project, sha(0), "Ann", add=[mark(tier="mood", note="high")])
    store.tiers.change(project, replace(mood, content="text", labels=()), "Cid", seen=mood)
    assert store.tiers.of(project)[1].content == "text"


def test_only_the_owner_gives_roles_and_may_hand_the_project_over(store, project):
    with pytest.raises(AnnotationsRefused, match=r"Only the project's owner, Ben, can"):
        store.people.set_roles(project, "Ann", {"Ann": "reviewer"})
    with pytest.raises(AnnotationsRefused, match=r"needs an owner"):
        store.people.set_roles(project, "Ben", {"Ben": "annotator"})
    with pytest.raises(AnnotationsRefused, match=r"role 'king' is not known"):
        store.people.set_roles(project, "Ben", {"Ann": "king"})
    store.people.set_roles(project, "Ben", {"Ann": "annotator"})
    store.people.set_roles(project, "Ben", {"Ann": "owner"})
    assert store.people.of(project) == (Person("Ann", "owner"), Person("Ben", "reviewer"))
    store.people.set_roles(project, "Ann", {"Ben": None})
    assert store.people.of(project) == (Person("Ann", "owner"),)


def test_several_roles_are_given_all_or_none_with_the_owners_last(store, project):
    with pytest.raises(AnnotationsRefused, match=r"role 'king' is not known"):
        store.people.set_roles(project, "Ben", {"Ann": "annotator", "Cid": "king"})
    assert [person.role for person in store.people.of(project)] == ["owner"]
    store.people.set_roles(project, "Ben", {"Ann": "owner", "Cid": "annotator"})
    assert store.people.of(project) == (Person("Ann", "owner"), Person("Ben", "reviewer"), Person("Cid", "annotator"))


def test_a_project_without_an_owner_becomes_that_of_who_gives_the_first_role(store):
    project = store.projects.create("Nobody's")
    store.people.set_roles(project, "Ann", {"Ben": "annotator"})
    with pytest.raises(AnnotationsRefused, match=r"owner, Ann"):
        store.people.assign(project, "Ben", ["Ben"], AssignmentPlan())


# --- assignments ---


def test_recordings_are_assigned_once_and_new_ones_to_the_person_with_the_fewest(store, project):
    drawn = store.people.assign(project, "Ben", ["Ann", "Cid"], AssignmentPlan(overlap=0.4, seed=3))
    assert sum(map(len, drawn.values())) == 7
    assert store.people.assign(project, "Ben", ["Ann", "Cid"], AssignmentPlan()) == {}
    mine = {one.file.sha256 for one in store.recordings.page(project, Queue(annotator="Ann", task="assigned")).items}
    assert mine == {sha256 for sha256, names in drawn.items() if "Ann" in names}
    both = next(sha256 for sha256, names in drawn.items() if len(names) == 2)
    opened = store.recordings.open(project, both, "Ann")
    assert opened.recording.assigned_to == ("Ann", "Cid")
    assert {one.drawn for one in opened.assignments} == {"1 person each, 40 % by 2 people, seed 3"}
    assert [store.people.has_drawn_work(project, name) for name in ("Ann", "Ben")] == [True, False]
    assert sum(store.recordings.count_by_status(project, "Ann", "assigned").values()) == len(mine)
    assert names_in(store, project, task="unassigned") == []


def test_unfinished_work_can_be_unassigned_and_assigned_again(store, project):
    store.people.assign(project, "Ben", ["Ann"], AssignmentPlan(overlap=0))
    store.marks.edit(project, sha(0), "Ann", add=[whole(emotion="sad", status="done")])
    assert store.people.of(project)[0] == Person("Ann", None, 5, 1, 0)
    assert store.people.unassign(project, "Ben", "Ann") == 4
    assert set(store.people.assign(project, "Ben", ["Cid"], AssignmentPlan(overlap=0))) == {sha(n) for n in range(1, 5)}


def test_sent_back_recording_is_open_with_a_reason_until_its_annotator_is_done_again(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[whole(emotion="sad", status="done"), mark(status="verified")])
    step = store.people.send_back(project, sha(0), "Ben", "Ann", " The end is missing. ")
    assert [change.after.status for change in step.changes] == ["open", "open"]
    (work,) = store.recordings.open(project, sha(0), "Ann").assignments
    assert (work.reason, work.sent_back_by) == ("The end is missing.", "Ben")
    (listed,) = store.recordings.page(project, Queue(annotator="Ann", task="sent back")).items
    assert (listed.sent_back, listed.status) == ("The end is missing.", "open")
    assert names_in(store, project, annotator="Cid", task="sent back") == []
    assert names_in(store, project, task="sent back") == ["take 0.wav"]
    assert store.people.of(project)[0] == Person("Ann", None, 1, 0, 1)
    assert not store.people.has_drawn_work(project, "Ann")
    label = next(m for m in store.marks.of(project, sha(0)) if m.tier == RECORDING_TIER)
    store.marks.edit(project, sha(0), "Ann", change=[replace(label, status="done")])
    assert names_in(store, project, task="sent back") == []
    assert store.recordings.open(project, sha(0), "Ann").recording.sent_back == ""


def test_what_was_sent_back_can_be_undone_and_withdrawn(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[whole(emotion="sad", status="done")])
    store.people.send_back(project, sha(0), "Ben", "Ann", "Why sad?")
    store.people.withdraw(project, sha(0), "Ben", "Ann")
    store.history.undo(project, sha(0), "Ben")
    assert names_in(store, project, task="sent back") == []
    assert [found.status for found in store.marks.of(project, sha(0))] == ["done"]
    for reason, words in (("  ", "Say why"), ("x" * 3000, "3000 characters"), ("a\0b", "not text")):
        with pytest.raises(AnnotationsRefused, match=words):
            store.people.send_back(project, sha(0), "Ben", "Ann", reason)
    with pytest.raises(AnnotationsRefused, match="Cid has no marks"):
        store.people.send_back(project, sha(0), "Ben", "Cid", "Where are you?")


def test_withdrawing_removes_an_assignment_that_sending_back_made_and_no_drawn_one(store, project):
    for number in (0, 1):
        store.marks.edit(project, sha(number), "Ann", add=[whole(emotion="sad", status="done")])
    store.people.send_back(project, sha(0), "Ben", "Ann", "Why sad?")
    store.people.assign(project, "Ben", ["Ann"], AssignmentPlan(overlap=0))
    store.people.send_back(project, sha(1), "Ben", "Ann", "Why sad?")
    for number in (0, 1):
        store.people.withdraw(project, sha(number), "Ben", "Ann")
    assert store.recordings.open(project, sha(0), "Ann").assignments == ()
    (drawn,) = store.recordings.open(project, sha(1), "Ann").assignments
    assert (drawn.drawn != "", drawn.reason, drawn.sent_back_by, drawn.sent_back_at) == (True, "", "", None)


def test_setting_the_status_of_several_recordings_is_one_step_in_each(store, project):
    for number in range(3):
        store.marks.edit(project, sha(number), "Ann", add=[mark(emotion="sad"), whole(emotion="sad")])
    store.marks.edit(project, sha(0), "Cid", add=[mark(emotion="angry")])
    store.marks.edit(project, sha(0), "Ben", add=[whole(emotion="sad", annotator=GOLD)])
    assert store.marks.set_status(project, [sha(0), sha(1)], "Ann", "done", "Ann") == 4
    statuses = {m.annotator: m.status for m in store.marks.of(project, sha(0))}
    assert statuses == {"Ann": "done", "Cid": "open", GOLD: "open"}
    assert store.marks.set_status(project, [sha(0), sha(1)], "Ann", "done", "Ann") == 0
    assert {m.status for m in store.marks.of(project, sha(2))} == {"open"}
    assert len(store.history.undo(project, sha(1), "Ann").changes) == 2
    assert {m.status for m in store.marks.of(project, sha(1))} == {"open"}
    assert store.marks.set_status(project, [sha(0)], "Ben", "open") == 2


def test_a_queue_of_chosen_recordings_contains_nothing_else(store, project):
    assert names_in(store, project, among=frozenset({sha(3), sha(1), sha(99)})) == ["take 1.wav", "take 3.wav"]
    assert names_in(store, project, among=frozenset()) == []
    with pytest.raises(AnnotationsRefused, match="task 'sleep'"):
        Queue(task="sleep")


# --- gold ---


def test_the_gold_layer_is_decided_by_people_and_is_not_an_annotator(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[whole(emotion="sad", status="done")])
    store.marks.edit(project, sha(0), "Cid", add=[whole(emotion="angry", status="done")])
    step = store.marks.edit(project, sha(0), "Ben", add=[whole(emotion="angry", status="verified", annotator=GOLD)])
    assert (step.annotator, step.marks[0].annotator) == ("Ben", GOLD)
    (document, *_) = store.transfer.export(project)
    assert document.has_gold
    assert annotator_agreement([document]).annotators == ("Ann", "Cid")
    assert disagreement(document) == 1
    (listed,) = store.recordings.page(project, Queue(task="gold")).items
    assert (listed.marks, listed.status, listed.has_gold) == (2, "done", True)
    assert [m.annotator for m in with_gold_applied(document).annotations] == [GOLD]
    pieces, left_out = pieces_to_teach(document.annotations)
    assert ([piece.emotion for piece in pieces], left_out) == (["angry"], [OVERRULED_BY_GOLD] * 2)
    with pytest.raises(AnnotationsRefused, match="already labelled this recording as a whole"):
        store.marks.edit(project, sha(0), "Cid", add=[whole(emotion="sad", annotator=GOLD)])
    store.marks.edit(project, sha(0), "Cid", delete=[step.marks[0]])
    store.marks.restore(project, sha(0), "Ben", step.marks[0].key)


@pytest.mark.parametrize("name", ["gold", "Gold ", "ＧＯＬＤ", "go\u200bld"])
def test_no_person_may_have_the_name_of_the_gold_layer(store, project, name):
    with pytest.raises(AnnotationsRefused, match="reserved for the gold layer"):
        store.marks.edit(project, sha(0), name, add=[mark()])
    with pytest.raises(AnnotationsRefused, match="reserved for the gold layer"):
        store.people.set_roles(project, "Ben", {name: "annotator"})
    (decided,) = store.marks.edit(project, sha(0), "Ben", add=[mark(annotator=name)]).marks
    assert decided.annotator == GOLD


# --- trash, export and import ---


def test_the_trash_keeps_roles_assignments_and_reasons(store, project):
    store.people.set_roles(project, "Ben", {"Ann": "annotator"})
    store.marks.edit(project, sha(0), "Ann", add=[mark()])
    store.people.send_back(project, sha(0), "Ben", "Ann", "Why?")
    before = store.people.of(project), store.recordings.open(project, sha(0), "Ann").assignments
    store.trash.delete_recording(sha(0), "Ben")
    store.trash.restore(store.trash.items()[0].id, "Ben")
    store.trash.delete_project(project, "Ben")
    (deleted,) = store.trash.items()
    store.trash.restore(deleted.id, "Ben")
    assert (store.people.of(deleted.id), store.recordings.open(deleted.id, sha(0), "Ann").assignments) == before


def test_our_own_format_transfers_roles_assignments_reasons_and_gold(store, project, tmp_path):
    store.people.set_roles(project, "Ben", {"Ann": "reviewer"})
    store.marks.edit(project, sha(0), "Ann", add=[mark(), whole(emotion="sad", annotator=GOLD)])
    store.people.send_back(project, sha(0), "Ben", "Ann", "Why?")
    store.people.assign(project, "Ben", ["Ann"], AssignmentPlan(overlap=0))
    read = OWN.read(OWN.write(list(store.transfer.export(project))).content, "a.json").recordings
    with closing(open_store(f"sqlite:///{tmp_path / 'other.sqlite'}")) as other:
        there = other.projects.create("There", "Ben")
        other.transfer.import_recordings(there, read, "Ben")
        assert other.people.of(there) == store.people.of(project)
        assert [d.assignments for d in other.transfer.export(there)] == [
            d.assignments for d in store.transfer.export(project)
        ]
        assert sorted(m.annotator for m in other.marks.of(there, sha(0))) == ["Ann", GOLD]
        elsewhere = other.projects.create("Elsewhere", "Eve")
        other.people.set_roles(elsewhere, "Eve", {"Fay": "annotator"})
        with pytest.raises(AnnotationsRefused, match="change the gold layer"):
            other.transfer.import_recordings(elsewhere, read, "Ann")
        plain = [replace(d, annotations=tuple(m for m in d.annotations if m.annotator != GOLD)) for d in read]
        other.transfer.import_recordings(elsewhere, plain, "Ann")
        assert other.people.of(elsewhere) == (Person("Eve", "owner"), Person("Fay", "annotator"))


def test_imported_roles_make_an_ownerless_project_the_importers_and_add_no_other_owner(store):
    nobodys = store.projects.create("Nobody's")
    roles = {"Cid": "annotator", "Dan": "owner"}
    store.transfer.import_recordings(nobodys, [AnnotatedRecording("a", sha(0), 10.0, None, (), roles=roles)], "Ann")
    assert store.people.of(nobodys) == (Person("Ann", "owner"), Person("Cid", "annotator"))
    assert [store.people.may_review(nobodys, name) for name in ("Ann", "Cid")] == [True, False]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("assignments", [{"annotator": 3}], "annotator of an assignment 3 is not a text"),
        ("assignments", 7, "assignments"),
        ("roles", ["Ann"], "not names with a role"),
        ("roles", {"Ann": 1}, "role of a member 1 is not a text"),
    ],
)
def test_invalid_roles_and_assignments_of_a_file_are_refused(field, value, words):
    document = AnnotatedRecording("a", sha(0), 10.0, None, (), assignments=(Assignment("Ann", reason="Why?"),))
    written = json.loads(OWN.write([document]).content)
    written["recordings"][0][field] = value
    with pytest.raises(AnnotationsRefused, match=words):
        OWN.read(json.dumps(written).encode(), "a.json")


def test_our_own_format_keeps_times_of_assignments():
    work = Assignment("Ann", "1 person each, seed 0", "Why?", "Ben", datetime(2026, 1, 2, 3, tzinfo=UTC))
    document = AnnotatedRecording("a", sha(0), 10.0, None, (), assignments=(work,), roles={"Ann": "annotator"})
    (read,) = OWN.read(OWN.write([document]).content, "a.json").recordings
    assert (read.assignments, read.roles) == ((work,), {"Ann": "annotator"})


# --- left out by teaching ---


def test_teaching_lists_beforehand_what_it_leaves_out_with_reason_and_remedy():
    def recording(number, *marks):
        return AnnotatedRecording(f"{number}", sha(number), 10.0, None, marks)

    done = {"status": "done", "annotator": "Ann"}
    others = done | {"annotator": "Ben"}
    recordings = [
        recording(0, whole(emotion="sad", **done), mark(emotion="sad", **done)),
        recording(1, mark(emotion="sad", annotator="Ann"), mark(3, 4, **done), mark(5, 5.05, emotion="sad", **done)),
        recording(2, whole(emotion="sad", **done), whole(emotion="angry", **others)),
        recording(3, whole(emotion="sad", **done), whole(emotion="angry", annotator=GOLD, status="done")),
        recording(4, mark(emotion="fear", **done), mark(4, 5, emotion="furious", **done)),
        recording(5, whole(emotion="sad", **done)),
        recording(6, whole(emotion="sad", **done)),
    ]
    files = {sha(n): file(n, speaker="S" if n < 5 else None, duration_s=601 if n == 6 else 10) for n in range(7)}
    found = preview_teaching(recordings, files, lambda one: one.sha256 != sha(5), ("angry", "sad"), "core")
    assert (found.pieces, found.recordings, found.decided, found.speakers) == ({"angry": 1, "sad": 1}, 2, 1, 1)
    left_out = {row.reason: (row.recordings, row.labels) for row in found.left_out}
    assert left_out == {
        OVERRULED_BY_WHOLE: ((sha(0),), 1),
        OPEN: ((sha(1),), 1),
        WITHOUT_EMOTION: ((sha(1),), 1),
        TOO_SHORT: ((sha(1),), 1),
        TIED: ((sha(2),), 1),
        OVERRULED_BY_GOLD: ((sha(3),), 1),
        "core does not know the emotion 'fear'": ((sha(4),), 1),
        "no model knows the emotion 'furious'": ((sha(4),), 1),
        NO_SOUND: ((sha(5),), 1),
        TOO_LONG: ((sha(6),), 1),
    }
    assert all(row.remedy for row in found.left_out)


# --- cells of the agreement matrix ---


def test_cells_lead_to_the_recordings_they_count():
    def labelled(number, one, other, third="sad"):
        marks = [whole(emotion=e, annotator=who) for who, e in (("Ann", one), ("Ben", other), ("Cid", third)) if e]
        marks += [mark(0, 5, emotion=one, annotator="Ann"), mark(number, 5, emotion=other, annotator="Ben")]
        return AnnotatedRecording(f"{number}", sha(number), 10.0, None, tuple(marks))

    recordings = [labelled(1, "sad", "angry"), labelled(2, "sad", "angry"), labelled(3, "sad", "sad")]
    agreed = annotator_agreement(recordings)
    for found, is_whole in ((agreed.recordings, True), (agreed.frames, False)):
        counts = found.confusion["Ann", "Ben"]
        for row, column in np.ndindex(counts.shape):
            labels = found.labels[row], found.labels[column]
            cell = recordings_in_cell(recordings, ("Ann", "Ben"), labels, whole=is_whole)
            assert bool(cell) == bool(counts[row, column])
            if is_whole:
                assert len(cell) == counts[row, column]
    most_first = recordings_in_cell(recordings, ("Ann", "Ben"), ("sad", "no mark"), whole=False)
    assert [each.name for each in most_first] == ["3", "2", "1"]
