"""A file is a stage of the data's way and imports only from its own stage or from those before it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Module or package under ser_core -> stage. A new one makes a test fail until it has its place here.
STAGES = {
    **dict.fromkeys(("__init__", "errors", "settings", "emotions", "regions", "recording", "analysis", "log"), "0"),
    "whole_folder": "0",
    **dict.fromkeys(("torchaudio_import", "audio", "spectrogram", "segments", "selection"), "1"),
    **dict.fromkeys(
        ("voice_activity", "prosody", "samples", "decoding", "decoding_process", "long_recording", "sandbox"), "1"
    ),
    **dict.fromkeys(("corpora", "splits"), "2"),
    **dict.fromkeys(("networks", "baselines", "scores", "classifier", "voice", "checkpoint"), "3"),
    **dict.fromkeys(("onnx_process", "onnx_graph", "onnx_classifier"), "3"),
    "learning": "4a",
    "explanation": "4b",
    **dict.fromkeys(("timeline", "timeline_curves", "model_agreement"), "5"),
    **dict.fromkeys(
        ("profile", "focus", "region_audio", "audible_focus", "verdict", "words", "focus_table", "annotations"), "5"
    ),
    **dict.fromkeys(
        (
            "pipeline",
            "jobs",
            "batch",
            "pace",
            "overview_picture",
            "report_picture",
            "report",
            "analysis_folder",
            "timeline_folder",
            "saved_analyses",
            "queue_rating",
            "annotation_exchange",
            "people_and_explainers",
            "training_process",
            "experiments",
        ),
        "6",
    ),
    **dict.fromkeys(("commands", "command_line", "__main__"), "7"),
}

TORCH = {"torch", "torchaudio", "captum"}
MAY_USE_TORCH = (
    "torchaudio_import",
    "spectrogram",
    "networks",
    "baselines",
    "classifier",
    "checkpoint",
    "learning",
    "explanation.grad_cam",
)


def module_name(path: Path) -> str:
    """Return the dotted name below ser_core: `networks.vggish`, and `networks` for its __init__."""
    parts = path.relative_to(ROOT / "ser_core").with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / "ser_core").rglob("*.py"))}


def imported_by(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield every dotted name that is imported, within functions too; of `from a import b` also `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def imports_of(module: str) -> set[str]:
    path = MODULES[module]
    package = ".".join(("ser_core", *path.relative_to(ROOT / "ser_core").parts[:-1]))
    return set(imported_by(ast.parse(path.read_text()), package))


def own_imports_of(module: str) -> set[str]:
    """Return the places in the table that a module imports from."""
    return {name.split(".")[1] for name in imports_of(module) if name.startswith("ser_core.")}


def may_import(importer: str, imported: str) -> bool:
    """Whether a module of one stage may import from another."""
    if importer[0] == imported[0]:
        return importer == imported
    return imported[0] < importer[0]


def test_every_module_has_its_place_in_the_table_and_every_place_its_module():
    assert {module.split(".")[0] for module in MODULES} == set(STAGES)


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_from_its_own_stage_or_from_those_before(module):
    own = STAGES[module.split(".")[0]]
    wrong = [f"{name} ({STAGES[name]})" for name in own_imports_of(module) if not may_import(own, STAGES[name])]
    assert not wrong, f"{module} is of stage {own} and imports from {', '.join(wrong)}"


@pytest.mark.parametrize("module", MODULES)
def test_streamlit_is_not_imported_below_the_pages(module):
    assert not [name for name in imports_of(module) if name.split(".")[0] == "streamlit"]


@pytest.mark.parametrize("module", MODULES)
def test_torch_stays_in_the_modules_that_need_it(module):
    uses = {name.split(".")[0] for name in imports_of(module)} & TORCH
    allowed = any(module == place or module.startswith(place + ".") for place in MAY_USE_TORCH)
    assert allowed or not uses, f"{module} imports {', '.join(uses)}"


@pytest.mark.parametrize("module", MODULES)
def test_torchaudio_is_imported_through_its_one_door(module):
    names = {name for name in imports_of(module) if name.split(".")[0] == "torchaudio"}
    assert not names, f"{module} imports {', '.join(names)}; ser_core.torchaudio_import works with every build"


# --- the test's own eyes ---


def test_stages_may_import_as_the_design_says():
    assert may_import("3", "3")
    assert may_import("6", "4a")
    assert may_import("4b", "3")
    assert not may_import("3", "4a")
    assert not may_import("4a", "4b")
    assert not may_import("4b", "4a")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("from ser_core import audio", {"ser_core.audio"}),
        ("from ser_core.audio import resample", {"ser_core.audio.resample"}),
        ("def f():\n    from ser_core.jobs import Jobs", {"ser_core.jobs.Jobs"}),
        ("from . import lime", {"ser_core.explanation.lime"}),
        ("from .lime import lime", {"ser_core.explanation.lime.lime"}),
        ("from ..audio import resample", {"ser_core.audio.resample"}),
    ],
)
def test_imports_of_every_form_are_seen(source, expected):
    assert set(imported_by(ast.parse(source), "ser_core.explanation")) == expected
