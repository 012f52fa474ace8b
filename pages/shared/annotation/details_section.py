"""Below the player: the fields of a mark, the label of the whole recording, words as a tier, and the history."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared import session, waiting
from pages.shared.annotation.marking import Shown, change_mark, label_whole
from pages.shared.annotation.open_project import LABELS, OpenProject
from pages.shared.cached import transcribing
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import emotion_in_words, in_markdown
from pages.shared.player import chosen_mark
from pages.shared.recording import word_model
from ser_core.analysis import Recording, Region, moved
from ser_core.annotations.annotation import (
    EMOTION,
    LEAST_INTENSITY,
    MOST_INTENSITY,
    RECORDING_TIER,
    REGION_TIER,
    STATUSES,
    Annotation,
    Tier,
)
from ser_core.annotations.f0.corrections import F0Change
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.marks import Change
from ser_core.annotations.store.transactions.recordings import OpenRecording
from ser_core.annotations.store.trash import KEPT_FOR
from ser_core.errors import SerError

INTENSITIES = list(range(LEAST_INTENSITY, MOST_INTENSITY + 1))
CONFIDENCES = [None, *(percent / 100 for percent in range(0, 101, 10))]
#: Of the text of a mark, in the history.
LONGEST_SAID = 80
WORD_TIER = "words"
WORDS_HELP = texts("""
Each word becomes a mark of the tier *words*, with the word as its note. They are the words that you gave or edited on
the page Listen, else Whisper transcribes on this machine. Undo takes all of them away again.
""")
CHANGES = texts(
    {
        "changed": "changed {where}: {said}",
        "labelled": "labelled {where}: {said}",
        "added": "added {where}: {said}",
        "deleted": "deleted {where}: {said}",
    }
)
STEPS = texts({"undo": "undo: {words}", "redo": "redo: {words}"})


def show(project: OpenProject, opened: OpenRecording, shown: Shown, channels: int) -> None:
    """Show the fields of the selected mark and of the whole recording, which has so many channels."""
    with st.container(key="mark_details", gap="small"):
        _of_whole(project, opened, shown, channels)
        _of_chosen(project, opened, shown, channels)


def do(action: Callable[..., object], *arguments: Any, **values: Any) -> None:
    """Change marks from a callback; the next run of the page shows any refusal."""
    try:
        action(*arguments, **values)
    except SerError as refusal:
        refusals().append(str(refusal))


def refusals() -> list[str]:
    """Return the list of refusals that are not shown yet; callers modify it in place."""
    return st.session_state.setdefault("annotation refusals", [])


def show_refusals() -> None:
    """Show each refusal once."""
    for refusal in refusals():
        st.error(in_markdown(recognised(refusal)), icon=":material/sync_problem:")
    refusals().clear()


def _of_chosen(project: OpenProject, opened: OpenRecording, shown: Shown, channels: int) -> None:
    id_ = chosen_mark("annotate")
    found = shown.find(id_, project.annotator)
    if found is None:
        st.markdown(t("**Selected mark**"))
        if id_ in shown.suggestions:
            st.caption(
                t("Suggested by the model. Press A to accept it, a number to label it, or Delete to dismiss it.")
            )
        else:
            st.caption(
                t(
                    "Drag in the lane *{lane}*, or select a time range and press a number: {keys}.",
                    lane=t("Gold layer" if shown.layer else "My marks"),
                    keys=_keys(),
                )
            )
        return
    mark, tier = found
    change = (change_mark, project.store, project.id, project.annotator, opened.recording.file.sha256, mark)
    title = _fields(mark, f"mark {mark.key} {mark.revision}", change, tier, channels)
    with title:
        st.markdown(
            t(
                "**Selected mark**  \n{start_s:.2f} to {end_s:.2f} s",
                start_s=mark.region.start_s,
                end_s=mark.region.end_s,
            )
        )
        if tier.key == REGION_TIER:
            with st.popover(t("Frequencies"), type="tertiary"):
                _frequencies(mark, change)
        else:
            st.caption(in_markdown(tier.name))


def _of_whole(project: OpenProject, opened: OpenRecording, shown: Shown, channels: int) -> None:
    mark = shown.label or Annotation(Region(0.0, shown.duration_s), tier=RECORDING_TIER)
    sha256 = opened.recording.file.sha256
    change = (label_whole, project.store, project.id, project.annotator, sha256, shown)
    whose = f"whole {sha256} {project.id} {project.annotator} {shown.layer} {mark.revision}"
    title = _fields(mark, whose, change, EMOTION, channels, labelled={"status": "done"})
    title.markdown(
        t("**Whole recording**"), help=t("Shift and a number label it too. Labelling it sets its status to *done*.")
    )


def _fields(
    mark: Annotation,
    key: str,
    change: tuple[Any, ...],
    tier: Tier,
    channels: int,
    labelled: dict[str, str] | None = None,
) -> DeltaGenerator:
    """Show the fields of a mark, and save each change immediately; return the container for its title.

    In a tier of labels the note is one of these. The channel is asked for where there are several.
    """

    def field(name: str) -> dict[str, Any]:
        def save() -> None:
            value = st.session_state[f"{key} {name}"]
            value = value or "" if name == "note" else None if name == "channel" and value == 1 else value
            # A browser that has not seen the last run yet reports fields that are gone, and they count as changed.
            if value != getattr(mark, name):
                do(*change, **{name: value}, **(labelled or {} if name == "emotion" and mark.status == "open" else {}))

        return {"key": f"{key} {name}", "on_change": save}

    numbers = sorted({*range(1, channels + 1), mark.channel or 1})
    widths = [2.3, 2.5, 4.1, 2.7, 2, 2.2] if len(numbers) == 1 else [2.2, 2.3, 4, 2.4, 1.9, 1.8, 1.7]
    columns = st.columns(widths, gap="small", vertical_alignment="center")
    title, emotion, intensity, confidence, status, note = columns[:6]
    if tier.content == "emotions":
        _label_field(emotion, t("Emotion"), list(LABELS), mark.emotion, field("emotion"))
        note.text_input(t("Note"), mark.note, max_chars=2_000, **field("note"))
    else:
        _label_field(emotion, t("Label"), list(tier.labels), mark.note or None, field("note"))
    status.selectbox(t("Status"), STATUSES, index=STATUSES.index(mark.status), format_func=t, **field("status"))
    intensity.segmented_control(
        t("Intensity (1–5)"),
        INTENSITIES,
        default=mark.intensity,
        help=t("1: barely noticeable. 5: very strong."),
        **field("intensity"),
    )
    steps = sorted({*CONFIDENCES[1:], *([] if mark.confidence is None else [mark.confidence])})
    options = [None, *steps]
    confidence.selectbox(
        t("Confidence"),
        options,
        index=options.index(mark.confidence),
        format_func=lambda part: t("not given") if part is None else f"{100 * part:.0f} %",
        placeholder=t("not given"),
        **field("confidence"),
    )
    if len(numbers) > 1:
        columns[-1].selectbox(
            t("Channel"),
            numbers,
            index=numbers.index(mark.channel or 1),
            format_func=lambda number: t("1 or all") if number == 1 else str(number),
            help=t("Which channel of the recording it is about. The first is not told from all of them."),
            **field("channel"),
        )
    return title


def _label_field(
    column: DeltaGenerator, title: str, known: list[str], chosen: str | None, tied: dict[str, Any]
) -> None:
    """Offer the known labels, none, or any other label."""
    names = [None, *known, *([] if chosen in (None, *known) else [chosen])]
    column.selectbox(
        title,
        names,
        index=names.index(chosen),
        format_func=lambda name: emotion_in_words(name) if name else t("none"),
        accept_new_options=True,
        **tied,
    )


def _frequencies(mark: Annotation, change: tuple[Any, ...]) -> None:
    key = f"mark {mark.key} {mark.revision}"

    def save() -> None:
        low, high = st.session_state[f"{key} low"], st.session_state[f"{key} high"]
        if (low, high) != (mark.region.low_hz, mark.region.high_hz):
            do(lambda: change[0](*change[1:], region=Region(mark.region.start_s, mark.region.end_s, low, high)))

    for column, name, words, value in zip(
        st.columns(2),
        ("low", "high"),
        (t("Lowest frequency (Hz)"), t("Highest frequency (Hz)")),
        (mark.region.low_hz, mark.region.high_hz),
        strict=True,
    ):
        column.number_input(
            words,
            0.0,
            max(24_000.0, value or 0.0),
            value,
            step=50.0,
            format="%.0f",
            placeholder=t("all frequencies"),
            key=f"{key} {name}",
            on_change=save,
        )


def _keys() -> str:
    return ", ".join(f"{number} {t(name)}" for number, name in enumerate(LABELS, start=1))


# --- words ---


def offer_words(project: OpenProject, opened: OpenRecording, recording: Recording) -> None:
    """Offer to add the words as marks, unless this annotator has some there in that tier already.

    Of a long recording these are the words of the stretch that is analysed.
    """
    tier = next(
        (one for one in opened.tiers if (one.name, one.kind, one.content) == (WORD_TIER, "intervals", "text")), None
    )
    start_s, end_s = recording.start_s, recording.start_s + recording.duration_s
    if tier is not None and any(
        (mark.tier, mark.annotator) == (tier.key, project.annotator)
        and mark.region.start_s < end_s
        and mark.region.end_s > start_s
        for mark in opened.annotations
    ):
        return
    wanted, key = st.session_state.setdefault("word_tiers", set()), (project.id, recording.sha256)
    if key not in wanted:
        if st.button(t("Add the words as a tier"), key="add_words", icon=":material/segment:", help=t(WORDS_HELP)):
            wanted.add(key)
            st.rerun()
        return
    words = transcribing.known_words(recording.sha256) or _transcribed(recording)
    if words:
        wanted.discard(key)
        words = [moved(word, start_s) for word in words]
        do(_add_words, project, tier, opened.recording.file.sha256, words)
        st.rerun()


def _transcribed(recording: Recording) -> tuple[Region, ...]:
    """Return the words that Whisper finds; none while it is at work, or where it cannot."""
    folder = word_model.folder()
    if folder is None:
        word_model.offer()
        return ()
    transcript = waiting.results({"transcribe": transcribing.transcription_job(recording, folder, None)}).get(
        "transcribe"
    )
    if transcript is not None and not transcript.words:
        st.info(t("No word could be transcribed with confidence."), icon=":material/voice_over_off:")
    return transcript.words if transcript else ()


def _add_words(project: OpenProject, tier: Tier | None, sha256: str, words: Sequence[Region]) -> None:
    """Add a mark for each word, as one step of the history."""
    tier = tier or project.store.tiers.add(project.id, Tier(WORD_TIER, WORD_TIER))
    marks = [Annotation(Region(word.start_s, word.end_s), tier=tier.key, note=word.label or "") for word in words]
    project.store.marks.edit(project.id, sha256, project.annotator, add=marks)


# --- history ---


def show_history(project: OpenProject, opened: OpenRecording) -> None:
    """List every change to the marks of a recording, newest first."""
    with st.expander(t("History"), icon=":material/history:", key="annotation_history", on_change="rerun") as history:
        if not history.open:
            return
        _deleted_marks(project, opened)
        page = project.store.history.page(project.id, opened.recording.file.sha256)
        if not page.items:
            st.caption(t("No changes yet."))
        for step in page.items:
            at = session.local_time(step.at)
            st.markdown(f"{at:%Y-%m-%d %H:%M:%S %Z} · **{in_markdown(step.annotator)}** · {_in_words(step)}")
        if page.total > len(page.items):
            st.caption(
                t(
                    "The newest {n} of {total} changes. The command line lists all of them.",
                    n=len(page.items),
                    total=page.total,
                )
            )


def _deleted_marks(project: OpenProject, opened: OpenRecording) -> None:
    """Offer to restore marks of the last 30 days that this annotator made or deleted."""
    sha256 = opened.recording.file.sha256
    for there in project.store.marks.deleted(project.id, sha256):
        mark = there.annotation
        if project.annotator not in (mark.annotator, there.changed_by):
            continue
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                t("Restore"),
                key=f"restore {mark.key} {mark.revision}",
                icon=":material/restore_from_trash:",
                on_click=do,
                args=(project.store.marks.restore, project.id, sha256, project.annotator, mark.key),
            )
            goes_at = mark.changed_at + KEPT_FOR
            words = _change_in_words(Change(mark, None), project.annotator)
            st.caption(
                t(
                    "{changed_by} {words}. Removed permanently on {goes_at:%Y-%m-%d}.",
                    changed_by=in_markdown(there.changed_by),
                    words=words,
                    goes_at=goes_at,
                )
            )


def _in_words(step: Step) -> str:
    said = [_change_in_words(change, step.annotator) for change in step.changes[:5]]
    words = "; ".join([*said, *([_f0_in_words(step.f0)] if step.f0 else [])])
    if len(step.changes) > 5:
        words = t("{words}; and {n} more", words=words, n=len(step.changes) - 5)
    return t(STEPS[step.kind], words=words) if step.kind in STEPS else words


def _f0_in_words(change: F0Change) -> str:
    start_s, end_s = change.bounds_s
    where, n = t("{start_s:.2f} to {end_s:.2f} s", start_s=start_s, end_s=end_s), len(change.frames)
    if change.after:
        return plural(n, "corrected F0 of {n} frame, {where}", "corrected F0 of {n} frames, {where}", where=where)
    return plural(
        n, "took F0 of {n} frame as measured, {where}", "took F0 of {n} frames as measured, {where}", where=where
    )


def _change_in_words(change: Change, annotator: str) -> str:
    before, after = change.before, change.after
    mark = after or before
    whole, said = mark.tier == RECORDING_TIER, _said(mark)
    if before and after and _said(before) != said:
        said = f"{_said(before)} → {said}"
    region = mark.region
    where = t("{start_s:.2f} to {end_s:.2f} s", start_s=region.start_s, end_s=region.end_s)
    where = t("the whole recording") if whole else where
    action = "changed" if before and after else ("labelled" if whole else "added") if after else "deleted"
    words = t(CHANGES[action], where=where, said=said)
    if mark.annotator != annotator:
        words = t("{words}, a mark by {name}", words=words, name=in_markdown(mark.annotator))
    if before and after and before.status != after.status:
        words = t("{words}, now {status}", words=words, status=t(after.status))
    if before and after and before.channel != after.channel:
        words = t("{words}, channel {number}", words=words, number=after.channel or t("1 or all"))
    return words


def _said(mark: Annotation) -> str:
    """Return the emotion of a mark or, in other tiers, the beginning of its text."""
    if mark.tier in (REGION_TIER, RECORDING_TIER) or mark.emotion:
        return in_markdown(emotion_in_words(mark.emotion)) if mark.emotion else t("no emotion")
    return in_markdown(mark.note[:LONGEST_SAID]) or t("no label")
