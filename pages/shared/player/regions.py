"""The player's data of regions, words and labels, and of the table of regions."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pages.shared.language import number, t
from pages.shared.language.names import printable
from pages.shared.player.media import served
from ser_core.analysis import Recording, Region
from ser_core.analysis.emotions import COLOURS
from ser_core.words.evidence import WordEvidence


@dataclass(frozen=True, eq=False)
class RegionTable:
    """A table of the regions below the lanes, with their audio.

    Attributes
    ----------
    columns : tuple of (str, str)
        Heading and meaning of each column.
    rows : tuple of tuple of str
        One row per region, in the player's order.
    sounds : tuple of bytes
        Each region as a WAV file, to download.
    """

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]
    sounds: tuple[bytes, ...]


def regions_data(regions: Sequence[Region]) -> dict[str, Any]:
    """Return the player's data for read-only regions."""
    shown = [region_data(region) | {"id": str(index), "suggested": False} for index, region in enumerate(regions)]
    nothing = {"labels": [], "snaps": [], "others": [], "tiers": [], "state": "", "done": False, "answered": 0}
    return {"editable": False, "regions": shown, "arrival": None, **nothing}


def region_data(region: Region) -> dict[str, Any]:
    return {
        "start": region.start_s,
        "end": region.end_s,
        "low": region.low_hz,
        "high": region.high_hz,
        "label": region.label and printable(region.label),
    }


def labels_data(labels: Iterable[tuple[str, str | None]]) -> list[list[str | None]]:
    """Return labels with their colours, and emotions with their names in the visit's language."""
    return [[label, colour, t(label) if label in COLOURS else label] for label, colour in labels]


def words_data(words: Sequence[Region], evidence: WordEvidence | None) -> list[dict[str, Any]]:
    """Return words with their times and, if known, their evidence: a figure, a note, and its share of the strongest."""
    shown = [region_data(word) for word in words]
    if evidence is None:
        return shown
    largest = np.nanmax(np.abs(evidence.value), initial=1e-9)
    for word, value, low, high, inside in zip(
        shown, evidence.value, evidence.low, evidence.high, evidence.in_focus, strict=True
    ):
        if np.isnan(value):
            word |= {"figure": "–", "note": t("not in the explained stretch")}
            continue
        word |= {
            "share": float(value / largest),
            "figure": signed(value),
            "note": t(
                "evidence for {emotion} {value}, from {low} to {high}",
                emotion=t(evidence.emotion),
                value=signed(value),
                low=signed(low),
                high=signed(high),
            ),
            "focus": bool(inside),
        }
    return shown


def signed(value: float) -> str:
    """Return a value in log-odds with its sign, formatted for the visit's language."""
    return number(value, "+z.2f")


def region_table_data(table: RegionTable | None, recording: Recording, key: str) -> dict[str, Any] | None:
    """Return headings and rows of a table, each row with the address of its audio."""
    if table is None:
        return None
    stem = Path(printable(recording.name)).stem
    return {
        "columns": [{"title": title, "means": means} for title, means in table.columns],
        "rows": [
            {
                "cells": list(row),
                "file": f"{stem}-focus-{number:02d}.wav",
                "url": served(sound, "audio/wav", hashlib.sha256(sound).hexdigest(), f"{key} region {number}"),
            }
            for number, (row, sound) in enumerate(zip(table.rows, table.sounds, strict=True), start=1)
        ],
    }
