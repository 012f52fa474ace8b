"""Errors in the log and the browser: their location in the code, but no names of files and people."""

import io
import json
import logging
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright
from streamlit.testing.v1 import AppTest

from pages.shared import frame
from ser_core.work.jobs import Jobs
from ser_core.work.log import FIGURES, JsonLines, log_error
from tests.running_app import launch, needs_browser, running_app

SENTENCE = re.compile(r"Something went wrong.*the number ([0-9a-f]{8})")


def lines_of(name: str, write) -> list[dict]:
    """Return what `write(logger)` logs under a name."""
    logger, stream = logging.Logger(name), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    write(logger)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def failing() -> Exception:
    """Return an error with a cause, both of which contain a person's name."""
    try:
        try:
            Path("/home/jane/Jane Doe.wav").read_bytes()
        except OSError as error:
            raise ValueError("Jane Doe\nis not a number") from error
    except ValueError as error:
        return error


def test_an_event_is_one_line_with_its_figures_and_without_its_values():
    (line,) = lines_of("ser_core.x", lambda log: log.warning("Read %s\nat once", "Jane.wav", extra={FIGURES: {"n": 3}}))
    assert set(line) == {"time", "level", "logger", "event", "n"}
    assert (line["level"], line["logger"], line["event"], line["n"]) == ("warning", "ser_core.x", "Read %s\nat once", 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])


def test_an_error_is_logged_with_its_types_and_code_lines_only():
    references = []
    (line,) = lines_of("ser_core.x", lambda log: references.append(log_error(log, "It failed", failing())))
    assert line["error"] == ["ValueError", "FileNotFoundError"]
    assert [place.rsplit(" ", 1)[1] for place in line["where"]] == ["failing"]
    assert re.fullmatch(r"tests/test_log\.py:\d+ failing", line["where"][0])
    assert references == [line["reference"]]
    assert "jane" not in json.dumps(line).lower()


def test_of_messages_of_other_packages_only_the_code_location_is_logged():
    text = "exception was never retrieved: Jane.wav"
    (line,) = lines_of("asyncio", lambda log: log.error(text))
    assert re.fullmatch(r"tests/test_log\.py:\d+", line["event"])


def test_circular_chains_of_errors_end():
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    (line,) = lines_of("ser_core.x", lambda log: log_error(log, "It failed", one))
    assert line["error"] == ["ValueError", "KeyError", "ValueError", "KeyError", "ValueError"]


def test_a_failed_job_shows_a_number_that_the_log_has_with_the_code_location(caplog):
    with caplog.at_level(logging.INFO, "ser_core.work.jobs"):
        jobs = Jobs()
        job = jobs.submit("ann", 1, "Listening", lambda *_: Path("/home/jane/Jane Doe.wav").read_bytes())
        assert job.ended.wait(10)
    number = SENTENCE.search(job.refusal)
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert [line["event"] for line in lines] == ["A job failed", "A job ended"]
    assert lines[0]["reference"] == number[1]
    assert (lines[1]["job"], lines[1]["state"]) == ("Listening", "failed")
    assert "jane" not in (json.dumps(lines) + job.refusal).lower()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("button", ["Fail", "Fail in a part"])
def test_an_error_of_a_page_is_a_sentence_with_a_number(button, caplog, monkeypatch):
    monkeypatch.setattr(frame, "PAGES", list(frame.PAGES))  # which the page resets
    app = AppTest.from_file("failing_page.py", default_timeout=60)
    app.session_state["notice_read"] = True
    app.run()
    assert not app.exception
    next(one for one in app.button if one.label == button).click().run()
    (shown,) = app.exception
    number = SENTENCE.fullmatch(shown.value.partition(", which")[0])[1]
    assert not shown.stack_trace
    line = json.loads(JsonLines().format(caplog.records[-1]))
    assert line["reference"] == number
    assert any(place.startswith("tests/failing_page.py:") for place in line["where"])


@pytest.fixture(scope="module")
def failing_app(tmp_path_factory):
    needs_browser(model=False)
    folder = tmp_path_factory.mktemp("failing")
    with running_app(folder / "data", folder / "app.log", "tests/failing_page.py") as address:
        yield address, folder / "app.log"


@pytest.mark.browser
def test_in_the_browser_an_error_is_a_number_and_the_log_has_its_location_without_names(failing_app):
    address, log = failing_app
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for button in ("Fail", "Fail in a part"):
            page = browser.new_page()
            page.goto(address)
            page.get_by_role("button", name=button, exact=True).click()
            box = page.get_by_test_id("stException")
            expect(box).to_contain_text("Something went wrong")
            assert "jane" not in page.content().lower()
            number = SENTENCE.search(box.inner_text())[1]
            text = log.read_text()
            assert "jane" not in text.lower()
            (line,) = [json.loads(line) for line in text.splitlines() if number in line]
            assert line["error"][0] == "FileNotFoundError"
            assert any(place.startswith("tests/failing_page.py:") for place in line["where"])
        browser.close()
