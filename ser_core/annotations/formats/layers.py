"""Tiers without overlapping marks, as Praat and ELAN need them, and their names.

Anna's marks in the tier emotion are in the layer `anna/emotion`; those that overlap one of these are in
`anna/emotion (2)`, and so on. Marks without an annotator are in `emotion`. A tier of labels or text keeps its plain
name while only one person has marks in it, because a transcript is no opinion.
"""

import heapq
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from ser_core.annotations.annotation import (
    EMOTION,
    RECORDING_TIER,
    REGION_TIER,
    AnnotatedRecording,
    Annotation,
    Tier,
)
from ser_core.annotations.formats.format import counted, lost_of_marks
from ser_core.annotations.formats.notation import UNSAFE, escaped

#: Fields of a mark that the name of its layer holds.
FIELDS_IN_NAME = ("tier", "annotator")

RESERVED = (REGION_TIER, RECORDING_TIER)
LAYER = re.compile(r"(.*) \(([0-9]+)\)", re.DOTALL)
OWNED = re.compile(r"((?:[^\\/]|\\.)*)/(.*)", re.DOTALL)
ESCAPE = re.compile(r"\\(?:([\\/])|u([0-9a-f]{4}))")


@dataclass(frozen=True)
class Layer:
    """A tier of a file.

    Attributes
    ----------
    name : str
        Not unique if a project has several tiers of one name.
    tier : Tier
        The tier that it is a layer of.
    annotator : str
        The annotator of its marks; "" for none.
    marks : list of Annotation
        In order of time and without overlaps.
    names_annotator : bool
        Whether its name contains the annotator, if there is one.
    """

    name: str
    tier: Tier
    annotator: str
    marks: list[Annotation]
    names_annotator: bool = True


def layers_of(recording: AnnotatedRecording) -> list[Layer]:
    """Return the layers of a recording in the order of its tiers, also those without marks.

    An empty tier of emotions is left out if there are others. There is always at least one layer, because other tools
    refuse files without any.
    """
    declared = {tier.key for tier in recording.tiers}
    groups: dict[str, dict[str, list[Annotation]]] = {tier.key: {} for tier in recording.all_tiers}
    for mark in sorted(recording.annotations, key=lambda mark: (mark.region.start_s, mark.region.end_s)):
        groups.setdefault(mark.tier, {}).setdefault(mark.annotator, []).append(mark)
    tiers = {
        tier.key: tier for tier in (*recording.all_tiers, Tier(RECORDING_TIER, RECORDING_TIER, content="emotions"))
    }
    layers: list[Layer] = []
    for key, by_annotator in groups.items():
        tier = tiers[key]
        # In a file without other information, these two names identify the built-in tiers.
        plain = tier.name if tier.name == key else free_name(tier.name, RESERVED)
        names_annotator = key not in declared or tier.content == "emotions" or len(by_annotator) > 1
        if not by_annotator and key != REGION_TIER:
            layers.append(Layer(_name("", plain, 1), tier, "", []))
        for annotator, group in by_annotator.items():
            for number, layer in enumerate(_without_overlaps(group, tier.kind == "points"), start=1):
                name = _name(annotator if names_annotator else "", plain, number)
                layers.append(Layer(name, tier, annotator, layer, names_annotator))
    return layers or [Layer(REGION_TIER, EMOTION, "", [])]


def lost_annotators(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Return, in words, the number of marks whose annotator is not in the name of their layer."""
    lost = (mark for layer in layers if not layer.names_annotator for mark in layer.marks if mark.annotator)
    return lost_of_marks(lost, "the annotator of {} of labels or text")


def _without_overlaps(group: Iterable[Annotation], are_points: bool) -> list[list[Annotation]]:
    layers: list[list[Annotation]] = []
    free: list[tuple[float, int]] = []
    for mark in group:
        # Intervals may touch, but two points may not be at one time.
        if free and (free[0][0] < mark.region.start_s or (free[0][0] == mark.region.start_s and not are_points)):
            _, index = heapq.heappop(free)
        else:
            index = len(layers)
            layers.append([])
        layers[index].append(mark)
        heapq.heappush(free, (mark.region.end_s, index))
    return layers


def _name(annotator: str, tier: str, layer: int) -> str:
    name = safe_name(tier)
    if annotator or "/" in name:
        prefix = safe_name(annotator).replace("/", "\\/")
        name = f"{prefix}/{name}"
    # A tier whose own name ends like that of a layer gets the number 1.
    return f"{name} ({layer})" if layer > 1 or LAYER.fullmatch(name) else name


def safe_name(name: str) -> str:
    """Return a name with escapes for characters that XML and lines of text cannot hold."""
    return UNSAFE.sub(escaped, name.replace("\\", "\\\\"))


def plain_name(name: str) -> str:
    """Return a name as it was before `safe_name`."""
    return ESCAPE.sub(lambda found: found[1] or chr(int(found[2], 16)), name)


def annotator_and_tier(name: str, names: Collection[str], number: int) -> tuple[str, str]:
    """Return the annotator and the tier of a layer, by its name.

    Parameters
    ----------
    name : str
        The name of the layer in the file.
    names : collection of str
        All names in the file: `emotion (2)` is a further layer only if `emotion` is one of them.
    number : int
        Number of the layer in the file, used if it has no name.
    """
    layer = LAYER.fullmatch(name)
    if layer and (layer[2] == "1" or layer[1] in names or f"{layer[1]} (1)" in names):
        name = layer[1]
    owned = OWNED.fullmatch(name)
    if owned and owned[2].strip():
        return plain_name(owned[1]), plain_name(owned[2])
    return "", plain_name(name) if name.strip() else f"tier {number}"


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name, with the first number from 2 that makes it unique if it is taken.

    >>> free_name("words", {"emotion", "words"})
    'words #2'
    """
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name} #{count}"
    return free


def unique_names(tiers: Iterable[Tier], reserved: Iterable[str] = ()) -> dict[str, str]:
    """Return unique names of tiers by key, with numbers behind repeated and reserved ones."""
    names: dict[str, str] = {}
    taken = {REGION_TIER, RECORDING_TIER, *reserved}
    for tier in tiers:
        names[tier.key] = REGION_TIER if tier.key == REGION_TIER else free_name(tier.name, taken)
        taken.add(names[tier.key])
    return names


def with_names_as_keys(recording: AnnotatedRecording, reserved: Iterable[str] = ()) -> AnnotatedRecording:
    """Return a recording whose tiers have their unique names as keys."""
    names = unique_names(recording.all_tiers, reserved)
    named = (replace(mark, tier=names.get(mark.tier, mark.tier)) for mark in recording.annotations)
    tiers = (replace(tier, key=names[tier.key], parent=names.get(tier.parent)) for tier in recording.tiers)
    return replace(recording, annotations=tuple(named), tiers=tuple(tiers))


class Participants:
    """Who speaks in the tiers of a file, while it is read."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._lost = 0

    def add(self, key: str, participant: str) -> None:
        """Add the participant of a tier, or of a further layer of it; "" if the file has none."""
        participant = plain_name(participant).strip()
        if key == RECORDING_TIER or self._of.get(key, participant) not in ("", participant):
            self._lost += bool(participant)
        else:
            self._of[key] = participant or self._of.get(key, "")

    def of(self, tiers: Iterable[Tier]) -> tuple[Tier, ...]:
        """Return tiers with their participants."""
        return tuple(replace(tier, participant=self._of.get(tier.key, tier.participant)) for tier in tiers)

    def lost_in_words(self) -> tuple[str, ...]:
        return (f"the participant of {counted(self._lost, 'tier')}, which has another one",) if self._lost else ()


class FileTiers:
    """The tiers of a file, in its order, while it is read.

    Parameters
    ----------
    names : collection of str
        All tiers in the file.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._seen: Counter[str] = Counter()
        self._tiers: dict[str, Tier] = {}

    @property
    def all(self) -> tuple[Tier, ...]:
        return tuple(self._tiers.values())

    def add(self, name: str, number: int, kind: str = "intervals", annotator: str | None = None) -> tuple[str, str]:
        """Add a tier, and return the annotator of its marks and its key.

        Parameters
        ----------
        annotator : str, optional
            The annotator, if the file has it outside of the name.
        """
        owner, plain = annotator_and_tier(name, self._names, number)
        if annotator and plain_name(annotator) != owner:
            owner, plain = plain_name(annotator), plain_name(name)
        self._seen[name] += 1
        key, count = plain, self._seen[name]
        if count > 1:
            key = f"{plain} #{count}"
        while kind == "points" and (key in (REGION_TIER, RECORDING_TIER) or self._is_other(key, kind)):
            key = f"{key} {kind}"
        while self._is_other(key, kind):
            key = f"{key} {kind}"
        if key == REGION_TIER:
            self._tiers.setdefault(key, EMOTION)
        elif key != RECORDING_TIER:
            self._tiers.setdefault(key, Tier(key, plain, kind))
        return owner, key

    def _is_other(self, key: str, kind: str) -> bool:
        return key in self._tiers and self._tiers[key].kind != kind

    def set_labels(self, key: str, labels: tuple[str, ...]) -> None:
        """Make a tier one of labels, if there are any."""
        if labels and key in self._tiers and key != REGION_TIER:
            self._tiers[key] = replace(self._tiers[key], content="labels", labels=labels)

    def set_parents(self, parents: Mapping[str, str]) -> None:
        """Put tiers below their parents, by key; a layer is never the parent of one of the same tier."""
        for key, parent in parents.items():
            if key != parent and key in self._tiers and parent in self._tiers and key != REGION_TIER:
                self._tiers[key] = replace(self._tiers[key], parent=parent)
