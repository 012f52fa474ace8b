"""Assumptions of the benchmark of spliced speech."""

import numpy as np
import pytest
import soundfile

from benchmarks import spliced_speech
from benchmarks.spliced_speech import FADE_S, clips, spliced
from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import LabelledRecording

RATE = 8_000


def voiced(seconds, level, seed=0):
    return (level * np.random.default_rng(seed).normal(size=round(seconds * RATE))).astype(np.float32)


def level_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))


def test_only_the_second_changes_and_has_the_level_of_the_speech_it_replaces():
    neutral, second = voiced(4, 0.05), voiced(1, 0.2, seed=1)
    whole = spliced(neutral, second, 12_000, RATE)
    np.testing.assert_array_equal(whole[:12_000], neutral[:12_000])
    np.testing.assert_array_equal(whole[20_000:], neutral[20_000:])
    inside, fade = whole[12_000:20_000], round(FADE_S * RATE)
    assert abs(level_db(inside) - level_db(neutral[12_000:20_000])) < 1
    np.testing.assert_allclose(inside[fade:-fade] / second[fade:-fade], 0.25, rtol=0.02)
    assert np.corrcoef(inside, second)[0, 1] > 0.98


def test_powers_add_up_to_one_during_the_crossfade():
    neutral, second = np.zeros(4 * RATE, np.float32), np.full(RATE, 0.1, np.float32)
    neutral[10_000:18_000:2] = 0.1  # every other sample is speech, so that the others show the inserted second alone
    whole = spliced(neutral, second, 10_000, RATE)[10_000:18_000]
    level = 0.1 / np.sqrt(2)
    share = whole[1::2] / level  # of the inserted second
    both = whole[0::2]  # sqrt(1 - share^2) * 0.1 + share * level
    rising = np.interp(np.arange(0, RATE, 2), np.arange(1, RATE, 2), share)
    np.testing.assert_allclose(both, np.sqrt(np.clip(1 - rising**2, 0, 1)) * 0.1 + rising * level, atol=2e-3)
    assert share[0] < 0.05
    assert share[-1] < 0.05
    np.testing.assert_allclose(share[100:-100], 1, atol=1e-6)


@pytest.mark.parametrize("control", [False, True])
def test_clips_are_of_one_speaker_and_have_a_target_emotion_other_than_neutral(tmp_path, control, monkeypatch):
    items, read = [], []
    monkeypatch.setattr(spliced_speech, "read_recording", lambda path: read.append(path) or read_recording(path))
    for speaker in "ab":
        for place, emotion in enumerate(("neutral", "neutral", "neutral", "sad", "angry")):
            path = tmp_path / f"{speaker}{place}.wav"
            # Each speaker and emotion has its own constant, which identifies the parts of a clip.
            soundfile.write(path, np.full(2 * RATE, 0.1 + 0.2 * (speaker == "b") + 0.01 * place), RATE, "FLOAT")
            items.append(LabelledRecording(path, "toy", speaker, emotion, "", "none"))
    made = clips(items, ("angry", "happy", "neutral", "sad"), 0, control=control)
    seen = {(clip.speaker, clip.emotion) for clip, _ in zip(made, range(60), strict=False)}
    args = ("sad", "angry", "happy") if control else ("sad", "angry")  # from which a second can be inserted
    assert seen == {(f"toy:{speaker}", emotion) for speaker in "ab" for emotion in args}
    read.clear()
    clip = next(made)
    assert len(read) == len(set(read)) == 3, "what is spliced in is of another recording than those around it"
    assert len(clip.recording.samples) == len(clip.neutral.samples) == 4 * RATE
    assert 0.25 <= clip.start_s <= 4 - 1.25
    assert np.median(clip.neutral.samples) == pytest.approx(0.1 if clip.speaker == "toy:a" else 0.3, abs=0.021)


def test_the_inserted_second_comes_from_the_louder_half_of_its_sentence(tmp_path):
    items = []
    for place, emotion in enumerate(("neutral", "neutral", "angry")):
        samples = np.full(3 * RATE, 0.1)
        if emotion == "angry":
            samples[:RATE] = 0  # so that the quieter half of its seconds contains some of the silence
        path = tmp_path / f"{place}.wav"
        soundfile.write(path, samples, RATE, "FLOAT")
        items.append(LabelledRecording(path, "toy", "a", emotion, "", "none"))
    made = clips(items, ("angry", "neutral"), 0, control=False)
    for clip, _ in zip(made, range(40), strict=False):
        first = round(clip.start_s * RATE)
        np.testing.assert_allclose(clip.recording.samples[first + 200 : first + RATE - 200], 0.1, rtol=1e-6)
