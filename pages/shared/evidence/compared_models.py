"""The models on the page Compare: their choice, the explainer, and each model's result."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.cached import explaining
from pages.shared.language import t, texts
from pages.shared.language.names import in_markdown
from pages.shared.models.comparison_section import emotions_of
from pages.shared.session import Chosen
from ser_core.analysis import Analysis
from ser_core.errors import SerError
from ser_core.explanation import EXPLAINERS, METHOD_NAMES, explainers_of
from ser_core.explanation.grad_cam import grad_cam_refusal
from ser_core.model.classifier import Classifier
from ser_core.model.scores import NO_SPEECH, NOT_SURE
from ser_core.model.shipped_models import model_names
from ser_core.pipeline import target_of, with_explanation, with_target
from ser_core.settings import AnalysisSettings, GradCamSettings
from ser_core.work.jobs import Job

MAX_MODELS, DEFAULT_OTHERS = 6, 2
PENDING, STOPPED = texts(("Not ready yet.", "Stopped."))


def choose(chosen: Chosen) -> list[str]:
    """Ask for the models; by default the sidebar's and two with the same emotions."""
    names = model_names()
    selected = session.choice("compared")
    if selected is None or not set(selected) <= set(names):
        session.choose("compared", None)
        own, emotions = chosen.model_name, chosen.classifier.emotions
        alike = [name for name in names if name != own and emotions_of(name) == emotions]
        selected = [own, *alike[:DEFAULT_OTHERS]]
    return st.multiselect(
        t("Models"),
        names,
        max_selections=MAX_MODELS,
        placeholder=t("Choose one to six models"),
        help=t("They may know other emotions. Default: the sidebar's model and two others with the same emotions."),
        **session.widget("compared", selected),
    )


def choose_method() -> str:
    """Ask for the explainer."""
    return st.segmented_control(
        t("Explainer"),
        list(EXPLAINERS),
        format_func=lambda method: t(METHOD_NAMES[method]),
        required=True,
        help=t(
            "Grad-CAM is fast but coarse, and needs a network with feature maps. LIME and occlusion work "
            "with any model and mark better what decides: they predict hundreds of times with parts masked."
        ),
        **session.widget("compared_by", session.choice("compared_by")),
    )


def load(names: list[str], chosen: Chosen) -> tuple[dict[str, Classifier], dict[str, str]]:
    """Return the classifiers by name, adapted to a voice as in the sidebar, and reasons why others were not loaded."""
    loaded, refused = {}, {}
    for name in names:
        try:
            loaded[name] = chosen.classifier if name == chosen.model_name else cached.model(name)
        except SerError as refusal:
            refused[name] = str(refusal)
    return loaded, refused


def results_so_far(jobs: dict[str, Job]) -> tuple[dict[str, object], dict[str, str]]:
    """Return the finished results, and a text for each unfinished one."""
    results, words = {}, {}
    for name, job in jobs.items():
        state = job.state  # read once: the job may end in the meantime
        if state == "done":
            results[name] = job.result
        else:
            words[name] = {"failed": job.refusal, "cancelled": STOPPED}.get(state, PENDING)
    return results, words


def offer_again(jobs: dict[str, Job]) -> None:
    """Offer to restart stopped jobs."""
    stopped = {name: job for name, job in jobs.items() if job.state == "cancelled"}
    if not stopped:
        return
    kind = next(iter(stopped.values())).kind
    if st.button(
        t("Start again: {names}", names=in_markdown(", ".join(stopped))),
        key=f"again_{kind}",
        icon=":material/replay:",
    ):
        for job in stopped.values():
            job.queue.drop(job)
        st.rerun()


def explained(
    analyses: dict[str, Analysis],
    classifiers: dict[str, Classifier],
    emotion: str,
    method: str,
    settings: AnalysisSettings,
) -> tuple[dict[str, Analysis], dict[str, Analysis], dict[str, str]]:
    """Explain the emotion in the same time range with every model.

    Returns
    -------
    explained, drafted : dict of str to Analysis
        With the final map, or with its draft until it is finished.
    words : dict of str to str
        Why the others have no map.
    """
    targeted, words = _targeted(analyses, emotion, settings)
    jobs, drafts = {}, {}
    for name, analysis in targeted.items():
        classifier = classifiers[name]
        own_settings = _own_settings(settings, classifier)
        if method not in explainers_of(classifier):
            words[name] = grad_cam_refusal(classifier)
            continue
        if not explaining.is_explained(analysis, method, own_settings):
            drafts[name] = explaining.explainer_job(analysis, method, classifier, own_settings.drafted())
        jobs[name] = explaining.explainer_job(analysis, method, classifier, own_settings)
    titles = {name: f"{t(METHOD_NAMES[method])}, {in_markdown(name)}" for name in jobs}
    waiting.watch(jobs, drafts, titles)
    offer_again(jobs)
    runs, unfinished = results_so_far(jobs)
    finished_drafts = [n for n, draft in drafts.items() if unfinished.get(n) == PENDING and draft.state == "done"]

    def with_map(name: str, job: Job) -> Analysis:
        return with_explanation(targeted[name], explaining.explanation_of(job, targeted[name], settings))

    return (
        {name: with_map(name, jobs[name]) for name in runs},
        {name: with_map(name, drafts[name]) for name in finished_drafts},
        words | unfinished,
    )


def _targeted(
    analyses: dict[str, Analysis], emotion: str, settings: AnalysisSettings
) -> tuple[dict[str, Analysis], dict[str, str]]:
    """Return the analyses of the models that have the emotions, all with the first one's time range."""
    targeted, words = {}, {}
    for name, analysis in analyses.items():
        try:
            one = with_target(analysis, emotion, settings)
            target_of(one, settings)
        except SerError as refusal:
            words[name] = str(refusal)
        else:
            targeted[name] = replace(one, stretch=next(iter(targeted.values()), one).stretch)
    return targeted, words


def _own_settings(settings: AnalysisSettings, classifier: Classifier) -> AnalysisSettings:
    """Return the settings without a layer that this model lacks."""
    has_layer = settings.grad_cam.layer in classifier.layers
    return settings if has_layer else replace(settings, grad_cam=GradCamSettings())


def scaling_in_words(analysis: Analysis, settings: AnalysisSettings) -> str:
    """Describe the scale of the colours and, unless it is the whole recording, the time range."""
    scaling = t("Each map is divided by its own highest absolute value.")
    start, end = analysis.stretch.start_s, analysis.stretch.end_s
    if end - start >= analysis.recording.duration_s - 0.01:
        return scaling
    if settings.stretch_s:
        time_range = t("All explain {start:.2f} to {end:.2f} s.", start=start, end=end)
    else:
        time_range = t(
            "All explain {start:.2f} to {end:.2f} s, where the first model that knows the emotion scores it highest.",
            start=start,
            end=end,
        )
    return f"{scaling} {time_range}"


def verdicts_in_words(analyses: dict[str, Analysis]) -> str:
    """Describe how far the models' verdicts agree, and which models lack an emotion that another predicts."""
    groups: dict[str, list[str]] = {}
    for name, analysis in analyses.items():
        groups.setdefault(analysis.verdict, []).append(name)
    if NO_SPEECH in groups:  # this does not depend on the model
        return t("Hardly any speech was detected, so no emotion is named.")
    unsure = groups.pop(NOT_SURE, [])
    largest_first = sorted(groups.items(), key=lambda group: -len(group[1]))
    parts = [
        t(
            "{models} predicts {emotion}" if len(names) == 1 else "{models} predict {emotion}",
            models=listed(names),
            emotion=t(emotion),
        )
        for emotion, names in largest_first
    ]
    if largest_first and len(largest_first[0][1]) > 1:
        emotion, names = largest_first[0]
        parts[0] = _majority(len(names), len(analyses), t(emotion))
    if unsure:
        parts.append(t("{models} is not sure" if len(unsure) == 1 else "{models} are not sure", models=listed(unsure)))
    verdicts = "; ".join(parts)
    if len(largest_first) > 1 and len(largest_first[0][1]) == 1:
        verdicts = t("No two agree: {verdicts}", verdicts=verdicts)
    return " ".join([f"{verdicts}.", *_unknown_emotions(groups, analyses)])


def _majority(count: int, total: int, emotion: str) -> str:
    if count < total:
        return t("{count} of {all} predict {emotion}", count=count, all=total, emotion=emotion)
    return t("Both predict {emotion}" if total == 2 else "All {all} predict {emotion}", all=total, emotion=emotion)


def _unknown_emotions(verdicts: dict[str, list[str]], analyses: dict[str, Analysis]) -> list[str]:
    sentences = []
    for emotion in verdicts:
        without = [name for name, analysis in analyses.items() if emotion not in analysis.emotions]
        if without:
            sentences.append(
                t(
                    "{models} does not know {emotion}." if len(without) == 1 else "{models} do not know {emotion}.",
                    models=listed(without),
                    emotion=t(emotion),
                )
            )
    return sentences


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence."""
    *others, last = names
    return t("{names} and {last}", names=", ".join(others), last=last) if others else last
