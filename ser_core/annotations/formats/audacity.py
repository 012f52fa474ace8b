"""Marks as labels of Audacity: `start⇥end⇥text`, followed by `\\⇥low⇥high` if they have frequencies.

References
----------
Audacity Manual, "Importing and Exporting Labels".
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.fields import recording_of, writable
from ser_core.annotations.formats.format import (
    DEFAULT_OPTIONS,
    Format,
    ReadOptions,
    ReadResult,
    Written,
    only_one,
)
from ser_core.annotations.formats.notation import lost_in_texts, mark_fields, mark_text
from ser_core.annotations.formats.values import error_context, number
from ser_core.errors import AnnotationsRefused

NO_LIMIT = -1.0
#: Not `splitlines`: labels may contain other characters that Python treats as line ends.
LINE_END = re.compile("\r\n|\r|\n")
LABEL = re.compile(r"\s*[-+.0-9]\S*\t\s*[-+.0-9]\S*(\t|\s*$)", re.MULTILINE)


def write(recordings: Sequence[AnnotatedRecording], plain: bool = False) -> Written:
    """Write the marks of one recording; times and frequencies are exact."""
    recording = writable(only_one(recordings, "Audacity"))
    lines = [line for mark in recording.annotations for line in _lines(mark, plain)]
    fields = ("name", "sha256", "duration_s", "sample_rate_hz", "provenance")
    dropped = lost_in_texts(recording, fields, ("low_hz", "high_hz"), plain)
    return Written("".join(f"{line}\n" for line in lines).encode(), dropped)


def _lines(mark: Annotation, plain: bool) -> list[str]:
    region = mark.region
    label = mark_text(mark, leave_out=("low_hz", "high_hz"), plain=plain)
    lines = [f"{_digits(region.start_s)}\t{_digits(region.end_s)}\t{label}"]
    limits = [NO_LIMIT if hz is None else hz for hz in (region.low_hz, region.high_hz)]
    if limits != [NO_LIMIT, NO_LIMIT]:
        lines.append("\\\t" + "\t".join(_digits(hz) for hz in limits))
    return lines


def _digits(value: float) -> str:
    return f"{Decimal(repr(value)):f}"


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read labels that have a length as the marks of one recording.

    Raises
    ------
    AnnotationsRefused
        If a line is not a label, or a label is not a valid mark, with the line.
    """
    labels: list[tuple[int, dict[str, Any]]] = []
    for line, source in enumerate(LINE_END.split(text_of(content, name, "\r\n", encoding=options.encoding)), start=1):
        with error_context(f"{name}, line {line}"):
            if source.startswith("\\"):
                _add_frequencies(labels, source)
            elif source.strip():
                labels.append((line, _label(source)))
    marks = Collected(options)
    for line, fields in labels:
        marks.add(fields, f"{name}, line {line}")
    with error_context(name):
        recording = recording_of({"name": name}, marks.annotations)
    return ReadResult((recording,), in_words(marks.left_out), in_words(marks.altered))


def _label(source: str) -> dict[str, Any]:
    start, tab, rest = source.partition("\t")
    end, _, label = rest.partition("\t")
    if not tab:
        raise AnnotationsRefused("A label needs a start, an end and a text, with tabs between them.")
    return mark_fields(label) | {"start_s": number(start, "start"), "end_s": number(end, "end")}


def _add_frequencies(labels: list[tuple[int, dict[str, Any]]], source: str) -> None:
    limits = source.split("\t")[1:]
    if not labels or "low_hz" in labels[-1][1] or len(limits) != 2:
        raise AnnotationsRefused("A line of frequencies needs a label above it and two numbers, with tabs between.")
    for field, limit in zip(("low_hz", "high_hz"), limits, strict=True):
        hz = number(limit, "frequency")
        labels[-1][1][field] = None if hz == NO_LIMIT else hz


FORMAT = Format(
    name="Audacity labels",
    endings=(".txt",),
    media_type="text/plain",
    holds_many=False,
    write=write,
    read=read,
    recognises=lambda head: bool(LABEL.match(head)),
)
