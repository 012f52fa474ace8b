"""Agreement of the explainers, in words and figures."""

from itertools import combinations

import numpy as np
import streamlit as st

from pages.shared.evidence.compared_models import listed
from pages.shared.language import number, t, texts
from ser_core.analysis import Explanation
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.agreement import AGREE_IN_PART, AGREE_WELL, HARDLY_AGREE, agreement

HELP = texts("""
**Rank correlation** compares the order of all points of two maps: 1 is the same order, 0 is unrelated, below 0 is
reversed. **Overlap** compares the strongest tenth of the points of each map: 1 if they are the same, 0.05 on average if
the maps are unrelated.
""")
IN_WORDS = texts(
    (
        (AGREE_WELL, "agree well; overlap {overlap:.2f}"),
        (AGREE_IN_PART, "agree in part; overlap {overlap:.2f}"),
        (HARDLY_AGREE, "hardly agree; overlap {overlap:.2f}"),
        (-np.inf, "contradict each other; overlap {overlap:.2f}"),
    )
)


def show(maps: dict[str, Explanation]) -> None:
    """Show how far each pair of maps agrees."""
    covered = next(iter(maps.values())).covered if maps else np.zeros(0, bool)
    if len(maps) < 2 or not covered.any():
        return
    compared = agreement({name: explanation.relevance for name, explanation in maps.items()}, covered)
    st.markdown(t("**Agreement of the explainers**"), help=t(HELP))
    pairs = list(combinations(range(len(maps)), 2))
    for column, (i, j) in zip(st.columns(len(pairs)), pairs, strict=True):
        correlation, overlap = compared.rank_correlation[i, j], compared.top_overlap[i, j]
        column.metric(
            listed([t(METHOD_NAMES[compared.methods[index]]) for index in (i, j)]),
            "–" if np.isnan(correlation) else number(correlation, "z.2f"),
        )
        column.caption(in_words(correlation, overlap))


def in_words(correlation: float, overlap: float) -> str:
    """Describe a rank correlation and an overlap; the correlation is NaN if a map is constant."""
    if np.isnan(correlation):
        return t("one of them is constant")
    return t(next(words for lowest, words in IN_WORDS if correlation >= lowest), overlap=overlap)
