"""Draw an analysis as one picture for print: waveform, spectrogram, maps, profile, and emotion over time."""

import threading
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from ser_core.analysis import Analysis, frame_edge_s
from ser_core.analysis.emotions import COLOURS
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.relevance import colour_limit
from ser_core.front_end.spectrogram import NEPER_IN_DB, band_edges_hz
from ser_core.settings import SpectrogramSettings

TICKS_HZ = (250, 500, 1_000, 2_000, 4_000)
#: Matplotlib's settings are global, so only one picture is drawn at a time.
matplotlib_lock = threading.Lock()


def save_overview(analysis: Analysis, path: Path) -> None:
    """Write the overview as PNG."""
    with matplotlib_lock:
        _save_overview(analysis, path)


def _save_overview(analysis: Analysis, path: Path) -> None:
    maps = 1 + len(analysis.explanations)
    heights = [1, *[1.6] * maps, *[0.9] * (analysis.profile is not None), 1.1]
    height = 1.15 * sum(heights) + 0.9
    # Matplotlib's own layouts measure every label, which takes as long as drawing everything else.
    figure = Figure(figsize=(10, height))
    grid = figure.add_gridspec(len(heights), 2, width_ratios=(1, 0.016), height_ratios=heights)
    grid.update(left=0.075, right=0.9, top=1 - 0.6 / height, bottom=0.5 / height, wspace=0.02, hspace=0.22)
    axes = [figure.add_subplot(grid[0, 0])]
    axes += [figure.add_subplot(grid[row, 0], sharex=axes[0]) for row in range(1, len(heights))]
    for axis in axes[:-1]:
        axis.tick_params(labelbottom=False)
    bars = [figure.add_subplot(grid[row, 1]) for row in range(1, 1 + maps)]
    _waveform(axes[0], analysis)
    _map(axes[1], bars[0], analysis, NEPER_IN_DB * analysis.spectrogram.log_mel, "Log-mel", "gray_r", None, "dB")
    for axis, bar, (method, explanation) in zip(axes[2:], bars[1:], analysis.explanations.items(), strict=False):
        limit = colour_limit(explanation) or 1.0
        relevance = np.where(explanation.covered[:, None], explanation.relevance, np.nan)
        _map(axis, bar, analysis, relevance, METHOD_NAMES[method], "RdBu_r", limit, "relevance")
    if analysis.profile is not None:
        _profile(axes[-2], analysis)
    _emotion_over_time(axes[-1], analysis)
    axes[-1].set_xlabel("Time (s)")
    axes[-1].set_xlim(0, analysis.recording.duration_s)
    figure.suptitle(
        f"{_drawable_name(analysis.recording.name)}: {analysis.verdict}. "
        f"Evidence for {analysis.emotion}{_contrast(analysis)}, model {analysis.model_name}",
        y=1 - 0.1 / height,
        va="top",
    )
    figure.savefig(path, dpi=130)


def _contrast(analysis: Analysis) -> str:
    maps = [*analysis.explanations.values(), *([analysis.focus_by] if analysis.focus_by else [])]
    return f" rather than {maps[0].against}" if maps and maps[0].against else ""


def _drawable_name(name: str) -> str:
    """Return a file name with a box for characters that the font lacks, and dollar signs escaped."""
    characters = get_font(findfont("DejaVu Sans")).get_charmap()
    return "".join(letter if ord(letter) in characters else "\u25a1" for letter in name).replace("$", r"\$")


def _waveform(axis: Axes, analysis: Analysis) -> None:
    samples, rate = analysis.recording.samples, analysis.recording.sample_rate_hz
    step = max(1, len(samples) // 4_000)
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    times = np.arange(len(blocks)) * step / rate
    axis.fill_between(times, blocks.min(axis=1), blocks.max(axis=1), color="#444444", linewidth=0.4)
    axis.set_ylabel("Amplitude")
    for focus in analysis.focus:
        axis.axvspan(focus.region.start_s, focus.region.end_s, color=COLOURS[analysis.emotion], alpha=0.25, linewidth=0)


def _map(
    axis: Axes,
    bar: Axes,
    analysis: Analysis,
    values: np.ndarray,
    title: str,
    colours: str,
    limit: float | None,
    unit: str,
) -> None:
    limits = {} if limit is None else {"vmin": -limit, "vmax": limit}
    mesh = mel_mesh(axis, values, analysis.spectrogram.settings, cmap=colours, **limits)
    axis.set_facecolor("#dddddd")
    axis.set_title(title, loc="left", fontsize=9)
    axis.figure.colorbar(mesh, cax=bar, label=unit)


def mel_mesh(
    axis: Axes, values: np.ndarray, settings: SpectrogramSettings, first_frame: int = 0, **look: Any
) -> QuadMesh:
    """Draw values (frames, bands) over seconds and mel-spaced Hz; `look` goes to `pcolormesh`."""
    edges_s = frame_edge_s(first_frame + np.arange(len(values) + 1), settings)
    edges = band_edges_hz(settings)
    edges_hz = (edges[:-1] + edges[1:]) / 2
    mesh = axis.pcolormesh(edges_s, edges_hz, values.T, rasterized=True, **look)
    axis.set_yscale("function", functions=(lambda hz: np.log1p(hz / 700), lambda mel: 700 * np.expm1(mel)))
    axis.set_yticks(TICKS_HZ, [f"{hz}" for hz in TICKS_HZ])
    axis.set_ylabel("Hz")
    return mesh


def _profile(axis: Axes, analysis: Analysis) -> None:
    axis.axhline(0, color="#444444", linewidth=0.6)
    profile_curve(axis, analysis)
    axis.set_ylabel("Profile")


def profile_curve(axis: Axes, analysis: Analysis) -> None:
    """Draw the relevance profile over seconds, filled in the emotion's colour above zero."""
    times, profile = analysis.spectrogram.frame_times_s, analysis.profile
    axis.plot(times, profile, color=matplotlib.rcParams["text.color"], linewidth=1)
    axis.fill_between(times, 0, profile, where=profile > 0, color=COLOURS[analysis.emotion], alpha=0.5, linewidth=0)


def _emotion_over_time(axis: Axes, analysis: Analysis) -> None:
    settings = analysis.spectrogram.settings
    starts = analysis.segments.start_frames
    starts_s, ends_s = (frame_edge_s(starts + frames, settings) for frames in (0, analysis.segments.segment_frames))
    middles = (starts_s + np.minimum(ends_s, analysis.recording.duration_s)) / 2  # a short recording is padded
    for index, emotion in enumerate(analysis.emotions):
        axis.plot(
            middles, analysis.scores.segments[:, index], color=COLOURS[emotion], marker="o", markersize=3, label=emotion
        )
    axis.set_ylim(0, 1)
    axis.set_ylabel("Score")
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
