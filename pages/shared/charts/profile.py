"""The relevance profile over the waveform, with the focus regions numbered as in their list."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.charts.recording import hatching, waveform_trace
from ser_core.analysis import Analysis, Explanation
from ser_core.emotions import COLOURS


def profile_chart(analysis: Analysis, explanation: Explanation) -> go.Figure:
    """Draw waveform and profile; what is above zero is coloured, focus regions are shaded through both."""
    colour = COLOURS[analysis.emotion]
    figure = make_subplots(
        rows=2,
        shared_xaxes=True,
        vertical_spacing=0.1,
        row_heights=[0.4, 0.6],
        subplot_titles=("Waveform", f"Evidence for {analysis.emotion} over time, mean over frequency"),
    )
    figure.add_trace(waveform_trace(analysis.recording), 1, 1)
    times = analysis.spectrogram.frame_times_s
    for values, name, shade in (
        (np.maximum(analysis.profile, 0), "for", colour),
        (np.minimum(analysis.profile, 0), "against", "#8a9bb0"),
    ):
        figure.add_trace(
            go.Scatter(
                x=times,
                y=values,
                name=name,
                fill="tozeroy",
                line={"color": shade, "width": 1.5},
                showlegend=False,
                hovertemplate="%{x:.2f} s: %{y:.2g}<extra>" + name + "</extra>",
            ),
            2,
            1,
        )
    reach = float(np.abs(analysis.profile).max()) * 1.15 or 1.0
    for box in hatching(~explanation.covered, analysis.spectrogram.settings, -reach, reach):
        figure.add_trace(box, 2, 1)
    for number, focus in enumerate(analysis.focus, start=1):
        figure.add_vrect(
            focus.region.start_s, focus.region.end_s, fillcolor=colour, opacity=0.16, line_width=0, row="all", col=1
        )
        figure.add_annotation(
            x=(focus.region.start_s + focus.region.end_s) / 2,
            y=0.86,
            text=f"<b>{number}</b>",
            showarrow=False,
            row=1,
            col=1,
        )
    figure.update_yaxes(title="Amplitude", range=[-1, 1], tickvals=[-1, 0, 1], row=1, col=1)
    figure.update_yaxes(title="Relevance", range=[-reach, reach], gridcolor=axes.GREY, nticks=5, row=2, col=1)
    figure.update_xaxes(title="Time (s)", row=2, col=1)
    figure.update_traces(showlegend=False)
    titles = [a for a in figure.layout.annotations if a.xref.endswith("domain") or a.yref == "paper"]
    for title in titles:
        title.update(x=0, xanchor="left", font_size=13)
    return axes.finish(figure, analysis.recording.duration_s, 420)
