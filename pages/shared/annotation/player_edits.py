"""Store the edits made in the player of the view Mark as steps, and open the previous or next recording."""

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from pages.shared import session
from pages.shared.annotation.open_project import OpenProject, queue_of, refusals
from pages.shared.annotation.queue import opening
from pages.shared.annotation.shown_marks import Shown
from pages.shared.cached import long_recordings, measuring
from pages.shared.language import plural, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.player import Edit, Mark, hand_over
from pages.shared.player.measuring import measured_f0
from pages.shared.recording import open_recordings
from ser_core.analysis import Region, moved
from ser_core.annotations.annotation import EMOTION, RECORDING_TIER, REGION_TIER, Annotation, Tier
from ser_core.annotations.f0.operations import OPERATIONS, f0_changes
from ser_core.annotations.nesting import nested
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.transactions import Store
from ser_core.errors import AnnotationsRefused, SerError
from ser_core.settings import F0Settings

PLAYER = "annotate"
#: Fields that a key of the player sets.
FIELDS = {"status": str, "intensity": int, "confidence": float, "channel": int}
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


# --- from an edit to a step of the store ---


def make_edit(store: Store, project: int, annotator: str, edit: Edit, shown: Shown) -> Step | None:
    """Store an edit as one step of the history; return None if there is nothing to store.

    Raises
    ------
    AnnotationsRefused
        As `Store.marks.edit`, `undo` and `redo`; nothing is written then.
    """
    step = _made(store, project, annotator, edit, shown)
    if step is not None:
        shown.follow(step)
    return step


def _made(store: Store, project: int, annotator: str, edit: Edit, shown: Shown) -> Step | None:
    if edit.command == "undo":
        return store.history.undo(project, edit.recording, annotator)
    if edit.command == "redo":
        return store.history.redo(project, edit.recording, annotator)
    if edit.command == "label":
        return label_whole(store, project, annotator, edit.recording, shown, emotion=edit.value, status="done")
    if edit.command in FIELDS:
        return _set_field(store, project, annotator, edit, shown)
    return _edit_marks(store, project, annotator, edit, shown)


def correct_f0(
    store: Store, project: int, annotator: str, edit: Edit, shown: Shown, measured_hz: np.ndarray, from_s: float
) -> None:
    """Store what is done to the F0 of a stretch, as one step of the history.

    Parameters
    ----------
    measured_hz : ndarray of shape (frames,)
        From `from_s` of the recording on; NaN: unvoiced.

    Raises
    ------
    SettingsRefused
        As `f0_changes`.
    AnnotationsRefused
        As `Store.marks.correct_f0`.
    """
    if not isinstance(edit.value, str) or edit.value not in OPERATIONS or len(edit.changed) != 1:
        return  # a browser may say anything
    region, first = moved(edit.changed[0].region, -from_s), round(from_s / F0Settings().hop_s)
    changes = f0_changes(edit.value, measured_hz, shown.f0.from_time(from_s).hz, region, edit.hz)
    wanted = {first + frame: hz for frame, hz in changes.items()}
    shown.follow(store.marks.correct_f0(project, edit.recording, annotator, wanted, shown.f0.frames))


def _edit_marks(store: Store, project: int, annotator: str, edit: Edit, shown: Shown) -> Step | None:
    """Store changed, new and deleted marks of one tier, with what follows from them in the tiers below."""
    tier = EMOTION if edit.tier is None else next((tier for tier in shown.tiers if tier.key == edit.tier), None)
    if tier is None:
        raise AnnotationsRefused("The tier of this mark is no longer there. Choose another one.")
    here = shown.marks if edit.tier is None else shown.in_tier(tier, annotator)
    changed = [mark for mark in edit.changed if mark.id in here]
    new = [mark for mark in edit.changed if mark.id not in here]
    deleted = [here[id_] for id_ in edit.deleted if id_ in here]
    suggested = {mark.id for mark in new} & set(shown.suggestions)
    shown.dismissed |= set(edit.deleted) & set(shown.suggestions)
    if not (changed or new or deleted):
        return None
    found = nested(
        shown.everything.values(),
        shown.tiers,
        change=[_content(mark, here[mark.id], tier) for mark in changed],
        add=[_content(mark, shown.new_mark(mark.region, tier), tier) for mark in new],
        delete=deleted,
    )
    provenance = shown.provenance if suggested else None
    edited = {"change": found.change, "add": found.add, "delete": found.delete, "provenance": provenance}
    step = store.marks.edit(project, edit.recording, annotator, **edited)
    shown.gone = found.gone
    now = (*step.marks[: len(changed)], *step.marks[len(found.change) :])
    for mark, stored in zip((*changed, *new), now, strict=True):
        shown.ids[stored.key] = mark.id
        if edit.tier is None:
            shown.marks[mark.id] = stored
    for id_ in edit.deleted if edit.tier is None else ():
        shown.marks.pop(id_, None)
    return step


def _set_field(store: Store, project: int, annotator: str, edit: Edit, shown: Shown) -> Step | None:
    """Store the value of one field of a mark or of the whole recording."""
    try:
        value = None if edit.value is None else FIELDS[edit.command](edit.value)
    except (TypeError, ValueError, OverflowError):
        return None  # a browser may say anything
    if edit.mark is None:
        return label_whole(store, project, annotator, edit.recording, shown, **{edit.command: value})
    found = shown.find(edit.mark, annotator)
    if found is None:
        raise AnnotationsRefused("This mark is no longer there. Select another one.")
    mark, tier = found
    step = change_mark(store, project, annotator, edit.recording, mark, **{edit.command: value})
    if tier.key == REGION_TIER:
        shown.marks[edit.mark] = step.marks[0]
    return step


def change_mark(store: Store, project: int, annotator: str, recording: str, mark: Annotation, **values: object) -> Step:
    """Change fields of a mark."""
    return store.marks.edit(project, recording, annotator, change=[replace(mark, **values)])


def label_whole(store: Store, project: int, annotator: str, recording: str, shown: Shown, **values: object) -> Step:
    """Change or add an annotator's label of the whole recording."""
    if shown.label is not None:
        step = change_mark(store, project, annotator, recording, shown.label, **values)
    else:
        new = Annotation(Region(0.0, shown.duration_s), tier=RECORDING_TIER, annotator=shown.layer, **values)
        step = store.marks.edit(project, recording, annotator, add=[new])
    shown.label = step.marks[0]
    return step


def _content(mark: Mark, before: Annotation, tier: Tier) -> Annotation:
    """Return the new content of a mark: its label is an emotion or, in tiers of labels and text, a note."""
    region, label = replace(mark.region, label=None), mark.region.label
    if tier.content == "emotions":
        return replace(before, region=region, emotion=label)
    return replace(before, region=region, emotion=None, note=label or "")
