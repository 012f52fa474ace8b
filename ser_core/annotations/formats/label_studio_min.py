"""Label Studio's JSON-MIN, expanded to the tasks of its JSON.

A record has a task's data, its id, the values of each control, and the annotator. Its regions have no ids, and a
single text or choice is only a text without its region: if there are as many texts as regions, they are assigned to
them in order. A text that names a known emotion is read as a choice.
"""

from collections.abc import Mapping
from typing import Any

from ser_core.annotations.annotation import RECORDING_TIER
from ser_core.annotations.formats.label_studio_results import OURS, Lost
from ser_core.annotations.formats.notation import KNOWN
from ser_core.annotations.formats.values import quoted

#: By field of a value: the kind of result.
KINDS = {"labels": "labels", "choices": "choices", "rating": "rating", "text": "textarea"}


def is_json_min(task: Mapping[str, Any]) -> bool:
    """Whether a task is a record of JSON-MIN."""
    return "annotator" in task and "annotations" not in task


def expand(record: Mapping[str, Any], lost: Lost) -> dict[str, Any]:
    """Return the task of a record; `lost` counts what cannot be restored."""
    keys = list(record)
    first = keys.index("id") + 1 if "id" in keys else 0
    controls = {key: record[key] for key in keys[first : keys.index("annotator")]}
    results: list[dict[str, Any]] = []
    for control, values in controls.items():
        results += _value_results(control, values, lost)
    regions = list(dict.fromkeys(result["id"] for result in results if "id" in result))
    for control, values in controls.items():
        results += _text_results(control, values, regions, lost)
    data = {key: value for key, value in record.items() if key not in controls}
    if isinstance(ours := data.get(OURS), dict):
        # The regions of a record have no keys, so deleted marks cannot be found.
        data[OURS] = {key: value for key, value in ours.items() if key != "keys"}
    return {
        "id": record.get("id"),
        "data": data,
        "annotations": [
            {
                "completed_by": record["annotator"],
                "updated_at": record.get("updated_at"),
                "created_at": record.get("created_at"),
                "result": results,
            }
        ],
    }


def _value_results(control: str, values: object, lost: Lost) -> list[dict[str, Any]]:
    results = []
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, dict):
            kind = next((kind for field, kind in KINDS.items() if field in value), None)
            if kind is None:
                lost["value", f" of the control {quoted(control)}"] += 1
                continue
            result = {"from_name": control, "type": kind, "value": value}
            region_id = {"id": repr((value["start"], value["end"]))} if "start" in value and "end" in value else {}
            results.append(result | region_id)
    return results


def _text_results(control: str, values: object, regions: list[str], lost: Lost) -> list[dict[str, Any]]:
    texts = [value for value in (values if isinstance(values, list) else [values]) if isinstance(value, str)]
    if not texts:
        return []
    choices = control == RECORDING_TIER or all(value.casefold() in KNOWN for value in texts)
    text_results = [
        {"from_name": control, "type": "choices", "value": {"choices": [value]}}
        if choices
        else {"from_name": control, "type": "textarea", "value": {"text": [value]}}
        for value in texts
    ]
    if len(texts) == len(regions) and control != RECORDING_TIER:
        return [result | {"id": region} for result, region in zip(text_results, regions, strict=True)]
    if len(texts) == 1 and (choices or not regions):
        return text_results
    lost["text", f" of the control {quoted(control)}, with no region to it"] += len(texts)
    return []
