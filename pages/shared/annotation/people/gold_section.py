"""The gold layer on Agreement: recordings to be decided, and how far annotators agree with what is decided."""

from collections.abc import Mapping

import streamlit as st

from pages.shared import session
from pages.shared.annotation.marking.heading_section import DECIDE
from pages.shared.annotation.open_project import OpenProject, refusals
from pages.shared.annotation.queue import opening
from pages.shared.annotation.queue.queue_table import Column, Row, queue_table
from pages.shared.charts.annotators import measured_in_words
from pages.shared.language import plural, t
from pages.shared.language.names import emotion_in_words, printable
from ser_core.annotations.agreement.agreement import GoldAgreement
from ser_core.annotations.annotation import RECORDING_TIER, AnnotatedRecording

#: At most this many recordings are listed.
MAX_ROWS = 50


def show_agreement(project: OpenProject, with_gold: Mapping[str, GoldAgreement]) -> None:
    """Compare annotators with the gold layer; whoever may not review sees only their own row."""
    if not project.store.people.may_review(project.id, project.annotator):
        with_gold = {name: found for name, found in with_gold.items() if name == project.annotator}
    st.markdown(
        t("**With the gold layer**"),
        help=t(
            "How far each annotator agrees with the decisions, over the recordings that have one. If only differing "
            "marks were decided, everybody agrees less here than elsewhere. Annotators see only themselves."
        ),
    )
    if not with_gold:
        st.caption(t("None of your recordings has a decision yet."))
        return
    st.dataframe(
        [
            {
                t("Annotator"): printable(name),
                t("Recordings"): found.recordings,
                t("Same emotion"): measured_in_words(found.same_label),
                t("Cohen's kappa"): measured_in_words(found.kappa),
                t("F1 of regions"): measured_in_words(found.regions.detection_f1),
                t("F1 of marked time"): measured_in_words(found.regions.time_f1),
            }
            for name, found in with_gold.items()
        ],
        hide_index=True,
        column_config={
            t("Same emotion"): st.column_config.Column(help=t("Share of whole recordings with the decided emotion.")),
            t("Cohen's kappa"): st.column_config.Column(help=t("The same, without what chance would give.")),
        },
    )


def show_undecided(project: OpenProject, differing: list[tuple[AnnotatedRecording, float]]) -> None:
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
