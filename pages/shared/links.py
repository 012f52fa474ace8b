"""A link for every view: the address contains the choices that differ from the defaults, and restores them."""

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from functools import partial

import streamlit as st
from streamlit.elements.lib.mutable_tab_container import TabContainer

from pages.shared import session
from pages.shared.annotation import open_project
from pages.shared.annotation.queue import opening
from pages.shared.cached import saved_results
from pages.shared.language import t, texts
from pages.shared.recording import open_recordings
from ser_core.analysis.emotions import COLOURS
from ser_core.errors import SerError
from ser_core.explanation import METHOD_NAMES
from ser_core.model.checkpoint import read_card
from ser_core.model.classifier import ADAPTED_SUFFIX
from ser_core.model.shipped_models import find_model, model_names
from ser_core.output.saved_analyses import data_folder, is_saved, list_saved_analyses

RECORDING = "recording"
#: The latest end of a stretch while the recording is not known; the sidebar drops a stretch outside the recording.
MAX_END_S = 600
#: Tabs, of which the address names the open one; the first is the default.
TABS = texts({"train_tab": ("Train", "Corpora"), "evaluate_tab": ("Figures", "Experiments")})
SHA256 = re.compile("[0-9a-f]{64}")


def begin_visit() -> None:
    """Restore the view from the address of a visit's first page, and show what this visitor cannot open."""
    if not st.session_state.get("link_read"):
        st.session_state["link_read"] = True
        ignored = _restore()
        if ignored:
            st.session_state["link_ignored"] = st.session_state["page"], ignored
    page, ignored = st.session_state.get("link_ignored", (None, []))
    if page == st.session_state["page"]:
        st.info(
            t("Parts of the link cannot be opened here and were ignored: {parts}.", parts=", ".join(ignored)),
            icon=":material/link_off:",
        )


def _restore() -> list[str]:
    """Restore the choices in the address; return the names of those that are unknown or not this visitor's."""
    parameters = st.query_params.to_dict()
    ignored = []
    for name in OPENERS:
        if name in parameters:
            try:
                OPENERS[name](parameters[name])
            except (SerError, ValueError):
                ignored.append(name)
    return ignored


def _open_model(value: str) -> None:
    session.choose("model", _require_one_of(model_names(), value))


def _open_project(value: str) -> None:
    session.choose("project", _require_one_of(open_project.projects(), value))


def _open_explainer(value: str) -> None:
    session.choose("focus_by", _require_one_of(METHOD_NAMES, value))


def _open_emotion(value: str) -> None:
    session.choose("emotion", _require_one_of(_emotions(), value))


def _open_contrast(value: str) -> None:
    if value == session.choice("emotion"):
        raise ValueError
    session.choose("against", _require_one_of(_emotions(), value))


def _open_stretch(value: str) -> None:
    start_s, end_s = (float(part) for part in value.split(":"))
    recording = open_recordings.current()
    max_end_s = round(recording.duration_s, 2) if recording else MAX_END_S
    if not 0 <= start_s < end_s <= max_end_s:
        raise ValueError
    session.choose("stretch", (start_s, end_s))


def _open_recording(sha256: str) -> None:
    """Open a recording that is saved here, with the results of the link's model, or that is in the link's project."""
    if not SHA256.fullmatch(sha256):
        raise ValueError
    analyses = [one for one in list_saved_analyses(data_folder()) if one.folder.name.startswith(sha256[:16])]
    for saved in analyses:
        source = saved.source()
        if hashlib.sha256(source).hexdigest() == sha256:
            recording = open_recordings.hold(source, saved.recording_name, saved.part_of, saved.start_s)
            for by_model in (one for one in analyses if one.model_name.removesuffix(ADAPTED_SUFFIX) == _model()):
                saved_results.restore_results(by_model.results(recording), sha256)
            return
    project = session.choice("project")
    if project is None or opening.open_queued(open_project.queued(project, sha256)) is not None:
        raise ValueError


def _open_view(value: str) -> None:
    session.choose("annotate_view", _require_one_of(open_project.VIEWS, value))


def _open_tab(name: str, value: str) -> None:
    session.choose(name, _require_one_of(TABS[name], value))


#: In this order: emotions belong to a model, a recording to a project.
OPENERS: dict[str, Callable[[str], None]] = {
    "model": _open_model,
    "project": _open_project,
    "explainer": _open_explainer,
    RECORDING: _open_recording,
    "emotion": _open_emotion,
    "contrast": _open_contrast,
    "stretch": _open_stretch,
    "view": _open_view,
    "train": partial(_open_tab, "train_tab"),
    "evaluate": partial(_open_tab, "evaluate_tab"),
}


def _require_one_of(allowed: Collection[str], value: str) -> str:
    if value not in allowed:
        raise ValueError
    return value


def _model() -> str:
    """Return the name of the chosen model, else of the default one."""
    names = model_names()
    return session.choice("model") if session.choice("model") in names else next(iter(names), "")


def _emotions() -> list[str]:
    """Return the emotions of the chosen model that the app knows."""
    return [emotion for emotion in read_card(find_model(_model()))["emotions"] if emotion in COLOURS]


def _view() -> dict[str, str]:
    """Return the choices that differ from the defaults, as parameters of the address."""
    parameters = {}
    for name, choice in session.IN_ADDRESS.items():
        value = session.choice(choice)
        if value != session.CHOICES[choice]:
            parameters[name] = "{:.2f}:{:.2f}".format(*value) if name == "stretch" else str(value)
    if (sha256 := _shared_recording()) is not None:
        parameters[RECORDING] = sha256
    return parameters


def write() -> dict[str, str]:
    """Put the choices that differ from the defaults into the address, and return them."""
    parameters = _view()
    for name in (*session.IN_ADDRESS, RECORDING):
        if name in parameters and st.query_params.get(name) != parameters[name]:
            st.query_params[name] = parameters[name]
        elif name not in parameters and name in st.query_params:
            del st.query_params[name]
    return parameters


def tabs(name: str) -> Sequence[TabContainer]:
    """Draw tabs; the open one is a choice of this visit, and opening another runs the page again."""
    labels = {t(title): title for title in TABS[name]}
    if st.session_state.get(name) not in labels:  # forgotten on another page, or chosen in another language
        st.session_state[name] = t(session.choice(name))

    def remember() -> None:
        session.choose(name, labels[st.session_state[name]])

    return st.tabs(list(labels), key=name, on_change=remember)


def _shared_recording() -> str | None:
    """Return the SHA-256 of the current recording if a link can open it: if it is saved, or from a project."""
    recording, long = open_recordings.current(), open_recordings.current_long()
    if long is not None:
        return None if isinstance(long.source, bytes) else long.sha256
    if recording is None:
        return None
    in_project = session.choice("project") is not None and st.session_state.get("queued") == recording.sha256
    return recording.sha256 if in_project or is_saved(recording.sha256, data_folder()) else None
