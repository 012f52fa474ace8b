"""Charts of the agreement among annotators, and between explainers and annotators."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.charts.evaluation import invisible_markers
from pages.shared.charts.faithfulness import LINES
from pages.shared.language import number, plural, recognised, t, texts
from pages.shared.language.names import emotion_in_words, in_chart
from ser_core.annotations.agreement.bootstrap import Measured
from ser_core.annotations.agreement.human_agreement import ENERGY, MEASURES, MeasuredWithChance
from ser_core.annotations.agreement.label_agreement import NO_EMOTION, NO_MARK, LabelAgreement
from ser_core.explanation import METHOD_NAMES

#: Orange below chance, clear at chance, blue above.
BELOW_AND_ABOVE = [
    [0.0, "rgba(213,94,0,0.95)"],
    [0.5, "rgba(213,94,0,0.04)"],
    [0.5, "rgba(0,114,178,0.04)"],
    [1.0, "rgba(0,114,178,0.95)"],
]
SHARES = [[0.0, "rgba(0,114,178,0.04)"], [1.0, "rgba(0,114,178,0.95)"]]
LOUD, CHANCE = "#8a8a8a", axes.REFERENCE
TITLES = texts(
    {
        "focus_iou": "Overlap in time (IoU)",
        "box_iou": "Overlap of boxes (IoU)",
        "pointing": "Pointing game (hits)",
        "roc_area": "ROC area over time",
    }
)
#: Tooltip of a cell of a confusion matrix, by the unit that annotators label.
CELL = texts(
    {
        "recordings": "%{y}, labelled %{x} by the other: %{customdata} recordings",
        "frames": "%{y}, labelled %{x} by the other: %{customdata} frames",
    }
)


def agreement_matrix_chart(agreement: LabelAgreement, annotators: Sequence[str], dark: bool = False) -> go.Figure:
    """Draw Cohen's kappa of each pair with its interval; a tooltip says why a pair has none."""
    names = [_name(annotator) for annotator in annotators]
    kappas = agreement.cohen | {pair[::-1]: kappa for pair, kappa in agreement.cohen.items()}
    rows = [[kappas.get((one, other)) for other in annotators] for one in annotators]
    figure = go.Figure(
        go.Heatmap(
            z=[[None if kappa is None else kappa.value for kappa in row] for row in rows],
            x=names,
            y=names,
            text=[["" if kappa is None else _value_in_words(kappa, "<br>") for kappa in row] for row in rows],
            texttemplate="%{text}",
            textfont={"color": "white"} if dark else None,  # else plotly picks a colour for white paper
            customdata=[["" if kappa is None else _in_words(kappa) for kappa in row] for row in rows],
            hovertemplate=t("%{y} and %{x}: %{customdata}") + "<extra></extra>",
            colorscale=BELOW_AND_ABOVE,
            zmin=-1,
            zmax=1,
            colorbar={"title": t("Cohen's kappa"), "thickness": 12, "tickvals": [-1, 0, 1]},
        )
    )
    return _with_cell_layout(figure, t("Annotator"), t("Annotator"), len(names))


def annotator_confusion_chart(
    agreement: LabelAgreement, pair: tuple[str, str], units: str, dark: bool = False
) -> go.Figure:
    """Draw how the second annotator labelled the `units` ("recordings", "frames") by the label of the first.

    Cells are coloured by the share of their row and labelled with share and count.
    """
    counts, labels = agreement.confusion[pair], [in_chart(label_in_words(label)) for label in agreement.labels]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=labels,
            y=labels,
            text=[
                [t("{percent:.0f} %", percent=100 * share) + f"<br>{count}" for share, count in zip(*rows, strict=True)]
                for rows in zip(shares, counts, strict=True)
            ],
            texttemplate="%{text}",
            textfont={"color": "white"} if dark else None,
            customdata=counts,
            hovertemplate=t(CELL[units]) + "<extra></extra>",
            colorscale=SHARES,
            zmin=0,
            zmax=1,
            showscale=False,
        )
    )
    figure.add_trace(invisible_markers(labels, t("labelled by the other as")))
    return _with_cell_layout(figure, *(_name(annotator) for annotator in pair), len(labels))


def _with_cell_layout(figure: go.Figure, rows: str, columns: str, count: int) -> go.Figure:
    figure.update_yaxes(title=rows, type="category", range=[count - 0.5, -0.5], showgrid=False, fixedrange=True)
    figure.update_xaxes(title=columns, type="category", range=[-0.5, count - 0.5], showgrid=False, fixedrange=True)
    return axes.sized(figure, max(240, 110 + 56 * count))


def people_against_maps_chart(pooled: Mapping[str, Mapping[str, MeasuredWithChance]]) -> go.Figure:
    """Draw how well each explainer's map matches the marks, with intervals, next to loudness and chance.

    Measures without a value are left out.
    """
    shown = [m for m in MEASURES if any(found[m].value.value is not None for found in pooled.values())] or MEASURES
    figure = make_subplots(cols=len(shown), shared_yaxes=True, horizontal_spacing=0.04)
    methods = [map_name(method) for method in pooled]
    for column, measure in enumerate(shown, start=1):
        found = [each[measure] for each in pooled.values()]
        colours = [LOUD if method == ENERGY else LINES[method][0] for method in pooled]
        figure.add_trace(_dots(methods, [each.value for each in found], colours), 1, column)
        figure.add_trace(_ticks(methods, [each.by_chance for each in found], shown_in_legend=column == 1), 1, column)
        figure.update_xaxes(title=t(TITLES[measure]), row=1, col=column)
    figure.update_xaxes(range=[-0.03, 1.03], tickvals=[0, 0.5, 1], gridcolor=axes.GREY, zeroline=False)
    figure.update_yaxes(range=[len(methods) - 0.5, -0.5], showgrid=False)
    return axes.with_legend(axes.sized(figure, 130 + 40 * len(methods)))


def _dots(methods: list[str], found: Sequence[Measured], colours: list[str]) -> go.Scatter:
    values = [each.value for each in found]
    intervals = [each.interval or (each.value, each.value) for each in found]
    return go.Scatter(
        y=methods,
        x=values,
        mode="markers",
        marker={"size": 11, "color": colours},
        error_x=axes.error_bars(values, intervals) | {"color": CHANCE},
        customdata=[_in_words(each) for each in found],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
        showlegend=False,
    )


def _ticks(methods: list[str], by_chance: Sequence[Measured], *, shown_in_legend: bool) -> go.Scatter:
    return go.Scatter(
        y=methods,
        x=[each.value for each in by_chance],
        mode="markers",
        marker={"symbol": "line-ns", "size": 20, "line": {"width": 2, "color": CHANCE}},
        name=t("chance"),
        hovertemplate=t("%{y}, by chance: %{x:.2f}") + "<extra></extra>",
        showlegend=shown_in_legend,
    )


def _name(annotator: str) -> str:
    return in_chart(annotator) or t("(no name)")


def _value_in_words(found: Measured, between: str) -> str:
    """Return a value and its interval with two digits; an empty string if there is no value."""
    if found.value is None:
        return ""
    value = number(found.value, ".2f")
    return f"{value}{between}({interval_in_words(found.interval)})" if found.interval else value


def _in_words(found: Measured) -> str:
    if found.value is None:
        return recognised(found.reason)
    return plural(
        found.recordings, "{value}, {n} recording", "{value}, {n} recordings", value=_value_in_words(found, " ")
    )


def measured_in_words(found: Measured, unit: str = "") -> str:
    """Return a value and its interval: with two digits or, if it has a unit, as whole numbers."""
    if found.value is None:
        return "–"
    if not unit:
        return _value_in_words(found, " ")
    interval = f" ({interval_in_words(found.interval, 0)})" if found.interval else ""
    return f"{found.value:.0f} {unit}{interval}"


def interval_in_words(interval: tuple[float, float], digits: int = 2) -> str:
    """Return an interval with two digits, or as whole numbers."""
    words = t("{low:.2f} to {high:.2f}" if digits else "{low:.0f} to {high:.0f}", low=interval[0], high=interval[1])
    return words.replace("-", "\N{MINUS SIGN}")


def label_in_words(label: str) -> str:
    """Return a label of `LabelAgreement` in the visit's language."""
    return t(label) if label in (NO_EMOTION, NO_MARK) else emotion_in_words(label)


def map_name(method: str) -> str:
    """Return the name of the map of an explainer or of `ENERGY`."""
    return t(METHOD_NAMES[method]) if method in METHOD_NAMES else t("loudness")
