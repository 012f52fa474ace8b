"""A trained network behind the interface that the rest of the project uses: numpy in, numpy out."""

import copy
import hashlib
import os
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.analysis import VoiceShare
from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.front_end.segments import MIN_WHOLE_FRAMES
from ser_core.model.networks.decoder import Decoder
from ser_core.model.networks.folding import folded
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.networks.local_change import LocalChange, thread_pool
from ser_core.model.networks.local_maps import LocalMaps
from ser_core.model.networks.products import Products, products_of
from ser_core.model.networks.vggish import VGGish
from ser_core.model.networks.whisper import BANDS, Whisper
from ser_core.model.voice import VoiceNormal, trust, voice_share, voice_shift, voice_temperature
from ser_core.settings import FrontEnd, VoiceSettings

#: Number of operations whose code oneDNN caches (1024 by default); it reads the setting at its first operation. Each
#: batch size needs code of its own, 30 operations for the fusion, and the last batch of a recording can have any size.
CACHED_OPERATIONS = 128
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(CACHED_OPERATIONS))

#: Suffix of the name of a model adapted to a voice.
ADAPTED_SUFFIX = ", this voice"
#: Segments that a thread scores at once; the activations of more would not fit in the processor's cache.
BATCH = 8
#: Segments whose unchanged state stays in memory for the next explainer; 17 MB each for Whisper.
MAX_STATES = 6
#: Frames that are scored at once if segments are whole recordings: 8 of 60 s.
MAX_BATCH_FRAMES = 48_000

#: Takes versions (n, frames, bands) of a segment, and the first and the end (excluded) of the frames that differ;
#: returns logits (n, classes).
ScoreLocalChanges = Callable[[np.ndarray, int, int], np.ndarray]


class Classifier(Protocol):
    """The interface of all models, including those of other people, for pages and explainers.

    A model may also have `decoder` and `decoded`, for the explainer One pass, and `score_local_changes` and
    `forget_segments`, to perturb faster: see `NetworkClassifier`.

    Attributes
    ----------
    layers : tuple of str
        Layers for Grad-CAM, the default first; empty if it does not apply.
    temperature : float
        Logits are divided by it before the softmax; fitted on validation recordings.
    pooling : str
        How the probabilities of segments are pooled into those of the recording (see `ser_core.model.scores.pool`).
    voice : VoiceSettings or None
        How a voice's own normal is used; None if the model treats all voices alike. A model with these settings also
        has `with_voice`, like `NetworkClassifier`.
    voice_share : VoiceShare or None
        Set if the model was adapted to a voice.
    adapted_from : (Classifier, VoiceNormal) or None
        For a model adapted to a voice: the original model, and the voice's normal.
    """

    emotions: tuple[str, ...]
    name: str
    sha256: str
    front_end: FrontEnd
    temperature: float
    pooling: str
    layers: tuple[str, ...]
    voice: VoiceSettings | None
    voice_share: VoiceShare | None
    adapted_from: "tuple[Classifier, VoiceNormal] | None"

    def score(self, segments: np.ndarray) -> np.ndarray:
        """Return float32 logits (n, classes) of segments (n, frames, bands)."""

    def class_activation(self, segments: np.ndarray, class_weights: np.ndarray, layer: str) -> np.ndarray:
        """Return signed Grad-CAM maps (n, h, w) for the logits weighted by `class_weights` (classes,).

        k rows of weights (k, classes) give maps (k, n, h, w).
        """

    def randomised(self, seed: int) -> "Classifier | None":
        """Return the same architecture with random weights, or None if that is not possible."""


class NetworkClassifier:
    """A network of `ser_core.model.networks` as a `Classifier`, on the CPU.

    Parameters
    ----------
    network : nn.Module
        Copied; its batch norms are folded into the convolutions before them, which changes only the speed.
    precision : torch.dtype
        Precision of `score`. bfloat16 is three times as fast on processors that support it, and changes logits by about
        0.01; `benchmarks/precision.py` measures the effect on maps. Grad-CAM is always computed in float32.
    decoder : Decoder or None
        Decoder of the network's tokens, which are the first channels of its only map.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        sha256: str,
        emotions: tuple[str, ...],
        front_end: FrontEnd,
        temperature: float = 1.0,
        pooling: str = "probabilities",
        precision: torch.dtype = torch.float32,
        voice: VoiceSettings | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        self.name, self.sha256, self.emotions = name, sha256, emotions
        self.front_end, self.temperature, self.pooling = front_end, temperature, pooling
        self.network = folded(network).to(memory_format=torch.channels_last)
        self.voice, self.decoder = voice, decoder
        self.voice_share = self.adapted_from = None
        self.shift = np.zeros(len(emotions), np.float32)
        self._precision = precision
        self._scoring = self.network if precision == torch.float32 else copy.deepcopy(self.network).to(precision)
        frames = front_end.segments.segment_frames or MIN_WHOLE_FRAMES
        silence = torch.zeros(1, 1, frames, front_end.spectrogram.bands)
        self._maps = tuple(self.network.maps(silence))
        #: Maps before the last ones, if the network has any.
        self._inner = tuple(self.network.inner(silence)) if hasattr(self.network, "inner") else ()
        products = products_of(self.network) if isinstance(network, Whisper) else None
        self._state_of = lru_cache(MAX_STATES)(partial(_state_of, self.network, self._scoring, products))
        self.layers = (*(("both",) if len(self._maps) > 1 else ()), *self._maps, *self._inner)

    def score(self, segments: np.ndarray) -> np.ndarray:
        """Return the logits of segments.

        Parameters
        ----------
        segments : ndarray of shape (n, frames, bands), float32

        Returns
        -------
        ndarray of shape (n, classes), float32
        """
        threads = torch.get_num_threads()  # 1 in a thread of the pool, which must not wait for the others
        batches = _batches(segments, threads)
        run = thread_pool().map if threads > 1 and len(batches) > 1 else map
        logits = list(run(self._logits, batches))
        return torch.cat(logits).numpy() - self.shift if logits else np.empty((0, len(self.emotions)), np.float32)

    @torch.inference_mode()
    def _logits(self, batch: Tensor) -> Tensor:
        # The last layers stay in float32: their outputs are near 1, where bfloat16 has steps of 0.008.
        maps = self._scoring.maps(batch.to(self._precision))
        return self.network.classify({name: map_.float() for name, map_ in maps.items()})

    def score_with_features(self, segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits (n, classes) of segments (n, frames, bands), and the features (n, features), float32.

        Features are the input of the last layers. A voice's own normal shifts only logits, not features.
        """
        logits, features = [], []
        with torch.inference_mode():
            for batch in _batches(segments):
                maps = {name: map_.float() for name, map_ in self._scoring.maps(batch.to(self._precision)).items()}
                logits.append(self.network.classify(maps))
                features.append(self.network.features(maps))
        return torch.cat(logits).numpy() - self.shift, torch.cat(features).numpy()

    def score_local_changes(self, segment: np.ndarray) -> ScoreLocalChanges | None:
        """Return a function that scores versions of a segment (frames, bands) that differ in a few frames.

        It is faster than `score`, and for `Whisper` only nearly as exact (see `LocalChange` and `LocalMaps`). None if
        the network does not support this.
        """
        if not isinstance(self.network, Whisper | VGGish | LateFusion):
            return None
        change = self._state_of(segment.astype(np.float32, copy=False).tobytes())

        def score(changed: np.ndarray, first_frame: int, end_frame: int) -> np.ndarray:
            return change.logits(torch.tensor(changed), first_frame, end_frame).numpy() - self.shift

        return score

    def forget_segments(self) -> None:
        """Free the unchanged states that `score_local_changes` keeps for the next explainer."""
        self._state_of.cache_clear()

    def tokens(self, segments: np.ndarray) -> Tensor:
        """Return the tokens (n, channels, tokens), float32, of segments (n, frames, bands), for a decoder."""
        with torch.inference_mode():
            maps = [self._scoring.maps(batch.to(self._precision))[self._maps[0]] for batch in _batches(segments)]
        return torch.cat(maps)[:, : self.network.token_channels, :, 0].float()

    def decoded(self, segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits of segments, and the decoder's evidence for each frame.

        Returns
        -------
        logits : ndarray of shape (n, classes), float32
        evidence : ndarray of shape (n, classes, frames), float32
            In logits for a frame.
        """
        logits, evidence = [], []
        with torch.inference_mode():
            for batch in _batches(segments):
                maps = {name: map_.float() for name, map_ in self._scoring.maps(batch.to(self._precision)).items()}
                logits.append(self.network.classify(maps))
                tokens = maps[self._maps[0]][:, : self.decoder.weight.shape[1], :, 0]
                # A token covers several frames, which share its evidence equally.
                frames = batch.shape[2] // tokens.shape[2]
                evidence.append(self.decoder.evidence(tokens).repeat_interleave(frames, dim=2) / frames)
        return torch.cat(logits).numpy() - self.shift, torch.cat(evidence).numpy()

    def with_voice(self, normal: VoiceNormal) -> "NetworkClassifier":
        """Return this classifier adapted to a voice's own normal, or itself if nothing is known of the voice.

        Only logits are shifted and the temperature changed; the network, its speed and Grad-CAM's maps stay the same.

        Raises
        ------
        SettingsRefused
            If the model has no settings for voices, or is already adapted to one.
        """
        if self.voice is None:
            raise SettingsRefused(f"{self.name} cannot judge a voice by its own normal. Choose a model that can.")
        if normal.recordings == 0:
            return self
        adapted = copy.copy(self)
        adapted.name = f"{self.name}{ADAPTED_SUFFIX}"
        adapted.sha256 = hashlib.sha256(f"{self.sha256} {normal.sha256}".encode()).hexdigest()
        adapted.shift = voice_shift(normal, self.voice).astype(np.float32)
        adapted.temperature = self.temperature * voice_temperature(normal, self.voice)
        share = VoiceShare(normal.recordings, voice_share(normal, self.voice), trust(normal, self.voice))
        adapted.voice, adapted.voice_share, adapted.adapted_from = None, share, (self, normal)
        return adapted

    def class_activation(self, segments: np.ndarray, class_weights: np.ndarray, layer: str) -> np.ndarray:
        """Return signed Grad-CAM maps.

        A map's channels are weighted by the mean gradient of the weighted logits. "both" adds the branches' maps on the
        finer grid. The coarser one is divided by the number of fine cells in each of its cells, so that each map keeps
        its sum of evidence.

        Parameters
        ----------
        segments : ndarray of shape (n, frames, bands), float32
        class_weights : ndarray of shape (classes,) or (k, classes)
            One-hot for an emotion; 1 and -1 for one emotion against another. Several rows share one forward pass.
        layer : str
            One of `layers`.

        Returns
        -------
        ndarray of shape (n, h, w) or (k, n, h, w), float32

        Raises
        ------
        ModelRefused
            If the maps are not finite.

        References
        ----------
        Selvaraju et al. 2017, arXiv:1610.02391.
        """
        if layer not in self.layers:
            raise SettingsRefused(f"{self.name} has no layer '{layer}'; choose one of {', '.join(self.layers)}.")
        names = self._maps if layer == "both" else (layer,)
        rows = torch.as_tensor(np.atleast_2d(class_weights), dtype=torch.float32)
        maps = np.concatenate([self._activations(batch, rows, names) for batch in _batches(segments)], axis=1)
        if not np.isfinite(maps).all():
            raise ModelRefused(
                f"{self.name}: its Grad-CAM maps are not finite numbers. Fetch or train it again, or choose LIME."
            )
        return maps if np.ndim(class_weights) == 2 else maps[0]

    def _activations(self, batch: Tensor, rows: Tensor, names: tuple[str, ...]) -> np.ndarray:
        with torch.enable_grad():
            if names[0] in self._inner:  # gradients through all later layers
                maps = self.network.inner(batch.requires_grad_())
                logits = self.network.classify(self.network.outer(maps))
            else:  # gradients from the maps on
                with torch.no_grad():
                    maps = self.network.maps(batch)
                maps = {name: map_.requires_grad_() for name, map_ in maps.items()}
                logits = self.network.classify(maps)
            selected = [maps[name] for name in names]
            gradients = [torch.autograd.grad((logits @ row).sum(), selected, retain_graph=True) for row in rows]
        return np.stack([_summed_activations(selected, of_row) for of_row in gradients])

    def randomised(self, seed: int) -> "NetworkClassifier":
        """Return the same architecture with random weights."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = type(self.network)(len(self.emotions))
        return NetworkClassifier(
            network,
            name=f"{self.name}, random weights",
            sha256=f"{self.sha256}-random-{seed}",
            emotions=self.emotions,
            front_end=self.front_end,
            temperature=self.temperature,
            pooling=self.pooling,
            precision=self._precision,
        )


def _state_of(
    network: nn.Module, scoring: nn.Module, products: Products | None, segment: bytes
) -> LocalChange | LocalMaps:
    values = torch.tensor(np.frombuffer(segment, np.float32).reshape(-1, BANDS))
    return LocalMaps(network, scoring, values) if products is None else LocalChange(network, products, values)


def _batches(segments: np.ndarray, threads: int = 1) -> list[Tensor]:
    size = max(1, min(BATCH, -(-len(segments) // threads), MAX_BATCH_FRAMES // segments.shape[1] // threads))
    return [
        torch.tensor(np.ascontiguousarray(segments[start : start + size]), dtype=torch.float32)
        .unsqueeze(1)
        .to(memory_format=torch.channels_last)
        for start in range(0, len(segments), size)
    ]


def _summed_activations(maps: list[Tensor], gradients: tuple[Tensor, ...]) -> np.ndarray:
    """Return the sum (n, h, w), on the finest grid, of maps whose channels are weighted by the mean gradients."""
    cams = [
        (gradient.mean(dim=(2, 3), keepdim=True) * map_).sum(dim=1, keepdim=True).detach()
        for map_, gradient in zip(maps, gradients, strict=True)
    ]
    finest = max((cam.shape[2:] for cam in cams), key=lambda size: size[0] * size[1])
    return sum(_upsampled(cam, finest) for cam in cams)[:, 0].numpy()


def _upsampled(cam: Tensor, size: torch.Size) -> Tensor:
    """Return a map at a finer size with the same sum."""
    if cam.shape[2:] == size:
        return cam
    cells = (size[0] * size[1]) / (cam.shape[2] * cam.shape[3])
    return F.interpolate(cam, size, mode="bilinear", align_corners=False) / cells
