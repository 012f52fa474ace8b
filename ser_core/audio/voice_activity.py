"""Detect how much of a recording is speech, so that noise and music get no emotion."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from scipy.ndimage import binary_dilation

from ser_core.analysis import Recording
from ser_core.audio.reading import resample

RATE_HZ = 16_000
FRAME_SAMPLES = 512
CONTEXT_SAMPLES = 64
SPEECH_PROBABILITY = 0.5
#: Pieces on either side of speech that count as speech: consonants are quieter than the vowels beside them.
MARGIN_PIECES = 2


def detect_speech(recording: Recording) -> np.ndarray:
    """Return whether Silero's detector of voice activity finds speech in each 32 ms, shape (pieces,), bool."""
    samples = resample(recording.samples, recording.sample_rate_hz, RATE_HZ)
    # The detector depends on the level, and would miss quiet speech.
    return speech_probabilities(samples * np.float32(0.5 / np.abs(samples).max())) > SPEECH_PROBABILITY


def speech_seconds(recording: Recording, speech: np.ndarray | None = None) -> float:
    """Return how many seconds of a recording are speech; `speech` is the result of `detect_speech`, if known."""
    speech = detect_speech(recording) if speech is None else speech
    return min(int(np.count_nonzero(speech)) * FRAME_SAMPLES / RATE_HZ, recording.duration_s)


def speech_frames(speech: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Return whether each time (frames,), in seconds, lies in or close to speech, shape (frames,), bool.

    Pauses of up to two margins are bridged: a stop consonant is silent too.
    """
    pieces = binary_dilation(speech, iterations=MARGIN_PIECES) if speech.any() else speech
    return pieces[np.minimum((times_s * RATE_HZ / FRAME_SAMPLES).astype(int), len(speech) - 1)]


def speech_probabilities(samples: np.ndarray) -> np.ndarray:
    """Return the probability of speech in each 32 ms frame of samples at 16 kHz, shape (frames,), float32."""
    frames = -(-len(samples) // FRAME_SAMPLES)
    padded = np.zeros(CONTEXT_SAMPLES + frames * FRAME_SAMPLES, np.float32)
    padded[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(samples)] = samples
    # Each frame is preceded by the end of the previous one.
    windows = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT_SAMPLES + FRAME_SAMPLES)[::FRAME_SAMPLES]
    silence = np.zeros((1, 1, 128), np.float32)
    (probabilities,) = _detector().run(["speech_probs"], {"input": windows, "h": silence, "c": silence})
    return probabilities


@cache
def _detector() -> onnxruntime.InferenceSession:
    # Located, not imported: importing the package limits torch to a single thread.
    package = Path(find_spec("silero_vad").submodule_search_locations[0])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = package / "data" / "silero_vad_16k_sequence.onnx"
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
