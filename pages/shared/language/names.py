"""Show names of files and speakers, which anybody may have chosen, literally and never as markup."""

import html
import re

from pages.shared.language import t
from ser_core.analysis.emotions import COLOURS

PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")

#: Invisible, and prevents a line break.
WORD_JOINER = "\u2060"

#: What Streamlit turns into a link, an icon or an arrow even after escapes: web and mail addresses, names between
#: colons, and pairs such as ->.
BECOMES_MORE = re.compile(r"(?<=:)(?=\S)|(?<=www)(?=\.)|(?<=@)(?=\S)|(?<=[-<>=~])(?=[-<>=~])", re.IGNORECASE)


def printable(text: str) -> str:
    """Return a name with bytes that are not UTF-8, which file systems allow, spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def emotion_in_words(emotion: str) -> str:
    """Return an emotion in the visit's language; a label of one's own stays as it was written."""
    return t(emotion) if emotion in COLOURS else printable(emotion)


def in_markdown(text: str) -> str:
    """Escape a text for Streamlit's Markdown (messages, labels and help texts), on one line."""
    return PUNCTUATION.sub(r"\\\g<0>", BECOMES_MORE.sub(WORD_JOINER, " ".join(printable(text).split())))


def in_chart(text: str) -> str:
    """Escape a text for Plotly, which interprets some HTML."""
    return html.escape(printable(text), quote=False)
