"""A page with buttons that raise an error with the name of a file and a person, in the page or in a fragment."""

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
    frame.PAGES.clear()  # handlers of the app
    frame.begin("Failing", "👂", "For tests.")
    part()
    if st.button("Fail"):
        try:
            raise KeyError("Jane Doe")
        except KeyError as error:
            raise FileNotFoundError("/home/jane/Interview with Jane Doe.wav") from error


if st.runtime.exists():  # not when doctests are collected
    page()
