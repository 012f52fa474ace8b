"""Marks written as an ELAN EAF file: a tier for each annotator and tier, times in whole milliseconds."""

import mimetypes
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import floor
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from pympi.Elan import Eaf, to_adocument

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats.content import json_bytes
from ser_core.annotations.formats.elan_properties import KEYS, PROPERTY, TIERS, tiers_text
from ser_core.annotations.formats.fields import recording_fields, writable
from ser_core.annotations.formats.format import Written, counted, lost_of_marks, only_one
from ser_core.annotations.formats.layers import FIELDS_IN_NAME, Layer, free_name, layers_of, safe_name
from ser_core.annotations.formats.notation import label_of, lost_by_plain_labels

#: The linguistic type of tiers that have a parent.
INCLUDED = "included-lt"
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def write(recordings: Sequence[AnnotatedRecording], plain: bool = False) -> Written:
    """Write the marks of one recording; times are rounded to whole milliseconds.

    Edges move by at most half a millisecond, or one millisecond in a mark that would otherwise have no length.
    """
    recording = writable(only_one(recordings, "ELAN"))
    marks = [in_milliseconds(mark) for mark in recording.annotations]
    layers = layers_of(replace(recording, annotations=tuple(marks)))
    eaf = _empty_eaf(recording)
    keys: dict[str, list[Any]] = {}
    declared = {tier.key for tier in recording.tiers}
    names = _unique_names([layer.name for layer in layers])
    parents = _parents(layers, names)
    for layer, name in zip(layers, names, strict=True):
        attributes = {"ling": INCLUDED, "parent": parents[name]} if name in parents else {}
        people = {"ann": safe_name(layer.annotator) or None, "part": safe_name(layer.tier.participant) or None}
        eaf.add_tier(name, **people, **attributes)
        for mark in layer.marks:
            times = (round(edge * 1000) for edge in (mark.region.start_s, mark.region.end_s))
            eaf.add_annotation(
                name, *times, label_of(mark, layer.tier, FIELDS_IN_NAME, plain, layer.tier.key in declared)
            )
            if mark.key is not None:
                keys[f"a{eaf.maxaid}"] = [mark.key, mark.revision]
    if keys and not plain:
        eaf.properties.append((KEYS, json_bytes(keys, indent=None, ascii_only=True).decode()))
    if recording.tiers:
        keys_of_names = {name: layer.tier.key for layer, name in zip(layers, names, strict=True)}
        eaf.properties.append((TIERS, tiers_text(recording.tiers, keys_of_names)))
    eaf.properties.append(("lastUsedAnnotationId", eaf.maxaid))
    _sort_time_slots(eaf)
    pairs = list(zip(marks, recording.annotations, strict=True))
    has_parent = {name for layer, name in zip(layers, names, strict=True) if layer.tier.parent and layer.marks}
    dropped = (
        *lost_of_marks(
            (m for m, exact in pairs if not isinstance(exact.region, Point) and m.region != exact.region),
            "the microseconds of {}",
        ),
        *lost_of_marks(
            (m for _, m in pairs if isinstance(m.region, Point)),
            "the zero length of {}, which is 1 ms there because ELAN has no points",
        ),
        *lost_of_marks((mark for mark in marks if mark.changed_at), "the time of change of {}"),
        *lost_by_plain_labels(marks, FIELDS_IN_NAME, plain),
        *(
            (f"the parent of {counted(alone, 'tier')}, whose marks it does not hold",)
            if (alone := len(has_parent - parents.keys()))
            else ()
        ),
    )
    return Written(ElementTree.tostring(to_adocument(eaf), encoding="UTF-8", xml_declaration=True), dropped)


def _unique_names(names: Sequence[str]) -> list[str]:
    """Return unique names, as ELAN requires for tiers, with numbers behind repeated ones."""
    unique: list[str] = []
    for name in names:
        unique.append(free_name(name, unique))
    return unique


def _parents(layers: Sequence[Layer], names: Sequence[str]) -> dict[str, str]:
    """Return the parent of each tier of the file, if each of its annotations lies within one of the parent's.

    Layers of other annotators count only if the same annotator has none, and none is without an annotator.
    """
    parents: dict[str, str] = {}
    for layer, name in zip(layers, names, strict=True):
        candidates = [
            (other, other_name)
            for other, other_name in zip(layers, names, strict=True)
            if other.tier.key == layer.tier.parent
        ]
        preferred = [each for each in candidates if each[0].annotator in (layer.annotator, "")]
        for other, other_name in preferred or candidates:
            if _contains_all(other.marks, layer.marks):
                parents[name] = other_name
                break
    return parents


def _contains_all(marks: Sequence[Annotation], inner: Sequence[Annotation]) -> bool:
    """Whether each inner mark lies within one of the marks; both are in order of time and without overlaps."""
    starts = [mark.region.start_s for mark in marks]
    for mark in inner:
        index = bisect_right(starts, mark.region.start_s) - 1
        if index < 0 or mark.region.end_s > marks[index].region.end_s:
            return False
    return True


def in_milliseconds(mark: Annotation) -> Annotation:
    """Return a mark with its edges rounded, 1 ms long if it would otherwise have no length."""
    start, end = round(mark.region.start_s * 1000), round(mark.region.end_s * 1000)
    if start == end and isinstance(mark.region, Point):
        end = start + 1
    elif start == end:
        start = floor(mark.region.start_s * 1000)
        end = start + 1
    return replace(mark, region=Region(start / 1000, end / 1000, mark.region.low_hz, mark.region.high_hz))


def _sort_time_slots(eaf: Eaf) -> None:
    """Number the time slots in order of time, which ELAN needs and pympi does not ensure."""
    in_order = sorted(eaf.timeslots, key=eaf.timeslots.__getitem__)
    new = {old: f"ts{number}" for number, old in enumerate(in_order, start=1)}
    eaf.timeslots = {new[old]: time for old, time in eaf.timeslots.items()}
    for aligned, *_ in eaf.tiers.values():
        for key, (start, end, *rest) in aligned.items():
            aligned[key] = (new[start], new[end], *rest)


def _empty_eaf(recording: AnnotatedRecording) -> Eaf:
    eaf = Eaf(author="Hear Why")
    eaf.remove_tier("default")
    eaf.add_linguistic_type(INCLUDED, "Included_In")
    # Not the current time, so that the same marks give the same file.
    changed = max((mark.changed_at for mark in recording.annotations if mark.changed_at), default=NEVER)
    eaf.adocument["DATE"] = changed.isoformat(timespec="seconds")
    eaf.header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    media = quote(recording.name)
    eaf.add_linked_file(media, f"./{media}", mimetypes.guess_type(media)[0] or "audio/x-wav")
    eaf.properties = [(PROPERTY, json_bytes(recording_fields(recording), indent=None, ascii_only=True).decode())]
    return eaf
