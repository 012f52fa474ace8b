"""A view's URL: its content, what it opens in another visit, and what it does not open."""

import hashlib
import json

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.cached.saved_results import ABOUT_WORDS
from pages.shared.session import CHOICES
from ser_core.analysis import Region
from ser_core.annotations.saved_sounds import save_sound
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import open_store
from ser_core.output.saved_analyses import RESULTS
from ser_core.output.stored_results import results_bytes
from tests.test_pages import SMALL, at, hold, wav

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

#: It draws the sidebar, and computes nothing.
PAGE = "pages/3_Annotate.py"


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    monkeypatch.delenv("SER_DATABASE_URL", raising=False)
    return tmp_path


def opened_by(**parameters: str) -> AppTest:
    app = at(PAGE)
    app.session_state["notice_read"] = True
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def choices(app: AppTest) -> dict:
    return {name: value for name, value in app.session_state["choices"].items() if value != CHOICES[name]}


def address(app: AppTest) -> dict:
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


def ignored(app: AppTest) -> str:
    return " ".join(one.value for one in app.info if "link" in one.value)


def test_a_link_opens_the_view_it_was_taken_from(data, make_voice):
    app = at(PAGE)
    hold(app, make_voice(2.0, 16_000))
    app.session_state["choices"] = CHOICES | {"model": SMALL, "emotion": "sad", "stretch": (0.2, 0.8)}
    app.run()
    app.selectbox(key="widget_against").select("angry").run()
    link = address(app)
    # The recording is only in this visit: no link can open it.
    assert link == {"model": SMALL, "emotion": "sad", "contrast": "angry", "stretch": "0.20:0.80"}
    other = opened_by(**link)
    assert choices(other) == {"model": SMALL, "emotion": "sad", "against": "angry", "stretch": (0.2, 0.8)}
    assert not ignored(other)
    assert address(other) == link


def test_a_links_time_range_is_ignored_for_a_recording_too_short_to_choose_one(data, make_voice):
    app = at(PAGE)
    hold(app, make_voice(0.9, 16_000))
    app.session_state["choices"] = CHOICES | {"model": SMALL, "stretch": (2.0, 5.0)}
    app.run()
    assert choices(app) == {"model": SMALL}


def test_invalid_values_of_a_link_are_ignored_and_listed_in_one_sentence(data):
    wrong = {"model": "../secret", "emotion": "joy", "contrast": "1", "stretch": "nan:2", "explainer": "me"}
    wrong |= {"project": "Other people's", "recording": "../../etc/passwd"}
    app = opened_by(**wrong, unknown="1")
    assert choices(app) == {}
    assert all(name in ignored(app) for name in wrong)
    assert not any(value in ignored(app) for value in wrong.values() if len(value) > 2)
    assert address(app) == {"unknown": "1"}


def test_a_saved_recording_is_opened_by_its_hash_if_its_content_matches(data, make_voice):
    source = wav(make_voice(2.0, 16_000))
    sha256 = hashlib.sha256(source).hexdigest()
    about = {"recording_name": "Take.wav", "model_name": SMALL, "verdict": "sad", "settings": {}}
    folder = data / "analyses" / f"{sha256[:16]}-{'b' * 8}"
    folder.mkdir(parents=True)
    (folder / "question.json").write_text(json.dumps(about))
    (folder / "recording.original").write_bytes(source)
    app = opened_by(recording=sha256, emotion="happy", stretch="0.50:1.50")
    assert app.session_state["current"] == sha256
    assert choices(app) == {"emotion": "happy", "stretch": (0.5, 1.5)}
    assert address(app) == {"recording": sha256, "emotion": "happy", "stretch": "0.50:1.50"}
    too_long = opened_by(recording=sha256, stretch="0.50:9.00")
    assert choices(too_long) == {}
    assert "stretch" in ignored(too_long)
    like_it = opened_by(recording=sha256[:16] + "0" * 48)
    assert "recording" in ignored(like_it)
    assert "current" not in like_it.session_state


def test_a_saved_recording_is_opened_with_the_results_of_the_links_model(data, make_voice):
    source = wav(make_voice(2.0, 16_000))
    sha256 = hashlib.sha256(source).hexdigest()
    for model, digit, word in ((SMALL, "a", "so"), ("whisper", "b", "no")):
        about = {"recording_name": "Take.wav", "model_name": model, "verdict": "sad", "settings": {}}
        folder = data / "analyses" / f"{sha256[:16]}-{8 * digit}"
        folder.mkdir(parents=True)
        (folder / "question.json").write_text(json.dumps(about))
        (folder / "recording.original").write_bytes(source)
        given = {"given": (Region(0.1, 0.4, label=word),), "language": None}
        (folder / RESULTS).write_bytes(results_bytes([((ABOUT_WORDS, sha256), "Words", given)]))
    app = opened_by(recording=sha256, model=SMALL)
    assert [word.label for word in app.session_state["words"][sha256]] == ["so"]


def test_a_recording_of_a_project_is_opened_only_with_its_project(data, make_voice):
    source = wav(make_voice(2.0, 16_000))
    sha256 = hashlib.sha256(source).hexdigest()
    save_sound(source, data)
    store = open_store(f"sqlite:///{data / 'annotations.sqlite'}")
    project = store.projects.create("Voices")
    store.projects.create("Another")
    store.recordings.add(project, [RecordingFile(sha256, "Take.wav", 2.0, 16_000)])
    store.close()
    app = opened_by(project="Voices", recording=sha256)
    assert app.session_state["current"] == sha256
    assert address(app) == {"project": "Voices", "recording": sha256}
    for wrong in ({}, {"project": "Another"}):
        app = opened_by(**wrong, recording=sha256)
        assert "recording" in ignored(app)
        assert "current" not in app.session_state


@pytest.mark.parametrize(
    ("page", "name", "tab"), [("5_Train", "train", "Corpora"), ("6_Evaluate", "evaluate", "Experiments")]
)
def test_the_open_tab_of_a_page_is_in_its_link(page, name, tab, data, monkeypatch):
    monkeypatch.setenv("SER_CORPORA", str(data))
    first = at(f"pages/{page}.py")
    first.session_state["notice_read"] = True
    first.session_state[f"{name}_tab"] = tab
    first.session_state["choices"] = CHOICES | {f"{name}_tab": tab}
    first.run()
    assert address(first) == {name: tab}
    other = at(f"pages/{page}.py")
    other.session_state["notice_read"] = True
    other.query_params[name] = tab
    other.run()
    assert not other.exception
    assert other.session_state[f"{name}_tab"] == tab
    wrong = opened_by(**{name: "Anything"})
    assert name in ignored(wrong)


def test_a_view_of_a_project_is_in_its_link(data):
    store = open_store(f"sqlite:///{data / 'annotations.sqlite'}")
    store.projects.create("Voices")
    store.close()
    app = opened_by(project="Voices", view="Files")
    assert address(app) == {"project": "Voices", "view": "Files"}
    assert choices(app)["annotate_view"] == "Files"
    assert "view" in ignored(opened_by(project="Voices", view="Everything"))
