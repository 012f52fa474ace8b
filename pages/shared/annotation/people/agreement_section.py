"""The view Agreement: how well annotators agree with each other, and explainers with annotators."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from pages.shared import cached, controls, session, waiting
from pages.shared.annotation.open_project import OpenProject
from pages.shared.charts.annotators import (
    TITLES,
    agreement_matrix_chart,
    annotator_confusion_chart,
    people_against_maps_chart,
)
from pages.shared.names import in_markdown, printable
from ser_core.annotations.agreement.agreement import AnnotatorAgreement, LabelAgreement, annotator_agreement
from ser_core.annotations.agreement.bootstrap import Measured
from ser_core.annotations.agreement.human_agreement import (
    COMPARED,
    ComparedWithExplainers,
    compare_with_explainers,
    people_against_maps,
)
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.formats.format import counted
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.annotations.store.recordings import Queue
from ser_core.annotations.store.store import EVERY
from ser_core.explanation import METHOD_NAMES
from ser_core.model.checkpoint import load_model
from ser_core.output.saved_analyses import data_folder
from ser_core.work.jobs import Job
from ser_core.work.progress import Work

Found = tuple[list[AnnotatedRecording], AnnotatorAgreement]


def show(project: OpenProject) -> None:
    """Compare all marks in the project."""
    if not project.store.recordings(project.id, Queue(marked=True), size=1).total:
        st.info("This project has no marks yet. Mark some recordings first.", icon=":material/group:")
        return
    turn = session.choice("people_turn")
    if st.button("Update", icon=":material/refresh:", help="Include marks made since."):
        session.choose("people_turn", turn + 1)
        st.rerun()
    job = cached.jobs().submit(
        session.owner(), ("people", project.id, turn), "Comparing people", lambda *_: _compared(project)
    )
    done = waiting.results({"people": job})
    if "people" not in done:
        return
    recordings, agreement = done["people"]
    marks = sum(len(recording.annotations) for recording in recordings)
    st.caption(
        f"{counted(marks, 'mark')} in {counted(len(recordings), 'recording')}, by "
        f"{counted(len(agreement.annotators), 'annotator')}. Intervals (95 %) resample recordings."
    )
    if len(agreement.annotators) > 1:
        _people(agreement)
    else:
        st.info("Agreement needs two annotators who marked the same recordings.", icon=":material/group:")
    st.divider()
    _explainers(project, recordings, turn)


def _compared(project: OpenProject) -> Found:
    recordings = [recording for recording in project.store.export(project.id) if recording.annotations]
    return recordings, annotator_agreement(recordings)


def _people(agreement: AnnotatorAgreement) -> None:
    whole, moments, regions = st.tabs(["Whole recordings", "Every 10 ms", "Regions"])
    with whole:
        _labels(agreement.recordings, agreement.annotators, "recordings")
    with moments:
        _labels(agreement.frames, agreement.annotators, "frames")
    with regions:
        st.dataframe(
            [
                {
                    "Annotators": printable(" and ".join(pair)),
                    "F1 of regions": _in_words(found.detection_f1),
                    "F1 of marked time": _in_words(found.time_f1),
                    "Start difference": _in_words(found.start_error_ms, "ms"),
                    "End difference": _in_words(found.end_error_ms, "ms"),
                    "Same emotion": _in_words(found.same_emotion),
                }
                for pair, found in agreement.regions.items()
            ],
            hide_index=True,
            column_config={
                "F1 of regions": st.column_config.Column(
                    help="Two regions match if they overlap (IoU) by 0.5 or more."
                ),
                "F1 of marked time": st.column_config.Column(help="By frames of 10 ms."),
                "Start difference": st.column_config.Column(
                    help="Mean distance between the starts of matching regions."
                ),
            },
        )


def _labels(agreement: LabelAgreement, annotators: Sequence[str], units: str) -> None:
    alpha, fleiss, intensity = st.columns(3)
    for column, name, found, words in (
        (alpha, "Krippendorff's alpha", agreement.alpha, "1: perfect. 0: chance. Allows for missing labels."),
        (fleiss, "Fleiss' kappa", agreement.fleiss, "Over the items that every annotator labelled."),
        (intensity, "Alpha of intensity", agreement.intensity_alpha, "Interval scale, 1 to 5."),
    ):
        if found.value is None:
            column.metric(name, "–", help=words)
            column.caption(in_markdown(found.reason))
        else:
            value = f"{found.value:.2f}".replace("-", "−")
            column.metric(name, value, _interval(found), "off", help=words, delta_arrow="off")
    dark = st.context.theme.type == "dark"
    st.markdown("**Cohen's kappa by pair**")
    st.plotly_chart(agreement_matrix_chart(agreement, annotators, dark), width="stretch", key=f"kappa_{units}")
    st.markdown("**Labels of two annotators**")
    pair = st.selectbox(
        "Pair",
        list(agreement.confusion),
        format_func=lambda two: printable(" and ".join(two)),
        key=f"pair_{units}",
        label_visibility="collapsed",
    )
    st.plotly_chart(annotator_confusion_chart(agreement, pair, units, dark), width="stretch", key=f"confusion_{units}")


def _in_words(found: Measured, unit: str = "") -> str:
    if found.value is None:
        return "–"
    return f"{found.value:.0f} {unit} {_interval(found, 0)}" if unit else f"{found.value:.2f} {_interval(found)}"


def _interval(found: Measured, digits: int = 2) -> str:
    words = "" if found.interval is None else "({:.{d}f} to {:.{d}f})".format(*found.interval, d=digits)
    return words.replace("-", "−")


# --- explainers ---


def _explainers(project: OpenProject, recordings: list[AnnotatedRecording], turn: int) -> None:
    st.markdown(
        "**Do the explainers mark what people mark?**",
        help="Each recording with region marks is explained for the emotion that most of them name. Each map is "
        "compared with loudness, which ignores the model, and with chance.",
    )
    methods = st.pills(
        "Explainers", COMPARED, selection_mode="multi", default=["lime_time"], format_func=METHOD_NAMES.get
    )
    name = controls.model_name()
    key = ("explainers", project.id, turn, tuple(methods), name)
    job = cached.jobs().find(session.owner(), key)
    if job is None:
        st.caption("Per recording, Grad-CAM takes a moment; LIME and occlusion take seconds.")
        if not st.button("Compare", type="primary", disabled=not methods or name is None, icon=":material/compare:"):
            return
        _submit(project, recordings, methods, name, key)
        st.rerun()
    done = waiting.results({"explainers": job})
    if "explainers" in done:
        _show_compared(done["explainers"], {recording.sha256: recording.name for recording in recordings})


def _submit(
    project: OpenProject,
    recordings: list[AnnotatedRecording],
    methods: Sequence[str],
    name: str,
    key: tuple[object, ...],
) -> Job:
    def work(work: Work) -> ComparedWithExplainers:
        files = [queued.file for queued in project.store.recordings(project.id, size=EVERY).items]
        sound_of = sounds_of(files, data_folder())
        return compare_with_explainers(recordings, sound_of, load_model(name), methods, work)

    return cached.jobs().submit(session.owner(), key, "Comparing explainers with people", work)


def _show_compared(found: ComparedWithExplainers, names: dict[str, str]) -> None:
    for reason, count in Counter(each.reason for each in found.by_sha256.values() if each.reason).items():
        st.caption(f"{counted(count, 'recording')} not compared: {in_markdown(reason)}")
    if found.silent:
        st.caption(
            f"{counted(found.silent, 'recording')} left out: the audio is missing, longer than "
            "ten minutes or does not suit this model."
        )
    compared = {sha256: each for sha256, each in found.by_sha256.items() if each.compared}
    if not compared:
        st.info("No recording could be compared. Mark regions with an emotion that the model knows.")
        return
    st.plotly_chart(people_against_maps_chart(people_against_maps(list(compared.values()))), width="stretch")
    with st.expander("By recording", icon=":material/table:"):
        st.dataframe(
            [
                {"Recording": printable(names[sha256]), "Map": METHOD_NAMES.get(method, "loudness")}
                | {TITLES[measure]: round(one.value, 3) for measure, one in measures.items()}
                for sha256, each in compared.items()
                for method, measures in each.compared.items()
            ],
            hide_index=True,
        )
