"""Marks as Label Studio tasks: written as it imports them, and read as it exports them, as JSON and JSON-MIN.

A project accepts our tasks with the configuration that `companion_files` writes. Tiers of emotions have the emotions
as labels, tiers of labels have theirs, and a tier of text has one label, its name, because the text of its marks is in
the note:

    <View>
      <Audio name="audio" value="$audio"/>
      <Labels name="emotion" toName="audio"> <Label value="angry"/> ... </Labels>
      <Labels name="style" toName="audio"> <Label value="read"/> ... </Labels>
      <Labels name="words" toName="audio"> <Label value="words"/> </Labels>
      <Rating name="intensity" toName="audio" maxRating="5" perRegion="true"/>
      <TextArea name="note" toName="audio" perRegion="true"/>
      <Choices name="recording" toName="audio"> <Choice value="angry"/> ... </Choices>
    </View>

The value of `audio` is the name of the recording. Label Studio finds the sound if it is replaced by an address.

References
----------
Label Studio documentation, "Label Studio Task Format".
"""

import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.annotation import (
    EMOTION,
    MAX_INTENSITY,
    RECORDING_TIER,
    REGION_TIER,
    AnnotatedRecording,
    Annotation,
    Tier,
)
from ser_core.annotations.formats.collected import Collected, totals_in_words
from ser_core.annotations.formats.content import json_bytes, json_of
from ser_core.annotations.formats.fields import (
    annotation_of,
    fields_of,
    keys_of,
    known_duration_s,
    known_keys,
    recording_fields,
    recording_of,
    tier_fields,
    tier_of,
    writable,
)
from ser_core.annotations.formats.format import DEFAULT_OPTIONS, Format, ReadOptions, ReadResult, Written, counted
from ser_core.annotations.formats.label_studio_min import expand, is_json_min
from ser_core.annotations.formats.label_studio_results import OURS, Lost, labels_of, marks_in
from ser_core.annotations.formats.layers import with_names_as_keys
from ser_core.annotations.formats.own import objects_in
from ser_core.annotations.formats.values import error_context, quoted
from ser_core.errors import AnnotationsRefused

SOUND = "audio"
CONFIGURATION = "config.xml"
#: Names that no control of a tier can have, because Label Studio refuses two of one name.
CONTROLS = (SOUND, "intensity", "note")
SOUND_NAME = re.compile(r".*\.(wav|mp3|m4a|flac|ogg|oga|opus|aac|webm|wma|aiff?)", re.IGNORECASE | re.DOTALL)
#: The prefix that Label Studio gives to the name of an uploaded file.
UPLOADED = re.compile("[0-9a-f]{8}-")

#: The length of a recording if it is unknown: a label of the whole recording needs one.
UNKNOWN_LENGTH_S = 1.0

IN_META = ("low_hz", "high_hz", "annotator", "confidence", "status", "changed_at")


def write(recordings: Sequence[AnnotatedRecording], url_prefix: str = "") -> Written:
    """Write a task for each recording, with an annotation for each annotator; nothing is lost.

    Parameters
    ----------
    url_prefix : str
        Precedes the name of a recording, so that Label Studio finds its sound.

    Raises
    ------
    AnnotationsRefused
        If a mark cannot be written, or the provenance holds what JSON cannot.
    """
    named = (with_names_as_keys(writable(recording), CONTROLS) for recording in recordings)
    tasks = [_task(recording, count, url_prefix) for count, recording in enumerate(named, start=1)]
    return Written(json_bytes(tasks))


def _task(recording: AnnotatedRecording, count: int, url_prefix: str) -> dict[str, Any]:
    by_annotator: dict[str, list[dict[str, Any]]] = {}
    tiers = {tier.key: tier for tier in recording.tiers}
    for number, mark in enumerate(recording.annotations, start=1):
        results = _results(mark, f"mark{number}", recording.duration_s, tiers.get(mark.tier))
        by_annotator.setdefault(mark.annotator, []).extend(results)
    address = f"{url_prefix}{quote(recording.name)}" if url_prefix else recording.name
    ours = recording_fields(recording) | ({"keys": keys_of(recording)} if keys_of(recording) else {})
    ours |= {"tiers": [tier_fields(tier) for tier in recording.tiers]} if recording.tiers else {}
    return {
        "id": count,
        "data": {SOUND: address, OURS: ours},
        "annotations": [{"result": results} for results in by_annotator.values()],
    }


def _results(mark: Annotation, region_id: str, duration_s: float, tier: Tier | None) -> list[dict[str, Any]]:
    names = _names(mark, tier)
    fields = fields_of(mark) | {"changed_at": mark.changed_at.isoformat() if mark.changed_at else None}
    meta = {field: fields[field] for field in IN_META if fields[field] not in (None, "", "open")}
    if mark.key is not None:
        meta |= {"key": mark.key, "revision": mark.revision}
    if mark.emotion is not None and names != [mark.emotion]:
        meta["emotion"] = mark.emotion
    bounds = {"start": mark.region.start_s, "end": mark.region.end_s}
    common: dict[str, Any] = {"id": region_id, "to_name": SOUND, "origin": "manual"}
    if mark.tier == RECORDING_TIER:
        if bounds != {"start": 0.0, "end": duration_s}:
            meta |= {"start_s": mark.region.start_s, "end_s": mark.region.end_s}
        meta |= {"channel": mark.channel} if mark.channel else {}
        bounds = {}
        first = {"from_name": RECORDING_TIER, "type": "choices", "value": {"choices": names}}
    else:
        common["original_length"] = duration_s
        value = bounds | {"channel": (mark.channel or 1) - 1, "labels": names}  # counted from 0 there
        first = {"from_name": mark.tier, "type": "labels", "value": value}
    results = [common | first | ({"meta": {OURS: meta}} if meta else {})]
    if mark.intensity is not None:
        rating = bounds | {"rating": mark.intensity}
        results.append(common | {"from_name": "intensity", "type": "rating", "value": rating})
    if mark.note and not (tier is not None and names == [mark.note] and labels_of(tier)):
        results.append(common | {"from_name": "note", "type": "textarea", "value": bounds | {"text": [mark.note]}})
    return results


def _names(mark: Annotation, tier: Tier | None) -> list[str]:
    """Return the labels of a mark in the control of its tier: one or none."""
    if tier is None or tier.content == "emotions":
        return [] if mark.emotion is None else [mark.emotion]
    if labels_of(tier):
        return [mark.note] if mark.emotion is None and mark.note in tier.labels else []
    return [tier.key]


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read an export of Label Studio, JSON or JSON-MIN; tasks with the same sound are one recording.

    Raises
    ------
    AnnotationsRefused
        If the file is not a list of tasks, or a result is not a valid mark, with the number of the task.
    """
    document = json_of(content, name, options.encoding)
    tasks = [document] if isinstance(document, dict) else document
    if not isinstance(tasks, list):
        raise AnnotationsRefused(f"{name}: the JSON is not a list of tasks, as Label Studio exports them.")
    lost: Lost = Counter()
    fields_by_recording: dict[tuple[str, str], dict[str, Any]] = {}
    marks: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    for count, task in enumerate(tasks, start=1):
        location = f"{name}, task {count}"
        found = _checked(task, location, lost)
        address = _address(found["data"], count)
        recording = _recording(found, address, location)
        key = address, str(recording.get("sha256"))
        known = fields_by_recording.setdefault(key, recording)
        if known.get("duration_s") is None:
            known["duration_s"] = recording.get("duration_s")
        tiers = {tier.key: tier for tier in known.get("tiers", ())}
        marks.setdefault(key, []).extend(_marks(found, location, tiers, lost))
    read = [_with_marks(fields_by_recording[key], marks[key], name, lost, options) for key in fields_by_recording]
    left_out, altered = totals_in_words(found for _, found in read)
    dropped = tuple(counted(count, noun) + rest for (noun, rest), count in lost.items())
    return ReadResult(tuple(recording for recording, _ in read), dropped + left_out, altered)


def _checked(task: object, location: str, lost: Lost) -> dict[str, Any]:
    if not isinstance(task, dict):
        raise AnnotationsRefused(f"{location}: {quoted(task)} is not an object. Export the tasks as JSON or JSON-MIN.")
    if is_json_min(task):
        task = expand(task, lost)
    if not isinstance(task.get("data"), dict):
        raise AnnotationsRefused(f"{location}: there is no 'data', as a task of Label Studio has it.")
    annotations = task.get("annotations", task.get("completions", []))
    if not isinstance(annotations, list) or not all(_has_results(annotation) for annotation in annotations):
        raise AnnotationsRefused(f"{location}: its 'annotations' are not a list of objects, each with a list 'result'.")
    predictions = task.get("predictions")
    if isinstance(predictions, list) and predictions:
        if any(annotation["result"] for annotation in annotations) or not all(map(_has_results, predictions)):
            lost["prediction", ""] += len(predictions)
        else:
            annotations = [*annotations, *map(_suggestion, predictions)]
    if isinstance(drafts := task.get("drafts"), list) and drafts:
        lost["draft", ""] += len(drafts)
    return task | {"annotations": annotations}


def _suggestion(prediction: dict[str, Any]) -> dict[str, Any]:
    """Return a prediction as an annotation by its model, for a task that nobody annotated."""
    return {
        "result": prediction["result"],
        "completed_by": {"email": str(prediction.get("model_version") or "prediction")},
        "created_at": prediction.get("created_at"),
    }


def _has_results(annotation: object) -> bool:
    return isinstance(annotation, dict) and isinstance(annotation.get("result"), list)


def _address(data: Mapping[str, Any], count: int) -> str:
    texts = [value for value in data.values() if isinstance(value, str)]
    sounds = [value for value in texts if SOUND_NAME.fullmatch(_path(value))]
    own = data.get(SOUND)
    return own if isinstance(own, str) else next(iter([*sounds, *texts]), f"task {count}")


def _path(address: str) -> str:
    """Return the path of an address; that of a local file of Label Studio is in the query."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]


def _recording(task: Mapping[str, Any], address: str, location: str) -> dict[str, Any]:
    """Return the fields of a task's recording, from our own field or else from its address and results."""
    if isinstance(ours := task["data"].get(OURS), dict):
        with error_context(location):
            recording_of(ours, ())
            found = objects_in(ours, "tiers", location) if "tiers" in ours else ()
            return ours | {"tiers": tuple(tier_of(tier) for _, tier in found)}
    path = _path(address)
    file_name = posixpath.basename(path)
    lengths = [
        result.get("original_length")
        for annotation in task["annotations"]
        for result in annotation["result"]
        if isinstance(result, dict) and result.get("original_length") is not None
    ]
    plain = UPLOADED.sub("", file_name, count=1) if "/upload/" in path else file_name
    return {"name": plain or address, "duration_s": lengths[0] if lengths else None}


def _marks(
    task: Mapping[str, Any], location: str, tiers: Mapping[str, Tier], lost: Lost
) -> list[tuple[str, dict[str, Any]]]:
    marks = []
    for count, annotation in enumerate(task["annotations"], start=1):
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            lost["cancelled annotation", ""] += 1
            continue
        annotation_location = f"{location}, annotation {count}"
        times = (annotation.get("updated_at"), annotation.get("created_at"))
        common = {
            "annotator": _annotator(annotation.get("completed_by")),
            # Old releases wrote seconds as numbers instead.
            "changed_at": next((time for time in times if isinstance(time, str)), None),
        }
        marks += [
            (annotation_location, common | mark)
            for mark in marks_in(annotation["result"], annotation_location, tiers, lost)
        ]
    return marks


def _annotator(completed_by: object) -> str:
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return "" if completed_by is None else str(completed_by)


def _with_marks(
    fields: dict[str, Any], marks: list[tuple[str, dict[str, Any]]], name: str, lost: Lost, options: ReadOptions
) -> tuple[AnnotatedRecording, Collected]:
    with error_context(name):
        duration_s = known_duration_s(fields)
    found = Collected(options, duration_s)
    for location, mark in marks:
        if "start_s" in mark:
            found.add(mark, location)
    if duration_s is None:
        duration_s = max((mark.region.end_s for mark in found.annotations), default=UNKNOWN_LENGTH_S)
    whole = {"start_s": 0.0, "end_s": duration_s}
    for location, mark in marks:
        if "start_s" not in mark:
            with error_context(location):
                found.append(annotation_of(whole | mark, duration_s))
    with error_context(name):
        recording = recording_of(fields | {"duration_s": duration_s}, found.annotations)
    return replace(recording, exported_keys=known_keys(fields.get("keys")), tiers=fields.get("tiers", ())), found


def companion_files(recordings: Sequence[AnnotatedRecording]) -> dict[str, bytes]:
    """Return the labelling configuration with which a project accepts our tasks, by its file name."""
    recordings = [with_names_as_keys(recording, CONTROLS) for recording in recordings]
    marks = [mark for recording in recordings for mark in recording.annotations]
    emotions = list(dict.fromkeys([*COLOURS, *(mark.emotion for mark in marks if mark.emotion)]))
    tiers = {REGION_TIER: EMOTION} | {tier.key: tier for recording in recordings for tier in recording.all_tiers}
    view = Element("View")
    SubElement(view, "Audio", {"name": SOUND, "value": f"${SOUND}"})
    for tier in tiers.values():
        control = SubElement(view, "Labels", {"name": tier.key, "toName": SOUND})
        for label in emotions if tier.content == "emotions" else labels_of(tier) or [tier.key]:
            colour = COLOURS.get(label) if tier.content == "emotions" else tier.colour
            SubElement(control, "Label", {"value": label} | ({"background": colour} if colour else {}))
    of_region = {"toName": SOUND, "perRegion": "true"}
    SubElement(view, "Rating", {"name": "intensity", "maxRating": str(MAX_INTENSITY)} | of_region)
    SubElement(view, "TextArea", {"name": "note"} | of_region)
    choices = SubElement(view, "Choices", {"name": RECORDING_TIER, "toName": SOUND})
    for emotion in emotions:
        SubElement(choices, "Choice", {"value": emotion})
    indent(view)
    return {CONFIGURATION: tostring(view, encoding="utf-8") + b"\n"}


FORMAT = Format(
    name="Label Studio JSON",
    endings=(".json",),
    media_type="application/json",
    holds_many=True,
    write=write,
    read=read,
    recognises=lambda head: head.lstrip()[:1] in ("[", "{"),
    companion_files=companion_files,
    holds_tiers=True,
)
