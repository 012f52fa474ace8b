"""The results that *Save* stores, and restoring them in a later visit."""

from pages.shared import session
from pages.shared.cached import jobs
from pages.shared.cached.transcribing import finished_transcription
from pages.shared.recording import open_recordings
from ser_core.analysis import Analysis
from ser_core.output.stored_results import Result

#: Kinds of jobs whose results *Save* stores.
SAVED_JOBS = ("classify", "explain", "focus", "judge", "focus audio", "words")
#: Key of the words that a visitor entered, and of the language to transcribe in.
ABOUT_WORDS = "about words"


def results_of(analysis: Analysis) -> list[Result]:
    """Return all results of this visit for a recording and a model, to be saved.

    If the voice was judged by its own normal, only the words are saved.
    """
    sha256 = analysis.recording.sha256
    finished = jobs().finished(session.owner(), (sha256, analysis.model_sha256)) if analysis.voice is None else []
    saved = [(job.key, job.title, job.result) for job in finished if job.kind in SAVED_JOBS]
    return saved + _results_of_words(sha256)


def _results_of_words(sha256: str) -> list[Result]:
    """Return the words that the visitor entered, else the transcribed ones, and the requested language."""
    entered, language = open_recordings.entered_words().get(sha256), open_recordings.requested_words().get(sha256)
    results: list[Result] = []
    if entered or language is not None:
        results.append(((ABOUT_WORDS, sha256), "Words", {"given": entered, "language": language}))
    if language is not None and (job := finished_transcription(sha256, language or None)):
        results.append((job.key, job.title, job.result))
    return results


def restore_results(results: list[Result], sha256: str) -> None:
    """Add saved results of a recording to this visit, so that they are not computed again."""
    for key, title, result in results:
        if not isinstance(key, tuple) or sha256 not in key:
            continue
        if key[0] == ABOUT_WORDS:
            for by_recording, saved in (
                (open_recordings.entered_words(), "given"),
                (open_recordings.requested_words(), "language"),
            ):
                by_recording.pop(sha256, None)
                if result[saved] is not None:
                    by_recording[sha256] = result[saved]
        elif key[0] in (*SAVED_JOBS, "transcribe"):
            jobs().add_finished(session.owner(), key, title, result)
