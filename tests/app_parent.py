"""Start apps by forking a process that has imported all their modules: imports are most of the work of a start."""

import json
import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from ser_core.settings import AnalysisSettings

ROOT = Path(__file__).parent.parent


def import_all() -> None:
    """Import Streamlit's server and all modules of the pages; none of them starts a thread, which a fork would lose."""
    import_module("streamlit.web.cli")
    import_module("streamlit.web.server.server")
    for module in pkgutil.walk_packages([str(ROOT / "pages" / "shared")], "pages.shared."):
        import_module(module.name)


def serve() -> None:
    """Start an app for each line of standard input, and print its process id."""
    import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # reap apps that have ended
    for line in sys.stdin:
        if not (app := os.fork()):
            become_app(**json.loads(line))
        print(app, flush=True)


def become_app(arguments: list[str], environment: dict[str, str], log: str, coarse_maps: bool) -> None:
    """Run Streamlit's command with these arguments, as `python -m streamlit` does."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with open(os.devnull) as nothing, open(log, "wb") as output:
        for file, number in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    share_decoders()
    if coarse_maps:
        compute_coarse_maps_once()
    from streamlit.web import cli

    cli.main(arguments, prog_name="streamlit")


def share_decoders(replace_attribute: Callable[[object, str, object], None] = setattr) -> None:
    """Let a decoding process, whose start takes longer than most tests' recordings, decode for another visit too."""
    decoding_process = import_module("ser_core.audio.decoding_process")
    take_idle = decoding_process._take_idle

    def take_any(owner):
        for decoder in decoding_process._idle:
            decoder.owner = owner
        return take_idle(owner)

    replace_attribute(decoding_process, "_take_idle", take_any)


def compute_coarse_maps_once() -> None:
    """Compute each map once, about as coarse as its draft, and judge it against two random maps, not five."""
    explaining = import_module("pages.shared.cached.explaining")
    explainer_run, runs = explaining.explainer_run, {}

    def coarse_run(analysis, method, classifier, settings, work):
        settings = coarse(settings)
        key = explaining._explainer_key(analysis, method, settings)
        if key not in runs:
            runs[key] = explainer_run(analysis, method, classifier, settings, work)
        return runs[key]

    explaining.explainer_run = coarse_run
    import_module("ser_core.explanation.judgement").RANDOM_MAPS = 2


def coarse(settings: AnalysisSettings) -> AnalysisSettings:
    """Return settings for maps about as coarse as their drafts.

    A draft of LIME has so few cells that it is certain of them; pages show how certain it is.
    """
    lime = replace(settings.lime, cell_frames=32, window_frames=32, masks=min(settings.lime.masks, 32))
    return replace(settings.drafted(), lime=lime)


if __name__ == "__main__":
    serve()
