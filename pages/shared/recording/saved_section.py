"""Saved analyses in the sidebar: search, open, delete."""

import math

import streamlit as st

from pages.shared import cached, session
from pages.shared.cached import saved_results
from pages.shared.language import recognised, t
from pages.shared.language.names import in_markdown
from pages.shared.recording import open_recordings
from ser_core.analysis import Recording
from ser_core.errors import SerError
from ser_core.model.classifier import ADAPTED_SUFFIX
from ser_core.model.shipped_models import model_names
from ser_core.output.saved_analyses import SavedAnalysis, data_folder, delete, list_saved_analyses

PAGE_SIZE = 10


def show() -> None:
    """List the saved analyses, newest first, ten at a time."""
    analyses = list_saved_analyses(data_folder())
    if not analyses:
        return
    with st.expander(t("Saved analyses ({n})", n=len(analyses)), icon=":material/folder:"):
        found, text = analyses, session.choice("saved_text")
        if len(analyses) > PAGE_SIZE:
            st.text_input(
                t("Search saved analyses"),
                label_visibility="collapsed",
                placeholder=t("Search"),
                icon=":material/search:",
                help=t("Searches the recording's name, the model and the verdict."),
                **session.widget("saved_text", text),
            )
            words = text.casefold().split()
            found = [saved for saved in analyses if all(word in _search_text(saved) for word in words)]
        pages = max(1, math.ceil(len(found) / PAGE_SIZE))
        searched, number = session.choice("saved_page")
        number = min(number, pages - 1) if searched == text else 0
        first = number * PAGE_SIZE
        shown = found[first : first + PAGE_SIZE]
        for saved in shown:
            _row(saved)
        if not found:
            st.caption(t("No saved analysis matches."))
        if pages > 1:
            _turn_pages(
                t("{first} to {last} of {n}", first=first + 1, last=first + len(shown), n=len(found)), number, pages
            )


def _turn_pages(position: str, number: int, pages: int) -> None:
    """Show the position in the list, between buttons to turn to newer and older analyses."""
    newer, middle, older = st.columns([1, 3, 1], vertical_alignment="center")
    middle.caption(position, text_alignment="center")
    for column, name, label, icon, target in (
        (newer, "Newer", t("Newer"), ":material/chevron_left:", number - 1),
        (older, "Older", t("Older"), ":material/chevron_right:", number + 1),
    ):
        column.button(
            label,
            key=f"icon_saved_{name}",
            icon=icon,
            type="tertiary",
            disabled=not 0 <= target < pages,
            help=label,
            on_click=session.choose,
            args=("saved_page", (session.choice("saved_text"), target)),
        )


def _row(saved: SavedAnalysis) -> None:
    name, remove = st.columns([5, 1], vertical_alignment="center")
    label = in_markdown(f"{saved.recording_name}: {t(saved.verdict)}")
    if name.button(
        label,
        key=f"open_{saved.folder.name}",
        type="tertiary",
        help=t(
            "Model {model_name}, saved {saved_at:%Y-%m-%d %H:%M}",
            model_name=in_markdown(saved.model_name),
            saved_at=session.local_time(saved.saved_at),
        ),
    ):
        _reopen(saved)
    if remove.button(
        t("Delete {label}", label=label),
        key=f"icon_delete_{saved.folder.name}",
        icon=":material/delete:",
        type="tertiary",
        help=t("Delete"),
    ):
        _delete(saved)


def _search_text(saved: SavedAnalysis) -> str:
    return f"{saved.recording_name} {saved.model_name} {saved.verdict} {t(saved.verdict)}".casefold()


def _delete(saved: SavedAnalysis) -> None:
    try:
        delete(saved, data_folder())
    except SerError as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
        return
    st.rerun()


def _reopen(saved: SavedAnalysis) -> None:
    try:
        recording = open_recordings.hold(saved.source(), saved.recording_name, saved.part_of, saved.start_s)
    except SerError as refusal:
        st.error(
            t("This analysis cannot be opened: {refusal}", refusal=in_markdown(recognised(str(refusal)))),
            icon=":material/error:",
        )
        return
    session.restore(saved.settings, saved.model_name.removesuffix(ADAPTED_SUFFIX))
    saved_results.restore_results(saved.results(recording), recording.sha256)
    st.session_state["reopened"] = recording.sha256, _changed_since(saved)
    st.rerun()


def _changed_since(saved: SavedAnalysis) -> str | None:
    """Return why a saved analysis is computed again, and its saved verdict; None if the model is the same."""
    name = saved.model_name.removesuffix(ADAPTED_SUFFIX)
    saved_verdict = t("The verdict was {verdict} when it was saved.", verdict=t(saved.verdict))
    if name != saved.model_name:
        return " ".join([t("It was saved relative to a voice's own normal, which is never stored."), saved_verdict])
    if name not in model_names():
        return " ".join([t("The model {name}, which it was saved with, is no longer here.", name=name), saved_verdict])
    try:
        is_same = saved.is_by(cached.model(name).sha256)
    except SerError:
        return None  # the sidebar shows why the model cannot be loaded
    changed = t("The model {name} has changed since this analysis was saved.", name=name)
    return None if is_same else f"{changed} {saved_verdict}"


def show_what_changed(recording: Recording) -> None:
    """Show why a reopened analysis was computed again, if it was."""
    reopened, words = st.session_state.get("reopened", (None, None))
    if words and reopened == recording.sha256:
        st.warning(in_markdown(words), icon=":material/history:")
