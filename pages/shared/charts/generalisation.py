"""Charts of a model's results on held-out people and corpora, with and without each voice's own normal."""

from typing import Any

import plotly.graph_objects as go

from pages.shared.charts import axes, evaluation
from pages.shared.language import t
from pages.shared.language.names import corpus_name, in_chart
from ser_core.learning.metrics import APART

#: Colour, symbol and dash of each test. With own normal, symbols are open and lines dotted, to do without colour.
STYLES = {
    "people": ("#0072B2", "circle", "solid"),
    "people_voice": ("#0072B2", "circle-open", "dot"),
    "corpora": ("#D55E00", "diamond", "solid"),
    "corpora_voice": ("#D55E00", "diamond-open", "dot"),
}
LISTENERS = (axes.REFERENCE, "star")
MEAN = "mean"
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
STEP = 0.17


def uar_chart(
    headlines: dict[str, dict[str, Any]],
    words: dict[str, str],
    corpora: list[str],
    chance: float,
    listeners: dict[str, float],
) -> go.Figure:
    """Draw the UAR of each corpus and their mean, with intervals, and the UAR of human `listeners` by corpus."""
    rows = [MEAN, *corpora]
    figure = go.Figure()
    for number, (test, headline) in enumerate(headlines.items()):
        figures = {MEAN: headline} | headline["by_corpus"]
        positions = {
            row: position + STEP * (number - (len(headlines) - 1) / 2)
            for position, row in enumerate(rows)
            if row in figures
        }
        figure.add_trace(_uar_trace(test, words[test], figures, positions))
    if listeners:
        figure.add_trace(
            go.Scatter(
                x=[100 * uar for uar in listeners.values()],
                y=[rows.index(corpus) + 0.42 for corpus in listeners],
                name=t("human listeners, voice alone"),
                mode="markers",
                marker={"color": LISTENERS[0], "symbol": LISTENERS[1], "size": 12},
                hovertemplate=t("listeners: {uar} %", uar="%{x:.1f}"),
            )
        )
    figure.add_vline(100 * chance, line={"dash": "dash", "color": axes.GREY}, annotation_text=t("chance"))
    figure.add_hline(0.5, line={"color": axes.GREY, "width": 1})
    apart = [number for number, row in enumerate(rows) if row in APART]
    if apart:
        figure.add_hline(apart[0] - 0.5, line={"color": axes.GREY, "width": 1})
    figure.update_xaxes(title=t("UAR (%)"), range=[0, 101], showgrid=True, gridcolor=axes.GREY, zeroline=False)
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[f"<b>{_row_words(MEAN)}</b>", *(_corpus_words(corpus) for corpus in corpora)],
        range=[len(rows) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )
    figure = axes.sized(figure, 150 + 70 * len(rows))
    return figure.update_layout(showlegend=True, legend=LEGEND, hovermode="closest")


def _uar_trace(test: str, name: str, figures: dict[str, dict[str, Any]], positions: dict[str, float]) -> go.Scatter:
    colour, symbol, _ = STYLES[test]
    uars = [100 * figures[row]["uar"] for row in positions]
    intervals = [[100 * end for end in figures[row]["interval"]] for row in positions]
    return go.Scatter(
        x=uars,
        y=list(positions.values()),
        name=name,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 11, "line": {"width": 2}},
        error_x=axes.error_bars(uars, intervals),
        customdata=[[_row_words(row), *interval] for row, interval in zip(positions, intervals, strict=True)],
        hovertemplate="%{customdata[0]}: "
        + t("{mean} % ({low} to {high})", mean="%{x:.1f}", low="%{customdata[1]:.0f}", high="%{customdata[2]:.0f}"),
    )


def _row_words(row: str) -> str:
    return t("mean") if row == MEAN else in_chart(row)


def _corpus_words(corpus: str) -> str:
    return in_chart(corpus_name(corpus)) + ("<br>" + t("(not in the mean)") if corpus in APART else "")


def reliability_chart(headlines: dict[str, dict[str, Any]], words: dict[str, str]) -> go.Figure:
    """Draw the accuracy against the best score, with equal weight for every corpus."""
    figure = go.Figure(evaluation.diagonal())
    for test, headline in headlines.items():
        colour, symbol, dash = STYLES[test]
        name = t(
            "{test}, error {percent:.1f} %", test=words[test], percent=100 * headline["expected_calibration_error"]
        )
        trace = evaluation.reliability_trace(headline["reliability"], (5, 14))
        figure.add_trace(trace.update(name=name, line={"color": colour, "dash": dash}, marker_symbol=symbol))
    figure.update_xaxes(title=t("Best score"), range=[0.2, 1.02], gridcolor=axes.GREY)
    figure.update_yaxes(title=t("Accuracy"), range=[0, 1.05], gridcolor=axes.GREY)
    return axes.sized(figure, 400).update_layout(showlegend=True, legend=LEGEND, hovermode="closest")


def abstention_chart(headlines: dict[str, dict[str, Any]], words: dict[str, str], measure: str) -> go.Figure:
    """Draw UAR or accuracy of the answered recordings, mean over corpora, against their share."""
    figure = go.Figure()
    for test, headline in headlines.items():
        colour, symbol, dash = STYLES[test]
        curve = headline["abstention"]
        figure.add_trace(
            go.Scatter(
                x=[point["answered"] for point in curve],
                y=[point[measure] for point in curve],
                name=words[test],
                mode="lines+markers",
                line={"color": colour, "dash": dash},
                marker={"symbol": symbol, "size": 8},
                customdata=[point["least_score"] for point in curve],
                hovertemplate=t(
                    "minimum score {score}: {answered} answered, {value}",
                    score="%{customdata:.2f}",
                    answered="%{x:.0%}",
                    value="%{y:.0%}",
                ),
            )
        )
    title = t("UAR of the answers") if measure == "uar" else t("Accuracy of the answers")
    figure.update_xaxes(title=t("Recordings answered"), tickformat=".0%", range=[0, 1.03], gridcolor=axes.GREY)
    figure.update_yaxes(title=title, tickformat=".0%", gridcolor=axes.GREY)
    return axes.sized(figure, 400).update_layout(showlegend=True, legend=LEGEND, hovermode="closest")
