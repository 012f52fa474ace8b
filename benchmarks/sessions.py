"""Many users at once: browser sessions that repeatedly upload, explain and play, against one app.

    python benchmarks/sessions.py [--quick] [--sessions 20] [--seconds 300] [--json FILE]

Prints errors, the median and 95th percentile of page times (click to heading, and to content or the position in the
queue) and of result times (upload to verdict; Explain to three maps, drafts at first; Listen to the player), the
highest position in the queue that was shown, the app's memory, and the processor time that the app and the browsers
used. Every upload is a unique synthetic voice. `--quick` is 3 sessions for 20 s with 15 s of rest afterwards, too short
to see memory freed.
"""

import asyncio
import io
import itertools
import os
import platform
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import soundfile
from playwright.async_api import Browser, Error, Page, async_playwright, expect

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from tests.conftest import voice_like
from tests.running_app import QUIET, browser_path, running_app

LONGEST_WAIT_S = 300
#: How long after the end a session may continue its round.
GRACE_S = 45
#: Streamlit keeps the state of a visit for two minutes after its connection has ended.
REST_S, QUICK_REST_S = 145, 15
MIB = 2**20
CONTENT = ".js-plotly-plot, .player .lanes, [data-testid=stProgress], [data-testid=stFileUploader]"
MAPS = "Grad-CAM", "LIME", "Occlusion"
#: The last line of a traceback.
ERROR = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Refused|Closed\w*)\b.*", re.MULTILINE)
PLAYED = (
    "sound => new Promise(done => sound.played.length ? done() : sound.addEventListener('timeupdate', () => done()))"
)
POSITION = re.compile(r"waiting, (\d+) jobs? of others ahead")


class Measured:
    """Measurements of all sessions."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.positions: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.rounds = self.waiting_at_the_end = 0
        self.browsers_s = 0.0
        self._numbers = itertools.count()

    def voice(self) -> bytes:
        """Return a sound file that no other session has."""
        number = next(self._numbers)
        file = io.BytesIO()
        soundfile.write(file, voice_like(2.0 + 0.25 * (number % 8), 16_000, seed=number), 16_000, format="WAV")
        return file.getvalue()


class Session:
    """A user: a page in a browser context of its own."""

    def __init__(self, page: Page, measured: Measured) -> None:
        self.page, self.measured = page, measured
        page.on("pageerror", lambda error: measured.errors.update([f"script: {error}"]))

    async def visit(self, address: str) -> None:
        began = time.monotonic()
        await self.page.goto(address)
        await self.page.get_by_role("button", name="I understand").click()
        await self.page.get_by_text("Before you begin").wait_for(state="detached")
        self.measured.seconds["page: first visit"].append(time.monotonic() - began)

    async def rounds(self, until: float) -> None:
        while True:
            await self.upload()
            began = await self.open_page("Explain")
            await self.wait_for("result: Explain to three maps, drafts at first", began, self.three_maps())
            began = await self.open_page("Listen")
            await self.wait_for("result: Listen to the player", began, self.page.locator(".player .lanes").wait_for())
            await self.play()
            self.measured.rounds += 1
            if time.monotonic() >= until:
                return
            await self.open_page("Recording", "Hear Why")

    async def upload(self) -> None:
        # For a moment after a page change, its content is there twice.
        await expect(self.page.get_by_role("tab")).to_have_count(3, timeout=1_000 * LONGEST_WAIT_S)
        await self.page.get_by_role("tab", name="Upload").click()
        sound, name = self.measured.voice(), f"{time.monotonic_ns()}.wav"
        began = time.monotonic()
        given = {"name": name, "mimeType": "audio/wav", "buffer": sound}
        await self.page.locator("input[type=file]").set_input_files(given)

        async def verdict() -> None:
            await self.page.get_by_role("heading", name=name).wait_for()
            await self.page.locator(".verdict .word").wait_for()

        await self.wait_for("result: upload to verdict", began, verdict())

    async def three_maps(self) -> None:
        for name in MAPS:
            await self.page.locator(".js-plotly-plot .annotation-text", has_text=name).first.wait_for()

    async def play(self) -> None:
        await self.page.get_by_role("button", name="Play (Space)").click()
        await self.page.locator(".player audio").evaluate(PLAYED)

    async def open_page(self, link: str, title: str = "") -> float:
        """Click a page's link, wait for its heading and for content or a position in the queue; return when clicked."""
        began = time.monotonic()
        await self.page.locator(".st-key-pages a").filter(has_text=link).first.click()
        await self.page.get_by_role("heading", name=title or link, exact=True, level=1).wait_for()
        await self.page.locator(CONTENT).filter(visible=True).first.wait_for()
        self.measured.seconds["page: click to heading and content"].append(time.monotonic() - began)
        return began

    async def wait_for(self, what: str, began: float, coming: Awaitable[None]) -> None:
        """Wait for a result; record the time, and the positions in the queue shown meanwhile."""
        result = asyncio.ensure_future(coming)
        try:
            while not (await asyncio.wait([result], timeout=1))[0]:
                await self.note_queue()
            result.result()
        finally:
            result.cancel()
        self.measured.seconds[what].append(time.monotonic() - began)

    async def note_queue(self) -> None:
        for words in await self.page.get_by_test_id("stProgress").all_inner_texts():
            self.measured.positions.update(int(position) for position in POSITION.findall(words))
        for kind in ("stException", "stAlertContentError"):
            for words in await self.page.get_by_test_id(kind).all_inner_texts():
                self.measured.errors.update([words[:200]])


async def start_session(browser: Browser, address: str, measured: Measured) -> Session:
    # Without a graphics card, the processors under test would draw every frame of every animation.
    context = await browser.new_context(viewport={"width": 900, "height": 600}, reduced_motion="reduce")
    context.set_default_timeout(1_000 * LONGEST_WAIT_S)
    session = Session(await context.new_page(), measured)
    await session.visit(address)
    return session


async def run_session(session: Session, until: float) -> None:
    try:
        await session.rounds(until)
    except (Error, AssertionError) as error:
        session.measured.errors.update([str(error)[:200]])


async def drive(address: str, sessions: int, seconds: float, measured: Measured) -> None:
    async with async_playwright() as playwright:
        arguments = [*QUIET, "--mute-audio"]
        browser = await playwright.chromium.launch(executable_path=browser_path(), args=arguments)
        # One after another: twenty browsers starting at once on the app's machine would slow each other down.
        people = [await start_session(browser, address, measured) for _ in range(sessions)]
        until = time.monotonic() + seconds
        people = [asyncio.create_task(run_session(person, until)) for person in people]
        _, waiting = await asyncio.wait(people, timeout=seconds + GRACE_S)
        measured.waiting_at_the_end = len(waiting)
        for person in waiting:
            person.cancel()
        await asyncio.gather(*people, return_exceptions=True)
        processes = psutil.Process().children(recursive=True)
        measured.browsers_s = processor_s(one for one in processes if one.name().startswith("chrom"))
        await browser.close()


def processor_s(processes: Iterable[psutil.Process]) -> float:
    """Return the processor time that processes have used."""
    used = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used


async def watch_memory(app: psutil.Process, seen: list[float]) -> None:
    while True:
        seen.append(app.memory_info().rss / MIB)
        await asyncio.sleep(1)


async def measure(address: str, app: psutil.Process, sessions: int, seconds: float, rest_s: float) -> dict[str, object]:
    warm = Measured()
    await drive(address, 1, 1, warm)  # load the model
    before, memory, measured = app.memory_info().rss / MIB, [], Measured()
    watch = asyncio.create_task(watch_memory(app, memory))
    app_s = processor_s([app, *app.children()])
    await drive(address, sessions, seconds, measured)
    app_s = processor_s([app, *app.children()]) - app_s
    await asyncio.sleep(rest_s)
    await drive(address, 1, 1, warm)  # Streamlit frees ended visits when the next one begins
    after = []
    for _ in range(10):
        await asyncio.sleep(1)
        after.append(app.memory_info().rss / MIB)
    watch.cancel()
    figures = {
        what: {
            "count": len(taken),
            "median s": round(float(np.median(taken)), 2),
            "95th percentile s": round(float(np.percentile(taken, 95)), 2),
        }
        for what, taken in sorted(measured.seconds.items())
    }
    return {
        "sessions": sessions,
        "seconds": seconds,
        "rounds finished": measured.rounds,
        "sessions that still waited at the end": measured.waiting_at_the_end,
        "errors": dict(measured.errors + warm.errors),
        **figures,
        "highest place in the queue that was shown": max(measured.positions, default=0),
        "processor seconds": {"app": round(app_s, 1), "browsers": round(measured.browsers_s, 1)},
        "memory MiB": {"before": round(before), "highest": round(max(memory)), "afterwards": round(min(after))},
    }


def main() -> None:
    parser = benchmark_parser(__doc__, "3 sessions for 20 s")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    args = parser.parse_args()
    if browser_path() is None:
        print("There is no Chromium on this machine; this benchmark needs one.")
        return
    load = (3, 20, QUICK_REST_S) if args.quick else (args.sessions, args.seconds, REST_S)
    result: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} processors"}
    result["load of the machine before"] = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "app.log"
        with running_app(Path(folder) / "data", log) as address:
            (app,) = [child for child in psutil.Process().children() if "streamlit" in child.cmdline()]
            result |= asyncio.run(measure(address, app, *load))
        result["errors in the app's log"] = dict(Counter(ERROR.findall(log.read_text(errors="replace"))))
    report(result, args.json)


if __name__ == "__main__":
    main()
