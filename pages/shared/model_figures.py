"""The figures of a model: the one that counts, and all of them by corpus and by gender."""

from typing import Any

import streamlit as st


def show_headline(card: dict[str, Any], figures: dict[str, Any]) -> None:
    """Say the figure that counts, and how it came about."""
    pooled, worst = figures["pooled"], figures["worst_speaker"]
    one, two, three, four = st.columns(4)
    one.metric("UAR, mean over corpora", f"{100 * figures['mean_over_corpora_uar']:.1f} %")
    two.metric("Recordings", pooled["recordings"])
    three.metric("Speakers", pooled["speakers"])
    four.metric("Calibration error", f"{100 * figures['calibration']['expected_error']:.1f} %")
    st.caption(
        f"Split: {card['split']}. UAR is the mean of the emotions' recalls, by chance "
        f"{100 / len(card['emotions']):.0f} %. Intervals (95 %) resample speakers and are rough where there are few."
    )
    if worst:
        st.caption(
            f"The speaker heard worst is {worst['speaker']}: {100 * worst['accuracy']:.0f} % of "
            f"{worst['recordings']} recordings."
        )


def show_table(figures: dict[str, Any]) -> None:
    """List the corpora, then women and men where the corpora say so, then all together."""
    rows = {**figures["corpora"], **figures["gender"], "pooled": figures["pooled"]}
    st.dataframe(
        [
            {
                "": name,
                "UAR": 100 * f["uar"],
                "from": 100 * f["interval"][0],
                "to": 100 * f["interval"][1],
                "accuracy": 100 * f["accuracy"],
                "macro F1": 100 * f["macro_f1"],
                "recordings": f["recordings"],
                "speakers": f["speakers"],
            }
            for name, f in rows.items()
        ],
        hide_index=True,
        column_config={"": st.column_config.TextColumn("", width="medium")}
        | {
            name: st.column_config.NumberColumn(name, format="%.1f %%")
            for name in ("UAR", "from", "to", "accuracy", "macro F1")
        },
    )
