"""Every page, run without a browser."""

import argparse
import base64
import io
import json
import os
import re
import shlex
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest

from pages.shared import cached, session, waiting
from pages.shared.cached import classifying, explaining, transcribing
from pages.shared.evidence import downloads, focus_audio_section, focus_section, maps_section
from pages.shared.evidence.faithfulness_section import BADGES
from pages.shared.evidence.word_table import words_of_rows
from pages.shared.language.names import WORD_JOINER, in_markdown
from pages.shared.player import signals
from pages.shared.recording import open_recordings
from pages.shared.recording.open_recordings import Held
from pages.shared.session import ABOVE, CHOICES, POINTS
from ser_core import pipeline
from ser_core.analysis import FocusRegion, Region
from ser_core.analysis.emotions import COLOURS, EMOTION_SETS
from ser_core.audio.reading import read_recording
from ser_core.commands import compare as compare_command
from ser_core.commands import experiment as experiment_command
from ser_core.commands import train as train_command
from ser_core.corpora.samples import available_samples
from ser_core.errors import RecordingTooLong, SettingsRefused
from ser_core.experiments import read_result, write_result
from ser_core.explanation.agreement import with_consensus
from ser_core.explanation.grad_cam import grad_cam_refusal
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.learning import predictions as tables
from ser_core.learning.metrics import all_figures
from ser_core.learning.predictions import Predictions, concatenate, indices_in_cell, write_predictions
from ser_core.model.checkpoint import (
    CARD,
    CORPORA_TABLE,
    CORPORA_VOICE_TABLE,
    FOLDS_TABLE,
    FOLDS_VOICE_TABLE,
    TEST_TABLE,
    WEIGHTS,
    read_card,
)
from ser_core.model.shipped_models import find_model, load_model, model_names, models_left_out
from ser_core.pipeline import analyse_recording, classify_recording
from ser_core.settings import AnalysisSettings, SpectrogramSettings
from ser_core.words import transcription
from tests.broken_machine import everything_under

pytestmark = [
    pytest.mark.skipif(not model_names(), reason="no model is shipped in models/"),
    # Streamlit's own test runner, not ours, warns of what Python will change.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

PAGES = (
    "app.py",
    "pages/1_Explain.py",
    "pages/2_Listen.py",
    "pages/3_Annotate.py",
    "pages/4_Select.py",
    "pages/5_Train.py",
    "pages/6_Evaluate.py",
    "pages/7_Compare.py",
    "pages/8_Glossary.py",
)
LONGEST_WAIT_S = 600


def wav(samples, rate=16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def at(page: str) -> AppTest:
    """Return a page that has not run yet, as in a first visit."""
    app = AppTest.from_file("../app.py", default_timeout=LONGEST_WAIT_S)
    return app if page == "app.py" else app.switch_page(page)


def opened(page: str) -> AppTest:
    app = at(page)
    app.session_state["notice_read"] = True
    return app.run()


#: The smallest model that is shipped; its segments are so short that the made-up voice has several.
SMALL = "yamnet"

#: Choices for tests that do not depend on how fine a map is.
QUICK = {"model": SMALL, "masks": 16, "stretch": (0.2, 0.8)}


def with_recording(page: str, samples, **choices) -> AppTest:
    """Open a page as after an upload on the first page and choices in the sidebar, with a small model."""
    from pages.shared import session

    app = at(page)
    hold(app, samples)
    app.session_state["choices"] = session.CHOICES | {"model": SMALL} | choices
    return finished(app.run())


def hold(app: AppTest, samples) -> None:
    """Give a recording to a page that has not run yet."""
    source = wav(samples)
    recording = read_recording(source, "voice.wav")
    app.session_state["notice_read"] = True
    app.session_state["held"] = {recording.sha256: Held(recording, source)}
    app.session_state["current"] = recording.sha256


def all_jobs(app: AppTest) -> list:
    """Return the visit's jobs in the order they were requested."""

    return [job for (owner, _), job in cached.jobs()._jobs.items() if owner == app.session_state["owner"]]


def finished(app: AppTest) -> AppTest:
    """Run the page again, like its polling fragment in a browser, until no job is left."""
    for _ in range(60):
        jobs = all_jobs(app)
        for job in jobs:
            assert job.ended.wait(LONGEST_WAIT_S)
        app.run()
        if jobs and all_jobs(app) == jobs:
            return app
    raise AssertionError("the page never finished its work")


def words(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.title]
    return " ".join(str(part.value) for part in parts) + " ".join(block.proto.body for block in app.get("html"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_first_shows_the_notice_and_then_how_to_begin(page):
    app = at(page).run()
    assert "Article 5(1)(f)" in words(app)
    app.button(key="notice_button").click().run()
    assert not app.exception
    assert "Article 5(1)(f)" not in words(app)
    assert "No recording yet" in words(app)
    needs_one = page.partition("_")[2] in ("Explain.py", "Listen.py", "Select.py", "Compare.py")
    if needs_one and available_samples():
        assert [button.key for button in app.main.button] == [f"sample_{one.number}" for one in available_samples()]


def test_the_law_is_behind_the_notice_and_behind_the_page():
    app = at("app.py").run()
    for button in ("notice_law", "law"):
        app.button(key=button).click().run()
        assert not app.exception
        assert "at work and in education" in words(app)
        if button == "notice_law":
            app.button(key="notice_button").click().run()


def test_the_tour_leads_from_no_recording_to_the_focus_and_can_be_ended(voice):
    app = at("app.py").run()
    app.button(key="notice_tour").click().run()
    assert "Article 5(1)(f)" not in words(app)
    assert "Step 1 of 3" in words(app)
    if available_samples():
        app.button(key="tour_sample").click().run()
        assert next(iter(app.session_state["held"].values())).recording.name == "Austen 1.wav"
    else:
        hold(app, voice)
        app.run()
    assert "Step 2 of 3" in words(app)
    app.switch_page("pages/2_Listen.py").run()
    assert "Step 3 of 3" in words(app)
    app.button(key="tour_end").click().run()
    assert not app.exception
    assert "of 3" not in words(app)
    app.button(key="tour_begin").click().run()
    assert "Step 2 of 3" in words(app)


def test_an_upload_leads_to_scores_of_every_emotion(voice):
    app = opened("app.py")
    app.file_uploader[0].upload("voice.wav", wav(voice), "audio/wav").run()
    app = finished(app)
    assert not app.exception
    assert not app.error
    assert all(emotion in words(app) for emotion in ("angry", "happy", "neutral", "sad"))
    shown = shown_by_player(app)
    assert shown["spectrogram"]
    assert shown["scores"]["segments"] > 0


@pytest.mark.parametrize(
    ("timezone", "said"),
    [
        ("Asia/Seoul", "2026-01-02 05:00:00 KST"),
        ("../etc/passwd", "2026-01-01 20:00:00 UTC"),
        ("America", "2026-01-01 20:00:00 UTC"),  # a folder of zones
        (None, "2026-01-01 20:00:00 UTC"),
    ],
)
def test_times_are_those_of_the_visitors_clock(monkeypatch, timezone, said):
    monkeypatch.setattr(session.st, "context", SimpleNamespace(timezone=timezone))
    assert f"{session.local_time(datetime(2026, 1, 1, 20, tzinfo=UTC)):%Y-%m-%d %H:%M:%S %Z}" == said


def test_several_files_are_uploaded_at_once_and_a_bad_one_among_them_is_refused(voice):
    app = opened("app.py")
    sounds = [("one.wav", wav(voice), "audio/wav"), ("two.wav", b"only words", "audio/wav")]
    app.file_uploader[0].set_value([*sounds, ("three.wav", wav(voice[:20_000]), "audio/wav")]).run()
    assert not app.exception
    assert [one.recording.name for one in app.session_state["held"].values()] == ["one.wav", "three.wav"]
    assert [in_markdown("two.wav") in error.value for error in app.error] == [True]


def test_a_recording_that_is_renamed_while_it_is_classified_is_saved_under_its_new_name_only(
    voice, tmp_path, monkeypatch
):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    begun, classify = threading.Event(), classifying.classify_recording

    def slowly(recording, classifier, settings, work):
        if not begun.is_set():
            begun.set()
            for _ in range(1_000):
                if work.stop():
                    break
                time.sleep(0.01)
        return classify(recording, classifier, settings, work)

    monkeypatch.setattr(classifying, "classify_recording", slowly)
    app = opened("app.py")
    app.file_uploader[0].upload("Jane Doe.wav", wav(voice), "audio/wav").run()
    assert begun.wait(60)
    app.text_input(key=f"name_{app.session_state['current']}").set_value("Speaker 7").run()
    app = finished(app)
    next(button for button in app.button if button.label == "Save").click().run()
    (saved,) = (tmp_path / "analyses").iterdir()
    assert json.loads((saved / "question.json").read_text())["recording_name"] == "Speaker 7"
    assert b"Jane Doe" not in everything_under(tmp_path)


def take_two_long() -> None:
    from pages.shared import frame
    from pages.shared.recording import recording_page

    recording_page.open_file(b"1", "first *talk*.wav")
    recording_page.open_file(b"2", "second talk.wav")
    frame.show_closed_recordings()


def test_opening_a_second_recording_over_ten_minutes_names_the_one_it_closes(monkeypatch):
    monkeypatch.setattr(open_recordings, "hold", lambda *_: (_ for _ in ()).throw(RecordingTooLong("too long")))
    app = AppTest.from_function(take_two_long, default_timeout=60).run()
    assert not app.exception
    (toast,) = app.toast
    assert toast.value.startswith(f"{in_markdown('first *talk*.wav')} was closed")
    assert app.session_state["long"].name == "second talk.wav"


def hold_three() -> None:
    import streamlit as st

    from pages.shared.recording import open_recordings
    from ser_core.audio.cutting import wav_bytes
    from tests.conftest import voice_like

    open_recordings.MAX_HELD_BYTES = 2 * 6 * 16_000 + 1_000  # two recordings of a second, decoded and as files
    for seed, name in ((0, "a.wav"), (1, "b.wav"), (0, "a again.wav"), (2, "c.wav")):
        open_recordings.hold(wav_bytes(voice_like(1.0, 16_000, seed=seed), 16_000), name)
    st.session_state["said"] = open_recordings.closed()


def test_the_recordings_of_a_visit_have_a_limit_and_the_oldest_is_closed():
    before = open_recordings.MAX_HELD_BYTES
    try:
        app = AppTest.from_function(hold_three, default_timeout=60).run()
    finally:
        open_recordings.MAX_HELD_BYTES = before
    assert not app.exception
    assert [one.recording.name for one in app.session_state["held"].values()] == ["a again.wav", "c.wav"]
    assert app.session_state["said"] == ["b.wav"]


def test_a_recording_is_renamed_everywhere_and_nothing_is_computed_again(voice):
    app = with_recording("app.py", voice)
    before = all_jobs(app)
    sha256 = app.session_state["current"]
    app.text_input(key=f"name_{sha256}").set_value("Grandma: hello").run()
    assert not app.exception
    assert app.header[0].value == in_markdown("Grandma: hello")
    assert app.session_state["held"][sha256].recording.name == "Grandma: hello"
    assert all_jobs(app) == before
    assert before[0].result.recording.name == "Grandma: hello"
    app.text_input(key=f"name_{sha256}").set_value("  ").run()
    assert app.session_state["held"][sha256].recording.name == "Grandma: hello"


def test_an_unreadable_file_is_refused_in_one_sentence_and_not_held():
    app = opened("app.py")
    for number, (content, said) in enumerate(
        (
            (b"not audio at all, only words", "not readable audio"),
            (b"", "empty"),
            (wav(np.zeros(16_000)), "silent"),
            (wav(np.full(800, 0.1)), "at least 0.1 s"),
        )
    ):
        app.file_uploader[0].set_value((f"speech {number}.wav", content, "audio/wav")).run()
        assert not app.exception
        assert [in_markdown(said) in error.value for error in app.error] == [True]
        assert "No recording yet" in words(app)


def test_noise_is_given_no_emotion():
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000)
    app = with_recording("app.py", noise)
    assert "no speech heard" in words(app)


@pytest.fixture(scope="module")
def explained(voice) -> AppTest:
    """The page Explain with all its results for a recording; for tests that only read it."""
    return with_recording("pages/1_Explain.py", voice[:24_000])


def test_explain_shows_all_three_maps_on_one_axis(explained):
    assert not explained.exception
    figure = explained.get("plotly_chart")[0].proto.spec
    assert all(name in figure for name in ("Grad-CAM", "LIME", "Occlusion", "Consensus"))
    assert figure.count('"matches":"x') >= 4


def test_explain_shows_how_far_each_pair_of_explainers_agrees(explained):
    pairs = {metric.label: float(metric.value) for metric in explained.metric}
    assert list(pairs) == ["Grad-CAM and LIME", "Grad-CAM and Occlusion", "LIME and Occlusion"]
    assert all(-1 <= correlation <= 1 for correlation in pairs.values())
    captions = [caption.value for caption in explained.caption if "overlap" in caption.value]
    for correlation, words_ in zip(pairs.values(), captions, strict=True):
        expected = "agree well" if correlation >= 0.6 else "agree in part" if correlation >= 0.3 else "hardly agree"
        assert words_.startswith(expected if correlation >= -0.2 else "contradict each other")


def test_explain_says_whether_to_trust_each_map_and_the_score_without_its_strongest_fifth(explained):
    badges = [badge for badge in explained.markdown if re.search(rf"-badge\[.*({'|'.join(BADGES)})\]", badge.value)]
    captions = [caption.value for caption in explained.caption if "without a random fifth" in caption.value]
    assert len(badges) == len(captions) == 4
    assert ["the map of another seed" in words_ for words_ in captions] == [False, True, False, False]
    assert len(explained.get("plotly_chart")) == 2
    assert "removed" in explained.get("plotly_chart")[1].proto.spec
    (judged,) = (job.result for job in all_jobs(explained) if job.key[0] == "judge")
    (table,) = (frame.value for frame in explained.dataframe if "Fid-In" in frame.value)
    assert table["Area"].tolist() == [round(judged.curves[method].area, 2) for method in judged.curves]
    assert table["FF"].tolist() == [round(each.faithfulness, 2) for each in map(judged.metrics.get, judged.curves)]


def test_explain_outlines_the_counterfactual_and_says_where_it_is(explained):
    spectrogram = json.loads(explained.get("plotly_chart")[0].proto.spec)
    outlined = any(trace["type"] == "contour" for trace in spectrogram["data"])
    sentences = [text.value for text in explained.markdown if "Without the outlined" in text.value]
    assert len(sentences) == outlined
    assert outlined or any("does not change the verdict" in text.value for text in explained.markdown)


def test_evidence_against_an_emotion_can_be_hidden_in_all_maps(voice):
    app = with_recording("pages/1_Explain.py", voice[:24_000], **QUICK)
    assert any(min(numbers(map_["z"])) < 0 for map_ in maps_drawn(app))
    assert all(map(alpha_below_zero, maps_drawn(app)))
    app.segmented_control(key="widget_sign").set_value("for").run()
    assert not any(map(alpha_below_zero, maps_drawn(app)))


def maps_drawn(app):
    """Return the traces of the maps that are drawn over the spectrogram."""
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    return [trace for trace in figure["data"] if "colorbar" in trace]


def alpha_below_zero(trace):
    """Return the highest opacity of the colours below zero in a map's colour scale."""
    assert trace["zmin"] == -trace["zmax"]
    return max(float(colour.rstrip(")").rsplit(",")[-1]) for at, colour in trace["colorscale"] if at < 0.5)


def test_a_point_of_a_map_shows_frequency_level_and_relevance_in_few_bytes(explained):
    spec = explained.get("plotly_chart")[0].proto.spec
    figure, maps = json.loads(spec), maps_drawn(explained)
    spectrogram = figure["data"][0]
    analysis = next(job.result for job in all_jobs(explained) if job.key[0] == "classify")
    level_db = 20 / np.log(10) * analysis.spectrogram.log_mel.T
    assert len(maps) == 4
    for map_ in maps:
        assert np.abs(np.reshape(numbers(map_["customdata"]), level_db.shape) - level_db).max() <= 0.5
        assert map_["customdata"] == spectrogram["z"]
    aliases = figure["layout"]["yaxis"]["labelalias"]
    assert [aliases[str(band)] for band in (0, 63)] == ["155 Hz", "7215 Hz"]
    assert ("text" in maps[1], "text" in maps[0]) == (True, False)  # LIME's standard error
    assert len(spec) < 50 * level_db.size


def test_maps_picture_and_report_can_be_downloaded_and_only_then_is_the_focus_computed(explained):
    assert not explained.get("download_button")
    assert "focus" not in {job.kind for job in all_jobs(explained)}
    explained.button(key="prepare_downloads").click().run()
    finished(explained)
    assert "focus" in {job.kind for job in all_jobs(explained)}
    assert [button.proto.label for button in explained.get("download_button")] == [
        "Maps (npz)",
        "Picture (PNG)",
        "Report (HTML)",
    ]


def test_downloads_match_what_is_shown(voice):
    classifier = load_model(SMALL)
    recording = read_recording(wav(voice[:24_000]), "voice.wav")
    analysis = analyse_recording(recording, classifier, AnalysisSettings().drafted())
    whole = replace(analysis, explanations=with_consensus(analysis.explanations))
    maps = np.load(io.BytesIO(downloads._npz(whole)))
    for method, explanation in whole.explanations.items():
        np.testing.assert_array_equal(maps[method], explanation.relevance)
    assert downloads._png(whole).startswith(b"\x89PNG")


def test_a_stretch_without_speech_has_maps_without_evidence(make_voice):
    speech = make_voice(8.0, 16_000)
    app = at("pages/1_Explain.py")
    hold(app, np.concatenate([speech, np.zeros(4 * 16_000, np.float32), speech]))
    app.session_state["choices"] = dict(CHOICES) | QUICK | {"stretch": (9.8, 10.2)}
    app = finished(app.run())
    assert not app.exception
    assert len(app.get("plotly_chart")) >= 1


@pytest.mark.parametrize(
    ("page", "said"), [("pages/1_Explain.py", True), ("pages/2_Listen.py", True), ("pages/4_Select.py", False)]
)
def test_contrasting_the_best_emotion_with_itself_is_explained_without_an_error(voice, page, said):
    classifier = load_model(SMALL)
    recording = read_recording(wav(voice[:24_000]))
    best = classify_recording(recording, classifier, AnalysisSettings()).emotion
    app = at(page)
    hold(app, voice[:24_000])
    app.session_state["choices"] = dict(CHOICES) | QUICK | {"against": best}
    app = finished(app.run())
    assert not app.exception
    assert any("cannot be contrasted with itself" in info.value for info in app.info) == said


def test_recordings_with_equal_names_and_lengths_can_all_be_chosen(make_voice):
    app = at("app.py")
    sounds = [read_recording(wav(make_voice(1.0, 16_000, seed)), "take.wav") for seed in range(3)]
    app.session_state["notice_read"] = True
    app.session_state["held"] = {one.sha256: Held(one, b"") for one in sounds}
    app.session_state["current"] = sounds[2].sha256
    app.run()
    field = next(one for one in app.selectbox if one.label == "Recording")
    assert len(set(field.options)) == 3
    field.set_value(sounds[0].sha256).run()
    assert app.session_state["current"] == sounds[0].sha256


def test_a_layer_of_another_model_is_not_used_for_this_one(voice):
    app = at("pages/1_Explain.py")
    hold(app, voice[:24_000])
    app.session_state["choices"] = dict(CHOICES) | QUICK | {"model": "resnet", "layer": "vggish_pool3"}
    app = finished(app.run())
    assert not app.exception
    assert not app.error


def test_a_draft_is_labelled_so_even_if_the_fine_map_arrives_while_it_is_drawn(monkeypatch):
    def job(state, result):
        return SimpleNamespace(state=state, result=result)

    fine, drafts = {}, {}

    def explainer_job(analysis, method, classifier, settings):
        jobs = drafts if settings == "coarse" else fine
        return jobs.setdefault(method, job("done" if jobs is drafts else "running", f"{settings} {method}"))

    def results(jobs, others):
        found = {name: one.result for name, one in jobs.items() if one.state == "done"}
        fine["lime"].state = "done"
        return found

    monkeypatch.setattr(waiting, "results", results)
    monkeypatch.setattr(waiting, "explainers_of", lambda classifier: ("grad_cam", "lime"))
    monkeypatch.setattr(waiting, "with_explanation", lambda analysis, explanation: explanation)
    monkeypatch.setattr(waiting, "with_focus", lambda analysis, explanation, settings: explanation)
    monkeypatch.setattr(waiting.explaining, "is_explained", lambda *_: False)
    monkeypatch.setattr(waiting.explaining, "explainer_job", explainer_job)
    monkeypatch.setattr(waiting.explaining, "explanation_of", lambda job, analysis, settings: job.result)
    settings = SimpleNamespace(drafted=lambda: "coarse", against=None)
    chosen = SimpleNamespace(settings=settings, classifier=None)
    explained, called_drafts = waiting.explanations(chosen, job("done", SimpleNamespace(emotion="sad")))
    assert explained == {"grad_cam": "coarse grad_cam", "lime": "coarse lime"}
    assert called_drafts == {"grad_cam", "lime"}


@pytest.mark.parametrize(("alone", "without", "decides"), [(0, 1, True), (1, 1, False), (0, 0, False)])
def test_a_focus_that_does_not_decide_says_so(monkeypatch, alone, without, decides):
    monkeypatch.setattr(session, "choice", {"focus_rule": session.DECIDING, "audible": session.REGIONS}.get)
    whole, alone, without = (SimpleNamespace(scores=np.eye(2)[best]) for best in (0, alone, without))
    analysis = SimpleNamespace(emotions=("angry", "sad"), scores=SimpleNamespace(recording=whole.scores))
    sentence = focus_audio_section.in_words(analysis, SimpleNamespace(alone=alone, without=without))
    assert ("No part" in sentence) != decides
    assert "focus alone" in sentence


@pytest.mark.parametrize(
    ("start_s", "stretch", "said"),
    [
        (0, Region(0, 4), "% of the speech"),
        (0, Region(1, 3), "% of the speech from 1.0 to 3.0 s"),
        (600, Region(1, 3), "% of the speech from 601.0 to 603.0 s"),
    ],
)
def test_the_focus_is_a_share_of_what_is_explained(monkeypatch, start_s, stretch, said):
    monkeypatch.setattr(pipeline, "usable_frames_of", lambda analysis, method: np.array([False, True, True, False]))
    analysis = SimpleNamespace(
        focus=(FocusRegion(Region(1, 2), 1.0, 1.0),),
        focus_by="lime",
        spectrogram=SimpleNamespace(frame_times_s=np.array([0.5, 1.5, 2.5, 3.5])),
        stretch=stretch,
        recording=SimpleNamespace(start_s=start_s, duration_s=4),
    )
    assert focus_section.in_words(analysis) == f"One stretch, 1.00 s, 50 {said}"


def test_scores_of_the_strongest_points_are_not_called_those_of_the_focus(monkeypatch):
    monkeypatch.setattr(session, "choice", {"focus_rule": session.DECIDING, "audible": session.POINTS}.get)
    whole, other = (SimpleNamespace(scores=np.eye(2)[best]) for best in (0, 1))
    analysis = SimpleNamespace(emotions=("angry", "sad"), scores=SimpleNamespace(recording=whole.scores))
    sentence = focus_audio_section.in_words(analysis, SimpleNamespace(alone=whole, without=other))
    assert "strongest points alone" in sentence
    assert "focus" not in sentence


def test_the_focus_is_classified_again_if_the_map_marks_something_else(monkeypatch):
    keys = []
    monkeypatch.setattr(session, "owner", lambda: "ann")
    monkeypatch.setattr(explaining, "jobs", lambda: SimpleNamespace(submit=lambda owner, key, *_: keys.append(key)))
    analysis = SimpleNamespace(recording=SimpleNamespace(sha256="r"), stretch=None)
    for seed in (0, 1, 1):
        mask = np.random.default_rng(seed).random((100, 64)) > 0.7
        explaining.focus_audio_job(analysis, mask, SimpleNamespace(sha256="m"))
    assert keys[0] != keys[1] == keys[2]


def test_drafts_come_before_the_fine_maps_and_are_labelled_so(voice):
    app = at("pages/1_Explain.py")
    hold(app, voice[:24_000])
    app.session_state["choices"] = CHOICES | {"model": SMALL}
    jobs = all_jobs(app.run())
    assert jobs[0].key[0] == "classify"
    assert jobs[0].ended.wait(LONGEST_WAIT_S)
    order = [job.key for job in all_jobs(app.run()) if job.key[0] == "explain"]
    fine, draft = AnalysisSettings(), AnalysisSettings().drafted()
    assert [key[5] for key in order if key[1] == "lime"] == [draft.lime, fine.lime]
    assert [key[5] for key in order if key[1] == "occlusion"] == [draft.occlusion, fine.occlusion]
    assert [key[1] for key in order].count("grad_cam") == 1


def test_verdicts_and_grad_cam_do_not_wait_and_drafts_precede_all_fine_maps(voice, monkeypatch):
    from ser_core.work.jobs import Jobs, Lane

    lanes, submit = {}, Jobs.submit

    def noting(jobs, owner, key, title, work, lane=Lane.FULL):
        lanes[key[1] if key[0] == "explain" else key[0], key[5:6]] = lane
        return submit(jobs, owner, key, title, work, lane)

    monkeypatch.setattr(Jobs, "submit", noting)
    for page in ("pages/1_Explain.py", "pages/2_Listen.py"):
        with_recording(page, voice[:24_000])
    fine, draft = AnalysisSettings(), AnalysisSettings().drafted()
    assert {name for (name, _), lane in lanes.items() if lane == Lane.QUICK} == {"classify", "grad_cam", "focus audio"}
    for method in ("lime", "occlusion", "lime_time"):
        assert lanes[method, (getattr(draft, method),)] == Lane.CLUSTER_DRAFT
        assert lanes[method, (getattr(fine, method),)] == Lane.CLUSTER_FULL


def shown_by_player(app: AppTest) -> dict:
    """Return the arguments of a page's player."""
    return json.loads(app.get("bidi_component")[0].proto.json)


@pytest.mark.parametrize(
    ("score", "sum_", "against", "said"),
    [(0.8, -1.0, None, True), (0.8, 1.0, None, False), (0.4, -1.0, None, False), (0.8, -1.0, "sad", False)],
)
def test_a_map_that_contradicts_the_prediction_is_questioned(score, sum_, against, said):
    analysis = SimpleNamespace(
        emotions=("happy", "sad"), scores=SimpleNamespace(recording=np.array([score, 1 - score]))
    )
    relevance = np.array([[2.0], [sum_ - 2.0], [-9.0]])
    covered = np.array([True, True, False])
    explanation = SimpleNamespace(emotion="happy", against=against, relevance=relevance, covered=covered)
    assert bool(maps_section.contradiction_in_words(analysis, explanation)) == said


def test_the_scores_of_a_padded_segment_are_drawn_at_the_middle_of_the_recorded_part(monkeypatch):
    sent = []
    monkeypatch.setattr(signals, "served", lambda content, *_: sent.append(np.frombuffer(content, "<f4")))
    analysis = SimpleNamespace(
        segments=SimpleNamespace(start_frames=np.array([0]), segment_frames=240, selected=[True]),
        spectrogram=SimpleNamespace(settings=SpectrogramSettings()),
        scores=SimpleNamespace(segments=np.eye(4)[:1]),
        recording=SimpleNamespace(duration_s=1.5),
        emotions=EMOTION_SETS["core4"],
    )
    signals.scores_data(analysis, "scores")
    assert sent[0][0] == pytest.approx(0.75, abs=0.01)


def test_listen_sends_the_player_urls_and_regions_but_never_the_sound(voice):
    app = with_recording("pages/2_Listen.py", voice)
    shown = shown_by_player(app)
    assert len(json.dumps(shown)) < 16_000
    assert shown["recording"]["url"].endswith(".wav")
    assert len(shown["regions"]) == len(shown["regionTable"]["rows"]) > 0
    assert [one["name"] for one in shown["scores"]["emotions"]] == list(EMOTION_SETS["core4"])


def test_listen_lists_every_focus_region_with_its_figures_and_sound(voice):
    app = with_recording("pages/2_Listen.py", voice)
    assert not app.exception
    shown = shown_by_player(app)
    titles = [column["title"] for column in shown["regionTable"]["columns"]]
    for number, (region, row) in enumerate(zip(shown["regions"], shown["regionTable"]["rows"], strict=True), start=1):
        cells = dict(zip(titles, row["cells"], strict=True))
        assert cells["No."] == str(number)
        assert float(cells["Start (s)"]) == pytest.approx(region["start"], abs=0.005)
        assert row["url"].endswith(".wav")
    assert [button.label for button in app.get("download_button")] == [
        *("One WAV", "ZIP with table"),
        *("Praat TextGrid", "ELAN EAF", "CSV"),
    ]


def test_regions_and_the_threshold_line_follow_the_sliders(voice):
    app = with_recording("pages/2_Listen.py", voice)
    app.session_state["command_line"] = True
    app.run()
    assert "--threshold" not in " ".join(code.value for code in app.code)
    app.segmented_control(key="widget_focus_rule").set_value(ABOVE).run()
    low = shown_by_player(app)
    app.slider(key="widget_threshold").set_value(95).run()
    high = shown_by_player(app)
    lasting = [sum(one["end"] - one["start"] for one in shown["regions"]) for shown in (low, high)]
    assert low["profile"]["threshold"] == 0 < high["profile"]["threshold"]
    assert lasting[1] < lasting[0]
    assert "--threshold 0.95" in " ".join(code.value for code in app.code)
    app.slider(key="widget_smoothing").set_value(0.4).run()
    assert shown_by_player(app)["profile"]["levels"][0]["url"] != high["profile"]["levels"][0]["url"]
    explained = [job.key for job in all_jobs(app) if job.key[0] == "explain"]
    app.session_state["choices"]["threshold"] = 0
    again = [job.key for job in all_jobs(app.run()) if job.key[0] == "explain"]
    assert again == explained, "nothing is explained again"


def test_given_words_are_shown_and_those_in_focus_are_named(voice):
    app = with_recording("pages/2_Listen.py", voice)
    regions = [(one["start"], one["end"]) for one in shown_by_player(app)["regions"]]
    (start, end), last = regions[0], len(voice) / 16_000
    text = f"start_s,end_s,word\n{start},{end},*so*\n"
    outside = [edge for edge in (0.0, last) if not any(a <= edge <= b for a, b in regions)]
    app.file_uploader[0].set_value(("words.csv", text.encode(), "text/csv")).run()
    assert not app.exception
    shown = shown_by_player(app)
    assert [one["label"] for one in shown["words"]] == ["*so*"], outside
    assert shown["regionTable"]["columns"][-1]["title"] == "Words"
    assert shown["regionTable"]["rows"][0]["cells"][-1] == "*so*"
    assert r"Words in focus: *\*so\**" in words(app)
    app.button(key=next(b.key for b in app.button if b.label == "Forget the words")).click().run()
    assert shown_by_player(app)["words"] == []


def test_a_file_that_holds_no_words_is_refused_in_one_sentence(voice):
    app = with_recording("pages/2_Listen.py", voice[:24_000])
    app.file_uploader[0].set_value(("words.csv", b"a,b\n1,2\n", "text/csv")).run()
    assert not app.exception
    assert [error.value for error in app.error if "start_s, end_s, word" in error.value.replace("\\", "")]
    assert shown_by_player(app)["words"] == []


def test_listen_offers_the_focus_of_the_consensus_too(voice):
    app = with_recording("pages/2_Listen.py", voice[:24_000])
    by_time = shown_by_player(app)
    # This model has no consensus over time; the choice is kept for models that do.
    assert app.segmented_control(key="widget_focus_by").value == "lime_time"
    assert app.session_state["choices"]["focus_by"] == AnalysisSettings().focus_by == "time_consensus"
    app.segmented_control(key="widget_focus_by").set_value("consensus").run()
    app = finished(app)
    assert not app.exception
    by_all = shown_by_player(app)
    assert [by_time["overlays"][0]["name"], by_all["overlays"][0]["name"]] == ["LIME over time", "Consensus"]
    assert by_all["profile"]["levels"][0]["url"] != by_time["profile"]["levels"][0]["url"]
    assert by_all["recording"] == by_time["recording"]


def test_listen_classifies_the_focus_alone_and_everything_else_and_shows_the_verdicts(voice):
    app = with_recording("pages/2_Listen.py", voice[:24_000])
    assert re.search(r"stretch.*of the speech.*From the focus alone, the verdict .* without it, it", words(app))
    assert words(app).count('class="scores"') == 3
    before = shown_by_player(app)["sounds"]
    assert [one["name"] for one in before] == ["the recording", "the focus alone", "everything else"]
    app.segmented_control(key="widget_audible").set_value(POINTS).run()
    app.slider(key="widget_map_share").set_value(60).run()
    app = finished(app)
    assert not app.exception
    after = shown_by_player(app)["sounds"]
    assert after[0] == before[0]
    assert after[1]["url"] != before[1]["url"]


def test_listen_changes_the_voice_on_request_and_draws_the_scores_over_each_property(voice, monkeypatch):
    monkeypatch.setattr(pipeline, "detect_speech", lambda recording: np.ones(len(recording.samples) // 512 + 1, bool))
    app = with_recording("pages/2_Listen.py", voice[:16_000])
    assert not [job for job in all_jobs(app) if job.kind == "voice changes"]
    assert not app.get("plotly_chart")
    next(button for button in app.button if button.label == "Change the voice and ask again").click().run()
    app = finished(app)
    assert not app.exception
    (job,) = (job for job in all_jobs(app) if job.kind == "voice changes")
    found = job.result
    assert len(app.get("plotly_chart")) == len(found.curves) == 7
    for curve, chart in zip(found.curves, app.get("plotly_chart"), strict=True):
        traces = json.loads(chart.proto.spec)["data"]
        assert len(traces) == 2 * len(EMOTION_SETS["core4"]), "a line and a control for each emotion"
        assert f"**{curve.property.name}**" in [text.value for text in app.markdown]
    players = [
        json.loads(one.proto.json)
        for one in app.get("bidi_component")
        if one.proto.component_name.startswith("hear_why_player")
    ]
    flips = sum(len(curve.flips) for curve in found.curves)
    assert len(players) == 1 + (flips > 0)
    if flips:
        assert len(players[1]["sounds"]) == 1 + min(flips, 4)


def page_whose_job_ends_meanwhile() -> None:
    import threading
    from types import SimpleNamespace

    import streamlit as st

    from pages.shared import waiting

    ended = threading.Event()
    ended.set()
    line = SimpleNamespace(place=lambda job: 0, move_to_front=id, ahead=lambda job: [])
    about = {"fraction": 0.5, "owner": "me", "queue": line}
    waiting.watch({"teach": SimpleNamespace(state="waiting", ended=ended, **about)})
    if st.button("Press"):
        st.write("pressed")


def test_results_that_arrive_close_together_are_shown_together(monkeypatch):
    def job(state, ended_at=None):
        ended = threading.Event()
        if ended_at is not None:
            ended.set()
        return SimpleNamespace(state=state, ended=ended, ended_at=ended_at)

    monkeypatch.setattr(waiting, "monotonic", lambda: 100.0)
    new, old, running, queued = job("done", 99.5), job("done", 98.9), job("running"), job("waiting")
    assert not waiting.results_are_due([running, queued], 1.0)
    assert not waiting.results_are_due([queued], 1.0)
    assert not waiting.results_are_due([new, running, queued], 1.0)
    assert waiting.results_are_due([new, running], 0.0)
    assert waiting.results_are_due([new, old, running], 1.0)
    assert waiting.results_are_due([new, queued], 1.0)
    assert waiting.results_are_due([job("cancelled", 99.9), running], 1.0)


def test_a_click_is_not_lost_if_a_job_ends_while_the_page_runs():
    app = AppTest.from_function(page_whose_job_ends_meanwhile, default_timeout=30).run()
    app.button[-1].click().run()
    assert not app.exception
    assert "pressed" in [one.value for one in app.markdown]


def page_whose_draft_runs() -> None:
    from threading import Event
    from types import SimpleNamespace

    import streamlit as st

    from pages.shared import waiting

    class Stub:
        owner, ended = "me", Event()

        def __init__(self, **about) -> None:
            self.__dict__ |= about

    stopped = []
    line = SimpleNamespace(
        place=lambda job: 0, move_to_front=id, ahead=lambda job: [draft], cancel=lambda job: stopped.append(job.lane)
    )
    draft = Stub(queue=line, state="running", lane="draft", fraction=0.4, text="", seconds_left=30.0)
    fine = Stub(queue=line, state="waiting", lane="full", fraction=0.0)
    waiting.watch({"lime": fine}, {"lime": draft})
    st.write(*sorted(stopped))


def test_the_progress_of_a_draft_is_shown_and_stop_ends_it_too():
    app = AppTest.from_function(page_whose_draft_runs, default_timeout=30).run()
    (bar,) = (one.proto for one in app.get("progress"))
    assert (bar.value, "(draft)" in bar.text, "30 s" in bar.text) == (40, True, True)
    app.button(key="stop_lime").click().run()
    assert not app.exception
    assert {text.value for text in app.markdown} >= {"draft full"}


def test_choices_outlive_a_rerun_and_can_be_reset(voice):
    app = with_recording("app.py", voice)
    app.session_state["command_line"] = True
    app.number_input(key="widget_seed").set_value(7).run()
    assert app.session_state["choices"]["seed"] == 7
    assert "--seed 7" in " ".join(code.value for code in app.code)
    next(button for button in app.button if button.label == "Reset to defaults").click().run()
    assert app.session_state["choices"]["seed"] == 0
    assert app.number_input(key="widget_seed").value == 0


def page_with_one_choice() -> None:
    import streamlit as st

    from pages.shared import session

    session.begin_run()
    st.segmented_control("Evidence", ["both", "for"], required=True, **session.widget("sign", "both"))


def test_a_widget_not_yet_drawn_by_the_browser_gets_its_value_in_every_run():
    app = AppTest.from_function(page_with_one_choice, default_timeout=30)

    def told() -> bool:
        return app.get("button_group")[0].proto.set_value

    assert [app.run() and told(), app._run(WidgetStates()) and told(), app.run() and told()] == [True, True, False]


def test_an_emotion_contrasted_with_another_has_its_own_map(voice):
    app = with_recording("pages/2_Listen.py", voice)
    app.session_state["command_line"] = True
    by_best = shown_by_player(app)["overlays"][0]
    app.selectbox(key="widget_emotion").select("sad").run()
    app.selectbox(key="widget_against").select("angry").run()
    app = finished(app)
    assert not app.exception
    overlay = shown_by_player(app)["overlays"][0]
    assert overlay["levels"] != by_best["levels"]
    assert "--emotion sad --against angry" in " ".join(code.value for code in app.code)


def test_a_saved_analysis_is_found_reopened_and_deleted(voice, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    app = with_recording("app.py", voice)
    next(button for button in app.button if button.label == "Save").click().run()
    assert len(list((tmp_path / "analyses").iterdir())) == 1
    other = opened("app.py")
    saved = next(button for button in other.button if (button.key or "").startswith("open_"))
    assert f"saved {datetime.now(UTC):%Y-%m-%d}" in saved.help
    saved.click().run()
    other = finished(other)
    assert not other.exception
    assert in_markdown("voice.wav") in [header.value for header in other.header]
    next(button for button in other.button if (button.key or "").startswith("icon_delete_")).click().run()
    assert list((tmp_path / "analyses").iterdir()) == []


def test_a_saved_analysis_opens_with_its_maps_without_computing_again_until_the_model_changes(
    voice, tmp_path, monkeypatch
):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    app = with_recording("pages/1_Explain.py", voice[:24_000], **QUICK)
    next(button for button in app.button if button.label == "Save").click().run()
    (folder,) = (tmp_path / "analyses").iterdir()
    assert {"grad_cam", "lime", "occlusion"} < set(np.load(folder / "maps.npz"))
    with monkeypatch.context() as nothing_computes:
        nothing_computes.delattr(classifying, "classify_recording")
        for name in ("explainer_run", "judge_maps"):
            nothing_computes.delattr(explaining, name)
        other = opened("pages/1_Explain.py")
        next(button for button in other.button if (button.key or "").startswith("open_")).click().run()
    assert not other.error
    assert other.get("plotly_chart")[0].proto.spec == app.get("plotly_chart")[0].proto.spec
    assert not other.sidebar.warning
    folder.rename(folder.with_name(f"{folder.name.partition('-')[0]}-{'0' * 8}"))
    changed = opened("app.py")
    next(button for button in changed.button if (button.key or "").startswith("open_")).click().run()
    (warning,) = changed.sidebar.warning
    assert "yamnet" in warning.value
    assert "has changed" in warning.value


def saved_analyses(data, count):
    for number in range(count):
        folder = data / "analyses" / f"{number:016x}-{'b' * 8}"
        folder.mkdir(parents=True)
        verdict = "clearly sad" if number % 10 == 0 else "angry or happy"
        about = {"recording_name": f"Take {number}.wav", "model_name": "fusion", "verdict": verdict, "settings": {}}
        (folder / "question.json").write_text(json.dumps(about))
        (folder / "recording.original").write_bytes(b"no sound")
        os.utime(folder, (1_000 + number,) * 2)


def saved_shown(app):
    return [b.label.partition(chr(92))[0] for b in app.sidebar.button if (b.key or "").startswith("open_")]


def test_each_of_60_saved_analyses_is_reachable_by_pages_and_search_and_can_be_deleted(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    saved_analyses(tmp_path, 60)
    app = opened("app.py")
    seen = saved_shown(app)
    assert app.button(key="icon_saved_Newer").disabled
    for _ in range(5):
        app.button(key="icon_saved_Older").click().run()
        seen += saved_shown(app)
    assert app.button(key="icon_saved_Older").disabled
    assert seen == [f"Take {number}" for number in reversed(range(60))]
    app.text_input(key="widget_saved_text").set_value("SAD take").run()
    assert saved_shown(app) == [f"Take {number}" for number in (50, 40, 30, 20, 10, 0)]
    app.button(key=f"icon_delete_{0:016x}-{'b' * 8}").click().run()
    assert saved_shown(app) == [f"Take {number}" for number in (50, 40, 30, 20, 10)]
    app.text_input(key="widget_saved_text").set_value("nothing like it").run()
    assert saved_shown(app) == []
    assert not app.exception


def test_a_saved_analysis_that_is_damaged_or_deleted_meanwhile_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    saved_analyses(tmp_path, 1)
    app = opened("app.py")
    (recording,) = tmp_path.rglob("recording.original")
    recording.unlink()
    os.mkfifo(recording)
    next(b for b in app.sidebar.button if (b.key or "").startswith("open_")).click().run()
    assert not app.exception
    assert "cannot be opened" in words(app) or any("cannot be opened" in e.value for e in app.error)


def test_results_of_one_visit_are_invisible_to_another(voice):

    first, second = with_recording("app.py", voice), with_recording("app.py", voice[:20_000])
    assert first.session_state["owner"] != second.session_state["owner"]
    keys = [key for owner, key in cached.jobs()._jobs if owner == first.session_state["owner"]]
    assert keys
    assert all(cached.jobs().find(second.session_state["owner"], key) is None for key in keys)


def test_a_pause_is_dropped_and_can_be_heard(voice):
    with_pause = np.concatenate([voice, 1e-4 * np.random.default_rng(0).standard_normal(20_000), voice])
    app = with_recording("pages/4_Select.py", with_pause)
    assert not app.exception
    dropped = next(int(m.value.strip("*").split()[1]) for m in app.markdown if m.value.startswith("**Dropped"))
    assert dropped >= 1
    assert len(app.get("audio")) == dropped


def test_the_papers_rule_drops_a_segment_even_if_all_are_alike(voice):
    app = with_recording("pages/4_Select.py", voice)
    assert "No segment is dropped" in words(app)
    app.get("button_group")[0].set_value("minmax").run()
    assert not app.exception
    assert "Dropped: 1" in words(app)


def test_two_segments_cannot_be_compared_and_the_page_says_so(voice):
    app = with_recording("pages/4_Select.py", voice[:20_000])
    assert "at least 3 are needed" in words(app)


def test_evaluate_gives_the_figures_of_the_model_that_is_chosen():
    app = opened("pages/6_Evaluate.py")
    first = [metric.value for metric in app.metric]
    app.selectbox(key="widget_model").select(model_names()[-1]).run()
    assert not app.exception
    assert [metric.value for metric in app.metric] != first
    card = read_card(find_model(model_names()[-1]))
    assert in_markdown(card.get("cross_validation", card)["split"]) in words(app)


def cell_of_confusion(acted: str, heard: str) -> AppTest:
    """Open the page Evaluate and choose a cell of the shown model by its two lists."""
    app = opened("pages/6_Evaluate.py")
    app.selectbox(key="widget_acted").select(acted).run()
    app.selectbox(key="widget_predicted").select(heard).run()
    assert not app.exception
    return app


def recordings_in_cell(acted: str, heard: str) -> Predictions:
    predictions = tables.read_test_predictions(find_model(model_names()[0]))
    return predictions.subset(indices_in_cell(predictions, acted, heard))


def test_no_cell_is_selected_at_first_and_the_page_says_how_to():
    app = opened("pages/6_Evaluate.py")
    assert "Click a cell" in words(app)
    app.selectbox(key="widget_acted").select("sad").run()
    assert "Click a cell" in words(app)
    assert not app.get("audio")


def test_recordings_of_a_cell_are_listed_without_their_corpora_and_the_page_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("SER_CORPORA", raising=False)
    app = cell_of_confusion("happy", "angry")
    cell = recordings_in_cell("happy", "angry")
    assert f"**{len(cell.labels)} recordings**" in words(app)
    listed = [m.value for m in app.markdown if "· speaker" in m.value]
    assert len(listed) == 10
    assert listed[0].endswith(f"angry {cell.probabilities[0, 0]:.2f}, happy {cell.probabilities[0, 1]:.2f}")
    assert "set SER_CORPORA to the folder that contains" in words(app)
    assert not app.get("audio")


def test_a_recording_missing_from_its_corpus_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_CORPORA", str(tmp_path))
    for corpus in set(recordings_in_cell("happy", "angry").corpora):
        (tmp_path / corpus).mkdir()
    app = cell_of_confusion("happy", "angry")
    assert words(app).count("Not among the files of") == 10
    assert "set SER_CORPORA" not in words(app)


def test_choosing_one_corpus_or_another_cell_lists_other_recordings(monkeypatch):
    monkeypatch.delenv("SER_CORPORA", raising=False)
    app = cell_of_confusion("happy", "angry")
    count = recordings_in_cell("happy", "angry").corpora.count("nemo")
    app.selectbox(key="evaluate_corpus").select("nemo").run()
    assert f"**{count} recordings**" in words(app)
    assert all("· nEMO ·" in m.value for m in app.markdown if "· speaker" in m.value)
    assert any("Why?" in one.value and "sidebar" in one.value for one in app.caption)  # another fold's model
    app.selectbox(key="widget_predicted").select("happy").run()
    found = [m.value for m in app.markdown if "· speaker" in m.value]
    assert found
    assert all("angry" not in one for one in found)


@pytest.mark.corpora
def test_a_recording_of_a_cell_is_played_and_leads_to_its_evidence_and_back(corpora):
    app = cell_of_confusion("happy", "angry")
    cell = recordings_in_cell("happy", "angry")
    assert len(app.get("audio")) == 10
    app.button(key=f"why_0_{cell.sha256[0]}").click().run()
    assert not app.exception
    assert app.title[0].value == "Explain"
    assert app.session_state["current"] == cell.sha256[0]
    choices = app.session_state["choices"]
    assert (choices["emotion"], choices["against"]) == ("angry", "happy")
    app.switch_page("pages/6_Evaluate.py").run()
    assert f"**{len(cell.labels)} recordings**" in words(app)


@pytest.mark.parametrize(
    "name",
    [
        "see http://evil.example/a",
        "HTTPS://evil.example",
        "www.evil.example",
        "WWW.evil.example",
        "(www.a.b)",
        "ann@example.org",
        "a_http://b.c",
        "mailto:a@b.cd",
        ":streamlit:",
        "a->b",
        "a--b",
        "<-",
        "speaker:1",
    ],
)
def test_a_name_is_no_markdown_link_and_reads_the_same(name):
    without_escapes = re.sub(r"\\(.)", r"\1", in_markdown(name))
    assert without_escapes.replace(WORD_JOINER, "") == name
    # GitHub's Markdown finds URLs in texts, and Streamlit's icons and arrows.
    found = r"(?:https?://|www(?=\.))[-.\w]+|[-.\w+]+@[-\w]+(?:\.[-\w]+)+|:\w+:|->|<-|--"
    assert not re.search(found, without_escapes, re.IGNORECASE)


def test_a_name_is_shown_literally_and_a_corpus_name_leads_to_no_other_folder(tmp_path, monkeypatch):
    from pages.shared.models import corpus_recordings

    assert in_markdown("![x](y) <b>\n# é_1") == r"\!\[x\]\(y\) \<b\> \# é\_1"
    (tmp_path / "corpora/own").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "corpora"))
    assert corpus_recordings.folder_of("own") == tmp_path / "corpora/own"
    assert [corpus_recordings.folder_of(name) for name in ("../secret", str(tmp_path), "", ".")] == [None] * 4


def made_up_table(emotions, wrong=(), speakers=4) -> Predictions:
    """A model in two corpora whose speakers act each emotion twice; some emotions are always mistaken."""
    rows = [
        (corpus, f"{corpus}:{speaker}", label)
        for corpus in ("large", "small")
        for speaker in range(speakers)
        for label in range(len(emotions))
        for _ in range(2)
    ]
    predicted = [(label + 1) % len(emotions) if emotions[label] in wrong else label for *_, label in rows]
    probabilities = np.full((len(rows), len(emotions)), 0.05)
    probabilities[np.arange(len(rows)), predicted] = 0.85
    return Predictions(
        emotions,
        tuple(f"{number:064x}" for number in range(len(rows))),
        *(tuple(row[column] for row in rows) for column in (0, 1)),
        ("",) * len(rows),
        np.array([label for *_, label in rows]),
        probabilities,
    )


@pytest.fixture
def own_models(tmp_path, monkeypatch):
    """Replace the shipped models by another folder; return it and a function that adds a made-up model."""
    shipped, folder = find_model(model_names()[0]), tmp_path / "models"
    for function in (model_names, models_left_out, find_model, load_model, read_result):
        monkeypatch.setattr(function, "__defaults__", (folder,))

    def add(name, tables, **card) -> None:
        own = folder / name
        own.mkdir(parents=True)
        (own / WEIGHTS).symlink_to(shipped / WEIGHTS)
        without = {k: value for k, value in read_card(shipped).items() if k not in ("cross_validation", "decoder")}
        (own / CARD).write_text(json.dumps(without | card))
        for file, table in tables.items():
            write_predictions(table, own / file)

    return folder, add


CORE4 = EMOTION_SETS["core4"]


def choice_of_tests(app: AppTest) -> list:
    return [group for group in app.get("button_group") if group.key == "evaluate_tested"]


def metrics(app: AppTest) -> list[str]:
    """Return UAR, recordings and speakers of the page's headline."""
    return [metric.value for metric in app.metric[:3]]


def test_a_model_that_cannot_be_loaded_is_not_offered_and_the_sidebar_says_why(own_models):
    _, add = own_models
    add("good", {})
    add("bad [one](x)", {})
    add("worse", {}, architecture="that nobody knows")
    app = opened("pages/6_Evaluate.py")
    assert not app.exception
    assert app.selectbox(key="widget_model").options == ["good"]
    captions = [caption.value for caption in app.sidebar.caption if "is not available" in caption.value]
    assert len(captions) == 2
    assert r"bad \[one\]" in captions[0]
    assert "that nobody knows" in captions[1]


def test_a_model_of_several_folds_shows_all_of_them_first_and_its_own_test_on_request(own_models):
    _, add = own_models
    tables = {TEST_TABLE: made_up_table(CORE4, speakers=1), FOLDS_TABLE: made_up_table(CORE4, wrong=["sad"])}
    add("several", tables, split="own split", cross_validation={"split": "speaker split, folds 1, 2 of 5"})
    app = opened("pages/6_Evaluate.py")
    assert metrics(app) == ["75.0 %", "64", "8"]
    assert in_markdown("speaker split, folds 1, 2 of 5: each speaker was held out from the model") in words(app)
    choice_of_tests(app)[0].set_value("this model's own test").run()
    assert not app.exception
    assert metrics(app) == ["100.0 %", "16", "2"]
    assert "Split: own split." in words(app)
    assert "folds 1" not in words(app)


def test_a_model_of_one_fold_offers_no_choice_of_tests(own_models):
    _, add = own_models
    add("single", {TEST_TABLE: made_up_table(CORE4)}, split="own split")
    app = opened("pages/6_Evaluate.py")
    assert not app.exception
    assert not choice_of_tests(app)
    assert metrics(app) == ["100.0 %", "64", "8"]
    assert "Split: own split." in words(app)


def test_two_models_are_compared_in_a_sentence_that_says_whether_they_differ(own_models):
    _, add = own_models
    poor = made_up_table(CORE4, wrong=["sad"])
    for name, table in (("poor", poor), ("sure_1_", made_up_table(CORE4)), ("too", poor)):
        add(name, {TEST_TABLE: table})
    add("six", {TEST_TABLE: made_up_table(EMOTION_SETS["six"])}, emotions=EMOTION_SETS["six"])
    app = opened("pages/6_Evaluate.py")
    assert "No model is chosen" in words(app)
    assert app.selectbox(key="evaluate_compared").value is None
    assert app.selectbox(key="evaluate_compared").options == ["sure_1_", "too"]
    app.selectbox(key="evaluate_compared").select("sure_1_").run()
    assert "No model is chosen" not in words(app)
    assert (
        r"poor minus sure\_1\_: **−25.0 points** of UAR, mean over large, small (95 % interval −25.0 to −25.0), on "
        r"64 recordings of 8 speakers that both were tested on. **sure\_1\_ is better:** the interval excludes zero."
    ) in words(app)
    app.selectbox(key="evaluate_compared").select("too").run()
    assert "poor minus too: **+0.0 points**" in words(app)
    assert "**No difference is shown:** the interval includes zero." in words(app)
    app.selectbox(key="widget_model").select("too").run()
    assert app.selectbox(key="evaluate_compared").value is None


def test_models_without_common_test_recordings_are_not_compared_and_the_page_says_so(own_models):
    _, add = own_models
    table = made_up_table(CORE4)
    add("a", {TEST_TABLE: table.subset(np.arange(64) < 32)})
    add("b", {TEST_TABLE: table.subset(np.arange(64) >= 32)})
    app = opened("pages/6_Evaluate.py")
    app.selectbox(key="evaluate_compared").select("b").run()
    assert not app.exception
    assert ["No recording was tested with both models" in error.value for error in app.error] == [True]


def in_corpora(table, names) -> Predictions:
    """The same table with other names for its two corpora."""
    other = dict(zip(("large", "small"), names, strict=True))
    corpora = tuple(other[corpus] for corpus in table.corpora)
    speakers = tuple(f"{other[speaker.split(':')[0]]}:{speaker.split(':')[1]}" for speaker in table.speakers)
    return replace(table, corpora=corpora, speakers=speakers)


def traces_of(app: AppTest) -> list[dict[str, dict]]:
    """The traces of each chart by their names."""
    charts = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    return [{trace["name"]: trace for trace in chart["data"] if trace.get("name")} for chart in charts]


def test_without_a_table_of_new_corpora_the_page_says_so_and_gives_the_command_that_makes_it(own_models):
    _, add = own_models
    add("single", {TEST_TABLE: made_up_table(CORE4)}, split="own split", corpora=["emodb", "nemo"])
    app = opened("pages/6_Evaluate.py")
    assert not app.exception
    assert "No figures for new corpora yet" in words(app)
    (code,) = [code.value for code in app.code if "--split corpus" in code.value]
    assert "train --split corpus --fold all --figures-of single --network" in code
    assert "--emotions core4" in code
    assert '--corpus "emodb=$SER_CORPORA/emodb" --corpus "nemo=$SER_CORPORA/nemo"' in code
    assert not [traces for traces in traces_of(app) if "new corpora" in traces]


def test_new_people_and_new_corpora_are_side_by_side_with_and_without_own_normal(own_models):
    folder, add = own_models
    named = ("crema_d", "korean_emotional_tts")
    right, poor = made_up_table(CORE4), made_up_table(CORE4, wrong=["sad", "happy"])
    only_large = np.array([corpus == "large" for corpus in right.corpora])
    # On new corpora half of the emotions are found in crema_d, all in the Korean one, whose words reveal them.
    mixed = replace(right, probabilities=np.where(only_large[:, None], poor.probabilities, right.probabilities))
    tables = {
        TEST_TABLE: right,
        FOLDS_TABLE: made_up_table(CORE4, wrong=["sad"]),
        FOLDS_VOICE_TABLE: right,
        CORPORA_TABLE: mixed,
        CORPORA_VOICE_TABLE: made_up_table(CORE4, wrong=["sad"]),
    }
    card = {"cross_validation": {"split": "speaker split, folds 1, 2 of 5"}}
    tables = {name: in_corpora(table, named) for name, table in tables.items()}
    add("whole", tables, **card)
    people = {"angry": 0.6, "happy": 0.2, "neutral": 1.0, "sad": 0.2, "fear": 0.9}
    write_result("listeners", {"corpora": {"crema_d": {"recall": people}}}, folder)
    app = opened("pages/6_Evaluate.py")
    assert not app.exception
    uars, reliability, abstention = traces_of(app)[:3]
    # By hand: the mean is of crema_d alone.
    expected = {
        "new people": [75, 75, 75],
        "new people, with own normal": [100, 100, 100],
        "new corpora": [50, 50, 100],
        "new corpora, with own normal": [75, 75, 75],
        "human listeners, voice alone": [50],
    }
    assert {name: numbers(trace["x"]) for name, trace in uars.items()} == expected
    # Every score is 0.85: of crema_d's answers to new corpora half are right.
    assert "new corpora, error 35.0 %" in reliability
    assert numbers(reliability["new corpora, error 35.0 %"]["y"]) == [0.5]
    assert set(numbers(abstention["new corpora"]["y"])) == {0.5}
    uar, error = (table.value.set_index(table.value.columns[0])["new corpora"] for table in app.table)
    assert (uar["mean"].split(" (")[0], error.to_dict()) == (
        "50.0 %",
        {"mean": "35.0 %", "CREMA\\-D": "35.0 %", "Korean Emotional TTS": "15.0 %"},
    )
    assert "Mean over CREMA\\-D. Not included: Korean Emotional TTS" in words(app)
    assert "The voice's own normal, new corpora: **+25.0 points** of UAR" in words(app)
    assert "human listeners, from the voice alone, reach a UAR of 50.0 %" in words(app)
    assert "No figures for new corpora yet" not in words(app)
    assert choice_of_tests(app)[0].options[:2] == ["all folds", "new corpora"]
    choice_of_tests(app)[0].set_value("new corpora").run()
    assert metrics(app)[0] == "75.0 %"  # as published: over both corpora, since these are not the four
    assert "without it: 50.0 %" in words(app)
    write_predictions(tables[TEST_TABLE], folder / "whole" / CORPORA_VOICE_TABLE)
    assert "The voice's own normal, new corpora: **+50.0 points** of UAR" in words(app.run())


def test_the_headline_of_the_four_corpora_leaves_out_the_one_whose_words_reveal_the_emotion(own_models):
    _, add = own_models
    parts = [
        in_corpora(made_up_table(CORE4), ("ravdess", "emodb")),
        in_corpora(made_up_table(CORE4), ("nemo", "crema_d")),
    ]
    apart = in_corpora(made_up_table(CORE4, wrong=["sad"]), ("korean_emotional_tts", "gone"))
    parts.append(apart.subset(np.array([corpus != "gone" for corpus in apart.corpora])))
    parts = [
        replace(part, sha256=tuple(f"{number}{sha256[1:]}" for sha256 in part.sha256))
        for number, part in enumerate(parts)
    ]
    add("new", {TEST_TABLE: concatenate(parts)}, split="own split")
    app = opened("pages/6_Evaluate.py")
    assert metrics(app)[0] == "100.0 %"
    assert "The mean leaves out Korean Emotional TTS" in words(app)


def selection_result(threshold, **recalls) -> dict:
    """A result of the selection experiment with made-up figures."""
    figures = all_figures(made_up_table(CORE4))

    def of(segments, seconds, uar, gain, interval, recall=None) -> dict:
        own = json.loads(json.dumps(figures)) | {"mean_over_corpora_uar": uar}
        own["pooled"] |= {"recall": recall or dict.fromkeys(CORE4, 0.5), "accuracy": uar + 0.01, "macro_f1": uar - 0.01}
        return {"segments": segments, "seconds": seconds, "figures": own, "gain": gain, "interval": interval}

    rules = {
        "none": of(1_000, 600, 0.70, 0.0, [0, 0]),
        "minmax": of(800, 450, 0.66, -0.04, [-0.06, -0.02], dict.fromkeys(CORE4, 0.4) | recalls),
        "random": of(800, 450, 0.69, -0.01, [-0.03, 0.01]),
    }
    rules["minmax"]["selected_test"] = figures | {"mean_over_corpora_uar": 0.651}
    beside = {"random": {"gain": -0.03, "interval": [-0.05, -0.01]}}
    return {"network": "yamnet", "folds": [1, 3], "threshold": threshold, "rules": rules, "minmax_minus": beside}


BANDS = {
    "model": "fusion",
    "corpora": ["emodb"],
    "band_hz": band_centres_hz(SpectrogramSettings()).round(1).tolist(),
    "emotions": {
        emotion: {
            "share": [0.01 * (place + 1)] * 32 + [-0.005] * 32,
            "centre_hz": 1_000.0 + 100 * place,
            "interval": [900.0, 2_000.0],
            "recordings": 10,
        }
        for place, emotion in enumerate(CORE4)
    },
}
BRANCHES = {
    "model": "fusion",
    "recordings": 12,
    "rank_correlation": -0.31,
    "quartiles": [-0.5, 0.1],
    "cells": {"vggish": [12, 8], "yamnet": [3, 2]},
    "example": {
        "score": 0.97,
        "emotion": "sad",
        "corpus": "emodb",
        "log_mel": [[float(band) for band in range(64)]] * 96,
        "maps": {"vggish": [[0.5] * 8] * 12, "yamnet": [[1.0, -4.0], [2.0, 0.0], [0.0, 0.0]]},
    },
}


def robustness_result(uar) -> dict:
    conditions = ("as recorded", "noise, 20 dB", "phone band")
    return {
        "split": "none of the 8 test speakers were trained on",
        "conditions": {
            condition: {"mean_over_corpora_uar": uar - 0.1 * place, "corpora": {"emodb": uar}}
            for place, condition in enumerate(conditions)
        },
    }


def experiments_of(results, own_models) -> AppTest:
    """Open the page Evaluate at its tab of experiments, with these results."""
    folder, add = own_models
    for name in ("fusion-made-up", "other"):
        add(name, {TEST_TABLE: made_up_table(CORE4)})
    for name, result in results.items():
        write_result(name, result, folder)
    app = at("pages/6_Evaluate.py")
    app.session_state["notice_read"] = True
    app.session_state["evaluate_tab"] = "Experiments"
    app.run()
    assert not app.exception
    return app


def numbers(values) -> list[float]:
    """Return numbers of a figure, which plotly may have packed, rounded."""
    if isinstance(values, dict):
        values = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return [round(float(value), 3) for value in values]


def figures_of(app: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.tabs[1].get("plotly_chart")]


def test_selection_is_shown_with_its_savings_costs_and_effect_on_each_emotion(own_models):
    results = {"selection-yamnet": selection_result(0.15, sad=0.3), "selection-fusion": selection_result(0.2)}
    del results["selection-fusion"]["rules"]["random"]
    app = experiments_of(results, own_models)
    saving, cost, recalls, networks = figures_of(app)
    names = ["all segments", "data selection", "random ones dropped"]
    segments, minutes = saving["data"]
    assert (segments["y"], numbers(segments["x"])) == (names, [1_000, 800, 800])
    assert (minutes["y"], numbers(minutes["x"])) == (names, [10, 7.5, 7.5])
    assert segments["text"] == ["1,000", "800 (−20 %)", "800 (−20 %)"]
    uar, difference = cost["data"]
    assert numbers(uar["x"]) == [70, 66, 69]
    assert (difference["y"], numbers(difference["x"])) == (names[1:], [-4, -1])
    assert numbers(difference["error_x"]["array"]) == numbers(difference["error_x"]["arrayminus"]) == [2, 2]
    of_emotions = {trace["y"][0]: trace for trace in recalls["data"] if "y" in trace and trace["y"][0]}
    assert {name: numbers(trace["x"]) for name, trace in of_emotions.items()} == {
        "angry": [50, 40],
        "happy": [50, 40],
        "neutral": [50, 40],
        "sad": [50, 30],
    }
    assert all(trace["line"]["color"] == COLOURS[name] for name, trace in of_emotions.items())
    measured = [(t["y"][0], numbers(t["x"])) for t in networks["data"] if "y" in t and t["y"][0]]
    assert sorted(measured) == sorted([(n, x) for n in ("YAMNet", "fusion") for x in ([71, 67], [70, 66], [69, 65])])
    assert "changes the UAR by −4.0 points (−6.0 to −2.0)." in words(app)
    assert "*random segments*: −3.0 points (−5.0 to −1.0)." in words(app)
    assert "threshold is 0.15" in words(app)
    assert "Tested on folds 1, 3 of 5" in words(app)
    assert "the UAR is 65.1 %" in words(app)
    next(group for group in app.get("button_group") if group.key == "evaluate_selection").set_value("fusion").run()
    assert not app.exception
    assert "threshold is 0.2," in words(app)


def test_bands_are_shown_signed_over_hz_with_each_emotions_centre_of_evidence(own_models):
    app = experiments_of({"bands": BANDS}, own_models)
    (figure,) = figures_of(app)
    for place, emotion in enumerate(CORE4):
        line, centre = (trace for trace in figure["data"] if trace.get("name") == emotion or trace["y"] == [emotion])
        assert numbers(line["y"]) == [place + 1] * 32 + [-0.5] * 32
        assert line["line"]["color"] == centre["marker"]["color"] == COLOURS[emotion]
        assert centre["customdata"][0] == [1_000 + 100 * place, 900, 2_000]
        hz = np.interp(numbers(centre["x"]), np.arange(64), BANDS["band_hz"])
        assert hz == pytest.approx([1_000 + 100 * place], abs=1)
    assert figure["layout"]["xaxis"]["ticktext"] == ["250", "500", "1k", "2k", "4k", "7k"]
    assert figure["layout"]["xaxis2"]["title"]["text"] == "Hz"
    assert "on 40 held-out recordings of EMO\\-DB" in words(app)


def test_both_branches_are_drawn_in_their_own_cells_on_the_segments_axes(own_models):
    app = experiments_of({"branches": BRANCHES}, own_models)
    segment, vggish, yamnet = figures_of(app)
    assert [len(figure["data"][0]["x"]["bdata"]) > 0 for figure in (segment, vggish, yamnet)] == [True] * 3
    for figure, cells in ((vggish, (12, 8)), (yamnet, (3, 2))):
        (heat,) = figure["data"]
        assert numbers(heat["x"]) == numbers(np.linspace(0, 0.96, cells[0] + 1))
        assert numbers(heat["y"]) == numbers(np.linspace(-0.5, 63.5, cells[1] + 1))
        assert (heat["zmin"], heat["zmax"]) == (-1, 1)
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["range"] == segment["layout"][axis]["range"]
    z = yamnet["data"][0]["z"]
    assert numbers(z) == [0.25, 0.5, 0, -1, 0, 0]
    sentence = "**−0.31**, the median of 12 recordings (quartiles −0.50 to 0.10): the branches use opposite parts."
    assert sentence in words(app)
    assert "fusion is surest of: sad, score 0.97, from EMO\\-DB." in words(app)


def test_robustness_is_shown_for_each_measured_model_starting_with_as_recorded(own_models):
    results = {"robustness-fusion-made-up": robustness_result(0.8), "robustness-other": robustness_result(0.6)}
    app = experiments_of(results, own_models)
    (figure,) = figures_of(app)
    assert [trace["name"] for trace in figure["data"]] == ["fusion-made-up", "other"]
    assert [numbers(trace["x"]) for trace in figure["data"]] == [[80, 70, 60], [60, 50, 40]]
    assert [trace["y"] for trace in figure["data"]] == [["as recorded", "noise, 20 dB", "phone band"]] * 2
    low, high = figure["layout"]["yaxis"]["range"]
    assert low > high
    assert words(app).count("none of the 8 test speakers were trained on") == 2


def test_missing_experiments_are_listed_with_the_commands_that_run_them(own_models, monkeypatch):
    monkeypatch.delenv("SER_CORPORA", raising=False)
    app = experiments_of({"robustness-other": robustness_result(0.6)}, own_models)
    assert len(figures_of(app)) == 1
    assert words(app).count("No results yet") == 5
    assert ["No results yet" in expander.label for expander in app.tabs[1].expander] == [True]
    lines = [line for code in app.tabs[1].code for line in code.value.splitlines()]
    assert [line.partition("python -m ser_core ")[2].partition(" --corpus")[0] for line in lines] == [
        "compare --models all --split speaker",
        "experiment selection --network vggish",
        "experiment selection --network yamnet",
        "experiment selection --network fusion",
        "experiment bands",
        "experiment branches",
        "experiment robustness --model fusion-made-up",
        "experiment content --model fusion-made-up",
    ]
    parser = argparse.ArgumentParser()
    subcommands = parser.add_subparsers()
    experiment_command.add(subcommands)
    compare_command.add(subcommands)
    for line in lines:
        assert parser.parse_args(shlex.split(line)[3:]).corpus == [("NAME", "FOLDER")]


def compared(uar: float, **more) -> dict:
    interval = [uar - 0.05, uar + 0.05]
    recall = dict.fromkeys(CORE4, uar)
    figures = {"uar": uar, "corpora": {"emodb": uar}, "accuracy": uar, "recall": recall, "interval": interval}
    cost = {"numbers": 1_500_000, "training_seconds": 90, "learnt_from": None, "milliseconds": 12.3, "folds": None}
    rest = {"gain": 0.7 - uar, "gain_interval": [0.6 - uar, 0.8 - uar], "macro_average_accuracy": 0.9, "auroc": None}
    return figures | cost | rest | {"architecture": "yamnet"} | more


def test_models_are_drawn_best_first_with_ours_apart_from_peers(own_models):
    models = {"other": compared(0.7), "forest": compared(0.5, architecture="cnn_forest", learnt_from="cnn_dense")}
    split = {"split": "speaker-disjoint", "recordings": 8, "speakers": 4, "machine": "x", "timed_recordings": 4}
    result = split | {"models": dict(reversed(models.items())), "left_out": {"six": "six tells <b>others</b> apart."}}
    app = experiments_of({"models": result}, own_models)
    ours, peers = figures_of(app)[0]["data"]
    assert (ours["y"], numbers(ours["x"]), numbers(ours["error_x"]["array"])) == (["other"], [70], [5])
    assert (peers["y"], numbers(peers["x"])) == (["forest"], [50])
    table = app.tabs[1].dataframe[0].value
    assert table["model"].tolist() == ["other", "forest"]
    # The others are compared with the first, whose own row has no comparison.
    assert table["behind"].tolist() == ["+0.0 (\N{MINUS SIGN}10.0 to +10.0)", ""]
    assert (table["training"][1], table["after"][1], table["milliseconds"][1]) == (1.5, "cnn_dense", 12)
    assert f"Without six: {in_markdown('six tells <b>others</b> apart.')}" in words(app)


def test_a_damaged_experiment_is_refused_in_one_sentence_and_the_others_are_shown(own_models):
    results = {name: {} for name in ("models", "bands", "branches", "selection-yamnet", "robustness-other")}
    folder, _ = own_models
    app = experiments_of(results | {"robustness-fusion-made-up": robustness_result(0.6)}, own_models)
    for content in ("{", "{}", "[]", '{"emotions": {"furious": 1}}', '"words"'):
        for name in results:
            (folder / "experiments" / f"{name}.json").write_text(content)
        app.run()
        assert not app.exception
        assert [error.value.partition(r"\.json is damaged")[0] for error in app.error] == [
            in_markdown(name) for name in ("models", "selection-yamnet", "bands", "branches", "robustness-other")
        ]
        assert len(figures_of(app)) == 1


def test_only_the_tab_that_is_open_is_drawn(own_models):
    app = experiments_of({"bands": BANDS}, own_models)
    assert not app.metric
    app.session_state["evaluate_tab"] = "Figures"
    app.run()
    assert app.metric
    assert not figures_of(app)


def test_training_is_not_offered_without_a_corpus_and_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("SER_CORPORA", raising=False)
    app = opened("pages/5_Train.py")
    assert "at least one corpus" in words(app)
    assert next(button for button in app.button if button.label == "Train").disabled


def test_a_shipped_model_is_never_trained_over(tmp_path):
    app = opened("pages/5_Train.py")
    app.multiselect(key="train_corpora").set_value(["emodb"]).run()
    app.text_input(key="train_folder_emodb").set_value(str(tmp_path)).run()
    app.text_input(key="train_name").set_value("fusion").run()
    assert "other than those of the shipped models" in words(app)
    assert next(button for button in app.button if button.label == "Train").disabled


@pytest.fixture
def form_of_training(tmp_path, monkeypatch):
    """The page Train with two corpora, and the list of what its form has returned."""
    from pages.shared.models import training_form

    returned, ask = [], training_form.training_arguments
    monkeypatch.setattr(
        training_form, "training_arguments", lambda folders: returned.append(ask(folders)) or returned[-1]
    )
    monkeypatch.delenv("SER_CORPORA", raising=False)
    monkeypatch.setenv("SER_YAMNET_WEIGHTS", "weights")
    app = at("pages/5_Train.py")
    app.session_state["notice_read"] = True
    app.session_state["train_corpora"] = ["nemo", "emodb"]
    for name in ("nemo", "emodb"):
        app.session_state[f"train_folder_{name}"] = str(tmp_path)
    return app.run(), returned


def parsed(arguments):
    """Return the arguments as the command line parses them."""
    parser = argparse.ArgumentParser()
    train_command.add(parser.add_subparsers())
    return parser.parse_args(["train", *arguments])


def test_train_suggests_the_first_fold_of_four_emotions_by_default(form_of_training, tmp_path):
    app, returned = form_of_training
    assert not app.exception
    plan = parsed(returned[-1])
    assert plan.corpus == [("nemo", str(tmp_path)), ("emodb", str(tmp_path))]
    assert (plan.network, plan.emotions, plan.preset, plan.split, plan.fold) == (
        "whisper",
        "core4",
        "default",
        "speaker",
        "1",
    )
    assert (plan.warm_start, plan.epochs, plan.resume, plan.out.name) == (None, None, True, "mine")
    assert "train_preset" not in [one.key for one in app.selectbox]  # presets are of trainings by gradient descent


def test_every_choice_on_train_is_an_argument_of_the_command(form_of_training):
    app, returned = form_of_training
    app.selectbox(key="train_network").select("fusion").run()
    app.selectbox(key="train_emotions").select("six").run()
    app.selectbox(key="train_preset").select("paper").run()
    app.selectbox(key="train_fold_speaker").select("all").run()
    app.selectbox(key="train_begin").select("fusion").run()
    app.number_input(key="train_epochs").set_value(7).run()
    app.toggle(key="train_resume").set_value(False).run()
    assert not app.exception
    plan = parsed(returned[-1])
    assert (plan.network, plan.emotions, plan.preset, plan.fold) == ("fusion", "six", "paper", "all")
    assert (plan.warm_start, plan.epochs, plan.resume) == ("fusion", 7, False)
    assert ["The people that fusion was trained on are left out" in warning.value for warning in app.warning] == [True]


def test_a_peer_is_trained_like_any_network_and_an_estimator_has_no_warm_start(form_of_training):
    app, returned = form_of_training
    app.selectbox(key="train_network").select("resnet").run()
    app.number_input(key="train_epochs").set_value(3).run()
    assert not app.exception
    assert (parsed(returned[-1]).network, parsed(returned[-1]).epochs) == ("resnet", 3)
    assert app.selectbox(key="train_begin").options[0] == "random weights"
    app.selectbox(key="train_network").select("mfcc_svm").run()
    assert not app.exception
    assert app.selectbox(key="train_begin").options == ["random weights"]
    assert app.number_input(key="train_epochs").disabled
    assert (parsed(returned[-1]).network, parsed(returned[-1]).epochs) == ("mfcc_svm", None)


def test_whisper_is_trained_without_epochs_and_on_all_folds_without_a_warning(form_of_training, monkeypatch):
    app, returned = form_of_training
    monkeypatch.delenv("SER_WHISPER_WEIGHTS", raising=False)
    app.selectbox(key="train_network").select("yamnet").run()
    app.number_input(key="train_epochs").set_value(3).run()
    app.selectbox(key="train_network").select("whisper").run()
    app.selectbox(key="train_fold_speaker").select("all").run()
    assert not app.exception
    assert app.number_input(key="train_epochs").disabled
    assert app.selectbox(key="train_begin").options[0] == "the shipped Whisper"
    assert not app.warning
    plan = parsed(returned[-1])
    assert (plan.network, plan.epochs, plan.fold) == ("whisper", None, "all")
    monkeypatch.setenv("SER_WHISPER_WEIGHTS", "weights")
    app.run()
    assert app.selectbox(key="train_begin").options[0] == "Whisper base"


def test_the_test_of_another_corpus_is_chosen_by_its_name_in_the_order_of_the_command(form_of_training):
    app, returned = form_of_training
    app.selectbox(key="train_split").select("corpus").run()
    assert app.selectbox(key="train_fold_corpus").options == ["EMO-DB", "nEMO", "all 2 in turn"]
    app.selectbox(key="train_fold_corpus").select("2").run()
    plan = parsed(returned[-1])
    assert (plan.split, plan.fold) == ("corpus", "2")
    app.selectbox(key="train_split").select("sentence").run()
    assert app.selectbox(key="train_fold_sentence").options == [*(f"{n} of 5" for n in range(1, 6)), "all 5 in turn"]
    app.selectbox(key="train_fold_sentence").select("4").run()
    plan = parsed(returned[-1])
    assert (plan.split, plan.fold) == ("sentence", "4")
    app.selectbox(key="train_split").select("random").run()
    assert app.selectbox(key="train_fold_random").disabled
    plan = parsed(returned[-1])
    assert (plan.split, plan.fold) == ("random", "1")


def test_only_models_with_the_trained_branches_are_offered_as_a_warm_start(form_of_training, monkeypatch):
    app, returned = form_of_training
    app.selectbox(key="train_network").select("yamnet").run()
    assert app.selectbox(key="train_preset").value == "default"
    begin = app.selectbox(key="train_begin")
    assert begin.options[0] == "AudioSet weights"
    assert {"fusion", "yamnet"} <= set(begin.options)
    begin.select("yamnet").run()
    assert parsed(returned[-1]).warm_start == "yamnet"
    app.selectbox(key="train_network").select("vggish").run()
    assert not app.exception
    assert "yamnet" not in app.selectbox(key="train_begin").options
    assert parsed(returned[-1]).warm_start is None
    monkeypatch.delenv("SER_YAMNET_WEIGHTS")
    app.run()
    assert app.selectbox(key="train_begin").options[0] == "the shipped YAMNet"


def test_training_all_folds_from_a_model_that_knows_them_shows_a_warning(form_of_training, monkeypatch):
    app, _ = form_of_training
    app.selectbox(key="train_network").select("yamnet").run()
    app.selectbox(key="train_fold_speaker").select("all").run()
    assert not app.warning
    monkeypatch.delenv("SER_YAMNET_WEIGHTS")
    app.run()
    assert ["SER_YAMNET_WEIGHTS" in warning.value.replace("\\", "") for warning in app.warning] == [True]


def corpora_of_train(monkeypatch, **folders) -> AppTest:
    """Open the page Train at its tab of corpora, with a folder for each."""
    monkeypatch.delenv("SER_CORPORA", raising=False)
    app = at("pages/5_Train.py")
    app.session_state["notice_read"] = True
    app.session_state["train_tab"] = "Corpora"
    app.session_state["train_corpora"] = list(folders)
    for name, folder in folders.items():
        app.session_state[f"train_folder_{name}"] = str(folder)
    return app.run()


def charts_of(app: AppTest) -> list[dict]:
    """Return the pictures in the tab of corpora: emotions, durations, speakers."""
    return [json.loads(chart.proto.spec) for chart in app.tabs[1].get("plotly_chart")]


def test_train_counts_shows_and_plays_the_recordings_of_a_corpus(small_corpus, monkeypatch):
    app = corpora_of_train(monkeypatch, emodb=small_corpus)
    assert not app.exception
    (row,) = app.dataframe[0].value.to_dict("records")
    minutes = row.pop("minutes")
    assert minutes == round(5 * 2 * (1.0 + 1.1 + 1.2 + 1.3) / 60, 1)
    assert row == {
        "corpus": "EMO-DB",
        "language": "German",
        "recordings": 40,
        "speakers": 5,
        "emotions": 4,
        "sentences": 4,
        "left out": 0,
        "unreadable": 0,
    }
    emotions, durations, speakers = charts_of(app)
    assert emotions["data"][0]["y"] == ["angry", "happy", "neutral", "sad"]
    assert emotions["data"][0]["x"] == [10, 10, 10, 10]
    assert emotions["data"][0]["marker"]["color"] == [COLOURS[name] for name in emotions["data"][0]["y"]]
    assert durations["layout"]["xaxis"]["title"]["text"] == "Duration (s)"
    assert [box["marker"]["color"] for box in durations["data"]] == emotions["data"][0]["marker"]["color"]
    people = sorted({file.name[:2] for file in small_corpus.iterdir()})
    assert all(bars["x"] == people and bars["y"] == [2] * 5 for bars in speakers["data"])
    assert speakers["layout"]["xaxis"]["type"] == "category"
    assert app.selectbox(key="corpora_file").options == [f"{people[0]}a01Wa.wav", f"{people[0]}a01Wb.wav"]
    app.selectbox(key="corpora_speaker").select(f"emodb:{people[2]}").run()
    app.selectbox(key="corpora_emotion").select("sad").run()
    assert not app.exception
    assert app.selectbox(key="corpora_file").options == [f"{people[2]}a04Ta.wav", f"{people[2]}a04Tb.wav"]
    assert len(app.get("audio")) == 1


def test_train_shows_another_corpus_when_it_is_chosen_and_sums_up_both(small_corpus, tmp_path, monkeypatch):
    for name in ("SM0_fear_1.wav", "SM0_fear_2.wav", "EB0_anger_1.wav"):
        (tmp_path / name).write_bytes(wav(np.full(16_000, 0.1)))
    app = corpora_of_train(monkeypatch, emodb=small_corpus, nemo=tmp_path)
    assert "In total 43 recordings of 7 speakers" in words(app)
    app.selectbox(key="corpora_emotion").select("sad").run()
    app.selectbox(key="corpora_name").select("nemo").run()
    assert not app.exception
    assert app.selectbox(key="corpora_emotion").options == ["angry", "fear"]
    assert app.selectbox(key="corpora_speaker").options == ["EB0"]
    assert app.selectbox(key="corpora_file").options == ["EB0_anger_1.wav"]


def test_train_names_the_first_left_out_files_and_all_unreadable_ones(tmp_path, monkeypatch):
    (tmp_path / "03a01Fa.wav").write_bytes(wav(np.full(16_000, 0.1)))
    (tmp_path / "16b10Wb.wav").write_bytes(b"not audio at all, only words")
    for number in range(60):
        (tmp_path / f"03a{number:02}La.wav").touch()
    app = corpora_of_train(monkeypatch, emodb=tmp_path)
    assert not app.exception
    assert app.dataframe[0].value.loc[0, ["recordings", "left out", "unreadable"]].tolist() == [2, 60, 1]
    assert app.dataframe[1].value.to_numpy().tolist() == [
        ["cannot be read", 1],
        ["boredom, which no emotion set holds", 60],
    ]
    named = app.dataframe[2].value
    assert (len(named), named.loc[0, "file"], named.loc[1, "file"]) == (50, "16b10Wb.wav", "03a00La.wav")
    assert "not readable audio" in named.loc[0, "reason"]
    assert "And 11 more" in words(app)
    app.selectbox(key="corpora_emotion").select("angry").run()
    assert ["not readable audio" in error.value for error in app.error] == [True]
    assert not app.get("audio")


def test_train_refuses_a_folder_without_the_corpus_and_shows_the_others(small_corpus, tmp_path, monkeypatch):
    app = corpora_of_train(monkeypatch, emodb=small_corpus, nemo=tmp_path)
    assert not app.exception
    assert ["No audio was found under" in error.value for error in app.error] == [True]
    assert app.dataframe[0].value["corpus"].tolist() == ["EMO-DB"]


@pytest.mark.parametrize("folder", ["", "/nowhere/at/all", "n" * 5_000], ids=["none", "gone", "too long"])
def test_train_asks_for_a_missing_folder_above_both_tabs(folder, monkeypatch):
    app = corpora_of_train(monkeypatch, emodb=folder)
    assert not app.exception
    assert not app.error
    assert "Enter the folder of EMO-DB" in words(app)
    assert not app.dataframe
    assert next(button for button in app.button if button.label == "Train").disabled


def test_train_shows_names_of_files_literally_and_never_as_markup(tmp_path, monkeypatch):
    sound = wav(np.full(16_000, 0.1))
    (tmp_path / "<b>A&B_anger_1.wav").write_bytes(sound)
    (tmp_path / "![x](y)_anger_2.wav").write_bytes(b"not audio at all, only words")
    for name in (b"B\xff_anger_1.wav", b"\xff.wav"):
        path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
        Path(path).write_bytes(sound)
    app = corpora_of_train(monkeypatch, nemo=tmp_path)
    assert not app.exception
    assert app.selectbox(key="corpora_speaker").options == ["![x](y)", "<b>A&B", "B\\udcff"]
    assert app.dataframe[2].value["file"].tolist() == ["![x](y)_anger_2.wav", "\\udcff.wav"]
    assert charts_of(app)[2]["data"][0]["x"] == ["![x](y)", "&lt;b&gt;A&amp;B", "B\\udcff"]
    assert [r"\!\[x\]\(y\)" in error.value for error in app.error] == [True]
    app.selectbox(key="corpora_speaker").select("nemo:B\udcff").run()
    assert not app.exception
    assert len(app.get("audio")) == 1


def test_train_counts_again_on_read_again(tmp_path, monkeypatch):
    (tmp_path / "SM0_fear_1.wav").write_bytes(wav(np.full(16_000, 0.1)))
    app = corpora_of_train(monkeypatch, nemo=tmp_path)
    (tmp_path / "SM0_fear_2.wav").write_bytes(wav(np.full(16_000, 0.1)))
    app.run()
    assert app.dataframe[0].value["recordings"].tolist() == [1]
    next(button for button in app.button if button.label == "Read again").click().run()
    assert app.dataframe[0].value["recordings"].tolist() == [2]


def test_train_reads_no_corpus_before_its_tab_is_opened(small_corpus, monkeypatch):
    app = corpora_of_train(monkeypatch, emodb=small_corpus)
    assert app.dataframe
    app.session_state["train_tab"] = "Train"
    app.run()
    assert not app.dataframe
    assert not next(button for button in app.button if button.label == "Train").disabled


def test_a_sample_chosen_after_an_upload_is_shown_and_the_upload_stays_in_the_list(voice):
    if not available_samples():
        pytest.skip("the samples were not fetched")
    app = opened("app.py")
    app.file_uploader[0].upload("voice.wav", wav(voice), "audio/wav").run()
    app = finished(app)
    app.button(key=f"sample_{available_samples()[1].number}").click().run()
    app = finished(app)
    assert [header.value for header in app.header] == [in_markdown("Austen 2.wav")]
    assert len(app.session_state["held"]) == 2


def test_a_refusal_stays_visible_as_long_as_the_file(voice):
    app = opened("app.py")
    app.file_uploader[0].upload("speech.wav", b"only words", "audio/wav").run()
    app.run()
    assert ["audio" in error.value for error in app.error] == [True]


# --- models of others ---


@pytest.fixture
def only_onnx_model(monkeypatch):
    """An ONNX model of whole recordings, the only one in the list."""
    from pages.shared import controls
    from tests.test_onnx_classifier import classifier_of, onnx_model

    classifier = classifier_of(onnx_model(), frames=None)
    monkeypatch.setattr(controls, "model_names", lambda: ["theirs"])
    monkeypatch.setattr(cached, "load_model", lambda name: classifier)
    monkeypatch.setattr(cached, "find_model", Path)
    cached._model.clear()
    yield classifier
    cached._model.clear()


def test_a_model_without_maps_is_explained_by_the_others_and_the_page_says_why(only_onnx_model, voice):
    app = with_recording("pages/1_Explain.py", voice[:24_000])
    assert not app.exception
    figure = app.get("plotly_chart")[0].proto.spec
    assert all(name in figure for name in ("LIME", "Occlusion", "Consensus"))
    assert "Grad-CAM" not in figure
    assert in_markdown(grad_cam_refusal(only_onnx_model)) in words(app)
    assert [metric.label for metric in app.metric] == ["LIME and Occlusion"]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("app.py", "Scores of the emotions: angry 0.99"),
        ("pages/2_Listen.py", "it has no feature map whose gradient could be taken"),
        ("pages/4_Select.py", "theirs classifies whole recordings"),
    ],
)
def test_a_model_of_whole_recordings_works_on_every_page(only_onnx_model, voice, page, said):
    app = with_recording(page, voice[:24_000])
    assert not app.exception
    assert not app.error
    charts = " ".join(chart.proto.spec for chart in app.get("plotly_chart"))
    choices = " ".join(str(group.options) for group in app.get("button_group"))
    assert said in words(app) + charts + choices
    assert "Grad-CAM" not in choices


def test_a_model_that_was_never_tested_says_so_on_page_evaluate(only_onnx_model, monkeypatch, tmp_path):
    (tmp_path / "card.json").write_text('{"emotions": ["angry", "sad"], "temperature": 1.0}')
    monkeypatch.setattr("ser_core.model.shipped_models.model_names", lambda: ["theirs"])
    monkeypatch.setattr("ser_core.model.shipped_models.find_model", lambda name: tmp_path)
    app = opened("pages/6_Evaluate.py")
    assert not app.exception
    assert ["it was not trained here" in error.value for error in app.error] == [True]


# --- words on the page Listen ---


class Whisper:
    """Transcribes two words, and is sure that they are Polish unless a language is given."""

    def __init__(self, last_s):
        self.last_s = last_s

    def transcribe(self, audio, language, **_):
        words = [
            SimpleNamespace(start=at, end=at + 0.2, word=word, probability=0.9)
            for at, word in ((0.1, " *na*"), (self.last_s - 0.4, " pewno."))
        ]
        segment = SimpleNamespace(
            words=words, start=0.1, end=self.last_s, avg_logprob=-0.1, compression_ratio=1.0, no_speech_prob=0.0
        )
        return [segment], SimpleNamespace(language=language or "pl", language_probability=0.97)


def pressed(app: AppTest, label: str) -> AppTest:
    app.button(key=next(button.key for button in app.button if button.label == label)).click()
    return finished(app.run())


def test_words_are_transcribed_on_request_and_given_words_take_precedence(voice, monkeypatch, tmp_path):
    monkeypatch.delenv("SER_WORD_MODEL", raising=False)
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    monkeypatch.setattr(transcribing, "load_word_model", lambda folder: Whisper(0.9))
    monkeypatch.setattr(transcription, "detect_speech", lambda recording: np.ones(32, bool))
    monkeypatch.setattr(transcribing, "word_model", transcribing.word_model.__wrapped__)
    app = with_recording("pages/2_Listen.py", voice[:16_000])
    assert any("SER_WORD_MODEL" in info.value for info in app.info)
    assert [button.label for button in app.button if "145 MB" in button.label]
    assert rows_of_word_tables(app) == []
    app = pressed(app, "Type the words")
    assert rows_of_word_tables(app) == [[]]
    app = pressed(app, "Forget the words")
    assert rows_of_word_tables(app) == []
    for name in ("config.json", "tokenizer.json", "model.bin"):
        (tmp_path / name).touch()
    monkeypatch.setenv("SER_WORD_MODEL", str(tmp_path))
    app = finished(app.run())
    assert not [job for job in all_jobs(app) if job.key[0] in ("word model", "transcribe", "words")]

    app = pressed(app, "Find the words that decide")
    assert not app.exception
    shown = shown_by_player(app)["words"]
    assert [one["label"] for one in shown] == ["*na*", "pewno."]
    assert max(abs(one["share"]) for one in shown) == pytest.approx(1)
    assert all(one["figure"] in one["note"] for one in shown)
    assert any(one["focus"] for one in shown) == ("**Focus on:** *" in words(app))
    (language,) = [box for box in app.main.selectbox if box.label == "Language"]
    assert "Polish (found, 97 %)" in language.options
    app = finished(language.set_value("de").run())
    assert [job.key[2] for job in all_jobs(app) if job.key[0] == "transcribe"] == [None, "de"]

    again = saved_and_reopened(app, monkeypatch)
    assert shown_by_player(again)["words"] == shown_by_player(app)["words"]
    assert [box.value for box in again.main.selectbox if box.label == "Language"] == ["de"]

    app.file_uploader[0].set_value(("words.csv", b"start_s,end_s,word\n0.2,0.9,mine\n", "text/csv"))
    app = finished(app.run())
    (mine,) = shown_by_player(app)["words"]
    assert (mine["label"], abs(mine["share"])) == ("mine", pytest.approx(1))
    assert not [box for box in app.main.selectbox if box.label == "Language"]
    assert shown_by_player(saved_and_reopened(app, monkeypatch))["words"] == [mine]


def rows_of_word_tables(app: AppTest) -> list[list[dict]]:
    components = [json.loads(one.proto.json or "{}") for one in app.get("bidi_component")]
    return [one["rows"] for one in components if "rows" in one]


def saved_and_reopened(app: AppTest, monkeypatch) -> AppTest:
    """Save, and return the page of another visit that opens the analysis without a word model."""
    next(button for button in app.button if button.label == "Save").click().run()
    with monkeypatch.context() as nothing_computes:
        nothing_computes.delenv("SER_WORD_MODEL")
        nothing_computes.delattr(transcribing, "explain_words")
        nothing_computes.delattr(transcribing, "transcribe")
        other = opened("pages/2_Listen.py")
        next(button for button in other.button if (button.key or "").startswith("open_")).click().run()
        other = finished(other)
    assert not other.exception
    assert not other.error
    return other


def test_an_edited_table_gives_sorted_words():
    table = [("sure", 0.5, 0.9), (" for  ", 0.1, 0.5)]
    assert words_of_rows(table) == (Region(0.1, 0.5, label="for"), Region(0.5, 0.9, label="sure"))
    with pytest.raises(SettingsRefused, match="end after its start"):
        words_of_rows([("sure", 0.5, 0.4)])
    assert words_of_rows(table, from_s=0.1) == (Region(0, 0.4, label="for"), Region(0.4, 0.8, label="sure"))
    with pytest.raises(SettingsRefused, match=r"'for' begins at 0\.1 s.* begin at 0\.3 s"):
        words_of_rows(table, from_s=0.3)
    with pytest.raises(SettingsRefused, match=r"-0\.1"):
        words_of_rows([("for", -0.1, 0.5)])
