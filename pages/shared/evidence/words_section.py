"""The words of a recording on the page Listen: evidence of each, their language, and editing."""

from collections.abc import Iterator, Sequence

import numpy as np
import streamlit as st

from pages.shared import waiting
from pages.shared.evidence.spoken_words import Spoken
from pages.shared.evidence.word_table import FigureColumn, word_table
from pages.shared.language import recognised, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.player.regions import signed
from pages.shared.recording import open_recordings, word_model
from ser_core.analysis import Analysis, Explanation, Recording, Region
from ser_core.annotations.words import phrases_under, read_words
from ser_core.errors import WordsRefused
from ser_core.explanation import METHOD_NAMES
from ser_core.words.evidence import MIN_RANKED_WORDS, WordEvidence, rank_agreement, sums_over_words
from ser_core.words.transcription import MIN_SPEECH_S, Transcript

HELP = texts("""
Each word is replaced by silence, and by each band's mean, in many combinations, and the model is run again. Its
**evidence** is the Shapley value in log-odds: how much the word raises the evidence for the emotion, on average over
the other words that are there or not. The range covers both ways of replacing and, with more than six words, the
sampling. Underlined are the fewest words that hold half of all evidence for the emotion.

Words are transcribed on this machine by Whisper, or given by you, which always wins.
""")


def show(analysis: Analysis, spoken: Spoken, explanation: Explanation | None) -> None:
    """Draw the section below the player; the words themselves are in the player."""
    st.header(t("Words: which of them decide"), divider="gray", help=t(HELP))
    _request(analysis.recording, spoken)
    waiting.results(spoken.jobs)
    if spoken.transcript is not None:
        _show_language(analysis.recording, spoken.transcript)
    if spoken.evidence is not None:
        st.markdown(_summary(spoken.evidence, analysis, explanation))
    elif spoken.words:
        _show_words_under_focus(analysis, spoken.words)
    if spoken.words or analysis.recording.sha256 in open_recordings.entered_words():
        _table(analysis, spoken, explanation)


# --- requesting words ---


def _request(recording: Recording, spoken: Spoken) -> None:
    can_find = bool(spoken.words) or word_model.folder() is not None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if can_find and recording.sha256 not in open_recordings.requested_words():
            # A callback: the page runs again whenever a map is done, perhaps before the run reaches this button.
            st.button(
                t("Find the words that decide"),
                key="find_words",
                icon=":material/manage_search:",
                on_click=open_recordings.requested_words().setdefault,
                args=(recording.sha256, ""),
            )
        with st.popover(t("Words from a file"), icon=":material/upload_file:", width="content"):
            _upload(recording)
        entered = open_recordings.entered_words()
        if not spoken.words and recording.sha256 not in entered:
            st.button(
                t("Type the words"),
                key="type_words",
                icon=":material/keyboard:",
                on_click=entered.setdefault,
                args=(recording.sha256, ()),
            )
    if not can_find:
        word_model.offer()


def _upload(recording: Recording) -> None:
    st.markdown(t("Upload the words and their times; they replace the transcription."))
    file = st.file_uploader(
        t("Words"),
        type=["TextGrid", "csv"],
        key=f"words_{recording.sha256}",
        help=t(
            "A Praat TextGrid (its tier called words, else its first interval tier), or a CSV with the "
            "columns start_s, end_s and word."
        ),
    )
    if file is not None and st.session_state.get("words_file") != file.file_id:
        try:
            open_recordings.entered_words()[recording.sha256] = read_words(file.getvalue(), file.name)
        except WordsRefused as refusal:
            st.error(in_markdown(recognised(str(refusal))), icon=":material/block:")
            return
        st.session_state["words_file"] = file.file_id
        st.rerun()
    entered = open_recordings.entered_words()
    if recording.sha256 in entered and st.button(t("Forget the words"), key="forget_words", icon=":material/delete:"):
        del entered[recording.sha256]
        st.rerun()


# --- showing ---


def _show_language(recording: Recording, transcript: Transcript) -> None:
    """Show the language and offer others, and show how much was not transcribed."""
    if transcript.speech_s < MIN_SPEECH_S:
        st.info(t("No speech was found in this recording, so there are no words."), icon=":material/voice_over_off:")
        return
    sha256, found = recording.sha256, transcript.language
    chosen = open_recordings.requested_words()[sha256]
    languages = word_model.LANGUAGES | ({found: word_model.LANGUAGES.get(found, found)} if found else {})
    detected = t("Found by the model")
    if transcript.language_confidence is not None:
        detected = t(
            "{language} (found, {percent:.0f} %)",
            language=t(languages[found]),
            percent=100 * transcript.language_confidence,
        )
    column, _ = st.columns([2, 3])
    codes = ["", *sorted(languages, key=languages.get)]
    picked = column.selectbox(
        t("Language"),
        codes,
        index=codes.index(chosen),
        format_func=lambda code: t(languages[code]) if code else detected,
        key=f"language_{sha256}",
        help=t("If the model found the wrong one, choose another; the words are then transcribed again."),
    )
    if picked != chosen:
        open_recordings.requested_words()[sha256] = picked
        st.rerun()
    if not transcript.words:
        st.info(t("No word could be transcribed with confidence."), icon=":material/voice_over_off:")
    elif transcript.unclear_s >= 0.1:
        st.caption(
            t("{seconds:.1f} s of speech could not be transcribed with confidence.", seconds=transcript.unclear_s)
        )


def _summary(evidence: WordEvidence, analysis: Analysis, explanation: Explanation | None) -> str:
    """Describe the effect of silencing the words, and whether the map agrees."""
    if not evidence.phrases:
        return t("No word speaks for {emotion}.", emotion=t(evidence.emotion))
    summary = t(
        "While the words are silenced one by one, the strongest first, the evidence for **{emotion}** "
        "(log-odds) changes by {strongest_first} on average; with the weakest first, by {weakest_first}.",
        emotion=t(evidence.emotion),
        strongest_first=signed(-evidence.aopc),
        weakest_first=signed(-evidence.lowest_first_aopc),
    )
    if explanation is None:
        return summary
    sums = sums_over_words(explanation.relevance, evidence.words, analysis.spectrogram.frame_times_s)
    return f"{summary} {_correlation(evidence.value, sums, explanation.method)}".strip()


def _correlation(value: np.ndarray, sums: np.ndarray, method: str) -> str:
    """Describe the rank correlation of the words' values with a map's sums; "" if all words are the same to one."""
    agreement, name = rank_agreement(value, sums), t(METHOD_NAMES[method])
    if agreement is not None:
        return t("Rank correlation with {map}: {r}.", map=name, r=signed(agreement))
    if np.isfinite(value).sum() >= MIN_RANKED_WORDS:
        return ""
    return t("For a rank correlation with {map} there are too few words: it needs {n}.", map=name, n=MIN_RANKED_WORDS)


def _show_words_under_focus(analysis: Analysis, words: tuple[Region, ...]) -> None:
    phrases = phrases_under([focus.region for focus in analysis.focus], words)
    if phrases:
        names = ", ".join(f"*{in_markdown(phrase)}*" for phrase in phrases)
        st.markdown(t("Words in focus: {phrases}", phrases=names))
    elif analysis.focus:
        st.markdown(t("No word is in focus by at least half."))


def _table(analysis: Analysis, spoken: Spoken, explanation: Explanation | None) -> None:
    """Show the words with their figures; edited words and times replace the transcript."""
    recording, entered = analysis.recording, open_recordings.entered_words()
    refusal = word_table(
        spoken.words,
        [
            FigureColumn(t(title), t(COLUMN_HELP[title]), values)
            for title, values in _figures(analysis, spoken, explanation)
        ],
        key=f"words_table_{recording.sha256}",
        from_s=recording.start_s,
        until_s=recording.start_s + recording.duration_s,
        current=lambda: entered.get(recording.sha256, spoken.words),
        edited=lambda words: entered.update({recording.sha256: words}),
    )
    if refusal:
        st.error(in_markdown(recognised(refusal)), icon=":material/block:")


EVIDENCE, LOWEST, HIGHEST, WITHOUT, MAP, CONFIDENCE = texts(
    ("Evidence", "Lowest", "Highest", "Without it", "Map", "Confidence")
)
COLUMN_HELP = texts(
    {
        EVIDENCE: "Shapley value, in log-odds for the emotion",
        LOWEST: "Lowest of both ways of replacing the word, with the sampling error",
        HIGHEST: "Highest of both ways of replacing the word, with the sampling error",
        WITHOUT: "Evidence that is lost if only this word is replaced",
        MAP: "Sum over the word of the chosen map, its mean over frequency",
        CONFIDENCE: "The transcribing model's probability of the word",
    }
)


def _figures(
    analysis: Analysis, spoken: Spoken, explanation: Explanation | None
) -> Iterator[tuple[str, Sequence[float]]]:
    """Yield the columns of figures: their titles, and a figure for each word."""
    evidence = spoken.evidence
    if evidence is not None:
        yield from {
            EVIDENCE: evidence.value,
            LOWEST: evidence.low,
            HIGHEST: evidence.high,
            WITHOUT: evidence.alone,
        }.items()
        if explanation is not None:
            yield MAP, sums_over_words(explanation.relevance, spoken.words, analysis.spectrogram.frame_times_s)
    if spoken.transcript is not None:
        yield CONFIDENCE, spoken.transcript.confidence
