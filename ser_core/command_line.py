"""The commands of `python -m ser_core`."""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ser_core.analysis_folder import folder_name, save_analysis
from ser_core.audio import read_recording
from ser_core.checkpoint import find_model, load_model, model_names
from ser_core.emotions import EMOTION_SETS
from ser_core.errors import SerError, SettingsRefused
from ser_core.explanation import EXPLAINERS
from ser_core.explanation.relevance import FILLS
from ser_core.learning.classifier_training import train_classifier
from ser_core.learning.comparison import paired_difference
from ser_core.learning.cross_validation import cross_validate
from ser_core.learning.model_evaluation import evaluate_model
from ser_core.learning.predictions import all_figures, tested_by
from ser_core.learning.presets import PRESETS
from ser_core.learning.training_plan import SPLITS, TrainingPlan
from ser_core.networks import NETWORKS
from ser_core.pipeline import analyse_recording
from ser_core.settings import (
    AnalysisSettings,
    FocusSettings,
    FrontEnd,
    GradCamSettings,
    LimeSettings,
    OcclusionSettings,
    SelectionSettings,
)
from ser_core.training_process import runs_folder


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 2 where something was refused."""
    parser = argparse.ArgumentParser(prog="python -m ser_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_analyse(commands)
    _add_train(commands)
    _add_evaluate(commands)
    _add_compare(commands)
    asked = parser.parse_args(arguments)
    try:
        return asked.run(asked)
    except SerError as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _add_analyse(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    analyse = commands.add_parser(
        "analyse", help="say which emotion is heard in recordings, and where the evidence lies"
    )
    analyse.add_argument("files", nargs="+", metavar="FILE")
    analyse.add_argument("--model", default=None, metavar="NAME|PATH", help="default: the first of the shipped models")
    analyse.add_argument("--explain", type=_methods, default=tuple(EXPLAINERS), metavar=",".join(EXPLAINERS))
    analyse.add_argument("--emotion", metavar="NAME", help="explain this emotion; default: the one with the best score")
    analyse.add_argument("--against", metavar="NAME", help="rather than this one; default: than all others")
    analyse.add_argument("--stretch", type=_stretch, metavar="START:END", help="explain this stretch, in seconds")
    analyse.add_argument("--seed", type=_seed, default=0, help="of LIME's masks and of the random fill")
    analyse.add_argument("--layer", help="where Grad-CAM looks; default: the model's own")
    analyse.add_argument("--masks", type=int, default=LimeSettings().masks, help="how many LIME listens to")
    analyse.add_argument(
        "--fill", choices=FILLS, default=LimeSettings().fill, help="what LIME and occlusion put instead"
    )
    analyse.add_argument("--smoothing", type=float, default=FocusSettings().smoothing_s, metavar="SECONDS")
    analyse.add_argument("--out", type=Path, default=Path("analyses"), metavar="DIR")
    analyse.set_defaults(run=_analyse)


def _analyse(asked: argparse.Namespace) -> int:
    classifier = load_model(_model(asked.model))
    settings = AnalysisSettings(
        emotion=asked.emotion,
        against=asked.against,
        stretch_s=asked.stretch,
        explain=asked.explain,
        seed=asked.seed,
        grad_cam=GradCamSettings(asked.layer),
        occlusion=OcclusionSettings(fill=asked.fill),
        lime=LimeSettings(masks=asked.masks, fill=asked.fill),
        focus=FocusSettings(smoothing_s=asked.smoothing),
    )
    stems = Counter(folder_name(Path(file).name) for file in asked.files)
    refused = 0
    for file in asked.files:
        # A name of bytes that are no text could be neither printed nor written.
        name = Path(file).name.encode(errors="replace").decode()
        try:
            recording = read_recording(file, name)
            analysis = analyse_recording(recording, classifier, settings, _progress())
        except SerError as refusal:
            refused += 1
            named = str(refusal).startswith(f"{name}:")
            print(refusal if named else f"{name}: {refusal}", file=sys.stderr)
            continue
        stem = folder_name(recording.name)
        folder = asked.out / (stem if stems[stem] == 1 else f"{stem}-{recording.sha256[:8]}")
        save_analysis(analysis, folder, settings.focus)
        best = max(analysis.scores.recording)
        focus = "1 focus region" if len(analysis.focus) == 1 else f"{len(analysis.focus)} focus regions"
        print(f"{recording.name}: {analysis.verdict} (best score {best:.2f}), {focus}, {folder}")
    return 2 if refused else 0


def _model(name: str | None) -> str:
    if name is not None:
        return name
    if not model_names():
        raise SettingsRefused("No model is shipped here. Train one, or give the folder of one with --model.")
    return model_names()[0]


def _methods(text: str) -> tuple[str, ...]:
    methods = tuple(part.strip() for part in text.split(",") if part.strip())
    if not methods or not set(methods) <= set(EXPLAINERS):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of {', '.join(EXPLAINERS)}")
    return methods


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 0")
    return int(text)


def _stretch(text: str) -> tuple[float, float]:
    try:
        start_s, end_s = (float(part) for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form START:END, in seconds") from None
    return start_s, end_s


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    evaluate = commands.add_parser("evaluate", help="measure a model on corpora that it was not trained on")
    evaluate.add_argument("--model", default=None, metavar="NAME|PATH")
    evaluate.add_argument("--corpus", action="append", required=True, metavar="NAME=DIR", type=_corpus)
    evaluate.add_argument("--robustness", action="store_true", help="measure on degraded recordings too")
    evaluate.add_argument("--json", type=Path, metavar="FILE")
    evaluate.set_defaults(run=_evaluate)


def _evaluate(asked: argparse.Namespace) -> int:
    result = evaluate_model(_model(asked.model), dict(asked.corpus), _progress(), robustness=asked.robustness)
    _print_figures(result)
    for condition, measured in result.get("robustness", {}).items():
        print(f"  {condition:20s} UAR {100 * measured['mean_over_corpora_uar']:5.1f} %")
    print(f"Split: {result['split']}. Left out because the model was trained on them: {result['excluded']}.")
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def _add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    train = commands.add_parser("train", help="train a classifier on corpora and write its folder")
    train.add_argument("--corpus", action="append", required=True, metavar="NAME=DIR", type=_corpus)
    train.add_argument("--network", choices=tuple(NETWORKS), default="fusion")
    train.add_argument("--split", choices=SPLITS, default="speaker", help="how test is kept apart from training")
    train.add_argument("--folds", type=int, default=5, help="of the speaker split")
    train.add_argument(
        "--fold", default="1", metavar="N[,N...]|all", help="the fold, or corpus in order of names, that is the test"
    )
    train.add_argument("--emotions", choices=tuple(EMOTION_SETS), default="core4", help="what is told apart")
    train.add_argument("--preset", choices=tuple(PRESETS), default="default", help="how the branches learn")
    train.add_argument("--warm-start", metavar="MODEL", help="begin as this model, by name or path")
    train.add_argument("--epochs", type=int, help="of each branch")
    train.add_argument("--select", choices=("minmax", "guarded", "none"), default="guarded")
    train.add_argument("--seed", type=_seed, default=0)
    train.add_argument("--resume", action="store_true", help="go on from the states of an earlier run")
    train.add_argument("--out", type=Path, required=True, metavar="DIR")
    train.set_defaults(run=_train)


def _train(asked: argparse.Namespace) -> int:
    plan = TrainingPlan(
        corpora=dict(asked.corpus),
        network=asked.network,
        split=asked.split,
        folds=asked.folds,
        seed=asked.seed,
        emotion_set=asked.emotions,
        preset=asked.preset,
        warm_start=asked.warm_start,
        epochs=asked.epochs,
        front_end=FrontEnd(selection=SelectionSettings(asked.select)),
    )
    folds = _folds(asked.fold, plan.last_fold)
    if len(folds) > 1:
        card = cross_validate(plan, folds, asked.out, runs_folder(), resume=asked.resume, progress=_progress())
    else:
        plan = replace(plan, fold=folds[0])
        card = train_classifier(plan, asked.out, runs_folder(), resume=asked.resume, progress=_progress())
    if card:  # of several processes only the first has it
        tested = card.get("cross_validation", card["test_figures"])
        _print_figures(tested)
        print(f"Split: {tested.get('split', card['split'])}. Written to {asked.out}.")
    return 0


def _folds(text: str, last: int) -> list[int]:
    if text == "all":
        return list(range(1, last + 1))
    if not all(part.isdecimal() for part in text.split(",")):
        raise SettingsRefused(f"'{text}' names no folds; give a number, several as 1,2,3, or all.")
    return sorted({int(part) for part in text.split(",")})


def _add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    compare = commands.add_parser(
        "compare", help="say whether models differ, on the recordings that both were tested on"
    )
    compare.add_argument("models", nargs="+", metavar="MODEL", help="the first is what the others are compared with")
    compare.set_defaults(run=_compare)


def _compare(asked: argparse.Namespace) -> int:
    first, *others = asked.models
    tables = {name: tested_by(find_model(name)) for name in asked.models}
    for name in asked.models:
        figures = all_figures(tables[name])
        print(f"{name:22s} UAR {100 * figures['mean_over_corpora_uar']:5.1f} %, {len(tables[name].labels)} recordings")
    for name in others:
        difference = paired_difference(tables[first], tables[name])
        low, high = difference.interval
        print(
            f"{first} minus {name}: {100 * difference.gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}, "
            f"{difference.speakers} speakers resampled)"
        )
    return 0


def _print_figures(result: dict[str, Any]) -> None:
    for name, f in result["corpora"].items():
        low, high = f["interval"]
        print(f"{name:22s} UAR {100 * f['uar']:5.1f} %  ({100 * low:.1f} to {100 * high:.1f}, speakers resampled)")
    print(f"{'mean over corpora':22s} UAR {100 * result['mean_over_corpora_uar']:5.1f} %")


def _corpus(text: str) -> tuple[str, str]:
    name, separator, folder = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form NAME=DIR")
    return name, folder


def _progress() -> Callable[[float, str], None]:
    """Print what is being done and about how long it will take, at most every ten seconds."""
    started = printed = time.monotonic()

    def show(fraction: float, text: str) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed < 10:
            return
        printed = now
        left = (now - started) * (1 - fraction) / max(fraction, 1e-3)
        print(f"{100 * fraction:3.0f} %  {text}, about {left / 60:.0f} min left", file=sys.stderr, flush=True)

    return show
