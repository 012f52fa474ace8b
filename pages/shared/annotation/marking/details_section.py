"""Below the player: the fields of the selected mark and of the whole recording's label."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared.annotation.marking.shown_marks import Shown
from pages.shared.annotation.marking.stored_edits import change_mark, label_whole
from pages.shared.annotation.open_project import LABELS, OpenProject, attempt
from pages.shared.language import language, t
from pages.shared.language.names import emotion_in_words, in_markdown
from pages.shared.player import chosen_mark
from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import (
    EMOTION,
    MAX_INTENSITY,
    MIN_INTENSITY,
    RECORDING_TIER,
    REGION_TIER,
    STATUSES,
    Annotation,
    Tier,
)
from ser_core.annotations.store.transactions.recordings import OpenRecording

INTENSITIES = list(range(MIN_INTENSITY, MAX_INTENSITY + 1))
CONFIDENCES = [percent / 100 for percent in range(0, 101, 10)]
#: The option that leaves a field empty. A field of Streamlit that holds None can be cleared, though nothing is chosen.
NOTHING = ""


def show(project: OpenProject, opened: OpenRecording, shown: Shown, channels: int) -> None:
    """Show the fields of the selected mark and of the whole recording, which has a number of channels."""
    with st.container(key="mark_details", gap="small"):
        _whole_recording(project, opened, shown, channels)
        _selected_mark(project, opened, shown, channels)


def _selected_mark(project: OpenProject, opened: OpenRecording, shown: Shown, channels: int) -> None:
    id_ = chosen_mark("annotate")
    found = shown.find(id_, project.annotator)
    if found is None:
        st.markdown(t("**Selected mark**"))
        if id_ in shown.suggestions:
            st.caption(
                t("Suggested by the model. *Accept* or *Dismiss* it below the lanes, or press a number to label it.")
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
        start_s, end_s = mark.region.start_s, mark.region.end_s
        if isinstance(mark.region, Point):
            st.markdown(t("**Selected mark**  \n{start_s:.2f} s", start_s=start_s))
        else:
            st.markdown(t("**Selected mark**  \n{start_s:.2f} to {end_s:.2f} s", start_s=start_s, end_s=end_s))
        if tier.key == REGION_TIER:
            with st.popover(t("Frequencies"), type="tertiary"):
                _frequencies(mark, change)
        else:
            st.caption(in_markdown(tier.name))


def _whole_recording(project: OpenProject, opened: OpenRecording, shown: Shown, channels: int) -> None:
    mark = shown.label or Annotation(Region(0.0, shown.duration_s), tier=RECORDING_TIER)
    sha256 = opened.recording.file.sha256
    change = (label_whole, project.store, project.id, project.annotator, sha256, shown)
    key = f"whole {sha256} {project.id} {project.annotator} {shown.layer} {mark.revision}"
    title = _fields(mark, key, change, EMOTION, channels, with_emotion={"status": "done"})
    title.markdown(
        t("**Whole recording**"), help=t("Shift and a number label it too. Labelling it sets its status to *done*.")
    )


def _fields(
    mark: Annotation,
    key: str,
    change: tuple[Any, ...],
    tier: Tier,
    channels: int,
    with_emotion: dict[str, str] | None = None,
) -> DeltaGenerator:
    """Show the fields of a mark, and save each change immediately; return the container for its title.

    In a tier of labels the note holds the label. There is a channel field only if there are several channels.
    `with_emotion` holds values that are saved with the emotion of an open mark.
    """
    # A browser sends a choice as its text; in another language that would look like a label that somebody typed.
    key = f"{key} {language()}"

    def field(name: str) -> dict[str, Any]:
        def save() -> None:
            value = st.session_state[f"{key} {name}"]
            if value == NOTHING:
                value = None
            if name == "note":
                value = value or ""
            if name == "channel" and value == 1:
                value = None
            # A browser that has not received the last run yet reports removed fields as changed.
            if value != getattr(mark, name):
                sets_emotion = name == "emotion" and mark.status == "open"
                attempt(*change, **{name: value}, **(with_emotion or {} if sets_emotion else {}))

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
    intensity.segmented_control(
        t("Intensity (1–5)"),
        INTENSITIES,
        default=mark.intensity,
        help=t("1: barely noticeable. 5: very strong."),
        **field("intensity"),
    )
    _confidence_field(confidence, mark, field("confidence"))
    status.selectbox(t("Status"), STATUSES, index=STATUSES.index(mark.status), format_func=t, **field("status"))
    if len(numbers) > 1:
        columns[-1].selectbox(
            t("Channel"),
            numbers,
            index=numbers.index(mark.channel or 1),
            format_func=lambda number: t("1 or all") if number == 1 else str(number),
            help=t("The channel that the mark is about. Number 1 also stands for all channels."),
            **field("channel"),
        )
    return title


def _confidence_field(column: DeltaGenerator, mark: Annotation, state: dict[str, Any]) -> None:
    given = [] if mark.confidence is None else [mark.confidence]
    options = [NOTHING, *sorted({*CONFIDENCES, *given})]
    column.selectbox(
        t("Confidence"),
        options,
        index=options.index(given[0] if given else NOTHING),
        format_func=lambda part: t("not given") if part == NOTHING else t("{percent:.0f} %", percent=100 * part),
        **state,
    )


def _label_field(
    column: DeltaGenerator, title: str, labels: list[str], chosen: str | None, state: dict[str, Any]
) -> None:
    """Offer the given labels, none, or any other label."""
    chosen = chosen or NOTHING
    names = [NOTHING, *labels, *([] if chosen in (NOTHING, *labels) else [chosen])]
    column.selectbox(
        title,
        names,
        index=names.index(chosen),
        format_func=lambda name: emotion_in_words(name) if name else t("none"),
        accept_new_options=True,
        **state,
    )


def _frequencies(mark: Annotation, change: tuple[Any, ...]) -> None:
    key = f"mark {mark.key} {mark.revision}"

    def save() -> None:
        low, high = st.session_state[f"{key} low"], st.session_state[f"{key} high"]
        if (low, high) != (mark.region.low_hz, mark.region.high_hz):
            attempt(lambda: change[0](*change[1:], region=Region(mark.region.start_s, mark.region.end_s, low, high)))

    for column, name, label, value in zip(
        st.columns(2),
        ("low", "high"),
        (t("Lowest frequency (Hz)"), t("Highest frequency (Hz)")),
        (mark.region.low_hz, mark.region.high_hz),
        strict=True,
    ):
        column.number_input(
            label,
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
