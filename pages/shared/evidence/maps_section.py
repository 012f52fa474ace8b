"""The maps of a recording over its spectrogram, with a player on the same time axis."""

from dataclasses import replace

import streamlit as st

from pages.shared import session
from pages.shared.cached import explaining, measuring
from pages.shared.charts import axes
from pages.shared.charts.maps import maps_chart
from pages.shared.language import language, recognised, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.player import player
from pages.shared.session import Chosen
from ser_core.analysis import Analysis, Explanation
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.focus import map_in_words, missing_evidence_in_words
from ser_core.explanation.grad_cam import grad_cam_refusal
from ser_core.settings import SpectrogramSettings
from ser_core.work.jobs import Job

HOW_TO_READ = texts("""
Red is evidence **for** the emotion, blue **against** it; parts without colour hardly matter. Each map is scaled by its
own strongest point: compare where maps have colour, not how strong it is.

- **Grad-CAM** uses the network's last feature maps: where do they support the emotion?
- **LIME** masks cells of one short window at a time, half of them on average, in a planned set of combinations,
  estimates the results of all others, and fits how much each cell contributes.
- **Occlusion** masks one box after another, and measures how much evidence is lost.

The **consensus** is their mean, each map divided by its own strength, without Grad-CAM where it shows only times, as
with `whisper`. Hatched parts were not given to the model: data selection dropped them, or they are outside the chosen
time range. Click a map to hear that moment, drag over it to zoom into all maps, and double-click to zoom out.
""")
SIGNS = texts({"both": "for and against", "for": "for only"})


def heading(chosen: Chosen, analysis: Analysis) -> None:
    st.markdown(target_in_words(chosen, analysis), help=t(HOW_TO_READ))


def target_in_words(chosen: Chosen, analysis: Analysis) -> str:
    """Name the emotion, the recording, and the emotion to contrast with."""
    emotion, against, name = t(analysis.emotion), chosen.settings.against, in_markdown(analysis.recording.name)
    if against:
        return t(
            "Evidence for **{emotion}** versus **{against}** in **{name}**",
            emotion=emotion,
            against=t(against),
            name=name,
        )
    return t("Evidence for **{emotion}** in **{name}**", emotion=emotion, name=name)


def show(
    chosen: Chosen, classification: Job, shown: dict[str, Explanation], drafts: set[str], test: Job | None
) -> list[str]:
    """Show the maps and the player, and return a description of each map.

    `test` is the job that measures the faithfulness of the maps, or None.
    """
    analysis = classification.result
    signs, strength = st.columns([2, 3], gap="medium")
    sign = signs.segmented_control(
        t("Evidence"),
        list(SIGNS),
        format_func=lambda sign: t(SIGNS[sign]),
        required=True,
        **session.widget("sign", session.choice("sign")),
    )
    opacity = strength.slider(
        t("Colour strength (%)"), 0, 100, step=5, **session.widget("opacity", session.choice("opacity"))
    )
    drafted = drafts | ({"consensus"} if drafts else set())
    counterfactual = test.result.flip if test and test.state == "done" else None
    style = {"opacity": opacity / 100, "only_for": sign == "for", "dark": st.context.theme.type == "dark"}
    key = (
        classification.key,
        chosen.settings,
        tuple(shown),
        frozenset(drafted),
        counterfactual is None,
        *style.values(),
        language(),
    )
    chart = explaining.chart(key, lambda: maps_chart(analysis, shown, drafted, counterfactual, **style))
    descriptions = [
        f"{t(METHOD_NAMES[method])}: {in_words(explanation, analysis.spectrogram.settings)}."
        for method, explanation in shown.items()
    ]
    alt = " ".join(descriptions) or t("Log-mel spectrogram")
    st.container(key="maps").plotly_chart(chart, width="stretch", config=axes.config(), alt=alt)
    computed = explaining.computed_so_far(classification, chosen.classifier, chosen.settings)
    player(
        chosen.recording,
        key="explain",
        regions=[focus.region for focus in computed.focus],
        regions_title=t("Focus regions"),
        charts="maps",
        measure=measuring.measures_job,
    )
    return descriptions


def in_words(explanation: Explanation, settings: SpectrogramSettings) -> str:
    """Describe where a map's evidence is strongest, in the visitor's language."""
    words = map_in_words(replace(explanation, emotion=t(explanation.emotion)), settings)
    return "; ".join(map(recognised, words.split("; ")))


def missing(chosen: Chosen, explained: dict[str, Analysis]) -> None:
    """Show which maps are impossible, and which lack evidence or contradict the score; `explained` is by explainer."""
    if not chosen.classifier.layers:
        st.info(in_markdown(recognised(grad_cam_refusal(chosen.classifier))), icon=":material/info:")
    for method, analysis in explained.items():
        explanation = analysis.explanations[method]
        if words := missing_evidence_in_words(analysis.profile, explanation.covered, t(explanation.emotion)):
            st.info(f"{t(METHOD_NAMES[method])}: {recognised(words)}", icon=":material/info:")
        elif words := contradiction_in_words(analysis, explanation):
            st.info(f"{t(METHOD_NAMES[method])}: {words}", icon=":material/info:")


def contradiction_in_words(analysis: Analysis, explanation: Explanation) -> str | None:
    """Return a note if a map speaks against an emotion whose score exceeds 0.5, else None."""
    score = float(analysis.scores.recording[analysis.emotions.index(explanation.emotion)])
    if explanation.against or score <= 0.5 or explanation.relevance[explanation.covered].sum() >= 0:
        return None
    return t(
        "more evidence against {emotion} than for it, although its score is {score:.2f}. *Which map to trust* says "
        "whether the model depends on what it marks.",
        emotion=t(explanation.emotion),
        score=score,
    )
