"""The verdict in words, and the scores as bars and over changes of the voice."""

import html
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from pages.shared.charts import axes
from pages.shared.language import number, plural, recognised, t
from ser_core.analysis import Analysis
from ser_core.analysis.emotions import COLOURS, LINE_PATTERNS
from ser_core.explanation.counterfactual.voice import VoiceCurve
from ser_core.model.scores import NO_SPEECH, NOT_SURE


def verdict_html(analysis: Analysis) -> str:
    """Return the verdict, underlined in its emotion's colour, with its score and number of segments."""
    best = int(np.argmax(analysis.scores.recording))
    score, emotion = float(analysis.scores.recording[best]), t(analysis.emotions[best])
    if analysis.verdict == NO_SPEECH:
        how = t("Hardly any speech was detected, so no emotion is named.")
    elif analysis.verdict == NOT_SURE:
        how = t(
            "The best score is {score:.2f} for {emotion}: more likely wrong than right.", score=score, emotion=emotion
        )
    else:
        count = int(analysis.segments.selected.sum())
        how = plural(
            count,
            "score {score:.2f} of 1, from {n} segment",
            "score {score:.2f} of 1, from {n} segments",
            score=score,
        )
    colour, verdict = COLOURS.get(analysis.verdict, axes.REFERENCE), html.escape(t(analysis.verdict))
    return (
        f'<div class="verdict"><span class="word" style="border-color:{colour}">{verdict}</span>'
        f'<span class="how">{html.escape(how)}</span></div>'
    )


def scores_html(emotions: tuple[str, ...], scores: np.ndarray, beside: np.ndarray | None = None) -> str:
    """Return a bar per emotion, in the model's order; the scores `beside` get a thinner bar below each."""
    rows = []
    for index, (emotion, score) in enumerate(zip(emotions, scores, strict=True)):
        rows.append(f"<span>{html.escape(t(emotion))}</span>{_bar_html(emotion, score)}")
        if beside is not None:
            rows.append(f"<span></span>{_bar_html(emotion, beside[index], 'beside')}")
    listed = ", ".join(f"{t(emotion)} {number(score, '.2f')}" for emotion, score in zip(emotions, scores, strict=True))
    label = html.escape(t("Scores of the emotions: {scores}", scores=listed))
    return f'<div class="scores" role="img" aria-label="{label}">{"".join(rows)}</div>'


def _bar_html(emotion: str, score: float, kind: str = "") -> str:
    return (
        f'<div class="track {kind}"><div class="bar" '
        f'style="width:{100 * score:.1f}%;background:{COLOURS[emotion]}"></div></div>'
        f'<span class="value {kind}">{number(score, ".2f")}</span>'
    )


def voice_curve_chart(curve: VoiceCurve, emotions: tuple[str, ...], dark: bool) -> go.Figure:
    """Draw the scores over one property of the voice.

    Unnatural values are grey, circles are the control, and dotted lines the smallest changes that flip the verdict.
    """
    changed, amounts = curve.property, curve.amounts
    figure = go.Figure()
    values = [recognised(changed.in_words(amount)) if amount else t("unchanged") for amount in amounts]
    for index, emotion in enumerate(emotions):
        colour, name = COLOURS[emotion], t(emotion)
        figure.add_scatter(
            x=amounts,
            y=curve.scores[:, index],
            name=name,
            mode="lines",
            line={"color": colour, "dash": ",".join(f"{px}px" for px in LINE_PATTERNS[emotion]) or "solid", "width": 2},
            customdata=values,
            hovertemplate=f"%{{customdata}}<br>{name} %{{y:.2f}}<extra></extra>",
        )
        figure.add_scatter(
            x=[0],
            y=[curve.control[index]],
            name=t("{emotion}, control", emotion=name),
            mode="markers",
            cliponaxis=False,
            marker={"color": colour, "symbol": "circle-open", "size": 8, "line": {"width": 2}},
            hovertemplate=t("changed and changed back") + f"<br>{name} %{{y:.2f}}<extra></extra>",
        )
    for low, high in ((amounts[0], curve.natural[0]), (curve.natural[1], amounts[-1])):
        if low < high:
            figure.add_vrect(low, high, fillcolor=axes.GREY, line_width=0, layer="below")
    for flip in curve.flips:
        figure.add_vline(flip.amount, line={"dash": "dot", "width": 1.5, "color": "#ffffff" if dark else "#000000"})
    axes.sized(figure, 220)
    figure.update_xaxes(title=t(changed.unit), range=[amounts[0], amounts[-1]], showgrid=False)
    figure.update_xaxes(zeroline=True, zerolinecolor=axes.GREY, ticks="outside", title_standoff=6, fixedrange=True)
    if changed.is_factor:
        ticks = [-changed.limit, 0, changed.limit]
        figure.update_xaxes(
            tickvals=ticks, ticktext=[t("×{value:g}", value=round(changed.value(tick), 2)) for tick in ticks]
        )
    figure.update_yaxes(range=[0, 1.02], tickvals=[0, 0.5, 1], gridcolor=axes.GREY, zeroline=False, fixedrange=True)
    return figure.update_layout(margin={"l": 28, "r": 8, "t": 8, "b": 40})


def lines_html(emotions: tuple[str, ...]) -> str:
    """Return a legend of the emotions' lines."""
    spans = (
        f'<span><i style="background:{_dashed(COLOURS[emotion], LINE_PATTERNS[emotion])}"></i>'
        f"{html.escape(t(emotion))}</span>"
        for emotion in emotions
    )
    return f'<div class="lines">{"".join(spans)}</div>'


def _dashed(colour: str, lengths: tuple[int, ...]) -> str:
    """Return a CSS background: a line of dashes and gaps of these lengths in pixels."""
    ends = np.cumsum([0, *(lengths or (1, 0))])
    parts = (
        f"{colour if index % 2 == 0 else 'transparent'} {start}px {end}px"
        for index, (start, end) in enumerate(pairwise(ends))
    )
    return f"repeating-linear-gradient(90deg, {', '.join(parts)})"
