"""Results of finished work in one file, so that reopening a saved analysis computes nothing.

The file is an npz archive of arrays and a JSON tree that refers to them. Only the classes listed here are written and
read, and nothing in the file is executed. The recording itself is not in it.
"""

import io
import json
import zipfile
from collections.abc import Hashable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ser_core.analysis import (
    Analysis,
    Explanation,
    FocusRegion,
    Recording,
    Region,
    Scores,
    Segments,
    Spectrogram,
    VoiceShare,
)
from ser_core.errors import SettingsRefused
from ser_core.explanation import ExplainerRun
from ser_core.explanation.counterfactual.cells import Counterfactual
from ser_core.explanation.faithfulness import Curves, MaskMetrics
from ser_core.explanation.focus_audio import ChangedSound, FocusScores
from ser_core.explanation.grad_cam import GradCamResult
from ser_core.explanation.judgement import Judgement
from ser_core.explanation.lime import LimeResult, Window
from ser_core.explanation.occlusion import OcclusionResult
from ser_core.explanation.one_pass import OnePassResult, TimeConsensusResult
from ser_core.settings import (
    AnalysisSettings,
    FocusSettings,
    GradCamSettings,
    LimeSettings,
    OcclusionSettings,
    OnePassSettings,
    SpectrogramSettings,
    VerdictSettings,
)
from ser_core.words.evidence import MapOnWords, WordEvidence
from ser_core.words.transcription import Transcript

STORED_CLASSES = {
    stored.__name__: stored
    for stored in (
        *(Analysis, Explanation, FocusRegion, Region, Scores, Segments, Spectrogram, VoiceShare),
        *(ExplainerRun, GradCamResult, LimeResult, Window, OcclusionResult, OnePassResult, TimeConsensusResult),
        *(Judgement, Curves, MaskMetrics, Counterfactual, FocusScores, ChangedSound),
        *(Transcript, WordEvidence, MapOnWords),
        *(AnalysisSettings, FocusSettings, GradCamSettings, LimeSettings, OcclusionSettings, OnePassSettings),
        *(SpectrogramSettings, VerdictSettings),
    )
}
TREE = "tree"
MAX_RESULTS_BYTES = 2**30

#: The key of a job, its title and its result.
Result = tuple[Hashable, str, Any]


def results_bytes(results: Iterable[Result]) -> bytes:
    """Return results as the bytes of an npz file; an array that occurs several times is stored once."""
    arrays: dict[int, np.ndarray] = {}
    tree = json.dumps(_encode(list(results), arrays))
    named = {str(index): array for index, array in enumerate(arrays.values())}
    file = io.BytesIO()
    np.savez_compressed(file, **{TREE: np.frombuffer(tree.encode(), np.uint8)}, **named)
    return file.getvalue()


def read_results(data: bytes, recording: Recording) -> list[Result]:
    """Return the results in the bytes of a file, as results of this recording.

    Raises
    ------
    SettingsRefused
        If they cannot be read, for instance because another version of the app wrote them.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_RESULTS_BYTES:
                raise ValueError("too large")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            results = _decode(json.loads(arrays[TREE].tobytes()), arrays, {}, recording)
            hash(tuple(key for key, _, _ in results))  # raises if a key is a list or an array
            return [(key, title, result) for key, title, result in results]
    except Exception as reason:  # damaged archives raise many kinds of errors
        raise SettingsRefused(f"The saved results cannot be read ({type(reason).__name__}).") from None


def _encode(value: Any, arrays: dict[int, np.ndarray]) -> Any:
    def encode_all(values: Iterable[Any]) -> list[Any]:
        return [_encode(item, arrays) for item in values]

    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return encode_all(value)
    if isinstance(value, np.ndarray):
        arrays.setdefault(id(value), value)
        return {"array": list(arrays).index(id(value))}
    if isinstance(value, tuple):
        return {"tuple": encode_all(value)}
    if isinstance(value, slice):
        return {"slice": encode_all([value.start, value.stop])}
    if isinstance(value, dict):
        return {"dict": [encode_all(item) for item in value.items()]}
    if isinstance(value, Recording):
        return {"recording": True}
    if is_dataclass(value) and STORED_CLASSES.get(type(value).__name__) is type(value):
        return {
            "class": type(value).__name__,
            "fields": {field.name: _encode(getattr(value, field.name), arrays) for field in fields(value)},
        }
    raise TypeError(f"{type(value).__name__} cannot be stored.")


def _decode(value: Any, arrays: Any, loaded: dict[str, np.ndarray], recording: Recording) -> Any:
    def decode(item: Any) -> Any:
        return _decode(item, arrays, loaded, recording)

    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "class" in value:
        return STORED_CLASSES[value["class"]](**{name: decode(item) for name, item in value["fields"].items()})
    ((kind, content),) = value.items()
    if kind == "array":
        name = str(int(content))
        if name not in loaded:
            loaded[name] = arrays[name]
        return loaded[name]
    if kind == "recording":
        return recording
    if kind == "slice":
        return slice(*(int(bound) for bound in content))
    if kind == "tuple":
        return tuple(decode(item) for item in content)
    if kind == "dict":
        return {decode(key): decode(item) for key, item in content}
    raise ValueError(f"There is no {kind}.")
