"""Each module belongs to a stage of the pipeline and imports only from its own stage or earlier ones."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Top-level modules and packages of ser_core in the order of the pipeline: each imports only from earlier ones.
#: `learning` and `explanation` share a stage and never import each other.
STAGES = (
    ("errors",),
    ("settings",),
    ("analysis", "work"),
    ("audio",),
    ("front_end",),
    ("corpora",),
    ("model",),
    ("learning", "explanation"),
    ("words",),
    ("pipeline",),
    ("timeline",),
    ("annotations",),
    ("output",),
    ("batch", "experiments"),
    ("commands",),
    ("__init__", "__main__"),
)
STAGE = {name: stage for stage, names in enumerate(STAGES) for name in names}

TORCH = {"torch", "torchaudio", "captum"}
MAY_USE_TORCH = (
    "front_end.spectrogram",
    "front_end.torchaudio_import",
    "model.networks",
    "model.peers",
    "model.classifier",
    "model.checkpoint",
    "learning",
    "explanation.grad_cam",
)


def entries(folder: Path) -> list[Path]:
    """Return what a reader sees in a folder."""
    return [path for path in folder.iterdir() if path.name != "__pycache__"]


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


def roots_imported_by(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports_of(module)}


def own_imports_of(module: str) -> set[str]:
    """Return the entries of ser_core that a module imports from."""
    return {name.split(".")[1] for name in imports_of(module) if name.startswith("ser_core.")} & set(STAGE)


def may_import(importer: str, imported: str) -> bool:
    """Whether one top-level module or package may import another."""
    return importer == imported or STAGE[imported] < STAGE[importer]


def test_every_entry_of_ser_core_has_a_stage():
    assert {path.stem for path in entries(ROOT / "ser_core")} == set(STAGE)


def test_modules_import_only_from_the_stages_before_theirs():
    wrong = [
        f"{module} imports {imported}"
        for module in MODULES
        for imported in own_imports_of(module)
        if not may_import(module.split(".")[0] or "__init__", imported)
    ]
    assert not wrong


def test_only_pages_import_streamlit():
    assert not [module for module in MODULES if "streamlit" in roots_imported_by(module)]


def test_only_listed_modules_import_torch_and_torchaudio():
    wrong = [
        module
        for module in MODULES
        if roots_imported_by(module) & TORCH
        and not any(module == allowed or module.startswith(allowed + ".") for allowed in MAY_USE_TORCH)
    ]
    assert not wrong
    assert not [module for module in MODULES if "torchaudio" in roots_imported_by(module)]


def test_the_annotation_database_loads_neither_torch_nor_the_decoders():
    code = (
        "import importlib, json, pkgutil, sys\n"
        "import ser_core.annotations.store as package\n"
        "names = [module.name for module in pkgutil.iter_modules(package.__path__) if module.name != 'migrations']\n"
        "for name in names: importlib.import_module(f'{package.__name__}.{name}')\n"
        "print(json.dumps([len(names), *sorted({'av', 'torch', 'soundfile'} & sys.modules.keys())]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    count, *loaded = json.loads(done.stdout)
    assert count > 5
    assert not loaded


def test_finding_models_does_not_import_torchs_compiler():
    """It takes seconds to import, and every app and command lists the models at its start."""
    code = "import sys; from ser_core.model import shipped_models as m; print(m.model_names(), 'sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.stdout.endswith(" False\n"), done.stderr


def test_charts_import_pandas_before_plotly():
    """While another visit imports pandas, Plotly would see half of it, and the page would report damaged results."""
    code = "import sys, pages.shared.charts.axes; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.stdout.endswith("True\n"), done.stderr


def test_the_architecture_page_lists_the_layers_in_order():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    listed = [set(re.findall(r"\w+", row)) for row in rows]
    assert listed == [set(names) for names in STAGES[:-1]]


#: The most entries of a folder, so that a reader finds a thing at a glance.
MAX_ENTRIES = {"ser_core": 20}
MAX_ENTRIES_OTHERWISE = 14
#: Folders of similar files: readers of corpora, peers, file formats.
COLLECTIONS = {"ser_core/corpora", "ser_core/model/peers", "ser_core/annotations/formats"}


def test_no_folder_has_too_many_entries():
    folders = {path.parent for top in ("ser_core", "pages") for path in (ROOT / top).rglob("*")}
    counts = {
        folder.relative_to(ROOT).as_posix(): len(entries(folder)) for folder in folders if folder.name != "__pycache__"
    }
    assert {"ser_core", "ser_core/learning", "pages/shared/charts"} <= set(counts)
    too_many = {
        folder: count
        for folder, count in counts.items()
        if folder not in COLLECTIONS and count > MAX_ENTRIES.get(folder, MAX_ENTRIES_OTHERWISE)
    }
    assert not too_many


# --- tests of these tests ---


def test_allowed_imports_follow_the_order_of_stages():
    assert may_import("model", "model")
    assert may_import("batch", "learning")
    assert may_import("explanation", "model")
    assert not may_import("model", "learning")
    assert not may_import("learning", "explanation")
    assert not may_import("explanation", "learning")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("from ser_core import audio", {"ser_core.audio"}),
        ("from ser_core.audio.reading import resample", {"ser_core.audio.reading.resample"}),
        ("def f():\n    from ser_core.work.jobs import Jobs", {"ser_core.work.jobs.Jobs"}),
        ("from . import lime", {"ser_core.explanation.lime"}),
        ("from .lime import lime", {"ser_core.explanation.lime.lime"}),
        ("from ..audio import resample", {"ser_core.audio.resample"}),
    ],
)
def test_imports_of_every_form_are_seen(source, expected):
    assert set(imported_by(ast.parse(source), "ser_core.explanation")) == expected
