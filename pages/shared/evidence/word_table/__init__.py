"""A table of words that are edited in place, while the page runs too.

The browser sends all words with each edit, as Streamlit passes on only the last of several messages that arrive during
a run. It keeps what was typed until that was taken, so that a row may be edited while the one before is being stored.
Streamlit's own editor begins again whenever its data change, and loses what is typed meanwhile.
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
class Figures:
    """A column that is not edited: its title, its help, and a figure for each word."""

    title: str
    means: str
    values: Sequence[float]


@dataclass
class _Taken:
    """The last edit that was taken.

    Attributes
    ----------
    table, number : str, int
        The table in the browser that sent it, and its number there.
    words : str
        Which words there were afterwards, as `_key_of` says it.
    ids : tuple of str
        The ids of the rows of these words in the browser.
    refusal : str
        Why the edit was refused; empty if it was not.
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
    figures: Sequence[Figures],
    key: str,
    *,
    from_s: float,
    until_s: float,
    current: Callable[[], tuple[Region, ...]],
    edited: Callable[[tuple[Region, ...]], None],
) -> str:
    """Show words to be edited, and return why the last edit was refused, or "".

    Parameters
    ----------
    from_s, until_s : float
        When the recording begins and ends, in the times that are shown; those of `words` begin at 0.
    current : callable
        Returns the words of the time of an edit, which may have been replaced since they were shown.
    edited : callable
        Called with the words after an edit, before the next run of any page.
    """
    taken: _Taken = st.session_state.setdefault(f"{key} taken", _Taken())

    def hand_over() -> None:
        with taken.lock:
            message = (st.session_state.get(key) or {}).get("edited")
            found = _take(message, taken, _key_of(current()), from_s)
            if found is not None:
                edited(found)

    shown = _key_of(words)
    is_last_taken = taken.words == shown
    ids = taken.ids if is_last_taken and taken.ids else [f"{shown} {index}" for index in range(len(words))]
    times = [(round(from_s + word.start_s, 3), round(from_s + word.end_s, 3)) for word in words]
    cells = zip(*(column.values for column in figures), strict=True) if figures else [()] * len(words)
    titles = (t("Start"), t("End")) if until_s >= SHOWS_MINUTES_FROM_S else (t("Start (s)"), t("End (s)"))
    data = {
        "titles": [t("Word"), *titles],
        "figures": [{"title": column.title, "means": column.means} for column in figures],
        "rows": [
            {"id": of, "word": word.label, "start": start_s, "end": end_s, "cells": [float(one) for one in row]}
            for of, word, (start_s, end_s), row in zip(ids, words, times, cells, strict=True)
        ],
        "longest": until_s,
        "seen": shown,
        "answered": {"table": taken.table, "number": taken.number, "refused": bool(taken.refusal)},
    }
    _mount(key=key, data=data, on_edited_change=hand_over)
    return taken.refusal if is_last_taken else ""


def _key_of(words: tuple[Region, ...]) -> str:
    return f"{zlib.crc32(repr(words).encode()):08x}"


def _take(message: Any, taken: _Taken, current: str, from_s: float) -> tuple[Region, ...] | None:
    """Return the words after an edit, once; None if it is refused, or about words that were replaced."""
    try:
        table, seen, number = str(message["table"]), message["seen"], int(message["number"])
        rows = [(str(row["id"]), str(row["word"]), float(row["start"]), float(row["end"])) for row in message["rows"]]
    except (KeyError, TypeError, ValueError, OverflowError):  # a browser may send anything
        return None
    if table == taken.table and number <= taken.number:
        return None
    follows = table == taken.table and current == taken.words
    taken.table, taken.number = table, number
    is_whole = bool(rows) and all(row[1].strip() and math.isfinite(row[2] + row[3]) for row in rows)
    if not is_whole or not (follows or seen == current):
        taken.refusal = ""
        return None
    try:
        words = words_of_rows([row[1:] for row in rows], from_s)
    except SettingsRefused as refusal:
        taken.refusal, taken.ids = str(refusal), taken.ids if follows else ()
        taken.words = current
        return None
    in_order = sorted(rows, key=lambda row: row[2])
    taken.refusal, taken.words, taken.ids = "", _key_of(words), tuple(row[0] for row in in_order)
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
