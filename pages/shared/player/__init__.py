"""The player: plays a recording and shows it on one time axis, with evidence and editable regions.

    player(recording, key="player", spectrogram=analysis.spectrogram, regions=[Region(0.2, 0.8)])

There is a lane for each argument that is given; `editing.py` describes how regions are edited. Large data (audio,
spectrogram, maps, profile, scores) is served over HTTP in pieces; only addresses, a few numbers and the regions go
through Streamlit.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pages.shared.language import t
from pages.shared.language.components import component
from pages.shared.player import signals
from pages.shared.player.editing import Arrival, Edit, Editing, Mark, chosen_mark, editing_data, hand_over
from pages.shared.player.measuring import Correct, Measure, measures_data
from pages.shared.player.regions import RegionTable, region_table_data, regions_data, words_data
from pages.shared.player.tier_lanes import TierLane
from ser_core.analysis import Analysis, Explanation, Recording, Region, Spectrogram
from ser_core.audio.working_copy import WorkingCopy
from ser_core.words.evidence import WordEvidence

__all__ = ["Arrival", "Edit", "Editing", "Mark", "RegionTable", "TierLane", "chosen_mark", "hand_over", "player"]

HERE = Path(__file__).parent

_mount = component(
    "hear_why_player",
    HERE / "js",
    main="player.js",
    body=(HERE / "player.html").read_text("utf-8"),
    style=(HERE / "player.css").read_text("utf-8"),
)


def player(
    recording: Recording | WorkingCopy,
    *,
    key: str,
    stretch: Recording | None = None,
    spectrogram: Spectrogram | None = None,
    overlays: Mapping[str, Explanation] | None = None,
    profile: np.ndarray | None = None,
    threshold: float | None = None,
    analysis: Analysis | None = None,
    regions: Sequence[Region] = (),
    regions_title: str = "",
    region_table: RegionTable | None = None,
    words: Sequence[Region] = (),
    word_evidence: WordEvidence | None = None,
    other_sounds: Mapping[str, bytes] | None = None,
    editing: Editing | None = None,
    charts: str | None = None,
    measure: Measure | None = None,
    correct: Correct | None = None,
    ahead: tuple[Recording, Spectrogram | None] | None = None,
    awaited: Sequence[str] = (),
) -> None:
    """Show a recording as stacked lanes on one time axis.

    Parameters
    ----------
    recording : Recording or WorkingCopy
    key : str
        Identifies the player, which continues to play across reruns of the page.
    stretch : Recording, optional
        The stretch of a long recording to which spectrogram, overlays, profile, analysis and measures belong. By
        default they belong to the recording itself.
    spectrogram : Spectrogram, optional
        Required by `overlays`, `profile` and `analysis`, which share its frames.
    overlays : mapping of str to Explanation, optional
        Maps to show over the spectrogram, by name; the visitor picks one or none. The emotion of the first map sets
        the colour of profile and regions.
    profile : ndarray of shape (frames,), optional
    threshold : float, optional
        Drawn as a line across the profile.
    analysis : Analysis, optional
        Its segments' scores are drawn over time.
    regions : sequence of Region
        Labelled with their labels, else numbered in this order. A click plays one.
    regions_title : str
        By default "Regions" in the visit's language.
    region_table : RegionTable, optional
    words : sequence of Region
        Spoken words with their times; shown in a lane of their own and, to be played, as a transcript.
    word_evidence : WordEvidence, optional
        The evidence of these words, which colours them.
    other_sounds : mapping of str to bytes, optional
        Modified versions of the recording, by name: WAV files with the same number of samples, made by `wav_bytes`. The
        visitor can switch between them during playback.
    editing : Editing, optional
        Editable marks instead of `regions`: they can be drawn, moved, resized, labelled, split, merged and deleted. A
        click only selects one.
    charts : str, optional
        Key of a container whose Plotly charts over time belong to the player: a click on one plays the region at that
        time, or a moment around it if there is none.
    measure : callable, optional
        Measures the recording for the lanes of F0, intensity, formants and others, once one of them is visible.
    correct : callable, optional
        Measures again with F0 corrected by hand; required if F0 can be corrected.
    ahead : tuple of (Recording, Spectrogram or None), optional
        The recording that the command "next" of an editable player opens. It is shown at once; its marks follow.
    awaited : sequence of {"profile", "scores"}
        Lanes whose data will come later. Their space is reserved, so that nothing moves then.
    """
    recording_data = signals.recording_data(recording, key)
    shown, from_s = (recording, 0.0) if stretch is None else (stretch, stretch.start_s)
    emotion = next(iter(overlays.values())).emotion if overlays else None
    data = {
        **recording_data,
        "spectrogram": signals.spectrogram_data(shown, spectrogram, key, from_s),
        "overlays": [
            signals.overlay_data(name, map_, spectrogram, key, from_s) for name, map_ in (overlays or {}).items()
        ],
        "profile": signals.profile_data(profile, threshold, spectrogram, emotion, key, from_s),
        "scores": signals.scores_data(analysis, key, from_s),
        "regionsTitle": regions_title or t("Regions"),
        "regionTable": region_table_data(region_table, recording, key),
        "words": words_data(words, word_evidence),
        "measures": measures_data(
            measure, shown, key, from_s, editing and editing.f0 and editing.f0.from_time(from_s).hz, correct
        ),
        "ahead": signals.ahead_data(ahead, f"{key} ahead"),
        "sounds": signals.other_sounds_data(other_sounds, recording_data, key),
        **(editing_data(editing, key) if editing else regions_data(regions)),
        "accent": signals.colour_of(emotion),
        "charts": charts,
        "awaited": list(awaited),
        **signals.SCALES,
    }
    _mount(
        key=key,
        data=data,
        on_editing_change=partial(hand_over, key, editing.on_edit) if editing else lambda: None,
        on_lanes_change=lambda: None,
    )
