"""What is done to a chunk of recordings, in whichever process and on whichever machine."""

import json
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from ser_core.analysis import Analysis, display_name
from ser_core.audio.reading import read_recording
from ser_core.errors import BatchRefused, Cancelled, SerError
from ser_core.model.checkpoint import load_model
from ser_core.model.classifier import Classifier
from ser_core.model.voice import voice_normal
from ser_core.output.analysis_folder import voice_dict
from ser_core.pipeline import analyse_recording, know_recording, with_focus
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED, Work

LONGEST_REASON = 300


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is told beside the recordings.

    Attributes
    ----------
    model : dict
        As `model_identity` returns it: what the worker finds in `model_folder` must be the same.
    """

    model_folder: str
    model: dict[str, Any]
    settings: AnalysisSettings


@dataclass(frozen=True)
class Chunk:
    """Recordings that are analysed together: (SHA-256, path) of each.

    Attributes
    ----------
    again : bool
        Whether a worker has died of it already.
    voice : tuple of (str, str)
        All recordings of the person who speaks in these, whose voice is judged by its own normal; empty where every
        voice is judged alike.
    """

    recordings: tuple[tuple[str, str], ...]
    again: bool = False
    voice: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Rows of the results, without their paths, and why other recordings have none, by SHA-256."""

    rows: list[dict[str, Any]]
    failures: dict[str, str]


def analyse_chunk(chunk: Chunk, worker: WorkerSettings, work: Work = UNWATCHED) -> Outcome:
    """Analyse the recordings of a chunk; one that fails costs only itself.

    Raises
    ------
    BatchRefused
        If the model here is not the one that the batch was begun with.
    Cancelled
    """
    classifier = _model(worker.model_folder)
    if model_identity(classifier) != worker.model:
        raise BatchRefused(
            f"The model {classifier.name} on {socket.gethostname()} is not the one that the batch was begun with. "
            "Copy that one there, and start the workers anew."
        )
    classifier = _with_voice(classifier, chunk.voice, work)
    rows, failures = [], {}
    for sha256, path in chunk.recordings:
        try:
            rows.append(_row(sha256, path, classifier, worker.settings, work))
        except Cancelled:
            raise
        except SerError as refusal:
            failures[sha256] = str(refusal).removeprefix(f"{_name(path)}: ")
        except Exception as error:  # whatever one of ten thousand recordings brings about, the others must not pay
            failures[sha256] = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
    return Outcome(rows, failures)


def _with_voice(classifier: Classifier, voice: tuple[tuple[str, str], ...], work: Work) -> Classifier:
    """Return the classifier adapted to the voice in some recordings; what cannot be read fails where it is analysed."""
    if not voice:
        return classifier
    known = []
    for _, path in voice:
        with suppress(OSError, SerError):
            known.append(know_recording(read_recording(path, _name(path)), classifier, work))
        work.check()
    return classifier.with_voice(voice_normal(known, classifier.temperature))


def model_identity(classifier: Classifier) -> dict[str, Any]:
    """Return all of a model that its figures depend on, as JSON gives it back."""
    front_end = json.loads(json.dumps(asdict(classifier.front_end)))
    return {
        "sha256": classifier.sha256,
        "emotions": list(classifier.emotions),
        "temperature": classifier.temperature,
        "pooling": classifier.pooling,
        "front_end": front_end,
    }


@cache
def _model(folder: str) -> Classifier:
    """Load a model once for the life of a worker, which computes with one thread from then on.

    Others have the other cores; and more threads add up in another order, so that figures would differ in their last
    digits with the number of workers.
    """
    classifier = load_model(folder)
    threadpool_limits(1)  # after torch has computed once, at which it sets its number of threads itself
    return classifier


def _row(sha256: str, path: str, classifier: Classifier, settings: AnalysisSettings, work: Work) -> dict[str, Any]:
    recording = read_recording(path, _name(path))
    if recording.sha256 != sha256:
        raise BatchRefused("The file has changed since the batch began. Run the same command again.")
    analysis = analyse_recording(recording, classifier, settings, work)
    scores = zip(analysis.emotions, analysis.scores.recording, strict=True)
    return {
        "sha256": sha256,
        "duration_s": recording.duration_s,
        "sample_rate_hz": recording.sample_rate_hz,
        "emotion": analysis.emotion,
        **{f"p_{emotion}": float(p) for emotion, p in scores},
        "verdict": analysis.verdict,
        "warnings": list(analysis.warnings),
        **{f"focus_{method}": _focus(analysis, method, settings) for method in settings.explain},
        **{f"voice_{name}": value for name, value in voice_dict(analysis.voice).get("voice", {}).items()},
    }


def _focus(analysis: Analysis, method: str, settings: AnalysisSettings) -> list[dict[str, float]]:
    bare = replace(analysis, profile=None, focus=())
    return [
        {"start_s": f.region.start_s, "end_s": f.region.end_s, "strength": f.strength, "share": f.share}
        for f in with_focus(bare, analysis.explanations[method], settings).focus
    ]


def _name(path: str) -> str:
    return display_name(Path(path).name)
