"""Analyse a recording: spectrogram, segments, scores, verdict, explanations, focus.

Read `analyse_recording` first: it calls the steps, which follow in order down to the focus. The functions after
`with_target` test and extend a finished analysis; those about the voice are in `ser_core.pipeline.voice`. The app, the
command line and the reports only show what these functions return.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ser_core.analysis import (
    Analysis,
    Explanation,
    Recording,
    Region,
    Scores,
    Segments,
    Spectrogram,
    frame_at,
    frame_edge_s,
)
from ser_core.analysis.emotions import emotion_index
from ser_core.audio.voice_activity import detect_speech, speech_frames, speech_seconds
from ser_core.errors import SettingsRefused
from ser_core.explanation import ExplainerRun, run_explainer
from ser_core.explanation.focus import (
    DEFAULT_SHARE,
    SHARES,
    at_share,
    deciding_candidate,
    focus_frames,
    focus_level,
    focus_regions,
    relevance_profile,
    usable_frames,
)
from ser_core.explanation.focus_audio import ChangedSound, FocusScores, sound_without
from ser_core.explanation.judgement import Judgement, judge
from ser_core.explanation.relevance import ExplanationTarget, Perturbed, fill_values
from ser_core.front_end.selection import segments_of
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.model.classifier import Classifier
from ser_core.model.scores import pool, softmax, verdict_of
from ser_core.settings import AnalysisSettings, FocusSettings
from ser_core.words.evidence import WordEvidence, evidence_of_words
from ser_core.work.progress import UNWATCHED, Work

SEGMENTS_AT_ONCE = 128


def analyse_recording(
    recording: Recording,
    classifier: Classifier,
    settings: AnalysisSettings,
    work: Work = UNWATCHED,
) -> Analysis:
    """Predict the emotion of a recording, how certain it is, and where the evidence lies.

    Parameters
    ----------
    work : Work
        Receives the progress, and can stop the analysis.

    Raises
    ------
    SettingsRefused
        If the model does not have an emotion in the settings, or the stretch is not in the recording.
    Cancelled
    """
    parts = 2 + len(settings.explain)
    analysis = classify_recording(recording, classifier, settings, work.part(0, parts))
    for done, method in enumerate(settings.explain, start=1):
        analysis = add_explanation(analysis, method, classifier, settings, work.part(done, parts))
    if settings.focus_by is None:
        return analysis
    return find_focus(analysis, settings.focus_by, classifier, settings, work.part(parts - 1, parts))


def classify_recording(
    recording: Recording,
    classifier: Classifier,
    settings: AnalysisSettings,
    work: Work = UNWATCHED,
) -> Analysis:
    """Return an analysis with scores and verdict but no explanations yet."""
    work.report(0.0, "Computing the spectrogram")
    spectrogram = spectrogram_of(recording, classifier.front_end.spectrogram)
    segments = segments_of(spectrogram, classifier.front_end)
    scores = score(segments, classifier, work)
    speech = detect_speech(recording)
    speech_s = speech_seconds(recording, speech)
    emotions = classifier.emotions
    explained = settings.emotion or emotions[int(scores.recording.argmax())]
    emotion_index(explained, emotions)
    return Analysis(
        recording=recording,
        model_name=classifier.name,
        model_sha256=classifier.sha256,
        emotions=emotions,
        spectrogram=spectrogram,
        segments=segments,
        scores=scores,
        emotion=explained,
        verdict=verdict_of(scores.recording, emotions, speech_s, settings.verdict),
        speech_s=speech_s,
        speech=speech_frames(speech, spectrogram.frame_times_s),
        stretch=_stretch(recording, segments, scores, emotions.index(explained), spectrogram, settings),
        warnings=(*recording.warnings, *_warnings(spectrogram, segments)),
        voice=classifier.voice_share,
    )


def score(segments: Segments, classifier: Classifier, work: Work) -> Scores:
    """Return the probabilities of every segment, and those of the recording from its selected segments."""
    each = softmax(predict_logits(segments.values, classifier, work), classifier.temperature)
    return Scores(each, pool(each[segments.selected], classifier.pooling))


def predict_logits(values: np.ndarray, classifier: Classifier, work: Work) -> np.ndarray:
    """Return the logits (segments, classes) of segments (segments, frames, bands), in batches."""
    logits = []
    for start in range(0, len(values), SEGMENTS_AT_ONCE):
        work.check()
        logits.append(classifier.score(values[start : start + SEGMENTS_AT_ONCE]))
        work.report(min(1.0, (start + SEGMENTS_AT_ONCE) / len(values)), "Classifying")
    return np.concatenate(logits)


def add_explanation(
    analysis: Analysis,
    method: str,
    classifier: Classifier,
    settings: AnalysisSettings,
    work: Work = UNWATCHED,
) -> Analysis:
    """Return the analysis with one more explanation."""
    run = explainer_run(analysis, method, classifier, settings, work)
    return with_explanation(analysis, run.explain(target_of(analysis, settings), analysis.emotions))


def with_explanation(analysis: Analysis, explanation: Explanation) -> Analysis:
    """Return the analysis with one more explanation."""
    return replace(analysis, explanations=analysis.explanations | {explanation.method: explanation})


def explainer_run(
    analysis: Analysis,
    method: str,
    classifier: Classifier,
    settings: AnalysisSettings,
    work: Work = UNWATCHED,
) -> ExplainerRun:
    """Run an explainer on the analysed stretch; its run can explain every emotion."""
    target = target_of(analysis, replace(settings, against=None))
    return work.compute(run_explainer, method, classifier, target, analysis.stretch, settings)


def target_of(analysis: Analysis, settings: AnalysisSettings) -> ExplanationTarget:
    """Return the target of the explainers, with frames and indices of emotions."""
    against = None if settings.against is None else emotion_index(settings.against, analysis.emotions)
    emotion = emotion_index(analysis.emotion, analysis.emotions)
    if against == emotion:
        raise SettingsRefused(f"{analysis.emotion} cannot be explained against itself. Choose another emotion.")
    spectrogram = analysis.spectrogram
    last = len(spectrogram.log_mel) - 1
    first = min(max(0, round(frame_at(analysis.stretch.start_s, spectrogram.settings))), last)
    end = min(len(spectrogram.log_mel), round(frame_at(analysis.stretch.end_s, spectrogram.settings)))
    if analysis.stretch.end_s >= analysis.recording.duration_s - 1e-9:
        end = len(spectrogram.log_mel)
    return ExplanationTarget(spectrogram.log_mel, analysis.segments, emotion, against, first, max(end, first + 1))


def find_focus(
    analysis: Analysis,
    method: str,
    classifier: Classifier,
    settings: AnalysisSettings,
    work: Work = UNWATCHED,
) -> Analysis:
    """Return the analysis with a method's profile and focus; run the method unless it has run already."""
    explanation = analysis.explanations.get(method)
    if explanation is None:
        run = explainer_run(analysis, method, classifier, settings, work.part(0, 2))
        explanation = run.explain(target_of(analysis, settings), analysis.emotions)
    return with_deciding_focus(analysis, explanation, classifier, settings, work.part(1, 2))


def with_deciding_focus(
    analysis: Analysis,
    explanation: Explanation,
    classifier: Classifier,
    settings: AnalysisSettings,
    work: Work = UNWATCHED,
) -> Analysis:
    """Return the analysis with the smallest focus that decides the verdict, or the one that the settings fix.

    The model is run again on each candidate alone and on everything else (see `focus.deciding_candidate`).
    """
    if not settings.focus.is_open:
        return with_focus(analysis, explanation, settings)
    candidates = [
        with_focus(analysis, explanation, replace(settings, focus=at_share(settings.focus, share))) for share in SHARES
    ]
    times_s = analysis.spectrogram.frame_times_s
    inside = [focus_frames(one.focus, times_s) for one in candidates]
    usable = usable_frames_of(analysis, explanation)
    sizes = [np.count_nonzero(frames) / max(np.count_nonzero(usable), 1) for frames in inside]
    target = target_of(analysis, settings)
    return candidates[work.compute(_deciding_candidate, inside, sizes, classifier, target, settings.seed)]


def _deciding_candidate(
    inside: list[np.ndarray],
    sizes: list[float],
    classifier: Classifier,
    target: ExplanationTarget,
    seed: int,
    work: Work,
) -> int:
    fill = fill_values(target.log_mel, "noise_floor", np.random.default_rng(seed))
    perturbed = Perturbed.of_classifier(classifier, target, fill)
    return deciding_candidate(inside, sizes, perturbed, target, work)


def with_focus(analysis: Analysis, explanation: Explanation, settings: AnalysisSettings) -> Analysis:
    """Return the analysis with an explanation's profile and focus; its share is that of the settings or the default."""
    frames, applied = analysis.spectrogram.settings, settings.focus
    if applied.is_open:
        applied = at_share(applied, DEFAULT_SHARE)
    profile = relevance_profile(
        explanation.relevance, explanation.covered, round(applied.smoothing_s / frames.frame_hop_s)
    )
    usable = usable_frames_of(analysis, explanation)
    duration_s, log_mel = analysis.recording.duration_s, analysis.spectrogram.log_mel
    focus = focus_regions(profile, usable, log_mel, duration_s, applied, frames)
    return replace(analysis, profile=profile, focus=focus, focus_by=explanation, focus_settings=applied)


def usable_frames_of(analysis: Analysis, explanation: Explanation) -> np.ndarray:
    """Return where the focus of an explanation may lie, shape (frames,), bool."""
    shortest = round(FocusSettings().shortest_region_s / analysis.spectrogram.settings.frame_hop_s)
    return usable_frames(explanation.covered, analysis.speech, shortest)


def focus_share(analysis: Analysis, explanation: Explanation) -> float:
    """Return the share of the explained speech that is focus, 0 to 1; it can exceed the share in the settings."""
    speech = usable_frames_of(analysis, explanation)
    inside = focus_frames(analysis.focus, analysis.spectrogram.frame_times_s)
    return np.count_nonzero(inside & speech) / max(np.count_nonzero(speech), 1)


def level_of_focus(analysis: Analysis) -> float:
    """Return the level of the profile above which the focus lies."""
    return focus_level(analysis.profile, usable_frames_of(analysis, analysis.focus_by), analysis.focus_settings)


def _stretch(
    recording: Recording,
    segments: Segments,
    scores: Scores,
    emotion: int,
    spectrogram: Spectrogram,
    settings: AnalysisSettings,
) -> Region:
    """Return the stretch to explain: from the settings, or the whole recording, or the best part of a long one."""
    if settings.stretch_s is not None:
        return _requested_stretch(*settings.stretch_s, recording, settings)
    if recording.duration_s <= settings.longest_stretch_s:
        return Region(0.0, recording.duration_s)
    frames = spectrogram.settings
    starts_s = frame_edge_s(segments.start_frames, frames)
    ends_s = starts_s + segments.segment_frames * frames.frame_hop_s
    # All candidates are equally long, because one of only one or two segments could win by chance.
    latest_s = recording.duration_s - settings.default_stretch_s
    best_start_s, best_score = 0.0, -1.0
    for start_s in np.unique(np.minimum(starts_s, latest_s)):
        inside = segments.selected & (starts_s >= start_s) & (ends_s <= start_s + settings.default_stretch_s)
        mean = float(scores.segments[inside, emotion].mean()) if inside.any() else -1.0
        if mean > best_score:
            best_start_s, best_score = float(start_s), mean
    return Region(best_start_s, best_start_s + settings.default_stretch_s)


def _requested_stretch(start_s: float, end_s: float, recording: Recording, settings: AnalysisSettings) -> Region:
    end_s = min(end_s, recording.duration_s)
    if not 0 <= start_s < end_s:
        raise SettingsRefused(
            f"The stretch from {start_s:g} to {end_s:g} s is not in the recording, which lasts "
            f"{recording.duration_s:.2f} s. Give a start before the end."
        )
    if end_s - start_s > settings.longest_stretch_s + 1e-9:
        raise SettingsRefused(
            f"The stretch lasts {end_s - start_s:.1f} s; at most {settings.longest_stretch_s:g} s are explained "
            "at once. Choose a shorter one."
        )
    return Region(start_s, end_s)


def _warnings(spectrogram: Spectrogram, segments: Segments) -> tuple[str, ...]:
    if len(spectrogram.log_mel) >= segments.segment_frames:
        return ()
    needed = segments.segment_frames * spectrogram.settings.frame_hop_s
    return (f"Shorter than the {needed:.2f} s that the model classifies at once; it was padded with its noise floor.",)


def with_target(analysis: Analysis, emotion: str, settings: AnalysisSettings) -> Analysis:
    """Return the analysis with another emotion to explain: the same scores, and no explanations.

    Raises
    ------
    SettingsRefused
        If the model does not have the emotion, or the stretch is not in the recording.
    """
    index = emotion_index(emotion, analysis.emotions)
    stretch = _stretch(analysis.recording, analysis.segments, analysis.scores, index, analysis.spectrogram, settings)
    return replace(analysis, emotion=emotion, stretch=stretch, explanations={}, profile=None, focus=(), focus_by=None)


def judge_maps(
    analysis: Analysis,
    explanations: Mapping[str, Explanation],
    classifier: Classifier,
    settings: AnalysisSettings,
    work: Work = UNWATCHED,
) -> Judgement:
    """Test how faithful explanations of one target are; removed cells are replaced by LIME's fill."""
    maps = {method: explanation.relevance for method, explanation in explanations.items()}
    target = target_of(analysis, settings)
    return work.compute(judge, maps, classifier, target, settings.lime.fill, settings.seed)


def explain_words(
    analysis: Analysis,
    words: Sequence[Region],
    classifier: Classifier,
    settings: AnalysisSettings,
    maps: Sequence[Explanation] = (),
    work: Work = UNWATCHED,
) -> WordEvidence:
    """Return how much each word supports the analysed emotion, compared with maps of the same target."""
    target, times_s = target_of(analysis, settings), analysis.spectrogram.frame_times_s
    return work.compute(evidence_of_words, words, classifier, target, times_s, maps, settings.seed)


def focus_region_mask(analysis: Analysis) -> np.ndarray:
    """Return the points (frames, bands), bool, of the focus regions."""
    inside = focus_frames(analysis.focus, analysis.spectrogram.frame_times_s)
    return np.repeat(inside[:, None], analysis.spectrogram.log_mel.shape[1], axis=1)


def score_focus_audio(
    analysis: Analysis,
    mask: np.ndarray,
    classifier: Classifier,
    work: Work = UNWATCHED,
) -> FocusScores:
    """Make the part that a mask (frames, bands), bool, marks audible, and the rest without it, and score both."""
    recording, spectrogram = analysis.recording, analysis.spectrogram
    sounds = []
    for done, (removed, words) in enumerate(((~mask, "the focus alone"), (mask, "all but the focus"))):
        work.report(done / 2, f"Classifying {words}")
        samples = sound_without(recording, removed, spectrogram.frame_times_s, spectrogram.settings)
        changed = spectrogram_of(replace(recording, samples=samples), spectrogram.settings)
        segments = segments_of(changed, classifier.front_end)
        scores = score(segments, classifier, work.silently())
        sounds.append(ChangedSound(samples, scores.recording))
    return FocusScores(*sounds)
