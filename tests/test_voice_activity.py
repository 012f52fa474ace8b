"""Speech is distinguished from other sound."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from ser_core.analysis import Recording
from ser_core.audio.reading import read_recording, resample
from ser_core.audio.voice_activity import speech_seconds
from ser_core.corpora import read_corpus
from ser_core.settings import VerdictSettings

RATE = 16_000
MIN_SPEECH_S = VerdictSettings().least_speech_s

ROOT = Path(__file__).parent.parent


def noise() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)


def sine() -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)


def hum() -> np.ndarray:
    return 0.3 * np.sign(np.sin(2 * np.pi * 50 * np.arange(3 * RATE) / RATE))


@pytest.mark.parametrize("make", [noise, sine, hum])
def test_noise_and_tones_are_not_speech(make):
    assert speech_seconds(Recording("none", "0", make().astype(np.float32), RATE)) < MIN_SPEECH_S


def some_of(corpora, name, number=8):
    recordings = read_corpus(name, corpora / name).recordings
    return [read_recording(item.path) for item in recordings[:: len(recordings) // number]][:number]


@pytest.mark.corpora
@pytest.mark.parametrize("name", ["ravdess", "emodb", "nemo", "korean_emotional_tts"])
def test_speech_of_every_corpus_is_speech(corpora, name):
    for recording in some_of(corpora, name):
        heard_s = speech_seconds(recording)
        assert MIN_SPEECH_S < heard_s <= recording.duration_s, recording.name
        assert heard_s > 0.2 * recording.duration_s, recording.name


@pytest.mark.corpora
def test_speech_is_found_as_well_when_it_is_quiet(corpora):
    for recording in some_of(corpora, "emodb", 3):
        quiet = Recording("quiet", "0", recording.samples * np.float32(0.003), RATE)
        assert speech_seconds(quiet) == pytest.approx(speech_seconds(recording), abs=0.1)


@pytest.mark.corpora
def test_speech_is_found_as_well_at_another_rate(corpora):
    for recording in some_of(corpora, "emodb", 3):
        faster = Recording("48 kHz", "0", resample(recording.samples, RATE, 48_000), 48_000)
        assert speech_seconds(faster) == pytest.approx(speech_seconds(recording), abs=0.1)


@pytest.mark.corpora
def test_pauses_around_speech_are_not_counted(corpora):
    (recording,) = some_of(corpora, "emodb", 1)
    pause = (1e-4 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    longer = Recording("pauses", "0", np.concatenate([pause, recording.samples, pause]), RATE)
    assert speech_seconds(longer) < recording.duration_s + 0.3
    assert speech_seconds(longer) == pytest.approx(speech_seconds(recording), abs=0.3)


@pytest.mark.process
def test_the_detector_says_what_its_own_package_says(voice):
    # In its own process, because the package's import leaves torch with one thread.
    script = (
        "import sys, numpy as np; from silero_vad import load_silero_vad; "
        "samples = np.load(sys.argv[1]); theirs = load_silero_vad(sequence=True).audio_forward(samples); "
        "from ser_core.audio.voice_activity import speech_probabilities; "
        "assert np.array_equal(speech_probabilities(samples), theirs), np.abs(speech_probabilities(samples) - theirs)"
    )
    run_with_array(script, voice)


@pytest.mark.process
def test_importing_the_pipeline_leaves_torch_its_threads(voice):
    script = (
        "import torch; torch.set_num_threads(3); import numpy as np, sys; "
        "from ser_core.audio.voice_activity import speech_probabilities; speech_probabilities(np.load(sys.argv[1])); "
        "import ser_core.pipeline; assert torch.get_num_threads() == 3"
    )
    run_with_array(script, voice)


def run_with_array(script, samples):
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/samples.npy", samples)
        done = subprocess.run(
            [sys.executable, "-c", script, f"{folder}/samples.npy"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
