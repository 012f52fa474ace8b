"""Analyses that a person chose to save: recording, settings and results. Nothing else is stored."""

import json
import logging
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ser_core.analysis import Analysis, Recording
from ser_core.errors import AudioRefused, SerError, WriteRefused
from ser_core.output.analysis_folder import save_analysis
from ser_core.output.stored_results import MAX_RESULTS_BYTES, Result, read_results, results_bytes
from ser_core.settings import LONG_RECORDING, AnalysisSettings, AudioLimits, settings_from_dict
from ser_core.words.word_model import WORD_MODEL
from ser_core.work.atomic_folder import clear_half_written, read_regular, recover_all
from ser_core.work.atomic_folder import delete as delete_folder

FOLDER = "analyses"
SOURCE, REQUEST, RESULTS = "recording.original", "question.json", "results.npz"
MAX_REQUEST_BYTES = 1_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedAnalysis:
    """A saved analysis, its folder, and when it was saved."""

    folder: Path
    saved_at: datetime
    recording_name: str
    model_name: str
    verdict: str
    settings: AnalysisSettings
    #: Set for a stretch of a long recording; see `Recording`.
    part_of: str | None = None
    start_s: float = 0.0

    def is_by(self, model_sha256: str) -> bool:
        """Return whether the model with this hash made it."""
        return model_sha256.startswith(self.folder.name.partition("-")[2])

    def results(self, recording: Recording) -> list[Result]:
        """Return all results that were saved; none if an earlier version of the app saved it or they cannot be read.

        Missing results are computed again.
        """
        if not (self.folder / RESULTS).exists():
            return []
        try:
            return read_results(read_regular(self.folder / RESULTS, MAX_RESULTS_BYTES), recording)
        except (OSError, SerError):
            log.warning("Saved results cannot be read and are computed again.", exc_info=True)
            return []

    def source(self) -> bytes:
        """Return the recording's file, byte for byte.

        Raises
        ------
        AudioRefused
            If it cannot be read, for instance because it has just been deleted.
        """
        try:
            return read_regular(self.folder / SOURCE, AudioLimits().largest_file_bytes)
        except OSError as reason:
            raise AudioRefused(
                f"{self.recording_name}: its saved recording cannot be read ({reason.strerror}). Open the file again."
            ) from None


def data_folder() -> Path:
    """Return the folder for saved analyses: `SER_DATA`, else `data` beside the app."""
    return Path(os.environ.get("SER_DATA") or Path(__file__).parents[2] / "data")


def save_with_source(
    source: bytes, analysis: Analysis, settings: AnalysisSettings, data: Path, results: Iterable[Result] = ()
) -> Path:
    """Save an analysis and the recording's file under the data folder, and return the folder.

    It replaces an earlier analysis of the same recording with the same model.

    Parameters
    ----------
    results : iterable of (key, title, result)
        Results of finished work, which `SavedAnalysis.results` returns when the analysis is opened again.

    Raises
    ------
    WriteRefused
        If it cannot be written; the earlier analysis then remains.
    """
    request = {
        "recording_name": analysis.recording.name,
        "model_name": analysis.model_name,
        "verdict": analysis.verdict,
        "settings": asdict(settings),
        "part_of": analysis.recording.part_of,
        "start_s": analysis.recording.start_s,
    }
    folder = data / FOLDER / f"{analysis.recording.sha256[:16]}-{analysis.model_sha256[:8]}"
    files = {SOURCE: source, REQUEST: json.dumps(request).encode(), RESULTS: results_bytes(results)}
    save_analysis(analysis, folder, files)
    return folder


def list_saved_analyses(data: Path) -> list[SavedAnalysis]:
    """Return the saved analyses, newest first; folders that cannot be read or are being deleted are skipped."""
    analyses = [saved for saved in map(_read, _folders(data)) if saved is not None]
    return sorted(analyses, key=lambda saved: saved.saved_at, reverse=True)


def is_saved(sha256: str, data: Path) -> bool:
    """Return whether an analysis of the recording with this hash is saved."""
    return any(folder.name.startswith(sha256[:16]) for folder in _folders(data))


def delete(saved: SavedAnalysis, data: Path) -> None:
    """Delete a saved analysis with its recording.

    Raises
    ------
    WriteRefused
        If it cannot be deleted.
    """
    if saved.folder in _folders(data):
        try:
            delete_folder(saved.folder)
        except OSError as reason:
            raise WriteRefused(
                f"{saved.folder} cannot be deleted ({reason.strerror}). Check its permissions."
            ) from None


def clear_unfinished(data: Path) -> str | None:
    """Delete what a killed app left half written under the data folder, and return a message about it.

    Files that another app is writing stay. None if nothing was deleted.
    """
    # Imported here because it imports the database, which most commands do not need.
    from ser_core.annotations.saved_sounds import FOLDER as SOUNDS

    removed = sum(clear_half_written(data / kind) for kind in (FOLDER, SOUNDS))
    clear_half_written(data, WORD_MODEL)  # an interrupted download needs no message
    if not removed:
        return None
    return (
        f"The app ended while it was saving or deleting; {removed} unfinished analyses and recordings were removed. "
        "Everything that had been reported as saved is there."
    )


def delete_recording(sha256: str, data: Path) -> None:
    """Delete every saved analysis of a recording, by any model, including unreadable and half-written ones."""
    clear_half_written(data / FOLDER)
    for folder in _folders(data):
        if folder.name.partition("-")[0] == sha256[:16]:
            delete_folder(folder)


def _folders(data: Path) -> list[Path]:
    parent = data / FOLDER
    if not parent.is_dir():
        return []
    with suppress(OSError):  # nothing can be recovered in a read-only folder
        recover_all(parent)
    with os.scandir(parent) as entries:
        return [
            Path(entry.path)
            for entry in entries
            if re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{1,8}", entry.name) and entry.is_dir(follow_symlinks=False)
        ]


def _read(folder: Path) -> SavedAnalysis | None:
    try:
        saved_at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        request = json.loads(read_regular(folder / REQUEST, MAX_REQUEST_BYTES))
        texts = request["recording_name"], request["model_name"], request["verdict"]
        settings = settings_from_dict(AnalysisSettings, request["settings"])
        part_of, start_s = request.get("part_of"), float(request.get("start_s", 0.0))
        if not (part_of is None or isinstance(part_of, str)) or not 0 <= start_s <= LONG_RECORDING.longest_s:
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SerError):
        return None
    if not all(isinstance(text, str) for text in texts):
        return None
    return SavedAnalysis(folder, saved_at, *texts, settings, part_of, start_s)
