"""Store an edit made in the player as one step of the history."""

from dataclasses import replace

import numpy as np

from pages.shared.annotation.marking.shown_marks import Shown
from pages.shared.player import Edit, Mark
from ser_core.analysis import Region, moved
from ser_core.annotations.annotation import EMOTION, RECORDING_TIER, REGION_TIER, Annotation, Tier
from ser_core.annotations.f0.operations import OPERATIONS, f0_changes
from ser_core.annotations.nesting import nested_edit
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.transactions import Store
from ser_core.errors import AnnotationsRefused
from ser_core.settings import F0Settings

#: Fields that a key of the player sets.
FIELDS = {"status": str, "intensity": int, "confidence": float, "channel": int}


def store_edit(store: Store, project: int, annotator: str, edit: Edit, shown: Shown) -> Step | None:
    """Store an edit as one step of the history; return None if there is nothing to store.

    Raises
    ------
    AnnotationsRefused
        As `Store.marks.edit`, `undo` and `redo`; then nothing is written.
    """
    step = _store_edit(store, project, annotator, edit, shown)
    if step is not None:
        shown.apply(step)
    return step


def _store_edit(store: Store, project: int, annotator: str, edit: Edit, shown: Shown) -> Step | None:
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
    """Store a correction of the F0 in a region, as one step of the history.

    Parameters
    ----------
    measured_hz : ndarray of shape (frames,)
        F0 from the time `from_s` of the recording on, in Hz; NaN: unvoiced.

    Raises
    ------
    SettingsRefused
        As `f0_changes`.
    AnnotationsRefused
        As `Store.marks.correct_f0`.
    """
    if not isinstance(edit.value, str) or edit.value not in OPERATIONS or len(edit.changed) != 1:
        return  # a browser may send anything
    region, first_frame = moved(edit.changed[0].region, -from_s), round(from_s / F0Settings().hop_s)
    changes = f0_changes(edit.value, measured_hz, shown.f0.from_time(from_s).hz, region, edit.hz)
    corrected_hz = {first_frame + frame: hz for frame, hz in changes.items()}
    shown.apply(store.marks.correct_f0(project, edit.recording, annotator, corrected_hz, shown.f0.frames))


def _edit_marks(store: Store, project: int, annotator: str, edit: Edit, shown: Shown) -> Step | None:
    """Store changed, new and deleted marks of one tier, with their consequences in the tiers below."""
    tier = EMOTION if edit.tier is None else next((tier for tier in shown.tiers if tier.key == edit.tier), None)
    if tier is None:
        raise AnnotationsRefused("The tier of this mark is no longer there. Choose another one.")
    existing = shown.marks if edit.tier is None else shown.in_tier(tier, annotator)
    changed = [mark for mark in edit.changed if mark.id in existing]
    new = [mark for mark in edit.changed if mark.id not in existing]
    deleted = [existing[id_] for id_ in edit.deleted if id_ in existing]
    suggested = {mark.id for mark in new} & set(shown.suggestions)
    shown.dismissed |= set(edit.deleted) & set(shown.suggestions)
    if not (changed or new or deleted):
        return None
    changes = nested_edit(
        shown.everything.values(),
        shown.tiers,
        change=[_edited(mark, existing[mark.id], tier) for mark in changed],
        add=[_edited(mark, shown.new_mark(mark.region, tier), tier) for mark in new],
        delete=deleted,
    )
    provenance = shown.provenance if suggested else None
    step = store.marks.edit(
        project,
        edit.recording,
        annotator,
        change=changes.change,
        add=changes.add,
        delete=changes.delete,
        provenance=provenance,
    )
    shown.deleted_below = changes.gone
    stored_marks = (*step.marks[: len(changed)], *step.marks[len(changes.change) :])
    for mark, stored in zip((*changed, *new), stored_marks, strict=True):
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
        return None  # a browser may send anything
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


def _edited(mark: Mark, before: Annotation, tier: Tier) -> Annotation:
    """Return an annotation with the player's region and label: an emotion or, in tiers of labels and text, a note."""
    region, label = replace(mark.region, label=None), mark.region.label
    if tier.content == "emotions":
        return replace(before, region=region, emotion=label)
    return replace(before, region=region, emotion=None, note=label or "")
