"""The meaning of a map's axes: the scores that they follow, and how much of their variance lies between groups."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import streamlit as st

from pages.shared.language import t, texts
from pages.shared.language.names import in_markdown
from ser_core.annotations.corpus_map.layout import axis_meaning
from ser_core.annotations.corpus_map.mapping import CorpusMap
from ser_core.annotations.corpus_map.points import NO_LABEL, NO_SPEAKER, Point
from ser_core.model.classifier import NetworkClassifier

#: The share of an axis's variance that lies between groups of recordings.
SHARES = texts(
    {
        "speakers": "{share:.0f} % of it lies between speakers",
        "labels": "{share:.0f} % of it lies between labels",
    }
)
#: An axis follows the scores of an emotion from this correlation on, if chance alone does not give it: in 95 % of cases
#: that stays below about 2 by the root of the number of recordings.
MIN_CORRELATION = 0.3


def describe_axes(found: CorpusMap, points: Sequence[Point], classifier: NetworkClassifier) -> None:
    """Show the meaning of the two axes."""
    if found.layout.variance is None:
        st.caption(
            t(
                "Recordings that {name} finds alike lie together. Directions, and distances between groups, "
                "mean nothing.",
                name=in_markdown(classifier.name),
            )
        )
        return
    logits = np.log(np.maximum(found.probabilities, 1e-4))
    measures = {emotion: logits[:, index] for index, emotion in enumerate(classifier.emotions)}
    groups = {
        "speakers": [None if point.speaker == NO_SPEAKER else point.speaker for point in points],
        "labels": [None if point.label == NO_LABEL else point.label for point in points],
    }
    lines = []
    for name, positions, share in zip(
        (t("Left to right"), t("Bottom to top")), found.layout.points.T, found.layout.variance, strict=True
    ):
        variance = t("{share:.0f} % of the variance", share=100 * share)
        lines.append(f"**{name}**: {'; '.join([variance, *_meaning(positions, measures, groups)])}.")
    st.caption("  \n".join(lines))


def _meaning(
    positions: np.ndarray, measures: Mapping[str, np.ndarray], groups: Mapping[str, list[str | None]]
) -> Iterator[str]:
    """Yield which scores an axis follows, and how much of its variance lies between groups."""
    meaning = axis_meaning(positions, measures, groups)
    least = max(MIN_CORRELATION, 2 / np.sqrt(len(positions)))
    strong = sorted((r, emotion) for emotion, r in meaning.correlations.items() if abs(r) >= least)
    scores = [t("{emotion} (r = {r:.2f})", emotion=t(emotion), r=r).replace("-", "−") for r, emotion in strong]
    if scores:
        yield t("follows the scores of {scores}", scores=in_markdown(", ".join(scores)))
    else:
        yield t("follows no score of the model")
    for group, share in meaning.shares.items():
        yield t(SHARES[group], share=100 * share)
