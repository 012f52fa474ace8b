"""The figures of an experiment as they lie beside the models, or the command that makes what is missing."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.shared.models import corpus_recordings
from pages.shared.names import in_markdown
from ser_core.corpora import READERS
from ser_core.errors import SerError
from ser_core.experiments import read_result


def read_result_drawn(name: str, drawn: Callable[[dict[str, Any]], object]) -> dict[str, Any] | None:
    """Return an experiment's figures if they are there and can be drawn; say so where they are damaged."""
    try:
        result = read_result(name)
        if result is not None:
            drawn(result)
        return result
    except SerError as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/error:")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):  # JSON, and not what is kept there
        st.error(f"{in_markdown(name)}\\.json is damaged. Run the experiment again.", icon=":material/error:")
    return None


def show_missing(commands: dict[str, str], of: int) -> None:
    """Give the commands that make what is not there; folded where something else is there to be seen."""
    if not commands:
        return
    words = f"No figures yet{': ' + ', '.join(in_markdown(name) for name in commands) if of > 1 else ''}"
    if len(commands) < of:
        place = st.expander(words, icon=":material/terminal:")
    else:
        place = st.container()
        place.caption(f":material/terminal: {words}. This makes them:")
    place.code("\n".join(commands.values()), language="bash", wrap_lines=True)


def command(what: str, *options: str) -> str:
    """Return a command of ours with the corpora that are here."""
    here = [f'--corpus "{name}=$SER_CORPORA/{name}"' for name in READERS if corpus_recordings.folder_of(name)]
    return " ".join(["python -m ser_core", what, *options, *(here or ["--corpus NAME=FOLDER"])])
