"""Pages with players for browser tests; the address chooses one, as in `/?show=editable&language=de`."""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

sys.path.insert(0, str(Path(__file__).parent.parent))

from pages.shared import session
from pages.shared.annotation.marking.shown_marks import Shown
from pages.shared.annotation.marking.stored_edits import store_edit
from pages.shared.player import Arrival, Edit, Editing, Mark, RegionTable, chosen_mark, hand_over, player
from ser_core.analysis import (
    Analysis,
    Explanation,
    FocusRegion,
    Point,
    Recording,
    Region,
    Scores,
    Segments,
    Spectrogram,
)
from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.annotation import Annotation, Tier
from ser_core.annotations.f0.operations import corrected_tracks
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import Store, open_store
from ser_core.audio.acoustics import Tracks, tracks_of
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.explanation.focus import relevance_profile
from ser_core.settings import SpectrogramSettings
from ser_core.words.evidence import WordEvidence
from ser_core.work.jobs import Job, Jobs
from tests.conftest import voice_like

SETTINGS = SpectrogramSettings()
TONE_BAND = 40
SAID = (Region(0.5, 1.0, label="for"), Region(1.0, 1.6, label="sure"), Region(3.0, 4.2, label="always"))
SHA = "5" * 64
EMOTIONS = ("angry", "happy", "neutral", "sad")


@st.cache_resource
def recording(seconds: float, rate: int, seed: int) -> Recording:
    """A synthetic voice or, if longer than ten minutes, noise, which is generated faster."""
    if seconds <= 600:
        samples = voice_like(seconds, rate, seed)
    else:
        samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate)).astype(np.float32)
    return Recording(f"voice {seed}.wav", f"{seed} {seconds} {rate}", samples, rate)


@st.cache_resource
def spectrogram(seconds: float) -> Spectrogram:
    """An artificial spectrogram, as large and as bright as a real one."""
    rng = np.random.default_rng(0)
    log_mel = rng.normal(-3, 1, (round(seconds * 100), SETTINGS.bands)).astype(np.float32)
    log_mel += 2 * np.sin(np.linspace(0, 30 * seconds, len(log_mel)))[:, None].astype(np.float32)
    return Spectrogram(log_mel, SETTINGS)


@st.cache_resource
def explanation(seconds: float, emotion: str, seed: int) -> Explanation:
    """Waves of relevance for and against; the last tenth is not covered."""
    frames = len(spectrogram(seconds).log_mel)
    time, band = np.arange(frames)[:, None] / 37 + seed, np.arange(SETTINGS.bands)[None] / 11
    covered = np.arange(frames) < 0.9 * frames
    relevance = (np.sin(time) * np.cos(band) + 0.2 * np.sin(time)) * covered[:, None] * 0.03
    whole = Region(0.0, seconds)
    return Explanation("lime", emotion, None, relevance.astype(np.float32), covered, whole, None, {}, 0, 0.0)


@st.cache_resource
def analysis(seconds: float, seed: int) -> Analysis:
    """An analysis without a model."""
    found, spectrum, map_ = recording(seconds, 16_000, seed), spectrogram(seconds), explanation(seconds, "angry", 0)
    starts = np.arange(0, len(spectrum.log_mel) - 96, 48)
    scores = np.random.default_rng(0).dirichlet(np.ones(4), len(starts))
    segments = Segments(np.zeros((len(starts), 96, 64), np.float32), starts, np.arange(len(starts)) % 5 > 0, None)
    profile = relevance_profile(map_.relevance, map_.covered, 11)
    focus = [FocusRegion(Region(s, s + 0.6), 0.1, 0.1) for s in np.arange(0.3, seconds - 1, 2.3)]
    return Analysis(
        found, "none", "", EMOTIONS, spectrum, segments, Scores(scores, scores.mean(axis=0)), "angry", "angry",
        seconds, np.ones(len(spectrum.log_mel), bool), Region(0.0, seconds), profile=profile, focus=tuple(focus),
    )  # fmt: skip


@st.cache_resource
def jobs() -> Jobs:
    return Jobs()


def measure(found: Recording, ceiling_hz: float) -> Job:
    key = ("measures", found.sha256, ceiling_hz)
    return jobs().submit("tests", key, "Measuring", lambda work: tracks_of(found, ceiling_hz=ceiling_hz, work=work))


def correct(heard: Recording, ceiling_hz: float, tracks: Tracks, corrected_hz: dict[int, float]) -> Job:
    key = ("corrected", heard.sha256, ceiling_hz, frozenset(corrected_hz.items()))
    return jobs().submit("tests", key, "Measuring", lambda _: corrected_tracks(tracks, heard, corrected_hz))


def whole_player(seconds: float, key: str = "whole", seed: int = 0) -> None:
    """A player with every lane."""
    found = analysis(seconds, seed)
    player(
        found.recording,
        key=key,
        spectrogram=found.spectrogram,
        overlays={"LIME": explanation(seconds, "angry", 0), "Occlusion": explanation(seconds, "angry", 2)},
        profile=found.profile,
        threshold=0.002,
        analysis=found,
        regions=[focus.region for focus in found.focus],
        regions_title="Focus regions",
        measure=measure,
    )


def show_whole() -> None:
    whole_player(float(st.query_params.get("seconds", 12)))
    if st.button("Run again"):
        st.markdown("ran again")


def overlap(one: Mark, other: Mark) -> bool:
    return one.region.start_s < other.region.end_s and other.region.start_s < one.region.end_s


def show_editable() -> None:
    """Edits are stored and can be undone; the page prints what it received, and may be slow."""
    history = st.session_state.setdefault("kept", [(Mark("one", Region(0.5, 1.0, label="first")),)])
    came = st.session_state.setdefault("came", [])
    slow_s = float(st.query_params.get("slow", 0))

    def made(edit: Edit) -> None:
        mark = f" {edit.mark}" if edit.mark else ""
        came.append(
            f"{edit.command} {edit.value}{mark}" if edit.command else f"{len(edit.changed)} {len(edit.deleted)}"
        )
        time.sleep(slow_s)
        gone = {*edit.deleted, *(mark.id for mark in edit.changed)}
        # A suggestion is obsolete once a mark was drawn in it.
        gone |= {mark.id for mark in history[-1] if mark.suggested and any(overlap(mark, one) for one in edit.changed)}
        if not edit.command:
            history.append((*(mark for mark in history[-1] if mark.id not in gone), *edit.changed))

    hand_over("edit", made)
    if "hint" in st.query_params and len(history) == 1:
        history[0] = (history[0][0], Mark("hint", Region(3.5, 3.8, label="sad"), suggested=True))
    player(
        recording(4.0, 16_000, 1),
        key="edit",
        spectrogram=spectrogram(4.0),
        measure=measure,
        correct=correct,
        editing=Editing(
            history[-1],
            {"angry": COLOURS["angry"], "sad": COLOURS["sad"]},
            made,
            snaps=(2.0, 3.0) if "snap" in st.query_params else (),
            others=(("somebody else", (Region(1.0, 2.0, label="happy"),)),),
        ),
    )
    if len(history) > 1 and st.button("Undo"):
        history.pop()
        st.rerun()
    st.text(f"came {', '.join(came)}")
    st.text(f"chosen {chosen_mark('edit')}")
    for mark in sorted(history[-1], key=lambda mark: mark.region.start_s):
        one = mark.region
        box = "" if one.low_hz is None else f" {one.low_hz} {one.high_hz}"
        st.markdown(f"region {one.start_s:.3f} {one.end_s:.3f} {one.label}{box}{' suggested' * mark.suggested}")


@st.cache_resource
def project_with_tiers() -> tuple[Store, int]:
    """A project with a recording of four seconds, two words, their phones and a tone."""
    store = open_store(f"sqlite:///{tempfile.mkdtemp()}/annotations.sqlite")
    project = store.projects.create("Voices", "Ann")
    store.recordings.add(project, [RecordingFile(SHA, "voice.wav", 4.0, 16_000)])
    for tier in (
        Tier("words", "words"),
        Tier("phones", "phones", parent="words", content="labels", labels=("n", "aɪ", "j")),
        Tier("tone", "intonation", kind="points", colour="#cc79a7"),
    ):
        store.tiers.add(project, tier)
    said = [
        ("words", 0.5, 1.5, "nein"),
        ("words", 2.0, 3.0, "ja"),
        ("phones", 0.5, 0.8, "n"),
        ("phones", 0.8, 1.5, "aɪ"),
    ]
    marks = [Annotation(Region(start_s, end_s), tier, note=note) for tier, start_s, end_s, note in said]
    store.marks.edit(project, SHA, "Ann", add=[*marks, Annotation(Point(1.0, 1.0), "intonation", note="H*")])
    return store, project


def show_tiers() -> None:
    """Tiers as on the page Annotate, with a store."""
    (store, project), shown = project_with_tiers(), st.session_state.setdefault("shown", Shown(4.0))

    def made(edit: Edit) -> None:
        store_edit(store, project, "Ann", edit, shown)

    hand_over("tiers", made)
    opened = store.recordings.open(project, SHA, "Ann")
    ja = next(mark for mark in opened.annotations if mark.region.start_s == 2.0)
    shown.update(opened.annotations, "Ann", opened.tiers)
    player(
        replace(recording(4.0, 16_000, 1), sha256=SHA),
        key="tiers",
        regions_title="My marks",
        editing=Editing(
            shown.for_player(),
            COLOURS,
            made,
            "Ann",
            tiers=shown.tier_lanes("Ann", COLOURS),
            arrival=Arrival("first", ja.key, ja.region),
        ),
    )
    for mark in sorted(opened.annotations, key=lambda mark: (mark.tier, mark.region.start_s)):
        said = mark.emotion or mark.note
        st.markdown(f"mark {mark.tier} {mark.region.start_s:.2f} {mark.region.end_s:.2f} {said}")


def show_two() -> None:
    player(recording(6.0, 16_000, 1), key="one")
    player(recording(6.0, 44_100, 2), key="two", regions=[Region(1.0, 2.0)])
    st.audio(voice_like(3.0, 16_000, 5), sample_rate=16_000)


def show_tone() -> None:
    """A band that is loud in the second half, with all the evidence."""
    log_mel = np.full((400, SETTINGS.bands), -6, np.float32)
    log_mel[200:, TONE_BAND] = 2
    covered = np.ones(400, bool)
    map_ = Explanation(
        "lime", "sad", None, np.where(log_mel > 0, 0.5, 0), covered, Region(0, 4), None, {}, 0, 0.0,
        standard_error=np.full(log_mel.shape, 0.2, np.float32),
    )  # fmt: skip
    player(
        recording(4.0, 16_000, 4),
        key="tone",
        spectrogram=Spectrogram(log_mel, SETTINGS),
        overlays={"LIME": map_},
        profile=map_.relevance.mean(axis=1),
    )


def show_hour() -> None:
    player(recording(3_600.0, 8_000, 3), key="hour", spectrogram=spectrogram(3_600.0))


def show_removable() -> None:
    """A player that disappears when a box is ticked, and text that appears above it."""
    if st.checkbox("Words above"):
        st.markdown("words above")
    if not st.checkbox("Without player"):
        player(recording(6.0, 16_000, 1), key="going", regions=[Region(0.2, 5.8)])


def show_awaiting() -> None:
    """A player whose evidence appears when a box is ticked."""
    found = analysis(6.0, 1) if st.checkbox("The evidence is there") else None
    explained = found and {
        "overlays": {"LIME": explanation(6.0, "angry", 0)},
        "profile": found.profile,
        "analysis": found,
    }
    player(
        recording(6.0, 16_000, 1),
        key="awaiting",
        spectrogram=spectrogram(6.0),
        regions=[Region(0.2, 5.8)],
        awaited=() if found else ("profile", "scores"),
        **(explained or {}),
    )


def word_evidence() -> WordEvidence:
    value = np.array([1.0, 2.0, -0.5])
    figures = {"value": value, "low": value - 0.1, "high": value + 0.2, "alone": value, "with_next": np.zeros(2)}
    return WordEvidence(SAID, "angry", None, **figures, aopc=0.0, lowest_first_aopc=0.0, exact=True)


def show_other_sounds() -> None:
    """Two other sounds, tones, beside the voice; three regions in a table; three words."""
    found = recording(6.0, 16_000, 1)
    time = np.arange(len(found.samples)) / 16_000
    loud = 0.2 if st.checkbox("Louder tones") else 0.1
    regions = [Region(0.5, 1.1), Region(2.0, 2.4), Region(4.0, 5.0)]
    player(
        found,
        key="heard",
        regions=regions,
        region_table=RegionTable(
            (("", "The number"), ("Share", "Part of all")),
            tuple((str(number), "33 %") for number in (1, 2, 3)),
            tuple(wav_bytes(region_samples(found, region, 0.005), 16_000) for region in regions),
        ),
        words=SAID,
        word_evidence=word_evidence(),
        other_sounds={
            name: wav_bytes((loud * np.sin(2 * np.pi * hz * time)).astype(np.float32), 16_000)
            for name, hz in (("low tone", 200), ("high tone", 400))
        },
    )


def show_chart() -> None:
    """A player with a region, and two charts over time; one of them belongs to the player."""
    for key in ("maps", "another"):
        figure = go.Figure(go.Heatmap(x=np.arange(600) / 100, y=[0, 1], z=np.zeros((2, 600))))
        figure.update_xaxes(range=[0, 6])
        figure.update_layout(height=160, margin={"t": 0, "b": 30})
        st.container(key=key).plotly_chart(figure, key=f"{key} chart")
    player(recording(6.0, 16_000, 1), key="charts", regions=[Region(4.0, 5.0)], charts="maps")


def show_nothing() -> None:
    """The next page begins like a new visit."""
    st.session_state.clear()
    st.markdown("no player")


SHOWN = {
    "nothing": show_nothing,
    "chart": show_chart,
    "whole": show_whole,
    "editable": show_editable,
    "tiers": show_tiers,
    "two": show_two,
    "tone": show_tone,
    "hour": show_hour,
    "going": show_removable,
    "awaiting": show_awaiting,
    "heard": show_other_sounds,
}
if st.runtime.exists():  # tests import parts of this file too
    st.set_page_config(layout="wide")
    session.choose("language", st.query_params.get("language", "en"))
    SHOWN[st.query_params.get("show", "whole")]()
