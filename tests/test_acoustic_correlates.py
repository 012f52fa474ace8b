"""Acoustic correlates of synthetic sounds, worked by hand, and of voices changed by known amounts."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pages.shared.evidence.voice_changes_section import differences_in_words
from ser_core.analysis import Recording, Region
from ser_core.audio.acoustic_correlates import (
    Correlates,
    Differences,
    acoustic_tracks,
    correlates_in,
    correlates_outside,
    differences,
    median_correlates,
)
from ser_core.audio.reading import read_recording
from ser_core.audio.voice_change import VoiceChange, change_voice
from ser_core.audio.voice_change.marks import pitch_marks
from ser_core.corpora import read_corpus
from tests.test_voice_change import voice

RATE = 16_000
EVERYWHERE: list[Region] = []


def syllables(count, seconds, hz=150.0):
    """Return equally strong harmonics of one pitch that swell and fade once per syllable."""
    times = np.arange(round(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * k * hz * times + k * k) for k in range(1, int(7_500 / hz)))
    sound *= np.sin(np.pi * count * times / seconds) ** 2
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def recording_of(samples):
    return Recording("s.wav", "5" * 64, samples, RATE)


@pytest.mark.parametrize("count", [5, 9])
def test_each_syllable_is_counted_and_lies_where_it_is(count):
    tracks = acoustic_tracks(recording_of(syllables(count, 2.0)))
    np.testing.assert_allclose(tracks.nuclei_s, 2.0 * (np.arange(count) + 0.5) / count, atol=0.03)


def test_equally_strong_harmonics_rise_by_three_decibels_an_octave_as_the_bands_get_wider():
    found = correlates_outside(acoustic_tracks(recording_of(syllables(4, 2.0, hz=75.0))), EVERYWHERE)
    assert found.tilt_db == pytest.approx(10 * np.log10(2), abs=0.3)


def test_range_is_that_of_a_swinging_pitch():
    found = correlates_outside(acoustic_tracks(voice(4.0, swing_st=3.0)), EVERYWHERE)
    # A sine spends a tenth of its time above sin(0.4 pi) of its peak.
    assert found.pitch_range_st == pytest.approx(2 * 3 * np.sin(0.4 * np.pi), abs=0.5)


def test_correlates_inside_and_outside_regions_are_measured_separately():
    soft, loud = 0.1 * syllables(4, 1.0, hz=120.0), syllables(4, 1.0, hz=180.0)
    tracks = acoustic_tracks(recording_of(np.concatenate([soft, loud])))
    focus = [Region(1.05, 2.0)]
    found = differences(correlates_in(tracks, focus), correlates_outside(tracks, focus))
    assert found.level_db == pytest.approx(20, abs=1.5)
    assert found.pitch_st == pytest.approx(12 * np.log2(1.5), abs=0.3)


def test_a_changed_voice_differs_by_what_was_changed():
    recording = recording_of(syllables(6, 3.0))
    tracks = acoustic_tracks(recording)
    marks = pitch_marks(recording, tracks.prosody)
    made = change_voice(recording, VoiceChange(pitch_st=3, level_db=6, tilt_db=2), marks)
    found = differences(
        correlates_outside(acoustic_tracks(replace(recording, samples=made)), EVERYWHERE),
        correlates_outside(tracks, EVERYWHERE),
    )
    assert found.pitch_st == pytest.approx(3, abs=0.3)
    assert found.level_db == pytest.approx(6, abs=0.5)
    assert found.tilt_db == pytest.approx(2, abs=0.5)
    assert found.pitch_range_st == pytest.approx(0, abs=0.7)


def test_differences_by_hand_and_unknown_ones():
    one = Correlates(pitch_hz=200, pitch_range_st=5, level_dbfs=-20, rate_hz=6, tilt_db=None)
    other = Correlates(pitch_hz=100, pitch_range_st=6, level_dbfs=-26, rate_hz=4, tilt_db=-5)
    found = differences(one, other)
    assert found.pitch_st == pytest.approx(12)
    assert (found.pitch_range_st, found.level_db, found.tilt_db) == (-1, 6, None)
    assert found.rate_percent == pytest.approx(50)
    flat = Correlates(pitch_hz=200, pitch_range_st=0.0, level_dbfs=0.0, rate_hz=0.0, tilt_db=0.0)
    found = differences(flat, other)
    assert (found.pitch_range_st, found.level_db, found.rate_percent, found.tilt_db) == (-6, 26, -100, 5)
    assert differences(other, flat).rate_percent is None


def test_the_normal_of_a_voice_is_the_median_of_its_known_values():
    each = [Correlates(100, 2, -20, 4, None), Correlates(200, None, -30, 5, -4), Correlates(120, 4, -25, 9, None)]
    assert median_correlates(each) == Correlates(120, 3, -25, 5, -4)
    assert median_correlates([]) == Correlates(*[None] * 5)


def test_the_sentence_names_unusual_properties_the_most_unusual_first():
    sentence = differences_in_words(Differences(-6.0, 1.0, 4.0, 5.0, None), "in the rest")
    assert re.findall(r"\d+(?:\.\d+)?", sentence) == ["6.0", "4"]
    assert "lower" in sentence
    assert "louder" in sentence
    assert not re.search(r"\d", differences_in_words(Differences(0.5, 0.5, 1.0, 5.0, 0.5), "in the rest"))
    assert not re.search(r"\d", differences_in_words(Differences(None, None, None, None, None), "in the rest"))


def test_noise_has_no_correlates_of_a_voice():
    noise = np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32)
    found = correlates_outside(acoustic_tracks(recording_of(noise)), EVERYWHERE)
    assert found == Correlates(None, None, None, None, None)


@pytest.mark.corpora
def test_syllables_of_known_sentences_are_counted(corpora):
    items = read_corpus("ravdess", corpora / "ravdess").recordings[::150]
    counts = [len(acoustic_tracks(read_recording(item.path)).nuclei_s) for item in items]
    # "Kids are talking by the door", "dogs are sitting by the door".
    assert np.mean(counts) == pytest.approx(7, abs=1)
