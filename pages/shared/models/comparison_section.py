"""Compare a model with another one that has the same emotions, in a sentence."""

import streamlit as st

from pages.shared.language import number, recognised, t
from pages.shared.language.names import corpus_name, in_markdown
from ser_core.errors import SerError
from ser_core.learning.metrics import PairedDifference, paired_difference
from ser_core.learning.predictions import read_test_predictions
from ser_core.model.checkpoint import read_card
from ser_core.model.shipped_models import find_model, model_names


def show(name: str, emotions: tuple[str, ...]) -> None:
    """Ask for another model, and show the difference and whether it may be due to chance."""
    with st.container(border=True):
        choice, words = st.columns([1, 2], gap="medium", vertical_alignment="center")
        other = choice.selectbox(
            t("Compare with"),
            [other for other in model_names() if other != name and emotions_of(other) == emotions],
            index=None,
            placeholder=t("Choose a model"),
            key="evaluate_compared",
            persist_state="session",
            help=t(
                "On the recordings that both models were tested on, in all folds if there are several. The "
                "interval resamples speakers, the same ones for both."
            ),
        )
        if other is None:
            words.caption(t("No model is chosen. Choose one to see whether they differ by more than chance."))
            return
        try:
            difference = paired_difference(
                read_test_predictions(find_model(name)), read_test_predictions(find_model(other))
            )
            words.markdown(in_words(name, other, difference))
        except SerError as refusal:
            words.error(in_markdown(recognised(str(refusal))), icon=":material/error:")


def in_words(one: str, other: str, difference: PairedDifference) -> str:
    """Describe the difference, and whether its interval excludes zero, in Markdown."""
    one, other = in_markdown(one), in_markdown(other)
    verdict = {
        1: t("**{name} is better:** the interval excludes zero.", name=one),
        -1: t("**{name} is better:** the interval excludes zero.", name=other),
        0: t("**No difference is shown:** the interval includes zero."),
    }[side_of_zero(difference.interval)]
    if difference.speakers == len(difference.corpora):
        verdict = t("**Whether this is chance cannot be said** from one speaker of each corpus.")
    low, high = (points(bound) for bound in difference.interval)
    return t(
        "{one} minus {other}: **{gain} points** of UAR, mean over {corpora} (95 % interval {low} to {high}), on "
        "{recordings} recordings of {speakers} speakers that both were tested on. {verdict}",
        one=one,
        other=other,
        gain=points(difference.gain),
        corpora=", ".join(in_markdown(corpus_name(corpus)) for corpus in difference.corpora),
        low=low,
        high=high,
        recordings=difference.recordings,
        speakers=difference.speakers,
        verdict=verdict,
    )


def side_of_zero(interval: tuple[float, float] | list[float]) -> int:
    """Return 1 for an interval above zero, -1 for one below, 0 for one that includes zero."""
    low, high = interval
    return int(low > 0) - int(high < 0)


def points(share: float) -> str:
    """Format a difference of two shares in percentage points, with its sign."""
    return number(100 * share, "+.1f")


def emotions_of(model: str) -> tuple[str, ...]:
    """Return a model's emotions; empty if its card cannot be read."""
    try:
        return tuple(read_card(find_model(model)).get("emotions") or ())
    except SerError:
        return ()
