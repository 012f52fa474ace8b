"""A recording of more than ten minutes over time, and opening any part of it in the player."""

from collections.abc import Callable
from datetime import time, timedelta
from functools import partial
from math import ceil, floor

import streamlit as st

from pages.shared import cached, controls, session, waiting
from pages.shared.cached import long_recordings
from pages.shared.charts import axes
from pages.shared.charts.timeline import seconds_of_box, timeline_chart
from pages.shared.language import recognised, t
from pages.shared.language.names import in_markdown
from pages.shared.player import player
from pages.shared.recording import open_recordings, timeline_words_section, voice_section
from ser_core.analysis import Region, clock
from ser_core.analysis.emotions import COLOURS
from ser_core.audio.working_copy import LONGEST_STRETCH_S, WorkingCopy
from ser_core.errors import SerError
from ser_core.output.timeline_folder import timeline_csv
from ser_core.timeline.curves import strongest_stretches
from ser_core.timeline.timeline import Timeline
from ser_core.work.atomic_folder import folder_name

CHART = "timeline_chart"
#: The container of the chart, in which a click plays that moment.
CHART_CONTAINER = "timeline_played"
DEFAULT_STRETCH_S = 30


def show(long: open_recordings.HeldLong) -> None:
    """Show the emotions over time as soon as they are computed, and let the visitor open a part."""
    title, close = st.columns([5, 1], vertical_alignment="bottom")
    title.header(in_markdown(long.name))
    close.button(
        t("Close"),
        on_click=long_recordings.close_long,
        icon=":material/close:",
        width="stretch",
        help=t("Close the long recording. Parts that you opened stay."),
    )
    try:
        classifier = cached.model(controls.model_name() or "")
    except SerError:
        return  # the sidebar shows why
    own_voice = classifier.voice is not None and st.toggle(
        t("One speaker"),
        help=t(
            "Judge the voice relative to how the model judges this recording as a whole. Leave this off if "
            "several people speak, or if one emotion lasts throughout."
        ),
        **session.widget("timeline_voice", session.choice("timeline_voice")),
    )
    curves, sound = st.container(), st.container()
    jobs = {
        "copy": long_recordings.working_copy_job(long),
        "timeline": long_recordings.timeline_job(long, classifier, own_voice),
    }
    with curves:
        results = waiting.results(jobs)
    copy = results.get("copy")
    if copy is not None:
        with sound:
            player(copy, key="timeline_player", charts=CHART_CONTAINER)
    if copy is None or "timeline" not in results:
        return
    timeline = results["timeline"]
    open_part = partial(_open, long, copy)
    with curves:
        smoothing_s, quiet_dbfs = _curves(long, timeline)
    _choose_stretch(timeline, open_part)
    timeline_words_section.show(long, timeline, open_part)
    _strongest(long, timeline, smoothing_s, quiet_dbfs, open_part)


def _curves(long: open_recordings.HeldLong, timeline: Timeline) -> tuple[float, float]:
    """Draw the emotions over time, and return the smoothing in seconds and the pause threshold."""
    st.caption(
        t(
            "{duration} · {rate:g} kHz · model {model}",
            duration=clock(timeline.duration_s),
            rate=timeline.sample_rate_hz / 1000,
            model=timeline.model_name,
        )
    )
    if timeline.voice is not None:
        st.caption(voice_section.known_in_words(timeline.voice))
    for warning in timeline.warnings:
        st.warning(recognised(warning), icon=":material/warning:")
    smoothing_s, quiet_dbfs = _smoothing(timeline)
    with st.container(key=CHART_CONTAINER):
        st.plotly_chart(
            timeline_chart(
                timeline, smoothing_s, quiet_dbfs, _stretch_s(timeline), timeline_words_section.found_times_s(long)
            ),
            width="stretch",
            config=axes.config(removed=()),
            key=CHART,
            on_select=_on_box,
            selection_mode="box",
        )
    st.caption(t("Click a curve to play from there; draw a box to choose a part."))
    return smoothing_s, quiet_dbfs


def _smoothing(timeline: Timeline) -> tuple[float, float]:
    left, right = st.columns(2)
    # 10 s up to half an hour, 60 s for two hours: with less smoothing the curves would be illegible.
    chosen = session.choice("timeline_smoothing")
    default_s = max(10, 10 * round(timeline.duration_s / 1200))
    smoothing_s = left.slider(
        t("Smoothing (s)"),
        0,
        120,
        help=t("Each point is the mean over this many seconds around it. 0 shows every segment of the model."),
        **session.widget("timeline_smoothing", default_s if chosen is None else chosen),
    )
    quiet_dbfs = right.slider(
        t("Pause threshold (dBFS)"),
        -90,
        -20,
        help=t("Segments below this level (the dotted line) are left out. Longer pauses leave gaps in the curves."),
        **session.widget("timeline_quiet", session.choice("timeline_quiet")),
    )
    return smoothing_s, quiet_dbfs


def _shown_stretch(timeline: Timeline) -> tuple[time, time]:
    last = _as_time(ceil(timeline.duration_s))
    start, end = session.choice("timeline_stretch") or (_as_time(0), _as_time(DEFAULT_STRETCH_S))
    return min(start, last), min(end, last)


def _stretch_s(timeline: Timeline) -> tuple[int, int]:
    start, end = _shown_stretch(timeline)
    return _as_seconds(start), _as_seconds(end)


def _choose_stretch(timeline: Timeline, open_part: Callable[[float, float], None]) -> None:
    """Offer to open a part; a box drawn in the curves and the slider set the same one."""
    start_s, end_s = _stretch_s(timeline)
    st.slider(
        t("Part to open: set it here, or draw a box in the chart"),
        _as_time(0),
        _as_time(ceil(timeline.duration_s)),
        step=timedelta(seconds=1),
        format="H:mm:ss",
        **session.widget("timeline_stretch", _shown_stretch(timeline)),
    )
    too_long = end_s - start_s > LONGEST_STRETCH_S
    label = t("Open {start} to {end} in the player", start=clock(start_s), end=clock(end_s))
    if st.button(label, type="primary", icon=":material/hearing:", disabled=too_long or start_s == end_s):
        open_part(start_s, end_s)
    if too_long:
        st.caption(
            t(
                "At most {limit} can be opened at once; this part is {length} long.",
                limit=clock(LONGEST_STRETCH_S),
                length=clock(end_s - start_s),
            )
        )


def _on_box() -> None:
    boxes = st.session_state[CHART].selection.box
    if boxes:
        start_s, end_s = seconds_of_box(boxes[-1])
        session.choose("timeline_stretch", (_as_time(floor(max(start_s, 0.0))), _as_time(ceil(end_s))))


def _strongest(
    long: open_recordings.HeldLong,
    timeline: Timeline,
    smoothing_s: float,
    quiet_dbfs: float,
    open_part: Callable[[float, float], None],
) -> None:
    st.markdown(t("**Strongest parts**"), help=t("Where the smoothed probability of each emotion is highest."))
    for emotion, stretches in strongest_stretches(timeline, smoothing_s, quiet_dbfs).items():
        name, *columns = st.columns([1, 2, 2, 2], vertical_alignment="center")
        name.html(f'<span style="border-bottom: 0.2rem solid {COLOURS[emotion]}">{t(emotion)}</span>')
        for number, (column, (region, mean)) in enumerate(zip(columns, stretches, strict=False)):
            label = t("Open {span} ({mean:.2f})", span=_span(region), mean=mean)
            if column.button(label, key=f"strongest_{emotion}_{number}", icon=":material/hearing:", width="stretch"):
                open_part(region.start_s, region.end_s)
    st.download_button(
        t("Timeline (CSV)"),
        lambda: timeline_csv(timeline),
        f"{folder_name(long.name)}-timeline.csv",
        "text/csv",
        icon=":material/table:",
        on_click="ignore",
    )


def _open(long: open_recordings.HeldLong, copy: WorkingCopy, start_s: float, end_s: float) -> None:
    """Cut out a part as a separate recording, and switch to the page Listen."""
    try:
        with st.spinner(t("Cutting out the part")):
            long_recordings.open_stretch(long, copy, start_s, end_s)
    except SerError as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
        return
    st.switch_page("pages/2_Listen.py")


def _span(region: Region) -> str:
    return f"{clock(region.start_s)}–{clock(region.end_s)}"


def _as_time(seconds: int) -> time:
    minutes, second = divmod(seconds, 60)
    return time(minutes // 60, minutes % 60, second)


def _as_seconds(at: time) -> int:
    return 3600 * at.hour + 60 * at.minute + at.second
