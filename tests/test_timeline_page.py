"""A recording of more than ten minutes on the first page: its timeline, and stretches opened from there."""

import gc
import threading
import weakref
from datetime import datetime, time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import cached
from pages.shared.cached import long_recordings
from pages.shared.charts.timeline import seconds_of_box, timeline_chart
from pages.shared.language.names import in_markdown
from pages.shared.recording import open_recordings, timeline_section, timeline_words_section
from pages.shared.session import CHOICES
from ser_core.audio.reading import read_recording
from ser_core.model.shipped_models import model_names
from ser_core.output.timeline_folder import timeline_csv
from ser_core.settings import AudioLimits
from ser_core.timeline.curves import smoothed, strongest_stretches
from ser_core.words import transcription
from tests.test_audio import encoded
from tests.test_pages import Whisper, all_jobs, finished, opened, pressed, shown_by_player, wav, words
from tests.test_timeline import timeline_of
from tests.test_voice_page import models  # noqa: F401 (fixture)

pytestmark = [
    pytest.mark.skipif(not model_names(), reason="no model is shipped in models/"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def long_voice(make_voice, monkeypatch):
    """8 s of a voice, where at most 3 s are analysed at once."""
    shortest_s, _, *others = AudioLimits.__init__.__defaults__
    monkeypatch.setattr(AudioLimits.__init__, "__defaults__", (shortest_s, 3.0, *others))
    return make_voice(8.0, 16_000)


def given(samples, name="interview.wav", **choices) -> AppTest:
    """Upload a recording on the first page and wait for what it shows."""
    app = opened("app.py")
    app.session_state["choices"] = CHOICES | choices
    app.file_uploader[0].upload(name, wav(samples), "audio/wav").run()
    app = finished(app)
    # Nothing can be opened without its working copy, which has its own worker.
    for (owner, _), job in cached.read_ahead_jobs()._jobs.items():
        if owner == app.session_state["owner"]:
            assert job.ended.wait(60)
    return app.run()


def button(app: AppTest, label: str):
    return next(one for one in app.button if label in one.label)


def stretch_slider(app: AppTest):
    return next(one for one in app.slider if one.key == "widget_timeline_stretch")


def chart(app: AppTest) -> str:
    return app.get("plotly_chart")[0].proto.spec


def test_a_recording_that_is_too_long_is_shown_over_time_instead_of_refused(long_voice):
    app = given(long_voice)
    assert not app.exception
    assert not app.error
    assert "0:08 · 16 kHz · model" in words(app)
    assert all(emotion in chart(app) for emotion in ("angry", "happy", "neutral", "sad"))
    assert [one.label for one in app.get("download_button")] == ["Timeline (CSV)"]
    assert app.session_state["long"].name == "interview.wav"
    assert "held" not in app.session_state or not app.session_state["held"]


def test_the_bytes_of_a_long_recording_are_shared_by_all_who_read_them():
    held = open_recordings.HeldLong("a.wav", bytes(1_000_000), "0" * 64)
    first, second = held.file(), held.file()
    first.read(10)
    assert second.tell() == 0
    assert first.getvalue() is second.getvalue() is held.source


def test_the_uploader_says_how_long_recordings_are_handled(long_voice):
    uploader = opened("app.py").file_uploader[0]
    assert "at most two hours" in uploader.label
    assert "Recordings over ten minutes are shown as a timeline" in uploader.help


def test_the_stretch_of_the_slider_is_opened_in_the_player_with_its_own_samples(long_voice):
    app = given(long_voice)
    stretch_slider(app).set_value((time(0, 0, 2), time(0, 0, 4))).run()
    button(app, "Open 0:02 to 0:04 in the player").click().run()
    assert not app.exception
    assert app.title[0].value == "Listen"
    (held,) = app.session_state["held"].values()
    assert held.recording.name == "interview 0:02–0:04.wav"
    whole = read_recording(wav(long_voice), limits=AudioLimits(longest_s=60.0))
    np.testing.assert_array_equal(held.recording.samples, whole.samples[32_000:64_000])


def test_the_timeline_stays_available_until_it_is_closed(long_voice):
    app = given(long_voice)
    stretch_slider(app).set_value((time(0, 0, 2), time(0, 0, 4))).run()
    button(app, "in the player").click().run()
    assert "Timeline: interview" in str([link.proto.label for link in app.get("page_link")])
    jobs = len(all_jobs(app))
    app.switch_page("app.py").run()
    assert [value.hour * 3600 + value.second for value in stretch_slider(app).value] == [2, 4]
    assert sum(job.key[0] == "timeline" for job in all_jobs(app)) == 1 <= jobs
    button(app, "Close").click().run()
    assert not app.exception
    assert in_markdown("interview 0:02–0:04.wav") in [header.value for header in app.header]
    assert len(app.header) == 1
    assert "Timeline" not in str([link.proto.label for link in app.get("page_link")])


def test_closing_a_long_recording_cancels_its_jobs(long_voice):
    app = opened("app.py")
    # Another visit's work comes first.
    release = threading.Event()
    other = cached.jobs().submit("another", "blocking", "Waiting", lambda work: release.wait(60))
    app.file_uploader[0].upload("interview.wav", wav(long_voice), "audio/wav").run()
    button(app, "Close").click().run()
    release.set()
    assert other.ended.wait(60)
    (job,) = all_jobs(app)
    assert job.ended.wait(60)
    assert job.state == "cancelled"
    assert not app.get("plotly_chart")


def working_copies(app: AppTest) -> list:
    """Return weak references to the files of a visit's working copies."""
    jobs = [job for (owner, _), job in cached.read_ahead_jobs()._jobs.items() if owner == app.session_state["owner"]]
    return [weakref.ref(job.result.wav) for job in jobs]


def test_closing_a_long_recording_frees_its_working_copy(long_voice):
    app = given(long_voice)
    (file,) = working_copies(app)
    button(app, "Close").click().run()
    gc.collect()
    assert file() is None


def test_nothing_of_a_long_recording_or_its_stretches_is_left_once_it_is_deleted(long_voice, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    app = given(long_voice)
    for end_s in (2, 3):
        stretch_slider(app).set_value((time(0, 0, 0), time(0, 0, end_s))).run()
        button(app, "in the player").click().run()
        finished(app)
        app.switch_page("app.py").run()
    (file,) = working_copies(app)
    first, second = app.session_state["held"]
    del app.session_state["held"][first]  # as when another recording replaces it
    app.session_state["requested_words"] = {second: ""}
    app.session_state["current"] = app.session_state["long"].sha256
    app.run()
    app.button(key="delete_recording").click().run()
    assert not app.exception
    assert not app.session_state["held"]
    assert not app.session_state["requested_words"]
    assert all_jobs(app) == []
    gc.collect()
    assert file() is None


def test_a_strongest_stretch_is_opened_by_its_button(long_voice):
    app = given(long_voice)
    app.slider(key="widget_timeline_smoothing").set_value(1).run()
    timeline = all_jobs(app)[0].result
    region, mean = strongest_stretches(timeline, 1.0)["sad"][0]
    opens = app.button(key="strongest_sad_0")
    assert opens.label.endswith(f"({mean:.2f})")
    opens.click().run()
    assert app.title[0].value == "Listen"
    (held,) = app.session_state["held"].values()
    assert held.recording.duration_s == pytest.approx(region.duration_s, abs=1e-3)


def test_a_part_too_long_to_open_is_reported_and_its_button_disabled(long_voice, monkeypatch):
    monkeypatch.setattr(timeline_section, "LONGEST_STRETCH_S", 3.0)
    app = given(long_voice)
    stretch_slider(app).set_value((time(0, 0, 0), time(0, 0, 5))).run()
    assert button(app, "in the player").disabled
    assert "At most 0:03 can be opened at once; this part is 0:05 long." in words(app)


def test_a_refusal_at_the_end_of_a_long_recording_is_shown_and_can_be_closed(long_voice):
    samples = long_voice.copy()
    samples[-1] = np.nan
    app = opened("app.py")
    app.file_uploader[0].upload("interview.wav", encoded(samples, subtype="FLOAT"), "audio/wav").run()
    app = finished(app)
    assert not app.exception
    (error,) = app.error
    assert "1 of 128000 samples are not numbers" in error.value
    button(app, "Close").click().run()
    assert not app.error


def test_smoothing_and_the_level_of_pauses_change_the_curves(long_voice):
    app = given(long_voice)
    first = chart(app)
    app.slider(key="widget_timeline_smoothing").set_value(0).run()
    assert chart(app) != first
    second = chart(app)
    app.slider(key="widget_timeline_quiet").set_value(-20).run()
    assert not app.exception
    assert chart(app) != second


def test_another_model_classifies_the_recording_again(long_voice):
    app = given(long_voice)
    another = model_names()[1]  # of ours: some peers take whole recordings, not segments over time
    app.selectbox(key="widget_model").select(another).run()
    app = finished(app)
    assert f"model {another}" in words(app)


# --- the chart ---


def test_the_chart_shows_the_smoothed_curves_with_a_gap_where_it_is_quiet_for_long():
    levels = np.full(60, -20.0)
    levels[[5, *range(20, 40)]] = -80
    timeline = timeline_of(np.linspace(0, 1, 60), levels)
    figure = timeline_chart(timeline, 2.0, -50.0, (1.0, 3.0))
    angry = figure.data[0]
    there = ~np.isnan(angry.y)
    expected = smoothed(timeline, 2.0, -50.0)[levels > -50, 0]
    np.testing.assert_allclose(angry.y[there], expected, atol=1e-6)
    np.testing.assert_allclose(angry.x[there], 1000 * timeline.middles_s[levels > -50])
    assert np.flatnonzero(~there).tolist() == [19]  # one gap, after the segments 0 to 19 but 5
    assert [shape.x0 for shape in figure.layout.shapes if shape.fillcolor] == [1000.0, 1000.0]


def test_a_recording_that_is_quiet_throughout_leaves_an_empty_chart():
    timeline = timeline_of([0.5, 0.5], [-80, -80])
    assert len(timeline_chart(timeline, 2.0, -50.0, (0.0, 1.0)).data[0].x) == 0
    assert strongest_stretches(timeline) == {"angry": [], "sad": []}


@pytest.mark.parametrize(
    "ends",
    [
        ["1970-01-01 00:01:02.5", "1970-01-01 01:00:00"],
        ["1970-01-01 01:00:00.0000", "1970-01-01 00:01:02.5000"],
        ["1970-01-01 01:00", "1970-01-01 00:01:02.5"],
    ],
)
def test_a_box_in_the_chart_is_read_in_seconds_in_either_drawing_direction(ends):
    assert seconds_of_box({"x": ends}) == (62.5, 3_600.0)


def test_the_downloaded_table_equals_the_commands(long_voice):
    app = given(long_voice)
    assert timeline_csv(all_jobs(app)[0].result).startswith(b"start_s,end_s,level_dbfs,angry,happy,neutral,sad\r\n")


@pytest.mark.usefixtures("models")
def test_own_voice_judges_by_the_normal_of_the_long_recording(long_voice):
    app = given(long_voice)
    toggle = next(one for one in app.toggle if one.label == "One speaker")
    assert "by this voice's own normal" not in words(app)
    anyones = all_jobs(app)[-1].result.probabilities
    toggle.set_value(True).run()
    app = finished(app)
    assert not app.exception
    own = all_jobs(app)[-1].result
    assert f"{100 * own.voice.share:.0f} % by its own normal" in words(app)
    assert np.abs(own.probabilities - anyones).max() > 0.01


def test_a_model_without_voice_settings_offers_no_own_voice_over_time(long_voice):
    assert "One speaker" not in [one.label for one in given(long_voice, model="yamnet").toggle]


def test_a_found_word_is_marked_in_the_chart_and_opened_in_the_player(long_voice, monkeypatch, tmp_path):
    for name in ("config.json", "tokenizer.json", "model.bin"):
        (tmp_path / name).touch()
    monkeypatch.setenv("SER_WORD_MODEL", str(tmp_path))
    monkeypatch.setattr(long_recordings, "word_model", lambda folder: Whisper(3.0))
    monkeypatch.setattr(transcription, "detect_speech", lambda piece: np.ones(-(-len(piece.samples) // 512), bool))
    monkeypatch.setattr(timeline_words_section, "BEFORE_S", 1.0)
    monkeypatch.setattr(timeline_words_section, "AFTER_S", 1.9)
    app = given(long_voice)
    key = "timeline words", app.session_state["long"].key, ""
    assert long_recordings.transcriptions().find(app.session_state["owner"], key) is None
    app = pressed(app, "Transcribe to search words")
    job = long_recordings.transcriptions().find(app.session_state["owner"], key)
    assert job.ended.wait(60)
    app.text_input(key="widget_timeline_search").set_value("PEWNO").run()
    assert "Said once." in words(app)
    assert "found words" in chart(app)
    app.button(key="found_0").click().run()
    assert not app.exception
    assert app.title[0].value == "Listen"
    assert [word["label"] for word in shown_by_player(finished(app))["words"]][-1] == "pewno."


def test_found_words_are_marked_at_their_times_early_ones_too():
    marks = timeline_chart(timeline_of([0.5] * 100), 10, -50, (0, 30), [5.0, 20.5]).data[-1]
    assert marks.x.tolist() == [datetime(1970, 1, 1, 0, 0, 5), datetime(1970, 1, 1, 0, 0, 20, 500_000)]
