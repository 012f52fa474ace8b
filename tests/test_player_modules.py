"""Computations of the player's JavaScript, worked by hand and in a real browser."""

import re
import struct
from dataclasses import asdict, replace
from graphlib import CycleError

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from pages.shared.language import components
from pages.shared.language.components import script_of
from ser_core.analysis import Region
from ser_core.annotations.exchange.measuring import MEASURES
from ser_core.audio.measures import measures_of
from tests.running_app import launch, needs_browser, serve_modules
from tests.test_measures import tracks


@pytest.fixture(scope="module")
def page():
    """An empty page that can import the modules, and fetch what `files` holds."""
    needs_browser(model=False)
    with sync_playwright() as playwright:
        page = launch(playwright).new_page()
        page.route("**/*", lambda route: route.fulfill(content_type="text/html", body=""))
        page.route("**/files/*", serve_file)
        serve_modules(page)
        page.goto("http://localhost/")
        yield page


#: Under /files/ by name; one whose name begins with "whole" is sent whole, as by servers without range requests.
FILES: dict[str, bytes] = {}
RANGES: list[tuple[str, int, int]] = []


def serve_file(route) -> None:
    name = route.request.url.rsplit("/", 1)[1]
    first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", route.request.headers["range"]).groups())
    RANGES.append((name, first, last))
    if name.startswith("whole"):
        route.fulfill(body=FILES[name])
    else:
        route.fulfill(status=206, body=FILES[name][first : last + 1])


def wav_file(samples, rate=8_000, channels=1, before=b"") -> bytes:
    """Return a WAV file of 16 bits, written here byte by byte; `before` are chunks before its own."""
    data = struct.pack(f"<{len(samples)}h", *samples)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    body = b"WAVE" + before + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


# --- the bounds of the selection ---


@pytest.mark.browser
def test_the_nearest_zero_crossing_is_where_a_straight_line_between_two_samples_crosses(page):
    found = page.evaluate(
        """async () => {
          const { nearestCrossing } = await import("/modules/input/bounds.js");
          const samples = [0.1, 0.3, -0.1, -0.2, 0, 0.2];
          return [0, 2.5, 5].map((at) => nearestCrossing(samples, at, 10, 1))
            .concat([[1, 2], [0, 0], []].map((some) => nearestCrossing(some, 0, 10, 1)));
        }"""
    )
    # From 0.3 to -0.1 three quarters of the way after the sample 1; and at the sample 4 itself.
    assert found == pytest.approx([1.175, 1.175, 1.4, None, 1.0, None])


@pytest.mark.browser
def test_times_are_typed_in_seconds_or_with_minutes_and_hours(page):
    found = page.evaluate(
        """async () => {
          const { secondsOf, typedTime } = await import("/language.js");
          const typed = ["12.5", " 0,25 ", ".5", "7", "90", "1:02", "1:02.345", "75:30", "1:02:03.4", "0:00:00,001"];
          const none = ["", ".", "1:", ":5", "1:60", "1:60:00", "1:2:3:4", "-1", "1e3", "1.5 s", "1.2.3", "a"];
          const shown = [[9.5, 59], [9.5, 60], [61.25, 75], [59.9996, 75], [62, 3600], [7384.5, 7385]];
          return [typed.map(secondsOf), none.map(secondsOf), shown.map(([time, longest]) => typedTime(time, longest))];
        }"""
    )
    seconds, none, shown = found
    assert seconds == pytest.approx([12.5, 0.25, 0.5, 7, 90, 62, 62.345, 4530, 3723.4, 0.001])
    assert all(np.isnan(none))
    assert shown == ["9.500", "0:09.500", "1:01.250", "1:00.000", "0:01:02.000", "2:03:04.500"]


# --- the focus ---


@pytest.mark.browser
def test_a_new_table_of_regions_keeps_focus_on_the_same_button_and_never_steals_it(page):
    focused = page.evaluate(
        """async () => {
          const { RegionTable } = await import("/modules/controls.js");
          document.body.innerHTML = "<input aria-label='elsewhere'><div></div>";
          const [input, element] = document.body.children;
          const table = new RegionTable(element, () => {});
          const show = (count) => {
            const rows = Array.from({ length: count }, (_, i) => ({ cells: [`${i}`], file: "a.wav", url: "#" }));
            table.set({ columns: [{ title: "No.", means: "" }], rows });
            return document.activeElement.ariaLabel;
          };
          show(1);
          element.querySelectorAll("button")[1].focus();
          const kept = show(2);
          input.focus();
          return [kept, show(1)];
        }"""
    )
    assert focused == ["Loop region 1", "elsewhere"]


@pytest.mark.browser
def test_tab_stays_inside_a_fullscreen_player_and_otherwise_moves_on(page):
    page.evaluate(
        """async () => {
          const { Focus } = await import("/modules/input/focus.js");
          document.body.innerHTML = `<section class="player"><button id="first">1</button><button hidden>2</button>
            <button disabled>3</button><button tabindex="-1">4</button><input id="last"></section>
            <button id="out">5</button>`;
          const root = document.querySelector(".player");
          globalThis.player = { root, find: (selector) => document.querySelector(selector), full: true, regions: {} };
          new Focus(player);
          document.getElementById("last").focus();
        }"""
    )
    reached = []
    for key in ("Tab", "Tab", "Shift+Tab", "Shift+Tab"):
        page.keyboard.press(key)
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["first", "last", "first", "last"]
    page.evaluate("player.full = false")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "out"


@pytest.mark.browser
@pytest.mark.parametrize(("opened_by", "focused"), [("pointer", "timeline"), ("key", "trigger")])
def test_a_panel_of_the_page_gives_the_focus_to_the_player_when_closed_if_the_pointer_opened_it(
    page, opened_by, focused
):
    page.evaluate(
        """async () => {
          const { Focus } = await import("/modules/input/focus.js");
          document.body.innerHTML = `<section class="player"><div id="timeline" tabindex="0">player</div></section>
            <button id="trigger">panel</button>`;
          const [root, trigger] = [document.querySelector(".player"), document.getElementById("trigger")];
          new Focus({ root, find: (selector) => document.querySelector(selector), regions: { editable: true },
            timeline: document.getElementById("timeline") });
          const panel = document.createElement("div");
          panel.setAttribute("data-testid", "stPopoverBody");
          trigger.setAttribute("data-testid", "stPopover");
          trigger.addEventListener("click", () => trigger.after(panel));
          document.addEventListener("keydown", ({ key }) => key === "Escape" && panel.remove());
        }"""
    )
    if opened_by == "pointer":
        page.locator("#trigger").click()
    else:
        page.keyboard.press("Tab")
        page.locator("#trigger").press("Enter")
    page.keyboard.press("Escape")
    page.wait_for_timeout(400)
    assert page.evaluate("document.activeElement.id") == focused


# --- regions that are edited while new ones arrive ---

#: Regions on an axis of 4 s and 400 pixels, the edited ones, and a region that Python sends.
REGIONS = """
const { TimeAxis } = await import("/modules/axes.js");
const { Regions } = await import("/modules/regions.js");
const [stage, element] = [document.createElement("div"), document.createElement("div")];
stage.append(element);
document.body.replaceChildren(stage);
element.setPointerCapture = () => {};
const edited = [], hooks = { choose() {}, preview() {}, edited: ({ changed }) => edited.push(changed[0]) };
const regions = new Regions(element, Object.assign(new TimeAxis(4), { width: 400 }), hooks);
const region = (id, start, end) => ({ id, start, end, low: null, high: null, label: id, suggested: false });
const arrive = (...list) => regions.set(list, { editable: true, labels: [], snaps: [] });
const bounds = (list) => list.map(({ start, end }) => [start, end]);
"""


@pytest.mark.browser
def test_a_mark_without_a_label_shows_no_number_because_numbers_are_keys_of_labels(page):
    marks, regions = page.evaluate(
        """async () => {
          const shown = (id, editable) => {
            regions.set([{ ...region(id, 0.5, 1), label: "" }], { editable, labels: [], snaps: [] });
            return element.querySelector(".region").textContent;
          };
          return [shown("mark", true), shown("region", false)];
        }""".replace("{", "{" + REGIONS, 1)
    )
    assert (marks, regions) == ("∅", "1")


@pytest.mark.browser
def test_an_edge_that_keys_just_moved_stays_moved_when_a_suggestion_arrives(page):
    ends, shown = page.evaluate(
        """async () => {
          const one = region("one", 0.5, 1);
          arrive(one);
          regions.choose(0);
          regions.moveEdges({ ...one, end: 1.25 });
          arrive(one, { ...region("hint", 3, 3.5), suggested: true });
          regions.settle();
          return [bounds(edited), bounds(regions.list)];
        }""".replace("{", "{" + REGIONS, 1)
    )
    assert (ends, shown) == ([[0.5, 1.25]], [[0.5, 1.25], [3, 3.5]])


@pytest.mark.browser
@pytest.mark.parametrize(
    ("grasped", "arriving", "edits", "shown"),
    [
        ("nothing", [("other", 0, 0.25), ("one", 1, 2)], [[2.5, 3]], [[0, 0.25], [1, 2], [2.5, 3]]),
        ("one", [("other", 0, 0.25), ("one", 1, 2)], [[1.5, 2.5]], [[0, 0.25], [1.5, 2.5]]),
        ("one", [("one", 1, 2.25)], [], [[1, 2.25]]),
    ],
    ids=["drawn", "moved", "moved, but changed meanwhile"],
)
def test_a_drag_continues_when_new_regions_arrive_unless_they_change_the_dragged_one(
    page, grasped, arriving, edits, shown
):
    found = page.evaluate(
        """async ([grasped, arriving]) => {
          arrive(region("one", 1, 2));
          const target = grasped === "one" ? regions.buttons[0] : element;
          const from = grasped === "one" ? 150 : 250;
          const { left } = element.getBoundingClientRect();
          const at = (x) => ({ button: 0, target, clientX: left + x });
          regions.begin(at(from));
          regions.move(at(from + 25));
          arrive(...arriving.map((one) => region(...one)));
          regions.move(at(from + 50));
          regions.end(0);
          return [bounds(edited), bounds(regions.list)];
        }""".replace("{", "{" + REGIONS, 1),
        [grasped, arriving],
    )
    assert found == [edits, shown]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("shown", "snaps", "drag", "edited"),
    [
        ([], [2, 2.03], (50, 201), [0.5, 2]),
        ([("one", 2.9, 3.9)], [3.03], (340, 348), [3, 4]),
        ([("one", 1, 2)], [], (199, 50), [1, 1.04]),
    ],
    ids=["to the nearer of two bounds", "no further than the end of the recording", "no end before the start"],
)
def test_dragging_a_region_snaps_and_clips_its_bounds(page, shown, snaps, drag, edited):
    found = page.evaluate(
        """async ([shown, snaps, [from, to]]) => {
          regions.set(shown.map((one) => region(...one)), { editable: true, labels: [], snaps });
          const { left } = element.getBoundingClientRect();
          const at = (x) => ({ button: 0, target: regions.buttons[0] ?? element, clientX: left + x });
          regions.begin(at(from));
          regions.move(at(to));
          regions.end(0);
          return bounds(edited);
        }""".replace("{", "{" + REGIONS, 1),
        [shown, snaps, drag],
    )
    assert found == [pytest.approx(edited)]


@pytest.mark.browser
def test_a_drag_cancelled_by_the_browser_changes_nothing(page):
    dragged, shown, edits = page.evaluate(
        """async () => {
          arrive(region("one", 1, 2));
          const { left } = element.getBoundingClientRect();
          regions.begin({ button: 0, target: regions.buttons[0], clientX: left + 150 });
          regions.move({ clientX: left + 200 });
          const dragged = bounds(regions.list);
          element.dispatchEvent(new Event("pointercancel"));
          regions.end(0);
          return [dragged, bounds(regions.list), edited.length];
        }""".replace("{", "{" + REGIONS, 1)
    )
    assert (dragged, shown, edits) == ([[1.5, 2.5]], [[1, 2]], 0)


@pytest.mark.browser
def test_edges_moved_by_keys_are_sent_half_a_second_after_the_last_move(page):
    waiting, sent = page.evaluate(
        """async () => {
          const { setTimeout, clearTimeout } = globalThis;
          const waiting = new Map();
          globalThis.setTimeout = (send, ms) => waiting.set(waiting.size, [send, ms]) && waiting.size - 1;
          globalThis.clearTimeout = (number) => waiting.set(number, null);
          try {
            const one = region("one", 1, 2);
            arrive(one);
            regions.choose(0);
            for (const end of [2.1, 2.2]) regions.moveEdges({ ...one, end });
          } finally {
            Object.assign(globalThis, { setTimeout, clearTimeout });
          }
          const left = [...waiting.values()].filter(Boolean);
          left.forEach(([send]) => send());
          return [left.map(([, ms]) => ms), bounds(edited)];
        }""".replace("{", "{" + REGIONS, 1)
    )
    assert (waiting, sent) == ([500], [[1, 2.2]])


@pytest.mark.browser
def test_giving_a_suggestion_its_own_label_accepts_it(page):
    found = page.evaluate(
        """async () => {
          arrive({ ...region("sad", 1, 2), suggested: true });
          regions.choose(0);
          for (const label of ["sad", "sad"]) regions.label(label);
          return edited.map(({ label, suggested }) => [label, suggested]);
        }""".replace("{", "{" + REGIONS, 1)
    )
    assert found == [["sad", False]]


@pytest.mark.browser
def test_a_region_merged_with_one_inside_it_keeps_its_end(page):
    merged, left = page.evaluate(
        """async () => {
          arrive(region("one", 1, 3), region("two", 1.5, 2));
          regions.choose(0);
          regions.merge();
          return [bounds(edited), bounds(regions.list)];
        }""".replace("{", "{" + REGIONS, 1)
    )
    assert merged == left == [[1, 3]]


@pytest.mark.browser
def test_regions_side_by_side_share_a_row_and_overlapping_ones_do_not(page):
    rows = page.evaluate(
        """async () => {
          return [0.3, 0.2999999, 0.29].map((start) => {
            arrive(region("one", 0, 0.3), region("two", start, 0.6));
            return regions.countRows();
          });
        }""".replace("{", "{" + REGIONS, 1)
    )
    assert rows == [1, 1, 2]


@pytest.mark.browser
def test_choosing_the_next_or_previous_region_wraps_around(page):
    chosen = page.evaluate(
        """async () => {
          arrive(region("one", 0, 1), region("two", 1, 2), region("three", 2, 3));
          return [1, -1, 1, 1, 1, -1].map((direction) => (regions.chooseNext(direction), regions.chosen));
        }""".replace("{", "{" + REGIONS, 1)
    )
    assert chosen == ["one", "three", "one", "two", "three", "two"]


@pytest.mark.browser
def test_keys_typed_into_the_name_of_a_region_stay_in_it(page):
    pressed, name = page.evaluate(
        """async () => {
          arrive(region("one", 0, 1));
          const pressed = [];
          stage.addEventListener("keydown", ({ key }) => pressed.push(key));
          regions.rename(0);
          const input = element.querySelector("input");
          const press = (key) => input.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
          press("?");
          input.value = "why?";
          press("Enter");
          return [pressed, edited.map(({ label }) => label)];
        }""".replace("{", "{" + REGIONS, 1)
    )
    assert (pressed, name) == ([], ["why?"])


# --- keys ---


@pytest.mark.browser
def test_keys_1_to_9_assign_nine_labels_of_a_tier(page):
    labelled = page.evaluate(
        """async () => {
          const { pressKey } = await import("/modules/input/keys.js");
          const labelled = [];
          const player = { data: { sounds: [] }, f0: {}, regions: { editable: true },
            commands: { answer: () => false, postpones: () => false },
            marks: { keyTarget: { settle() {} }, label: (index, whole) => labelled.push([index, whole]) } };
          const press = (key, shiftKey) => pressKey(player, { key, code: `Digit${key}`, shiftKey,
            target: document.body, preventDefault() {}, stopPropagation() {} });
          press("1", true);
          press("9", false);
          return labelled;
        }"""
    )
    assert labelled == [[0, True], [8, False]]


# --- the axes ---


@pytest.mark.browser
def test_times_and_axis_positions_convert_both_ways_and_are_clamped(page):
    actions = page.evaluate(
        """async () => {
          const { TimeAxis } = await import("/modules/axes.js");
          const axis = Object.assign(new TimeAxis(10), { width: 100 });
          const whole = [axis.x(2.5), axis.time(25), axis.time(-5), axis.time(200)];
          axis.show(2, 6);
          return [...whole, axis.x(3), axis.time(25), axis.x(axis.time(70)), axis.x(0)];
        }"""
    )
    assert actions == [25, 2.5, 0, 10, 25, 3, 70, -50]


@pytest.mark.browser
def test_a_view_is_clamped_to_the_recording_and_to_five_milliseconds(page):
    views = page.evaluate(
        """async () => {
          const { TimeAxis } = await import("/modules/axes.js");
          const axis = Object.assign(new TimeAxis(10), { width: 100 });
          const views = [];
          const note = (told) => views.push([axis.start, axis.end, ...(told === undefined ? [] : [told])]);
          note(axis.show(-3, 1));
          note(axis.show(9, 12));
          note(axis.show(4, 4));
          note(axis.show(-5, 50));
          note(axis.zoom(2, 2.5));
          note(axis.pan(10));
          note(axis.follow(7));
          note(axis.show(0, 4));
          note(axis.follow(5));
          axis.showAll();
          note(axis.zoom(1e9, 3));
          const short = new TimeAxis(0.003);
          short.zoom(4, 0.001);
          return [...views, [short.start, short.end]];
        }"""
    )
    expected = [
        [0, 4],
        [7, 10],
        [4, 4.005],
        [0, 10],
        [1.25, 6.25],  # 2.5 s stays a quarter of the way along
        [5, 10],
        [5, 10, False],
        [0, 4],
        [4.92, 8.92, True],  # a fiftieth of the view before it
        [2.9985, 3.0035],
        [0, 0.003],
    ]
    assert [pytest.approx(view) for view in views] == expected


@pytest.mark.browser
def test_ticks_are_at_least_seventy_pixels_apart_and_only_as_precise_as_needed(page):
    second, tenth, hour = page.evaluate(
        """async () => {
          const { TimeAxis } = await import("/modules/axes.js");
          const ticks = (duration, width, start, end) => {
            const axis = Object.assign(new TimeAxis(duration), { width });
            axis.show(start, end);
            return axis.ticks().map(({ label }) => label);
          };
          return [ticks(10, 700, 0, 10), ticks(10, 700, 0.25, 1.25), ticks(3600, 1000, 0, 3600)];
        }"""
    )
    assert second == [str(number) for number in range(11)]
    assert tenth == [f"{number / 10:.1f}" for number in range(3, 13)]
    assert hour == ["0", *(f"{5 * number}:00" for number in range(1, 12)), "1:00:00"]


@pytest.mark.browser
def test_a_time_is_written_with_minutes_and_hours_only_if_needed(page):
    shown = page.evaluate(
        """async () => {
          const { clock } = await import("/language.js");
          const times = [[0, 3], [59.5, 2], [60, 0], [61.5, 2], [119.999, 2], [119.994, 2], [3725, 0]];
          return times.map((one) => clock(...one));
        }"""
    )
    assert shown == ["0.000", "59.50", "1:00", "1:01.50", "2:00.00", "1:59.99", "1:02:05"]


@pytest.mark.browser
def test_frequencies_and_spectrogram_rows_convert_both_ways(page):
    rows, hz = page.evaluate(
        """async () => {
          const { rowOf, hzAt } = await import("/modules/axes.js");
          const centres = [100, 200, 400];
          const rows = [50, 100, 150, 300, 500].map((hz) => rowOf(hz, centres));
          return [rows, [0, 0.5, 1, 2, 3].map((row) => hzAt(row, centres))];
        }"""
    )
    assert rows == [0, 0.5, 1, 2, 3]
    assert hz == [100, 100, 150, 300, 400]


# --- WAV files ---


def headers_of(page, *names):
    return page.evaluate(
        """async (names) => {
          const { readHeader } = await import("/modules/wav.js");
          return Promise.all(names.map((name) => readHeader(`/files/${name}`).catch((error) => error.message)));
        }""",
        names,
    )


@pytest.mark.browser
def test_chunks_before_the_samples_are_skipped_and_other_formats_refused(page):
    odd_chunk = struct.pack("<4sI", b"LIST", 3) + b"abc\0"  # padded to an even length
    FILES["plain.wav"] = wav_file(range(7), 22_050)
    FILES["chunk.wav"] = wav_file(range(7), 22_050, before=odd_chunk)
    FILES["stereo.wav"] = wav_file(range(8), channels=2)
    FILES["text.wav"] = b"no sound at all, only words"
    FILES["empty.wav"] = wav_file([])[:-8]
    plain, chunk, stereo, text, empty = headers_of(
        page, "plain.wav", "chunk.wav", "stereo.wav", "text.wav", "empty.wav"
    )
    assert plain == {"rate": 22_050, "offset": 44, "samples": 7}
    assert chunk == {"rate": 22_050, "offset": 56, "samples": 7}
    assert "one channel" in stereo
    assert "not a WAV" in text
    assert "without samples" in empty


@pytest.mark.browser
@pytest.mark.parametrize("name", ["ranges.wav", "whole.wav"])
def test_only_the_samples_of_a_stretch_are_fetched(page, name):
    FILES[name] = wav_file(range(-40, 40))
    RANGES.clear()
    inner, cut = page.evaluate(
        """async (url) => {
          const { fetchStretch, readHeader } = await import("/modules/wav.js");
          const header = await readHeader(url);
          const stretch = async (start, end) => [...(await fetchStretch(url, header, { start, end }))];
          return [await stretch(0.001, 0.002), await stretch(0.0095, 0.5)];
        }""",
        f"/files/{name}",
    )
    assert inner == [(number - 40) / 32_768 for number in range(8, 16)]
    assert cut == [(number - 40) / 32_768 for number in range(76, 80)]
    assert RANGES[1:] == [(name, 44 + 2 * 8, 44 + 2 * 16 - 1), (name, 44 + 2 * 76, 44 + 2 * 80 - 1)]


@pytest.mark.browser
def test_a_stretch_fades_for_five_milliseconds_by_half_a_cosine_or_for_half_of_itself(page):
    faded, short, before = page.evaluate(
        """async () => {
          const { withFades } = await import("/modules/wav.js");
          const samples = new Float32Array(6).fill(1);
          return [[...withFades(samples, 400)], [...withFades(samples.slice(3), 400)], [...samples]];
        }"""
    )
    # Two samples: half a cosine at an eighth and at three eighths of its period.
    low, high = (1 - 0.5**0.5) / 2, (1 + 0.5**0.5) / 2
    assert faded == pytest.approx([low, high, 1, 1, high, low])
    assert short == pytest.approx([0.5, 1, 0.5])
    assert before == [1] * 6


# --- tiles ---

#: Ten columns of half a second from second 1 on, 0 to 9, and their extremes of four each; three and two columns a tile.
VALUES = """async (names) => {
  const { TimeAxis } = await import("/modules/axes.js");
  const { Values } = await import("/modules/tiles.js");
  const offset = () => 0;
  const levels = [
    { url: "/files/fine", type: "u1", step: 1, columns: 10, rows: 1, tile: 3, offset },
    { url: "/files/coarse", type: "u1", step: 4, columns: 3, rows: 2, tile: 2, offset },
  ];
  const values = new Values({ start: 1, column: 0.5, levels }, () => arrived());
  let arrived = () => {};
  const axisOf = (duration, width) => Object.assign(new TimeAxis(duration), { width });
  const settled = async (ask) => {
    let before;
    do {
      before = [...values.tiles.values()].filter(Boolean).length;
      ask();
      if ([...values.tiles.values()].includes(null)) await new Promise((done) => (arrived = done));
    } while ([...values.tiles.values()].filter(Boolean).length > before);
    return ask();
  };
  %s
}"""


def value_at(page, script):
    FILES["fine"] = bytes(range(10))
    FILES["coarse"] = bytes([0, 3, 4, 7, 8, 9])
    RANGES.clear()
    return page.evaluate(VALUES % script)


@pytest.mark.browser
def test_the_coarsest_level_with_a_column_per_pixel_is_used(page):
    levels, columns = value_at(
        page,
        """return [
          [0.1, 0.5, 1.9, 2, 9].map((seconds) => values.levelFor(seconds)),
          [values.columnAt(3, 0), values.columnAt(3, 1), values.timeAt(4, 0), values.timeAt(1, 1)],
        ];""",
    )
    assert levels == [0, 0, 0, 1, 1]
    assert columns == [4, 1, 3, 3]


@pytest.mark.browser
def test_only_visible_tiles_are_fetched_and_the_last_one_is_shorter(page):
    spans, value = value_at(
        page,
        """const between = () => [...values.between(3, 9, 0)];
        const tiles = await settled(between);
        return [
          tiles.map(({ tile, from, to }) => [from, to, tile.first, tile.columns, ...tile.data]),
          [values.valueAt(3.75, 0), values.valueAt(1.2, 0), values.valueAt(0.9, 0), values.valueAt(6.1, 0)],
        ];""",
    )
    # Second 3 is where column 4 begins, in the second tile.
    assert spans == [[2.5, 4, 3, 3, 3, 4, 5], [4, 5.5, 6, 3, 6, 7, 8], [5.5, 6, 9, 1, 9]]
    assert value == [5, None, None, None]
    assert sorted(RANGES) == [("fine", 3, 5), ("fine", 6, 8), ("fine", 9, 9)]


@pytest.mark.browser
def test_an_outline_has_the_extremes_of_each_pixel_or_each_column_at_its_middle(page):
    dense, sparse, coarse = value_at(
        page,
        """const outline = (axis) => settled(() => values.outline(axis));
        return [await outline(axisOf(6, 6)), await outline(axisOf(6, 60)), await outline(axisOf(6, 2))];""",
    )
    # A second for each pixel: two columns, the first from second 1 on.
    assert dense == {
        "x": [1.5, 2.5, 3.5, 4.5, 5.5], "low": [0, 2, 4, 6, 8], "high": [1, 3, 5, 7, 9], "sparse": False,
    }  # fmt: skip
    assert sparse["sparse"]
    assert sparse["x"] == pytest.approx([12.5 + 5 * column for column in range(10)])
    assert sparse["low"] == sparse["high"] == list(range(10))
    # Three seconds for each pixel: columns of two seconds, from 1 to 3, 3 to 5, 5 to 7; the middle of the last is 6.
    assert coarse["x"][:2] == [0.5, 1.5]
    assert (coarse["low"][:2], coarse["high"][:2]) == ([0, 4], [3, 7])


# --- the spectrogram of the sound ---

REFERENCE = 2e-5


def density(frame, size, rate):
    """Power density in 1/Hz re 20 micropascal of a frame of 16-bit samples, as Praat defines it."""
    at = (np.arange(len(frame)) + 0.5) / len(frame) - 0.5
    window = (np.exp(-48 * at**2) - np.exp(-12)) / (1 - np.exp(-12))
    spectrum = np.fft.rfft(np.asarray(frame) / 32_768 * window, size)
    return 2 * np.abs(spectrum) ** 2 / (rate * (window**2).sum() * REFERENCE**2)


@pytest.mark.browser
def test_two_frames_have_the_power_densities_that_numpy_finds(page):
    samples = np.random.default_rng(0).integers(-8_000, 8_000, 600).tolist()
    length, size, found = page.evaluate(
        """async (samples) => {
          const { Spectra } = await import("/modules/lanes/spectrogram.js");
          const spectra = new Spectra(8000, 0.005);
          const powers = [new Float64Array(spectra.bins), new Float64Array(spectra.bins)];
          spectra.add(samples, [0, 333], powers);
          return [spectra.length, spectra.size, powers.map((power) => [...power])];
        }""",
        samples,
    )
    assert (length, size) == (80, 256)
    for start, power in zip((0, 333), found, strict=True):
        # The bins at 0 Hz and half the rate have no mirror image; here they are shown as if they had.
        np.testing.assert_allclose(power, density(samples[start : start + 80], 256, 8_000), rtol=1e-6)


@pytest.mark.browser
def test_a_sine_of_full_scale_has_its_power_spread_over_the_band_of_the_window(page):
    sine = (32_767 * np.sin(2 * np.pi * 1_000 * np.arange(600) / 8_000)).round().tolist()
    power = page.evaluate(
        """async (samples) => {
          const { Spectra } = await import("/modules/lanes/spectrogram.js");
          const spectra = new Spectra(8000, 0.03);
          const powers = [new Float64Array(spectra.bins), new Float64Array(spectra.bins)];
          spectra.add(samples, [0, 100], powers);
          return powers[0].reduce((sum, value) => sum + value, 0) * (8000 / spectra.size);
        }""",
        sine,
    )
    # The mean square of a sine of amplitude 1 Pa is a half: 91 dB re 20 micropascal.
    assert 10 * np.log10(power) == pytest.approx(10 * np.log10(0.5 / REFERENCE**2), abs=0.05)


@pytest.mark.browser
def test_a_tile_has_the_levels_that_numpy_finds_and_waits_for_its_samples(page):
    rng = np.random.default_rng(1)
    time = np.arange(8_000) / 8_000
    samples = (8_000 * np.sin(2 * np.pi * 700 * time) + rng.normal(0, 300, 8_000)).round().astype("<i2")
    FILES["sound"] = samples.tobytes()
    columns, levels, level, beside = page.evaluate(
        """async () => {
          const { Values } = await import("/modules/tiles.js");
          const { FrequencyAxis } = await import("/modules/lanes/scales.js");
          const { Spectrogram } = await import("/modules/lanes/spectrogram.js");
          const finest = { url: "/files/sound", type: "i2", step: 1, columns: 8000, rows: 1, tile: 3000 };
          const levels = [{ ...finest, offset: () => 0 }];
          let arrived = () => {};
          const values = new Values({ start: 0, column: 1 / 8000, levels }, () => arrived());
          const spectrogram = new Spectrogram(values, 8000, () => arrived());
          spectrogram.set({ window: "wide", axis: new FrequencyAxis("linear", 4000), rows: 16 });
          const seen = () => spectrogram.between(0.5, 1, 1 / 256);
          while (seen().length < 1) await new Promise((done) => (arrived = done));
          const [tile] = seen();
          const under = [spectrogram.valueAt(0.75, 0.1875 + 1e-6), spectrogram.valueAt(0.2, 0.5)];
          return [tile.columns, [...tile.levels], ...under];
        }"""
    )
    # 128 columns of 1/256 s from second 0.5 on; a row of 250 Hz has eight bins of 31.25 Hz.
    found = np.array(levels).reshape(columns, 16)
    padded = np.concatenate([samples, np.zeros(80)])
    for column in (0, 31, 64, 127):
        start = int(np.floor((0.5 + (column + 0.5) / 256) * 8_000 - 40 + 0.5))
        bins = density(padded[start : start + 80], 256, 8_000)[:128]
        np.testing.assert_allclose(found[column], 10 * np.log10(bins.reshape(16, 8).mean(axis=1)), atol=1e-3)
    # 700 Hz is in the third row, and the fourth begins at 750 Hz.
    assert found[64].argmax() == 2
    assert level == pytest.approx(found[64][3])
    assert beside is None


@pytest.mark.browser
def test_heights_of_frequencies_on_every_axis_worked_by_hand(page):
    shares, back, ticks = page.evaluate(
        """async () => {
          const { FrequencyAxis } = await import("/modules/lanes/scales.js");
          const axes = ["linear", "mel", "bark"].map((scale) => new FrequencyAxis(scale, 8000));
          return [
            axes.map((axis) => [0, 1000, 8000].map((hz) => axis.share(hz))),
            axes.map((axis) => axis.hz(axis.share(440))),
            axes.map((axis) => axis.ticks(200)),
          ];
        }"""
    )
    mel = [2595 * np.log10(1 + hz / 700) for hz in (1_000, 8_000)]
    bark = [26.81 * hz / (1_960 + hz) for hz in (1_000, 8_000)]
    assert shares == [[0, 0.125, 1], pytest.approx([0, mel[0] / mel[1], 1]), pytest.approx([0, bark[0] / bark[1], 1])]
    assert back == pytest.approx([440] * 3)
    assert ticks[0] == [1_000 * number for number in range(9)]
    for axis, scale in zip(ticks[1:], (lambda hz: np.log10(1 + hz / 700), lambda hz: hz / (1_960 + hz)), strict=True):
        heights = [200 * scale(hz) / scale(8_000) for hz in axis]
        assert np.diff(heights).min() >= 22
        assert len(axis) >= 5


# --- the measures of a selection ---

MEASURED = """async ([rows, stretches]) => {
  const { asTable, inWords, measuresOf } = await import("/modules/lanes/measures.js");
  const data = Float32Array.from(rows.flat(), (value) => (value === null ? NaN : value));
  return stretches.map(([start, end]) => {
    const measures = measuresOf({ data, first: 0, hop: 0.1 }, { start, end });
    return [measures, inWords(measures), asTable(measures, { start, end })];
  });
}"""


@pytest.mark.browser
def test_measures_of_a_selection_equal_the_librarys(page):
    made = tracks()
    made = replace(made, measured_f0_hz=np.where(np.arange(10) == 3, 100.0, made.f0_hz))
    lines = (made.f0_hz, made.intensity_db, made.hnr_db, made.tilt_db_per_octave)
    measured = np.where(made.f0_is_corrected, made.measured_f0_hz, np.nan)
    rows = np.column_stack([*lines, made.formants_hz, measured])
    rows = [[None if np.isnan(value) else float(value) for value in row] for row in rows]
    stretches = [[0.1, 0.5], [0.6, 0.9], [0.2, 0.4], [0.97, 1.0], [0.23, 0.61]]
    found = page.evaluate(MEASURED, [rows, stretches])
    for (start, end), (measures, _, table) in zip(stretches, found, strict=True):
        expected = asdict(measures_of(made, Region(start, end)))
        assert measures == {
            name: value if value is None else pytest.approx(value, rel=1e-5) for name, value in expected.items()
        }
        heading, row = (line.split("\t") for line in table.rstrip("\n").split("\n"))
        assert heading == ["start_s", "end_s", *MEASURES]
        assert [float(row[0]), row[heading.index("f4_hz")]] == [start, ""]
    voiced, silent = found[0][1], found[1][1]
    for words in (
        "0.400 s",
        "294 Hz",
        "200–400 Hz",
        "12.0 st",
        "+60.0 st/s",
        "57.2 dB",
        "525, 1525, 2525, –",
        "−6.0 dB",
        "1 frame corrected",
    ):
        assert words in voiced
    assert "no voice" in silent
    assert "HNR" not in silent


# --- modules as one script ---


def test_circular_imports_of_modules_are_refused(tmp_path):
    (tmp_path / "one.js").write_text('import { other } from "./other.js";\nexport default other;\n')
    (tmp_path / "other.js").write_text('import one from "./one.js";\nexport const other = one;\n')
    with pytest.raises(CycleError):
        script_of(tmp_path, "one.js", {})


@pytest.mark.browser
def test_modules_in_folders_import_each_other_by_relative_paths(page, tmp_path):
    (tmp_path / "below" / "deep").mkdir(parents=True)
    (tmp_path / "main.js").write_text('import { two } from "./below/two.js";\nexport default () => two;\n')
    (tmp_path / "below" / "two.js").write_text(
        'import { one } from "../one.js";\nimport { zero } from "./deep/zero.js";\nexport const two = 2 * one + zero;\n'
    )
    (tmp_path / "below" / "deep" / "zero.js").write_text(
        'import { one } from "../../one.js";\nexport const zero = one - 1;\n'
    )
    (tmp_path / "one.js").write_text("export const one = 1;\n")
    run = """async (script) => {
      const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
      return (await import(url)).default({ parentElement: document.body, data: {} });
    }"""
    assert page.evaluate(run, script_of(tmp_path, "main.js", {})) == 2


@pytest.mark.browser
def test_a_bundle_runs_each_module_once_and_errors_name_file_and_line(page, tmp_path):
    folder = tmp_path / "player" / "js"
    folder.mkdir(parents=True)
    (folder / "main.js").write_text(
        'import { count } from "./a.js";\nimport { again, fail } from "./b.js";\n'
        "export default ({ data }) => (data.fails ? fail() : [count(), again()]);\n"
    )
    (folder / "a.js").write_text("let counted = 0;\nexport const count = () => ++counted;\n")
    (folder / "b.js").write_text(
        'import { count } from "./a.js";\n\nexport const again = () => count();\n'
        'export const fail = () => { throw new Error("`${1}` \\\\ </script>"); };\n'
    )
    counts, message, stack = page.evaluate(
        """async (script) => {
          const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
          const run = async (data) => (await import(url)).default({ parentElement: document.body, data });
          const counts = await run({});
          try {
            await run({ fails: true });
          } catch (error) {
            return [counts, error.message, error.stack];
          }
        }""",
        script_of(folder, "main.js", {}),
    )
    assert counts == [1, 2]
    assert message == "`${1}` \\ </script>"
    assert "player/b.js:4" in stack
    assert "player/main.js:3" in stack


@pytest.mark.browser
def test_older_data_that_arrive_after_newer_data_are_ignored(page, tmp_path):
    (tmp_path / "main.js").write_text("export default ({ data }) => data.since;\n")
    drawn = page.evaluate(
        """async (script) => {
          const { default: mount } = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
          const [one, other] = [document.createElement("div"), document.createElement("div")];
          const given = [[one, 2], [one, 1], [other, 1], [one, 2], [one, 3]];
          const mounted = given.map(([parentElement, since]) => mount({ parentElement, data: { since } }));
          return (await Promise.all(mounted)).map((since) => since ?? null);
        }""",
        script_of(tmp_path, "main.js", {}),
    )
    assert drawn == [2, None, 1, 2, 3]


def test_data_get_a_new_version_only_when_they_change(monkeypatch):
    monkeypatch.setattr(components.st, "session_state", {})
    clock = iter([10.0, 20.0, 30.0])
    monkeypatch.setattr(components.time, "time", lambda: next(clock))
    given = [("a", {"n": 1}), ("a", {"n": 1}), ("b", {"n": 1}), ("a", {"n": 2}), ("b", {"n": 1})]
    assert [components._since(key, data) for key, data in given] == [10, 10, 20, 30, 20]
