"""Charts of the experiments: peers, frequency bands, branches, robustness, and content against voice."""

from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.language import number, recognised, t, texts
from pages.shared.language.names import corpus_name, in_chart
from ser_core.analysis.emotions import COLOURS
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.model import networks
from ser_core.settings import SpectrogramSettings

NETWORKS = texts({"vggish": "VGGish", "yamnet": "YAMNet", "fusion": "fusion"})
MODELS = (("#0072B2", "circle"), ("#D55E00", "square"), ("#009E73", "diamond"), ("#CC79A7", "cross"), ("#B7A800", "x"))
OURS, PEERS = "#0072B2", axes.REFERENCE


def peers_chart(models: dict[str, Any]) -> go.Figure:
    """Draw the UAR of models with its interval, in the order of `models`; our own networks in colour."""
    names = list(models)
    figure = go.Figure()
    for label, colour, ours in ((t("ours"), OURS, True), (t("peers"), PEERS, False)):
        group = [name for name in names if (models[name]["architecture"] in networks.NETWORKS) == ours]
        uars = [100 * models[name]["uar"] for name in group]
        intervals = [100 * np.array(models[name]["interval"]) for name in group]
        figure.add_trace(
            go.Scatter(
                x=uars,
                y=[in_chart(name) for name in group],
                name=label,
                mode="markers+text",
                text=[number(uar, ".1f") for uar in uars],
                textposition="top center",
                marker={"color": colour, "size": 10, "symbol": "circle" if ours else "diamond"},
                error_x=axes.error_bars(uars, intervals),
                hovertemplate="%{y}: " + t("{percent} %", percent="%{x:.1f}") + "<extra></extra>",
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
    figure.update_xaxes(axes.bands_axis(centres) | axes.GRID | {"title": None})
    figure.update_xaxes(title="Hz", row=2, col=1)
    figure.update_yaxes(axes.GRID | {"title": t("Share of the relevance (%)")}, row=1, col=1)
    figure.update_yaxes(range=[len(emotions) - 0.5, -0.5], showgrid=False, row=2, col=1)
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    return axes.with_legend(axes.sized(figure, 400 + 22 * len(emotions)))


def _shares_trace(emotion: str, found: dict[str, Any], centres: np.ndarray) -> go.Scatter:
    return go.Scatter(
        x=np.arange(len(centres)),
        y=100 * np.array(found["share"], float),
        name=t(emotion),
        line={"color": COLOURS[emotion], "width": 2.5},
        customdata=centres,
        hovertemplate=t(emotion)
        + ", %{customdata:.0f} Hz: "
        + t("{percent} %", percent="%{y:+.2f}")
        + "<extra></extra>",
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
    """Draw a branch's Grad-CAM map in its own cells, divided by the strongest, over one segment."""
    cells = np.array(map_, float)
    scaled = cells / (np.abs(cells).max() or 1.0)
    title, hover = t("evidence, relative to the strongest"), t("relevance {x}", x="%{z:+.2f}")
    figure = _patch(log_mel, scaled, axes.FOR_AND_AGAINST, title, hover)
    bar = {"tickvals": [-1, 0, 1], "ticktext": [t("against"), "0", t("for")]}
    return figure.update_traces(zmin=-1, zmax=1, xgap=1, ygap=1, colorbar=bar)


def _patch(log_mel: list[list[float]], cells: Any, colours: Any, title: str, hover: str) -> go.Figure:
    """Draw cells (time, frequency) of any size over the time and bands of one segment."""
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
    figure.update_xaxes(axes.GRID | {"title": t("UAR, mean over corpora (%)")})
    figure.update_yaxes(
        range=[len(conditions) - 0.5, -0.5],
        categoryorder="array",
        categoryarray=[_condition(condition) for condition in conditions],
        gridcolor=axes.GREY,
    )
    return axes.with_legend(axes.sized(figure, 90 + 34 * len(conditions)))


def _condition(name: str) -> str:
    return in_chart(recognised(name))


def _corpora_in_words(uars: dict[str, float]) -> str:
    return "<br>".join(
        f"{in_chart(corpus_name(corpus))} {t('{percent:.1f} %', percent=100 * uar)}" for corpus, uar in uars.items()
    )


def content_chart(results: dict[str, dict[str, Any]]) -> go.Figure:
    """Draw the word error rate and the UAR of each model under each condition, with their intervals."""
    conditions = list(dict.fromkeys(name for result in results.values() for name in result["conditions"]))
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.08)
    for (model, result), (colour, symbol) in zip(results.items(), cycle(MODELS), strict=False):
        shift = (list(results).index(model) - (len(results) - 1) / 2) * 0.22
        for column, name in enumerate(("word_error_rate", "uar"), start=1):
            measured = 100 * np.array([condition[name] for condition in result["conditions"].values()], float)
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
    figure.update_xaxes(axes.GRID | {"range": [0, 108], "tickvals": [0, 25, 50, 75, 100]})
    figure.update_xaxes(title=t("Word error rate (%)"), row=1, col=1)
    figure.update_xaxes(title=t("UAR (%); dotted: chance"), row=1, col=2)
    labels = [_condition(condition) for condition in conditions]
    figure.update_yaxes(
        range=[len(labels) - 0.5, -0.5], tickvals=list(range(len(labels))), ticktext=labels, gridcolor=axes.GREY
    )
    return axes.with_legend(axes.sized(figure, 90 + 44 * len(conditions)))
