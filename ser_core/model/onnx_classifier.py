"""Anyone's model as an ONNX file, run by onnxruntime: a black box that gives logits."""

import hashlib

import numpy as np

from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.front_end.segments import MIN_WHOLE_FRAMES
from ser_core.model.onnx_process import OnnxProcess
from ser_core.settings import FrontEnd

#: Maximum number of frames in a batch, over all its segments.
MAX_BATCH_FRAMES = 6_000


class OnnxClassifier:
    """An ONNX model behind the interface of `ser_core.model.classifier.Classifier`.

    Parameters
    ----------
    data : bytes
        The model, with one input of segments (n, frames, bands), float32, natural log of mel magnitude, and logits
        (n, classes), float32, as its first output. All weights are inside: a model that names other files is refused.
    sha256 : str
        SHA-256 of the data, from the model's card.

    Raises
    ------
    ModelRefused
        If the data do not match the card, are not an ONNX model, or do not take segments and give logits.
    """

    #: Grad-CAM needs gradients, which an ONNX file does not give.
    layers: tuple[str, ...] = ()
    #: It cannot be adapted to a voice.
    voice = voice_share = adapted_from = None

    def __init__(
        self,
        data: bytes,
        *,
        name: str,
        sha256: str,
        emotions: tuple[str, ...],
        front_end: FrontEnd,
        temperature: float = 1.0,
        pooling: str = "probabilities",
    ) -> None:
        self.name, self.sha256, self.emotions = name, sha256, emotions
        self.front_end, self.temperature, self.pooling = front_end, temperature, pooling
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ModelRefused(
                f"{name}: its model.onnx is not the file that its card was written for, whose SHA-256 begins with "
                f"{sha256[:8]}. Fetch the model again, or correct `sha256` in card.json."
            )
        self._graph = OnnxProcess(data, name, len(emotions))
        self._check()

    def score(self, segments: np.ndarray) -> np.ndarray:
        """Return the logits (n, classes), float32, of segments (n, frames, bands).

        Raises
        ------
        ModelRefused
            If the model fails, or takes more time or memory than is allowed.
        """
        size = max(1, MAX_BATCH_FRAMES // segments.shape[1])
        parts = [segments[start : start + size] for start in range(0, len(segments), size)]
        logits = [self._graph.run(np.ascontiguousarray(part, dtype=np.float32)) for part in parts]
        return np.concatenate(logits) if logits else np.empty((0, len(self.emotions)), np.float32)

    def _check(self) -> None:
        """Run the model on two segments of quiet noise and on one, so that a faulty model fails when it is loaded."""
        frames = self.front_end.segments.segment_frames or MIN_WHOLE_FRAMES
        noise = np.random.default_rng(0).normal(-4, 1, (2, frames, self.front_end.spectrogram.bands)).astype(np.float32)
        for segments in (noise, noise[:1]):
            logits = self._graph.run(segments)
            if not np.isfinite(logits).all():
                raise ModelRefused(f"{self.name}: its logits of quiet noise are not numbers. Export the model again.")

    def class_activation(self, segments: np.ndarray, class_weights: np.ndarray, layer: str) -> np.ndarray:
        """Refuse: an ONNX file has no maps."""
        raise SettingsRefused(f"{self.name} has no layer '{layer}': an ONNX file gives no gradients. Use LIME.")

    def randomised(self, seed: int) -> None:
        """Return None: it is not known which of the graph's tensors are weights."""
