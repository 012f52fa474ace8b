"""Many users of one app at once: visits that upload, explain, listen and change pages.

    python benchmarks/sessions.py [--quick] [--sessions 20] [--seconds 300] [--json FILE]

The visits speak the protocol of Streamlit's front end (`benchmarks/_streamlit_visit.py`), because twenty browsers would
slow down the app on the same machine. Each uploads a recording of three seconds that no other has, waits for the
verdict, reads it, opens Explain, waits for the first map and looks at the maps, opens Listen and another page, and
begins again; the times for reading and looking are drawn between 5 and 20 s. Prints the median and 95th percentile of
the waiting times, errors, the app's memory, and the processor time of the app and the visits. `--quick` is 3 visits for
20 s with 15 s of rest afterwards, too short to see memory freed.
"""

import asyncio
import io
import itertools
import os
import platform
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import psutil
import soundfile
from websockets.exceptions import WebSocketException

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._streamlit_visit import Visit
from tests.conftest import voice_like
from tests.running_app import APPS, running_app

RECORDING_S = 3.0
#: Shortest and longest time in seconds that a person reads a verdict, looks at maps, listens, or reads another page.
READING_S = {"verdict": (5, 10), "maps": (10, 20), "listening": (10, 20), "page": (5, 10)}
#: Time in which the visits begin, one by one.
ARRIVAL_S = 15.0
LONGEST_WAIT_S = 120.0
#: Streamlit keeps the state of a visit for two minutes after its connection has ended.
REST_S, QUICK_REST_S = 145, 15
MIB = 2**20
MAPS = "Grad-CAM", "LIME", "Occlusion"
OTHER_PAGES = "Glossary", "Compare", "Evaluate", "Select", "Annotate"
CONTENT = {"plotly_chart", "bidi_component", "progress", "file_uploader"}
#: The last line of a traceback.
ERROR = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Refused|Closed\w*)\b.*", re.MULTILINE)


class Measurements:
    """Measurements of all visits."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.rounds = self.bytes_received = 0
        #: The longest wait that was cut off by the end of the measurement. Such waits are in no other figure.
        self.cut_off_s = 0.0
        self._numbers = itertools.count()

    def new_voice(self) -> tuple[str, bytes]:
        """Return the name and content of a sound file that no other visit has."""
        file, number = io.BytesIO(), next(self._numbers)
        soundfile.write(file, voice_like(RECORDING_S, 16_000, seed=number), 16_000, format="WAV")
        return f"voice {number}", file.getvalue()


class User:
    """Somebody who uses the app, round after round."""

    def __init__(self, visit: Visit, measured: Measurements, seed: int) -> None:
        self.visit, self.measured, self._random = visit, measured, random.Random(seed)

    async def rounds(self, until: float) -> None:
        pages = itertools.cycle(self._random.sample(OTHER_PAGES, len(OTHER_PAGES)))
        while time.monotonic() < until:
            await self.upload()
            await self.read("verdict")
            clicked_at = await self.turn_to("Explain")
            await self.wait_for("Explain to the first map", clicked_at, lambda: self.map_count() > 0)
            await self.read("maps")
            if self.map_count() == len(MAPS):
                self.measured.rounds += 1
            clicked_at = await self.turn_to("Listen")
            await self.wait_for("Listen to the player", clicked_at, lambda: self.visit.drawn("bidi_component"))
            await self.read("listening")
            await self.turn_to(next(pages))
            await self.read("page")
            await self.turn_to("Recording", "Hear Why")

    async def read(self, what: str) -> None:
        await asyncio.sleep(self._random.uniform(*READING_S[what]))

    async def upload(self) -> None:
        name, sound = self.measured.new_voice()
        began = time.monotonic()
        await self.visit.upload(name, sound)

        def has_verdict() -> bool:
            is_named = any(element.heading.body == name for element in self.visit.drawn("heading"))
            return is_named and any('class="verdict"' in element.html.body for element in self.visit.drawn("html"))

        await self.wait_for("upload to verdict", began, has_verdict)

    async def turn_to(self, link: str, title: str = "") -> float:
        """Click a page's link, and wait for its heading and its content, or its end; return the time of the click."""
        began = time.monotonic()
        await self.visit.turn_to(link)

        def has_content() -> bool:
            has_title = any(element.heading.body == (title or link) for element in self.visit.drawn("heading"))
            return has_title and (not self.visit.running or self.visit.draws(CONTENT))

        await self.wait_for("click to page", began, has_content)
        return began

    def map_count(self) -> int:
        """Return the number of maps on the page, including drafts."""
        charts = [element.plotly_chart.spec for element in self.visit.of("plotly_chart")]
        return max((sum(f'"{name}' in chart for name in MAPS) for chart in charts), default=0)

    async def wait_for(self, what: str, began: float, condition: Callable[[], object]) -> None:
        """Wait until a condition on the page is met, and store the time since `began`."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                await self.visit.until(condition)
        except asyncio.CancelledError:  # the measurement has ended
            self.measured.cut_off_s = max(self.measured.cut_off_s, time.monotonic() - began)
            raise
        self.measured.seconds[what].append(time.monotonic() - began)


async def use(address: str, measured: Measurements, seed: int, arrival_s: float, until: float) -> None:
    """Use the app as one user who arrives after some seconds."""
    await asyncio.sleep(arrival_s)
    began = time.monotonic()
    try:
        async with Visit(address) as visit:
            await visit.until(lambda: visit.of("file_uploader") and not visit.running)
            measured.seconds["first page"].append(time.monotonic() - began)
            await visit.press("I understand")
            await visit.until(lambda: visit.drawn("file_uploader") and not visit.running)
            user = User(visit, measured, seed)
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()) as timeout:
                    await user.rounds(until)
            except TimeoutError:
                if not timeout.expired():
                    raise
            finally:
                measured.errors.update(visit.refusals)
                measured.bytes_received += visit.bytes_received
    except (TimeoutError, OSError, httpx.HTTPError, WebSocketException) as error:
        measured.errors.update([f"{type(error).__name__}: {error}"[:200]])


async def drive(address: str, visits: int, seconds: float, measured: Measurements, arrival_s: float = 0.0) -> None:
    until = time.monotonic() + seconds
    arrivals = np.linspace(0, arrival_s, visits)
    await asyncio.gather(*(use(address, measured, seed, when, until) for seed, when in enumerate(arrivals)))


def processor_s(processes: Iterable[psutil.Process]) -> float:
    """Return the processor time that processes have used."""
    used = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


async def watch_memory(app: psutil.Process, memory_mib: list[float]) -> None:
    while True:
        memory_mib.append(app.memory_info().rss / MIB)
        await asyncio.sleep(1)


async def measure(address: str, app: psutil.Process, visits: int, seconds: float, rest_s: float) -> dict[str, object]:
    warm_up = Measurements()
    await drive(address, 1, 30, warm_up)  # load the model and all code
    before, memory, measured = app.memory_info().rss / MIB, [], Measurements()
    watch = asyncio.create_task(watch_memory(app, memory))
    app_began_s, visits_began_s = processor_s([app, *app.children()]), time.process_time()
    await drive(address, visits, seconds, measured, ARRIVAL_S)
    app_s = processor_s([app, *app.children()]) - app_began_s
    visits_s = time.process_time() - visits_began_s
    await asyncio.sleep(rest_s)
    await drive(address, 1, 1, warm_up)  # Streamlit frees ended visits when the next one begins
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
        for what, taken in measured.seconds.items()
    }
    return {
        "visits": visits,
        "seconds": seconds,
        **figures,
        "longest wait cut off by the end s": round(measured.cut_off_s, 2),
        "saw all maps, drafts among them, before they went on": measured.rounds,
        "errors": dict(measured.errors + warm_up.errors),
        "received MiB": round(measured.bytes_received / MIB),
        "processor seconds": {"app": round(app_s, 1), "visits": round(visits_s, 1)},
        "memory MiB": {"before": round(before), "highest": round(max(memory)), "afterwards": round(min(after))},
    }


def main() -> None:
    parser = benchmark_parser(__doc__, "3 visits for 20 s")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    args = parser.parse_args()
    load = (3, 20, QUICK_REST_S) if args.quick else (args.sessions, args.seconds, REST_S)
    result: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} processors"}
    result["load of the machine before"] = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "app.log"
        with running_app(Path(folder) / "data", log, forked=False) as address:
            result |= asyncio.run(measure(address, APPS[address], *load))
        result["errors in the app's log"] = dict(Counter(ERROR.findall(log.read_text(errors="replace"))))
    report(result, args.json)


if __name__ == "__main__":
    main()
