"""A table in which words are edited in place, even while the page runs.

The browser sends all words with each edit, because Streamlit delivers only the last of several messages that arrive
during a run. It keeps edits until the server has accepted them, so that one row can be edited while another is being
stored. Streamlit's own editor restarts whenever its data change, and loses what is typed meanwhile.
"""

import math
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared.language import t
from pages.shared.language.components import component
from ser_core.analysis import Region
from ser_core.errors import SettingsRefused

HERE = Path(__file__).parent
#: From this time on, times are shown with minutes.
SHOWS_MINUTES_FROM_S = 60.0

_mount = component(
    "hear_why_words",
    HERE,
    main="word_table.js",
    body="<div class='words'></div>",
    style=(HERE / "word_table.css").read_text("utf-8"),
)


@dataclass(frozen=True)
class FigureColumn:
    """A column that cannot be edited: its title, its help, and a figure for each word."""

    title: str
    help: str
    values: Sequence[float]


@dataclass
class _LastEdit:
    """The last edit that the server answered.

    Attributes
    ----------
    table, number : str, int
        The table in the browser that sent it, and its number there.
    words : str
        The key (`_key_of`) of the words after it.
    ids : tuple of str
        The ids of the rows of these words in the browser.
    refusal : str
        Why the edit was refused; empty if it was accepted.
    lock : Lock
        Streamlit starts the next run in another thread before the last one has ended.
    """

    table: str = ""
    number: int = 0
    words: str = ""
    ids: tuple[str, ...] = ()
    refusal: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


def word_table(
    words: tuple[Region, ...],
    figures: Sequence[FigureColumn],
    key: str,
    *,
    from_s: float,
    until_s: float,
    current: Callable[[], tuple[Region, ...]],
    edited: Callable[[tuple[Region, ...]], None],
) -> str:
    """Show words for editing, and return why the last edit was refused, or "".

    Parameters
    ----------
    from_s, until_s : float
        Start and end of the recording in the displayed times. The times of `words` begin at 0.
    current : callable
        Returns the current words, which may have been replaced since they were shown.
    edited : callable
        Called with the words after an edit, before any page runs again.
    """
    last_edit: _LastEdit = st.session_state.setdefault(f"{key} taken", _LastEdit())

    def accept() -> None:
        with last_edit.lock:
            message = (st.session_state.get(key) or {}).get("edited")
            words_after = _words_after(message, last_edit, _key_of(current()), from_s)
            if words_after is not None:
                edited(words_after)

    shown = _key_of(words)
    is_last_edit = last_edit.words == shown
    ids = last_edit.ids if is_last_edit and last_edit.ids else [f"{shown} {index}" for index in range(len(words))]
    times = [(round(from_s + word.start_s, 3), round(from_s + word.end_s, 3)) for word in words]
    cells = zip(*(column.values for column in figures), strict=True) if figures else [()] * len(words)
    titles = (t("Start"), t("End")) if until_s >= SHOWS_MINUTES_FROM_S else (t("Start (s)"), t("End (s)"))
    data = {
        "titles": [t("Word"), *titles],
        "figures": [{"title": column.title, "means": column.help} for column in figures],
        "rows": [
            {"id": of, "word": word.label, "start": start_s, "end": end_s, "cells": [float(one) for one in row]}
            for of, word, (start_s, end_s), row in zip(ids, words, times, cells, strict=True)
        ],
        "longest": until_s,
        "seen": shown,
        "answered": {"table": last_edit.table, "number": last_edit.number, "refused": bool(last_edit.refusal)},
    }
    _mount(key=key, data=data, on_edited_change=accept)
    return last_edit.refusal if is_last_edit else ""


def _key_of(words: tuple[Region, ...]) -> str:
    return f"{zlib.crc32(repr(words).encode()):08x}"


def _words_after(message: Any, last_edit: _LastEdit, current: str, from_s: float) -> tuple[Region, ...] | None:
    """Return the words after an edit; None if it was answered before, is refused, or is of words since replaced."""
    try:
        table, seen, number = str(message["table"]), message["seen"], int(message["number"])
        rows = [(str(row["id"]), str(row["word"]), float(row["start"]), float(row["end"])) for row in message["rows"]]
    except (KeyError, TypeError, ValueError, OverflowError):  # a browser may send anything
        return None
    if table == last_edit.table and number <= last_edit.number:
        return None
    follows = table == last_edit.table and current == last_edit.words
    last_edit.table, last_edit.number = table, number
    is_whole = bool(rows) and all(row[1].strip() and math.isfinite(row[2] + row[3]) for row in rows)
    if not is_whole or not (follows or seen == current):
        last_edit.refusal = ""
        return None
    try:
        words = words_of_rows([row[1:] for row in rows], from_s)
    except SettingsRefused as refusal:
        last_edit.refusal, last_edit.ids = str(refusal), last_edit.ids if follows else ()
        last_edit.words = current
        return None
    in_order = sorted(rows, key=lambda row: row[2])
    last_edit.refusal, last_edit.words, last_edit.ids = "", _key_of(words), tuple(row[0] for row in in_order)
    return words


def words_of_rows(rows: Sequence[tuple[str, float, float]], from_s: float = 0.0) -> tuple[Region, ...]:
    """Return the words of edited rows, each with its start and end in seconds, in order of time.

    Raises
    ------
    SettingsRefused
        If a word ends before it starts, or starts before the recording, which begins at `from_s`.
    """
    words = []
    for label, start, end in sorted(rows, key=lambda row: row[1]):
        word = Region(start, end, label=" ".join(label.split()))  # a refusal names the times of the table
        if start < round(from_s, 3):
            raise SettingsRefused(
                f"{word.label!r} begins at {start:g} s, before the open stretch. Let it begin at {from_s:g} s or later."
            )
        words.append(Region(max(0.0, start - from_s), end - from_s, label=word.label))
    return tuple(words)
