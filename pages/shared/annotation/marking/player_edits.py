"""Store the edits made in the player of the view Mark as steps, and open the previous or next recording."""

from collections import Counter
from functools import partial

import streamlit as st

from pages.shared import session
from pages.shared.annotation.marking.shown_marks import Shown
from pages.shared.annotation.marking.stored_edits import correct_f0, make_edit
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
#: Directions, and what is said if there is no such recording.
TURNS = texts(
    {
        "previous": "There is no previous recording in the filtered queue.",
        "next": "There is no next recording in the filtered queue.",
    }
)
#: Session keys of what the next run says.
END, GONE = "annotation end of the queue", "annotation gone"


def take(project: OpenProject) -> None:
    """Store the edits made in the player that are not stored yet."""
    hand_over(PLAYER, partial(make, project))


def make(project: OpenProject, edit: Edit) -> None:
    """Store an edit, or open another recording."""
    if edit.command in TURNS:
        turn(project, edit.recording, edit.command)
        return
    if edit.command == "analyse":
        _analyse(edit)
        return
    if edit.command == "queue":
        session.choose("annotate_view", "Queue")
        return
    shown_by = st.session_state.setdefault("annotation shown", {})
    try:
        layer = edit.owner.removeprefix(whose_marks(project, ""))
        shown = shown_by.get((project.id, project.annotator, edit.recording, layer))
        if shown is None or edit.owner != whose_marks(project, layer):
            raise AnnotationsRefused("This edit arrived after the project or annotator had changed. Please repeat it.")
        if edit.command == "f0":
            _correct_f0(project, edit, shown)
            return
        make_edit(project.store, project.id, project.annotator, edit, shown)
        _say_what_went_along(shown)
    except SerError as refusal:
        refusals().append(str(refusal))


def _say_what_went_along(shown: Shown) -> None:
    """Let the next run name the marks that were deleted along with those of the edit."""
    if not shown.gone:
        return
    names = {tier.key: tier.name for tier in shown.tiers}
    counts = Counter(names.get(mark.tier, mark.tier) for mark in shown.gone)
    words = ", ".join(t("{n} in the tier {name}", n=n, name=in_markdown(name)) for name, n in counts.items())
    st.session_state[GONE] = plural(
        len(shown.gone),
        "{n} mark was deleted with it: {words}. Undo restores all of them.",
        "{n} marks were deleted with it: {words}. Undo restores all of them.",
        words=words,
    )
    shown.gone = ()


def _correct_f0(project: OpenProject, edit: Edit, shown: Shown) -> None:
    """Correct F0 in the recording that is open, or in the stretch of it that is analysed."""
    recording = open_recordings.current()
    is_open = recording is not None and edit.recording in (recording.sha256, recording.part_of)
    measured_hz = measured_f0(measuring.measures_job, recording, PLAYER) if is_open else None
    if measured_hz is None:
        raise AnnotationsRefused("F0 of this recording is not measured at the moment. Show it again, and repeat this.")
    from_s = 0.0 if edit.recording == recording.sha256 else recording.start_s
    correct_f0(project.store, project.id, project.annotator, edit, shown, measured_hz, from_s)


def _analyse(edit: Edit) -> None:
    """Cut a stretch out of the long recording that is open, and make it the current recording, which is analysed."""
    long = open_recordings.current_long()
    if long is None or long.sha256 != edit.recording or len(edit.changed) != 1:
        return  # another recording has been opened since, or no player has sent this
    job, region = long_recordings.working_copy_job(long), edit.changed[0].region
    if job.state != "done":
        return
    try:
        long_recordings.open_stretch(long, job.result, region.start_s, region.end_s, replace_last=True)
    except SerError as refusal:
        refusals().append(str(refusal))


def turn(project: OpenProject, sha256: str, way: str) -> None:
    """Open the recording before or after one in the queue; the next run says why not, if so."""
    try:
        opened = project.store.recordings.open(project.id, sha256, project.annotator, queue_of(project))
        to = opened.previous if way == "previous" else opened.next
        if to is None:
            st.session_state[END] = t(TURNS[way])
            return
        refusal = opening.open_queued(project.store.recordings.open(project.id, to, project.annotator).recording)
    except AnnotationsRefused as unknown:
        refusal = str(unknown)
    if refusal is not None:
        refusals().append(refusal)


def whose_marks(project: OpenProject, layer: str) -> str:
    """Identify whose marks are shown, within this visit: another visit does not know which edits are stored."""
    return f"{session.owner()} {project.id} {project.annotator}\n{layer}"


def shown_marks(project: OpenProject, sha256: str, layer: str) -> Shown:
    """Return the marks shown for a recording; remembered for the eight that were opened last."""
    shown_by = st.session_state.setdefault("annotation shown", {})
    key = (project.id, project.annotator, sha256, layer)
    shown_by[key] = shown_by.pop(key, None) or Shown(0.0, layer=layer)
    while len(shown_by) > 8:
        del shown_by[next(iter(shown_by))]
    return shown_by[key]
