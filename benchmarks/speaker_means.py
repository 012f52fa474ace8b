"""Does removing each speaker's mean bring emotions together on the map of recordings? Neighbours with and without it.

    python benchmarks/speaker_means.py [--quick] [--model NAME] [--recordings N] [--seed N] [--json FILE]

Needs SER_CORPORA. Recordings of speakers outside the training data, evenly over the corpora and their speakers, on a
map of each corpus and on one of all. Of a recording's ten nearest neighbours on the map, the share that has its
emotion, and the share that has its speaker: means, and the difference that removing makes, with 95 % intervals from
resampled speakers.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import mean_with_interval, unseen
from ser_core.annotations.corpus_map.mapping import LAYOUTS, corpus_map
from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.splits import draw_evenly
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.shipped_models import load_model

NEIGHBOURS = 10


def own_share(points: np.ndarray, of: Sequence[str]) -> np.ndarray:
    """Return the share of each point's nearest neighbours that is of its group, shape (points,)."""
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(points).kneighbors(return_distance=False)
    _, index = np.unique(of, return_inverse=True)
    return (index[nearest] == index[:, None]).mean(axis=1)


def compared(
    items: Mapping[str, LabelledRecording], classifier: NetworkClassifier, layout: str, data: Path, seed: int
) -> dict[str, object]:
    """Return the shares of neighbours on maps of the same recordings with and without the speakers' means."""
    speakers = {sha256: item.speaker_id for sha256, item in items.items()}

    def shares(removed: Mapping[str, str] | None) -> dict[str, np.ndarray]:
        found = corpus_map(
            list(items),
            lambda sha256: read_recording(items[sha256].path),
            classifier,
            layout,
            data,
            speakers=removed,
        )
        on_map = [items[sha256] for sha256 in found.sha256]
        return {
            "emotion": own_share(found.layout.points, [item.emotion for item in on_map]),
            "speaker": own_share(found.layout.points, [item.speaker_id for item in on_map]),
        }

    before, after = shares(None), shares(speakers)
    of = list(speakers.values())
    return {
        what: {
            "as_they_are": round(float(before[what].mean()), 3),
            "means_removed": round(float(after[what].mean()), 3),
            "difference": [round(value, 3) for value in mean_with_interval(after[what] - before[what], of, seed)],
        }
        for what in before
    } | {"recordings": len(of), "speakers": len(set(of))}


def main() -> None:
    parser = benchmark_parser(__doc__, "80 recordings")
    parser.add_argument("--model", default="whisper", metavar="NAME")
    parser.add_argument("--recordings", type=int, default=480, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    args = parser.parse_args()
    classifier = load_model(args.model)
    drawn = draw_evenly(unseen(args.model), 80 if args.quick else args.recordings, args.seed)
    if not drawn:
        return
    items = {hashlib.sha256(item.path.read_bytes()).hexdigest(): item for item in drawn}
    maps = {corpus: {s: i for s, i in items.items() if i.corpus == corpus} for corpus in {i.corpus for i in drawn}}
    maps = dict(sorted(maps.items())) | {"all": items}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(os.environ.get("SER_DATA") or folder)  # where features are found again
        figures = {
            layout: {name: compared(some, classifier, layout, data, args.seed) for name, some in maps.items()}
            for layout in LAYOUTS
        }
    report({"model": args.model, "seed": args.seed, **figures}, args.json)


if __name__ == "__main__":
    main()
