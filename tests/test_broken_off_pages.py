"""After a kill, the app reports at its next start what it was doing."""

import json

import pytest

from pages.shared import cached
from pages.shared.models import training_section
from tests.test_pages import opened, words

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ARGUMENTS = [
    "--corpus",
    "emodb=/here",
    "--network",
    "yamnet",
    "--resume",
    "--out",
    "/models/mine",
    "--epochs",
    "3",
]


@pytest.fixture
def note(tmp_path, monkeypatch):
    """The note of a training that was killed with the app."""
    monkeypatch.setenv("SER_RUNS", str(tmp_path))
    note = tmp_path / "training.begun"
    note.write_text(json.dumps(ARGUMENTS))
    return note


def button(app, label):
    return next(button for button in app.button if button.label == label)


def test_an_interrupted_training_is_reported_and_can_be_resumed(note, monkeypatch):
    calls = []
    monkeypatch.setattr(
        training_section, "train_in_process", lambda arguments, *_: calls.append(arguments) or "trained"
    )
    app = opened("pages/5_Train.py")
    assert "The app ended while training **mine**. Finished epochs are saved." in words(app)
    button(app, "Resume").click().run()
    job = cached.trainings().find("everybody", "training")
    assert job.ended.wait(60)
    assert (job.state, calls) == ("done", [["--resume", *(word for word in ARGUMENTS if word != "--resume")]])
    cached.trainings().drop(job)


def test_an_interrupted_training_can_be_forgotten(note):
    app = opened("pages/5_Train.py")
    button(app, "Discard").click().run()
    assert not note.exists()
    assert "The app ended" not in words(app)


def test_the_first_page_reports_an_interrupted_save_whose_half_written_files_are_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    half_written = tmp_path / "analyses" / ".0123456789abcdef-01234567.part"
    half_written.mkdir(parents=True)
    (half_written / "recording.original").write_bytes(b"half")
    cached.clear_unfinished_saves.clear()
    assert "The app ended while it was saving or deleting" in words(opened("app.py"))
    assert not half_written.exists()
    cached.clear_unfinished_saves.clear()
    assert "The app ended" not in words(opened("app.py"))
