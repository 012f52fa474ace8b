"""Show names of files and speakers literally, never as markup: anybody may have chosen them."""

import html
import re

from pages.shared.language import t
from ser_core.analysis.emotions import COLOURS

PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")

#: Invisible, and prevents a line break.
WORD_JOINER = "\u2060"

#: Names of corpora, as their authors write them, by the ids used in files and commands.
CORPORA = {
    "ased": "ASED",
    "casia": "CASIA",
    "crema_d": "CREMA-D",
    "emodb": "EMO-DB",
    "korean_emotional_tts": "Korean Emotional TTS",
    "nemo": "nEMO",
    "ravdess": "RAVDESS",
    "savee": "SAVEE",
    "tess": "TESS",
    "urdu": "URDU",
}
CORPUS_IDS = re.compile(rf"\b({'|'.join(CORPORA)})\b")

#: What Streamlit turns into a link, an icon or an arrow even after escapes: web and mail addresses, names between
#: colons, and pairs such as ->.
CONVERTED_ANYWAY = re.compile(r"(?<=:)(?=\S)|(?<=www)(?=\.)|(?<=@)(?=\S)|(?<=[-<>=~])(?=[-<>=~])", re.IGNORECASE)


def printable(text: str) -> str:
    """Return a name with bytes that are not UTF-8, which file systems allow, spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def corpus_name(corpus: str) -> str:
    """Return the name of a corpus; for a corpus without a reader this is its id."""
    return CORPORA.get(corpus, printable(corpus))


def speaker_name(speaker: str) -> str:
    """Return a speaker of a corpus, such as `emodb:03`, with the corpus's name."""
    corpus, colon, name = speaker.partition(":")
    return f"{corpus_name(corpus)} {printable(name)}" if colon and corpus in CORPORA else printable(speaker)


def with_corpus_names(text: str) -> str:
    """Return a text about corpora, such as a split, with their names instead of their ids."""
    return CORPUS_IDS.sub(lambda found: CORPORA[found[1]], printable(text))


def emotion_in_words(emotion: str) -> str:
    """Return an emotion in the visit's language; other labels stay unchanged."""
    return t(emotion) if emotion in COLOURS else printable(emotion)


def in_markdown(text: str) -> str:
    """Escape a text for Streamlit's Markdown (messages, labels and help texts), on one line."""
    return PUNCTUATION.sub(r"\\\g<0>", CONVERTED_ANYWAY.sub(WORD_JOINER, " ".join(printable(text).split())))


def in_chart(text: str) -> str:
    """Escape a text for Plotly, which interprets some HTML."""
    return html.escape(printable(text), quote=False)
