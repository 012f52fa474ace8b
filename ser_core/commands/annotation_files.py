"""`annotations export` and `annotations import`: marks out of a project and into one, in files of other tools."""

import argparse
import getpass
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from ser_core.analysis_folder import folder_name
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.formats import FORMATS, belonging_to, read_annotations
from ser_core.annotations.formats.format import Format, Written, counted, summed
from ser_core.annotations.formats.gate import at
from ser_core.annotations.new_folder import filled_whole
from ser_core.annotations.recordings import RecordingFile
from ser_core.audio import file_bytes
from ser_core.commands.annotation_project import EVERY, add_command, opened_project, printable, recording_file
from ser_core.commands.arguments import Commands, printed_progress
from ser_core.corpora.labelled import recordings_by_sha256
from ser_core.errors import AnnotationsRefused

#: As they are asked for.
EXPORTED = {"json" if key == "own" else key: file_format for key, file_format in FORMATS.items()}
STEM_OF_MANY = "annotations"


def add(commands: Commands) -> None:
    """Add the commands."""
    export = add_command(commands, "export", "write the marks of a project as files of another tool", _export)
    export.add_argument("--format", choices=tuple(EXPORTED), required=True)
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    export.add_argument("--annotator", metavar="NAME", help="whose marks; default: everybody's")
    taken = add_command(commands, "import", "take over the marks in files of other tools, all or none", _import)
    taken.add_argument("files", nargs="+", type=Path, metavar="FILE")
    taken.add_argument(
        "--annotator", metavar="NAME", help="whose marks become that say no name; default: your login name"
    )
    taken.add_argument(
        "--audio", type=Path, metavar="FILE|DIR", help="the sound, for files that do not say by SHA-256 which it is"
    )


# --- out ---


def _export(asked: argparse.Namespace) -> int:
    with opened_project(asked) as (store, project):
        recordings = list(store.export(project, asked.annotator))
    if not any(recording.annotations for recording in recordings):
        whose = f" of {printable(asked.annotator)}" if asked.annotator else ""
        raise AnnotationsRefused(f"The project has no marks{whose}; nothing was written. Make or import some first.")
    file_format = EXPORTED[asked.format]
    written = _written(recordings, file_format)
    # A file of labels with none in it could not be told from any other empty file.
    files = [(f"{stem}{file_format.endings[0]}", each.content) for stem, each in written if each.content]
    with filled_whole(asked.out) as folder:
        for name, content in files:
            with (folder / name).open("xb") as file:
                file.write(content)
    print(f"{counted(len(files), 'file')} in {asked.out}.")
    for words in summed(each for _, each in written):
        print(f"Not in a file of {file_format.name}: {words}.")
    if len(files) < len(written):
        print(f"Without a file: {counted(len(written) - len(files), 'recording')} without marks.")
    return 0


def _written(recordings: Sequence[AnnotatedRecording], file_format: Format) -> list[tuple[str, Written]]:
    """Return files with the stems of their names."""
    if file_format.holds_many:
        return [(STEM_OF_MANY, file_format.write(recordings))]
    stems = [_stems(recording.name, recording.sha256) for recording in recordings]
    # File systems that do not tell capitals apart are common.
    count = Counter(plain.casefold() for plain, _ in stems)
    return [
        (plain if count[plain.casefold()] == 1 else own, file_format.write([recording]))
        for (plain, own), recording in zip(stems, recordings, strict=True)
    ]


def _stems(name: str, sha256: str) -> tuple[str, str]:
    """Return how the file of a recording is called: where its name is the only one, and where it is not."""
    stem = folder_name(name)
    # Shortened, so that `folder_name` leaves it as it is on the way back.
    return stem, f"{stem[:40]}-{sha256[:8]}"


# --- in ---


def _import(asked: argparse.Namespace) -> int:
    annotator = asked.annotator or _login_name()
    found, dropped = [], []
    for file in asked.files:
        name = printable(file.name)
        read = read_annotations(file_bytes(file), name)
        found += [(name, document) for document in read.recordings]
        dropped += [f"{name}: {words}" for words in read.dropped]
    audio = _audio([document for _, document in found], asked.audio)
    with opened_project(asked, may_be_new=True) as (store, project):
        known = [recording.file for recording in store.recordings(project, size=EVERY).items]
        only = audio[0] if asked.audio is not None and not asked.audio.is_dir() else None
        documents = _with_recordings(found, known, audio, only)
        imported = store.import_recordings(project, documents, annotator, printed_progress())
        store.add_recordings(project, audio)
    print(
        f"{counted(imported.recordings, 'recording')}: {counted(imported.added, 'mark')} added, "
        f"{imported.known} known already, {imported.left_out} left out."
    )
    if imported.left_out:
        print("Left out are labels of a whole recording to which their annotator has given another one here.")
    for words in dropped:
        print(f"Not taken over from {words}.")
    return 0


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise AnnotationsRefused("Your login name is not known; say who imports with --annotator NAME.") from None


def _audio(documents: Iterable[AnnotatedRecording], place: Path | None) -> list[RecordingFile]:
    """Return the audio file that was given, or those in the folder whose marks are imported."""
    if place is None:
        return []
    if not place.is_dir():
        return [recording_file(place)]
    wanted = {document.sha256 or folder_name(document.name) for document in documents}
    return [
        recording_file(path)
        for sha256, path in recordings_by_sha256(place).items()
        if not wanted.isdisjoint((sha256, *_stems(path.name, sha256)))
    ]


def _with_recordings(
    found: Sequence[tuple[str, AnnotatedRecording]],
    known: Sequence[RecordingFile],
    audio: Sequence[RecordingFile],
    only: RecordingFile | None,
) -> list[AnnotatedRecording]:
    """Return documents as those of their recordings, which SHA-256 or name tells; where it does not, as they are.

    Parameters
    ----------
    found : sequence of (file's name, document)
    known, audio : sequence of RecordingFile
        Of the project, and of what was given with the marks.
    only : RecordingFile or None
        The one that all documents are of.
    """
    given = {file.sha256: file for file in audio}
    # As long as the file says: where a format rounds times, labels of the whole recording stay those of the whole.
    as_long = {(file.sha256, file.duration_s): file for file in known}
    by_stem: dict[str, dict[str, RecordingFile]] = defaultdict(dict)
    for file in (*known, *audio):
        for stem in _stems(file.name, file.sha256):
            by_stem[stem][file.sha256] = file
    documents = []
    for name, document in found:
        named = list(by_stem[folder_name(document.name)].values())
        file = only or given.get(document.sha256) or as_long.get((document.sha256, document.duration_s))
        if file is None and document.sha256 is None and len(named) == 1:
            file = named[0]
        if file is not None:
            with at(name):
                document = belonging_to(document, file.name, file.sha256, file.duration_s, file.sample_rate_hz)
        documents.append(document)
    return documents
