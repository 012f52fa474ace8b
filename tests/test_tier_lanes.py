"""Tiers on the page: parents and children by hand, edits as steps, the list of tiers, and the player's rows."""

import hashlib
import io
import re
from contextlib import closing

import pytest
import soundfile
from playwright.sync_api import expect, sync_playwright
from streamlit.testing.v1 import AppTest

from pages.shared.annotation.marking import history_section
from pages.shared.annotation.marking.shown_marks import Shown
from pages.shared.annotation.marking.stored_edits import store_edit
from pages.shared.annotation.queue.opening import OPENED_AT
from pages.shared.annotation.tiers import find_section
from pages.shared.annotation.tiers.find_section import joined
from pages.shared.player import Edit, Mark
from ser_core.analysis import Point, Region
from ser_core.annotations.annotation import GOLD, Annotation, Tier
from ser_core.annotations.nesting import nested_edit
from ser_core.annotations.saved_sounds import save_sound
from ser_core.annotations.store.finding import MarkQuery
from ser_core.annotations.store.marks import Change
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.audio.cutting import wav_bytes
from ser_core.errors import AnnotationsRefused
from ser_core.work.progress import UNWATCHED
from tests.databases import file, fresh_project, fresh_store, mark, sha  # noqa: F401
from tests.running_app import launch, needs_browser, running_app

TIERS = (
    Tier("words", "words"),
    Tier("phones", "phones", parent="words"),
    Tier("tone", "tone", kind="points", parent="words"),
)


@pytest.fixture(name="database_url")
def file_url(tmp_path):
    return f"sqlite:///{tmp_path / 'annotations.sqlite'}"


def mark_of(tier, start_s, end_s, note, key=None) -> Annotation:
    region = Point(start_s, end_s) if start_s == end_s else Region(start_s, end_s)
    return Annotation(region, tier, "Ann", note=note, key=key or f"{tier} {note}")


#: Two adjacent words; the first contains three phones and a tone.
NEIN, JA = mark_of("words", 1, 2, "nein"), mark_of("words", 2, 3, "ja")
PHONES = (mark_of("phones", 1, 1.25, "n"), mark_of("phones", 1.25, 1.75, "aɪ"), mark_of("phones", 1.75, 2, "n2"))
TONE = mark_of("tone", 1.5, 1.5, "H*")
MARKS = (NEIN, JA, *PHONES, TONE)


def moved(mark, start_s, end_s):
    return mark_of(mark.tier, start_s, end_s, mark.note, mark.key)


def regions_after(**edit) -> dict[str, tuple[float, float]]:
    """Return where the marks of the tiers below are after an edit."""
    found = nested_edit(MARKS, TIERS, **edit)
    there = {mark.key: mark for mark in MARKS} | {mark.key: mark for mark in found.change}
    for gone in found.delete:
        there.pop(gone.key)
    return {m.note: (m.region.start_s, m.region.end_s) for m in there.values() if m.tier != "words"}


# --- by hand ---


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        # Moved: everything moves along.
        ({"change": [moved(NEIN, 1.5, 2.5)]}, {"n": (1.5, 1.75), "aɪ": (1.75, 2.25), "n2": (2.25, 2.5), "H*": (2, 2)}),
        # The end moves: the edge there follows, and marks beyond it are cut or deleted.
        (
            {"change": [moved(NEIN, 1, 2.25)]},
            {"n": (1, 1.25), "aɪ": (1.25, 1.75), "n2": (1.75, 2.25), "H*": (1.5, 1.5)},
        ),
        (
            {"change": [moved(NEIN, 1, 1.875)]},
            {"n": (1, 1.25), "aɪ": (1.25, 1.75), "n2": (1.75, 1.875), "H*": (1.5, 1.5)},
        ),
        ({"change": [moved(NEIN, 1, 1.625)]}, {"n": (1, 1.25), "aɪ": (1.25, 1.625), "H*": (1.5, 1.5)}),
        (
            {"change": [moved(NEIN, 1.125, 2)]},
            {"n": (1.125, 1.25), "aɪ": (1.25, 1.75), "n2": (1.75, 2), "H*": (1.5, 1.5)},
        ),
        # Deleted: everything goes. Split: a mark across the new edge stays with the half that has its centre.
        ({"delete": [NEIN]}, {}),
        (
            {"change": [moved(NEIN, 1, 1.375)], "add": [mark_of("words", 1.375, 2, "new")]},
            {"n": (1, 1.25), "aɪ": (1.375, 1.75), "n2": (1.75, 2), "H*": (1.5, 1.5)},
        ),
        # Merged with the next, which is deleted.
        (
            {"change": [moved(JA, 1, 3)], "delete": [NEIN]},
            {"n": (1, 1.25), "aɪ": (1.25, 1.75), "n2": (1.75, 2), "H*": (1.5, 1.5)},
        ),
        # A child is kept within its parent.
        (
            {"change": [moved(PHONES[2], 1.75, 2.125)]},
            {"n": (1, 1.25), "aɪ": (1.25, 1.75), "n2": (1.75, 2), "H*": (1.5, 1.5)},
        ),
    ],
)
def test_phones_follow_their_word(edit, expected):
    assert regions_after(**edit) == expected


def test_marks_deleted_only_with_their_parent_are_listed_separately():
    found = nested_edit(MARKS, TIERS, delete=[NEIN])
    assert (found.delete, found.gone) == ((NEIN, *PHONES, TONE), (*PHONES, TONE))
    others = [mark_of("phones", 1, 2, "x"), Annotation(Region(1, 2), "phones", "Ben", note="y", key="y")]
    assert nested_edit([NEIN, *others], TIERS, delete=[NEIN]).gone == (others[0],)


# --- edits of the player ---


def test_an_edit_in_a_tier_is_one_step_with_its_consequences(store, project):
    for tier in TIERS:
        store.tiers.add(project, tier)
    store.marks.edit(project, sha(0), "Ann", add=[NEIN, *PHONES, TONE, mark(emotion="sad", annotator="Ann")])
    shown = Shown(10.0)
    opened = store.recordings.open(project, sha(0), "Ann")
    shown.update(opened.annotations, "Ann", opened.tiers)
    lanes = {lane.key: lane for lane in shown.tier_lanes("Ann", {})}
    (id_,) = lanes["words"].marks
    assert [len(lane.marks) for lane in lanes.values()] == [1, 3, 1]
    moved = Mark(id_, Region(2.0, 3.0, label="no"))
    drawn = Mark("new 1", Region(4.0, 4.5, label="so"))
    store_edit(store, project, "Ann", Edit(sha(0), changed=(moved, drawn), tier="words"), shown)
    words = [one for one in store.marks.of(project, sha(0)) if one.tier != "emotion"]
    assert sorted((one.region.start_s, one.note) for one in words) == [
        (2.0, "n"),
        (2.0, "no"),
        (2.25, "aɪ"),
        (2.5, "H*"),
        (2.75, "n2"),
        (4.0, "so"),
    ]
    store_edit(store, project, "Ann", Edit(sha(0), deleted=(id_,), tier="words"), shown)
    assert len(shown.deleted_below) == 4
    store_edit(store, project, "Ann", Edit(sha(0), changed=(Mark("new 1", Region(4.0, 4.25)),), tier="words"), shown)
    store_edit(store, project, "Ann", Edit(sha(0), command="undo"), shown)
    store_edit(store, project, "Ann", Edit(sha(0), command="undo"), shown)
    assert {one.key: one.region for one in store.marks.of(project, sha(0))} == {
        key: one.region for key, one in shown.everything.items()
    }
    assert len(shown.everything) == 7


def test_words_are_shared_and_labels_are_ones_own_unless_others_are_shown(store, project):
    store.tiers.add(project, Tier("mood", "mood", content="labels", labels=("tense",)))
    for name, emotion in (("Ben", "sad"), ("Ann", "happy")):
        opinions = [mark(emotion=emotion), mark(tier="mood", note="tense"), mark(tier="second", emotion=emotion)]
        store.marks.edit(project, sha(0), name, add=[mark(tier="words", note="so"), *opinions])
    opened, shown = store.recordings.open(project, sha(0), "Ann"), Shown(10.0)
    shown.update(opened.annotations, "Ann", opened.tiers)
    theirs = next(one for one in opened.annotations if (one.tier, one.annotator) == ("mood", "Ben"))
    lanes = {lane.key: len(lane.marks) for lane in shown.tier_lanes("Ann", {})}
    assert lanes == {"mood": 1, "words": 2, "second": 1}
    assert shown.find(theirs.key, "Ann") is None
    shown_labels = [(row, *(region.label for region in regions)) for row, regions in shown.of_others("Ann")]
    assert shown_labels == [("Ben", "sad"), ("· mood", "tense"), ("· second", "sad")]
    # A reviewer sees everybody's emotions below the gold layer, which does not include labels.
    shown.layer = GOLD
    rows = [row for row, _ in shown.of_others("Ann")]
    assert rows == ["Ann", "· second", "Ben", "· mood", "· second"]
    shown.tiers += tuple(Tier(f"t{number}", "t") for number in range(10))
    assert [lane.key for lane in shown.tier_lanes("Cid", {})] == ["words"]


# --- page ---


TIERS_PAGE = """
import os

from pages.shared.annotation.open_project import OpenProject, show_refusals
from pages.shared.annotation.tiers import tiers_section
from ser_core.annotations.store.transactions import open_store

store = open_store(os.environ["TIERS_OF_TEST"])
show_refusals()
sha256 = store.recordings.page(1).items[0].file.sha256
tiers_section.show(OpenProject(store, 1, "Voices", "Ann"), sha256, store.recordings.open(1, sha256, "Ann").tiers)
store.close()
"""


def press(page, label) -> None:
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert not page.exception


def test_tiers_are_added_changed_ordered_deleted_and_restored_on_the_page(store, project, database_url, monkeypatch):
    monkeypatch.setenv("TIERS_OF_TEST", database_url)
    page = AppTest.from_string(TIERS_PAGE, default_timeout=60).run()
    page.selectbox[0].set_value("New tier").run()
    page.text_input[0].set_value("words")
    page.text_area[0].set_value("ja\nnein")
    press(page, "Add tier")
    assert [(tier.name, tier.labels) for tier in store.tiers.of(project)] == [
        ("emotion", ()),
        ("words", ("ja", "nein")),
    ]
    page.selectbox[0].set_value("words").run()
    page.text_input[0].set_value("Words")
    page.text_input[1].set_value("Anna")
    page.checkbox[0].uncheck()
    press(page, "Save")
    first, second = (store.recordings.open(project, sha(number), "Ann").tiers[1] for number in (0, 1))
    assert (first.participant, second.participant, page.text_input[1].value) == ("Anna", "", "Anna")
    press(page, "Up")
    assert [(tier.name, tier.shown) for tier in store.tiers.of(project)] == [("Words", False), ("emotion", True)]
    store.marks.edit(project, sha(0), "Ann", add=[mark(tier="words", note="ja")])
    page.toggle[0].set_value(True).run()
    assert "deletes 1 mark of Ann" in page.caption[0].value
    press(page, "Delete it")
    assert [tier.name for tier in store.tiers.of(project)] == ["emotion"]
    press(page, "Restore Words")
    assert len(store.marks.of(project, sha(0))) == 1
    page.selectbox[0].set_value("").run()
    press(page, "Add tier")
    assert "needs a name" in page.error[0].value
    # A tier of the same name does not block others.
    store.tiers.add(project, Tier("New tier", "New tier"))
    page.run()
    page.selectbox[0].select_index(-1).run()
    page.text_input[0].set_value("tones")
    press(page, "Add tier")
    assert store.tiers.of(project)[-1].name == "tones"


def test_labels_chosen_for_emotions_are_stored_with_the_tier_and_shown_again(store, project, database_url, monkeypatch):
    monkeypatch.setenv("TIERS_OF_TEST", database_url)
    tier = store.tiers.add(project, Tier("mood", "mood", content="labels", labels=("high", "Wut")))
    page = AppTest.from_string(TIERS_PAGE, default_timeout=60).run()

    def shown() -> dict[str, str]:
        table = page.data_editor[0].value
        return {row.Emotion: row.Label for row in table.itertuples() if row.Label.strip()}

    assert shown() == {"angry": "Wut"}
    emotions = list(page.data_editor[0].value["Emotion"])
    chosen = {"angry": None, "happy": "high", "surprise": "high"}  # None: the cell was cleared
    edited = {emotions.index(emotion): {"Label": label} for emotion, label in chosen.items()}
    page.session_state[f"mapping {tier}"] = {"edited_rows": edited, "added_rows": [], "deleted_rows": []}
    press(page, "Save")
    assert dict(store.tiers.of(project)[-1].mapping) == {"angry": "", "happy": "high", "surprise": "high"}
    assert shown() == {"happy": "high", "surprise": "high"}
    assert "teach none: high." in page.caption[0].value
    press(page, "Save")
    assert dict(store.tiers.of(project)[-1].mapping) == {"angry": "", "happy": "high", "surprise": "high"}


def test_the_history_shows_the_text_of_a_mark_without_an_emotion():
    one, other = (mark_of("words", 1, 2, note) for note in ("nein", "*doch*"))
    assert history_section._change_in_words(Change(one, other), "Ann") == r"changed 1.00 to 2.00 s: nein → \*doch\*"
    assert ": no emotion" in history_section._change_in_words(Change(None, mark(1, 2, note="a remark")), "Ann")


# --- finding ---


def test_marks_are_found_by_text_length_and_the_marks_they_overlap(store, project):
    said = [
        mark(1, 2, tier="words", note="Nein"),
        mark(1.9, 3, tier="words", note="nein"),
        mark(5, 6, tier="words", note="ja"),
    ]
    angry = [mark(1.2, 2.2, emotion="angry"), mark(2.5, 2.75, emotion="angry"), mark(5, 6, emotion="angry")]
    tones = [Annotation(Point(5.5, 5.5), "tone", note="Übergang"), Annotation(Point(6.5, 6.5), "tone", note="H*")]
    store.marks.edit(project, sha(0), "Ann", add=[*said, *angry, *tones, mark(1, 2, emotion="sad")])
    (gone,) = store.marks.edit(project, sha(1), "Ann", add=[mark(1, 2, emotion="angry"), said[0]]).marks[:1]
    store.marks.edit(project, sha(1), "Ann", delete=[gone])

    def starts(**query) -> list[float]:
        return [hit.mark.region.start_s for hit in store.marks.find(project, MarkQuery(**query))]

    assert starts(label="angry", least_s=0.5, over_tier="words", over_label="NEIN") == [1.2]
    assert starts(label="Angry", over_tier="words", over_label="nein") == [1.2, 2.5]
    assert starts(label="angry", over_tier="words") == [1.2, 2.5, 5]
    assert starts(over_tier="tone", over_label="übergang") == [5]
    assert starts(over_label="ja") == [5]
    assert starts(tier="tone") == starts(label=" ", tier="tone") == [5.5, 6.5]
    assert starts(label="happy") == []
    (hit,) = store.marks.find(project, MarkQuery("sad", over_tier="words", over_label="nein"))
    assert (hit.file.name, hit.over.note) == ("take 0.wav", "Nein")
    assert store.marks.find(store.projects.create("Others"), MarkQuery()) == ()
    with pytest.raises(AnnotationsRefused, match="A length of -1 s is not possible"):
        MarkQuery(least_s=-1)


def test_hits_of_any_sample_rates_are_joined_into_one_sound(store, project, tmp_path, monkeypatch, make_voice):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    for rate in (16_000, 8_000):
        sound = io.BytesIO()
        soundfile.write(sound, make_voice(2.0, rate, 1), rate, format="WAV")
        save_sound(sound.getvalue(), tmp_path)
        sha256 = hashlib.sha256(sound.getvalue()).hexdigest()
        store.recordings.add(project, [RecordingFile(sha256, f"{rate}.wav", 2.0, rate)])
        store.marks.edit(project, sha256, "Ann", add=[mark(0.5, 1.0, emotion="sad"), Annotation(Point(0, 0), "tone")])
    store.marks.edit(project, sha(0), "Ann", add=[mark(1, 2, emotion="sad")])  # without a sound
    recording, regions = joined(store.marks.find(project, MarkQuery("sad")), UNWATCHED)
    assert [(one.start_s, one.end_s, one.label) for one in regions] == [(0, 0.5, "sad"), (0.9, 1.4, "sad")]
    assert (recording.sample_rate_hz, recording.duration_s) == (16_000, pytest.approx(1.8))
    _, regions = joined(store.marks.find(project, MarkQuery(tier="tone")), UNWATCHED)
    assert [one.duration_s for one in regions] == pytest.approx([0.15, 0.15])
    assert joined(store.marks.find(project, MarkQuery("sad"))[-1:], UNWATCHED) == (None, ())
    monkeypatch.setattr(find_section, "MAX_TOTAL_S", 1.0)
    assert len(joined(store.marks.find(project, MarkQuery("sad")), UNWATCHED)[1]) == 1
    store.marks.edit(project, sha256, "Ann", add=[mark(1, 1.00001, emotion="brief")])
    assert joined(store.marks.find(project, MarkQuery("brief")), UNWATCHED) == (None, ())


FIND_PAGE = """
import os

import streamlit as st

from pages.shared.annotation.open_project import OpenProject
from pages.shared.annotation.tiers import find_section
from ser_core.annotations.store.transactions import open_store
from pages.shared import session

store = open_store(os.environ["TIERS_OF_TEST"])
session.begin_run()
st.segmented_control("View", ["Find", "Mark"], **session.widget("annotate_view", session.choice("annotate_view")))
find_section.show(OpenProject(store, 1, "Voices", "Ann"))
store.close()
"""


def test_the_tier_of_emotions_is_named_in_the_language_of_the_page(store, project, database_url, monkeypatch):
    monkeypatch.setenv("TIERS_OF_TEST", database_url)
    monkeypatch.setattr("pages.shared.language.language", lambda: "de")
    page = AppTest.from_string(FIND_PAGE, default_timeout=60).run()
    assert page.selectbox[1].options == ["Emotion"]


def test_the_page_finds_marks_over_words(store, project, database_url, monkeypatch):
    monkeypatch.setenv("TIERS_OF_TEST", database_url)
    store.marks.edit(project, sha(0), "Ann", add=[mark(1, 2, emotion="angry"), mark(1, 2, tier="words", note="nein")])
    page = AppTest.from_string(FIND_PAGE, default_timeout=60).run()
    page.selectbox[0].set_value("angry")
    page.text_input[0].set_value("nein")
    press(page, "Find")
    (row,) = page.dataframe[0].value.to_dict("records")
    assert (row["Mark"], row["Over"], row["Length (s)"]) == ("angry", "nein", 1.0)
    page.text_input[0].set_value("doch")
    press(page, "Find")
    assert "No mark matches" in page.info[0].value
    page.text_input[0].set_value("no\0text")
    press(page, "Find")
    assert "characters that are not text" in page.error[0].value


def test_a_found_mark_opens_its_recording_or_the_page_says_why_not(
    store, project, database_url, tmp_path, monkeypatch, recording
):
    monkeypatch.setenv("TIERS_OF_TEST", database_url)
    monkeypatch.setenv("SER_DATA", str(tmp_path / "data"))
    sound = wav_bytes(recording.samples, recording.sample_rate_hz)
    sha256 = hashlib.sha256(sound).hexdigest()
    store.recordings.add(project, [RecordingFile(sha256, "voice.wav", 2.5, 16_000)])
    store.marks.edit(project, sha256, "Ann", add=[mark(1, 2, emotion="angry")])
    monkeypatch.setattr("streamlit.dataframe", lambda *_, **__: {"selection": {"rows": [0]}})
    page = AppTest.from_string(FIND_PAGE, default_timeout=60).run()
    press(page, "Find")
    press(page, "Open at this mark")
    assert "no longer on this machine" in page.error[0].value
    assert page.session_state["choices"]["annotate_view"] != "Mark"
    save_sound(sound, tmp_path / "data")
    press(page, "Open at this mark")
    assert page.session_state["current"] == sha256
    assert page.session_state["choices"]["annotate_view"] == "Mark"
    (found,) = store.marks.of(project, sha256)
    opened, _, moved = page.session_state[OPENED_AT]
    assert (opened, moved) == (sha256, found)


# --- a real browser ---


@pytest.mark.browser
def test_tiers_are_drawn_played_named_moved_and_deleted_in_the_player(tmp_path):
    needs_browser(model=False)
    with (
        running_app(tmp_path / "data", tmp_path / "log", "tests/player_page.py") as address,
        sync_playwright() as playwright,
        closing(launch(playwright)) as browser,
    ):
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(60_000)
        errors = []
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(f"{address}/?show=tiers")
        row = {name: page.get_by_role("group", name=f"Tier {name}") for name in ("words", "phones", "intonation")}

        def said(*lines) -> None:
            for line in lines:
                expect(page.get_by_text(f"mark {line}", exact=True)).to_be_visible(timeout=60_000)

        def x(time_s) -> float:
            box = row["words"].bounding_box()
            return box["x"] + time_s / 4 * box["width"]

        def y(name) -> float:
            box = row[name].bounding_box()
            return box["y"] + box["height"] / 2

        said("words 0.50 1.50 nein", "intonation 1.00 1.00 H*")
        # It was opened for a word, which is selected and played.
        expect(row["words"].get_by_role("button", name="ja")).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".readout")).to_have_text(re.compile(r"Selected 2\.000 to 3\.000"))
        expect(page.locator(".bar .play")).to_have_attribute("aria-label", "Pause (Space)")
        # A click plays; then the keys apply to this tier.
        page.mouse.click(x(0.65), y("phones"))
        expect(page.locator(".bar .play")).to_have_attribute("aria-label", "Pause (Space)")
        page.keyboard.press("3")
        said("phones 0.50 0.80 j")
        # The end of a word moves, and its phones with it.
        page.mouse.move(x(1.5) - 2, y("words"))
        page.mouse.down()
        page.mouse.move(x(1.1), y("words"), steps=4)
        page.mouse.up()
        said("words 0.50 1.10 nein", "phones 0.80 1.10 aɪ")
        # The selection follows, so that keys that move an edge continue from there.
        end_s = page.locator(".bounds .end")
        assert float(end_s.input_value()) == pytest.approx(1.1, abs=0.01)
        expect(page.locator(".readout")).to_have_text(re.compile(r"Selected 0\.500 to 1\.1"))
        # A word is drawn and named in place; a click in a tier of points makes one.
        page.mouse.move(x(3.2), y("words"))
        page.mouse.down()
        page.mouse.move(x(3.6), y("words"), steps=4)
        page.mouse.up()
        page.keyboard.type("doch")
        page.keyboard.press("Enter")
        said("words 3.20 3.60 doch")
        page.mouse.click(x(2.4), y("intonation"))
        page.keyboard.type("L*")
        page.keyboard.press("Enter")
        said("intonation 2.40 2.40 L*")
        # A deleted word takes its phones along; undo brings all back.
        page.mouse.click(x(0.7), y("words"))
        page.keyboard.press("Delete")
        expect(page.get_by_text("mark phones")).to_have_count(0, timeout=60_000)
        expect(end_s).to_be_hidden()
        page.keyboard.press("Control+z")
        said("words 0.50 1.10 nein", "phones 0.80 1.10 aɪ", "phones 0.50 0.80 j")
        assert not errors
