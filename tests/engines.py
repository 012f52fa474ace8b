"""Chromium, Firefox and WebKit behind one interface of a few user actions."""

import json
import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
from playwright.sync_api import Error, Page, sync_playwright

from tests.running_app import browser_path, free_port, launch

#: Long, so that a busy machine fails no test.
PATIENCE_S = 120
#: On a busy machine, Firefox's driver sometimes never answers when a mouse button is released.
ANSWERS_WITHIN_S = 240
WINDOW = {"width": 1280, "height": 1000}
MINI_BROWSER = next(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"), None)
FAKE_MICROPHONE = "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"
FIREFOX = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
}
#: A private sound server whose sink plays in real time. With rewinding, sounds would begin two seconds late.
PULSEAUDIO = ["pulseaudio", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "-n"]
SINK = "module-null-sink norewinds=1"
SOCKET = "module-native-protocol-unix auth-anonymous=1 socket="

KEYS = {"Control": "\ue009", "Enter": "\ue007", "Escape": "\ue00c"}

#: `all` finds the visible elements of a page and its components by selector and by text or name.
FIND = """
const all = (selector, words) => {
  const hosts = [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")];
  const inside = hosts.flatMap(({ shadowRoot: root }) => [...(root?.querySelectorAll(selector) ?? [])]);
  const named = (one) => `${one.getAttribute("aria-label") ?? ""} ${one.innerText ?? one.textContent}`;
  const found = [...document.querySelectorAll(selector), ...inside];
  return found.filter((one) => one.getClientRects().length && named(one).includes(words));
};
"""


class Unanswered(Exception):
    """A browser was killed because its driver did not answer."""


class Engine:
    """What a person does in a browser; subclasses define `run`, `open`, `point`, `press` and `give_file`."""

    def wait(self, script: str, *arguments: Any) -> Any:
        """Return the value of a script once it is true."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if value := self.run(script, *arguments):
                return value
            time.sleep(0.1)
        raise TimeoutError(f"{script} {arguments}: {self.run('() => document.body.innerText')[-600:]}")

    def box(self, selector: str, words: str = "") -> dict[str, float]:
        """Scroll an element into view and return its position and size once it has stopped moving."""
        found, before = None, True
        while found != before:
            before = found
            found = self.wait(
                """async (selector, words) => {
                  const [one] = all(selector, words);
                  one?.scrollIntoView({ block: "center" });
                  await new Promise((done) => setTimeout(done, 60));
                  const { x, y, width, height } = one?.getBoundingClientRect() ?? {};
                  return one && { x, y, width, height };
                }""",
                selector,
                words,
            )
        return found

    def click(self, selector: str, words: str = "", share: float = 0.5, y: float | None = None) -> float:
        """Click on an element at a share of its width; return that share, rounded to a pixel."""
        box = self.box(selector, words)
        x = round(box["x"] + share * box["width"])
        height = box["height"] / 2 if y is None else y
        self.point("move", x, round(box["y"] + height))
        self.point("down")
        self.point("up")
        return (x - box["x"]) / box["width"]

    def drag(self, selector: str, start: float, end: float, y: float) -> list[float]:
        """Drag from one share of an element's width to another; return both, rounded to pixels."""
        box = self.box(selector)
        xs = [round(box["x"] + share * box["width"]) for share in (start, (start + end) / 2, end)]
        for x, then in zip(xs, ("down", None, "up"), strict=True):
            self.point("move", x, round(box["y"] + y))
            if then:
                self.point(then)
        return [(x - box["x"]) / box["width"] for x in (xs[0], xs[-1])]

    def at_rest(self) -> None:
        """Wait until the app has finished running the page."""
        self.wait("() => !document.querySelector('[data-testid=stStatusWidget], [data-stale=true]')")

    def type(self, words: str) -> None:
        for letter in words:
            self.press(letter)

    def run(self, script: str, *arguments: Any) -> Any:
        """Return the value of a script, which may find elements by `all(selector, words)`."""
        raise NotImplementedError

    def open(self, address: str) -> None:
        raise NotImplementedError

    def point(self, what: str, x: int = 0, y: int = 0) -> None:
        raise NotImplementedError

    def press(self, *keys: str) -> None:
        """Press a key, or several at once."""
        raise NotImplementedError

    def give_file(self, file: Path) -> None:
        raise NotImplementedError


class PlaywrightEngine(Engine):
    """Chromium, or the installed Firefox, by Playwright."""

    def __init__(self, page: Page) -> None:
        self.page, self.errors = page, []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: line.type in ("error", "warning") and self.errors.append(line.text))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.page.evaluate(f"args => {{ {FIND} return ({script})(...args); }}", list(arguments))

    def open(self, address: str) -> None:
        self.page.goto(address)

    def point(self, what: str, x: int = 0, y: int = 0) -> None:
        mouse = self.page.mouse
        mouse.move(x, y) if what == "move" else getattr(mouse, what)()

    def press(self, *keys: str) -> None:
        self.page.keyboard.press("+".join(keys))

    def give_file(self, file: Path) -> None:
        self.page.locator("input[type=file]").first.set_input_files(file)


class WebKit(Engine):
    """WebKit's MiniBrowser, by the W3C's WebDriver protocol."""

    def __init__(self, port: int) -> None:
        self.address, self.errors = f"http://127.0.0.1:{port}/session", []
        arguments = ["--automation", "--autoplay-policy=allow", "--enable-mock-capture-devices=true"]
        options = {"webkitgtk:browserOptions": {"binary": str(MINI_BROWSER), "args": arguments}}
        for _ in range(50):
            try:
                session = self.send("", {"capabilities": {"alwaysMatch": options}})
                break
            except (urllib.error.URLError, ConnectionError):  # the driver is not up yet
                time.sleep(0.1)
        self.address += f"/{session['sessionId']}"
        self.send("/window/rect", {"x": 0, "y": 0, **WINDOW})

    def send(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, content, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)["value"]

    def act(self, kind: str, *actions: dict[str, Any]) -> None:
        self.send("/actions", {"actions": [{"type": kind, "id": kind, "actions": actions}]})

    def run(self, script: str, *arguments: Any) -> Any:
        return self.send("/execute/sync", {"script": f"{FIND} return ({script})(...arguments);", "args": arguments})

    def open(self, address: str) -> None:
        self.send("/url", {"url": address})

    def point(self, what: str, x: int = 0, y: int = 0) -> None:
        self.act(
            "pointer", {"type": f"pointer{what.title()}"} | ({"x": x, "y": y} if what == "move" else {"button": 0})
        )

    def press(self, *keys: str) -> None:
        values = [KEYS.get(key, key) for key in keys]
        down = [{"type": "keyDown", "value": value} for value in values]
        self.act("key", *down, *({"type": "keyUp", "value": value} for value in values))

    def give_file(self, file: Path) -> None:
        (element,) = self.send("/element", {"using": "css selector", "value": "input[type=file]"}).values()
        self.send(f"/element/{element}/value", {"text": str(file)})


@contextmanager
def chromium() -> Iterator[Engine]:
    with sync_playwright() as playwright:
        browser = launch(playwright, *FAKE_MICROPHONE, windowless=False)  # as in the released browser
        yield PlaywrightEngine(browser.new_page(viewport=WINDOW))
        browser.close()


@contextmanager
def firefox() -> Iterator[Engine]:
    """The installed Firefox with a null sound card: without a card it plays nothing."""
    with TemporaryDirectory() as folder:
        sound = [*PULSEAUDIO, "-L", SINK, "-L", f"{SOCKET}{folder}/native"]
        with _background(*sound, XDG_RUNTIME_DIR=folder), sync_playwright() as playwright:
            browser = playwright.firefox.launch(
                channel="moz-firefox",
                executable_path=shutil.which("firefox-esr"),
                firefox_user_prefs=FIREFOX,
                env=os.environ | {"PULSE_SERVER": f"unix:{folder}/native"},
            )
            with _ended_after(ANSWERS_WITHIN_S, "firefox-esr"):
                yield PlaywrightEngine(browser.new_page(viewport=WINDOW))
            browser.close()


@contextmanager
def _ended_after(seconds: float, program: str) -> Iterator[None]:
    """Kill a browser after a timeout: its driver may never answer. Raise `Unanswered` if that broke the test."""
    unanswered = threading.Event()

    def end() -> None:
        unanswered.set()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if process.name() == program:
                    process.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield
    except Error as error:
        if unanswered.is_set():
            raise Unanswered from error
        raise
    finally:
        timer.cancel()


@contextmanager
def webkit() -> Iterator[Engine]:
    """MiniBrowser on a virtual screen."""
    port = free_port()
    screen = f"{WINDOW['width']}x{WINDOW['height']}x24"
    with _background("Xvfb", "-displayfd", "1", "-screen", "0", screen, "-nolisten", "tcp") as display:
        number = display.stdout.readline().decode().strip()
        with _background("WebKitWebDriver", f"--port={port}", DISPLAY=f":{number}"):
            browser = WebKit(port)
            yield browser
            browser.send("", method="DELETE")


@contextmanager
def _background(*command: str, **environment: str) -> Iterator[subprocess.Popen]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=os.environ | environment, **pipes) as process:
        try:
            yield process
        finally:
            process.terminate()


ENGINES = {"Chromium": chromium, "Firefox": firefox, "WebKit": webkit}


def needs_engine(name: str) -> None:
    """Skip a test of engines unless they are required; fail where one is missing."""
    if "engines" not in os.environ.get("SER_REQUIRE", "").split(","):
        pytest.skip("engines are tested where SER_REQUIRE names them, as in .ci/run")
    needed = {
        "Chromium": [browser_path(windowless=False)],
        "Firefox": [shutil.which("firefox-esr"), shutil.which("pulseaudio")],
        "WebKit": [MINI_BROWSER, shutil.which("WebKitWebDriver"), shutil.which("Xvfb")],
    }[name]
    if None in needed:
        pytest.fail(f"no {name} on this machine")
