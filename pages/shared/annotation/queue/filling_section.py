"""Add recordings to a project: files, a folder, or the current recording."""

import io
from pathlib import Path

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.annotation.open_project import OpenProject
from pages.shared.language import plural, recognised, t
from pages.shared.language.names import in_markdown
from pages.shared.recording import open_recordings
from ser_core.annotations.saved_sounds import audio_file, save_sound
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.audio.decoding.containers import READABLE
from ser_core.audio.working_copy import WorkingCopy
from ser_core.errors import AudioRefused, SerError
from ser_core.output.saved_analyses import data_folder
from ser_core.work.progress import Work


def show(project: OpenProject) -> None:
    """Show fields for files, and the progress of adding them."""
    files, folder = st.tabs([t("Files"), t("Folder")])
    uploads = files.file_uploader(
        t("Recordings of speech"),
        accept_multiple_files=True,
        key=f"queue_files_{session.choice('queue_added')}",
        help=t(
            "Up to two hours each, in files of up to {limit} MB; larger ones are added on the server by "
            "the command `annotations add`. Formats: {formats}, recognised by content, not by name.",
            limit=st.get_option("server.maxUploadSize"),
            formats=t(READABLE),
        ),
    )
    uploads = uploads or folder.file_uploader(
        t("Folder of recordings"),
        accept_multiple_files="directory",
        key=f"queue_folder_{session.choice('queue_added')}",
    )
    speaker = st.text_input(
        t("Speaker (optional)"),
        max_chars=80,
        key=f"queue_speaker_{session.choice('queue_added')}",
        help=t(
            "The same name for every recording of one person; initials will do. A taught model is then "
            "tested on other voices than it learnt from."
        ),
    ).strip()
    current = open_recordings.current()
    label = plural(len(uploads), "Add {n} recording", "Add {n} recordings") if uploads else t("Add")
    st.caption(t("Their audio is stored on this machine with the marks until you delete it."))
    add_column, current_column = st.columns(2)
    if add_column.button(label, type="primary", disabled=not uploads, icon=":material/playlist_add:", width="stretch"):
        _submit(project, [(file.getvalue(), file.name) for file in uploads], speaker)
        open_recordings.forget_uploads(file.file_id for file in uploads)
        session.choose("queue_added", session.choice("queue_added") + 1)
        st.rerun()
    if current_column.button(
        t("Add the current recording"),
        disabled=current is None or current.part_of is not None,
        icon=":material/add:",
        width="stretch",
        help=None if current is None else in_markdown(current.name),
    ):
        add_current(project, speaker)
    _progress(project)


def add_current(project: OpenProject, speaker: str = "") -> None:
    """Add the current recording, which is not a long one."""
    held = open_recordings.held()[open_recordings.current().sha256]
    try:
        file = audio_file(io.BytesIO(held.source), held.recording.name, speaker=speaker or None)
        _store(project, [(file, held.source)])
    except SerError as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/block:")
        return
    session.choose("annotate_view", "Mark")
    st.rerun()


def add_long(project: OpenProject, long: open_recordings.HeldLong, copy: WorkingCopy) -> None:
    """Add the open long recording; a file outside the data folder is stored by its path."""
    is_outside = isinstance(long.source, Path) and not long.source.is_relative_to(data_folder())
    path = str(long.source) if is_outside else None
    file = RecordingFile(copy.sha256, copy.name, copy.duration_s, copy.sample_rate_hz, path)
    project.store.recordings.add(project.id, [file], project.annotator)
    if isinstance(long.source, bytes):
        save_sound(long.source, data_folder())


def _submit(project: OpenProject, files: list[tuple[bytes, str]], speaker: str) -> None:
    key = ("add", project.id, session.choice("queue_added"))
    st.session_state[f"adding {project.id}"] = cached.jobs().submit(
        session.owner(),
        key,
        "Adding recordings",
        lambda work: _add_files(project, files, speaker, work),
    )


def _progress(project: OpenProject) -> None:
    job = st.session_state.get(f"adding {project.id}")
    if job is None:
        return
    done = waiting.results({"add": job})
    if "add" not in done:
        return
    added, refused = done["add"]
    if added:
        st.success(plural(added, "Added: {n} recording.", "Added: {n} recordings."), icon=":material/check:")
    if refused:
        lines = [f"- {in_markdown(recognised(words))}" for words in refused[:20]]
        st.warning("\n".join([t("{n} could not be read:", n=len(refused)), *lines]), icon=":material/block:")
    if st.session_state.get("adding_seen") != job.key:
        st.session_state["adding_seen"] = job.key
        st.rerun()


def _add_files(
    project: OpenProject,
    files: list[tuple[bytes, str]],
    speaker: str,
    work: Work,
) -> tuple[int, list[str]]:
    """Read, store and add files; return how many were added, and why the others were refused."""
    read, refused = [], []
    for number, (source, name) in enumerate(files, start=1):
        work.check("Nothing was added.")
        try:
            read.append((audio_file(io.BytesIO(source), name, speaker=speaker or None), source))
        except AudioRefused as refusal:
            refused.append(str(refusal))
        work.report(number / len(files), f"{number} of {len(files)} recordings")
    _store(project, read)
    return len({file.sha256 for file, _ in read}), refused


def _store(project: OpenProject, files: list[tuple[RecordingFile, bytes]]) -> None:
    """Add recordings, then store their audio; the other order could leave audio that is never deleted."""
    if files:
        project.store.recordings.add(project.id, [file for file, _ in files], project.annotator)
    for _, source in files:
        save_sound(source, data_folder())
