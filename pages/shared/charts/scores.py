"""The verdict in words, and the scores as bars."""

import html

import numpy as np

from ser_core.analysis import Analysis
from ser_core.emotions import COLOURS
from ser_core.model.verdict import NO_SPEECH, NOT_SURE


def verdict_html(analysis: Analysis) -> str:
    """Return the verdict, underlined in its emotion's colour, with what it rests on."""
    best = int(np.argmax(analysis.scores.recording))
    score, emotion = analysis.scores.recording[best], analysis.emotions[best]
    words = {
        NO_SPEECH: "Hardly any speech was detected, so no emotion is named.",
        NOT_SURE: f"The best score is {score:.2f} for {emotion}: more likely wrong than right.",
    }
    count = int(analysis.segments.selected.sum())
    how = words.get(analysis.verdict, f"score {score:.2f} of 1, from {count} segment{'s' * (count != 1)}")
    colour = COLOURS.get(analysis.verdict, "#7F7F7F")
    return (
        f'<div class="verdict"><span class="word" style="border-color:{colour}">{html.escape(analysis.verdict)}</span>'
        f'<span class="how">{html.escape(how)}</span></div>'
    )


def scores_html(emotions: tuple[str, ...], scores: np.ndarray, beside: np.ndarray | None = None) -> str:
    """Return a bar per emotion, in the model's order; the scores `beside` get a thinner bar below each."""
    rows = []
    for index, (emotion, score) in enumerate(zip(emotions, scores, strict=True)):
        rows.append(f"<span>{html.escape(emotion)}</span>{_bar_html(emotion, score)}")
        if beside is not None:
            rows.append(f"<span></span>{_bar_html(emotion, beside[index], 'beside')}")
    return f'<div class="scores" role="img" aria-label="Scores of the emotions">{"".join(rows)}</div>'


def _bar_html(emotion: str, score: float, kind: str = "") -> str:
    return (
        f'<div class="track {kind}"><div class="bar" '
        f'style="width:{100 * score:.1f}%;background:{COLOURS[emotion]}"></div></div>'
        f'<span class="value {kind}">{score:.2f}</span>'
    )
