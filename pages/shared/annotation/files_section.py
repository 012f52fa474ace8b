"""Marks out of the project and into it, in files of other tools."""

import io
import zipfile

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.annotation.place import Place
from pages.shared.names import in_markdown, printable
from ser_core.annotations.exchange import EXPORTED, Exported, as_of_recordings, exported, read_files
from ser_core.annotations.formats.format import counted
from ser_core.annotations.store.store import EVERY
from ser_core.annotations.store.transfer import Imported
from ser_core.errors import AnnotationsRefused
from ser_core.work.atomic_folder import folder_name
from ser_core.work.progress import Work


def show(place: Place) -> None:
    """Offer both ways."""
    out, into = st.columns(2, gap="large")
    with out:
        _export(place)
    with into:
        _import(place)


def _export(place: Place) -> None:
    st.markdown("**Out of the project**")
    kind = st.selectbox(
        "Format",
        list(EXPORTED),
        format_func=lambda key: EXPORTED[key].name,
        help="Our own JSON keeps everything. What another format has no place for is said before you take it.",
    )
    whose = st.radio("Whose marks", ["everybody's", "mine"], horizontal=True)
    key = ("export", place.project, kind, whose, place.annotator, session.choice("export_turn"))
    job = cached.jobs().find(session.owner(), key)
    if job is None:
        if not st.button("Prepare", type="primary", icon=":material/output:"):
            return
        annotator = place.annotator if whose == "mine" else None
        job = cached.jobs().submit(session.owner(), key, "Export", lambda *_: _exported(place, kind, annotator))
    done = waiting.results({"export": job})
    if job.state == "failed":
        job.queue.drop(job)  # so that it can be asked for again
    if "export" not in done:
        return
    written: Exported = done["export"]
    for words in written.dropped:
        st.caption(f"Not in {EXPORTED[kind].name}: {in_markdown(words)}.")
    for words in written.unfit[:20]:
        st.warning(f"Not as it is kept: {in_markdown(words)}", icon=":material/content_cut:")
    if len(written.unfit) > 20:
        st.warning(f"And {len(written.unfit) - 20} more.", icon=":material/content_cut:")
    if written.without_marks:
        st.caption(f"{counted(written.without_marks, 'recording')} without marks have no file.")
    name, content, media_type = _to_take_away(written, folder_name(place.project_name), kind)
    take, anew = st.columns([3, 1])
    take.download_button(
        f"{counted(len(written.files), 'file')}: {in_markdown(name)}",
        content,
        name,
        media_type,
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )
    anew.button(
        "Anew",
        icon=":material/refresh:",
        width="stretch",
        on_click=session.choose,
        args=("export_turn", session.choice("export_turn") + 1),
    )


def _exported(place: Place, kind: str, annotator: str | None) -> Exported:
    recordings = list(place.store.export(place.project, annotator))
    if not any(recording.annotations for recording in recordings):
        raise AnnotationsRefused("There are no marks to write. Make or import some first.")
    return exported(recordings, EXPORTED[kind])


def _to_take_away(written: Exported, stem: str, kind: str) -> tuple[str, bytes, str]:
    """Return one file: that of the format where there is only one, else a ZIP of all."""
    if len(written.files) == 1:
        ((name, content),) = written.files.items()
        return name, content, EXPORTED[kind].media_type
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in written.files.items():
            archive.writestr(name, content)
    return f"{stem}-{kind}.zip", packed.getvalue(), "application/zip"


def _import(place: Place) -> None:
    st.markdown("**Into the project**")
    given = st.file_uploader(
        "Files of marks",
        accept_multiple_files=True,
        key=f"import_{session.choice('import_turn')}",
        help=f"{', '.join(each.name for each in EXPORTED.values())}; found by content. A file that does not say by "
        "SHA-256 which recording it is of belongs to the one of its name in this project.",
    )
    if st.button("Import, all or none", type="primary", disabled=not given, icon=":material/input:"):
        files = [(printable(file.name), file.getvalue()) for file in given]
        session.forget_uploads(file.file_id for file in given)
        turn = session.choice("import_turn")
        st.session_state[f"importing {place.project}"] = cached.jobs().submit(
            session.owner(),
            ("import", place.project, turn),
            "Import",
            lambda work: _imported(place, files, work),
        )
        session.choose("import_turn", turn + 1)
        st.rerun()
    job = st.session_state.get(f"importing {place.project}")
    done = waiting.results({"import": job}) if job else {}
    if "import" not in done:
        return
    imported, dropped = done["import"]
    st.success(
        f"{counted(imported.recordings, 'recording')}: {counted(imported.added, 'mark')} added, "
        f"{imported.known} known already, {imported.left_out} left out.",
        icon=":material/check:",
    )
    if imported.left_out:
        st.caption("Left out are labels of a whole recording to which their annotator has given another one here.")
    for words in dropped[:20]:
        st.caption(f"Not taken over from {in_markdown(words)}.")


def _imported(
    place: Place,
    files: list[tuple[str, bytes]],
    work: Work,
) -> tuple[Imported, list[str]]:
    found, dropped = read_files(files)
    known = [queued.file for queued in place.store.recordings(place.project, size=EVERY).items]
    documents = as_of_recordings(found, known)
    return place.store.import_recordings(place.project, documents, place.annotator, work), dropped
