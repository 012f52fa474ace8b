"""The view Files: export and import marks in the formats of other tools, and measure them."""

import io
import zipfile
from dataclasses import dataclass

import streamlit as st

from pages.shared import session
from pages.shared.annotation.exchange import import_form, import_section, losses, measures_section
from pages.shared.annotation.exchange.prepared_files import offer_download, result_of
from pages.shared.annotation.open_project import OpenProject
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import printable
from ser_core.annotations.annotation import with_gold_applied
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, Exported, choices_of, export_recordings
from ser_core.annotations.exchange.writing_into import WrittenInto, write_into_file
from ser_core.annotations.saved_sounds import wav_files_of
from ser_core.annotations.store.work_queue import Queue
from ser_core.errors import AnnotationsRefused
from ser_core.output.saved_analyses import data_folder
from ser_core.work.atomic_folder import folder_name

#: At most this many changes are listed.
MAX_UNFIT = 20
#: The gold layer of a recording if there is one, else everybody's marks.
SETTLED = texts("gold where decided")
EVERYBODYS, MINE = texts(("everybody's", "mine"))
#: Of sound in a ZIP, which is made in memory.
MAX_SOUND_BYTES = 200 * 2**20


def show(project: OpenProject) -> None:
    """Show export and import side by side, below them the preview of an import, and then measures and F0."""
    export_column, import_column = st.columns(2, gap="large")
    with export_column:
        _export(project)
        _export_into(project)
    with import_column:
        chosen = import_form.choose_files()
    import_section.show_import(project, *chosen)
    measures_column, f0_column = st.columns(2, gap="large")
    with measures_column:
        measures_section.show_measures(project)
    with f0_column:
        measures_section.show_f0(project)


@dataclass(frozen=True)
class Download:
    """An export as one file: its only file, or a ZIP of all files.

    Attributes
    ----------
    silent : int
        Number of recordings owner sound should be among the files but is missing.
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
        list(EXPORT_FORMATS),
        format_func=lambda key: recognised(EXPORT_FORMATS[key].name),
        help=t("Only JSON keeps everything. Before you download, the page says what another format leaves out."),
    )
    may_settle = kind != "json" and project.store.recordings.page(project.id, Queue(task="gold"), size=1).total > 0
    owner = st.radio(
        t("Whose marks"),
        [*([SETTLED] if may_settle else []), EVERYBODYS, MINE],
        format_func=t,
        horizontal=True,
        help=t("Where a reviewer has decided, only what was decided; else everybody's.") if may_settle else None,
    )
    can_be_plain = "plain" in choices_of(EXPORT_FORMATS[kind])
    plain = can_be_plain and st.checkbox(
        t("Plain labels"),
        help=t("The text of each mark is only its emotion or note, without the brackets that this app reads back."),
    )
    key = ("export", project.id, kind, owner, plain, project.annotator, session.choice("export_turn"))
    found = result_of(
        key, "Export", t("Prepare export"), ":material/output:", lambda work: _make_export(project, kind, owner, plain)
    )
    if found is not None:
        _losses(found, recognised(EXPORT_FORMATS[kind].name))
        n = len(found.written.files) + len(found.written.sounds) - found.silent
        files = plural(n, "{n} file", "{n} files")
        offer_download(files, found.name, found.content, found.media_type, t("Export again"))


def _export_into(project: OpenProject) -> None:
    """Write marks into an uploaded file, and offer the result."""
    with st.expander(t("Into a file you have"), icon=":material/note_add:"):
        st.caption(
            t(
                "Tiers with marks are added or, by their names, replaced. Nothing else in the file changes. "
                "Where a reviewer has decided, of emotions only what was decided is written."
            )
        )
        turn = session.choice("export_turn")
        upload = st.file_uploader(t("TextGrid or EAF"), key=f"into_{turn}")
        if upload is None:
            return
        name, content = printable(upload.name), upload.getvalue()
        key = ("into", project.id, project.annotator, upload.file_id, turn)
        written: WrittenInto | None = result_of(
            key,
            "Writing into a file",
            t("Write marks into it"),
            ":material/note_add:",
            lambda _: _write_into(project, name, content),
        )
        if written is not None:
            for line in written.lines():
                st.caption(losses.in_words(line))
            tiers = plural(len(written.into.added) + len(written.into.replaced), "{n} tier", "{n} tiers")
            offer_download(tiers, name, written.into.content, "application/octet-stream")


def _write_into(project: OpenProject, name: str, content: bytes) -> WrittenInto:
    files = project.store.recordings.files(project.id)
    by_sha256 = {
        recording.sha256: with_gold_applied(recording) for recording in project.store.transfer.export(project.id)
    }
    return write_into_file(content, name, files, by_sha256.__getitem__)


def _losses(found: Download, format_name: str) -> None:
    """Show what is missing or changed in the files."""
    dropped = [losses.in_words(words) for words in found.written.dropped]
    if len(dropped) == 1:
        st.caption(t("Not in {format_name}: {words}.", format_name=format_name, words=dropped[0]))
    elif dropped:
        title = t("Not in {format_name}: {n} kinds of information", format_name=format_name, n=len(dropped))
        st.expander(title, icon=":material/content_cut:").markdown("\n".join(f"- {words}" for words in dropped))
    for words in found.written.unfit[:MAX_UNFIT]:
        st.warning(t("Changed in the export: {words}", words=losses.in_words(words)), icon=":material/content_cut:")
    if len(found.written.unfit) > MAX_UNFIT:
        st.warning(t("And {n} more.", n=len(found.written.unfit) - MAX_UNFIT), icon=":material/content_cut:")
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
                "over ten minutes and all beyond {limit} MiB; `annotations export` has no such limit.",
                "Without its sound: {n} recordings. Sound that is not saved here is left out, and so are recordings "
                "over ten minutes and all beyond {limit} MiB; `annotations export` has no such limit.",
                limit=MAX_SOUND_BYTES // 2**20,
            )
        )


def _make_export(project: OpenProject, kind: str, owner: str, plain: bool) -> Download:
    recordings = list(project.store.transfer.export(project.id, project.annotator if owner == MINE else None))
    if owner == SETTLED:
        recordings = [with_gold_applied(recording) for recording in recordings]
    if not any(recording.annotations or (kind == "json" and recording.f0.frames) for recording in recordings):
        raise AnnotationsRefused("There are no marks to export. Make or import some first.")
    written = export_recordings(recordings, EXPORT_FORMATS[kind], {"plain": True} if plain else None, project.name)
    if len(written.files) == 1:
        ((name, content),) = written.files.items()
        return Download(written, name, content, EXPORT_FORMATS[kind].media_type, 0)
    files = project.store.recordings.files(project.id)
    packed, bytes_left, silent = io.BytesIO(), MAX_SOUND_BYTES, 0
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in written.files.items():
            archive.writestr(name, content)
        wav_file = wav_files_of([file for file in files if not file.is_long], data_folder())
        for name, sha256 in written.sounds.items():
            content = wav_file(sha256) if bytes_left > 0 else None
            bytes_left -= len(content or b"")
            if content is None or bytes_left < 0:
                silent += 1
            else:
                archive.writestr(name, content)
    name = f"{folder_name(project.name)}-{kind}.zip"
    return Download(written, name, packed.getvalue(), "application/zip", silent)
