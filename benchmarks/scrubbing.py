"""Does the player stay smooth during scrubbing? Frames that Chromium drops, and messages to Python meanwhile.

    python benchmarks/scrubbing.py [--quick] [--json FILE]

A recording of three minutes with every lane, in a window of 1280 x 900. For each action: the share of frames of a 60 Hz
display that were dropped, the longest wait between two frames, and the number of messages to Python. `rest` is the same
page untouched. Chromium renders without a graphics card, on the processors that also run the app.
"""

import itertools
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from tests.running_app import browser_path, launch, running_app

RECORDING_S = 180
FRAME_MS = 1_000 / 60
#: Time between two mouse moves.
MOVE_MS = 8
#: A selection is sent to Python once it has not changed for a while.
SETTLE_MS = 500

WATCH = """
window.frames_seen = [];
const see = (now) => { window.frames_seen.push(now); requestAnimationFrame(see); };
requestAnimationFrame(see);
"""


def move_over_lanes(page: Page, moves: int) -> None:
    """Move the pointer back and forth over the lanes."""
    box = page.locator(".timeline").bounding_box()
    for move in range(moves):
        share = abs(1 - move % 200 / 100)
        page.mouse.move(box["x"] + (0.02 + 0.96 * share) * box["width"], box["y"] + 100 + 40 * share)
        page.wait_for_timeout(MOVE_MS)


def select(page: Page, moves: int) -> None:
    """Draw a selection back and forth."""
    box = page.locator(".timeline").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 100)
    page.mouse.down()
    move_over_lanes(page, moves)
    page.mouse.up()
    page.wait_for_timeout(SETTLE_MS)
    page.keyboard.press("Escape")


def pan(page: Page, moves: int) -> None:
    """Zoom in and scroll through the recording with the wheel."""
    box = page.locator(".timeline").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 100)
    for _ in range(8):
        page.keyboard.press("+")
    page.keyboard.down("Shift")
    for move in range(moves):
        page.mouse.wheel(0, 40 if move % 400 < 200 else -40)
        page.wait_for_timeout(MOVE_MS)
    page.keyboard.up("Shift")


def play(page: Page, moves: int) -> None:
    """Play from the middle, with the playhead over all lanes."""
    page.get_by_role("button", name="Play (Space)").first.click()
    page.wait_for_timeout(2 * MOVE_MS * moves)
    page.get_by_role("button", name="Pause (Space)").first.click()


ACTIONS: dict[str, Callable[[Page, int], None]] = {
    "rest": lambda page, moves: page.wait_for_timeout(2 * MOVE_MS * moves),
    "pointer over the lanes": move_over_lanes,
    "selection": select,
    "play": play,
    "wheel through zoomed lanes": pan,
}


def measure(page: Page, action: Callable[[Page, int], None], moves: int, sent: list[object]) -> dict[str, float]:
    """Return the cost of an action."""
    page.wait_for_timeout(SETTLE_MS)
    page.evaluate("window.frames_seen.length = 0")
    before = len(sent)
    action(page, moves)
    seen = page.evaluate("window.frames_seen")
    waits = [later - earlier for earlier, later in itertools.pairwise(seen)]
    frames_due = (seen[-1] - seen[0]) / FRAME_MS
    return {
        "seconds": round((seen[-1] - seen[0]) / 1_000, 1),
        "dropped_percent": round(100 * max(0.0, 1 - len(waits) / frames_due), 2),
        "longest_wait_ms": round(max(waits), 1),
        "messages_to_python": len(sent) - before,
    }


def main() -> None:
    parser = benchmark_parser(__doc__, "one second of each action")
    args = parser.parse_args()
    if browser_path() is None:
        print("There is no Chromium on this machine; this benchmark needs one.")
        return
    moves, sent = 60 if args.quick else 600, []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        log = Path(folder) / "app.log"
        with running_app(Path(folder), log, "tests/player_page.py") as address:
            browser = launch(playwright, "--mute-audio")
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.add_init_script(WATCH)
            page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
            page.goto(f"{address}/?show=whole&seconds={RECORDING_S}")
            page.locator(".timeline[aria-valuenow]").first.wait_for(timeout=120_000)
            page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
            page.locator(".timeline").focus()
            figures = {name: measure(page, action, moves, sent) for name, action in ACTIONS.items()}
            browser.close()
    result = {"machine": f"{platform.machine()}, {os.cpu_count()} processors", **figures}
    report(result, args.json)


if __name__ == "__main__":
    main()
