"""Annotations of EMU-SDMS (`NAME_annot.json`): levels of segments, of events, and of items that hold segments.

The edges of a segment lie between samples: half a sample before its first and after its last, as emuR gives them.

References
----------
Winkelmann, Harrington and Jänsch 2017, "EMU-SDMS", Computer Speech & Language 45, and the EMU-SDMS manual, "Annotation
structure modeling".
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import json_of
from ser_core.annotations.formats.format import AS_IT_IS, FileTier, Format, ReadIn, ReadOptions, counted
from ser_core.annotations.formats.gate import at, number, recording_of, shown, text, whole_number
from ser_core.annotations.formats.layers import FileTiers
from ser_core.annotations.formats.notation import mark_fields
from ser_core.annotations.formats.own import objects_in
from ser_core.errors import AnnotationsRefused

SEGMENT, EVENT = "SEGMENT", "EVENT"
#: Through so many levels of items their segments are looked for.
MOST_LEVELS = 20

Edges = tuple[float, float]


def read(content: bytes, name: str, options: ReadOptions = AS_IT_IS) -> ReadIn:
    """Read segments, events, and items from the first to the last segment that they hold.

    Raises
    ------
    AnnotationsRefused
        If the file does not have EMU's form, or a segment is not a valid mark, with its level and id.
    """
    document = json_of(content, name, options.encoding)
    if not isinstance(document, dict):
        raise AnnotationsRefused(f"{name}: the JSON is not an annotation of EMU.")
    with at(name):
        rate_hz = number(document.get("sampleRate"), "sample rate")
        sound = text(document.get("annotates"), "name of the recording")
        if not rate_hz > 0:
            raise AnnotationsRefused(f"A sample rate of {rate_hz:g} Hz is not possible.")
    marks, lost, tiers = Collected(options), Counter(), []
    levels = [level for _, level in objects_in(document, "levels", name)]
    items = {id(level): [item for _, item in objects_in(level, "items", name)] for level in levels}
    edges = _edges(levels, items, document, rate_hz, name)
    of_file, levels_of = FileTiers([text(level.get("name"), "name of a level") for level in levels]), {}
    for level in levels:
        tier, kind = text(level.get("name"), "name of a level"), level.get("type")
        _, key = of_file.add(tier, len(tiers) + 1, "points" if kind == EVENT else "intervals")
        levels_of |= {item.get("id"): key for item in items[id(level)] if isinstance(item.get("id"), int)}
        said = 0
        for item in items[id(level)]:
            place = f"{name}, level {shown(tier)}, item {shown(item.get('id'))}"
            with at(place):
                label, *more = _labels(item)
            said += bool(label)
            lost["{} beside the first of an item", "label"] += len(more)
            if kind == EVENT:
                with at(place):
                    time_s = number(item.get("samplePoint"), "sample of the event") / rate_hz
                marks.add(mark_fields(label, key) | {"start_s": time_s, "end_s": time_s, "tier": key}, place, True)
            elif item.get("id") not in edges:
                lost["{} without segments", "item"] += 1
            else:
                start_s, end_s = edges[item["id"]]
                marks.add(mark_fields(label, key) | {"start_s": start_s, "end_s": end_s, "tier": key}, place)
        tiers.append(FileTier(tier, said, len(items[id(level)]) - said, kind == EVENT))
    of_file.set_parents(
        {
            levels_of[child]: levels_of[parent]
            for parent, child in _links(document)
            if {parent, child} <= levels_of.keys()
        }
    )
    with at(name):
        recording = replace(recording_of({"name": sound}, marks.annotations), tiers=of_file.all)
    dropped = tuple(words.format(counted(count, noun)) for (words, noun), count in lost.items() if count)
    return ReadIn((recording,), dropped + in_words(marks.left_out), in_words(marks.altered), tuple(tiers))


def _labels(item: Mapping[str, Any]) -> list[str]:
    labels = item.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
        raise AnnotationsRefused("It has no list of labels.")
    return [text(label.get("value"), "label") for label in labels] or [""]


def _edges(
    levels: list[dict], items: Mapping[int, list[dict]], document: dict[str, Any], rate_hz: float, name: str
) -> dict[object, Edges]:
    """Return start and end, in seconds, of segments and of the items that hold them, by their ids."""
    edges: dict[object, Edges] = {}
    for level in levels:
        for item in items[id(level)]:
            with at(f"{name}, level {shown(level.get('name'))}, item {shown(item.get('id'))}"):
                own = whole_number(item.get("id"), "id")
                if level.get("type") == SEGMENT:
                    first = number(item.get("sampleStart"), "first sample")
                    last = first + number(item.get("sampleDur"), "length")
                    edges[own] = max(first - 0.5, 0.0) / rate_hz, (last + 0.5) / rate_hz
    pairs = _links(document)
    segments = set(edges)
    for _ in range(MOST_LEVELS):
        before = len(edges), sum(end_s - start_s for start_s, end_s in edges.values())
        for parent, child in pairs:
            if child in edges and parent not in segments:
                start_s, end_s = edges.get(parent, edges[child])
                edges[parent] = min(start_s, edges[child][0]), max(end_s, edges[child][1])
        if before == (len(edges), sum(end_s - start_s for start_s, end_s in edges.values())):
            break
    return edges


def _links(document: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the ids of each item and of one that it holds."""
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
    write=None,
    read=read,
    recognises=lambda head: head.lstrip().startswith("{") and '"annotates"' in head and '"sampleRate"' in head,
)
