"""Files that a job prepares: the button that starts it, its progress, and the download."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.language.names import in_markdown
from ser_core.work.progress import Work


def result_of(key: tuple, title: str, label: str, icon: str, run: Callable[[Work], Any]) -> Any:
    """Return the result of a job; None, with the button that starts it or its progress shown, until there is one."""
    job = cached.jobs().find(session.owner(), key)
    if job is None:
        if not st.button(label, type="primary" if key[0] == "export" else "secondary", icon=icon):
            return None
        job = cached.jobs().submit(session.owner(), key, title, run)
    done = waiting.results({key[0]: job})
    if job.state == "failed":
        job.queue.drop(job)  # so that it can be submitted again
    return done.get(key[0])


def offer_download(files: str, name: str, content: bytes, media_type: str, again: str = "") -> None:
    """Show the button for the download and, if `again` labels one, a button to prepare the file again."""
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            f"{files}: {in_markdown(name)}", content, name, media_type, icon=":material/download:", on_click="ignore"
        )
        if again:
            st.button(
                again,
                icon=":material/refresh:",
                on_click=session.choose,
                args=("export_turn", session.choice("export_turn") + 1),
            )
