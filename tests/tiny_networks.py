"""Networks, classifiers, recordings and targets that are small enough to work out by hand."""

from copy import deepcopy
from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ser_core.analysis import Recording, Segments
from ser_core.explanation.relevance import ExplanationTarget
from ser_core.front_end.segments import split_into_segments
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.scores import softmax
from ser_core.settings import FrontEnd, SegmentSettings, SelectionSettings

EMOTIONS = ("angry", "happy", "neutral", "sad")


class TinyNetwork(nn.Module):
    """One convolution whose flattened map (12 x 8) is classified; with batch norm and dropout, as in real networks."""

    features_count = 4 * 12 * 8

    def __init__(self, classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 8, stride=8)
        self.bn = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.features_count, classes)

    def maps(self, segments):
        return {"tiny": F.relu(self.bn(self.conv(segments)))}

    def features(self, maps):
        return maps["tiny"].flatten(1)

    def classify(self, maps):
        return self.head(self.dropout(self.features(maps)))

    def forward(self, segments):
        return self.classify(self.maps(segments))


class LinearClassifier:
    """Logits that are weighted sums of the log-mel values, so that `weights` is the relevance of each value.

    `calls` holds the segments of every call of `score`.
    """

    layers = ()
    voice = voice_share = None
    name, sha256, temperature = "linear", "0" * 64, 1.0
    pooling = "probabilities"

    def __init__(self, weights, emotions=EMOTIONS, front_end=None) -> None:
        self.weights, self.emotions = np.asarray(weights, np.float64), emotions
        self.front_end = front_end or FrontEnd()
        self.calls: list[np.ndarray] = []

    def score(self, segments):
        self.calls.append(np.array(segments))
        return np.einsum("nfb,cfb->nc", segments, self.weights).astype(np.float32)

    def class_activation(self, segments, class_weights, layer):
        raise AssertionError("it has no layer")

    def randomised(self, seed):
        return None


def lively(network, seed=0):
    """Return the network with batch norms fitted to its weights: with new ones, a deep network's signal fades away.

    Channels that hardly vary stay quiet, or random weights would amplify their own rounding errors. The dense layers
    are made stronger, because with very small gradients any two maps would agree.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
        if isinstance(module, nn.Linear):
            module.weight.data *= 3
    with torch.no_grad():
        network.train()(torch.tensor(np.stack([random_log_mel(seed=1000 * seed + i) for i in range(12)]))[:, None])
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.clamp_(min=0.15)
    return network.eval()


def fresh(kind, classes=4, seed=0):
    """Return a `lively` network of a class that depends only on the seed."""
    return deepcopy(_made(kind, classes, seed))


@lru_cache(maxsize=12)
def _made(kind, classes, seed):
    torch.manual_seed(seed)
    return lively(kind(classes), seed)


def published_encoder(network):
    """Return the weights of a Whisper with the names and the precision of the published ones."""
    weights = {}
    for name, tensor in network.state_dict().items():
        first, _, rest = name.partition(".")
        if first in ("bands", "head"):
            continue
        if first == "blocks":
            number, layer = rest.split(".", 1)
            inner = layer.split(".")[0] in ("query", "key", "value", "out")
            name = f"blocks.{number}.{'attn.' if inner else ''}{layer}"
        weights[name] = tensor.half().contiguous()
    positions = weights["positional_embedding"]
    weights["positional_embedding"] = torch.cat([positions, torch.zeros(1500 - len(positions), positions.shape[1])])
    return weights


def classifier_of(network, emotions=EMOTIONS, temperature=1.0, front_end=None, pooling="probabilities"):
    return NetworkClassifier(
        network,
        name="small",
        sha256="1" * 64,
        emotions=emotions,
        front_end=front_end or FrontEnd(),
        temperature=temperature,
        pooling=pooling,
    )


def random_log_mel(frames=96, seed=0):
    return (np.random.default_rng(seed).normal(size=(frames, 64)) * 1.5 - 3).astype(np.float32)


def target_of_log_mel(log_mel, emotion=0, against=None, first=0, end=None, selected=None, front_end=None):
    values, starts = split_into_segments(log_mel, front_end.segments if front_end else SegmentSettings())
    selected = np.ones(len(starts), bool) if selected is None else np.asarray(selected)
    end = len(log_mel) if end is None else end
    return ExplanationTarget(log_mel, Segments(values, starts, selected, None), emotion, against, first, end)


def probabilities_slowly(classifier, target, fill, share):
    """Mix the recording with a fill, cut it into segments and return their mean probabilities: the slow twin.

    The padding of a short recording is not mixed.
    """
    mixed = (1 - share) * target.log_mel + share * fill
    padded = np.concatenate([mixed, target.segments.values[-1][len(mixed) :]]).astype(np.float32)
    starts = target.segments.start_frames[target.members]
    segments = np.stack([padded[start : start + target.segments.segment_frames] for start in starts])
    return softmax(classifier.score(segments), classifier.temperature).mean(axis=0)


def noise_recording(seconds=2.0, seed=0, rate=16_000, name="noise.wav"):
    """Return three bursts of noise per second: steady enough for data selection, but not speech."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    samples = (0.1 * rng.normal(size=len(times)) * (0.2 + np.sin(3 * np.pi * times) ** 2)).astype(np.float32)
    samples = np.clip(samples, -0.9, 0.9)
    samples.setflags(write=False)
    return Recording(name, f"{seed:064x}", samples, rate)


def everything_kept():
    return FrontEnd(selection=SelectionSettings("none"))


def never():
    return False
