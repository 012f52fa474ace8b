"""Analyses that a person chose to keep: the recording, what was asked, and what came out. Nothing else is kept."""

import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ser_core.analysis import Analysis
from ser_core.analysis_folder import save_analysis
from ser_core.annotations.kept_sounds import FOLDER as SOUNDS
from ser_core.errors import SerError, WriteRefused
from ser_core.settings import AnalysisSettings, settings_from_dict
from ser_core.whole_folder import bring_all_back
from ser_core.whole_folder import delete as delete_folder

FOLDER = "analyses"
SOURCE, QUESTION = "recording.original", "question.json"


@dataclass(frozen=True)
class SavedAnalysis:
    """One kept analysis, as it stands in its folder."""

    folder: Path
    recording_name: str
    model_name: str
    verdict: str
    settings: AnalysisSettings

    def source(self) -> bytes:
        """Return the recording's file, byte for byte."""
        return (self.folder / SOURCE).read_bytes()


def data_folder() -> Path:
    """Return where analyses are kept: `SER_DATA`, else `data` beside the app."""
    return Path(os.environ.get("SER_DATA") or Path(__file__).parent.parent / "data")


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
    files = {SOURCE: source, QUESTION: json.dumps(about, ensure_ascii=False).encode()}
    save_analysis(analysis, folder, files)
    return folder


def kept_analyses(data: Path) -> list[SavedAnalysis]:
    """Return what is kept, the newest first; a folder that cannot be read is passed over."""
    found = [_read(folder) for folder in sorted(_folders(data), key=lambda f: f.stat().st_mtime, reverse=True)]
    return [saved for saved in found if saved is not None]


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


def clear_broken_off(data: Path) -> str | None:
    """Delete what was half written under the data folder when the app ended, and say so; None where nothing was."""
    half_written = [place for kind in (FOLDER, SOUNDS) for place in (data / kind).glob(".*.part")]
    for place in half_written:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            with suppress(OSError):
                place.unlink()
    if not half_written:
        return None
    return (
        "The app ended while it was saving or deleting, and what was half done is gone: "
        f"{len(half_written)} of analyses and sounds. All that had been reported as saved is there."
    )


def delete_recording(sha256: str, data: Path) -> None:
    """Delete every kept analysis of a recording, of any model, also one that cannot be read any more."""
    for folder in _folders(data):
        if folder.name.partition("-")[0] == sha256[:16]:
            shutil.rmtree(folder)


def _folders(data: Path) -> list[Path]:
    parent = data / FOLDER
    if not parent.is_dir():
        return []
    with suppress(OSError):  # in a folder that only may be read nothing is brought back
        bring_all_back(parent)
    return [f for f in parent.iterdir() if re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{1,8}", f.name) and f.is_dir()]


def _read(folder: Path) -> SavedAnalysis | None:
    try:
        about = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
        settings = settings_from_dict(AnalysisSettings, about["settings"])
        return SavedAnalysis(folder, about["recording_name"], about["model_name"], about["verdict"], settings)
    except (OSError, ValueError, KeyError, TypeError, SerError):
        return None
