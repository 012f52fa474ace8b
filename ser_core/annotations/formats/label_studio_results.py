"""Conversion of the results of one Label Studio annotation to marks.

Results with the same id belong together: a region with its labels, rating and text. Results without a region are about
the whole recording.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ser_core.annotations.annotation import LAST_CHANNEL, RECORDING_TIER, REGION_TIER, Tier
from ser_core.annotations.formats.notation import KNOWN, Note
from ser_core.annotations.formats.values import error_context, number, quoted, text, whole_number
from ser_core.errors import AnnotationsRefused

#: The key under `meta` of a result, where Label Studio preserves unknown data, for fields of a mark.
OURS = "hear_why"

Lost = Counter[tuple[str, str]]

#: Parts of the names of controls that rate the intensity of an emotion; others rate something else.
INTENSITY = ("intens", "strength", "stärke", "강도")

NAMING, RATING, TEXT = ("labels", "choices"), "rating", "textarea"


@dataclass
class _Group:
    """The results about one region, or about the whole recording.

    Attributes
    ----------
    names : list of tuple of str and str or None
        Tier and emotion.
    """

    names: list[tuple[str, str | None]] = field(default_factory=list)
    bounds: dict[str, float] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


def labels_of(tier: Tier) -> tuple[str, ...]:
    """Return the labels of a tier of labels; none for any other tier."""
    return tier.labels if tier.content == "labels" else ()


def marks_in(results: Iterable[object], location: str, tiers: Mapping[str, Tier], lost: Lost) -> list[dict[str, Any]]:
    """Return the fields of the marks in the results of an annotation; labels of the whole recording have no times.

    Parameters
    ----------
    location : str
        The annotation, for refusals.
    tiers : mapping of str to Tier
        The tiers that our task declares, by the names of their controls.
    lost : Counter
        Counts the losses; the key is a noun and the words behind it.

    Raises
    ------
    AnnotationsRefused
        If a result does not have Label Studio's form, with its number.
    """
    groups: dict[object, _Group] = {}
    for count, result in enumerate(results, start=1):
        with error_context(f"{location}, result {count}"):
            kind, value = _kind_and_value(result)
            if kind not in (*NAMING, RATING, TEXT):
                lost["result", f" of the kind {quoted(kind)}"] += 1
                continue
            control = str(result.get("from_name", ""))
            if kind == RATING and not any(part in control.casefold() for part in INTENSITY):
                lost["rating", f" of the control {quoted(control)}"] += 1
                continue
            if value.get("channel") is not None and _channel(value) is None:
                lost["channel", " of a mark, which is not a number from 0"] += 1
            region_id = result.get("id")
            _add(groups.setdefault(count if region_id is None else str(region_id), _Group()), result, kind, value)
    return _marks(list(groups.values()), tiers, lost)


def _kind_and_value(result: object) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(result, dict):
        raise AnnotationsRefused(f"{quoted(result)} is not an object.")
    value = result.get("value", {})
    if not isinstance(value, dict):
        raise AnnotationsRefused(f"Its value {quoted(value)} is not an object.")
    return text(result.get("type"), "kind of result"), value


def _add(group: _Group, result: Mapping[str, Any], kind: str, value: Mapping[str, Any]) -> None:
    if kind in NAMING:
        names = value.get(kind)
        if not isinstance(names, list):
            raise AnnotationsRefused(f"It has no list of {kind}.")
        tier = text(result.get("from_name", REGION_TIER), "name of the control")
        group.names += [(tier, text(name, "label")) for name in names] or [(tier, None)]
    elif kind == RATING:
        group.fields["intensity"] = whole_number(value.get(RATING), "rating")
    else:
        group.fields["note"] = Note(_lines(value.get("text")))
    if "start" in value and "end" in value:
        group.bounds = {"start_s": number(value["start"], "start"), "end_s": number(value["end"], "end")}
        group.fields |= {"channel": _channel(value)} if _channel(value) else {}
    meta = result.get("meta")
    if isinstance(meta, dict):
        information = {"note": Note(_lines(meta["text"]))} if "text" in meta else {}
        ours = meta.get(OURS)
        group.fields = information | (ours if isinstance(ours, dict) else {}) | group.fields


def _channel(value: Mapping[str, Any]) -> int | None:
    """Return the channel of a region, from 1; Label Studio counts from 0."""
    channel = value.get("channel")
    return channel + 1 if isinstance(channel, int) and 0 <= channel < LAST_CHANNEL else None


def _lines(lines: object) -> str:
    lines = [lines] if isinstance(lines, str) else lines
    if not isinstance(lines, list):
        raise AnnotationsRefused("It has no text.")
    return "\n".join(text(line, "text") for line in lines)


def _marks(groups: list[_Group], tiers: Mapping[str, Tier], lost: Lost) -> list[dict[str, Any]]:
    marks = []
    whole = [group for group in groups if not group.bounds]
    is_only_label = sum(len(group.names) for group in whole) == 1
    for group in groups:
        if group.bounds:
            names = group.names or [(REGION_TIER, None)]
            marks += [_mark(group, control, name, tiers.get(control), lost) for control, name in names]
    labels = []
    for group in whole:
        for control, name in group.names:
            is_label = is_only_label or control == RECORDING_TIER or (name or "").casefold() in KNOWN
            labels.append(group.fields | {"tier": RECORDING_TIER if is_label else control, "emotion": name})
    # A rating or text of the whole recording has an id of its own, and belongs to the label.
    fields = {key: value for group in whole if not group.names for key, value in group.fields.items()}
    if fields:
        labels = labels or [{"tier": RECORDING_TIER}]
        labels[0] = fields | labels[0]
    return marks + labels


def _mark(group: _Group, control: str, name: str | None, tier: Tier | None, lost: Lost) -> dict[str, Any]:
    """Return the fields of a mark of a region; in a tier of labels or text its label is a note, not an emotion."""
    mark = group.fields | group.bounds | {"tier": control}
    if tier is None or tier.content == "emotions":
        return mark | {"emotion": name}
    if tier.kind == "points" and mark["start_s"] != mark["end_s"]:
        lost["length", " of a mark in a tier of points"] += 1
        mark["end_s"] = mark["start_s"]
    if name is None or (name == control and not labels_of(tier)):
        return mark
    if mark.get("note", name) != name:
        lost["text", f" beside a label of the tier {quoted(control)}"] += 1
    return mark | {"emotion": None, "note": Note(name)}
