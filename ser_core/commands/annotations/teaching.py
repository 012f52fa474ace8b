"""`annotations teach` and `taught`: a corpus made of people's labels, and the comparison of a taught model."""

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

from ser_core.annotations.formats.format import counted
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.annotations.store.recordings import speakers_of
from ser_core.annotations.teaching.corpus import CORPUS, HELD_OUT, TaughtCorpus, write_taught_corpus
from ser_core.annotations.teaching.preview import REMEDIES
from ser_core.annotations.teaching.taught_model import (
    acceptance_of,
    first_teachable,
    recording_of_pieces,
    require_teachable,
    training_arguments,
)
from ser_core.commands.annotations.project import add_command, open_project, printable, tier_of_labels
from ser_core.commands.arguments import Commands, print_figures, printed_progress
from ser_core.corpora.labelled import recordings_by_sha256
from ser_core.errors import AnnotationsRefused
from ser_core.learning.evaluation import predict_corpora
from ser_core.learning.metrics import all_figures
from ser_core.learning.predictions import Predictions
from ser_core.model.checkpoint import training_list
from ser_core.model.shipped_models import find_model
from ser_core.output.saved_analyses import data_folder

PROGRAM = ("python", "-m", "ser_core")


def add(commands: Commands) -> None:
    """Add the commands."""
    teach = add_command(commands, "teach", "write labelled recordings as a corpus to train on", _teach)
    teach.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    teach.add_argument("--audio", type=Path, metavar="DIR", help="where the recordings are; default: where they were")
    teach.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="model to start from; default: the first shipped one that can learn further",
    )
    teach.add_argument("--tier", metavar="NAME", help="a tier of labels to teach instead of the marks of emotions")
    taught = commands.add_parser("taught", help="say whether a taught model is better than the one before")
    taught.add_argument("before", metavar="BEFORE")
    taught.add_argument("after", metavar="AFTER")
    taught.add_argument("--taught", type=Path, required=True, metavar="DIR", help="what `teach` wrote")
    taught.set_defaults(run=_taught)


def _teach(args: argparse.Namespace) -> int:
    model = args.model or first_teachable()
    require_teachable(model)
    trained_on = training_list(find_model(model))
    with open_project(args) as (store, project):
        tier = None if args.tier is None else tier_of_labels(store, project, args.tier, ("intervals",))
        recordings = list(store.transfer.export(project))
        files = store.recordings.files(project)
    if args.audio is not None:
        if not args.audio.is_dir():
            raise AnnotationsRefused(f"There is no folder {args.audio}; give the one that holds the recordings.")
        paths = recordings_by_sha256(args.audio)
        files = [replace(file, path=str(paths.get(file.sha256, file.path or ""))) for file in files]
    teaching = write_taught_corpus(
        recordings,
        sounds_of(files, data_folder()),
        args.out,
        speakers=speakers_of(files),
        trained_on=trained_on,
        tier=tier,
        work=printed_progress(),
    )
    _print_teaching(teaching)
    print("\nTeach and compare:\n")
    for command in _next_commands(model, args.out, teaching):
        print(f"    {shlex.join(command)}")
    return 0


def _print_teaching(teaching: TaughtCorpus) -> None:
    for words, counts in (("To learn from", teaching.train_count), ("Held out", teaching.held_out_count)):
        found = ", ".join(f"{emotion} {count}" for emotion, count in counts.items())
        print(f"{words}: {found or 'nothing'}.")
    print(teaching.words)
    for reason, count in teaching.reasons().items():
        remedy = f" {REMEDIES[reason]}" if reason in REMEDIES else ""
        print(f"Left out: {counted(count, 'label')}, {printable(reason).rstrip('.')}.{remedy}")


def _next_commands(model: str, out: Path, teaching: TaughtCorpus) -> list[tuple[str, ...]]:
    """Return the training that starts from the model, and the comparison if something is held out."""
    new = str(out / "model")
    train = (*PROGRAM, "train", *training_arguments(teaching, model, new))
    taught = (*PROGRAM, "annotations", "taught", model, new, "--taught", str(out))
    return [train, taught] if teaching.held_out else [train]


def _taught(args: argparse.Namespace) -> int:
    before, after = (_predictions(model, args.taught) for model in (args.before, args.after))
    for model, predictions in ((args.before, before), (args.after, after)):
        print(f"{model}, {counted(len(predictions.labels), 'held-out piece')}")
        print_figures(all_figures(predictions))
    better = acceptance_of(before, after, recording_of_pieces(args.taught / HELD_OUT))
    print(better.words)
    if not better.offered:
        print(f"{args.after} should not become the default; keep {args.before}.")
    return 0


def _predictions(model: str, taught: Path) -> Predictions:
    predictions, _ = predict_corpora(model, {CORPUS: str(taught / HELD_OUT)}, printed_progress())
    return predictions
