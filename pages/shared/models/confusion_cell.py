"""A cell of the confusion matrix, chosen by a click or in two lists, and its recordings, to be heard."""

from pathlib import Path

import streamlit as st

from pages.shared import session
from pages.shared.charts.evaluation import confusion_chart
from pages.shared.models import corpus_recordings
from pages.shared.names import in_markdown
from ser_core.audio.reading import file_bytes
from ser_core.errors import SerError
from ser_core.learning.predictions import Predictions, in_cell

ON_A_PAGE = 10
CHART = "evaluate_confusion"


def show_matrix(confusion: list[list[int]], emotions: tuple[str, ...]) -> None:
    """Draw the matrix; a click chooses a cell."""
    for name in ("acted", "heard"):
        if session.choice(name) not in (None, *emotions):
            session.choose(name, None)
    acted, heard = session.choice("acted"), session.choice("heard")
    chosen = (acted, heard) if acted and heard else None
    st.plotly_chart(
        confusion_chart(confusion, emotions, chosen, dark=st.context.theme.type == "dark"),
        width="stretch",
        config={"displayModeBar": False},
        key=CHART,
        on_select=_take_click,
        selection_mode="points",
    )


def _take_click() -> None:
    points = st.session_state[CHART].selection.points
    if points:
        session.choose("acted", points[0]["y"])
        session.choose("heard", points[0]["x"])


def show_recordings(predictions: Predictions) -> None:
    """Ask for a cell, as a click does, and list its recordings."""
    with st.container(border=True):
        acted, heard = (
            column.selectbox(
                label,
                predictions.emotions,
                index=None,
                placeholder="Choose an emotion",
                **session.widget(name, session.choice(name)),
            )
            for column, label, name in zip(st.columns(2), ("Acted", "Heard as"), ("acted", "heard"), strict=True)
        )
        if not acted or not heard:
            st.caption(":material/touch_app: Click a cell, or choose both emotions, to hear its recordings.")
            return
        cell = predictions.of(in_cell(predictions, acted, heard))
        if not len(cell.labels):
            st.caption(f"No recording of {in_markdown(acted)} was heard as {in_markdown(heard)}.")
            return
        shown = _page_of(cell)
        _say_what_is_missing(cell)
        for place in shown:
            _show_recording(cell, place)


def _page_of(cell: Predictions) -> range:
    """Say how many recordings there are, and return which of them are shown."""
    count = len(cell.labels)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(
            f"**{count} recording{'s' if count > 1 else ''}**, the most confident answers first", width="content"
        )
        pages = -(-count // ON_A_PAGE)
        page = st.pagination(pages, key=f"page_{cell.sha256[0]}_{count}", persist_state="session") if pages > 1 else 1
    return range(count)[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]


def _say_what_is_missing(cell: Predictions) -> None:
    missing = [name for name in sorted(set(cell.corpora)) if corpus_recordings.folder_of(name) is None]
    if missing:
        names = " and ".join(in_markdown(name) for name in missing)
        st.info(
            f"The audio of {names} is not on this machine. To hear it, set SER_CORPORA to the folder that holds "
            f"{names}, and start the app again.",
            icon=":material/folder_open:",
        )


def _show_recording(cell: Predictions, place: int) -> None:
    """Show who speaks and what was scored, with a player and the way to the evidence where the audio is here."""
    corpus, sha256 = cell.corpora[place], cell.sha256[place]
    acted, heard = cell.labels[place], cell.predicted[place]
    who = [corpus, f"speaker {cell.speakers[place].removeprefix(f'{corpus}:')}", cell.genders[place]]
    scores = {cell.emotions[emotion]: cell.probabilities[place, emotion] for emotion in (heard, acted)}
    what, play, why = st.columns([3, 4, 1], vertical_alignment="center")
    what.markdown(
        f"**{place + 1}** · {' · '.join(in_markdown(word) for word in who if word)}  \n"
        + ", ".join(f"{in_markdown(emotion)} {score:.2f}" for emotion, score in scores.items())
    )
    file = corpus_recordings.file_of(corpus, sha256)
    if file is None:
        if corpus_recordings.folder_of(corpus):
            play.caption(f"Not among the files of {in_markdown(corpus)} on this machine.")
        return
    evidence = "See the evidence on the page Explain."
    try:
        play.audio(corpus_recordings.sound(sha256, file))
        if why.button(
            "Why?", key=f"why_{place}_{sha256}", icon=":material/visibility:", help=evidence, width="stretch"
        ):
            _explain(file, *scores)
    except (SerError, OSError) as refusal:
        play.error(in_markdown(str(refusal)), icon=":material/error:")


def _explain(file: Path, heard: str, acted: str | None = None) -> None:
    """Turn to the page Explain and ask there what speaks for what was heard rather than what was acted."""
    session.hold(file_bytes(file), file.name)
    session.choose("emotion", heard)
    session.choose("against", acted or session.ALL_OTHERS)
    st.switch_page("pages/1_Explain.py")
