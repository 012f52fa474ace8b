"""The page Compare, run without a browser, with models small enough to predict quickly."""

import base64
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from pages.shared.charts.compared import CONSENSUS
from pages.shared.evidence.compared_models import verdicts_in_words
from ser_core.audio.reading import read_recording
from ser_core.errors import ModelRefused
from ser_core.explanation.agreement import agreement
from ser_core.explanation.grad_cam import grad_cam_refusal
from ser_core.explanation.model_agreement import shared_emotion
from ser_core.model.classifier import NetworkClassifier
from ser_core.pipeline import analyse_recording
from ser_core.settings import AnalysisSettings, FrontEnd, SegmentSettings, SelectionSettings
from ser_core.settings import SpectrogramSettings as Frames
from tests.test_onnx_classifier import classifier_of as theirs_of
from tests.test_onnx_classifier import onnx_model
from tests.test_pages import all_jobs, at, finished, hold, wav, words
from tests.tiny_networks import EMOTIONS, LinearClassifier, TinyNetwork, fresh

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Streamlit's own test runner

BROKEN = "broken: its model.safetensors cannot be read (Is a directory). Check it."


class Failing(NetworkClassifier):
    """Predicts, but fails when it is explained."""

    def class_activation(self, segments, class_weights, layer):
        raise ModelRefused("failing: no gradient comes back.")


def tiny(name, seed, emotions=EMOTIONS, kind=NetworkClassifier):
    network = fresh(TinyNetwork, len(emotions), seed)
    front_end = FrontEnd(selection=SelectionSettings("none"))
    return kind(network, name=name, sha256=f"{name:0>64}", emotions=emotions, front_end=front_end)


def few_bands(name):
    """A model of half as many bands and whole recordings: their mean level, with weights set by hand."""
    model = LinearClassifier(np.zeros((4, 1, 1)))
    weights = np.random.default_rng(0).normal(size=(4, 32)) / 32
    model.score = lambda segments: (segments.mean(axis=1) @ weights.T).astype(np.float32)
    model.name, model.sha256 = name, f"{name:0>64}"
    model.front_end = FrontEnd(Frames(bands=32), SegmentSettings(None), SelectionSettings("none"))
    return model


@pytest.fixture
def models(monkeypatch):
    """The models of the folder by name; a test may add others."""
    from pages.shared import cached, controls
    from pages.shared.evidence import compared_models

    found = {name: tiny(name, seed) for seed, name in enumerate(("alpha", "beta", "gamma", "delta"))}
    found["five"] = tiny("five", 7, (*EMOTIONS, "fear"))

    def load(name):
        if found[name] is None:
            raise ModelRefused(BROKEN)
        return found[name]

    for module in (compared_models, controls):
        monkeypatch.setattr(module, "model_names", lambda: list(found))
    monkeypatch.setattr(compared_models, "emotions_of", lambda name: found[name].emotions if found[name] else ())
    monkeypatch.setattr(cached, "load_model", load)
    monkeypatch.setattr(cached, "find_model", Path)
    cached._model.clear()
    yield found
    cached._model.clear()


def compared(samples, *names, **choices):
    """Open the page with a recording and any named models; return it before anything is computed."""
    from pages.shared.session import CHOICES

    app = at("pages/7_Compare.py")
    hold(app, samples)
    app.session_state["choices"] = (
        CHOICES | {"masks": 32, "compared_by": "grad_cam", "compared": list(names) or None} | choices
    )
    return app.run()


def shown(samples, *names, **choices):
    app = finished(compared(samples, *names, **choices))
    assert not app.exception
    return app


def chart(app, place=0):
    return json.loads(app.get("plotly_chart")[place].proto.spec)


def texts(app):
    """Return the titles of the pictures and the words in the place of pictures, on one line each."""
    return [one["text"].replace("<br>", " ") for one in chart(app)["layout"]["annotations"]]


def overlays(app):
    return [one["name"] for one in json.loads(app.get("bidi_component")[0].proto.json)["overlays"]]


def analyses(samples, *classifiers, **settings):
    recording = read_recording(wav(samples), "voice.wav")
    settings = AnalysisSettings(**({"explain": ()} | settings))
    return {one.name: analyse_recording(recording, one, settings) for one in classifiers}


def test_without_a_recording_the_page_says_how_to_begin(models):
    app = at("pages/7_Compare.py")
    app.session_state["notice_read"] = True
    app.run()
    assert not app.exception
    assert "No recording yet" in words(app)
    assert not app.multiselect


def test_the_analysis_of_each_model_is_saved_with_its_map(models, voice, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    for name in ("alpha", "beta"):
        models[name].sha256 = name[0] * 64
    app = finished(compared(voice, "alpha", "beta"))
    next(button for button in app.button if button.label == "Save").click().run()
    assert not app.exception
    saved = {folder.name[-8:]: folder for folder in (tmp_path / "analyses").iterdir()}
    assert set(saved) == {"a" * 8, "b" * 8}
    assert all("grad_cam" in np.load(folder / "maps.npz") for folder in saved.values())


def test_at_first_the_sidebars_model_is_compared_with_two_of_the_same_emotions(models, voice):
    app = shown(voice)
    assert app.multiselect[0].value == ["alpha", "beta", "gamma"]
    assert shown(voice, model="five").multiselect[0].value == ["five"]


def test_the_models_follow_the_sidebar_until_somebody_chooses(models, voice):
    app = shown(voice)
    app.selectbox(key="widget_model").select("delta").run()
    assert app.multiselect[0].value == ["delta", "alpha", "beta"]
    app.multiselect[0].set_value(["gamma"]).run()
    app.selectbox(key="widget_model").select("alpha").run()
    assert app.multiselect[0].value == ["gamma"]
    app.switch_page("pages/2_Listen.py").run()
    app.switch_page("pages/7_Compare.py").run()
    assert app.multiselect[0].value == ["gamma"]


def test_choosing_no_model_is_respected(models, voice):
    app = shown(voice)
    app.multiselect[0].set_value([]).run()
    assert "No model is chosen" in words(app)
    assert not app.get("plotly_chart")


def test_a_model_that_no_longer_exists_is_forgotten(models, voice):
    assert shown(voice, "alpha", "deleted").multiselect[0].value == ["alpha", "beta", "gamma"]


def test_predictions_are_shown_with_scores_and_summed_up_in_one_sentence(models, voice):
    app = shown(voice, "alpha", "beta", "five")
    heard = analyses(voice, *(models[name] for name in ("alpha", "beta", "five")))
    table = next(block.proto.body for block in app.get("html") if 'class="compared"' in block.proto.body)
    rows = table.partition("<tbody>")[2].split("<tr>")[1:]
    for row, (name, analysis) in zip(rows, heard.items(), strict=True):
        assert f'<th scope="row">{name}</th>' in row
        assert analysis.verdict in row
        assert all(f'class="value">{score:.2f}' in row for score in analysis.scores.recording)
    assert [row.count('class="unknown"') for row in rows] == [1, 1, 0]
    assert f"**{verdicts_in_words(heard)}**" in words(app).replace("\\", "")


def test_all_models_explain_the_emotion_that_most_of_them_score_best(models, voice):
    names = ("alpha", "beta", "gamma", "delta")
    emotion = shared_emotion(analyses(voice, *(models[name] for name in names)))
    app = shown(voice, *names)
    assert [f"<b>{name}</b> for {emotion}" in " ".join(texts(app)) for name in names] == [True] * 4
    assert texts(app)[4].startswith(f"<b>{CONSENSUS}</b> for {emotion}")


def test_a_model_that_does_not_know_the_emotion_shows_that_instead_of_a_map(models, voice):
    app = shown(voice, "five", "alpha", model="five", emotion="fear")
    assert texts(app)[0].startswith("<b>five</b> for fear")
    assert any("does not know the emotion 'fear'" in text for text in texts(app))
    assert overlays(app) == ["five"]
    assert "at least two maps" in words(app)


def test_a_model_that_does_not_know_the_contrast_shows_that_instead_of_a_map(models, voice):
    app = shown(voice, "five", "alpha", model="five", emotion="angry", against="fear")
    assert texts(app)[0].startswith("<b>five</b> for angry versus fear")
    assert any("does not know the emotion 'fear'" in text for text in texts(app))


def test_an_explainer_that_does_not_apply_shows_why_and_another_one_can_be_chosen(models, voice):
    models["theirs"] = theirs_of(onnx_model(), frames=None)
    app = shown(voice, "alpha", "theirs")
    assert grad_cam_refusal(models["theirs"]) in texts(app)
    assert overlays(app) == ["alpha"]
    app.segmented_control(key="widget_compared_by").set_value("occlusion").run()
    app = finished(app)
    assert not app.exception
    assert overlays(app) == [CONSENSUS, "alpha", "theirs"]
    assert grad_cam_refusal(models["theirs"]) not in texts(app)


def test_a_model_that_cannot_be_loaded_is_refused_without_affecting_others(models, voice):
    models["broken"] = None
    assert "broken" not in shown(voice, model="five").multiselect[0].value
    app = shown(voice, "broken", "alpha", "beta")
    assert BROKEN in texts(app)
    assert BROKEN in words(app)
    assert overlays(app) == [CONSENSUS, "alpha", "beta"]


def test_a_model_that_fails_during_explanation_does_not_affect_others(models, voice):
    models["failing"] = tiny("failing", 9, kind=Failing)
    app = shown(voice, "failing", "alpha", "beta")
    assert "failing: no gradient comes back." in texts(app)
    assert overlays(app) == [CONSENSUS, "alpha", "beta"]


def test_the_matrix_holds_the_agreement_of_each_pair_of_maps(models, voice):
    app = shown(voice, "alpha", "beta", emotion="sad")
    maps = {
        name: one.explanations["grad_cam"]
        for name, one in analyses(
            voice, models["alpha"], models["beta"], emotion="sad", explain=("grad_cam",)
        ).items()
    }  # fmt: skip
    expected = agreement({name: one.relevance for name, one in maps.items()}, maps["alpha"].covered)
    cells = chart(app, 1)["data"][0]["text"]
    assert cells[0][0] == cells[1][1] == ""
    figures = f"{expected.rank_correlation[0, 1]:.2f}<br>({expected.top_overlap[0, 1]:.2f})"
    assert cells[0][1] == cells[1][0] == figures.replace("-", "−")
    assert "alpha and beta use" in words(app).replace("\\", "")


def test_each_map_is_scaled_by_its_own_maximum_to_one_common_colour_scale(models, voice):
    app = shown(voice, "alpha", "beta", "five")
    maps = [trace for trace in chart(app)["data"] if trace.get("zmax") == 100]
    assert len(maps) == 4
    assert [(trace["zmin"], trace["zmax"]) for trace in maps] == [(-100, 100)] * 4
    assert [trace["showscale"] for trace in maps] == [False, False, False, True]
    highest = [np.abs(numbers(trace["z"])).max() for trace in maps]
    assert highest == [100] * 4
    layout = chart(app)["layout"]
    assert {layout[f"xaxis{row}"].get("matches") for row in ("", 2, 3)} == {"x4"}
    assert {layout[f"yaxis{row}"].get("matches") for row in ("", 2, 3)} == {"y4"}


def numbers(array):
    """Return the numbers that plotly wrote as bytes."""
    return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])


def test_a_map_without_evidence_for_the_emotion_says_so(models, voice):
    against = tiny("against", 0)
    with torch.no_grad():
        # The map is never negative; every cell is evidence against angry and for all others.
        weight = against.network.head.weight.copy_(torch.ones_like(against.network.head.weight))
        weight[0] = -1
    models["against"] = against
    app = shown(voice, "against", "alpha", emotion="angry")
    assert "<b>against</b> for angry: no positive evidence" in texts(app)


def test_all_models_explain_the_same_stretch_of_a_long_recording_and_the_page_says_which(models, make_voice):
    app = shown(make_voice(31, 16_000), "alpha", "beta", "gamma")
    stretches = {job.key[4] for job in all_jobs(app) if job.key[0] == "explain"}
    assert len(stretches) == 1
    stretch = stretches.pop()
    assert stretch.end_s - stretch.start_s == pytest.approx(15)
    assert f"{stretch.start_s:.2f} to {stretch.end_s:.2f} s, where the first model" in words(app)


def test_a_layer_of_one_model_is_not_used_for_another(models, voice):
    models["alpha"].layers = ("tiny", "both")
    app = shown(voice, "alpha", "beta", layer="both")
    assert overlays(app) == [CONSENSUS, "alpha", "beta"]
    layers = [job.result.layer for job in all_jobs(app) if job.key[0] == "explain"]
    assert layers == ["both", "tiny"]


def test_models_with_other_front_ends_are_drawn_on_the_same_axes_but_not_compared(models, voice):
    models["coarse"] = few_bands("coarse")
    app = shown(voice[:20_000], "alpha", "beta", "coarse", compared_by="lime")
    assert overlays(app) == [CONSENSUS, "alpha", "beta"]
    assert "Not compared: coarse" in words(app)
    cells = chart(app, 1)["data"][0]["text"]
    assert [cells[0][2], cells[1][2]] == ["", ""]
    assert cells[0][1] != ""
    coarse = [trace for trace in chart(app)["data"] if trace.get("zmax") == 100][2]
    places = numbers(coarse["y"])
    # 64 bands: 65 steps between the limits; 32: 33. Its first band's centre lies 65/33 - 1 steps above the other's.
    np.testing.assert_allclose(places[[0, 31]], [65 / 33 - 1, 32 * 65 / 33 - 1], atol=1e-9)


def test_the_most_common_front_end_sets_the_axes_and_the_player(models, voice):
    models["coarse"] = few_bands("coarse")
    app = shown(voice[:20_000], "coarse", "alpha", "beta", compared_by="lime")
    assert overlays(app) == [CONSENSUS, "alpha", "beta"]
    drawn = [trace for trace in chart(app)["data"] if trace.get("zmax") == 100]
    assert [len(numbers(trace["y"])) for trace in drawn] == [32, 64, 64, 64]
    assert chart(app)["layout"]["yaxis"]["range"] == [-0.5, 63.5]


def test_a_stopped_model_says_so_and_can_be_started_again(models, voice):
    go_on = threading.Event()
    slow = tiny("slow", 3)
    score = slow.score
    slow.score = lambda segments: (go_on.wait(60), score(segments))[1]
    models["slow"] = slow
    app = compared(voice, "slow", "alpha")
    waiting = next(job for job in all_jobs(app) if job.key[2] == models["alpha"].sha256)
    waiting.queue.cancel(waiting)
    go_on.set()
    app = finished(app)
    assert "Stopped." in words(app)
    assert "Stopped." in texts(app)
    next(button for button in app.button if button.label == "Start again: alpha").click().run()
    app = finished(app)
    assert "Stopped." not in words(app)
    assert overlays(app) == [CONSENSUS, "slow", "alpha"]


def test_maps_are_shown_as_they_arrive_and_compared_once_complete(models, voice):
    slow, go_on = tiny("slow", 3), threading.Event()
    look = slow.class_activation
    slow.class_activation = lambda *args: (go_on.wait(60), look(*args))[1]
    models["slow"] = slow
    app = compared(voice, "alpha", "beta", "slow")
    for _ in range(2):  # all are classified; all but the slow one are explained
        for job in all_jobs(app)[:5]:
            assert job.ended.wait(60)
        app.run()
    assert "Not ready yet." in texts(app)
    assert [text.partition(" for")[0] for text in texts(app)][:2] == ["<b>alpha</b>", "<b>beta</b>"]
    assert [one.proto.component_name for one in app.get("bidi_component")] == ["hear_why_theme"]
    go_on.set()
    app = finished(app)
    assert "Not ready yet." not in texts(app)
    assert overlays(app) == [CONSENSUS, "alpha", "beta", "slow"]


def test_lime_is_the_default_and_drafts_are_shown_but_not_saved_until_the_fine_maps_arrive(models, voice, monkeypatch):
    from pages.shared.cached import explaining
    from pages.shared.recording import saving
    from pages.shared.session import CHOICES

    run, offered, go_on = explaining.explainer_run, [], threading.Event()

    def held(analysis, method, classifier, settings, work):
        assert (classifier.name, settings.lime.masks) != ("beta", 32) or go_on.wait(60)
        return run(analysis, method, classifier, settings, work)

    def fine(job):
        return job.key[0] == "explain" and job.key[5].masks == 32

    monkeypatch.setattr(explaining, "explainer_run", held)
    monkeypatch.setattr(saving, "offer_to_save_all", lambda _, offer: offered.append(offer))
    app = compared(voice, "alpha", "beta", compared_by=CHOICES["compared_by"])
    for _ in range(2):  # all are classified; all but the fine map of beta are computed
        for job in all_jobs(app):
            assert (fine(job) and job.key[3] == models["beta"].sha256) or job.ended.wait(60)
        app.run()
    assert not app.exception
    assert [text.endswith("(draft)") for text in texts(app)[:2]] == [False, True]
    assert [list(one.explanations) for one in offered[-1]] == [["lime"], []]
    assert [one.proto.component_name for one in app.get("bidi_component")] == ["hear_why_theme"]
    go_on.set()
    app = finished(app)
    assert not any(text.endswith("(draft)") for text in texts(app))
    assert [list(one.explanations) for one in offered[-1]] == [["lime"], ["lime"]]
    assert overlays(app) == [CONSENSUS, "alpha", "beta"]


def test_a_removed_model_leaves_the_queue(models, voice):
    slow, go_on = tiny("slow", 3), threading.Event()
    score = slow.score
    slow.score = lambda segments: (go_on.wait(60), score(segments))[1]
    models["slow"] = slow
    app = compared(voice, "slow", "alpha", "beta")
    beta = next(job for job in all_jobs(app) if job.key[2] == models["beta"].sha256)
    assert beta.state == "waiting"
    app.multiselect[0].set_value(["slow", "alpha"]).run()
    go_on.set()
    assert beta.state == "cancelled"
    app = finished(app)
    assert overlays(app) == [CONSENSUS, "slow", "alpha"]


def test_known_results_are_not_computed_again_when_a_model_is_added_or_the_emotion_changes(models, voice):
    app = shown(voice, "alpha", "beta")
    before = [job.key for job in all_jobs(app)]
    app.selectbox(key="widget_emotion").select("sad").run()
    assert [job.key for job in all_jobs(app)] == before
    assert "for sad" in texts(app)[0]
    app.multiselect[0].set_value(["alpha", "beta", "gamma"]).run()
    app = finished(app)
    new = [job.key for job in all_jobs(app) if job.key not in before]
    assert [key[0] for key in new] == ["classify", "explain"]
    assert all(models["gamma"].sha256 in key for key in new)


def test_names_of_models_are_shown_literally_and_never_as_markup(models, voice):
    models["<b>_x_"] = tiny("<b>_x_", 5)
    app = shown(voice, "<b>_x_", "alpha")
    table = next(block.proto.body for block in app.get("html") if 'class="compared"' in block.proto.body)
    assert "&lt;b&gt;_x_" in table
    assert "<b>_x_" not in table
    assert texts(app)[0].startswith("<b>&lt;b&gt;_x_</b> for")
