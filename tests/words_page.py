"""A page with words to edit, for tests in a browser; each run takes a while, like one with maps."""

import json
import sys
import time
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parent.parent))

from pages.shared.evidence.word_table import FigureColumn, word_table
from ser_core.analysis import Region

count = int(st.query_params.get("words", 6))
words = st.session_state.setdefault("words", tuple(Region(i / 2, i / 2 + 0.4, label=f"word {i}") for i in range(count)))
from_s = float(st.query_params.get("from", 0))
time.sleep(0.3)
refusal = word_table(
    words,
    [FigureColumn("Evidence", "", [float(len(word.label)) for word in words])],
    key="words_table",
    from_s=from_s,
    until_s=from_s + 10.0,
    current=lambda: st.session_state["words"],
    edited=lambda found: st.session_state.update(words=found),
)
time.sleep(0.3)
if st.button("Replace"):
    st.session_state["words"] = (Region(0.0, 1.0, label="another"),)
    st.rerun()
st.text(refusal or "fine")
st.text(json.dumps([[word.label, round(word.start_s, 3), round(word.end_s, 3)] for word in words]))
