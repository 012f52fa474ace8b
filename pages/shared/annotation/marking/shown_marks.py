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
        """Return the annotator whose marks are one's own in a tier; None for text, which belongs to everybody."""
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
