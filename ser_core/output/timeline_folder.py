"""Write a timeline as a folder: timeline.csv with a row per segment, timeline.json with model and settings, words."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ser_core.annotations.formats.table import in_cell
from ser_core.output.analysis_folder import voice_dict
from ser_core.timeline.timeline import Timeline
from ser_core.timeline.words import TimelineWords
from ser_core.work.atomic_folder import atomic_folder


def save_timeline(timeline: Timeline, folder: Path, words: TimelineWords | None = None) -> None:
    """Write the folder of a timeline atomically, with words.csv if there are words, replacing an existing one.

    Raises
    ------
    WriteRefused
        If it cannot be written.
    """
    with atomic_folder(folder, "timeline.json") as half_written:
        (half_written / "timeline.csv").write_bytes(timeline_csv(timeline))
        if words is not None:
            (half_written / "words.csv").write_bytes(timeline_words_csv(words))
        text = json.dumps(timeline_dict(timeline), indent=2, ensure_ascii=False, allow_nan=False)
        (half_written / "timeline.json").write_bytes(f"{text}\n".encode(errors="backslashreplace"))


def timeline_csv(timeline: Timeline) -> bytes:
    """Return a table of the segments: start and end in seconds, level in dBFS, the probability of each emotion."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(["start_s", "end_s", "level_dbfs", *timeline.emotions])
    columns = (timeline.starts_s, timeline.ends_s, timeline.level_dbfs, *timeline.probabilities.T)
    digits = (4, 4, 2, *[6] * len(timeline.emotions))
    table.writerows(
        [f"{value:.{n}f}" for value, n in zip(row, digits, strict=True)] for row in zip(*columns, strict=True)
    )
    return file.getvalue().encode()


def timeline_words_csv(words: TimelineWords) -> bytes:
    """Return the words as CSV, which `ser_core.annotations.words.read_words` reads: times, word, confidence."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["start_s", "end_s", "word", "confidence"])
    for word, confidence in zip(words.transcript.words, words.transcript.confidence, strict=True):
        writer.writerow([f"{word.start_s:.3f}", f"{word.end_s:.3f}", in_cell(word.label), f"{confidence:.3f}"])
    return file.getvalue().encode()


def timeline_dict(timeline: Timeline) -> dict[str, Any]:
    """Return the content of timeline.json."""
    return {
        "recording": {
            "name": timeline.name,
            "sha256": timeline.sha256,
            "duration_s": round(timeline.duration_s, 6),
            "sample_rate_hz": timeline.sample_rate_hz,
        },
        "model": {"name": timeline.model_name, "sha256": timeline.model_sha256},
        "emotions": list(timeline.emotions),
        "settings": {
            "spectrogram": asdict(timeline.front_end.spectrogram),
            "segments": asdict(timeline.front_end.segments),
        },
        "segments": len(timeline.start_frames),
        "warnings": list(timeline.warnings),
        **voice_dict(timeline.voice),
    }
