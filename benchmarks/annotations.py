"""Database actions of the pages with many annotations: median and 95th percentile, on SQLite and PostgreSQL.

    python benchmarks/annotations.py [--quick] [--json FILE]

10 000 recordings with 10 marks each, in tiers of emotions, words and phones, by two annotators; 200 recordings with
`--quick`. PostgreSQL is measured if `SER_TEST_POSTGRES` names a test database; its tables are created in a separate
schema and dropped afterwards.
"""

import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psycopg
from sqlalchemy import make_url

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from ser_core.analysis import Region
from ser_core.annotations.annotation import EMOTION, RECORDING_TIER, AnnotatedRecording, Annotation, Tier
from ser_core.annotations.store.finding import MarkQuery
from ser_core.annotations.store.transactions import Store, open_store
from ser_core.annotations.store.work_queue import Queue

EMOTIONS = ("angry", "happy", "neutral", "sad")
MARKS_PER_RECORDING = 10
WORDS, PHONES = Tier("words", "words"), Tier("phones", "phones", parent="words")
#: Number of recordings labelled at once, as by a lasso on the map.
LASSO_SIZE = 100
SCHEMA = "benchmark_of_annotations"


def documents(first: int, count: int) -> Iterator[AnnotatedRecording]:
    """Yield recordings of 20 s: three marks by Ann and Ben in turn, each over a word with a phone, and Ann's label."""
    for number in range(first, first + count):
        marks = []
        for index, name in enumerate(("Ann", "Ben", "Ann")):
            region, emotion = Region(6 * index, 6 * index + 4.5), EMOTIONS[(number + index) % 4]
            word, phone = ("nein", "ja", "doch")[index], Region(6 * index + 1, 6 * index + 1.5)
            marks += [
                Annotation(region, emotion=emotion, annotator=name),
                Annotation(Region(6 * index + 1, 6 * index + 3), WORDS.key, "Ann", note=word),
                Annotation(phone, PHONES.key, "Ann", note=word[0]),
            ]
        status = ("open", "done", "verified")[number % 3]
        marks.append(Annotation(Region(0, 20), RECORDING_TIER, "Ann", emotion=EMOTIONS[number % 4], status=status))
        yield AnnotatedRecording(
            f"Speaker {number % 97} take {number}.wav",
            f"{number:064x}",
            20.0,
            16_000,
            tuple(marks),
            tiers=(EMOTION, WORDS, PHONES),
            session=f"day {number % 20}",
        )


def seconds_of(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def page_actions(
    store: Store, project: int, chosen: str, many: list[str]
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the database actions of the pages while somebody works on a recording."""
    queue = Queue(annotator="Ann", status="open", order="uncertainty")
    yield "open a recording", lambda: store.recordings.open(project, chosen, "Ann", queue)
    new = Annotation(Region(0.5, 1.0), emotion="sad")
    yield "add", lambda: store.marks.edit(project, chosen, "Ann", add=[new])
    old = store.marks.of(project, chosen, "Ann")[0]
    yield "change", lambda: store.marks.edit(project, chosen, "Ann", change=[replace(old, note="changed")])
    yield "undo", lambda: store.history.undo(project, chosen, "Ann")
    yield "redo", lambda: store.history.redo(project, chosen, "Ann")
    old = store.marks.of(project, chosen, "Ann")[0]
    yield "delete", lambda: store.marks.edit(project, chosen, "Ann", delete=[old])
    yield "history", lambda: store.history.page(project, chosen)
    yield "first page of all", lambda: store.recordings.page(project)
    middle = store.recordings.page(project, queue).total // 100
    yield "middle page of the open ones, most uncertain first", lambda: store.recordings.page(project, queue, middle)
    sad = Queue(label="sad", text="take 1", order="name")
    yield "page with an emotion and a text in the name", lambda: store.recordings.page(project, sad)
    nein = Queue(tier=WORDS.key, label="nein", order="name")
    yield "page with a label of a tier", lambda: store.recordings.page(project, nein)
    yield "sessions to choose from", lambda: store.recordings.sessions(project)
    day = Queue(session="day 7", order="name")
    yield "page of a session", lambda: store.recordings.page(project, day)
    yield "progress", lambda: store.recordings.count_by_status(project, "Ann")
    word = Annotation(Region(0.5, 1.0), WORDS.key, note="na")
    yield "add a word", lambda: store.marks.edit(project, chosen, "Ann", add=[word])
    angry = MarkQuery("angry", least_s=0.5, over_tier=WORDS.key, over_label="nein")
    yield "find angry marks over nein", lambda: store.marks.find(project, angry)
    yield "labels of all recordings, for the map", lambda: store.labels.of(project)
    in_tier = partial(store.labels.of, project, WORDS.key)
    yield "labels of all recordings in a tier, for the map", in_tier
    labels = {recording.file.sha256: recording.labels.get("Dan") for recording in store.labels.of(project)}
    seen = {sha256: labels[sha256].revision if labels[sha256] else 0 for sha256 in many}
    emotion = EMOTIONS[sum(seen.values()) % 4]
    changes = []
    label_all = partial(store.labels.change, project, seen, "Dan", emotion=emotion, status="done")
    yield f"label {len(many)} recordings at once", lambda: changes.append(label_all())
    yield f"undo {len(many)} labels at once", lambda: store.labels.undo(project, changes[0], "Dan")


def measure(url: str, recordings: int, rounds: int) -> dict[str, object]:
    with closing(open_store(url)) as store:
        project = store.projects.create("Many")
        fill_s = seconds_of(lambda: store.transfer.import_recordings(project, list(documents(0, recordings)), "Ann"))
        hashes = [f"{number:064x}" for number in range(recordings)]
        rng = np.random.default_rng(0)
        values = dict(zip(hashes, rng.random(recordings).tolist(), strict=True))
        rate_s = seconds_of(lambda: store.recordings.rate(project, "uncertainty", values))
        importing = list(documents(recordings, 1_000))
        import_s = seconds_of(lambda: store.transfer.import_recordings(project, importing, "Cid"))
        ms: dict[str, list[float]] = {}
        for chosen in rng.choice(hashes, rounds, replace=False).tolist():
            many = rng.choice(hashes, LASSO_SIZE, replace=False).tolist()
            for name, action in page_actions(store, project, chosen, many):
                ms.setdefault(name, []).append(1_000 * seconds_of(action))
        export_s = seconds_of(lambda: sum(1 for _ in store.transfer.export(project)))
    return {
        f"fill with {recordings * MARKS_PER_RECORDING} marks, s": round(fill_s, 2),
        f"rate {recordings} recordings, s": round(rate_s, 2),
        "import of 10000 marks, s": round(import_s, 2),
        f"export of {recordings * MARKS_PER_RECORDING + 10_000} marks, s": round(export_s, 2),
        "median ms": {name: round(float(np.median(taken)), 1) for name, taken in ms.items()},
        "95th percentile ms": {name: round(float(np.percentile(taken, 95)), 1) for name, taken in ms.items()},
    }


@contextmanager
def own_schema(server: str) -> Iterator[str]:
    url = make_url(server)
    with psycopg.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    ) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        try:
            in_schema = url.update_query_dict({"options": f"-csearch_path={SCHEMA}"})
            yield in_schema.render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def main() -> None:
    parser = benchmark_parser(__doc__, "200 recordings and 20 rounds, not 10 000 and 100")
    args = parser.parse_args()
    recordings, rounds = (200, 20) if args.quick else (10_000, 100)
    result: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} processors"}
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/annotations.sqlite"
        result[f"SQLite {sqlite3.sqlite_version}"] = measure(url, recordings, rounds)
    if server := os.environ.get("SER_TEST_POSTGRES"):
        with own_schema(server) as url:
            result["PostgreSQL"] = measure(url, recordings, rounds)
    else:
        print("SER_TEST_POSTGRES is not set; PostgreSQL is not measured.")
    report(result, args.json)


if __name__ == "__main__":
    main()
