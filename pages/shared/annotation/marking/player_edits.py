"""Store the edits made in the player of the view Mark as steps, and open the previous or next recording."""

from collections import Counter
from functools import partial

import streamlit as st

from pages.shared import session
from pages.shared.annotation.marking.shown_marks import Shown
from pages.shared.annotation.marking.stored_edits import correct_f0, store_edit
from pages.shared.annotation.open_project import OpenProject, refusals
from pages.shared.annotation.queue import opening
from pages.shared.annotation.queue.queue_choice import queue_of
from pages.shared.cached import long_recordings, measuring
from pages.shared.language import plural, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.player import Edit, hand_over
from pages.shared.player.measuring import measured_f0
from pages.shared.recording import open_recordings
from ser_core.errors import AnnotationsRefused, SerError

PLAYER = "annotate"
#: Recordings whose shown marks a visit remembers.
MAX_REMEMBERED = 8
#: Directions, and the message if there is no recording there.
NO_NEIGHBOUR = texts(
    {
        "previous": "There is no previous recording in the filtered queue.",
        "next": "There is no next recording in the filtered queue.",
    }
)
#: Session keys of messages that the next run shows.
END_MESSAGE, DELETION_MESSAGE = "annotation end of the queue", "annotation gone"


def store_pending_edits(project: OpenProject) -> None:
    """Store the edits made in the player that are not stored yet."""
    hand_over(PLAYER, partial(handle_edit, project))


def handle_edit(project: OpenProject, edit: Edit) -> None:
    """Store an edit, or open another recording."""
    if edit.command in NO_NEIGHBOUR:
        open_neighbour(project, edit.recording, edit.command)
        return
    if edit.command == "analyse":
        _analyse(edit)
        return
    if edit.command == "queue":
        session.choose("annotate_view", "Queue")
        return
    shown_by_key = st.session_state.setdefault("annotation shown", {})
    try:
        layer = edit.owner.removeprefix(layer_id(project, ""))
        shown = shown_by_key.get((project.id, project.annotator, edit.recording, layer))
        if shown is None or edit.owner != layer_id(project, layer):
            raise AnnotationsRefused("This edit arrived after the project or annotator had changed. Please repeat it.")
        if edit.command == "f0":
            _correct_f0(project, edit, shown)
            return
        store_edit(project.store, project.id, project.annotator, edit, shown)
        _report_deleted_below(shown)
    except SerError as refusal:
        refusals().append(str(refusal))


def _report_deleted_below(shown: Shown) -> None:
    """Let the next run report the marks that the last edit deleted in the tiers below."""
    if not shown.deleted_below:
        return
    names = {tier.key: tier.name for tier in shown.tiers}
    counts = Counter(names.get(mark.tier, mark.tier) for mark in shown.deleted_below)
    words = ", ".join(t("{n} in the tier {name}", n=n, name=in_markdown(name)) for name, n in counts.items())
    st.session_state[DELETION_MESSAGE] = plural(
        len(shown.deleted_below),
        "{n} mark was deleted with it: {words}. Undo restores all of them.",
        "{n} marks were deleted with it: {words}. Undo restores all of them.",
        words=words,
    )
    shown.deleted_below = ()


def _correct_f0(project: OpenProject, edit: Edit, shown: Shown) -> None:
    """Correct F0 in the open recording, or in its analysed stretch."""
    recording = open_recordings.current()
    is_open = recording is not None and edit.recording in (recording.sha256, recording.part_of)
    measured_hz = measured_f0(measuring.measures_job, recording, PLAYER) if is_open else None
    if measured_hz is None:
        raise AnnotationsRefused("F0 of this recording is not measured at the moment. Show it again, and repeat this.")
    from_s = 0.0 if edit.recording == recording.sha256 else recording.start_s
    correct_f0(project.store, project.id, project.annotator, edit, shown, measured_hz, from_s)


def _analyse(edit: Edit) -> None:
    """Cut a stretch out of the open long recording, and make it the current recording, which is analysed."""
    long = open_recordings.current_long()
    if long is None or long.sha256 != edit.recording or len(edit.changed) != 1:
        return  # another recording has been opened since, or this does not come from the player
    job, region = long_recordings.working_copy_job(long), edit.changed[0].region
    if job.state != "done":
        return
    try:
        long_recordings.open_stretch(long, job.result, region.start_s, region.end_s, replace_last=True)
    except SerError as refusal:
        refusals().append(str(refusal))


def open_neighbour(project: OpenProject, sha256: str, direction: str) -> None:
    """Open the "previous" or "next" recording of one in the queue; the next run shows why, if that fails."""
    try:
        opened = project.store.recordings.open(project.id, sha256, project.annotator, queue_of(project))
        neighbour = opened.previous if direction == "previous" else opened.next
        if neighbour is None:
            st.session_state[END_MESSAGE] = t(NO_NEIGHBOUR[direction])
            return
        queued = project.store.recordings.open(project.id, neighbour, project.annotator).recording
        refusal = opening.open_queued(queued)
    except AnnotationsRefused as error:
        refusal = str(error)
    if refusal is not None:
        refusals().append(refusal)


def layer_id(project: OpenProject, layer: str) -> str:
    """Identify the layer of marks that is shown in this visit; another visit does not know which edits are stored."""
    return f"{session.owner()} {project.id} {project.annotator}\n{layer}"


def shown_marks(project: OpenProject, sha256: str, layer: str) -> Shown:
    """Return the marks shown for a recording; this visit remembers them for the last `MAX_REMEMBERED` recordings."""
    shown_by_key = st.session_state.setdefault("annotation shown", {})
    key = (project.id, project.annotator, sha256, layer)
    shown_by_key[key] = shown_by_key.pop(key, None) or Shown(0.0, layer=layer)
    while len(shown_by_key) > MAX_REMEMBERED:
        del shown_by_key[next(iter(shown_by_key))]
    return shown_by_key[key]
