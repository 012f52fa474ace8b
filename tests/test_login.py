"""With a login, only people on the list can open any page."""

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from secrets import token_hex

import pytest
from playwright.sync_api import expect, sync_playwright
from streamlit.testing.v1 import AppTest

from pages.shared.server.login import is_allowed
from tests.running_app import free_port, launch, needs_browser, running_app
from tests.test_pages import PAGES, at, words
from tests.test_server_guard import upload
from tests.test_server_guard import visit as opened_visit

SECRETS = {
    "auth": {
        "redirect_uri": "http://localhost:8501/oauth2callback",
        "cookie_secret": token_hex(16),
        "client_id": "hear-why",
        "client_secret": token_hex(8),
        "server_metadata_url": "http://localhost:9/.well-known/openid-configuration",
    },
    "access": {"allowed": ["ann@example.org"]},
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("page", PAGES)
def test_no_page_shows_anything_before_the_login(page):
    app = at(page)
    app.secrets.update(SECRETS)
    app.run()
    assert not app.exception
    assert [button.label for button in app.button] == ["Log in"]
    assert "No recording yet" not in words(app)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_with_unreadable_secrets_nobody_can_log_in(tmp_path, monkeypatch):
    (tmp_path / "secrets.toml").write_text("[auth\n")
    monkeypatch.setattr("streamlit.get_option", lambda name: [str(tmp_path / "secrets.toml")])
    app = AppTest.from_file("../app.py", default_timeout=60)
    app.run()
    assert "nobody can log in" in app.error[0].value
    assert not app.button


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ({"sub": "1", "email": "ann@example.org", "email_verified": True}, True),
        ({"sub": "1", "email": "Ann@Example.ORG", "email_verified": True}, True),
        ({"sub": "1", "email": "ann@example.org", "email_verified": False}, False),
        ({"sub": "1", "email": "ann@example.org", "email_verified": "true"}, False),
        ({"sub": "1", "email": "ann@example.org"}, False),
        ({"sub": "1", "email": "bob@example.org", "email_verified": True}, False),
        ({"sub": "1", "email": "ann@example.org.evil.net", "email_verified": True}, False),
        ({"sub": "1", "email": "", "email_verified": True}, False),
        ({"sub": "auth0|7"}, True),
        ({"sub": "AUTH0|7"}, False),
        ({"sub": ""}, False),
        ({}, False),
    ],
)
def test_only_people_on_the_list_may_enter(person, expected):
    assert is_allowed(person, ["ann@example.org", "auth0|7"]) is expected
    assert not is_allowed(person, [])


@contextmanager
def identity_provider(*people: dict):
    """A real provider on this machine, where each person logs in with one press of a button."""
    port = free_port()
    claims = [part for person in people for part in ("--user-claims", json.dumps(person))]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *claims]
    provider = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/.well-known/openid-configuration"
    try:
        for _ in range(150):
            try:
                urllib.request.urlopen(address, timeout=2).close()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        yield address
    finally:
        provider.terminate()
        provider.wait(20)


@pytest.fixture(scope="module")
def guarded_app(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("guarded"), free_port()
    people = [{"sub": n, "email": f"{n}@example.org", "email_verified": True} for n in ("ann", "bob")]
    with identity_provider(*people) as metadata:
        auth = SECRETS["auth"] | {
            "redirect_uri": f"http://127.0.0.1:{port}/oauth2callback",
            "server_metadata_url": metadata,
        }
        lines = ["[auth]", *(f"{name} = {json.dumps(value)}" for name, value in auth.items())]
        lines += ["[access]", 'allowed = ["Ann@example.org"]']
        (folder / "secrets.toml").write_text("\n".join(lines))
        options = ("--secrets.files", str(folder / "secrets.toml"))
        with running_app(folder / "data", folder / "app.log", "app.py", *options, port=port) as address:
            yield address


@pytest.mark.process
def test_nobody_uploads_before_the_login(guarded_app):
    with opened_visit(guarded_app) as session_id:
        assert upload(guarded_app, session_id) == 403


@pytest.fixture
def _browser():
    needs_browser()


@pytest.mark.browser
@pytest.mark.usefixtures("_browser")
@pytest.mark.parametrize("name", ["ann", "bob"])
def test_people_on_the_list_get_in_others_are_told_why_not_and_both_can_log_out(guarded_app, name):
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{guarded_app}/Listen")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name=name).click()
        page.get_by_role("button", name="Log out").wait_for()
        if name == "ann":
            page.get_by_role("tab", name="Upload").wait_for()
            expect(page.get_by_text("is not on the list")).to_have_count(0)
            page.get_by_role("button", name="I understand").click()
            page.locator(".st-key-pages a").filter(has_text="Annotate").click()
            # Marks are made under the provider's name only.
            annotator = page.get_by_role("textbox", name="Annotator", exact=True)
            expect(annotator).to_have_value("ann@example.org")
            expect(annotator).to_be_disabled()
        else:
            words = re.compile(r"bob@\W?example\.org is not on the list")
            refusal = page.get_by_test_id("stAlert").filter(has_text=words)
            expect(refusal).to_be_visible()
            expect(page.get_by_role("tab")).to_have_count(0)
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("button", name="End session").click()  # at the provider, which redirects back
        page.get_by_role("button", name="Log in").wait_for()
        expect(page.get_by_role("tab")).to_have_count(0)
        browser.close()
