"""The smallest change of a voice that flips a verdict, by known rules and by a network."""

from dataclasses import replace

import numpy as np
import pytest

from ser_core.analysis import Region
from ser_core.audio.prosody import prosody_of
from ser_core.audio.voice_change import change_voice
from ser_core.audio.voice_change.marks import pitch_marks
from ser_core.errors import Cancelled, SettingsRefused
from ser_core.explanation.counterfactual.voice import (
    GRID,
    HALVINGS,
    PROPERTIES,
    counterfactuals_in_words,
    flip_in_words,
    voice_counterfactuals,
)
from ser_core.pipeline import classify_recording
from ser_core.pipeline.voice import find_voice_counterfactuals, score_sounds
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED, Work
from tests.test_voice_change import RATE, noise, voice
from tests.tiny_networks import TinyNetwork, classifier_of, fresh, never, noise_recording

EMOTIONS = ("angry", "sad")
BY_FIELD = {one.field: one for one in PROPERTIES}
LEVEL = [BY_FIELD["level_db"]]
VOICE = voice(0.7, swing_st=1.0)
MARKS = pitch_marks(VOICE, prosody_of(VOICE))


def judge(is_angry):
    """Return scores that are angry for sounds (n,) that satisfy a rule, else sad."""

    def score(sounds, work):
        return np.array([(0.9, 0.1) if is_angry(sound) else (0.2, 0.8) for sound in sounds])

    return score


def louder_than(db):
    before = np.mean(VOICE.samples**2)
    return lambda sound: 10 * np.log10(np.mean(sound**2) / before) > db


def found_by(is_angry, properties=LEVEL, regions=(), recording=VOICE, marks=MARKS, work=UNWATCHED):
    return voice_counterfactuals(recording, marks, regions, judge(is_angry), work, properties)


def curve_of(found, field):
    return next(curve for curve in found.curves if curve.property.field == field)


@pytest.mark.parametrize("threshold_db", [3.3, 5.9])
def test_the_smallest_louder_voice_that_flips_is_found_to_a_share_of_a_step(threshold_db):
    found = found_by(louder_than(threshold_db))
    curve = curve_of(found, "level_db")
    (flip,) = curve.flips
    step = (GRID[1] - GRID[0]) * curve.property.limit / 2**HALVINGS
    assert threshold_db < flip.amount <= threshold_db + step
    assert EMOTIONS[flip.emotion] == "angry"
    np.testing.assert_array_equal(flip.scores, [0.9, 0.1])
    assert found.smallest is flip
    sound = found.sound(flip)
    assert 10 * np.log10(np.mean(sound**2) / np.mean(VOICE.samples**2)) == pytest.approx(flip.amount, abs=0.1)


def test_a_flip_beyond_the_natural_limit_is_on_the_curve_but_no_flip():
    found = found_by(louder_than(7.0))
    curve = curve_of(found, "level_db")
    assert curve.natural == (-6, 6)
    assert curve.scores[curve.amounts > 7.0].argmax(axis=1).tolist() == [0, 0]
    assert not curve.flips
    natural = voice_counterfactuals(
        VOICE, MARKS, [], judge(louder_than(7.0)), UNWATCHED, LEVEL, unnatural=False
    ).curves[0]
    assert (natural.amounts[0], natural.amounts[-1]) == curve.natural
    assert found.smallest is None
    assert "sad" in counterfactuals_in_words(found, EMOTIONS)


def test_of_several_flips_the_smallest_share_of_the_limit_is_named():
    count = len(VOICE.samples)
    found = found_by(lambda sound: len(sound) < count / 1.02 or louder_than(5.0)(sound), [*LEVEL, BY_FIELD["tempo"]])
    assert {flip.property.field for curve in found.curves for flip in curve.flips} == {"tempo", "level_db"}
    assert found.smallest.property.field == "tempo"
    sentences = counterfactuals_in_words(found, EMOTIONS)
    assert "faster" in sentences
    assert "angry" in sentences


def test_where_the_synthesis_alone_flips_nothing_is_said_of_the_property():
    # Any changed waveform is angry: changes of pitch and range cannot be separated from their synthesis.
    found = found_by(
        lambda sound: len(sound) == len(VOICE.samples) and np.abs(sound - VOICE.samples).max() > 1e-4, PROPERTIES
    )
    for field in ("pitch_st", "pitch_range", "tempo"):
        curve = curve_of(found, field)
        assert curve.control.argmax() == 0
        assert curve.scores[curve.amounts == 0][0].argmax() == 1
        assert not curve.flips
    assert curve_of(found, "level_db").flips


def test_the_pitch_stays_where_people_speak():
    low_voice = voice(0.7, hz=105.0)
    marks = pitch_marks(low_voice, prosody_of(low_voice))
    found = found_by(lambda sound: False, [BY_FIELD["pitch_st"]], recording=low_voice, marks=marks)
    low, high = curve_of(found, "pitch_st").natural
    assert low == pytest.approx(12 * np.log2(89 / 105), abs=0.1)
    assert high == 7


def test_creak_is_only_added_and_breath_also_taken_away():
    found = found_by(lambda sound: False, [BY_FIELD["breath_db"], BY_FIELD["creak_db"]])
    breath, creak = found.curves
    assert breath.natural == (-breath.property.limit, breath.property.limit)
    assert (creak.amounts[0], creak.natural) == (0, (0, creak.property.limit))
    assert creak.amounts[-1] > creak.natural[1]
    assert creak.property.in_words(3.5) == "3.5 dB creakier"


def test_a_creakier_voice_that_flips_is_found_by_its_gaps():
    level = 20 * np.log10(np.abs(VOICE.samples[MARKS.samples[:-1]]) + 1e-9)

    def has_gaps(sound):  # then most marks are weaker than a few
        return np.ptp((20 * np.log10(np.abs(sound[MARKS.samples[:-1]]) + 1e-9) - level)[level > -40]) > 4.0

    (curve,) = found_by(has_gaps, [BY_FIELD["creak_db"]]).curves
    (flip,) = curve.flips
    step = curve.property.limit / 4 / 2**HALVINGS
    assert 4.0 < flip.amount <= 4.0 + step + 0.1


def test_without_a_voice_there_is_no_pitch_to_change():
    whisper = noise(0.3)
    marks = pitch_marks(whisper, prosody_of(whisper))
    found = found_by(lambda sound: False, PROPERTIES, recording=whisper, marks=marks)
    assert {curve.property.field for curve in found.curves} == {"tempo", "level_db", "tilt_db"}


def test_in_regions_only_they_change():
    region = Region(0.25, 0.5)
    outside = np.r_[0 : round(0.25 * RATE), round(0.5 * RATE) : len(VOICE.samples)]

    def outside_changed(sound):
        return len(sound) == len(VOICE.samples) and np.abs(sound[outside] - VOICE.samples[outside]).max() > 1e-6

    found = found_by(outside_changed, [BY_FIELD["pitch_st"], BY_FIELD["tilt_db"]], [region])
    assert all(curve.scores.argmax(axis=1).tolist() == [1] * len(curve.amounts) for curve in found.curves)
    assert "focus" in counterfactuals_in_words(found, EMOTIONS)


def test_a_change_in_words():
    assert BY_FIELD["pitch_st"].in_words(-3.0).startswith("3 ")
    assert "lower" in BY_FIELD["pitch_st"].in_words(-3.0)
    assert "1.5" in BY_FIELD["level_db"].in_words(1.5)
    assert "20 %" in BY_FIELD["tempo"].in_words(-np.log2(1.25))
    assert "25 %" in BY_FIELD["tempo"].in_words(np.log2(1.25))
    flip = curve_of(found_by(louder_than(3.0)), "level_db").flips[0]
    assert flip_in_words(flip, EMOTIONS).endswith("angry")


def test_progress_rises_and_a_stop_is_obeyed():
    fractions = []
    found_by(louder_than(3.0), work=Work(lambda fraction, text: fractions.append(fraction), never))
    assert fractions == sorted(fractions)
    assert fractions[-1] <= 1
    with pytest.raises(Cancelled):
        found_by(louder_than(3.0), work=Work(stop=lambda: True))


def test_sounds_are_scored_in_a_batch_as_one_by_one_and_as_the_recording_itself():
    recording, classifier = noise_recording(3.0), classifier_of(fresh(TinyNetwork))
    analysis = classify_recording(recording, classifier, AnalysisSettings())
    sounds = [recording.samples, recording.samples[:20_000], 0.5 * recording.samples]
    together = score_sounds(recording, sounds, classifier)
    np.testing.assert_allclose(together, [score_sounds(recording, [one], classifier)[0] for one in sounds], atol=1e-6)
    np.testing.assert_allclose(together[0], analysis.scores.recording, atol=1e-6)


def test_only_the_analysed_stretch_is_changed():
    recording, classifier = noise_recording(2.0), classifier_of(fresh(TinyNetwork))
    analysis = classify_recording(recording, classifier, AnalysisSettings(stretch_s=(0.5, 1.5)))
    found = find_voice_counterfactuals(analysis, classifier, [Region(0.2, 0.8), Region(1.6, 1.9)])
    assert found.recording.duration_s == pytest.approx(1.0)
    ((start_s, end_s),) = [(region.start_s, region.end_s) for region in found.regions]
    assert (start_s, end_s) == pytest.approx((0.0, 0.3))
    own = classify_recording(
        replace(recording, samples=recording.samples[8_000:24_000]), classifier, AnalysisSettings()
    )
    np.testing.assert_allclose(found.original, own.scores.recording, atol=1e-6)
    louder = change_voice(found.recording, PROPERTIES[3].change(3.0), found.marks, found.regions)
    assert len(louder) == 16_000
    with pytest.raises(SettingsRefused):
        find_voice_counterfactuals(analysis, classifier, [Region(1.6, 1.9)])
