"""Does the map of recordings stay smooth with 10 000 points? Frames that Chromium drops while the map is used.

    python benchmarks/corpus_map.py [--quick] [--json FILE]

Points in forty groups, all in view at first, in a window of 1280 x 900. For each action: the share of frames of a 60 Hz
display that were dropped, the longest wait between two frames, and how long drawing took, of which the 10th percentile
depends least on other load on the machine. `rest` is the same page untouched. Chromium renders without a graphics card,
on the processors that also run the app.
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

FRAME_MS = 1_000 / 60
MOVE_MS = 8
SETTLE_MS = 500

#: Stores the time of each frame, and the duration of each frame's callbacks, which is nearly all drawing.
WATCH = """
window.frames_seen = [];
window.frames_drawn = [];
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) => ask((now) => {
  const began = performance.now();
  draw(now);
  window.frames_drawn.push(performance.now() - began);
});
const see = (now) => { window.frames_seen.push(now); ask(see); };
ask(see);
"""


def centre_and_reach(page: Page) -> tuple[float, float, float]:
    """Return the centre of the map, and how far from it the pointer moves, in pixels."""
    box = page.locator(".field").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, min(box["width"], box["height"]) / 3


def point_at(page: Page, moves: int) -> None:
    """Move the pointer over the points, which shows the name of each."""
    x, y, reach = centre_and_reach(page)
    for move in range(moves):
        page.mouse.move(x + reach * (1 - move % 200 / 100), y + reach * (move % 90 / 45 - 1))
        page.wait_for_timeout(MOVE_MS)


def pan(page: Page, moves: int) -> None:
    """Drag the map back and forth."""
    x, y, reach = centre_and_reach(page)
    page.mouse.move(x, y)
    page.mouse.down()
    for move in range(moves):
        share = abs(1 - move % 200 / 100)
        page.mouse.move(x + reach * share, y + reach * share / 2)
        page.wait_for_timeout(MOVE_MS)
    page.mouse.up()


def zoom(page: Page, moves: int) -> None:
    """Zoom in and out with the wheel, around the centre."""
    x, y, _ = centre_and_reach(page)
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    for move in range(moves):
        page.mouse.wheel(0, -20 if move % 200 < 100 else 20)
        page.wait_for_timeout(MOVE_MS)
    page.keyboard.up("Control")


def lasso(page: Page, moves: int) -> None:
    """Draw around points."""
    page.keyboard.down("Alt")
    pan(page, moves)
    page.keyboard.up("Alt")


ACTIONS: dict[str, Callable[[Page, int], None]] = {
    "rest": lambda page, moves: page.wait_for_timeout(2 * MOVE_MS * moves),
    "pointer over the points": point_at,
    "move": pan,
    "zoom": zoom,
    "lasso": lasso,
}


def measure(page: Page, action: Callable[[Page, int], None], moves: int) -> dict[str, float]:
    """Return the cost of an action."""
    page.get_by_role("button", name="Show all (0)").click()
    page.wait_for_timeout(SETTLE_MS)
    page.evaluate("window.frames_seen.length = window.frames_drawn.length = 0")
    action(page, moves)
    seen, drawn = page.evaluate("[window.frames_seen, window.frames_drawn]")
    waits = [later - earlier for earlier, later in itertools.pairwise(seen)]
    frames_due = (seen[-1] - seen[0]) / FRAME_MS
    drawn = sorted(drawn) or [0.0]
    return {
        "seconds": round((seen[-1] - seen[0]) / 1_000, 1),
        "dropped_percent": round(100 * max(0.0, 1 - len(waits) / frames_due), 2),
        "longest_wait_ms": round(max(waits), 1),
        "drawing_10th_percentile_ms": round(drawn[len(drawn) // 10], 1),
        "drawing_median_ms": round(drawn[len(drawn) // 2], 1),
        "drawing_95th_percentile_ms": round(drawn[int(0.95 * len(drawn))], 1),
    }


def main() -> None:
    parser = benchmark_parser(__doc__, "one second of each action")
    args = parser.parse_args()
    if browser_path() is None:
        print("There is no Chromium on this machine; this benchmark needs one.")
        return
    moves = 60 if args.quick else 600
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        log = Path(folder) / "app.log"
        with running_app(Path(folder), log, "tests/map_page.py") as address:
            browser = launch(playwright, "--mute-audio")
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.add_init_script(WATCH)
            page.goto(f"{address}/?points=10000")
            page.locator(".map .legend button").first.wait_for(timeout=120_000)
            page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
            figures = {name: measure(page, action, moves) for name, action in ACTIONS.items()}
            browser.close()
    report({"machine": f"{platform.machine()}, {os.cpu_count()} processors", **figures}, args.json)


if __name__ == "__main__":
    main()
