"""Charts over the time of a recording: waveform, smoothed scores, and hatching of frames without evidence."""

import numpy as np
import plotly.graph_objects as go

from pages.shared.charts import axes
from pages.shared.language import t
from ser_core.analysis import Analysis, Recording, frame_edge_s
from ser_core.analysis.emotions import COLOURS

WAVEFORM_POINTS = 3_000
CHOSEN = "rgba(86, 180, 233, 0.25)"
#: Each point is the mean over this fraction of the recording: otherwise the curves would hide each other.
SMOOTHING_FRACTION = 60


def waveform_trace(recording: Recording) -> go.Scatter:
    """Return the lowest and highest sample of short blocks, as one filled outline."""
    step = max(1, len(recording.samples) // WAVEFORM_POINTS)
    whole = len(recording.samples) // step * step
    blocks = recording.samples[:whole].reshape(-1, step)
    times = (np.arange(len(blocks)) + 0.5) * step / recording.sample_rate_hz
    return go.Scatter(
        x=np.concatenate([times, times[::-1]]).round(5),
        y=np.concatenate([blocks.max(axis=1), blocks.min(axis=1)[::-1]]).round(4),
        fill="toself",
        fillcolor="#7f8fa6",
        line={"color": "#7f8fa6", "width": 0.6},
        hoverinfo="skip",
        showlegend=False,
    )


def stretch_chart(analysis: Analysis) -> go.Figure:
    """Draw the smoothed scores of a long recording, with the explained stretch shaded; a box chooses another."""
    segments, frames = analysis.segments, analysis.spectrogram.settings
    middles = frame_edge_s(segments.start_frames + segments.segment_frames / 2, frames)
    wide = max(1, len(middles) // SMOOTHING_FRACTION)
    count = np.convolve(np.ones(len(middles)), np.ones(wide), mode="same")
    figure = go.Figure()
    for index, emotion in enumerate(analysis.emotions):
        mean = np.convolve(analysis.scores.segments[:, index], np.ones(wide), mode="same") / count
        figure.add_scatter(
            x=middles.round(2),
            y=mean.round(3),
            name=t(emotion),
            line={"color": COLOURS[emotion], "width": 2},
            hovertemplate="%{x:.0f} s: " + t(emotion) + " %{y:.2f}<extra></extra>",
        )
    chosen = {"fillcolor": CHOSEN, "line": {"color": "rgb(86, 180, 233)", "width": 1}, "layer": "below"}
    figure.add_vrect(analysis.stretch.start_s, analysis.stretch.end_s, **chosen)
    figure.update_yaxes(title=t("Score"), range=[0, 1.02], tickvals=[0, 0.5, 1], gridcolor=axes.GREY, fixedrange=True)
    figure.update_xaxes(title=axes.time_title(analysis.recording))
    axes.set_time_layout(figure, analysis.recording.duration_s, 190)
    # A box sets the time range whatever its height.
    return figure.update_layout(dragmode="select", selectdirection="h", margin_t=34)


def hatching(frames: np.ndarray, settings: object, low: float, high: float) -> list[go.Scatter]:
    """Return hatched boxes over runs of True frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], frames, [False]]))).reshape(-1, 2)
    boxes = []
    for number, (start, end) in enumerate(edges):
        left, right = frame_edge_s(start, settings), frame_edge_s(end, settings)
        boxes.append(
            go.Scatter(
                x=[left, right, right, left, left],
                y=[low, low, high, high, low],
                fill="toself",
                fillpattern={"shape": "/", "size": 7, "fgcolor": "rgba(127,127,127,0.8)"},
                fillcolor="rgba(127,127,127,0.12)",
                mode="lines",
                line={"width": 0},
                name=t("not selected"),
                legendgroup="not selected",
                showlegend=number == 0,
                hoverinfo="skip",
            )
        )
    return boxes
