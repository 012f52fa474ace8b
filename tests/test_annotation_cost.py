"""What pages cost the database: few statements, none of which reads a whole table."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ser_core.analysis import Region
from ser_core.annotations.annotation import Tier
from ser_core.annotations.assignment import AssignmentPlan
from ser_core.annotations.store.finding import MarkQuery
from ser_core.annotations.store.trash import TRASH_PERIOD
from ser_core.annotations.store.work_queue import ORDERS, Queue
from tests.databases import file, fresh_project, fresh_store, fresh_url, mark, sha, statements  # noqa: F401

WITH_PROGRESS = {("transfer", "import_recordings"), ("transfer", "export")}


def page_actions(store, project):
    """Yield the actions of pages, each as a name and a function; their marks are made beforehand."""
    (open_mark, whole) = store.marks.edit(project, sha(0), "Ann", add=[mark(), mark(4, 8)]).marks
    store.recordings.rate(project, "uncertainty", {sha(number): number / 5 for number in range(5)})
    queue = Queue(annotator="Ann", status="open", text="take", order="uncertainty")
    for order in ORDERS:
        by_order = replace(queue, order=order, label="sad", marked=True)
        yield f"page of the queue by {order}", lambda by_order=by_order: store.recordings.page(project, by_order)
        ordered = Queue(order=order)
        yield f"open, by {order}", lambda ordered=ordered: store.recordings.open(project, sha(0), "Ann", ordered)
    yield "open a recording", lambda: store.recordings.open(project, sha(0), "Ann", queue)
    following = store.recordings.open(project, sha(1), "Ann", queue).next
    yield "open the next one", lambda: store.recordings.open(project, following, "Ann", queue)
    yield "page of what came back", lambda: store.recordings.page(project, Queue(annotator="Ann", task="sent back"))
    yield "page of a choice", lambda: store.recordings.page(project, Queue(among=frozenset({sha(0), sha(1)})))
    yield "whether recordings were drawn", lambda: store.people.has_drawn_work(project, "Ann")
    yield "progress of one's work", lambda: store.recordings.count_by_status(project, "Ann", "assigned")
    yield "marks", lambda: store.marks.of(project, sha(0), "Ann")
    yield "add", lambda: store.marks.edit(project, sha(0), "Ann", add=[mark()])
    yield "add, as a newcomer", lambda: store.marks.edit(project, sha(0), "Newcomer", add=[mark()])
    yield (
        "add 1000 with what suggested them",
        lambda: store.marks.edit(project, sha(1), "fusion", add=[mark()] * 1_000, provenance={"model": "fusion"}),
    )
    yield "change", lambda: store.marks.edit(project, sha(0), "Ann", change=[replace(open_mark, note="x")])
    halves = {"change": [replace(whole, region=Region(4, 6))], "add": [mark(6, 8)]}
    yield "split", lambda: store.marks.edit(project, sha(0), "Ann", **halves)
    yield "undo", lambda: store.history.undo(project, sha(0), "Ann")
    yield "redo", lambda: store.history.redo(project, sha(0), "Ann")
    yield "undo of 1000", lambda: store.history.undo(project, sha(1), "fusion")
    (there, *_) = store.marks.of(project, sha(0), "Ann")
    seen = store.recordings.open(project, sha(0), "Ann").f0.frames
    yield "correct F0", lambda: store.marks.correct_f0(project, sha(0), "Ann", {7: 100.0, 8: 0.0}, seen)
    yield "undo a correction of F0", lambda: store.history.undo(project, sha(0), "Ann")
    yield "redo a correction of F0", lambda: store.history.redo(project, sha(0), "Ann")
    yield "delete", lambda: store.marks.edit(project, sha(0), "Ann", delete=[there])
    yield "deleted marks", lambda: store.marks.deleted(project, sha(0))
    yield "restore a mark", lambda: store.marks.restore(project, sha(0), "Ann", there.key)
    yield "page of what is not marked", lambda: store.recordings.page(project, Queue(marked=False))
    yield "progress", lambda: store.recordings.count_by_status(project, "Ann")
    yield "progress of all", lambda: store.recordings.count_by_status(project)
    yield "role", lambda: store.people.set_roles(project, "Ben", {"Cid": "reviewer"})
    yield "assign", lambda: store.people.assign(project, "Ben", ["Ann", "Cid"], AssignmentPlan())
    yield "people", lambda: store.people.of(project)
    yield "may review", lambda: store.people.may_review(project, "Ann")
    yield "set all to done", lambda: store.marks.set_status(project, [sha(0), sha(1)], "Ann", "done", "Ann")
    yield "decide", lambda: store.marks.edit(project, sha(0), "Ben", add=[mark(annotator="gold")])
    yield "send back", lambda: store.people.send_back(project, sha(0), "Ben", "Ann", "The end is missing.")
    yield "withdraw", lambda: store.people.withdraw(project, sha(0), "Ben", "Ann")
    yield "unassign", lambda: store.people.unassign(project, "Ben", "Cid")
    yield "undo what was decided", lambda: store.history.undo(project, sha(0), "Ben")
    yield "newest step", lambda: store.history.newest_step()
    yield "history", lambda: store.history.page(project, sha(0))
    yield "projects", lambda: store.projects.page()
    yield "files", lambda: store.recordings.files(project)
    yield "speakers", lambda: store.recordings.speakers()
    yield "recordings of a speaker", lambda: store.recordings.of_speaker(project, "Ann")
    words = store.tiers.add(project, Tier("words", "words"))
    yield "tiers", lambda: store.tiers.of(project)
    yield "new tier", lambda: store.tiers.add(project, Tier("phones", "phones", parent=words.key))
    yield "rename a tier", lambda: store.tiers.change(project, replace(words, name="Words"), "Ann")
    yield "name a participant", lambda: store.tiers.set_participant(project, sha(0), "words", "Ann", seen="")
    yield "order of tiers", lambda: store.tiers.order(project, ["phones", "words"])
    yield "add a word", lambda: store.marks.edit(project, sha(0), "Ann", add=[mark(tier="words", note="nein")])
    angry = MarkQuery("angry", least_s=0.5, over_tier="words", over_label="nein")
    yield "find marks over words", lambda: store.marks.find(project, angry)
    yield "whose marks in a tier", lambda: store.tiers.count_marks(project, "words")
    yield "delete a tier", lambda: store.tiers.delete(project, "words", "Ann")
    yield "deleted tiers", lambda: store.tiers.deleted(project)
    yield "restore a tier", lambda: store.tiers.restore(project, "words", "Ann")
    in_tier = Queue("Ann", tier="words", label="nein", order="annotators_disagreement")
    yield "page of a tier", lambda: store.recordings.page(project, in_tier)
    yield "sessions", lambda: store.recordings.sessions(project)
    yield "page of a session", lambda: store.recordings.page(project, Queue(session="day 2"))
    yield (
        "rate all in a tier",
        lambda: store.recordings.rate(project, "annotators_disagreement", {sha(0): 0.5}, "words"),
    )
    yield "every label in a tier", lambda: store.labels.of(project, "words")
    yield "every label", lambda: store.labels.of(project)
    seen = {
        one.file.sha256: one.labels["Ann"].revision if "Ann" in one.labels else 0 for one in store.labels.of(project)
    }
    yield "label all at once", lambda: store.labels.change(project, seen, "Ann", emotion="sad", status="done")
    yield "label all at once, as a newcomer", lambda: store.labels.change(project, dict.fromkeys(seen, 0), "New")
    done = store.labels.change(project, dict.fromkeys(seen, 0), "Cid", emotion="sad")
    yield "undo all labels at once", lambda: store.labels.undo(project, done, "Cid")
    among = Queue(among=frozenset({sha(0), sha(1)}))
    yield "page of those chosen", lambda: store.recordings.page(project, among)
    yield "rate all", lambda: store.recordings.rate(project, "uncertainty", {sha(number): 0.5 for number in range(5)})
    yield "new project", lambda: store.projects.create("Others")
    yield "more recordings", lambda: store.recordings.add(project, [file(number) for number in range(9)])
    (theirs,) = store.marks.edit(project, sha(2), "Ann", add=[mark()]).marks
    store.marks.edit(project, sha(3), "Ben", add=[mark()])
    yield "delete somebody's mark in one's project", lambda: store.marks.edit(project, sha(2), "Ben", delete=[theirs])
    yield "whose marks of a recording", lambda: store.trash.ownerships_of(sha(2))
    yield "whose marks in a project", lambda: store.trash.ownership_of_project(project)
    yield "delete a recording", lambda: store.trash.delete_recording(sha(4), "Ben")
    yield "the trash", lambda: store.trash.items()
    (in_trash,) = store.trash.items()
    yield "restore", lambda: store.trash.restore(in_trash.id, "Ben")
    store.trash.delete_recording(sha(4), "Ben")
    yield "delete for good", lambda: store.trash.delete_for_good(store.trash.items()[0].id, "Ben")
    yield "delete the project", lambda: store.trash.delete_project(project, "Ben")
    yield "empty the trash", lambda: store.trash.empty(datetime.now(UTC) + TRASH_PERIOD)
    yield "note sounds", lambda: store.trash.note_sounds([sha(8)], datetime.now(UTC))
    yield "delete sounds", lambda: store.trash.mark_finished(store.trash.delete_sounds(datetime.now(UTC), str))
    yield (
        "delete a project that is not used",
        lambda: store.trash.delete_unused_project(store.projects.create("Unused")),
    )


def test_no_page_action_sends_more_than_five_statements(store, project):
    parts = {name: type(part) for name, part in vars(store).items() if not name.startswith("_")}
    methods = {(name, method) for name, part in parts.items() for method in vars(part) if not method.startswith("_")}
    sent_by, called = {}, set()
    for name, action in page_actions(store, project):
        called |= {one for one in methods if set(one) <= set(action.__code__.co_names)}
        with statements() as sent:
            action()
        sent_by[name] = len(sent)
    # Deletions are rare; they first find the owner of everything.
    most = {name: 9 if "delete" in name or name in ("restore", "empty the trash") else 5 for name in sent_by}
    assert {name: count for name, count in sent_by.items() if not 1 <= count <= most[name]} == {}
    assert (sent_by["open a recording"], sent_by["add"], sent_by["undo"]) == (5, 4, 5)
    # Overwriting deleted data sends nothing to a server, and is no statement of SQLAlchemy's.
    assert methods - called == WITH_PROGRESS | {("trash", "overwrite_deleted")}


def plan_of(connection, statement, parameters, *without) -> Any:
    """Return the query plan of a statement: SQLite's in lines, PostgreSQL's, with some methods disabled, as JSON."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row.detail for row in plan]
    for way in without:
        connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
    return connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()


def read_as_a_whole(connection, statement, parameters) -> list[str]:
    """Return the large tables of which a statement would read every row."""
    large = ("recordings", "marks", "steps")
    # With five recordings PostgreSQL would always read all; here it does so only if it has no other way.
    plan = plan_of(connection, statement, parameters, "seqscan", "hashjoin", "mergejoin")
    if connection.dialect.name == "sqlite":
        return [line for line in plan if line.startswith(tuple(f"SCAN {table}" for table in large))]
    return [
        f"{node['Node Type']} {node.get('Index Name', node.get('Relation Name'))}"
        for node in nodes(plan[0]["Plan"])
        if (node["Node Type"] == "Seq Scan" and node["Relation Name"] in large)
        or (node.get("Index Name", "").startswith(large) and "Index Cond" not in node)
    ]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def test_no_page_action_reads_a_whole_table_in_any_order_of_the_queue(store, project):
    found = {}
    for name, action in page_actions(store, project):
        with statements() as sent:
            action()
        with store._database.reading() as connection:
            found[name] = [whole for statement in sent for whole in read_as_a_whole(connection, *statement)]
    assert {name: whole for name, whole in found.items() if whole} == {}


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_a_queue_uses_an_index(store, project, order):
    with statements() as sent:
        store.recordings.page(project, Queue(order=order))
    (_, listed) = sent
    with store._database.reading() as connection:
        plan = str(plan_of(connection, *listed, "seqscan", "bitmapscan", "sort"))
    assert ("recordings_by_addition" if order == "added" else f"recordings_by_{order}") in plan
