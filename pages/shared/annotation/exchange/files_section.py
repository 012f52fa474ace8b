"""Export and import marks in the file formats of other tools, and measure them."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.shared import cached, controls, session, waiting
from pages.shared.annotation.exchange import import_section, losses
from pages.shared.annotation.open_project import OpenProject
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from pages.shared.player.measuring import CEILINGS
from ser_core.annotations.annotation import settled
from ser_core.annotations.exchange.exporting import EXPORTED, Exported, choices_of, exported
from ser_core.annotations.exchange.measuring import LONGEST_MEASURED_S, MeasuredMarks, measured_marks
from ser_core.annotations.exchange.writing_into import WrittenInto, write_into_file
from ser_core.annotations.f0.tracks import WrittenF0, write_f0
from ser_core.annotations.saved_sounds import sounds_of, wav_files_of
from ser_core.annotations.store.work_queue import Queue
from ser_core.errors import AnnotationsRefused
from ser_core.model.shipped_models import load_model
from ser_core.output.saved_analyses import data_folder
from ser_core.work.atomic_folder import folder_name
from ser_core.work.progress import Work

MOST_UNFIT = 20
#: The gold layer where there is one, else everybody's marks.
SETTLED = texts("gold where decided")
EVERYBODYS, MINE = texts(("everybody's", "mine"))
#: In a ZIP, which is made in memory.
MOST_SOUND_BYTES = 200 * 2**20


def show(project: OpenProject) -> None:
    """Show export and import side by side, below them what chosen files would change, and then other files to take."""
    out, into = st.columns(2, gap="large")
    with out:
        _export(project)
        _export_into(project)
    with into:
        chosen = import_section.choose_files()
    import_section.show_import(project, *chosen)
    of_marks, of_f0 = st.columns(2, gap="large")
    with of_marks:
        _measure(project)
    with of_f0:
        _f0(project)


@dataclass(frozen=True)
class Download:
    """An export as one file: its only file, or a ZIP of all.

    Attributes
    ----------
    silent : int
        Number of recordings whose sound belongs to the files and is missing.
    """

    written: Exported
    name: str
    content: bytes
    media_type: str
    silent: int


def _export(project: OpenProject) -> None:
    st.markdown(t("**Export**"))
    kind = st.selectbox(
        t("Format"),
        list(EXPORTED),
        format_func=lambda key: recognised(EXPORTED[key].name),
        help=t("Only JSON keeps everything. Before you download, the page says what another format leaves out."),
    )
    may_settle = kind != "json" and project.store.recordings.page(project.id, Queue(task="gold"), size=1).total > 0
    whose = st.radio(
        t("Whose marks"),
        [*([SETTLED] if may_settle else []), EVERYBODYS, MINE],
        format_func=t,
        horizontal=True,
        help=t("Where a reviewer has decided, only what was decided; else everybody's.") if may_settle else None,
    )
    can_be_plain = "plain" in choices_of(EXPORTED[kind])
    plain = can_be_plain and st.checkbox(
        t("Plain labels"),
        help=t("The text of each mark is only its emotion or note, without the brackets that this app reads back."),
    )
    key = ("export", project.id, kind, whose, plain, project.annotator, session.choice("export_turn"))
    found = _result_of(
        key, "Export", t("Prepare export"), ":material/output:", lambda work: _exported(project, kind, whose, plain)
    )
    if found is not None:
        _losses(found, recognised(EXPORTED[kind].name))
        n = len(found.written.files) + len(found.written.sounds) - found.silent
        files = plural(n, "{n} file", "{n} files")
        _offer(files, found.name, found.content, found.media_type, t("Export again"))


def _export_into(project: OpenProject) -> None:
    """Write marks into a file that a person has, and offer the result."""
    with st.expander(t("Into a file you have"), icon=":material/note_add:"):
        st.caption(
            t(
                "Tiers with marks are added or, by their names, replaced. Nothing else in the file changes. "
                "Where a reviewer has decided, of emotions only what was decided is written."
            )
        )
        turn = session.choice("export_turn")
        given = st.file_uploader(t("TextGrid or EAF"), key=f"into_{turn}")
        if given is None:
            return
        name, content = printable(given.name), given.getvalue()
        key = ("into", project.id, project.annotator, given.file_id, turn)
        written: WrittenInto | None = _result_of(
            key,
            "Writing into a file",
            t("Write marks into it"),
            ":material/note_add:",
            lambda _: _written_into(project, name, content),
        )
        if written is not None:
            for line in written.lines():
                st.caption(losses.in_words(line))
            tiers = plural(len(written.into.added) + len(written.into.replaced), "{n} tier", "{n} tiers")
            _offer(tiers, name, written.into.content, "application/octet-stream")


def _written_into(project: OpenProject, name: str, content: bytes) -> WrittenInto:
    known = project.store.recordings.files(project.id)
    by_sha256 = {recording.sha256: settled(recording) for recording in project.store.transfer.export(project.id)}
    return write_into_file(content, name, known, by_sha256.__getitem__)


def _result_of(key: tuple, words: str, label: str, icon: str, run: Callable[[Work], Any]) -> Any:
    """Return what a job found, or draw the button that starts it, or its progress, and return None."""
    job = cached.jobs().find(session.owner(), key)
    if job is None:
        if not st.button(label, type="primary" if key[0] == "export" else "secondary", icon=icon):
            return None
        job = cached.jobs().submit(session.owner(), key, words, run)
    done = waiting.results({key[0]: job})
    if job.state == "failed":
        job.queue.drop(job)  # so that it can be submitted again
    return done.get(key[0])


def _losses(found: Download, format_name: str) -> None:
    """Say what is not in the files."""
    for words in found.written.dropped:
        st.caption(t("Not in {format_name}: {words}.", format_name=format_name, words=losses.in_words(words)))
    for words in found.written.unfit[:MOST_UNFIT]:
        st.warning(t("Changed in the export: {words}", words=losses.in_words(words)), icon=":material/content_cut:")
    if len(found.written.unfit) > MOST_UNFIT:
        st.warning(t("And {n} more.", n=len(found.written.unfit) - MOST_UNFIT), icon=":material/content_cut:")
    if found.written.without_marks:
        st.caption(
            plural(
                found.written.without_marks,
                "Without marks, so without a file: {n} recording.",
                "Without marks, so without a file: {n} recordings.",
            )
        )
    if found.silent:
        st.caption(
            plural(
                found.silent,
                "Without its sound: {n} recording. Sound that is not saved here is left out, and so are recordings "
                "over ten minutes and all beyond {most} MiB; `annotations export` has no such limit.",
                "Without its sound: {n} recordings. Sound that is not saved here is left out, and so are recordings "
                "over ten minutes and all beyond {most} MiB; `annotations export` has no such limit.",
                most=MOST_SOUND_BYTES // 2**20,
            )
        )


def _offer(files: str, name: str, content: bytes, media_type: str, again: str = "") -> None:
    """Draw the button for the download and, if it has a label, one that forgets what was prepared."""
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            f"{files}: {in_markdown(name)}", content, name, media_type, icon=":material/download:", on_click="ignore"
        )
        if again:
            st.button(
                again,
                icon=":material/refresh:",
                on_click=session.choose,
                args=("export_turn", session.choice("export_turn") + 1),
            )


def _exported(project: OpenProject, kind: str, whose: str, plain: bool) -> Download:
    recordings = list(project.store.transfer.export(project.id, project.annotator if whose == MINE else None))
    if whose == SETTLED:
        recordings = [settled(recording) for recording in recordings]
    if not any(recording.annotations or (kind == "json" and recording.f0.frames) for recording in recordings):
        raise AnnotationsRefused("There are no marks to export. Make or import some first.")
    written = exported(recordings, EXPORTED[kind], {"plain": True} if plain else None, project.name)
    if len(written.files) == 1:
        ((name, content),) = written.files.items()
        return Download(written, name, content, EXPORTED[kind].media_type, 0)
    files = project.store.recordings.files(project.id)
    packed, left, silent = io.BytesIO(), MOST_SOUND_BYTES, 0
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in written.files.items():
            archive.writestr(name, content)
        wav_file = wav_files_of([file for file in files if not file.is_long], data_folder())
        for name, sha256 in written.sounds.items():
            content = wav_file(sha256) if left > 0 else None
            left -= len(content or b"")
            if content is None or left < 0:
                silent += 1
            else:
                archive.writestr(name, content)
    name = f"{folder_name(project.name)}-{kind}.zip"
    return Download(written, name, packed.getvalue(), "application/zip", silent)


def _measure(project: OpenProject) -> None:
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
    name = controls.model_name()
    scored = name is not None and st.checkbox(
        t("Scores of the model {name}", name=in_markdown(name)),
        help=t("The model's score of each emotion, as if each mark were a recording. Choose it in the sidebar."),
    )
    model = name if scored else None
    key = ("measure", project.id, ceiling_hz, model, session.choice("export_turn"))
    measured: MeasuredMarks | None = _result_of(
        key,
        "Measuring marks",
        t("Measure marks"),
        ":material/straighten:",
        lambda work: _measured(project, ceiling_hz, model, work),
    )
    if measured is not None:
        name, marks = f"{folder_name(project.name)}-measures.csv", plural(measured.marks, "{n} mark", "{n} marks")
        _offer_measured(marks, name, measured.content, "text/csv", measured.silent, measured.too_long)


def _measured(project: OpenProject, ceiling_hz: float, model: str | None, work: Work) -> MeasuredMarks:
    recordings = [recording for recording in project.store.transfer.export(project.id) if recording.annotations]
    if not recordings:
        raise AnnotationsRefused("There are no marks to measure. Make or import some first.")
    files = project.store.recordings.files(project.id)
    classifier = None if model is None else load_model(model)
    return measured_marks(recordings, sounds_of(files, data_folder()), ceiling_hz, work, classifier)


def _f0(project: OpenProject) -> None:
    st.markdown("**F0**")
    st.caption(t("F0 over time as it was measured and corrected by hand: a PitchTier for Praat, and a CSV."))
    every = st.checkbox(t("Include recordings without corrections"))
    key = ("f0", project.id, every, session.choice("export_turn"))
    found: tuple[bytes, WrittenF0] | None = _result_of(
        key,
        "Measuring F0",
        t("Write F0"),
        ":material/show_chart:",
        lambda work: _f0_files(project, every, work),
    )
    if found is not None:
        content, written = found
        words = plural(written.recordings, "F0 of {n} recording", "F0 of {n} recordings")
        _offer_measured(words, f"{folder_name(project.name)}-f0.zip", content, "application/zip", written.silent)


def _offer_measured(words: str, name: str, content: bytes, media_type: str, silent: int, too_long: int = 0) -> None:
    """Say what could not be measured, and draw the buttons for what was."""
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
    _offer(words, name, content, media_type, t("Measure again"))


def _f0_files(project: OpenProject, every: bool, work: Work) -> tuple[bytes, WrittenF0]:
    """Return a ZIP with the F0 of recordings, and what is in it."""
    files = project.store.recordings.files(project.id)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        recordings = project.store.transfer.export(project.id)
        written = write_f0(recordings, every, sounds_of(files, data_folder()), archive.writestr, work)
    return packed.getvalue(), written
