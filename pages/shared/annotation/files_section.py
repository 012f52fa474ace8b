"""Export and import marks in the file formats of other tools, and measure them."""

import io
import zipfile

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.annotation import import_section
from pages.shared.annotation.open_project import OpenProject
from pages.shared.names import in_markdown
from pages.shared.player.measuring import CEILINGS
from ser_core.annotations.exchange.exporting import EXPORTED, Exported, choices_of, exported
from ser_core.annotations.exchange.measuring import MeasuredMarks, measured_marks
from ser_core.annotations.formats.format import counted
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.annotations.store.store import EVERY
from ser_core.errors import AnnotationsRefused
from ser_core.output.saved_analyses import data_folder
from ser_core.work.atomic_folder import folder_name
from ser_core.work.progress import Work


def show(project: OpenProject) -> None:
    """Show export and import side by side, and below them what chosen files would change."""
    out, into = st.columns(2, gap="large")
    with out:
        _export(project)
        _measure(project)
    with into:
        chosen = import_section.choose_files()
    import_section.show_import(project, *chosen)


def _export(project: OpenProject) -> None:
    st.markdown("**Export**")
    kind = st.selectbox(
        "Format",
        list(EXPORTED),
        format_func=lambda key: EXPORTED[key].name,
        help="Only JSON keeps everything. Before you download, the page says what another format leaves out.",
    )
    whose = st.radio("Whose marks", ["everybody's", "mine"], horizontal=True)
    can_be_plain = "plain" in choices_of(EXPORTED[kind])
    plain = can_be_plain and st.checkbox(
        "Plain labels", help="The text of a mark is only its emotion or note, without the brackets that we read again."
    )
    key = ("export", project.id, kind, whose, plain, project.annotator, session.choice("export_turn"))
    job = cached.jobs().find(session.owner(), key)
    if job is None:
        if not st.button("Prepare export", type="primary", icon=":material/output:"):
            return
        annotator = project.annotator if whose == "mine" else None
        job = cached.jobs().submit(
            session.owner(), key, "Export", lambda *_: _exported(project, kind, annotator, plain)
        )
    done = waiting.results({"export": job})
    if job.state == "failed":
        job.queue.drop(job)  # so that it can be submitted again
    if "export" not in done:
        return
    written: Exported = done["export"]
    for words in written.dropped:
        st.caption(f"Not in {EXPORTED[kind].name}: {in_markdown(words)}.")
    for words in written.unfit[:20]:
        st.warning(f"Changed in the export: {in_markdown(words)}", icon=":material/content_cut:")
    if len(written.unfit) > 20:
        st.warning(f"And {len(written.unfit) - 20} more.", icon=":material/content_cut:")
    if written.without_marks:
        st.caption(f"Without marks, so without a file: {counted(written.without_marks, 'recording')}.")
    name, content, media_type = _download(written, folder_name(project.name), kind)
    download, again = st.columns([3, 1])
    download.download_button(
        f"{counted(len(written.files), 'file')}: {in_markdown(name)}",
        content,
        name,
        media_type,
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )
    again.button(
        "Export again",
        icon=":material/refresh:",
        width="stretch",
        on_click=session.choose,
        args=("export_turn", session.choice("export_turn") + 1),
    )


def _exported(project: OpenProject, kind: str, annotator: str | None, plain: bool) -> Exported:
    recordings = list(project.store.export(project.id, annotator))
    if not any(recording.annotations for recording in recordings):
        raise AnnotationsRefused("There are no marks to export. Make or import some first.")
    return exported(recordings, EXPORTED[kind], {"plain": True} if plain else None)


def _download(written: Exported, stem: str, kind: str) -> tuple[str, bytes, str]:
    """Return name, content and media type of the only file, or of a ZIP of all files."""
    if len(written.files) == 1:
        ((name, content),) = written.files.items()
        return name, content, EXPORTED[kind].media_type
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in written.files.items():
            archive.writestr(name, content)
    return f"{stem}-{kind}.zip", packed.getvalue(), "application/zip"


def _measure(project: OpenProject) -> None:
    st.markdown("**Measures**")
    st.caption("A CSV with a row for each mark: duration, F0, intensity, formants, harmonics-to-noise ratio and tilt.")
    ceiling_hz = st.selectbox(
        "Formant ceiling",
        list(CEILINGS),
        format_func=lambda hz: f"{hz:.0f} Hz, {CEILINGS[hz]}",
        help="Five formants are looked for up to this frequency. A short vocal tract needs a high one.",
    )
    key = ("measure", project.id, ceiling_hz, session.choice("export_turn"))
    job = cached.jobs().find(session.owner(), key)
    if job is None:
        if not st.button("Measure marks", icon=":material/straighten:"):
            return
        job = cached.jobs().submit(
            session.owner(), key, "Measuring marks", lambda work: _measured(project, ceiling_hz, work)
        )
    done = waiting.results({"measure": job})
    if job.state == "failed":
        job.queue.drop(job)
    if "measure" not in done:
        return
    measured: MeasuredMarks = done["measure"]
    if measured.silent:
        words = counted(measured.silent, "recording")
        st.caption(f"Without measures: the marks in {words} whose sound is missing or cannot be read.")
    name = f"{folder_name(project.name)}-measures.csv"
    download, again = st.columns([3, 1])
    download.download_button(
        f"{counted(measured.marks, 'mark')}: {in_markdown(name)}",
        measured.content,
        name,
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )
    again.button(
        "Measure again",
        icon=":material/refresh:",
        width="stretch",
        on_click=session.choose,
        args=("export_turn", session.choice("export_turn") + 1),
    )


def _measured(project: OpenProject, ceiling_hz: float, work: Work) -> MeasuredMarks:
    recordings = [recording for recording in project.store.export(project.id) if recording.annotations]
    if not recordings:
        raise AnnotationsRefused("There are no marks to measure. Make or import some first.")
    files = [queued.file for queued in project.store.recordings(project.id, size=EVERY).items]
    return measured_marks(recordings, sounds_of(files, data_folder()), ceiling_hz, work)
