"""Annotations of EMU-SDMS (`NAME_annot.json`): levels of segments, of events, and of items that hold segments.

The edges of a segment lie between samples: half a sample before its first and after its last, as emuR gives them.

We write a level for each annotator and tier. Its first label is what a query asks for, an emotion or a note; the second
says all of a mark.

References
----------
Winkelmann, Harrington and Jänsch 2017, "EMU-SDMS", Computer Speech & Language 45, and the EMU-SDMS manual, "Annotation
structure modeling".
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from math import ceil
from typing import Any

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import json_bytes, json_of
from ser_core.annotations.formats.format import (
    AS_IT_IS,
    FileTier,
    Format,
    ReadIn,
    ReadOptions,
    Written,
    counted,
    marks_with,
    of_the_recording,
    only_one,
)
from ser_core.annotations.formats.gate import at, number, recording_of, shown, text, whole_number, writable
from ser_core.annotations.formats.layers import FileTiers, Layer, laid_out
from ser_core.annotations.formats.notation import UNSAFE, mark_fields, mark_text, marks_with_more_than_a_label
from ser_core.annotations.formats.own import objects_in
from ser_core.errors import AnnotationsRefused
from ser_core.work.atomic_folder import folder_name

SEGMENT, EVENT = "SEGMENT", "EVENT"
#: Through so many levels of items their segments are looked for.
MOST_LEVELS = 20

Edges = tuple[float, float]

#: Behind the name of a level, that of its label with all else.
MORE = "_mark"
#: Characters that a query does not take in the name of a level.
NOT_IN_NAMES = re.compile(r"[^\w.\-]+")
USUAL_RATE_HZ = 48_000


def write(
    recordings: Sequence[AnnotatedRecording], plain: bool = False, levels: Mapping[str, str] | None = None
) -> Written:
    """Write the marks of one recording; edges are moved by up to half a sample, to lie between two.

    Parameters
    ----------
    plain : bool
        Write the first label of each mark only.
    levels : mapping of str to str, optional
        All levels of the database with their types, as `levels_of` gives them; default: those of this recording.

    Raises
    ------
    AnnotationsRefused
        If there is not exactly one recording, or one of its marks cannot be written.
    """
    recording = writable(only_one(recordings, "EMU-SDMS"))
    rate_hz = recording.sample_rate_hz or USUAL_RATE_HZ
    types = levels_of([recording]) if levels is None else levels
    found, ids = {name: layer.marks for name, layer in _by_level(recording).items()}, count(1)
    written = [
        {
            "name": name,
            "type": kind,
            "items": [
                {"id": next(ids), **_samples(mark.region, rate_hz), "labels": _written_labels(mark, name, plain)}
                for mark in found.get(name, ())
            ],
        }
        for name, kind in types.items()
    ]
    stem = bundle_of(recording.name)
    head = {"name": stem, "annotates": f"{stem}.wav", "sampleRate": rate_hz}
    marks = recording.annotations
    dropped = (
        *of_the_recording(recording, "sha256", "provenance"),
        *marks_with((mark for mark in marks if mark.changed_at), "the time of change of {}"),
        *marks_with_more_than_a_label(marks, (), plain),
        *marks_with(marks, "up to half a sample of the times of {}"),
    )
    return Written(json_bytes(head | {"levels": written, "links": []}), dropped)


def bundle_of(name: str) -> str:
    """Return the name of a recording's bundle, or of a database, without spaces."""
    return "_".join(folder_name(name).split())


def levels_of(recordings: Iterable[AnnotatedRecording]) -> dict[str, str]:
    """Return the names of all levels that recordings need, with their types."""
    found: dict[str, str] = {}
    for recording in recordings:
        for name, layer in _by_level(recording).items():
            found.setdefault(name, EVENT if layer.tier.kind == "points" else SEGMENT)
    return found


def _by_level(recording: AnnotatedRecording) -> dict[str, Layer]:
    found: dict[str, Layer] = {}
    for layer in laid_out(recording):
        plain, number = NOT_IN_NAMES.sub("_", layer.name).strip("_") or "level", 1
        level = plain
        while level in found:
            number += 1
            level = f"{plain}_{number}"
        found[level] = layer
    return found


def _samples(region: Region, rate_hz: int) -> dict[str, int]:
    first, after = ceil(region.start_s * rate_hz), ceil(region.end_s * rate_hz)
    if region.start_s == region.end_s:
        return {"samplePoint": first}
    return {"sampleStart": first, "sampleDur": max(after - 1 - first, 0)}


def _written_labels(mark: Annotation, level: str, plain: bool) -> list[dict[str, str]]:
    labels = [{"name": level, "value": mark_text(mark, plain=True)}]
    if not plain:
        labels.append({"name": level + MORE, "value": mark_text(mark, usual_tier=level)})
    return labels


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
    of_file, tier_of_item = FileTiers([text(level.get("name"), "name of a level") for level in levels]), {}
    for level in levels:
        tier, kind = text(level.get("name"), "name of a level"), level.get("type")
        # A level of ours is named for a tier and more; its labels say which.
        is_ours = any(_is_ours(item, tier) for item in items[id(level)])
        if items[id(level)] and not is_ours:
            _, key = of_file.add(tier, len(tiers) + 1, "points" if kind == EVENT else "intervals")
        else:
            key = tier
            lost["{} without items", "level"] += not is_ours
        tier_of_item |= {item.get("id"): key for item in items[id(level)] if isinstance(item.get("id"), int)}
        said = 0
        for item in items[id(level)]:
            place = f"{name}, level {shown(tier)}, item {shown(item.get('id'))}"
            with at(place):
                label, fields, others = _labels(item, tier, key)
            said += bool(label)
            lost["{} beside the first of an item", "label"] += others
            if kind == EVENT:
                with at(place):
                    time_s = number(item.get("samplePoint"), "sample of the event") / rate_hz
                marks.add({"tier": key} | fields | {"start_s": time_s, "end_s": time_s}, place, True)
            elif item.get("id") not in edges:
                lost["{} without segments", "item"] += 1
            else:
                start_s, end_s = edges[item["id"]]
                marks.add({"tier": key} | fields | {"start_s": start_s, "end_s": end_s}, place)
        tiers.append(FileTier(tier, said, len(items[id(level)]) - said, kind == EVENT))
    of_file.set_parents(
        {
            tier_of_item[child]: tier_of_item[parent]
            for parent, child in _links(document)
            if {parent, child} <= tier_of_item.keys()
        }
    )
    with at(name):
        recording = replace(recording_of({"name": sound}, marks.annotations), tiers=of_file.all)
    dropped = tuple(words.format(counted(each, noun)) for (words, noun), each in lost.items() if each)
    return ReadIn((recording,), dropped + in_words(marks.left_out), in_words(marks.altered), tuple(tiers))


def _is_ours(item: Mapping[str, Any], level: str) -> bool:
    labels = item.get("labels")
    return isinstance(labels, list) and any(
        isinstance(label, dict) and label.get("name") == level + MORE for label in labels[1:2]
    )


def _labels(item: Mapping[str, Any], level: str, tier: str) -> tuple[str, dict[str, str], int]:
    """Return the first label, the fields of the mark that it stands for, and the number of labels beside it."""
    labels = item.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
        raise AnnotationsRefused("It has no list of labels.")
    texts = [text(label.get("value"), "label") for label in labels] or [""]
    if not _is_ours(item, level):
        return texts[0], mark_fields(texts[0], tier), len(texts) - 1
    fields = mark_fields(texts[1])
    before = "emotion" if fields.get("emotion") else "note"
    if UNSAFE.sub(" ", fields.get(before, "")).strip() != texts[0]:  # it was changed in EMU
        said = mark_fields(texts[0])
        fields = {field: value for field, value in fields.items() if field != before}
        fields |= {"emotion": texts[0]} if before == "emotion" and texts[0] and "emotion" not in said else said
    return texts[0], fields, len(texts) - 2


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
    write=write,
    read=read,
    recognises=lambda head: head.lstrip().startswith("{") and '"annotates"' in head and '"sampleRate"' in head,
)
