"""The language of a visit: English, as written in the code, or another one, from a catalogue of translations.

    st.button(t("Delete"))
    st.caption(t("{share:.0%} of {name}", share=0.25, name=recording.name))
    st.caption(plural(len(marks), "{n} mark", "{n} marks"))
    RULES = texts({DECIDING: "What decides"})  # a constant, shown by t(RULES[rule])
    st.error(in_markdown(recognised(refusal)))

The keys of a catalogue are the English texts. `ser_core` writes English only: `recognised` finds the text that a
sentence was made from, such as `{name}: the file is empty.`, and translates it. In these texts `{n}` is a number.
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
from streamlit.elements.lib.column_types import ColumnConfig
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared import session
from pages.shared.language import korean

HERE = Path(__file__).parent

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch", "ko": "한국어"}

#: Languages that write 1.234,5 for 1,234.5.
DECIMAL_COMMA = {"de"}
SWAPPED = str.maketrans(".,", ",.")

#: Date formats of the languages that do not write dates as the English texts do.
ISO_DATE, DATES = "%Y-%m-%d", {"de": "%d.%m.%Y"}

#: The cookie that stores the chosen language, and how long: a year.
COOKIE, COOKIE_S = "hear_why_language", 365 * 24 * 3600

#: Sentences of `ser_core` are no longer than this, and nested no deeper. Anything else is not searched.
MAX_CHARACTERS, MAX_DEPTH = 1_000, 4

#: In a text with fewer letters than this, each field is a single word. Otherwise the text would match any sentence.
MIN_LETTERS = 10

#: Fields of `ser_core` sentences whose value is an English word, to be translated.
WORD_FIELDS = {"action", "doing", "emotion", "kind", "rating", "what"}

#: Fields whose value is a list of emotions in English, such as `{', '.join(table.emotions)}`.
EMOTIONS_FIELD = re.compile(r"\bemotions\)?$")

#: Fields that contain the name of a file. It may have several words, if a line or something else in it follows.
LOCATION_FIELDS = {"name", "location"}

#: The end of a text that says where something is. A refusal after it is not a part of its last field.
LOCATION_END = re.compile(r", [a-z ]+ \{[^{}]*\}$")

#: A field of a text: any expression in an f-string, a name in a text for `str.format`.
FIELD = re.compile(r"\{([^{}]*)\}")
NUMBER = re.compile(r"[-−+]?\d[\d,]*\.?\d*")

Texts = TypeVar("Texts")


def language() -> str:
    """Return the code of the chosen language, else of the browser's, else of English."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return ENGLISH
    tag = session.choice("language") or _language_in_cookie() or st.context.locale or ENGLISH
    code = tag.partition("-")[0].lower()
    return code if code in LANGUAGES else ENGLISH


def _language_in_cookie() -> str | None:
    """Return the language chosen in an earlier visit. The cookie is read once: each time takes half a millisecond."""
    if "language_chosen_earlier" not in st.session_state:
        code = st.context.cookies.get(COOKIE)
        st.session_state["language_chosen_earlier"] = code if code in LANGUAGES else None
    return st.session_state["language_chosen_earlier"]


def t(text: str, /, **values: Any) -> str:
    """Return a text in this visit's language.

    Parameters
    ----------
    text : str
        The English text, as a literal in the call or within `texts`.
    **values : object
        Values of its fields, as for `str.format`. Numbers are formatted for the language.
    """
    return _translated(language(), text, values)


def plural(n: int, one: str, many: str, /, **values: Any) -> str:
    """Return the text for one or for many; the number is the field `n`."""
    return t(one if n == 1 else many, n=n, **values)


def texts(constant: Texts) -> Texts:
    """Return a constant unchanged; this marks its texts as texts of the catalogues."""
    return constant


def translator() -> Callable[..., str]:
    """Return a function that translates texts of `ser_core` into this visit's language, even after the visit.

    It takes a text and the values of its fields, or a finished sentence.
    """
    code = language()

    def translate(text: str, /, **values: Any) -> str:
        return _translated(code, text, values) if values else _recognised(code, text)

    return translate


def recognised(sentence: str) -> str:
    """Return a sentence of `ser_core` in this visit's language, or unchanged if no text matches it."""
    code = language()
    return sentence if code == ENGLISH else _recognised(code, sentence)


def number(value: float, spec: str) -> str:
    """Format a number for this visit's language, with a minus sign instead of a hyphen."""
    return _FORMATTERS[language()].format_field(value, spec)


def separators() -> str:
    """Return the decimal sign and the sign between thousands, for charts."""
    return ",." if language() in DECIMAL_COMMA else ".,"


def number_format(decimals: int) -> str:
    """Return the format of a number that the browser writes, in a slider or a table.

    Streamlit's formats have a decimal point, except the browser's own; so a comma needs a browser of such a language.
    """
    return "localized" if language() in DECIMAL_COMMA else f"%.{decimals}f"


def number_column(label: str, decimals: int, help: str | None = None) -> ColumnConfig:
    """Return a column of a table; its numbers are to be rounded to this many decimals, or they would be cut off."""
    return st.column_config.NumberColumn(label, format=number_format(decimals), step=10.0**-decimals, help=help)


def document(english: Path) -> str:
    """Return a longer page, such as docs/law.md, without its title, in this visit's language if it is translated."""
    own = english.with_suffix(f".{language()}.md")
    return (own if own.is_file() else english).read_text("utf-8").partition("\n\n")[2]


@cache
def catalogue(code: str) -> dict[str, str]:
    """Return the texts of a language by the English ones."""
    return {} if code == ENGLISH else json.loads((HERE / f"{code}.json").read_text("utf-8"))


def choose() -> None:
    """Offer the languages, each by its own name; set the page's language, and save the chosen one in a cookie."""
    with st.container(horizontal=True, gap=None, key="languages"):
        for code, name in LANGUAGES.items():
            label = f"**{name}**" if code == language() else name
            st.button(label, key=f"language_{code}", type="tertiary", on_click=session.choose, args=("language", code))
    script = f'document.documentElement.lang = "{language()}";'
    if chosen := session.choice("language"):
        path = st.get_option("server.baseUrlPath").strip("/")
        script += f' document.cookie = "{COOKIE}={chosen}; Path=/{path}; Max-Age={COOKIE_S}; SameSite=Lax";'
    st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)


def _translated(code: str, text: str, values: dict[str, Any]) -> str:
    translation = catalogue(code).get(text, text)
    return _with_particles(code, _FORMATTERS[code].vformat(translation, (), values)) if values else translation


def _recognised(code: str, sentence: str, depth: int = MAX_DEPTH) -> str:
    translation = catalogue(code).get(sentence)
    if translation is not None:
        return translation
    if not depth or len(sentence) > MAX_CHARACTERS:
        return sentence
    return _recognised_by_parts(code, sentence, depth)


@lru_cache(4096)
def _recognised_by_parts(code: str, sentence: str, depth: int) -> str:
    for longest_part, pattern, fields, template in _patterns(code):
        found = longest_part in sentence and pattern.fullmatch(sentence)
        if found:
            values = {
                field: _value(code, field, value, depth) for field, value in zip(fields, found.groups(), strict=True)
            }
            return _with_particles(code, FIELD.sub(lambda field, values=values: values[field[1]], template))
    # A refusal may follow the name of the file or the row that it is about.
    subject, colon, refusal = sentence.partition(": ")
    if colon:
        return f"{_value(code, '', subject, depth)}: {_value(code, '', refusal, depth)}"
    # There may be several sentences, separated by commas.
    return ", ".join(_value(code, "", part, depth) for part in sentence.split(", ")) if ", " in sentence else sentence


def _with_particles(code: str, text: str) -> str:
    """Return a text whose fields are filled in; in Korean, particles depend on the word before them."""
    return korean.with_particles(text) if code == "ko" else text


def _value(code: str, field: str, value: str, depth: int) -> str:
    """Return the value of a field in a language: a number, a sentence or a word. Names stay unchanged."""
    if code in DECIMAL_COMMA and NUMBER.fullmatch(value):
        return value.translate(SWAPPED)
    if EMOTIONS_FIELD.search(field):
        return ", ".join(catalogue(code).get(word, word) for word in value.split(", "))
    is_text = " " in value or field.rpartition(".")[2] in WORD_FIELDS
    return _recognised(code, value, depth - 1) if is_text else value


@cache
def _patterns(code: str) -> list[tuple[str, re.Pattern[str], list[str], str]]:
    """Return longest part, pattern, fields and translation of each text with fields, the most specific first."""
    found = []
    for text, template in catalogue(code).items():
        parts = FIELD.split(text)[::2]
        if len(parts) > 1 and any(parts):  # a field alone would match every word
            found.append((sum(map(len, parts)), max(parts, key=len), *_pattern(text), template))
    return [entry for _, *entry in sorted(found, key=lambda each: -each[0])]


def _pattern(text: str) -> tuple[re.Pattern[str], list[str]]:
    """Return a pattern for sentences made from a text with fields, and the fields.

    Atomic groups prevent backtracking, by which a malicious sentence could take minutes.
    """
    literal, *rest = FIELD.split(text)
    any_value = "(.+?)" if len(re.findall("[A-Za-z]", FIELD.sub("", text))) >= MIN_LETTERS else r"(\S+)"
    fields, groups = [], [re.escape(literal)]
    for field, literal in zip(rest[::2], rest[1::2], strict=True):
        if field in fields:
            groups[-1] += f"\\{fields.index(field) + 1}"
        else:
            fields.append(field)
            is_location = field in LOCATION_FIELDS and not groups[0] and re.search("[A-Za-z]{4}", literal)
            value = f"({NUMBER.pattern})" if field == "n" else "(.+?)" if is_location else any_value
            groups = [*groups, value] if value == "(.+?)" else [*groups[:-1], groups[-1] + value]
        groups[-1] += re.escape(literal)
    *first, last = groups
    if LOCATION_END.search(text) and last.endswith("(.+?)"):
        last = last.removesuffix("(.+?)") + "((?:(?!: ).)+)"
    return re.compile("".join(f"(?>{group})" for group in first) + last, re.DOTALL), fields


class _InLanguage(Formatter):
    def __init__(self, code: str) -> None:
        self._swapped, self._date = code in DECIMAL_COMMA, DATES.get(code, ISO_DATE)

    def format_field(self, value: Any, spec: str) -> str:
        text = super().format_field(value, spec.replace(ISO_DATE, self._date))
        if not isinstance(value, Real) or isinstance(value, bool):
            return text
        text = text.replace("-", "\N{MINUS SIGN}")
        return text.translate(SWAPPED) if self._swapped else text


_FORMATTERS = {code: _InLanguage(code) for code in LANGUAGES}
