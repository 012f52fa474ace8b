"""Editable marks in the player, and the edits made to them.

    hand_over("player", store.write)
    player(recording, key="player", editing=Editing(marks=store.read(), labels=COLOURS, on_edit=store.write))

The player shows an edit at once, and "Saving" until the edit was passed to `on_edit` and the page has called `player`
again. Each time it sends all unanswered edits, because Streamlit passes on only the last of several messages that
arrive during a run; each edit is handed over once. This happens before the next run of any page, so an edit made just
before switching pages is not lost.
"""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from pages.shared.language import plural, t
from pages.shared.language.names import printable
from pages.shared.player.regions import labels_data, region_data
from pages.shared.player.tier_lanes import TierLane, tiers_data
from ser_core.analysis import Point, Region
from ser_core.annotations.f0.corrections import CorrectedF0
from ser_core.errors import SettingsRefused
from ser_core.settings import F0Settings


@dataclass(frozen=True)
class Mark:
    """A region that can be edited.

    Attributes
    ----------
    id : str
        Its id in the player. The id of a newly drawn mark begins with "new" and lasts as long as the page passes it.
    region : Region
        Its label is shown.
    suggested : bool
        Drawn dashed. Accepting, moving or labelling it is an edit that changes it; dismissing it deletes it.
    state : str or None
        A description, shown while it is selected.
    """

    id: str
    region: Region
    suggested: bool = False
    state: str | None = None


@dataclass(frozen=True)
class Arrival:
    """A mark for which the recording was opened; the player selects and plays it, once.

    Attributes
    ----------
    number : str
        Unique to this opening.
    mark : str
        Its id in the player.
    region : Region
        Selected and played if the player does not show the mark.
    """

    number: str
    mark: str
    region: Region


@dataclass(frozen=True)
class Editing:
    """Settings of an editable player.

    Attributes
    ----------
    on_edit : callable
        Called with each `Edit`, in order. It must not draw Streamlit elements: the run could end there, and the edit
        would arrive again.
    owner : str
        Identifies the owner of the marks; each edit repeats it.
    labels : mapping of str to str
        Labels on the keys 1 to 8, in this order, with their colours.
    snaps : tuple of float
        Times in seconds that dragged edges snap to when near.
    others : tuple of (str, tuple of Region)
        Other people's regions, shown below for comparison: rows with their names.
    others_title : str
    state : str
        A description of the whole recording, shown while no region is selected.
    done : bool
        Whether the whole recording is done.
    tiers : tuple of TierLane
        Further tiers, each with a row of its own.
    f0 : CorrectedF0 or None
        F0 corrected by hand, in frames of the whole recording; None if it cannot be corrected.
    arrival : Arrival or None
    """

    marks: tuple[Mark, ...]
    labels: Mapping[str, str]
    on_edit: Callable[["Edit"], None]
    owner: str = ""
    snaps: tuple[float, ...] = ()
    others: tuple[tuple[str, tuple[Region, ...]], ...] = ()
    others_title: str = ""
    state: str = ""
    done: bool = False
    tiers: tuple[TierLane, ...] = ()
    f0: CorrectedF0 | None = None
    arrival: Arrival | None = None


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes
    ----------
    recording : str
        SHA-256 of the recording that the player showed.
    owner : str
        `Editing.owner` at that time.
    changed : tuple of Mark
        Changed and new marks, in their new state.
    deleted : tuple of str
        Ids of deleted marks.
    tier : str or None
        Key of the tier of these marks; None for the regions themselves.
    command : str or None
        Instead of a change: undo, redo, previous, next, queue, label, status, intensity, confidence, channel, or
        analyse and f0, whose only mark is the stretch that is analysed or whose F0 is corrected.
    value : str, float or None
        The label or status of the whole recording, the intensity, confidence or channel, or what is done to F0.
    mark : str or None
        For intensity, confidence and channel: the id of the mark, or None for the whole recording.
    hz : tuple of float
        For F0 drawn by hand: F0 of each frame of the stretch.
    """

    recording: str
    owner: str = ""
    changed: tuple[Mark, ...] = ()
    deleted: tuple[str, ...] = ()
    tier: str | None = None
    command: str | None = None
    value: str | float | None = None
    mark: str | None = None
    hz: tuple[float, ...] = ()


def hand_over(key: str, on_edit: Callable[[Edit], None]) -> None:
    """Call `on_edit` once with each edit from the player of this key, in order; an edit is done when it returns.

    The player calls this before a run. The page calls it too, before it reads its marks, in case the last run was
    interrupted.
    """
    message = (st.session_state.get(key) or {}).get("editing") or {}
    answered = _answered(key)
    # Streamlit starts the next run in another thread before the last one has ended.
    with answered.lock:
        for edit in message.get("edits", ()):
            number = edit.get("number") if isinstance(edit, dict) else None
            if isinstance(number, int) and number > answered.number:
                found = _edit(edit)
                if found is not None:
                    on_edit(found)
                answered.number = number


def chosen_mark(key: str) -> str | None:
    """Return the id of the mark that is selected in the player of this key."""
    return ((st.session_state.get(key) or {}).get("editing") or {}).get("chosen")


def editing_data(editing: Editing, key: str) -> dict[str, Any]:
    """Return the player's data for editable marks."""
    return {
        "editable": True,
        "owner": editing.owner,
        "regions": [
            region_data(mark.region) | {"id": mark.id, "suggested": mark.suggested, "state": mark.state}
            for mark in sorted(editing.marks, key=lambda mark: (mark.region.start_s, mark.id))
        ],
        "labels": labels_data(editing.labels.items()),
        "snaps": sorted(editing.snaps),
        "others": [
            {"name": printable(name), "regions": [region_data(region) for region in regions]}
            for name, regions in editing.others
        ],
        "othersTitle": editing.others_title or t("Others' marks"),
        "state": editing.state,
        "done": editing.done,
        "tiers": tiers_data(editing.tiers),
        "f0": None if editing.f0 is None else {"words": _f0_in_words(editing.f0), "limits": F0Settings().corrected_hz},
        "arrival": editing.arrival and _arrival_data(editing.arrival),
        "answered": _answered(key).number,
    }


def _arrival_data(arrival: Arrival) -> dict[str, Any]:
    start_s, end_s = arrival.region.start_s, arrival.region.end_s
    return {"number": arrival.number, "id": arrival.mark, "start": start_s, "end": end_s}


def _f0_in_words(corrected: CorrectedF0) -> str:
    """Return how many frames were corrected, and by whom."""
    people = corrected.people
    names = [t("{name} ({n})", name=printable(name), n=count) for name, count in people.items()]
    if not names:
        return ""
    return plural(
        len(corrected.frames),
        "F0 of {n} frame corrected by {names}",
        "F0 of {n} frames corrected by {names}",
        names=", ".join(names) if len(names) > 1 else printable(next(iter(people))),
    )


@dataclass
class _Answered:
    """The number of the last edit that was handed over, guarded by a lock."""

    number: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def _answered(key: str) -> _Answered:
    return st.session_state.setdefault(f"{key} answered", _Answered())


def _edit(message: Mapping[str, Any]) -> Edit | None:
    """Return an edit from the player's message; None if it is not one, because a browser can send anything."""
    try:
        changed = tuple(Mark(_text(one["id"]), _region(one)) for one in message["changed"])
        deleted = tuple(map(_text, message["deleted"]))
        recording, owner = _text(message["recording"]), _text(message["owner"])
        hz = tuple(map(float, message.get("hz") or ()))
    except (SettingsRefused, KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None
    rest = (message.get(name) for name in ("tier", "command", "value", "mark"))
    return Edit(recording, owner, changed, deleted, *rest, hz)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _region(message: Mapping[str, Any]) -> Region:
    start_s, end_s = float(message["start"]), float(message["end"])
    if not math.isfinite(end_s):
        raise ValueError
    kind = Point if start_s == end_s else Region
    limits = (None if message[name] is None else float(message[name]) for name in ("low", "high"))
    return kind(start_s, end_s, *limits, None if message["label"] is None else _text(message["label"]))
