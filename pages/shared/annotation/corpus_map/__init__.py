"""A map of points in the browser, to move, zoom, play and choose; it sends the indices of points to Python."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared.language.components import component
from pages.shared.player.media import served

HERE = Path(__file__).parent
HEIGHT_PX = 560

_mount = component(
    "hear_why_map",
    HERE / "js",
    main="map.js",
    body=(HERE / "map.html").read_text("utf-8"),
    style=(HERE / "map.css").read_text("utf-8"),
)


@dataclass(frozen=True)
class MapContent:
    """The data that the browser fetches once: positions, names and groups of the points.

    Attributes
    ----------
    of : str
        Identifies the points; the browser sends it back with their indices.
    json : bytes
    sha256 : str
        Of the JSON.
    """

    of: str
    count: int
    json: bytes
    sha256: str


def map_of_points(
    content: MapContent,
    key: str,
    *,
    colouring: str,
    chosen: list[int],
    sound: Mapping[str, Any] | None,
    callbacks: Mapping[str, Callable[[list[int], int], None]],
) -> None:
    """Show a map; callbacks get what a person does there before the next run.

    Parameters
    ----------
    colouring : str
        Key of the groups that give points their colour and shape.
    chosen : list of int
        Indices of the chosen points.
    sound : mapping, optional
        `index` of a point, `number` of the request, and the `address` of its sound or a `refusal`.
    callbacks : mapping of str to callable
        For "heard", "opened" and "chosen": takes indices of points, and a number that rises with each action.
    """

    def hand_over(action: str) -> None:
        sent = (st.session_state.get(key) or {}).get(action)
        checked = checked_indices(sent, content)
        if checked is not None:
            callbacks[action](*checked)

    data = {
        "address": served(content.json, "application/json", content.sha256, f"{key} points"),
        "height": HEIGHT_PX,
        "colouring": colouring,
        "chosen": chosen,
        "sound": sound,
    }
    handlers = {f"on_{action}_change": lambda action=action: hand_over(action) for action in callbacks}
    _mount(key=key, data=data, **handlers)


def checked_indices(sent: object, content: MapContent) -> tuple[list[int], int] | None:
    """Return the indices and the number that a browser sent; None if it is anything else, or about other points."""
    if not isinstance(sent, dict) or sent.get("of") != content.of:
        return None
    indices, number = sent.get("indexes"), sent.get("number")
    if not isinstance(indices, list) or type(number) is not int:
        return None
    if not all(type(index) is int and 0 <= index < content.count for index in indices):
        return None
    return sorted(set(indices)), number
