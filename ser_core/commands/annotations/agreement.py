"""`annotations agreement`: the agreement of annotators with one another and with explainers."""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from statistics import mean
from typing import Any

from ser_core.annotations.agreement.agreement import (
    AnnotatorAgreement,
    GoldAgreement,
    RegionAgreement,
    annotator_agreement,
    gold_agreement,
)
from ser_core.annotations.agreement.bootstrap import Measured
from ser_core.annotations.agreement.human_agreement import (
    COMPARED,
    MeasuredWithChance,
    compare_with_explainers,
    people_against_maps,
)
from ser_core.annotations.agreement.label_agreement import LabelAgreement
from ser_core.annotations.agreement.label_mapping import as_emotions, only_named_emotions
from ser_core.annotations.agreement.matching import POINT_TOLERANCE_S
from ser_core.annotations.annotation import KINDS, RECORDING_TIER, AnnotatedRecording
from ser_core.annotations.formats.format import counted
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.commands.annotations.project import add_command, open_project, printable, tier_of_labels
from ser_core.commands.arguments import Commands, model_or_default, printed_progress, some_of, write_json
from ser_core.errors import AnnotationsRefused
from ser_core.model.shipped_models import load_model
from ser_core.output.saved_analyses import data_folder


def add(commands: Commands) -> None:
    """Add the command."""
    agreement = add_command(
        commands, "agreement", "print how far annotators agree, and explainers with them", _agreement
    )
    agreement.add_argument(
        "--tier", metavar="NAME", help="a tier of labels to compare instead of the marks of emotions"
    )
    agreement.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    agreement.add_argument(
        "--explainers",
        type=some_of(COMPARED),
        default=(),
        metavar=",".join(COMPARED),
        help="explainers to compare with people",
    )
    agreement.add_argument("--model", metavar="NAME|PATH", help="the model to explain; default: the first shipped one")


def _agreement(args: argparse.Namespace) -> int:
    with open_project(args) as (store, project):
        kinds = ("intervals",) if args.explainers else KINDS
        tier = None if args.tier is None else tier_of_labels(store, project, args.tier, kinds)
        found = store.transfer.export(project)
        if tier is not None:
            found = (as_emotions(recording, tier, lambda label: label or None) for recording in found)
        recordings = [recording for recording in found if recording.annotations]
        files = store.recordings.files(project)
    if not recordings:
        where = "" if tier is None else f" in the tier '{printable(tier.name)}'"
        raise AnnotationsRefused(f"The project has no marks to compare{where}. Make or import some first.")
    of_all = annotator_agreement(recordings)
    of_each = [annotator_agreement([recording]) for recording in recordings]
    names = printable(", ".join(of_all.annotators))
    print(f"{counted(len(recordings), 'recording')} with marks, by {names}; 95 % intervals resample recordings.")
    if tier is not None and tier.kind == "points":
        _print_points(of_all)
    else:
        _print_people(of_all, "emotion" if tier is None else "label")
        _print_each(recordings, of_each)
    result: dict[str, Any] = {
        "project": _people(of_all),
        "recordings": [
            {"name": recording.name, "sha256": recording.sha256} | _people(agreement)
            for recording, agreement in zip(recordings, of_each, strict=True)
        ],
    }
    if tier is None and (with_gold := gold_agreement(recordings)):
        _print_gold(with_gold)
        result["gold"] = {annotator: asdict(found) for annotator, found in with_gold.items()}
    if args.explainers:
        emotions = recordings if tier is None else only_named_emotions(recordings, tier)
        result["explainers"] = _explainers(emotions, files, args.explainers, model_or_default(args.model))
    if args.json:
        write_json(result, args.json)
    return 0


# --- annotators with one another ---


def _print_people(agreement: AnnotatorAgreement, label: str) -> None:
    for title, labels in (("Whole recordings", agreement.recordings), ("Moments of 10 ms", agreement.frames)):
        print(f"\n{title}")
        for pair in _comparable(labels.cohen):
            _print_figure("Cohen's kappa", labels.cohen[pair], pair)
        _print_figure("Fleiss' kappa", labels.fleiss)
        _print_figure("Krippendorff's alpha", labels.alpha)
        _print_figure("alpha of intensities", labels.intensity_alpha)
    print("\nMarked stretches")
    for pair in _comparable({pair: found.detection_f1 for pair, found in agreement.regions.items()}):
        found = agreement.regions[pair]
        _print_figure("F1 of regions", found.detection_f1, pair)
        _print_figure("F1 of marked time", found.time_f1, pair)
        _print_figure("starts apart, ms", found.start_error_ms, pair, digits=0)
        _print_figure("ends apart, ms", found.end_error_ms, pair, digits=0)
        _print_figure(f"same {label}", found.same_emotion, pair)


def _print_points(agreement: AnnotatorAgreement) -> None:
    """Print the agreement of people on points, which label no moments."""
    print(f"\nPoints, which match up to {1000 * POINT_TOLERANCE_S:.0f} ms apart")
    for pair in _comparable({pair: found.detection_f1 for pair, found in agreement.regions.items()}):
        found = agreement.regions[pair]
        _print_figure("F1 of points", found.detection_f1, pair)
        _print_figure("apart, ms", found.start_error_ms, pair, digits=0)
        _print_figure("same label", found.same_emotion, pair)


def _print_gold(with_gold: Mapping[str, GoldAgreement]) -> None:
    """Print how far each annotator agrees with the gold layer."""
    print("\nWith the gold layer")
    for annotator, found in with_gold.items():
        _print_figure("same emotion", found.same_label, (annotator,))
        _print_figure("Cohen's kappa", found.kappa, (annotator,))
        _print_figure("F1 of regions", found.regions.detection_f1, (annotator,))
        _print_figure("F1 of marked time", found.regions.time_f1, (annotator,))


def _comparable(figures: Mapping[tuple[str, str], Measured]) -> list[tuple[str, str]]:
    """Return the pairs of people that have a figure; print how many have none, and why."""
    reasons = Counter(figure.reason for figure in figures.values() if figure.value is None)
    for reason, count in reasons.items():
        print(f"  {'not compared':22s}{counted(count, 'pair')} ({reason.rstrip('.')})")
    return [pair for pair, figure in figures.items() if figure.value is not None]


def _print_figure(name: str, figure: Measured, pair: Sequence[str] = (), digits: int = 2) -> None:
    print(f"  {name:22s}{_words(figure, digits)}{printable(', '.join(('', *pair)))}")


def _words(figure: Measured, digits: int = 2) -> str:
    if figure.value is None:
        return f"-  ({figure.reason.rstrip('.')})"
    interval = "" if figure.interval is None else " ({:.{d}f} to {:.{d}f})".format(*figure.interval, d=digits)
    return f"{figure.value:.{digits}f}{interval}, {counted(figure.recordings, 'recording')}"


def _print_each(recordings: Sequence[AnnotatedRecording], agreements: Sequence[AnnotatorAgreement]) -> None:
    """Print a line for each recording that several people marked."""
    rows = [pair for pair in zip(recordings, agreements, strict=True) if len(pair[1].annotators) > 1]
    if not rows:
        return
    print(f"\n{'Recording':32s}{'whole':>8s}{'alpha of moments':>18s}{'F1 of regions':>15s}{'F1 of time':>12s}")
    for recording, found in rows:
        regions = found.regions.values()
        figures = ([found.frames.alpha], [each.detection_f1 for each in regions], [each.time_f1 for each in regions])
        alpha, detected, time = (_mean(each) for each in figures)
        print(f"{printable(recording.name)[:31]:32s}{_whole(recording):>8s}{alpha:>18s}{detected:>15s}{time:>12s}")


def _mean(figures: Sequence[Measured]) -> str:
    values = [figure.value for figure in figures if figure.value is not None]
    return f"{mean(values):.2f}" if values else "-"


def _whole(recording: AnnotatedRecording) -> str:
    labels = [mark.emotion for mark in recording.annotations if mark.tier == RECORDING_TIER and mark.emotion]
    if len(labels) < 2:
        return "-"
    return "same" if len(set(labels)) == 1 else "differ"


def _people(agreement: AnnotatorAgreement) -> dict[str, Any]:
    return {
        "annotators": agreement.annotators,
        "whole_recordings": _labels(agreement.recordings),
        "frames": _labels(agreement.frames),
        "regions": [{"annotators": pair} | _figures(found) for pair, found in agreement.regions.items()],
    }


def _labels(agreement: LabelAgreement) -> dict[str, Any]:
    return {
        "labels": agreement.labels,
        "pairs": [
            {"annotators": pair, "cohen": asdict(kappa), "confusion": agreement.confusion[pair].tolist()}
            for pair, kappa in agreement.cohen.items()
        ],
        "fleiss": asdict(agreement.fleiss),
        "alpha": asdict(agreement.alpha),
        "intensity_alpha": asdict(agreement.intensity_alpha),
    }


def _figures(found: RegionAgreement) -> dict[str, Any]:
    return {field.name: asdict(getattr(found, field.name)) for field in fields(found)}


# --- people with explainers ---


def _explainers(
    recordings: Sequence[AnnotatedRecording], files: Sequence[RecordingFile], methods: Sequence[str], model: str
) -> dict[str, Any]:
    """Explain the recordings that have sound; print and return the agreement of people with the maps."""
    classifier = load_model(model)
    sound_of = sounds_of(files, data_folder())
    compared = compare_with_explainers(recordings, sound_of, classifier, methods, printed_progress())
    pooled = people_against_maps(list(compared.by_sha256.values()))
    print(f"\nWhere people mark and where {classifier.name} is explained")
    for method, measures in pooled.items():
        for measure, found in measures.items():
            if found.value.value is not None:
                print(f"  {method:12s}{measure:11s}{_words(found.value)}, by chance {found.by_chance.value:.2f}")
    for reason, count in Counter(each.reason for each in compared.by_sha256.values() if each.reason).items():
        print(f"  Not compared: {counted(count, 'recording')}. {reason}")
    if compared.without_sound:
        why = "whose sound is missing, has changed, is over ten minutes or is not accepted by this model"
        print(f"  Left out: {counted(compared.without_sound, 'recording')} {why}.")
    return {
        "model": classifier.name,
        "left_out": compared.without_sound,
        "project": {method: _beside_chance(measures) for method, measures in pooled.items()},
        "recordings": {sha256: asdict(found) for sha256, found in compared.by_sha256.items()},
    }


def _beside_chance(measures: Mapping[str, MeasuredWithChance]) -> dict[str, Any]:
    return {measure: asdict(found) for measure, found in measures.items()}
