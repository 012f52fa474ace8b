"""Charts of a corpus: recordings by emotion and speaker, and their durations."""

import plotly.graph_objects as go

from pages.shared.charts import axes
from pages.shared.language import t
from pages.shared.language.names import in_chart
from ser_core.analysis.emotions import COLOURS
from ser_core.corpora.overview import CorpusOverview


def emotions_chart(overview: CorpusOverview) -> go.Figure:
    """Draw the number of recordings by emotion."""
    figure = go.Figure(
        go.Bar(
            y=[t(emotion) for emotion in overview.emotions],
            x=overview.counts.sum(axis=0).tolist(),
            orientation="h",
            marker_color=[COLOURS[emotion] for emotion in overview.emotions],
            texttemplate="%{x}",
            textposition="outside",
            cliponaxis=False,
            hovertemplate=t("{where}: {n} recordings", where="%{y}", n="%{x}") + "<extra></extra>",
        )
    )
    figure.update_xaxes(title=t("Recordings"), showgrid=False)
    figure.update_yaxes(autorange="reversed")
    return axes.sized(figure, _height(overview))


def speakers_chart(overview: CorpusOverview) -> go.Figure:
    """Draw the number of recordings by speaker and emotion; the speaker with the most is on the left."""
    names = [in_chart(name.removeprefix(f"{overview.corpus.name}:")) for name in overview.speakers]
    figure = go.Figure()
    for index, emotion in enumerate(overview.emotions):
        figure.add_trace(
            go.Bar(
                x=names,
                y=overview.counts[:, index].tolist(),
                name=t(emotion),
                marker_color=COLOURS[emotion],
                hovertemplate=t("{where}: {n} recordings", where="%{x}, " + t(emotion), n="%{y}") + "<extra></extra>",
            )
        )
    figure.update_xaxes(title=t("Speaker"), type="category")  # speakers are categories even if all names are numbers
    figure.update_yaxes(title=t("Recordings"), gridcolor=axes.GREY)
    return axes.sized(figure, 360).update_layout(
        barmode="stack",
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
    )


def durations_chart(overview: CorpusOverview) -> go.Figure:
    """Draw the durations by emotion: median, quartiles and outliers, in seconds."""
    figure = go.Figure()
    recordings = overview.corpus.recordings
    for emotion in overview.emotions:
        figure.add_trace(
            go.Box(
                x=overview.durations_s[[item.emotion == emotion for item in recordings]].round(3),
                name=t(emotion),
                marker={"color": COLOURS[emotion], "size": 3},
                line_width=1.5,
            )
        )
    figure.update_xaxes(
        title=t("Duration (s)"), rangemode="tozero", hoverformat=".2f", showgrid=True, gridcolor=axes.GREY
    )
    figure.update_yaxes(autorange="reversed")
    return axes.sized(figure, _height(overview))


def _height(overview: CorpusOverview) -> int:
    """Return a height in pixels that gives every emotion the same row height in every corpus."""
    return 90 + 34 * len(overview.emotions)
