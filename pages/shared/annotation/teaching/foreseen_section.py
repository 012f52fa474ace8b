"""A forecast of what a corpus of the labels would contain and leave out, with ways to fix that."""

from collections.abc import Mapping, Sequence

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.annotation.open_project import OpenProject, attempt
from pages.shared.annotation.queue.queue_choice import choose_recordings
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from ser_core.annotations.annotation import STATUSES, Tier
from ser_core.annotations.saved_sounds import last_change_of_sounds, saved_file
from ser_core.annotations.teaching.preview import LeftOut, TeachingPreview, preview_teaching
from ser_core.annotations.teaching.taught_model import speakers_in_words
from ser_core.model.checkpoint import read_card
from ser_core.model.shipped_models import find_model
from ser_core.output.saved_analyses import data_folder

MINE, EVERYBODYS = texts(("my marks", "everybody's marks"))


def show(project: OpenProject, model: str, tier: Tier | None) -> TeachingPreview | None:
    """Show what a corpus would contain and leave out, with ways to fix that; return None until that is known."""
    # Besides the marks, the corpus depends on the recordings, their speakers and their sounds.
    files = project.store.recordings.files(project.id)
    steps, sounds = project.store.history.newest_step(), last_change_of_sounds(data_folder())
    key = ("foreseen", project.id, model, tier, steps, files, sounds)
    job = cached.jobs().find(session.owner(), key)
    if job is None:
        cached.jobs().forget(session.owner(), about="foreseen")
        title = "What would be taught"
        job = cached.jobs().submit(session.owner(), key, title, lambda _: _preview(project, model, tier))
    found: TeachingPreview | None = waiting.results({"foreseen": job}).get("foreseen")
    if found is None:
        return None
    _show_taught(found)
    if not found.left_out:
        st.caption(t("Nothing is left out."))
        return found
    st.markdown(
        t("**Would be left out**"), help=t("Select rows to set the status of their marks, or to see the recordings.")
    )
    table = st.dataframe(
        [_row(row) for row in found.left_out],
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"left out {hash(key)}",
    )
    chosen = [found.left_out[row] for row in table.selection.rows]
    if chosen:
        _fix(project, chosen, tier)
    else:
        st.caption(t("Select rows to fix them."))
    return found


def _show_taught(found: TeachingPreview) -> None:
    st.markdown(
        plural(
            found.recordings,
            "**Would be taught:** {counts}, in {n} recording.",
            "**Would be taught:** {counts}, in {n} recordings.",
            counts=counts_in_words(found.pieces),
        )
    )
    if found.decided:
        st.caption(
            plural(
                found.decided,
                "In {n} recording the gold layer counts instead of everybody's marks.",
                "In {n} recordings the gold layer counts instead of everybody's marks.",
            )
        )
    st.caption(recognised(speakers_in_words(found.speakers)))


def _row(left_out: LeftOut) -> dict[str, object]:
    return {
        t("Reason"): _as_sentence(printable(recognised(left_out.reason))),
        t("Recordings"): len(left_out.recordings),
        t("Labels"): left_out.labels,
        t("How to fix it"): recognised(left_out.remedy),
    }


def counts_in_words(pieces: Mapping[str, int]) -> str:
    """Return the number of pieces of each emotion in words."""
    return ", ".join(f"{in_markdown(t(emotion))} {count}" for emotion, count in pieces.items()) or t("nothing")


def _as_sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _preview(project: OpenProject, model: str, tier: Tier | None) -> TeachingPreview:
    files = {file.sha256: file for file in project.store.recordings.files(project.id)}
    emotions = read_card(find_model(model))["emotions"]
    folder = data_folder()
    recordings = project.store.transfer.export(project.id)
    return preview_teaching(recordings, files, lambda file: saved_file(file, folder) is not None, emotions, model, tier)


def _fix(project: OpenProject, chosen: Sequence[LeftOut], tier: Tier | None) -> None:
    """Offer to set the status of all marks in the chosen recordings in one step, and to open them in the queue."""
    sha256 = sorted({recording for row in chosen for recording in row.recordings})
    n = len(sha256)
    may_review = project.store.people.may_review(project.id, project.annotator)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        status = st.selectbox(t("Status"), STATUSES, STATUSES.index("done"), format_func=t, width=130)
        owner = st.selectbox(t("Of"), [MINE, *([EVERYBODYS] if may_review else [])], format_func=t, width=190)
        annotator = project.annotator if owner == MINE else None
        st.button(
            plural(n, "Set it in {n} recording", "Set it in {n} recordings"),
            icon=":material/done_all:",
            help=t("All marks that are taught, in these recordings. Undo on Mark reverts it, one recording at a time."),
            on_click=attempt,
            args=(_set_status, project, sha256, status, annotator, tier and tier.key),
        )
        st.button(
            plural(n, "Open {n} recording in the queue", "Open {n} recordings in the queue"),
            icon=":material/queue_music:",
            on_click=choose_recordings,
            args=(
                project,
                sha256,
                plural(n, "{n} recording left out of teaching", "{n} recordings left out of teaching"),
            ),
        )


def _set_status(
    project: OpenProject, sha256: Sequence[str], status: str, annotator: str | None, tier: str | None
) -> None:
    count = project.store.marks.set_status(project.id, sha256, project.annotator, status, annotator, tier)
    words = plural(count, "{n} mark set to {status}.", "{n} marks set to {status}.", status=t(status))
    st.toast(words, icon=":material/done_all:")
