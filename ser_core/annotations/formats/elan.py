"""Annotations of ELAN (`.eaf`): those with times, and those that divide the annotation that they refer to."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from pympi.Elan import Eaf

from ser_core.annotations.annotation import (
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    RECORDING_TIER,
    Tier,
)
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import MAX_PARTS, json_of, text_of
from ser_core.annotations.formats.elan_check import MAX_DIGITS, checked_lines
from ser_core.annotations.formats.elan_properties import PROPERTY, keys_in, tiers_in
from ser_core.annotations.formats.elan_write import write
from ser_core.annotations.formats.fields import known_duration_s, known_keys, recording_of
from ser_core.annotations.formats.format import (
    DEFAULT_OPTIONS,
    FileTier,
    Format,
    ReadOptions,
    ReadResult,
    counted,
)
from ser_core.annotations.formats.layers import FileTiers, Participants, free_name
from ser_core.annotations.formats.notation import mark_fields
from ser_core.annotations.formats.values import error_context
from ser_core.errors import AnnotationsRefused


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read the annotations that have times, or share those of the annotation that they refer to.

    Raises
    ------
    AnnotationsRefused
        If the file is not an EAF, is damaged, or an annotation is not a valid mark, with the line.
    """
    text_of(content, name, "<", 4 * MAX_PARTS)
    content, lines = checked_lines(content, name)
    eaf = _parse(content)
    recording, origin_s = _recording(eaf, name)
    times, changed, lost = _times(eaf)
    keys = keys_in(eaf, name)
    tiers, ours = FileTiers(eaf.tiers.keys()), tiers_in(eaf, name)
    points = {tier.key for tier in ours[0] if tier.kind == "points"}
    vocabularies = _vocabularies(eaf)
    parents: dict[str, str] = {}
    participants = Participants()
    key_of: dict[str, str] = {}
    with error_context(name):
        moved = replace(options, offset_s=options.offset_s + origin_s)
        marks = Collected(moved, known_duration_s(recording))
    for number, (tier_id, (aligned, referring, attributes, _)) in enumerate(eaf.tiers.items(), start=1):
        annotator, tier = tiers.add(tier_id, number, annotator=attributes.get("ANNOTATOR"))
        tier = key_of[tier_id] = ours[1].get(tier_id) or _key_of_new_tier(ours[0], tier)
        participants.add(tier, attributes.get("PARTICIPANT", ""))
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
    with error_context(name):
        of_file = participants.of((*ours[0], *_other_tiers(ours[0], tiers, key_of)))
        found = replace(recording_of(recording, marks.annotations), tiers=of_file)
    if keys:
        # An annotation that cannot become a mark is left out, and not deleted.
        read = {mark.key for mark in marks.annotations}
        known = (pair for id_, pair in keys.items() if pair[0] in read or id_ not in eaf.annotations)
        found = replace(found, exported_keys=known_keys(dict(known)))
    dropped = (*lost, *participants.lost_in_words(), *_lost_vocabularies(eaf), *in_words(marks.left_out))
    if origin_s:
        changed = (f"its times, to which the TIME_ORIGIN of {origin_s:g} s is added", *changed)
    return ReadResult((found,), dropped, changed + in_words(marks.altered), _tiers(eaf))


def eaf_of(content: bytes, name: str) -> Eaf:
    """Return a checked file as pympi reads it."""
    text_of(content, name, "<", 4 * MAX_PARTS)
    return _parse(checked_lines(content, name)[0])


def origin_of(eaf: Eaf) -> float:
    """Return the time in the recording at which the times of a file begin, in seconds."""
    return _recording(eaf, "file")[1]


def _parse(content: bytes) -> Eaf:
    # pympi reads from a path only.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "marks.eaf"
        path.write_bytes(content)
        return Eaf(path, suppress_version_warning=True)


def _recording(eaf: Eaf, name: str) -> tuple[dict[str, Any], float]:
    """Return the fields of the file's recording, and the time in it at which the file begins, in seconds.

    The fields come from our property or, in other files, from the address of the medium, preferably a sound.
    """
    for key, value in eaf.properties:
        if key == PROPERTY:
            found = json_of((value or "").encode(), f"{name}, property {PROPERTY}")
            if not isinstance(found, dict):
                raise AnnotationsRefused(f"{name}: the property {PROPERTY} is not an object.")
            with error_context(f"{name}, property {PROPERTY}"):
                recording_of(found, ())
            return found, _origin_s(eaf.media_descriptors)
    # A video beside the sound is usually named first, and may begin elsewhere.
    for medium in sorted(eaf.media_descriptors, key=lambda each: not each.get("MIME_TYPE", "").startswith("audio/")):
        if file_name := posixpath.basename(_path(medium["MEDIA_URL"])):
            return {"name": file_name}, _origin_s([medium])
    return {"name": name}, 0.0


def _origin_s(media: Sequence[Mapping[str, str]]) -> float:
    origin = next((medium.get("TIME_ORIGIN", "") for medium in media), "")
    return int(origin) / 1000 if origin.isascii() and origin.isdigit() and len(origin) <= MAX_DIGITS else 0.0


def _tiers(eaf: Eaf) -> tuple[FileTier, ...]:
    found = []
    for tier_id, (aligned, referring, _, _) in eaf.tiers.items():
        labels = [value[2] for value in aligned.values()] + [value[1] for value in referring.values()]
        labelled = sum(bool(label.strip()) for label in labels)
        found.append(FileTier(tier_id, labelled, len(labels) - labelled))
    return tuple(found)


def _vocabularies(eaf: Eaf) -> dict[str, tuple[str, ...]]:
    """Return the labels of controlled vocabularies, in their first language, by the linguistic types that use them."""
    return {
        id_: _entries(eaf, kind["CONTROLLED_VOCABULARY_REF"])
        for id_, kind in eaf.linguistic_types.items()
        if kind.get("CONTROLLED_VOCABULARY_REF") in eaf.controlled_vocabularies
    }


def _entries(eaf: Eaf, vocabulary: str) -> tuple[str, ...]:
    entries = eaf.controlled_vocabularies[vocabulary][1].values()
    labels = [(values[0][0] or "").strip() for values, _ in entries if values]
    return tuple(dict.fromkeys(label for label in labels if 0 < len(label) <= MAX_LABEL_LENGTH))[:MAX_LABELS]


def _unused(eaf: Eaf) -> int:
    used = {tier[2].get("LINGUISTIC_TYPE_REF") for tier in eaf.tiers.values()}
    kinds = (kind for id_, kind in eaf.linguistic_types.items() if id_ in used)
    return len(eaf.controlled_vocabularies.keys() - {kind.get("CONTROLLED_VOCABULARY_REF") for kind in kinds})


def _lost_vocabularies(eaf: Eaf) -> tuple[str, ...]:
    """Return, in words, the controlled vocabularies that no tier uses: these are lost."""
    unused = _unused(eaf)
    vocabularies = counted(unused, "controlled vocabulary", "controlled vocabularies")
    return (f"{vocabularies} that no tier uses",) if unused else ()


def _key_of_new_tier(ours: Sequence[Tier], name: str) -> str:
    """Return the key of a tier that was added in ELAN: that of our tier of intervals with this name, or a new one."""
    existing = next((tier.key for tier in ours if tier.name == name and tier.kind == "intervals"), None)
    return existing or free_name(name, {tier.key for tier in ours if tier.kind == "points"})


def _other_tiers(ours: Sequence[Tier], tiers: FileTiers, key_of: Mapping[str, str]) -> list[Tier]:
    """Return the tiers of the file that are not ours."""
    of_file = {tier.key: tier for tier in tiers.all}
    others = set(key_of.values()) - {RECORDING_TIER, *(tier.key for tier in ours)}
    return [of_file.get(key) or Tier(key, key) for key in dict.fromkeys(key_of.values()) if key in others]


def _path(address: str) -> str:
    try:
        return unquote(urlsplit(address).path).replace("\\", "/")
    except ValueError:
        return ""


def _times(eaf: Eaf) -> tuple[dict[str, dict[str, float]], tuple[str, ...], tuple[str, ...]]:
    """Return the times of annotations by id and, in words, how many got theirs by division and how many have none.

    As in ELAN, annotations without times of their own share those of the annotation that they refer to equally.
    """
    edges: dict[str, tuple[float, float]] = {}
    divided = 0
    for aligned, *_ in eaf.tiers.values():
        for chain in _chains(aligned, eaf.timeslots):
            first, last = eaf.timeslots[aligned[chain[0]][0]], eaf.timeslots[aligned[chain[-1]][1]]
            if None not in (first, last) and first < last:
                edges |= _equal_parts(chain, first / 1000, last / 1000)
                divided += len(chain) if len(chain) > 1 else 0
    children: dict[str, dict[str, list[str]]] = {}
    for tier_id, (_, referring, _, _) in eaf.tiers.items():
        for key in _in_order(referring):
            children.setdefault(referring[key][0], {}).setdefault(tier_id, []).append(key)
    remaining = list(edges)
    while remaining:
        parent = remaining.pop()
        for of_tier in children.pop(parent, {}).values():
            edges |= _equal_parts(of_tier, *edges[parent])
            divided += len(of_tier) if len(of_tier) > 1 else 0
            remaining += of_tier
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


def _equal_parts(keys: Sequence[str], start_s: float, end_s: float) -> dict[str, tuple[float, float]]:
    """Return equal parts of a stretch by key; the first begins and the last ends exactly with it."""
    count = len(keys)
    bounds = [start_s + (end_s - start_s) * part / count for part in range(count)] + [end_s]
    return {key: (bounds[index], bounds[index + 1]) for index, key in enumerate(keys)}


def _in_order(referring: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return the annotations of a tier in the order of their references to previous ones."""
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
