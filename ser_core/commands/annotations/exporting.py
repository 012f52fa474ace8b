"""`annotations export`, `measure` and `f0`: marks as files of other tools, measures of the voice in marks, and F0."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from ser_core.annotations.annotation import AnnotatedRecording, with_gold_applied
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, choices_of, export_recordings
from ser_core.annotations.exchange.measuring import LONGEST_MEASURED_S, measure_marks
from ser_core.annotations.exchange.writing_into import write_into_file
from ser_core.annotations.f0.tracks import write_f0
from ser_core.annotations.formats.format import counted
from ser_core.annotations.formats.values import quoted
from ser_core.annotations.saved_sounds import sounds_of, wav_files_of
from ser_core.annotations.store.database import ALL_ON_ONE_PAGE
from ser_core.annotations.store.transactions import Store
from ser_core.audio.acoustics import DEFAULT_CEILING_HZ
from ser_core.audio.reading import file_bytes
from ser_core.audio.working_copy import FileBytes
from ser_core.commands.annotations.project import add_command, open_project, printable
from ser_core.commands.arguments import Commands, printed_progress
from ser_core.errors import AnnotationsRefused
from ser_core.model.shipped_models import load_model
from ser_core.output.saved_analyses import data_folder
from ser_core.work.atomic_folder import atomic_new_folder, atomic_write

PIECE_BYTES = 2**20


def add(commands: Commands) -> None:
    """Add the commands."""
    export = add_command(commands, "export", "write the marks of a project as files of another tool", _export)
    export.add_argument("--format", choices=tuple(EXPORT_FORMATS), help="format of the files; not with --into")
    export.add_argument("--out", type=Path, metavar="DIR|FILE", help="a new folder or, with --into, a new file")
    export.add_argument(
        "--into", type=Path, metavar="FILE", help="write into this TextGrid or EAF, in which nothing else changes"
    )
    export.add_argument("--overwrite", action="store_true", help="with --into and without --out: replace the file")
    export.add_argument("--annotator", metavar="NAME", help="whose marks; default: everybody's")
    export.add_argument(
        "--everybody", action="store_true", help="everybody's marks also where the gold layer decides; JSON always does"
    )
    export.add_argument("--short", action="store_true", help="write TextGrids in Praat's short form")
    export.add_argument(
        "--plain", action="store_true", help="write only the emotion or note of each mark, for other tools"
    )
    export.add_argument(
        "--url-prefix", default="", metavar="URL", help="where Label Studio finds the recordings: their names follow it"
    )
    measure = add_command(commands, "measure", "write F0, intensity, formants and more of each mark", _measure)
    measure.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new CSV file")
    measure.add_argument("--annotator", metavar="NAME", help="whose marks; default: everybody's")
    measure.add_argument(
        "--ceiling",
        type=float,
        default=DEFAULT_CEILING_HZ,
        metavar="HZ",
        help=f"ceiling of formants: about 5000 for men, 5500 for women (default: {DEFAULT_CEILING_HZ:g})",
    )
    measure.add_argument("--model", metavar="NAME|PATH", help="also write this model's score of each emotion")
    f0 = add_command(commands, "f0", "write F0 over time, as measured and corrected by hand", _f0)
    f0.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder, for a PitchTier and a CSV each"
    )
    f0.add_argument("--all", action="store_true", help="include recordings without corrections")


def _export(args: argparse.Namespace) -> int:
    if args.into is not None:
        return _export_into(args)
    if args.format is None or args.out is None:
        raise AnnotationsRefused(
            "Say in which format (--format) and into which folder (--out), or give a file (--into)."
        )
    if args.overwrite:
        raise AnnotationsRefused("--overwrite replaces a file that is given with --into; a folder has to be a new one.")
    with open_project(args) as (store, project):
        recordings = _marked(store, project, args.annotator, or_f0=args.format == "json")
        if args.format != "json":
            recordings = _with_gold(recordings, args)
        files = store.recordings.files(project)
        name = next(found.name for found in store.projects.page(size=ALL_ON_ONE_PAGE).items if found.id == project)
    file_format = EXPORT_FORMATS[args.format]
    wanted = {"short": args.short, "plain": args.plain, "url_prefix": args.url_prefix}
    choices = {choice: value for choice, value in wanted.items() if value}
    if unknown := choices.keys() - choices_of(file_format):
        raise AnnotationsRefused(
            f"Files of {file_format.name} have no choice of --{min(unknown).replace('_', '-')}; leave it out."
        )
    written = export_recordings(recordings, file_format, choices, name)
    with atomic_new_folder(args.out) as folder:
        for path, content in written.files.items():
            _write_new(folder / path, content)
        missing = _write_sounds(folder, written.sounds, wav_files_of(files, data_folder()))
    print(f"{counted(len(written.files) + len(written.sounds) - missing, 'file')} in {args.out}.")
    if missing:
        print(f"Without a sound: {counted(missing, 'recording')} whose sound is missing.")
    for words in written.dropped:
        print(f"Not in a file of {file_format.name}: {words}.")
    for words in written.unfit:
        print(f"Not as it is stored: {printable(words).rstrip('.')}.")
    if written.without_marks:
        print(f"Without a file: {counted(written.without_marks, 'recording')} without marks.")
    return 0


def _export_into(args: argparse.Namespace) -> int:
    """Write marks into a copy of an existing file or, with --overwrite, into the file itself."""
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
    with open_project(args) as (store, project):
        known = store.recordings.files(project)
        by_sha256 = {recording.sha256: recording for recording in _marked(store, project, args.annotator)}
    name = printable(args.into.name)

    def recording_of(sha256: str) -> AnnotatedRecording:
        return _with_gold([by_sha256[sha256]], args)[0]

    written = write_into_file(file_bytes(args.into), name, known, recording_of, args.plain)
    out = args.into if args.out is None else args.out
    try:
        atomic_write(out, written.into.content)
    except OSError as error:
        raise AnnotationsRefused(f"{out} cannot be written ({error.strerror}). Choose another folder.") from None
    action = "replaced" if args.overwrite else "written"
    print(printable(f"{out}: {action}, with marks of {quoted(written.recording)}."))
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
    with open_project(args) as (store, project):
        recordings = _marked(store, project, args.annotator)
        files = store.recordings.files(project)
    classifier = None if args.model is None else load_model(args.model)
    sounds, work = sounds_of(files, data_folder()), printed_progress()
    measured = measure_marks(recordings, sounds, args.ceiling, work, classifier)
    try:
        atomic_write(args.out, measured.content)
    except OSError as error:
        raise AnnotationsRefused(f"{args.out} cannot be written ({error.strerror}). Choose another folder.") from None
    print(f"{counted(measured.marks, 'mark')} in {args.out}.")
    if measured.without_sound:
        print(f"Without measures: those in {counted(measured.without_sound, 'recording')} whose sound is missing.")
    if measured.too_long:
        minutes = f"{LONGEST_MEASURED_S / 60:g} minutes"
        print(f"Without measures: {counted(measured.too_long, 'mark')} of more than {minutes}.")
    return 0


def _f0(args: argparse.Namespace) -> int:
    with open_project(args) as (store, project):
        recordings = list(store.transfer.export(project))
        files = store.recordings.files(project)
    with atomic_new_folder(args.out) as folder:

        def write(name: str, content: bytes) -> None:
            _write_new(folder / name, content)

        f0 = write_f0(recordings, args.all, sounds_of(files, data_folder()), write, printed_progress())
    written, corrected = counted(f0.recordings, "recording"), counted(f0.corrected, "corrected frame")
    print(f"F0 of {written} in {args.out}, with {corrected}.")
    if f0.without_sound:
        print(f"Without F0: {counted(f0.without_sound, 'recording')} whose sound is missing.")
    return 0


def _marked(store: Store, project: int, annotator: str | None, or_f0: bool = False) -> list[AnnotatedRecording]:
    """Return all recordings of a project with the marks of one annotator or all, or refuse if there are none.

    `or_f0`: accept corrections of F0 without marks.
    """
    recordings = list(store.transfer.export(project, annotator))
    if not any(recording.annotations or (or_f0 and recording.f0.frames) for recording in recordings):
        whose = f" of {printable(annotator)}" if annotator else ""
        raise AnnotationsRefused(f"The project has no marks{whose}; nothing was written. Make or import some first.")
    return recordings


def _with_gold(recordings: list[AnnotatedRecording], args: argparse.Namespace) -> list[AnnotatedRecording]:
    """Replace everybody's marks by the gold layer where there is one, unless the arguments select other marks."""
    if args.everybody or args.annotator is not None:
        return recordings
    decided = sum(recording.has_gold for recording in recordings)
    if decided:
        print(f"Only the gold layer of {counted(decided, 'recording')}; --everybody writes everybody's marks too.")
    return [with_gold_applied(recording) for recording in recordings]
