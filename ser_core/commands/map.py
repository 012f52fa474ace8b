"""`map`: the recordings of corpora as points, laid out by a model's features."""

import argparse
import csv
import hashlib
import io
from pathlib import Path

from ser_core.analysis import Recording
from ser_core.annotations.corpus_map.features import require_features
from ser_core.annotations.corpus_map.mapping import COMPONENTS, LAYOUTS, CorpusMap, corpus_map
from ser_core.annotations.formats.table import in_cell
from ser_core.audio.reading import file_bytes, read_recording
from ser_core.commands.arguments import Commands, corpus_at, folders_of, model_or_default, printed_progress, say
from ser_core.corpora import read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import AudioRefused
from ser_core.model.shipped_models import load_model
from ser_core.work.atomic_folder import atomic_write
from ser_core.work.training_process import runs_folder

COLUMNS = ("file", "corpus", "speaker", "emotion", "verdict", "x", "y")


def add(commands: Commands) -> None:
    """Add the command."""
    description = "lay the recordings of corpora out as points, by what a model hears in them"
    command = commands.add_parser("map", help=description, description=description)
    command.add_argument("--corpus", action="append", required=True, metavar="NAME=DIR", type=corpus_at)
    command.add_argument("--model", default=None, metavar="NAME|PATH")
    command.add_argument("--layout", choices=LAYOUTS, default=COMPONENTS)
    command.add_argument(
        "--remove-speaker-means",
        action="store_true",
        help="subtract the mean features of each speaker with three or more recordings, so that emotions shape the map",
    )
    command.add_argument("--out", type=Path, required=True, metavar="FILE.csv")
    command.set_defaults(run=_map)


def _map(args: argparse.Namespace) -> int:
    model = model_or_default(args.model)
    require_features(model)
    folders = folders_of(args.corpus)
    items, refused = _items(folders)

    def recording_of(sha256: str) -> Recording:
        return read_recording(items[sha256].path)

    speakers = {sha256: item.speaker_id for sha256, item in items.items() if item.speaker}
    found = corpus_map(
        list(items),
        recording_of,
        load_model(model),
        args.layout,
        runs_folder(),
        printed_progress(),
        speakers if args.remove_speaker_means else None,
    )
    atomic_write(args.out, _table(found, items, [Path(folder) for folder in folders.values()]))
    if args.remove_speaker_means:
        say(
            f"Each speaker's mean was removed, but not from {found.unadjusted} recordings: their speaker is not known "
            "or has fewer than three."
            if found.unadjusted
            else "Each speaker's mean was removed."
        )
    variance = found.layout.variance
    if variance is not None:
        say(f"The axes keep {100 * variance[0]:.0f} % and {100 * variance[1]:.0f} % of the variance.")
    say(f"{len(found.sha256)} points in {args.out}; {refused + found.left_out} files cannot be read.")
    return 2 if refused + found.left_out else 0


def _items(folders: dict[str, str]) -> tuple[dict[str, LabelledRecording], int]:
    """Return the recordings of corpora by SHA-256, and the number of files that cannot be read."""
    items: dict[str, LabelledRecording] = {}
    refused = 0
    for name, folder in folders.items():
        for item in read_corpus(name, folder).recordings:
            try:
                items.setdefault(hashlib.sha256(file_bytes(item.path)).hexdigest(), item)
            except AudioRefused:
                refused += 1
    return items, refused


def _table(found: CorpusMap, items: dict[str, LabelledRecording], corpora: list[Path]) -> str:
    folders = [path.parent if path.suffix.lower() == ".csv" else path for path in corpora]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for sha256, verdict, (x, y) in zip(found.sha256, found.verdicts, found.layout.points, strict=True):
        item = items[sha256]
        name = _path_in_corpus(item.path, folders).encode(errors="replace").decode()
        columns = [in_cell(name), item.corpus, in_cell(item.speaker), item.emotion, verdict]
        writer.writerow([*columns, f"{x:.4f}", f"{y:.4f}"])
    return table.getvalue()


def _path_in_corpus(path: Path, folders: list[Path]) -> str:
    """Return a path relative to the folder of its corpus; names alone may repeat in it."""
    path = path.resolve()
    for folder in folders:
        if path.is_relative_to(folder.resolve()):
            return path.relative_to(folder.resolve()).as_posix()
    return path.name
