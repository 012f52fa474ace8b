"""A table of recordings: a click, a double click or Enter opens one, and arrow keys move between rows.

Streamlit's own table cannot open a row by Enter, and selects rows only by a checkbox.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from pages.shared.language.components import component

HERE = Path(__file__).parent

_mount = component(
    "hear_why_queue",
    HERE,
    main="queue_table.js",
    body="<div class='queue'></div>",
    style=(HERE / "queue_table.css").read_text("utf-8"),
)


@dataclass(frozen=True)
class Column:
    """A column: its title, its help, and whether it contains text, numbers, or shares (0 to 1) shown as bars."""

    title: str
    help: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Row:
    """A row and its id; a cell of None is an empty number or share."""

    id: str
    cells: tuple[str | float | None, ...]


def queue_table(
    columns: Sequence[Column], rows: Sequence[Row], current: str | None, key: str, on_open: Callable[[str], None]
) -> None:
    """Show rows; when one is opened, call `on_open` with its id before the next run.

    `current` is the id of the row that is marked as open.
    """

    def hand_over() -> None:
        opened = (st.session_state.get(key) or {}).get("opened")
        if opened in [row.id for row in rows]:  # a browser may send anything
            on_open(opened)

    data = {
        "columns": [{"title": column.title, "help": column.help, "kind": column.kind} for column in columns],
        "rows": [{"id": row.id, "cells": list(row.cells)} for row in rows],
        "current": current,
    }
    _mount(key=key, data=data, on_opened_change=hand_over)
