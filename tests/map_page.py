"""A page with a map for browser tests, as in `/?points=100&colouring=speaker`; it prints what its callbacks receive."""

import json
import sys
from pathlib import Path

import numpy as np
import streamlit as st

sys.path.insert(0, str(Path(__file__).parent.parent))

from pages.shared.annotation.corpus_map import map_of_points
from pages.shared.annotation.corpus_map.contents import content_of
from pages.shared.player.media import served
from ser_core.annotations.corpus_map.layout import Layout
from ser_core.annotations.corpus_map.mapping import CorpusMap
from ser_core.annotations.corpus_map.points import AGREES, DIFFERS, NO_LABEL, Point
from ser_core.audio.cutting import wav_bytes

EMOTIONS = ("angry", "happy", "neutral", "sad")

count = int(st.query_params.get("points", 100))
rng = np.random.default_rng(0)
group = np.arange(count) % len(EMOTIONS)
# Four groups at the corners of a square, in the order of the emotions; the first is at the lower left.
positions = np.stack([group % 2, group // 2], axis=1) * 10 + rng.normal(size=(count, 2))
emotions = [EMOTIONS[one] for one in group]
points = [
    Point(emotion if number % 3 else NO_LABEL, f"speaker {number % 40}", emotion, (AGREES, DIFFERS)[number % 2])
    for number, emotion in enumerate(emotions)
]
corpus_map = CorpusMap(
    tuple(f"{number:064x}" for number in range(count)), Layout(positions, None), np.ones((count, 4)), (), 0
)
received = st.session_state.setdefault("received", {})


def receiver(what: str):
    return lambda indexes, number: received.update({what: (indexes, number)})


sound = None
if "heard" in received:
    (index,), number = received["heard"]
    tone = np.sin(np.arange(16_000) * (0.1 + index / 1_000)).astype(np.float32) / 4
    sound = {
        "index": index,
        "number": number,
        "address": served(wav_bytes(tone, 16_000), "audio/wav", str(index), "tone"),
    }
map_of_points(
    content_of(corpus_map, [f"take {number}" for number in range(count)], points),
    "map",
    colouring=st.query_params.get("colouring", "speaker"),
    chosen=received.get("chosen", ([], 0))[0],
    sound=sound,
    callbacks={what: receiver(what) for what in ("heard", "opened", "chosen")},
)
st.text(json.dumps(received))
