"""Our explainers compared with captum's and lime's: same model, recording and number of perturbations, in one run.

    python benchmarks/explainers.py [--quick] [--model NAME] [--seconds 3] [--json FILE]
    python benchmarks/explainers.py --before CHECKOUT [--quick] [--model NAME] [--seconds 3] [--recording FILE]

`--before` compares with another version of this project in alternate turns of one run, each with its own defaults. Make
its folder with `git worktree add FOLDER COMMIT`. `--recording` explains speech instead of bursts of noise.

captum and lime are used in two ways: as documented, and with 64 perturbations per call. They treat the recording as one
picture, so that each perturbation computes all of its segments, and run the network as trained, in float32.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # lime_image draws bars; tqdm reads this once

import numpy as np
import torch
from captum.attr import Lime, Occlusion
from lime.lime_image import LimeImageExplainer

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._explainer_times import syllables
from ser_core.analysis import Analysis
from ser_core.explanation import run_explainer
from ser_core.explanation.agreement import rank_correlation
from ser_core.explanation.relevance import ExplainerResult, ExplanationTarget, fill_values
from ser_core.model.checkpoint import fastest_precision, load_network
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.scores import evidence, pool, softmax
from ser_core.model.shipped_models import find_model, load_model
from ser_core.pipeline import classify_recording, target_of
from ser_core.settings import AnalysisSettings, LimeSettings, OcclusionSettings
from ser_core.work.progress import UNWATCHED


def evidence_of_pictures(
    network: torch.nn.Module, target: ExplanationTarget, temperature: float, pooling: str
) -> Callable:
    """Return the function of spectrograms (n, frames, bands) that captum and lime explain."""
    starts = target.segments.start_frames[target.members]
    length = target.segments.segment_frames

    def function(pictures: torch.Tensor) -> torch.Tensor:
        segments = torch.stack([pictures[:, start : start + length] for start in starts], dim=1)
        with torch.inference_mode():
            logits = network(segments.reshape(-1, 1, length, pictures.shape[2]).float())
        scores = softmax(logits.numpy(), temperature).reshape(len(pictures), len(starts), -1)
        p = np.stack([pool(segment_scores, pooling) for segment_scores in scores])
        return torch.from_numpy(evidence(p, target.emotion))

    return function


def seconds_of(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def run_ours(
    method: str, classifier: NetworkClassifier, analysis: Analysis, settings: AnalysisSettings
) -> tuple[float, ExplainerResult]:
    """Return the seconds that one of our explainers takes, and its result."""
    began = time.perf_counter()
    run = run_explainer(method, classifier, target_of(analysis, settings), analysis.stretch, settings, UNWATCHED)
    return time.perf_counter() - began, run.result


def occlusion_by_captum(
    function: Callable, target: ExplanationTarget, settings: OcclusionSettings, batch: int
) -> float:
    return seconds_of(
        lambda: Occlusion(function).attribute(
            torch.tensor(target.log_mel)[None],
            sliding_window_shapes=(settings.window_frames, settings.window_bands),
            strides=(settings.stride_frames, settings.stride_bands),
            baselines=fill_of(target)[None],
            perturbations_per_eval=batch,
        )
    )


def lime_by_captum(function: Callable, target: ExplanationTarget, cells: np.ndarray, count: int, batch: int) -> float:
    return seconds_of(
        lambda: Lime(function).attribute(
            torch.tensor(target.log_mel)[None],
            baselines=fill_of(target)[None],
            feature_mask=torch.tensor(cells)[None],
            n_samples=count,
            perturbations_per_eval=batch,
        )
    )


def lime_by_lime_image(
    function: Callable, target: ExplanationTarget, cells: np.ndarray, count: int, batch: int
) -> float:
    return seconds_of(
        lambda: LimeImageExplainer(random_state=0).explain_instance(
            np.repeat(target.log_mel[..., None].astype(np.float64), 3, axis=2),
            lambda pictures: function(torch.tensor(pictures[..., 0])).numpy()[:, None],
            labels=(0,),
            top_labels=None,
            hide_color=float(fill_of(target).mean()),
            num_samples=count,
            batch_size=batch,
            segmentation_fn=lambda _: cells,
        )
    )


def fill_of(target: ExplanationTarget) -> torch.Tensor:
    return torch.tensor(np.ascontiguousarray(fill_values(target.log_mel, "noise_floor", np.random.default_rng(0))))


def compare_versions(before: Path, model: str, recording: str, turns: int) -> dict[str, object]:
    """Return the cost of each explainer in both versions, the lowest of `turns`, and the similarity of their maps."""
    here, script = Path(__file__).parent.parent, Path(__file__).with_name("_explainer_times.py")
    costs: dict[str, list[dict]] = {"before": [], "now": []}
    maps = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(turns):
            for version, root in (("before", before), ("now", here)):
                out = Path(folder) / f"{version}.json"
                environment = os.environ | {"PYTHONPATH": str(root.absolute())}
                subprocess.run([sys.executable, script, model, recording, out], env=environment, cwd=root, check=True)
                costs[version].append(json.loads(out.read_text()))
                with np.load(out.with_suffix(".npz")) as saved:
                    maps[version] = dict(saved)
    result = {}
    for method in costs["now"][0]:
        lowest = {
            version: min((turn[method] for turn in costs[version]), key=itemgetter("cpu_seconds")) for version in costs
        }
        before_cost, now_cost = lowest["before"], lowest["now"]
        map_before, map_now = (maps[version][method].ravel() for version in ("before", "now"))
        result[method] = lowest | {
            "ratio_of_passes": round(before_cost["passes"] / max(now_cost["passes"], 1), 2),
            "ratio_of_cpu_seconds": round(before_cost["cpu_seconds"] / max(now_cost["cpu_seconds"], 0.01), 2),
            "rank_correlation_of_maps": round(rank_correlation(map_before, map_now), 3),
        }
    total = {version: sum(result[method][version]["cpu_seconds"] for method in costs["now"][0]) for version in costs}
    return result | {"all": total | {"ratio_of_cpu_seconds": round(total["before"] / total["now"], 2)}}


def compare_libraries(model: str, seconds: float, *, quick: bool) -> dict[str, object]:
    """Return the times of our explainers and of captum's and lime's on the same recording."""
    boxes = OcclusionSettings(32, 16, 32, 16) if quick else OcclusionSettings(16, 8, 16, 8)
    settings = AnalysisSettings(occlusion=boxes, lime=LimeSettings(masks=4 if quick else 32))
    classifier = load_model(model)
    analysis = classify_recording(syllables(seconds), classifier, settings)
    target = target_of(analysis, settings)
    classifier.score(analysis.segments.values)
    grad_cam = min(run_ours("grad_cam", classifier, analysis, settings)[0] for _ in range(3))
    occlusion_s, occlusion = run_ours("occlusion", classifier, analysis, settings)
    lime_s, lime = run_ours("lime", classifier, analysis, settings)
    masks = sum(len(window.present) for window in lime.windows)
    theirs = seconds_of_others(model, target, boxes, masks)
    result = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "model": model,
        "recording_s": seconds,
        "format": str(fastest_precision()).removeprefix("torch."),
        "grad_cam_s": round(grad_cam, 3),
    }
    for method, our_s, perturbations in (("occlusion", occlusion_s, len(occlusion.boxes)), ("lime", lime_s, masks)):
        result[method] = {
            "perturbations": perturbations,
            "our_s": round(our_s, 2),
            "their_s": {name: round(their_s, 2) for name, their_s in theirs[method].items()},
            "ratio": {name: round(their_s / our_s, 1) for name, their_s in theirs[method].items()},
        }
    return result


def seconds_of_others(
    model: str, target: ExplanationTarget, boxes: OcclusionSettings, masks: int
) -> dict[str, dict[str, float]]:
    """Return the seconds that other libraries take for the same perturbations."""
    network, card, _ = load_network(find_model(model))
    network.eval()
    rows, columns = np.indices(target.log_mel.shape) // np.array([16, 8]).reshape(2, 1, 1)
    cells = rows * (columns.max() + 1) + columns
    function = evidence_of_pictures(network, target, float(card["temperature"]), card.get("pooling", "probabilities"))
    return {
        "occlusion": {
            "captum, as documented": occlusion_by_captum(function, target, boxes, 1),
            "captum, 64 a call": occlusion_by_captum(function, target, boxes, 64),
        },
        "lime": {
            "captum, as documented": lime_by_captum(function, target, cells, masks, 1),
            "captum, 64 a call": lime_by_captum(function, target, cells, masks, 64),
            "lime_image, as documented": lime_by_lime_image(function, target, cells, masks, 10),
            "lime_image, 64 a call": lime_by_lime_image(function, target, cells, masks, 64),
        },
    }


def main() -> None:
    parser = benchmark_parser(__doc__, "fewer perturbations")
    parser.add_argument("--model", default="fusion")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="compare with the version in this folder")
    parser.add_argument("--recording", type=Path, metavar="FILE", help="with --before: explain this recording")
    args = parser.parse_args()
    if args.before:
        recording = str(args.recording.absolute() if args.recording else args.seconds)
        report(compare_versions(args.before, args.model, recording, 1 if args.quick else 3), args.json)
        return
    report(compare_libraries(args.model, args.seconds, quick=args.quick), args.json)


if __name__ == "__main__":
    main()
