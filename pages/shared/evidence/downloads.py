"""Download an explained analysis: its maps as arrays, a picture, and a report that opens offline."""

import io
from dataclasses import replace

import numpy as np
import streamlit as st

from ser_core.analysis import Analysis
from ser_core.explanation.agreement import with_consensus
from ser_core.output.analysis_folder import map_arrays
from ser_core.output.overview_picture import save_overview
from ser_core.output.report import report_html
from ser_core.work.atomic_folder import folder_name


def show(analysis: Analysis) -> None:
    """Offer the files; each is made on request."""
    name = folder_name(analysis.recording.name)
    whole = replace(analysis, explanations=with_consensus(analysis.explanations))
    files = (
        ("Maps (npz)", f"{name}-maps.npz", "application/octet-stream", lambda: _npz(whole), ":material/data_array:"),
        ("Picture (PNG)", f"{name}-maps.png", "image/png", lambda: _png(whole), ":material/image:"),
        ("Report (HTML)", f"{name}-report.html", "text/html", lambda: report_html(analysis), ":material/description:"),
    )
    st.markdown(
        "**Download**",
        help="The report opens offline and contains the picture, all figures and settings, and the audio.",
    )
    with st.container(horizontal=True, gap="small"):  # wraps on a narrow screen
        for label, file, kind, make, icon in files:
            st.download_button(label, make, file, kind, icon=icon, on_click="ignore")


def _npz(analysis: Analysis) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **map_arrays(analysis))
    return file.getvalue()


def _png(analysis: Analysis) -> bytes:
    file = io.BytesIO()
    save_overview(analysis, file)
    return file.getvalue()
