"""Chart of all models in the same test."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from pages.shared.charts import axes
from pages.shared.language import number, t
from pages.shared.language.names import in_chart
from ser_core.model.networks import NETWORKS

OURS, PEERS = "#0072B2", axes.REFERENCE


def uar_chart(models: dict[str, Any]) -> go.Figure:
    """Draw the UAR of models with its interval, in the given order; our own networks in colour."""
    names = list(models)
    figure = go.Figure()
    for words, colour, ours in ((t("ours"), OURS, True), (t("peers"), PEERS, False)):
        chosen = [name for name in names if (models[name]["architecture"] in NETWORKS) == ours]
        uars = [100 * models[name]["uar"] for name in chosen]
        intervals = [100 * np.array(models[name]["interval"]) for name in chosen]
        figure.add_trace(
            go.Scatter(
                x=uars,
                y=[in_chart(name) for name in chosen],
                name=words,
                mode="markers+text",
                text=[number(uar, ".1f") for uar in uars],
                textposition="top center",
                marker={"color": colour, "size": 10, "symbol": "circle" if ours else "diamond"},
                error_x=axes.error_bars(uars, intervals),
                hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
            )
        )
    chance = 100 / len(next(iter(models.values()))["recall"])
    figure.add_vline(chance, line={"dash": "dash", "color": axes.GREY}, annotation_text=t("chance"))
    lowest = min(chance, *(100 * model["interval"][0] for model in models.values()))
    highest = max(100 * model["interval"][1] for model in models.values())
    figure.update_xaxes(title=t("UAR, mean over corpora (%)"), range=[lowest - 2, highest + 2])
    figure.update_xaxes(showgrid=True, gridcolor=axes.GREY, zeroline=False)
    figure.update_yaxes(categoryorder="array", categoryarray=[in_chart(name) for name in reversed(names)])
    figure = axes.sized(figure, 110 + 30 * len(names))
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1, "yanchor": "bottom"})
