"""Marks of any number of recordings as CSV, a row for each; opening it in a spreadsheet runs nothing in it."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.format import AS_IT_IS, Format, ReadIn, ReadOptions, Written, counted
from ser_core.annotations.formats.gate import (
    at,
    fields_of,
    known_duration_s,
    recording_of,
    shown,
    writable,
)
from ser_core.errors import AnnotationsRefused

OF_RECORDING = {
    "recording_name": "name",
    "recording_sha256": "sha256",
    "recording_duration_s": "duration_s",
    "recording_sample_rate_hz": "sample_rate_hz",
}
OF_MARK = (
    "start_s",
    "end_s",
    "low_hz",
    "high_hz",
    "tier",
    "annotator",
    "emotion",
    "intensity",
    "confidence",
    "status",
    "note",
    "changed_at",
)
COLUMNS = ("recording_name", "recording_sha256", *OF_MARK, "recording_duration_s", "recording_sample_rate_hz")
NEEDED = ("start_s", "end_s")
TEXTS = ("recording_name", "recording_sha256", "tier", "annotator", "emotion", "note")

#: A spreadsheet takes text that begins like this for a formula, unless an apostrophe precedes it.
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")


def write(recordings: Sequence[AnnotatedRecording]) -> Written:
    """Write any number of recordings, in UTF-8 with the byte order mark that spreadsheets need.

    Raises
    ------
    AnnotationsRefused
        If a mark cannot be written.
    """
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(COLUMNS)
    for recording in map(writable, recordings):
        rows.writerows(row_of(recording, mark) for mark in recording.annotations)
    empty = sum(not recording.annotations for recording in recordings)
    suggested = sum(bool(recording.provenance) for recording in recordings)
    dropped = []
    if empty:
        dropped.append(f"{counted(empty, 'recording')} without marks")
    if suggested:
        dropped.append(f"what the suggestions in {counted(suggested, 'recording')} came from (model and settings)")
    return Written(table.getvalue().encode("utf-8-sig"), tuple(dropped))


def row_of(recording: AnnotatedRecording, mark: Annotation) -> list[Any]:
    """Return the cells of a mark, in the order of `COLUMNS`."""
    values = {column: getattr(recording, field) for column, field in OF_RECORDING.items()}
    values |= fields_of(mark) | {"changed_at": mark.changed_at.isoformat() if mark.changed_at else None}
    return [
        f"'{values[column]}" if column in TEXTS and FORMULA.match(values[column] or "") else values[column]
        for column in COLUMNS
    ]


def read(content: bytes, name: str, options: ReadOptions = AS_IT_IS) -> ReadIn:
    """Read a CSV with at least the columns start_s and end_s, in any order; empty cells count as missing.

    Rows with the same recording_name and recording_sha256 are one recording; without these columns all rows are.

    Raises
    ------
    AnnotationsRefused
        If a column is missing or duplicated, or a row is not a valid mark, with the line.
    """
    columns, rows = _rows(text_of(content, name, "\r\n", encoding=options.encoding), name)
    about: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    marks: dict[tuple[str | None, str | None], Collected] = {}
    for line, cells in rows:
        with at(f"{name}, line {line}"):
            found = {field: cells.get(column) for column, field in OF_RECORDING.items()}
            found["name"] = found["name"] or name
            known = about.setdefault((found["name"], found["sha256"]), found)
            _agree(known, found)
            recording_of(found, ())
            duration_s = known_duration_s(found)
        key = found["name"], found["sha256"]
        marks.setdefault(key, Collected(options, duration_s)).add(cells, f"{name}, line {line}")
    unknown = [column for column in columns if column not in COLUMNS]
    recordings = tuple(recording_of(about[key], marks[key].annotations) for key in about)
    left_out = sum((each.left_out for each in marks.values()), Counter())
    altered = sum((each.altered for each in marks.values()), Counter())
    columns = tuple(f"the column {shown(column)}" for column in unknown)
    return ReadIn(recordings, (*columns, *in_words(left_out)), in_words(altered))


def _agree(known: dict[str, Any], found: dict[str, Any]) -> None:
    for field, what in (("duration_s", "length"), ("sample_rate_hz", "sample rate")):
        if found[field] != known[field]:
            raise AnnotationsRefused(
                f"The {what} of the recording is {shown(found[field])} here and {shown(known[field])} above. "
                "Give the same in all of its rows."
            )


def _rows(source: str, name: str) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    rows = csv.reader(io.StringIO(source, newline=""), strict=True)
    columns = [column.strip() for column in next(_numbered(rows, name), (1, []))[1]]
    for column in NEEDED:
        if column not in columns:
            raise AnnotationsRefused(
                f"{name}, line 1: the column {column} is missing. A CSV needs the columns {' and '.join(NEEDED)}, "
                "with commas between them."
            )
    for column, count in Counter(columns).items():
        if count > 1 and column in COLUMNS:
            raise AnnotationsRefused(f"{name}, line 1: the column {column} is there {count} times. Leave one.")
    return columns, _named(_numbered(rows, name), columns, name)


def _numbered(rows: Any, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with the line on which they begin."""
    while True:
        line = rows.line_num + 1
        try:
            yield line, next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise AnnotationsRefused(f"{name}, line {line}: this is not a row of a CSV ({error}).") from None


def _named(
    rows: Iterator[tuple[int, list[str]]], columns: list[str], name: str
) -> Iterator[tuple[int, dict[str, str]]]:
    for line, cells in rows:
        if len(cells) > len(columns):
            raise AnnotationsRefused(
                f"{name}, line {line}: there are {len(cells)} cells for {len(columns)} columns. "
                "Put texts with commas in quotes."
            )
        if any(cell.strip() for cell in cells):
            named = zip(columns, cells, strict=False)
            yield line, {column: _cell(column, cell) for column, cell in named if cell and column in COLUMNS}


def _cell(column: str, cell: str) -> str:
    return cell[1:] if column in TEXTS and cell.startswith("'") and FORMULA.match(cell) else cell


def _recognises(head: str) -> bool:
    try:
        columns = next(csv.reader([head.lstrip("\r\n").partition("\n")[0]]), [])
    except csv.Error:
        return False
    return set(NEEDED) <= {column.strip() for column in columns}


FORMAT = Format(
    name="CSV",
    endings=(".csv",),
    media_type="text/csv",
    holds_many=True,
    write=write,
    read=read,
    recognises=_recognises,
)
