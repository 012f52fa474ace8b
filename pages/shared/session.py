"""The state of one visit: its recordings, its choices, and its owner's id."""

import io
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ser_core.analysis import Recording, Region, clock, display_name
from ser_core.audio.long_recording import WorkingCopy
from ser_core.audio.reading import read_recording
from ser_core.explanation.focus import USUAL_SHARE
from ser_core.model.classifier import Classifier
from ser_core.settings import AnalysisSettings, FocusSettings, GradCamSettings, LimeSettings, OcclusionSettings
from ser_core.timeline.curves import QUIET_DBFS
from ser_core.timeline.words import TimelineWords
from ser_core.work.jobs import Job, work_owner

BEST, ALL_OTHERS = "best score", "all others"

#: How the focus is cut from the profile: at what decides, at a share of the speech, or above a share of the peak.
DECIDING, SHARE, ABOVE = "deciding", "share", "above"
#: What is made audible: the focus regions, or the strongest points of the map.
REGIONS, POINTS = "regions", "points"
#: Where the voice is changed: everywhere, or in the focus.
WHOLE, FOCUS = "whole", "focus"

#: Of the recordings of a visit, decoded and as files; the last one is always held.
MOST_HELD_BYTES = 600 * 2**20

CHOICES = {
    "language": None,
    "model": None,
    "voice_on": False,
    "voice_mixed": False,
    "voice": None,
    "voice_project": None,
    "emotion": BEST,
    "against": ALL_OTHERS,
    "stretch": None,
    "focus_by": AnalysisSettings().focus_by,
    "suggest_by": AnalysisSettings().focus_by,
    "seed": 0,
    "layer": None,
    "masks": LimeSettings().masks,
    "fill": LimeSettings().fill,
    "smoothing": FocusSettings().smoothing_s,
    "focus_rule": DECIDING,
    "focus_share": round(100 * USUAL_SHARE),
    "threshold": 0,
    "sign": "both",
    "opacity": 100,
    "audible": REGIONS,
    "map_share": 30,
    "changed": WHOLE,
    "compared": None,
    "compared_by": "grad_cam",
    "acted": None,
    "predicted": None,
    "annotator": "",
    "project": None,
    "annotate_view": "Queue",
    "queue_whose": "me",
    "queue_status": "any",
    "queue_label": "any",
    "queue_task": None,
    "queue_text": "",
    "queue_order": "added",
    "queue_session": "any",
    "queue_page": 0,
    "queue_added": 0,
    "queue_among": None,
    "label_tier": None,
    "map_layout": "components",
    "map_colour": "label",
    "map_whose": "me",
    "map_without_speakers": False,
    "people_turn": 0,
    "export_turn": 0,
    "import_turn": 0,
    "beside": ["Model's evidence"],
    "snap": True,
    "timeline_smoothing": None,
    "timeline_quiet": round(QUIET_DBFS),
    "timeline_stretch": None,
    "timeline_voice": False,
    "timeline_language": None,
    "timeline_search": "",
    "saved_text": "",
    "saved_page": ("", 0),
}
#: Choices that the address says, by their names there; what it does not name has its default.
IN_ADDRESS = {
    "model": "model",
    "emotion": "emotion",
    "contrast": "against",
    "stretch": "stretch",
    "explainer": "focus_by",
    "project": "project",
}
TARGET = ("emotion", "against", "stretch")
TIMELINE = (
    *("timeline_smoothing", "timeline_quiet", "timeline_stretch", "timeline_voice"),
    *("timeline_language", "timeline_search"),
)
SETTINGS = ("seed", "layer", "masks", "fill", "smoothing", "focus_by", "focus_rule", "focus_share", "threshold")


@dataclass(frozen=True)
class Chosen:
    """The choices made in the sidebar."""

    recording: Recording
    classifier: Classifier
    settings: AnalysisSettings
    #: The model without adaptation, if the classifier above is adapted to a voice.
    any_voice: Classifier | None = None

    @property
    def model_name(self) -> str:
        """The model's name, without the voice it is adapted to."""
        return (self.any_voice or self.classifier).name


@dataclass(frozen=True)
class Held:
    """A recording of this visit, with the bytes of its file."""

    recording: Recording
    source: bytes

    @property
    def size_bytes(self) -> int:
        return self.recording.samples.nbytes + len(self.source)


@dataclass(frozen=True, eq=False)
class HeldLong:
    """A recording that is too long to be analysed at once; a visit has at most one.

    Attributes
    ----------
    source : bytes or Path
        The whole file of an upload, or where that of a project's recording lies.
    """

    name: str
    source: bytes | Path
    sha256: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    #: The words that are transcribed so far, by the language that was asked for; empty: any.
    words: dict[str, TimelineWords] = field(default_factory=dict)
    closed: threading.Event = field(default_factory=threading.Event)

    def file(self) -> io.BytesIO | Path:
        """Return a file for one reader; bytes are shared, not copied."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source


def owner() -> str:
    """Return this visit's id; its work and results are never shown to another visit."""
    return st.session_state.setdefault("owner", uuid.uuid4().hex)


def local_time(at: datetime) -> datetime:
    """Return a time as the visitor's clock shows it."""
    try:
        return at.astimezone(ZoneInfo(st.context.timezone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the browser may say anything
        return at.astimezone(UTC)


def held() -> dict[str, Held]:
    """Return the recordings of this visit by SHA-256, oldest first."""
    return st.session_state.setdefault("held", {})


def hold(source: bytes, name: str, part_of: str | None = None, start_s: float = 0.0) -> Recording:
    """Read and check a recording or a stretch of a long one, hold it and make it the current one."""
    recording = replace(read_recording(source, name), part_of=part_of, start_s=start_s)
    _hold(Held(recording, source))
    return recording


def rename(sha256: str, name: str) -> Recording:
    """Give a recording of this visit another name, and return it."""
    found = held()[sha256]
    held()[sha256] = replace(found, recording=replace(found.recording, name=display_name(name)))
    return held()[sha256].recording


def hold_of_queue(opened: Held) -> None:
    """Hold a recording from a queue, instead of the one opened before: queues are long."""
    _hold(opened, "of_queue")


def hold_stretch(copy: WorkingCopy, start_s: float, end_s: float, instead: bool = False) -> Recording:
    """Cut a stretch out of a long recording, read and check it, and hold it.

    Parameters
    ----------
    instead : bool
        Of the one that was held in this way before.

    Raises
    ------
    SettingsRefused
        If the stretch is not in the recording, or is too long.
    AudioRefused
        If it cannot be analysed, for instance because it is silent.
    """
    sound = copy.stretch(start_s, end_s)
    name = f"{Path(copy.name).stem} {clock(start_s)}–{clock(min(end_s, copy.duration_s))}.wav"
    recording = replace(read_recording(sound, name), part_of=copy.sha256, start_s=start_s)
    _hold(Held(recording, sound), "stretch" if instead else None)
    return recording


def _hold(opened: Held, role: str | None = None) -> None:
    """Hold a recording and make it the current one, instead of the last one in the same role.

    The oldest ones go once all together take too much memory.
    """
    sha256, others = opened.recording.sha256, held()
    last = st.session_state.get(role) if role else None
    for gone in (last, sha256):
        others.pop(gone, None)
    others[sha256] = opened  # as the newest
    while sum(one.size_bytes for one in others.values()) > MOST_HELD_BYTES and len(others) > 1:
        oldest = next(iter(others))
        st.session_state.setdefault("closed", []).append(others.pop(oldest).recording.name)
        _forget_in_voice(oldest)
    make_current(sha256)
    if role:
        st.session_state[role] = sha256


def closed() -> list[str]:
    """Return the names of recordings that were closed to make room for others, once."""
    return st.session_state.pop("closed", [])


def hold_long(source: bytes | Path, name: str, sha256: str) -> None:
    """Hold a long recording instead of the previous one, and make it the current one."""
    if (before := held_long()) is not None and before.sha256 != sha256:
        st.session_state.setdefault("closed", []).append(before.name)
    close_long()
    st.session_state["long"] = HeldLong(display_name(name), source, sha256)
    make_current(sha256)


def held_long() -> HeldLong | None:
    """Return the long recording of this visit; one that was deleted in another tab is closed."""
    long = st.session_state.get("long")
    return None if long is None or long.closed.is_set() else long


def current_long() -> HeldLong | None:
    """Return the long recording if it, or a stretch of it, is the current recording."""
    long, stretch = held_long(), current()
    chosen = st.session_state.get("current") if stretch is None else stretch.part_of
    return long if long is not None and chosen == long.sha256 else None


def close_long() -> None:
    """Forget the long recording, and stop its timeline job."""
    if held_long() is not None:
        closed = st.session_state.pop("long")
        closed.closed.set()
        if st.session_state.get("current") == closed.sha256:
            make_current(next(reversed(held()), None))
    reset(TIMELINE)()


def given_words() -> dict[str, tuple[Region, ...]]:
    """Return the words that were uploaded or edited in this visit, by recording."""
    return st.session_state.setdefault("words", {})


def words_asked() -> dict[str, str]:
    """Return the recordings whose words were asked for, with the language to transcribe them in; empty: any."""
    return st.session_state.setdefault("words_asked", {})


def forget_recording(sha256: str) -> None:
    """Forget a recording with its stretches and all uploaded files, and reset the widgets that took them."""
    stretches = [key for key, one in held().items() if one.recording.part_of == sha256]
    for gone in (sha256, *stretches):
        for known in (held(), given_words(), words_asked()):
            known.pop(gone, None)
        _forget_in_voice(gone)
    if (long := held_long()) is not None and long.sha256 == sha256:
        close_long()
    forget_uploads(token.partition("-")[2] for token in st.session_state.pop("taken", {}))
    st.session_state["upload_turn"] = upload_turn() + 1
    make_current(next(reversed(held()), None))


def _forget_in_voice(sha256: str) -> None:
    if choice("voice"):
        choose("voice", [other for other in choice("voice") if other != sha256])


def forget_uploads(file_ids: Iterable[str]) -> None:
    """Free the memory of uploaded files that no widget will show again."""
    context = get_script_run_ctx()
    for file_id in file_ids:
        context.uploaded_file_mgr.remove_file(context.session_id, file_id)


def recordings_made() -> int:
    """Return how many recordings were made with the microphone in this visit."""
    return st.session_state.get("made", 0)


def upload_turn() -> int:
    """Return how often the upload widgets were reset; part of their keys."""
    return st.session_state.get("upload_turn", 0)


def current() -> Recording | None:
    """Return the current recording; None also while it is a long one."""
    found = held().get(st.session_state.get("current"))
    return found.recording if found else None


def make_current(sha256: str | None) -> None:
    """Switch to another recording, and reset emotion, contrast and time range; a first one takes those of a link."""
    before = st.session_state.get("current")
    if before != sha256:
        st.session_state["current"] = sha256
        if before is not None:
            reset(TARGET)()


def choice(name: str) -> Any:
    """Return a choice of this visit; it outlives the page with its widget."""
    return st.session_state.setdefault("choices", dict(CHOICES))[name]


def choose(name: str, value: Any) -> None:
    """Set a choice, and let its widget show it."""
    st.session_state.setdefault("choices", dict(CHOICES))[name] = value
    st.session_state.pop(_key(name), None)


def begin_run() -> None:
    """Start a run: set the owner of its decoding, and note which widgets the last run drew.

    After a page change, free the uploads of the other page, which Streamlit would hold until the visit ends, and count
    no widget as drawn: the browser may have left the other page before it had drawn them.
    """
    context = get_script_run_ctx()
    if st.session_state.get("page") != context.page_script_hash:
        st.session_state["page"] = context.page_script_hash
        context.uploaded_file_mgr.remove_session_files(context.session_id)
        st.session_state["drawn"] = set()
    work_owner.set(owner())
    st.session_state["awaited"] = []
    st.session_state["drawn_before"] = st.session_state.get("drawn", set())
    st.session_state["drawn"] = set()


def awaited() -> list[Job]:
    """Return the jobs that the page waits for, in the order in which it shows them; a run begins with none."""
    return st.session_state.setdefault("awaited", [])


def widget(name: str, shown: Any) -> dict[str, Any]:
    """Return the key and the callback that tie a widget to a choice.

    Streamlit forgets a widget's value when a page without it is shown; the choice remains. If a run stopped before it
    drew a widget, the browser forgets the value but Streamlit does not, so it is set again. The first run tells the
    browser a value, later ones do not; one that still loads the widget's script then takes that of the later run.
    """
    key, drawn = _key(name), st.session_state.setdefault("drawn", set())
    known = key in st.session_state and key in drawn | st.session_state.get("drawn_before", set())
    if not known or not _is_in_browser(key):
        st.session_state[key] = st.session_state[key] if known else shown
    drawn.add(key)
    return {"key": key, "on_change": _remember, "args": (name,)}


def _is_in_browser(key: str) -> bool:
    """Return whether the browser sent a value of the widget with this run, as it does once it has drawn it."""
    state = get_script_run_ctx().session_state._state
    return state._key_id_mapper.get_id_from_key(key) in state._new_widget_state.states


def _remember(name: str) -> None:
    if _key(name) in st.session_state:  # else another callback has set the choice since
        st.session_state["choices"][name] = st.session_state[_key(name)]


def _key(name: str) -> str:
    # A widget of another language is another one: the browser has its value by the words of its option.
    return f"widget_{name}_{choice('language')}" if choice("language") else f"widget_{name}"


def reset(names: tuple[str, ...]) -> Callable[[], None]:
    """Return a callback that resets these choices to their defaults."""

    def do() -> None:
        for name in names:
            choose(name, CHOICES[name])

    return do


def settings() -> AnalysisSettings:
    """Return the sidebar's choices as analysis settings."""
    return AnalysisSettings(
        emotion=None if choice("emotion") == BEST else choice("emotion"),
        against=None if choice("against") == ALL_OTHERS else choice("against"),
        stretch_s=choice("stretch"),
        seed=choice("seed"),
        grad_cam=GradCamSettings(choice("layer")),
        occlusion=OcclusionSettings(fill=choice("fill")),
        lime=LimeSettings(masks=choice("masks"), fill=choice("fill")),
        lime_time=replace(AnalysisSettings().lime_time, fill=choice("fill")),
        focus_by=choice("focus_by"),
        focus=FocusSettings(
            smoothing_s=choice("smoothing"),
            threshold=choice("threshold") / 100 if choice("focus_rule") == ABOVE else None,
            share=choice("focus_share") / 100 if choice("focus_rule") == SHARE else None,
        ),
    )


def restore(settings: AnalysisSettings, model: str) -> None:
    """Set the choices of an earlier analysis."""
    values = {
        "model": model,
        "emotion": settings.emotion or BEST,
        "against": settings.against or ALL_OTHERS,
        "stretch": settings.stretch_s,
        "seed": settings.seed,
        "layer": settings.grad_cam.layer,
        "masks": settings.lime.masks,
        "fill": settings.lime.fill,
        "smoothing": settings.focus.smoothing_s,
        "focus_by": settings.focus_by or CHOICES["focus_by"],
        "focus_rule": DECIDING,
    }
    if settings.focus.threshold is not None:
        values |= {"focus_rule": ABOVE, "threshold": round(100 * settings.focus.threshold)}
    elif settings.focus.share is not None:
        values |= {"focus_rule": SHARE, "focus_share": round(100 * settings.focus.share)}
    for name, value in values.items():
        choose(name, value)
