"""Analyses that a person chose to keep: the recording, what was asked, and what came out. Nothing else is kept."""

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ser_core.analysis import Analysis
from ser_core.annotations.store.kept_sounds import FOLDER as SOUNDS
from ser_core.errors import AudioRefused, SerError, WriteRefused
from ser_core.output.analysis_folder import save_analysis
from ser_core.settings import AnalysisSettings, AudioLimits, settings_from_dict
from ser_core.work.atomic_folder import clear_half_written, read_regular, recover_all
from ser_core.work.atomic_folder import delete as delete_folder

FOLDER = "analyses"
SOURCE, QUESTION = "recording.original", "question.json"
LARGEST_QUESTION_BYTES = 1_000_000


@dataclass(frozen=True)
class SavedAnalysis:
    """One kept analysis, as it stands in its folder."""

    folder: Path
    recording_name: str
    model_name: str
    verdict: str
    settings: AnalysisSettings

    def source(self) -> bytes:
        """Return the recording's file, byte for byte.

        Raises
        ------
        AudioRefused
            If it cannot be read, for instance because somebody has deleted it meanwhile.
        """
        try:
            return read_regular(self.folder / SOURCE, AudioLimits().largest_file_bytes)
        except OSError as reason:
            raise AudioRefused(
                f"{self.recording_name}: its saved recording cannot be read ({reason.strerror}). Open the file again."
            ) from None


def data_folder() -> Path:
    """Return where analyses are kept: `SER_DATA`, else `data` beside the app."""
    return Path(os.environ.get("SER_DATA") or Path(__file__).parents[2] / "data")


def keep(source: bytes, analysis: Analysis, settings: AnalysisSettings, data: Path) -> Path:
    """Keep an analysis under the data folder and return its own folder; the same question replaces its older answer.

    Raises
    ------
    WriteRefused
        If it cannot be written; then the older answer stands.
    """
    about = {
        "recording_name": analysis.recording.name,
        "model_name": analysis.model_name,
        "verdict": analysis.verdict,
        "settings": asdict(settings),
    }
    folder = data / FOLDER / f"{analysis.recording.sha256[:16]}-{analysis.model_sha256[:8]}"
    files = {SOURCE: source, QUESTION: json.dumps(about).encode()}
    save_analysis(analysis, folder, files)
    return folder


def list_saved_analyses(data: Path) -> list[SavedAnalysis]:
    """Return what is kept, the newest first; a folder that cannot be read or is just deleted is passed over."""
    found = [saved for folder in _folders(data) if (saved := _read(folder)) is not None]
    return [saved for _, saved in sorted(found, key=lambda dated: dated[0], reverse=True)]


def delete(saved: SavedAnalysis, data: Path) -> None:
    """Delete a kept analysis with its recording.

    Raises
    ------
    WriteRefused
        If it cannot be deleted.
    """
    if saved.folder in _folders(data):
        try:
            delete_folder(saved.folder)
        except OSError as reason:
            raise WriteRefused(f"{saved.folder} cannot be deleted ({reason.strerror}). Check its rights.") from None


def clear_unfinished(data: Path) -> str | None:
    """Delete what was half written under the data folder when an app ended, and say so; None where nothing was.

    What another app is writing just now stays.
    """
    cleared = sum(clear_half_written(data / kind) for kind in (FOLDER, SOUNDS))
    if not cleared:
        return None
    return (
        "The app ended while it was saving or deleting, and what was half done is gone: "
        f"{cleared} of analyses and sounds. All that had been reported as saved is there."
    )


def delete_recording(sha256: str, data: Path) -> None:
    """Delete every kept analysis of a recording, of any model, also one that cannot be read or was half written."""
    clear_half_written(data / FOLDER)
    for folder in _folders(data):
        if folder.name.partition("-")[0] == sha256[:16]:
            delete_folder(folder)


def _folders(data: Path) -> list[Path]:
    parent = data / FOLDER
    if not parent.is_dir():
        return []
    with suppress(OSError):  # in a folder that only may be read nothing is brought back
        recover_all(parent)
    with os.scandir(parent) as entries:
        return [
            Path(entry.path)
            for entry in entries
            if re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{1,8}", entry.name) and entry.is_dir(follow_symlinks=False)
        ]


def _read(folder: Path) -> tuple[int, SavedAnalysis] | None:
    """Return when an analysis was kept, in nanoseconds, and what it is; None where it cannot be read."""
    try:
        kept_ns = folder.stat().st_mtime_ns
        about = json.loads(read_regular(folder / QUESTION, LARGEST_QUESTION_BYTES))
        words = about["recording_name"], about["model_name"], about["verdict"]
        settings = settings_from_dict(AnalysisSettings, about["settings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SerError):
        return None
    return (kept_ns, SavedAnalysis(folder, *words, settings)) if all(isinstance(w, str) for w in words) else None
