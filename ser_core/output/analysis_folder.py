"""Write an analysis as a folder: analysis.json, maps.npz, overview.png and the focus regions as WAV."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ser_core.analysis import Analysis, Explanation, Region, VoiceShare, frame_edge_s
from ser_core.audio.acoustic_correlates import differences
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.explanation.counterfactual.voice import (
    VoiceCounterfactuals,
    VoiceCurve,
    VoiceFlip,
    counterfactuals_in_words,
    flip_in_words,
)
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.output.word_table import SpokenWords, words_csv, words_dict
from ser_core.pipeline.voice import correlates_of_focus
from ser_core.work.atomic_folder import atomic_folder


def save_analysis(
    analysis: Analysis,
    folder: Path,
    more_files: dict[str, bytes] | None = None,
    words: SpokenWords | None = None,
    how: VoiceCounterfactuals | None = None,
) -> None:
    """Write the folder of an analysis atomically, replacing an existing one.

    Parameters
    ----------
    more_files : dict of str to bytes, optional
        Other files of the folder, by name.
    words : SpokenWords, optional
        Go into analysis.json and words.csv.
    how : VoiceCounterfactuals, optional
        Changes of the voice; go into analysis.json.

    Raises
    ------
    WriteRefused
        If it cannot be written.
    """
    with atomic_folder(folder, "analysis.json") as half_written:
        _write(analysis, half_written, more_files or {}, words, how)


def _write(
    analysis: Analysis,
    folder: Path,
    more_files: dict[str, bytes],
    words: SpokenWords | None,
    how: VoiceCounterfactuals | None,
) -> None:
    (folder / "focus").mkdir()
    files = [
        f"focus/{number:02d}_{f.region.start_s:.2f}-{f.region.end_s:.2f}s.wav"
        for number, f in enumerate(analysis.focus, 1)
    ]
    for name, focus in zip(files, analysis.focus, strict=True):
        samples = region_samples(analysis.recording, focus.region, analysis.focus_settings.fade_s)
        (folder / name).write_bytes(wav_bytes(samples, analysis.recording.sample_rate_hz))
    content = analysis_dict(analysis, files)
    content |= {"words": words_dict(words)} if words else {}
    content |= {"how": how_dict(analysis, how)} if how else {}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    # Undecodable bytes of file names become JSON escapes.
    (folder / "analysis.json").write_bytes(f"{text}\n".encode(errors="backslashreplace"))
    np.savez_compressed(folder / "maps.npz", **map_arrays(analysis))
    from ser_core.output.overview_picture import save_overview  # imports matplotlib

    save_overview(analysis, folder / "overview.png")
    if words:
        (folder / "words.csv").write_text(words_csv(words), "utf-8")
    for name, data in more_files.items():
        (folder / name).write_bytes(data)


def analysis_dict(analysis: Analysis, focus_files: list[str]) -> dict[str, Any]:
    """Return the content of analysis.json; seconds and probabilities are rounded to six digits."""
    recording, frames = analysis.recording, analysis.spectrogram.settings
    return {
        "recording": {
            "name": recording.name,
            "sha256": recording.sha256,
            "duration_s": _rounded(recording.duration_s),
            "sample_rate_hz": recording.sample_rate_hz,
        },
        "model": {"name": analysis.model_name, "sha256": analysis.model_sha256},
        "emotions": list(analysis.emotions),
        "scores": _by_emotion(analysis.emotions, analysis.scores.recording),
        "emotion": analysis.emotion,
        "verdict": analysis.verdict,
        "segments": [
            {
                "start_s": _rounded(frame_edge_s(start, frames)),
                "end_s": _rounded(
                    min(frame_edge_s(start + analysis.segments.segment_frames, frames), recording.duration_s)
                ),
                "kept": bool(analysis.segments.selected[index]),
                "gds_score": None
                if analysis.segments.gds_score is None
                else _rounded(analysis.segments.gds_score[index]),
                "scores": _by_emotion(analysis.emotions, analysis.scores.segments[index]),
            }
            for index, start in enumerate(analysis.segments.start_frames)
        ],
        "explanations": {method: _explanation_dict(e) for method, e in analysis.explanations.items()},
        "focus": [
            {
                "start_s": _rounded(f.region.start_s),
                "end_s": _rounded(f.region.end_s),
                "strength": float(f.strength),
                "share": _rounded(f.share),
                "file": file,
            }
            for f, file in zip(analysis.focus, focus_files, strict=True)
        ],
        "focus_by": analysis.focus_by and _explanation_dict(analysis.focus_by),
        "focus_settings": asdict(analysis.focus_settings),
        "warnings": list(analysis.warnings),
        **voice_dict(analysis.voice),
    }


def _explanation_dict(e: Explanation) -> dict[str, Any]:
    return {
        "method": e.method,
        "emotion": e.emotion,
        "against": e.against,
        "layer": e.layer,
        "stretch": _stretch_dict(e.stretch),
        "seconds": round(e.seconds, 3),
        "stability": None if e.stability is None else round(e.stability, 3),
        "seed": e.seed,
        "settings": e.settings,
    }


def _stretch_dict(stretch: Region) -> dict[str, float]:
    return {"start_s": _rounded(stretch.start_s), "end_s": _rounded(stretch.end_s)}


def how_dict(analysis: Analysis, counterfactuals: VoiceCounterfactuals) -> dict[str, Any]:
    """Return the entry `how` of analysis.json: correlates of the focus, and the scores over changes of the voice."""
    focus, rest = correlates_of_focus(analysis)
    emotions, smallest = analysis.emotions, counterfactuals.smallest
    is_whole = analysis.explains_whole_recording
    return {
        "summary": counterfactuals_in_words(counterfactuals, emotions),
        "changed": "focus" if counterfactuals.regions else "recording" if is_whole else "stretch",
        "stretch": _stretch_dict(analysis.stretch),
        "scores": _by_emotion(emotions, counterfactuals.original),
        "smallest": None if smallest is None else _flip_dict(smallest, emotions),
        "properties": {curve.property.field: _curve_dict(curve, emotions) for curve in counterfactuals.curves},
        "correlates": {
            name: {key: value if value is None else _rounded(value) for key, value in asdict(measured).items()}
            for name, measured in (("focus", focus), ("rest", rest), ("difference", differences(focus, rest)))
        },
    }


def _curve_dict(curve: VoiceCurve, emotions: tuple[str, ...]) -> dict[str, Any]:
    value = curve.property.value
    return {
        "unit": curve.property.unit,
        "natural": [_rounded(value(amount)) for amount in curve.natural],
        "values": [_rounded(value(amount)) for amount in curve.amounts],
        "scores": {emotion: [_rounded(p) for p in curve.scores[:, i]] for i, emotion in enumerate(emotions)},
        "control": _by_emotion(emotions, curve.control),
        "flips": [_flip_dict(flip, emotions) for flip in curve.flips],
    }


def _flip_dict(flip: VoiceFlip, emotions: tuple[str, ...]) -> dict[str, Any]:
    return {
        "property": flip.property.field,
        "value": _rounded(flip.property.value(flip.amount)),
        "emotion": emotions[flip.emotion],
        "scores": _by_emotion(emotions, flip.scores),
        "words": flip_in_words(flip, emotions),
    }


def voice_dict(voice: VoiceShare | None) -> dict[str, Any]:
    """Return the entry for a speaker judged by their own normal, or nothing."""
    return {} if voice is None else {"voice": {"recordings": voice.recordings, "share": _rounded(voice.share)}}


def map_arrays(analysis: Analysis) -> dict[str, np.ndarray]:
    """Return the content of maps.npz: log-mel, its axes, a map (frames, bands) per explanation, and the profile."""
    maps = {
        "log_mel": analysis.spectrogram.log_mel,
        "frame_times_s": analysis.spectrogram.frame_times_s,
        "band_hz": band_centres_hz(analysis.spectrogram.settings),
    }
    maps |= {method: explanation.relevance for method, explanation in analysis.explanations.items()}
    if analysis.profile is not None:
        covered = analysis.focus_by.covered
        maps |= {"covered": covered, "profile": analysis.profile}
    return maps


def _by_emotion(emotions: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return {emotion: _rounded(value) for emotion, value in zip(emotions, values, strict=True)}


def _rounded(value: float) -> float:
    return round(float(value), 6)
