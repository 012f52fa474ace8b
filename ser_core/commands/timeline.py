"""`timeline`: write the emotions of long recordings over time."""

import argparse
from pathlib import Path

from ser_core.analysis import clock
from ser_core.commands.arguments import (
    Commands,
    add_word_model,
    model_or_default,
    printed_progress,
    process_each,
    say,
    word_model,
)
from ser_core.model.shipped_models import load_model
from ser_core.output.timeline_folder import save_timeline
from ser_core.settings import LONG_RECORDING
from ser_core.timeline.timeline import Timeline, emotion_timeline
from ser_core.timeline.words import TimelineWords, words_over_time


def add(commands: Commands) -> None:
    """Add the command."""
    hours = LONG_RECORDING.longest_s / 3600
    timeline = commands.add_parser(
        "timeline",
        help=f"write the emotions of recordings of up to {hours:g} hours over time",
    )
    timeline.add_argument("files", nargs="+", metavar="FILE")
    timeline.add_argument("--model", default=None, metavar="NAME|PATH", help="default: the first of the shipped models")
    timeline.add_argument("--voice", choices=["own"], help="judge the only speaker by the normal of this recording")
    timeline.add_argument("--words", action="store_true", help="also transcribe the words (words.csv)")
    timeline.add_argument("--language", metavar="CODE", help="language of the words, such as en; default: detected")
    add_word_model(timeline)
    timeline.add_argument("--out", type=Path, default=Path("timelines"), metavar="DIR")
    timeline.set_defaults(run=_timeline)


def _timeline(args: argparse.Namespace) -> int:
    transcriber = word_model(download=args.download_word_model) if args.words else None
    classifier = load_model(model_or_default(args.model))

    def timeline_of(file: str, name: str) -> tuple[tuple[Timeline, TimelineWords | None], str]:
        timeline = emotion_timeline(file, classifier, printed_progress(), name=name, own_voice=args.voice == "own")
        words = None
        if transcriber is not None:  # the last item holds all words
            *_, words = words_over_time(file, timeline, transcriber, args.language, printed_progress())
        return (timeline, words), timeline.sha256

    def save(result: tuple[Timeline, TimelineWords | None], folder: Path) -> str:
        timeline, words = result
        for warning in timeline.warnings:
            say(f"{timeline.name}: {warning}", to_stderr=True)
        save_timeline(timeline, folder, words)
        word_count = f", {len(words.transcript.words)} words" if words else ""
        return f"{clock(timeline.duration_s)}, {len(timeline.start_frames)} segments{word_count}"

    return process_each(args.files, args.out, timeline_of, save)
