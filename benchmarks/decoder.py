"""Fit the decoder of the explainer One pass, and measure it on speakers that it was not fitted on.

    python benchmarks/decoder.py [--quick] [--model NAME] [--pairs N] [--seed N] [--out FILE] [--json FILE]

Needs SER_CORPORA. Segments are from recordings that the model was trained on. In each, a stretch of 0.5 to 1.2 s is
replaced by speech of the same person in another emotion, at the same level; both stretches are from the louder half of
their segments. The decoder is a ridge regression: its evidence after minus that before, summed over the stretch,
predicts the difference of the logits. `explained_variance` is the share of the variance of these differences that it
predicts, in five folds over speakers. `hits` is how often its highest point lies in the stretch; it counts segments of
neutral speech in which the logit of the stretch's emotion rises by at least 1.5 above the others.
"""

import platform
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import trained_on
from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.splits import draw_evenly
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.networks.decoder import Decoder
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import segments_of
from ser_core.settings import SpectrogramSettings

SHORTEST_FRAMES, LONGEST_FRAMES = 48, 120
#: The longest stretch, as a share of the segment.
MAX_SHARE = 0.7
#: How often the other recording is neutral, if the speaker has neutral ones.
NEUTRAL_SHARE = 0.6
#: Number of neighbouring tokens that are averaged, so that pairs take less memory.
POOLED = 4
#: Number of principal components of the tokens in which the decoder is fitted, and the ridge penalty.
COMPONENTS, RIDGE = 256, 10_000.0
FOLDS = 5
MIN_RISE = 1.5


@dataclass(frozen=True, eq=False)
class Pair:
    """Two segments that differ in one stretch.

    Attributes
    ----------
    before, after : ndarray of shape (positions, channels)
        Scaled tokens, averaged by `POOLED`.
    inside : ndarray of shape (positions,)
        How much of each position the stretch covers.
    change : ndarray of shape (classes,)
        Logits after minus before, centred over the classes.
    from_neutral : bool
        Whether the segment is neutral speech.
    emotion : int
        Index of the emotion of the new stretch.
    """

    before: np.ndarray
    after: np.ndarray
    inside: np.ndarray
    change: np.ndarray
    speaker: str
    from_neutral: bool
    emotion: int

    @property
    def difference(self) -> np.ndarray:
        """The sum of the tokens in the stretch, after minus before, (channels,)."""
        return POOLED * self.inside @ (self.after - self.before)


def pairs(items: Sequence[LabelledRecording], classifier: NetworkClassifier, count: int, seed: int) -> Iterator[Pair]:
    """Yield pairs of random recordings, drawn in turn from corpora and speakers."""
    by_speaker = defaultdict(list)
    for item in items:
        by_speaker[item.speaker_id].append(item)
    for number, item in enumerate(draw_evenly(list(items), count, seed)):
        rng = np.random.default_rng([seed, number])
        others = [other for other in by_speaker[item.speaker_id] if other.emotion != item.emotion]
        neutral = [other for other in others if other.emotion == "neutral"]
        if not others:
            continue
        candidates = neutral if neutral and rng.random() < NEUTRAL_SHARE else others
        other = candidates[rng.integers(len(candidates))]
        swapped = other.emotion == "neutral" or (item.emotion != "neutral" and rng.random() < 0.5)
        base, donor = (other, item) if swapped else (item, other)
        base_frames, segment = _segment(base, classifier, rng)
        donor_frames, _ = _segment(donor, classifier, rng)
        length = rng.integers(SHORTEST_FRAMES, LONGEST_FRAMES + 1)
        length = int(min(length, MAX_SHARE * len(base_frames), len(donor_frames)))
        first = _start_in_speech(base_frames, length, rng)
        donor_first = _start_in_speech(donor_frames, length, rng)
        stretch = donor_frames[donor_first : donor_first + length]
        changed = replaced(segment, stretch, first, classifier.front_end.spectrogram)
        inside = np.zeros(len(changed), np.float32)
        inside[first : first + length] = 1
        logits, tokens = _tokens(np.stack([segment, changed]), classifier)
        change = logits[1] - logits[0]
        yield Pair(
            before=tokens[0],
            after=tokens[1],
            inside=inside.reshape(len(tokens[0]), -1).mean(axis=1),
            change=change - change.mean(),
            speaker=item.speaker_id,
            from_neutral=base.emotion == "neutral",
            emotion=classifier.emotions.index(donor.emotion),
        )
        print(f"Recording {number + 1} of {count}", file=sys.stderr)


def replaced(segment: np.ndarray, stretch: np.ndarray, first: int, frames: SpectrogramSettings) -> np.ndarray:
    """Return a segment (frames, bands) with a stretch of other speech from a frame on, at the level of the old speech.

    Both hold the logarithms of magnitudes, whose squares are the power.
    """
    old, new = segment[first : first + len(stretch)].astype(np.float64), stretch.astype(np.float64)
    gain = np.sqrt(np.exp(2 * old).sum() / np.exp(2 * new).sum())
    result = segment.copy()
    magnitude = np.maximum(np.exp(new) - frames.log_offset, 0)
    result[first : first + len(stretch)] = np.log(gain * magnitude + frames.log_offset)
    return result


def _segment(
    item: LabelledRecording, classifier: NetworkClassifier, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames of a random segment without padding, and with it."""
    spectrogram = spectrogram_of(read_recording(item.path), classifier.front_end.spectrogram)
    segments = segments_of(spectrogram, classifier.front_end)
    index = rng.choice(np.flatnonzero(segments.selected))
    recorded = len(spectrogram.log_mel) - segments.start_frames[index]
    return segments.values[index][:recorded], segments.values[index]


def _start_in_speech(segment: np.ndarray, length: int, rng: np.random.Generator) -> int:
    """Return a random first frame of a stretch that is louder than the median stretch."""
    starts = np.arange(0, len(segment) - length + 1, 4)
    power = np.append(0.0, np.cumsum(np.exp(2 * segment.astype(np.float64)).sum(axis=1)))
    powers = power[starts + length] - power[starts]
    return int(rng.choice(starts[powers >= np.median(powers)]))


def _tokens(segments: np.ndarray, classifier: NetworkClassifier) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (n, classes), and scaled tokens (n, positions, channels), averaged by `POOLED`."""
    tokens = classifier.tokens(segments)
    scaled = F.layer_norm(tokens.transpose(1, 2), tokens.shape[1:2])
    return classifier.score(segments), scaled.unflatten(1, (-1, POOLED)).mean(dim=2).numpy()


def fit(known: Sequence[Pair]) -> Decoder:
    """Return the decoder that fits the pairs, by ridge regression in the first principal components of the tokens."""
    tokens = np.concatenate([tokens for pair in known for tokens in (pair.before, pair.after)]).astype(np.float64)
    mean = tokens.mean(axis=0)
    variances, components = np.linalg.eigh(np.cov(tokens.T))
    whitening = components[:, -COMPONENTS:] / np.sqrt(variances[-COMPONENTS:])
    x = np.stack([pair.difference for pair in known]) @ whitening / POOLED
    y = np.stack([pair.change for pair in known])
    weights = whitening @ np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y) / POOLED
    return Decoder(torch.tensor(weights.T, dtype=torch.float32), torch.tensor(-mean @ weights, dtype=torch.float32))


def measure(known: Sequence[Pair], seed: int) -> dict[str, float]:
    """Return how well decoders predict the pairs of speakers that they were not fitted on."""
    speakers = sorted({pair.speaker for pair in known})
    fold_of = {name: index % FOLDS for index, name in enumerate(np.random.default_rng(seed).permutation(speakers))}
    squared_error, squared_sum, hits, chances = 0.0, 0.0, [], []
    for fold in range(FOLDS):
        weight = fit([pair for pair in known if fold_of[pair.speaker] != fold]).weight.numpy()
        for pair in (pair for pair in known if fold_of[pair.speaker] == fold):
            squared_error += float(np.square(pair.change - weight @ pair.difference).sum())
            squared_sum += float(np.square(pair.change).sum())
            others = np.delete(np.arange(len(weight)), pair.emotion)
            if pair.from_neutral and pair.change[pair.emotion] - pair.change[others].mean() >= MIN_RISE:
                profile = pair.after @ (weight[pair.emotion] - weight[others].mean(axis=0))
                hits.append(pair.inside[np.convolve(profile, np.ones(3), "same").argmax()] > 0.5)
                chances.append(pair.inside.mean())
    figures = {
        "explained_variance": 1 - squared_error / squared_sum,
        "hits": np.mean(hits),
        "chance": np.mean(chances),
    }
    return {name: round(float(value), 3) for name, value in figures.items()} | {"hits_of": len(hits)}


def main() -> None:
    parser = benchmark_parser(__doc__, "40 pairs")
    parser.add_argument("--model", default="whisper")
    parser.add_argument("--pairs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument(
        "--out", type=Path, help="write the decoder to this file, such as models/NAME/decoder.safetensors"
    )
    args = parser.parse_args()
    items = trained_on(args.model)
    if not items:
        return
    known = list(pairs(items, load_model(args.model), 40 if args.quick else args.pairs, args.seed))
    result = {
        "machine": platform.machine(),
        "model": args.model,
        "seed": args.seed,
        "pairs": len(known),
        "speakers": len({pair.speaker for pair in known}),
        **measure(known, args.seed),
    }
    if args.out:
        args.out.write_bytes(fit(known).to_bytes())
    report(result, args.json)


if __name__ == "__main__":
    main()
