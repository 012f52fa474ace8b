"""Run a batch: find recordings, skip those already done, analyse the rest with an engine, write the results."""

import platform
import time
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from joblib import cpu_count

import ser_core
from ser_core.analysis.emotions import emotion_index
from ser_core.batch.chunk import Chunk, Engine, Outcome, WorkerSettings, model_identity
from ser_core.batch.local_engine import local_engine
from ser_core.batch.recordings import BatchFiles, find_recordings
from ser_core.batch.results import ResultsFolder, columns
from ser_core.errors import SettingsRefused
from ser_core.explanation import FOCUS_METHODS, focus_methods_of
from ser_core.model.shipped_models import find_model, load_model
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED, Work

ENGINES = ("local", "dask")
#: Recordings per chunk, which is what a killed run loses per worker; explaining one takes as long as classifying 100.
CHUNK_SIZE, EXPLAINED_CHUNK_SIZE = 16, 4
DIED = "The process that analysed it died twice. Give it more memory, or leave the recording out."


@dataclass(frozen=True)
class BatchCounts:
    """The outcome of a run.

    Attributes
    ----------
    files : int
        Files found.
    recordings : int
        Different recordings among the readable files.
    done : int
        Recordings in the results, of this run and earlier ones.
    new : int
        Recordings added by this run.
    failed : int
        Files and recordings that failed in this run; the next run tries them again.
    audio_s : float
        Total duration of the recordings in the results.
    seconds : float
        Duration of this run.
    """

    files: int
    recordings: int
    done: int
    new: int
    failed: int
    audio_s: float
    seconds: float


def run_batch(
    source: Path,
    model: str,
    settings: AnalysisSettings,
    out: Path,
    *,
    engine: str = "local",
    scheduler: str | None = None,
    workers: int | None = None,
    chunk_size: int | None = None,
    by_speaker: bool = False,
    work: Work = UNWATCHED,
) -> BatchCounts:
    """Analyse every recording of a folder or manifest once; those already in `out` are skipped.

    Parameters
    ----------
    source : Path
        A folder to search for audio, or a CSV manifest as `ser_core.corpora.manifest` reads it.
    model : str
        Name or folder.
    engine : {"local", "dask"}
    scheduler : str, optional
        Address of the scheduler of a Dask cluster; without it the engine `dask` starts its own processes.
    workers : int, optional
        Number of processes, of one thread each; by default the number of cores.
    chunk_size : int, optional
        Recordings per chunk, and so per Parquet file. With `by_speaker` a chunk is a speaker.
    by_speaker : bool
        Judge each speaker of a manifest by their own normal. One worker reads all recordings of a speaker twice: to
        compute the normal, and to analyse them.

    Raises
    ------
    BatchRefused
        If there is no audio, `out` holds another batch, or the cluster is gone; finished results are saved.
    CorpusRefused, ModelRefused, SettingsRefused
        If the manifest, the model or the settings are refused.
    Cancelled
    """
    began = time.monotonic()
    workers = _validate(engine, scheduler, workers, settings)
    classifier = load_model(model)
    if impossible := sorted(set(settings.explain) - set(focus_methods_of(classifier))):
        raise SettingsRefused(f"{classifier.name} cannot be explained by {impossible[0]}; leave it out.")
    if by_speaker and classifier.voice is None:
        raise SettingsRefused(f"{classifier.name} cannot judge a voice by its own normal. Choose a model that can.")
    if settings.emotion is not None:
        emotion_index(settings.emotion, classifier.emotions)
    worker = WorkerSettings(str(find_model(model).resolve()), model_identity(classifier), settings)
    about = {
        "place": str(source.resolve()).encode(errors="replace").decode(),
        "model_name": classifier.name,
        "model": worker.model,
        "settings": asdict(settings),
        "voice": "speaker" if by_speaker else None,
        "engine": {"name": engine, "workers": None if scheduler else workers},
        "versions": _versions(engine),
    }
    with _start_engine(engine, scheduler, workers) as run_chunks:
        batch = find_recordings(source, work, by_speaker=by_speaker)
        if by_speaker and not batch.speakers:
            raise SettingsRefused(
                f"{source} does not name the speakers of its recordings. Give a CSV manifest with the column speaker."
            )
        with ResultsFolder(out, about, columns(classifier.emotions, settings.explain, by_speaker)) as results:
            todo = {sha256: str(paths[0]) for sha256, paths in batch.files.items() if sha256 not in results.done}
            if by_speaker:
                recordings_of: dict[str, list[str]] = {}
                for sha256, speaker in batch.speakers.items():
                    recordings_of.setdefault(speaker, []).append(sha256)
                results.list_voices(recordings_of)
                waiting = _chunks_by_speaker(batch, recordings_of, todo)
            else:
                size = chunk_size or (EXPLAINED_CHUNK_SIZE if settings.explain else CHUNK_SIZE)
                items = list(todo.items())
                waiting = deque(Chunk(tuple(items[first : first + size])) for first in range(0, len(items), size))
            return _analyse_all(batch, results, run_chunks, worker, waiting, began, work)


def _chunks_by_speaker(batch: BatchFiles, recordings_of: dict[str, list[str]], todo: dict[str, str]) -> deque[Chunk]:
    """Return a chunk for each speaker with recordings to do; all recordings contribute to the speaker's normal."""
    chunks: deque[Chunk] = deque()
    for sha256s in recordings_of.values():
        recordings = tuple((sha256, str(batch.files[sha256][0])) for sha256 in sha256s)
        new = tuple((sha256, path) for sha256, path in recordings if sha256 in todo)
        if new:
            chunks.append(Chunk(new, of_speaker=recordings))
    return chunks


def _analyse_all(
    batch: BatchFiles,
    results: ResultsFolder,
    run_chunks: Engine,
    worker: WorkerSettings,
    waiting: deque[Chunk],
    began: float,
    work: Work,
) -> BatchCounts:
    results.list_files([(batch.name_of(path), sha256) for sha256, paths in batch.files.items() for path in paths])
    failures = [(batch.name_of(path), "", reason) for path, reason in batch.failures]
    results.list_failures(failures)
    todo = sum(len(chunk.recordings) for chunk in waiting)
    done_durations_s = [results.done[sha256] for sha256 in batch.files if sha256 in results.done]
    counts = BatchCounts(
        files=sum(map(len, batch.files.values())) + len(batch.failures),
        recordings=len(batch.files),
        done=len(done_durations_s),
        new=0,
        failed=len(failures),
        audio_s=sum(done_durations_s),
        seconds=time.monotonic() - began,
    )
    results.update_about(counts=asdict(counts))
    tried = 0
    for chunk, outcome in run_chunks(waiting, worker):
        if outcome is None and not chunk.retry:  # at most one recording is to blame: retry each by itself
            waiting.extend(replace(chunk, recordings=(recording,), retry=True) for recording in chunk.recordings)
            continue
        outcome = outcome or Outcome([], {sha256: DIED for sha256, _ in chunk.recordings})
        if outcome.rows:
            results.add([row | {"path": batch.name_of(batch.files[row["sha256"]][0])} for row in outcome.rows])
        if outcome.failures:
            failures += [
                (batch.name_of(batch.files[sha256][0]), sha256, reason) for sha256, reason in outcome.failures.items()
            ]
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
        results.update_about(counts=asdict(counts))
        work.report(tried / todo, f"{counts.done} of {counts.recordings} recordings, {counts.failed} failed")
        work.check("Stopped. Finished results are saved; the same command continues from there.")
    return counts


def _validate(engine: str, scheduler: str | None, workers: int | None, settings: AnalysisSettings) -> int:
    """Refuse impossible arguments, and return the number of processes."""
    if engine not in ENGINES:
        raise SettingsRefused(f"There is no engine '{engine}'; choose one of {', '.join(ENGINES)}.")
    if scheduler is not None and (engine != "dask" or workers is not None):
        raise SettingsRefused(
            "A scheduler's address needs the engine dask, and its cluster has its own workers; "
            "leave out the address or the number of workers."
        )
    if workers is not None and workers < 1:
        raise SettingsRefused(f"There must be at least 1 worker, not {workers}.")
    if unknown := sorted(set(settings.explain) - set(FOCUS_METHODS)):
        raise SettingsRefused(f"There is no explainer '{unknown[0]}'; choose from {', '.join(FOCUS_METHODS)}.")
    return workers or cpu_count()


def _start_engine(engine: str, scheduler: str | None, workers: int) -> AbstractContextManager[Engine]:
    if engine == "local":
        return local_engine(workers)
    from ser_core.batch.dask_engine import dask_engine  # the import takes a second

    return dask_engine(scheduler, workers)


def _versions(engine: str) -> dict[str, str]:
    packages = ("torch", "numpy", "soxr", "onnxruntime", *(("distributed",) if engine == "dask" else ()))
    versions = {"ser_core": ser_core.__version__, "python": platform.python_version()}
    return versions | {package: version(package) for package in packages}
