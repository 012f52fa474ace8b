"""The recordings on which annotators disagree; a row opens one in the gold layer to decide."""

import streamlit as st

from pages.shared import session
from pages.shared.annotation.marking.heading_section import DECIDE
from pages.shared.annotation.open_project import OpenProject, refusals
from pages.shared.annotation.queue import opening
from pages.shared.annotation.queue.queue_table import Column, Row, queue_table
from pages.shared.language import plural, t
from pages.shared.language.names import emotion_in_words, printable
from ser_core.annotations.annotation import RECORDING_TIER, AnnotatedRecording

#: At most this many recordings are listed.
MAX_ROWS = 50


def show(project: OpenProject, differing: list[tuple[AnnotatedRecording, float]]) -> None:
    """List the recordings that are undecided."""
    st.markdown(
        t("**Decide**"),
        help=t(
            "Recordings on which people disagree. A row opens one: everybody's marks lie below each other, "
            "and what you take over or draw becomes the gold layer, which exports and teaching then use."
        ),
    )
    if not differing:
        st.caption(t("Nobody disagrees."))
        return
    if not project.store.people.may_review(project.id, project.annotator):
        st.caption(t("Reviewers and the project's owner decide."))
        return
    by_sha256 = {recording.sha256: recording for recording, _ in differing}
    undecided = [(recording, share) for recording, share in differing if not recording.has_gold]
    st.caption(
        plural(
            len(differing),
            "{undecided} of {n} recording with differing marks are undecided.",
            "{undecided} of {n} recordings with differing marks are undecided.",
            undecided=len(undecided),
        )
    )
    queue_table(
        [
            Column(t("Recording")),
            Column(t("Whole recording")),
            Column(t("Disagreement"), t("1: nobody agrees."), "share"),
        ],
        [
            Row(recording.sha256, (printable(recording.name), _labels_in_words(recording), share))
            for recording, share in undecided[:MAX_ROWS]
        ],
        None,
        f"differing {project.id}",
        lambda sha256: _decide(project, by_sha256[sha256]),
    )
    if len(undecided) > MAX_ROWS:
        st.caption(t("And {n} more.", n=len(undecided) - MAX_ROWS))


def _labels_in_words(recording: AnnotatedRecording) -> str:
    labels = [mark for mark in recording.annotations if mark.tier == RECORDING_TIER and mark.emotion]
    return printable(" · ".join(sorted(f"{mark.annotator}: {emotion_in_words(mark.emotion)}" for mark in labels)))


def _decide(project: OpenProject, recording: AnnotatedRecording) -> None:
    refusal = opening.open_recording(project, recording.sha256)
    if refusal is not None:
        refusals().append(refusal)
        return
    session.choose("beside", sorted({*session.choice("beside"), DECIDE}))
