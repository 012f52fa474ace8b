"""`train`: train a classifier on corpora, on one fold or several."""

import argparse
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from ser_core.analysis.emotions import EMOTION_SETS
from ser_core.commands.arguments import (
    Commands,
    corpus_at,
    fold_numbers,
    folders_of,
    print_added_figures,
    print_figures,
    print_left_out,
    printed_progress,
    say,
    whole_number,
)
from ser_core.errors import SettingsRefused, WriteRefused
from ser_core.learning.classifier_training import train_classifier
from ser_core.learning.cross_validation import NEW_CORPORA, cross_validate, measure_recipe
from ser_core.learning.plan import PRESETS, SPLITS, TRAINABLE, TrainingPlan, own_front_end
from ser_core.model.shipped_models import DEFAULT_MODEL
from ser_core.settings import FrontEnd, SelectionSettings
from ser_core.work.training_process import runs_folder


def add(commands: Commands) -> None:
    """Add the command."""
    train = commands.add_parser("train", help="train a classifier on corpora and write its folder")
    train.add_argument("--corpus", action="append", required=True, metavar="NAME=DIR", type=corpus_at)
    train.add_argument("--network", choices=TRAINABLE, default=DEFAULT_MODEL)
    train.add_argument("--split", choices=SPLITS, default="speaker", help="how test and training are separated")
    train.add_argument("--folds", type=int, default=5, help="number of folds of the speaker and sentence splits")
    train.add_argument(
        "--fold", default="1", metavar="N[,N...]|all", help="the test fold, or the test corpus in order of names"
    )
    train.add_argument("--emotions", choices=tuple(EMOTION_SETS), default="core4", help="set of emotions")
    train.add_argument("--preset", choices=tuple(PRESETS), default="default", help="training settings of the branches")
    train.add_argument("--warm-start", metavar="MODEL", help="start from the weights of this model, by name or path")
    train.add_argument("--epochs", type=int, help="epochs of each branch")
    train.add_argument(
        "--select", choices=("minmax", "guarded", "none"), help="data selection; default: that of the network"
    )
    train.add_argument(
        "--drop-unrecognised",
        action="store_true",
        help="do not train on recordings whose emotion listeners did not recognise (CREMA-D only)",
    )
    train.add_argument("--seed", type=whole_number, default=0)
    train.add_argument("--resume", action="store_true", help="continue an interrupted run")
    train.add_argument(
        "--end-with-input",
        action="store_true",
        help="end when standard input closes, as it does when the parent program ends",
    )
    out = train.add_mutually_exclusive_group(required=True)
    out.add_argument("--out", type=Path, metavar="DIR")
    out.add_argument(
        "--figures-of",
        metavar="MODEL",
        help="train the folds only to evaluate this model's training, and add table and figures to its folder",
    )
    train.set_defaults(run=_train)


def _train(args: argparse.Namespace) -> int:
    plan = TrainingPlan(
        corpora=folders_of(args.corpus),
        network=args.network,
        split=args.split,
        folds=args.folds,
        seed=args.seed,
        emotion_set=args.emotions,
        preset=args.preset,
        warm_start=args.warm_start,
        epochs=args.epochs,
        front_end=_front_end(args),
        drop_unrecognised=args.drop_unrecognised,
    )
    if args.end_with_input:
        threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        card = _card_of_training(plan, args)
    except OSError as reason:
        raise WriteRefused(
            f"{reason.filename or runs_folder()} cannot be written ({reason.strerror}). Finished epochs are saved: "
            "free some space or set SER_RUNS to another folder, then train again with --resume."
        ) from None
    if card:  # only the first of several processes has it
        if args.out:
            print_left_out(card.get("left_out", {}).get("refused", ()))
        figures = card.get(NEW_CORPORA if plan.split == "corpus" else "cross_validation", card["test_figures"])
        if args.figures_of:
            print_added_figures(figures, args.figures_of)
        else:
            print_figures(figures)
            say(f"Split: {figures.get('split', card['split'])}. Written to {args.out}.")
    return 0


def _card_of_training(plan: TrainingPlan, args: argparse.Namespace) -> dict[str, Any]:
    folds = fold_numbers(args.fold, plan.last_fold)
    options = {"resume": args.resume, "work": printed_progress()}
    if args.figures_of:
        if len(folds) < 2:
            raise SettingsRefused("One fold is not enough for --figures-of; give several folds, or --fold all.")
        return measure_recipe(plan, folds, args.figures_of, runs_folder(), **options)
    if len(folds) > 1:
        return cross_validate(plan, folds, args.out, runs_folder(), **options)
    return train_classifier(replace(plan, fold=folds[0]), args.out, runs_folder(), **options)


def _end_with_input() -> None:
    # Not sys.stdin: a thread that still reads from it would hold its lock when Python exits.
    while os.read(0, 1_024):
        pass
    os._exit(1)  # safe, because files are written atomically


def _front_end(args: argparse.Namespace) -> FrontEnd:
    own = own_front_end(args.network)
    return own if args.select is None else replace(own, selection=SelectionSettings(args.select))
