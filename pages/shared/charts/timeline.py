"""Chart of a long recording: smoothed probabilities with gaps at pauses, and the level of the segments below."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.charts.recording import CHOSEN
from pages.shared.language import t
from ser_core.analysis.emotions import COLOURS
from ser_core.timeline.curves import smoothed
from ser_core.timeline.timeline import Timeline

LEVEL = "#7f8fa6"
SHORTEST_GAP_S = 2.0
#: Colour and height of the marks of search results.
FOUND, MARKED_AT = "#9467bd", 1.0


def timeline_chart(
    timeline: Timeline,
    smoothing_s: float,
    quiet_dbfs: float,
    stretch_s: tuple[float, float],
    found_s: Sequence[float] = (),
) -> go.Figure:
    """Draw probabilities, smoothed over `smoothing_s`, and levels, with the chosen time range shaded.

    The times of search results are marked above the curves.
    """
    means = smoothed(timeline, smoothing_s, quiet_dbfs)
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.76, 0.24])
    # A date axis takes milliseconds and shows hours and minutes.
    times = timeline.middles_s * 1000
    shown, curves = _without_short_gaps(times, means, 1000 * max(smoothing_s, SHORTEST_GAP_S))
    for index, emotion in enumerate(timeline.emotions):
        trace = go.Scatter(
            x=shown,
            y=curves[:, index].astype(np.float32),
            name=t(emotion),
            line={"color": COLOURS[emotion], "width": 1.6},
            hovertemplate="%{y:.2f}",
        )
        figure.add_trace(trace, 1, 1)
    level = go.Scatter(
        x=times,
        y=np.maximum(timeline.level_dbfs, quiet_dbfs - 30),
        name=t("level"),
        line={"color": LEVEL, "width": 1},
        showlegend=False,
        hovertemplate="%{y:.0f} dBFS",
    )
    figure.add_trace(level, 2, 1)
    if found_s:
        marks = {"symbol": "triangle-down", "size": 10, "color": FOUND}
        # As dates, because Plotly takes a whole number of four digits for a year.
        times_ms, name = (1000 * np.array(found_s)).astype("datetime64[ms]"), t("found words")
        heights = np.full(len(times_ms), MARKED_AT)
        figure.add_trace(
            go.Scatter(x=times_ms, y=heights, name=name, mode="markers", marker=marks, hoverinfo="skip"), 1, 1
        )
    figure.add_hline(quiet_dbfs, row=2, col=1, line={"dash": "dot", "width": 1, "color": "#888888"})
    figure.add_vrect(*(second * 1000 for second in stretch_s), fillcolor=CHOSEN, line_width=0, layer="below")
    figure.update_yaxes(fixedrange=True, zeroline=False, gridcolor=axes.GREY)
    figure.update_yaxes(title=t("Probability"), range=[0, 1.02], tickvals=[0, 0.5, 1], row=1, col=1)
    figure.update_yaxes(title="dBFS", nticks=4, row=2, col=1)
    axes.set_time_layout(figure, timeline.duration_s * 1000, 420)
    clock = "%-H:%M:%S" if timeline.duration_s >= 3600 else "%-M:%S"
    figure.update_xaxes(type="date", tickformat=clock, hoverformat=clock)
    figure.update_xaxes(title=t("Time (h:min:s)" if timeline.duration_s >= 3600 else "Time (min:s)"), row=2, col=1)
    # A box sets the time range whatever its height; the zoom stays.
    figure.update_layout(dragmode="select", selectdirection="h", hovermode="x unified", uirevision=timeline.sha256)
    return figure


def _without_short_gaps(times: np.ndarray, means: np.ndarray, longest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that have values, with a NaN wherever the next point is further away than `longest`.

    Otherwise a curve smoothed over many seconds would break at every breath.
    """
    has_value = ~np.isnan(means[:, 0])
    times, means = times[has_value], means[has_value]
    breaks = np.flatnonzero(np.diff(times) > longest) + 1
    return np.insert(times, breaks, times[breaks - 1]), np.insert(means, breaks, np.nan, axis=0)


def seconds_of_box(box: dict[str, list[str]]) -> tuple[float, float]:
    """Return start and end of a box drawn in the chart, in seconds."""
    ends = np.array([np.datetime64(str(end).replace(" ", "T")) for end in box["x"]])
    start_s, end_s = np.sort((ends - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    return float(start_s), float(end_s)
