"""What others' code shows in the visit's language: Plotly's buttons and hints."""

import ast

import pytest
from playwright.sync_api import expect, sync_playwright

from pages.shared.charts.axes import PLOTLY_TEXTS
from pages.shared.language import catalogue
from tests.running_app import launch, needs_browser, running_app
from tests.texts import PAGES, calls

#: Streamlit's own button, whose name nothing can change.
OF_STREAMLIT = "Fullscreen"


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
    folder = tmp_path_factory.mktemp("charts")
    with running_app(folder / "data", folder / "app.log", "tests/chart_page.py") as address:
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
