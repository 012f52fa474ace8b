"""The view Queue: the recordings of a project, filtered and ordered, with their status."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from pages.shared import session
from pages.shared.annotation.open_project import OpenProject, show_refusals
from pages.shared.annotation.people import roles_section
from pages.shared.annotation.queue import filling_section, rating_section
from pages.shared.annotation.queue.opening import open_queued
from pages.shared.annotation.queue.queue_choice import ANY, chosen_recordings, queue_of, task_of
from pages.shared.annotation.queue.queue_filters import queue_filters
from pages.shared.annotation.queue.queue_table import Column, Row, queue_table
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from pages.shared.recording import open_recordings
from ser_core.analysis import clock
from ser_core.annotations.annotation import Tier
from ser_core.annotations.store.database import PAGE_SIZE
from ser_core.annotations.store.work_queue import Queue, QueuedRecording

#: Title and explanation of each rating.
RATINGS = texts(
    {
        "uncertainty": ("Model uncertainty", "Normalised entropy of the scores. 0: certain. 1: all equal."),
        "explainers_disagreement": ("Explainer disagreement", "1 minus the mean rank correlation of the maps."),
        "annotators_disagreement": ("Annotator disagreement", "0: all agree. 1: nobody agrees."),
    }
)
OWN_MARKS = texts("Yours, with the label of the whole recording.")
EVERYBODYS_MARKS = texts("Everybody's, with their labels of the whole recording.")
MAX_CELL_CHARS = 60
#: Session key of a refusal that the next run shows.
REFUSAL = "queue refusal"


def show(project: OpenProject) -> None:
    """Show the progress, the list of recordings, and forms to add and rate recordings."""
    with st.container():  # otherwise changes here would move the table in the page's tree and mount it again
        if refusal := st.session_state.pop(REFUSAL, None):
            st.error(in_markdown(recognised(refusal)), icon=":material/volume_off:")
        show_refusals()
    task = task_of(project)
    counts = project.store.recordings.count_by_status(
        project.id, project.annotator, "assigned" if task == "assigned" else None
    )
    total = sum(counts.values())
    if not total and task != "assigned":
        st.info(t("This project is empty. Add recordings to mark."), icon=":material/playlist_add:")
        filling_section.show(project)
        return
    finished = counts["done"] + counts["verified"]
    words = t(
        "**{finished} of {total}** assigned recordings done by {annotator}"
        if task == "assigned"
        else "**{finished} of {total}** recordings done by {annotator}",
        finished=finished,
        total=total,
        annotator=in_markdown(project.annotator),
    )
    if counts["verified"]:
        words = t("{progress}, {verified} of them verified", progress=words, verified=counts["verified"])
    st.progress(finished / max(total, 1), text=words)
    with st.container():  # here too, so that the table stays where it is
        _show_sent_back(project, task)
    tier = queue_filters(project, task)
    with st.container():
        _offer_all(project, task)
    _list(project, tier)
    with st.expander(t("People"), icon=":material/groups:", key=f"people {project.id}", on_change="rerun") as people:
        if people.open:
            roles_section.show(project)
    add, rate = st.columns(2, gap="large")
    with add.expander(t("Add recordings"), icon=":material/playlist_add:"):
        filling_section.show(project)
    with rate.expander(t("Rate the queue"), icon=":material/sort:", expanded=rating_section.is_running(project)):
        rating_section.show(project, tier)


def _show_sent_back(project: OpenProject, task: str) -> None:
    """Say how many recordings were sent back to the annotator, and offer to open them first."""
    sent_back = Queue(annotator=project.annotator, task="sent back")
    found = project.store.recordings.page(project.id, sent_back, size=1)
    if not found.total or task == "sent back":
        return
    words = plural(found.total, "{n} recording was sent back to you.", "{n} recordings were sent back to you.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(words, icon=":material/undo:")
        if found.total == 1:
            args = found.items, found.items[0].file.sha256
            st.button(t("Open it"), icon=":material/edit:", on_click=_open, args=args)
        else:
            st.button(t("Show only these"), icon=":material/filter_alt:", on_click=_show_only_sent_back)


def _offer_all(project: OpenProject, task: str) -> None:
    """Say what the queue is limited to, and offer all recordings instead."""
    chosen = chosen_recordings(project)
    if chosen is None and task not in ("assigned", "sent back"):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if chosen is not None:
            st.info(t("Only {chosen}.", chosen=in_markdown(chosen[1])), icon=":material/filter_alt:")
        st.button(t("Show all recordings"), icon=":material/close:", type="tertiary", on_click=_show_all)


def _show_all() -> None:
    session.choose("queue_among", None)
    session.choose("queue_task", ANY)
    session.choose("queue_page", 0)


def _show_only_sent_back() -> None:
    session.choose("queue_task", "sent back")
    session.choose("queue_whose", "me")
    session.choose("queue_page", 0)


def _list(project: OpenProject, tier: Tier | None) -> None:
    queue, number = queue_of(project), session.choice("queue_page")
    found = project.store.recordings.page(project.id, queue, number)
    pages = max(1, math.ceil(found.total / PAGE_SIZE))
    if number >= pages:
        session.choose("queue_page", pages - 1)
        st.rerun()
    if not found.items:
        st.info(t("No recording matches these filters."), icon=":material/filter_alt_off:")
        return
    rated = [name for name in RATINGS if any(getattr(queued, name) is not None for queued in found.items)]
    optional = [(column, cell) for column, cell in _optional_columns() if any(map(cell, found.items))]
    ratings = (_rating_column(name, project, found.items) for name in rated)
    current = open_recordings.current()
    queue_table(
        [*_columns(tier), *(column for column, _ in optional), *ratings],
        [_row(queued, [cell for _, cell in optional], rated) for queued in found.items],
        current and current.sha256,
        f"queue {project.id}",
        partial(_open, found.items),
    )
    position, pager = st.columns([4, 2], vertical_alignment="center")
    first = number * PAGE_SIZE
    position.caption(
        t(
            "{first} to {last} of {total}. Click a row, or press Enter on it, to open it.",
            first=first + 1,
            last=first + len(found.items),
            total=found.total,
        )
    )
    if pages > 1:
        neighbours = (t("Previous"), number - 1), (t("Next"), number + 1)
        for column, (label, page) in zip(pager.columns(2), neighbours, strict=True):
            column.button(
                label,
                disabled=not 0 <= page < pages,
                width="stretch",
                on_click=session.choose,
                args=("queue_page", page),
            )


def _open(page: Sequence[QueuedRecording], sha256: str) -> None:
    """Open a recording of the page; if its audio is missing, the next run says so."""
    refusal = open_queued(next(queued for queued in page if queued.file.sha256 == sha256))
    if refusal is None:
        session.choose("annotate_view", "Mark")
    st.session_state[REFUSAL] = refusal


def _rating_column(name: str, project: OpenProject, page: Sequence[QueuedRecording]) -> Column:
    """Return the column of a rating; the title of disagreement names the tier that was rated, if it was one."""
    title, explanation = map(t, RATINGS[name])
    rated = next((queued.disagreement_tier for queued in page if queued.annotators_disagreement is not None), None)
    if name == "annotators_disagreement" and rated is not None:
        names = {tier.key: tier.name for tier in project.store.tiers.of(project.id)}
        title = t("{rating} in {tier}", rating=title, tier=printable(names.get(rated, rated)))
    return Column(title, explanation, "share")


def _columns(tier: Tier | None) -> list[Column]:
    mine = session.choice("queue_whose") == "me"
    status = Column(t("My status"), t("Of your label of the whole recording."))
    anybody = Column(t("Furthest status"), t("The most advanced status of anybody's label of the whole recording."))
    own, everybodys = t(OWN_MARKS), t(EVERYBODYS_MARKS)
    if tier is not None:
        own = t("Yours in the tier {tier}.", tier=printable(tier.name))
        everybodys = t("Everybody's in the tier {tier}.", tier=printable(tier.name))
    return [
        Column(t("Recording")),
        Column(t("Length"), kind="number"),
        status if mine else anybody,
        *([Column(t("My marks"), own, "number")] if mine else []),
        Column(t("All marks"), everybodys, "number"),
    ]


def _optional_columns() -> tuple[tuple[Column, Callable[[QueuedRecording], str]], ...]:
    """Return the columns that are left out if they are empty for the whole page, with the text of their cells."""
    return (
        (Column(t("Speaker")), lambda queued: _short(queued.file.speaker or "")),
        (Column(t("Session")), lambda queued: _short(queued.file.session or "")),
        (
            Column(t("Sent back"), t("Why a reviewer wants it to be looked at again.")),
            lambda queued: _short(queued.sent_back),
        ),
        (Column(t("Assigned to"), t("Whose work it is.")), lambda queued: _short(", ".join(queued.assigned_to))),
        (
            Column(t("Gold"), t("Whether a reviewer decided what is right.")),
            lambda queued: t("decided") if queued.has_gold else "",
        ),
    )


def _row(queued: QueuedRecording, cells: Sequence[Callable[[QueuedRecording], str]], rated: Sequence[str]) -> Row:
    mine = session.choice("queue_whose") == "me"
    marks = (str(queued.own_marks), str(queued.marks)) if mine else (str(queued.marks),)
    ratings = (getattr(queued, name) for name in rated)
    seconds = queued.file.duration_s
    length = clock(seconds) if queued.file.is_long else t("{seconds:.1f} s", seconds=seconds)
    optional = (cell(queued) for cell in cells)
    return Row(queued.file.sha256, (printable(queued.file.name), length, t(queued.status), *marks, *optional, *ratings))


def _short(words: str) -> str:
    return printable(words if len(words) <= MAX_CELL_CHARS else f"{words[: MAX_CELL_CHARS - 1]}…")
