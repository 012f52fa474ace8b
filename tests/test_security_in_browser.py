"""In Chromium: what people write stays text for whoever sees it later, and what is deleted is gone."""

import re

import pytest
import soundfile
from playwright.sync_api import expect, sync_playwright

from ser_core.analysis import LONGEST_NAME
from tests.running_app import launch, needs_browser, running_app, turn_to, visit

pytestmark = pytest.mark.browser

LONGEST_WAIT_MS = 180_000
#: HTML, a picture and a link of Markdown, the signs that end a string; and addresses. A name keeps 120 characters.
NAMES = (
    "<img src=x onerror=alert(1)> ![p](http://127.0.0.1:9/p.png) [l](javascript:alert(2)) \"'`${alert(3)}.wav",
    "<img src=x onerror=alert(1)> https://evil.example www.evil.example me@evil.example :streamlit: a->b.wav",
)
#: What none of it may become.
MADE_OF_IT = "img[src=x], img[src*='p.png'], img[alt*=Streamlit], a[href^=javascript], a[href*=evil]:not([href^='#'])"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    needs_browser()
    folder = tmp_path_factory.mktemp("app")
    with running_app(folder / "data", folder / "app.log") as address:
        yield address, folder


@pytest.fixture(scope="module")
def browser(app):
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def watched(browser, address):
    """Open a visit; return its page and what went wrong in it: dialogs, errors and requests that leave the app."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(LONGEST_WAIT_MS)
    page, wrong = context.new_page(), []
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    local = (address, address.replace("http", "ws"), "blob:", "data:")
    page.on("request", lambda request: request.url.startswith(local) or wrong.append(request.url))
    visit(page, address)
    return page, wrong


@pytest.mark.parametrize("name", NAMES, ids=["markup", "addresses"])
def test_a_stored_script_is_text_for_the_next_visitor_until_the_recording_is_deleted(
    name, app, browser, tmp_path, make_voice
):
    assert len(name) <= LONGEST_NAME
    address, folder = app
    soundfile.write(tmp_path / "speech.wav", make_voice(1.5, 16_000), 16_000)
    content = (tmp_path / "speech.wav").read_bytes()
    author, wrong = watched(browser, address)
    author.get_by_role("tab", name="Upload").click()
    author.locator("input[type=file]").set_input_files({"name": name, "mimeType": "audio/wav", "buffer": content})
    author.locator(".verdict .word").wait_for()
    assert author.locator(MADE_OF_IT).count() == 0
    author.get_by_role("button", name="Save", exact=True).click()
    author.get_by_text("Saved analyses (1)").wait_for()
    assert content[1000:1064] in b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())

    visitor, wrong_later = watched(browser, address)
    visitor.get_by_text("Saved analyses (1)").click()
    visitor.get_by_role("button", name=re.compile("^<img src=x onerror")).click()  # to open it, not to delete it
    visitor.locator(".verdict .word").wait_for()
    expect(visitor.get_by_role("heading", name="<img src=x onerror=alert(1)>")).to_be_visible()
    assert visitor.get_by_text("me@\u2060evil.example").count() > 0 or "me@" not in name
    visitor.get_by_role("combobox", name="Model").click()
    visitor.get_by_role("option", name="yamnet", exact=True).click()  # of short segments, of which Select needs three
    for title in ("Explain", "Select", "Listen"):
        turn_to(visitor, title)
        assert visitor.locator(MADE_OF_IT).count() == 0

    visitor.get_by_role("button", name="Delete this recording").click()
    visitor.get_by_text("No recording yet").first.wait_for()
    expect(visitor.get_by_text("Saved analyses")).to_have_count(0)
    left = [file for file in (folder / "data").rglob("*") if file.is_file()]
    assert left == []
    assert wrong == wrong_later == []


def test_the_law_is_behind_the_notice_and_in_the_menu(app, browser):
    address, _ = app
    page = browser.new_page()
    page.set_default_timeout(LONGEST_WAIT_MS)
    page.goto(address)
    page.get_by_text("Before you begin").wait_for()
    page.get_by_role("button", name="What the law says").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("What is banned.")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_test_id("stMainMenu").click()
    page.get_by_text("About", exact=True).click()
    expect(page.get_by_role("dialog").get_by_text("What is banned.")).to_be_visible()
