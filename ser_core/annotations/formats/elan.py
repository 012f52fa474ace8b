"""Marks as an ELAN EAF file: a tier for each annotator and tier, times in whole milliseconds."""

import mimetypes
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import floor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from pympi.Elan import Eaf, to_adocument

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import MOST_PARTS, json_bytes, json_of, text_of
from ser_core.annotations.formats.elan_check import MOST_DIGITS, checked_lines
from ser_core.annotations.formats.format import (
    AS_IT_IS,
    FileTier,
    Format,
    ReadIn,
    ReadOptions,
    Written,
    counted,
    marks_with,
    only_one,
)
from ser_core.annotations.formats.gate import (
    at,
    known_duration_s,
    known_keys,
    recording_fields,
    recording_of,
    writable,
)
from ser_core.annotations.formats.layers import BESIDE, laid_out, owner_of, plain_name, safe_name
from ser_core.annotations.formats.notation import mark_fields, mark_text, marks_with_more_than_a_label
from ser_core.errors import AnnotationsRefused

#: The property of the file that holds what is known about the recording, as JSON.
PROPERTY = "hear-why recording"
#: The property that holds, as JSON, key and revision of each mark by the id of its annotation, which ELAN keeps.
KEYS = "hear-why marks"
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def write(recordings: Sequence[AnnotatedRecording], plain: bool = False) -> Written:
    """Write the marks of one recording; times are rounded to whole milliseconds.

    Edges move by at most half a millisecond, or one millisecond in a mark that would otherwise have no length.

    Parameters
    ----------
    plain : bool
        Write of each mark only its emotion or, without one, its note.

    Raises
    ------
    AnnotationsRefused
        If there is not exactly one recording, or one of its marks cannot be written.
    """
    recording = writable(only_one(recordings, "ELAN"))
    marks = [_in_milliseconds(mark) for mark in recording.annotations]
    eaf = _empty(recording)
    keys: dict[str, list[Any]] = {}
    for name, layer in laid_out(marks).items():
        annotator = safe_name(layer[0].annotator) if layer else ""
        eaf.add_tier(name, ann=annotator or None)
        for mark in layer:
            times = (round(edge * 1000) for edge in (mark.region.start_s, mark.region.end_s))
            eaf.add_annotation(name, *times, mark_text(mark, leave_out=BESIDE, plain=plain))
            if mark.key is not None:
                keys[f"a{eaf.maxaid}"] = [mark.key, mark.revision]
    if keys and not plain:
        eaf.properties.append((KEYS, json_bytes(keys, indent=None, ascii_only=True).decode()))
    eaf.properties.append(("lastUsedAnnotationId", eaf.maxaid))
    _sort_time_slots(eaf)
    pairs = zip(marks, recording.annotations, strict=True)
    dropped = (
        *marks_with((mark for mark, exact in pairs if mark.region != exact.region), "the microseconds of {}"),
        *marks_with((mark for mark in marks if mark.changed_at), "the time of change of {}"),
        *marks_with_more_than_a_label(marks, BESIDE, plain),
    )
    return Written(ElementTree.tostring(to_adocument(eaf), encoding="UTF-8", xml_declaration=True), dropped)


def _in_milliseconds(mark: Annotation) -> Annotation:
    start, end = round(mark.region.start_s * 1000), round(mark.region.end_s * 1000)
    if start == end:
        start = floor(mark.region.start_s * 1000)
        end = start + 1
    return replace(mark, region=Region(start / 1000, end / 1000, mark.region.low_hz, mark.region.high_hz))


def _sort_time_slots(eaf: Eaf) -> None:
    """Number the time slots in order of time, which ELAN relies on and pympi does not ensure."""
    in_order = sorted(eaf.timeslots, key=eaf.timeslots.__getitem__)
    new = {old: f"ts{number}" for number, old in enumerate(in_order, start=1)}
    eaf.timeslots = {new[old]: time for old, time in eaf.timeslots.items()}
    for aligned, *_ in eaf.tiers.values():
        for key, (start, end, *rest) in aligned.items():
            aligned[key] = (new[start], new[end], *rest)


def _empty(recording: AnnotatedRecording) -> Eaf:
    eaf = Eaf(author="Hear Why")
    eaf.remove_tier("default")
    # Not the current time: the same marks give the same file.
    changed = max((mark.changed_at for mark in recording.annotations if mark.changed_at), default=NEVER)
    eaf.adocument["DATE"] = changed.isoformat(timespec="seconds")
    eaf.header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    media = quote(recording.name)
    eaf.add_linked_file(media, f"./{media}", mimetypes.guess_type(media)[0] or "audio/x-wav")
    eaf.properties = [(PROPERTY, json_bytes(recording_fields(recording), indent=None, ascii_only=True).decode())]
    return eaf


def read(content: bytes, name: str, options: ReadOptions = AS_IT_IS) -> ReadIn:
    """Read the annotations that have times, their own or parts of those of the annotation they belong to.

    Raises
    ------
    AnnotationsRefused
        If the file is not an EAF, is damaged, or an annotation is not a valid mark, with the line.
    """
    text_of(content, name, "<", 4 * MOST_PARTS)
    content, lines = checked_lines(content, name)
    eaf = _parsed(content)
    recording, origin_s = _recording(eaf, name)
    times, changed, lost = _times(eaf)
    keys = _keys(eaf, name)
    with at(name):
        moved = replace(options, offset_s=options.offset_s + origin_s)
        marks = Collected(moved, known_duration_s(recording))
    for place, (tier_id, (aligned, referring, attributes, _)) in enumerate(eaf.tiers.items(), start=1):
        annotator, tier = _owner(tier_id, attributes.get("ANNOTATOR"), eaf, place)
        labels = {key: found[2] for key, found in aligned.items()} | {key: found[1] for key, found in referring.items()}
        for key, label in labels.items():
            if key in times:
                fields = times[key] | mark_fields(label) | {"annotator": annotator, "tier": tier}
                if key in keys:
                    fields |= dict(zip(("key", "revision"), keys[key], strict=True))
                marks.add(fields, f"{name}, line {lines[key]}")
    with at(name):
        found = recording_of(recording, marks.annotations)
    if keys:
        # An annotation that cannot become a mark is left out, and not deleted.
        read = {mark.key for mark in marks.annotations}
        known = (pair for own, pair in keys.items() if pair[0] in read or own not in eaf.annotations)
        found = replace(found, exported_keys=known_keys(dict(known)))
    dropped = (*lost, *_not_kept(eaf), *in_words(marks.left_out))
    if origin_s:
        changed = (f"its times, to which the TIME_ORIGIN of {origin_s:g} s is added", *changed)
    return ReadIn((found,), dropped, changed + in_words(marks.altered), _tiers(eaf))


def _parsed(content: bytes) -> Eaf:
    # pympi reads from a path only.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "marks.eaf"
        path.write_bytes(content)
        return Eaf(path, suppress_version_warning=True)


def _recording(eaf: Eaf, name: str) -> tuple[dict[str, Any], float]:
    """Return what the file says about its recording, and where its times begin in it, in seconds.

    Our property says it or, in files of others, the address of the medium.
    """
    for key, value in eaf.properties:
        if key == PROPERTY:
            found = json_of((value or "").encode(), f"{name}, property {PROPERTY}")
            if not isinstance(found, dict):
                raise AnnotationsRefused(f"{name}: the property {PROPERTY} is not an object.")
            with at(f"{name}, property {PROPERTY}"):
                recording_of(found, ())
            return found, _origin_s(eaf.media_descriptors)
    for medium in eaf.media_descriptors:
        if file_name := posixpath.basename(_path(medium["MEDIA_URL"])):
            return {"name": file_name}, _origin_s([medium])
    return {"name": name}, 0.0


def _origin_s(media: Sequence[Mapping[str, str]]) -> float:
    origin = next((medium.get("TIME_ORIGIN", "") for medium in media), "")
    return int(origin) / 1000 if origin.isascii() and origin.isdigit() and len(origin) <= MOST_DIGITS else 0.0


def _tiers(eaf: Eaf) -> tuple[FileTier, ...]:
    found = []
    for tier_id, (aligned, referring, _, _) in eaf.tiers.items():
        labels = [value[2] for value in aligned.values()] + [value[1] for value in referring.values()]
        said = sum(bool(label.strip()) for label in labels)
        found.append(FileTier(tier_id, said, len(labels) - said))
    return tuple(found)


def _not_kept(eaf: Eaf) -> tuple[str, ...]:
    """Return, in words, what of the tiers there is no place for."""
    attributes = [tier[2] for tier in eaf.tiers.values()]
    counts = {
        "the parent of {}": (sum("PARENT_REF" in each for each in attributes), "tier"),
        "the participant of {}": (sum(bool(each.get("PARTICIPANT")) for each in attributes), "tier"),
        "{}": (len(eaf.controlled_vocabularies), "controlled vocabulary", "controlled vocabularies"),
        "{} without annotations": (sum(not tier[0] and not tier[1] for tier in eaf.tiers.values()), "tier"),
    }
    return tuple(words.format(counted(*how)) for words, how in counts.items() if how[0])


def _keys(eaf: Eaf, name: str) -> dict[str, tuple[str, int]]:
    """Return key and revision of marks by the ids of their annotations, or nothing if the file does not hold them."""
    for key, value in eaf.properties:
        if key == KEYS:
            found = json_of((value or "").encode(), f"{name}, property {KEYS}")
            if isinstance(found, dict):
                pairs = {own: tuple(pair) for own, pair in found.items() if isinstance(pair, list) and len(pair) == 2}
                return {
                    own: pair
                    for own, pair in pairs.items()
                    if isinstance(pair[0], str) and known_keys({pair[0]: pair[1]})
                }
    return {}


def _path(address: str) -> str:
    try:
        return unquote(urlsplit(address).path).replace("\\", "/")
    except ValueError:
        return ""


def _times(eaf: Eaf) -> tuple[dict[str, dict[str, float]], tuple[str, ...], tuple[str, ...]]:
    """Return the times of annotations by id, and in words how many got theirs by division and how many have none.

    As in ELAN, annotations without times of their own share those of the annotation they belong to, in equal parts.
    """
    edges: dict[str, tuple[float, float]] = {}
    divided = 0
    for aligned, *_ in eaf.tiers.values():
        for chain in _chains(aligned, eaf.timeslots):
            first, last = eaf.timeslots[aligned[chain[0]][0]], eaf.timeslots[aligned[chain[-1]][1]]
            if None not in (first, last) and first < last:
                edges |= _parts(chain, first / 1000, last / 1000)
                divided += len(chain) if len(chain) > 1 else 0
    children: dict[str, dict[str, list[str]]] = {}
    for tier_id, (_, referring, _, _) in eaf.tiers.items():
        for key in _in_order(referring):
            children.setdefault(referring[key][0], {}).setdefault(tier_id, []).append(key)
    waiting = list(edges)
    while waiting:
        parent = waiting.pop()
        for of_tier in children.pop(parent, {}).values():
            edges |= _parts(of_tier, *edges[parent])
            divided += len(of_tier) if len(of_tier) > 1 else 0
            waiting += of_tier
    lost = len(eaf.annotations) - len(edges)
    times = {key: {"start_s": start_s, "end_s": end_s} for key, (start_s, end_s) in edges.items()}
    changed = (
        (f"{counted(divided, 'annotation')} without times, as equal parts of what they belong to",) if divided else ()
    )
    return times, changed, (f"{counted(lost, 'annotation')} without times",) if lost else ()


def _chains(aligned: Mapping[str, Sequence[Any]], slots: Mapping[str, int | None]) -> list[list[str]]:
    """Return the annotations of a tier in runs that begin and end with a time, or with the end of the tier."""
    chains: list[list[str]] = []
    for key, (start, *_) in aligned.items():
        is_continued = chains and slots[aligned[chains[-1][-1]][1]] is None
        if slots[start] is None and is_continued:
            chains[-1].append(key)
        else:
            chains.append([key])
    return chains


def _parts(keys: Sequence[str], start_s: float, end_s: float) -> dict[str, tuple[float, float]]:
    """Return equal parts of a stretch; the first begins and the last ends exactly where it does."""
    count = len(keys)
    bounds = [start_s + (end_s - start_s) * place / count for place in range(count)] + [end_s]
    return {key: (bounds[place], bounds[place + 1]) for place, key in enumerate(keys)}


def _in_order(referring: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return the annotations of a tier so that each follows the one before it, which it may name."""
    following = {previous: key for key, (_, _, previous, _) in referring.items() if previous in referring}
    ordered: dict[str, None] = {}
    for key in [*(key for key, (_, _, previous, _) in referring.items() if previous not in referring), *referring]:
        while key is not None and key not in ordered:
            ordered[key] = None
            key = following.get(key)
    return list(ordered)


def _owner(tier_id: str, annotator: str | None, eaf: Eaf, place: int) -> tuple[str, str]:
    """Return annotator and tier; the annotator may be in an attribute, in the tier's name, or in both."""
    owner, tier = owner_of(tier_id, eaf.tiers.keys(), place)
    if annotator and plain_name(annotator) != owner:
        return plain_name(annotator), plain_name(tier_id)
    return owner, tier


FORMAT = Format(
    name="ELAN EAF",
    endings=(".eaf",),
    media_type="application/xml",
    holds_many=False,
    write=write,
    read=read,
    recognises=lambda head: "<ANNOTATION_DOCUMENT" in head,
)
