"""The recordings of a map as a table, chosen ones first, and the actions on all of them."""

from collections.abc import Sequence

import streamlit as st

from pages.shared.annotation.corpus_map.contents import group_in_words
from pages.shared.annotation.open_project import LABELS, OpenProject
from pages.shared.annotation.queue.queue_choice import choose_recordings
from pages.shared.language import language, number_column, plural, recognised, t, texts
from pages.shared.language.names import emotion_in_words, in_markdown, printable
from ser_core.annotations.annotation import STATUSES, Tier
from ser_core.annotations.corpus_map.mapping import CorpusMap
from ser_core.annotations.corpus_map.points import NO_SPEAKER, Point
from ser_core.annotations.store.transactions.labels import LabelledRecording
from ser_core.errors import AnnotationsRefused

UNCHANGED = texts("as it is")
#: In pixels, so that the other columns are visible in a window of 1280 pixels.
NAME_WIDTH = 190


def show_choice(
    project: OpenProject,
    shown: Sequence[LabelledRecording],
    points: Sequence[Point],
    found: CorpusMap,
    tier: Tier | None,
) -> None:
    """Show the chosen recordings, or all, as a table, with actions to label them together or make them the queue."""
    sha256 = set(st.session_state.get(f"map chosen {project.id}", ()))
    chosen = [index for index, recording in enumerate(shown) if recording.file.sha256 in sha256]
    rows = chosen or list(range(len(shown)))
    if chosen:
        words = plural(len(rows), "**{n} recording chosen on the map**", "**{n} recordings chosen on the map**")
    else:
        words = plural(len(rows), "**{n} recording on the map**", "**{n} recordings on the map**")
    st.markdown(words)
    ticked = _table(project, rows, shown, points, found, tier)
    if not chosen and not ticked:
        st.caption(t("Choose recordings: draw around them with *Lasso*, or tick rows of the table."))
    _actions(project, [shown[row] for row in ticked or chosen])
    _show_result(project)


def _table(
    project: OpenProject,
    rows: Sequence[int],
    shown: Sequence[LabelledRecording],
    points: Sequence[Point],
    found: CorpusMap,
    tier: Tier | None,
) -> list[int]:
    """Show rows, and return the ticked ones."""
    positions = found.layout.points
    across, up = t("Left to right"), t("Bottom to top")
    label = t("Label") if tier is None else t("Label in {tier}", tier=printable(tier.name))
    speakers = [points[row].speaker for row in rows]
    table = {
        t("Recording"): [printable(shown[row].file.name) for row in rows],
        label: [group_in_words(points[row].label) for row in rows],
        t("Model"): [group_in_words(points[row].verdict) for row in rows],
        **({t("Speaker"): list(map(group_in_words, speakers))} if {*speakers} != {NO_SPEAKER} else {}),
        t("Disagreement"): [group_in_words(points[row].disagreement) for row in rows],
        across: [round(float(positions[row, 0]), 1) for row in rows],
        up: [round(float(positions[row, 1]), 1) for row in rows],
    }
    selected = st.dataframe(
        table,
        hide_index=True,
        height=min(35 * (len(rows) + 1) + 3, 320),
        on_select="rerun",
        selection_mode="multi-row",
        key=f"map table {hash(tuple(shown[row].file.sha256 for row in rows))} {project.id}",
        column_config={
            t("Recording"): st.column_config.Column(pinned=True, width=NAME_WIDTH),
            **{title: number_column(title, 1) for title in (across, up)},
        },
    )
    return [rows[position] for position in selected["selection"]["rows"] if position < len(rows)]


def _actions(project: OpenProject, chosen: Sequence[LabelledRecording]) -> None:
    emotion_column, status_column, label_column, queue_column = st.columns(
        [2, 1.3, 1.5, 1.5], vertical_alignment="bottom"
    )
    # A browser sends a choice as its text; in another language that would look like a label that somebody typed.
    key = f"{project.id} {language()}"
    emotion = emotion_column.selectbox(
        t("Label"),
        list(LABELS),
        index=None,
        format_func=emotion_in_words,
        accept_new_options=True,
        placeholder=t(UNCHANGED),
        key=f"map label {key}",
        help=t("Of the recording as a whole. Only your own labels change."),
    )
    new_status = status_column.selectbox(t("Status"), [UNCHANGED, *STATUSES], format_func=t, key=f"map status {key}")
    # The revisions that the button was drawn for: changes made between that and the click are not overwritten.
    revisions = {recording.file.sha256: _revision(recording, project.annotator) for recording in chosen}
    label_column.button(
        t("Label {n}", n=len(chosen)) if chosen else t("Label"),
        type="primary",
        icon=":material/label:",
        width="stretch",
        disabled=not chosen or (emotion is None and new_status == UNCHANGED),
        on_click=_label,
        args=(project, revisions, emotion, None if new_status == UNCHANGED else new_status),
    )
    queue_column.button(
        t("Queue {n}", n=len(chosen)) if chosen else t("Queue"),
        icon=":material/playlist_play:",
        width="stretch",
        disabled=not chosen,
        help=t("Work through these alone, one after the other."),
        on_click=_queue,
        args=(project, frozenset(revisions)),
    )


def _revision(recording: LabelledRecording, annotator: str) -> int:
    label = recording.labels.get(annotator)
    return 0 if label is None else label.revision


def _label(project: OpenProject, revisions: dict[str, int], emotion: str | None, status: str | None) -> None:
    try:
        done = project.store.labels.change(project.id, revisions, project.annotator, emotion=emotion, status=status)
        st.session_state[f"map done {project.id}"] = done
        st.session_state.pop(f"map refusal {project.id}", None)
    except AnnotationsRefused as refusal:
        st.session_state[f"map refusal {project.id}"] = str(refusal)


def _undo(project: OpenProject) -> None:
    done = st.session_state.pop(f"map done {project.id}", None)
    if done is None:  # a second click, before the page was drawn again
        return
    try:
        project.store.labels.undo(project.id, done, project.annotator)
    except AnnotationsRefused as refusal:
        st.session_state[f"map refusal {project.id}"] = str(refusal)


def _queue(project: OpenProject, chosen: frozenset[str]) -> None:
    description = plural(len(chosen), "the {n} recording chosen on the map", "the {n} recordings chosen on the map")
    choose_recordings(project, chosen, description)


def _show_result(project: OpenProject) -> None:
    if refusal := st.session_state.pop(f"map refusal {project.id}", None):
        st.error(in_markdown(recognised(refusal)), icon=":material/sync_problem:")
    done = st.session_state.get(f"map done {project.id}")
    if done is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.success(plural(len(done.sha256), "{n} label changed.", "{n} labels changed."), icon=":material/check:")
        if done.sha256:
            st.button(t("Undo"), icon=":material/undo:", on_click=_undo, args=(project,), key=f"undo map {project.id}")
