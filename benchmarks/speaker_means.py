"""Does removing speaker means bring emotions together on the map of recordings? Neighbours with and without them.

    python benchmarks/speaker_means.py [--quick] [--model NAME] [--recordings N] [--seed N] [--json FILE]

Needs SER_CORPORA. Recordings of speakers outside the training data, evenly over the corpora and their speakers, on a
map of each corpus and on one of all. Prints the share of a recording's ten nearest neighbours on the map with the same
emotion, and with the same speaker: means, and the difference made by removing speaker means, with 95 % intervals from
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


def same_group_share(points: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Return the share of each point's nearest neighbours that are of its group, shape (points,)."""
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(points).kneighbors(return_distance=False)
    _, group_of = np.unique(groups, return_inverse=True)
    return (group_of[nearest] == group_of[:, None]).mean(axis=1)


def compare(
    items: Mapping[str, LabelledRecording], classifier: NetworkClassifier, layout: str, data: Path, seed: int
) -> dict[str, object]:
    """Return the shares of neighbours on maps of the same recordings with and without speaker means."""
    speakers = {sha256: item.speaker_id for sha256, item in items.items()}

    def shares(removed: Mapping[str, str] | None) -> dict[str, np.ndarray]:
        points = corpus_map(
            list(items),
            lambda sha256: read_recording(items[sha256].path),
            classifier,
            layout,
            data,
            speakers=removed,
        )
        on_map = [items[sha256] for sha256 in points.sha256]
        return {
            "emotion": same_group_share(points.layout.points, [item.emotion for item in on_map]),
            "speaker": same_group_share(points.layout.points, [item.speaker_id for item in on_map]),
        }

    with_means, without_means = shares(None), shares(speakers)
    names = list(speakers.values())
    result: dict[str, object] = {}
    for group, share in with_means.items():
        difference = mean_with_interval(without_means[group] - share, names, seed)
        result[group] = {
            "as_they_are": round(float(share.mean()), 3),
            "means_removed": round(float(without_means[group].mean()), 3),
            "difference": [round(value, 3) for value in difference],
        }
    return result | {"recordings": len(names), "speakers": len(set(names))}


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
    maps = {
        corpus: {sha256: item for sha256, item in items.items() if item.corpus == corpus}
        for corpus in sorted({item.corpus for item in drawn})
    }
    maps["all"] = items
    with tempfile.TemporaryDirectory() as folder:
        data = Path(os.environ.get("SER_DATA") or folder)  # features are cached there
        figures = {
            layout: {name: compare(on_map, classifier, layout, data, args.seed) for name, on_map in maps.items()}
            for layout in LAYOUTS
        }
    report({"model": args.model, "seed": args.seed, **figures}, args.json)


if __name__ == "__main__":
    main()
