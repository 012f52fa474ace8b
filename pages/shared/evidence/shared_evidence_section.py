"""Agreement of the models' maps: a matrix, a sentence, and a player for their consensus."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import streamlit as st

from pages.shared.cached import measuring
from pages.shared.charts import axes
from pages.shared.charts.compared import CONSENSUS, matrix_chart
from pages.shared.evidence.compared_models import listed
from pages.shared.language import t, texts
from pages.shared.language.names import in_markdown
from pages.shared.player import player
from ser_core.analysis import Analysis, Explanation
from ser_core.explanation.agreement import AGREE_IN_PART, AGREE_WELL, HARDLY_AGREE, TOP_SHARE, Agreement
from ser_core.explanation.model_agreement import map_agreement, on_one_grid, shared_part
from ser_core.pipeline import level_of_focus, with_focus
from ser_core.settings import AnalysisSettings

HELP = texts("""
Above: **rank correlation**, which compares the order of all points of two maps: 1 is the same order, 0 is unrelated,
below 0 is reversed. In brackets: **overlap** of the strongest tenth of the points of each map (intersection over
union): 1 if they are the same, 0.05 on average by chance. Each pair is compared where both maps cover the recording.
""")
EVIDENCE = texts(
    (
        (AGREE_WELL, "much the same evidence"),
        (AGREE_IN_PART, "partly the same evidence"),
        (HARDLY_AGREE, "mostly different evidence"),
        (-np.inf, "opposite evidence"),
    )
)
#: The consensus of models is never negative, so its focus regions are the parts above half of its peak.
MIN_SHARE_OF_PEAK = 0.5


def show(explained: dict[str, Analysis], method: str, shared: Explanation | None, settings: AnalysisSettings) -> None:
    """Compare the finished maps, and offer their consensus in the player."""
    st.header(t("Do they use the same evidence?"), divider="gray", help=t(HELP))
    if len(explained) < 2:
        st.markdown(t("A comparison needs at least two maps."))
    else:
        _matrix(explained, method)
    st.header(t("Listen"), divider="gray")
    _player(explained, method, shared, settings)


def _matrix(explained: dict[str, Analysis], method: str) -> None:
    compared = map_agreement(explained, method)
    matrix, words = st.columns([3, 2], gap="large", vertical_alignment="center")
    dark = st.context.theme.type == "dark"
    matrix.plotly_chart(matrix_chart(compared, dark), width="stretch", config=axes.config(buttons=False))
    words.markdown(in_markdown(agreement_in_words(compared)))
    if others := sorted(set(explained) - set(on_one_grid(explained))):
        words.caption(
            t(
                "Not compared: {names}, whose front end has other frames or bands.",
                names=in_markdown(", ".join(others)),
            )
        )
    elif np.isnan(compared.rank_correlation).any():
        words.caption(t("A cell is empty if a map is constant, or if two maps have no frame in common."))


def agreement_in_words(compared: Agreement) -> str:
    """Describe in plain words whether the models use the same evidence."""
    pairs = []
    for (i, one), (j, other) in combinations(enumerate(compared.methods), 2):
        correlation, overlap = compared.rank_correlation[i, j], compared.top_overlap[i, j]
        if not np.isnan(correlation):
            pairs.append((correlation, overlap, listed((one, other))))
    if not pairs:
        return t("No two of these maps can be compared.")
    mean = float(np.mean([correlation for correlation, _, _ in pairs]))
    who = pairs[0][2] if len(pairs) == 1 else t("On average the models")
    sentences = [
        t(
            "{who} use {evidence}: the strongest tenths of two maps share {shared:.0f} % of their points, against "
            "{chance:.0f} % by chance.",
            who=who,
            evidence=t(next(words for lowest, words in EVIDENCE if mean >= lowest)),
            shared=100 * float(np.mean([shared_part(overlap) for _, overlap, _ in pairs])),
            chance=100 * TOP_SHARE,
        )
    ]
    if len(pairs) > 1:
        (highest, _, most_alike), (lowest, _, least_alike) = max(pairs), min(pairs)
        sentences.append(
            t(
                "Most alike: {most_alike} ({highest:.2f}). Least alike: {least_alike} ({lowest:.2f}).",
                most_alike=most_alike,
                highest=float(highest),
                least_alike=least_alike,
                lowest=float(lowest),
            )
        )
    return " ".join(sentences)


def _player(
    explained: dict[str, Analysis], method: str, shared: Explanation | None, settings: AnalysisSettings
) -> None:
    on_grid = on_one_grid(explained)
    analysis = next(iter(on_grid.values()))
    overlays = {name: one.explanations[method] for name, one in on_grid.items()}
    profile, level, regions = None, None, []
    if shared is not None:
        overlays = {t(CONSENSUS): shared, **overlays}
        focus = replace(settings.focus, threshold=MIN_SHARE_OF_PEAK)
        analysis = with_focus(analysis, shared, replace(settings, focus=focus))
        profile, level = analysis.profile, level_of_focus(analysis)
        regions = [one.region for one in analysis.focus]
    player(
        analysis.recording,
        key="compare",
        spectrogram=analysis.spectrogram,
        overlays=overlays,
        profile=profile,
        threshold=level,
        regions=regions,
        regions_title=t("Consensus above half of its peak"),
        charts="maps",
        measure=measuring.measures_job,
    )
