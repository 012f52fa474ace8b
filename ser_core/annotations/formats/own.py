"""Our own format, JSON: everything about recordings and their marks, including the origin of suggestions."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import json_bytes, json_of
from ser_core.annotations.formats.fields import (
    assignment_fields,
    assignment_of,
    f0_fields,
    f0_of,
    fields_of,
    keys_of,
    known_duration_s,
    known_keys,
    recording_fields,
    recording_of,
    roles_of,
    tier_fields,
    tier_of,
    writable,
)
from ser_core.annotations.formats.format import DEFAULT_OPTIONS, Format, ReadOptions, ReadResult, Written
from ser_core.annotations.formats.values import error_context, quoted
from ser_core.errors import AnnotationsRefused

OURS = "hear-why annotations"
VERSION = 1


def write(recordings: Sequence[AnnotatedRecording]) -> Written:
    """Write any number of recordings; nothing is lost.

    Raises
    ------
    AnnotationsRefused
        If a mark cannot be written, or the provenance holds what JSON cannot.
    """
    documents = [
        recording_fields(recording)
        | ({"keys": keys_of(recording)} if keys_of(recording) else {})
        | ({"tiers": [tier_fields(tier) for tier in recording.tiers]} if recording.tiers else {})
        | ({"assignments": list(map(assignment_fields, recording.assignments))} if recording.assignments else {})
        | ({"roles": dict(recording.roles)} if recording.roles else {})
        | ({"f0": f0_fields(recording.f0)} if recording.f0.frames else {})
        | {"annotations": [_fields(mark) for mark in recording.annotations]}
        for recording in map(writable, recordings)
    ]
    return Written(json_bytes({"format": OURS, "version": VERSION, "recordings": documents}))


def _fields(mark: Annotation) -> dict[str, Any]:
    changed_at = mark.changed_at.isoformat() if mark.changed_at else None
    fields = fields_of(mark) | {"changed_at": changed_at, "key": mark.key, "revision": mark.revision}
    return {field: value for field, value in fields.items() if value is not None}


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read what `write` wrote.

    Raises
    ------
    AnnotationsRefused
        If the file does not have this format, has a newer version, or contains something that is not valid, with the
        number of the recording and the mark.
    """
    document = json_of(content, name, options.encoding)
    if not isinstance(document, dict) or document.get("format") != OURS:
        raise AnnotationsRefused(f"{name}: the JSON is not in our format, which says '{OURS}' at its beginning.")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise AnnotationsRefused(f"{name}: {quoted(version)} is not a version. Export the file again.")
    if version > VERSION:
        raise AnnotationsRefused(
            f"{name}: the file has version {quoted(version)}, and this program reads up to {VERSION}. Update it."
        )
    recordings = objects_in(document, "recordings", name)
    read = [_recording(found, f"{name}, recording {number}", options) for number, found in recordings]
    left_out = sum((marks.left_out for _, marks in read), Counter())
    altered = sum((marks.altered for _, marks in read), Counter())
    return ReadResult(tuple(recording for recording, _ in read), in_words(left_out), in_words(altered))


def _recording(fields: dict[str, Any], location: str, options: ReadOptions) -> tuple[AnnotatedRecording, Collected]:
    with error_context(location):
        marks = Collected(options, known_duration_s(fields), exact=True)
        declared = objects_in(fields, "tiers", location) if "tiers" in fields else ()
        tiers = tuple(tier_of(tier) for _, tier in declared)
    points = {tier.key for tier in tiers if tier.kind == "points"}
    for count, mark in objects_in(fields, "annotations", location):
        tier = mark.get("tier")
        marks.add(mark, f"{location}, mark {count}", isinstance(tier, str) and tier in points)
    with error_context(location):
        found = recording_of(fields, marks.annotations)
        assignments = objects_in(fields, "assignments", location) if "assignments" in fields else ()
        found = replace(
            found,
            exported_keys=known_keys(fields.get("keys")),
            tiers=tiers,
            assignments=tuple(assignment_of(assignment) for _, assignment in assignments),
            roles=roles_of(fields),
            f0=f0_of(fields.get("f0")),
        )
    return found, marks


def objects_in(fields: dict[str, Any], field: str, location: str) -> Iterable[tuple[int, dict[str, Any]]]:
    """Return the objects of a JSON list with their numbers from 1, or refuse anything else."""
    found = fields.get(field)
    if not isinstance(found, list):
        raise AnnotationsRefused(f"{location}: there is no list '{field}'. Export the file again.")
    for count, item in enumerate(found, start=1):
        if not isinstance(item, dict):
            raise AnnotationsRefused(f"{location}, number {count} of '{field}': {quoted(item)} is not an object.")
    return enumerate(found, start=1)


FORMAT = Format(
    name="Hear Why JSON",
    endings=(".json",),
    media_type="application/json",
    holds_many=True,
    write=write,
    read=read,
    recognises=lambda head: head.lstrip().startswith("{") and OURS in head,
    holds_tiers=True,
)
