"""The app as a separate process, and Chromium to drive it; for tests and for the pictures of the README."""

import atexit
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Locator, Page, Playwright, expect

from pages.shared.server.server_guard import VISIT_COOKIE
from ser_core.model.shipped_models import model_names

# So long that a busy machine fails no test.
expect.set_options(timeout=30_000)

ROOT = Path(__file__).parent.parent
#: The query for a visit that needs no particular maps: the fastest model and a short stretch. Maps of 1.5 s
#: would take three times as long.
SOON = "model=yamnet&stretch=0.2:0.8"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: The headless build of Chromium takes half the processor time.
WINDOWLESS = "chromium-headless-shell"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)


def browser_path(*, windowless: bool = True) -> str | None:
    """Return the path of Chromium: the headless build if it is allowed and installed."""
    names = (WINDOWLESS, *BROWSERS) if windowless else BROWSERS
    return next((path for name in names if (path := shutil.which(name))), None)


def free_port() -> int:
    """Return a random free port below the system's ephemeral ports, so that no connection takes it first."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def needs_browser(*, model: bool = True) -> None:
    """Skip a test if Chromium or a needed model is missing; fail if the browser is required."""
    missing = "no Chromium on this machine" if browser_path() is None else None
    if model and not model_names():
        missing = missing or "no model is shipped in models/"
    if missing and "browser" in os.environ.get("SER_REQUIRE", "").split(","):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


#: The process of each running app, by its address.
APPS: dict[str, psutil.Process] = {}


@contextmanager
def running_app(
    data: Path,
    log: Path,
    script: str = "app.py",
    *options: str,
    port: int = 0,
    forked: bool = True,
    coarse_maps: bool = False,
) -> Iterator[str]:
    """Start the app or another script on a free port and yield its address.

    Parameters
    ----------
    options : str
        Further options of `streamlit run`.
    forked : bool
        Fork the app from a process that has imported all it needs, which starts it ten times faster.
    coarse_maps : bool
        Compute maps about as coarse as their drafts, for tests that need no fine ones; only if `forked`.
    """
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = ["run", script, "--server.headless", "true", "--server.port", str(port)]
    arguments += ["--server.address", "127.0.0.1", "--server.fileWatcherType", "none", *options]
    environment = os.environ | {"SER_DATA": str(data), "MALLOC_ARENA_MAX": "2"}  # as `make app` does
    if forked:
        APPS[address] = forked_app(arguments, environment, log, coarse_maps)
    else:
        with log.open("wb") as output:
            command = [sys.executable, "-m", "streamlit", *arguments]
            APPS[address] = psutil.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_healthy(port)
        yield address
    finally:
        app = APPS.pop(address)
        with suppress(psutil.NoSuchProcess):
            app.terminate()
            for late in psutil.wait_procs([app], 20)[1]:
                late.kill()


def forked_app(arguments: list[str], environment: dict[str, str], log: Path, coarse_maps: bool) -> psutil.Process:
    parent = app_parent()
    call = {"arguments": arguments, "environment": environment, "log": str(log), "coarse_maps": coarse_maps}
    parent.stdin.write(json.dumps(call) + "\n")
    parent.stdin.flush()
    return psutil.Process(int(parent.stdout.readline()))


@cache
def app_parent() -> subprocess.Popen:
    """Return the process that apps are forked from, which ends with this one."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-m", "tests.app_parent"]
    parent = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **pipes)
    atexit.register(end, parent)
    return parent


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def wait_until_healthy(port: int) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise TimeoutError("the app did not start")


def launch(playwright: Playwright, *more: str, windowless: bool = True):
    """Return a headless Chromium; `more` are further command-line arguments."""
    return playwright.chromium.launch(executable_path=browser_path(windowless=windowless), args=[*QUIET, *more])


def serve_modules(page: Page, modules: Path = ROOT / "pages/shared/player/js") -> None:
    """Serve a folder's modules, by default the player's, and `language.js` to a page, under /modules/."""
    page.route("**/language.js", lambda route: route.fulfill(path=ROOT / "pages/shared/language/language.js"))
    page.route("**/modules/**", lambda route: route.fulfill(path=modules / route.request.url.split("/modules/")[1]))


def visit(page: Page, address: str, there: Locator | None = None) -> None:
    """Begin a visit and accept the notice; the page is the first one, or another that shows one element `there`."""
    page.context.clear_cookies(name=VISIT_COOKIE)
    page.goto(address)
    page.get_by_role("button", name="I understand").click()
    page.get_by_text("Before you begin").wait_for(state="detached")
    # For a moment after the notice, the page's elements are there twice.
    expect(there or page.get_by_role("tab")).to_have_count(1 if there else 3)


def upload(page: Page, file: Path) -> None:
    """Give the app a file and wait for its verdict."""
    page.get_by_role("tab", name="Upload").click()
    page.locator("input[type=file]").set_input_files(file)
    page.locator(".verdict .word").wait_for()


def choose_model(page: Page, name: str) -> None:
    """Choose a model in the sidebar, and wait until the address names it."""
    model = page.get_by_role("combobox", name="Model")
    model.click()
    page.get_by_role("option", name=name, exact=True).click()
    expect(model).to_have_value(name)
    page.wait_for_url(re.compile(rf"[?&]model={name}(&|$)"))


def turn_to(page: Page, name: str) -> None:
    """Open a page by its link in the sidebar and wait until its jobs have ended."""
    page.locator(".st-key-pages a").filter(has_text=name).click()
    page.get_by_role("heading", name=name, exact=True, level=1).wait_for()
    page.locator(".js-plotly-plot, .player .lanes").first.wait_for()
    page.get_by_role("button", name="Stop").last.wait_for(state="detached")
    at_rest(page)


def at_rest(page: Page) -> None:
    """Wait until the app has finished running the page."""
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
