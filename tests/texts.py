"""The visible texts in the code: the keys of every catalogue.

    python -m tests.texts de

prints the texts that a catalogue lacks as JSON, to be translated.
"""

import ast
import html
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

from pages.shared.language.components import TEXT_IN_HTML
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.relevance import FILLS
from ser_core.model.scores import NO_SPEECH, NOT_SURE
from ser_core.output.report import METHOD_DESCRIPTIONS
from ser_core.settings import LimeSettings, OcclusionSettings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]
LIBRARY = sorted((ROOT / "ser_core").rglob("*.py"))

ERROR = re.compile(
    r"\w+Refused|RecordingTooLong|AnnotationsOutdated|RecordingNotInProject|RecordingUnclear|TrainingFailed"
)
STRING = r'("(?:[^"\\]|\\.)*")'
IN_REPORT = re.compile(rf"\bsay\(\s*{STRING}")
IN_SCRIPT = re.compile(rf"\bt\(\s*{STRING}")
PLURAL_IN_SCRIPT = re.compile(rf"\bplural\([^\"]*?{STRING},\s*{STRING}")


def calls(paths: Iterable[Path]) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call with the last part of the called name."""
    for path in paths:
        for node in nodes_of(path):
            if isinstance(node, ast.Call):
                yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def template(node: ast.expr) -> str | None:
    """Return a string literal, or an f-string with its expressions as fields."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    return "".join(
        part.value if isinstance(part, ast.Constant) else "{" + ast.unparse(part.value) + "}" for part in node.values
    )


def constants(node: ast.AST) -> Iterator[str]:
    """Yield the strings in a constant; of a mapping, those of its values."""
    if isinstance(node, ast.Dict):
        for value in node.values:
            yield from constants(value)
    elif isinstance(node, ast.Constant):
        yield from [node.value] if isinstance(node.value, str) else []
    else:
        for child in ast.iter_child_nodes(node):
            yield from constants(child)


def choices(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the possible values of an argument: both sides of a conditional expression."""
    if isinstance(node, ast.IfExp):
        yield from choices(node.body)
        yield from choices(node.orelse)
    else:
        yield node


@cache
def of_pages() -> set[str]:
    """Return the texts that pages translate."""
    found: set[str] = set()
    for name, call in calls(PAGES):
        if name == "t" and call.args:
            found |= {text for node in choices(call.args[0]) if (text := template(node)) is not None}
        elif name == "plural" and len(call.args) == 3:
            found |= set(filter(None, map(template, call.args[1:])))
        elif name == "texts":
            found |= set(constants(call.args[0]))
    return found | of_scripts() | of_report()


def of_scripts() -> set[str]:
    found = set()
    for path in (ROOT / "pages").rglob("*.js"):
        script = path.read_text()
        strings = IN_SCRIPT.findall(script) + [one for both in PLURAL_IN_SCRIPT.findall(script) for one in both]
        found |= set(map(json.loads, strings))
    for path in (ROOT / "pages").rglob("*.html"):
        found |= {html.unescape(text.strip()) for text in TEXT_IN_HTML.findall(path.read_text())}
    return {text for text in found if re.search(r"[A-Za-z]", text)}


def of_report() -> set[str]:
    """Return the texts of the report, which are translated too."""
    output = ROOT / "ser_core/output"
    say_calls = [call for name, call in calls(output.glob("*.py")) if name == "say" and call.args]
    found = {text for call in say_calls for node in choices(call.args[0]) if (text := template(node)) is not None}
    found |= set(map(json.loads, IN_REPORT.findall((output / "report.html.jinja").read_text())))
    found |= {field.name.replace("_", " ") for kind in (LimeSettings, OcclusionSettings) for field in fields(kind)}
    found |= {*METHOD_DESCRIPTIONS.values(), *METHOD_NAMES.values(), NOT_SURE, NO_SPEECH}
    found |= {fill.replace("_", " ") for fill in FILLS}
    return {text for text in found if re.search(r"[A-Za-z]", re.sub(r"\{[^{}]+\}", "", text))}


@cache
def refusals() -> set[str]:
    """Return the texts of all refusals except those of commands, and of the locations before them."""
    shown = [path for path in (*PAGES, *LIBRARY) if "commands" not in path.parts]
    raised = (call.args[0] for name, call in calls(shown) if ERROR.fullmatch(name) and len(call.args) == 1)
    places = (call.args[0] for name, call in calls(shown) if name == "error_context" and len(call.args) == 1)
    texts = {template(node) for argument in (*raised, *places) for node in choices(argument)}
    return {text for text in texts if text and re.search(r"[A-Za-z]", re.sub(r"\{[^{}]+\}", "", text))}


@cache
def of_library() -> set[str]:
    """Return every string in `ser_core`; pages show some of them."""
    return {text for path in LIBRARY for node in nodes_of(path) if (text := template(node)) is not None}


if __name__ == "__main__":
    known = json.loads((ROOT / f"pages/shared/language/{sys.argv[1]}.json").read_text("utf-8"))
    lacking = sorted((of_pages() | refusals()) - set(known))
    print(json.dumps(dict.fromkeys(lacking, ""), ensure_ascii=False, indent=1))
