"""The language of a visit: English as the code has it, or a catalogue of the same texts in another language.

    st.button(t("Delete"))
    st.caption(t("{share:.0%} of {name}", share=0.25, name=recording.name))
    st.caption(plural(len(marks), "{n} mark", "{n} marks"))
    RULES = texts({DECIDING: "What decides"})  # a constant, shown by t(RULES[rule])
    st.error(in_markdown(recognised(refusal)))

English texts are the keys of a catalogue. `ser_core` knows of no language: its sentences are recognised by the texts
that they are made from, which a catalogue has as the code has them, such as `{name}: the file is empty.` There `{n}`
is a number.
"""

import json
import re
from collections.abc import Callable
from functools import cache, lru_cache
from numbers import Real
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared import session
from pages.shared.language import korean

HERE = Path(__file__).parent

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch", "ko": "한국어"}

#: Languages that write 1.234,5 for 1,234.5.
DECIMAL_COMMA = {"de"}
SWAPPED = str.maketrans(".,", ",.")

#: How a language writes a date, where not as the texts do.
ISO_DATE, DATES = "%Y-%m-%d", {"de": "%d.%m.%Y"}

#: Where a browser keeps the language that was chosen, for a year.
COOKIE, COOKIE_S = "hear_why_language", 365 * 24 * 3600

#: Sentences of `ser_core` are shorter, and have at most this many others in each other. What is no such sentence may be
#: of any length.
LONGEST, DEEPEST = 1_000, 4

#: Fields of a text with fewer letters than this are one word each: else it would fit any sentence.
LEAST_LETTERS = 10

#: Fields of sentences of `ser_core` that hold a word of English.
WORDS = {"action", "doing", "emotion", "kind", "rating", "what"}

#: A field of a text: whatever it says in an f-string, nothing in a text for `str.format`.
FIELD = re.compile(r"\{([^{}]*)\}")
NUMBER = re.compile(r"[-−+]?\d[\d,]*\.?\d*")

Texts = TypeVar("Texts")


def language() -> str:
    """Return the code of the chosen language, now or earlier, else of the browser's, if it has a catalogue."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return ENGLISH
    wished = session.choice("language") or _chosen_earlier() or st.context.locale or ENGLISH
    code = wished.partition("-")[0].lower()
    return code if code in LANGUAGES else ENGLISH


def _chosen_earlier() -> str | None:
    """Return the language in the cookie, which is read once: each reading takes half a millisecond."""
    if "language_chosen_earlier" not in st.session_state:
        said = st.context.cookies.get(COOKIE)
        st.session_state["language_chosen_earlier"] = said if said in LANGUAGES else None
    return st.session_state["language_chosen_earlier"]


def t(text: str, /, **values: Any) -> str:
    """Return a text in this visit's language.

    Parameters
    ----------
    text : str
        The English text, written out in the code, here or within `texts`.
    **values : object
        Of its fields, which are those of `str.format`. Numbers are written as the language writes them.
    """
    return _in_words(language(), text, values)


def plural(n: int, one: str, many: str, /, **values: Any) -> str:
    """Return the text for one or for many; the number is the field `n`."""
    return t(one if n == 1 else many, n=n, **values)


def texts(constant: Texts) -> Texts:
    """Return a constant as it is; it says that the texts in it are in the catalogues."""
    return constant


def speech() -> Callable[..., str]:
    """Return what says a text of `ser_core` later, after the visit too: with values for its fields, or finished."""
    code = language()

    def say(text: str, /, **values: Any) -> str:
        return _in_words(code, text, values) if values else _recognised(code, text)

    return say


def recognised(sentence: str) -> str:
    """Return a sentence of `ser_core` in this visit's language, or as it is if it is not known."""
    code = language()
    return sentence if code == ENGLISH else _recognised(code, sentence)


def number(value: float, spec: str) -> str:
    """Return a number as this visit's language writes it, with a minus and no hyphen."""
    return _FORMATTERS[language()].format_field(value, spec)


def separators() -> str:
    """Return the decimal sign and the sign between thousands, for charts."""
    return ",." if language() in DECIMAL_COMMA else ".,"


def document(english: Path) -> str:
    """Return a longer page, such as docs/law.md, without its title, in this visit's language if it is translated."""
    own = english.with_suffix(f".{language()}.md")
    return (own if own.is_file() else english).read_text("utf-8").partition("\n\n")[2]


@cache
def catalogue(code: str) -> dict[str, str]:
    """Return the texts of a language by their English."""
    return {} if code == ENGLISH else json.loads((HERE / f"{code}.json").read_text("utf-8"))


def choose() -> None:
    """Offer the languages, each by its own name; tell the browser the visit's, and let it keep the chosen one."""
    with st.container(horizontal=True, gap=None, key="languages"):
        for code, name in LANGUAGES.items():
            label, choosing = f"**{name}**" if code == language() else name, ("language", code)
            st.button(label, key=f"language_{code}", type="tertiary", on_click=session.choose, args=choosing)
    tell = f'document.documentElement.lang = "{language()}";'
    if chosen := session.choice("language"):
        path = st.get_option("server.baseUrlPath").strip("/")
        tell += f' document.cookie = "{COOKIE}={chosen}; Path=/{path}; Max-Age={COOKIE_S}; SameSite=Lax";'
    st.html(f"<script>{tell}</script>", unsafe_allow_javascript=True)


def _in_words(code: str, text: str, values: dict[str, Any]) -> str:
    said = catalogue(code).get(text, text)
    return _finished(code, _FORMATTERS[code].vformat(said, (), values)) if values else said


def _recognised(code: str, sentence: str, deep: int = DEEPEST) -> str:
    known = catalogue(code).get(sentence)
    if known is not None or not deep or len(sentence) > LONGEST:
        return sentence if known is None else known
    return _recognised_by_parts(code, sentence, deep)


@lru_cache(4096)
def _recognised_by_parts(code: str, sentence: str, deep: int) -> str:
    for longest_part, pattern, fields, template in _patterns(code):
        found = longest_part in sentence and pattern.fullmatch(sentence)
        if found:
            said = zip(fields, found.groups(), strict=True)
            values = {field: _value(code, field, value, deep) for field, value in said}
            return _finished(code, FIELD.sub(lambda field, values=values: values[field[1]], template))
    # A refusal may stand behind the place that it is about.
    place, colon, refusal = sentence.partition(": ")
    if colon:
        return f"{_value(code, '', place, deep)}: {_value(code, '', refusal, deep)}"
    # Or there are several, with commas between.
    return ", ".join(_value(code, "", one, deep) for one in sentence.split(", ")) if ", " in sentence else sentence


def _finished(code: str, said: str) -> str:
    """Return a text whose fields are filled in with what depends on them."""
    return korean.with_particles(said) if code == "ko" else said


def _value(code: str, field: str, said: str, deep: int) -> str:
    """Return what a field said: a number, a sentence, a word, or else a name, which stays."""
    if code in DECIMAL_COMMA and NUMBER.fullmatch(said):
        return said.translate(SWAPPED)
    return _recognised(code, said, deep - 1) if " " in said or field.rpartition(".")[2] in WORDS else said


@cache
def _patterns(code: str) -> list[tuple[str, re.Pattern[str], list[str], str]]:
    """Return of each text with fields its longest part, pattern, fields and translation; the most specific first."""
    found = []
    for text, template in catalogue(code).items():
        parts = FIELD.split(text)[::2]
        if len(parts) > 1 and any(parts):  # a mere field would match every word
            found.append((sum(map(len, parts)), max(parts, key=len), *_pattern(text), template))
    return [entry for _, *entry in sorted(found, key=lambda each: -each[0])]


def _pattern(text: str) -> tuple[re.Pattern[str], list[str]]:
    """Return the pattern of the sentences that a text with fields makes, and the fields.

    What follows a field is looked for once, by an atomic group: else a sentence could be made to take it minutes.
    """
    literal, *rest = FIELD.split(text)
    any_value = "(.+?)" if len(re.findall("[A-Za-z]", FIELD.sub("", text))) >= LEAST_LETTERS else r"(\S+)"
    fields, groups = [], [re.escape(literal)]
    for field, literal in zip(rest[::2], rest[1::2], strict=True):
        if field in fields:
            groups[-1] += f"\\{fields.index(field) + 1}"
        else:
            fields.append(field)
            said = f"({NUMBER.pattern})" if field == "n" else any_value
            groups = [*groups, said] if said == "(.+?)" else [*groups[:-1], groups[-1] + said]
        groups[-1] += re.escape(literal)
    *first, last = groups
    return re.compile("".join(f"(?>{group})" for group in first) + last, re.DOTALL), fields


class _InLanguage(Formatter):
    def __init__(self, code: str) -> None:
        self._swapped, self._date = code in DECIMAL_COMMA, DATES.get(code, ISO_DATE)

    def format_field(self, value: Any, spec: str) -> str:
        said = super().format_field(value, spec.replace(ISO_DATE, self._date))
        if not isinstance(value, Real) or isinstance(value, bool):
            return said
        said = said.replace("-", "\N{MINUS SIGN}")
        return said.translate(SWAPPED) if self._swapped else said


_FORMATTERS = {code: _InLanguage(code) for code in LANGUAGES}
