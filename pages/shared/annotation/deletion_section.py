"""Delete a project, after showing whose marks it contains, and restore what is in the trash."""

from collections.abc import Callable

import streamlit as st

from pages.shared import cached, session
from pages.shared.language import plural, recognised, t
from pages.shared.language.names import in_markdown
from pages.shared.recording.deletion import marks_in_words
from ser_core.annotations.saved_sounds import finish_deletions
from ser_core.annotations.store.transactions import Store
from ser_core.annotations.store.transactions.projects import Project
from ser_core.annotations.store.trash import Deleted
from ser_core.errors import AnnotationsRefused
from ser_core.output.saved_analyses import data_folder

#: Session keys: the project, and the id in the trash, whose deletion awaits confirmation.
PROJECT, FOR_GOOD = "project to delete", "trash to delete"


def delete_project(store: Store, project: Project, person: str) -> None:
    """Offer to delete a project; first show its contents and who may delete it."""
    name = in_markdown(project.name)
    if st.session_state.get(PROJECT) != project.id:
        st.button(
            t("Delete {name}", name=name), icon=":material/delete:", on_click=_confirm, args=(PROJECT, project.id)
        )
        return
    try:
        ownership = store.trash.ownership_of_project(project.id)
    except AnnotationsRefused as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
        return
    with st.container(border=True, key="confirm_project"):
        st.markdown(
            t(
                "**{name}** contains {recordings}: {marks}.",
                name=name,
                recordings=plural(project.recordings, "{n} recording", "{n} recordings"),
                marks=in_markdown(marks_in_words(ownership)),
            )
        )
        if not ownership.may_delete(person):
            st.caption(
                t(
                    "This project is not yours. Ask {responsible} to delete it.",
                    responsible=in_markdown(ownership.responsible),
                )
            )
            st.button(t("Close"), key="keep_project", on_click=_confirm, args=(PROJECT, None))
            return
        for_good = st.checkbox(
            t("Delete permanently, without the trash"),
            key=f"project_for_good_{project.id}",
            help=t("If this is off, you can restore the project below for 30 days, with its audio, marks and history."),
        )
        with st.container(horizontal=True):
            confirmed = st.button(t("Delete project"), type="primary", icon=":material/delete_forever:")
            st.button(t("Cancel"), key="keep_project", on_click=_confirm, args=(PROJECT, None))
        if confirmed and _attempt(store, lambda: store.trash.delete_project(project.id, person, for_good=for_good)):
            _forget(project)
            session.choose("project", None)
            st.rerun()


def trash(store: Store, person: str) -> None:
    """List what was deleted in the last 30 days and may be restored by this person."""
    with st.expander(t("Trash"), icon=":material/auto_delete:", key="annotation_trash", on_change="rerun") as opened:
        if not opened.open:
            return
        items = [deleted for deleted in store.trash.items() if deleted.may_restore(person)]
        if not items:
            st.caption(t("Nothing of yours was deleted in the last 30 days."))
        for deleted in items:
            _trash_item(store, deleted, person)


def _trash_item(store: Store, deleted: Deleted, person: str) -> None:
    project = in_markdown(deleted.project_name)
    marks = plural(sum(deleted.marks.values()), "{n} mark", "{n} marks")
    if deleted.recording_name is None:
        recordings = plural(deleted.recordings, "{n} recording", "{n} recordings")
        st.markdown(f"**{project}**, {recordings}, {marks}")
    else:
        recording = in_markdown(deleted.recording_name)
        st.markdown(t("**{recording}** in {project}, {marks}", recording=recording, project=project, marks=marks))
    st.caption(
        t(
            "Deleted by {person} on {deleted_at:%Y-%m-%d}. Removed permanently on {expires_at:%Y-%m-%d}.",
            person=in_markdown(deleted.deleted_by) or t("an unnamed person"),
            deleted_at=deleted.deleted_at,
            expires_at=deleted.expires_at,
        )
    )
    with st.container(horizontal=True):
        if st.button(t("Restore"), key=f"restore_{deleted.id}", icon=":material/restore_from_trash:") and _attempt(
            store, lambda: store.trash.restore(deleted.id, person)
        ):
            st.rerun()
        if not deleted.may_delete(person):
            return
        if st.session_state.get(FOR_GOOD) != deleted.id:
            st.button(
                t("Delete permanently"), key=f"purge_{deleted.id}", on_click=_confirm, args=(FOR_GOOD, deleted.id)
            )
        elif st.button(
            t("Yes, delete permanently"),
            key=f"purge_{deleted.id}_sure",
            type="primary",
            icon=":material/delete_forever:",
        ) and _attempt(store, lambda: store.trash.delete_for_good(deleted.id, person)):
            st.rerun()


def _confirm(key: str, id_: int | None) -> None:
    st.session_state[key] = id_


def _attempt(store: Store, action: Callable[[], object]) -> bool:
    """Delete or restore something and return True, or show why it was refused."""
    try:
        action()
        finish_deletions(store, data_folder())
    except AnnotationsRefused as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
        return False
    return True


def _forget(project: Project) -> None:
    """Forget what this visit computed for a project, because SQLite gives its id to the next project."""
    for key in [key for key in st.session_state if str(key).endswith(f" {project.id}")]:
        del st.session_state[key]
    st.session_state.pop("annotation shown", None)
    st.session_state.pop(PROJECT, None)
    session.choose("queue_among", None)
    for kind in ("people", "explainers", "export", "map"):
        cached.jobs().forget(session.owner(), about=kind)
