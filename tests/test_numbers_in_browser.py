"""Plotly's and Streamlit's buttons, hints and numbers are in the visit's language."""

import ast

import pytest
from playwright.sync_api import expect, sync_playwright

from pages.shared.charts.axes import PLOTLY_TEXTS
from pages.shared.language import catalogue
from tests.running_app import launch, needs_browser, running_app
from tests.texts import PAGES, calls

#: A button of Streamlit's, whose name cannot be changed.
OF_STREAMLIT = "Fullscreen"

#: Tables are drawn on a canvas; screen readers get the unformatted numbers beside it.
NOTE_WHAT_IS_DRAWN = """
window.drawn = new Set();
const { fillText } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
  window.drawn.add(text);
  return fillText.call(this, text, ...where);
};
"""


def test_every_chart_has_the_settings_of_all_charts():
    configs = [
        next((ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg in ("config", None)), "none")
        for name, call in calls(PAGES)
        if name == "plotly_chart"
    ]
    assert len(configs) > 20
    assert [config for config in configs if not config.startswith("axes.config(") and config != "settings"] == []


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    needs_browser(model=False)
    folder = tmp_path_factory.mktemp("numbers")
    with running_app(folder / "data", folder / "app.log", "tests/numbers_page.py") as address:
        yield address


@pytest.mark.browser
@pytest.mark.parametrize("code", ["de", "ko"])
def test_buttons_of_a_chart_and_the_hint_after_zooming_are_translated(address, code):
    texts = {text: catalogue(code)[text] for text in PLOTLY_TEXTS}
    with sync_playwright() as playwright:
        page = launch(playwright).new_context(locale=code).new_page()
        page.goto(address)
        chart = page.locator(".js-plotly-plot")
        chart.hover()
        names = page.locator(".modebar-btn").evaluate_all("buttons => buttons.map(each => each.dataset.title)")
        assert len(names) > 5
        assert set(names) <= {*texts.values(), OF_STREAMLIT}
        box = chart.locator(".nsewdrag").bounding_box()
        page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
        page.mouse.up()
        expect(page.get_by_text(texts["Double-click to zoom back out"])).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("code", "ends", "cells"),
    [("de", ["0,5", "6,05"], ["1,5", "0,3", "2.000,0"]), ("ko", ["0.50", "6.05"], ["1.5", "0.3", "2000.0"])],
)
def test_numbers_of_sliders_and_tables_have_the_decimal_sign_of_the_language(address, code, ends, cells):
    with sync_playwright() as playwright:
        page = launch(playwright).new_context(locale=code).new_page()
        page.add_init_script(NOTE_WHAT_IS_DRAWN)
        page.goto(address)
        expect(page.get_by_test_id("stSliderThumbValue")).to_have_text(ends)
        page.wait_for_function("cells => cells.every(cell => window.drawn.has(cell))", arg=cells)
        expect(page.get_by_test_id("stText")).to_have_text("(0.5, 6.05)")
        page.get_by_role("slider").first.press("ArrowRight")
        expect(page.get_by_test_id("stText")).to_have_text("(0.51, 6.05)")
