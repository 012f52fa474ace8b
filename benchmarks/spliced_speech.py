"""Do explainers find a spliced-in second? Emotional speech within neutral speech of the same speaker.

    python benchmarks/spliced_speech.py [--quick] [--model NAME] [--explain METHOD ...] [--clips N] [--seed N]
                                        [--json FILE]

Needs SER_CORPORA. For speakers outside the training data, a second of emotional speech replaces a second of neutral
speech, at the level of the neutral speech, with cross-fades of 20 ms. Both are random seconds from the louder half of
their recordings, so that neither is a pause. Only clips count in which the splice raises the evidence for the emotion
by at least 1 (log-odds): for these it is known where the evidence comes from. An explainer hits if the maximum of its
profile over time is within the second; the area under the ROC curve measures how well the profile separates the frames
inside from those outside.

In the control, the second is other neutral speech, explained for the same emotions. Because its position is in the
louder half, some maps point there anyway: `hits_above_unspliced` compares each map with the same explainer's map of the
original speech at the same position. Its interval includes zero if splicing itself attracts no relevance. If the
evidence for the emotion happens to rise, there is something to find; if it falls, there is not.
"""

import platform
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import mean_with_interval, unseen
from ser_core.analysis import Analysis, Recording, frame_at
from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import LabelledRecording
from ser_core.explanation import EXPLAINERS, FOCUS_METHODS
from ser_core.explanation.agreement import consensus, with_frequencies
from ser_core.explanation.faithfulness import reference_maps
from ser_core.explanation.focus import relevance_profile
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import add_explanation, classify_recording, find_focus, target_of
from ser_core.settings import AnalysisSettings

SPLICE_S, FADE_S = 1.0, 0.020
SHORTEST_S, LONGEST_S = 3.0, 5.0
EDGE_S = 0.25
MIN_RISE = 1.0


@dataclass(frozen=True)
class Clip:
    """Neutral speech with another second from `start_s` on, and the emotion to explain."""

    recording: Recording
    neutral: Recording
    start_s: float
    emotion: str
    speaker: str


def spliced(neutral: np.ndarray, second: np.ndarray, first: int, rate: int) -> np.ndarray:
    """Return neutral speech with a second replaced from sample `first` on.

    The new second gets the level of the old one; they cross-fade at constant power for `FADE_S` at either end.
    """
    length, fade = len(second), round(FADE_S * rate)
    replaced = neutral[first : first + length]
    level = np.sqrt(np.mean(np.square(replaced, dtype=np.float64)) / np.mean(np.square(second, dtype=np.float64)))
    rising = np.sin(np.pi / 2 * (np.arange(fade) + 0.5) / fade)
    gain = np.concatenate([rising, np.ones(length - 2 * fade), rising[::-1]])
    result = neutral.copy()
    result[first : first + length] = np.sqrt(1 - gain**2) * replaced + gain * level * second
    return np.clip(result, -1, 1).astype(np.float32)


def clips(items: list[LabelledRecording], emotions: tuple[str, ...], seed: int, *, control: bool) -> Iterator[Clip]:
    """Yield clips of random speakers, sentences and positions, endlessly."""
    rng = np.random.default_rng(seed)
    items_of = defaultdict(list)
    for item in items:
        items_of[item.speaker_id, item.emotion].append(item)
    neutral_items = {speaker: own for (speaker, emotion), own in items_of.items() if emotion == "neutral"}
    speakers = sorted(speaker for speaker, own in neutral_items.items() if len(own) > 1)
    others = [name for name in emotions if name != "neutral"]
    if not speakers:
        sys.exit("Nobody has two neutral recordings here; give corpora of acted speech.")
    while True:
        speaker, emotion = str(rng.choice(speakers)), str(rng.choice(others))
        donors = items_of[speaker, "neutral" if control else emotion]
        if not donors:
            continue
        # In the control, the second comes from another recording than the carrier.
        neutral_donor = donors[rng.integers(len(donors))] if control else None
        carrier, rate = _carrier([item for item in neutral_items[speaker] if item is not neutral_donor], rng)
        donor = read_recording((neutral_donor or donors[rng.integers(len(donors))]).path)
        edge, length = round(EDGE_S * rate), round(SPLICE_S * rate)
        if donor.sample_rate_hz != rate or len(donor.samples) < length or len(carrier) < 2 * edge + length:
            continue
        donor_first, first = (
            _start_in_speech(donor.samples, length, 0, rng),
            _start_in_speech(carrier, length, edge, rng),
        )
        second = donor.samples[donor_first : donor_first + length]
        if not second.any() or not carrier[first : first + length].any():
            continue
        clip = spliced(carrier, second, first, rate)
        yield Clip(_recording(clip, rate), _recording(carrier, rate), first / rate, emotion, speaker)


def _carrier(neutral: list[LabelledRecording], rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Return 3 to 5 s of neutral speech, concatenating sentences if one is too short."""
    parts, rate = [], 0
    for index in rng.permutation(len(neutral)):
        recording = read_recording(neutral[index].path)
        rate = rate or recording.sample_rate_hz
        if recording.sample_rate_hz == rate:
            parts.append(recording.samples)
        if sum(map(len, parts)) >= SHORTEST_S * rate:
            break
    return np.concatenate(parts)[: round(LONGEST_S * rate)], rate


def _start_in_speech(samples: np.ndarray, length: int, edge: int, rng: np.random.Generator) -> int:
    """Return a random first sample away from the edges, in the louder half, so that it is not a pause."""
    starts = np.arange(edge, len(samples) - edge - length + 1, max(1, length // 20))
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    energies = energy[starts + length] - energy[starts]
    return int(rng.choice(starts[energies >= np.median(energies)]))


def _recording(samples: np.ndarray, rate: int) -> Recording:
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    samples.setflags(write=False)
    return Recording("spliced.wav", "0" * 64, samples, rate)


def inside_of(clip: Clip, analysis: Analysis) -> np.ndarray:
    """Return for each frame whether it lies within the spliced second."""
    first, end = (round(frame_at(clip.start_s + offset, analysis.spectrogram.settings)) for offset in (0.0, SPLICE_S))
    inside = np.zeros(analysis.spectrogram.log_mel.shape[0], bool)
    inside[max(first, 0) : end] = True
    return inside


def explained(
    analysis: Analysis, methods: tuple[str, ...], classifier: Classifier, settings: AnalysisSettings
) -> Analysis:
    """Return the analysis with an explanation by each method."""
    for method in methods:
        analysis = add_explanation(analysis, method, classifier, settings)
    return analysis


def profiles_of(analysis: Analysis, settings: AnalysisSettings) -> dict[str, np.ndarray]:
    """Return the profiles of the explanations, of their consensus if all maps exist, and of the reference maps."""
    target = target_of(analysis, settings)
    maps = {method: explanation.relevance for method, explanation in analysis.explanations.items()}
    if set(EXPLAINERS) <= set(maps):
        maps["consensus"] = consensus(with_frequencies({method: maps[method] for method in EXPLAINERS}), target.covered)
    maps |= reference_maps(target, settings.seed)
    smoothing = round(settings.focus.smoothing_s / analysis.spectrogram.settings.frame_hop_s)
    return {name: relevance_profile(map_, target.covered, smoothing) for name, map_ in maps.items()}


def focus_hits(analysis: Analysis, inside: np.ndarray) -> dict[str, float]:
    """Return whether the centre of the first focus region, and of that with the most evidence, is in the second."""
    if not analysis.focus:
        return {"first_region_hits": 0.0, "strongest_region_hits": 0.0}
    strongest = max(analysis.focus, key=lambda focus: focus.share)
    hits = {}
    for name, focus in (("first", analysis.focus[0]), ("strongest", strongest)):
        centre_s = (focus.region.start_s + focus.region.end_s) / 2
        hits[f"{name}_region_hits"] = float(inside[round(frame_at(centre_s, analysis.spectrogram.settings))])
    return hits


def rise_of(before: Analysis, analysis: Analysis, settings: AnalysisSettings) -> float:
    """Return how much the splice raised the evidence for the emotion, in log-odds."""
    target = target_of(analysis, settings)
    return float(target.evidence(analysis.scores.recording) - target.evidence(before.scores.recording))


def hit(inside: np.ndarray, profile: np.ndarray) -> float:
    """Return 1 if the highest point of a profile lies inside, else 0."""
    return float(inside[int(np.argmax(profile))])


def profile_hits(inside: np.ndarray, profile: np.ndarray, energy: np.ndarray) -> dict[str, float]:
    """Return whether a profile hits, the difference from the energy's profile, and the ROC area."""
    return {
        "hits": hit(inside, profile),
        "hits_above_energy": hit(inside, profile) - hit(inside, energy),
        "roc_area": float(roc_auc_score(inside, profile)),
    }


def measure(
    items: list[LabelledRecording],
    methods: tuple[str, ...],
    classifier: Classifier,
    count: int,
    seed: int,
    *,
    control: bool,
) -> dict[str, object]:
    """Return hits and ROC areas of each explainer and of the focus, with intervals over speakers, and chance."""
    values: dict[str, dict[str, list[tuple[float, str]]]] = defaultdict(lambda: defaultdict(list))
    speakers, chances, tried, risen = [], [], 0, 0
    for clip in clips(items, classifier.emotions, seed, control=control):
        tried += 1
        settings = AnalysisSettings(emotion=clip.emotion, seed=seed + tried)
        before, analysis = (
            classify_recording(recording, classifier, settings) for recording in (clip.neutral, clip.recording)
        )
        rise = rise_of(before, analysis, settings)
        risen += rise >= MIN_RISE
        if control or rise >= MIN_RISE:
            inside, analysis = inside_of(clip, analysis), explained(analysis, methods, classifier, settings)
            profiles = profiles_of(analysis, settings)
            unspliced = profiles_of(explained(before, methods, classifier, settings), settings) if control else {}
            with_focus = find_focus(analysis, settings.focus_by, classifier, settings)
            for figure, value in focus_hits(with_focus, inside).items():
                values["focus"][figure].append((value, clip.speaker))
            for name, profile in profiles.items():
                figures = profile_hits(inside, profile, profiles["energy"])
                if control:
                    figures["hits_above_unspliced"] = figures["hits"] - hit(inside, unspliced[name])
                    figures["hits_where_evidence_rises" if rise > 0 else "hits_where_evidence_falls"] = figures["hits"]
                for figure, value in figures.items():
                    values[name][figure].append((value, clip.speaker))
            speakers.append(clip.speaker)
            chances.append(inside.mean())
            print(f"Clip {len(speakers)} of {count}, evidence {rise:+.2f}", file=sys.stderr)
        if len(speakers) == count or tried == 20 * count:
            break
    result: dict[str, object] = {
        "clips": len(speakers),
        "speakers": len(set(speakers)),
        "share_whose_evidence_rises": round(risen / tried, 3),
        "chance": round(float(np.mean(chances)), 3),
    }
    for name, figures in values.items():
        result[name] = {}
        for figure, rows in figures.items():
            clip_values, clip_speakers = zip(*rows, strict=True)
            result[name][figure] = mean_with_interval(np.array(clip_values), list(clip_speakers), seed)
    return result


def main() -> None:
    parser = benchmark_parser(__doc__, "6 clips")
    parser.add_argument("--model", default="whisper")
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--explain", nargs="+", choices=FOCUS_METHODS, default=FOCUS_METHODS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    items = unseen(args.model)
    if not items:
        return
    classifier, count = load_model(args.model), 6 if args.quick else args.clips
    result = {
        "machine": platform.machine(),
        "model": args.model,
        "seed": args.seed,
        "spliced": measure(items, tuple(args.explain), classifier, count, args.seed, control=False),
        "control": measure(items, tuple(args.explain), classifier, max(2, count // 2), args.seed, control=True),
    }
    report(result, args.json)


if __name__ == "__main__":
    main()
