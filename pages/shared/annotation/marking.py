"""What the player tells of edits, turned into steps of the store."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pages.shared.player import Edit, Mark
from ser_core.analysis import Region
from ser_core.annotations.annotation import RECORDING_TIER, REGION_TIER, Annotation
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.store import Store

SUGGESTION = "suggestion"
#: Part of a recording. What speaks for an emotion everywhere is no region but a label of the whole.
MOST_SUGGESTED = 0.9


@dataclass
class Shown:
    """The marks of one recording as the player shows them, so that an edit says which revision it was made to.

    Attributes
    ----------
    duration_s : float
    marks : dict of Annotation
        By their ids in the player: the key in the store, or the id that the player gave to what was drawn there.
    label : Annotation or None
        Of the whole recording, by this annotator.
    suggestions : dict of Annotation
        What the model suggests and was not taken or dismissed, by id.
    passed : set of str
        Ids of suggestions that were dismissed.
    provenance : dict
        Of the suggestions.
    """

    duration_s: float
    marks: dict[str, Annotation] = field(default_factory=dict)
    label: Annotation | None = None
    suggestions: dict[str, Annotation] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    provenance: dict[str, object] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def take(self, annotations: Sequence[Annotation], annotator: str) -> None:
        """Show what the store holds now."""
        own = [mark for mark in annotations if mark.annotator == annotator]
        self.marks = {self.ids.get(mark.key, mark.key): mark for mark in own if mark.tier == REGION_TIER}
        self.label = next((mark for mark in own if mark.tier == RECORDING_TIER), None)

    def suggest(self, regions: Sequence[Region], emotion: str, provenance: dict[str, object]) -> None:
        """Offer regions, but for those that were passed, that a mark covers by half or more, or that are nearly all."""
        self.provenance = provenance
        self.suggestions = {}
        for region in regions:
            name = f"{SUGGESTION} {emotion} {region.start_s:.3f} {region.end_s:.3f}"
            marked = any(overlap(region, mark.region) >= 0.5 for mark in self.marks.values())
            is_all = region.duration_s > MOST_SUGGESTED * self.duration_s
            if name not in self.passed | self.marks.keys() and not marked and not is_all:
                self.suggestions[name] = Annotation(Region(region.start_s, region.end_s), emotion=emotion)

    def for_player(self) -> tuple[Mark, ...]:
        """Return marks and suggestions as the player takes them."""
        return tuple(
            Mark(id_, replace(mark.region, label=mark.emotion), suggested)
            for marks, suggested in ((self.marks, False), (self.suggestions, True))
            for id_, mark in marks.items()
        )


def overlap(one: Region, other: Region) -> float:
    """Return intersection over union in time.

    >>> overlap(Region(0, 2), Region(1, 3))
    0.3333333333333333
    """
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return max(0.0, shared) / (one.duration_s + other.duration_s - max(0.0, shared))


def make_edit(store: Store, project: int, annotator: str, edit: Edit, shown: Shown) -> Step | None:
    """Write what was done to marks as one step; None where nothing is left to do.

    Raises
    ------
    AnnotationsRefused
        As `Store.edit`, `undo` and `redo`; then nothing was written.
    """
    if edit.command == "undo":
        return store.undo(project, edit.recording, annotator)
    if edit.command == "redo":
        return store.redo(project, edit.recording, annotator)
    if edit.command == "label":
        return label_whole(store, project, annotator, edit.recording, shown, emotion=edit.value, status="done")
    changed = [mark for mark in edit.changed if mark.id in shown.marks]
    new = [mark for mark in edit.changed if mark.id not in shown.marks]
    deleted = [shown.marks[id_] for id_ in edit.deleted if id_ in shown.marks]
    suggested = {mark.id for mark in new} & set(shown.suggestions)
    shown.passed |= set(edit.deleted) & set(shown.suggestions)
    if not (changed or new or deleted):
        return None
    step = store.edit(
        project,
        edit.recording,
        annotator,
        change=[_content(mark, shown.marks[mark.id]) for mark in changed],
        add=[_content(mark, Annotation(mark.region)) for mark in new],
        delete=deleted,
        provenance=shown.provenance if suggested else None,
    )
    for mark, now in zip((*changed, *new), step.marks, strict=True):
        shown.marks[mark.id] = now
        shown.ids[now.key] = mark.id
    for id_ in edit.deleted:
        shown.marks.pop(id_, None)
    return step


def change_mark(store: Store, project: int, annotator: str, recording: str, mark: Annotation, **values: object) -> Step:
    """Change what a mark says."""
    return store.edit(project, recording, annotator, change=[replace(mark, **values)])


def label_whole(store: Store, project: int, annotator: str, recording: str, shown: Shown, **values: object) -> Step:
    """Change, or make, an annotator's label of the whole recording."""
    if shown.label is not None:
        step = change_mark(store, project, annotator, recording, shown.label, **values)
    else:
        new = Annotation(Region(0.0, shown.duration_s), tier=RECORDING_TIER, **values)
        step = store.edit(project, recording, annotator, add=[new])
    shown.label = step.marks[0]
    return step


def _content(mark: Mark, before: Annotation) -> Annotation:
    return replace(before, region=replace(mark.region, label=None), emotion=mark.region.label)
