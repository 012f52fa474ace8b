"""Axes and colours of all charts: seconds below, mel-spaced Hz on the left, light and dark theme."""

from collections.abc import Sequence

import numpy as np
import pandas  # noqa: F401 - Plotly would use a pandas that another thread has only half imported
import plotly.colors
import plotly.graph_objects as go

from pages.shared.language import language, separators, t, texts
from ser_core.analysis import Recording, Spectrogram, clock
from ser_core.front_end.spectrogram import NEPER_IN_DB, band_centres_hz

TICKS_HZ = (250, 500, 1_000, 2_000, 4_000, 7_000)
MAX_COLUMNS = 1_600
#: Pixels at the left of the player's lanes (player/js/view.js), so that charts and player share a time axis.
PLAYER_GUTTER = 58

#: Dragging zooms and a double click zooms out; more buttons would hide the title on a phone.
REMOVED_BUTTONS = ("zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d")

#: What Plotly writes itself: the names of its buttons, and what it says after zooming and about a picture.
PLOTLY_TEXTS = texts(
    (
        "Autoscale",
        "Box Select",
        "Download plot as a PNG",
        "Lasso Select",
        "Pan",
        "Reset axes",
        "Zoom",
        "Zoom in",
        "Zoom out",
        "Double-click to zoom back out",
        "Image download succeeded",
        "Preparing image - this may take a few seconds",
        "Sorry, there was a problem downloading your image!",
    )
)
GREY = "rgba(127, 127, 127, 0.35)"
#: Lines to compare with: zero, chance, a threshold.
REFERENCE = "#7F7F7F"
GRID = {"showgrid": True, "gridcolor": GREY, "zeroline": False}

#: Streamlit replaces Magma's own darkest colour, #000004, by a colour of its theme.
MAGMA = ["rgb(0, 0, 3)", *plotly.colors.sequential.Magma[1:]]

#: Spectrogram colours under maps of evidence. Silence has the colour of the page, and speech is grey, never as light or
#: as dark as the evidence, so that the spectrogram recedes in both themes.
UNDERLAY = {True: ["rgb(12, 14, 18)", "rgb(140, 142, 146)"], False: ["rgb(255, 255, 255)", "rgb(120, 122, 126)"]}
HOVER = "%{x:.2f} s, %{y}<br>%{z:.0f} dB<extra></extra>"

#: Blue against, red for, clear at zero, so that the spectrogram below stays visible.
FOR_AND_AGAINST = [
    [0.0, "rgba(5, 72, 143, 0.80)"],
    [0.25, "rgba(66, 146, 198, 0.60)"],
    [0.45, "rgba(158, 202, 225, 0.20)"],
    [0.5, "rgba(127, 127, 127, 0.0)"],
    [0.55, "rgba(253, 187, 132, 0.20)"],
    [0.75, "rgba(227, 74, 51, 0.60)"],
    [1.0, "rgba(153, 0, 13, 0.80)"],
]
ONLY_FOR = [[0.0, "rgba(127, 127, 127, 0.0)"], *FOR_AND_AGAINST[3:]]


def config(*, buttons: bool = True, removed: Sequence[str] = REMOVED_BUTTONS) -> dict[str, object]:
    """Return Plotly's settings of every chart, with its own texts in the visit's language.

    Parameters
    ----------
    buttons : bool
        Show buttons: not in small charts, and not in charts whose click does something of its own.
    removed : sequence of str
        Plotly's names of the buttons that the chart does not need.
    """
    dictionary = {text: t(text) for text in PLOTLY_TEXTS}
    return {
        "displaylogo": False,
        "modeBarButtonsToRemove": list(removed),
        "locale": language(),
        "locales": {language(): {"dictionary": dictionary}},
    } | ({} if buttons else {"displayModeBar": False})


def columns_for_display(values: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a map (frames, bands) and its times with at most `MAX_COLUMNS` frames, each the mean of several."""
    step = -(-len(values) // MAX_COLUMNS)
    if step == 1:
        return values, times_s
    whole = len(values) // step * step
    return values[:whole].reshape(-1, step, values.shape[1]).mean(axis=1), times_s[:whole].reshape(-1, step).mean(
        axis=1
    )


def evenly_spaced(times_s: np.ndarray) -> dict[str, float]:
    """Return start and step of evenly spaced times, as Plotly takes them for the columns of a map."""
    return {"x0": float(times_s[0]), "dx": float(times_s[1] - times_s[0]) if len(times_s) > 1 else 1.0}


def level_db(spectrogram: Spectrogram, frames: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """Return a spectrogram's level for display in whole dB, (bands, columns) int8, and the times of the columns.

    Small integers, because a chart of four maps contains the level nine times. Sound below full scale has -60 to 65 dB.
    """
    values, times_s = columns_for_display(spectrogram.log_mel[frames], spectrogram.frame_times_s[frames])
    return (NEPER_IN_DB * values.T).round().clip(-128, 127).astype(np.int8), times_s


def hz_axis(spectrogram: Spectrogram) -> dict[str, object]:
    """Return the settings of an axis over a spectrogram's mel bands, labelled in Hz."""
    return bands_axis(band_centres_hz(spectrogram.settings))


def bands_axis(centres: np.ndarray) -> dict[str, object]:
    """Return the settings of an axis over bands with these centres in Hz; one band is one step.

    Ticks are at round frequencies; a tooltip gives the centre of its band.
    """
    ticks = [hz for hz in TICKS_HZ if centres[0] <= hz <= centres[-1]]
    return {
        "tickvals": np.interp(ticks, centres, np.arange(len(centres))).tolist(),
        "ticktext": [f"{hz / 1000:g}k" if hz >= 1000 else str(hz) for hz in ticks],
        "tickfont": {"size": 12},  # lanes do not grow with the browser's text, in which labels would cover each other
        "labelalias": {str(band): f"{hz:.0f} Hz" for band, hz in enumerate(centres)},
        "title": "Hz",
        "range": [-0.5, len(centres) - 0.5],
        "showgrid": False,
        "zeroline": False,
    }


def spectrogram_trace(spectrogram: Spectrogram, colours: str | list[str], frames: slice = slice(None)) -> go.Heatmap:
    """Return the log-mel spectrogram, or some of its frames, in dB as a heat map without a colour bar."""
    level, times_s = level_db(spectrogram, frames)
    return go.Heatmap(z=level, **evenly_spaced(times_s), colorscale=colours, showscale=False, hovertemplate=HOVER)


def underlay_trace(spectrogram: Spectrogram, frames: slice = slice(None), *, dark: bool) -> go.Heatmap:
    """Return the log-mel spectrogram, or some of its frames, in grey, to lie under a map of evidence."""
    trace = spectrogram_trace(spectrogram, UNDERLAY[dark], frames)
    trace.hoverinfo, trace.hovertemplate = "skip", None
    return trace


def for_and_against(limit: float, *, bar: bool, only_for: bool = False) -> dict[str, object]:
    """Return the settings of a heat map of relevance from -limit to limit, with or without its colour bar."""
    return {
        "zmin": -limit,
        "zmax": limit,
        "colorscale": ONLY_FOR if only_for else FOR_AND_AGAINST,
        "showscale": bar,
        "colorbar": {
            "tickvals": [-limit, 0, limit],
            "ticktext": [t("against"), "0", t("for")],
            "thickness": 10,
            "orientation": "h",  # beside the maps it would take too much of a narrow screen
            "len": 0.5,
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yanchor": "bottom",
            "yref": "container",
        },
    }


def error_bars(values: Sequence[float | None], intervals: Sequence[Sequence[float | None]]) -> dict[str, object]:
    """Return Plotly's error bars from each value to the ends of its interval; none where there is no value."""
    low, high = np.array(intervals, float).reshape(-1, 2).T
    middle = np.array(values, float)
    return {"array": high - middle, "arrayminus": middle - low, "thickness": 2}


def time_title(recording: Recording) -> str:
    """Return the title of a time axis; for a stretch it gives the start in the long recording."""
    return t("Time (s) from {clock}", clock=clock(recording.start_s)) if recording.start_s else t("Time (s)")


def set_time_layout(figure: go.Figure, duration_s: float, height: int) -> go.Figure:
    """Set the layout of charts over time: seconds on the lowest axis, aligned with those of the player."""
    figure.update_xaxes(range=[0, duration_s], showgrid=False, zeroline=False, ticks="outside", minallowed=0)
    figure.update_xaxes(maxallowed=duration_s)
    figure.update_yaxes(automargin=False)
    figure.update_layout(
        height=height,
        separators=separators(),
        margin={"l": PLAYER_GUTTER, "r": 0, "t": 28, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        dragmode="zoom",
        hovermode="closest",
        datarevision=1,  # Streamlit passes each figure to Plotly twice; the second time nothing is redrawn
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


def sized(figure: go.Figure, height: int) -> go.Figure:
    """Set the layout of charts without a time axis."""
    return figure.update_layout(
        height=height,
        separators=separators(),
        showlegend=False,
        margin={"l": 60, "r": 12, "t": 28, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )


def with_legend(figure: go.Figure) -> go.Figure:
    """Show a legend above the chart; clicks in it hide nothing."""
    return figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False},
    )
