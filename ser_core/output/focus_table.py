"""Tabulate focus regions: times, strength, level and pitch of the voice, and the words spoken."""

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace

from ser_core.analysis import Analysis, Region
from ser_core.annotations.formats.table import in_cell
from ser_core.annotations.words import phrases_under
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.audio.prosody import Prosody, semitones, voice_in, voice_outside

#: ZIP files need a date; with a fixed one, equal contents give equal files.
DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class FocusRow:
    """One focus region.

    Attributes
    ----------
    strength, share : float
        As in `FocusRegion`.
    level_dbfs, pitch_hz : float or None
        Mean power and median pitch of the voiced frames inside; None if hardly any are voiced.
    louder_db, higher_st : float or None
        Differences in dB and semitones from the voiced frames outside all focus regions.
    words : str
        The words spoken there, if known.
    """

    number: int
    start_s: float
    end_s: float
    strength: float
    share: float
    level_dbfs: float | None
    louder_db: float | None
    pitch_hz: float | None
    higher_st: float | None
    words: str


def focus_rows(analysis: Analysis, prosody: Prosody, words: Sequence[Region] = ()) -> list[FocusRow]:
    """Return a row per focus region, in order of time."""
    outside = voice_outside(prosody, [focus.region for focus in analysis.focus])
    rows = []
    for number, focus in enumerate(analysis.focus, start=1):
        inside = voice_in(prosody, [focus.region])
        both_voiced = inside is not None and outside is not None
        rows.append(
            FocusRow(
                number=number,
                start_s=focus.region.start_s,
                end_s=focus.region.end_s,
                strength=focus.strength,
                share=focus.share,
                level_dbfs=inside and inside.level_dbfs,
                louder_db=inside.level_dbfs - outside.level_dbfs if both_voiced else None,
                pitch_hz=inside and inside.pitch_hz,
                higher_st=semitones(inside.pitch_hz, outside.pitch_hz) if both_voiced else None,
                words=" … ".join(phrases_under([focus.region], words)),
            )
        )
    return rows


def focus_csv(rows: Sequence[FocusRow]) -> str:
    """Return the rows as CSV; unknown values are empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([field.name for field in fields(FocusRow)])
    for row in rows:
        row = replace(row, words=in_cell(row.words))
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in astuple(row)])
    return file.getvalue()


def focus_zip(analysis: Analysis, rows: Sequence[FocusRow]) -> bytes:
    """Return a ZIP file with every focus region as WAV and the table as focus.csv; equal contents give equal bytes."""
    recording, fade_s = analysis.recording, analysis.focus_settings.fade_s
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_entry("focus.csv"), focus_csv(rows), zipfile.ZIP_DEFLATED)
        for number, focus in enumerate(analysis.focus, start=1):
            sound = wav_bytes(region_samples(recording, focus.region, fade_s), recording.sample_rate_hz)
            archive.writestr(_entry(f"focus-{number:02d}.wav"), sound, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, DATE)
    entry.external_attr = 0o644 << 16  # the default permissions forbid reading it once unpacked
    return entry
