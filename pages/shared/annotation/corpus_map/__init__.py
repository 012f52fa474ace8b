"""A map of points to move, zoom, play and choose in the browser, which sends the indices of points to Python."""

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
    """What the browser fetches once: places, names and groups of the points.

    Attributes
    ----------
    of : str
        Which points these are: what the browser sends is about them.
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
    made: Mapping[str, Callable[[list[int], int], None]],
) -> None:
    """Show a map; what a person does there is passed on before the next run.

    Parameters
    ----------
    colouring : str
        Key of the groups that give points their colour and shape.
    chosen : list of int
        Indices of the chosen points.
    sound : mapping, optional
        `index` of a point, `number` of the wish, and the `address` of its sound or a `refusal`.
    made : mapping of str to callable
        For "heard", "opened" and "chosen": takes indices of points, and a number that rises with each.
    """

    def hand_over(what: str) -> None:
        sent = (st.session_state.get(key) or {}).get(what)
        if (found := sent_indexes(sent, content)) is not None:
            made[what](*found)

    data = {
        "address": served(content.json, "application/json", content.sha256, f"{key} points"),
        "height": HEIGHT_PX,
        "colouring": colouring,
        "chosen": chosen,
        "sound": sound,
    }
    changes = {f"on_{what}_change": lambda what=what: hand_over(what) for what in made}
    _mount(key=key, data=data, **changes)


def sent_indexes(sent: object, content: MapContent) -> tuple[list[int], int] | None:
    """Return what a browser sent, which may be anything, or None if it is not about these points."""
    if not isinstance(sent, dict) or sent.get("of") != content.of:
        return None
    indexes, number = sent.get("indexes"), sent.get("number")
    if not isinstance(indexes, list) or type(number) is not int:
        return None
    if not all(type(one) is int and 0 <= one < content.count for one in indexes):
        return None
    return sorted(set(indexes)), number
