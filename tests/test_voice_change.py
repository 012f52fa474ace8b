"""A changed voice, by physics: what is changed moves by the given amount, and everything else stays."""

from dataclasses import replace

import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call

from ser_core.analysis import Recording, Region
from ser_core.audio.prosody import prosody_of, semitones
from ser_core.audio.voice_change import VoiceChange, change_voice, spectrum, there_and_back
from ser_core.audio.voice_change.marks import PitchMarks, pitch_marks
from ser_core.audio.voice_change.quality import FIRST_HARMONIC_DB, NOISE_IN_REST, repeating_part
from ser_core.errors import SettingsRefused

RATE = 16_000


def voice(seconds=2.0, hz=150.0, swing_st=0.0, rate=RATE) -> Recording:
    """Return harmonics with two formants 21 dB above the rest, a pitch that swings, and silence at both ends."""
    times = np.arange(round(seconds * rate)) / rate
    pitch = hz * 2 ** (swing_st * np.sin(2 * np.pi * 1.5 * times) / 12)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    sound = np.zeros(len(times))
    for k in range(1, int(4_000 / hz)):
        sound += np.sin(k * phase) * (
            0.1 + sum(np.exp(-(((k * pitch - formant) / 250) ** 2)) for formant in (600, 1_700))
        )
    sound *= ((times > 0.1) & (times < seconds - 0.1)) * 0.1 / np.abs(sound).max()
    samples = sound.astype(np.float32)
    samples.setflags(write=False)
    return Recording("voice.wav", "0" * 64, samples, rate)


def noise(seconds=2.0) -> Recording:
    samples = np.random.default_rng(0).normal(0, 0.05, round(seconds * RATE)).astype(np.float32)
    return Recording("n.wav", "1" * 64, samples, RATE)


def changed(recording, regions=(), **change):
    marks = pitch_marks(recording, prosody_of(recording))
    return change_voice(recording, VoiceChange(**change), marks, regions)


def pitch_of(samples, rate=RATE):
    """Return median pitch (Hz) and its standard deviation (semitones)."""
    hz = prosody_of(Recording("c", "c", samples, rate)).pitch_hz
    return float(np.median(hz)), float(np.std(12 * np.log2(hz)))


def breathing(seconds=1.0, hz=150.0, noise_db=-20.0, highest_hz=3_000.0) -> Recording:
    """Return equally strong harmonics and white noise, up to the highest frequency."""
    times, rng = np.arange(round(seconds * RATE)) / RATE, np.random.default_rng(1)
    sound = sum(np.cos(2 * np.pi * k * hz * times + k**2 / 8) for k in range(1, int(highest_hz / hz)))
    noise_spectrum = np.fft.rfft(rng.normal(size=len(times)))
    noise_spectrum[np.fft.rfftfreq(len(times), 1 / RATE) > highest_hz] = 0
    parts = [part / np.sqrt(power(part)) for part in (sound, np.fft.irfft(noise_spectrum, len(times)))]
    samples = 0.1 * (parts[0] + 10 ** (noise_db / 20) * parts[1])
    return Recording("breath.wav", "2" * 64, samples.astype(np.float32), RATE)


def harmonics_to_noise_db(samples):
    """Return Praat's mean harmonics-to-noise ratio."""
    return call(parselmouth.Sound(samples.astype(float), RATE).to_harmonicity_ac(0.01, 75, 0.1, 4.5), "Get mean", 0, 0)


def level_db(samples, low_hz, high_hz):
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return 10 * np.log10(np.sum(np.abs(np.fft.rfft(samples))[(hz >= low_hz) & (hz < high_hz)] ** 2))


def power(samples):
    return float(np.mean(np.square(samples, dtype=np.float64)))


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("moved", [-6, -2.5, 3, 7])
def test_pitch_moves_by_the_semitones_and_length_power_and_formants_stay(moved, rate):
    recording = voice(swing_st=1.0, rate=rate)
    out = changed(recording, pitch_st=moved)
    before, after = pitch_of(recording.samples, rate)[0], pitch_of(out, rate)[0]
    assert semitones(after, before) == pytest.approx(moved, abs=0.25)
    assert len(out) == len(recording.samples)
    assert power(out) == pytest.approx(power(recording.samples), rel=1e-3)
    if rate == RATE:
        for low, high in ((300, 900), (1_400, 2_000)):
            assert level_db(out, low, high) == pytest.approx(level_db(recording.samples, low, high), abs=3)


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.5])
def test_pitch_range_changes_about_the_median(factor):
    recording = voice(3.0, swing_st=3.0)
    (median, spread), (new_median, new_spread) = (
        pitch_of(recording.samples),
        pitch_of(changed(recording, pitch_range=factor)),
    )
    assert new_spread / spread == pytest.approx(factor, rel=0.15)
    assert semitones(new_median, median) == pytest.approx(0, abs=0.4)


def test_praats_overlap_add_gives_the_same_pitch_contour():
    recording = voice(swing_st=2.0)
    sound = parselmouth.Sound(recording.samples.astype(float), RATE)
    manipulation = call(sound, "To Manipulation", 0.01, 75, 400)
    contour = call(manipulation, "Extract pitch tier")
    call(contour, "Multiply frequencies", sound.xmin, sound.xmax, 2 ** (4 / 12))
    call([contour, manipulation], "Replace pitch tier")
    theirs = call(manipulation, "Get resynthesis (overlap-add)").values[0].astype(np.float32)
    ours, praat = (prosody_of(replace(recording, samples=out)) for out in (changed(recording, pitch_st=4), theirs))
    at = np.linspace(0.3, 1.7, 60)
    contours = [np.interp(at, found.times_s, 12 * np.log2(found.pitch_hz)) for found in (ours, praat)]
    assert np.abs(contours[0] - contours[1]).max() < 0.5


@pytest.mark.parametrize("tempo", [0.7, 1.4])
def test_tempo_divides_the_duration_and_the_pitch_stays(tempo):
    recording = voice()
    out = changed(recording, tempo=tempo)
    assert len(out) == round(len(recording.samples) / tempo)
    assert semitones(pitch_of(out)[0], pitch_of(recording.samples)[0]) == pytest.approx(0, abs=0.1)
    # Its initial silence lasts longer by the same factor.
    onset = np.flatnonzero(np.abs(out) > 0.02)[0] / RATE
    assert onset == pytest.approx(0.1 / tempo, abs=0.025)


@pytest.mark.parametrize("tilt_db", [-4, 3])
def test_tilt_adds_its_decibels_for_each_octave_and_the_power_stays(tilt_db):
    recording = noise()
    out = changed(recording, tilt_db=tilt_db)
    gains = [
        level_db(out, hz, 1.1 * hz) - level_db(recording.samples, hz, 1.1 * hz)
        for hz in (250, 500, 1_000, 2_000, 4_000)
    ]
    np.testing.assert_allclose(np.diff(gains), tilt_db, atol=0.05)
    assert power(out) == pytest.approx(power(recording.samples), rel=1e-3)


@pytest.mark.parametrize("breath_db", [-4, 4, 8])
def test_breath_adds_its_decibels_of_noise_and_raises_the_first_harmonic(breath_db):
    recording = breathing()
    out = changed(recording, breath_db=breath_db)
    found, before = harmonics_to_noise_db(out), harmonics_to_noise_db(recording.samples)
    assert found - before == pytest.approx(-breath_db, abs=1)
    raised = [level_db(samples, 140, 160) - level_db(samples, 290, 310) for samples in (recording.samples, out)]
    assert raised[1] - raised[0] == pytest.approx(FIRST_HARMONIC_DB * breath_db, abs=0.5)
    assert power(out) == pytest.approx(power(recording.samples), rel=1e-3)
    for low, high in ((450, 900), (900, 1_800), (1_800, 2_850)):
        assert level_db(out, low, high) == pytest.approx(level_db(recording.samples, low, high), abs=1.5)


@pytest.mark.parametrize("change", [{"breath_db": 4}, {"breath_db": -4}, {"pitch_st": 3}])
def test_the_length_of_blocks_changes_nothing(change, monkeypatch):
    whole = changed(breathing(), **change)
    monkeypatch.setattr(spectrum, "FILTER_BLOCK_S", 0.3)
    np.testing.assert_allclose(changed(breathing(), **change), whole, atol=1e-4)


def test_marks_follow_periods_that_end_between_samples():
    recording = breathing(noise_db=-60)
    marks = pitch_marks(recording, prosody_of(recording))
    ((first, last),) = marks.runs
    period = (marks.samples[last] - marks.samples[first]) / (last - first)
    assert period == pytest.approx(RATE / 150, abs=0.1), "not 107 samples each time"


def test_what_repeats_is_separated_from_noise():
    positions = np.arange(0, 16_001, 100)
    marks = PitchMarks(positions, ((0, len(positions) - 1),), np.full(len(positions), 160.0))
    hiss = np.random.default_rng(0).normal(size=16_000)
    tone = np.sin(2 * np.pi * np.arange(16_000) / 100)
    inside = slice(300, -300)
    np.testing.assert_allclose(repeating_part(tone, marks)[inside], tone[inside], atol=1e-5)
    rest = (hiss - repeating_part(hiss, marks))[inside]
    assert power(rest) == pytest.approx(NOISE_IN_REST, rel=0.05)


def test_creak_weakens_the_periods_between_pulses_and_praat_hears_a_low_irregular_voice():
    recording = voice()
    marks = pitch_marks(recording, prosody_of(recording))
    (first, last), out = marks.runs[0], change_voice(recording, VoiceChange(creak_db=12), marks)
    at = marks.samples[first : last + 1]
    at_marks = 20 * np.log10(np.abs(out[at] / recording.samples[at]))
    strong = at_marks > at_marks.max() - 6
    assert at_marks[strong].mean() - at_marks[~strong].mean() == pytest.approx(12, abs=0.5)
    gaps = np.diff(np.flatnonzero(strong))
    assert set(gaps) == {2, 3}, "80 pulses a second at most, some a period late"

    def praat(samples):
        sound = parselmouth.Sound(samples.astype(float), RATE)
        hz = sound.to_pitch(0.01, 40, 500).selected_array["frequency"]
        pulses = call(sound, "To PointProcess (periodic, cc)", 40, 500)
        return np.median(hz[hz > 0]), call(pulses, "Get jitter (local)", 0, 0, 0.0001, 0.025, 2)

    (hz, jitter), (before_hz, before_jitter) = praat(changed(recording, creak_db=24)), praat(recording.samples)
    assert hz < 80 < before_hz
    assert jitter > 0.05 > before_jitter


def test_level_changes_by_its_decibels_beyond_full_scale_too():
    out = changed(noise(0.5), level_db=30)
    np.testing.assert_allclose(out, noise(0.5).samples * 10**1.5, atol=0.01)
    assert np.abs(out).max() > 1


@pytest.mark.parametrize(
    "recording", [voice(swing_st=3.0), voice(rate=44_100), noise(0.3)], ids=["voice", "44k", "noise"]
)
def test_without_a_change_the_chain_returns_the_sound(recording):
    out = changed(recording)
    assert power(out - recording.samples) < 1e-10 * power(recording.samples)


def test_unvoiced_sound_has_no_pitch_breath_or_creak_to_change():
    recording = noise(1.0)
    np.testing.assert_allclose(
        changed(recording, pitch_st=5, pitch_range=2, breath_db=4, creak_db=6), changed(recording), atol=1e-6
    )


@pytest.mark.parametrize("change", [{"pitch_st": 4}, {"level_db": -12}, {"tilt_db": 3}, {"creak_db": 12}])
def test_in_a_region_only_that_region_changes(change):
    recording = voice()
    out = changed(recording, [Region(0.5, 1.0)], **change)
    outside = np.ones(len(out), bool)
    outside[RATE // 2 : RATE] = False
    np.testing.assert_array_equal(out[outside], recording.samples[outside])
    inside = slice(round(0.55 * RATE), round(0.95 * RATE))
    assert power(out[inside] - recording.samples[inside]) > 0.05 * power(recording.samples[inside])


def test_tempo_in_a_region_shortens_only_that_region_without_a_click():
    recording = voice()
    out = changed(recording, [Region(0.5, 1.0)], tempo=1.25)
    assert len(out) == pytest.approx(len(recording.samples) - 0.5 * RATE * (1 - 1 / 1.25), abs=2)
    np.testing.assert_array_equal(out[: RATE // 2], recording.samples[: RATE // 2])
    np.testing.assert_array_equal(out[-RATE:], recording.samples[-RATE:])
    assert np.abs(np.diff(out)).max() < 1.5 * np.abs(np.diff(recording.samples)).max()


@pytest.mark.parametrize(
    "change",
    [
        {"pitch_st": 2},
        {"pitch_range": 1.5},
        {"tempo": 1.2},
        {"tilt_db": 2, "level_db": 4},
        {"breath_db": 2, "creak_db": 3},
    ],
)
def test_there_and_back_ends_where_it_began(change):
    recording = voice(swing_st=2.0)
    marks = pitch_marks(recording, prosody_of(recording))
    returned = there_and_back(recording, VoiceChange(**change), marks)
    assert len(returned) == len(recording.samples)
    found, there = pitch_of(returned), pitch_of(recording.samples)
    assert semitones(found[0], there[0]) == pytest.approx(0, abs=0.2)
    assert found[1] == pytest.approx(there[1], rel=0.15)
    for low, high in ((300, 900), (1_400, 2_000)):
        assert level_db(returned, low, high) == pytest.approx(level_db(recording.samples, low, high), abs=1)
    in_region = there_and_back(recording, VoiceChange(**change), marks, [Region(0.5, 1.0)])
    np.testing.assert_array_equal(in_region[RATE:], recording.samples[RATE:])


@pytest.mark.parametrize(
    "change", [{"pitch_st": 30}, {"tempo": 0}, {"pitch_range": 9}, {"level_db": -80}, {"tilt_db": 20}, {"creak_db": -1}]
)
def test_an_impossible_change_is_refused(change):
    with pytest.raises(SettingsRefused):
        VoiceChange(**change)
