"""Jobs that explain a classification: by maps, focus and counterfactuals; cached explanations and charts."""

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.shared import session
from pages.shared.cached import finished, jobs
from pages.shared.language import language
from ser_core.analysis import Analysis, Explanation, Region
from ser_core.explanation import EXPLAINERS, ExplainerRun, explainers_of, focus_methods_of
from ser_core.explanation.agreement import with_consensus
from ser_core.model.classifier import Classifier
from ser_core.pipeline import (
    explainer_run,
    judge_maps,
    score_focus_audio,
    target_of,
    with_deciding_focus,
    with_focus,
)
from ser_core.pipeline.voice import find_voice_counterfactuals
from ser_core.settings import AnalysisSettings, FocusSettings
from ser_core.work.jobs import Job, Lane


def explainer_job(analysis: Analysis, method: str, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job that runs an explainer on a recording, for any emotion and contrast."""
    return jobs().submit(
        session.owner(),
        _explainer_key(analysis, method, settings),
        method,
        lambda work: explainer_run(analysis, method, classifier, settings, work),
        _lane(method, settings),
    )


def _lane(method: str, settings: AnalysisSettings) -> Lane:
    if method == "grad_cam":
        return Lane.QUICK
    is_draft = getattr(settings, method) == getattr(settings.drafted(), method)
    return Lane.CLUSTER_DRAFT if is_draft else Lane.CLUSTER_FULL


def explanation_of(job: Job, analysis: Analysis, settings: AnalysisSettings) -> Explanation:
    """Return the explanation of the chosen emotion and contrast, from an explainer job that has ended."""
    return cached_explanation(job.key, analysis.emotion, settings.against, job.result, analysis)


# A resource, not data: data would be copied in every rerun.
@st.cache_resource(scope="session", max_entries=64, show_spinner=False)
def cached_explanation(
    key: Hashable, emotion: str, against: str | None, _run: ExplainerRun, _analysis: Analysis
) -> Explanation:
    target = target_of(_analysis, AnalysisSettings(emotion=emotion, against=against))
    return _run.explain(target, _analysis.emotions)


def is_explained(analysis: Analysis, method: str, settings: AnalysisSettings) -> bool:
    """Return whether this explainer's job has ended, without submitting one."""
    job = jobs().find(session.owner(), _explainer_key(analysis, method, settings))
    return job is not None and job.ended.is_set()


def finished_explainer(analysis: Analysis, method: str, settings: AnalysisSettings) -> Job | None:
    """Return this explainer's finished job, or None; submit nothing."""
    return finished(_explainer_key(analysis, method, settings))


def _explainer_key(analysis: Analysis, method: str, settings: AnalysisSettings) -> tuple[Hashable, ...]:
    key = (method, analysis.recording.sha256, analysis.model_sha256, analysis.stretch)
    return ("explain", *key, getattr(settings, method), settings.seed)


def stop_explaining() -> None:
    """Stop this visit's explainers, because another stretch will be explained."""
    jobs().withdraw(session.owner(), ("explain", "judge"), running=True)


def deciding_focus(
    analysis: Analysis, explanation: Explanation, classifier: Classifier, settings: AnalysisSettings
) -> Job:
    """Return the job that finds the deciding focus."""
    return jobs().submit(
        session.owner(),
        _focus_key(analysis, explanation, settings),
        "Deciding focus",
        lambda work: with_deciding_focus(analysis, explanation, classifier, settings, work),
        Lane.CLUSTER_DRAFT,
    )


def finished_focus(analysis: Analysis, explanation: Explanation, settings: AnalysisSettings) -> Job | None:
    """Return the finished job that found the deciding focus, or None; submit nothing."""
    return finished(_focus_key(analysis, explanation, settings))


def _focus_key(analysis: Analysis, explanation: Explanation, settings: AnalysisSettings) -> tuple[Hashable, ...]:
    relevance = hashlib.sha256(explanation.relevance.tobytes()).hexdigest()
    key = (analysis.recording.sha256, analysis.model_sha256, analysis.stretch, analysis.emotion, settings.against)
    return ("focus", *key, relevance, settings.focus, settings.seed)


def computed_so_far(classification: Job, classifier: Classifier, settings: AnalysisSettings) -> Analysis:
    """Return the analysis with the final maps and the final focus that this visit has computed; submit nothing."""
    analysis = classification.result
    if settings.against == analysis.emotion:
        return analysis
    explanations, methods = {}, focus_methods_of(classifier)
    for method in methods:
        if job := finished_explainer(analysis, method, settings):
            explanations[method] = explanation_of(job, analysis, settings)
    maps = {method: one for method, one in explanations.items() if method in EXPLAINERS}
    complete = len(maps) == len(explainers_of(classifier))
    focus_by = settings.focus_by if settings.focus_by in (*methods, "consensus") else methods[0]
    explanation = (with_consensus(explanations) if complete else explanations).get(focus_by)
    if explanation is not None and not settings.focus.is_open:
        analysis = with_focus(analysis, explanation, settings)
    elif explanation is not None and (job := finished_focus(analysis, explanation, settings)):
        analysis = job.result
    return replace(analysis, explanations=maps)


def faithfulness_job(
    classification: Job, explanations: dict[str, Explanation], classifier: Classifier, settings: AnalysisSettings
) -> Job:
    """Return the job that measures how faithful the explanations of one emotion are."""
    analysis = classification.result
    settings = replace(settings, focus=FocusSettings(), focus_by=None, explain=tuple(explanations))
    return jobs().submit(
        session.owner(),
        ("judge", analysis.recording.sha256, classifier.sha256, analysis.stretch, analysis.emotion, settings),
        "Faithfulness of the maps",
        lambda work: judge_maps(analysis, explanations, classifier, settings, work),
        Lane.CLUSTER_FULL,
    )


def focus_audio_job(analysis: Analysis, mask: np.ndarray, classifier: Classifier) -> Job:
    """Return the job that turns the points of a mask (frames, bands) into audio, and classifies it."""
    mask_sha256 = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
    key = (analysis.recording.sha256, classifier.sha256, analysis.stretch, mask_sha256)
    return jobs().submit(
        session.owner(),
        ("focus audio", *key),
        "Focus audio",
        lambda work: score_focus_audio(analysis, mask, classifier, work),
        Lane.QUICK,
    )


def voice_changes_job(
    analysis: Analysis, regions: tuple[Region, ...], classifier: Classifier, *, submit: bool
) -> Job | None:
    """Return the job that changes the voice and scores the changed sounds; None if it is not submitted yet."""
    key = ("voice changes", analysis.recording.sha256, classifier.sha256, analysis.stretch, regions)
    if not submit:
        return jobs().find(session.owner(), key)
    return jobs().submit(
        session.owner(),
        key,
        "Voice changes",
        lambda work: find_voice_counterfactuals(analysis, classifier, regions, work),
        Lane.CLUSTER_FULL,
    )


def chart(key: Hashable, draw: Callable[[], go.Figure]) -> go.Figure:
    """Return a chart, drawn once for each key; the key must contain everything that the chart depends on."""
    return cached_chart((key, language()), draw)


# Plotly takes 0.1 s for a chart, too long for every run of a page.
@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def cached_chart(key: Hashable, _draw: Callable[[], go.Figure]) -> go.Figure:
    return _draw()
