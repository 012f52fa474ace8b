"""How recordings come into a project: files, a whole folder, or the one that is open."""

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.annotation.place import Place
from pages.shared.names import in_markdown
from ser_core.annotations.formats.format import counted
from ser_core.annotations.store.kept_sounds import keep_sound
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.audio.decoding import READABLE
from ser_core.audio.reading import read_recording
from ser_core.errors import AudioRefused, SerError
from ser_core.output.saved_analyses import data_folder
from ser_core.work.progress import Work


def show(place: Place) -> None:
    """Ask for files, and show how adding them goes."""
    one_by_one, folder = st.tabs(["Files", "A whole folder"])
    given = one_by_one.file_uploader(
        "Recordings of speech",
        accept_multiple_files=True,
        key=f"queue_files_{session.choice('queue_added')}",
        help=f"Up to ten minutes each. Read are {READABLE}; found by content, not by name.",
    )
    given = given or folder.file_uploader(
        "A folder with recordings",
        accept_multiple_files="directory",
        key=f"queue_folder_{session.choice('queue_added')}",
    )
    current = session.current()
    label = f"Add {counted(len(given), 'recording')}" if given else "Add"
    st.caption("Their sound is kept on this machine with the marks, until they are deleted there.")
    add, held = st.columns(2)
    if add.button(label, type="primary", disabled=not given, icon=":material/playlist_add:", width="stretch"):
        _submit(place, [(file.getvalue(), file.name) for file in given])
        session.forget_uploads(file.file_id for file in given)
        session.choose("queue_added", session.choice("queue_added") + 1)
        st.rerun()
    if held.button(
        "Add the current recording",
        disabled=current is None,
        icon=":material/add:",
        width="stretch",
        help=None if current is None else in_markdown(current.name),
    ):
        add_current(place)
    _progress(place)


def add_current(place: Place) -> None:
    """Add the recording that every page is about."""
    held = session.held()[session.current().sha256]
    try:
        _keep(place, [(_file(held.source, held.recording.name), held.source)])
    except SerError as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/block:")
        return
    session.choose("annotate_view", "Mark")
    st.rerun()


def _submit(place: Place, files: list[tuple[bytes, str]]) -> None:
    key = ("add", place.project, session.choice("queue_added"))
    st.session_state[f"adding {place.project}"] = cached.jobs().submit(
        session.owner(),
        key,
        "Adding recordings",
        lambda work: _add_files(place, files, work),
    )


def _progress(place: Place) -> None:
    job = st.session_state.get(f"adding {place.project}")
    if job is None:
        return
    done = waiting.results({"add": job})
    if "add" not in done:
        return
    added, refused = done["add"]
    if added:
        st.success(f"Added: {counted(added, 'recording')}.", icon=":material/check:")
    if refused:
        st.warning(
            f"{len(refused)} could not be read:\n" + "\n".join(f"- {in_markdown(words)}" for words in refused[:20]),
            icon=":material/block:",
        )
    if st.session_state.get("adding_seen") != job.key:
        st.session_state["adding_seen"] = job.key
        st.rerun()


def _add_files(
    place: Place,
    files: list[tuple[bytes, str]],
    work: Work,
) -> tuple[int, list[str]]:
    """Read, keep and add files; return how many were added, and why others were not."""
    read, refused = [], []
    for number, (source, name) in enumerate(files, start=1):
        work.check("Nothing was added.")
        try:
            read.append((_file(source, name), source))
        except AudioRefused as refusal:
            refused.append(str(refusal))
        work.report(number / len(files), f"{number} of {len(files)} recordings")
    _keep(place, read)
    return len({file.sha256 for file, _ in read}), refused


def _file(source: bytes, name: str) -> RecordingFile:
    recording = read_recording(source, name)
    return RecordingFile(recording.sha256, recording.name, recording.duration_s, recording.sample_rate_hz)


def _keep(place: Place, files: list[tuple[RecordingFile, bytes]]) -> None:
    """Add recordings and keep their sound, in this order: no sound is left that no project would ever delete."""
    if files:
        place.store.add_recordings(place.project, [file for file, _ in files], place.annotator)
    for _, source in files:
        keep_sound(source, data_folder())
