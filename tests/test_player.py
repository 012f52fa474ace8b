"""The player: its files by hand, and the player itself in a real browser."""

import io
import math
import re
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect, sync_playwright

from pages.shared.player import editing, measuring
from pages.shared.player.tiles import (
    MAP_STEPS,
    profile_levels,
    relevance_levels,
    sample_levels,
    spectrogram_levels,
    track_levels,
)
from ser_core.analysis import Region
from ser_core.audio.acoustics import Tracks
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.settings import FocusSettings, SpectrogramSettings
from tests.player_page import TONE_BAND, recording
from tests.running_app import at_rest, launch, needs_browser, running_app, serve_modules

LONGEST_WAIT_MS = 120_000
VIEWPORT = {"width": 1280, "height": 900}

#: Records every sound that starts, and lets tests read the clocks.
SPY = """
window.sounds = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when = 0, offset = 0, ...rest) {
  const samples = this.buffer.getChannelData(0).slice();
  const sound = { when, offset, context: this.context, ended: false, length: this.buffer.duration, samples };
  window.sounds.push(sound);
  this.addEventListener("ended", () => (sound.ended = true));
  return start.call(this, when, offset, ...rest);
};
const stop = AudioBufferSourceNode.prototype.stop;
AudioBufferSourceNode.prototype.stop = function (when = 0) {
  window.sounds.at(-1).stop = when;
  window.sounds.at(-1).stopIn = when - this.context.currentTime;
  return stop.call(this, when);
};
window.all = (what) => [...document.querySelectorAll(what)];
window.roots = () => all("[data-testid=stBidiComponentIsolated]").map((host) => host.shadowRoot);
window.media = () => [...roots().map((root) => root?.querySelector("audio")), ...all("audio")].filter(Boolean);
window.drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
window.playheadTime = (root, duration) => {
  const line = root.querySelector(".timeline").getBoundingClientRect();
  return ((root.querySelector(".playhead").getBoundingClientRect().left + 1 - line.left) / line.width) * duration;
};
"""


# --- files of columns ---


def values_of(level):
    return np.frombuffer(level.content, f"<{level.type}").reshape(level.columns, level.rows)


def test_a_spectrogram_has_three_levels_of_means_with_the_remainder_in_the_last_column():
    log_mel = np.random.default_rng(0).normal(-3, 2, (1_000, 4)).astype(np.float32)
    levels, low, high = spectrogram_levels(log_mel)
    assert [(level.step, level.columns, level.rows) for level in levels] == [(1, 1_000, 4), (8, 125, 4), (64, 16, 4)]
    shown = np.clip(log_mel, low, high)
    for level in levels:
        means = [shown[start : start + level.step].mean(axis=0) for start in range(0, 1_000, level.step)]
        np.testing.assert_allclose(values_of(level) / 255 * (high - low) + low, means, atol=0.51 * (high - low) / 255)


def test_a_silent_spectrogram_is_dark_and_not_a_division_by_zero():
    levels, low, high = spectrogram_levels(np.full((10, 64), -6.9, np.float32))
    assert high > low
    assert not values_of(levels[0]).any()


def test_relevance_keeps_sign_and_scale_in_sixteen_bits():
    relevance = np.random.default_rng(1).normal(0, 0.01, (200, 8)).astype(np.float32)
    levels, most = relevance_levels(relevance)
    assert [level.step for level in levels] == list(MAP_STEPS)
    np.testing.assert_allclose(values_of(levels[0]) / 32_767 * most, relevance, atol=most / 32_767)
    assert relevance_levels(np.zeros((3, 2), np.float32))[1] > 0


@pytest.mark.parametrize("count", [1, 255, 256, 257, 100_000])
def test_every_level_of_samples_has_minimum_and_maximum_of_each_stretch(count):
    samples = np.random.default_rng(count).uniform(-1.2, 1.2, count).astype(np.float32)
    for level in sample_levels(samples):
        slow = [
            (samples[start : start + level.step].min(), samples[start : start + level.step].max())
            for start in range(0, count, level.step)
        ]
        np.testing.assert_allclose(values_of(level) / 32_767, np.clip(slow, -1, 1), atol=1 / 32_767)


def test_a_profile_is_sent_in_full_and_as_extremes():
    profile = np.sin(np.arange(100) / 7)
    finest, coarser, coarsest = profile_levels(profile)
    np.testing.assert_array_equal(values_of(finest)[:, 0], profile.astype(np.float32))
    assert values_of(coarser)[1].tolist() == pytest.approx([profile[16:32].min(), profile[16:32].max()])
    assert values_of(coarsest).tolist() == [pytest.approx([profile.min(), profile.max()])]


def test_measures_are_sent_in_full_and_as_extremes_of_the_frames_that_have_them():
    values = np.random.default_rng(3).normal(size=(600, 3))
    values[rng_holes(600)] = np.nan
    values[16:32, 1] = np.nan
    finest, coarser, coarsest = track_levels(values)
    np.testing.assert_array_equal(values_of(finest), values.astype(np.float32))
    for level in (coarser, coarsest):
        assert level.rows == 6
        for column, start in enumerate(range(0, 600, level.step)):
            block = values[start : start + level.step].astype(np.float32)
            slow = [
                [f(line[~np.isnan(line)]) if (~np.isnan(line)).any() else np.nan for line in block.T]
                for f in (min, max)
            ]
            np.testing.assert_array_equal(values_of(level)[column], np.concatenate(slow))


def rng_holes(count):
    """A third of the frames, in which a measure is missing."""
    return np.random.default_rng(4).random((count, 3)) < 1 / 3


# --- measures ---


class EndedJob:
    """A job in some state; one that is running never ends."""

    def __init__(self, state):
        self.state, self.refusal, self.queue, self.ended = state, "This failed.", self, threading.Event()
        self.fraction = 0.0
        if state != "running":
            self.ended.set()

    def drop(self, job):
        self.state = "failed"


@pytest.mark.parametrize(
    ("said", "ceiling_hz"),
    [({"ceiling": 5_000}, 5_000), ({"ceiling": 1e9}, 5_500), ({"ceiling": "x"}, 5_500), ({"ceiling": [1]}, 5_500)],
)
def test_measures_are_requested_at_one_of_the_ceilings_only(monkeypatch, said, ceiling_hz):
    monkeypatch.setattr(measuring, "MAX_WAIT_S", 0)
    monkeypatch.setattr(measuring.st, "session_state", {"p": {"lanes": said}})
    ceilings = []
    found = measuring.measures_data(lambda _, hz: ceilings.append(hz) or EndedJob("running"), None, "p")
    assert (found["state"], found["ceiling"], ceilings) == ("running", ceiling_hz, [ceiling_hz])


def test_measures_are_computed_once_a_lane_needs_them_and_withdrawn_work_starts_again(monkeypatch):
    monkeypatch.setattr(measuring.st, "session_state", {})
    assert measuring.measures_data(None, None, "p") is None
    assert measuring.measures_data(pytest.fail, None, "p")["state"] == "idle"
    monkeypatch.setattr(measuring.st, "session_state", {"p": {"lanes": "nonsense"}})
    assert measuring.measures_data(pytest.fail, None, "p")["state"] == "idle"
    monkeypatch.setattr(measuring.st, "session_state", {"p": {"lanes": {"ceiling": 5_500}}})
    jobs = iter([EndedJob("cancelled"), EndedJob("failed")])
    found = measuring.measures_data(lambda *_: next(jobs), None, "p")
    assert (found["state"], found["refusal"]) == ("failed", "This failed.")


def test_a_corrected_f0_is_shown_at_once_and_its_dependent_measures_once_computed(monkeypatch):
    monkeypatch.setattr(measuring, "MAX_WAIT_S", 0)
    monkeypatch.setattr(measuring.st, "session_state", {"p": {"lanes": {"ceiling": 5_500}}})
    shown = []
    monkeypatch.setattr(measuring.signals, "tracks_data", lambda *given: shown.append(given[2]) or {})
    frames = np.arange(3.0)
    tracks = Tracks(0.01, 100 + frames, frames, np.zeros((3, 4)), 10 + frames, -frames)
    done, running, refused = EndedJob("done"), EndedJob("running"), EndedJob("failed")
    done.result = tracks
    for job, more in ((running, True), (refused, False)):
        found = measuring.measures_data(lambda *_: done, None, "p", 0.0, {1: 50.0}, lambda *_, job=job: job)
        assert (found["state"], found["more"]) == ("done", more)
        np.testing.assert_array_equal(shown[-1].f0_hz, [100, 50, 102])
        np.testing.assert_array_equal(shown[-1].hnr_db, [10, np.nan, 12])
    measured = EndedJob("done")
    measured.result = replace(tracks, hnr_db=frames)
    assert not measuring.measures_data(lambda *_: done, None, "p", 0.0, {1: 50.0}, lambda *_: measured)["more"]
    assert shown[-1] is measured.result


# --- edits ---


def edit_message(number):
    return {"number": number, "recording": "r", "owner": "1 ann", "changed": [], "deleted": [str(number)]}


def test_two_simultaneous_runs_process_an_edit_once_and_in_order(monkeypatch):
    state = {"p": {"editing": {"edits": [edit_message(3), edit_message(5)]}}, "p answered": editing._Answered(2)}
    monkeypatch.setattr(editing.st, "session_state", state)
    made, together = [], threading.Barrier(2)

    def make(edit):
        time.sleep(0.05)
        made.append(edit.deleted[0])

    def run():
        together.wait()
        editing.hand_over("p", make)

    threads = [threading.Thread(target=run) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert made == ["3", "5"]


def test_an_edit_that_failed_is_sent_again(monkeypatch):
    monkeypatch.setattr(
        editing.st, "session_state", state := {"p": {"editing": {"edits": [edit_message(1), edit_message(2)]}}}
    )
    tried = []

    def make(edit):
        tried.append(edit.deleted[0])
        if tried == ["1", "2"]:
            raise OSError

    with pytest.raises(OSError):
        editing.hand_over("p", make)
    state["p"]["editing"]["edits"].append(edit_message(3))
    editing.hand_over("p", make)
    assert tried == ["1", "2", "2", "3"]


# --- in the browser ---


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    needs_browser(model=False)
    folder = tmp_path_factory.mktemp("player")
    with running_app(folder / "data", folder / "app.log", "tests/player_page.py") as address:
        yield address


@pytest.fixture(scope="module")
def browser(address):
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(browser):
    """One tab for all tests, since a new one compiles Streamlit's scripts again; and its errors."""
    with browser.new_context(viewport=VIEWPORT) as context:
        page, errors = context.new_page(), []
        page.set_default_timeout(LONGEST_WAIT_MS)
        page.add_init_script(SPY)
        page.on("pageerror", lambda error: errors.append(error))
        yield page, errors


#: Streamlit runs the app again for another query, as when somebody goes back.
TURN = "query => { history.pushState({}, '', query); dispatchEvent(new PopStateEvent('popstate')); }"


@pytest.fixture
def opened(tab, address):
    """A function that opens a page of players; the test fails on any script error."""
    page, errors = tab
    errors.clear()

    def turn_to(show):
        if page.url.startswith(address):
            page.evaluate(TURN, "?show=nothing")
            expect(page.get_by_text("no player", exact=True)).to_be_visible()
            expect(page.locator(".timeline")).to_have_count(0)
            at_rest(page)
            page.evaluate("window.sounds = []")
            page.evaluate(TURN, f"?show={show}")
        else:
            page.goto(f"{address}/?show={show}")
        page.locator(".timeline[aria-valuenow]").first.wait_for()
        at_rest(page)
        return page

    yield turn_to
    page.unroute_all()
    page.evaluate("sessionStorage.clear(); localStorage.clear()")
    page.set_viewport_size(VIEWPORT)
    assert not errors


def click_at(page, share, y=100, **how):
    """Click on the time line of the first player; return the share of its width that was actually hit."""
    line = page.locator(".timeline").first
    width = line.bounding_box()["width"]
    x = round(share * width)
    line.click(position={"x": x, "y": y}, **how)
    return x / width


def drag(page, locator, start, end, y=15):
    """Drag from one share of an element's width to another."""
    box = locator.bounding_box()
    page.mouse.move(box["x"] + start * box["width"], box["y"] + y)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + end) / 2 * box["width"], box["y"] + y)
    page.mouse.move(box["x"] + end * box["width"], box["y"] + y)
    page.mouse.up()


def clock(page):
    """Return the displayed time, once the last action is drawn."""
    page.evaluate("drawn()")
    return float(page.locator(".clock .now").first.inner_text())


def until(page, condition):
    """Wait until a condition in Python is true."""
    for _ in range(LONGEST_WAIT_MS // 20):
        if condition():
            return
        page.wait_for_timeout(20)
    pytest.fail("this did not come true")


def until_no_more_come(page, asked):
    """Wait until all data requested by scripts has arrived and drawing it requests no more."""
    until(page, lambda: asked)
    count = 0
    while count < len(asked):
        count = len(asked)
        for request in asked:
            if request.resource_type == "fetch":
                request.response().finished()
        page.evaluate("drawn()")


def minimap_view_width(page):
    return page.locator(".minimap .seen").bounding_box()["width"]


def position(page):
    return page.locator("audio").first.evaluate("audio => audio.currentTime")


@pytest.mark.browser
def test_the_playhead_moves_in_step_with_the_media_element(opened):
    page = opened("whole")
    page.get_by_role("button", name="Play (Space)").click()
    page.wait_for_function("media()[0].currentTime > 0.1")
    apart = page.evaluate(
        """() => new Promise((done) => {
          const apart = [];
          const look = () => {
            apart.push(playheadTime(roots()[0], 12) - media()[0].currentTime);
            apart.length < 40 ? requestAnimationFrame(look) : done(apart);
          };
          requestAnimationFrame(look);
        })"""
    )
    # A frame may be drawn before or after it is read here.
    assert np.median(np.abs(apart)) < 0.03
    page.get_by_role("button", name="Pause (Space)").click()
    assert page.evaluate("media()[0].paused")
    assert clock(page) == pytest.approx(position(page), abs=0.002)


def press_chart(page, key, share):
    chart = page.locator(f".st-key-{key} rect.nsewdrag").first
    box = chart.bounding_box()
    chart.click(position={"x": round(share * box["width"]), "y": box["height"] / 2})


@pytest.mark.browser
def test_a_click_on_a_chart_plays_that_moment_or_region_and_its_playhead_follows_the_sound(opened):
    page = opened("chart")
    press_chart(page, "maps", 0.75)
    page.locator(".st-key-maps .hear-why-playhead").wait_for()
    page.wait_for_function("sounds.length === 1 && sounds[0].ended")
    assert page.evaluate("sounds[0].length") == pytest.approx(1, abs=1e-6)
    assert clock(page) == pytest.approx(5, abs=0.001)
    expect(page.locator(".hear-why-playhead")).to_have_count(0)
    press_chart(page, "another", 0.2)
    press_chart(page, "maps", 0.5)
    page.wait_for_function("sounds.length === 2 && sounds[1].ended")
    assert page.evaluate("sounds[1].length") == pytest.approx(0.8, abs=0.02)
    assert clock(page) == pytest.approx(3.5, abs=0.02)


@pytest.mark.browser
def test_a_focus_region_plays_by_the_web_audio_clock_and_stops_at_its_end(opened):
    page = opened("whole")
    page.locator(".region").nth(1).click()
    page.wait_for_function("sounds.length && sounds[0].context.currentTime > sounds[0].when + 0.1")
    apart = page.evaluate(
        """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
          const { when, context } = sounds[0];
          done(playheadTime(roots()[0], 12) - 2.6 - (context.currentTime - (context.outputLatency || 0) - when));
        })))"""
    )
    assert abs(apart) < 0.05
    page.wait_for_function("sounds[0].ended")
    assert page.evaluate("sounds[0].length") == pytest.approx(0.6, abs=1e-6)
    assert page.evaluate("sounds[0].context.sampleRate") == 16_000
    expect(page.get_by_role("button", name="Play (Space)")).to_be_visible()
    assert clock(page) == pytest.approx(3.2, abs=0.001)
    assert page.evaluate("media().every((one) => one.paused)")


@pytest.mark.browser
def test_a_pause_within_a_stretch_fades_for_five_milliseconds(opened):
    page = opened("whole")
    page.locator(".region").first.click()
    page.wait_for_function("sounds.length && sounds[0].context.currentTime > sounds[0].when + 0.05")
    page.keyboard.press("Space")
    assert page.evaluate("sounds[0].stopIn") == pytest.approx(0.005, abs=1e-4)
    at = clock(page)
    assert 0.3 < at < 0.9
    page.keyboard.press("Space")
    page.wait_for_function("sounds.length === 2")
    assert page.evaluate("sounds[1].offset") == pytest.approx(at - 0.3, abs=0.02)


@pytest.mark.browser
@pytest.mark.parametrize("playing", [False, True])
def test_a_seek_lands_within_twenty_milliseconds(opened, playing):
    page = opened("whole")
    if playing:
        page.evaluate("media()[0].muted = true")
        page.get_by_role("button", name="Play (Space)").click()
        page.wait_for_function("media()[0].currentTime > 0.05")
    # The element's own target of the seek, recorded before it moves on.
    page.evaluate("media()[0].addEventListener('seeking', (event) => (window.sought = event.target.currentTime))")
    for share in (0.1, 0.73, 0.41):
        page.evaluate("window.sought = null")
        wished = 12 * click_at(page, share)
        page.wait_for_function("window.sought !== null")
        # One pixel is 11 ms here.
        assert abs(page.evaluate("window.sought") - wished) < (0.3 if playing else 0.02)
        if not playing:
            assert clock(page) == pytest.approx(wished, abs=0.02)


@pytest.mark.browser
def test_a_selection_has_exactly_the_samples_of_the_recording_apart_from_its_fades(opened):
    page = opened("whole")
    serve_modules(page)
    rendered = page.evaluate(
        """async () => {
          const wav = await import("/modules/wav.js");
          const url = media()[0].src;
          const header = await wav.readHeader(url);
          const stretch = await wav.fetchStretch(url, header, { start: 1.2345, end: 2.1 });
          const samples = wav.withFades(stretch, header.rate);
          const context = new OfflineAudioContext(1, samples.length, header.rate);
          wav.playSamples(context, samples, header.rate, 0, false);
          return [...(await context.startRendering()).getChannelData(0)];
        }"""
    )
    voice = recording(12.0, 16_000, 0)
    decoded, _ = soundfile.read(io.BytesIO(wav_bytes(voice.samples, 16_000)), dtype="float32")
    region, fade = Region(1.2345, 2.1), FocusSettings().fade_s
    expected = region_samples(replace(voice, samples=decoded), region, fade)
    inner = slice(round(fade * 16_000), -round(fade * 16_000))
    assert len(rendered) == len(expected)
    np.testing.assert_array_equal(np.float32(rendered)[inner], expected[inner])
    np.testing.assert_allclose(rendered, expected, atol=1e-7)
    assert abs(rendered[0]) < 1e-4
    assert abs(rendered[-1]) < 1e-4


@pytest.mark.browser
def test_a_german_player_has_german_labels_and_decimal_commas(opened):
    page = opened("tone&language=de")
    expect(page.get_by_role("button", name="Abspielen (Leertaste)")).to_be_visible()
    expect(page.get_by_role("combobox", name="Hinweise", exact=True)).to_have_value("LIME")
    line = page.get_by_role("slider", name="Position in voice 4.wav")
    line.press("End")
    expect(page.locator(".clock")).to_have_text("4,000 / 4,00 s")
    line.press("Shift+ArrowLeft")
    expect(page.locator(".said")).to_have_text("Ausgewählt: 3,920 bis 4,000 Sekunden, 0,080 Sekunden lang")
    line.press("e")
    expect(page.get_by_role("textbox", name="Von", exact=True)).to_have_value("3,920")
    page.keyboard.type("3,95")
    page.keyboard.press("Enter")
    expect(page.locator(".said")).to_contain_text("0,050 Sekunden lang")
    line.press("?")
    expect(page.get_by_role("dialog", name="Tastenkürzel")).to_contain_text("Leertaste")


@pytest.mark.browser
def test_emotions_are_shown_and_typed_in_german_but_stored_unchanged(opened):
    page = opened("editable&hint=1&language=de")
    page.get_by_role("button", name="Vorgeschlagener Abschnitt traurig, 3,50 bis 3,80 Sekunden").press("F2")
    name = page.get_by_role("textbox", name="Name des Abschnitts traurig")
    expect(name).to_have_value("traurig")
    name.fill("wütend")
    name.press("Enter")
    expect(page.get_by_role("button", name="Abschnitt wütend, 3,50 bis 3,80 Sekunden")).to_be_visible()
    expect(page.get_by_text("region 3.500 3.800 angry")).to_be_visible()


@pytest.mark.browser
def test_the_keys_do_what_the_list_of_keys_says(opened):
    page = opened("whole")
    line = page.locator(".timeline")
    page.keyboard.press("Space")
    page.evaluate("drawn()")
    assert page.evaluate("media()[0].paused")
    line.focus()
    page.keyboard.press("End")
    assert clock(page) == 12
    page.keyboard.press("ArrowLeft")
    assert clock(page) == pytest.approx(12 - 12 / 50, abs=0.001)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert clock(page) == pytest.approx(0.48, abs=0.001)
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".said")).to_contain_text("Selected 0.480 to 1.200 seconds")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(".said")).to_contain_text("Selected 0.480 to 0.960 seconds")
    page.keyboard.press("l")
    expect(page.locator(".loop")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    page.wait_for_function("sounds.length && sounds[0].context.currentTime > sounds[0].when + 0.7")
    assert 0.48 <= clock(page) <= 0.96
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    expect(page.locator(".selection")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("extend the selection")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    before = minimap_view_width(page)
    page.keyboard.press("+")
    until(page, lambda: minimap_view_width(page) == pytest.approx(before / 1.5, abs=3))
    page.keyboard.press("-")
    until(page, lambda: minimap_view_width(page) == pytest.approx(before, abs=3))


@pytest.mark.browser
def test_a_selection_at_half_speed_ends_within_thirty_milliseconds(opened):
    page = opened("whole")
    drag(page, page.locator(".timeline"), 0.25, 0.30, y=100)
    page.get_by_label("Speed").select_option("0.5")
    page.locator(".timeline").focus()
    late = []
    for _ in range(3):
        end = page.evaluate(
            """() => new Promise((done) => {
              const audio = media()[0], pause = audio.pause.bind(audio);
              audio.pause = () => { if (!audio.paused) done(audio.currentTime); pause(); };
              roots()[0].querySelector(".play").click();
            })"""
        )
        late.append((end - 12 * 0.30) / 0.5)
        expect(page.get_by_role("button", name="Play (Space)")).to_be_visible()
    assert page.evaluate("sounds.length") == 0
    assert page.evaluate("media()[0].preservesPitch")
    # Another program may slow down one of three runs.
    assert min(np.abs(late)) < 0.03


@pytest.mark.browser
def test_a_new_region_reaches_python_and_an_undo_in_python_removes_it(opened):
    page = opened("editable")
    lane, messages = page.locator(".regions"), page.get_by_test_id("stMarkdown")
    drag(page, lane, 0.5, 0.75)
    expect(messages).to_have_text(["region 0.500 1.000 first", "region 2.000 3.000 None"])
    drag(page, lane, 0.6, 0.7)
    expect(messages).to_have_text(["region 0.500 1.000 first", "region 2.400 3.400 None"])
    drag(page, lane, 0.8495, 0.95)
    expect(messages).to_have_text(["region 0.500 1.000 first", re.compile(r"region 2\.400 3\.80")])
    page.locator(".region").nth(1).dblclick()
    page.keyboard.type("second")
    page.keyboard.press("Enter")
    expect(messages.nth(1)).to_contain_text("second")
    page.keyboard.press("Delete")
    expect(messages).to_have_text(["region 0.500 1.000 first"])
    expect(page.locator(".region")).to_have_text(["first"])
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".region")).to_have_text(["first", "second"])
    page.locator(".timeline").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("r")
    expect(messages).to_have_text(["region 0.000 0.240 None", "region 0.500 1.000 first", re.compile(r"region 2\.4")])
    expect(page.locator(".region")).to_have_text(["∅", "first", "second"])


@pytest.mark.browser
def test_regions_that_were_edited_while_python_was_busy_are_all_kept(opened):
    page = opened("editable")
    box = page.locator(".regions").bounding_box()
    y = box["y"] + 15
    for place in range(4):
        page.mouse.move(box["x"] + (0.3 + 0.15 * place) * box["width"], y)
        page.mouse.down()
        # While one edit is drawn Python answers to the previous one.
        page.wait_for_timeout(150 * place)
        page.mouse.move(box["x"] + (0.4 + 0.15 * place) * box["width"], y)
        page.mouse.up()
    expect(page.get_by_test_id("stMarkdown")).to_have_count(5)
    expect(page.locator(".saved")).to_have_text("All saved")
    at_rest(page)
    expect(page.locator(".region")).to_have_count(5)


@pytest.mark.browser
def test_overlapping_regions_are_stacked_at_the_height_of_their_names(opened):
    page = opened("editable")
    lane, regions = page.locator(".regions"), page.locator(".region")
    expect(lane).to_have_css("height", "34px")
    drag(page, lane, 0.45, 0.2, y=5)  # begins beside the one from 0.5 to 1.0 s of 4 s, and goes over it
    expect(regions).to_have_count(2)
    expect(lane).to_have_css("height", "48px")
    upper, lower = sorted((region.bounding_box() for region in regions.all()), key=lambda box: box["y"])
    assert upper["y"] + upper["height"] <= lower["y"]
    assert min(upper["height"], lower["height"]) >= 20
    assert lower["y"] + lower["height"] <= lane.bounding_box()["y"] + lane.bounding_box()["height"]
    page.keyboard.press("Delete")
    expect(regions).to_have_count(1)
    expect(lane).to_have_css("height", "34px")


@pytest.mark.browser
def test_keys_label_split_and_merge_regions_and_each_is_one_edit(opened):
    page = opened("editable")
    messages = page.get_by_test_id("stMarkdown")
    page.locator(".region").click()
    page.keyboard.press("2")
    expect(messages).to_have_text(["region 0.500 1.000 sad"])
    for _ in range(3):
        page.keyboard.press("ArrowRight")  # by 0.08 s
    page.keyboard.press("s")
    expect(messages).to_have_text(["region 0.500 0.740 sad", "region 0.740 1.000 sad"])
    page.keyboard.press("k")
    page.keyboard.press("1")
    expect(messages).to_have_text(["region 0.500 0.740 sad", "region 0.740 1.000 angry"])
    page.keyboard.press("j")
    page.keyboard.press("m")
    expect(messages).to_have_text(["region 0.500 1.000 sad"])
    page.keyboard.press("m")
    expect(page.locator(".said")).to_have_text("Select a region that has another one after it")
    expect(page.get_by_text("came")).to_have_text("came 1 0, 2 0, 1 0, 1 1")


@pytest.mark.browser
def test_a_selection_is_labelled_by_one_key_and_becomes_a_region(opened):
    page = opened("editable")
    drag(page, page.locator(".timeline"), 0.5, 0.75)
    page.keyboard.press("1")
    first, second = "region 0.500 1.000 first", "region 2.000 3.000 angry"
    expect(page.get_by_test_id("stMarkdown")).to_have_text([first, second])
    drag(page, page.locator(".timeline"), 0.8, 0.9)
    page.keyboard.press("2")
    expect(page.get_by_test_id("stMarkdown")).to_have_text([first, second, "region 3.200 3.600 sad"])
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator(".said")).to_have_text("Select or draw a region first")


@pytest.mark.browser
def test_actions_on_the_whole_recording_are_sent_as_commands(opened):
    page = opened("editable")
    page.locator(".timeline").focus()
    for keys in ("Shift+Digit2", "Control+z", "Control+Shift+z", "Control+y", "PageDown"):
        page.keyboard.press(keys)
    came = "came label sad, undo None, redo None, redo None, next None"
    expect(page.get_by_text("came")).to_have_text(came)
    expect(page.locator(".saved")).to_have_text("All saved")  # until then keys wait for the next recording
    page.keyboard.press("PageUp")
    expect(page.get_by_text("came")).to_have_text(f"{came}, previous None")
    expect(page.locator(".saved")).to_have_text("All saved")


@pytest.mark.browser
def test_the_player_has_keyboard_focus_at_first_and_after_a_click_on_a_page_button(opened):
    page = opened("editable")
    expect(page.locator(".timeline")).to_be_focused()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("1")
    expect(page.get_by_test_id("stMarkdown")).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_test_id("stMarkdown")).to_have_count(1)
    expect(page.locator(".timeline")).to_be_focused()
    page.locator(".bar .loop").click()
    expect(page.locator(".timeline")).to_be_focused()
    # A button pressed by key keeps the focus, and other keys still work.
    page.locator(".bar .loop").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".loop")).to_be_focused()
    expect(page.locator(".loop")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("d")
    expect(page.get_by_text("came")).to_contain_text("status done")


@pytest.mark.browser
def test_intensity_and_confidence_take_a_key_and_a_digit_for_the_selected_region_or_the_whole(opened):
    page = opened("editable")
    for key in ("i", "4", "i", "i", "p", "0", "i", "Escape", "n"):
        page.keyboard.press(key)
    expect(page.locator(".saved")).to_have_text("All saved")  # until then keys wait for the next recording
    page.locator(".region").click()
    for key in ("p", "7"):
        page.keyboard.press(key)
    expect(page.get_by_text("came")).to_have_text(
        "came intensity 4, intensity None, confidence 1, status done, next None, confidence 0.7 one"
    )


@pytest.mark.browser
def test_seconds_are_written_in_the_language_of_the_visit(opened):
    page = opened("whole&language=ko")
    expect(page.locator(".clock .whole")).to_have_text(re.compile(r"^ ?/ \d+\.\d\d초$"))
    box = page.locator(".timeline").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    expect(page.locator(".readout")).to_have_text(re.compile(r"^\d\.\d{3}초"))


def test_bounds_are_typed_or_nudged_by_milliseconds_and_quick_nudges_are_one_edit(opened):
    page = opened("editable")
    messages = page.get_by_test_id("stMarkdown")
    page.locator(".region").click()
    for _ in range(3):
        page.keyboard.press(".")
    page.keyboard.press("Shift+Comma")
    page.keyboard.press("x")
    page.keyboard.press("Shift+Period")
    expect(messages).to_have_text(["region 0.510 0.993 first"])
    expect(page.get_by_text("came")).to_have_text(re.compile("came 1 0(, 1 0)?$"))
    page.keyboard.press("e")
    page.keyboard.type("0,75")
    page.keyboard.press("Enter")
    expect(messages).to_have_text(["region 0.750 0.993 first"])
    expect(page.locator(".region")).to_be_focused()
    page.keyboard.press("e")
    page.keyboard.type("0.6")
    page.keyboard.press("Tab")
    page.keyboard.type("0.9")
    page.keyboard.press("Enter")
    expect(messages).to_have_text(["region 0.600 0.900 first"])
    page.keyboard.press("e")
    page.keyboard.type("3.5")
    page.keyboard.press("Enter")
    expect(page.locator(".readout")).to_contain_text("from 0.000 to 4.000 s")
    page.keyboard.press("Escape")
    expect(page.locator(".bounds .start")).to_have_value("0.600")
    page.keyboard.press("z")
    expect(page.locator(".minimap .seen")).not_to_have_css("left", "0px")


@pytest.mark.browser
def test_bounds_in_a_recording_of_over_a_minute_are_shown_and_typed_in_minutes_too(opened):
    page = opened("whole&seconds=75")
    start, end = page.locator(".bounds .start"), page.locator(".bounds .end")
    drag(page, page.locator(".timeline"), 0.1, 0.2, y=40)
    page.keyboard.press("e")
    for typed in ("1:01,25", "Tab", "1:02.5", "Enter"):
        page.keyboard.press(typed) if typed in ("Tab", "Enter") else page.keyboard.type(typed)
    expect(start).to_have_value("1:01.250")
    expect(end).to_have_value("1:02.500")
    expect(page.locator(".readout")).to_contain_text("Selected 1:01.250 to 1:02.500: 1.250 s")
    page.keyboard.press("e")
    page.keyboard.type("9.5")
    page.keyboard.press("Enter")
    expect(start).to_have_value("0:09.500")
    page.keyboard.press("e")
    page.keyboard.type("1:75")
    page.keyboard.press("Enter")
    expect(page.locator(".readout")).to_contain_text("from 0:00.000 to 1:15.000, and")


@pytest.mark.browser
def test_only_one_thing_is_selected_at_a_time(opened):
    page = opened("editable")
    drag(page, page.locator(".timeline"), 0.7, 0.9)
    page.locator(".region").click()
    expect(page.locator(".bounds .start")).to_have_value("0.500")
    drag(page, page.locator(".regions"), 0.5, 0.6)
    expect(page.locator(".bounds .start")).to_have_value("2.000")
    expect(page.get_by_text("chosen")).to_contain_text("chosen new")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".selection")).to_be_hidden()
    page.locator(".region").click()
    expect(page.get_by_text("chosen")).to_have_text("chosen one")
    click_at(page, 0.9)
    expect(page.locator(".selection")).to_be_hidden()
    expect(page.get_by_text("chosen")).to_have_text("chosen None")


@pytest.mark.browser
def test_keys_of_one_character_can_be_switched_off(opened):
    page = opened("editable")
    page.keyboard.press("?")
    page.get_by_role("checkbox", name="Keys of one character").click()
    page.locator(".timeline").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("l")
    page.keyboard.press("End")
    assert clock(page) == 4
    expect(page.locator(".loop")).to_have_attribute("aria-pressed", "false")


@pytest.mark.browser
def test_a_suggestion_is_dashed_until_it_is_accepted_and_gone_when_it_is_dismissed(opened):
    page = opened("editable&hint=1")
    messages, hint = page.get_by_test_id("stMarkdown"), page.locator(".region").last
    expect(messages.last).to_have_text("region 3.500 3.800 sad suggested")
    assert hint.evaluate("element => getComputedStyle(element).borderStyle") == "dashed"
    hint.click()
    expect(page.get_by_text("chosen")).to_have_text("chosen hint")
    page.keyboard.press("a")
    expect(messages.last).to_have_text("region 3.500 3.800 sad")
    assert hint.evaluate("element => getComputedStyle(element).borderStyle") == "solid"
    page = opened("editable&hint=1")
    page.locator(".region").last.click()
    page.keyboard.press("Delete")
    expect(page.get_by_text("came")).to_have_text("came 0 1")
    expect(page.locator(".region")).to_have_count(1)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("answer", "came", "left"), [("Accept", "region 3.500 3.800 sad", 2), ("Dismiss", "region 0.500 1.000 first", 1)]
)
def test_a_selected_suggestion_has_buttons_that_accept_and_dismiss_it(opened, answer, came, left):
    page = opened("editable&hint=1")
    suggestion, messages = page.get_by_role("group", name="Suggestion"), page.get_by_test_id("stMarkdown")
    expect(suggestion).to_be_hidden()
    page.locator(".region").first.click()
    expect(suggestion).to_be_hidden()
    page.locator(".region").last.click()
    suggestion.get_by_role("button", name=answer).click()
    expect(suggestion).to_be_hidden()
    expect(page.locator(".region")).to_have_count(left)
    expect(messages.last).to_have_text(came)
    expect(page.locator(".region").last).to_be_focused()


@pytest.mark.browser
def test_keys_still_work_when_python_removes_regions_before_or_around_the_selected_one(opened):
    page = opened("editable&hint=1")
    lane, messages = page.locator(".regions"), page.get_by_test_id("stMarkdown")
    drag(page, lane, 0.89, 0.93)
    expect(page.locator(".region")).to_have_count(2)  # the overlapping suggestion is gone
    expect(page.locator(".region").last).to_be_focused()
    page.keyboard.press("1")
    expect(messages).to_have_text(["region 0.500 1.000 first", re.compile(r"region 3\.5\d+ 3\.7\d+ angry")])
    page.locator(".region").first.focus()
    page.keyboard.press("Delete")
    expect(page.locator(".region")).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.locator(".region")).to_have_count(0)
    expect(page.locator(".timeline")).to_be_focused()
    expect(messages).to_have_count(0)  # the app has received both, so that neither arrives in the next test


@pytest.mark.browser
def test_keys_still_work_when_the_selected_region_leaves_the_view_or_moves_in_the_row(opened):
    page = opened("editable")
    region, seen = page.locator(".region"), page.locator(".minimap .seen")
    region.click()
    page.keyboard.press("End")
    for _ in range(6):
        page.keyboard.press("+")
    expect(region).to_be_hidden()
    expect(page.locator(".timeline")).to_be_focused()
    page.keyboard.press("0")
    expect(region).to_be_visible()
    expect(seen).to_have_css("left", "0px")
    # Across the other one to its left: elements are in order of time.
    drag(page, page.locator(".regions"), 0.5, 0.6)
    expect(region).to_have_text(["first", "∅"])
    drag(page, page.locator(".regions"), 0.55, 0.1)
    expect(region).to_have_text(["∅", "first"])
    expect(region.first).to_be_focused()
    page.keyboard.press("2")
    expect(region).to_have_text(["sad", "first"])


@pytest.mark.browser
def test_edges_snap_to_nearby_targets_unless_alt_is_held(opened):
    page = opened("editable&snap=1")
    lane, messages = page.locator(".regions"), page.get_by_test_id("stMarkdown")
    drag(page, lane, 0.503, 0.747)
    expect(messages.last).to_have_text("region 2.000 3.000 None")
    drag(page, lane, 0.6, 0.85)
    expect(messages.last).to_have_text("region 3.000 4.000 None")
    page.keyboard.down("Alt")
    drag(page, lane, 0.9, 0.653)
    page.keyboard.up("Alt")
    expect(messages.last).to_have_text(re.compile(r"region 2\.01[0-9] 3\.01[0-9] None"))


@pytest.mark.browser
def test_with_control_a_region_of_time_and_frequency_is_drawn_on_the_spectrogram(opened):
    page = opened("editable")
    stage = page.locator(".stage")
    low = stage.evaluate("stage => stage.clientHeight")
    page.set_viewport_size({**VIEWPORT, "height": 1200})  # in a low window lanes are lower
    expect(stage).not_to_have_js_property("clientHeight", low)
    box = page.locator(".timeline").bounding_box()
    page.keyboard.down("Control")
    # The spectrogram: from 112 px down, 192 px high, its 64 bands of 3 px each.
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 112 + 192 - 3 * 40.5)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 112 + 192 - 3 * 20.5)
    page.mouse.up()
    page.keyboard.up("Control")
    low, high = band_centres_hz(SpectrogramSettings())[[20, 40]].round()
    expect(page.get_by_test_id("stMarkdown").last).to_have_text(f"region 2.000 3.000 None {low} {high}")


@pytest.mark.browser
def test_the_player_shows_saving_until_python_has_the_edit(opened):
    page = opened("editable&slow=1.5")
    expect(page.locator(".saved")).to_have_text("All saved")
    drag(page, page.locator(".regions"), 0.5, 0.75)
    expect(page.locator(".saved")).to_have_text("Saving …")
    expect(page.get_by_test_id("stMarkdown")).to_have_count(1)
    expect(page.locator(".saved")).to_have_text("All saved")
    expect(page.get_by_test_id("stMarkdown")).to_have_count(2)


@pytest.mark.browser
def test_players_and_other_sounds_of_a_page_never_play_together(opened):
    page = opened("two")
    playing = "media().map((one) => !one.paused)"
    page.wait_for_function("media().length === 3")
    play = page.get_by_role("button", name="Play (Space)")
    play.first.click()
    page.wait_for_function("!media()[0].paused")
    play.last.click()
    page.wait_for_function("!media()[1].paused")
    assert page.evaluate(playing) == [False, True, False]
    page.evaluate("media()[2].play()")
    page.wait_for_function("media()[1].paused")
    assert page.evaluate(playing) == [False, False, True]
    page.locator(".region").click()
    page.wait_for_function("sounds.length === 1")
    assert page.evaluate(playing) == [False, False, False]
    play.first.click()
    page.wait_for_function("!media()[0].paused")
    assert page.evaluate(playing) == [True, False, False]
    assert page.evaluate("sounds[0].ended || sounds[0].stop > 0")


@pytest.mark.browser
def test_the_layout_does_not_shift_when_the_evidence_arrives(opened):
    page = opened("awaiting")
    evidence = page.get_by_text("The evidence is there")
    evidence.scroll_into_view_if_needed()  # otherwise the click would scroll
    before = page.locator(".region").bounding_box()
    evidence.click()
    expect(page.locator(".overlay option[value=LIME]")).to_be_attached()
    assert page.locator(".region").bounding_box() == before


@pytest.mark.browser
def test_the_player_keeps_playing_during_reruns_and_stops_when_removed(opened):
    page = opened("going")
    page.evaluate("window.mine = media()[0]")
    page.get_by_role("button", name="Play (Space)").click()
    page.wait_for_function("mine.currentTime > 0.1")
    page.evaluate("mine.addEventListener('pause', () => (window.interrupted = true))")
    page.get_by_text("Words above").click()
    page.get_by_text("words above", exact=True).wait_for()
    assert page.evaluate("!mine.paused && mine.isConnected && !window.interrupted")
    page.get_by_text("Without player").click()
    page.wait_for_function("mine.paused && !mine.isConnected")


@pytest.mark.browser
def test_a_playing_stretch_stops_when_its_player_is_removed(opened):
    page = opened("going")
    page.locator(".region").click()
    page.wait_for_function("sounds.length === 1")
    page.get_by_text("Without player").click()
    page.wait_for_function("sounds[0].stop > 0")
    assert not page.evaluate("sounds[0].ended && sounds[0].context.currentTime > sounds[0].when + 5")


@pytest.mark.browser
def test_an_hour_opens_with_few_requests_and_zooms_with_few_more(opened, tab):
    requests = []

    def note(request):
        if "/media/" in request.url:
            requests.append(request)

    tab[0].on("request", note)
    page = opened("hour")
    until_no_more_come(page, requests)
    tiles = [one.response() for one in requests if "range" in one.headers and not one.url.endswith(".wav")]
    sound = [one for one in requests if one.url.endswith(".wav")]
    assert 2 <= len(tiles) <= 6
    assert len(sound) <= 6
    assert all(answer.status == 206 for answer in tiles)
    assert sum(int(answer.headers["content-length"]) for answer in tiles) < 1_000_000
    del requests[:]
    line = page.locator(".timeline")
    line.focus()
    for _ in range(12):
        page.keyboard.press("+")
    until_no_more_come(page, requests)
    page.remove_listener("request", note)
    assert len(requests) <= 24
    answers = [one.response() for one in requests]
    assert sum(int(answer.headers["content-length"]) for answer in answers if answer.ok) < 8_000_000


def point_until_read(page, x, y):
    """Point at the spectrogram until its tiles are loaded and level and relevance are shown."""

    def read():
        page.mouse.move(x, y + 1)
        page.mouse.move(x, y)
        return all(word in page.locator(".readout").inner_text() for word in ("dB", "relevance", "±"))

    until(page, read)


@pytest.mark.browser
def test_values_under_the_pointer_match_the_picture(opened):
    page = opened("tone")
    lane_top, lane_height = 24 + 64 + 24, 192
    y = lane_top + lane_height * (1 - (TONE_BAND + 0.5) / 64)
    line = page.locator(".timeline")
    box = line.bounding_box()
    hz = round(float(band_centres_hz(SpectrogramSettings())[TONE_BAND]))
    for share, level, relevance in ((0.75, 2.0, "0.5"), (0.25, -6.0, "0")):
        point_until_read(page, box["x"] + share * box["width"], box["y"] + y)
        expect(page.locator(".readout")).to_contain_text(f"{hz} Hz")
        text = page.locator(".readout").inner_text()
        shown = text.replace("−", "-").split(" · ")
        assert float(shown[0].split()[0]) == pytest.approx(4 * share, abs=0.005)
        assert float(shown[2].split()[0]) == pytest.approx(20 * math.log10(math.e) * level, abs=1)
        assert shown[3] == f"relevance {relevance} ± 0.2"
    page.mouse.move(0, 0)
    page.locator(".overlay select").select_option("")
    page.get_by_label("Spectrogram colours").select_option("grey")
    page.evaluate("drawn()")
    brightness = page.evaluate(
        """([y, shares]) => shares.map((share) => {
          const canvas = roots()[0].querySelector("canvas.lanes");
          const ratio = canvas.width / canvas.clientWidth;
          const x = 58 + share * (canvas.clientWidth - 58);
          return canvas.getContext("2d").getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data[0];
        })""",
        [y, [0.25, 0.75]],
    )
    # Loud is dark on light paper.
    assert brightness[0] > 200
    assert brightness[1] < 60


@pytest.mark.browser
def test_the_wheel_zooms_at_the_pointer_with_control_pans_with_shift_and_otherwise_scrolls(opened):
    page = opened("whole")
    box = page.locator(".timeline").bounding_box()
    seen = page.locator(".minimap .seen")
    whole = seen.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 100)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -315)
    page.keyboard.up("Control")
    until(page, lambda: minimap_view_width(page) == pytest.approx(whole["width"] / 2, rel=0.03))
    closer = seen.bounding_box()
    assert closer["x"] + closer["width"] / 2 == pytest.approx(whole["x"] + whole["width"] / 2, abs=4)
    page.keyboard.down("Shift")
    page.mouse.wheel(0, 200)
    page.keyboard.up("Shift")
    until(page, lambda: seen.bounding_box()["x"] > closer["x"] + 20)
    before = seen.bounding_box()
    page.mouse.wheel(0, 100)
    page.evaluate("drawn()")
    assert seen.bounding_box()["width"] == before["width"]


@pytest.mark.browser
def test_two_fingers_zoom_and_one_selects(opened):
    page = opened("whole")
    box = page.locator(".timeline").bounding_box()
    fingers = page.context.new_cdp_session(page)
    fingers.send("Emulation.setTouchEmulationEnabled", {"enabled": True})

    def touch(kind, *shares):
        points = [
            {"x": box["x"] + share * box["width"], "y": box["y"] + 100, "id": number}
            for number, share in enumerate(shares)
        ]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    whole = minimap_view_width(page)
    touch("touchStart", 0.4, 0.6)
    touch("touchMove", 0.35, 0.65)
    touch("touchMove", 0.3, 0.7)
    touch("touchEnd")
    until(page, lambda: minimap_view_width(page) == pytest.approx(whole / 2, rel=0.05))
    expect(page.locator(".selection")).to_be_hidden()
    touch("touchStart", 0.25)
    touch("touchMove", 0.3)
    touch("touchMove", 0.5)
    touch("touchEnd")
    expect(page.locator(".selection")).to_be_visible()
    fingers.detach()


@pytest.mark.browser
def test_a_tile_that_failed_to_load_is_fetched_again(opened, tab):
    failed = []

    def fail_once(route):
        if len(failed) < 3 and not route.request.url.endswith(".wav"):
            failed.append(route.request.url)
            route.fulfill(status=404, body="")
        else:
            route.continue_()

    tab[0].route("**/media/**", fail_once)
    page = opened("tone")
    until(page, lambda: len(failed) == 3)
    box = page.locator(".timeline").bounding_box()
    point_until_read(page, box["x"] + 0.5 * box["width"], box["y"] + 200)


@pytest.mark.browser
def test_the_player_fits_a_narrow_window_and_has_labels_for_screen_readers(opened):
    page = opened("whole")
    page.set_viewport_size({"width": 400, "height": 900})
    until(page, lambda: page.evaluate("document.documentElement.scrollWidth") <= 400)
    page.evaluate("drawn()")
    player = page.locator(".player").bounding_box()
    for part in ("canvas.lanes", ".bar", ".minimap", ".regions"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= player["x"] - 1
        assert box["x"] + box["width"] <= player["x"] + player["width"] + 1
    slider = page.get_by_role("slider", name="Position in voice 0.wav")
    slider.focus()
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "12.00")
    expect(slider).to_have_attribute("aria-valuetext", "12.00 of 12.00 seconds")
    expect(page.get_by_role("button", name="Region 2, 2.60 to 3.20 seconds")).to_be_visible()
    expect(page.get_by_role("status")).to_have_count(1)


def last_tone_hz(page) -> float:
    """Return the pitch of the last sound that started, from its samples."""
    return page.evaluate(
        """() => {
          const data = sounds.at(-1).samples;
          let crossings = 0;
          for (let place = 1; place < data.length; place++) crossings += data[place - 1] < 0 && data[place] >= 0;
          return crossings / sounds.at(-1).length;
        }"""
    )


@pytest.mark.browser
def test_switching_to_another_sound_continues_from_the_same_position(opened):
    page = opened("heard")
    page.get_by_role("radio", name="low tone").click()
    page.locator(".player .play").click()
    page.wait_for_function("sounds.length === 1 && sounds[0].context.currentTime > sounds[0].when + 0.3")
    assert last_tone_hz(page) == pytest.approx(200, abs=1)
    page.locator(".timeline").focus()
    page.keyboard.press("3")
    page.wait_for_function("sounds.length === 2")
    assert last_tone_hz(page) == pytest.approx(400, abs=1)
    first, second = page.evaluate("sounds.map(({ when, offset, stop }) => ({ when, offset, stop }))")
    # The new sound starts at the old one's position, so that nothing is heard twice; then the old one fades.
    assert second["offset"] == pytest.approx(second["when"] - first["when"], abs=0.03)
    assert first["stop"] - second["when"] < 0.05
    expect(page.get_by_role("radio", name="high tone")).to_have_attribute("aria-checked", "true")
    page.keyboard.press("Space")
    at = clock(page)
    page.keyboard.press("1")
    assert clock(page) == pytest.approx(at, abs=0.001), "it stands where it stood"
    page.keyboard.press("Space")
    page.wait_for_function("sounds.length === 3")
    assert page.evaluate("sounds[2].offset") == pytest.approx(at, abs=0.01)


@pytest.mark.browser
def test_switching_to_another_sound_works_at_another_speed_too(opened):
    page = opened("heard")
    page.locator(".speed select").select_option("0.5")
    page.locator(".player .play").click()
    page.wait_for_function("media()[0].currentTime > 0.2")
    at, before = page.evaluate("[media()[0].currentTime, media()[0].src]")
    page.get_by_role("radio", name="low tone").click()
    page.wait_for_function("(before) => media()[0].src !== before && !media()[0].paused", arg=before)
    page.wait_for_function("(at) => media()[0].currentTime > at + 0.05", arg=at)
    assert page.evaluate("media()[0].currentTime") < at + 2
    assert page.evaluate("media()[0].playbackRate") == 0.5


@pytest.mark.browser
def test_a_regenerated_sound_plays_at_once_from_the_same_position(opened):
    page = opened("heard")
    page.get_by_role("radio", name="high tone").click()
    page.locator(".player .play").click()
    page.wait_for_function("sounds.length === 1")
    page.get_by_text("Louder tones").click()
    page.wait_for_function("sounds.length === 2")
    assert max(page.evaluate("[...sounds[1].samples]")) == pytest.approx(0.2, abs=0.01)
    expect(page.get_by_role("radio", name="high tone")).to_have_attribute("aria-checked", "true")


@pytest.mark.browser
def test_arrow_keys_choose_a_sound_as_in_any_radio_group(opened):
    page = opened("heard")
    page.get_by_role("radio", name="the recording").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("radio", name="high tone")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="the recording")).to_have_attribute("aria-checked", "true")
    assert page.evaluate("roots()[0].querySelectorAll('[role=radio][tabindex=\"0\"]').length") == 1


@pytest.mark.browser
def test_a_row_of_the_table_plays_or_loops_its_region_and_offers_its_file(opened):
    page = opened("heard")
    page.get_by_role("button", name="Play region 2").click()
    page.wait_for_function("sounds.length === 1")
    assert page.evaluate("sounds[0].length") == pytest.approx(0.4, abs=1e-6)
    expect(page.locator(".table tr.playing td").nth(1)).to_have_text("2")
    page.wait_for_function("sounds[0].ended")
    assert clock(page) == pytest.approx(2.4, abs=0.001)
    expect(page.locator(".table tr.playing")).to_have_count(0)
    page.get_by_role("button", name="Loop region 2").click()
    page.wait_for_function("sounds.length === 2 && sounds[1].context.currentTime > sounds[1].when + 0.9")
    assert not page.evaluate("sounds[1].ended")
    assert 2.0 <= clock(page) <= 2.4
    page.get_by_role("button", name="Play region 1").click()
    page.wait_for_function("sounds.length === 3 && sounds[2].ended")
    with page.expect_download() as given:
        page.get_by_role("link", name="Download region 3 as WAV").click()
    assert given.value.suggested_filename == "voice 1-focus-03.wav"
    samples, rate = soundfile.read(given.value.path(), dtype="float32")
    assert (len(samples), rate) == (16_000, 16_000)


@pytest.mark.browser
def test_words_have_their_own_lane_if_there_are_any(opened):
    page = opened("heard")
    assert page.evaluate("roots()[0].querySelector('.stage').clientHeight") == 64 + 24 + 34 + 24 + 3 * 24
    page = opened("going")
    assert page.evaluate("roots()[0].querySelector('.stage').clientHeight") == 64 + 34 + 24 + 2 * 24


@pytest.mark.browser
def test_a_header_that_failed_to_load_is_fetched_again(opened, tab):
    headers = []

    def fail_header_once(route):
        if route.request.headers.get("range") != "bytes=0-4095":
            return route.continue_()
        headers.append(route.request.url)
        return route.abort() if len(headers) == 1 else route.continue_()

    tab[0].route("**/media/**", fail_header_once)
    page = opened("heard")
    until(page, lambda: len(headers) == 2)
    page.get_by_role("button", name="Play region 2").click()
    page.wait_for_function("sounds.length === 1 && sounds[0].ended")


@pytest.mark.browser
def test_a_click_on_a_word_selects_and_plays_it_and_one_between_words_only_seeks(opened):
    page = opened("heard")
    in_words = 24 + 64 + 24 + 12
    click_at(page, 3.5 / 6, y=in_words)
    page.wait_for_function("sounds.length === 1 && sounds[0].ended")
    assert page.evaluate("sounds[0].length") == pytest.approx(1.2, abs=1e-6)
    assert clock(page) == pytest.approx(4.2, abs=0.001)
    expect(page.locator(".selection")).to_be_visible()
    click_at(page, 2 / 6, y=in_words)
    expect(page.locator(".selection")).to_be_hidden()
    assert clock(page) == pytest.approx(2, abs=0.01)
    assert page.evaluate("sounds.length") == 1


@pytest.mark.browser
def test_the_transcript_shows_the_evidence_and_plays_a_word_and_with_shift_a_phrase(opened):
    page = opened("heard")
    spoken = page.locator(".transcript button")
    assert [text.split() for text in spoken.all_inner_texts()] == [
        ["for", "+1.00"],
        ["sure", "+2.00"],
        ["always", "−0.50"],
    ]
    expect(page.locator(".transcript .focus")).to_have_text("sure+2.00")
    shades = spoken.evaluate_all("all => all.map((one) => getComputedStyle(one).backgroundColor)")
    assert shades == ["rgba(227, 74, 51, 0.25)", "rgba(227, 74, 51, 0.5)", "rgba(66, 146, 198, 0.125)"]
    assert "angry +2.00, from +1.90 to +2.20" in spoken.nth(1).get_attribute("title")
    for index, modifiers, lasting in ((0, [], 0.5), (1, ["Shift"], 1.1)):
        spoken.nth(index).click(modifiers=modifiers)
        page.wait_for_function("(count) => sounds.length === count && sounds.at(-1).ended", arg=index + 1)
        assert page.evaluate("sounds.at(-1).length") == pytest.approx(lasting, abs=1e-6)
    spoken.nth(0).press("Space")
    page.wait_for_function("sounds.length === 3 && sounds.at(-1).ended")
    assert page.evaluate("sounds.at(-1).length") == pytest.approx(0.5, abs=1e-6)


NOTE_COPIES = "navigator.clipboard.writeText = async (text) => { window.copied = text; };"


@pytest.mark.browser
def test_lanes_are_toggled_by_key_for_the_visit_and_measures_of_a_selection_are_copied(opened):
    page = opened("whole&seconds=3")
    page.evaluate(NOTE_COPIES)
    shorter = page.locator(".stage").bounding_box()["height"]
    page.locator(".timeline").focus()
    page.keyboard.press("v")
    for name in ("Formants", "F0", "Log-mel spectrogram"):
        page.get_by_role("button", name=name, exact=True).press("Enter")
    expect(page.get_by_role("button", name="Spectrogram", exact=True)).to_have_attribute("aria-pressed", "true")
    assert page.locator(".stage").bounding_box()["height"] > shorter
    drag(page, page.locator(".timeline"), 0.25, 0.5, y=40)
    expect(page.locator(".selection")).to_be_visible()
    page.locator(".timeline").press("c")
    page.wait_for_function("window.copied")
    heading, row = (line.split("\t") for line in page.evaluate("copied").strip().split("\n"))
    copied = dict(zip(heading, row, strict=True))
    assert float(copied["duration_s"]) == pytest.approx(0.75, abs=0.02)
    shown = page.locator(".measures .words")
    expect(shown).to_contain_text(f"{float(copied['intensity_db']):.1f} dB")
    page.locator(".timeline").hover(position={"x": 300, "y": 200})
    expect(page.locator(".readout")).to_contain_text(re.compile(r"Hz · .*dB/Hz"))
    expect(page.locator(".cross")).to_be_visible()
    page.reload()
    page.locator(".timeline[aria-valuenow]").wait_for()
    page.get_by_role("button", name="Lanes (V)").click()
    for name, shown in (("F0", "true"), ("Log-mel spectrogram", "false"), ("Intensity", "false")):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", shown)
