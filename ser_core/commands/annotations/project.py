"""The project that an `annotations` command works on."""

import argparse
import getpass
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from ser_core.annotations.annotation import KINDS, Tier
from ser_core.annotations.exchange.emu_database import session_of
from ser_core.annotations.saved_sounds import audio_file
from ser_core.annotations.store.database import ALL_ON_ONE_PAGE, default_url
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.tables import valid_name
from ser_core.annotations.store.transactions import Store, open_store
from ser_core.commands.arguments import Commands, printable
from ser_core.errors import AnnotationsRefused
from ser_core.output.saved_analyses import data_folder

MAX_LISTED = 20


def add_command(
    commands: Commands, name: str, words: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add a command that works on a project."""
    command = commands.add_parser(name, help=words, description=words)
    command.add_argument("--project", metavar="NAME", help="default: the only one")
    command.add_argument("--database", metavar="URL", help="default: SER_DATABASE_URL, else a file under SER_DATA")
    command.set_defaults(run=run)
    return command


@contextmanager
def open_project(args: argparse.Namespace, *, may_be_new: bool = False, owner: str = "") -> Iterator[tuple[Store, int]]:
    """Yield the store, and the id of the named project or else of the only one.

    Parameters
    ----------
    may_be_new : bool
        Create the named project if it does not exist; if it stays empty, it is deleted again.
    owner : str
        Owner of a project that is created.

    Raises
    ------
    AnnotationsRefused
        If there is no such project, or there are several and none was named.
    """
    with closing(open_store(args.database or default_url(data_folder()))) as store:
        projects = {project.name: project.id for project in store.projects.page(size=ALL_ON_ONE_PAGE).items}
        name = None if args.project is None else valid_name(args.project, "name of the project")
        if may_be_new and name is not None and name not in projects:
            created = store.projects.create(name, owner)
            try:
                yield store, created
            finally:
                store.trash.delete_unused_project(created)
        else:
            yield store, _chosen(projects, name)


def _chosen(projects: dict[str, int], name: str | None) -> int:
    if name is None and len(projects) == 1:
        return next(iter(projects.values()))
    if name in projects:
        return projects[name]
    if not projects:
        raise AnnotationsRefused("There is no project yet; create one with `annotations add --project NAME FILE`.")
    found = f"There is no project '{printable(name)}'" if name else f"There are {len(projects)} projects"
    named = ", ".join(printable(project) for project in list(projects)[:MAX_LISTED])
    more = f" and {len(projects) - MAX_LISTED} more" if len(projects) > MAX_LISTED else ""
    raise AnnotationsRefused(f"{found}; choose one with --project: {named}{more}.")


def tier_of_labels(store: Store, project: int, name: str, kinds: Collection[str] = KINDS) -> Tier:
    """Return the tier of labels with a name and one of the kinds, or refuse with the names of all such tiers."""
    tiers = store.tiers.of(project)
    by_name = {tier.name: tier for tier in tiers if tier.content == "labels" and tier.kind in kinds}
    if name not in by_name:
        known, kind = printable(", ".join(by_name)) or "none", "" if kinds == KINDS else f" of {' or '.join(kinds)}"
        raise AnnotationsRefused(f"There is no tier of labels{kind} '{printable(name)}'; the project has {known}.")
    return by_name[name]


def recording_file(path: Path, speaker: str | None = None) -> RecordingFile:
    """Check an audio file of up to two hours and return what a project stores about it.

    In a database of EMU-SDMS, its session is the name of a folder.

    Raises
    ------
    AudioRefused
    """
    full_path = str(path.resolve())
    file = audio_file(path, path.name, full_path if full_path.isprintable() else None, speaker)
    return replace(file, session=session_of(full_path) or None) if file.path else file


def login_name() -> str:
    """Return the login name of the user, or refuse if it is unknown."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise AnnotationsRefused("Your login name is not known; say who you are with --annotator NAME.") from None
