"""The marks of a recording as the player shows them, with the model's suggestions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pages.shared.language import t
from pages.shared.language.names import emotion_in_words, printable
from pages.shared.player import Mark, TierLane
from ser_core.analysis import Region
from ser_core.annotations.agreement.label_mapping import can_be_mapped, label_of
from ser_core.annotations.annotation import EMOTION, GOLD, RECORDING_TIER, REGION_TIER, Annotation, Tier
from ser_core.annotations.f0.corrections import CorrectedF0
from ser_core.annotations.store.history import Step

SUGGESTION = "suggestion"
#: Share of a recording. A suggestion that covers more is not a region but a label for the whole recording.
MAX_SUGGESTED_SHARE = 0.9
#: In a project with more tiers than this, those without marks in the recording are not shown.
MAX_TIERS_WITH_EMPTY = 12
#: Labels on the keys 1 to 9.
MAX_LABEL_KEYS = 9


@dataclass
class Shown:
    """The marks of one recording as the player shows them, with the revision that an edit changes.

    Attributes
    ----------
    duration_s : float
    marks : dict of Annotation
        By id in the player: the key in the store, or the id that the player gave to a newly drawn mark.
    label : Annotation or None
        This annotator's label of the whole recording.
    suggestions : dict of Annotation
        The model's suggestions in all tiers that were neither accepted nor dismissed, by id.
    dismissed : set of str
        Ids of dismissed suggestions.
    provenance : dict
        Origin of the suggestions: model, explainer and settings.
    ids : dict of str
        Ids in the player, by key in the store.
    tiers : tuple of Tier
        All tiers of the project.
    everything : dict of Annotation
        Everybody's marks in every tier, by key in the store.
    deleted_below : tuple of Annotation
        Marks that the last edit deleted in the tiers below.
    layer : str
        `GOLD` if the gold layer is edited; "" for the annotator's own marks.
    f0 : CorrectedF0
        Corrections by anybody.
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
    deleted_below: tuple[Annotation, ...] = ()
    layer: str = ""
    f0: CorrectedF0 = field(default_factory=CorrectedF0)

    def update(
        self,
        annotations: Sequence[Annotation],
        annotator: str,
        tiers: tuple[Tier, ...] = (),
        f0: CorrectedF0 | None = None,
    ) -> None:
        """Take the annotations, the tiers and, unless it is None, the corrected F0 from the store."""
        self.f0 = self.f0 if f0 is None else f0
        self.everything = {mark.key: mark for mark in annotations}
        self.tiers = tiers
        own = [mark for mark in annotations if mark.annotator == (self.layer or annotator)]
        self.marks = {self.ids.get(mark.key, mark.key): mark for mark in own if mark.tier == REGION_TIER}
        self.label = next((mark for mark in own if mark.tier == RECORDING_TIER), None)

    def in_tier(self, tier: Tier, annotator: str) -> dict[str, Annotation]:
        """Return the marks that a tier shows, by id: this annotator's emotions and labels, and everybody's text."""
        owner = self._owner(tier, annotator)
        return {
            self.ids.get(mark.key, mark.key): mark
            for mark in self.everything.values()
            if mark.tier == tier.key and owner in (None, mark.annotator)
        }

    def of_others(self, annotator: str) -> tuple[tuple[str, tuple[Region, ...]], ...]:
        """Return the emotions and labels of others in the shown tiers: for each annotator one row per tier."""
        rows_by_annotator: dict[str, dict[str, list[Region]]] = {}
        for tier in self.tiers:
            owner = self._owner(tier, annotator)
            if not tier.shown or not owner:
                continue
            for mark in self.everything.values():
                if mark.tier == tier.key and mark.annotator != owner:
                    rows = rows_by_annotator.setdefault(mark.annotator, {mark.annotator: []})
                    row = mark.annotator if tier.key == REGION_TIER else f"· {tier.name}"
                    rows.setdefault(row, []).append(replace(mark.region, label=mark.emotion or mark.note or None))
        return tuple(
            (row, tuple(regions)) for _, rows in sorted(rows_by_annotator.items()) for row, regions in rows.items()
        )

    def _owner(self, tier: Tier, annotator: str) -> str | None:
        """Return the annotator whose marks a tier shows as editable; None for text, which belongs to everybody."""
        return {"text": None, "labels": annotator, "emotions": self.layer or annotator}[tier.content]

    def find(self, id_: str | None, annotator: str) -> tuple[Annotation, Tier] | None:
        """Return a shown mark and its tier by the id in the player; None if there is no such mark."""
        if id_ in self.marks:
            return self.marks[id_], EMOTION
        mark = next((mark for mark in self.everything.values() if self.ids.get(mark.key, mark.key) == id_), None)
        tier = mark and next((tier for tier in self.tiers if tier.key == mark.tier), None)
        return (mark, tier) if tier and id_ in self.in_tier(tier, annotator) else None

    def new_mark(self, region: Region, tier: Tier) -> Annotation:
        """Return a newly drawn mark: done at once in the gold layer, otherwise open."""
        is_decision = self.layer == GOLD and tier.content == "emotions"
        return Annotation(region, tier.key, **({"annotator": GOLD, "status": "done"} if is_decision else {}))

    def apply(self, step: Step) -> None:
        """Apply the changes of a step."""
        for change in step.changes:
            self.everything.pop(change.key, None)
            if change.after is not None:
                self.everything[change.key] = change.after
        if step.f0 is not None:
            unchanged = {frame: f0 for frame, f0 in self.f0.frames.items() if frame not in step.f0.before}
            self.f0 = CorrectedF0({**unchanged, **step.f0.after})

    def tier_lanes(self, annotator: str, colours: Mapping[str, str]) -> tuple[TierLane, ...]:
        """Return the shown tiers in the player's form."""
        lanes = []
        for tier in self.tiers:
            tier_marks = self.in_tier(tier, annotator)
            is_left_out = not tier_marks and len(self.tiers) > MAX_TIERS_WITH_EMPTY
            if tier.key == REGION_TIER or not tier.shown or is_left_out:
                continue
            labels = tuple(colours) if tier.content == "emotions" else tier.labels
            marks = {
                id_: replace(mark.region, label=mark.emotion or mark.note or None) for id_, mark in tier_marks.items()
            }
            suggested = {id_: mark for id_, mark in self.suggestions.items() if mark.tier == tier.key}
            marks |= {id_: replace(mark.region, label=mark.note) for id_, mark in suggested.items()}
            label_colours = tuple((label, colours.get(label)) for label in labels[:MAX_LABEL_KEYS])
            # A tier can have thousands of words, most without a state worth showing.
            states = {id_: in_words(mark) for id_, mark in tier_marks.items() if labels or _is_rated(mark)}
            lanes.append(
                TierLane(
                    tier.key, tier.name, tier.kind, tier.colour, label_colours, marks, frozenset(suggested), states
                )
            )
        return tuple(lanes)

    def suggest(self, regions: Sequence[Region], emotion: str, provenance: dict[str, object], annotator: str) -> None:
        """Suggest regions as marks of an emotion, and in each shown tier that has a label for that emotion.

        Left out are dismissed regions, those that overlap a mark by half or more, and those that cover nearly the
        whole recording.
        """
        self.provenance = provenance
        self.suggestions = {}
        regions = [region for region in regions if region.duration_s <= MAX_SUGGESTED_SHARE * self.duration_s]
        self._suggest(regions, REGION_TIER, {"emotion": emotion}, self.marks)
        for tier in self.tiers:
            label = label_of(tier, emotion) if tier.shown and can_be_mapped(tier) else None
            if label is not None:
                self._suggest(regions, tier.key, {"note": label}, self.in_tier(tier, annotator))

    def _suggest(
        self, regions: Sequence[Region], tier: str, content: Mapping[str, str], existing: Mapping[str, Annotation]
    ) -> None:
        for region in regions:
            id_ = f"{SUGGESTION} {tier} {' '.join(content.values())} {region.start_s:.3f} {region.end_s:.3f}"
            is_marked = any(overlap(region, mark.region) >= 0.5 for mark in existing.values())
            if id_ not in self.dismissed | existing.keys() and not is_marked:
                self.suggestions[id_] = Annotation(Region(region.start_s, region.end_s), tier, **content)

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
    parts = [label or t("no label")]
    if mark.intensity is not None:
        parts.append(t("intensity {n}", n=mark.intensity))
    if mark.confidence is not None:
        parts.append(t("{percent:.0f} % sure", percent=100 * mark.confidence))
    if mark.channel is not None:
        parts.append(t("channel {n}", n=mark.channel))
    if not in_tier or mark.status != "open":
        parts.append(t(mark.status))
    return ", ".join(parts)


def _is_rated(mark: Annotation) -> bool:
    return (mark.intensity, mark.confidence, mark.channel, mark.status) != (None, None, None, "open")


def overlap(one: Region, other: Region) -> float:
    """Return intersection over union in time.

    >>> overlap(Region(0, 2), Region(1, 3))
    0.3333333333333333
    """
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return max(0.0, shared) / (one.duration_s + other.duration_s - max(0.0, shared))
