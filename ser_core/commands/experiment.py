"""`experiment`: run one of the paper's experiments and write the results page."""

import argparse

from ser_core.commands.arguments import (
    Commands,
    add_word_model,
    corpus_at,
    fold_numbers,
    folders_of,
    printed_progress,
    say,
    word_model,
)
from ser_core.corpora.listeners import measure_listeners
from ser_core.experiments import EXPERIMENTS, write_result
from ser_core.experiments.branch_maps import branch_maps
from ser_core.experiments.content_or_voice import content_or_voice
from ser_core.experiments.relevance_by_band import relevance_by_band
from ser_core.experiments.results_page import write_results_page
from ser_core.experiments.robustness import robustness
from ser_core.experiments.selection_cost import selection_cost
from ser_core.learning.plan import FROZEN
from ser_core.model.networks import NETWORKS
from ser_core.model.shipped_models import find_model
from ser_core.work.training_process import runs_folder


def add(commands: Commands) -> None:
    """Add the command."""
    experiment = commands.add_parser(
        "experiment", help="run one of the paper's experiments and write models/RESULTS.md"
    )
    descriptions = "; ".join(f"{name}: {description}" for name, description in EXPERIMENTS.items())
    experiment.add_argument(
        "name",
        choices=tuple(EXPERIMENTS),
        help=descriptions,
    )
    experiment.add_argument("--corpus", action="append", required=True, metavar="NAME=DIR", type=corpus_at)
    experiment.add_argument(
        "--model", default="fusion", metavar="NAME|PATH", help="for bands, branches, content and robustness"
    )
    trained_in_epochs = [network for network in NETWORKS if network not in FROZEN]
    experiment.add_argument("--network", choices=trained_in_epochs, default="yamnet", help="for selection")
    experiment.add_argument("--fold", default="all", metavar="N[,N...]|all", help="of five, for selection")
    add_word_model(experiment)
    experiment.set_defaults(run=_experiment)


def _experiment(args: argparse.Namespace) -> int:
    corpora, name = folders_of(args.corpus), args.name
    if name == "selection":
        name = f"selection-{args.network}"
        result = selection_cost(corpora, args.network, fold_numbers(args.fold, 5), runs_folder(), printed_progress())
    elif name == "bands":
        result = relevance_by_band(args.model, corpora, printed_progress())
    elif name == "content":
        name = f"content-{find_model(args.model).name}"
        result = content_or_voice(
            args.model, corpora, word_model(download=args.download_word_model), printed_progress()
        )
    elif name == "listeners":
        result = measure_listeners(corpora)
    elif name == "robustness":
        name = f"robustness-{find_model(args.model).name}"
        result = robustness(args.model, corpora, printed_progress())
    else:
        result = branch_maps(args.model, corpora, printed_progress())
    say(f"Written: {write_result(name, result)} and {write_results_page()}.")
    return 0
