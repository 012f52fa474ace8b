"""The main way, from an upload to a mark, in Chromium, Firefox and WebKit; and how each imports our scripts."""

import pytest
import soundfile

from pages.shared.language.components import script_of
from tests import engines
from tests.running_app import running_app

pytestmark = pytest.mark.browser

SECONDS = 2.5
#: Some engines move the pointer by whole pixels only.
PIXEL_S = 0.01
AT = "(time, apart) => Math.abs(all('.clock .now', '')[0].textContent - time) < apart"
NOW = "() => Number(all('.clock .now', '')[0].textContent)"
PAUSED = "() => all('button.play', 'Play (Space)').length"
#: How much further than the clock the playhead moves in 0.8 s.
PLAYHEAD_LEAD_S = """async () => {
  const [line, head] = [".timeline", ".playhead"].map((one) => all(one, "")[0]);
  const now = async () => {
    const ms = await new Promise(requestAnimationFrame);
    const { left, width } = line.getBoundingClientRect();
    return [ms / 1000, ((head.getBoundingClientRect().left + 1 - left) / width) * line.ariaValueMax];
  };
  const [began, from] = await now();
  await new Promise((done) => setTimeout(done, 800));
  const [ended, to] = await now();
  return String(to - from - (ended - began));
}"""
#: True once the sound begins again.
LOOPS = """async () => {
  const now = () => Number(all(".clock .now", "")[0].textContent);
  for (let before = 0, tries = 0; tries < 100; tries++) {
    if (now() < before - 0.2) return true;
    before = now();
    await new Promise((done) => setTimeout(done, 30));
  }
}"""
#: Whether the lane of marks and its number of regions have stayed the same for two seconds.
STANDS_STILL = """() => {
  const seen = JSON.stringify([all(".regions", "")[0].getBoundingClientRect(), all(".region", "").length]);
  if (window.stood?.seen !== seen) window.stood = { seen, since: Date.now() };
  return Date.now() - window.stood.since > 2000;
}"""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    with running_app(folder / "data", folder / "app.log", coarse_maps=True) as address:
        yield address


def turn_to(browser, name):
    browser.click(".st-key-pages a", name)
    browser.wait("name => all('h1', name).length", name)


# Seeds of voices in which Grad-CAM finds a focus; different ones, as all engines share a project.
@pytest.mark.parametrize(("engine", "seed"), list(zip(engines.ENGINES, (0, 3, 4), strict=True)))
def test_main_way(engine, seed, request, tmp_path, make_voice):
    engines.needs_engine(engine)
    address = request.getfixturevalue("app")
    voice = tmp_path / f"{engine}.flac"
    soundfile.write(voice, make_voice(SECONDS, 16_000, seed), 16_000)
    try:
        go_the_main_way(engine, address, voice)
    except engines.Unanswered:  # a fault of the driver
        go_the_main_way(engine, address, voice)


def go_the_main_way(engine, address, voice):
    with engines.ENGINES[engine]() as browser:
        assert mounts_of_a_script_imported_twice(browser, voice.parent) == [1, 2]
        browser.open(f"{address}/?model=yamnet&explainer=grad_cam")
        browser.wait("() => all('button', 'I understand').length")
        browser.at_rest()
        browser.click("button", "I understand")
        browser.wait("() => !all('p', 'Before you begin').length && all('[role=tab]', '').length === 3")
        use(browser, voice)


def mounts_of_a_script_imported_twice(browser, folder):
    """Import a script again before it has run; return what its counter is when each import mounts it."""
    (folder / "main.js").write_text("let mounted = 0;\nexport default () => ++mounted;\n")
    mount_twice = """async (script) => {
      const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
      const component = () => ({ parentElement: document.createElement("div"), data: { since: 0 } });
      return Promise.all([1, 2].map(async () => (await import(url)).default(component())));
    }"""
    browser.open("about:blank")
    return sorted(browser.run(mount_twice, script_of(folder, "main.js", {})))


def use(browser, voice):
    record(browser)
    browser.click("[role=tab]", "Upload")
    browser.give_file(voice)
    browser.wait("name => all('h2', name).length && all('.verdict .word', '').length", voice.name)
    turn_to(browser, "Explain")
    for name in ("Grad-CAM", "LIME", "Occlusion"):
        browser.wait("name => all('.js-plotly-plot .annotation-text', name).length", name)
    turn_to(browser, "Listen")
    listen(browser)
    turn_to(browser, "Annotate")
    mark(browser, voice.name)


def record(browser):
    """Record a fake microphone."""
    browser.click("[data-testid=stAudioInput] button", "Record")
    two_seconds_or_more = "/00:(0[2-9]|[1-5][0-9])/"  # a busy machine may not show every second
    browser.wait(f"() => all('[data-testid=stAudioInput]', '').some(e => {two_seconds_or_more}.test(e.textContent))")
    browser.click("[data-testid=stAudioInput] button", "Stop recording")
    browser.wait("() => all('h2', 'Recording 1.wav').length && all('.verdict .word', '').length")
    browser.at_rest()


def listen(browser):
    """Play, seek, select by dragging, loop, and play the focus alone."""
    browser.wait("() => all('.sounds [role=radio]', 'focus alone').length")
    browser.at_rest()
    browser.click("button.play")
    browser.wait(f"() => ({NOW})() > 0.05")
    assert abs(float(browser.run(PLAYHEAD_LEAD_S))) < 0.15
    browser.click("button.play")
    browser.wait(PAUSED)
    sought = browser.click(".timeline", share=0.6, y=100)
    browser.wait(AT, SECONDS * sought, PIXEL_S)
    start, end = browser.drag(".timeline", 0.3, 0.5, y=100)
    browser.wait(AT, SECONDS * start, PIXEL_S)
    browser.press(" ")
    browser.wait(AT, SECONDS * end, PIXEL_S)
    browser.wait(PAUSED)
    browser.press("l")
    browser.press(" ")
    browser.wait(LOOPS)
    browser.press(" ")
    browser.wait(PAUSED)
    browser.press("Escape")
    browser.click(".sounds [role=radio]", "focus alone")
    browser.click("button.play")
    browser.wait(f"async () => ({NOW})() > 0.1")
    browser.click("button.play")


def mark(browser, recording):
    """Draw a mark, label it, undo the label, and find the mark after a reload."""
    enter_annotator(browser, "Ann")
    if browser.run("() => all('p', 'No project yet').length"):
        browser.click("input[aria-label='New project name']")
        browser.type("Voices")
        browser.click("button", "Create project")
    browser.click("[data-testid=stButtonGroup] button", "Mark")
    browser.click("button", "Add it and mark it")
    browser.wait("() => all('.saved', 'All saved').length")
    browser.at_rest()
    browser.wait(STANDS_STILL)  # the model's evidence arrives later and moves the lanes
    browser.drag(".regions", 0.2, 0.4, y=17)
    browser.press("1")
    browser.wait("() => all('.region', 'angry').length && all('.saved', 'All saved').length")
    browser.press("Control", "z")
    browser.wait("() => all('.region', '').length && !all('.region', 'angry').length")
    browser.at_rest()
    assert not browser.errors
    browser.open(browser.run("() => location.href"))
    browser.wait("() => all('button', 'Ann · Voices').length")
    browser.wait("name => all('h2', name).length && all('.region', '').length", recording)
    assert not [error for error in browser.errors if "404" in error]


def enter_annotator(browser, name):
    """Enter the name of the annotator."""
    browser.wait("() => all('input[aria-label=Annotator]', '').length")
    browser.at_rest()
    browser.click("input[aria-label=Annotator]")
    browser.type(name)
    browser.press("Enter")
    browser.at_rest()
