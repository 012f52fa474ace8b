"""The map in a real browser: its pixels, its geometry by hand, and what a person does by pointer and by keys."""

import json
import re

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.running_app import ROOT, at_rest, launch, needs_browser, running_app, serve_modules

pytestmark = pytest.mark.browser

MODULES = ROOT / "pages/shared/annotation/corpus_map/js"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    needs_browser(model=False)
    folder = tmp_path_factory.mktemp("map")
    with running_app(folder, folder / "app.log", "tests/map_page.py") as found:
        yield found


@pytest.fixture(scope="module")
def browser(address):
    with sync_playwright() as playwright:
        launched = launch(playwright, "--mute-audio")
        yield launched
        launched.close()


@pytest.fixture
def page(browser, address):
    opened = browser.new_page(viewport={"width": 1000, "height": 900})
    errors = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    serve_modules(opened, MODULES)
    opened.goto(f"{address}/?points=100&colouring=verdict")
    opened.locator(".map .legend button").first.wait_for(timeout=120_000)
    yield opened
    opened.close()
    assert not errors


def test_geometry_worked_by_hand(page):
    found = page.evaluate("""async () => {
      const { Scene } = await import("/modules/scene.js");
      const scene = new Scene(Float32Array.of(0, 10, 10, 0), Float32Array.of(0, 0, 10, 10));
      scene.resize(200, 100); scene.fit();
      const corners = [0, 1, 2, 3].map((index) => scene.at(index));
      const square = (low, high) => [[low, low], [high, low], [high, high], [low, high]].map(([x, y]) => ({ x, y }));
      const near = [scene.nearest(57, 93, 3), scene.nearest(70, 93, 3)];
      const ways = [[1, 0], [0, 1], [-1, 0], [0, -1]].map((way) => scene.neighbour(0, way));
      const corner = [[50, 0], [150, 0], [50, 90]].map(([x, y]) => ({ x, y }));
      const inside = [...scene.inside(square(50, 150)), -1, ...scene.inside(corner)];
      scene.visible[1] = 0;
      const hidden = [scene.neighbour(0, [1, 0]), scene.nearest(144, 94, 5)];
      scene.zoom(2, 56, 94);
      return { corners, near, ways, inside, hidden, zoomed: [scene.at(0), scene.at(2)] };
    }""")
    # 88 of 100 pixels for 10 units, in the middle of 200 x 100; up is less.
    xy = [(round(corner["x"], 3), round(corner["y"], 3)) for corner in found["corners"]]
    assert xy == [(56, 94), (144, 94), (144, 6), (56, 6)]
    assert found["near"] == [0, -1]
    assert found["ways"] == [1, 3, -1, -1]
    assert found["inside"] == [0, 1, -1, 3]
    assert found["hidden"] == [2, -1]  # past the hidden one to the next within the cone
    zoomed = [(round(place["x"]), round(place["y"])) for place in found["zoomed"]]
    assert zoomed == [(56, 94), (232, -82)]


def test_stamps_cover_blend_and_are_clipped_at_the_edge(page):
    found = page.evaluate("""async () => {
      const { Picture, stampOf, SHAPES } = await import("/modules/glyphs.js");
      const picture = new Picture();
      picture.resize(40, 30); picture.clear(0xffffffff);
      const style = { shape: "square", colour: "#ff0000" };
      picture.stamp(stampOf(style, 4, "#ffffff", 1), 20, 15);
      const at = (x, y) => [...picture.image.data.slice(4 * (y * 40 + x), 4 * (y * 40 + x) + 4)];
      const solid = [at(20, 15), at(2, 2)];
      picture.stamp(stampOf({ shape: "square", colour: "#0000ff" }, 4, "#ffffff", 0.5), 20, 15);
      const half = at(20, 15);
      for (const [x, y] of [[0, 0], [40, 30], [-50, 3], [3, 90]]) picture.stamp(stampOf(style, 4, "#ffffff", 1), x, y);
      const pixels = (shape) => stampOf({ shape, colour: "#000" }, 6, "#fff", 1).x.join();
      const different = new Set(Object.keys(SHAPES).map(pixels)).size;
      return { solid, half, edge: at(0, 0), shapes: [different, Object.keys(SHAPES).length] };
    }""")
    assert found["solid"] == [[255, 0, 0, 255], [255, 255, 255, 255]]
    assert found["half"] == pytest.approx([127, 0, 128, 255], abs=3)
    assert found["edge"] == [255, 0, 0, 255]
    assert found["shapes"][0] == found["shapes"][1]


def last_message(page) -> dict[str, list]:
    """Return the last message that Python received, once the page has run."""
    at_rest(page)
    return json.loads(page.get_by_test_id("stText").inner_text())


def test_points_are_selected_hidden_opened_and_played_by_pointer_and_keys(page):
    field, status = page.locator(".field"), page.locator(".status")
    box = field.bounding_box()
    left, middle, low = box["x"] + 5, box["x"] + box["width"] / 2, box["y"] + box["height"]

    def draw_around_the_group_below_on_the_left():
        page.mouse.move(left, low - 5)
        page.mouse.down()
        for x, y in ((left, low - box["height"] / 2), (middle, low - box["height"] / 2), (middle, low - 5)):
            page.mouse.move(x, y, steps=3)
        page.mouse.up()

    page.get_by_role("button", name="Lasso").click()
    draw_around_the_group_below_on_the_left()
    expect(status).to_have_text("25 recordings chosen.")
    expect(page.get_by_test_id("stText")).to_contain_text("chosen")
    assert last_message(page)["chosen"][0] == list(range(0, 100, 4))
    angry = page.locator(".legend").get_by_role("button", name="angry")
    expect(angry).to_have_text("angry25")
    angry.click()
    expect(angry).to_have_attribute("aria-pressed", "false")
    draw_around_the_group_below_on_the_left()
    expect(status).to_have_text("0 recordings chosen.")
    page.get_by_role("button", name="Show all", exact=True).click()

    field.focus()
    page.keyboard.press("ArrowLeft")  # begins in the middle
    page.keyboard.press("ArrowLeft")
    expect(status).to_contain_text("take")
    index = int(status.inner_text().split()[1])
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stText")).to_contain_text("opened")
    assert last_message(page)["opened"][0] == [index]
    assert "heard" not in last_message(page)  # no sound before it is requested
    page.keyboard.press(" ")
    expect(page.get_by_test_id("stText")).to_contain_text("heard")
    assert last_message(page)["heard"][0] == [index]
    page.keyboard.press("r")
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("r")
    expect(status).to_contain_text("chosen")
    expect(page.get_by_test_id("stText")).to_have_text(re.compile(rf'"chosen": \[\[(\d+, )*{index}\b'))
