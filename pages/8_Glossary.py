"""The terms that the pages use, each in a sentence or two."""

import streamlit as st

from pages.shared import controls, frame
from pages.shared.language import document, t

frame.begin(t("Glossary"), "📖", t("What the words on these pages mean."))
controls.sidebar()
st.markdown(document(frame.ROOT / "docs" / "glossary.md"))
