"""The view Agreement: how well annotators agree, what is undecided, and how explainers compare with people."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.annotation.open_project import OpenProject, show_refusals
from pages.shared.annotation.people import explainers_section, gold_section
from pages.shared.annotation.queue.queue_choice import choose_recordings
from pages.shared.annotation.queue.queue_table import Column, Row, queue_table
from pages.shared.annotation.tiers.label_tiers import choose_label_tier
from pages.shared.charts import axes
from pages.shared.charts.annotators import (
    agreement_matrix_chart,
    annotator_confusion_chart,
    interval_in_words,
    label_in_words,
    measured_in_words,
)
from pages.shared.language import number, plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from ser_core.annotations.agreement.agreement import (
    AnnotatorAgreement,
    GoldAgreement,
    annotator_agreement,
    disagreement,
    gold_agreement,
    recordings_in_cell,
)
from ser_core.annotations.agreement.label_agreement import LabelAgreement
from ser_core.annotations.agreement.label_mapping import as_emotions
from ser_core.annotations.agreement.matching import POINT_TOLERANCE_S
from ser_core.annotations.annotation import RECORDING_TIER, REGION_TIER, AnnotatedRecording, Tier
from ser_core.annotations.store.work_queue import Queue

#: At most this many cells are listed.
MAX_ROWS = 50
#: What one label is for.
UNITS = texts({"recordings": "Recordings", "frames": "Frames"})


class Comparison(NamedTuple):
    """Recordings with their marks, and what they are compared in.

    Attributes
    ----------
    differing : list of tuple
        Recordings on which annotators disagree, with how far they do, the highest first.
    with_gold : dict of GoldAgreement
        By annotator.
    """

    recordings: list[AnnotatedRecording]
    agreement: AnnotatorAgreement
    differing: list[tuple[AnnotatedRecording, float]]
    with_gold: dict[str, GoldAgreement]


def show(project: OpenProject) -> None:
    """Compare all marks in the project."""
    show_refusals()
    words = t("Labels of a tier are compared as they are, and as emotions with explainers.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        tier = choose_label_tier(project, t("Compare"), words)
        is_update = st.button(t("Update"), icon=":material/refresh:", help=t("Include marks made since."))
    if tier is None and not project.store.recordings.page(project.id, Queue(marked=True), size=1).total:
        st.info(t("This project has no marks yet. Mark some recordings first."), icon=":material/group:")
        return
    turn = session.choice("people_turn")
    if is_update:
        session.choose("people_turn", turn + 1)
        st.rerun()
    job = cached.jobs().submit(
        session.owner(), ("people", project.id, tier, turn), "Comparing people", lambda *_: _compare(project, tier)
    )
    done = waiting.results({"people": job})
    if "people" not in done:
        return
    recordings, agreement, differing, with_gold = done["people"]
    marks = sum(len(recording.annotations) for recording in recordings)
    st.caption(
        t(
            "{marks} in {recordings}, by {annotators}. Intervals (95 %) resample recordings.",
            marks=plural(marks, "{n} mark", "{n} marks"),
            recordings=plural(len(recordings), "{n} recording", "{n} recordings"),
            annotators=plural(len(agreement.annotators), "{n} annotator", "{n} annotators"),
        )
    )
    if len(agreement.annotators) > 1:
        if tier is not None and tier.kind == "points":
            _points(agreement)
        else:
            _people(project, recordings, agreement)
    else:
        st.info(t("Agreement needs two annotators who marked the same recordings."), icon=":material/group:")
    if tier is None:
        if with_gold:
            gold_section.show_agreement(project, with_gold)
        if len(agreement.annotators) > 1:
            gold_section.show_undecided(project, differing)
    if tier is None or tier.kind == "intervals":
        st.divider()
        explainers_section.show(project, recordings, tier, turn)


def _compare(project: OpenProject, tier: Tier | None) -> Comparison:
    exported = project.store.transfer.export(project.id)
    if tier is None:
        compared = map(_only_emotions, exported)
    else:
        compared = (as_emotions(recording, tier, lambda label: label or None) for recording in exported)
    recordings = [recording for recording in compared if recording.annotations]
    rated = [(recording, disagreement(recording) or 0.0) for recording in recordings]
    differing = sorted((pair for pair in rated if pair[1]), key=lambda pair: (-pair[1], pair[0].name))
    with_gold = gold_agreement(recordings) if tier is None else {}
    return Comparison(recordings, annotator_agreement(recordings), differing, with_gold)


def _only_emotions(recording: AnnotatedRecording) -> AnnotatedRecording:
    """Return a recording with only its marks of emotions, without words and other tiers."""
    marks = (mark for mark in recording.annotations if mark.tier in (REGION_TIER, RECORDING_TIER))
    return replace(recording, annotations=tuple(marks))


def _people(project: OpenProject, recordings: list[AnnotatedRecording], agreement: AnnotatorAgreement) -> None:
    whole, frames, regions = st.tabs([t("Whole recordings"), t("Every 10 ms"), t("Regions")])
    with whole:
        on_open = partial(_open_cell, project, recordings, agreement.recordings.labels, "recordings")
        _labels(agreement.recordings, agreement.annotators, "recordings", on_open)
    with frames:
        on_open = partial(_open_cell, project, recordings, agreement.frames.labels, "frames")
        _labels(agreement.frames, agreement.annotators, "frames", on_open)
    with regions:
        st.dataframe(
            [
                {
                    t("Annotators"): _pair_in_words(pair),
                    t("F1 of regions"): measured_in_words(found.detection_f1),
                    t("F1 of marked time"): measured_in_words(found.time_f1),
                    t("Start difference"): measured_in_words(found.start_error_ms, "ms"),
                    t("End difference"): measured_in_words(found.end_error_ms, "ms"),
                    t("Same emotion"): measured_in_words(found.same_emotion),
                }
                for pair, found in agreement.regions.items()
            ],
            hide_index=True,
            column_config={
                t("F1 of regions"): st.column_config.Column(
                    help=t("Two regions match if they overlap (IoU) by 0.5 or more.")
                ),
                t("F1 of marked time"): st.column_config.Column(help=t("By frames of 10 ms.")),
                t("Start difference"): st.column_config.Column(
                    help=t("Mean distance between the starts of matching regions.")
                ),
            },
        )


def _points(agreement: AnnotatorAgreement) -> None:
    """Show how far people agree on points, which have no length."""
    st.dataframe(
        [
            {
                t("Annotators"): _pair_in_words(pair),
                t("F1 of points"): measured_in_words(found.detection_f1),
                t("Distance"): measured_in_words(found.start_error_ms, "ms"),
                t("Same label"): measured_in_words(found.same_emotion),
            }
            for pair, found in agreement.regions.items()
        ],
        hide_index=True,
        column_config={
            t("F1 of points"): st.column_config.Column(
                help=t("Two points match up to {ms:.0f} ms apart.", ms=1000 * POINT_TOLERANCE_S)
            ),
            t("Distance"): st.column_config.Column(help=t("Mean distance between matching points.")),
            t("Same label"): st.column_config.Column(help=t("Share of matching points that have the same label.")),
        },
    )


def _labels(
    agreement: LabelAgreement,
    annotators: Sequence[str],
    units: str,
    on_open: Callable[[tuple[str, str], int, int], None],
) -> None:
    """Show figures and charts of labels; `on_open` is called with a pair, a row and a column of its matrix."""
    alpha, fleiss, intensity = st.columns(3)
    for column, name, found, help_text in (
        (alpha, t("Krippendorff's alpha"), agreement.alpha, t("1: perfect. 0: chance. Allows for missing labels.")),
        (fleiss, t("Fleiss' kappa"), agreement.fleiss, t("Over the items that every annotator labelled.")),
        (intensity, t("Alpha of intensity"), agreement.intensity_alpha, t("Interval scale, 1 to 5.")),
    ):
        if found.value is None:
            column.metric(name, "–", help=help_text)
            column.caption(in_markdown(recognised(found.reason)))
        else:
            interval = f"({interval_in_words(found.interval)})" if found.interval else ""
            column.metric(name, number(found.value, ".2f"), interval, "off", help=help_text, delta_arrow="off")
    dark = st.context.theme.type == "dark"
    st.markdown(t("**Cohen's kappa by pair**"))
    st.plotly_chart(
        agreement_matrix_chart(agreement, annotators, dark), width="stretch", config=axes.config(), key=f"kappa_{units}"
    )
    compared = [pair for pair, counts in agreement.confusion.items() if counts.any()]
    if not compared:
        return
    st.markdown(t("**Labels of two annotators**"))
    pair = st.selectbox(
        t("Pair"),
        compared,
        format_func=_pair_in_words,
        key=f"pair_{units}",
        label_visibility="collapsed",
    )
    st.plotly_chart(
        annotator_confusion_chart(agreement, pair, units, dark),
        width="stretch",
        config=axes.config(buttons=False),
        key=f"confusion_{units}",
        on_select=lambda: _open_clicked(units, len(agreement.labels), partial(on_open, pair)),
        selection_mode="points",
    )
    _cells(agreement, pair, units, partial(on_open, pair))


def _open_clicked(units: str, n_labels: int, on_open: Callable[[int, int], None]) -> None:
    points = st.session_state[f"confusion_{units}"].selection.points
    if points:
        on_open(*divmod(points[0]["point_index"], n_labels))


def _open_cell(
    project: OpenProject,
    recordings: list[AnnotatedRecording],
    labels: Sequence[str],
    units: str,
    pair: tuple[str, str],
    row: int,
    column: int,
) -> None:
    cell = labels[row], labels[column]
    found = recordings_in_cell(recordings, pair, cell, whole=units == "recordings")
    description = plural(len(found), "{n} recording", "{n} recordings")
    for annotator, label in zip(pair, cell, strict=True):
        description += f" · {annotator}: {label_in_words(label)}"
    choose_recordings(project, [recording.sha256 for recording in found], description)


def _cells(agreement: LabelAgreement, pair: tuple[str, str], units: str, on_open: Callable[[int, int], None]) -> None:
    """List the cells of the matrix, disagreements first; a row opens its recordings in the queue, as a cell does."""
    labels = [label_in_words(label) for label in agreement.labels]
    counts = agreement.confusion[pair]
    cells = sorted(np.argwhere(counts).tolist(), key=lambda cell: (cell[0] == cell[1], -counts[*cell]))
    if cells:
        st.caption(t("A click on a cell or a row opens its recordings in the queue. Disagreements come first."))
        queue_table(
            [Column(printable(pair[0])), Column(printable(pair[1])), Column(t(UNITS[units]), kind="number")],
            [
                Row(f"{row} {column}", (labels[row], labels[column], str(counts[row, column])))
                for row, column in cells[:MAX_ROWS]
            ],
            None,
            f"cells {units} {pair}",
            lambda cell: on_open(*map(int, cell.split())),
        )


def _pair_in_words(pair: tuple[str, str]) -> str:
    return printable(t("{one} and {other}", one=pair[0], other=pair[1]))
