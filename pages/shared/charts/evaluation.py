"""Charts of a model: confusion matrix, calibration, abstention, learning curves and recall."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pages.shared.charts import axes
from pages.shared.language import t
from pages.shared.language.names import corpus_name, in_chart
from ser_core.analysis.emotions import COLOURS

LINE = "#0072B2"
CHOSEN = "#E69F00"


def confusion_chart(
    confusion: list[list[int]], emotions: tuple[str, ...], chosen: tuple[str, str] | None = None, dark: bool = False
) -> go.Figure:
    """Draw a confusion matrix: acted emotions in rows, cells coloured by the share of their row.

    Cells are labelled with share and count. The `chosen` cell, if any, is framed.
    """
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    words = [
        [t("{percent:.0f} %", percent=100 * s) + f"<br>{c}" for s, c in zip(*rows, strict=True)]
        for rows in zip(shares, counts, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=list(emotions),
            y=list(emotions),
            text=words,
            texttemplate="%{text}",
            textfont={"color": "white"} if dark else None,  # else plotly picks a colour for white paper
            colorscale=[[0, "rgba(0,114,178,0.04)"], [1, "rgba(0,114,178,0.95)"]],
            zmin=0,
            zmax=1,
            showscale=False,
            hoverinfo="skip",
        )
    )
    figure.add_trace(invisible_markers(emotions, t("predicted as")))
    if chosen is not None:
        column, row = emotions.index(chosen[1]), emotions.index(chosen[0])
        edges = {"x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5}
        figure.add_shape(type="rect", line={"color": CHOSEN, "width": 3}, **edges)
    # A click reports the model's own names of the emotions, in every language.
    ticks = {"tickvals": list(emotions), "ticktext": [t(emotion) for emotion in emotions]}
    figure.update_yaxes(title=t("Acted"), range=[len(emotions) - 0.5, -0.5], showgrid=False, fixedrange=True)
    figure.update_xaxes(title=t("Predicted"), range=[-0.5, len(emotions) - 0.5], showgrid=False, fixedrange=True)
    figure.update_yaxes(ticks).update_xaxes(ticks)
    return axes.sized(figure, 360).update_layout(hovermode="closest", hoverdistance=-1)


def invisible_markers(labels: Sequence[str], between: str) -> go.Scatter:
    """Return an invisible marker in every cell: Streamlit reports clicks on markers, but not on a heat map.

    The tooltip of a cell shows `between` between the labels of row and column.
    """
    invisible = {"marker": {"opacity": 0}}
    return go.Scatter(
        x=[column for _ in labels for column in labels],
        y=[row for row in labels for _ in labels],
        mode="markers",
        marker={"symbol": "square", "size": 30, "opacity": 0},
        selected=invisible,
        unselected=invisible,
        hovertemplate="%{y}, " + between + " %{x}<br>" + t("Click to list the recordings") + "<extra></extra>",
    )


def calibration_chart(calibration: dict[str, Any]) -> go.Figure:
    """Draw the accuracy against the best score; a calibrated model lies on the diagonal."""
    trace = reliability_trace(calibration["bins"], (6, 28))
    trace.update(line_color=LINE, hovertemplate=trace.hovertemplate + "<extra></extra>")
    figure = go.Figure([diagonal(), trace])
    figure.update_xaxes(title=t("Best score"), range=[0.2, 1], gridcolor=axes.GREY)
    figure.update_yaxes(title=t("Accuracy"), range=[0, 1.08], gridcolor=axes.GREY)
    return axes.sized(figure, 360)


def diagonal() -> go.Scatter:
    """Return the line on which a calibrated model lies."""
    line = {"dash": "dash", "color": axes.REFERENCE}
    return go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, showlegend=False, hoverinfo="skip")


def reliability_trace(bins: list[dict[str, float]], sizes: tuple[float, float]) -> go.Scatter:
    """Return the accuracy in each bin of the best score, with larger markers for bins with more recordings."""
    recordings = np.array([b["recordings"] for b in bins])
    smallest, largest = sizes
    return go.Scatter(
        x=[b["score"] for b in bins],
        y=[b["accuracy"] for b in bins],
        mode="lines+markers",
        marker={"size": smallest + (largest - smallest) * np.sqrt(recordings / recordings.max())},
        customdata=recordings,
        hovertemplate=t(
            "score {score}: accuracy {accuracy}, {n} recordings",
            score="%{x:.2f}",
            accuracy="%{y:.2f}",
            n="%{customdata}",
        ),
    )


def abstention_chart(curve: list[dict[str, float]]) -> go.Figure:
    """Draw the accuracy of the answered recordings against their share."""
    figure = go.Figure(
        go.Scatter(
            x=[point["answered"] for point in curve],
            y=[point["accuracy"] for point in curve],
            mode="lines+markers",
            line={"color": LINE},
            customdata=[point["least_score"] for point in curve],
            hovertemplate=t(
                "minimum score {score}: {answered} answered, {correct} correct",
                score="%{customdata:.2f}",
                answered="%{x:.0%}",
                correct="%{y:.0%}",
            )
            + "<extra></extra>",
        )
    )
    figure.update_xaxes(title=t("Recordings answered"), tickformat=".0%", range=[0, 1.03], gridcolor=axes.GREY)
    figure.update_yaxes(title=t("Accuracy of the answers"), tickformat=".0%", gridcolor=axes.GREY)
    return axes.sized(figure, 360)


def history_chart(history: dict[str, list[dict[str, float]]]) -> go.Figure:
    """Draw the validation UAR of each branch by epoch."""
    figure = go.Figure()
    for (branch, epochs), colour in zip(history.items(), (LINE, "#D55E00", "#009E73"), strict=False):
        if len(epochs) > 1:
            x, y = [e["epoch"] for e in epochs], [e["validation_uar"] for e in epochs]
            figure.add_trace(go.Scatter(x=x, y=y, name=branch, mode="lines+markers", line={"color": colour}))
    figure.update_xaxes(title=t("Epoch"), gridcolor=axes.GREY)
    figure.update_yaxes(title=t("Validation UAR"), tickformat=".0%", gridcolor=axes.GREY)
    return axes.sized(figure, 360).update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    )


def recall_chart(figures: dict[str, dict[str, Any]], emotions: tuple[str, ...]) -> go.Figure:
    """Draw the recall of each emotion in each corpus."""
    figure = go.Figure()
    for emotion in emotions:
        recalls = [f["recall"][emotion] for f in figures.values()]
        figure.add_trace(
            go.Bar(
                x=[in_chart(corpus_name(name)) for name in figures],
                y=recalls,
                name=t(emotion),
                marker_color=COLOURS[emotion],
                hovertemplate="%{x}, " + t(emotion) + ": %{y:.0%}<extra></extra>",
            )
        )
    figure.add_hline(1 / len(emotions), line_dash="dash", line_color=axes.REFERENCE)
    figure.update_yaxes(title=t("Recall"), tickformat=".0%", range=[0, 1], gridcolor=axes.GREY)
    return axes.sized(figure, 360).update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    )
