"""Faithfulness of the maps: a grade for each, its effect on the score, and the curves behind it."""

import numpy as np
import streamlit as st
from scipy.special import expit

from pages.shared import waiting
from pages.shared.cached import explaining
from pages.shared.charts import axes
from pages.shared.charts.faithfulness import curves_chart
from pages.shared.language import language, number_column, recognised, t, texts
from ser_core.analysis import Analysis, Explanation
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.counterfactual.cells import counterfactual_in_words
from ser_core.explanation.faithfulness import SHARES
from ser_core.explanation.judgement import FAILS, HOLDS, IN_PART, Judgement
from ser_core.pipeline import target_of
from ser_core.settings import AnalysisSettings
from ser_core.work.jobs import Job

HELP = texts("""
The model predicts again without the parts that a map marks most, and from those parts alone. If a map is faithful to
the model, the evidence falls fast in the first case and rises fast in the second. Each map is compared with five random
maps and with a map of loudness, none of which depends on the model.

- **holds**: better than chance and better than loudness;
- **holds in part**: better than chance, but no better than loudness;
- **does not hold**: no better than chance. Do not use this map.

This tests whether a map shows how *this model* decides, not whether the model is right.
""")
BADGES = {
    HOLDS: ("green", ":material/check_circle:"),
    IN_PART: ("orange", ":material/contrast:"),
    FAILS: ("red", ":material/cancel:"),
}
COUNTERFACTUAL_HELP = texts("""
The cells that the best map marks are removed, strongest first, until the model predicts another emotion. They are
outlined in the spectrogram above. The fewer they are, the less evidence the verdict rests on.
""")
SHARE = 0.2
MEASURES = texts(
    {
        "Area": "Between the two curves above, in log-odds. High is good.",
        "AI": "Average increase: does the score rise with the map alone? Yes is good.",
        "AD": "Average drop: how much of the score is lost with the map alone. Low is good.",
        "AG": "Average gain: how much the score gains with the map alone, of its distance to 1. High is good.",
        "FF": "Faithfulness: how much the score falls without what the map marks. High is good.",
        "Fid-In": "Fidelity: is the verdict the same with the map alone? Yes is good.",
    }
)
DECIMALS = {"Area": 2, "AD": 0, "AG": 0, "FF": 2}


def show(job: Job, analysis: Analysis, explanations: dict[str, Explanation], settings: AnalysisSettings) -> None:
    """Show the grade of each explanation, once it is computed, and the counterfactual."""
    st.markdown(t("**Which map to trust**"), help=t(HELP))
    judged = waiting.results({"judge": job}).get("judge")
    if judged is None:
        return
    for column, (method, explanation) in zip(st.columns(len(explanations)), explanations.items(), strict=True):
        grade = judged.of(method)
        colour, icon = BADGES[grade]
        column.markdown(t(METHOD_NAMES[method]))
        column.badge(t(grade), color=colour, icon=icon)
        column.caption(in_words(judged, method, explanation))
    with st.expander(t("Evidence without and with what each map marks"), icon=":material/show_chart:"):
        st.plotly_chart(
            explaining.chart((job.key, language()), lambda: curves_chart(judged)),
            width="stretch",
            config=axes.config(),
        )
        st.caption(
            t(
                "Left: the most strongly marked cells are removed first, so the evidence should fall fast. "
                "Right: they are inserted first into an empty recording, so the evidence should rise fast. Grey: "
                "five random maps."
            )
        )
        _measures(judged)

    st.markdown(t("**What would change the verdict**"), help=t(COUNTERFACTUAL_HELP))
    st.markdown(_counterfactual_in_words(judged, analysis, settings))


def _measures(judged: Judgement) -> None:
    """List measures from the literature for each map."""
    rows = [
        {
            "Map": t(METHOD_NAMES[method]),
            "Area": round(judged.curves[method].area, 2),
            "AI": t("yes" if measured.increase else "no"),
            "AD": round(100 * measured.drop),
            "AG": round(100 * measured.gain),
            "FF": round(measured.faithfulness, 2),
            "Fid-In": t("yes" if measured.fidelity else "no"),
        }
        for method, measured in judged.metrics.items()
    ]
    titles = {"Area": t("Area"), "AD": "AD (%)", "AG": "AG (%)"}
    columns = {"Map": t("Map")} | {
        name: number_column(titles.get(name, name), DECIMALS[name], t(words))
        if name in DECIMALS
        else st.column_config.Column(name, help=t(words))
        for name, words in MEASURES.items()
    }
    st.dataframe(rows, hide_index=True, column_config=columns)
    loudness, by_chance = judged.energy.area, np.mean([curves.area for curves in judged.random])
    st.caption(
        t(
            "For comparison: the area is {loudness:.2f} for loudness and {by_chance:.2f} on average for random maps.",
            loudness=loudness,
            by_chance=by_chance,
        )
    )


def _counterfactual_in_words(judged: Judgement, analysis: Analysis, settings: AnalysisSettings) -> str:
    target = target_of(analysis, settings)
    if judged.flip is not None:
        emotions = tuple(map(t, analysis.emotions))
        return recognised(counterfactual_in_words(judged.flip, target, emotions, analysis.spectrogram.settings))
    emotion, rival = t(analysis.emotion), settings.against
    if rival is not None:
        return t(
            "Removing what the maps mark does not change the verdict from {emotion} to {rival}.",
            emotion=emotion,
            rival=t(rival),
        )
    if int(analysis.scores.recording.argmax()) != target.emotion:
        return t("The model does not predict {emotion}, so there is no verdict to change.", emotion=emotion)
    return t(
        "Removing what the maps mark does not change the verdict from {emotion} to another emotion.", emotion=emotion
    )


def in_words(judged: Judgement, method: str, explanation: Explanation) -> str:
    """Give the score without a map's strongest fifth and from that fifth alone, compared with a random fifth."""
    curves, index = judged.curves[method], 1 + SHARES.index(SHARE)
    without, by_chance_without = _scores(curves.deletion[index], [chance.deletion[index] for chance in judged.random])
    alone, by_chance_alone = _scores(curves.insertion[index], [chance.insertion[index] for chance in judged.random])
    words = t(
        "Score without the strongest fifth: {without:.2f} (without a random fifth {by_chance_without:.2f}). "
        "From that fifth alone: {alone:.2f} (from a random fifth {by_chance_alone:.2f}).",
        without=without,
        by_chance_without=by_chance_without,
        alone=alone,
        by_chance_alone=by_chance_alone,
    )
    if explanation.stability is None:
        return words
    stability = t("Correlation with the map of another seed: about {r:.2f}.", r=explanation.stability)
    return f"{words} {stability}"


def _scores(evidence: float, by_chance: list[float]) -> tuple[float, float]:
    """Convert the log-odds of one map, and of several, to its score and their mean score."""
    return float(expit(evidence)), float(np.mean(expit(by_chance)))
