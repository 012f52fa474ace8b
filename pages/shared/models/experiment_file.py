"""Read the saved results of an experiment, or show the command that computes them."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.shared.language import recognised, t
from pages.shared.language.names import in_markdown
from pages.shared.models import corpus_recordings
from ser_core.corpora import READERS
from ser_core.errors import SerError
from ser_core.experiments import read_result


def read_drawable_result(name: str, draw: Callable[[dict[str, Any]], object]) -> dict[str, Any] | None:
    """Return an experiment's results if they exist and can be drawn; show an error if they are damaged."""
    try:
        result = read_result(name)
        if result is not None:
            draw(result)
        return result
    except SerError as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):  # valid JSON, but not of this experiment
        st.error(
            t("{name}\\.json is damaged. Run the experiment again.", name=in_markdown(name)), icon=":material/error:"
        )
    return None


def show_missing(commands: dict[str, str], total: int) -> None:
    """Show the commands that compute missing results, collapsed if other results are shown."""
    if not commands:
        return
    words = t("No results yet")
    if total > 1:
        words = t("No results yet: {names}", names=", ".join(in_markdown(name) for name in commands))
    if len(commands) < total:
        container = st.expander(words, icon=":material/terminal:")
    else:
        container = st.container()
        container.caption(t(":material/terminal: {words}. Run:", words=words))
    container.code("\n".join(commands.values()), language="bash", wrap_lines=True)


def command(subcommand: str, *options: str) -> str:
    """Return a command line with the corpora on this machine."""
    corpora = [f'--corpus "{name}=$SER_CORPORA/{name}"' for name in READERS if corpus_recordings.folder_of(name)]
    return " ".join(["python -m ser_core", subcommand, *options, *(corpora or ["--corpus NAME=FOLDER"])])
