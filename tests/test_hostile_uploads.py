"""Hostile uploads: the page shows one sentence and continues."""

import pytest

from ser_core.model.shipped_models import model_names
from tests.hostile_files import audio_files, audio_named, bomb
from tests.test_pages import opened, with_recording

pytestmark = [
    pytest.mark.skipif(not model_names(), reason="no model is shipped in models/"),
    # Streamlit's own test runner, not ours, warns of what Python will change.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

NASTY = (
    "a byte",
    "zeros",
    "no frames",
    "one infinity",
    "rate 4294967295",
    "65535 channels",
    "page and wave",
    "gzip of zeros",
    "playlist",
    "session description",
)
NAMES = ("<b>x</b>.wav", "[a](javascript:alert(1)).wav", "../../x.wav", "a" * 300 + ".wav", "‮gpj.wav")


def test_ten_nasty_uploads_are_each_refused_in_one_sentence_and_a_good_one_is_held_after_them():
    app = opened("app.py")
    for place, nasty in enumerate(NASTY):
        app.file_uploader[0].upload(NAMES[place % len(NAMES)], audio_named(nasty), "audio/wav").run()
        assert not app.exception
        (error,) = app.error
        assert "Traceback" not in error.value
        assert "\n" not in error.value
        assert error.value.endswith(".")
        assert "held" not in app.session_state or not app.session_state["held"]
    app.file_uploader[0].upload("voice.wav", audio_files()["flac"], "audio/flac").run()
    assert not app.exception
    assert not app.error
    assert [held.recording.name for held in app.session_state["held"].values()] == ["voice.wav"]


def test_a_decompression_bomb_is_treated_as_a_long_recording_and_never_held_in_memory():
    app = opened("app.py")
    app.file_uploader[0].upload("bomb.flac", bomb(700, 8_000), "audio/flac").run()
    assert not app.exception
    assert app.session_state["long"].name == "bomb.flac"
    assert "held" not in app.session_state or not app.session_state["held"]


NASTY_WORDS = {
    "nothing": b"",
    "half a character": b"\xff\xfe\x00",
    "endless word": b"start_s,end_s,word\n0,inf,so\n",
    "endless cell": b"start_s,end_s,word\n0,1,\x00" + b"x" * 200_000 + b"\n",
    "promises tiers": b'"ooTextFile" "TextGrid" 0 9 <exists> 99999999 "IntervalTier"',
    "too large": b"x" * 5_000_000,
}


def test_nasty_words_are_each_refused_in_one_sentence(voice):
    app = with_recording("pages/2_Listen.py", voice[:24_000])
    for kind, content in NASTY_WORDS.items():
        app.file_uploader[0].set_value((f"words {kind}.csv", content, "text/csv")).run()
        assert not app.exception
        (error,) = app.error
        assert error.value.startswith(f"words {kind}")
        assert "\n" not in error.value
