"""The table of words: no edit is lost, however busy the page is."""

import json

import pytest
from playwright.sync_api import expect, sync_playwright

from pages.shared.evidence.word_table import _key_of, _LastEdit, _words_after
from ser_core.analysis import Region
from tests.running_app import launch, needs_browser, running_app

WORDS = (Region(0.0, 0.4, label="so"), Region(0.5, 0.9, label="much"))


def message(number=1, table="one", words=WORDS, seen=WORDS):
    rows = [{"id": word.label, "word": word.label, "start": word.start_s, "end": word.end_s} for word in words]
    return {"table": table, "seen": _key_of(seen), "number": number, "rows": rows}


# --- edits that the server accepts ---


def test_each_edit_is_taken_once_and_the_next_may_follow_before_the_table_has_seen_it():
    last_edit, first, second = _LastEdit(), WORDS[:1], (Region(0.1, 0.4, label="so"),)
    assert _words_after(message(words=first), last_edit, _key_of(WORDS), 0.0) == first
    assert _words_after(message(words=first), last_edit, _key_of(first), 0.0) is None
    assert _words_after(message(2, words=second), last_edit, _key_of(first), 0.0) == second
    assert last_edit.ids == ("so",)


def test_an_edit_of_words_that_were_replaced_meanwhile_is_not_taken():
    last_edit, others = _LastEdit(), (Region(1.0, 2.0, label="others"),)
    assert _words_after(message(), last_edit, _key_of(others), 0.0) is None
    assert _words_after(message(2, seen=others), last_edit, _key_of(others), 0.0) == WORDS
    assert _words_after(message(1, table="two"), last_edit, _key_of(others), 0.0) is None


def test_refused_edit_says_why_and_the_next_one_is_taken():
    last_edit = _LastEdit()
    late = message()
    late["rows"][0]["end"] = -1.0
    assert _words_after(late, last_edit, _key_of(WORDS), 0.0) is None
    assert "end after its start" in last_edit.refusal
    assert _words_after(message(2, words=WORDS[:1]), last_edit, _key_of(WORDS), 0.0) == WORDS[:1]
    assert last_edit.refusal == ""


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "words",
        {},
        message() | {"number": "now"},
        message() | {"rows": [{"id": 1}]},
        message(words=()),
        message() | {"rows": [{"id": "a", "word": " ", "start": 0, "end": 1}]},
        message() | {"rows": [{"id": "a", "word": "a", "start": 0, "end": float("inf")}]},
    ],
)
def test_what_no_table_sends_changes_nothing(sent):
    assert _words_after(sent, _LastEdit(), _key_of(WORDS), 0.0) is None


# --- in a browser ---


@pytest.fixture(scope="module")
def browser():
    needs_browser(model=False)
    with sync_playwright() as playwright:
        yield launch(playwright)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    with running_app(folder / "data", folder / "app.log", "tests/words_page.py") as address:
        yield address


@pytest.fixture
def opened(browser, address):
    pages = []

    def open_page(query=""):
        page = browser.new_page()
        pages.append(page)
        page.goto(f"{address}/{query}")
        expect(page.get_by_test_id("stText")).to_have_count(2)
        return page

    yield open_page
    for page in pages:
        page.close()


def cells(page, name):
    return page.locator(f"tbody [name={name}]")


def server_words(page):
    """Return the words that the server has, once it has nothing left to do."""
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    return json.loads(page.get_by_test_id("stText").last.inner_text())


@pytest.mark.browser
def test_cells_that_are_typed_one_after_the_other_while_the_page_runs_are_all_taken(opened):
    page = opened()
    cells(page, "word").first.click()
    page.keyboard.press("Control+a")
    for number in range(4):
        page.keyboard.type(f"new {number}")
        page.keyboard.press("Enter")
    server_state = page.get_by_test_id("stText").last
    expect(server_state).to_contain_text('"new 3"')
    assert [word for word, _, _ in server_words(page)] == ["new 0", "new 1", "new 2", "new 3", "word 4", "word 5"]
    # With the Tab key along a row: the word, its start and its end.
    cells(page, "word").first.click()
    page.keyboard.press("Control+a")
    for typed, key in (("again", "Tab"), ("0,05", "Tab"), ("0.3", "Tab"), ("last", "Enter")):
        page.keyboard.type(typed)
        page.keyboard.press(key)
    expect(server_state).to_contain_text('["again", 0.05, 0.3], ["last", 0.5, 0.9], ["new 2"')
    expect(cells(page, "word").nth(2)).to_be_focused()
    expect(page.locator("tbody .figure").first).to_have_text("5.00")


@pytest.mark.browser
def test_what_is_being_typed_stays_while_words_are_added_deleted_and_put_in_order(opened):
    page = opened()
    server_state = page.get_by_test_id("stText").last
    page.get_by_role("button", name="Add a word").click()
    for typed in ("between", "0.41", "0.49"):
        page.keyboard.type(typed)
        page.keyboard.press("Tab")
    cells(page, "word").nth(1).click()
    page.keyboard.type(" and on")
    expect(server_state).to_contain_text('["word 0", 0.0, 0.4], ["between", 0.41, 0.49]')
    expect(cells(page, "word").nth(2)).to_have_value("word 1 and on")
    expect(cells(page, "word").nth(2)).to_be_focused()
    page.keyboard.press("Enter")
    expect(server_state).to_contain_text("word 1 and on")
    page.keyboard.press("Control+Delete")
    expect(server_state).not_to_contain_text("word 2")
    assert [word for word, _, _ in server_words(page)] == [
        "word 0",
        "between",
        "word 1 and on",
        "word 3",
        "word 4",
        "word 5",
    ]


@pytest.mark.browser
def test_refused_time_stays_to_be_corrected_and_no_time_at_all_is_marked(opened):
    page = opened("?from=100")
    start = cells(page, "start").first
    expect(start).to_have_value("1:40.000")
    for typed in ("1:50", "1:40.1"):
        start.fill(typed)
        start.press("Tab")
        expect(page.get_by_test_id("stText").first).to_contain_text("fine" if typed == "1:40.1" else "end after")
    assert server_words(page)[0] == ["word 0", 0.1, 0.4]
    start.fill("soon")
    start.press("Tab")
    expect(start).to_have_attribute("aria-invalid", "true")
    start.press("Escape")
    expect(start).to_have_value("1:40.100")


@pytest.mark.browser
def test_words_are_typed_into_an_empty_table(opened):
    page = opened("?words=0")
    for word, start, end in (("first", "0.1", "0.4"), ("second", "0.5", "0.9")):
        page.get_by_role("button", name="Add a word").click()
        for typed in (word, start, end):
            page.keyboard.type(typed)
            page.keyboard.press("Tab")
        expect(page.get_by_test_id("stText").last).to_contain_text(word)
    assert server_words(page) == [["first", 0.1, 0.4], ["second", 0.5, 0.9]]


@pytest.mark.browser
def test_words_from_elsewhere_replace_the_table(opened):
    page = opened()
    cells(page, "word").first.fill("mine")
    page.get_by_role("button", name="Replace").click()
    expect(cells(page, "word")).to_have_count(1)
    expect(cells(page, "word")).to_have_value("another")
