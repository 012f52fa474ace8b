"""Chart of the maps of evidence over the spectrogram, one below the other on one time axis."""

from collections.abc import Collection

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.charts.recording import hatching
from pages.shared.language import t
from ser_core.analysis import Analysis, Explanation
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.counterfactual.cells import Counterfactual
from ser_core.explanation.relevance import colour_limit
from ser_core.settings import AnalysisSettings

#: Only a stretch of a longer recording is explained.
MAX_WHOLE_S = AnalysisSettings().longest_stretch_s


def maps_chart(
    analysis: Analysis,
    explanations: dict[str, Explanation],
    drafts: Collection[str] = (),
    counterfactual: Counterfactual | None = None,
    *,
    opacity: float = 1.0,
    only_for: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw the spectrogram and each explanation over it, every map scaled by its own strongest relevance.

    The counterfactual is outlined in the spectrogram. `opacity` applies to the maps; `only_for` hides negative
    relevance. Only the explained stretch of a long recording is drawn.
    """
    frames, (start_s, end_s) = _shown(analysis)
    rows, spectrogram = 1 + len(explanations), analysis.spectrogram.settings
    names = {method: t(METHOD_NAMES[method]) for method in explanations}
    titles = [t("{map} (draft)", map=name) if method in drafts else name for method, name in names.items()]
    titles = [t("Log-mel spectrogram"), *titles]
    figure = make_subplots(
        rows=rows, shared_xaxes=True, shared_yaxes="all", vertical_spacing=0.22 / rows, subplot_titles=titles
    )
    figure.add_trace(axes.spectrogram_trace(analysis.spectrogram, axes.MAGMA, frames), 1, 1)
    if counterfactual is not None:
        figure.add_trace(_outline(analysis, counterfactual, frames), 1, 1)
    for row, (method, explanation) in enumerate(explanations.items(), start=2):
        figure.add_trace(axes.underlay_trace(analysis.spectrogram, frames, dark=dark), row, 1)
        trace = _relevance_trace(analysis, explanation, names[method], frames, only_for=only_for, last=row == rows)
        figure.add_trace(trace.update(opacity=opacity), row, 1)
        for box in hatching(~explanation.covered, spectrogram, -0.5, spectrogram.bands - 0.5):
            figure.add_trace(box.update(showlegend=False), row, 1)
    figure.update_yaxes(axes.hz_axis(analysis.spectrogram))
    figure.update_xaxes(title=axes.time_title(analysis.recording), row=rows, col=1)
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    axes.set_time_layout(figure, end_s, 90 + 175 * rows)
    figure.update_xaxes(range=[start_s, end_s], minallowed=start_s)
    return figure.update_layout(margin_b=90)


def _shown(analysis: Analysis) -> tuple[slice, tuple[float, float]]:
    """Return the frames to draw, and their start and end in seconds."""
    duration_s, stretch = analysis.recording.duration_s, analysis.stretch
    if duration_s <= MAX_WHOLE_S:
        return slice(None), (0.0, duration_s)
    first, last = np.searchsorted(analysis.spectrogram.frame_times_s, (stretch.start_s, stretch.end_s))
    return slice(int(first), int(last)), (stretch.start_s, min(stretch.end_s, duration_s))


def _outline(analysis: Analysis, counterfactual: Counterfactual, frames: slice) -> go.Contour:
    mask, times_s = axes.columns_for_display(
        counterfactual.mask[frames].astype(float), analysis.spectrogram.frame_times_s[frames]
    )
    return go.Contour(
        z=(mask.T > 0.5).astype(np.uint8),
        **axes.evenly_spaced(times_s),
        contours={"start": 0.5, "end": 0.5, "size": 1, "coloring": "none"},
        line={"color": "#5ef2ff", "width": 2, "smoothing": 0},
        showscale=False,
        showlegend=False,
        hoverinfo="skip",
    )


def _relevance_trace(
    analysis: Analysis, explanation: Explanation, name: str, frames: slice, *, only_for: bool, last: bool
) -> go.Heatmap:
    times = analysis.spectrogram.frame_times_s[frames]
    relevance, times_s = axes.columns_for_display(explanation.relevance[frames], times)
    words, errors = "%{z:.2g}", None
    if explanation.standard_error is not None:
        errors, _ = axes.columns_for_display(explanation.standard_error[frames], times)
        words += " ± %{text:.1g}"
    return go.Heatmap(
        z=relevance.T.astype(np.float32),
        **axes.evenly_spaced(times_s),
        **axes.for_and_against(colour_limit(explanation) or 1.0, bar=last, only_for=only_for),
        customdata=axes.level_db(analysis.spectrogram, frames)[0],
        text=None if errors is None else errors.T.astype(np.float32),
        hovertemplate=f"%{{x:.2f}} s, %{{y}}, %{{customdata:.0f}} dB<br>{name} {words}<extra></extra>",
    )
