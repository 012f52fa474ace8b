"""Marks as an ELAN EAF file: a tier for each annotator and tier, times in whole milliseconds."""

import mimetypes
import posixpath
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import floor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from pympi.Elan import Eaf, to_adocument

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import (
    LONGEST_LABEL,
    MOST_LABELS,
    RECORDING_TIER,
    AnnotatedRecording,
    Annotation,
    Tier,
)
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
    tier_fields,
    tier_of,
    writable,
)
from ser_core.annotations.formats.layers import BESIDE, FileTiers, Layer, free_name, laid_out, safe_name
from ser_core.annotations.formats.notation import label_of, mark_fields, marks_with_more_than_a_label
from ser_core.errors import AnnotationsRefused

#: The property of the file that holds what is known about the recording, as JSON.
PROPERTY = "hear-why recording"
#: The property that holds, as JSON, key and revision of each mark by the id of its annotation, which ELAN keeps.
KEYS = "hear-why marks"
#: The property that holds, as JSON, the tiers, and which of them the tiers of the file are.
TIERS = "hear-why tiers"
#: The linguistic type of tiers that have a parent.
INCLUDED = "included-lt"
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
    marks = [in_milliseconds(mark) for mark in recording.annotations]
    layers = laid_out(replace(recording, annotations=tuple(marks)))
    eaf = _empty(recording)
    keys: dict[str, list[Any]] = {}
    declared = {tier.key for tier in recording.tiers}
    names = _unique([layer.name for layer in layers])
    parents = _parents(layers, names)
    for layer, name in zip(layers, names, strict=True):
        how = {"ling": INCLUDED, "parent": parents[name]} if name in parents else {}
        eaf.add_tier(name, ann=safe_name(layer.annotator) or None, **how)
        for mark in layer.marks:
            times = (round(edge * 1000) for edge in (mark.region.start_s, mark.region.end_s))
            eaf.add_annotation(name, *times, label_of(mark, layer.tier, BESIDE, plain, layer.tier.key in declared))
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
        *marks_with(
            (m for m, exact in pairs if not isinstance(exact.region, Point) and m.region != exact.region),
            "the microseconds of {}",
        ),
        *marks_with((m for _, m in pairs if isinstance(m.region, Point)), "{} as 1 ms, because ELAN has no points"),
        *marks_with((mark for mark in marks if mark.changed_at), "the time of change of {}"),
        *marks_with_more_than_a_label(marks, BESIDE, plain),
        *(
            (f"the parent of {counted(alone, 'tier')}, whose marks it does not hold",)
            if (alone := len(has_parent - parents.keys()))
            else ()
        ),
    )
    return Written(ElementTree.tostring(to_adocument(eaf), encoding="UTF-8", xml_declaration=True), dropped)


def _unique(names: Sequence[str]) -> list[str]:
    """Return names with a number behind those that are there already: ELAN's tiers have names of their own."""
    unique: list[str] = []
    for name in names:
        unique.append(free_name(name, unique))
    return unique


def _parents(layers: Sequence[Layer], names: Sequence[str]) -> dict[str, str]:
    """Return the parent of each tier of the file, where each of its annotations lies within one of the parent's."""
    parents: dict[str, str] = {}
    for layer, name in zip(layers, names, strict=True):
        above = [
            (other, of_other)
            for other, of_other in zip(layers, names, strict=True)
            if other.tier.key == layer.tier.parent and other.annotator in (layer.annotator, "")
        ] or [(other, of) for other, of in zip(layers, names, strict=True) if other.tier.key == layer.tier.parent]
        found = next((of for other, of in above if _holds(other.marks, layer.marks)), None)
        if found is not None:
            parents[name] = found
    return parents


def _holds(marks: Sequence[Annotation], inner: Sequence[Annotation]) -> bool:
    """Whether each of some marks lies within one of others; both in order of time, and without overlaps."""
    starts = [mark.region.start_s for mark in marks]
    for mark in inner:
        place = bisect_right(starts, mark.region.start_s) - 1
        if place < 0 or mark.region.end_s > marks[place].region.end_s:
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
    eaf.add_linguistic_type(INCLUDED, "Included_In")
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
    keys = keys_in(eaf, name)
    tiers, ours = FileTiers(eaf.tiers.keys()), tiers_in(eaf, name)
    points = {tier.key for tier in ours[0] if tier.kind == "points"}
    vocabularies = _vocabularies(eaf)
    parents: dict[str, str] = {}
    key_of: dict[str, str] = {}
    with at(name):
        moved = replace(options, offset_s=options.offset_s + origin_s)
        marks = Collected(moved, known_duration_s(recording))
    for place, (tier_id, (aligned, referring, attributes, _)) in enumerate(eaf.tiers.items(), start=1):
        annotator, tier = tiers.add(tier_id, place, annotator=attributes.get("ANNOTATOR"))
        tier = key_of[tier_id] = ours[1].get(tier_id) or _key_beside(ours[0], tier)
        tiers.set_labels(tier, vocabularies.get(attributes.get("LINGUISTIC_TYPE_REF"), ()))
        if attributes.get("PARENT_REF"):
            parents.setdefault(tier, attributes["PARENT_REF"])
        labels = {key: found[2] for key, found in aligned.items()} | {key: found[1] for key, found in referring.items()}
        for key, label in labels.items():
            if key in times:
                fields = times[key] | mark_fields(label, tier) | {"annotator": annotator, "tier": tier}
                if key in keys:
                    fields |= dict(zip(("key", "revision"), keys[key], strict=True))
                if tier in points:
                    fields["end_s"] = fields["start_s"]
                marks.add(fields, f"{name}, line {lines[key]}", tier in points)
    tiers.set_parents({tier: key_of[parent] for tier, parent in parents.items() if parent in key_of})
    with at(name):
        found = replace(recording_of(recording, marks.annotations), tiers=(*ours[0], *_others(ours[0], tiers, key_of)))
    if keys:
        # An annotation that cannot become a mark is left out, and not deleted.
        read = {mark.key for mark in marks.annotations}
        known = (pair for own, pair in keys.items() if pair[0] in read or own not in eaf.annotations)
        found = replace(found, exported_keys=known_keys(dict(known)))
    dropped = (*lost, *_not_kept(eaf), *in_words(marks.left_out))
    if origin_s:
        changed = (f"its times, to which the TIME_ORIGIN of {origin_s:g} s is added", *changed)
    return ReadIn((found,), dropped, changed + in_words(marks.altered), _tiers(eaf))


def eaf_of(content: bytes, name: str) -> Eaf:
    """Return a checked file as pympi reads it."""
    text_of(content, name, "<", 4 * MOST_PARTS)
    return _parsed(checked_lines(content, name)[0])


def origin_of(eaf: Eaf) -> float:
    """Return where the times of a file begin in its recording, in seconds."""
    return _recording(eaf, "file")[1]


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


def _vocabularies(eaf: Eaf) -> dict[str, tuple[str, ...]]:
    """Return the labels of controlled vocabularies, in their first language, by the linguistic types that use them."""
    return {
        own: _entries(eaf, kind["CONTROLLED_VOCABULARY_REF"])
        for own, kind in eaf.linguistic_types.items()
        if kind.get("CONTROLLED_VOCABULARY_REF") in eaf.controlled_vocabularies
    }


def _entries(eaf: Eaf, vocabulary: str) -> tuple[str, ...]:
    entries = eaf.controlled_vocabularies[vocabulary][1].values()
    labels = [(values[0][0] or "").strip() for values, _ in entries if values]
    return tuple(dict.fromkeys(label for label in labels if 0 < len(label) <= LONGEST_LABEL))[:MOST_LABELS]


def _unused(eaf: Eaf) -> int:
    used = {tier[2].get("LINGUISTIC_TYPE_REF") for tier in eaf.tiers.values()}
    kinds = (kind for own, kind in eaf.linguistic_types.items() if own in used)
    return len(eaf.controlled_vocabularies.keys() - {kind.get("CONTROLLED_VOCABULARY_REF") for kind in kinds})


def _not_kept(eaf: Eaf) -> tuple[str, ...]:
    """Return, in words, what of the tiers there is no place for."""
    attributes = [tier[2] for tier in eaf.tiers.values()]
    counts = {
        "the participant of {}": (sum(bool(each.get("PARTICIPANT")) for each in attributes), "tier"),
        "{} that no tier uses": (_unused(eaf), "controlled vocabulary", "controlled vocabularies"),
    }
    return tuple(words.format(counted(*how)) for words, how in counts.items() if how[0])


def keys_in(eaf: Eaf, name: str) -> dict[str, tuple[str, int]]:
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


def tiers_text(tiers: Iterable[Tier], layers: Mapping[str, str]) -> str:
    """Return the text of the property that declares tiers, and of which of them the tiers of the file are layers."""
    about = {"tiers": [tier_fields(tier) for tier in tiers], "layers": dict(layers)}
    return json_bytes(about, indent=None, ascii_only=True).decode()


def tiers_in(eaf: Eaf, name: str) -> tuple[tuple[Tier, ...], dict[str, str]]:
    """Return the tiers that our property declares, and the key of each tier of the file; both empty without it."""
    for key, value in eaf.properties:
        if key == TIERS:
            found = json_of((value or "").encode(), f"{name}, property {TIERS}")
            if (
                isinstance(found, dict)
                and isinstance(found.get("tiers"), list)
                and isinstance(found.get("layers"), dict)
            ):
                with at(f"{name}, property {TIERS}"):
                    tiers = tuple(tier_of(tier) for tier in found["tiers"])
                known = {tier.key for tier in tiers} | {RECORDING_TIER}
                layers = {own: key for own, key in found["layers"].items() if isinstance(key, str) and key in known}
                return tiers, layers
    return (), {}


def _key_beside(ours: Sequence[Tier], name: str) -> str:
    """Return the key of a tier that was added in ELAN: that of ours of the same name, unless it has points."""
    there = next((tier.key for tier in ours if tier.name == name and tier.kind == "intervals"), None)
    return there or free_name(name, {tier.key for tier in ours if tier.kind == "points"})


def _others(ours: Sequence[Tier], tiers: FileTiers, key_of: Mapping[str, str]) -> list[Tier]:
    """Return the tiers of the file beside ours."""
    of_file = {tier.key: tier for tier in tiers.all}
    others = set(key_of.values()) - {RECORDING_TIER, *(tier.key for tier in ours)}
    return [of_file.get(key) or Tier(key, key) for key in dict.fromkeys(key_of.values()) if key in others]


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


FORMAT = Format(
    name="ELAN EAF",
    endings=(".eaf",),
    media_type="application/xml",
    holds_many=False,
    write=write,
    read=read,
    recognises=lambda head: "<ANNOTATION_DOCUMENT" in head,
    holds_tiers=True,
)
