"""The way of a batch: found, compared with what is done, analysed by the engine's workers, written."""

import platform
import time
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from joblib import cpu_count

import ser_core
from ser_core.batch.chunk import Chunk, Outcome, WorkerSettings, model_identity
from ser_core.batch.local_engine import Outcomes, local_engine
from ser_core.batch.recordings import Found, find_recordings
from ser_core.batch.results import ResultsFolder, columns
from ser_core.emotions import emotion_index
from ser_core.errors import SettingsRefused
from ser_core.explanation import EXPLAINERS, explainers_of
from ser_core.model.checkpoint import find_model, load_model
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED, Work

ENGINES = ("local", "dask")
#: What a killed run has to do again, at most, for each worker; explaining one takes as long as hearing a hundred.
AT_ONCE, EXPLAINED_AT_ONCE = 16, 4
DIED = "The process that analysed it died, twice. Look at its memory, or leave the recording out."


@dataclass(frozen=True)
class BatchCounts:
    """What a run of a batch leaves.

    Attributes
    ----------
    files : int
        That were found.
    recordings : int
        Different ones among those that could be read; equal files are one.
    done : int
        Recordings that are in the results, from this run or an earlier one.
    new : int
        From this run.
    failed : int
        Files and recordings that failed in this run; each run tries them again.
    audio_s : float
        Duration of all that is done, in seconds.
    seconds : float
        That this run took.
    """

    files: int
    recordings: int
    done: int
    new: int
    failed: int
    audio_s: float
    seconds: float


def run_batch(
    place: Path,
    model: str,
    settings: AnalysisSettings,
    out: Path,
    *,
    engine: str = "local",
    scheduler: str | None = None,
    workers: int | None = None,
    at_once: int | None = None,
    by_speaker: bool = False,
    work: Work = UNWATCHED,
) -> BatchCounts:
    """Analyse every recording of a folder or a manifest once; what `out` holds already is not done again.

    Parameters
    ----------
    place : Path
        A folder, searched for audio, or a CSV manifest as `ser_core.corpora.manifest` reads it.
    model : str
        Name or folder.
    engine : {"local", "dask"}
    scheduler : str, optional
        Address of a Dask cluster's; without it the engine `dask` starts processes of its own.
    workers : int, optional
        How many processes, of one thread each; as many as there are cores where not given.
    at_once : int, optional
        Recordings in a chunk, and so in a Parquet file; a speaker's, where `by_speaker`.
    by_speaker : bool
        Judge each speaker of a manifest by the normal of that voice. All recordings of a speaker are read twice, by one
        worker: first to know the voice, then to be analysed.

    Raises
    ------
    BatchRefused
        If there is no audio, `out` holds another batch, or the cluster is not there; what is done is kept.
    CorpusRefused, ModelRefused, SettingsRefused
        If the manifest, the model or the settings are refused.
    Cancelled
    """
    began = time.monotonic()
    workers = _checked(engine, scheduler, workers, settings)
    classifier = load_model(model)
    if impossible := sorted(set(settings.explain) - set(explainers_of(classifier))):
        raise SettingsRefused(f"{classifier.name} cannot be explained by {impossible[0]}; leave it out.")
    if by_speaker and classifier.voice is None:
        raise SettingsRefused(f"{classifier.name} cannot judge a voice by its own normal. Choose a model that can.")
    if settings.emotion is not None:
        emotion_index(settings.emotion, classifier.emotions)
    worker = WorkerSettings(str(find_model(model).resolve()), model_identity(classifier), settings)
    about = {
        "place": str(place.resolve()).encode(errors="replace").decode(),
        "model_name": classifier.name,
        "model": worker.model,
        "settings": asdict(settings),
        "voice": "speaker" if by_speaker else None,
        "engine": {"name": engine, "workers": None if scheduler else workers},
        "versions": _versions(engine),
    }
    with _engine(engine, scheduler, workers) as outcomes:
        found = find_recordings(place, work)
        if by_speaker and not found.speakers:
            raise SettingsRefused(
                f"{place} does not say who speaks in which recording. Give a CSV manifest with the column speaker."
            )
        with ResultsFolder(out, about, columns(classifier.emotions, settings.explain, by_speaker)) as results:
            todo = {sha256: str(paths[0]) for sha256, paths in found.files.items() if sha256 not in results.done}
            if by_speaker:
                waiting = _chunks_by_speaker(found, todo)
            else:
                at_once = at_once or (EXPLAINED_AT_ONCE if settings.explain else AT_ONCE)
                each = list(todo.items())
                waiting = deque(Chunk(tuple(each[at : at + at_once])) for at in range(0, len(each), at_once))
            return _analyse_all(found, results, outcomes, worker, waiting, began, work)


def _chunks_by_speaker(found: Found, todo: dict[str, str]) -> deque[Chunk]:
    """Return a chunk for each speaker of whom something is to be done; what is done helps to know the voice."""
    of_speaker: dict[str, list[tuple[str, str]]] = {}
    for sha256, speaker in found.speakers.items():
        of_speaker.setdefault(speaker, []).append((sha256, str(found.files[sha256][0])))
    chunks = (
        Chunk(tuple(recording for recording in voice if recording[0] in todo), voice=tuple(voice))
        for voice in of_speaker.values()
    )
    return deque(chunk for chunk in chunks if chunk.recordings)


def _analyse_all(
    found: Found,
    results: ResultsFolder,
    outcomes: Outcomes,
    worker: WorkerSettings,
    waiting: deque[Chunk],
    began: float,
    work: Work,
) -> BatchCounts:
    results.list_files([(found.named(path), sha256) for sha256, paths in found.files.items() for path in paths])
    failures = [(found.named(path), "", reason) for path, reason in found.failures]
    results.list_failures(failures)
    todo = sum(len(chunk.recordings) for chunk in waiting)
    before = [results.done[sha256] for sha256 in found.files if sha256 in results.done]
    counts = BatchCounts(
        files=sum(map(len, found.files.values())) + len(found.failures),
        recordings=len(found.files),
        done=len(before),
        new=0,
        failed=len(failures),
        audio_s=sum(before),
        seconds=time.monotonic() - began,
    )
    results.say(counts=asdict(counts))
    tried = 0
    for chunk, outcome in outcomes(waiting, worker):
        if outcome is None and not chunk.again:  # one recording is to blame, or none: each is tried by itself
            waiting.extend(replace(chunk, recordings=(recording,), again=True) for recording in chunk.recordings)
            continue
        outcome = outcome or Outcome([], {sha256: DIED for sha256, _ in chunk.recordings})
        if outcome.rows:
            results.add([row | {"path": found.named(found.files[row["sha256"]][0])} for row in outcome.rows])
        if outcome.failures:
            failures += [(found.named(found.files[sha256][0]), sha256, why) for sha256, why in outcome.failures.items()]
            results.list_failures(failures)
        tried += len(chunk.recordings)
        counts = replace(
            counts,
            done=counts.done + len(outcome.rows),
            new=counts.new + len(outcome.rows),
            failed=len(failures),
            audio_s=counts.audio_s + sum(row["duration_s"] for row in outcome.rows),
            seconds=time.monotonic() - began,
        )
        results.say(counts=asdict(counts))
        work.report(tried / todo, f"{counts.done} of {counts.recordings} recordings, {counts.failed} failed")
        work.check("Stopped; what is done is kept, and the same batch goes on from there.")
    return counts


def _checked(engine: str, scheduler: str | None, workers: int | None, settings: AnalysisSettings) -> int:
    """Return how many processes are asked for."""
    if engine not in ENGINES:
        raise SettingsRefused(f"There is no engine '{engine}'; choose one of {', '.join(ENGINES)}.")
    if scheduler is not None and (engine != "dask" or workers is not None):
        raise SettingsRefused(
            "A scheduler's address goes with the engine dask, and its cluster has its own workers; "
            "leave the address or the number of workers out."
        )
    if workers is not None and workers < 1:
        raise SettingsRefused(f"{workers} workers do nothing; ask for at least 1.")
    if unknown := sorted(set(settings.explain) - set(EXPLAINERS)):
        raise SettingsRefused(f"There is no explainer '{unknown[0]}'; choose of {', '.join(EXPLAINERS)}.")
    return workers or cpu_count()


def _engine(engine: str, scheduler: str | None, workers: int) -> AbstractContextManager[Outcomes]:
    if engine == "local":
        return local_engine(workers)
    from ser_core.batch.dask_engine import dask_engine  # takes a second, which other commands need not wait

    return dask_engine(scheduler, workers)


def _versions(engine: str) -> dict[str, str]:
    packages = ("torch", "numpy", "soxr", "onnxruntime", *(("distributed",) if engine == "dask" else ()))
    versions = {"ser_core": ser_core.__version__, "python": platform.python_version()}
    return versions | {package: version(package) for package in packages}
