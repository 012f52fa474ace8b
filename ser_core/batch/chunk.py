"""Analyse a chunk of recordings in a worker process, and the type of the engines that run the workers.

A context manager in the module of each engine starts workers and yields an `Engine`.
"""

import json
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from ser_core.analysis import Analysis, display_name
from ser_core.audio.reading import read_recording
from ser_core.errors import BatchRefused, Cancelled, SerError
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.model.voice import voice_normal
from ser_core.output.analysis_folder import voice_dict
from ser_core.pipeline import analyse_recording, with_deciding_focus
from ser_core.pipeline.voice import logits_for_normal
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED, Work

MAX_REASON_CHARACTERS = 300


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker needs besides the recordings.

    Attributes
    ----------
    model : dict
        As `model_identity` returns it; the model in `model_folder` must match.
    """

    model_folder: str
    model: dict[str, Any]
    settings: AnalysisSettings


@dataclass(frozen=True)
class Chunk:
    """Recordings that are analysed together: (SHA-256, path) of each.

    Attributes
    ----------
    retry : bool
        Whether a worker has already died on these.
    of_speaker : tuple of (str, str)
        All recordings of the speaker, which give the voice's own normal; empty if speakers are not distinguished.
    """

    recordings: tuple[tuple[str, str], ...]
    retry: bool = False
    of_speaker: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Rows of the results, without paths, and the reasons of failures by SHA-256."""

    rows: list[dict[str, Any]]
    failures: dict[str, str]


ChunkOutcomes = Iterator[tuple[Chunk, Outcome | None]]
#: Analyses the chunks of a queue, which may grow meanwhile; yields each with its outcome, or None if its worker died.
Engine = Callable[[deque[Chunk], WorkerSettings], ChunkOutcomes]


@contextmanager
def ignoring_sigint() -> Iterator[None]:
    """Make processes and threads started here ignore Ctrl-C, which a terminal sends to all processes at once."""
    resource_tracker.ensure_running()  # unblocks the signal when it starts
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def analyse_chunk(chunk: Chunk, worker: WorkerSettings, work: Work = UNWATCHED) -> Outcome:
    """Analyse the recordings of a chunk; one that fails does not affect the others.

    Raises
    ------
    BatchRefused
        If the model here is not the one that the batch was started with.
    Cancelled
    """
    classifier = _model(worker.model_folder)
    if model_identity(classifier) != worker.model:
        raise BatchRefused(
            f"The model {classifier.name} on {socket.gethostname()} is not the one that the batch was started with. "
            "Copy that one there, and restart the workers."
        )
    classifier = _adapt_to_speaker(classifier, chunk.of_speaker, work)
    rows, failures = [], {}
    for sha256, path in chunk.recordings:
        try:
            rows.append(_row(sha256, path, classifier, worker.settings, work))
        except Cancelled:
            raise
        except SerError as refusal:
            failures[sha256] = str(refusal).removeprefix(f"{_name(path)}: ")
        except Exception as error:  # no error with one recording may stop the other ten thousand
            failures[sha256] = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_REASON_CHARACTERS]
    return Outcome(rows, failures)


def _adapt_to_speaker(classifier: Classifier, recordings: tuple[tuple[str, str], ...], work: Work) -> Classifier:
    """Return the classifier adapted to the speaker of some recordings, or unchanged if there are none."""
    if not recordings:
        return classifier
    known = []
    for _, path in recordings:
        with suppress(OSError, SerError):  # reported when it is analysed
            known.append(logits_for_normal(read_recording(path, _name(path)), classifier, work))
        work.check()
    return classifier.with_voice(voice_normal(known))


def model_identity(classifier: Classifier) -> dict[str, Any]:
    """Return everything about a model that results depend on, as JSON reads it back."""
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
    """Load a model once in the life of a worker, which then computes with one thread.

    The other cores belong to other workers. More threads would also sum in another order, so that the last digits of
    the results would depend on the number of workers.
    """
    classifier = load_model(folder)
    threadpool_limits(1)  # only now: torch sets its number of threads when it first computes
    return classifier


def _row(sha256: str, path: str, classifier: Classifier, settings: AnalysisSettings, work: Work) -> dict[str, Any]:
    recording = read_recording(path, _name(path))
    if recording.sha256 != sha256:
        raise BatchRefused("The file has changed since the batch started. Run the same command again.")
    analysis = analyse_recording(recording, classifier, replace(settings, focus_by=None), work)
    scores = zip(analysis.emotions, analysis.scores.recording, strict=True)
    return {
        "sha256": sha256,
        "duration_s": recording.duration_s,
        "sample_rate_hz": recording.sample_rate_hz,
        "emotion": analysis.emotion,
        **{f"p_{emotion}": float(p) for emotion, p in scores},
        "verdict": analysis.verdict,
        "warnings": list(analysis.warnings),
        **{f"focus_{method}": _focus(analysis, method, classifier, settings) for method in settings.explain},
        **{f"voice_{name}": value for name, value in voice_dict(analysis.voice).get("voice", {}).items()},
    }


def _focus(
    analysis: Analysis, method: str, classifier: Classifier, settings: AnalysisSettings
) -> list[dict[str, float]]:
    analysis = with_deciding_focus(analysis, analysis.explanations[method], classifier, settings)
    return [
        {"start_s": f.region.start_s, "end_s": f.region.end_s, "strength": f.strength, "share": f.share}
        for f in analysis.focus
    ]


def _name(path: str) -> str:
    return display_name(Path(path).name)
