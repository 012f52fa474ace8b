"""How well explainers agree with annotators on which parts of a recording matter."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from pages.shared import cached, controls, session, waiting
from pages.shared.annotation.open_project import OpenProject
from pages.shared.charts import axes
from pages.shared.charts.annotators import TITLES, map_name, people_against_maps_chart
from pages.shared.language import plural, recognised, t
from pages.shared.language.names import in_markdown, printable
from ser_core.annotations.agreement.human_agreement import (
    COMPARED,
    ComparedWithExplainers,
    compare_with_explainers,
    people_against_maps,
)
from ser_core.annotations.agreement.label_mapping import only_named_emotions
from ser_core.annotations.annotation import AnnotatedRecording, Tier
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.explanation import focus_methods_of
from ser_core.model.shipped_models import load_model
from ser_core.output.saved_analyses import data_folder
from ser_core.work.jobs import Job
from ser_core.work.progress import Work


def show(project: OpenProject, recordings: list[AnnotatedRecording], tier: Tier | None, turn: int) -> None:
    """Offer to compare explainers with people, and show the comparison."""
    st.markdown(
        t("**Do the explainers mark what people mark?**"),
        help=t(
            "Each recording with region marks is explained for the emotion that most of them name. Each map "
            "is compared with loudness, which ignores the model, and with chance."
        ),
    )
    model = controls.model_name()
    default = None if model is None else focus_methods_of(cached.model(model))[0]
    methods = st.pills(t("Explainers"), COMPARED, selection_mode="multi", default=default, format_func=map_name)
    key = ("explainers", project.id, tier, turn, tuple(methods), model)
    job = cached.jobs().find(session.owner(), key)
    if job is None:
        st.caption(t("Per recording, Grad-CAM takes a moment; LIME and occlusion take seconds."))
        if not st.button(
            t("Compare"), type="primary", disabled=not methods or model is None, icon=":material/compare:"
        ):
            return
        compared = recordings if tier is None else only_named_emotions(recordings, tier)
        _submit(project, compared, methods, model, key)
        st.rerun()
    done = waiting.results({"explainers": job})
    if "explainers" in done:
        _show_comparison(done["explainers"], {recording.sha256: recording.name for recording in recordings})


def _submit(
    project: OpenProject,
    recordings: list[AnnotatedRecording],
    methods: Sequence[str],
    model: str,
    key: tuple[object, ...],
) -> Job:
    def work(work: Work) -> ComparedWithExplainers:
        files = project.store.recordings.files(project.id)
        sound_of = sounds_of(files, data_folder())
        return compare_with_explainers(recordings, sound_of, load_model(model), methods, work)

    return cached.jobs().submit(session.owner(), key, "Comparing explainers with people", work)


def _show_comparison(found: ComparedWithExplainers, names: dict[str, str]) -> None:
    reasons = Counter(recording.reason for recording in found.by_sha256.values() if recording.reason)
    for reason, count in reasons.items():
        st.caption(
            plural(
                count,
                "{n} recording not compared: {reason}",
                "{n} recordings not compared: {reason}",
                reason=in_markdown(recognised(reason)),
            )
        )
    if found.without_sound:
        st.caption(
            plural(
                found.without_sound,
                "{n} recording left out: the audio is missing, longer than ten minutes or does not suit this model.",
                "{n} recordings left out: the audio is missing, longer than ten minutes or does not suit this model.",
            )
        )
    compared = {sha256: each for sha256, each in found.by_sha256.items() if each.compared}
    if not compared:
        st.info(t("No recording could be compared. Mark regions with an emotion that the model knows."))
        return
    st.plotly_chart(
        people_against_maps_chart(people_against_maps(list(compared.values()))), width="stretch", config=axes.config()
    )
    with st.expander(t("By recording"), icon=":material/table:"):
        st.dataframe(
            [
                {t("Recording"): printable(names[sha256]), t("Map"): map_name(method)}
                | {t(TITLES[measure]): round(one.value, 3) for measure, one in measures.items()}
                for sha256, each in compared.items()
                for method, measures in each.compared.items()
            ],
            hide_index=True,
        )
