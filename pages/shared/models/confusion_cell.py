"""A cell of the confusion matrix, chosen by a click or from two lists, and players for its recordings."""

from pathlib import Path

import streamlit as st

from pages.shared import session
from pages.shared.charts import axes
from pages.shared.charts.evaluation import confusion_chart
from pages.shared.language import plural, recognised, t
from pages.shared.language.names import corpus_name, in_markdown
from pages.shared.models import corpus_recordings
from pages.shared.recording import open_recordings
from ser_core.audio.reading import file_bytes
from ser_core.errors import SerError
from ser_core.learning.predictions import Predictions, indices_in_cell

PAGE_SIZE = 10
CHART = "evaluate_confusion"


def show_matrix(confusion: list[list[int]], emotions: tuple[str, ...]) -> None:
    """Draw the matrix; a click selects a cell."""
    for name in ("acted", "predicted"):
        if session.choice(name) not in (None, *emotions):
            session.choose(name, None)
    acted, predicted = session.choice("acted"), session.choice("predicted")
    chosen = (acted, predicted) if acted and predicted else None
    st.plotly_chart(
        confusion_chart(confusion, emotions, chosen, dark=st.context.theme.type == "dark"),
        width="stretch",
        config=axes.config(buttons=False),
        key=CHART,
        on_select=_on_click,
        selection_mode="points",
    )


def _on_click() -> None:
    points = st.session_state[CHART].selection.points
    if points:
        session.choose("acted", points[0]["y"])
        session.choose("predicted", points[0]["x"])


def show_recordings(predictions: Predictions, *, by_others: bool) -> None:
    """Offer two lists to select a cell, as a click does, and list its recordings.

    `by_others`: whether models other than the one that *Why?* explains made the predictions.
    """
    with st.container(border=True):
        acted, predicted = (
            column.selectbox(
                label,
                predictions.emotions,
                format_func=t,
                index=None,
                placeholder=t("Choose an emotion"),
                **session.widget(name, session.choice(name)),
            )
            for column, label, name in zip(
                st.columns(2), (t("Acted"), t("Predicted")), ("acted", "predicted"), strict=True
            )
        )
        if not acted or not predicted:
            st.caption(t(":material/touch_app: Click a cell, or choose both emotions, to list its recordings."))
            return
        cell = predictions.subset(indices_in_cell(predictions, acted, predicted))
        if not len(cell.labels):
            st.caption(
                t(
                    "No recording of {acted} was predicted as {predicted}.",
                    acted=in_markdown(t(acted)),
                    predicted=in_markdown(t(predicted)),
                )
            )
            return
        shown = _page_of(cell)
        _show_missing_corpora(cell)
        if by_others:
            st.caption(
                t(
                    "Each was predicted by a model that was trained without its speaker or corpus. *Why?* explains the "
                    "model in the sidebar, whose verdict may differ."
                )
            )
        for index in shown:
            _show_recording(cell, index)


def _page_of(cell: Predictions) -> range:
    """Show the number of recordings and a pager; return the indices of the current page."""
    count = len(cell.labels)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(
            plural(
                count,
                "**{n} recording**, most confident predictions first",
                "**{n} recordings**, most confident predictions first",
            ),
            width="content",
        )
        pages = -(-count // PAGE_SIZE)
        page = st.pagination(pages, key=f"page_{cell.sha256[0]}_{count}", persist_state="session") if pages > 1 else 1
    return range(count)[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]


def _show_missing_corpora(cell: Predictions) -> None:
    missing = [name for name in sorted(set(cell.corpora)) if corpus_recordings.folder_of(name) is None]
    if missing:
        names = (in_markdown(name) for name in missing)
        st.info(
            t(
                "The audio of {names} is not on this machine. To play it, set SER_CORPORA to the folder that "
                "contains {names}, and restart the app.",
                names=t(" and ").join(names),
            ),
            icon=":material/folder_open:",
        )


def _show_recording(cell: Predictions, index: int) -> None:
    """Show speaker and scores and, if the audio is here, a player and a link to the evidence."""
    corpus, sha256 = cell.corpora[index], cell.sha256[index]
    acted, predicted = cell.labels[index], cell.predicted[index]
    speaker = t("speaker {name}", name=cell.speakers[index].removeprefix(f"{corpus}:"))
    who = [corpus_name(corpus), speaker, recognised(cell.genders[index])]
    scores = {cell.emotions[emotion]: cell.probabilities[index, emotion] for emotion in (predicted, acted)}
    what, play, why = st.columns([3, 4, 1], vertical_alignment="center")
    what.markdown(
        f"**{index + 1}** · {' · '.join(in_markdown(word) for word in who if word)}  \n"
        + ", ".join(
            t("{emotion} {score:.2f}", emotion=in_markdown(t(emotion)), score=float(score))
            for emotion, score in scores.items()
        )
    )
    file = corpus_recordings.file_of(corpus, sha256)
    if file is None:
        if corpus_recordings.folder_of(corpus):
            play.caption(t("Not among the files of {corpus} on this machine.", corpus=in_markdown(corpus_name(corpus))))
        return
    try:
        play.audio(corpus_recordings.sound(sha256, file))
        if why.button(
            t("Why?"),
            key=f"why_{index}_{sha256}",
            icon=":material/visibility:",
            help=t("See the evidence on the page Explain."),
            width="stretch",
        ):
            _explain(file, *scores)
    except (SerError, OSError) as refusal:
        play.error(in_markdown(recognised(str(refusal))), icon=":material/error:")


def _explain(file: Path, predicted: str, acted: str | None = None) -> None:
    """Open the page Explain with the evidence for the predicted emotion, in contrast with the acted one."""
    open_recordings.hold(file_bytes(file), file.name)
    session.choose("emotion", predicted)
    session.choose("against", acted or session.ALL_OTHERS)
    st.switch_page("pages/1_Explain.py")
