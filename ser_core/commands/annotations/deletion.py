"""`annotations delete`, `trash` and `restore`: deletion of projects and recordings, and the trash."""

import argparse
from contextlib import closing

from ser_core.annotations.formats.format import counted
from ser_core.annotations.saved_sounds import finish_deletions
from ser_core.annotations.store.database import default_url
from ser_core.annotations.store.transactions import Store, open_store
from ser_core.annotations.store.trash import Deleted
from ser_core.commands.annotations.project import add_command, login_name, open_project, printable
from ser_core.commands.arguments import Commands
from ser_core.errors import AnnotationsRefused
from ser_core.output.saved_analyses import data_folder


def add(commands: Commands) -> None:
    """Add the commands."""
    words = "move a project, or one recording of every project, to the trash"
    deletion = add_command(commands, "delete", words, _delete)
    deletion.add_argument("--recording", metavar="NAME|SHA256", help="default: the whole project")
    deletion.add_argument("--for-good", action="store_true", help="at once, past the trash, which keeps it for 30 days")
    deletion.add_argument("--yes", action="store_true", help="do it; otherwise only print what would be deleted")
    trash = commands.add_parser("trash", help="list what was deleted in the last 30 days; delete older items for good")
    restore = commands.add_parser("restore", help="restore an item of the trash")
    restore.add_argument("deleted", type=int, metavar="NUMBER", help="as listed by `trash`")
    for command, run in ((trash, _trash), (restore, _restore)):
        command.add_argument("--database", metavar="URL", help="default: SER_DATABASE_URL, else a file under SER_DATA")
        command.set_defaults(run=run)
    for command in (deletion, restore):
        command.add_argument("--annotator", metavar="NAME", help="who does it; default: your login name")


def _delete(args: argparse.Namespace) -> int:
    person = args.annotator or login_name()
    with open_project(args) as (store, project):
        sha256 = None if args.recording is None else _sha256(store, project, args.recording)
        ownerships = (
            [store.trash.ownership_of_project(project)] if sha256 is None else store.trash.ownerships_of(sha256)
        )
        for ownership in ownerships:
            stays = "" if ownership.may_delete(person) else " It stays there."
            print(printable(f"{ownership.project_name}: {ownership.in_words()}.{stays}"))
        if not args.yes:
            print("Nothing was deleted. Say --yes to delete it.")
            return 0
        if sha256 is None:
            store.trash.delete_project(project, person, for_good=args.for_good)
        else:
            store.trash.delete_recording(sha256, person, for_good=args.for_good)
        finish_deletions(store, data_folder())
    print("Deleted for good." if args.for_good else "Moved to the trash; `annotations restore` restores it.")
    return 0


def _sha256(store: Store, project: int, recording: str) -> str:
    files = store.recordings.files(project)
    wanted = {file.sha256 for file in files if recording in (file.name, file.sha256)}
    if len(wanted) != 1:
        found = f"{len(wanted)} recordings" if wanted else "no recording"
        raise AnnotationsRefused(f"The project has {found} '{printable(recording)}'; give its whole name or SHA-256.")
    return wanted.pop()


def _trash(args: argparse.Namespace) -> int:
    with closing(_store(args)) as store:
        finish_deletions(store, data_folder())
        found = store.trash.items()
    for deleted in found:
        print(printable(_line(deleted)))
    if not found:
        print("The trash is empty.")
    return 0


def _restore(args: argparse.Namespace) -> int:
    with closing(_store(args)) as store:
        project = store.trash.restore(args.deleted, args.annotator or login_name())
    print(printable(f"It is in the project '{project}' again."))
    return 0


def _store(args: argparse.Namespace) -> Store:
    return open_store(args.database or default_url(data_folder()))


def _line(deleted: Deleted) -> str:
    what = deleted.recording_name or counted(deleted.recordings, "recording")
    marks = counted(sum(deleted.marks.values()), "mark")
    return (
        f"{deleted.id}  {deleted.project_name}  {what}, {marks}  deleted {deleted.deleted_at:%Y-%m-%d} "
        f"by {deleted.deleted_by or 'somebody'}, goes {deleted.expires_at:%Y-%m-%d}"
    )
