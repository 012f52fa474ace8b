"""`annotations`: recordings that people annotate, import and export of marks, agreement, teaching and deletion."""

import argparse
import sys
from pathlib import Path

from ser_core.annotations.annotation import RECORDING_TIER, Annotation
from ser_core.annotations.formats.format import counted
from ser_core.annotations.formats.values import quoted
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.marks import Change, content_of
from ser_core.commands.annotations import agreement as annotation_agreement
from ser_core.commands.annotations import deletion as annotation_deletion
from ser_core.commands.annotations import exporting, importing
from ser_core.commands.annotations import people as annotation_people
from ser_core.commands.annotations import teaching as annotation_teaching
from ser_core.commands.annotations.project import (
    ALL_ON_ONE_PAGE,
    add_command,
    login_name,
    open_project,
    printable,
    recording_file,
)
from ser_core.commands.arguments import Commands, printed_progress
from ser_core.corpora.labelled import audio_files
from ser_core.errors import AnnotationsRefused, AudioRefused

PREFIXES = {"edit": "", "undo": "undo: ", "redo": "redo: "}


def add(commands: Commands) -> None:
    """Add the command with its own commands."""
    annotations = commands.add_parser("annotations", help="annotate recordings: import, export, agreement, teaching")
    own = annotations.add_subparsers(dest="annotations_command", required=True)
    recordings = add_command(own, "add", "add recordings to a project, which is created if it is new", _add)
    recordings.add_argument("files", nargs="+", type=Path, metavar="FILE|DIR")
    recordings.add_argument(
        "--speaker", metavar="NAME", help="who speaks in all of them, so that a taught model is tested on other voices"
    )
    exporting.add(own)
    importing.add(own)
    history = add_command(own, "history", "list who did what to the marks and when, the newest last", _history)
    history.add_argument("--recording", metavar="NAME|SHA256", help="default: all")
    annotation_people.add(own)
    annotation_agreement.add(own)
    annotation_teaching.add(own)
    annotation_deletion.add(own)


def _add(args: argparse.Namespace) -> int:
    paths = [path for file in args.files for path in (audio_files(file) if file.is_dir() else [file])]
    if not paths:
        raise AnnotationsRefused("There is no audio in what was given; give audio files, or folders that contain some.")
    files, refused, work = [], 0, printed_progress()
    with open_project(args, may_be_new=True, owner=login_name()) as (store, project):
        for done, path in enumerate(paths):
            work.report(done / len(paths), f"Recording {done} of {len(paths)}")
            try:
                files.append(recording_file(path, args.speaker))
            except AudioRefused as refusal:
                refused += 1
                print(printable(str(refusal)), file=sys.stderr)
        before = store.recordings.page(project, size=1).total
        store.recordings.add(project, files, login_name())
        new = store.recordings.page(project, size=1).total - before
    print(f"{counted(new, 'recording')} added, {len(files) - new} already known, {refused} refused.")
    return 2 if refused else 0


def _history(args: argparse.Namespace) -> int:
    with open_project(args) as (store, project):
        recordings = store.recordings.files(project)
        wanted = [file for file in recordings if args.recording in (None, file.name, file.sha256)]
        if args.recording is not None and not wanted:
            raise AnnotationsRefused(
                f"The project has no recording '{printable(args.recording)}'; give its whole name or its SHA-256."
            )
        steps = [
            (step, file.name)
            for file in wanted
            for step in store.history.page(project, file.sha256, size=ALL_ON_ONE_PAGE).items
        ]
    for step, name in sorted(steps, key=lambda pair: pair[0].id):
        actions = [_action(step, change) for change in step.changes]
        for action in [*actions, *([step.f0.in_words()] if step.f0 else [])]:
            print(printable(_line(step, name, action)))
    if not steps:
        print("Nothing has been done yet.")
    return 0


def _line(step: Step, recording: str, action: str) -> str:
    return f"{step.at:%Y-%m-%d %H:%M:%S} UTC  {step.annotator}  {recording}  {PREFIXES[step.kind]}{action}"


def _action(step: Step, change: Change) -> str:
    if change.before is None:
        return f"added {_mark(change.after, step.annotator)}"
    if change.after is None:
        return f"deleted {_mark(change.before, step.annotator)}"
    before, after = content_of(change.before), content_of(change.after)
    changed = [
        f"{field} {_value(before[field])} -> {_value(after[field])}"
        for field in before
        if before[field] != after[field]
    ]
    return f"changed {_mark(change.before, step.annotator)}: {', '.join(changed) or 'nothing'}"


def _mark(mark: Annotation, person: str) -> str:
    """Return a mark in words, with its annotator if that is not the person."""
    times = "" if mark.tier == RECORDING_TIER else f" {mark.region.start_s:.2f} to {mark.region.end_s:.2f} s"
    annotator = "" if mark.annotator == person else f" of {mark.annotator}"
    label = mark.emotion or (quoted(mark.note) if mark.note else "no emotion")
    return f"{mark.tier}{times}, {label}, {mark.status}{annotator}"


def _value(value: object) -> str:
    if value in (None, ""):
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
