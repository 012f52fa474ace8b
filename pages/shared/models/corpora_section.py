"""The chosen corpora: a table of all; charts, excluded files and a player for one."""

from pathlib import Path

import numpy as np
import streamlit as st

from pages.shared import cached
from pages.shared.cached import sounds
from pages.shared.charts import axes
from pages.shared.charts.corpora import durations_chart, emotions_chart, speakers_chart
from pages.shared.language import number_column, recognised, t, texts
from pages.shared.language.names import corpus_name, in_markdown, printable
from ser_core.audio.reading import read_recording
from ser_core.corpora.overview import CorpusOverview
from ser_core.errors import SerError

MAX_LISTED = 50
#: Headings of the table of corpora.
COLUMNS = texts(
    ("corpus", "language", "recordings", "speakers", "emotions", "sentences", "minutes", "left out", "unreadable")
)


def show(folders: dict[str, str]) -> None:
    """Show the corpora whose folders exist; if a folder does not contain its corpus, show why."""
    overviews = {}
    for name, folder in folders.items():
        try:
            if folder:
                overviews[name] = cached.corpus_overview(name, folder)
        except SerError as refusal:
            st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
    if not overviews:
        return
    show_table(overviews)
    name = st.selectbox(t("Corpus"), list(overviews), format_func=corpus_name, key="corpora_name")
    show_charts(overviews[name])
    show_left_out(overviews[name], Path(folders[name]))
    listen(overviews[name], Path(folders[name]))


def show_table(overviews: dict[str, CorpusOverview]) -> None:
    """List the corpora, one per row, and their totals."""
    st.dataframe(
        [
            {
                "corpus": corpus_name(name),
                "language": printable(", ".join(map(recognised, o.languages))),
                "recordings": len(o.corpus.recordings),
                "speakers": len(o.speakers),
                "emotions": len(o.emotions),
                "sentences": o.sentences or None,
                "minutes": round(o.total_s / 60, 1),
                "left out": len(o.corpus.left_out),
                "unreadable": len(o.unreadable),
            }
            for name, o in overviews.items()
        ],
        hide_index=True,
        column_config={name: t(name) for name in COLUMNS} | {"minutes": number_column(t("minutes"), 1)},
    )
    total, again = st.columns([4, 1], vertical_alignment="center")
    recordings = sum(len(o.corpus.recordings) for o in overviews.values())
    speakers = sum(len(o.speakers) for o in overviews.values())
    hours = sum(o.total_s for o in overviews.values()) / 3600
    total.caption(
        t(
            "In total {recordings} recordings of {speakers} speakers, {hours:.1f} hours.",
            recordings=recordings,
            speakers=speakers,
            hours=hours,
        )
    )
    again.button(
        t("Read again"),
        icon=":material/refresh:",
        width="stretch",
        help=t("Do this after adding, renaming or removing files."),
        on_click=cached.forget_overviews,
    )


def show_charts(overview: CorpusOverview) -> None:
    """Draw recordings and durations by emotion, and below them recordings by speaker."""
    settings = {"width": "stretch", "config": axes.config()}
    left, right = st.columns(2, gap="large")
    genders = ", ".join(f"{count} {recognised(gender)}" for gender, count in sorted(overview.genders.items()))
    left.markdown(" · ".join([t("**Recordings by emotion**"), *([in_markdown(genders)] if genders else [])]))
    left.plotly_chart(emotions_chart(overview), **settings)
    durations = t("**Durations**")
    if overview.total_s:
        durations = t("**Durations** · median {median:.1f} s", median=float(np.nanmedian(overview.durations_s)))
    right.markdown(
        durations,
        help=t("Box: the middle half, with the median. Whiskers: up to 1.5 times the box length. Points: outliers."),
    )
    right.plotly_chart(durations_chart(overview), **settings)
    st.markdown(t("**Recordings by speaker**"))
    st.plotly_chart(speakers_chart(overview), **settings)


def show_left_out(overview: CorpusOverview, folder: Path) -> None:
    """Count excluded files by reason, and list the first of them, unreadable files first."""
    files = [*overview.unreadable, *overview.corpus.left_out]
    if not files:
        st.caption(t("Every audio file in the folder belongs to the corpus and can be read."))
        return
    reasons = overview.corpus.reasons().most_common()
    if overview.unreadable:
        reasons.insert(0, (t("cannot be read"), len(overview.unreadable)))
    with st.expander(t("Left out or unreadable: {n} files", n=len(files)), icon=":material/rule:"):
        file, files_of, why = t("file"), t("files"), t("reason")
        st.dataframe(
            [{why: printable(recognised(reason)), files_of: count} for reason, count in reasons], hide_index=True
        )
        st.dataframe(
            [
                {file: name_under(folder, path), why: printable(recognised(reason))}
                for path, reason in files[:MAX_LISTED]
            ],
            hide_index=True,
        )
        if len(files) > MAX_LISTED:
            st.caption(t("And {n} more.", n=len(files) - MAX_LISTED))


def listen(overview: CorpusOverview, folder: Path) -> None:
    """Choose a recording by emotion and speaker, and play it."""
    st.markdown(t("**Listen to a recording**"))
    first, second, third = st.columns([1, 1, 2])
    emotion = first.selectbox(t("Emotion"), overview.emotions, format_func=t, key="corpora_emotion")
    items = [item for item in overview.corpus.recordings if item.emotion == emotion]
    speakers = sorted({item.speaker_id for item in items})
    names = {speaker: printable(speaker.removeprefix(f"{overview.corpus.name}:")) for speaker in speakers}
    speaker = second.selectbox(t("Speaker"), speakers, format_func=names.get, key="corpora_speaker")
    files = {name_under(folder, item.path): item.path for item in items if item.speaker_id == speaker}
    file = third.selectbox(t("Recording"), list(files), key="corpora_file")
    try:
        recording = read_recording(files[file])
    except SerError as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
        return
    except OSError:
        st.error(t("The app may not read this file. Change its permissions."), icon=":material/error:")
        return
    st.audio(sounds.sound(recording.sha256, recording))


def name_under(folder: Path, path: Path) -> str:
    """Return a file's path within its corpus, in printable form."""
    return printable(str(path.relative_to(folder) if path.is_relative_to(folder) else path))
