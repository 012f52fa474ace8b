"""Marks that are edited in the player, and what a person did to them.

    hand_over("player", store.write)
    player(recording, key="player", editing=Editing(marks=store.read(), labels=COLOURS, made=store.write))

The player shows an edit at once and says "Saving" until it was handed to `made` and the page has come to `player`
again. It sends all edits that were not answered each time, because of two that come while the page runs Streamlit
passes on the last word only; each is handed over once. That happens before the next run, of whichever page: who draws
and then turns to another one has drawn all the same.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from pages.shared.player import contents
from ser_core.analysis import Region
from ser_core.errors import SettingsRefused


@dataclass(frozen=True)
class Mark:
    """A region that can be edited.

    Attributes
    ----------
    id : str
        Its identity in the player. What a person makes has an id that begins with "new" and is kept as long as the page
        passes it.
    region : Region
        With the label that is shown.
    suggested : bool
        Shown dashed. Accepting, moving or labelling it is an edit that changes it; dismissing one that deletes it.
    """

    id: str
    region: Region
    suggested: bool = False


@dataclass(frozen=True)
class Editing:
    """What can be edited, and with what help.

    Attributes
    ----------
    made : callable
        Called with each `Edit`, in order. It must not touch Streamlit's elements: a run may end there, and the edit
        would come once more.
    whose : str
        What the marks belong to beside their recording; an edit says it again.
    labels : mapping of str to str
        Names for the keys 1 to 8, in this order, each with its colour.
    snaps : tuple of float
        Times in seconds to which dragged edges jump where they are near.
    others : mapping of str to tuple of Region
        What is shown below for comparison, by whose it is.
    """

    marks: tuple[Mark, ...]
    labels: Mapping[str, str]
    made: Callable[["Edit"], None]
    whose: str = ""
    snaps: tuple[float, ...] = ()
    others: Mapping[str, tuple[Region, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Edit:
    """What a person did at once.

    Attributes
    ----------
    recording : str
        SHA-256 of the recording that the player showed them.
    whose : str
        What the marks belonged to that it showed.
    changed : tuple of Mark
        As they are now, new ones among them.
    deleted : tuple of str
        The ids of what is there no more.
    command : {"undo", "redo", "previous", "next", "label"} or None
        In the place of a change.
    value : str or None
        The label for the whole recording, of the command "label".
    """

    recording: str
    whose: str = ""
    changed: tuple[Mark, ...] = ()
    deleted: tuple[str, ...] = ()
    command: str | None = None
    value: str | None = None


def hand_over(key: str, made: Callable[[Edit], None]) -> None:
    """Call `made` with each edit in this key's player once, in order; it counts as taken when that has returned.

    The player calls it before a run. The page calls it too, before it reads what it shows: of a run that was ended in
    between nobody else takes what was left.
    """
    told = (st.session_state.get(key) or {}).get("editing") or {}
    answered = _answered(key)
    # Streamlit begins the next run in another thread before the last one has come to an end.
    with answered.lock:
        for edit in told.get("edits", ()):
            if edit["number"] > answered.number:
                found = _edit(edit)
                if found is not None:
                    made(found)
                answered.number = edit["number"]


def chosen_mark(key: str) -> str | None:
    """Return the id of the mark that is chosen in the player of this key."""
    return ((st.session_state.get(key) or {}).get("editing") or {}).get("chosen")


def of_editing(editing: Editing, key: str) -> dict[str, Any]:
    """Return what the player is given of marks to edit."""
    return {
        "editable": True,
        "whose": editing.whose,
        "regions": [
            contents.of_region(mark.region) | {"id": mark.id, "suggested": mark.suggested}
            for mark in sorted(editing.marks, key=lambda mark: (mark.region.start_s, mark.id))
        ],
        "labels": [[name, colour] for name, colour in editing.labels.items()],
        "snaps": sorted(editing.snaps),
        "others": [
            {"name": name, "regions": [contents.of_region(region) for region in regions]}
            for name, regions in editing.others.items()
        ],
        "answered": _answered(key).number,
    }


def of_regions(regions: Any) -> dict[str, Any]:
    """Return what the player is given of regions that are only to be seen and heard."""
    shown = [
        contents.of_region(region) | {"id": str(place), "suggested": False} for place, region in enumerate(regions)
    ]
    return {"editable": False, "regions": shown, "labels": [], "snaps": [], "others": [], "answered": 0}


@dataclass
class _Answered:
    """The number of the last edit that was handed over; changed under its lock."""

    number: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def _answered(key: str) -> _Answered:
    return st.session_state.setdefault(f"{key} answered", _Answered())


def _edit(told: Mapping[str, Any]) -> Edit | None:
    """Return an edit as the page knows it; None where a region is none, which is left as it was."""
    try:
        changed = tuple(Mark(one["id"], _region(one)) for one in told["changed"])
    except SettingsRefused:
        return None
    return Edit(
        told["recording"], told["whose"], changed, tuple(told["deleted"]), told.get("command"), told.get("value")
    )


def _region(told: Mapping[str, Any]) -> Region:
    return Region(float(told["start"]), float(told["end"]), told["low"], told["high"], told["label"])
