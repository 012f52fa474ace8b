"""The view Mark: the player with editable marks, and the model's evidence for them."""

from functools import partial
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared import session, waiting
from pages.shared.annotation.marking import details_section, heading_section, history_section, player_edits
from pages.shared.annotation.marking.heading_section import DECIDE, EVIDENCE, OTHERS
from pages.shared.annotation.marking.shown_marks import Shown, in_words
from pages.shared.annotation.open_project import LABELS, OpenProject, attempt, show_refusals
from pages.shared.annotation.people import review_section
from pages.shared.annotation.queue import filling_section, opening
from pages.shared.annotation.queue.queue_choice import queue_of
from pages.shared.annotation.tiers import word_tier
from pages.shared.cached import classifying, long_recordings, measuring, transcribing
from pages.shared.language import t, texts
from pages.shared.language.names import in_markdown
from pages.shared.player import Editing, player
from pages.shared.recording import open_recordings
from pages.shared.session import Chosen
from ser_core.analysis import Analysis, Explanation, Recording, Spectrogram, clock, frame_edge_s, moved
from ser_core.annotations.annotation import GOLD
from ser_core.annotations.store.transactions.recordings import OpenRecording
from ser_core.audio.working_copy import WorkingCopy
from ser_core.errors import RecordingNotInProject
from ser_core.explanation import METHOD_NAMES
from ser_core.pipeline import level_of_focus
from ser_core.work.jobs import Job

#: Fits the player, the marks and their fields on one screen: only screen readers get the page's heading.
COMPACT = """
<style>
  @media (min-width: 641px) {
    .block-container { padding: 0.5rem 3.2rem 2rem 2.5rem; max-width: 90rem; }
    :has([data-testid="stExpandSidebarButton"]) > * .block-container { padding-top: 3.2rem; }
    .block-container > [data-testid="stVerticalBlock"] { gap: 0.5rem; }
    .block-container h1, .block-container :has(h1) + [data-testid="stElementContainer"]
      { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    [data-testid="stHeader"] { background: none; }
    [data-testid="stHeader"], [data-testid="stHeader"] :not(button, button *) { pointer-events: none !important; }
    [data-testid="stHeader"] button { pointer-events: auto; }
  }
  @media (min-width: 1200px) {
    /* One row: the names of annotator and project are cut to fit; a click shows them whole. */
    .st-key-mark_bar { flex-wrap: nowrap; }
    .st-key-mark_bar > :first-child { flex: none; max-width: calc(100% - 10rem); }
    .st-key-mark_bar > :last-child { flex: 0 1 auto; min-width: 9rem; }
    .st-key-mark_bar > :last-child :is(button, button *) { min-width: 0; }
    .st-key-mark_bar > :last-child button p { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  }
  @media (min-width: 1200px) and (max-width: 1399px) {
    /* Long names of views, as in German, leave room for undo beside them. */
    .st-key-mark_bar > :first-child, .st-key-mark_heading { column-gap: 0.5rem; }
    .st-key-mark_bar > :first-child button { padding-inline: 0.55rem; }
    .st-key-mark_heading [data-testid="stButtonGroup"] button { padding-inline: 0.5rem; }
    /* One row: the recording's name is cut to what the controls leave; the sidebar has it whole. */
    .st-key-mark_heading > :first-child { flex: 1 1 5rem; min-width: 0; max-width: max-content; }
    .st-key-mark_heading h2 { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  }
  @media (min-width: 1400px) {
    /* The name takes the space that the controls leave; a long one wraps. */
    .st-key-mark_heading > :first-child { flex: 1 1 10rem; max-width: max-content; }
  }
  .st-key-mark_heading h2
    { font-size: 1.25rem; line-height: 1.15; padding: 0; margin-right: 0.5rem; overflow-wrap: anywhere; }
  /* The player can be used while the page reruns, so it does not fade. */
  [data-testid="stElementContainer"][data-stale="true"]:has([data-testid^="stBidiComponent"]) { opacity: 1; }
</style>
"""
DECIDING = texts(
    "You decide in the **gold layer**. Everybody's marks lie below it: take over what is right, correct it, or draw. "
    "Exports and teaching then use what you decide; agreement does not count it."
)


def show(project: OpenProject, chosen: Chosen | None, bar: DeltaGenerator) -> None:
    """Show the current recording with its editable marks, and any refusals; put undo and navigation into the bar."""
    st.html(COMPACT)
    # In a container: otherwise changes here would move the player in the page's tree and mount it again.
    notices = st.container()
    with notices:
        show_refusals()
        if message := st.session_state.pop(player_edits.END_MESSAGE, None):
            st.toast(message)
    long, recording, stretch = open_recordings.current_long(), open_recordings.current(), None
    if long is not None:
        with st.container():
            copies = waiting.results({"copy": long_recordings.working_copy_job(long)})
        if "copy" not in copies:
            return
        recording, stretch = copies["copy"], recording
    if recording is None:
        st.info(t("No recording is open. Choose one in the queue."), icon=":material/queue_music:")
        return
    try:
        opened = project.store.recordings.open(project.id, recording.sha256, project.annotator, queue_of(project))
    except RecordingNotInProject:
        _offer_to_add(project, recording)
        return
    if message := st.session_state.pop(player_edits.DELETION_MESSAGE, None):
        st.toast(message, icon=":material/account_tree:")
    may_review = project.store.people.may_review(project.id, project.annotator)
    with notices:
        review_section.show_sent_back(project, opened)
        if may_review and DECIDE in session.choice("beside"):
            st.info(t(DECIDING), icon=":material/gavel:")
    heading_section.show_steps(project, opened, bar)
    _show_marks(project, opened, recording, stretch, chosen, may_review)


def _show_marks(
    project: OpenProject,
    opened: OpenRecording,
    recording: Recording | WorkingCopy,
    stretch: Recording | None,
    chosen: Chosen | None,
    may_review: bool,
) -> None:
    """Show a recording with its marks and the model's evidence, which covers only `stretch` of a long recording."""
    analysed = recording if stretch is None else stretch
    is_long = isinstance(recording, WorkingCopy)
    is_deciding = may_review and DECIDE in session.choice("beside")
    heading_section.show(project, opened, chosen, may_review)
    # Playing and marking do not wait for a model: the player is drawn first, and progress appears below it.
    above, progress = st.container(), st.container()
    with progress:
        analysis, explanation, final = _evidence(chosen)
    shown = player_edits.shown_marks(project, recording.sha256, GOLD if is_deciding else "")
    shown.duration_s = recording.duration_s
    shown.update(opened.annotations, project.annotator, opened.tiers, opened.f0)
    # Suggestions that change while somebody draws would be distracting.
    if explanation is not None and final:
        regions = [moved(focus.region, analysed.start_s) for focus in analysis.focus]
        shown.suggest(regions, analysis.emotion, _provenance(analysis, explanation), project.annotator)
    else:
        shown.suggestions = {}
    with above:
        settings = chosen and chosen.classifier.front_end.spectrogram
        spectrogram = settings and measuring.spectrogram(analysed.sha256, settings, analysed)
        is_pending = explanation is None and not final and EVIDENCE in session.choice("beside")
        evidence = analysis, explanation, is_pending
        correction_job = _player(project, opened, shown, recording, stretch, spectrogram, *evidence)
    if correction_job is not None:
        with progress:
            waiting.results({"corrected": correction_job})
    if is_long:
        _say_what_is_analysed(stretch)
    details_section.show(project, opened, shown, recording.channels)
    if stretch is not None or not is_long:
        word_tier.offer(project, opened, analysed)
    if is_deciding or OTHERS in session.choice("beside"):
        review_section.show(project, opened, shown, may_review=may_review)
    history_section.show(project, opened)
    opening.read_ahead(project, opened.next, chosen)


def _say_what_is_analysed(stretch: Recording | None) -> None:
    """Say which part of a long recording the model has seen."""
    if stretch is None:
        st.caption(
            t(
                "Longer than ten minutes, so the model sees a stretch at a time: zoom in and press H in the "
                "player. Marks and tiers cover the whole recording."
            )
        )
    else:
        until_s = round(stretch.start_s + stretch.duration_s, 3)  # so that 10:59.9 is shown as 11:00
        st.caption(
            t(
                "The model's evidence and the measures are of {start} to {end} only. Press H in the player for "
                "another part.",
                start=clock(stretch.start_s),
                end=clock(until_s),
            )
        )


def _offer_to_add(project: OpenProject, recording: Recording | WorkingCopy) -> None:
    name = in_markdown(recording.name)
    st.info(
        t("{name} is not in the project {project}.", name=name, project=in_markdown(project.name)),
        icon=":material/playlist_add:",
    )
    if st.button(t("Add it and mark it"), type="primary", icon=":material/add:"):
        if isinstance(recording, Recording):
            filling_section.add_current(project)
        else:
            attempt(filling_section.add_long, project, open_recordings.current_long(), recording)
            st.rerun()


def _evidence(chosen: Chosen | None) -> tuple[Analysis | None, Explanation | None, bool]:
    """Return the analysis, its explanation (each None if there is none yet), and whether both are final."""
    if chosen is None:
        return None, None, True  # the sidebar says why there is no model
    classification = classifying.classification_job(chosen.recording, chosen.classifier, chosen.settings)
    if not waiting.results({"classify": classification}):
        return None, None, False
    if EVIDENCE not in session.choice("beside"):
        return classification.result, None, True
    return waiting.focused_by(session.choice("suggest_by"), chosen, classification)


def _provenance(analysis: Analysis, explanation: Explanation) -> dict[str, object]:
    return {
        "model": analysis.model_name,
        "model_sha256": analysis.model_sha256,
        "method": explanation.method,
        "emotion": explanation.emotion,
        "seed": explanation.seed,
        "threshold": analysis.focus_settings.threshold,
        "share": analysis.focus_settings.share,
        "smoothing_s": analysis.focus_settings.smoothing_s,
    }


def _player(
    project: OpenProject,
    opened: OpenRecording,
    shown: Shown,
    recording: Recording | WorkingCopy,
    stretch: Recording | None,
    spectrogram: Spectrogram | None,
    analysis: Analysis | None,
    explanation: Explanation | None,
    is_evidence_pending: bool,
) -> Job | None:
    """Show the player; return the job that measures again with the corrected F0, if a lane needs one."""
    others = shown.of_others(project.annotator) if shown.layer or OTHERS in session.choice("beside") else ()
    next_recording = opening.ahead(opened.next)
    from_s = 0.0 if stretch is None else stretch.start_s
    evidence, correction_jobs = {}, []

    def correct(*args: Any) -> Job:
        correction_jobs.append(measuring.correction_job(*args))
        return correction_jobs[-1]

    if explanation is not None:
        evidence = {
            "overlays": {t(METHOD_NAMES[explanation.method]): explanation},
            "profile": analysis.profile,
            "threshold": level_of_focus(analysis),
            "analysis": analysis,
        }
    player(
        recording,
        key=player_edits.PLAYER,
        stretch=stretch,
        spectrogram=spectrogram,
        regions_title=t("Gold layer" if shown.layer else "My marks"),
        words=[moved(word, from_s) for word in transcribing.known_words((stretch or recording).sha256)],
        editing=Editing(
            shown.for_player(),
            LABELS,
            partial(player_edits.handle_edit, project),
            player_edits.layer_id(project, shown.layer),
            snaps=_snap_times(recording, analysis, shown, project.annotator, from_s) if session.choice("snap") else (),
            others=others,
            others_title=t("Everybody's marks" if shown.layer else "Others' marks"),
            state=t("Whole recording: {words}", words=in_words(shown.label)),
            done=shown.label is not None and shown.label.status != "open",
            tiers=shown.tier_lanes(project.annotator, LABELS),
            f0=shown.f0,
            arrival=opening.arrival(recording.sha256, shown.ids),
        ),
        measure=measuring.measures_job,
        correct=correct,
        awaited=("profile", "scores") if is_evidence_pending else (),
        ahead=next_recording and (next_recording, _spectrogram_like(spectrogram, next_recording)),
        **evidence,
    )
    return correction_jobs[-1] if correction_jobs else None


def _spectrogram_like(spectrogram: Spectrogram | None, recording: Recording) -> Spectrogram | None:
    """Return a recording's spectrogram with the settings of another one, if it was computed."""
    if spectrogram is None:
        return None
    return measuring.spectrogram(recording.sha256, spectrogram.settings, recording)


def _snap_times(
    recording: Recording | WorkingCopy, analysis: Analysis | None, shown: Shown, annotator: str, from_s: float
) -> tuple[float, ...]:
    """Return the times in s that dragged edges snap to: those of segments, focus regions and marks."""
    marks_by_tier = (shown.in_tier(tier, annotator) for tier in shown.tiers if tier.shown)
    regions = [mark.region for marks in marks_by_tier for mark in marks.values()]
    segment_edges = []
    if analysis is not None:
        segments, frames = analysis.segments, analysis.spectrogram.settings
        starts = frame_edge_s(segments.start_frames, frames)
        ends = frame_edge_s(segments.start_frames + segments.segment_frames, frames)
        segment_edges = [from_s + edge for edge in (*starts, *ends)]
        regions += [moved(focus.region, from_s) for focus in analysis.focus]
    edges = [edge for region in regions for edge in (region.start_s, region.end_s)]
    return tuple(float(time) for time in {*segment_edges, *edges} if 0 <= time <= recording.duration_s)
