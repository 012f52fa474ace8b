"""The recordings of a map as a table, chosen ones first, and the actions on all of them."""

from collections.abc import Sequence

import streamlit as st

from pages.shared.annotation.corpus_map.contents import group_in_words
from pages.shared.annotation.open_project import LABELS, OpenProject
from pages.shared.annotation.queue.queue_choice import choose_recordings
from pages.shared.language import language, plural, recognised, t, texts
from pages.shared.language.names import emotion_in_words, in_markdown, printable
from ser_core.annotations.annotation import STATUSES, Tier
from ser_core.annotations.corpus_map.mapping import CorpusMap
from ser_core.annotations.corpus_map.points import Point
from ser_core.annotations.store.transactions.labels import LabelledRecording
from ser_core.errors import AnnotationsRefused

AS_IT_IS = texts("as it is")


def show_choice(
    project: OpenProject,
    shown: Sequence[LabelledRecording],
    points: Sequence[Point],
    found: CorpusMap,
    tier: Tier | None,
) -> None:
    """Show the chosen recordings, or all, as a table; label them in one go, or make them the queue."""
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
    _say_what_was_done(project)


def _table(
    project: OpenProject,
    rows: Sequence[int],
    shown: Sequence[LabelledRecording],
    points: Sequence[Point],
    found: CorpusMap,
    tier: Tier | None,
) -> list[int]:
    """Show rows, and return those that are ticked."""
    places = found.layout.points
    across, up = t("Left to right"), t("Bottom to top")
    label = t("Label") if tier is None else t("Label in {tier}", tier=printable(tier.name))
    table = {
        t("Recording"): [printable(shown[row].file.name) for row in rows],
        label: [group_in_words(points[row].label) for row in rows],
        t("Model"): [group_in_words(points[row].verdict) for row in rows],
        t("Speaker"): [group_in_words(points[row].speaker) for row in rows],
        t("Disagreement"): [group_in_words(points[row].disagreement) for row in rows],
        across: [float(places[row, 0]) for row in rows],
        up: [float(places[row, 1]) for row in rows],
    }
    made = st.dataframe(
        table,
        hide_index=True,
        height=min(35 * (len(rows) + 1) + 3, 320),
        on_select="rerun",
        selection_mode="multi-row",
        key=f"map table {hash(tuple(shown[row].file.sha256 for row in rows))} {project.id}",
        column_config={
            t("Disagreement"): st.column_config.Column(width="medium"),
            **dict.fromkeys((across, up), st.column_config.NumberColumn(format="%.1f")),
        },
    )
    return [rows[at] for at in made["selection"]["rows"] if at < len(rows)]


def _actions(project: OpenProject, chosen: Sequence[LabelledRecording]) -> None:
    label, status, give, queue = st.columns([2, 1.3, 1.5, 1.5], vertical_alignment="bottom")
    # A browser sends a choice as its text, which in another language would pass for a label that somebody typed.
    of = f"{project.id} {language()}"
    emotion = label.selectbox(
        t("Label"),
        list(LABELS),
        index=None,
        format_func=emotion_in_words,
        accept_new_options=True,
        placeholder=t(AS_IT_IS),
        key=f"map label {of}",
        help=t("Of the recording as a whole. Only your own labels change."),
    )
    wanted = status.selectbox(t("Status"), [AS_IT_IS, *STATUSES], format_func=t, key=f"map status {of}")
    # What was shown when the button was drawn: what somebody changes before the click is not overwritten.
    seen = {one.file.sha256: _revision(one, project.annotator) for one in chosen}
    give.button(
        t("Label {n}", n=len(chosen)) if chosen else t("Label"),
        type="primary",
        icon=":material/label:",
        width="stretch",
        disabled=not chosen or (emotion is None and wanted == AS_IT_IS),
        on_click=_label,
        args=(project, seen, emotion, None if wanted == AS_IT_IS else wanted),
    )
    queue.button(
        t("Queue {n}", n=len(chosen)) if chosen else t("Queue"),
        icon=":material/playlist_play:",
        width="stretch",
        disabled=not chosen,
        help=t("Work through these alone, one after the other."),
        on_click=_queue,
        args=(project, frozenset(seen)),
    )


def _revision(recording: LabelledRecording, annotator: str) -> int:
    mine = recording.labels.get(annotator)
    return 0 if mine is None else mine.revision


def _label(project: OpenProject, seen: dict[str, int], emotion: str | None, status: str | None) -> None:
    try:
        done = project.store.labels.change(project.id, seen, project.annotator, emotion=emotion, status=status)
        st.session_state[f"map done {project.id}"] = done
        st.session_state.pop(f"map refusal {project.id}", None)
    except AnnotationsRefused as refusal:
        st.session_state[f"map refusal {project.id}"] = str(refusal)


def _undo(project: OpenProject) -> None:
    done = st.session_state.pop(f"map done {project.id}", None)
    if done is None:  # a second click that was quicker than the page
        return
    try:
        project.store.labels.undo(project.id, done, project.annotator)
    except AnnotationsRefused as refusal:
        st.session_state[f"map refusal {project.id}"] = str(refusal)


def _queue(project: OpenProject, chosen: frozenset[str]) -> None:
    words = plural(len(chosen), "the {n} recording chosen on the map", "the {n} recordings chosen on the map")
    choose_recordings(project, chosen, words)


def _say_what_was_done(project: OpenProject) -> None:
    if refusal := st.session_state.pop(f"map refusal {project.id}", None):
        st.error(in_markdown(recognised(refusal)), icon=":material/sync_problem:")
    done = st.session_state.get(f"map done {project.id}")
    if done is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.success(plural(len(done.sha256), "{n} label changed.", "{n} labels changed."), icon=":material/check:")
        if done.sha256:
            st.button(t("Undo"), icon=":material/undo:", on_click=_undo, args=(project,), key=f"undo map {project.id}")
