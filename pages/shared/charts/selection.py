"""Charts of data selection: the selected segments of a recording, and the savings and costs in training."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.charts.experiments import NETWORKS
from pages.shared.charts.recording import waveform_trace
from pages.shared.language import t, texts
from ser_core.analysis import Analysis, frame_edge_s
from ser_core.analysis.emotions import COLOURS

SELECTED, DROPPED = "#0072B2", "#D55E00"
ALL, FEWER = axes.REFERENCE, "#0072B2"
RULES = texts(
    {
        "none": "all segments",
        "minmax": "data selection",
        "random": "random ones dropped",
        "quietest": "quietest ones dropped",
    }
)
BASELINES = texts({"random": "random segments", "quietest": "the quietest segments"})
#: An axis extends at least this many points to either side, so that small differences look small.
MIN_HALF_RANGE = 5


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
    for is_selected, name, colour in ((True, t("selected"), SELECTED), (False, t("dropped"), DROPPED)):
        x, y = [], []
        for index in np.flatnonzero(selected == is_selected):
            x += [starts[index], ends[index], None]
            y += [scores[index], scores[index], None]
        line = {"color": colour, "width": 6, "dash": "solid" if is_selected else "dot"}
        hover = "%{x:.2f} s: %{y:.2f}<extra>" + name + "</extra>"
        figure.add_trace(go.Scatter(x=x, y=y, name=name, mode="lines", line=line, hovertemplate=hover), 2, 1)
    for index in range(len(scores)):
        middle = (starts[index] + ends[index]) / 2
        # All numbers are in one row: beside its bar, a number could be hidden by a neighbour's.
        figure.add_annotation(x=middle, y=1.09, text=str(index + 1), showarrow=False, font_size=11, row=2, col=1)
    dashed = {"line_dash": "dash", "line_color": axes.REFERENCE}
    figure.add_hline(threshold, name=t("threshold"), showlegend=True, **dashed, row=2, col=1)
    low = min(-0.05, float(scores.min()) - 0.1, threshold - 0.05)
    figure.update_yaxes(title=t("Amplitude"), range=[-1, 1], tickvals=[-1, 0, 1], row=1, col=1)
    figure.update_yaxes(title=t("GDS score"), range=[low, 1.15], gridcolor=axes.GREY, row=2, col=1)
    figure.update_xaxes(title=axes.time_title(analysis.recording), row=2, col=1)
    for title in figure.layout.annotations[:2]:
        title.update(x=0, xanchor="left", font_size=13)
    axes.set_time_layout(figure, analysis.recording.duration_s, 460)
    figure.update_layout(legend={"y": -0.16, "yanchor": "top", "x": 0.5, "xanchor": "center"}, margin_b=84)
    return figure


def segment_times_s(analysis: Analysis) -> tuple[np.ndarray, np.ndarray]:
    """Return start and end of every segment in seconds."""
    settings, segments = analysis.spectrogram.settings, analysis.segments
    starts = frame_edge_s(segments.start_frames, settings)
    ends = frame_edge_s(segments.start_frames + segments.segment_frames, settings)
    return starts, np.minimum(ends, analysis.recording.duration_s)


# --- savings and costs in training ---


def saving_chart(rules: dict[str, Any]) -> go.Figure:
    """Draw the training segments that each rule selects, and the training time in minutes."""
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.1)
    columns = ((t("Segments"), "segments", 1, ",.0f"), (t("Training (min)"), "seconds", 1 / 60, ".1f"))
    for column, (title, key, unit, digits) in enumerate(columns, start=1):
        amounts = [unit * rule[key] for rule in rules.values()]
        figure.add_trace(
            go.Bar(
                y=[t(RULES[rule]) for rule in rules],
                x=amounts,
                orientation="h",
                marker_color=[ALL if rule == "none" else FEWER for rule in rules],
                text=[f"{amount:{digits}}{_change(amount, amounts[0])}" for amount in amounts],
                textposition="inside",
                insidetextanchor="end",
                insidetextfont_color="white",
                textangle=0,
                hovertemplate="%{y}: %{x:" + digits + "}<extra></extra>",
            ),
            1,
            column,
        )
        figure.update_xaxes(title=title, rangemode="tozero", nticks=3, row=1, col=column)
    figure.update_xaxes(axes.GRID)
    figure.update_yaxes(autorange="reversed")
    return axes.sized(figure, 70 + 44 * len(rules)).update_layout(margin_t=8)


def _change(amount: float, whole: float) -> str:
    change = 100 * (amount / whole - 1) if whole else 0
    return f" ({t('{value:+z.0f} %', value=change)})" if amount != whole else ""


def cost_chart(rules: dict[str, Any]) -> go.Figure:
    """Draw the UAR with each rule, and the paired difference from all segments with its interval, in points."""
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.1)
    fewer = {name: rule for name, rule in rules.items() if name != "none"}
    gains = np.array([100 * rule["gain"] for rule in fewer.values()])
    intervals = 100 * np.array([rule["interval"] for rule in fewer.values()], float).reshape(-1, 2)
    figure.add_trace(
        go.Scatter(
            y=[t(RULES[rule]) for rule in rules],
            x=[100 * rule["figures"]["mean_over_corpora_uar"] for rule in rules.values()],
            mode="markers+text",
            marker={"size": 11, "color": [ALL if rule == "none" else FEWER for rule in rules]},
            texttemplate="%{x:.1f}",
            textposition="top center",
            cliponaxis=False,
            hovertemplate="%{y}: " + t("UAR {uar} %", uar="%{x:.1f}") + "<extra></extra>",
        ),
        1,
        1,
    )
    figure.add_trace(
        go.Scatter(
            y=[t(RULES[rule]) for rule in fewer],
            x=gains,
            mode="markers",
            marker={"size": 11, "color": FEWER},
            error_x=axes.error_bars(gains, intervals),
            customdata=intervals,
            hovertemplate="%{y}: "
            + t(
                "{gain} points ({low} to {high})",
                gain="%{x:+.1f}",
                low="%{customdata[0]:+.1f}",
                high="%{customdata[1]:+.1f}",
            )
            + "<extra></extra>",
        ),
        1,
        2,
    )
    figure.add_vline(0, line_color=axes.REFERENCE, line_width=1.5, row=1, col=2)
    figure.update_xaxes(axes.GRID | {"nticks": 4})
    figure.update_xaxes(title=t("UAR (%)"), row=1, col=1)
    figure.update_xaxes(title=t("Difference (points)"), row=1, col=2)
    names = [t(RULES[rule]) for rule in rules]
    figure.update_yaxes(range=[len(rules) - 0.5, -0.5], categoryarray=names, showgrid=False)
    return axes.sized(figure, 70 + 44 * len(rules)).update_layout(margin_t=8)


def recalls_chart(before: dict[str, float], after: dict[str, float]) -> go.Figure:
    """Draw the recall of each emotion after training on all segments and on the selected ones."""
    figure = make_subplots()
    for emotion, recall in before.items():
        if recall is not None and after[emotion] is not None:
            _add_change(figure, t(emotion), 100 * recall, 100 * after[emotion], COLOURS[emotion])
    _add_legend_of_change(figure)
    figure.update_xaxes(axes.GRID | {"title": t("Recall (%)"), "range": [0, 100]})
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return axes.with_legend(axes.sized(figure, 90 + 40 * len(before)))


def networks_chart(results: dict[str, dict[str, Any]]) -> go.Figure:
    """Draw accuracy, UAR and macro F1 of each network before and after selection."""
    names = [network for network in NETWORKS if network in results]
    measured = np.array(
        [
            [_three_figures(results[network]["rules"][rule]["figures"]) for rule in ("none", "minmax")]
            for network in names
        ]
    )
    figure = make_subplots(cols=3, shared_yaxes=True, horizontal_spacing=0.05)
    for column, title in enumerate((t("Accuracy (%)"), t("UAR (%)"), t("Macro F1 (%)")), start=1):
        values = measured[:, :, column - 1]
        for network, (before, after) in zip(names, values, strict=True):
            _add_change(figure, t(NETWORKS[network]), before, after, FEWER, column)
        middle, half_range = (values.max() + values.min()) / 2, max(MIN_HALF_RANGE, np.ptp(values) / 2 + 1)
        limits = [middle - half_range, middle + half_range]
        figure.update_xaxes(axes.GRID | {"title": title, "range": limits, "nticks": 4}, row=1, col=column)
    _add_legend_of_change(figure)
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], showgrid=False)
    return axes.with_legend(axes.sized(figure, 94 + 52 * len(names)))


def _three_figures(figures: dict[str, Any]) -> tuple[float, float, float]:
    pooled = figures["pooled"]
    return 100 * pooled["accuracy"], 100 * figures["mean_over_corpora_uar"], 100 * pooled["macro_f1"]


def _add_change(figure: go.Figure, name: str, before: float, after: float, colour: str, column: int = 1) -> None:
    """Add a line from an open circle (before) to a filled one (after)."""
    figure.add_trace(
        go.Scatter(
            x=[before, after],
            y=[name, name],
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 12, "symbol": ["circle-open", "circle"], "line": {"width": 2, "color": colour}},
            cliponaxis=False,
            customdata=[t("before"), t("after selection")],
            hovertemplate="%{y}, %{customdata}: " + t("{percent} %", percent="%{x:.1f}") + "<extra></extra>",
            showlegend=False,
        ),
        1,
        column,
    )


def _add_legend_of_change(figure: go.Figure) -> None:
    for symbol, words in (("circle-open", t("before")), ("circle", t("after selection"))):
        marker = {"size": 12, "symbol": symbol, "color": ALL, "line": {"width": 2, "color": ALL}}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=words))
