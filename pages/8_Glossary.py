"""The terms that the pages use, each in a sentence or two."""

import streamlit as st

from pages.shared import controls, frame

frame.begin("Glossary", "📖", "What the words on these pages mean.")
controls.sidebar()
st.markdown((frame.ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").partition("\n\n")[2])
