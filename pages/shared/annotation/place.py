"""Where marks are made: the store, the project in it, and who marks."""

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared import cached, login, session
from pages.shared.names import in_markdown, printable
from ser_core.annotations.database import default_url
from ser_core.annotations.kept_sounds import forget_sound
from ser_core.annotations.recordings import Queue
from ser_core.annotations.store import Project, Store, open_store
from ser_core.annotations.teaching import TAUGHT, delete_taught
from ser_core.emotions import COLOURS
from ser_core.errors import AnnotationsRefused
from ser_core.saved_analyses import data_folder

#: The keys 1 to 8, and their colours. Any other name can be typed.
LABELS = {name: COLOURS[name] for name in ("angry", "happy", "neutral", "sad", "fear", "surprise", "disgust", "calm")}

ANY = "any"

ORDERS = {
    "added": "as added",
    "name": "by name",
    "uncertainty": "model least sure first",
    "explainers_disagreement": "explainers disagree most first",
    "annotators_disagreement": "annotators disagree most first",
}


@dataclass(frozen=True)
class Place:
    """A project that is open, and the annotator who has opened it."""

    store: Store
    project: int
    project_name: str
    annotator: str


@st.cache_resource(show_spinner="Opening the annotations")
def _store(url: str) -> Store:
    return open_store(url)


def choose() -> Place:
    """Ask who marks and in which project; the page ends here as long as that is not known."""
    try:
        store = _store(default_url(data_folder()))
        projects = {project.name: project for project in store.projects(size=1_000).items}
    except AnnotationsRefused as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/database_off:")
        st.stop()
    who, where, new = st.columns([2, 3, 1.2], vertical_alignment="bottom")
    annotator = _annotator(who)
    if session.choice("project") not in projects:
        session.choose("project", next(iter(projects), None))
    if projects:
        where.selectbox(
            "Project",
            list(projects),
            format_func=printable,
            **session.widget("project", session.choice("project")),
        )
        with new.popover("Projects", icon=":material/folder_managed:", width="stretch"):
            _create(store)
            _delete(store, projects.get(session.choice("project")))
    else:
        with where:
            st.markdown("**No project yet.** A project holds recordings and everybody's marks in them.")
        _create(store)
    if not annotator or not projects:
        if projects:
            st.info("Type your name or initials to begin: every mark says who made it.", icon=":material/badge:")
        st.stop()
    chosen = projects[session.choice("project")]
    return Place(store, chosen.id, chosen.name, annotator)


def _annotator(column: DeltaGenerator) -> str:
    known = login.person()
    if known is not None:
        column.text_input("Annotator", known, disabled=True, help="The name that you have logged in with.")
        return known
    return column.text_input(
        "Annotator",
        placeholder="Your name or initials",
        max_chars=80,
        help="Marks are kept under this name. Everybody has their own; nobody sees others' unless they ask.",
        **session.widget("annotator", session.choice("annotator")),
    ).strip()


def _create(store: Store) -> None:
    with st.form("new_project", border=False, clear_on_submit=True):
        name = st.text_input("Name of the new project", max_chars=120)
        if st.form_submit_button("Create project", type="primary", icon=":material/create_new_folder:"):
            try:
                store.create_project(name)
            except AnnotationsRefused as refusal:
                st.error(in_markdown(str(refusal)), icon=":material/block:")
                return
            session.choose("project", name.strip())
            st.rerun()


def _delete(store: Store, project: Project) -> None:
    with st.form("delete_project", border=False, clear_on_submit=True):
        name = printable(project.name)
        sure = st.text_input(
            f"Delete {in_markdown(project.name)}",
            placeholder="Type its name to delete it",
            help="With everybody's marks in it, their history, and the sound that no other project needs. "
            "It cannot be restored; the view Files takes the marks out first.",
        )
        if st.form_submit_button("Delete project", icon=":material/delete_forever:"):
            if sure.strip() != name:
                st.error("Type the name of the project as it stands above.", icon=":material/block:")
                return
            try:
                for sha256 in store.delete_project(project.id):
                    forget_sound(sha256, data_folder())
                    delete_taught(sha256, data_folder() / TAUGHT)
                store.overwrite_deleted()
            except AnnotationsRefused as refusal:
                st.error(in_markdown(str(refusal)), icon=":material/error:")
                return
            _forget(project)
            session.choose("project", None)
            st.rerun()


def _forget(project: Project) -> None:
    """Drop what this visit computed of a project: SQLite gives its number to the next one."""
    for key in [key for key in st.session_state if str(key).endswith(f" {project.id}")]:
        del st.session_state[key]
    st.session_state.pop("annotation shown", None)
    for kind in ("people", "explainers", "export"):
        cached.jobs().forget(session.owner(), about=kind)


def queue_of(place: Place) -> Queue:
    """Return the queue as the filters of this visit have it."""
    return Queue(
        annotator=None if session.choice("queue_whose") != "me" else place.annotator,
        status=None if session.choice("queue_status") == ANY else session.choice("queue_status"),
        emotion=None if session.choice("queue_emotion") == ANY else session.choice("queue_emotion"),
        text=session.choice("queue_text"),
        order=session.choice("queue_order"),
    )
