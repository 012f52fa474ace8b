"""The page Evaluate in a real browser: its tables fit, and headings break between Korean words."""

import pytest
from playwright.sync_api import expect, sync_playwright

from ser_core.experiments import COMPARISON, read_result
from tests.running_app import at_rest, launch, needs_browser, running_app, visit


@pytest.mark.browser
def test_figures_by_corpus_are_in_view_and_one_line_high_in_every_language(tmp_path):
    needs_browser()
    with running_app(tmp_path / "data", tmp_path / "log") as address, sync_playwright() as playwright:
        page = launch(playwright).new_page(viewport={"width": 1280, "height": 900})
        tables = page.get_by_test_id("stTable")
        heading = page.get_by_role("heading", name="New people and new corpora")
        visit(page, f"{address}/Evaluate", heading)
        assert heading.evaluate("heading => getComputedStyle(heading).wordBreak") == "keep-all"
        for code, title in (("ko", "보정 오차"), ("de", "Kalibrierungsfehler"), ("en", "Calibration error")):
            page.locator(f".st-key-language_{code} button").click()
            tables.get_by_text(title, exact=True).wait_for()
            at_rest(page)
            widest = max(table.evaluate("table => table.scrollWidth - table.clientWidth") for table in tables.all())
            assert widest == 0, code
            heights = [cell.bounding_box()["height"] for cell in tables.locator("tbody td").all()]
            assert len(heights) > 20, code
            assert max(heights) < 40, code


@pytest.mark.browser
@pytest.mark.skipif(read_result(COMPARISON) is None, reason="no comparison is shipped in models/")
def test_columns_of_the_comparison_with_peers_are_in_view_in_every_language(tmp_path):
    needs_browser()
    with running_app(tmp_path / "data", tmp_path / "log") as address, sync_playwright() as playwright:
        page = launch(playwright).new_page(viewport={"width": 1280, "height": 900})
        visit(page, f"{address}/Evaluate", page.get_by_role("heading", name="New people and new corpora"))
        page.get_by_role("tab", name="Experiments").click()
        scrolled = page.get_by_test_id("stDataFrame").locator(".dvn-scroller")
        for code, title in (("ko", "크기와 속도"), ("de", "Größe und Geschwindigkeit"), ("en", "Size and speed")):
            page.locator(f".st-key-language_{code} button").click()
            page.get_by_text(title).click()  # it is closed again in another language
            at_rest(page)
            expect(scrolled).to_have_count(2)
            assert max(one.evaluate("one => one.scrollWidth - one.clientWidth") for one in scrolled.all()) <= 1, code
