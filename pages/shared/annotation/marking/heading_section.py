"""Above the player of the view Mark: the recording's name, what is shown beside the marks, undo and navigation."""

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared import session
from pages.shared.annotation.marking import player_edits
from pages.shared.annotation.open_project import OpenProject, attempt
from pages.shared.annotation.tiers import tiers_section
from pages.shared.language import t, texts
from pages.shared.language.names import in_markdown
from pages.shared.session import Chosen
from ser_core.annotations.store.transactions.recordings import OpenRecording
from ser_core.explanation import METHOD_NAMES, focus_methods_of

#: What can be shown beside one's own marks.
EVIDENCE, OTHERS, DECIDE = texts(("Model's evidence", "Others' marks", "Gold"))


def show(project: OpenProject, opened: OpenRecording, chosen: Chosen | None, may_review: bool) -> None:
    """Show the name, what is shown beside the marks, and a button for tiers."""
    queued = opened.recording
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="mark_heading"):
        st.header(in_markdown(queued.file.name), width="content")
        st.pills(
            t("Beside my marks"),
            [EVIDENCE, OTHERS, DECIDE] if may_review else [EVIDENCE, OTHERS],
            format_func=t,
            selection_mode="multi",
            label_visibility="collapsed",
            width="content",
            help=t(
                "The model's evidence and other people's marks can influence you. Turn both off to judge by ear. "
                "Reviewers decide in the gold layer what is right."
            ),
            **session.widget("beside", [one for one in session.choice("beside") if may_review or one != DECIDE]),
        )
        _explainer(chosen)
        with st.container(width="content"):
            tiers_section.show(project, queued.file.sha256, opened.tiers)
        st.toggle(
            t("Snap"),
            width="content",
            help=t("Dragged edges snap to nearby boundaries of segments, focus regions and other marks."),
            **session.widget("snap", session.choice("snap")),
        )


def show_steps(project: OpenProject, opened: OpenRecording, bar: DeltaGenerator) -> None:
    """Show buttons for undo and for the recordings before and after, in the bar."""
    sha256 = opened.recording.file.sha256
    actions = (
        ("undo", opened.can_undo, t("Undo (Ctrl + Z)"), project.store.history.undo),
        ("redo", opened.can_redo, t("Redo (Ctrl + Y)"), project.store.history.redo),
    )
    turns = (
        ("previous", opened.previous, t("Previous recording (Page up)")),
        ("next", opened.next, t("Next recording (Page down)")),
    )
    with bar.container(horizontal=True, width="content", gap="xsmall"):
        for name, can, words, action in actions:
            _icon(name, f":material/{name}:", words, can, attempt, (action, project.id, sha256, project.annotator))
        for name, there, words in turns:
            _icon(name, f":material/skip_{name}:", words, there, player_edits.turn, (project, sha256, name))


def _explainer(chosen: Chosen | None) -> None:
    """Ask for the explainer of the model's evidence, if that is shown."""
    if chosen is None or EVIDENCE not in session.choice("beside"):
        return
    methods = [*focus_methods_of(chosen.classifier), "consensus"]
    st.selectbox(
        t("Evidence by"),
        methods,
        width=205,
        format_func=lambda method: t(METHOD_NAMES[method]),
        label_visibility="collapsed",
        help=t("The explainer that gives the model's evidence and the suggestions."),
        **session.widget("suggest_by", session.choice_among("suggest_by", methods)),
    )


def _icon(name: str, icon: str, words: str, can: object, action: Callable[..., None], arguments: tuple) -> None:
    st.button(words, key=f"icon_{name}", icon=icon, disabled=not can, help=words, on_click=action, args=arguments)
