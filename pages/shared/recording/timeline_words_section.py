"""The words of a long recording: transcribe them, search a word or a phrase, and jump there."""

from collections.abc import Callable, Sequence

import streamlit as st

from pages.shared import session, waiting
from pages.shared.cached import long_recordings
from pages.shared.language import plural, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.recording import open_recordings, word_model
from pages.shared.recording.word_model import LANGUAGES
from ser_core.analysis import clock
from ser_core.output.timeline_folder import timeline_words_csv
from ser_core.timeline.timeline import Timeline
from ser_core.timeline.words import TimelineWords
from ser_core.words.text import find_phrase, phrase_around
from ser_core.work.atomic_folder import folder_name

HELP = texts("""
Whisper transcribes on this machine, piece by piece, in the background. What is transcribed so far can be searched
meanwhile, and stays if you stop it. Without speech, nothing is transcribed.
""")
#: How much of the recording is opened before and after the start of a phrase.
BEFORE_S, AFTER_S = 5.0, 10.0
MAX_LISTED = 50
ANY_LANGUAGE = ""


def found_times_s(long: open_recordings.HeldLong) -> list[float]:
    """Return the times in seconds at which the searched phrase is said, in the words known so far."""
    words = known_words(long)
    return [words.transcript.words[found.start].start_s for found in _found(words)]


def known_words(long: open_recordings.HeldLong) -> TimelineWords:
    """Return the words of a long recording that are known so far."""
    return long.words.get(session.choice("timeline_language"), TimelineWords())


def _found(words: TimelineWords) -> list[range]:
    return find_phrase(words.transcript.words, session.choice("timeline_search"))


def show(long: open_recordings.HeldLong, timeline: Timeline, open_part: Callable[[float, float], None]) -> None:
    """Offer to transcribe, and search the words.

    Parameters
    ----------
    open_part : callable
        Opens a part of the recording, from one second to another, in the player.
    """
    st.markdown(t("**Words**"), help=t(HELP))
    folder, language = word_model.folder(), session.choice("timeline_language")
    if language is None:
        if folder is None:
            word_model.offer()
        elif st.button(t("Transcribe to search words"), key="transcribe_long", icon=":material/manage_search:"):
            session.choose("timeline_language", ANY_LANGUAGE)
            st.rerun()
        return
    if folder is not None:
        waiting.results({"timeline words": long_recordings.timeline_words_job(long, timeline, folder, language)})
    words = known_words(long)
    search, speaks = st.columns([3, 2])
    search.text_input(
        t("Search words"),
        placeholder=t("A word or a phrase"),
        icon=":material/search:",
        **session.widget("timeline_search", session.choice("timeline_search")),
    )
    _choose_language(speaks)
    found = _found(words)
    if words.until_s:
        st.caption(_in_words(words, found, timeline))
    _show_found(words, found, timeline, open_part)
    if words.transcript.words:
        st.download_button(
            t("Words (CSV)"),
            lambda: timeline_words_csv(words),
            f"{folder_name(long.name)}-words.csv",
            "text/csv",
            icon=":material/table:",
            on_click="ignore",
        )


def _in_words(words: TimelineWords, found: Sequence[range], timeline: Timeline) -> str:
    """Describe the words: their number and language, how much of the recording they cover, and the search results."""
    count, language = len(words.transcript.words), words.transcript.language
    whole, covered = words.until_s > timeline.duration_s - 1, clock(words.until_s)
    if not count and whole:
        return t("No speech is transcribed.")
    if not count:
        return t("No speech is transcribed in the first {covered}.", covered=covered)
    language = t(LANGUAGES.get(language, language))
    if whole:
        coverage = plural(count, "{n} word in {language}.", "{n} words in {language}.", language=language)
    else:
        coverage = plural(
            count,
            "{n} word in {language} in the first {covered}.",
            "{n} words in {language} in the first {covered}.",
            language=language,
            covered=covered,
        )
    return f"{coverage} {_times_in_words(len(found))}" if session.choice("timeline_search").strip() else coverage


def _times_in_words(times: int) -> str:
    if times > MAX_LISTED:
        return t("Said {n} times; the first {limit} are listed.", n=times, limit=MAX_LISTED)
    return plural(times, "Said once.", "Said {n} times.") if times else t("Not said.")


def _choose_language(column: st.delta_generator.DeltaGenerator) -> None:
    column.selectbox(
        t("Language"),
        # Streamlit identifies an option by its text, so the text of the first one never changes.
        [ANY_LANGUAGE, *sorted(LANGUAGES, key=lambda code: t(LANGUAGES[code]))],
        format_func=lambda code: t(LANGUAGES[code] if code else "Found by the model"),
        help=t("If the model found the wrong one, choose another; the recording is then transcribed again."),
        **session.widget("timeline_language", session.choice("timeline_language")),
    )


def _show_found(
    words: TimelineWords, found: Sequence[range], timeline: Timeline, open_part: Callable[[float, float], None]
) -> None:
    """List the places where the phrase is said, each with a button to open it in the player."""
    if not found:
        return
    with st.container(height=260 if len(found) > 5 else "content", border=False, key="found_words"):
        for number, one in enumerate(found[:MAX_LISTED]):
            at_s = words.transcript.words[one.start].start_s
            before, phrase, after = map(in_markdown, phrase_around(words.transcript.words, one))
            if st.button(
                f"`{clock(at_s)}` {before} **{phrase}** {after}",
                key=f"found_{number}",
                icon=":material/hearing:",
                type="tertiary",
                help=t("Open this part in the player"),
            ):
                open_part(max(0.0, at_s - BEFORE_S), min(at_s + AFTER_S, timeline.duration_s))
