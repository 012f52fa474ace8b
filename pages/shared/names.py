"""Names of files and speakers, which anybody may have given, shown as they are written and never as markup."""

import html
import re

PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


def printable(text: str) -> str:
    """Return a name with the bytes that are no UTF-8, as file systems allow them, spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def in_markdown(text: str) -> str:
    """Return a text for `st.markdown`, `st.error` and their like, on one line."""
    return PUNCTUATION.sub(r"\\\g<0>", " ".join(printable(text).split()))


def in_chart(text: str) -> str:
    """Return a text for Plotly, which takes some HTML for what it means."""
    return html.escape(printable(text), quote=False)
