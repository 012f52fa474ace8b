"""Every text on a page is in every catalogue, and a page speaks the language of its visitor."""

import ast
import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from string import Formatter

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import language as languages
from pages.shared.charts.evaluation import confusion_chart
from pages.shared.language import (
    FIELD,
    LANGUAGES,
    catalogue,
    components,
    korean,
    number,
    plural,
    recognised,
    separators,
    t,
    translator,
)
from ser_core.analysis.emotions import COLOURS
from ser_core.explanation import METHOD_NAMES
from ser_core.model.shipped_models import model_names
from tests import texts
from tests.test_pages import QUICK, at, with_recording

OTHERS = [code for code in LANGUAGES if code != languages.ENGLISH]

#: Functions that draw their first argument, and keywords that are drawn.
DRAWS = {
    *("button", "caption", "markdown", "write", "error", "info", "warning", "success", "title", "header", "subheader"),
    *("toast", "checkbox", "toggle", "slider", "select_slider", "selectbox", "multiselect", "radio", "pills"),
    *("segmented_control", "text_input", "text_area", "number_input", "file_uploader", "download_button", "expander"),
    *("popover", "metric", "text", "spinner", "form_submit_button", "date_input", "color_picker", "audio_input"),
    *("tabs", "dialog", "TextColumn", "NumberColumn", "number_column", "CheckboxColumn", "ProgressColumn", "begin"),
}
DRAWN = {"help", "label", "text", "placeholder", "caption", "body", "title", "name", "hovertemplate"}


@pytest.fixture
def speaking(monkeypatch):
    """A function that sets the language and, optionally, its catalogue."""

    def speak(code: str, known: dict[str, str] | None = None) -> None:
        monkeypatch.setattr(languages, "language", lambda: code)
        if known is not None:
            monkeypatch.setattr(languages, "catalogue", lambda _: known)
            languages._patterns.cache_clear()
            languages._recognised_by_parts.cache_clear()

    yield speak
    languages._patterns.cache_clear()
    languages._recognised_by_parts.cache_clear()


# --- the catalogues ---


@pytest.mark.parametrize("code", OTHERS)
def test_a_catalogue_has_every_text_and_no_other(code):
    needed, known = texts.of_pages() | texts.refusals(), set(catalogue(code))
    assert not sorted(needed - known), f"`python -m tests.texts {code}` prints them, to be translated"
    assert not sorted(known - needed - texts.of_library())


def fields(text: str) -> list[str]:
    return sorted(set(FIELD.findall(text)))


@pytest.mark.parametrize("code", OTHERS)
def test_translations_have_the_fields_and_the_markup_of_their_texts(code):
    wrong = {}
    for text, said in catalogue(code).items():
        same = all(text.count(sign) == said.count(sign) for sign in ("**", "`", "](", "<", ":material/"))
        # A text for one thing may omit the number. Two tildes would strike out the text between.
        same = same and ("~" in text or "~" not in said)
        if not same or not said.strip() or set(fields(text)) - {"n"} != set(fields(said)) - {"n"}:
            wrong[text] = said
    assert not wrong


def test_korean_writes_units_and_ranges_one_way():
    other = {
        "a space before %": r"[\d}] %",
        "s for 초": r"[\d}] s(?![\w/])|\(s\)",
        "spaces around ∼, or another sign of a range": r" ∼ |[\d}][–~][\d{]",
        "a space before a unit in brackets": r"[가-힣] \((초|분|%|%p|Hz|dB|dBFS)\)",
        "a space before 반음": r"\} 반음",
    }
    texts_of_catalogue = [
        *catalogue("ko").values(),
        *(path.read_text("utf-8") for path in (texts.ROOT / "docs").glob("*.ko.md")),
    ]
    found = {what: [text for text in texts_of_catalogue if re.search(sign, text)] for what, sign in other.items()}
    assert not any(found.values()), found


def test_percentages_in_charts_follow_the_language(speaking):
    for code, written in (("de", "50 %<br>1"), ("ko", "50%<br>1")):
        speaking(code)
        assert confusion_chart([[1, 1], [0, 2]], ("angry", "sad")).data[0].text[0][0] == written


def test_fields_of_texts_are_plain_names():
    unfit = {
        text
        for text in texts.of_pages()
        for _, field, *_ in Formatter().parse(text)
        if field is not None and not field.isidentifier()
    }
    # Only texts that are not filled in may have other braces, and such texts have none.
    assert not unfit


@pytest.mark.parametrize("code", OTHERS)
def test_emotions_and_explainers_have_names_in_every_language(code):
    assert not {*COLOURS, *METHOD_NAMES.values()} - set(catalogue(code))


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("name", ["law", "glossary"])
def test_longer_pages_have_the_same_parts_in_every_language(name, code):
    english, other = ((texts.ROOT / "docs" / f"{name}{end}.md").read_text("utf-8") for end in ("", f".{code}"))
    for part in ("\n## ", "\n- **", "\n**", "`"):
        assert english.count(part) == other.count(part)


# --- nothing outside the catalogue ---


def drawn_as_written(tree: ast.AST) -> list[str]:
    """Return texts that are drawn without `t`."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if getattr(node.func.value, "id", "") == "log":
            continue
        name = node.func.attr
        drawn = [keyword.value for keyword in node.keywords if keyword.arg in DRAWN] if name != "dialog" else []
        if name in DRAWS and node.args:
            drawn.append(node.args[0])
        for argument in drawn:
            parts = argument.elts if isinstance(argument, ast.List | ast.Tuple) else [argument]
            for part in (one for each in parts for one in texts.choices(each)):
                text = re.sub(r"\{[^{}]*\}|:material/\w+:|<[^>]*>", "", texts.template(part) or "")
                if re.search(r"[a-z]{2}", text) and not re.fullmatch(r"[\w-]+", text):  # neither a mere unit nor a key
                    found.append(f"{node.lineno}: {text.strip()}")
    return found


def test_no_page_shows_an_untranslated_text():
    found = {
        path.relative_to(texts.ROOT).as_posix(): drawn
        for path in texts.PAGES
        if (drawn := drawn_as_written(ast.parse(path.read_text())))
    }
    assert not found


def test_the_search_for_untranslated_texts_finds_them():
    source = 'st.button("Delete it"); st.caption(t("x y")); st.info(f"{n} marks here", help="So that"); st.text("ok")'
    assert [found.partition(": ")[2] for found in drawn_as_written(ast.parse(source))] == [
        "Delete it",
        "So that",
        "marks here",
    ]


def calls_while_importing(tree: ast.AST) -> list[str]:
    """Return calls of `t` and `plural` outside of functions, where no visit is known yet."""
    found = []

    def visit(node: ast.AST, inside: bool) -> None:
        called = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("t", "plural")
        if called and not inside:
            found.append(ast.unparse(node))
        for name, value in ast.iter_fields(node):
            begins = isinstance(node, ast.FunctionDef | ast.Lambda) and name == "body"
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, inside or begins)

    visit(tree, False)
    return found


def test_texts_are_translated_during_a_visit_only():
    scripts = {texts.ROOT / "app.py", *(texts.ROOT / "pages").glob("*.py")}
    assert not [
        call
        for path in texts.PAGES
        if path not in scripts
        for call in calls_while_importing(ast.parse(path.read_text()))
    ]
    assert calls_while_importing(ast.parse("@dialog(t('a'))\ndef f(x=t('b')): t('c')\nA = [t('d')]")) == [
        "t('b')",
        "t('a')",
        "t('d')",
    ]


class Bracketed(dict):
    """The catalogue of a language in which every text is put in brackets."""

    def get(self, text, otherwise=None):
        return otherwise and f"⟦{otherwise}⟧"


#: Fields of Streamlit's messages to the browser that people read.
READ = {"label", "help", "body", "placeholder", "options", "text"}
NAMES = re.compile(r"English|Deutsch|CSV|ELAN EAF|Praat TextGrid|“[^”]+”")


def read(message) -> Iterator[str]:
    """Yield the texts in a message of Streamlit's."""
    for field, value in message.ListFields():
        for one in [value] if isinstance(value, str) or not isinstance(value, Iterable) else value:
            if hasattr(one, "ListFields"):
                yield from read(one)
            elif isinstance(one, str) and field.name in READ:
                yield one


def outside_brackets(text: str) -> str:
    while (less := re.sub("⟦[^⟦⟧]*⟧", "", text)) != text:
        text = less
    return re.sub(r":material/\w+:|<(script|style)>.*?</\1>|<[^>]*>", "", text, flags=re.DOTALL).strip()


@pytest.mark.skipif(not model_names(), reason="no model is shipped in models/")
@pytest.mark.parametrize("page", ["app.py", "pages/2_Listen.py"])
def test_every_word_of_a_page_is_translated(page, monkeypatch, make_voice):
    monkeypatch.setattr(languages, "language", lambda: "ko")
    monkeypatch.setattr(languages, "catalogue", lambda _: Bracketed())
    app = at(page).run() if page == "app.py" else with_recording(page, make_voice(1.5, 16_000), **QUICK)
    assert not app.exception
    elements = [one.proto for root in (app.main, app.sidebar) for one in root if hasattr(one.proto, "ListFields")]
    shown = [text for proto in elements for text in read(proto)]
    assert sum("⟦" in text for text in shown) > 30
    left = [outside_brackets(text) for text in shown if not NAMES.fullmatch(outside_brackets(text))]
    assert not [text for text in left if re.search("[A-Za-z]{2}", text) and text not in model_names()]


# --- translating ---


def test_a_text_is_filled_in_with_numbers_formatted_for_the_language(speaking):
    known = {
        "{n} mark": "{n} Marke",
        "{n} marks": "{n} Marken",
        "{s:.2f} of {all:,} {name}": "{name}: {s:.2f} von {all:,}",
    }
    speaking("de", known)
    assert plural(1, "{n} mark", "{n} marks") == "1 Marke"
    assert plural(1.5, "{n} mark", "{n} marks") == "1,5 Marken"
    assert t("{s:.2f} of {all:,} {name}", s=1234.5, all=12345, name="1.5.wav") == "1.5.wav: 1234,50 von 12.345"
    assert t("not in the catalogue") == "not in the catalogue"
    assert (number(-1234.5, ",.2f"), separators()) == ("−1.234,50", ",.")
    speaking("en", {})
    assert t("{s:.2f} of {all:,} {name}", s=1234.5, all=12345, name="a") == "1234.50 of 12,345 a"
    assert (number(-1234.5, "+.1f"), separators()) == ("−1234.5", ".,")
    assert t("{s:.1f} dB, {name}", s=-1.5, name="a-b") == "−1.5 dB, a-b"


def test_korean_particles_fit_the_preceding_word(speaking):
    speaking("ko", {"{a} of {b}, also {c}": "{a}이(가) **{b}**은(는) ‘{c}’(으)로"})
    sentences = [t("{a} of {b}, also {c}", a=a, b=a, c=a) for a in ("기쁨", "분노", "서울", 3, 10, "a.wav")]
    assert sentences == [
        "기쁨이 **기쁨**은 ‘기쁨’으로",
        "분노가 **분노**는 ‘분노’로",
        "서울이 **서울**은 ‘서울’로",
        "3이 **3**은 ‘3’으로",
        "10이 **10**은 ‘10’으로",
        "a.wav이(가) **a.wav**은(는) ‘a.wav’(으)로",
    ]
    assert korean.with_particles("**기쁨**(0.73)(으)로") == "**기쁨**(0.73)으로"
    assert recognised("분노 of 기쁨, also 노래") == "분노가 **기쁨**은 ‘노래’로"


def test_sentences_of_the_library_are_recognised_the_most_specific_first(speaking):
    speaking(
        "de",
        {
            "{name} is unreadable: {reason}": "{name} ist unlesbar: {reason}",
            "{a} of {b}": "{a} von {b}",
            "{name}: it lasts {self.s} s; at least {least} s.": "{least} s sind nötig; {name} dauert {self.s} s.",
            "from {a} to {a}": "zweimal {a}",
            "this is not audio": "das ist kein Ton",
            "{value:.2f}": "{value:.2f}",
            "the colour of {}": "die Farbe von {}",
            "{n} label": "{n} Etikett",
        },
    )
    assert recognised("a.wav: it lasts 0.125 s; at least 1 s.") == "1 s sind nötig; a.wav dauert 0,125 s."
    assert recognised("a (1.5).wav is unreadable: this is not audio") == "a (1.5).wav ist unlesbar: das ist kein Ton"
    # A text that is little more than fields does not match every sentence.
    assert recognised("1:30 of 2:00") == "1:30 von 2:00"
    assert recognised("this is one of them") == "this is one of them"
    assert recognised("from 2 to 2") == "zweimal 2"
    assert recognised("from 2 to 3") == "from 2 to 3"
    assert recognised("marks.csv: row 3: this is not audio") == "marks.csv: row 3: das ist kein Ton"
    assert recognised("my marks.csv: this is not audio") == "my marks.csv: das ist kein Ton"
    assert recognised("the colour of 1 label") == "die Farbe von 1 Etikett"
    assert recognised("no label") == "no label"
    assert recognised("1 label, of a, 2 label") == "1 Etikett, of a, 2 Etikett"


def test_long_texts_written_by_people_are_searched_quickly(speaking):
    speaking("de", {"{name}: {a} to {b}, {c} of {d} marks of {e}": "{name}{a}{b}{c}{d}{e}", "a of {b}": "{b}"})
    begun = time.process_time()
    for written in (
        "x" * 60_000,
        "a: " * 20_000,
        "a: 1 to 2, 3 of " * 62,
        "a of " * 199,
        "a: 1 to 2, of marks of " * 43,
    ):
        assert recognised(written)
    assert time.process_time() - begun < 1


def test_words_of_the_library_are_translated_and_names_stay(speaking):
    speaking(
        "de", {"The {what} of {name} is {emotion}.": "{name}: {what} {emotion}", "start": "Anfang", "sad": "traurig"}
    )
    assert recognised("The start of sad is sad.") == "sad: Anfang traurig"


def test_emotions_in_a_list_are_translated(speaking):
    speaking("de")
    sentence = recognised("mine tells other emotions apart (sad, very sad, fear).")
    assert sentence.endswith("(traurig, very sad, ängstlich).")
    sentence = recognised("This model does not know the emotion 'calm'. Choose one of: sad, fear.")
    assert "traurig, ängstlich" in sentence


@pytest.mark.parametrize("code", OTHERS)
def test_a_refusal_nested_in_another_and_after_two_locations_is_fully_translated(code, speaking):
    speaking(code)
    refusal = "The mark ends at 9.5 s, after its recording, which is 7.1 s long. Cut it."
    sentence = recognised(f"a.TextGrid: Mark 1, in the tier 'x': {refusal} Or choose a larger tolerance at the end.")
    assert recognised(refusal) in sentence
    assert "Or choose" not in sentence


def test_a_report_is_in_the_language_of_the_visit_that_requested_it(speaking):
    speaking("de", {"{s:.2f} s": "{s:.2f} Sek.", "No {kind} here.": "Hier: {kind}"})
    say = translator()
    speaking("en")
    assert say("{s:.2f} s", s=np.float32(1.5)) == "1,50 Sek."
    assert say("No {x} here.") == "Hier: {x}"


@pytest.mark.parametrize(("wished", "spoken"), [("de-AT", "de"), ("ko", "ko"), ("fr-FR", "en"), (None, "en")])
def test_the_language_is_the_browsers_until_another_is_chosen(wished, spoken, monkeypatch):
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.locale", property(lambda _: wished))

    def page() -> None:
        import streamlit as st

        from pages.shared import language, session

        st.text(language.language())
        if st.button("choose"):
            session.choose("language", "ko")
            st.rerun()

    app = AppTest.from_function(page).run()
    assert app.text[0].value == spoken
    assert app.button[0].click().run().text[0].value == "ko"


@pytest.mark.parametrize(("kept", "spoken"), [("ko", "ko"), ("<b>", "de")])
def test_the_browser_keeps_the_chosen_language_for_the_next_visit(kept, spoken, monkeypatch):
    cookies = {languages.COOKIE: kept}
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.locale", property(lambda _: "de-DE"))
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.cookies", property(lambda _: cookies))

    def page() -> None:
        from pages.shared import language

        language.choose()

    app = AppTest.from_function(page).run()
    script = app.get("html")[0].proto.body
    assert f'lang = "{spoken}"' in script
    assert "cookie" not in script  # a language that nobody chose is not stored
    script = app.button(key="language_en").click().run().get("html")[0].proto.body
    assert f'cookie = "{languages.COOKIE}=en; Path=/; Max-Age=31536000; SameSite=Lax"' in script


def test_a_choice_stays_when_another_language_is_chosen():
    def page() -> None:
        import streamlit as st

        from pages.shared import language, session

        session.begin_run()
        translated = {emotion: language.t(emotion) for emotion in ("best score", "angry", "sad")}
        st.selectbox(
            "Emotion", translated, format_func=translated.get, **session.widget("emotion", session.choice("emotion"))
        )
        st.text(session.choice("emotion"))
        language.choose()

    app = AppTest.from_function(page).run()
    app.selectbox[0].select("sad").run()
    keys = {app.selectbox[0].key}
    for code, shown in (("ko", "슬픔"), ("de", "traurig"), ("en", "sad")):
        app.button(key=f"language_{code}").click().run()
        assert (app.text[0].value, app.selectbox[0].value, app.selectbox[0].options[2]) == ("sad", "sad", shown)
        keys.add(app.selectbox[0].key)
    # The browser stores a widget's value as the text of its option, so each language has its own widget.
    assert len(keys) == 4


def test_dates_have_the_format_of_the_language(speaking):
    at = datetime(2026, 3, 31, 9, 5)
    shown = {}
    for code in LANGUAGES:
        speaking(code, {})
        shown[code] = t("{at:%Y-%m-%d %H:%M}", at=at)
    assert shown == {"en": "2026-03-31 09:05", "de": "31.03.2026 09:05", "ko": "2026-03-31 09:05"}


def test_scripts_and_html_of_a_component_are_translated(tmp_path):
    known = {"Play (Space)": "Abspielen <(Leertaste)", "Loop on": "Schleife an", "Not here": "Nicht hier"}
    body = '<button aria-label="Play (Space)">\n  Play (Space)\n</button><b>Play</b>'
    said = "Abspielen &lt;(Leertaste)"
    assert components.translated(body, known) == f'<button aria-label="{said}">\n  {said}\n</button><b>Play</b>'


@pytest.mark.parametrize(
    ("sentence", "german"),
    [
        (
            "my take.TextGrid: Mark 5, in the tier 'my words': x",
            "my take.TextGrid: Markierung 5 in der Ebene 'my words': x",
        ),
        ("my take.csv, line 3: x", "my take.csv, Zeile 3: x"),
        ("'my take.wav', mark 3: x", "'my take.wav', Markierung 3: x"),
    ],
)
def test_the_location_before_a_refusal_is_translated_even_if_names_have_spaces(sentence, german):
    assert languages._recognised("de", sentence) == german
    assert not re.search("tier|mark|line", languages._recognised("ko", sentence))
