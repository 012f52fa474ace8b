"""Starts apps by forking: what every app imports, which is most of the work of a start, is imported once."""

import json
import os
import pkgutil
import signal
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent


def import_all() -> None:
    """Import Streamlit's server and all that pages import; none of it starts a thread, which a fork would not have."""
    import_module("streamlit.web.cli")
    import_module("streamlit.web.server.server")
    for module in pkgutil.walk_packages([str(ROOT / "pages" / "shared")], "pages.shared."):
        import_module(module.name)


def serve() -> None:
    """Start an app for each line of the standard input, and write its process."""
    import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets apps that have ended
    for line in sys.stdin:
        if not (app := os.fork()):
            become_app(**json.loads(line))
        print(app, flush=True)


def become_app(arguments: list[str], environment: dict[str, str], log: str) -> None:
    """Run Streamlit's command with these arguments, as `python -m streamlit` does."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with open(os.devnull) as nothing, open(log, "wb") as output:
        for file, number in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    from streamlit.web import cli

    cli.main(arguments, prog_name="streamlit")


if __name__ == "__main__":
    serve()
