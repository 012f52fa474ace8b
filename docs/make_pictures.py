"""Make the README's pictures: every page of the running app, in Chromium, with a sample.

make pictures
"""

import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))

from ser_core.corpora.samples import SAMPLES
from tests.running_app import launch, running_app, turn_to, upload, visit

DOCS = Path(__file__).parent
WIDTH = 1280


def photograph(page: Page, name: str) -> None:
    """Save the whole page, as tall as it is, with nothing under the pointer; 256 colours take half the bytes."""
    page.mouse.move(0, 0)
    page.set_viewport_size({"width": WIDTH, "height": 800})
    page.wait_for_timeout(2_000)
    shown = 800
    # What is drawn only once it is in view may make the page taller.
    while (height := page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")) > shown:
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.wait_for_timeout(1_500)
        shown = height
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(
        DOCS / name, optimize=True
    )


def annotate(page: Page) -> None:
    """Add the sample to a project, mark a stretch of it and label it as a whole."""
    page.locator(".st-key-pages a").filter(has_text="Annotate").click()
    page.get_by_role("textbox", name="New project name").fill("Sense and Sensibility")
    page.get_by_role("button", name="Create project").click()
    page.get_by_text("No project yet").wait_for(state="detached")
    annotator = page.get_by_role("textbox", name="Annotator", exact=True)
    annotator.fill("ja")
    annotator.press("Enter")
    page.get_by_role("button", name="Add the current recording").click()
    page.locator(".timeline[aria-valuenow]").wait_for()
    page.wait_for_timeout(2_000)
    lane = page.locator(".regions")
    lane.scroll_into_view_if_needed()
    box = lane.bounding_box()
    page.mouse.move(box["x"] + 0.15 * box["width"], box["y"] + 17)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.32 * box["width"], box["y"] + 17, steps=4)
    page.mouse.up()
    page.keyboard.press("2")
    page.keyboard.press("Shift+Digit3")
    expect(page.locator(".region.suggested").first).to_be_visible(timeout=180_000)


def main() -> None:
    os.environ.pop("SER_CORPORA", None)  # the page Train would show this machine's folders
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        with running_app(folder / "data", folder / "app.log") as address:
            browser = launch(playwright)
            page = browser.new_context(viewport={"width": WIDTH, "height": 800}).new_page()
            page.set_default_timeout(180_000)
            visit(page, address)
            upload(page, SAMPLES[3].path)
            photograph(page, "recording.png")
            for name in ("Select", "Evaluate", "Compare"):
                turn_to(page, name)
                photograph(page, f"{name.lower()}.png")
            annotate(page)
            photograph(page, "annotate.png")
            page.locator(".st-key-pages a").filter(has_text="Train").click()
            page.get_by_role("heading", name="Train", exact=True, level=1).wait_for()
            photograph(page, "train.png")
            # A shorter sample, of which the maps take half as long.
            page.locator(".st-key-pages a").first.click()
            upload(page, SAMPLES[4].path)
            page.get_by_role("heading", name=SAMPLES[4].path.name).wait_for()
            turn_to(page, "Explain")
            page.get_by_text("What would change the verdict").wait_for()
            photograph(page, "explain.png")
            turn_to(page, "Listen")
            page.get_by_text("From the focus alone").wait_for()
            photograph(page, "listen.png")
            browser.close()


if __name__ == "__main__":
    main()
