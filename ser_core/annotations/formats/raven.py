"""Selection tables of Raven: a row of tab-separated cells for each selection and view, with frequencies.

References
----------
Cornell Lab of Ornithology, "Raven Pro User's Manual", selection tables.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.formats.collected import Collected, in_all, in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.format import (
    AS_IT_IS,
    Format,
    ReadIn,
    ReadOptions,
    Written,
    counted,
    only_one,
)
from ser_core.annotations.formats.gate import CHANNEL as CHANNEL_NUMBER
from ser_core.annotations.formats.gate import at, number, recording_of, writable
from ser_core.annotations.formats.notation import left_out_of_texts, mark_fields, mark_text
from ser_core.errors import AnnotationsRefused

COLUMNS = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)")
SELECTION, VIEW, CHANNEL, START, END, LOW, HIGH = map(str.casefold, COLUMNS)
#: How Raven names the table of a sound.
TABLE_NAME = re.compile(r"(?:\.Table\.[0-9]+)?\.selections(?:\.txt)?", re.IGNORECASE)
FILE, FILE_OFFSET = "begin file", "file offset (s)"
#: Columns that people add for labels; the first that a table has is read.
LABELS = ("emotion", "annotation", "label", "species", "type", "notes", "comments")
#: A selection that only a waveform shows has all frequencies.
WAVEFORM, SPECTROGRAM = "Waveform 1", "Spectrogram 1"
USUAL_RATE_HZ = 48_000
#: A row is a line, so a name is in one too.
ONE_LINE = str.maketrans("\r\n", "  ")


def write(recordings: Sequence[AnnotatedRecording], plain: bool = False) -> Written:
    """Write the marks of one recording; those without frequencies as selections of the waveform. Times are exact."""
    recording = writable(only_one(recordings, "Raven"))
    highest_hz = (recording.sample_rate_hz or USUAL_RATE_HZ) / 2
    written = io.StringIO(newline="")
    rows = csv.writer(written, "excel-tab", lineterminator="\n")
    rows.writerow((*COLUMNS, "Begin File", "Annotation"))
    for place, mark in enumerate(recording.annotations, start=1):
        region = mark.region
        limits = [hz for hz in (region.low_hz, region.high_hz) if hz is not None]
        # Raven knows bands only: of one with a single limit, the text says so.
        text = mark_text(mark, ("low_hz", "high_hz", "channel") if len(limits) == 2 else ("channel",), plain)
        low_hz = region.low_hz or 0.0
        high_hz = max(highest_hz, low_hz + 1) if region.high_hz is None else region.high_hz
        view = SPECTROGRAM if limits else WAVEFORM
        edges = (region.start_s, region.end_s, low_hz, high_hz)
        rows.writerow([place, view, mark.channel or 1, *map(repr, edges), recording.name.translate(ONE_LINE), text])
    fields = ("sha256", "duration_s", "sample_rate_hz", "provenance")
    dropped = left_out_of_texts(recording, fields, ("low_hz", "high_hz", "channel"), plain)
    return Written(written.getvalue().encode(), dropped)


def read(content: bytes, name: str, options: ReadOptions = AS_IT_IS) -> ReadIn:
    """Read each selection once, whatever views show it; tables of several sound files give several recordings.

    Raises
    ------
    AnnotationsRefused
        If a column is missing, or a row is not a valid mark, with the line.
    """
    sound = TABLE_NAME.sub("", name) or name
    columns, rows = _table(text_of(content, name, encoding=options.encoding), name)
    label = next((column for column in LABELS if column in columns), None)
    in_bands = {_selection(row, line) for line, row in rows if not row.get(VIEW, "").casefold().startswith("waveform")}
    recordings: dict[str, Collected] = {}
    seen: set[tuple[str, str]] = set()
    lost: Counter[str] = Counter()
    for line, row in rows:
        selection = _selection(row, line)
        if selection in seen:
            lost["{} of further views"] += 1
            continue
        seen.add(selection)
        place = f"{name}, line {line}"
        with at(place):
            fields = mark_fields(row.get(label, "")) if label else {}
            if not {"low_hz", "high_hz"} & fields.keys():
                fields |= _band(row, selection in in_bands, lost)
            fields |= _times(row)
            fields |= {"channel": row[CHANNEL]} if CHANNEL_NUMBER.fullmatch(row.get(CHANNEL, "")) else {}
        recordings.setdefault(row.get(FILE) or sound, Collected(options)).add(fields, place)
    with at(name):
        found = tuple(
            recording_of({"name": of}, marks.annotations)
            for of, marks in (recordings or {sound: Collected(options)}).items()
        )
    known = {SELECTION, VIEW, CHANNEL, START, END, LOW, HIGH, FILE, FILE_OFFSET, label}
    others = sum(column not in known for column in columns)
    dropped = in_words(lost, "row") + ((counted(others, "other column"),) if others else ())
    odd_channels = sum(not CHANNEL_NUMBER.fullmatch(row.get(CHANNEL, "")) for _, row in rows)
    if odd_channels and len({row.get(CHANNEL) for _, row in rows}) > 1:
        dropped += (f"the channel of {counted(odd_channels, 'row')}, which is not a number from 1",)
    left_out, altered = in_all(recordings.values())
    return ReadIn(found, dropped + left_out, altered)


def _table(source: str, name: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the columns in lower case, and the rows with their lines."""
    rows = csv.reader(io.StringIO(source), "excel-tab")
    try:
        found = [(rows.line_num, cells) for cells in rows if any(cell.strip() for cell in cells)] or [(1, [])]
    except csv.Error as error:
        raise AnnotationsRefused(f"{name}, line {rows.line_num}: this is not a row of a table ({error}).") from None
    columns = [column.strip().casefold() for column in found[0][1]]
    for needed in (START, END):
        if needed not in columns:
            raise AnnotationsRefused(f"{name}: the column {needed!r} is missing, which a selection table has.")
    return columns, [
        (line, {column: cell.strip() for column, cell in zip(columns, cells, strict=False)})
        for line, cells in found[1:]
    ]


def _selection(row: Mapping[str, str], line: int) -> tuple[str, str]:
    return row.get(FILE, ""), row.get(SELECTION, str(line))


def _times(row: Mapping[str, str]) -> dict[str, Any]:
    start_s, end_s = number(row.get(START), "start"), number(row.get(END), "end")
    if row.get(FILE) and row.get(FILE_OFFSET):
        offset_s = number(row[FILE_OFFSET], "offset in the file")
        start_s, end_s = offset_s, offset_s + end_s - start_s
    return {"start_s": start_s, "end_s": end_s}


def _band(row: Mapping[str, str], is_in_a_band: bool, lost: Counter[str]) -> dict[str, Any]:
    low_hz, high_hz = (number(row[edge], "frequency") if row.get(edge) else None for edge in (LOW, HIGH))
    if not is_in_a_band and low_hz == 0:
        return {}
    if None in (low_hz, high_hz) or 0 <= low_hz < high_hz:
        return {"low_hz": low_hz, "high_hz": high_hz}
    lost["the frequencies of {}, which are no band"] += 1
    return {}


def _recognises(head: str) -> bool:
    first = head.lstrip("\r\n").partition("\n")[0].casefold()
    return "\t" in first and START in first and END in first


FORMAT = Format(
    name="Raven selection table",
    endings=(".selections.txt",),
    media_type="text/plain",
    holds_many=False,
    write=write,
    read=read,
    recognises=_recognises,
)
