"""`evaluate`: evaluate a model on corpora that it was not trained on."""

import argparse
from pathlib import Path

from ser_core.commands.arguments import (
    Commands,
    corpus_at,
    folders_of,
    model_or_default,
    print_added_figures,
    print_figures,
    print_left_out,
    printed_progress,
    say,
    write_json,
)
from ser_core.errors import SettingsRefused
from ser_core.learning.cross_validation import NEW_CORPORA, measure_new_corpora
from ser_core.learning.evaluation import evaluate_model, overlap_in_words


def add(commands: Commands) -> None:
    """Add the command."""
    evaluate = commands.add_parser("evaluate", help="evaluate a model on corpora that it was not trained on")
    evaluate.add_argument("--model", default=None, metavar="NAME|PATH")
    evaluate.add_argument("--corpus", action="append", required=True, metavar="NAME=DIR", type=corpus_at)
    evaluate.add_argument("--robustness", action="store_true", help="also evaluate on degraded recordings")
    evaluate.add_argument(
        "--add-figures",
        action="store_true",
        help="add table and figures to the model's folder, if all corpora are new to the model",
    )
    evaluate.add_argument("--json", type=Path, metavar="FILE")
    evaluate.set_defaults(run=_evaluate)


def _evaluate(args: argparse.Namespace) -> int:
    if args.add_figures:
        return _add_figures(args)
    result = evaluate_model(
        model_or_default(args.model), folders_of(args.corpus), printed_progress(), robustness=args.robustness
    )
    print_left_out(result["refused"])
    print_figures(result)
    for condition, measured in result.get("robustness", {}).items():
        say(f"  {condition:20s} UAR {100 * measured['mean_over_corpora_uar']:5.1f} %")
    for corpus, people in result["listeners"].items():
        recalls = ", ".join(f"{emotion} {100 * recall:.0f} %" for emotion, recall in people["recall"].items())
        say(f"{corpus}: listeners recognise {100 * people['uar']:.1f} % from the voice alone ({recalls}).")
    for corpus, overlap in result["training"].items():
        say(f"{overlap_in_words(corpus, overlap)}.")
    say(f"Left out because the model was trained on them: {result['excluded']}.")
    if args.json:
        write_json(result, args.json)
    return 0


def _add_figures(args: argparse.Namespace) -> int:
    if args.robustness or args.json:
        raise SettingsRefused("--add-figures writes to the model's folder; give --robustness and --json without it.")
    model = model_or_default(args.model)
    card, refused = measure_new_corpora(model, folders_of(args.corpus), printed_progress())
    print_left_out(refused)
    print_added_figures(card[NEW_CORPORA], model)
    return 0
