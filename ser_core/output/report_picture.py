"""Draw the picture of the report: spectrogram, maps over it, and profile, on one time axis."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.ticker import ScalarFormatter

from ser_core.analysis import Analysis, Explanation, Region, frame_at, frame_edge_s
from ser_core.analysis.emotions import COLOURS
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.relevance import colour_limit
from ser_core.front_end.spectrogram import NEPER_IN_DB
from ser_core.output.overview_picture import matplotlib_lock, mel_mesh, profile_curve

#: For longer recordings only the explained stretch is shown.
LONGEST_WHOLE_S = 60.0
INK = {"light": "#1c2126", "dark": "#e3e6ea"}
#: The first comes with matplotlib; missing letters, such as Korean ones, come from the others if they are installed.
FONTS = ("DejaVu Sans", "Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")

#: As in the app: blue against, red for, transparent at zero, so that the spectrogram below stays visible.
FOR_AND_AGAINST = LinearSegmentedColormap.from_list(
    "for and against",
    [
        (0.0, (*np.array([5, 72, 143]) / 255, 0.85)),
        (0.25, (*np.array([66, 146, 198]) / 255, 0.6)),
        (0.45, (*np.array([158, 202, 225]) / 255, 0.2)),
        (0.5, (1.0, 1.0, 1.0, 0.0)),
        (0.55, (*np.array([253, 187, 132]) / 255, 0.2)),
        (0.75, (*np.array([227, 74, 51]) / 255, 0.6)),
        (1.0, (*np.array([153, 0, 13]) / 255, 0.85)),
    ],
)
#: Paler than the colours of the maps, even at the loudest points.
UNDERLAY = LinearSegmentedColormap.from_list("pale grey", ["#ffffff", "#ffffff", "#8c8c8c"])


def in_english(text: str, /, **values: Any) -> str:
    """Return a text with its `str.format` fields filled in, or unchanged without values."""
    return text.format(**values) if values else text


def report_picture(
    analysis: Analysis, explanations: Mapping[str, Explanation], theme: str, say: Callable[..., str] = in_english
) -> bytes:
    """Return the picture as PNG with a transparent background.

    Parameters
    ----------
    theme : {"light", "dark"}
        Theme of the page that shows it.
    say : callable
        As in `report_html`. Texts with letters that no font has stay English.
    """
    say = _drawable(say)
    rows = [1.7] * (1 + len(explanations)) + [1.3] * (analysis.profile is not None)
    with matplotlib_lock, matplotlib.rc_context(_look(INK[theme])):
        figure = Figure(figsize=(8.4, sum(rows) + 0.45), layout="constrained")
        axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0]
        _spectrogram(axes[0], analysis, say)
        for axis, (method, explanation) in zip(axes[1:], explanations.items(), strict=False):
            _map(axis, analysis, explanation, say(METHOD_NAMES[method]))
        if explanations:
            _scale(axes[1 : 1 + len(explanations)], say)
        if analysis.profile is not None:
            _profile(axes[-1], analysis, say)
        shown = shown_stretch(analysis)
        axes[-1].set(xlabel=say("Time (s)"), xlim=(shown.start_s, shown.end_s))
        _write_numbers(figure, say)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def shown_stretch(analysis: Analysis) -> Region:
    """Return what the picture shows: the whole recording, or the explained stretch of a long one."""
    whole = Region(0.0, analysis.recording.duration_s)
    return whole if whole.duration_s <= LONGEST_WHOLE_S else analysis.stretch


def _fonts() -> list[str]:
    installed = {font.name for font in fontManager.ttflist}
    return [name for name in FONTS if name in installed]


def _drawable(say: Callable[..., str]) -> Callable[..., str]:
    """Return a translation that falls back to English for texts with letters that no font has."""
    letters = {letter for name in _fonts() for letter in get_font(findfont(name)).get_charmap()}

    def say_if_drawable(text: str, /, **values: Any) -> str:
        translation = say(text, **values)
        if all(ord(letter) in letters for letter in translation):
            return translation
        return in_english(text, **values)

    return say_if_drawable


def _look(ink: str) -> dict[str, object]:
    coloured = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    nothing = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none")
    sizes = {
        "font.size": 9.5,
        "ytick.labelsize": 8.5,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.linewidth": 0.6,
    }
    return {**dict.fromkeys(coloured, ink), **nothing, **sizes, "font.family": _fonts()}


class _Numbers(ScalarFormatter):
    """Numbers along an axis with the decimal sign of a language."""

    def __init__(self, decimal: str) -> None:
        super().__init__()
        self._decimal = decimal

    def __call__(self, x: float, pos: int | None = None) -> str:
        return super().__call__(x, pos).replace(".", self._decimal)


def _write_numbers(figure: Figure, say: Callable[..., str]) -> None:
    """Write the numbers along all axes as a language does; what has words for ticks keeps them."""
    decimal = say("{value:.1f}", value=0.5)[1]
    for axis in (one for axes in figure.axes for one in (axes.xaxis, axes.yaxis)):
        if type(axis.get_major_formatter()) is ScalarFormatter:
            axis.set_major_formatter(_Numbers(decimal))


def _spectrogram(axis: Axes, analysis: Analysis, say: Callable[..., str]) -> None:
    mesh = _frames(axis, analysis, NEPER_IN_DB * analysis.spectrogram.log_mel, cmap="magma")
    axis.set_title(say("Log-mel spectrogram"))
    axis.figure.colorbar(mesh, ax=axis, pad=0.01, aspect=10, label="dB")


def _map(axis: Axes, analysis: Analysis, explanation: Explanation, title: str) -> None:
    limit = colour_limit(explanation) or 1.0
    _frames(axis, analysis, analysis.spectrogram.log_mel, cmap=UNDERLAY)
    _frames(axis, analysis, explanation.relevance / limit, cmap=FOR_AND_AGAINST, vmin=-1, vmax=1)
    _hatch(axis, analysis, explanation)
    axis.set_title(title)


def _frames(axis: Axes, analysis: Analysis, values: np.ndarray, **look: object) -> object:
    settings, shown = analysis.spectrogram.settings, shown_stretch(analysis)
    first, end = np.round(frame_at(np.array([shown.start_s, shown.end_s]), settings)).astype(int).clip(0, len(values))
    return mel_mesh(axis, values[first:end], settings, first, **look)


def _scale(axes: np.ndarray, say: Callable[..., str]) -> None:
    colours = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(-1, 1), FOR_AND_AGAINST)
    bar = axes[0].figure.colorbar(colours, ax=axes, pad=0.01, aspect=11 * len(axes), ticks=[-1, 0, 1])
    bar.set_ticklabels([say("against"), "0", say("for")])
    bar.ax.set_facecolor("white")


def _hatch(axis: Axes, analysis: Analysis, explanation: Explanation) -> None:
    uncovered = np.concatenate([[False], ~explanation.covered, [False]])
    edges_s = frame_edge_s(np.flatnonzero(np.diff(uncovered)), analysis.spectrogram.settings)
    for start_s, end_s in edges_s.reshape(-1, 2):
        axis.axvspan(start_s, end_s, facecolor="#7f7f7f33", edgecolor="#7f7f7f", hatch="///", linewidth=0)


def _profile(axis: Axes, analysis: Analysis, say: Callable[..., str]) -> None:
    explanation = analysis.focus_by
    limit = 1.1 * float(np.abs(analysis.profile).max()) or 1.0
    axis.axhline(0, color="#7f7f7f", linewidth=0.8)
    profile_curve(axis, analysis)
    _hatch(axis, analysis, explanation)
    for number, focus in enumerate(analysis.focus, start=1):
        start_s, end_s = focus.region.start_s, focus.region.end_s
        axis.axvspan(start_s, end_s, color=COLOURS[analysis.emotion], alpha=0.18, linewidth=0)
        # Below zero, because the profile of a focus region is above zero.
        look = {"ha": "center", "va": "top", "family": FONTS[0], "weight": "bold"}
        axis.text((start_s + end_s) / 2, -0.1 * limit, str(number), **look)
    axis.set(ylabel=say("Relevance"), ylim=(-limit, limit))
    method, emotion = say(METHOD_NAMES[explanation.method]), say(analysis.emotion)
    axis.set_title(say("Profile of {method} for {emotion}, mean over frequency", method=method, emotion=emotion))
