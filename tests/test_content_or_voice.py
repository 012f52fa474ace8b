"""Content or voice: what each masking keeps and removes, word errors and shares by hand, and the experiment."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.signal import periodogram

from ser_core.analysis import Recording, Region
from ser_core.audio.content_masking import MASKINGS, masked
from ser_core.audio.prosody import prosody_of
from ser_core.commands import main
from ser_core.experiments import content_or_voice, read_result, write_result
from ser_core.experiments.experiment_sections import content_section
from ser_core.words.bounds import level_of
from ser_core.words.transcription import Transcript
from tests.test_experiments import needs_yamnet

RATE = 16_000


@pytest.fixture(scope="module")
def spoken(make_voice):
    return Recording("voice.wav", "0" * 64, make_voice(2.0, RATE), RATE)


@pytest.fixture(scope="module")
def maskings(spoken):
    return {name: masked(spoken, name, seed=0) for name in MASKINGS}


def pitch_hz(recording):
    prosody = prosody_of(recording)
    return np.median(prosody.pitch_hz) if len(prosody.pitch_hz) else None


def test_every_masking_keeps_length_and_power_and_repeats_with_its_seed(spoken, maskings):
    for name, one in maskings.items():
        assert one.samples.shape == spoken.samples.shape
        assert np.mean(one.samples**2) == pytest.approx(np.mean(spoken.samples**2), rel=1e-3)
        np.testing.assert_array_equal(masked(spoken, name, seed=0).samples, one.samples)


def test_low_pass_and_hum_keep_the_pitch_and_whisper_removes_it(spoken, maskings):
    for name in ("low-pass, 400 Hz", "hum", "backwards"):
        assert pitch_hz(maskings[name]) == pytest.approx(pitch_hz(spoken), rel=0.05), name
    voiced = {name: len(prosody_of(one).times_s) for name, one in maskings.items()}
    assert voiced["whispered"] < 0.3 * voiced["backwards"]


def test_the_level_over_time_stays_where_the_masking_promises_it(spoken, maskings):
    level = level_of(spoken)
    loud = level > level.max() - 30
    for name in ("hum", "whispered"):
        assert np.corrcoef(level[loud], level_of(maskings[name])[loud])[0, 1] > 0.8, name
    np.testing.assert_allclose(maskings["backwards"].samples, spoken.samples[::-1], rtol=1e-5)


def test_a_low_passed_voice_has_no_formants(maskings):
    hz, power = periodogram(maskings["low-pass, 400 Hz"].samples, RATE)
    assert power[hz > 700].sum() < 1e-4 * power.sum()


def test_word_errors_by_hand():
    spoken = ["kids", "are", "talking", "by", "the", "door"]
    assert content_or_voice.word_errors(spoken, spoken) == 0
    assert content_or_voice.word_errors(spoken, []) == 6
    assert content_or_voice.word_errors(spoken, ["the", "kids", "talking", "to", "the", "door"]) == 3
    assert content_or_voice.word_errors([], ["thanks"]) == 1


def test_a_share_is_computed_within_each_corpus_except_the_one_whose_words_reveal_the_emotion():
    counts = [(1, 2), (3, 4), (0, 5), (9, 9)]
    mean, low, high = content_or_voice.share_over_corpora(
        np.array(counts), ["a", "a", "b", "korean_emotional_tts"], ["a:1", "a:2", "b:1", "k:1"]
    )
    assert mean == pytest.approx((4 / 6 + 0) / 2, abs=1e-4)
    assert (low, high) == (0.25, 0.375)  # of two speakers in one corpus: one twice, or both


@needs_yamnet
def test_the_experiment_is_a_command_whose_figures_are_on_the_page(small_corpus, tmp_path, monkeypatch):
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted(small_corpus.iterdir())[:4]:
        (few / file.name).symlink_to(file)
    given = []

    def transcribe(recording, model, language=None):
        given.append(language)
        # Every second transcription, those of masked speech, is empty.
        words = () if language and len(given) % 2 else (Region(0, 1, label="So"), Region(1, 2, label="much!"))
        return Transcript(words, (0.9,) * len(words), "de")

    monkeypatch.setattr(content_or_voice, "transcribe", transcribe)
    monkeypatch.setattr("ser_core.commands.experiment.word_model", lambda download: SimpleNamespace())
    monkeypatch.setattr("ser_core.commands.experiment.write_result", lambda n, r: write_result(n, r, tmp_path))
    monkeypatch.setattr("ser_core.commands.experiment.write_results_page", lambda: tmp_path / "RESULTS.md")
    assert main(["experiment", "content", "--model", "yamnet", "--corpus", f"emodb={few}"]) == 0
    result = read_result("content-yamnet", tmp_path)
    assert list(result["conditions"]) == ["as recorded", *MASKINGS]
    assert given[:5] == [None, *["de"] * 4]
    assert result["conditions"]["as recorded"]["word_error_rate"] == [0, 0, 0]
    assert result["conditions"]["as recorded"]["same_verdict"] == [1, 1, 1]
    assert sum(of["word_error_rate"][0] for of in result["conditions"].values()) == pytest.approx(2, abs=0.6)
    assert "| yamnet | hum | " in content_section([result])
