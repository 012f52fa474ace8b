"""How much of a recording is speech, so that noise and music are not given an emotion."""

from functools import cache
from importlib.resources import files

import numpy as np
from silero_vad import SileroVADSequence

from ser_core.audio import resample
from ser_core.recording import Recording

RATE_HZ = 16_000
FRAME_SAMPLES = 512
SPEECH_PROBABILITY = 0.5


def speech_seconds(recording: Recording) -> float:
    """Return how many seconds of a recording Silero's detector of voice activity takes for speech."""
    samples = resample(recording.samples, recording.sample_rate_hz, RATE_HZ)
    # The detector is level-dependent; quiet speech is speech too.
    peak = np.abs(samples).max()
    probabilities = _detector().audio_forward(samples * np.float32(0.5 / peak), RATE_HZ)
    frames = int(np.count_nonzero(probabilities > SPEECH_PROBABILITY))
    return min(frames * FRAME_SAMPLES / RATE_HZ, recording.duration_s)


@cache
def _detector() -> SileroVADSequence:
    return SileroVADSequence(files("silero_vad") / "data" / "silero_vad_16k_sequence.onnx", RATE_HZ)
