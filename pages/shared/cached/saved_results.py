"""What *Save* keeps of a visit's results, and how a visit gets it back."""

from pages.shared import session
from pages.shared.cached import jobs
from pages.shared.cached.transcribing import finished_transcription
from ser_core.analysis import Analysis
from ser_core.output.stored_results import Result

#: Those that *Save* keeps.
SAVED_JOBS = ("classify", "explain", "focus", "judge", "focus audio", "words")
#: What a visitor gave or asked for about the words of a recording, as *Save* keeps it.
ABOUT_WORDS = "about words"


def results_of(analysis: Analysis) -> list[Result]:
    """Return everything that this visit has computed of a recording with a model, to be saved.

    Of what was judged by a voice's own normal, only the words.
    """
    sha256 = analysis.recording.sha256
    finished = jobs().finished(session.owner(), (sha256, analysis.model_sha256)) if analysis.voice is None else []
    of_words = _results_of_words(sha256)
    return [(job.key, job.title, job.result) for job in finished if job.kind in SAVED_JOBS] + of_words


def _results_of_words(sha256: str) -> list[Result]:
    """Return the words that were given, else transcribed, and in which language they were asked for."""
    given, language = session.given_words().get(sha256), session.words_asked().get(sha256)
    found: list[Result] = []
    if given or language is not None:
        found.append(((ABOUT_WORDS, sha256), "Words", {"given": given, "language": language}))
    if language is not None and (job := finished_transcription(sha256, language or None)):
        found.append((job.key, job.title, job.result))
    return found


def restore_results(results: list[Result], sha256: str) -> None:
    """Give this visit saved results of a recording, so that they are not computed again."""
    for key, title, result in results:
        if not isinstance(key, tuple) or sha256 not in key:
            continue
        if key[0] == ABOUT_WORDS:
            for of_words, saved in ((session.given_words(), "given"), (session.words_asked(), "language")):
                of_words.pop(sha256, None)
                if result[saved] is not None:
                    of_words[sha256] = result[saved]
        elif key[0] in (*SAVED_JOBS, "transcribe"):
            jobs().add_finished(session.owner(), key, title, result)
