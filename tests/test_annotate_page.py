"""The page Annotate in a real browser: drawn marks reach the database while others work in the same project."""

import re
from contextlib import closing
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import expect, sync_playwright

from ser_core.annotations.annotation import RECORDING_TIER
from ser_core.annotations.store.database import FILE_NAME
from ser_core.annotations.store.transactions import open_store
from tests.running_app import APPS, at_rest, launch, needs_browser, running_app, visit

LONGEST_WAIT_MS = 60_000
PROJECT = "Voices <b>&"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def sounds(tmp_path_factory, make_voice) -> list[Path]:
    """Three synthetic voices as files; the name of one is HTML."""
    folder = tmp_path_factory.mktemp("sounds")
    files = [folder / name for name in ("a one.wav", "b <i>two.wav", "c three.wav")]
    for seed, file in enumerate(files):
        soundfile.write(file, make_voice(2.5, 16_000, seed), 16_000)
    return files


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("annotate") / "data"


@pytest.fixture(scope="module")
def address(data):
    needs_browser()
    with running_app(data, data.parent / "app.log", coarse_maps=True) as address:
        yield address


@pytest.fixture(scope="module")
def browser(address):
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def contexts(browser):
    """Browser contexts, shared by all tests: a new one would compile Streamlit's scripts again."""
    opened = []
    yield opened
    for context in opened:
        context.close()


@pytest.fixture
def as_annotator(browser, contexts, address, sounds):
    """A function that opens the page in a new window as an annotator, in the project with the three voices."""
    errors, windows = [], []

    def begin(name):
        if len(windows) == len(contexts):
            contexts.append(browser.new_context(viewport={"width": 1280, "height": 1500}))
            contexts[-1].set_default_timeout(LONGEST_WAIT_MS)
        page = contexts[len(windows)].new_page()
        windows.append(page)
        page.on("pageerror", lambda error: errors.append(error))
        visit(page, f"{address}/Annotate?model=yamnet", page.get_by_role("textbox", name="Annotator", exact=True))
        annotator = page.get_by_role("textbox", name="Annotator", exact=True)
        annotator.wait_for()
        at_rest(page)
        if page.get_by_text("No project yet").is_visible():
            page.get_by_role("textbox", name="New project name").fill(PROJECT)
            page.get_by_role("button", name="Create project").click()
            page.get_by_text("No project yet").wait_for(state="detached")
            at_rest(page)
        annotator.fill(name)
        annotator.press("Enter")
        page.get_by_text(re.compile("This project is empty|recordings done by")).first.wait_for()
        at_rest(page)
        if page.get_by_text("This project is empty").is_visible():
            page.locator("input[type=file]").first.set_input_files(sounds)
            page.get_by_role("button", name="Add 3 recordings").click()
        page.get_by_text(re.compile("of 3 recordings done")).wait_for()
        return page

    yield begin
    for page in windows:
        page.context.clear_cookies()
        if not page.is_closed():
            page.evaluate("localStorage.clear()")
            page.close()
    assert not errors


def open_first(page) -> None:
    """Click the first row of the queue, once, and wait for its player."""
    page.locator("tbody tr").first.click()
    page.locator(".timeline[aria-valuenow]").wait_for()
    expect(page.locator(".saved")).to_have_text("All saved")
    at_rest(page)


def without_evidence(page) -> None:
    """Hide the model's evidence, which moves what is below it."""
    stage = page.locator(".stage").element_handle()
    height = stage.evaluate("stage => stage.clientHeight")
    page.get_by_text("Model's evidence", exact=True).click()
    page.wait_for_function("([stage, height]) => stage.clientHeight < height", arg=[stage, height])
    at_rest(page)


def draw(page, start, end) -> None:
    """Draw a mark from one share of the lane's width to another, without snapping."""
    lane = page.locator(".regions")
    lane.scroll_into_view_if_needed()
    box = lane.bounding_box()
    page.keyboard.down("Alt")
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 17)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + end) / 2 * box["width"], box["y"] + 17)
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 17)
    page.mouse.up()
    page.keyboard.up("Alt")


def marks_in(data: Path) -> dict[str, list[tuple[str, str, float, float]]]:
    """Return annotator, emotion and position of each mark by recording name, read as another program would."""
    with closing(open_store(f"sqlite:///{data / FILE_NAME}")) as store:
        (project,) = store.projects.page().items
        return {
            document.name: [
                (m.annotator, m.emotion, "whole", m.status)
                if m.tier == RECORDING_TIER
                else (m.annotator, m.emotion, round(m.region.start_s, 1), round(m.region.end_s, 1))
                for m in document.annotations
            ]
            for document in store.transfer.export(project.id)
        }


def test_marks_made_with_keys_are_stored_and_can_be_undone_in_a_new_visit(as_annotator, data):
    page = as_annotator("ann")
    open_first(page)
    expect(page.get_by_role("heading", name="a one.wav")).to_be_visible()
    without_evidence(page)
    expect(page.locator(".region")).to_have_count(0)
    draw(page, 0.2, 0.6)
    page.keyboard.press("4")
    expect(page.locator(".region")).to_have_text(["sad"])
    expect(page.locator(".saved")).to_have_text("All saved")
    page.keyboard.press("Shift+Digit1")
    expect(page.get_by_role("combobox", name=re.compile("Status")).first).to_have_value("done")
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="b <i>two.wav")).to_be_visible()
    expect(page.locator(".region")).to_have_count(0)
    draw(page, 0.1, 0.3)
    expect(page.get_by_text("0.25 to 0.75 s")).to_be_visible()
    page.keyboard.press("PageUp")
    expect(page.get_by_role("heading", name="a one.wav")).to_be_visible()
    expect(page.locator(".region")).to_have_text(["sad"])
    expect(page.locator(".st-key-icon_undo button").first).to_be_enabled()
    own = [mark for mark in marks_in(data)["a one.wav"] if mark[0] == "ann"]
    assert own == [("ann", "angry", "whole", "done"), ("ann", "sad", 0.5, 1.5)]
    assert [mark[:2] for mark in marks_in(data)["b <i>two.wav"] if mark[0] == "ann"] == [("ann", None)]

    page.close()
    page = as_annotator("ann")
    expect(page.get_by_text("1 of 3 recordings done by ann")).to_be_visible()
    open_first(page)
    without_evidence(page)
    expect(page.locator(".region")).to_have_text(["sad"])
    page.locator(".timeline").focus()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.locator(".region")).to_have_text(["∅"])
    page.keyboard.press("Control+y")
    expect(page.locator(".region")).to_have_text(["sad"])
    page.keyboard.press("Control+y")
    expect(page.locator(".saved")).to_have_text("All saved")
    assert ("ann", "angry", "whole", "done") in marks_in(data)["a one.wav"]


#: Counts the sounds that start.
COUNT_SOUNDS = """
window.began = 0;
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...how) {
  window.began += 1;
  return start.apply(this, how);
};
performance.setResourceTimingBufferSize(5000);
"""
#: Whether all samples of another recording than the one at this address were fetched.
IS_AHEAD = """
([shown, bytes]) => performance.getEntriesByType("resource").some(({ name, initiatorType, encodedBodySize }) =>
  initiatorType === "fetch" && name.endsWith(".wav") && encodedBodySize === bytes && name !== shown)
"""
SAMPLES_BYTES = int(2.5 * 16_000) * 2


def turn_while_the_app_stands_still(page, app) -> None:
    """Open the next recording by its key, and wait until it plays."""
    shown = page.locator(".player audio").first.evaluate("audio => audio.src")
    page.wait_for_function(IS_AHEAD, arg=[shown, SAMPLES_BYTES])
    began = page.evaluate("window.began")
    app.suspend()
    try:
        page.keyboard.press("n")
        page.keyboard.press("Space")
        page.wait_for_function("began => window.began > began", arg=began)
    finally:
        app.resume()


def test_a_queue_is_labelled_with_keys_and_the_next_recording_plays_without_waiting_for_the_app(
    as_annotator, address, data
):
    page = as_annotator("gus")
    page.evaluate(COUNT_SOUNDS)
    page.locator("tbody button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    heading, state = page.get_by_role("heading", level=2), page.locator(".state")
    for name, emotion, intensity in (("a one.wav", "1", "2"), ("b <i>two.wav", "2", "3"), ("c three.wav", "4", "5")):
        expect(heading).to_have_text(name)
        expect(page.locator(".timeline")).to_be_focused()
        page.keyboard.press(f"Shift+Digit{emotion}")
        page.keyboard.press("i")
        page.keyboard.press(intensity)
        expect(state).to_contain_text(f"intensity {intensity}")
        if name != "c three.wav":
            at_rest(page)
            turn_while_the_app_stands_still(page, APPS[address])
    page.keyboard.press("n")
    expect(page.get_by_text("There is no next recording")).to_be_visible()
    page.keyboard.press("q")
    expect(page.get_by_text("3 of 3 recordings done by gus")).to_be_visible()
    expect(page.locator("tbody tr[aria-current] button")).to_be_focused()
    by_gus = {name: [mark[1:] for mark in marks if mark[0] == "gus"] for name, marks in marks_in(data).items()}
    assert [by_gus[name] for name in ("a one.wav", "b <i>two.wav", "c three.wav")] == [
        [(emotion, "whole", "done")] for emotion in ("angry", "happy", "sad")
    ]


def statuses_in(data: Path) -> dict[str, set[str]]:
    """Return the statuses of everybody's marks in the first recording."""
    found = {}
    with closing(open_store(f"sqlite:///{data / FILE_NAME}")) as store:
        (project,) = store.projects.page().items
        for mark in next(store.transfer.export(project.id)).annotations:
            found.setdefault(mark.annotator, set()).add(mark.status)
    return found


def test_others_marks_are_shown_on_request_played_by_click_taken_over_by_number_and_verified(as_annotator, data):
    marking = as_annotator("zoe")
    open_first(marking)
    without_evidence(marking)
    draw(marking, 0.2, 0.6)
    expect(marking.locator(".saved")).to_have_text("All saved")
    page = as_annotator("fay")
    open_first(page)
    without_evidence(page)
    expect(page.locator(".region")).to_have_count(0)
    lanes = page.locator(".stage").element_handle()
    height = lanes.evaluate("stage => stage.clientHeight")
    page.get_by_text("Others' marks", exact=True).click()
    page.wait_for_function("([stage, height]) => stage.clientHeight > height", arg=[lanes, height])
    expect(page.get_by_role("button", name="Verify")).to_be_disabled()
    at_rest(page)
    expect(page.locator(".region")).to_have_count(0)
    stage = page.locator(".stage").bounding_box()
    # Others' marks are sorted by name; their last row is right above the ruler.
    page.mouse.click(stage["x"] + 58 + 0.4 * (stage["width"] - 58), stage["y"] + stage["height"] - 24 - 9)
    expect(page.locator(".selection")).to_be_visible()
    page.keyboard.press("5")
    expect(page.locator(".saved")).to_have_text("All saved")
    assert {("zoe", None, 0.5, 1.5), ("fay", "fear", 0.5, 1.5)} <= set(marks_in(data)["a one.wav"])
    at_rest(page)
    table = page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 15, box["y"] + 15)
    page.get_by_role("button", name=re.compile(r"Verify \d")).click()
    expect(page.get_by_role("button", name="Verify")).to_be_disabled()
    at_rest(page)
    after = statuses_in(data)
    assert after.pop("fay") == {"open"}
    assert "zoe" in after
    assert set.union(*after.values()) == {"verified"}
    marking.locator(".region").first.click()
    marking.keyboard.press("2")
    expect(marking.get_by_text("fay changed this mark")).to_be_visible()
    expect(marking.get_by_role("combobox", name=re.compile("Status")).last).to_have_value("verified")
    expect(marking.locator(".region").first).to_have_text("∅")  # until then the key would change nothing
    marking.keyboard.press("2")
    expect(marking.locator(".saved")).to_have_text("All saved")
    at_rest(marking)
    assert statuses_in(data)["zoe"] == {"done"}


def test_with_two_windows_of_one_person_the_later_edit_of_an_outdated_mark_is_refused(as_annotator, data):
    one, other = as_annotator("cy"), as_annotator("cy")
    open_first(one)
    without_evidence(one)
    draw(one, 0.2, 0.6)
    one.keyboard.press("1")
    expect(one.locator(".region")).to_have_text(["angry"])
    expect(one.locator(".saved")).to_have_text("All saved")
    open_first(other)
    without_evidence(other)
    expect(other.locator(".region")).to_have_text(["angry"])
    one.keyboard.press("3")
    expect(one.locator(".region")).to_have_text(["neutral"])
    expect(one.locator(".saved")).to_have_text("All saved")
    other.locator(".region").click()
    other.keyboard.press("4")
    expect(other.get_by_text("Nothing was overwritten")).to_be_visible()
    expect(other.locator(".region")).to_have_text(["neutral"])
    assert ("cy", "neutral", 0.5, 1.5) in marks_in(data)["a one.wav"]


def f0_in(data: Path) -> dict[int, float]:
    """Return how F0 of the first recording was corrected, by frame."""
    with closing(open_store(f"sqlite:///{data / FILE_NAME}")) as store:
        (project,) = store.projects.page().items
        return next(store.transfer.export(project.id)).f0.hz


def test_a_suggestion_is_accepted_by_a_key_and_f0_is_halved_by_a_key_drawn_by_the_pointer_and_undone(
    as_annotator, data
):
    page = as_annotator("dee")
    open_first(page)
    accept_a_suggestion(page, data)
    without_evidence(page)
    correct_f0(page, data)


def accept_a_suggestion(page, data):
    """Accept the model's first suggestion in the first recording by a key."""
    for method in ("Grad-CAM", "Occlusion", "LIME"):
        if page.locator(".region.suggested").count():
            break
        page.locator(".st-key-pages a").filter(has_text="Listen").click()
        page.get_by_role("radio", name=method).click()
        page.locator(".st-key-pages a").filter(has_text="Annotate").click()
        expect(page.get_by_text("Whole recording", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Stop")).to_have_count(0, timeout=LONGEST_WAIT_MS)
        at_rest(page)
    count = page.locator(".region.suggested").count()
    assert count
    page.locator(".region.suggested").first.click()
    page.keyboard.press("a")
    expect(page.locator(".region:not(.suggested)")).to_have_count(1)
    expect(page.locator(".region.suggested")).to_have_count(count - 1)
    expect(page.locator(".saved")).to_have_text("All saved")
    assert [one for one in marks_in(data)["a one.wav"] if one[0] == "dee"]


def correct_f0(page, data):
    """Halve F0 by a key, draw it with the pointer, and undo that."""
    lanes = page.locator(".timeline").bounding_box()["height"]
    page.keyboard.press("t")
    expect(page.get_by_role("button", name="Correct F0")).to_have_attribute("aria-pressed", "true")
    added = page.locator(".timeline").bounding_box()["height"] - lanes
    assert added > 200, "F0 has no lane before, and its lane of 200 pixels with a title now"
    said, saved, corrected = (page.locator(name) for name in (".said", ".saved", ".f0 .words"))
    at_rest(page)

    def drag(start, end, height):
        box = page.locator(".timeline").bounding_box()
        page.mouse.move(box["x"] + start * box["width"], box["y"] + height)
        page.mouse.down()
        page.mouse.move(box["x"] + (start + end) / 2 * box["width"], box["y"] + height)
        page.mouse.move(box["x"] + end * box["width"], box["y"] + height)
        page.mouse.up()

    drag(0.2, 0.4, 40)  # over the waveform, which selects
    expect(page.get_by_role("button", name="Halve")).to_be_enabled()  # once F0 is measured
    page.keyboard.press("ArrowDown")
    expect(said).to_have_text("F0 halved")
    expect(corrected).to_have_text(re.compile("F0 of [0-9]+ frames corrected by dee"))
    expect(saved).to_have_text("All saved")
    halved = f0_in(data)
    assert {frame // 25 for frame in halved} == {2, 3}  # of 2.5 s
    assert max(halved.values()) < 85, "the voice has 115 to 165 Hz"
    at_rest(page)
    # Its lane of 200 pixels is above that of marks and the ruler; its middle is the middle of the voice.
    drag(0.6, 0.8, page.locator(".timeline").bounding_box()["height"] - 182)
    expect(said).to_have_text("F0 drawn")
    expect(saved).to_have_text("All saved")
    drawn = {frame: hz for frame, hz in f0_in(data).items() if frame not in halved}
    assert set(range(152, 198)) <= drawn.keys() <= set(range(148, 202))
    assert {round(hz) for hz in drawn.values()} == {round(next(iter(drawn.values())))}
    assert 115 < next(iter(drawn.values())) < 165
    at_rest(page)
    page.keyboard.press("Control+z")
    expect(corrected).to_have_text(f"F0 of {len(halved)} frames corrected by dee")
    assert f0_in(data) == halved


def test_the_controls_above_the_player_are_in_one_row_in_every_language(as_annotator):
    page = as_annotator("lee")
    open_first(page)
    heading = page.locator(".st-key-mark_heading")
    for code, snap in (("de", "Einrasten"), ("ko", "맞춤"), ("en", "Snap")):
        page.locator(f".st-key-language_{code} button").click()
        heading.get_by_text(snap, exact=True).wait_for()
        at_rest(page)
        heading.locator("h2 [data-heading-text]").evaluate(
            "name => { name.textContent = 'sense-and-sensibility-0920.wav'; }"
        )
        controls = heading.evaluate(
            """heading => [...heading.children].map((child) => child.getBoundingClientRect())
              .filter(({ width }) => width).map(({ left, right, top, bottom }) => [left, right, (top + bottom) / 2])"""
        )
        assert len(controls) == 5, code
        lefts, rights, middles = zip(*controls, strict=True)
        assert max(middles) - min(middles) < 5, code
        assert all(right <= left for right, left in zip(rights, lefts[1:], strict=False)), code
        assert rights[0] - lefts[0] > 80, code


def test_no_mark_is_lost_by_leaving_the_page_early_or_by_killing_the_app_after_saving(browser, sounds, tmp_path):
    """In an app of its own, since it is killed."""
    data = tmp_path / "data"
    with running_app(data, tmp_path / "app.log", coarse_maps=True) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 1500})
        page = context.new_page()
        page.set_default_timeout(LONGEST_WAIT_MS)
        visit(page, f"{address}/Annotate?model=yamnet", page.get_by_role("textbox", name="Annotator", exact=True))
        page.get_by_role("textbox", name="New project name").wait_for()
        at_rest(page)
        page.get_by_role("textbox", name="New project name").fill("P")
        page.get_by_role("button", name="Create project").click()
        page.get_by_text("No project yet").wait_for(state="detached")
        at_rest(page)
        annotator = page.get_by_role("textbox", name="Annotator", exact=True)
        annotator.fill("zoe")
        annotator.press("Enter")
        page.get_by_text("This project is empty").wait_for()
        at_rest(page)
        page.locator("input[type=file]").first.set_input_files(sounds[:1])
        page.get_by_role("button", name="Add 1 recording").click()
        page.get_by_text("0 of 1 recordings done").wait_for()
        open_first(page)
        without_evidence(page)
        expect(page.locator(".region")).to_have_count(0)
        app = APPS[address]
        app.suspend()
        try:
            draw(page, 0.08, 0.2)
            draw(page, 0.32, 0.4)
            page.locator(".st-key-pages a").filter(has_text="Evaluate").click()
        finally:
            app.resume()
        page.get_by_role("heading", name="Evaluate", exact=True, level=1).wait_for()
        at_rest(page)
        page.locator(".st-key-pages a").filter(has_text="Annotate").click()
        expect(page.locator(".region")).to_have_count(2)
        expect(page.locator(".saved")).to_have_text("All saved")
        assert marks_in(data)["a one.wav"] == [("zoe", None, 0.2, 0.5), ("zoe", None, 0.8, 1.0)]
        at_rest(page)
        draw(page, 0.6, 0.8)
        expect(page.locator(".region")).to_have_count(3)
        expect(page.locator(".saved")).to_have_text("All saved")
        app.kill()
        context.close()
    assert marks_in(data)["a one.wav"][2:] == [("zoe", None, 1.5, 2.0)]
