"""The open project: its store, its id and name, the annotator, and refused changes to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared import cached, session
from pages.shared.annotation import deletion_section
from pages.shared.language import recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from pages.shared.server import login
from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.annotation import is_gold_name
from ser_core.annotations.store.database import default_url
from ser_core.annotations.store.tables import valid_name
from ser_core.annotations.store.transactions import Store
from ser_core.annotations.store.transactions.projects import Project
from ser_core.annotations.store.work_queue import QueuedRecording
from ser_core.errors import AnnotationsRefused, SerError
from ser_core.output.saved_analyses import data_folder

#: Labels on the keys 1 to 8, with their colours. Any other label can be typed.
LABELS = {name: COLOURS[name] for name in ("angry", "happy", "neutral", "sad", "fear", "surprise", "disgust", "calm")}

VIEWS = texts(("Queue", "Mark", "Find", "Map", "Agreement", "Teach", "Files"))


@dataclass(frozen=True)
class OpenProject:
    """A project, and the annotator who opened it."""

    store: Store
    id: int
    name: str
    annotator: str


def projects() -> dict[str, Project]:
    """Return the projects that a visitor may open, by name; does not create a database."""
    if not cached.has_annotations():
        return {}
    store = cached.annotations(default_url(data_folder()))
    return {project.name: project for project in store.projects.page(size=1_000).items}


def queued(name: str, sha256: str) -> QueuedRecording:
    """Return a recording of a project.

    Raises
    ------
    AnnotationsRefused
        If there is no such project, or no such recording in it.
    """
    if name not in projects():
        raise AnnotationsRefused(f"There is no project {name}. Choose another one.")
    store = cached.annotations(default_url(data_folder()))
    return store.recordings.open(projects()[name].id, sha256, login.person() or "anybody").recording


def choose_in_bar() -> tuple[OpenProject, DeltaGenerator]:
    """Do what `choose` does, in a narrow bar once both are known; also return a container for controls in that bar."""
    annotator = login.person() or session.choice("annotator")
    try:
        is_chosen = annotator and session.choice("project") in projects()
    except AnnotationsRefused:
        is_chosen = False
    if not is_chosen:
        return choose(), st.container()
    row = {"horizontal": True, "horizontal_alignment": "distribute", "vertical_alignment": "center", "gap": "small"}
    with st.container(**row, key="mark_bar"):
        bar = st.container(horizontal=True, vertical_alignment="center", width="content", gap="small")
        title = in_markdown(f"{annotator} · {session.choice('project')}")
        with st.popover(title, icon=":material/badge:", width="content"):
            return choose(with_management=False), bar


def choose(with_management: bool = True) -> OpenProject:
    """Show fields for the annotator and the project; stop the page until both are known.

    With `with_management`, projects can also be created, deleted and restored.
    """
    try:
        store = cached.annotations(default_url(data_folder()))
        projects = {project.name: project for project in store.projects.page(size=1_000).items}
    except AnnotationsRefused as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/database_off:")
        st.stop()
    widths = [2, 3, 1.2] if with_management else [1, 1, 0.01]
    annotator_column, project_column, management_column = st.columns(widths, vertical_alignment="bottom")
    annotator = _annotator(annotator_column)
    if is_gold_name(annotator):
        st.error(t("The name *gold* is reserved for the gold layer. Enter your own name."), icon=":material/badge:")
        st.stop()
    if session.choice("project") not in projects:
        session.choose("project", next(iter(projects), None))
    if projects:
        project_column.selectbox(
            t("Project"),
            list(projects),
            format_func=printable,
            **session.widget("project", session.choice("project")),
        )
        if not with_management:
            chosen = projects[session.choice("project")]
            return OpenProject(store, chosen.id, chosen.name, annotator)
        with management_column.popover(
            t("Projects"), icon=":material/folder_managed:", width="stretch", key="projects"
        ):
            _create(store, annotator)
            deletion_section.delete_project(store, projects[session.choice("project")], annotator)
            deletion_section.trash(store, annotator)
    else:
        with project_column:
            st.markdown(t("**No project yet.** A project holds recordings and everybody's marks on them."))
        _create(store, annotator)
        deletion_section.trash(store, annotator)
    if not annotator or not projects:
        if projects:
            st.info(t("Enter your name or initials to begin. They are saved with every mark."), icon=":material/badge:")
        st.stop()
    chosen = projects[session.choice("project")]
    return OpenProject(store, chosen.id, chosen.name, annotator)


def _annotator(column: DeltaGenerator) -> str:
    person = login.person()
    if person is not None:
        column.text_input(t("Annotator"), person, disabled=True, help=t("The name you are logged in with."))
        return person
    return column.text_input(
        t("Annotator"),
        placeholder=t("Your name or initials"),
        max_chars=80,
        help=t("Your marks are saved under this name. Other people's marks are hidden unless you show them."),
        **session.widget("annotator", session.choice("annotator")),
    ).strip()


def _create(store: Store, owner: str) -> None:
    with st.form("new_project", border=False, clear_on_submit=True):
        name = st.text_input(t("New project name"), max_chars=120)
        if st.form_submit_button(t("Create project"), type="primary", icon=":material/create_new_folder:"):
            try:
                store.projects.create(name, owner)
            except AnnotationsRefused as refusal:
                st.error(in_markdown(recognised(str(refusal))), icon=":material/block:")
                return
            session.choose("project", valid_name(name, "name of the project"))
            st.rerun()


def attempt(action: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    """Run an action from a callback; the next run of the page shows its refusal."""
    try:
        action(*args, **kwargs)
    except SerError as refusal:
        refusals().append(str(refusal))


def refusals() -> list[str]:
    """Return the list of refusals not yet shown; callers modify it in place."""
    return st.session_state.setdefault("annotation refusals", [])


def show_refusals() -> None:
    """Show each refusal once."""
    for refusal in refusals():
        st.error(in_markdown(recognised(refusal)), icon=":material/sync_problem:")
    refusals().clear()
