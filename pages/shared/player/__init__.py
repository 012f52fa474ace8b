"""The player: a recording to be heard and seen on one axis of time, with the evidence over it and regions to mark.

    heard = player(recording, key="player", spectrogram=analysis.spectrogram, regions=[Region(0.2, 0.8)])

Lanes are there for what is given; `editing.py` says how regions are edited. Everything large (sound, spectrogram, maps,
profile, scores) is served over HTTP in pieces; what goes through Streamlit is addresses, a few numbers and the regions.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st

from pages.shared.player import contents
from pages.shared.player.editing import Edit, Editing, Mark, chosen_mark, hand_over, of_editing, of_regions
from pages.shared.player.modules import script_of
from ser_core.analysis import Analysis, Explanation, Recording, Region, Spectrogram

__all__ = ["Edit", "Editing", "Mark", "PlayerEvents", "RegionTable", "chosen_mark", "hand_over", "player"]

HERE = Path(__file__).parent
CALLBACKS = ("on_seek_change", "on_selection_change", "on_editing_change")

_mount = st.components.v2.component(
    "hear_why_player",
    html=(HERE / "player.html").read_text("utf-8"),
    css=(HERE / "player.css").read_text("utf-8"),
    js=script_of(HERE / "js", main="player.js"),
)


@dataclass(frozen=True, eq=False)
class RegionTable:
    """What is known of each region, to be listed below the lanes with its sound.

    Attributes
    ----------
    columns : tuple of (str, str)
        Heading and what it means, of each column.
    rows : tuple of tuple of str
        A row for each of the player's regions, in their order.
    sounds : tuple of bytes
        Each region as a WAV file, to be taken away.
    """

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]
    sounds: tuple[bytes, ...]


@dataclass(frozen=True)
class PlayerEvents:
    """What a person did in the player.

    Attributes
    ----------
    seek_s : float or None
        Where they moved to last; told only where `tells` names "seek".
    selection : Region or None
        What is selected; told only where `tells` names "selection".
    """

    seek_s: float | None = None
    selection: Region | None = None


def player(
    recording: Recording,
    *,
    key: str,
    spectrogram: Spectrogram | None = None,
    overlays: Mapping[str, Explanation] | None = None,
    profile: np.ndarray | None = None,
    threshold: float | None = None,
    analysis: Analysis | None = None,
    regions: Sequence[Region] = (),
    regions_title: str = "Regions",
    region_table: RegionTable | None = None,
    words: Sequence[Region] = (),
    other_sounds: Mapping[str, bytes] | None = None,
    editing: Editing | None = None,
    tells: Collection[str] = (),
) -> PlayerEvents:
    """Show a recording as stacked lanes that are heard and seen together.

    Parameters
    ----------
    key : str
        The player's own. Under the same key it plays on while the page runs again.
    spectrogram : Spectrogram, optional
        Needed for `overlays`, `profile` and `analysis`, which are on its frames.
    overlays : mapping of str to Explanation, optional
        Maps to lay over the spectrogram, by the name to show; a person picks one of them or none. The emotion of the
        first one gives profile and regions their colour.
    profile : ndarray of shape (frames,), optional
    threshold : float, optional
        Drawn as a line across the profile.
    analysis : Analysis, optional
        Its segments' scores are drawn over time.
    regions : sequence of Region
        Shown by their labels, else by their numbers in this order. A click plays one.
    region_table : RegionTable, optional
    words : sequence of Region
        What is said when, by their labels; a lane of its own.
    other_sounds : mapping of str to bytes, optional
        The recording changed, by names to show: WAV files of as many samples, made by `wav_bytes`. A person turns from
        one to another while it plays.
    editing : Editing, optional
        Marks in the place of `regions`, to be drawn, moved, resized, labelled, split, merged and deleted. A click then
        only chooses one.
    tells : collection of str
        Which of "seek" and "selection" the page wants to be told of; each of them makes the page run again.
    """
    sound = contents.of_recording(recording, key)
    emotion = next(iter(overlays.values())).emotion if overlays else None
    data = {
        **sound,
        "spectrogram": contents.of_spectrogram(recording, spectrogram, key),
        "overlays": [contents.of_overlay(name, map_, spectrogram, key) for name, map_ in (overlays or {}).items()],
        "profile": contents.of_profile(profile, threshold, spectrogram, emotion, key),
        "scores": contents.of_scores(analysis, key),
        "regionsTitle": regions_title,
        "regionTable": contents.of_region_table(region_table, recording, key),
        "words": [contents.of_region(one) for one in words],
        "sounds": contents.of_other_sounds(other_sounds, sound, key),
        **(of_editing(editing, key) if editing else of_regions(regions)),
        "accent": contents.colour_of(emotion),
        "tells": sorted(tells),
        **contents.SCALES,
    }
    callbacks = dict.fromkeys(CALLBACKS, _run_again)
    if editing:
        callbacks["on_editing_change"] = partial(hand_over, key, editing.made)
    told = _mount(key=key, data=data, **callbacks)
    seek, selection = told.get("seek"), told.get("selection")
    return PlayerEvents(
        None if seek is None else float(seek),
        Region(float(selection["start"]), float(selection["end"])) if selection else None,
    )


def _run_again() -> None:
    """Streamlit knows a component's values by their callbacks; running the page again is all that is wanted."""
