"""`annotations export`, `measure` and `import`: marks as files of other tools, and with measures of the voice."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ser_core.annotations.annotation import STATUSES, AnnotatedRecording
from ser_core.annotations.exchange.exporting import EXPORTED, choices_of, exported, known_stems
from ser_core.annotations.exchange.importing import (
    MOST_PACKED,
    ImportOptions,
    as_of_recordings,
    is_passed_over,
    read_files,
)
from ser_core.annotations.exchange.labels import LabelRules, mapped, renamed_labels, rules_of_pairs, unknown_labels
from ser_core.annotations.exchange.measuring import LONGEST_MEASURED_S, measured_marks
from ser_core.annotations.exchange.report import difference_lines, file_line, import_report
from ser_core.annotations.exchange.writing_into import write_into_file
from ser_core.annotations.formats.format import counted
from ser_core.annotations.formats.gate import shown
from ser_core.annotations.saved_sounds import sounds_of, wav_files_of
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.store import EVERY, Store
from ser_core.annotations.store.transfer import Imported
from ser_core.audio.acoustics import DEFAULT_CEILING_HZ
from ser_core.audio.long_recording import FileBytes
from ser_core.audio.reading import file_bytes
from ser_core.commands.annotations.project import add_command, login_name, opened_project, printable, recording_file
from ser_core.commands.arguments import Commands, printed_progress, write_json
from ser_core.corpora.labelled import recordings_by_sha256
from ser_core.errors import AnnotationsRefused
from ser_core.output.saved_analyses import data_folder
from ser_core.work.atomic_folder import atomic_new_folder, atomic_write, folder_name

#: Of more files only those are named of which something was left out or read otherwise.
MOST_FILES = 20
MOST_LINES = 50
PIECE_BYTES = 2**20


def add(commands: Commands) -> None:
    """Add the commands."""
    export = add_command(commands, "export", "write the marks of a project as files of another tool", _export)
    export.add_argument("--format", choices=tuple(EXPORTED), help="of the files; not with --into")
    export.add_argument("--out", type=Path, metavar="DIR|FILE", help="a new folder or, with --into, a new file")
    export.add_argument(
        "--into", type=Path, metavar="FILE", help="write into this TextGrid or EAF, in which nothing else changes"
    )
    export.add_argument("--overwrite", action="store_true", help="with --into and without --out: replace the file")
    export.add_argument("--annotator", metavar="NAME", help="whose marks; default: everybody's")
    export.add_argument("--short", action="store_true", help="write TextGrids in Praat's short form")
    export.add_argument(
        "--plain", action="store_true", help="as the text of a mark only its emotion or note, for other people's tools"
    )
    measure = add_command(commands, "measure", "write F0, intensity, formants and more of each mark", _measure)
    measure.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new CSV file")
    measure.add_argument("--annotator", metavar="NAME", help="whose marks; default: everybody's")
    measure.add_argument(
        "--ceiling",
        type=float,
        default=DEFAULT_CEILING_HZ,
        metavar="HZ",
        help=f"of formants: about 5000 for men, 5500 for women (default: {DEFAULT_CEILING_HZ:g})",
    )
    export.add_argument(
        "--url-prefix", default="", metavar="URL", help="where Label Studio finds the recordings: their names follow it"
    )
    import_ = add_command(commands, "import", "import marks from files of other tools, all or none", _import)
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
        "--encoding", metavar="NAME", help="of files of text, such as cp1252 or mac_roman; default: found by content"
    )
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
    import_.add_argument("--status", choices=STATUSES, help="of all marks; default: as the files say, else open")
    import_.add_argument("--as-notes", action="store_true", help="take no text for an emotion")
    import_.add_argument(
        "--replace",
        action="store_true",
        help="change, move and delete marks here as the files have them, except what was changed here since the export",
    )
    import_.add_argument(
        "--restore", action="store_true", help="take back marks that were deleted here since they were exported"
    )
    import_.add_argument("--dry-run", action="store_true", help="import nothing, but say what would be done")
    import_.add_argument("--json", type=Path, metavar="FILE", help="write what was found and done")


# --- out ---


def _export(args: argparse.Namespace) -> int:
    if args.into is not None:
        return _export_into(args)
    if args.format is None or args.out is None:
        raise AnnotationsRefused(
            "Say in which format (--format) and into which folder (--out), or give a file (--into)."
        )
    if args.overwrite:
        raise AnnotationsRefused("--overwrite replaces a file that is given with --into; a folder has to be a new one.")
    with opened_project(args) as (store, project):
        recordings = _marked(store, project, args.annotator)
        files = [found.file for found in store.recordings(project, size=EVERY).items]
        name = next(found.name for found in store.projects(size=EVERY).items if found.id == project)
    file_format = EXPORTED[args.format]
    wanted = {"short": args.short, "plain": args.plain, "url_prefix": args.url_prefix}
    choices = {choice: value for choice, value in wanted.items() if value}
    if unknown := choices.keys() - choices_of(file_format):
        raise AnnotationsRefused(
            f"Files of {file_format.name} have no choice of --{min(unknown).replace('_', '-')}; leave it out."
        )
    written = exported(recordings, file_format, choices, name)
    with atomic_new_folder(args.out) as folder:
        for path, content in written.files.items():
            _write_new(folder / path, content)
        missing = _write_sounds(folder, written.sounds, wav_files_of(files, data_folder()))
    print(f"{counted(len(written.files) + len(written.sounds) - missing, 'file')} in {args.out}.")
    if missing:
        print(f"Without a sound: {counted(missing, 'recording')} whose sound is not at hand.")
    for words in written.dropped:
        print(f"Not in a file of {file_format.name}: {words}.")
    for words in written.unfit:
        print(f"Not as it is stored: {printable(words).rstrip('.')}.")
    if written.without_marks:
        print(f"Without a file: {counted(written.without_marks, 'recording')} without marks.")
    return 0


def _export_into(args: argparse.Namespace) -> int:
    """Write marks into a file that is there: into a copy of it or, if that is wanted, in its place."""
    if args.format is not None or args.short or args.url_prefix:
        raise AnnotationsRefused(
            "A file that is given with --into keeps its format; leave out what is about the format."
        )
    if (args.out is None) != args.overwrite:
        raise AnnotationsRefused(
            "Name a new file with --out, or let the file itself be replaced with --overwrite; give one of them."
        )
    if args.out is not None and args.out.exists():
        raise AnnotationsRefused(f"{args.out} is already there; give the name of a new file with --out.")
    with opened_project(args) as (store, project):
        known = [found.file for found in store.recordings(project, size=EVERY).items]
        by_sha256 = {recording.sha256: recording for recording in _marked(store, project, args.annotator)}
    name = printable(args.into.name)
    written = write_into_file(file_bytes(args.into), name, known, by_sha256.__getitem__, args.plain)
    goal = args.into if args.out is None else args.out
    try:
        atomic_write(goal, written.into.content)
    except OSError as error:
        raise AnnotationsRefused(f"{goal} cannot be written ({error.strerror}). Choose another folder.") from None
    print(
        printable(f"{goal}: {'replaced' if args.overwrite else 'written'}, with marks of {shown(written.recording)}.")
    )
    for line in written.lines():
        print(printable(line))
    return 0


def _write_new(path: Path, content: bytes | FileBytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for start in range(0, len(content), PIECE_BYTES):
            file.write(content[start : start + PIECE_BYTES])


def _write_sounds(folder: Path, sounds: Mapping[str, str], wav_file: Callable[[str], bytes | FileBytes | None]) -> int:
    """Write the sounds that belong to exported files, and return how many are missing."""
    missing = 0
    for path, sha256 in sounds.items():
        content = wav_file(sha256)
        if content is None:
            missing += 1
        else:
            _write_new(folder / path, content)
    return missing


def _measure(args: argparse.Namespace) -> int:
    if args.out.exists():
        raise AnnotationsRefused(f"{args.out} is already there; give the name of a new file with --out.")
    with opened_project(args) as (store, project):
        recordings = _marked(store, project, args.annotator)
        files = [found.file for found in store.recordings(project, size=EVERY).items]
    measured = measured_marks(recordings, sounds_of(files, data_folder()), args.ceiling, printed_progress())
    try:
        atomic_write(args.out, measured.content)
    except OSError as error:
        raise AnnotationsRefused(f"{args.out} cannot be written ({error.strerror}). Choose another folder.") from None
    print(f"{counted(measured.marks, 'mark')} in {args.out}.")
    if measured.silent:
        print(f"Without measures: those in {counted(measured.silent, 'recording')} whose sound is not at hand.")
    if measured.too_long:
        minutes = f"{LONGEST_MEASURED_S / 60:.0f} minutes"
        print(f"Without measures: {counted(measured.too_long, 'mark')} of more than {minutes}.")
    return 0


def _marked(store: Store, project: int, annotator: str | None) -> list[AnnotatedRecording]:
    """Return all recordings of a project with the marks of one or all, or refuse if there are none."""
    recordings = list(store.export(project, annotator))
    if not any(recording.annotations for recording in recordings):
        whose = f" of {printable(annotator)}" if annotator else ""
        raise AnnotationsRefused(f"The project has no marks{whose}; nothing was written. Make or import some first.")
    return recordings


# --- in ---


def _import(args: argparse.Namespace) -> int:
    annotator = args.annotator or login_name()
    options = ImportOptions(args.offset, args.tolerance, args.encoding)
    mode = "show" if args.dry_run else "replace" if args.replace else "add"
    rules = LabelRules(tuple(args.tier), rules_of_pairs(args.map), args.status, args.as_notes)
    paths = [found for given in args.files for found in _files_in(given)]
    files = read_files(((printable(name), file_bytes(path)) for name, path in paths), options)
    files, labels = mapped(files, rules)
    audio = _audio([document for file in files for document in file.documents], args.audio)
    with opened_project(args, may_be_new=True, owner=annotator) as (store, project):
        known = [recording.file for recording in store.recordings(project, size=EVERY).items]
        only = audio[0] if args.audio is not None and not args.audio.is_dir() else None
        files = as_of_recordings(files, known, audio, only, options.tolerance_s)
        documents = [document for file in files for document in file.documents]
        work = printed_progress()
        imported = store.import_recordings(project, documents, annotator, work, mode, restore=args.restore)
        if mode != "show":
            store.add_recordings(project, audio, annotator)
    _print_counts(imported, mode)
    if args.json is not None:  # only now: if it cannot be written, what was done is said
        write_json(import_report(files, labels, imported, mode), args.json)
    for words in renamed_labels(labels):
        print(f"Labels that became {printable(words)}.")
    for sentence in unknown_labels(labels):
        print(printable(sentence))
    for file in files:
        if file.dropped or file.changed or len(files) <= MOST_FILES:
            print(printable(f"{file_line(file)}."))
        for words in file.dropped:
            print(printable(f"Not imported from {file.name}: {words}."))
        for words in file.changed:
            print(printable(f"Read otherwise in {file.name}: {words}."))
    return 0


def _files_in(given: Path) -> list[tuple[str, Path]]:
    """Return a file or, of a folder, the files in and below it, with their names there, or refuse an empty folder."""
    if not given.is_dir():
        return [(given.name, given)]
    inside = sorted(path.relative_to(given) for path in given.rglob("*") if path.is_file())
    found = [(path.as_posix(), given / path) for path in inside if not is_passed_over(path.as_posix())]
    if not found:
        raise AnnotationsRefused(f"There are no files of marks in {given}; give files of marks.")
    if len(found) > MOST_PACKED:
        raise AnnotationsRefused(f"There are {len(found)} files in {given}; at most {MOST_PACKED} are read at once.")
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
        print(printable(f"New tiers: {', '.join(shown(tier.name) for tier in imported.new_tiers)}."))
    if mode == "replace":
        print(f"Also: {others}.")
    elif mode == "add" and imported.left_out > kinds["deleted here"] * (not imported.restored):
        print("Left out are marks that differ from those here; --dry-run shows them, and --replace takes them over.")
    if imported.restored:
        print(f"Restored: {counted(imported.restored, 'mark')} that had been deleted here.")
    elif kinds["deleted here"]:
        deleted = counted(kinds["deleted here"], "mark")
        print(f"Not taken back: {deleted} deleted here since the export; --restore takes them back.")
    if mode == "show":
        lines = difference_lines(imported.differences)
        for line in lines[:MOST_LINES]:
            print(printable(line))
        if len(lines) > MOST_LINES:
            print(f"And {len(lines) - MOST_LINES} more; --json FILE writes all.")


def _audio(documents: Iterable[AnnotatedRecording], given: Path | None) -> list[RecordingFile]:
    """Return the audio file that was given, or those in the folder whose marks are imported."""
    if given is None:
        return []
    if not given.is_dir():
        return [recording_file(given)]
    wanted = {document.sha256 or folder_name(document.name) for document in documents}
    return [
        recording_file(path)
        for sha256, path in recordings_by_sha256(given).items()
        if not wanted.isdisjoint({sha256, *known_stems(path.name, sha256)})
    ]
