"""`analyse`: predict the emotion of recordings and show where the evidence lies."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Thread

from ser_core.analysis import Analysis, Recording
from ser_core.annotations.words import read_words
from ser_core.audio.reading import file_bytes, read_recording
from ser_core.commands.arguments import (
    Commands,
    add_word_model,
    model_or_default,
    printed_progress,
    process_each,
    say,
    some_of,
    whole_number,
    word_model,
)
from ser_core.corpora.labelled import ANY_AUDIO_SUFFIXES, audio_files
from ser_core.errors import SerError, SettingsRefused
from ser_core.explanation import EXPLAINERS, FOCUS_METHODS, explainers_of
from ser_core.explanation.counterfactual.voice import VoiceCounterfactuals, counterfactuals_in_words
from ser_core.explanation.relevance import FILLS
from ser_core.model.classifier import Classifier
from ser_core.model.scores import NO_SPEECH
from ser_core.model.shipped_models import load_model
from ser_core.model.voice import voice_in_words, voice_normal
from ser_core.output.analysis_folder import save_analysis
from ser_core.output.word_table import SpokenWords
from ser_core.pipeline import analyse_recording, explain_words, focus_region_mask, score_focus_audio
from ser_core.pipeline.voice import find_voice_counterfactuals, logits_for_normal
from ser_core.settings import AnalysisSettings, FocusSettings, GradCamSettings, LimeSettings, OcclusionSettings
from ser_core.words.transcription import Transcript, transcribe

#: An analysis with the requested words and changes of the voice.
Result = tuple[Analysis, SpokenWords | None, VoiceCounterfactuals | None]


def add(commands: Commands) -> None:
    """Add the command."""
    analyse = commands.add_parser("analyse", help="predict the emotion of recordings, and show where the evidence lies")
    analyse.add_argument("files", nargs="+", metavar="FILE")
    analyse.add_argument("--model", default=None, metavar="NAME|PATH", help="default: the first of the shipped models")
    analyse.add_argument(
        "--voice", type=Path, metavar="DIR", help="other recordings of the speaker, to judge by their own normal"
    )
    analyse.add_argument(
        "--mixed-voice", action="store_true", help="those recordings show different emotions about equally often"
    )
    _add_explanation(analyse)
    _add_focus(analyse)
    _add_words(analyse)
    analyse.add_argument(
        "--how",
        action="store_true",
        help="also change pitch, tempo, loudness and more, and say which smallest change flips the verdict",
    )
    analyse.add_argument("--out", type=Path, default=Path("analyses"), metavar="DIR")
    analyse.add_argument(
        "--report",
        action="store_true",
        help="also write report.html: everything on one self-contained page",
    )
    analyse.set_defaults(run=_analyse)


def _add_explanation(analyse: argparse.ArgumentParser) -> None:
    analyse.add_argument(
        "--explain", type=some_of(EXPLAINERS), metavar=",".join(EXPLAINERS), help="default: all that apply to the model"
    )
    analyse.add_argument("--emotion", metavar="NAME", help="explain this emotion; default: the one with the best score")
    analyse.add_argument("--against", metavar="NAME", help="contrast it with this one; default: all others together")
    analyse.add_argument("--stretch", type=_stretch, metavar="START:END", help="explain this stretch, in seconds")
    analyse.add_argument("--seed", type=whole_number, default=0, help="seed of LIME's masks and the random fill")
    analyse.add_argument("--layer", help="Grad-CAM's layer; default: the model's own")
    analyse.add_argument("--masks", type=int, default=LimeSettings().masks, help="masks per window of LIME")
    analyse.add_argument(
        "--fill", choices=FILLS, default=LimeSettings().fill, help="what replaces hidden parts in LIME and occlusion"
    )


def _add_focus(analyse: argparse.ArgumentParser) -> None:
    analyse.add_argument(
        "--focus-by",
        choices=FOCUS_METHODS,
        default=AnalysisSettings().focus_by,
        help="what gives the profile over time and the focus; default: %(default)s",
    )
    how_much = analyse.add_mutually_exclusive_group()
    how_much.add_argument(
        "--focus-share",
        type=float,
        metavar="SHARE",
        help="focus is about this share of the speech, where it is strongest; default: as little as decides",
    )
    how_much.add_argument(
        "--threshold",
        type=float,
        metavar="SHARE",
        help="focus is all above this share of the profile's highest value instead; 0 as published",
    )
    analyse.add_argument("--smoothing", type=float, default=FocusSettings().smoothing_s, metavar="SECONDS")


def _add_words(analyse: argparse.ArgumentParser) -> None:
    analyse.add_argument(
        "--words",
        action="store_true",
        help="also transcribe the words, and say how much each speaks for the emotion (words.csv)",
    )
    analyse.add_argument(
        "--words-from",
        type=Path,
        metavar="FILE",
        help="take the words of the one recording from a TextGrid or a CSV instead of transcribing them",
    )
    analyse.add_argument("--language", metavar="CODE", help="language of the words, such as en; default: detected")
    add_word_model(analyse)


def _analyse(args: argparse.Namespace) -> int:
    if args.mixed_voice and args.voice is None:
        raise SettingsRefused("--mixed-voice describes the recordings of --voice; give their folder, or leave it out.")
    if args.voice is not None and not args.voice.is_dir():
        raise SettingsRefused(f"{args.voice} is not a folder. Give one with recordings of the same speaker.")
    words_of = _words_finder(args)
    # Matplotlib is imported while the model is loaded and the recording is decoded.
    Thread(target=import_module, args=("ser_core.output.overview_picture",)).start()
    classifier, refused = load_model(model_or_default(args.model)), 0
    if args.voice is not None:
        classifier, refused = _with_voice(classifier, args.voice, args.mixed_voice)
    settings = AnalysisSettings(
        emotion=args.emotion,
        against=args.against,
        stretch_s=args.stretch,
        explain=args.explain or explainers_of(classifier),
        seed=args.seed,
        grad_cam=GradCamSettings(args.layer),
        occlusion=OcclusionSettings(fill=args.fill),
        lime=LimeSettings(masks=args.masks, fill=args.fill),
        lime_time=replace(AnalysisSettings().lime_time, fill=args.fill),
        focus_by=args.focus_by,
        focus=FocusSettings(smoothing_s=args.smoothing, threshold=args.threshold, share=args.focus_share),
    )

    def analysis_of(file: str, name: str) -> tuple[Result, str]:
        recording = read_recording(file, name)
        analysis = analyse_recording(recording, classifier, settings, printed_progress())
        how = None
        if args.how and analysis.verdict == NO_SPEECH:
            say(f"{name}: hardly any speech was detected, so there is no voice to change.", to_stderr=True)
        elif args.how:
            how = find_voice_counterfactuals(analysis, classifier, work=printed_progress())
        transcript = words_of(recording)
        if transcript is None:
            return (analysis, None, how), recording.sha256
        maps = list(analysis.explanations.values())
        if analysis.focus_by:
            maps.append(analysis.focus_by)
        evidence = explain_words(analysis, transcript.words, classifier, settings, maps, printed_progress())
        words = SpokenWords(transcript, evidence, given=args.words_from is not None)
        return (analysis, words, how), recording.sha256

    def save(result: Result, folder: Path) -> str:
        analysis, words, how = result
        for warning in analysis.warnings:
            say(f"{analysis.recording.name}: {warning}", to_stderr=True)
        save_analysis(analysis, folder, _report(analysis, words, classifier) if args.report else None, words, how)
        best = max(analysis.scores.recording)
        focus = "1 focus region" if len(analysis.focus) == 1 else f"{len(analysis.focus)} focus regions"
        summary = f"{analysis.verdict} (best score {best:.2f}), {focus}"
        if words:
            summary += f", words: {'; '.join(words.evidence.phrases) or 'none'}"
        if how:
            start_s, end_s = analysis.stretch.start_s, analysis.stretch.end_s
            where = "" if analysis.explains_whole_recording else f"from {start_s:.2f} to {end_s:.2f} s: "
            summary += f"; {where}{counterfactuals_in_words(how, analysis.emotions).removesuffix('.')}"
        return summary

    return max(process_each(args.files, args.out, analysis_of, save), 2 if refused else 0)


def _report(analysis: Analysis, words: SpokenWords | None, classifier: Classifier) -> dict[str, bytes]:
    from ser_core.output.report import report_html  # imports jinja2 and matplotlib

    focus_scores = None
    if analysis.focus:
        focus_scores = score_focus_audio(analysis, focus_region_mask(analysis), classifier)
    return {"report.html": report_html(analysis, words, focus_scores).encode()}


def _words_finder(args: argparse.Namespace) -> Callable[[Recording], Transcript | None]:
    """Return a function that finds the words of a recording, or None if they are not requested."""
    if args.words_from is not None:
        if len(args.files) > 1:
            raise SettingsRefused(
                f"--words-from gives the words of one recording, and {len(args.files)} are named. Analyse them in turn."
            )
        transcript = Transcript(words=read_words(file_bytes(args.words_from), args.words_from.name))
        return lambda recording: transcript
    if not args.words:
        return lambda recording: None
    model = word_model(download=args.download_word_model)
    return lambda recording: transcribe(recording, model, args.language, printed_progress())


def _with_voice(classifier: Classifier, folder: Path, mixed: bool) -> tuple[Classifier, int]:
    """Return the classifier adapted to the speaker of a folder of recordings, and how many of them were refused."""
    if classifier.voice is None:
        raise SettingsRefused(f"{classifier.name} cannot judge a voice by its own normal. Leave --voice out.")
    files = audio_files(folder, ANY_AUDIO_SUFFIXES)
    known = []
    for file in files:
        try:
            known.append(logits_for_normal(read_recording(file), classifier))
        except SerError as refusal:
            say(f"voice: {refusal}", to_stderr=True)
    if not known:
        raise SettingsRefused(
            f"{folder} holds no readable recording ({len(files)} audio files were refused). Give a folder of "
            "recordings of the same speaker, or leave --voice out."
        )
    adapted = classifier.with_voice(voice_normal(known, mixed=mixed))
    refused = len(files) - len(known)
    left_out = f" {refused} of {len(files)} files were refused." if refused else ""
    say(f"Voice: {voice_in_words(adapted.voice_share)}{left_out}")
    return adapted, refused


def _stretch(text: str) -> tuple[float, float]:
    try:
        start_s, end_s = (float(part) for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form START:END, in seconds") from None
    return start_s, end_s
