"""Selection tables of Raven: a row of tab-separated cells, with frequencies, for each selection and view.

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
from ser_core.annotations.formats.collected import Collected, in_words, totals_in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.fields import recording_of, writable
from ser_core.annotations.formats.format import (
    DEFAULT_OPTIONS,
    Format,
    ReadOptions,
    ReadResult,
    Written,
    counted,
    only_one,
)
from ser_core.annotations.formats.notation import lost_in_texts, mark_fields, mark_text
from ser_core.annotations.formats.values import CHANNEL as CHANNEL_NUMBER
from ser_core.annotations.formats.values import error_context, number
from ser_core.errors import AnnotationsRefused

COLUMNS = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)")
SELECTION, VIEW, CHANNEL, START, END, LOW, HIGH = map(str.casefold, COLUMNS)
#: What Raven appends to the name of a sound for that of its table.
TABLE_NAME = re.compile(r"(?:\.Table\.[0-9]+)?\.selections(?:\.txt)?", re.IGNORECASE)
FILE, FILE_OFFSET = "begin file", "file offset (s)"
#: Columns that people add for labels; the first one in a table is read.
LABELS = ("emotion", "annotation", "label", "species", "type", "notes", "comments")
#: A selection that only the waveform shows has no band.
WAVEFORM, SPECTROGRAM = "Waveform 1", "Spectrogram 1"
DEFAULT_RATE_HZ = 48_000
#: A row is one line, so a name may not have several.
ONE_LINE = str.maketrans("\r\n", "  ")


def write(recordings: Sequence[AnnotatedRecording], plain: bool = False) -> Written:
    """Write the marks of one recording; those without frequencies as selections of the waveform. Times are exact."""
    recording = writable(only_one(recordings, "Raven"))
    highest_hz = (recording.sample_rate_hz or DEFAULT_RATE_HZ) / 2
    written = io.StringIO(newline="")
    rows = csv.writer(written, "excel-tab", lineterminator="\n")
    rows.writerow((*COLUMNS, "Begin File", "Annotation"))
    for row, mark in enumerate(recording.annotations, start=1):
        region = mark.region
        limits = [hz for hz in (region.low_hz, region.high_hz) if hz is not None]
        # Raven has only bands with two limits: a single limit is in the text.
        text = mark_text(mark, ("low_hz", "high_hz", "channel") if len(limits) == 2 else ("channel",), plain)
        low_hz = region.low_hz or 0.0
        high_hz = max(highest_hz, low_hz + 1) if region.high_hz is None else region.high_hz
        view = SPECTROGRAM if limits else WAVEFORM
        edges = (region.start_s, region.end_s, low_hz, high_hz)
        rows.writerow([row, view, mark.channel or 1, *map(repr, edges), recording.name.translate(ONE_LINE), text])
    fields = ("sha256", "duration_s", "sample_rate_hz", "provenance")
    dropped = lost_in_texts(recording, fields, ("low_hz", "high_hz", "channel"), plain)
    return Written(written.getvalue().encode(), dropped)


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read each selection once, even if several views show it; each sound file in the table is a recording.

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
        location = f"{name}, line {line}"
        with error_context(location):
            fields = mark_fields(row.get(label, "")) if label else {}
            if not {"low_hz", "high_hz"} & fields.keys():
                fields |= _band(row, selection in in_bands, lost)
            fields |= _times(row)
            fields |= {"channel": row[CHANNEL]} if CHANNEL_NUMBER.fullmatch(row.get(CHANNEL, "")) else {}
        recordings.setdefault(row.get(FILE) or sound, Collected(options)).add(fields, location)
    with error_context(name):
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
    left_out, altered = totals_in_words(recordings.values())
    return ReadResult(found, dropped + left_out, altered)


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
