"""Marks of any number of recordings as CSV, a row for each; no spreadsheet runs a cell of it as a formula."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats.collected import Collected, totals_in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.fields import fields_of, known_duration_s, recording_of, writable
from ser_core.annotations.formats.format import DEFAULT_OPTIONS, Format, ReadOptions, ReadResult, Written, counted
from ser_core.annotations.formats.notation import Note, lost_by_plain_labels, mark_fields, mark_text
from ser_core.annotations.formats.values import CHANNEL, error_context, number, quoted
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
    "channel",
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
#: The columns that other tools understand.
PLAIN = ("recording", "start", "end", "tier", "annotator", "label")
#: Columns of other tools that become several of ours, or different ones.
DURATION, LABEL, WORD = "duration of the mark", "label", "word"
BESIDE = (DURATION, LABEL, WORD)
WORDS_TIER = "words"
NEEDED = ("start_s", "end_s")

#: Names of our columns in other tools, ignoring case. If a table has several for one column, the first is read.
COLUMN_ALIASES = {
    "start_s": "start begin onset onset_s tmin xmin start_time begin_time starttime start_sec start_seconds from",
    "end_s": "end stop offset offset_s tmax xmax end_time endtime end_sec stop_seconds end_seconds to",
    DURATION: "duration dur length duration_sec",
    LABEL: "label text annotation transcription transcript value name",
    WORD: "word words",
    "recording_name": "recording file filename file_name audio audio_path notated_path source_file path sound wav",
    "annotator": "rater coder annotator_name",
}
COLUMN_OF_ALIAS = {name: column for column, names in COLUMN_ALIASES.items() for name in names.split()}
DELIMITERS = (",", ";", "\t")
DECIMAL_COMMA = re.compile(r"\s*[-+]?[0-9]*,[0-9]+\s*")
NUMBERS = ("start_s", "end_s", "low_hz", "high_hz", "confidence", DURATION)
TEXTS = ("recording_name", "recording_sha256", "tier", "annotator", "emotion", "note", LABEL)

#: A spreadsheet reads text that begins like this as a formula, unless an apostrophe precedes it.
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")


def write(recordings: Sequence[AnnotatedRecording], plain: bool = False) -> Written:
    """Write any number of recordings, in UTF-8 with the byte order mark that spreadsheets need.

    Parameters
    ----------
    plain : bool
        Write only the columns of `PLAIN`, for other tools; the label is the emotion or, without one, the note.

    Raises
    ------
    AnnotationsRefused
        If a mark cannot be written.
    """
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(PLAIN if plain else COLUMNS)
    for recording in map(writable, recordings):
        rows.writerows((_plain_row if plain else row_of)(recording, mark) for mark in recording.annotations)
    empty = sum(not recording.annotations for recording in recordings)
    suggested = sum(bool(recording.provenance) for recording in recordings)
    marks = [replace(mark, changed_at=None) for recording in recordings for mark in recording.annotations]
    dropped = list(lost_by_plain_labels(marks, ("tier", "annotator"), plain))
    if empty:
        dropped.append(f"{counted(empty, 'recording')} without marks")
    if suggested:
        dropped.append(f"what the suggestions in {counted(suggested, 'recording')} came from (model and settings)")
    return Written(table.getvalue().encode("utf-8-sig"), tuple(dropped))


def _plain_row(recording: AnnotatedRecording, mark: Annotation) -> list[Any]:
    texts = (recording.name, mark.tier, mark.annotator, mark_text(mark, plain=True))
    name, *others = map(in_cell, texts)
    return [name, mark.region.start_s, mark.region.end_s, *others]


def row_of(recording: AnnotatedRecording, mark: Annotation) -> list[Any]:
    """Return the cells of a mark, in the order of `COLUMNS`."""
    values = {column: getattr(recording, field) for column, field in OF_RECORDING.items()}
    values |= fields_of(mark) | {"changed_at": mark.changed_at.isoformat() if mark.changed_at else None}
    return [in_cell(values[column] or "") if column in TEXTS else values[column] for column in COLUMNS]


def in_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet reads as a formula.

    >>> in_cell("=1+1"), in_cell("so")
    ("'=1+1", 'so')
    """
    return f"'{text}" if FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """Return a text as it was before `in_cell`."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read a table with at least a start and an end or a length, in any order; empty cells count as missing.

    Cells are separated by commas, semicolons or tabs; with the latter two a number may have a decimal comma. Columns
    may have the names in `COLUMN_ALIASES`.

    Rows with the same recording_name and recording_sha256 are one recording; without these columns all rows are one.

    Raises
    ------
    AnnotationsRefused
        If a column is missing or duplicated, or a row is not a valid mark, with the line.
    """
    columns, rows = _rows(text_of(content, name, "\r\n", encoding=options.encoding), name)
    fields_by_recording: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    marks: dict[tuple[str | None, str | None], Collected] = {}
    odd_channels = 0
    for line, cells in rows:
        if "channel" in cells and not CHANNEL.fullmatch(cells["channel"].strip()):
            odd_channels += bool(cells.pop("channel"))
        with error_context(f"{name}, line {line}"):
            found = {field: cells.get(column) for column, field in OF_RECORDING.items()}
            found["name"] = found["name"] or name
            known = fields_by_recording.setdefault((found["name"], found["sha256"]), found)
            _require_same(known, found)
            recording_of(found, ())
            duration_s = known_duration_s(found)
        key = found["name"], found["sha256"]
        marks.setdefault(key, Collected(options, duration_s)).add(cells, f"{name}, line {line}")
    unknown = [column for column in columns if column not in (*COLUMNS, *BESIDE)]
    if "note" in columns:  # then a word, and a label in addition to an emotion, are not read
        ignored = (WORD, LABEL) if "emotion" in columns else (WORD,)
        unknown += [column for column in ignored if column in columns]
    recordings = tuple(recording_of(fields_by_recording[key], marks[key].annotations) for key in fields_by_recording)
    left_out, altered = totals_in_words(marks.values())
    columns = tuple(f"the column {quoted(column)}" if column else "a column without a name" for column in unknown)
    if odd_channels:
        columns += (f"the channel of {counted(odd_channels, 'row')}, which is not a number from 1",)
    return ReadResult(recordings, (*columns, *left_out), altered)


def _require_same(known: dict[str, Any], found: dict[str, Any]) -> None:
    for field, what in (("duration_s", "length"), ("sample_rate_hz", "sample rate")):
        if found[field] != known[field]:
            raise AnnotationsRefused(
                f"The {what} of the recording is {quoted(found[field])} here and {quoted(known[field])} above. "
                "Give the same in all of its rows."
            )


def _rows(source: str, name: str) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    delimiter = _delimiter(source)
    rows = csv.reader(io.StringIO(source, newline=""), strict=True, delimiter=delimiter)
    columns = _our_columns([column.strip() for column in next(_numbered(rows, name), (1, []))[1]])
    for column in NEEDED:
        if column not in columns and not (column == "end_s" and DURATION in columns):
            raise AnnotationsRefused(
                f"{name}, line 1: the column {column} is missing. A CSV needs the columns {' and '.join(NEEDED)}, "
                "with commas, semicolons or tabs between them."
            )
    for column, count in Counter(columns).items():
        if count > 1 and column in COLUMNS:
            raise AnnotationsRefused(f"{name}, line 1: the column {column} is there {count} times. Leave one.")
    named = _cells_by_column(_numbered(rows, name), columns, name)
    return columns, ((line, _our_cells(cells, delimiter, f"{name}, line {line}")) for line, cells in named)


def _delimiter(source: str) -> str:
    """Return the delimiter of the cells: the one of `DELIMITERS` that is most frequent in the first line."""
    first = source.lstrip("\r\n").partition("\n")[0]
    return max(DELIMITERS, key=first.count)


def _our_columns(columns: list[str]) -> list[str]:
    """Return columns with our names instead of known names of other tools."""
    found: list[str] = []
    given_columns, used = set(columns), set()
    for column in columns:
        ours = COLUMN_OF_ALIAS.get(column.casefold().replace(" ", "_"), column)
        ours = column.casefold() if column.casefold() in COLUMNS else ours
        found.append(column if ours in used or (ours != column and ours in given_columns) else ours)
        used.add(found[-1])
    return found


def _our_cells(cells: dict[str, str], delimiter: str, location: str) -> dict[str, str]:
    """Return a row with only our columns: a length becomes an end, a label an emotion or a note, a word a note."""
    if delimiter != ",":
        cells = {
            column: cell.replace(",", ".") if column in NUMBERS and DECIMAL_COMMA.fullmatch(cell) else cell
            for column, cell in cells.items()
        }
    if DURATION in cells and "end_s" not in cells and "start_s" in cells:
        with error_context(location):
            end_s = number(cells["start_s"], "start") + number(cells[DURATION], "length of the mark")
        cells |= {"end_s": repr(end_s)}
    if "note" in cells:
        cells |= {"note": Note(cells["note"])}
    if LABEL in cells:
        label_fields = mark_fields(cells[LABEL]) if "emotion" not in cells else {"note": cells[LABEL]}
        cells = label_fields | cells
    if WORD in cells and "note" not in cells:
        cells = ({} if "emotion" in cells else {"tier": WORDS_TIER}) | {"note": cells[WORD]} | cells
    return {column: cell for column, cell in cells.items() if column in COLUMNS}


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


def _cells_by_column(
    rows: Iterator[tuple[int, list[str]]], columns: list[str], name: str
) -> Iterator[tuple[int, dict[str, str]]]:
    for line, cells in rows:
        if len(cells) > len(columns):
            raise AnnotationsRefused(
                f"{name}, line {line}: there are {len(cells)} cells for {len(columns)} columns. "
                "Put texts with commas in quotes."
            )
        if any(cell.strip() for cell in cells):
            named = {column: cell for column, cell in zip(columns, cells, strict=False) if cell}
            known = (column for column in (*COLUMNS, *BESIDE) if column in named)
            yield line, {column: from_cell(named[column]) if column in TEXTS else named[column] for column in known}


def _recognises(head: str) -> bool:
    try:
        columns = next(csv.reader([head.lstrip("\r\n").partition("\n")[0]], delimiter=_delimiter(head)), [])
    except csv.Error:
        return False
    columns = _our_columns([column.strip() for column in columns])
    return "start_s" in columns and ("end_s" in columns or DURATION in columns)


FORMAT = Format(
    name="CSV",
    endings=(".csv",),
    media_type="text/csv",
    holds_many=True,
    write=write,
    read=read,
    recognises=_recognises,
)
