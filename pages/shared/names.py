"""Names of files and speakers, which anybody may have given, shown as they are written and never as markup."""

import html
import re

PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")

#: Invisible, and no line breaks there.
WORD_JOINER = "\u2060"

#: What becomes a link, an icon or an arrow in the text of a page after its escapes are resolved: addresses of pages and
#: of people, names between colons, and pairs such as ->.
BECOMES_MORE = re.compile(r"(?<=:)(?=\S)|(?<=www)(?=\.)|(?<=@)(?=\S)|(?<=[-<>=~])(?=[-<>=~])", re.IGNORECASE)


def printable(text: str) -> str:
    """Return a name with the bytes that are no UTF-8, as file systems allow them, spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def in_markdown(text: str) -> str:
    """Return a text for `st.markdown`, `st.error` and their like, on one line; labels and helps are such too."""
    return PUNCTUATION.sub(r"\\\g<0>", BECOMES_MORE.sub(WORD_JOINER, " ".join(printable(text).split())))


def in_chart(text: str) -> str:
    """Return a text for Plotly, which takes some HTML for what it means."""
    return html.escape(printable(text), quote=False)
