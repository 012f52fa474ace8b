"""Marks that are edited in the player, and what a person did to them.

    for edit in edits("player"):
        store.write(edit)
    player(recording, key="player", editing=Editing(marks=store.read(), labels=COLOURS))

The player shows an edit at once and says "Saving" until a run of the page has taken it from `edits` and come to
`player`. It sends all edits that were not answered each time, because of two that come while the page runs Streamlit
passes on the last word only; each is yielded once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from pages.shared.player import contents
from ser_core.errors import SettingsRefused
from ser_core.regions import Region


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
    labels : mapping of str to str
        Names for the keys 1 to 8, in this order, each with its colour.
    snaps : tuple of float
        Times in seconds to which dragged edges jump where they are near.
    others : mapping of str to tuple of Region
        What is shown below for comparison, by whose it is.
    """

    marks: tuple[Mark, ...]
    labels: Mapping[str, str]
    snaps: tuple[float, ...] = ()
    others: Mapping[str, tuple[Region, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Edit:
    """What a person did at once.

    Attributes
    ----------
    recording : str
        SHA-256 of the recording that the player showed them.
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
    changed: tuple[Mark, ...] = ()
    deleted: tuple[str, ...] = ()
    command: str | None = None
    value: str | None = None


def edits(key: str) -> Iterator[Edit]:
    """Yield each edit in the player of this key once, in order; it counts as taken when the next one is asked for.

    Until then the page must not touch Streamlit: it may end the run there, and the edit would come once more.
    """
    told = (st.session_state.get(key) or {}).get("editing") or {}
    answered = _answered(key)
    for edit in told.get("edits", ()):
        if edit["number"] > answered["number"]:
            found = _edit(edit)
            if found is not None:
                yield found
            answered["number"] = edit["number"]


def chosen_mark(key: str) -> str | None:
    """Return the id of the mark that is chosen in the player of this key."""
    return ((st.session_state.get(key) or {}).get("editing") or {}).get("chosen")


def of_editing(editing: Editing, key: str) -> dict[str, Any]:
    """Return what the player is given of marks to edit."""
    return {
        "editable": True,
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
        "answered": _answered(key)["number"],
    }


def of_regions(regions: Any) -> dict[str, Any]:
    """Return what the player is given of regions that are only to be seen and heard."""
    shown = [
        contents.of_region(region) | {"id": str(place), "suggested": False} for place, region in enumerate(regions)
    ]
    return {"editable": False, "regions": shown, "labels": [], "snaps": [], "others": [], "answered": 0}


def _answered(key: str) -> dict[str, int]:
    # Changed in place: Streamlit may end a run wherever the session's state is written to.
    return st.session_state.setdefault(f"{key} answered", {"number": 0})


def _edit(told: Mapping[str, Any]) -> Edit | None:
    """Return an edit as the page knows it; None where a region is none, which is left as it was."""
    try:
        changed = tuple(Mark(one["id"], _region(one)) for one in told["changed"])
    except SettingsRefused:
        return None
    return Edit(told["recording"], changed, tuple(told["deleted"]), told.get("command"), told.get("value"))


def _region(told: Mapping[str, Any]) -> Region:
    return Region(float(told["start"]), float(told["end"]), told["low"], told["high"], told["label"])
