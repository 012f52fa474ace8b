"""Selection tables of Raven: a row of tab-separated cells for each selection and view, with frequencies.

References
----------
Cornell Lab of Ornithology, "Raven Pro User's Manual", selection tables.
"""

import csv
import io
from collections import Counter

from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.format import AS_IT_IS, Format, ReadIn, ReadOptions, counted
from ser_core.annotations.formats.gate import at, number, recording_of
from ser_core.annotations.formats.notation import mark_fields
from ser_core.errors import AnnotationsRefused

START, END, LOW, HIGH = "begin time (s)", "end time (s)", "low freq (hz)", "high freq (hz)"
SELECTION, VIEW, FILE, FILE_OFFSET = "selection", "view", "begin file", "file offset (s)"
#: Columns that people add for labels; the first that a table has is read.
LABELS = ("emotion", "annotation", "label", "species", "type", "notes", "comments")


def read(content: bytes, name: str, options: ReadOptions = AS_IT_IS) -> ReadIn:
    """Read each selection once, whatever views show it; tables of several sound files give several recordings.

    Raises
    ------
    AnnotationsRefused
        If a column is missing, or a row is not a valid mark, with the line.
    """
    rows = csv.reader(io.StringIO(text_of(content, name, encoding=options.encoding)), "excel-tab")
    try:
        columns, *table = [(rows.line_num, cells) for cells in rows if any(cell.strip() for cell in cells)] or [(1, [])]
    except csv.Error as error:
        raise AnnotationsRefused(f"{name}, line {rows.line_num}: this is not a row of a table ({error}).") from None
    names = [column.strip().casefold() for column in columns[1]]
    for needed in (START, END):
        if needed not in names:
            raise AnnotationsRefused(f"{name}: the column {needed!r} is missing, which a selection table has.")
    label = next((column for column in LABELS if column in names), None)
    recordings: dict[str, Collected] = {}
    seen: set[tuple[str, str]] = set()
    lost: Counter[str] = Counter()
    for line, cells in table:
        row = {column: cell.strip() for column, cell in zip(names, cells, strict=False)}
        of = row.get(FILE) or name
        if (of, row.get(SELECTION, str(line))) in seen:
            lost["{} of further views"] += 1
            continue
        seen.add((of, row.get(SELECTION, str(line))))
        with at(f"{name}, line {line}"):
            start_s, end_s = number(row.get(START), "start"), number(row.get(END), "end")
            if row.get(FILE) and row.get(FILE_OFFSET):
                offset_s = number(row[FILE_OFFSET], "offset in the file")
                start_s, end_s = offset_s, offset_s + end_s - start_s
            fields = mark_fields(row.get(label, "")) if label else {}
            low_hz, high_hz = (number(row[edge], "frequency") if row.get(edge) else None for edge in (LOW, HIGH))
            if None in (low_hz, high_hz) or 0 <= low_hz < high_hz:
                fields |= {"low_hz": low_hz, "high_hz": high_hz}
            else:
                lost["the frequencies of {}, which are no band"] += 1
        recordings.setdefault(of, Collected(options)).add(
            fields | {"start_s": start_s, "end_s": end_s}, f"{name}, line {line}"
        )
    with at(name):
        found = tuple(
            recording_of({"name": of}, marks.annotations)
            for of, marks in (recordings or {name: Collected(options)}).items()
        )
    known = {START, END, LOW, HIGH, SELECTION, VIEW, "channel", FILE, FILE_OFFSET, label}
    others = sum(column not in known for column in names)
    dropped = in_words(lost, "row") + ((counted(others, "other column"),) if others else ())
    left_out = sum((marks.left_out for marks in recordings.values()), Counter())
    altered = sum((marks.altered for marks in recordings.values()), Counter())
    return ReadIn(found, dropped + in_words(left_out), in_words(altered))


def _recognises(head: str) -> bool:
    first = head.lstrip("\r\n").partition("\n")[0].casefold()
    return "\t" in first and START in first and END in first


FORMAT = Format(
    name="Raven selection table",
    endings=(".selections.txt",),
    media_type="text/plain",
    holds_many=True,
    write=None,
    read=read,
    recognises=_recognises,
)
