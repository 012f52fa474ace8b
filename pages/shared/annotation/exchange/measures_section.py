"""Measures of the marks, and F0 over time, as files."""

import io
import zipfile

import streamlit as st

from pages.shared import controls, session
from pages.shared.annotation.exchange.prepared_files import offer_download, result_of
from pages.shared.annotation.open_project import OpenProject
from pages.shared.language import plural, t
from pages.shared.language.names import in_markdown
from pages.shared.player.measuring import CEILINGS
from ser_core.annotations.exchange.measuring import LONGEST_MEASURED_S, MeasuredMarks, measure_marks
from ser_core.annotations.f0.tracks import WrittenF0, write_f0
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.errors import AnnotationsRefused
from ser_core.model.shipped_models import load_model
from ser_core.output.saved_analyses import data_folder
from ser_core.work.atomic_folder import folder_name
from ser_core.work.progress import Work


def show_measures(project: OpenProject) -> None:
    """Offer a CSV with measures of every mark."""
    st.markdown(t("**Measures**"))
    st.caption(
        t(
            "A CSV with a row for each mark: duration, F0, intensity, formants, harmonics-to-noise ratio, tilt, and "
            "the words within it."
        )
    )
    ceiling_hz = st.selectbox(
        t("Formant ceiling"),
        list(CEILINGS),
        format_func=lambda hz: f"{hz:.0f} Hz, {t(CEILINGS[hz])}",
        help=t("Five formants are looked for up to this frequency. A short vocal tract needs a high one."),
    )
    model = controls.model_name()
    is_scored = model is not None and st.checkbox(
        t("Scores of the model {name}", name=in_markdown(model)),
        help=t("The model's score of each emotion, as if each mark were a recording. Choose it in the sidebar."),
    )
    scoring_model = model if is_scored else None
    key = ("measure", project.id, ceiling_hz, scoring_model, session.choice("export_turn"))
    measured: MeasuredMarks | None = result_of(
        key,
        "Measuring marks",
        t("Measure marks"),
        ":material/straighten:",
        lambda work: _measure_marks(project, ceiling_hz, scoring_model, work),
    )
    if measured is not None:
        name, marks = f"{folder_name(project.name)}-measures.csv", plural(measured.marks, "{n} mark", "{n} marks")
        _offer_measured(marks, name, measured.content, "text/csv", measured.without_sound, measured.too_long)


def _measure_marks(project: OpenProject, ceiling_hz: float, model: str | None, work: Work) -> MeasuredMarks:
    recordings = [recording for recording in project.store.transfer.export(project.id) if recording.annotations]
    if not recordings:
        raise AnnotationsRefused("There are no marks to measure. Make or import some first.")
    files = project.store.recordings.files(project.id)
    classifier = None if model is None else load_model(model)
    return measure_marks(recordings, sounds_of(files, data_folder()), ceiling_hz, work, classifier)


def show_f0(project: OpenProject) -> None:
    """Offer F0 over time of the recordings."""
    st.markdown("**F0**")
    st.caption(t("F0 over time as it was measured and corrected by hand: a PitchTier for Praat, and a CSV."))
    uncorrected = st.checkbox(t("Include recordings without corrections"))
    key = ("f0", project.id, uncorrected, session.choice("export_turn"))
    found: tuple[bytes, WrittenF0] | None = result_of(
        key,
        "Measuring F0",
        t("Write F0"),
        ":material/show_chart:",
        lambda work: _f0_files(project, uncorrected, work),
    )
    if found is not None:
        content, written = found
        words = plural(written.recordings, "F0 of {n} recording", "F0 of {n} recordings")
        _offer_measured(words, f"{folder_name(project.name)}-f0.zip", content, "application/zip", written.without_sound)


def _offer_measured(words: str, name: str, content: bytes, media_type: str, silent: int, too_long: int = 0) -> None:
    """Show what could not be measured, and the buttons for the download."""
    if silent:
        st.caption(
            plural(
                silent,
                "Not measured: {n} recording whose sound is missing or cannot be read.",
                "Not measured: {n} recordings whose sound is missing or cannot be read.",
            )
        )
    if too_long:
        st.caption(
            plural(
                too_long,
                "Not measured: {n} mark of more than {minutes:g} minutes.",
                "Not measured: {n} marks of more than {minutes:g} minutes.",
                minutes=LONGEST_MEASURED_S / 60,
            )
        )
    offer_download(words, name, content, media_type, t("Measure again"))


def _f0_files(project: OpenProject, uncorrected: bool, work: Work) -> tuple[bytes, WrittenF0]:
    """Return a ZIP with the F0 of recordings, and a description of its contents."""
    files = project.store.recordings.files(project.id)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        recordings = project.store.transfer.export(project.id)
        written = write_f0(recordings, uncorrected, sounds_of(files, data_folder()), archive.writestr, work)
    return packed.getvalue(), written
