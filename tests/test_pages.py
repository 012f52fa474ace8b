"""Every page, run without a browser."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from ser_core.checkpoint import TEST_TABLE, find_model, model_names
from ser_core.emotions import COLOURS
from ser_core.learning.predictions import Predictions, in_cell, read_predictions
from ser_core.samples import samples_here

pytestmark = [
    pytest.mark.skipif(not model_names(), reason="no model is shipped in models/"),
    # Streamlit's own test runner, not ours, warns of what Python will change.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

PAGES = (
    "app.py",
    "pages/1_Explain.py",
    "pages/2_Listen.py",
    "pages/4_Select.py",
    "pages/5_Train.py",
    "pages/6_Evaluate.py",
)
LONGEST_WAIT_S = 120


def wav(samples, rate=16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def at(page: str) -> AppTest:
    """Return a page that was not run yet, as a first visit to its address finds it."""
    app = AppTest.from_file("../app.py", default_timeout=LONGEST_WAIT_S)
    return app if page == "app.py" else app.switch_page(page)


def opened(page: str) -> AppTest:
    app = at(page)
    app.session_state["notice_read"] = True
    return app.run()


def with_recording(page: str, samples) -> AppTest:
    """Open a page as it is after an upload on the first one."""
    from pages.shared.session import Held
    from ser_core.audio import read_recording

    source = wav(samples)
    recording = read_recording(source, "voice.wav")
    app = at(page)
    app.session_state["notice_read"] = True
    app.session_state["held"] = {recording.sha256: Held(recording, source)}
    app.session_state["current"] = recording.sha256
    return finished(app.run())


def finished(app: AppTest) -> AppTest:
    """Run the page again, as its watching fragment does in a browser, until no job is left."""
    from pages.shared import cached

    for _ in range(60):
        jobs = [job for (owner, _), job in cached.jobs()._jobs.items() if owner == app.session_state["owner"]]
        if jobs and all(job.ended.is_set() for job in jobs):
            app.run()
            again = [job for (owner, _), job in cached.jobs()._jobs.items() if owner == app.session_state["owner"]]
            if len(again) == len(jobs):
                return app
        for job in jobs:
            assert job.ended.wait(LONGEST_WAIT_S)
        app.run()
    raise AssertionError("the page never finished its work")


def words(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.title]
    return " ".join(str(part.value) for part in parts) + " ".join(block.proto.body for block in app.get("html"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opened_first_says_how_to_begin(page):
    app = opened(page)
    assert not app.exception
    assert "No recording yet" in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_the_first_visit_says_what_the_app_is_not_for_until_it_is_understood(page):
    app = at(page).run()
    assert "Article 5(1)(f)" in words(app)
    app.button(key="notice_button").click().run()
    assert "Article 5(1)(f)" not in words(app)


def test_an_upload_leads_to_scores_of_every_emotion(voice):
    app = opened("app.py")
    app.file_uploader[0].upload("voice.wav", wav(voice), "audio/wav").run()
    app = finished(app)
    assert not app.exception
    assert not app.error
    assert all(emotion in words(app) for emotion in ("angry", "happy", "neutral", "sad"))
    assert app.get("plotly_chart")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not audio at all, only words", "not audio that can be read"),
        (b"", "empty"),
        (wav(np.zeros(16_000)), "silent"),
        (wav(np.full(800, 0.1)), "at least 0.1 s"),
    ],
    ids=["words", "empty", "silent", "short"],
)
def test_what_cannot_be_read_is_refused_in_one_sentence_and_nothing_is_held(content, said):
    app = opened("app.py")
    app.file_uploader[0].upload("speech.wav", content, "audio/wav").run()
    assert not app.exception
    assert [said in error.value for error in app.error] == [True]
    assert "No recording yet" in words(app)


def test_noise_is_given_no_emotion():
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000)
    app = with_recording("app.py", noise)
    assert "no speech heard" in words(app)


def test_explain_shows_all_three_maps_on_one_axis(voice):
    app = with_recording("pages/1_Explain.py", voice[:24_000])
    assert not app.exception
    figure = app.get("plotly_chart")[0].proto.spec
    assert all(name in figure for name in ("Grad-CAM", "LIME", "Occlusion"))
    assert figure.count('"matches":"x') >= 3


def test_listen_gives_every_focus_region_a_player_and_a_file(voice):
    app = with_recording("pages/2_Listen.py", voice)
    assert not app.exception
    regions = words(app).count("% of the evidence")
    assert len(app.get("audio")) == 1 + regions
    assert len(app.get("download_button")) == regions


def test_choices_outlive_a_rerun_and_can_be_reset(voice):
    app = with_recording("app.py", voice)
    app.number_input(key="widget_seed").set_value(7).run()
    assert app.session_state["choices"]["seed"] == 7
    assert "--seed 7" in " ".join(code.value for code in app.code)
    next(button for button in app.button if button.label == "Back to the defaults").click().run()
    assert app.session_state["choices"]["seed"] == 0
    assert app.number_input(key="widget_seed").value == 0


def test_an_emotion_against_another_is_asked_of_every_explainer(voice):
    app = with_recording("pages/2_Listen.py", voice)
    app.selectbox(key="widget_emotion").select("sad").run()
    app.selectbox(key="widget_against").select("angry").run()
    app = finished(app)
    assert not app.exception
    assert "for sad" in words(app) or "speaks for sad" in words(app)
    assert "--emotion sad --against angry" in " ".join(code.value for code in app.code)


def test_a_saved_analysis_is_found_reopened_and_deleted(voice, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    app = with_recording("app.py", voice)
    next(button for button in app.button if button.label == "Save").click().run()
    assert len(list((tmp_path / "analyses").iterdir())) == 1
    other = opened("app.py")
    next(button for button in other.button if (button.key or "").startswith("open_")).click().run()
    other = finished(other)
    assert not other.exception
    assert "voice.wav" in [header.value for header in other.subheader]
    next(button for button in other.button if (button.key or "").startswith("delete_")).click().run()
    assert list((tmp_path / "analyses").iterdir()) == []


def test_results_of_one_visit_are_not_found_by_another(voice):
    from pages.shared import cached

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


def test_the_printed_rule_drops_a_segment_even_where_all_are_alike(voice):
    app = with_recording("pages/4_Select.py", voice)
    assert "Nothing is dropped" in words(app)
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
    assert "speaker-disjoint" in words(app)


def cell_of_confusion(acted: str, heard: str) -> AppTest:
    """Open the page Evaluate and choose a cell of the shown model by its two lists."""
    app = opened("pages/6_Evaluate.py")
    app.selectbox(key="widget_acted").select(acted).run()
    app.selectbox(key="widget_heard").select(heard).run()
    assert not app.exception
    return app


def recordings_in_cell(acted: str, heard: str) -> Predictions:
    predictions = read_predictions(find_model(model_names()[0]) / TEST_TABLE)
    return predictions.of(in_cell(predictions, acted, heard))


def test_no_cell_is_chosen_at_first_and_the_page_says_how():
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
    assert "set SER_CORPORA to the folder that holds" in words(app)
    assert not app.get("audio")


def test_a_recording_that_its_corpus_lacks_is_said_to_be_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_CORPORA", str(tmp_path))
    for corpus in set(recordings_in_cell("happy", "angry").corpora):
        (tmp_path / corpus).mkdir()
    app = cell_of_confusion("happy", "angry")
    assert words(app).count("Not among the files of") == 10
    assert "set SER_CORPORA" not in words(app)


def test_one_corpus_and_another_cell_list_other_recordings(monkeypatch):
    monkeypatch.delenv("SER_CORPORA", raising=False)
    app = cell_of_confusion("happy", "angry")
    count = recordings_in_cell("happy", "angry").corpora.count("nemo")
    app.selectbox(key="evaluate_corpus").select("nemo").run()
    assert f"**{count} recordings**" in words(app)
    assert all("· nemo ·" in m.value for m in app.markdown if "· speaker" in m.value)
    app.selectbox(key="widget_heard").select("happy").run()
    found = [m.value for m in app.markdown if "· speaker" in m.value]
    assert found
    assert all("angry" not in one for one in found)


@pytest.mark.corpora
def test_a_recording_of_a_cell_is_heard_and_leads_to_its_evidence_and_back(corpora):
    app = cell_of_confusion("happy", "angry")
    cell = recordings_in_cell("happy", "angry")
    assert len(app.get("audio")) == 10
    app.button(key=f"why_0_{cell.sha256[0]}").click().run()
    assert not app.exception
    assert app.title[0].value == "Explain"
    assert app.session_state["current"] == cell.sha256[0]
    asked = app.session_state["choices"]
    assert (asked["emotion"], asked["against"]) == ("angry", "happy")
    app.switch_page("pages/6_Evaluate.py").run()
    assert f"**{len(cell.labels)} recordings**" in words(app)


def test_a_name_is_shown_as_it_is_and_a_corpus_name_leads_to_no_other_folder(tmp_path, monkeypatch):
    from pages.shared import confusion_cell, corpus_recordings

    assert confusion_cell._plain("![x](y) <b>\n# é_1") == r"\!\[x\]\(y\) \<b\> \# é\_1"
    (tmp_path / "corpora/own").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "corpora"))
    assert corpus_recordings.folder_of("own") == tmp_path / "corpora/own"
    assert [corpus_recordings.folder_of(name) for name in ("../secret", str(tmp_path), "", ".")] == [None] * 4


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
    assert minutes == pytest.approx(5 * 2 * (1.0 + 1.1 + 1.2 + 1.3) / 60)
    assert row == {
        "corpus": "emodb",
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
    assert "Together 43 recordings of 7 speakers" in words(app)
    app.selectbox(key="corpora_emotion").select("sad").run()
    app.selectbox(key="corpora_name").select("nemo").run()
    assert not app.exception
    assert app.selectbox(key="corpora_emotion").options == ["angry", "fear"]
    assert app.selectbox(key="corpora_speaker").options == ["EB0"]
    assert app.selectbox(key="corpora_file").options == ["EB0_anger_1.wav"]


def test_train_names_the_first_files_that_are_left_out_and_all_that_cannot_be_read(tmp_path, monkeypatch):
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
    assert "not audio that can be read" in named.loc[0, "reason"]
    assert "And 11 more" in words(app)
    app.selectbox(key="corpora_emotion").select("angry").run()
    assert ["not audio that can be read" in error.value for error in app.error] == [True]
    assert not app.get("audio")


def test_train_refuses_a_folder_without_the_corpus_and_shows_the_others(small_corpus, tmp_path, monkeypatch):
    app = corpora_of_train(monkeypatch, emodb=small_corpus, nemo=tmp_path)
    assert not app.exception
    assert ["No audio was found under" in error.value for error in app.error] == [True]
    assert app.dataframe[0].value["corpus"].tolist() == ["emodb"]


@pytest.mark.parametrize("folder", ["", "/nowhere/at/all", "n" * 5_000], ids=["none", "gone", "too long"])
def test_train_asks_for_a_folder_that_is_not_there_above_both_tabs(folder, monkeypatch):
    app = corpora_of_train(monkeypatch, emodb=folder)
    assert not app.exception
    assert not app.error
    assert "Give the folder of emodb" in words(app)
    assert not app.dataframe
    assert next(button for button in app.button if button.label == "Train").disabled


def test_train_shows_names_of_files_as_they_are_and_never_as_markup(tmp_path, monkeypatch):
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


def test_train_counts_anew_when_asked_to_read_again(tmp_path, monkeypatch):
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


def test_a_sample_that_is_pressed_after_an_upload_is_shown_and_the_upload_stays_in_the_list(voice):
    if not samples_here():
        pytest.skip("the samples were not fetched")
    app = opened("app.py")
    app.file_uploader[0].upload("voice.wav", wav(voice), "audio/wav").run()
    app = finished(app)
    app.button(key=f"sample_{samples_here()[1].number}").click().run()
    app = finished(app)
    assert [header.value for header in app.subheader] == ["Austen 2.wav"]
    assert len(app.session_state["held"]) == 2


def test_a_refusal_stays_to_be_read_while_the_file_is_there(voice):
    app = opened("app.py")
    app.file_uploader[0].upload("speech.wav", b"only words", "audio/wav").run()
    app.run()
    assert ["not audio" in error.value for error in app.error] == [True]
