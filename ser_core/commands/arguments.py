"""Arguments and output that commands share."""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from ser_core.analysis import display_name
from ser_core.errors import SerError, SettingsRefused, WordModelRefused
from ser_core.model.checkpoint import HASHES
from ser_core.model.shipped_models import default_model, find_model, models_left_out
from ser_core.output.saved_analyses import data_folder
from ser_core.words.word_model import (
    DOWNLOAD_MB,
    WORD_MODEL,
    WordModel,
    download_word_model,
    find_word_model,
    load_word_model,
)
from ser_core.work.atomic_folder import atomic_write, folder_name
from ser_core.work.progress import Pace, Work

#: The type of subparsers, for which argparse has no public name.
Commands = argparse._SubParsersAction
PROGRESS_EVERY_S = 10


def model_or_default(name: str | None) -> str:
    """Return the named model, or the first shipped one for None."""
    if name is not None:
        return name
    default = default_model()
    if default is None:
        reasons = "".join(f" {reason}" for reason in models_left_out().values())
        raise SettingsRefused(f"There is no model. Train one, or give the folder of one with --model.{reasons}")
    return default


def add_word_model(command: argparse.ArgumentParser) -> None:
    """Add the option that downloads the word model."""
    command.add_argument(
        "--download-word-model",
        action="store_true",
        help=f"fetch the model that transcribes from Hugging Face ({DOWNLOAD_MB} MB) unless it is there already",
    )


def word_model(*, download: bool) -> WordModel:
    """Load the word model, after downloading it if `download` and it is missing.

    Raises
    ------
    WordModelRefused
        If there is none.
    """
    folder = find_word_model(data_folder() / WORD_MODEL)
    if folder is None and download:
        folder = download_word_model(data_folder() / WORD_MODEL, printed_progress())
    if folder is None:
        raise WordModelRefused(
            "There is no model to transcribe words. Add --download-word-model to fetch Whisper base from Hugging Face "
            f"({DOWNLOAD_MB} MB; no audio leaves this machine), or set SER_WORD_MODEL to a folder in the format of "
            "faster-whisper. The command analyse also takes the words with --words-from."
        )
    return load_word_model(folder)


def whole_number(text: str) -> int:
    """Parse a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 0")
    return int(text)


def some_of(choices: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of comma-separated names."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(part.strip() for part in text.split(",") if part.strip())
        if not names or not set(names) <= set(choices):
            raise argparse.ArgumentTypeError(f"'{text}' is not a list of {', '.join(choices)}")
        return tuple(dict.fromkeys(names))

    return parse


def corpus_at(text: str) -> tuple[str, str]:
    """Parse NAME=DIR."""
    name, separator, folder = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form NAME=DIR")
    return name, folder


def folders_of(corpora: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the folders by corpus name, and refuse a name given twice."""
    for name, count in Counter(name for name, _ in corpora).items():
        if count > 1:
            raise SettingsRefused(
                f"The corpus '{name}' is given {count} times. Put its files in one folder, or list them in a manifest."
            )
    return dict(corpora)


def fold_numbers(text: str, last: int) -> list[int]:
    """Parse fold numbers: one, several with commas, or all."""
    if text == "all":
        return list(range(1, last + 1))
    if not all(part.isdecimal() for part in text.split(",")):
        raise SettingsRefused(f"'{text}' does not name folds; give a number, several as 1,2,3, or all.")
    return sorted({int(part) for part in text.split(",")})


def say(text: str, to_stderr: bool = False) -> None:
    """Print a line without control characters, which names may contain."""
    print(printable(text), file=sys.stderr if to_stderr else sys.stdout, flush=to_stderr)


def printable(text: str) -> str:
    """Return a text without control characters."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def print_figures(result: dict[str, Any]) -> None:
    """Print the UAR of each corpus and the means with and without the corpora whose words reveal the emotion."""
    for name, f in result["corpora"].items():
        low, high = f["interval"]
        interval = f"{100 * low:.1f} to {100 * high:.1f}, speakers resampled"
        if f["speakers"] == 1:
            interval = "one speaker, so no interval"
        say(f"{name:22s} UAR {100 * f['uar']:5.1f} %  ({interval})")
    say(f"{'mean over corpora':22s} UAR {100 * result['mean_over_corpora_uar']:5.1f} %")
    headline = result.get("headline")
    if headline and headline["apart"]:
        say(
            f"{'mean without them':22s} UAR {100 * headline['uar']:5.1f} %  "
            f"(the words of {', '.join(headline['apart'])} reveal the emotion)"
        )


def print_left_out(refused: Sequence[str]) -> None:
    """Print how many recordings were left out, if any, and why the first of them."""
    if refused:
        others = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        say(f"Left out: {refused[0].rstrip('.')}{others}.")


def print_added_figures(figures: dict[str, Any], model: str) -> None:
    """Print figures that were added to a model's folder, and what is left to do if its files have listed hashes."""
    print_figures(figures)
    say(f"Split: {figures['split']}. Written to {model}.")
    if (find_model(model).parent / HASHES).is_file():
        say(f"Its card changed: update {HASHES} as described in CONTRIBUTING.md, if it lists the model.")


def write_json(result: dict[str, Any], file: Path) -> None:
    """Write a result as JSON, atomically.

    Raises
    ------
    SettingsRefused
        If the file cannot be written.
    """
    try:
        atomic_write(file, json.dumps(result, indent=2) + "\n")
    except OSError as reason:
        raise SettingsRefused(f"{file} cannot be written ({reason.strerror}). Choose another file.") from None


def process_each(
    files: list[str], out: Path, make: Callable[[str, str], tuple[Any, str]], save: Callable[[Any, Path], str]
) -> int:
    """Process each file and save the result in a folder of its own; print refusals and continue.

    Parameters
    ----------
    make : callable
        Takes a file and its name, returns a result and the file's SHA-256.
    save : callable
        Takes a result and the folder to write, returns a summary to print.

    Returns
    -------
    int
        0, or 2 if a file was refused.
    """
    names = [display_name(Path(file).name) for file in files]
    stems = Counter(folder_name(name).casefold() for name in names)  # some file systems ignore case
    refused = 0
    for file, name in zip(files, names, strict=True):
        try:
            result, sha256 = make(file, name)
            stem = folder_name(name)
            folder = out / (stem if stems[stem.casefold()] == 1 else f"{stem}-{sha256[:8]}")
            summary = save(result, folder)
        except SerError as refusal:
            refused += 1
            names_file = str(refusal).startswith(f"{name}:")
            say(str(refusal) if names_file else f"{name}: {refusal}", to_stderr=True)
            continue
        say(f"{name}: {summary}, {folder}")
    return 2 if refused else 0


def printed_progress() -> Work:
    """Return work that prints its progress and the time left, at most every ten seconds."""
    pace, printed_at = Pace(), time.monotonic()

    def print_progress(fraction: float, text: str) -> None:
        nonlocal printed_at
        now = time.monotonic()
        if now - printed_at < PROGRESS_EVERY_S:
            return
        printed_at = now
        seconds_left = pace.seconds_left(fraction)
        unsaid = seconds_left is None or seconds_left < 1
        time_left = "" if unsaid else f", about {_time_in_words(seconds_left)} left"
        say(f"{100 * fraction:3.0f} %  {text}{time_left}", to_stderr=True)

    return Work(print_progress)


def _time_in_words(seconds: float) -> str:
    """Return seconds below 90 s and minutes above, as the app does."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
