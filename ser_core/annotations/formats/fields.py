"""Conversion of marks, tiers, people, F0 and recordings to the fields of a file, and back.

`valid_mark` decides whether a mark is valid.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import (
    RECORDING_TIER,
    REGION_TIER,
    AnnotatedRecording,
    Annotation,
    Assignment,
    Tier,
    valid_mark,
)
from ser_core.annotations.f0.corrections import CorrectedF0, Correction, runs
from ser_core.annotations.formats.values import (
    channel_number,
    error_context,
    number,
    quoted,
    text,
    utc_time,
    whole_number,
)
from ser_core.errors import AnnotationsRefused
from ser_core.settings import F0Settings

MAX_LEVELS = 50
#: The range to which an F0 can be corrected by hand.
CORRECTED_HZ = F0Settings().corrected_hz
SHA256 = re.compile("[0-9a-f]{64}")

# --- marks ---

#: Field of a mark: its name in refusals, and the function that reads it.
CONTENT: dict[str, tuple[str, Callable[[object, str], Any]]] = {
    "tier": ("tier", text),
    "annotator": ("annotator", text),
    "emotion": ("emotion", text),
    "intensity": ("intensity", whole_number),
    "confidence": ("confidence", number),
    "status": ("status", text),
    "note": ("note", text),
    "channel": ("channel", channel_number),
    "changed_at": ("time of change", utc_time),
}
ASSIGNMENT_TEXTS = ("annotator", "drawn", "reason", "sent_back_by")
TIER_TEXTS = ("name", "kind", "content", "parent", "colour", "participant")
IDENTITY = {"key": ("key", text), "revision": ("revision", whole_number)}
BOUNDS = {"start_s": "start", "end_s": "end", "low_hz": "lower frequency", "high_hz": "upper frequency"}


def fields_of(annotation: Annotation) -> dict[str, Any]:
    """Return a mark as a flat dict, without its identity in a store."""
    bounds = {field: getattr(annotation.region, field) for field in BOUNDS}
    return bounds | {field: getattr(annotation, field) for field in CONTENT}


def annotation_of(fields: Mapping[str, Any], duration_s: float | None) -> Annotation:
    """Return the mark that a flat dict describes.

    Parameters
    ----------
    fields : mapping
        `start_s` and `end_s`; optionally the other fields of `fields_of`, `key` and `revision`. None is the same as
        absent. Numbers and times may be text.
    duration_s : float or None
        Length of the recording, if known, for `valid_mark`.

    Raises
    ------
    AnnotationsRefused
        If a value has the wrong type, or the mark is not valid.
    """
    kinds = CONTENT | IDENTITY
    values = {field: value for field, value in fields.items() if value is not None}
    content = {field: kind(values[field], what) for field, (what, kind) in kinds.items() if field in values}
    content["emotion"] = content.get("emotion") or None
    return valid_mark(Annotation(_region(values), **content), duration_s)


def _region(values: Mapping[str, Any]) -> Region:
    bounds = {field: number(values[field], what) for field, what in BOUNDS.items() if field in values}
    if not {"start_s", "end_s"} <= set(bounds):
        raise AnnotationsRefused("The mark has no start or no end. Give both in seconds.")
    is_point = bounds["start_s"] == bounds["end_s"] and values.get("tier", REGION_TIER) not in (
        REGION_TIER,
        RECORDING_TIER,
    )
    return (Point if is_point else Region)(**bounds)


# --- tiers ---


def tier_fields(tier: Tier) -> dict[str, Any]:
    """Return the fields of a tier that differ from the defaults, as `tier_of` takes them."""
    default = asdict(Tier("-", tier.key))
    return {"key": tier.key} | {field: value for field, value in asdict(tier).items() if value != default[field]}


def tier_of(fields: object) -> Tier:
    """Return the tier that a flat dict describes.

    Raises
    ------
    AnnotationsRefused
        If a value has the wrong type, or the tier is not possible.
    """
    if not isinstance(fields, Mapping):
        raise AnnotationsRefused(f"{quoted(fields)} is not a tier.")
    given = {field: value for field, value in fields.items() if value is not None}
    key = text(given.get("key"), "key of a tier")
    labels = given.get("labels", ())
    if not isinstance(labels, list | tuple):
        raise AnnotationsRefused(f"The labels {quoted(labels)} of a tier are not a list.")
    mapping = given.get("mapping", ())
    is_list = isinstance(mapping, list | tuple)
    if not is_list or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in mapping):
        raise AnnotationsRefused(f"The mapping {quoted(mapping)} of a tier is not a list of pairs.")
    texts = {field: text(given[field], f"{field} of a tier") for field in TIER_TEXTS if field in given}
    if not isinstance(given.get("shown", True), bool):
        raise AnnotationsRefused(f"{quoted(given['shown'])} does not say whether a tier is shown.")
    labels = tuple(text(label, "label of a tier") for label in labels)
    mapping = tuple(tuple(text(word, "mapping of a tier") for word in pair) for pair in mapping)
    return Tier(key, **({"name": key} | texts), labels=labels, shown=given.get("shown", True), mapping=mapping)


# --- people ---


def assignment_fields(assignment: Assignment) -> dict[str, Any]:
    """Return the fields of an assignment that are not empty, as `assignment_of` takes them."""
    found = {field: value for field, value in asdict(assignment).items() if value}
    return found | ({"sent_back_at": assignment.sent_back_at.isoformat()} if assignment.sent_back_at else {})


def assignment_of(fields: Mapping[str, Any]) -> Assignment:
    """Return the assignment that a flat dict describes, or refuse a value of the wrong type."""
    values = {field: value for field, value in fields.items() if value is not None}
    texts = {field: text(values.get(field, ""), f"{field} of an assignment") for field in ASSIGNMENT_TEXTS}
    sent_back_at = utc_time(values["sent_back_at"], "time of sending back") if "sent_back_at" in values else None
    return Assignment(**texts, sent_back_at=sent_back_at)


def roles_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the roles of a project's members in the fields of a recording, or refuse the value."""
    roles = fields.get("roles") or {}
    if not isinstance(roles, Mapping):
        raise AnnotationsRefused(f"The roles {quoted(roles)} are not names with a role for each.")
    return {text(name, "name of a member"): text(role, "role of a member") for name, role in roles.items()}


# --- F0 ---


def f0_fields(corrected: CorrectedF0) -> dict[str, Any]:
    """Return corrections of F0 as `f0_of` takes them; empty if there are none."""
    if not corrected.frames:
        return {}
    found = [
        {"frame": first, "hz": [each.hz for each in run], "by": run[0].by, "at": run[0].at.isoformat()}
        for first, run in runs(corrected.frames)
    ]
    return {**asdict(F0Settings()), "runs": found}


def f0_of(fields: object) -> CorrectedF0:
    """Return the corrections of F0 that a dict of `f0_fields` describes; none without one.

    Raises
    ------
    AnnotationsRefused
        If a value has the wrong type or is not possible, or F0 was measured in another way than here.
    """
    if not fields:
        return CorrectedF0()
    found = fields.get("runs") if isinstance(fields, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(run, Mapping) for run in found):
        raise AnnotationsRefused(f"The corrected F0 {quoted(fields)} has no list of runs. Export it again.")
    expected = F0Settings()
    imported = F0Settings(**{name: number(fields.get(name), f"{name} of F0") for name in asdict(expected)})
    if imported != expected:
        raise AnnotationsRefused(
            f"F0 was measured every {imported.hop_s:g} s from {imported.floor_hz:g} to {imported.ceiling_hz:g} Hz "
            f"there, and every {expected.hop_s:g} s from {expected.floor_hz:g} to {expected.ceiling_hz:g} Hz here. "
            "Leave its corrections out."
        )
    frames: dict[int, Correction] = {}
    for run in found:
        first, values = whole_number(run.get("frame"), "frame of F0"), run.get("hz")
        by, at_time = text(run.get("by"), "person who corrected F0"), utc_time(run.get("at"), "time of a correction")
        if first < 0 or not isinstance(values, list) or not by.strip():
            raise AnnotationsRefused(
                f"The run {quoted(dict(run))} of corrected F0 lacks frames or a person. Export it again."
            )
        frames |= {first + index: Correction(f0_hz(value), by, at_time) for index, value in enumerate(values)}
    return CorrectedF0(frames)


def f0_hz(value: object) -> float:
    """Return an F0 to which a frame can be corrected, 0 for unvoiced, or refuse the value."""
    found, (low_hz, high_hz) = number(value, "F0"), CORRECTED_HZ
    if found and not low_hz <= found <= high_hz:
        raise AnnotationsRefused(f"An F0 of {found:g} Hz is not possible; give 0, or {low_hz:g} to {high_hz:g} Hz.")
    return found


# --- recordings ---


def recording_fields(recording: AnnotatedRecording) -> dict[str, Any]:
    """Return the fields of a recording without its marks, as `recording_of` takes them."""
    return {
        "name": recording.name,
        "sha256": recording.sha256,
        "duration_s": recording.duration_s,
        "sample_rate_hz": recording.sample_rate_hz,
        "provenance": dict(recording.provenance),
    } | {field: value for field in ("speaker", "session") if (value := getattr(recording, field))}


def recording_of(fields: Mapping[str, Any], annotations: Iterable[Annotation]) -> AnnotatedRecording:
    """Return a recording with its marks, sorted by time.

    Parameters
    ----------
    fields : mapping
        `name`; optionally `sha256`, `duration_s`, `sample_rate_hz`, `provenance`, `speaker` and `session`. An unknown
        length becomes the end of the last mark.

    Raises
    ------
    AnnotationsRefused
        If a value has the wrong type.
    """
    marks = tuple(sorted(annotations, key=lambda mark: (mark.region.start_s, mark.region.end_s)))
    values = {field: value for field, value in fields.items() if value is not None}
    last_end_s = max((mark.region.end_s for mark in marks), default=0.0)
    duration_s = known_duration_s(fields)
    sha256 = text(values["sha256"], "SHA-256").lower() if "sha256" in values else None
    if sha256 is not None and not SHA256.fullmatch(sha256):
        raise AnnotationsRefused(f"The SHA-256 {quoted(sha256)} does not have 64 hexadecimal digits.")
    rate = whole_number(values["sample_rate_hz"], "sample rate") if "sample_rate_hz" in values else None
    if rate is not None and not 0 < rate < 2**31:
        raise AnnotationsRefused(f"A sample rate of {quoted(rate)} Hz is not possible.")
    name = text(values.get("name"), "name of the recording")
    provenance = _provenance(values.get("provenance", {}))
    texts = {field: text(values[field], field) for field in ("speaker", "session") if field in values}
    duration_s = last_end_s if duration_s is None else duration_s
    return AnnotatedRecording(name, sha256, duration_s, rate, marks, provenance, **texts)


def known_duration_s(fields: Mapping[str, Any]) -> float | None:
    """Return the length in the fields of a recording in seconds, or None, or refuse the value."""
    if fields.get("duration_s") is None:
        return None
    duration_s = number(fields["duration_s"], "length of the recording")
    if duration_s < 0:
        raise AnnotationsRefused(f"The length of the recording is {duration_s:g} s. It must be at least 0.")
    return duration_s


def _provenance(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise AnnotationsRefused(f"The provenance {quoted(value)} is not an object with a model and settings.")
    level: list[object] = [value]
    for _ in range(MAX_LEVELS):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return dict(value)
    raise AnnotationsRefused("The provenance is nested too deeply to be kept.")


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def keys_of(recording: AnnotatedRecording) -> dict[str, int]:
    """Return the revisions of a recording's marks by their keys."""
    return {mark.key: mark.revision for mark in recording.annotations if mark.key is not None}


def known_keys(found: object) -> dict[str, int] | None:
    """Return keys and revisions as `keys_of` returns them, or None for anything else."""
    if not isinstance(found, dict):
        return None
    are_revisions = all(isinstance(revision, int) and not isinstance(revision, bool) for revision in found.values())
    return dict(found) if are_revisions else None


def writable(recording: AnnotatedRecording) -> AnnotatedRecording:
    """Return a recording with checked values, so that the file that is written can be read again.

    Raises
    ------
    AnnotationsRefused
        If one of its values is not valid, with the number of the mark.
    """
    marks = []
    for count, mark in enumerate(recording.annotations, start=1):
        with error_context(f"{quoted(recording.name)}, mark {count}"):
            identity = {"key": mark.key, "revision": mark.revision}
            marks.append(annotation_of(fields_of(mark) | identity, recording.duration_s))
    with error_context(quoted(recording.name)):
        unchanged = {name: getattr(recording, name) for name in ("tiers", "assignments", "roles", "f0")}
        return replace(recording_of(recording_fields(recording), marks), **unchanged)


def with_audio(
    recording: AnnotatedRecording, name: str, sha256: str | None, duration_s: float, sample_rate_hz: int | None
) -> AnnotatedRecording:
    """Return marks that were read from a file as the marks of an audio file.

    Parameters
    ----------
    name, sha256, duration_s, sample_rate_hz
        Those of the audio. Labels of the whole recording become as long as it is.

    Raises
    ------
    AnnotationsRefused
        If the file names other audio by SHA-256, or a mark ends after this audio, with its number and tier.
    """
    if None not in (recording.sha256, sha256) and recording.sha256 != sha256:
        raise AnnotationsRefused(
            f"The marks belong to other audio, {quoted(recording.name)} with the SHA-256 {recording.sha256[:12]}…, "
            f"and not to {quoted(name)}. Open that recording."
        )
    marks = []
    for count, mark in enumerate(recording.annotations, start=1):
        whole = {"start_s": 0.0, "end_s": duration_s} if mark.tier == RECORDING_TIER else {}
        with error_context(f"Mark {count}, in the tier {quoted(mark.tier)}"):
            identity = {"key": mark.key, "revision": mark.revision}
            marks.append(annotation_of(fields_of(mark) | identity | whole, duration_s))
    audio = {"name": name, "sha256": sha256, "duration_s": duration_s, "sample_rate_hz": sample_rate_hz}
    found = recording_of(audio | {"provenance": recording.provenance}, marks)
    # All other fields, such as the speaker, stay as the file has them.
    return replace(recording, **{field: getattr(found, field) for field in (*audio, "provenance", "annotations")})
