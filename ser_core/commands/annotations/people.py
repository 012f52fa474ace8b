"""`annotations people` and `assign`: the roles and assignments of people, and recordings drawn for annotators."""

import argparse

from ser_core.annotations.assignment import AssignmentPlan
from ser_core.annotations.formats.format import counted
from ser_core.annotations.store.people import ROLES
from ser_core.commands.annotations.project import add_command, login_name, open_project, printable
from ser_core.commands.arguments import Commands
from ser_core.errors import AnnotationsRefused

NO_ROLE = "none"


def add(commands: Commands) -> None:
    """Add the commands."""
    plan = AssignmentPlan()
    people = add_command(commands, "people", "list who has which role and how much to do, or give roles", _people)
    people.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="NAME=ROLE",
        help=f"{', '.join(ROLES)} or {NO_ROLE}; repeatable",
    )
    assign = add_command(
        commands, "assign", "draw annotators for the recordings that are assigned to nobody yet", _assign
    )
    assign.add_argument("--to", action="append", required=True, metavar="NAME", help="an annotator; repeatable")
    assign.add_argument(
        "--overlap",
        type=float,
        default=plan.overlap,
        metavar="SHARE",
        help="share of the recordings, 0 to 1, that several people annotate (default: %(default)g)",
    )
    assign.add_argument(
        "--by", type=int, default=plan.people, metavar="N", help="people for each of these (default: %(default)d)"
    )
    assign.add_argument("--seed", type=int, default=plan.seed, metavar="N", help="default: %(default)d")
    for command in (people, assign):
        command.add_argument("--annotator", metavar="NAME", help="who you are; default: your login name")


def _people(args: argparse.Namespace) -> int:
    roles: dict[str, str | None] = {}
    for pair in args.role:
        name, _, role = pair.rpartition("=")
        if not name:
            raise AnnotationsRefused(f"'{printable(pair)}' gives no role; write NAME=ROLE.")
        roles[name] = None if role == NO_ROLE else role
    with open_project(args) as (store, project):
        if roles:
            store.people.set_roles(project, args.annotator or login_name(), roles)
        for person in store.people.of(project):
            work = f"{person.assigned} assigned, {person.finished} done, {person.sent_back} sent back"
            print(printable(f"{person.name}  {person.role or 'no role'}  {work}"))
    return 0


def _assign(args: argparse.Namespace) -> int:
    plan = AssignmentPlan(args.overlap, args.by, args.seed)
    with open_project(args) as (store, project):
        drawn = store.people.assign(project, args.annotator or login_name(), args.to, plan)
        names = {file.sha256: file.name for file in store.recordings.files(project)}
    for sha256, people in sorted(drawn.items(), key=lambda pair: names[pair[0]]):
        print(printable(f"{names[sha256]}  {', '.join(people)}"))
    print(f"{counted(len(drawn), 'recording')} assigned: {plan.in_words()}.")
    return 0
