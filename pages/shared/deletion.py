"""One click deletes a recording with all that came from it: in this visit, saved, and, where wished, its marks."""

import os
from contextlib import closing

import streamlit as st

from pages.shared import cached, session
from pages.shared.names import in_markdown
from ser_core.annotations.database import FILE_NAME, default_url
from ser_core.annotations.kept_sounds import forget_sound
from ser_core.annotations.store import open_store
from ser_core.annotations.teaching import TAUGHT, delete_taught
from ser_core.errors import SerError
from ser_core.recording import Recording
from ser_core.saved_analyses import data_folder, delete_recording


def button(recording: Recording) -> None:
    """Offer to delete the recording that the pages are about."""
    marks_too = _annotations_are_kept() and st.checkbox(
        "Delete its marks too",
        key=f"delete_marks_{recording.sha256}",
        help="In every project of the page Annotate, with their history. They cannot be restored.",
    )
    if st.button(
        "Delete this recording",
        key="delete_recording",
        icon=":material/delete_forever:",
        width="stretch",
        help="With all that came from it: scores, maps, sounds, the sound kept with its marks, and saved analyses of "
        "it, of any model and visit. "
        "A file of yours that it was read from stays.",
    ):
        try:
            _delete(recording.sha256, marks_too)
        except (SerError, OSError) as refusal:
            st.error(f"Not all of it could be deleted: {in_markdown(str(refusal))}", icon=":material/error:")
        else:
            st.rerun()


def _annotations_are_kept() -> bool:
    return bool(os.environ.get("SER_DATABASE_URL")) or (data_folder() / FILE_NAME).is_file()


def _delete(sha256: str, marks_too: bool) -> None:
    delete_recording(sha256, data_folder())
    forget_sound(sha256, data_folder())
    delete_taught(sha256, data_folder() / TAUGHT)
    if marks_too:
        with closing(open_store(default_url(data_folder()))) as store:
            store.delete_recording(sha256)
            store.overwrite_deleted()
        for kind in ("export", "people", "explainers"):
            cached.jobs().forget(session.owner(), about=kind)
    session.let_go(sha256)
    cached.let_go(sha256)
