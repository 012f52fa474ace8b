"""Write an analysis as a self-contained HTML page: no network, no scripts, pictures and audio embedded."""

from base64 import b64encode
from collections.abc import Callable
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import ser_core
from ser_core.analysis import Analysis, Explanation
from ser_core.analysis.emotions import COLOURS
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.explanation import METHOD_NAMES
from ser_core.explanation.agreement import agreement, with_consensus
from ser_core.explanation.focus import focus_in_words
from ser_core.explanation.focus_audio import FocusScores
from ser_core.model.scores import NO_SPEECH, NOT_SURE
from ser_core.model.voice import voice_sentences
from ser_core.output.report_picture import INK, LONGEST_WHOLE_S, in_english, report_picture, shown_stretch
from ser_core.output.word_table import SpokenWords
from ser_core.pipeline import focus_share

METHOD_DESCRIPTIONS = {
    "grad_cam": "looks into the network: where do its last feature maps support the emotion?",
    "lime": "hides cells of one short window at a time, half of them on average, in a planned set of combinations, "
    "estimates the results of all others, and fits which cells the evidence depends on.",
    "occlusion": "covers one box of the spectrogram after another and measures how much evidence is lost.",
    "consensus": "is the mean of the maps that tell frequencies apart, each divided by its own strength.",
}

#: Background colours of words (red, green, blue), drawn faintly so that text stays readable in both themes.
FOR, AGAINST = "227, 74, 51", "66, 146, 198"

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def report_html(
    analysis: Analysis,
    words: SpokenWords | None = None,
    focus_scores: FocusScores | None = None,
    say: Callable[..., str] = in_english,
    language: str = "en",
) -> str:
    """Return an analysis as a self-contained HTML page; equal analyses give equal pages.

    It embeds the focus regions as WAV, and the whole recording if it is shorter than 60 s. Words are shown with their
    evidence.

    Parameters
    ----------
    focus_scores : FocusScores, optional
        Scores of the focus regions' sound; the page then says whether the focus decides.
    say : callable
        Translates each text into the page's language; has the signature of `in_english`.
    language : str
        The code of that language.
    """
    explanations = with_consensus(analysis.explanations)
    names = {method: say(name) for method, name in METHOD_NAMES.items()}
    first = analysis.focus_by or next(iter(analysis.explanations.values()), None)
    return TEMPLATES.get_template("report.html.jinja").render(
        analysis=analysis,
        say=say,
        language=language,
        voice_words=analysis.voice and voice_sentences(analysis.voice),
        verdict=_verdict(analysis, say),
        colours=COLOURS,
        names=names,
        rows=[say("log-mel spectrogram"), *(names[method] for method in explanations)],
        method_descriptions=METHOD_DESCRIPTIONS,
        explanations=explanations,
        shown_stretch=shown_stretch(analysis),
        pictures={theme: _data_uri("image/png", report_picture(analysis, explanations, theme, say)) for theme in INK},
        first=first,
        focus_share=focus_share(analysis, first) if first else 0.0,
        focus_decides=_focus_decides(analysis, focus_scores, say) if focus_scores else None,
        focus_words=analysis.focus_by and focus_in_words(analysis.profile, first.covered, say(first.emotion)),
        sounds=_sounds(analysis),
        words=words and _words(words),
        longest_whole_s=LONGEST_WHOLE_S,
        pairs=_pairs(analysis.explanations),
        versions={"ser_core": ser_core.__version__, "torch": version("torch"), "numpy": version("numpy")},
    )


def _focus_decides(analysis: Analysis, scores: FocusScores, say: Callable[..., str]) -> str:
    """Say whether the verdict stays the same on the sound of the focus alone, and whether it changes without it."""
    whole, alone, without = (
        int(np.argmax(each)) for each in (analysis.scores.recording, scores.alone.scores, scores.without.scores)
    )
    on_focus = say(
        "From the sound of the focus alone, the model still predicts {emotion} ({score:.2f})."
        if alone == whole
        else "From the sound of the focus alone, the model predicts {emotion} ({score:.2f}).",
        emotion=say(analysis.emotions[alone]),
        score=float(scores.alone.scores[alone]),
    )
    on_rest = say(
        "Without the focus it still predicts {emotion} ({score:.2f})."
        if without == whole
        else "Without the focus it predicts {emotion} ({score:.2f}).",
        emotion=say(analysis.emotions[without]),
        score=float(scores.without.scores[without]),
    )
    return f"{on_focus} {on_rest}"


def _verdict(analysis: Analysis, say: Callable[..., str]) -> dict[str, str]:
    """Return the verdict, how certain it is, and its colour."""
    best = int(np.argmax(analysis.scores.recording))
    emotion, score = say(analysis.emotions[best]), float(analysis.scores.recording[best])
    n, selected = len(analysis.segments.selected), int(analysis.segments.selected.sum())
    if analysis.verdict == NO_SPEECH:
        how = say("Hardly any speech was detected, so no emotion is named.")
    elif analysis.verdict == NOT_SURE:
        how = say(
            "The best score is {emotion} with {score:.2f}: more likely wrong than right.", emotion=emotion, score=score
        )
    elif n == 1:
        how = say("Score {score:.2f} of 1, from {selected} of {n} segment.", score=score, selected=selected, n=n)
    else:
        how = say("Score {score:.2f} of 1, from {selected} of {n} segments.", score=score, selected=selected, n=n)
    return {
        "word": say(analysis.verdict),
        "how": how,
        "colour": COLOURS.get(analysis.verdict, COLOURS["neutral"]),
    }


def _sounds(analysis: Analysis) -> dict[str, Any]:
    """Return the whole recording, None if it is too long, and the focus regions, as WAV."""
    recording, rate = analysis.recording, analysis.recording.sample_rate_hz
    cuts = [region_samples(recording, focus.region, analysis.focus_settings.fade_s) for focus in analysis.focus]
    whole = recording.samples if recording.duration_s < LONGEST_WHOLE_S else None
    return {
        "whole": None if whole is None else _data_uri("audio/wav", wav_bytes(whole, rate)),
        "focus": [_data_uri("audio/wav", wav_bytes(cut, rate)) for cut in cuts],
    }


def _words(words: SpokenWords) -> dict[str, Any]:
    """Return each word with its figures, and its colour for or against the emotion."""
    evidence = words.evidence
    largest = np.nanmax(np.abs(evidence.value), initial=1e-9)
    shades = [0.0 if np.isnan(value) else 0.5 * value / largest for value in evidence.value]
    return {
        "evidence": evidence,
        "colours": [f"rgba({FOR if shade > 0 else AGAINST}, {abs(shade):.3f})" for shade in shades],
        "unclear_s": words.transcript.unclear_s,
    }


def _pairs(explanations: dict[str, Explanation]) -> list[tuple[str, str, float, float]]:
    """Return each pair of methods with its rank correlation and overlap; empty if nothing can be compared."""
    covered = next((explanation.covered for explanation in explanations.values()), np.zeros(0, bool))
    if len(explanations) < 2 or not covered.any():
        return []
    maps = agreement({method: explanation.relevance for method, explanation in explanations.items()}, covered)
    return [
        (maps.methods[i], maps.methods[j], maps.rank_correlation[i, j], maps.top_overlap[i, j])
        for i, j in combinations(range(len(maps.methods)), 2)
    ]


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"
