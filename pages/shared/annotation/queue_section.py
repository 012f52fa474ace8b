"""The view Queue: the recordings of a project, filtered and ordered, with their status."""

import math

import streamlit as st

from pages.shared import session
from pages.shared.annotation import filling_section, rating_section
from pages.shared.annotation.open_project import ANY, LABELS, ORDERS, OpenProject, queue_of
from pages.shared.names import in_markdown, printable
from ser_core.annotations.annotation import STATUSES
from ser_core.annotations.saved_sounds import saved_sound
from ser_core.annotations.store.recordings import QueuedRecording
from ser_core.annotations.store.store import PAGE_SIZE
from ser_core.errors import SerError
from ser_core.output.saved_analyses import data_folder


def show(project: OpenProject) -> None:
    """Show the progress, the list of recordings, and how to add more."""
    counts = project.store.count_by_status(project.id, project.annotator)
    total = sum(counts.values())
    if not total:
        st.info("This project is empty. Add recordings to mark.", icon=":material/playlist_add:")
        filling_section.show(project)
        return
    finished = counts["done"] + counts["verified"]
    st.progress(
        finished / total,
        text=f"**{finished} of {total}** recordings done by {in_markdown(project.annotator)}"
        + (f", {counts['verified']} of them verified" if counts["verified"] else ""),
    )
    _filters()
    _list(project)
    add, rate = st.columns(2, gap="large")
    with add.expander("Add recordings", icon=":material/playlist_add:"):
        filling_section.show(project)
    with rate.expander("Rate the queue", icon=":material/sort:", expanded=rating_section.is_running(project)):
        rating_section.show(project)


def open_queued(queued: QueuedRecording) -> bool:
    """Make a queued recording the current one; return False and say why if its audio is missing."""
    sha256 = queued.file.sha256
    if sha256 in session.held():
        session.make_current(sha256)
        return True
    source = saved_sound(queued.file, data_folder())
    if source is None:
        st.error(
            f"The audio of {in_markdown(queued.file.name)} is no longer on this machine. Add the same file again: "
            "it is recognised by its content, and its marks are still there.",
            icon=":material/volume_off:",
        )
        return False
    try:
        session.hold_of_queue(source, queued.file.name)
    except SerError as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/block:")
        return False
    return True


def _filters() -> None:
    text, status, whose, emotion, order = st.columns([2, 1.3, 1.3, 1.3, 2.2])
    text.text_input("Name contains", **session.widget("queue_text", session.choice("queue_text")))
    status.selectbox(
        "Status",
        [ANY, *STATUSES],
        **session.widget("queue_status", session.choice("queue_status")),
    )
    whose.selectbox(
        "Whose marks",
        ["me", "anybody"],
        format_func={"me": "mine", "anybody": "anybody's"}.get,
        help="Whose status and marks the filters refer to.",
        **session.widget("queue_whose", session.choice("queue_whose")),
    )
    emotion.selectbox(
        "Marked emotion",
        [ANY, *LABELS],
        **session.widget("queue_emotion", session.choice("queue_emotion")),
    )
    order.selectbox(
        "Order by",
        list(ORDERS),
        format_func=ORDERS.get,
        **session.widget("queue_order", session.choice("queue_order")),
    )


def _list(project: OpenProject) -> None:
    queue, number = queue_of(project), session.choice("queue_page")
    found = project.store.recordings(project.id, queue, number)
    pages = max(1, math.ceil(found.total / PAGE_SIZE))
    if number >= pages:
        session.choose("queue_page", pages - 1)
        st.rerun()
    if not found.items:
        st.info("No recording matches these filters.", icon=":material/filter_alt_off:")
        return
    chosen = st.dataframe(
        [_row(queued) for queued in found.items],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"queue {project.id} {queue} {number} {session.choice('queue_opened')}",
        column_config={
            "length": st.column_config.NumberColumn("Length", format="%.1f s"),
            **{
                name: st.column_config.ProgressColumn(label, min_value=0.0, max_value=1.0, format="%.2f", help=help_)
                for name, label, help_ in (
                    ("uncertainty", "Model uncertainty", "Normalised entropy of the scores. 0: certain. 1: all equal."),
                    ("explainers", "Explainer disagreement", "1 minus the mean rank correlation of the maps."),
                    ("annotators", "Annotator disagreement", "0: all agree. 1: nobody agrees."),
                )
            },
        },
    )
    position, pager = st.columns([4, 2], vertical_alignment="center")
    first = number * PAGE_SIZE
    position.caption(f"{first + 1} to {first + len(found.items)} of {found.total}. Select a row to open it.")
    if pages > 1:
        for column, words, to in zip(pager.columns(2), ("Previous", "Next"), (number - 1, number + 1), strict=True):
            turn = {"on_click": session.choose, "args": ("queue_page", to)}
            column.button(words, disabled=not 0 <= to < pages, width="stretch", **turn)
    rows = chosen.selection.rows
    if rows and open_queued(found.items[rows[0]]):
        session.choose("queue_opened", session.choice("queue_opened") + 1)  # a new table, with nothing selected
        session.choose("annotate_view", "Mark")
        st.rerun()


def _row(queued: QueuedRecording) -> dict[str, object]:
    return {
        "Recording": printable(queued.file.name),
        "length": queued.file.duration_s,
        "Status": queued.status,
        "Marks": queued.marks,
        "uncertainty": queued.uncertainty,
        "explainers": queued.explainers_disagreement,
        "annotators": queued.annotators_disagreement,
    }
