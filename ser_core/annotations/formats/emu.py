"""Annotations of EMU-SDMS (`NAME_annot.json`): levels of segments, of events, and of items that contain segments.

The edges of a segment lie between samples: half a sample before its first and after its last, as in emuR.

References
----------
Winkelmann, Harrington and Jänsch 2017, "EMU-SDMS", Computer Speech & Language 45, and the EMU-SDMS manual, "Annotation
structure modeling".
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import json_of
from ser_core.annotations.formats.emu_write import EVENT, MORE, SEGMENT, write
from ser_core.annotations.formats.fields import recording_of
from ser_core.annotations.formats.format import (
    DEFAULT_OPTIONS,
    FileTier,
    Format,
    ReadOptions,
    ReadResult,
    counted,
)
from ser_core.annotations.formats.layers import FileTiers
from ser_core.annotations.formats.notation import UNSAFE, mark_fields
from ser_core.annotations.formats.own import objects_in
from ser_core.annotations.formats.values import error_context, number, quoted, text, whole_number
from ser_core.errors import AnnotationsRefused

#: The maximum depth of items above their segments.
MAX_LEVELS = 20

Edges = tuple[float, float]


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read segments, events, and items from the first to the last segment that they contain.

    Further labels of an item are in tiers of their own, below that of the level.

    Raises
    ------
    AnnotationsRefused
        If the file does not have EMU's form, or a segment is not a valid mark, with its level and id.
    """
    document = json_of(content, name, options.encoding)
    if not isinstance(document, dict):
        raise AnnotationsRefused(f"{name}: the JSON is not an annotation of EMU.")
    with error_context(name):
        rate_hz = number(document.get("sampleRate"), "sample rate")
        sound = text(document.get("annotates"), "name of the recording")
        if not rate_hz > 0:
            raise AnnotationsRefused(f"A sample rate of {rate_hz:g} Hz is not possible.")
    levels = [
        _Level(
            text(level.get("name"), "name of a level"), level, [item for _, item in objects_in(level, "items", name)]
        )
        for _, level in objects_in(document, "levels", name)
    ]
    found = _Bundle(name, options, rate_hz, levels, _edges(levels, document, rate_hz, name))
    for level in levels:
        found.add(level)
    for parent, child in _parent_child_ids(document):
        if {parent, child} <= found.tier_of_item.keys():
            found.parents[found.tier_of_item[child]] = found.tier_of_item[parent]
    found.file_tiers.set_parents(found.parents)
    with error_context(name):
        recording = replace(recording_of({"name": sound}, found.marks.annotations), tiers=found.file_tiers.all)
    lost = tuple(words.format(counted(each, noun)) for (words, noun), each in found.lost.items() if each)
    dropped = lost + in_words(found.marks.left_out)
    return ReadResult((recording,), dropped, in_words(found.marks.altered), tuple(found.tiers))


@dataclass(frozen=True)
class _Level:
    name: str
    fields: dict[str, Any]
    items: list[dict[str, Any]]

    @property
    def kind(self) -> object:
        return self.fields.get("type")

    @property
    def is_ours(self) -> bool:
        """Whether it was written here: its items have a second label with all fields of the mark."""
        return any(_has_mark_label(item, self.name) for item in self.items)

    @property
    def default_fields(self) -> dict[str, str]:
        """The most frequent tier and annotator of its marks, which marks that were added in EMU get too."""
        labels = (item["labels"][1].get("value") for item in self.items if _has_mark_label(item, self.name))
        fields = (mark_fields(label) for label in labels if isinstance(label, str))
        named = Counter(tuple((key, each[key]) for key in ("tier", "annotator") if key in each) for each in fields)
        return dict(max(named, key=named.__getitem__, default=()))

    @property
    def attributes(self) -> list[str]:
        """The names of the labels of its items; that of the level, which names the first label, comes first."""
        others = [
            label["name"]
            for item in self.items
            for label in _objects(item.get("labels"))[1:]
            if isinstance(label.get("name"), str)
        ]
        return [self.name, *dict.fromkeys(name for name in others if name != self.name)]


class _Bundle:
    """The marks and tiers of a file, collected level by level."""

    def __init__(
        self, name: str, options: ReadOptions, rate_hz: float, levels: Sequence[_Level], edges: Mapping[object, Edges]
    ) -> None:
        self.marks = Collected(options)
        self.lost: Counter[tuple[str, str]] = Counter()
        self.tiers: list[FileTier] = []
        self.file_tiers = FileTiers([attribute for level in levels for attribute in level.attributes])
        self.tier_of_item: dict[int, str] = {}
        self.parents: dict[str, str] = {}
        self._name, self._rate_hz, self._edges = name, rate_hz, edges

    def add(self, level: _Level) -> None:
        """Add the items of a level; without items, it has no tier."""
        is_ours, points = level.is_ours, level.kind == EVENT
        keys = {level.name: level.name}
        if level.items and not is_ours:
            for attribute in level.attributes:
                number = len(self.tiers) + len(keys)
                keys[attribute] = self.file_tiers.add(attribute, number, "points" if points else "intervals")[1]
            if not points:
                self.parents |= {key: keys[level.name] for key in keys.values() if key != keys[level.name]}
        elif not is_ours:
            self.lost["{} without items", "level"] += 1
        labelled: Counter[str] = Counter()
        default_fields = {"tier": keys[level.name]} | level.default_fields
        for item in level.items:
            self._add_item(item, level, keys, default_fields, labelled)
        self.tiers.append(FileTier(level.name, labelled[level.name], len(level.items) - labelled[level.name], points))
        self.tiers += [FileTier(name, labelled[name], 0, points) for name in keys if name != level.name]

    def _add_item(
        self,
        item: dict[str, Any],
        level: _Level,
        keys: Mapping[str, str],
        default_fields: Mapping[str, str],
        labelled: Counter[str],
    ) -> None:
        key = keys[level.name]
        if isinstance(item.get("id"), int):
            self.tier_of_item[item["id"]] = key
        location = f"{self._name}, level {quoted(level.name)}, item {quoted(item.get('id'))}"
        with error_context(location):
            label, fields, others = _labels(item, level.name, default_fields)
            times = self._times(item, level.kind)
        labelled[level.name] += bool(label)
        if times is None:
            self.lost["{} without segments", "item"] += 1
            return
        self.marks.add({"tier": key} | fields | times, location, level.kind == EVENT)
        for attribute, value in others:
            if attribute not in keys or attribute == level.name:
                self.lost["{} beside the first of an item", "label"] += 1
            elif value:
                labelled[attribute] += 1
                tier = keys[attribute]
                self.marks.add({"tier": tier} | mark_fields(value, tier) | times, location, level.kind == EVENT)

    def _times(self, item: Mapping[str, Any], kind: object) -> dict[str, float] | None:
        if kind == EVENT:
            time_s = number(item.get("samplePoint"), "sample of the event") / self._rate_hz
            return {"start_s": time_s, "end_s": time_s}
        edges = self._edges.get(item.get("id"))
        return None if edges is None else dict(zip(("start_s", "end_s"), edges, strict=True))


def _has_mark_label(item: Mapping[str, Any], level: str) -> bool:
    labels = item.get("labels")
    return isinstance(labels, list) and any(
        isinstance(label, dict) and label.get("name") == level + MORE for label in labels[1:2]
    )


def _objects(found: object) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _labels(
    item: Mapping[str, Any], level: str, default_fields: Mapping[str, str]
) -> tuple[str, dict[str, str], list[tuple[object, str]]]:
    """Return the first label of an item, the fields of its mark, and the names and texts of its other labels.

    `default_fields` are the fields of a mark that was not written here.
    """
    labels = item.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
        raise AnnotationsRefused("It has no list of labels.")
    texts = [text(label.get("value"), "label") for label in labels] or [""]
    others = [(label.get("name"), value) for label, value in zip(labels[1:], texts[1:], strict=True)]
    is_ours = _has_mark_label(item, level)
    if not (is_ours and texts[1]):  # EMU gives a new item all labels of its level, and people fill in the first
        return (
            texts[0],
            {**default_fields, **mark_fields(texts[0], default_fields["tier"])},
            others[1:] if is_ours else others,
        )
    fields = mark_fields(texts[1])
    main_field = "emotion" if fields.get("emotion") else "note"
    if UNSAFE.sub(" ", fields.get(main_field, "")).strip() != texts[0]:  # it was changed in EMU
        new_fields = mark_fields(texts[0])
        fields = {field: value for field, value in fields.items() if field != main_field}
        fields |= (
            {"emotion": texts[0]}
            if main_field == "emotion" and texts[0] and "emotion" not in new_fields
            else new_fields
        )
    return texts[0], fields, others[1:]


def _edges(levels: Sequence[_Level], document: dict[str, Any], rate_hz: float, name: str) -> dict[object, Edges]:
    """Return start and end, in seconds, of segments and of the items that contain them, by id."""
    edges: dict[object, Edges] = {}
    for level in levels:
        for item in level.items:
            with error_context(f"{name}, level {quoted(level.name)}, item {quoted(item.get('id'))}"):
                own = whole_number(item.get("id"), "id")
                if level.kind == SEGMENT:
                    first = number(item.get("sampleStart"), "first sample")
                    last = first + number(item.get("sampleDur"), "length")
                    edges[own] = max(first - 0.5, 0.0) / rate_hz, (last + 0.5) / rate_hz
    pairs = _parent_child_ids(document)
    segments = set(edges)
    for _ in range(MAX_LEVELS):
        before = len(edges), sum(end_s - start_s for start_s, end_s in edges.values())
        for parent, child in pairs:
            if child in edges and parent not in segments:
                start_s, end_s = edges.get(parent, edges[child])
                edges[parent] = min(start_s, edges[child][0]), max(end_s, edges[child][1])
        if before == (len(edges), sum(end_s - start_s for start_s, end_s in edges.values())):
            break
    return edges


def _parent_child_ids(document: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the ids of the two items of each link: one, and one that it contains."""
    links = document.get("links")
    return [
        (link["fromID"], link["toID"])
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict) and isinstance(link.get("fromID"), int) and isinstance(link.get("toID"), int)
    ]


FORMAT = Format(
    name="EMU-SDMS",
    endings=("_annot.json",),
    media_type="application/json",
    holds_many=False,
    write=write,
    read=read,
    recognises=lambda head: head.lstrip().startswith("{") and '"annotates"' in head and '"sampleRate"' in head,
)
