"""Several models side by side: their verdicts, their maps, and the agreement of the maps."""

import html
import textwrap
from collections.abc import Collection

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.shared.charts import axes
from pages.shared.charts.recording import hatching
from pages.shared.language import number, recognised, t, texts
from pages.shared.language.names import in_chart, printable
from ser_core.analysis import Analysis, Explanation, Spectrogram
from ser_core.analysis.emotions import COLOURS
from ser_core.explanation.agreement import Agreement
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.model.scores import NO_SPEECH, NOT_SURE

#: Its spaces distinguish it from model names, which have none.
CONSENSUS = texts("Consensus of models")
ROW_HEIGHT, WORDS_WIDTH = 150, 42
BELOW_AND_ABOVE = [
    [0.0, "rgba(213, 94, 0, 0.95)"],
    [0.5, "rgba(127, 127, 127, 0.06)"],
    [1.0, "rgba(0, 114, 178, 0.95)"],
]


def verdicts_html(names: list[str], analyses: dict[str, Analysis], missing: dict[str, str]) -> str:
    """Return a table with one model per row: its verdict, and its score of each emotion that any model has."""
    emotions = [emotion for emotion in COLOURS if any(emotion in analysis.emotions for analysis in analyses.values())]
    head = "".join(f'<th scope="col">{html.escape(t(emotion))}</th>' for emotion in emotions)
    rows = []
    for name in names:
        why = html.escape(printable(recognised(missing.get(name, ""))))
        cells = f'<td class="words" colspan="{1 + len(emotions)}">{why}</td>'
        if name in analyses:
            cells = _verdict_cell(analyses[name]) + "".join(
                _score_cell(analyses[name], emotion) for emotion in emotions
            )
        rows.append(f'<tr><th scope="row">{html.escape(printable(name))}</th>{cells}</tr>')
    return (
        f'<div class="compared"><table aria-label="{html.escape(t("Verdicts and scores"))}"><thead><tr>'
        f'<th scope="col">{html.escape(t("model"))}</th><th scope="col">{html.escape(t("verdict"))}</th>{head}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _verdict_cell(analysis: Analysis) -> str:
    best = int(analysis.scores.recording.argmax())
    score = float(analysis.scores.recording[best])
    how = number(score, ".2f")
    if analysis.verdict in (NOT_SURE, NO_SPEECH):
        how = t("at best {emotion}, {score:.2f}", emotion=t(analysis.emotions[best]), score=score)
    colour = COLOURS.get(analysis.verdict, axes.REFERENCE)
    return (
        f'<td><span class="verdict-word" style="border-color:{colour}">{html.escape(t(analysis.verdict))}</span> '
        f'<span class="how">{html.escape(how)}</span></td>'
    )


def _score_cell(analysis: Analysis, emotion: str) -> str:
    if emotion not in analysis.emotions:
        return f'<td class="unknown" title="{html.escape(t("This model does not know this emotion"))}">-</td>'
    score = analysis.scores.recording[analysis.emotions.index(emotion)]
    return (
        f'<td><span class="value">{number(score, ".2f")}</span><div class="track"><div class="bar" '
        f'style="width:{100 * score:.1f}%;background:{COLOURS[emotion]}"></div></div></td>'
    )


def maps_chart(
    first: Analysis,
    names: list[str],
    explained: dict[str, Analysis],
    drafts: Collection[str],
    missing: dict[str, str],
    method: str,
    shared: Explanation | None,
    *,
    dark: bool = False,
) -> go.Figure:
    """Draw each model's map over the spectrogram, one below the other on the axes of `first`, and their consensus.

    If a model has no map, its row says why. `drafts` are the models whose map is a draft. Every map is divided by its
    own highest absolute value.
    """
    rows = len(names) + (shared is not None)
    pictures = [
        (name, explained.get(name), explained[name].explanations[method] if name in explained else None)
        for name in names
    ]
    titles = [_title(name, explanation, is_draft=name in drafts) for name, _, explanation in pictures]
    if shared is not None:
        titles.append(_title(t(CONSENSUS), shared))
        pictures.append((CONSENSUS, first, shared))
    figure = make_subplots(
        rows=rows, shared_xaxes=True, shared_yaxes="all", vertical_spacing=0.24 / rows, subplot_titles=titles
    )
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    last_map = max((row for row, (_, _, explanation) in enumerate(pictures, start=1) if explanation), default=0)
    for row, (name, analysis, explanation) in enumerate(pictures, start=1):
        if explanation is None:
            _add_note(figure, row, recognised(missing[name]))
        else:
            _add_map(figure, row, analysis.spectrogram, explanation, first.spectrogram, dark=dark, bar=row == last_map)
    figure.update_yaxes(axes.hz_axis(first.spectrogram))
    figure.update_xaxes(title=axes.time_title(first.recording), row=rows, col=1)
    return axes.set_time_layout(figure, first.recording.duration_s, 120 + ROW_HEIGHT * rows).update_layout(margin_b=90)


def _title(name: str, explanation: Explanation | None, *, is_draft: bool = False) -> str:
    if explanation is None:
        return f"<b>{in_chart(name)}</b>"
    model, emotion = in_chart(name), t(explanation.emotion)
    title = t("<b>{model}</b> for {emotion}", model=model, emotion=emotion)
    if explanation.against:
        against = t(explanation.against)
        title = t("<b>{model}</b> for {emotion} versus {against}", model=model, emotion=emotion, against=against)
    title = title if (explanation.relevance > 0).any() else t("{map}: no positive evidence", map=title)
    return t("{map} (draft)", map=title) if is_draft else title


def _add_note(figure: go.Figure, row: int, words: str) -> None:
    figure.add_trace(go.Scatter(x=[0], y=[0], mode="markers", opacity=0, hoverinfo="skip", showlegend=False), row, 1)
    figure.add_shape(
        type="rect", x0=0, x1=1, y0=0, y1=1, xref="x domain", yref="y domain", fillcolor="rgba(127,127,127,0.10)",
        line_width=0, layer="below", row=row, col=1,
    )  # fmt: skip
    figure.add_annotation(
        text="<br>".join(map(in_chart, textwrap.wrap(words, WORDS_WIDTH))), x=0.5, y=0.5,
        xref="x domain", yref="y domain", showarrow=False, font_size=12, row=row, col=1,
    )  # fmt: skip


def _add_map(
    figure: go.Figure,
    row: int,
    spectrogram: Spectrogram,
    explanation: Explanation,
    axis: Spectrogram,
    *,
    dark: bool,
    bar: bool,
) -> None:
    positions = _band_positions(spectrogram, axis)
    figure.add_trace(axes.underlay_trace(spectrogram, dark=dark).update(y=positions), row, 1)
    figure.add_trace(_relevance_trace(spectrogram, explanation, positions, bar=bar), row, 1)
    for box in hatching(~explanation.covered, spectrogram.settings, -0.5, axis.settings.bands - 0.5):
        figure.add_trace(box.update(showlegend=False), row, 1)


def _band_positions(spectrogram: Spectrogram, axis: Spectrogram) -> np.ndarray:
    """Return the positions of the bands on an axis whose step is one band of `axis`; both are mel-spaced."""
    own, steps = (1127 * np.log1p(band_centres_hz(one.settings) / 700) for one in (spectrogram, axis))
    return (own - steps[0]) / (steps[1] - steps[0])


def _relevance_trace(
    spectrogram: Spectrogram, explanation: Explanation, positions: np.ndarray, *, bar: bool
) -> go.Heatmap:
    largest = float(np.abs(explanation.relevance).max(initial=0.0)) or 1.0
    scaled, times_s = axes.columns_for_display(explanation.relevance / largest, spectrogram.frame_times_s)
    level, _ = axes.columns_for_display(spectrogram.log_mel, spectrogram.frame_times_s)
    hz = np.broadcast_to(band_centres_hz(spectrogram.settings)[:, None], scaled.T.shape)
    return go.Heatmap(
        x=times_s,
        y=positions,
        z=(100 * scaled.T).round().astype(np.int8),  # one byte per point: up to six maps are shown at once
        **axes.for_and_against(100, bar=bar),
        customdata=np.dstack([hz, axes.NEPER_IN_DB * level.T]).round().astype(np.int16),
        hovertemplate="%{x:.2f} s, %{customdata[0]} Hz, %{customdata[1]} dB<br>"
        + t("{share} of the highest", share=t("{percent} %", percent="%{z}"))
        + "<extra></extra>",
    )


def matrix_chart(compared: Agreement, dark: bool = False) -> go.Figure:
    """Draw the rank correlation of each pair of maps, and below it the overlap of their highest tenths."""
    correlation = compared.rank_correlation.copy()
    np.fill_diagonal(correlation, np.nan)
    words = [
        ["" if np.isnan(r) else f"{number(r, 'z.2f')}<br>({number(o, '.2f')})" for r, o in zip(*row, strict=True)]
        for row in zip(correlation, compared.top_overlap, strict=True)
    ]
    names = [in_chart(name) for name in compared.methods]
    figure = go.Figure(
        go.Heatmap(
            z=correlation,
            x=names,
            y=names,
            text=words,
            texttemplate="%{text}",
            textfont={"color": "white"} if dark else None,  # else plotly picks a colour for white paper
            colorscale=BELOW_AND_ABOVE,
            zmin=-1,
            zmax=1,
            xgap=2,
            ygap=2,
            showscale=False,
            hoverinfo="skip",
        )
    )
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], showgrid=False, fixedrange=True, automargin=True)
    figure.update_xaxes(range=[-0.5, len(names) - 0.5], showgrid=False, fixedrange=True)
    return axes.sized(figure, 90 + 58 * len(names))
