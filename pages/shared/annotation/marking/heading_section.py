"""Above the player of the view Mark: the recording's name, the choice of layers, undo and navigation."""

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

#: Layers that can be shown beside one's own marks.
EVIDENCE, OTHERS, DECIDE = texts(("Model's evidence", "Others' marks", "Gold"))


def show(project: OpenProject, opened: OpenRecording, chosen: Chosen | None, may_review: bool) -> None:
    """Show the name, the choice of layers beside the marks, and a button for tiers."""
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
            **session.widget("beside", [layer for layer in session.choice("beside") if may_review or layer != DECIDE]),
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
    """Show buttons in the bar for undo and redo, and for the previous and next recording."""
    sha256 = opened.recording.file.sha256
    actions = (
        ("undo", opened.can_undo, t("Undo (Ctrl + Z)"), project.store.history.undo),
        ("redo", opened.can_redo, t("Redo (Ctrl + Y)"), project.store.history.redo),
    )
    neighbours = (
        ("previous", opened.previous, t("Previous recording (Page up)")),
        ("next", opened.next, t("Next recording (Page down)")),
    )
    with bar.container(horizontal=True, width="content", gap="xsmall"):
        for name, enabled, label, action in actions:
            args = (action, project.id, sha256, project.annotator)
            _icon_button(name, f":material/{name}:", label, enabled, attempt, args)
        for name, neighbour, label in neighbours:
            args = (project, sha256, name)
            _icon_button(name, f":material/skip_{name}:", label, neighbour, player_edits.open_neighbour, args)


def _explainer(chosen: Chosen | None) -> None:
    """Show the choice of explainer, if the model's evidence is shown."""
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


def _icon_button(name: str, icon: str, label: str, enabled: object, action: Callable[..., None], args: tuple) -> None:
    st.button(label, key=f"icon_{name}", icon=icon, disabled=not enabled, help=label, on_click=action, args=args)
