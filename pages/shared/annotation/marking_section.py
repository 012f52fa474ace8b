"""The player in which marks are made, and what concerns the recording as a whole."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import streamlit as st

from pages.shared import session, waiting
from pages.shared.annotation import details_section, filling_section, queue_section, review_section
from pages.shared.annotation.marking import Shown, make_edit
from pages.shared.annotation.place import LABELS, Place, queue_of
from pages.shared.controls import Chosen
from pages.shared.names import in_markdown
from pages.shared.player import Edit, Editing, hand_over, player
from ser_core.analysis import Analysis, Explanation, Region, frame_edge_s
from ser_core.annotations.annotation import REGION_TIER, Annotation
from ser_core.annotations.store.store import OpenRecording
from ser_core.errors import AnnotationsRefused
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.focus import focus_level

PLAYER = "annotate"
#: Part of the profile's highest value. Where everything speaks for an emotion, all of it would be no suggestion.
SUGGESTED_FROM = 0.5
EVIDENCE, OTHERS = "Model's evidence", "Others' marks"


def show(place: Place, chosen: Chosen | None) -> None:
    """Show the current recording with its marks, to be edited, and what was refused."""
    details_section.show_refusals()
    recording = session.current()
    if recording is None:
        st.info("No recording is open. Choose one in the queue.", icon=":material/queue_music:")
        return
    try:
        opened = place.store.open_recording(place.project, recording.sha256, place.annotator, queue_of(place))
    except AnnotationsRefused as refusal:
        _offer_to_add(place)
        st.caption(in_markdown(str(refusal)))
        return
    _turn(place, opened)
    _heading(place, opened)
    if chosen is None:
        return  # the sidebar says why there is no model
    listening = waiting.heard(chosen)
    analysis, explanation = _evidence(chosen, listening)
    shown = _shown(place, chosen.recording.sha256)
    shown.duration_s = recording.duration_s
    shown.take(opened.annotations, place.annotator)
    if EVIDENCE in session.choice("beside"):
        shown.suggest([focus.region for focus in analysis.focus], analysis.emotion, _provenance(analysis, explanation))
    else:
        shown.suggestions = {}
    _player(place, opened, shown, analysis, explanation)
    details_section.show(place, opened, shown)
    if OTHERS in session.choice("beside"):
        review_section.show(place, opened)
    details_section.show_history(place, opened)


def take_edits(place: Place) -> None:
    """Write what was done in the player and is not yet written."""
    hand_over(PLAYER, partial(_make, place))


def _make(place: Place, edit: Edit) -> None:
    """Write what was done in the player; what is to follow is kept in the session, for the run that comes."""
    if edit.command in ("previous", "next"):
        _asked_turn()["to"] = edit.command
        return
    shown_by = st.session_state.setdefault("annotation shown", {})
    try:
        shown = shown_by.get((place.project, place.annotator, edit.recording))
        if shown is None or edit.whose != _whose(place):
            raise AnnotationsRefused("An edit came after its project or annotator was changed. Make it again.")
        make_edit(place.store, place.project, place.annotator, edit, shown)
    except AnnotationsRefused as refusal:
        details_section.refusals().append(str(refusal))


def _whose(place: Place) -> str:
    """Return whose marks are shown, in this visit: another one knows nothing of which edits were written."""
    return f"{session.owner()} {place.project} {place.annotator}"


def _asked_turn() -> dict[str, str | None]:
    """Return where a key or a button asked to turn to, to be changed in place."""
    return st.session_state.setdefault("annotation turn", {"to": None})


def _shown(place: Place, sha256: str) -> Shown:
    """Return what is shown of a recording; of the few that were opened last it is remembered."""
    shown_by = st.session_state.setdefault("annotation shown", {})
    key = (place.project, place.annotator, sha256)
    shown_by[key] = shown_by.pop(key, None) or Shown(0.0)
    while len(shown_by) > 8:
        del shown_by[next(iter(shown_by))]
    return shown_by[key]


def _offer_to_add(place: Place) -> None:
    name = in_markdown(session.current().name)
    st.info(f"{name} is not in the project {in_markdown(place.project_name)}.", icon=":material/playlist_add:")
    if st.button("Add it, and mark it", type="primary", icon=":material/add:"):
        filling_section.add_current(place)


def _turn(place: Place, opened: OpenRecording) -> None:
    """Open the recording before or the next one, where a key or a button asked for it."""
    turn, _asked_turn()["to"] = _asked_turn()["to"], None
    sha256 = {"previous": opened.previous, "next": opened.next, None: None}[turn]
    if turn and sha256 is None:
        st.toast(f"There is no {turn} recording in the queue as it is filtered.")
    if sha256 is None:
        return
    queued = place.store.open_recording(place.project, sha256, place.annotator).recording
    if queue_section.open_queued(queued):
        st.rerun()


def _heading(place: Place, opened: OpenRecording) -> None:
    queued = opened.recording
    deeds = (
        ("undo", opened.can_undo, "Undo (Ctrl + Z)", place.store.undo),
        ("redo", opened.can_redo, "Redo (Ctrl + Y)", place.store.redo),
    )
    turns = (
        ("previous", opened.previous, "Recording before (Page up)"),
        ("next", opened.next, "Next recording (Page down)"),
    )
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.subheader(in_markdown(queued.file.name), width="content")
        with st.container(horizontal=True, width="content"):
            for name, can, words, deed in deeds:
                arguments = (deed, place.project, queued.file.sha256, place.annotator)
                _icon(name, f":material/{name}:", words, can, details_section.do, arguments)
            for name, there, words in turns:
                icon = f":material/skip_{name}:"
                _icon(name, icon, words, there, _asked_turn().__setitem__, ("to", name))
    beside, snap = st.columns([5, 1], vertical_alignment="center")
    beside.pills(
        "Beside my marks",
        [EVIDENCE, OTHERS],
        selection_mode="multi",
        label_visibility="collapsed",
        help="What the model heard, and what others marked, can sway you. Leave both out to judge for yourself.",
        **session.widget("beside", session.choice("beside")),
    )
    snap.toggle(
        "Snap",
        help="Edges jump to the boundaries of segments and of focus regions, and to other marks, where they are near.",
        **session.widget("snap", session.choice("snap")),
    )


def _icon(name: str, icon: str, words: str, can: object, deed: Callable[..., None], arguments: tuple) -> None:
    st.button("", key=f"annotation_{name}", icon=icon, disabled=not can, help=words, on_click=deed, args=arguments)


def _evidence(chosen: Chosen, listening: object) -> tuple[Analysis, Explanation | None]:
    if EVIDENCE not in session.choice("beside"):
        return listening.result, None
    focus = chosen.settings.focus
    focus = replace(focus, threshold=max(focus.threshold, SUGGESTED_FROM))
    asked = replace(chosen, settings=replace(chosen.settings, focus=focus))
    return waiting.explained_by(session.choice("explainer"), asked, listening)


def _provenance(analysis: Analysis, explanation: Explanation) -> dict[str, object]:
    return {
        "model": analysis.model_name,
        "model_sha256": analysis.model_sha256,
        "method": explanation.method,
        "emotion": explanation.emotion,
        "seed": explanation.seed,
        "threshold": analysis.focus_settings.threshold,
        "smoothing_s": analysis.focus_settings.smoothing_s,
    }


def _player(
    place: Place, opened: OpenRecording, shown: Shown, analysis: Analysis, explanation: Explanation | None
) -> None:
    others = _others(place, opened) if OTHERS in session.choice("beside") else {}
    evidence = {}
    if explanation is not None:
        evidence = {
            "overlays": {METHOD_NAMES[explanation.method]: explanation},
            "profile": analysis.profile,
            "threshold": focus_level(analysis.profile, analysis.focus_settings),
            "analysis": analysis,
        }
    player(
        analysis.recording,
        key=PLAYER,
        spectrogram=analysis.spectrogram,
        regions_title="My marks",
        words=st.session_state.get("words", {}).get(analysis.recording.sha256, ()),
        editing=Editing(
            shown.for_player(),
            LABELS,
            partial(_make, place),
            _whose(place),
            snaps=_snaps(analysis, shown) if session.choice("snap") else (),
            others=others,
        ),
        **evidence,
    )


def _snaps(analysis: Analysis, shown: Shown) -> tuple[float, ...]:
    segments, frames = analysis.segments, analysis.spectrogram.settings
    starts = frame_edge_s(segments.start_frames, frames)
    ends = frame_edge_s(segments.start_frames + segments.segment_frames, frames)
    regions = [*(mark.region for mark in shown.marks.values()), *(focus.region for focus in analysis.focus)]
    edges = [edge for region in regions for edge in (region.start_s, region.end_s)]
    return tuple(float(time) for time in {*starts, *ends, *edges} if 0 <= time <= analysis.recording.duration_s)


def _others(place: Place, opened: OpenRecording) -> dict[str, tuple[Region, ...]]:
    """Return everybody else's marks in time, by name."""
    marks: dict[str, list[Annotation]] = {}
    for mark in opened.annotations:
        if mark.annotator != place.annotator and mark.tier == REGION_TIER:
            marks.setdefault(mark.annotator, []).append(mark)
    return {name: tuple(replace(m.region, label=m.emotion) for m in of) for name, of in marks.items()}
