"""In Chromium: what people write stays text, deleted data is gone, and a visit's data is for that visit alone."""

import hashlib
import re
import urllib.error
import urllib.request

import pytest
import soundfile
from playwright.sync_api import expect, sync_playwright
from streamlit.runtime.memory_media_file_storage import _calculate_file_id

from ser_core.analysis import MAX_NAME_LENGTH
from tests.running_app import SOON, launch, needs_browser, running_app, turn_to, upload, visit

pytestmark = pytest.mark.browser

LONGEST_WAIT_MS = 180_000
HASHES = ((hashlib.sha256, {}), (hashlib.blake2b, {"digest_size": 16}))
#: HTML, a Markdown picture and link, characters that end a string, and URLs; at most 120 characters.
NAME = (
    "<img src=x onerror=alert(1)> ![p](http://127.0.0.1:9/p.png) [l](javascript:alert(2)) "
    "\"'`${alert(3)} me@evil.io.wav"
)
#: Elements that the name must never become.
INJECTED = "img[src=x], [src*='p.png'], [href*='p.png'], a[href^=javascript], a[href*=evil]:not([href^='#'])"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    needs_browser()
    folder = tmp_path_factory.mktemp("app")
    with running_app(folder / "data", folder / "app.log", coarse_maps=True) as address:
        yield address, folder


@pytest.fixture(scope="module")
def browser(app):
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def watched(browser, address):
    """Open a visit; return its page and the list of its dialogs, errors and requests to other servers."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(LONGEST_WAIT_MS)
    page, incidents = context.new_page(), []
    page.on("dialog", lambda dialog: (incidents.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: incidents.append(str(error)))
    local = (address, address.replace("http", "ws"), "blob:", "data:")
    page.on("request", lambda request: request.url.startswith(local) or incidents.append(request.url))
    visit(page, f"{address}/?{SOON}")
    return page, incidents


def test_stored_scripts_are_plain_text_for_the_next_visitor(app, browser, tmp_path, make_voice):
    address, folder = app
    assert len(NAME) <= MAX_NAME_LENGTH
    author, incidents = watched(browser, address)
    author.get_by_role("tab", name="Upload").click()
    soundfile.write(
        tmp_path / "speech.wav", make_voice(1.5, 16_000), 16_000
    )  # so long that Select has several segments
    content = (tmp_path / "speech.wav").read_bytes()
    author.locator("input[type=file]").set_input_files({"name": NAME, "mimeType": "audio/wav", "buffer": content})
    author.locator(".verdict .word").wait_for()
    assert author.locator(INJECTED).count() == 0
    author.get_by_role("button", name="Save", exact=True).click()
    author.get_by_text("Saved analyses (1)").wait_for()
    assert content[1000:1064] in b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())

    visitor, later_incidents = watched(browser, address)
    visitor.get_by_text("Saved analyses (1)").click()
    # The button that opens it, not the one that deletes it.
    visitor.get_by_role("button", name=re.compile("^<img src=x onerror", re.DOTALL)).click()
    visitor.locator(".verdict .word").wait_for()
    expect(visitor.get_by_role("heading", name="<img src=x onerror=alert(1)>")).to_be_visible()
    assert visitor.get_by_text("me@\u2060evil.io").count() > 0
    for title in ("Explain", "Select", "Listen"):
        turn_to(visitor, title)
        assert visitor.locator(INJECTED).count() == 0
    visitor.get_by_role("button", name="Delete this recording").click()
    visitor.get_by_role("button", name="Delete", exact=True).click()
    visitor.get_by_text("No recording yet").first.wait_for()
    expect(visitor.get_by_text("Saved analyses")).to_have_count(0)

    assert [file for file in (folder / "data").rglob("*") if file.is_file()] == []
    author.context.close()
    visitor.context.close()
    assert incidents == later_incidents == []


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


# --- a visit's data is private ---


@pytest.fixture(scope="module")
def two_visits(app, browser, make_voice):
    """Two people with a recording each in one app: each one's page, requested URLs and file."""
    (address, folder), people = app, {}
    for number, name in enumerate(("Ann", "Ben")):
        soundfile.write(folder / f"secret of {name}.wav", make_voice(1.2, 16_000, seed=number), 16_000)
        page = browser.new_context().new_page()
        page.set_default_timeout(LONGEST_WAIT_MS)
        fetched = []
        page.on("request", lambda request, fetched=fetched: fetched.append(request.url))
        visit(page, f"{address}/?{SOON}")
        upload(page, folder / f"secret of {name}.wav")
        people[name] = page, fetched, (folder / f"secret of {name}.wav").read_bytes()
    return address, people


def test_no_page_of_a_visit_shows_or_fetches_data_of_another(two_visits):
    address, people = two_visits
    for name, other in (("Ann", "Ben"), ("Ben", "Ann")):
        page, fetched, _ = people[name]
        for title in ("Explain", "Listen"):
            turn_to(page, title)
            if title == "Explain":
                page.locator("strong", has_text=f"secret of {name}").wait_for()
            assert f"secret of {other}" not in page.content()
        page.locator(".st-key-pages a").filter(has_text="Select").click()
        page.get_by_text("at least 3 are needed to compare them").wait_for()
        assert f"secret of {other}" not in page.content()
        media = {url for url in fetched if url.startswith(f"{address}/media/")}
        assert len(media) > 3
        assert media.isdisjoint(people[other][1])


def test_a_reloaded_page_and_another_tab_continue_their_visit(two_visits):
    address, people = two_visits
    page, _, _ = people["Ann"]
    turn_to(page, "Listen")
    page.reload()
    other = page.context.new_page()
    other.goto(address)
    for tab in (page, other):
        tab.locator(".player .lanes").wait_for()
        expect(tab.get_by_role("combobox", name="Recording")).to_have_value(re.compile("secret of Ann"))
        expect(tab.get_by_text("Before you begin")).to_have_count(0)
    assert "secret of Ben" not in page.content() + other.content()
    other.close()


def test_addresses_of_sounds_cannot_be_computed_from_their_content(two_visits):
    address, people = two_visits
    page, fetched, source = people["Ann"]
    turn_to(page, "Listen")
    sound = [url for url in fetched if "/media/" in url and url.endswith(".wav")][-1]
    with urllib.request.urlopen(sound) as answer:
        content = answer.read()
    assert len(sound.rsplit("/", 1)[1].removesuffix(".wav")) == 32
    sha256 = hashlib.sha256(content).hexdigest()
    of_streamlit = [_calculate_file_id(content, "audio/wav", name) for name in (None, sha256)]
    known = (b"secret of Ann.wav", hashlib.sha256(source).hexdigest().encode(), str(len(content)).encode(), content)
    derived = [f(words, **size).hexdigest()[:32] for words in known for f, size in HASHES]
    for name in (*of_streamlit, *derived):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/media/{name}.wav")
    for listing in ("/media/", "/media", "/_stcore/media"):
        with pytest.raises(urllib.error.HTTPError, match="40"):
            urllib.request.urlopen(f"{address}{listing}/..%2f")
