"""Deletion and insertion curves of the maps, next to the curves of maps that do not depend on the model."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.language import t
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.faithfulness import Curves
from ser_core.explanation.judgement import Judgement

#: Colour-blind safe (Okabe and Ito).
LINES = {
    "time_consensus": ("#8C6D31", "solid"),
    "lime_time": ("#56B4E9", "solid"),
    "one_pass": ("#D55E00", "solid"),
    "grad_cam": ("#0072B2", "solid"),
    "lime": ("#E69F00", "solid"),
    "occlusion": ("#009E73", "solid"),
    "consensus": ("#CC79A7", "solid"),
}


def curves_chart(judged: Judgement) -> go.Figure:
    """Draw the evidence over the share of cells removed (left) and inserted (right)."""
    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05, subplot_titles=(t("removed"), t("inserted"))
    )
    for number, curves in enumerate(judged.random):
        _add(figure, curves, t("random maps"), axes.GREY, "solid", in_legend=number == 0)
    _add(figure, judged.energy, t("loudness"), "#8a8a8a", "dash", in_legend=True)
    for method, curves in judged.curves.items():
        _add(figure, curves, t(METHOD_NAMES[method]), *LINES[method], in_legend=True)
    figure.update_xaxes(
        title=t("share of the cells (%)"), range=[0, 100], showgrid=False, zeroline=False, ticks="outside"
    )
    figure.update_yaxes(gridcolor=axes.GREY, zerolinecolor=axes.GREY)
    figure.update_yaxes(title=t("evidence (log-odds)"), col=1)
    axes.sized(figure, 340)
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.25, "x": 0}, margin={"b": 90})


def _add(figure: go.Figure, curves: Curves, name: str, colour: str, dash: str, *, in_legend: bool) -> None:
    for column, values in ((1, curves.deletion), (2, curves.insertion)):
        figure.add_trace(
            go.Scatter(
                x=100 * curves.shares,
                y=values,
                name=name,
                legendgroup=name,
                showlegend=in_legend and column == 1,
                line={"color": colour, "dash": dash, "width": 2},
                hovertemplate=t("{percent} %", percent="%{x:.0f}") + ": %{y:.2f}<extra>" + name + "</extra>",
            ),
            1,
            column,
        )
