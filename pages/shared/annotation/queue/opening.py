"""Open recordings of the queue, and read the next one ahead."""

from collections.abc import Mapping
from uuid import uuid4

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.annotation.open_project import OpenProject
from pages.shared.cached import classifying
from pages.shared.language import t
from pages.shared.player import Arrival
from pages.shared.recording import open_recordings
from pages.shared.session import Chosen
from ser_core.analysis import Recording
from ser_core.annotations.annotation import Annotation
from ser_core.annotations.saved_sounds import saved_file, saved_sound
from ser_core.annotations.store.work_queue import QueuedRecording
from ser_core.audio.reading import read_recording
from ser_core.errors import AnnotationsRefused, AudioRefused, SerError
from ser_core.output.saved_analyses import data_folder
from ser_core.work.jobs import Lane, work_owner
from ser_core.work.progress import Work

#: Session key: a recording that was opened at a mark, a unique id of this opening, and the mark.
OPENED_AT = "annotation opened at"


def open_queued(queued: QueuedRecording) -> str | None:
    """Make a queued recording the current one; if its audio cannot be opened, return why."""
    sha256, long = queued.file.sha256, open_recordings.held_long()
    if sha256 in open_recordings.held() or (long is not None and long.sha256 == sha256):
        open_recordings.make_current(sha256)
        return None
    if queued.file.is_long:
        path = saved_file(queued.file, data_folder())
        if path is None:
            return _missing_audio(queued)
        open_recordings.hold_long(path, queued.file.name, sha256)
        return None
    job = cached.read_ahead_jobs().find(session.owner(), ("ahead", sha256))
    held = job.result if job is not None and job.state == "done" else None
    work_owner.set(session.owner())  # a callback runs before the page, which sets it
    try:
        open_recordings.hold_queued(held or _read(queued))
    except SerError as refusal:
        return str(refusal)
    return None


def open_recording(project: OpenProject, sha256: str, at: Annotation | None = None) -> str | None:
    """Open a recording of a project in the view Mark, at one of its marks if given; if that fails, return why."""
    try:
        refusal = open_queued(project.store.recordings.open(project.id, sha256, project.annotator).recording)
    except AnnotationsRefused as refused:
        return str(refused)
    if refusal is None:
        session.choose("annotate_view", "Mark")
        st.session_state[OPENED_AT] = None if at is None else (sha256, uuid4().hex, at)
    return refusal


def arrival(sha256: str, ids: Mapping[str, str]) -> Arrival | None:
    """Return the mark at which a recording was opened, if any; `ids` maps keys in the store to ids in the player."""
    opened, opening_id, mark = st.session_state.get(OPENED_AT) or ("", "", None)
    if mark is None or opened != sha256:
        return None
    return Arrival(opening_id, ids.get(mark.key, mark.key), mark.region)


def _read(queued: QueuedRecording) -> open_recordings.Held:
    source = saved_sound(queued.file, data_folder())
    if source is None:
        raise AudioRefused(_missing_audio(queued))
    return open_recordings.Held(read_recording(source, queued.file.name), source)


def _missing_audio(queued: QueuedRecording) -> str:
    return t(
        "The audio of {name} is no longer on this machine. Add the same file again: "
        "it is recognised by its content, and its marks are still there.",
        name=queued.file.name,
    )


def read_ahead(project: OpenProject, sha256: str | None, chosen: Chosen | None) -> None:
    """Read and classify the next recording of the queue, so that it opens at once; only one is held."""
    if sha256 is None or sha256 in open_recordings.held():
        return
    key = ("ahead", sha256)
    job = cached.read_ahead_jobs().find(session.owner(), key)
    if job is None:
        cached.read_ahead_jobs().forget(session.owner(), about="ahead")
        classify = chosen and classifying.classification_ahead(chosen.any_voice or chosen.classifier)

        def read(work: Work) -> open_recordings.Held | None:
            queued = project.store.recordings.open(project.id, sha256, project.annotator).recording
            if queued.file.is_long:
                return None  # its working copy takes disk space, and it is opened piece by piece
            held = _read(queued)
            if classify is not None:
                classify(held.recording)
            return held

        job = cached.read_ahead_jobs().submit(session.owner(), key, "Reading ahead", read, Lane.QUICK)
    waiting.rerun_when_ended(job)


def ahead(sha256: str | None) -> Recording | None:
    """Return the next recording, if it was read already."""
    if sha256 in open_recordings.held():
        return open_recordings.held()[sha256].recording
    job = cached.read_ahead_jobs().find(session.owner(), ("ahead", sha256))
    held = job.result if job is not None and job.state == "done" else None
    return None if held is None else held.recording
