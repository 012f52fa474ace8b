"""The sidebar's *Voice*: recordings of one person, and every page judging by that voice's own normal."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pages.shared.recording.open_recordings import Held
from pages.shared.session import CHOICES
from ser_core import pipeline
from ser_core.annotations.saved_sounds import save_sound
from ser_core.annotations.store.database import default_url
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import open_store
from ser_core.audio.reading import read_recording
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.voice import voice_share
from ser_core.pipeline import classify_recording
from ser_core.pipeline.voice import speaker_normal
from ser_core.settings import AnalysisSettings, FrontEnd, SelectionSettings, VoiceSettings
from tests.test_pages import all_jobs, at, finished, wav, words
from tests.tiny_networks import EMOTIONS, TinyNetwork, fresh

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Streamlit's own test runner

#: For any recordings.
SHRUNK = VoiceSettings(shrinkage_recordings=2.0, one_emotion_spread=-2.0, mixed_spread=-1.0)


def tiny(name, kind, voice=None):
    front_end = FrontEnd(selection=SelectionSettings("none"))
    about = {"sha256": f"{name:0>64}", "emotions": EMOTIONS, "front_end": front_end}
    return NetworkClassifier(fresh(kind), name=name, voice=voice, **about)


@pytest.fixture
def models(monkeypatch):
    """Two models: one that can judge a voice by its own normal, and one that cannot."""
    from pages.shared import cached, controls
    from pages.shared.evidence import compared_models

    found = {"voiced": tiny("voiced", TinyNetwork, SHRUNK), "plain": tiny("plain", TinyNetwork)}
    for module in (compared_models, controls):
        monkeypatch.setattr(module, "model_names", lambda: list(found))
    monkeypatch.setattr(compared_models, "emotions_of", lambda name: found[name].emotions)
    monkeypatch.setattr(cached, "load_model", found.__getitem__)
    monkeypatch.setattr(cached, "find_model", Path)
    cached._model.clear()
    yield found
    cached._model.clear()


@pytest.fixture(scope="module")
def recordings(make_voice):
    """Three recordings and their files; the last one is the current one."""
    sources = {f"take {seed}.wav": wav(make_voice(1.5 + seed / 4, 16_000, seed=seed)) for seed in (1, 2, 3)}
    return [Held(read_recording(source, name), source) for name, source in sources.items()]


def opened_with(page, recordings, **choices):
    app = at(page)
    app.session_state["notice_read"] = True
    app.session_state["held"] = {one.recording.sha256: one for one in recordings}
    app.session_state["current"] = recordings[-1].recording.sha256
    app.session_state["choices"] = CHOICES | {"masks": 32} | choices
    return finished(app.run())


def toggle(app):
    return next((one for one in app.toggle if one.label == "Recordings of one person"), None)


def voice_multiselect(app):
    return next(one for one in app.multiselect if one.label == "Recordings of this person")


def judged_by(app):
    """Return the SHA-256 of the models that classified a recording, the latest last."""
    return [job.key[2] for job in all_jobs(app) if job.key[0] == "classify"]


def adapted(models, recordings, *, mixed=False):
    voiced = models["voiced"]
    return voiced.with_voice(speaker_normal([one.recording for one in recordings], voiced, mixed=mixed))


def test_voice_is_offered_where_the_model_can_and_is_off_at_first(models, recordings):
    app = opened_with("app.py", recordings)
    assert toggle(app).value is False
    assert judged_by(app) == [models["voiced"].sha256]
    assert toggle(opened_with("app.py", recordings, model="plain")) is None


def test_all_recordings_are_the_voice_as_it_is_switched_on_and_the_page_shows_both_verdicts(models, recordings):
    app = opened_with("app.py", recordings)
    toggle(app).set_value(True).run()
    app = finished(app)
    assert not app.exception
    assert len(voice_multiselect(app).value) == 3
    normal = speaker_normal([one.recording for one in recordings], models["voiced"])
    text = words(app)
    assert f"{100 * voice_share(normal, SHRUNK):.0f} % by its own normal" in text
    assert "3 recordings" in text
    both = [
        classify_recording(recordings[-1].recording, model, AnalysisSettings()).scores.recording
        for model in (adapted(models, recordings), models["voiced"])
    ]
    assert np.abs(both[0] - both[1]).max() > 0.01
    bars = next(block.proto.body for block in app.get("html") if 'class="scores"' in block.proto.body)
    shown = [f"{score:.2f}</span>" for pair in zip(*both, strict=True) for score in pair]
    found = [bars.find(score) for score in shown]
    assert -1 not in found
    assert bars.count("track") == 2 * len(EMOTIONS)


def test_recordings_of_a_speaker_of_a_project_are_part_of_the_voice(models, recordings, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    monkeypatch.delenv("SER_DATABASE_URL", raising=False)
    with closing(open_store(default_url(tmp_path))) as store:
        project = store.projects.create("Interviews")
        for one, speaker in zip(recordings, ("Ann", "Bob", "Ann"), strict=True):
            save_sound(one.source, tmp_path)
            recording = one.recording
            about = (recording.sha256, recording.name, recording.duration_s, recording.sample_rate_hz)
            store.recordings.add(project, [RecordingFile(*about, speaker=speaker)])
        found = {(one.project, one.speaker): one.count for one in store.recordings.speakers()}
        assert found == {("Interviews", "Ann"): 2, ("Interviews", "Bob"): 1}
        assert [file.name for file in store.recordings.of_speaker(project, "Ann")] == ["take 1.wav", "take 3.wav"]
    app = opened_with("app.py", recordings[2:], voice_on=True, voice=[], voice_project=(project, "Ann"))
    assert not app.exception
    assert adapted(models, [recordings[0], recordings[2]]).sha256 in judged_by(app)
    assert "2 recordings" in words(app)


def test_order_in_which_recordings_came_does_not_matter(models, recordings):
    one, other = (
        opened_with("app.py", [*some, recordings[2]], voice_on=True) for some in (recordings[:2], recordings[1::-1])
    )
    assert set(judged_by(one)) == set(judged_by(other))


@pytest.mark.parametrize("page", ["pages/1_Explain.py", "pages/2_Listen.py", "pages/4_Select.py", "pages/7_Compare.py"])
def test_every_page_judges_by_the_voices_own_normal(models, recordings, page):
    app = opened_with(page, recordings, voice_on=True)
    assert not app.exception
    assert not app.error
    expected = {adapted(models, recordings).sha256} | ({models["plain"].sha256} if "Compare" in page else set())
    assert set(judged_by(app)) == expected


def test_switched_off_the_model_judges_as_before(models, recordings):
    app = opened_with("pages/4_Select.py", recordings, voice_on=True)
    toggle(app).set_value(False).run()
    assert judged_by(finished(app))[-1] == models["voiced"].sha256
    toggle(app).set_value(True).run()
    assert len(voice_multiselect(finished(app)).value) == 3


def test_recording_that_is_not_of_the_voice_is_judged_as_any(models, recordings):
    first_two = [one.recording.sha256 for one in recordings[:2]]
    app = opened_with("app.py", recordings, voice_on=True, voice=first_two)
    assert judged_by(app) == [models["voiced"].sha256]
    assert "judged like any other" in words(app)
    assert voice_multiselect(app).value == first_two


def test_recording_that_comes_later_is_not_taken_for_the_same_person(models, recordings):
    app = opened_with("app.py", recordings[:2], voice_on=True)
    app.file_uploader[0].upload("take 3.wav", recordings[2].source, "audio/wav").run()
    app = finished(app)
    assert len(voice_multiselect(app).value) == 2
    assert judged_by(app)[-1] == models["voiced"].sha256


def test_nobody_chosen_is_no_voice(models, recordings):
    app = opened_with("app.py", recordings, voice_on=True, voice=[])
    assert not app.exception
    assert judged_by(app) == [models["voiced"].sha256]


def test_recording_that_is_deleted_leaves_the_voice(models, recordings):
    app = opened_with("app.py", recordings, voice_on=True)
    gone = recordings[-1].recording.sha256
    next(button for button in app.button if button.label == "Delete this recording").click().run()
    app = finished(app)
    assert len(voice_multiselect(app).value) == 2
    assert gone not in voice_multiselect(app).value
    assert gone not in str(app.session_state["choices"])
    assert not [job for job in all_jobs(app) if gone in job.key]
    assert adapted(models, recordings[:2]).sha256 in judged_by(app)
    assert adapted(models, recordings).sha256 not in judged_by(app)


def test_model_that_judges_every_voice_alike_says_so_to_who_switched_a_voice_on(models, recordings):
    app = opened_with("app.py", recordings, voice_on=True, model="plain")
    assert not app.exception
    assert toggle(app) is None
    assert "plain judges every voice alike" in words(app)
    assert judged_by(app) == [models["plain"].sha256]


def test_recordings_of_one_emotion_are_used_with_caution_and_the_sidebar_says_so(models, recordings):
    normal = speaker_normal([one.recording for one in recordings], models["voiced"])
    models["voiced"].voice = replace(SHRUNK, one_emotion_spread=-1.0, mixed_spread=1.0)
    share = voice_share(normal, models["voiced"].voice)
    assert 0 < share < 3 / 5
    app = opened_with("app.py", recordings, voice_on=True)
    assert "with caution" in words(app)
    assert f"{100 * share:.0f} % by its own normal" in words(app)


def test_saved_analysis_of_a_voice_opens_with_the_model_as_it_judges_any(models, recordings, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    app = opened_with("app.py", recordings, voice_on=True)
    next(button for button in app.button if button.label == "Save").click().run()
    app = opened_with("app.py", recordings[:1], model="plain")
    next(button for button in app.button if (button.key or "").startswith("open_")).click().run()
    app = finished(app)
    assert not app.exception
    assert judged_by(app)[-1] == models["voiced"].sha256


def test_command_line_beside_names_a_folder_of_the_voice(models, recordings):
    app = opened_with("app.py", recordings, voice_on=True)
    app.session_state["command_line"] = True
    lines = [code.value for code in app.run().code]
    assert ["--voice DIR" in line for line in lines] == [True]


def test_who_says_that_the_recordings_differ_has_the_normal_count_fully(models, recordings):
    models["voiced"].voice = replace(SHRUNK, one_emotion_spread=0.0, mixed_spread=1.0)
    app = opened_with("app.py", recordings, voice_on=True)
    assert "with caution" in words(app)
    next(box for box in app.checkbox if box.label == "They show different emotions").check().run()
    app = finished(app)
    assert not app.exception
    assert "with caution" not in words(app)
    assert adapted(models, recordings, mixed=True).sha256 in judged_by(app)


def test_how_compares_the_focus_with_the_other_recordings_of_the_voice(models, recordings, monkeypatch):
    monkeypatch.setattr(pipeline, "detect_speech", lambda recording: np.ones(len(recording.samples) // 512 + 1, bool))
    app = opened_with("pages/2_Listen.py", recordings, voice_on=True)
    assert not app.exception
    (job,) = [job for job in all_jobs(app) if job.kind == "usual voice"]
    assert set(job.key[1:]) == {one.recording.sha256 for one in recordings[:2]}
    (table,) = [frame.value for frame in app.table if "In the focus" in frame.value]
    assert {"In the rest", "In other recordings"} < set(table)
    assert table["In other recordings"].iloc[0] == f"{job.result.pitch_hz:.0f} Hz"
    voice_multiselect(app).set_value([recordings[2].recording.sha256]).run()
    tables = [frame.value for frame in finished(app).table if "In the focus" in frame.value]
    assert not any("In other recordings" in table for table in tables)
