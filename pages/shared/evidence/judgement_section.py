"""Which map to believe: for each a word, what happens without what it marks, and the curves behind that."""

import numpy as np
import streamlit as st
from scipy.special import expit

from pages.shared import waiting
from pages.shared.charts.judgement import curves_chart
from ser_core.analysis import Analysis, Explanation
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.counterfactual import counterfactual_in_words
from ser_core.explanation.faithfulness import SHARES
from ser_core.explanation.judgement import FAILS, HOLDS, IN_PART, Judgement
from ser_core.pipeline import target_of
from ser_core.settings import AnalysisSettings
from ser_core.work.jobs import Job

HELP = """
The model is asked again without the parts that a map marks most, and with those parts alone. If a map tells the truth
about the model, the evidence falls fast in the first case and rises fast in the second. Each map is held against five
maps drawn by chance and against one that marks what is loud, which know nothing of the model.

- **holds**: better than chance, and better than pointing at what is loud;
- **holds in part**: better than chance, but what is loud would have done as well;
- **does not hold**: no better than chance. Do not read this map.

This asks whether a map tells how *this model* decides, not whether the model is right.
"""
BADGES = {
    HOLDS: ("green", ":material/check_circle:"),
    IN_PART: ("orange", ":material/contrast:"),
    FAILS: ("red", ":material/cancel:"),
}
FLIP_HELP = """
The cells that the map with the largest area marks are taken away, the strongest first, until another emotion is heard.
They are outlined in the spectrogram above. A small part means a verdict that hangs on little.
"""
SHARE = 0.2
MEASURES = {
    name: st.column_config.Column(name, help=words)
    if form is None
    else st.column_config.NumberColumn(name, help=words, format=form)
    for name, form, words in (
        ("Area", "%.2f", "Between the two curves above, in log-odds. High is good."),
        ("AI", None, "Average increase: whether the score rises where the map alone is left. Yes is good."),
        ("AD", "%.0f %%", "Average drop: how much of the score is lost where the map alone is left. Low is good."),
        ("AG", "%.0f %%", "Average gain: how much of what was missing to 1 is won there. High is good."),
        ("FF", "%.2f", "Faithfulness: by how much the score falls without what the map marks. High is good."),
        ("Fid-In", None, "Fidelity: whether the verdict is the same where the map alone is left. Yes is good."),
    )
}


def show(job: Job, analysis: Analysis, explanations: dict[str, Explanation], settings: AnalysisSettings) -> None:
    """Show what is known of each explanation, once that is computed, and what would have to go for another verdict."""
    st.markdown("**Which map to believe**", help=HELP)
    judged = waiting.results({"judge": job}).get("judge")
    if judged is None:
        return
    for column, (method, explanation) in zip(st.columns(len(explanations)), explanations.items(), strict=True):
        word = judged.of(method)
        colour, icon = BADGES[word]
        column.markdown(METHOD_NAMES[method])
        column.badge(word, color=colour, icon=icon)
        column.caption(in_words(judged, method, explanation))
    with st.expander("The evidence without, and with, what each map marks", icon=":material/show_chart:"):
        st.plotly_chart(curves_chart(judged), width="stretch", config={"displaylogo": False})
        st.caption(
            "Left: what is marked most is taken away first, and the evidence should fall fast. Right: it is put into "
            "the empty recording first, and the evidence should rise fast. Grey: five maps drawn by chance."
        )
        _measures(judged)

    st.markdown("**What would have to go**", help=FLIP_HELP)
    st.markdown(_flip_words(judged, analysis, settings))


def _measures(judged: Judgement) -> None:
    """List the measures that the literature knows, of each map as numbers."""
    rows = [
        {
            "Map": METHOD_NAMES[method],
            "Area": judged.curves[method].area,
            "AI": "yes" if measured.increase else "no",
            "AD": 100 * measured.drop,
            "AG": 100 * measured.gain,
            "FF": measured.faithfulness,
            "Fid-In": "yes" if measured.fidelity else "no",
        }
        for method, measured in judged.metrics.items()
    ]
    st.dataframe(rows, hide_index=True, column_config=MEASURES)
    loud, by_chance = judged.energy.area, np.mean([curves.area for curves in judged.random])
    st.caption(f"The area of what is loud is {loud:.2f}, that of maps drawn by chance {by_chance:.2f} on average.")


def _flip_words(judged: Judgement, analysis: Analysis, settings: AnalysisSettings) -> str:
    target = target_of(analysis, settings)
    if judged.flip is not None:
        return counterfactual_in_words(judged.flip, target, analysis.emotions, analysis.spectrogram.settings)
    rival = "another emotion" if settings.against is None else settings.against
    if int(analysis.scores.recording.argmax()) != target.emotion and settings.against is None:
        return f"The model does not hear {analysis.emotion} to begin with, so that there is nothing to turn."
    return f"Nothing that the maps mark turns the verdict from {analysis.emotion} to {rival}."


def in_words(judged: Judgement, method: str, explanation: Explanation) -> str:
    """Say what the score is without the fifth that a map marks most, and with that alone, beside fifths by chance."""
    own, place = judged.curves[method], 1 + SHARES.index(SHARE)
    without, by_chance_without = _scores(own.deletion[place], [curves.deletion[place] for curves in judged.random])
    alone, by_chance_alone = _scores(own.insertion[place], [curves.insertion[place] for curves in judged.random])
    words = (
        f"Score without the fifth that it marks most: {without:.2f} (without a chance fifth {by_chance_without:.2f}). "
        f"With that fifth alone: {alone:.2f} (with a chance fifth {by_chance_alone:.2f})."
    )
    if explanation.stability is not None:
        words += f" Rank correlation with another seed's map: about {explanation.stability:.2f}."
    return words


def _scores(evidence: float, by_chance: list[float]) -> tuple[float, float]:
    """Return scores instead of log-odds, of one map and the mean of others; against one emotion, of the two alone."""
    return float(expit(evidence)), float(np.mean(expit(by_chance)))
