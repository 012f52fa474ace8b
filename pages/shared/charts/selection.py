"""Chart of the segments that data selection selects and drops, under the waveform."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.charts.recording import waveform_trace
from pages.shared.language import t
from ser_core.analysis import Analysis, frame_edge_s

SELECTED, DROPPED = "#0072B2", "#D55E00"


def selection_chart(analysis: Analysis, scores: np.ndarray, selected: np.ndarray, threshold: float) -> go.Figure:
    """Draw each segment's similarity to the others as a bar from its start to its end, numbered as in the list."""
    figure = make_subplots(
        rows=2,
        shared_xaxes=True,
        vertical_spacing=0.1,
        row_heights=[0.35, 0.65],
        subplot_titles=(t("Waveform"), t("Similarity of each segment to the others")),
    )
    figure.add_trace(waveform_trace(analysis.recording), 1, 1)
    starts, ends = segment_times_s(analysis)
    for wanted, name, colour in ((True, t("selected"), SELECTED), (False, t("dropped"), DROPPED)):
        x, y = [], []
        for index in np.flatnonzero(selected == wanted):
            x += [starts[index], ends[index], None]
            y += [scores[index], scores[index], None]
        line = {"color": colour, "width": 6, "dash": "solid" if wanted else "dot"}
        hover = "%{x:.2f} s: %{y:.2f}<extra>" + name + "</extra>"
        figure.add_trace(go.Scatter(x=x, y=y, name=name, mode="lines", line=line, hovertemplate=hover), 2, 1)
    for index in range(len(scores)):
        middle = (starts[index] + ends[index]) / 2
        # In a row of their own: beside its bar, a number would lie under that of a neighbour.
        figure.add_annotation(x=middle, y=1.09, text=str(index + 1), showarrow=False, font_size=11, row=2, col=1)
    dashed = {"line_dash": "dash", "line_color": axes.REFERENCE}
    figure.add_hline(threshold, name=t("threshold"), showlegend=True, **dashed, row=2, col=1)
    low = min(-0.05, float(scores.min()) - 0.1, threshold - 0.05)
    figure.update_yaxes(title=t("Amplitude"), range=[-1, 1], tickvals=[-1, 0, 1], row=1, col=1)
    figure.update_yaxes(title=t("GDS score"), range=[low, 1.15], gridcolor=axes.GREY, row=2, col=1)
    figure.update_xaxes(title=axes.time_title(analysis.recording), row=2, col=1)
    for title in figure.layout.annotations[:2]:
        title.update(x=0, xanchor="left", font_size=13)
    axes.finish(figure, analysis.recording.duration_s, 460)
    figure.update_layout(legend={"y": -0.16, "yanchor": "top", "x": 0.5, "xanchor": "center"}, margin_b=84)
    return figure


def segment_times_s(analysis: Analysis) -> tuple[np.ndarray, np.ndarray]:
    """Return start and end of every segment in seconds."""
    settings, segments = analysis.spectrogram.settings, analysis.segments
    starts = frame_edge_s(segments.start_frames, settings)
    ends = frame_edge_s(segments.start_frames + segments.segment_frames, settings)
    return starts, np.minimum(ends, analysis.recording.duration_s)
