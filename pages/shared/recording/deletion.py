"""Delete a recording with all that came from it: in this visit, saved, and in projects, as far as it is one's own."""

import os
from contextlib import closing
from datetime import UTC, datetime

import streamlit as st

from pages.shared import cached, session
from pages.shared.names import in_markdown
from pages.shared.server import login
from ser_core.analysis import Recording
from ser_core.annotations.store.database import FILE_NAME, default_url
from ser_core.annotations.store.kept_sounds import forget_sound
from ser_core.annotations.store.store import open_store
from ser_core.annotations.store.trash import Holding
from ser_core.annotations.store.unfinished import finish_deletions
from ser_core.annotations.teaching.teaching import TAUGHT, delete_taught
from ser_core.errors import AnnotationsRefused, SerError
from ser_core.output.saved_analyses import data_folder, delete_recording

#: In the session: the recording whose deletion is to be confirmed.
CONFIRMING = "deletion to confirm"

LEAVE, TRASH, FOR_GOOD = "Leave it there", "Move it to the trash for 30 days", "Delete it there for good now"


def button(recording: Recording) -> None:
    """Offer to delete the recording that the pages are about; what is in projects is confirmed first."""
    if st.session_state.get(CONFIRMING) == recording.sha256:
        _confirm(recording)
    elif st.button(
        "Delete this recording",
        key="delete_recording",
        icon=":material/delete_forever:",
        width="stretch",
        help="With all that came from it: scores, maps, sounds, and saved analyses of it, of any model and visit. "
        "If it is in projects of the page Annotate, you are told whose marks it has there before anything is deleted. "
        "A file of yours that it was read from stays.",
    ):
        st.session_state[CONFIRMING] = recording.sha256
        try:
            is_in_projects = bool(_holdings(recording.sha256))
        except AnnotationsRefused:
            is_in_projects = True  # nobody knows, and the next run says so
        if is_in_projects or _delete(recording.sha256, LEAVE):
            st.rerun()


def _confirm(recording: Recording) -> None:
    with st.container(border=True, key="confirm_deletion"):
        st.markdown(f"**Delete {in_markdown(recording.name)}?**")
        st.caption("Scores, maps, sounds and saved analyses of it go at once and cannot be restored.")
        choices = _in_projects(recording)
        fate = LEAVE
        if choices:
            fate = st.radio(
                in_markdown(f"In {' and '.join(holding.project_name for holding in choices)}"),
                (LEAVE, TRASH, FOR_GOOD),
                index=1,
                key=f"fate_{recording.sha256}",
                help="Its sound, its marks and their history. What is in the trash can be restored on the page "
                "Annotate, under Projects.",
            )
        with st.container(horizontal=True):
            sure = st.button("Delete", key="confirm_delete", type="primary", icon=":material/delete_forever:")
            if st.button("Cancel", key="cancel_delete"):
                del st.session_state[CONFIRMING]
                st.rerun()
        if sure and _delete(recording.sha256, fate):
            st.rerun()


def _in_projects(recording: Recording) -> list[Holding]:
    """Say which projects hold a recording, and whose marks; return those out of which the visitor may take it."""
    try:
        holdings = _holdings(recording.sha256)
    except AnnotationsRefused as refusal:
        st.warning(f"If it is in projects, it stays there: {in_markdown(str(refusal))}", icon=":material/database_off:")
        return []
    mine = []
    for holding in holdings:
        st.markdown(f"In the project **{in_markdown(holding.project_name)}**: {in_markdown(holding.in_words())}.")
        if holding.may_delete(_person()):
            mine.append(holding)
        else:
            unknown = "" if _person() else " If that is you, type your name on the page Annotate first."
            st.caption(f"It stays there: ask {in_markdown(holding.responsible)} to delete it.{unknown}")
    return mine


def _person() -> str:
    return login.person() or session.choice("annotator").strip()


def _annotations_are_kept() -> bool:
    return bool(os.environ.get("SER_DATABASE_URL")) or (data_folder() / FILE_NAME).is_file()


def _holdings(sha256: str) -> list[Holding]:
    if not _annotations_are_kept():
        return []
    with closing(open_store(default_url(data_folder()))) as store:
        return store.holdings_of(sha256)


def _delete(sha256: str, fate: str) -> bool:
    """Delete a recording and return True, or say what could not be deleted."""
    try:
        delete_recording(sha256, data_folder())
        if _annotations_are_kept():
            _delete_in_projects(sha256, fate)
        else:
            forget_sound(sha256, data_folder())
            delete_taught(sha256, data_folder() / TAUGHT)
    except (SerError, OSError) as refusal:
        st.error(f"Not all of it could be deleted: {in_markdown(str(refusal))}", icon=":material/error:")
        return False
    st.session_state.pop(CONFIRMING, None)
    session.let_go(sha256)
    cached.let_go(sha256)
    return True


def _delete_in_projects(sha256: str, fate: str) -> None:
    """Take a recording out of projects, and delete its sound where neither they nor the trash know it."""
    try:
        store = open_store(default_url(data_folder()))
    except AnnotationsRefused:
        if fate != LEAVE:
            raise
        return  # it was said already that it stays there
    with closing(store):
        if fate != LEAVE:
            store.delete_recording(sha256, _person(), for_good=fate == FOR_GOOD)
        store.note_sounds([sha256], datetime.now(UTC))
        finish_deletions(store, data_folder())
    for kind in ("export", "people", "explainers"):
        cached.jobs().forget(session.owner(), about=kind)
