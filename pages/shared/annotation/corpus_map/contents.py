"""The content of a map: positions and names of its points, and their groups with colours and shapes."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pages.shared.annotation.corpus_map import MapContent
from pages.shared.language import t, texts
from pages.shared.language.names import printable
from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.corpus_map.mapping import CorpusMap
from ser_core.annotations.corpus_map.points import (
    AGREES,
    DIFFERS,
    NO_LABEL,
    NO_SPEAKER,
    NO_VERDICT,
    PEOPLE_DIFFER,
    Point,
)
from ser_core.model.scores import NO_SPEECH, NOT_SURE

COLOURINGS = texts(
    {
        "label": "Label",
        "verdict": "Model",
        "speaker": "Speaker",
        "disagreement": "Disagreement",
    }
)
#: Okabe and Ito's palette; with the shapes, 56 groups can be told apart.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B7A800")
SHAPES = ("circle", "triangle", "square", "diamond", "down", "plus", "cross", "star")
MAX_GROUPS = len(PALETTE) * len(SHAPES)
OTHERS = texts("others")
GREY = "#7F7F7F"
#: Groups without a known value; they are drawn as rings, after all others.
UNKNOWN = (NO_LABEL, NO_SPEAKER, NO_SPEECH, NOT_SURE, NO_VERDICT, OTHERS)
STYLES = {emotion: (colour, SHAPES[index % len(SHAPES)]) for index, (emotion, colour) in enumerate(COLOURS.items())} | {
    PEOPLE_DIFFER: ("#D55E00", "cross"),
    DIFFERS: ("#E69F00", "triangle"),
    AGREES: ("#0072B2", "circle"),
}


def content_of(found: CorpusMap, names: Sequence[str], points: Sequence[Point]) -> MapContent:
    """Return the content of a map; `names` are those of its recordings."""
    x, y = np.round(found.layout.points.T, 5).tolist()
    of = hashlib.sha256(" ".join(found.sha256).encode()).hexdigest()
    content = {
        "of": of,
        "layout": hashlib.sha256(f"{of} {found.layout.points.tobytes().hex()}".encode()).hexdigest(),
        "names": [printable(name) for name in names],
        "x": x,
        "y": y,
        "colourings": [
            _colouring(key, t(title), [getattr(point, key) for point in points]) for key, title in COLOURINGS.items()
        ],
    }
    encoded = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return MapContent(of, len(points), encoded, hashlib.sha256(encoded).hexdigest())


def group_in_words(name: str) -> str:
    """Return the name of a group in the visit's language; names of speakers and custom labels stay as written."""
    return t(name) if name in STYLES or name in UNKNOWN else printable(name)


def _colouring(key: str, title: str, values: Sequence[str]) -> dict[str, object]:
    """Return the groups of values, with their styles and counts, and the group of each value."""
    counts = Counter(values)
    if len(counts) > MAX_GROUPS:
        named = {name for name, _ in counts.most_common(MAX_GROUPS - len(UNKNOWN))}
        values = [value if value in named else OTHERS for value in values]
        counts = Counter(values)
    emotions = {name: index for index, name in enumerate(COLOURS)}
    order = sorted(counts, key=lambda name: (name in UNKNOWN, emotions.get(name, len(emotions)), name.casefold(), name))
    index = {name: number for number, name in enumerate(order)}
    unused = iter([(colour, shape) for shape in SHAPES for colour in PALETTE])
    groups = []
    for name in order:
        colour, shape = (GREY, "ring") if name in UNKNOWN else STYLES.get(name) or next(unused)
        groups.append({"name": group_in_words(name), "colour": colour, "shape": shape, "count": counts[name]})
    return {"key": key, "title": title, "groups": groups, "of": [index[value] for value in values]}
