"""Turn the player's edits into steps of the annotation store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pages.shared.language import t
from pages.shared.language.names import emotion_in_words, printable
from pages.shared.player import Edit, Mark, TierLane
from ser_core.analysis import Region, moved
from ser_core.annotations.agreement.label_mapping import can_be_mapped, label_of
from ser_core.annotations.annotation import EMOTION, GOLD, RECORDING_TIER, REGION_TIER, Annotation, Tier
from ser_core.annotations.f0.corrections import CorrectedF0
from ser_core.annotations.f0.operations import OPERATIONS, f0_changes
from ser_core.annotations.nesting import nested
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.store import Store
from ser_core.errors import AnnotationsRefused
from ser_core.settings import F0Settings

SUGGESTION = "suggestion"
#: Fields that a key of the player sets.
FIELDS = {"status": str, "intensity": int, "confidence": float, "channel": int}
#: Share of a recording. A suggestion that covers more is not a region but a label for the whole recording.
MOST_SUGGESTED = 0.9
#: With more tiers than this, those without marks in the recording are not shown.
MOST_EMPTY = 12
#: Labels on the keys 1 to 9.
MOST_KEYS = 9


@dataclass
class Shown:
    """The marks of one recording as the player shows them, so that an edit names the revision it changes.

    Attributes
    ----------
    duration_s : float
    marks : dict of Annotation
        By id in the player: the key in the store, or the id that the player gave to a newly drawn mark.
    label : Annotation or None
        This annotator's label of the whole recording.
    suggestions : dict of Annotation
        The model's suggestions that were neither accepted nor dismissed, by id; those of all tiers.
    dismissed : set of str
        Ids of dismissed suggestions.
    provenance : dict
        Origin of the suggestions: model, explainer and settings.
    ids : dict of str
        Ids in the player, by key in the store.
    tiers : tuple of Tier
        All of the project.
    everything : dict of Annotation
        Everybody's marks in every tier, by key in the store.
    gone : tuple of Annotation
        Marks that the last edit deleted in the tiers below.
    layer : str
        `GOLD` if the gold layer is edited; "" for the annotator's own marks.
    f0 : CorrectedF0
        Corrected by anybody.
    """

    duration_s: float
    marks: dict[str, Annotation] = field(default_factory=dict)
    label: Annotation | None = None
    suggestions: dict[str, Annotation] = field(default_factory=dict)
    dismissed: set[str] = field(default_factory=set)
    provenance: dict[str, object] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    tiers: tuple[Tier, ...] = ()
    everything: dict[str, Annotation] = field(default_factory=dict)
    gone: tuple[Annotation, ...] = ()
    layer: str = ""
    f0: CorrectedF0 = field(default_factory=CorrectedF0)

    def take(
        self,
        annotations: Sequence[Annotation],
        annotator: str,
        tiers: tuple[Tier, ...] = (),
        f0: CorrectedF0 | None = None,
    ) -> None:
        """Take over the annotations, the tiers and, if it is given, the corrected F0 that the store holds now."""
        self.f0 = self.f0 if f0 is None else f0
        self.everything = {mark.key: mark for mark in annotations}
        self.tiers = tiers
        own = [mark for mark in annotations if mark.annotator == (self.layer or annotator)]
        self.marks = {self.ids.get(mark.key, mark.key): mark for mark in own if mark.tier == REGION_TIER}
        self.label = next((mark for mark in own if mark.tier == RECORDING_TIER), None)

    def in_tier(self, tier: Tier, annotator: str) -> dict[str, Annotation]:
        """Return the marks that a tier shows, by id: this annotator's emotions and labels, and everybody's text."""
        whose = self._whose(tier, annotator)
        return {
            self.ids.get(mark.key, mark.key): mark
            for mark in self.everything.values()
            if mark.tier == tier.key and whose in (None, mark.annotator)
        }

    def of_others(self, annotator: str) -> tuple[tuple[str, tuple[Region, ...]], ...]:
        """Return the emotions and labels of others in the tiers that are shown: for each of them a row by tier."""
        found: dict[str, dict[str, list[Region]]] = {}
        for tier in self.tiers:
            whose = self._whose(tier, annotator)
            for mark in self.everything.values() if tier.shown and whose else ():
                if mark.tier == tier.key and mark.annotator != whose:
                    rows = found.setdefault(mark.annotator, {mark.annotator: []})
                    row = mark.annotator if tier.key == REGION_TIER else f"· {tier.name}"
                    rows.setdefault(row, []).append(replace(mark.region, label=mark.emotion or mark.note or None))
        return tuple((row, tuple(regions)) for who in sorted(found) for row, regions in found[who].items())

    def _whose(self, tier: Tier, annotator: str) -> str | None:
        """Return whose marks are opinions of one's own in a tier; None: text is nobody's opinion."""
        return {"text": None, "labels": annotator, "emotions": self.layer or annotator}[tier.content]

    def find(self, id_: str | None, annotator: str) -> tuple[Annotation, Tier] | None:
        """Return a mark that is shown, and its tier, by its id in the player; None if it is not there."""
        if id_ in self.marks:
            return self.marks[id_], EMOTION
        mark = next((mark for mark in self.everything.values() if self.ids.get(mark.key, mark.key) == id_), None)
        tier = mark and next((tier for tier in self.tiers if tier.key == mark.tier), None)
        return (mark, tier) if tier and id_ in self.in_tier(tier, annotator) else None

    def new_mark(self, region: Region, tier: Tier) -> Annotation:
        """Return a newly drawn mark: done at once in the gold layer, otherwise open."""
        is_decision = self.layer == GOLD and tier.content == "emotions"
        return Annotation(region, tier.key, **({"annotator": GOLD, "status": "done"} if is_decision else {}))

    def follow(self, step: Step) -> None:
        """Take over what a step changed."""
        for change in step.changes:
            self.everything.pop(change.key, None)
            if change.after is not None:
                self.everything[change.key] = change.after
        if step.f0 is not None:
            left = {frame: each for frame, each in self.f0.frames.items() if frame not in step.f0.before}
            self.f0 = CorrectedF0({**left, **step.f0.after})

    def tier_lanes(self, annotator: str, colours: Mapping[str, str]) -> tuple[TierLane, ...]:
        """Return the tiers that are shown, in the player's form."""
        lanes = []
        for tier in self.tiers:
            here = self.in_tier(tier, annotator)
            is_too_much = not here and len(self.tiers) > MOST_EMPTY
            if tier.key == REGION_TIER or not tier.shown or is_too_much:
                continue
            labels = tuple(colours) if tier.content == "emotions" else tier.labels
            marks = {id_: replace(mark.region, label=mark.emotion or mark.note or None) for id_, mark in here.items()}
            suggested = {id_: mark for id_, mark in self.suggestions.items() if mark.tier == tier.key}
            marks |= {id_: replace(mark.region, label=mark.note) for id_, mark in suggested.items()}
            with_colours = tuple((label, colours.get(label)) for label in labels[:MOST_KEYS])
            about = tier.key, tier.name, tier.kind, tier.colour
            # Thousands of words have no state worth showing.
            states = {id_: in_words(mark) for id_, mark in here.items() if labels or _is_rated(mark)}
            lanes.append(TierLane(*about, with_colours, marks, frozenset(suggested), states))
        return tuple(lanes)

    def suggest(self, regions: Sequence[Region], emotion: str, provenance: dict[str, object], annotator: str) -> None:
        """Suggest regions, except dismissed ones, those half covered by a mark, and those of nearly all of it.

        They are suggested among the marks of emotions, and in each tier that is shown and has a label for the emotion.
        """
        self.provenance = provenance
        self.suggestions = {}
        regions = [region for region in regions if region.duration_s <= MOST_SUGGESTED * self.duration_s]
        self._suggest(regions, REGION_TIER, {"emotion": emotion}, self.marks)
        for tier in self.tiers:
            label = label_of(tier, emotion) if tier.shown and can_be_mapped(tier) else None
            if label is not None:
                self._suggest(regions, tier.key, {"note": label}, self.in_tier(tier, annotator))

    def _suggest(
        self, regions: Sequence[Region], tier: str, said: Mapping[str, str], here: Mapping[str, Annotation]
    ) -> None:
        for region in regions:
            name = f"{SUGGESTION} {tier} {' '.join(said.values())} {region.start_s:.3f} {region.end_s:.3f}"
            marked = any(overlap(region, mark.region) >= 0.5 for mark in here.values())
            if name not in self.dismissed | here.keys() and not marked:
                self.suggestions[name] = Annotation(Region(region.start_s, region.end_s), tier, **said)

    def for_player(self) -> tuple[Mark, ...]:
        """Return marks and suggestions in the player's form."""
        return tuple(
            Mark(id_, replace(mark.region, label=mark.emotion), suggested, None if suggested else in_words(mark))
            for marks, suggested in ((self.marks, False), (self.suggestions, True))
            for id_, mark in marks.items()
            if mark.tier == REGION_TIER
        )


def in_words(mark: Annotation | None) -> str:
    """Describe a mark in a few words: emotion, intensity, confidence, and status.

    >>> in_words(Annotation(Region(0, 1), emotion="sad", intensity=3, confidence=0.8, status="done"))
    'sad, intensity 3, 80 % sure, done'
    >>> in_words(Annotation(Region(0, 1), "mood", note="tense", intensity=3))
    'tense, intensity 3'
    """
    if mark is None:
        return t("no label, open")
    in_tier = mark.tier not in (REGION_TIER, RECORDING_TIER)
    label = emotion_in_words(mark.emotion) if mark.emotion else printable(mark.note) if in_tier else ""
    known = [label or t("no label")]
    known += [] if mark.intensity is None else [t("intensity {n}", n=mark.intensity)]
    known += [] if mark.confidence is None else [t("{percent:.0f} % sure", percent=100 * mark.confidence)]
    known += [] if mark.channel is None else [t("channel {n}", n=mark.channel)]
    return ", ".join(known if in_tier and mark.status == "open" else [*known, t(mark.status)])


def _is_rated(mark: Annotation) -> bool:
    return (mark.intensity, mark.confidence, mark.channel, mark.status) != (None, None, None, "open")


def overlap(one: Region, other: Region) -> float:
    """Return intersection over union in time.

    >>> overlap(Region(0, 2), Region(1, 3))
    0.3333333333333333
    """
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return max(0.0, shared) / (one.duration_s + other.duration_s - max(0.0, shared))


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
