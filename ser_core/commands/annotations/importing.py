"""`annotations import`: marks from files of other tools."""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ser_core.annotations.annotation import STATUSES, AnnotatedRecording
from ser_core.annotations.exchange.assigning import assign_to_recordings
from ser_core.annotations.exchange.exporting import known_stems
from ser_core.annotations.exchange.importing import MAX_FILES, ImportedFile, ImportOptions, is_ignored, read_files
from ser_core.annotations.exchange.labels import (
    LabelRules,
    LabelUse,
    map_labels,
    renamed_labels,
    rules_from_pairs,
    unknown_labels,
)
from ser_core.annotations.exchange.report import difference_lines, file_line, import_report, other_lines
from ser_core.annotations.exchange.versions import without_older_versions
from ser_core.annotations.formats.format import counted
from ser_core.annotations.formats.values import quoted
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transfer import Imported
from ser_core.audio.reading import file_bytes
from ser_core.commands.annotations.project import add_command, login_name, open_project, printable, recording_file
from ser_core.commands.arguments import Commands, printed_progress, write_json
from ser_core.corpora.labelled import files_under, recordings_by_sha256
from ser_core.errors import AnnotationsRefused, RecordingUnclear
from ser_core.work.atomic_folder import folder_name

#: With more files, only those are listed that were not read completely, or were changed.
MAX_LISTED_FILES = 20
MAX_LISTED_LINES = 50


def add(commands: Commands) -> None:
    """Add the command."""
    import_ = add_command(commands, "import", "import marks from files of other tools, all or none", _import)
    _add_files(import_)
    _add_labels(import_)
    _add_actions(import_)


def _add_files(import_: argparse.ArgumentParser) -> None:
    """Add the arguments about the files and how they are read."""
    import_.add_argument("files", nargs="+", type=Path, metavar="FILE|DIR", help="also a ZIP")
    import_.add_argument(
        "--annotator", metavar="NAME", help="annotator of marks without a name; default: your login name"
    )
    import_.add_argument(
        "--audio", type=Path, metavar="FILE|DIR", help="the sound, for files that do not name it by SHA-256"
    )
    options = ImportOptions()
    import_.add_argument(
        "--offset", type=float, default=options.offset_s, metavar="SECONDS", help="add this to all times"
    )
    import_.add_argument(
        "--tolerance",
        type=float,
        default=options.tolerance_s,
        metavar="SECONDS",
        help="marks that end up to this much after their recording are cut there (default: %(default)g)",
    )
    import_.add_argument(
        "--encoding", metavar="NAME", help="encoding of text files, such as cp1252 or mac_roman; default: detected"
    )


def _add_labels(import_: argparse.ArgumentParser) -> None:
    """Add the arguments about the labels in the files."""
    import_.add_argument(
        "--tier", action="append", default=[], metavar="NAME", help="take marks from this tier of emotions; repeatable"
    )
    import_.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="LABEL=EMOTION",
        help="what a label becomes; without EMOTION its marks are left out; repeatable",
    )
    import_.add_argument("--status", choices=STATUSES, help="status of all marks; default: as in the files, else open")
    import_.add_argument("--as-notes", action="store_true", help="read every text as a note")


def _add_actions(import_: argparse.ArgumentParser) -> None:
    """Add the arguments about what is done with the marks."""
    import_.add_argument(
        "--replace",
        action="store_true",
        help="change, move and delete marks here as the files have them, except what was changed here since the export",
    )
    import_.add_argument(
        "--restore", action="store_true", help="restore marks that were deleted here since they were exported"
    )
    import_.add_argument("--dry-run", action="store_true", help="import nothing, but say what would be done")
    import_.add_argument("--json", type=Path, metavar="FILE", help="write what was found and done")


def _import(args: argparse.Namespace) -> int:
    annotator = args.annotator or login_name()
    options = ImportOptions(args.offset, args.tolerance, args.encoding)
    mode = "show" if args.dry_run else "replace" if args.replace else "add"
    rules = LabelRules(tuple(args.tier), rules_from_pairs(args.map), args.status, args.as_notes)
    paths = [found for path in args.files for found in _files_in(path)]
    files = read_files(((printable(name), file_bytes(path)) for name, path in paths), options)
    files, labels = map_labels(files, rules)
    audio = _audio([document for file in files for document in file.documents], args.audio)
    with open_project(args, may_be_new=True, owner=annotator) as (store, project):
        known = store.recordings.files(project)
        only = audio[0] if args.audio is not None and not args.audio.is_dir() else None
        try:
            files = assign_to_recordings(files, known, audio, only, options.tolerance_s)
        except RecordingUnclear as refusal:
            raise RecordingUnclear(f"{refusal} Or give the sound with the marks (--audio FILE).") from None
        files = without_older_versions(
            files, lambda documents: store.transfer.import_recordings(project, documents, annotator, mode="show")
        )
        documents = [document for file in files for document in file.documents]
        work = printed_progress()
        imported = store.transfer.import_recordings(project, documents, annotator, work, mode, restore=args.restore)
        if mode != "show":
            store.recordings.add(project, audio, annotator)
    _print_counts(imported, mode)
    if args.json is not None:  # after the printed counts, which appear even if this file cannot be written
        write_json(import_report(files, labels, imported, mode), args.json)
    _print_files(files, labels)
    return 0


def _print_files(files: Sequence[ImportedFile], labels: Sequence[LabelUse]) -> None:
    for words in renamed_labels(labels):
        print(f"Labels that became {printable(words)}.")
    for sentence in unknown_labels(labels):
        print(printable(sentence))
    for file in files:
        if file.dropped or file.changed or len(files) <= MAX_LISTED_FILES:
            print(printable(f"{file_line(file)}."))
        for words in file.dropped:
            print(printable(f"Not imported from {file.name}: {words}."))
        for words in file.changed:
            print(printable(f"Read otherwise in {file.name}: {words}."))


def _files_in(path: Path) -> list[tuple[str, Path]]:
    """Return a file or, of a folder, all files below it, with their names in it, or refuse an empty folder."""
    if not path.is_dir():
        return [(path.name, path)]
    inside = [file.relative_to(path) for file in files_under(path) if file.is_file()]
    found = [(file.as_posix(), path / file) for file in inside if not is_ignored(file.as_posix())]
    if not found:
        raise AnnotationsRefused(f"There are no files of marks in {path}; give files of marks.")
    if len(found) > MAX_FILES:
        raise AnnotationsRefused(f"There are {len(found)} files in {path}; at most {MAX_FILES} are read at once.")
    return found


def _print_counts(imported: Imported, mode: str) -> None:
    recordings, marks = counted(imported.recordings, "recording"), counted(imported.added, "mark")
    others = f"{imported.changed} changed, {imported.moved} moved, {imported.deleted} deleted"
    kinds = Counter(each.difference.kind for each in imported.differences)
    if mode == "show":
        print(f"Nothing was imported. In {recordings}, {marks} would be added; {imported.known} already known.")
        print(f"With --replace also: {others}, {counted(kinds['conflict'], 'conflict')} left out.")
    else:
        print(f"{recordings}: {marks} added, {imported.known} already known, {imported.left_out} left out.")
    if imported.new_tiers:
        print(printable(f"New tiers: {', '.join(quoted(tier.name) for tier in imported.new_tiers)}."))
    for words in other_lines(imported):
        print(words)
    if mode == "replace":
        print(f"Also: {others}.")
    elif mode == "add" and imported.left_out > kinds["changed here"] + kinds["deleted here"] * (not imported.restored):
        print("Left out are marks that differ from those here; --dry-run shows them, and --replace takes them over.")
    if kinds["changed here"]:
        print(f"Not overwritten: {counted(kinds['changed here'], 'mark')} changed here since the export.")
    if imported.restored:
        print(f"Restored: {counted(imported.restored, 'mark')} that had been deleted here.")
    elif kinds["deleted here"]:
        deleted = counted(kinds["deleted here"], "mark")
        print(f"Not taken back: {deleted} deleted here since the export; --restore takes them back.")
    if mode == "show":
        lines = difference_lines(imported.differences)
        for line in lines[:MAX_LISTED_LINES]:
            print(printable(line))
        if len(lines) > MAX_LISTED_LINES:
            print(f"And {len(lines) - MAX_LISTED_LINES} more; --json FILE writes all.")


def _audio(documents: Iterable[AnnotatedRecording], audio: Path | None) -> list[RecordingFile]:
    """Return the audio file, or those files in the audio folder whose marks are imported."""
    if audio is None:
        return []
    if not audio.is_dir():
        return [recording_file(audio)]
    wanted = {document.sha256 or folder_name(document.name) for document in documents}
    return [
        recording_file(path)
        for sha256, path in recordings_by_sha256(audio).items()
        if not wanted.isdisjoint({sha256, *known_stems(path.name, sha256)})
    ]
