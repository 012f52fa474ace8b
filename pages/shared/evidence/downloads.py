"""Download an explained analysis: its maps as arrays, a picture, and a report that opens offline."""

import io
from dataclasses import replace

import numpy as np
import streamlit as st

from pages.shared import session, waiting
from pages.shared.cached import explaining
from pages.shared.language import language, t, texts, translator
from pages.shared.session import Chosen
from ser_core.analysis import Analysis
from ser_core.explanation.agreement import with_consensus
from ser_core.explanation.focus_audio import FocusScores
from ser_core.output.analysis_folder import map_arrays
from ser_core.pipeline import focus_region_mask
from ser_core.work.atomic_folder import folder_name
from ser_core.work.jobs import Job

HELP = texts("The report opens offline and contains the picture, all figures and settings, and the audio.")


def show(chosen: Chosen, classification: Job) -> None:
    """Offer the explained analysis as files, on request: they need the focus, which takes time."""
    st.markdown(t("**Download**"), help=t(HELP))
    analysis = explaining.computed_so_far(classification, chosen.classifier, chosen.settings)
    request = (analysis.recording.sha256, analysis.model_sha256, chosen.settings)
    if analysis.focus_by is None and st.session_state.get("downloads_of") != request:
        st.button(
            t("Prepare maps, picture and report"),
            key="prepare_downloads",
            on_click=st.session_state.__setitem__,
            args=("downloads_of", request),
            help=t("This finds the focus regions first."),
            icon=":material/download:",
        )
        return
    if analysis.focus_by is None:
        focused, _, final = waiting.focused_by(session.choice("focus_by"), chosen, classification)
        if not final:
            return
        analysis = replace(focused, explanations=analysis.explanations)
    focus_scores = None
    if analysis.focus:
        job = explaining.focus_audio_job(analysis, focus_region_mask(analysis), chosen.classifier)
        focus_scores = waiting.results({"focus": job}).get("focus")
        if not job.ended.is_set():
            return
    _files(analysis, focus_scores)


def _files(analysis: Analysis, focus_scores: FocusScores | None) -> None:
    from ser_core.output.report import report_html  # imports matplotlib, which only pictures need

    name = folder_name(analysis.recording.name)
    # Files are made when they are fetched, after the visit.
    in_language = {"say": translator(), "language": language()}
    complete = replace(analysis, explanations=with_consensus(analysis.explanations))
    files = (
        (
            t("Maps (npz)"),
            f"{name}-maps.npz",
            "application/octet-stream",
            lambda: _npz(complete),
            ":material/data_array:",
        ),
        (t("Picture (PNG)"), f"{name}-maps.png", "image/png", lambda: _png(complete), ":material/image:"),
        (
            t("Report (HTML)"),
            f"{name}-report.html",
            "text/html",
            lambda: report_html(analysis, focus_scores=focus_scores, **in_language),
            ":material/description:",
        ),
    )
    with st.container(horizontal=True, gap="small"):  # wraps on a narrow screen
        for label, file, kind, make, icon in files:
            st.download_button(label, make, file, kind, icon=icon, on_click="ignore")


def _npz(analysis: Analysis) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **map_arrays(analysis))
    return file.getvalue()


def _png(analysis: Analysis) -> bytes:
    from ser_core.output.overview_picture import save_overview  # imports matplotlib, which only pictures need

    file = io.BytesIO()
    save_overview(analysis, file)
    return file.getvalue()
