"""A page that meets an error which names a file and a person: at once, or in a part of it when a button is pressed."""

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parent.parent))

from pages.shared import frame


@st.fragment
def part() -> None:
    if st.button("Fail in a part"):
        raise FileNotFoundError("/home/jane/Interview with Jane Doe.wav")


def page() -> None:
    frame.PAGES.clear()  # of the app, which this is not
    frame.begin("Failing", "👂", "For tests.")
    part()
    if st.button("Fail"):
        try:
            raise KeyError("Jane Doe")
        except KeyError as error:
            raise FileNotFoundError("/home/jane/Interview with Jane Doe.wav") from error


if st.runtime.exists():  # not where doctests are looked for
    page()
