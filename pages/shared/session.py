"""The state of one visit: its owner, its choices, the widgets that show them, and the settings they make."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ser_core.analysis import Recording
from ser_core.explanation.focus import DEFAULT_SHARE
from ser_core.model.classifier import Classifier
from ser_core.settings import AnalysisSettings, FocusSettings, GradCamSettings, LimeSettings, OcclusionSettings
from ser_core.timeline.curves import QUIET_DBFS
from ser_core.work.jobs import Job, work_owner

BEST, ALL_OTHERS = "best score", "all others"

#: How the focus is found: the stretches that decide, a share of the speech, or all above a share of the peak.
DECIDING, SHARE, ABOVE = "deciding", "share", "above"
#: What is made audible: the focus regions, or the strongest points of the map.
REGIONS, POINTS = "regions", "points"
#: Where the voice is changed: everywhere, or in the focus.
WHOLE, FOCUS = "whole", "focus"


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
    "focus_share": round(100 * DEFAULT_SHARE),
    "threshold": 0,
    "sign": "both",
    "opacity": 100,
    "audible": REGIONS,
    "map_share": 30,
    "changed": WHOLE,
    "compared": None,
    "compared_by": "lime",
    "acted": None,
    "predicted": None,
    "annotator": "",
    "project": None,
    "annotate_view": "Queue",
    "train_tab": "Train",
    "evaluate_tab": "Figures",
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
#: Choices that are in the address, by their names there; a choice that is not in it has its default.
IN_ADDRESS = {
    "model": "model",
    "emotion": "emotion",
    "contrast": "against",
    "stretch": "stretch",
    "explainer": "focus_by",
    "project": "project",
    "view": "annotate_view",
    "train": "train_tab",
    "evaluate": "evaluate_tab",
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


def owner() -> str:
    """Return this visit's id; its work and results are never shown to another visit."""
    return st.session_state.setdefault("owner", uuid.uuid4().hex)


def local_time(at: datetime) -> datetime:
    """Return a time in the visitor's time zone."""
    try:
        return at.astimezone(ZoneInfo(st.context.timezone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a browser can send anything
        return at.astimezone(UTC)


def choice(name: str) -> Any:
    """Return a choice of this visit, also on pages without its widget."""
    return st.session_state.setdefault("choices", dict(CHOICES))[name]


def choose(name: str, value: Any) -> None:
    """Set a choice, which its widget then shows."""
    st.session_state.setdefault("choices", dict(CHOICES))[name] = value
    st.session_state.pop(_key(name), None)


def choice_among(name: str, options: Sequence[Any]) -> Any:
    """Return a choice, or the first of the options if it is not among them, and update its widget."""
    if choice(name) in options:
        return choice(name)
    st.session_state.pop(_key(name), None)
    return options[0]


def begin_run() -> None:
    """Start a run: set the owner of its decoding, and note which widgets the last run drew.

    After a page change, free the uploads of the previous page, which Streamlit would hold until the visit ends. No
    widget then counts as drawn: the browser may have left that page before it drew them.
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
    """Return the jobs that the page waits for in this run, in the order in which it shows them."""
    return st.session_state.setdefault("awaited", [])


def widget(name: str, value: Any) -> dict[str, Any]:
    """Return the key and the callback that tie a widget to a choice.

    Streamlit forgets a widget's value on a page without it; the choice remains. If a run stopped before it drew a
    widget, the browser forgets the value but Streamlit does not, so it is set again. A value that is set once can reach
    the browser before it has loaded the widget's script, so it is set until the browser has sent one.
    """
    key, drawn = _key(name), st.session_state.setdefault("drawn", set())
    is_known = key in st.session_state and key in drawn | st.session_state.get("drawn_before", set())
    if not is_known or not _is_in_browser(key):
        st.session_state[key] = st.session_state[key] if is_known else value
    drawn.add(key)
    return {"key": key, "on_change": _remember, "args": (name,)}


def _is_in_browser(key: str) -> bool:
    """Return whether the browser sent the widget's value with this run, as it does once it has drawn the widget."""
    state = get_script_run_ctx().session_state._state
    return state._key_id_mapper.get_id_from_key(key) in state._new_widget_state.states


def _remember(name: str) -> None:
    if _key(name) in st.session_state:  # otherwise another callback has set the choice since
        st.session_state["choices"][name] = st.session_state[_key(name)]


def _key(name: str) -> str:
    # One widget for each language: the browser identifies a value by the text of its option.
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
