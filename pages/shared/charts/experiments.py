"""Charts of the experiments: data selection, frequency bands, branches, robustness, and content against voice."""

from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.language import recognised, t, texts
from pages.shared.language.names import corpus_name, in_chart
from ser_core.analysis.emotions import COLOURS
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.settings import SpectrogramSettings

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
NETWORKS = texts({"vggish": "VGGish", "yamnet": "YAMNet", "fusion": "fusion"})
MODELS = (("#0072B2", "circle"), ("#D55E00", "square"), ("#009E73", "diamond"), ("#CC79A7", "cross"), ("#B7A800", "x"))
#: An axis reaches at least this many points to either side, so that small differences look small.
LEAST_REACH = 5
GRID = {"showgrid": True, "gridcolor": axes.GREY, "zeroline": False}


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
    figure.update_xaxes(GRID)
    figure.update_yaxes(autorange="reversed")
    return axes.sized(figure, 70 + 44 * len(rules)).update_layout(margin_t=8)


def _change(amount: float, whole: float) -> str:
    change = 100 * (amount / whole - 1) if whole else 0
    return f" ({change:+.0f} %)".replace("-", "\N{MINUS SIGN}") if amount != whole else ""


def cost_chart(rules: dict[str, Any]) -> go.Figure:
    """Draw the UAR with each rule, and its paired difference to all segments with interval, in points."""
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
    figure.update_xaxes(GRID | {"nticks": 4})
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
    figure.update_xaxes(GRID | {"title": t("Recall (%)"), "range": [0, 100]})
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return _with_legend(axes.sized(figure, 90 + 40 * len(before)))


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
        middle, reach = (values.max() + values.min()) / 2, max(LEAST_REACH, np.ptp(values) / 2 + 1)
        shown = [middle - reach, middle + reach]
        figure.update_xaxes(GRID | {"title": title, "range": shown, "nticks": 4}, row=1, col=column)
    _add_legend_of_change(figure)
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], showgrid=False)
    return _with_legend(axes.sized(figure, 94 + 52 * len(names)))


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
            hovertemplate="%{y}, %{customdata}: %{x:.1f} %<extra></extra>",
            showlegend=False,
        ),
        1,
        column,
    )


def _add_legend_of_change(figure: go.Figure) -> None:
    for symbol, words in (("circle-open", t("before")), ("circle", t("after selection"))):
        marker = {"size": 12, "symbol": symbol, "color": ALL, "line": {"width": 2, "color": ALL}}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=words))


def _with_legend(figure: go.Figure) -> go.Figure:
    return figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False},
    )


def bands_chart(result: dict[str, Any]) -> go.Figure:
    """Draw each band's share of the relevance by emotion, and the centre of the positive relevance."""
    centres = np.array(result["band_hz"], float)
    emotions = result["emotions"]
    figure = make_subplots(
        rows=2,
        shared_xaxes=True,
        vertical_spacing=0.12,
        row_heights=[0.68, 0.32],
        subplot_titles=("", t("Centre of the evidence for each emotion")),
    )
    for emotion, found in emotions.items():
        figure.add_trace(_shares_trace(emotion, found, centres), 1, 1)
        figure.add_trace(_centre_trace(emotion, found, centres), 2, 1)
    figure.add_hline(0, line_color=axes.REFERENCE, line_width=1.5, row=1, col=1)
    figure.update_xaxes(axes.bands_axis(centres) | GRID | {"title": None})
    figure.update_xaxes(title="Hz", row=2, col=1)
    figure.update_yaxes(GRID | {"title": t("Share of the relevance (%)")}, row=1, col=1)
    figure.update_yaxes(range=[len(emotions) - 0.5, -0.5], showgrid=False, row=2, col=1)
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    return _with_legend(axes.sized(figure, 400 + 22 * len(emotions)))


def _shares_trace(emotion: str, found: dict[str, Any], centres: np.ndarray) -> go.Scatter:
    return go.Scatter(
        x=np.arange(len(centres)),
        y=100 * np.array(found["share"], float),
        name=t(emotion),
        line={"color": COLOURS[emotion], "width": 2.5},
        customdata=centres,
        hovertemplate=t(emotion) + ", %{customdata:.0f} Hz: %{y:+.2f} %<extra></extra>",
    )


def _centre_trace(emotion: str, found: dict[str, Any], centres: np.ndarray) -> go.Scatter:
    centre_and_interval = [found["centre_hz"], *found["interval"]]
    centre, *interval = np.interp(centre_and_interval, centres, np.arange(len(centres)))
    return go.Scatter(
        x=[centre],
        y=[t(emotion)],
        marker={"color": COLOURS[emotion], "size": 11},
        error_x=axes.error_bars([centre], [interval]),
        customdata=[centre_and_interval],
        hovertemplate=t(
            "{emotion}: {centre} Hz ({low} to {high} Hz)",
            emotion="%{y}",
            centre="%{customdata[0]:.0f}",
            low="%{customdata[1]:.0f}",
            high="%{customdata[2]:.0f}",
        )
        + "<extra></extra>",
        showlegend=False,
    )


def segment_chart(log_mel: list[list[float]]) -> go.Figure:
    """Draw a segment's log-mel spectrogram."""
    levels = axes.NEPER_IN_DB * np.array(log_mel, float)
    return _patch(log_mel, levels, axes.MAGMA, t("log-mel (dB)"), "%{z:.0f} dB")


def branch_chart(log_mel: list[list[float]], map_: list[list[float]]) -> go.Figure:
    """Draw a branch's Grad-CAM map in its own cells, divided by its strongest, over one segment."""
    cells = np.array(map_, float)
    scaled = cells / (np.abs(cells).max() or 1.0)
    title, hover = t("evidence, relative to the strongest"), t("relevance {x}", x="%{z:+.2f}")
    figure = _patch(log_mel, scaled, axes.FOR_AND_AGAINST, title, hover)
    bar = {"tickvals": [-1, 0, 1], "ticktext": [t("against"), "0", t("for")]}
    return figure.update_traces(zmin=-1, zmax=1, xgap=1, ygap=1, colorbar=bar)


def _patch(log_mel: list[list[float]], cells: Any, colours: Any, title: str, hover: str) -> go.Figure:
    """Draw any number of cells (time, frequency) over the time and bands of one segment."""
    settings = SpectrogramSettings()
    frames, bands = np.array(log_mel, float).shape
    cells = np.array(cells, float)
    seconds = frames * settings.hop_samples / settings.sample_rate_hz
    figure = go.Figure(
        go.Heatmap(
            x=np.linspace(0, seconds, len(cells) + 1),
            y=np.linspace(-0.5, bands - 0.5, cells.shape[1] + 1),
            z=cells.T,
            colorscale=colours,
            colorbar={
                "orientation": "h",
                "y": -0.28,
                "yanchor": "top",
                "thickness": 12,
                "title": {"text": title, "side": "bottom"},
            },
            hovertemplate="%{x:.2f} s<br>" + hover + "<extra></extra>",
        )
    )
    centres = band_centres_hz(settings)
    figure.update_xaxes(title=t("Time (s)"), range=[0, seconds], dtick=0.24, showgrid=False, zeroline=False)
    figure.update_yaxes(axes.bands_axis(centres) | {"range": [-0.5, bands - 0.5]})
    return axes.sized(figure, 380).update_layout(margin={"t": 8, "b": 110})


def robustness_chart(results: dict[str, dict[str, Any]]) -> go.Figure:
    """Draw the UAR of each model, mean over corpora, as recorded and under each degradation."""
    conditions = list(dict.fromkeys(name for result in results.values() for name in result["conditions"]))
    figure = go.Figure()
    for (model, result), (colour, symbol) in zip(results.items(), cycle(MODELS), strict=False):
        measured = result["conditions"]
        figure.add_trace(
            go.Scatter(
                y=[_condition(condition) for condition in measured],
                x=[100 * found["mean_over_corpora_uar"] for found in measured.values()],
                name=in_chart(model),
                mode="markers",
                marker={"size": 12, "color": colour, "symbol": symbol},
                customdata=[_corpora_in_words(found["corpora"]) for found in measured.values()],
                hovertemplate="%{y}: "
                + t("UAR {uar} %", uar="%{x:.1f}")
                + f"<br>%{{customdata}}<extra>{in_chart(model)}</extra>",
            )
        )
    figure.update_xaxes(GRID | {"title": t("UAR, mean over corpora (%)")})
    figure.update_yaxes(
        range=[len(conditions) - 0.5, -0.5],
        categoryorder="array",
        categoryarray=[_condition(condition) for condition in conditions],
        gridcolor=axes.GREY,
    )
    return _with_legend(axes.sized(figure, 90 + 34 * len(conditions)))


def _condition(name: str) -> str:
    return in_chart(recognised(name))


def _corpora_in_words(uars: dict[str, float]) -> str:
    return "<br>".join(f"{in_chart(corpus_name(corpus))} {100 * uar:.1f} %" for corpus, uar in uars.items())


def content_chart(results: dict[str, dict[str, Any]]) -> go.Figure:
    """Draw the word error rate and the UAR of each model under each condition, with their intervals."""
    conditions = list(dict.fromkeys(name for result in results.values() for name in result["conditions"]))
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.08)
    for (model, result), (colour, symbol) in zip(results.items(), cycle(MODELS), strict=False):
        shift = (list(results).index(model) - (len(results) - 1) / 2) * 0.22
        for column, name in enumerate(("word_error_rate", "uar"), start=1):
            measured = 100 * np.array([of[name] for of in result["conditions"].values()], float)
            mean, intervals = measured[:, 0], measured[:, 1:]
            figure.add_trace(
                go.Scatter(
                    y=[conditions.index(condition) + shift for condition in result["conditions"]],
                    x=mean,
                    name=in_chart(model),
                    mode="markers",
                    marker={"size": 11, "color": colour, "symbol": symbol},
                    error_x=axes.error_bars(mean, intervals),
                    customdata=intervals,
                    hovertemplate=t(
                        "{mean} % ({low} to {high})",
                        mean="%{x:.0f}",
                        low="%{customdata[0]:.0f}",
                        high="%{customdata[1]:.0f}",
                    ),
                    cliponaxis=False,
                    showlegend=column == 2 and len(results) > 1,
                ),
                1,
                column,
            )
    chance = 100 / len(next(iter(results.values()))["emotions"])
    figure.add_vline(chance, line_color=axes.REFERENCE, line_width=1.5, line_dash="dot", row=1, col=2)
    figure.update_xaxes(GRID | {"range": [0, 108], "tickvals": [0, 25, 50, 75, 100]})
    figure.update_xaxes(title=t("Word error rate (%)"), row=1, col=1)
    figure.update_xaxes(title=t("UAR (%); dotted: chance"), row=1, col=2)
    labels = [_condition(condition) for condition in conditions]
    figure.update_yaxes(
        range=[len(labels) - 0.5, -0.5], tickvals=list(range(len(labels))), ticktext=labels, gridcolor=axes.GREY
    )
    return _with_legend(axes.sized(figure, 90 + 44 * len(conditions)))
