"""Anyone's model as an ONNX file, run by onnxruntime: it is asked what it hears, and nothing else is known of it."""

import hashlib
import os

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.settings import FrontEnd

#: Whatever onnxruntime raises: its exceptions have no root of their own, and one whose text quotes broken bytes of the
#: file fails as it is made.
_FAULTS = (
    *(kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    UnicodeDecodeError,
)
#: What a model that takes any number of frames is tried on, and how long the segments of a batch may be all together.
TRIAL_FRAMES, LONGEST_BATCH_FRAMES = 96, 48_000
SILENT = 4  # onnxruntime's log: only what is fatal


class OnnxClassifier:
    """An ONNX model behind the interface of `ser_core.classifier.Classifier`.

    Parameters
    ----------
    data : bytes
        The model, with one input of segments (n, frames, bands), float32, natural log of mel magnitude, and logits
        (n, classes), float32, as its first output. All weights are inside: a model that names other files is refused.
    sha256 : str
        Of the data, as the model's card says.

    Raises
    ------
    ModelRefused
        If the data are not those of the card, are no ONNX model, or do not take segments and give logits.
    """

    #: Grad-CAM needs gradients, which an ONNX file does not give.
    layers: tuple[str, ...] = ()

    def __init__(
        self,
        data: bytes,
        *,
        name: str,
        sha256: str,
        emotions: tuple[str, ...],
        front_end: FrontEnd,
        temperature: float = 1.0,
    ) -> None:
        self.name, self.sha256, self.emotions = name, sha256, emotions
        self.front_end, self.temperature = front_end, temperature
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ModelRefused(
                f"{name}: its model.onnx is not the file that its card was written for, whose SHA-256 begins with "
                f"{sha256[:8]}. Fetch the model again, or correct `sha256` in card.json."
            )
        self._session, self._input = _session(data, name)
        self._check()

    def score(self, segments: np.ndarray) -> np.ndarray:
        """Return the logits (n, classes), float32, of segments (n, frames, bands).

        Raises
        ------
        ModelRefused
            If the model fails at them.
        """
        size = max(1, LONGEST_BATCH_FRAMES // segments.shape[1])
        parts = [segments[start : start + size] for start in range(0, len(segments), size)]
        logits = [self._run(np.ascontiguousarray(part, dtype=np.float32)) for part in parts]
        return np.concatenate(logits) if logits else np.empty((0, len(self.emotions)), np.float32)

    def _run(self, segments: np.ndarray) -> np.ndarray:
        try:
            return self._session.run(None, {self._input: segments})[0]
        except _FAULTS as reason:
            raise ModelRefused(
                f"{self.name}: the model fails at {len(segments)} segments of {segments.shape[1]} frames and "
                f"{segments.shape[2]} bands ({_short(reason)}). Export it so that it takes any number of segments."
            ) from None

    def _check(self) -> None:
        """Try it on two segments of quiet noise, and on one: what fails should fail before anybody waits for it."""
        frames = self.front_end.segments.segment_frames or TRIAL_FRAMES
        noise = np.random.default_rng(0).normal(-4, 1, (2, frames, self.front_end.spectrogram.bands)).astype(np.float32)
        for segments in (noise, noise[:1]):
            logits = self._run(segments)
            wanted = (len(segments), len(self.emotions))
            if not (isinstance(logits, np.ndarray) and logits.shape == wanted and logits.dtype == np.float32):
                found = f"{logits.dtype} {logits.shape}" if isinstance(logits, np.ndarray) else type(logits).__name__
                raise ModelRefused(
                    f"{self.name}: of {wanted[0]} segments its first output is {found}; needed are float32 logits "
                    f"{wanted}, one for each emotion of its card. Correct the card, or export the model anew."
                )
            if not np.isfinite(logits).all():
                raise ModelRefused(f"{self.name}: its logits of quiet noise are not numbers. Export the model anew.")

    def class_activation(self, segments: np.ndarray, class_weights: np.ndarray, layer: str) -> np.ndarray:
        """Refuse: there are no maps."""
        raise SettingsRefused(f"{self.name} has no layer '{layer}': an ONNX file gives no gradients. Use LIME.")

    def randomised(self, seed: int) -> None:
        """Return None: which of its numbers were learnt is not known."""


def _session(data: bytes, name: str) -> tuple[onnxruntime.InferenceSession, str]:
    """Return the running model, and what its input is called."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    # Threads that wait for work would otherwise keep a core busy that others need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights in other files would be looked for where the app was started: nothing lies below a file.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        inputs = [(one.name, one.type, one.shape) for one in session.get_inputs()]
    except _FAULTS as reason:
        raise ModelRefused(
            f"{name}: its model.onnx cannot be run ({_short(reason)}). It must be one ONNX file with all its weights "
            "inside and no operators of its own."
        ) from None
    if len(inputs) != 1 or inputs[0][1] != "tensor(float)" or len(inputs[0][2]) != 3:
        found = ", ".join(f"{kind} {shape}" for _, kind, shape in inputs) or "nothing"
        raise ModelRefused(
            f"{name}: its model takes {found}; it must take one float32 array of segments x frames x bands. "
            "Export it with that input."
        )
    return session, inputs[0][0]


def _short(reason: Exception) -> str:
    return " ".join(str(reason).split())[:160]
