"""The sidebar of every page: recording, model, emotion and contrast, and settings."""

import shlex
from collections import Counter

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.language import number_format, recognised, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.recording import deletion, open_recordings, samples_section, saved_section, voice_section
from pages.shared.session import Chosen
from ser_core.analysis import Recording, clock
from ser_core.errors import SerError
from ser_core.explanation import FOCUS_METHODS
from ser_core.explanation.relevance import FILLS
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import PEERS, model_names, models_left_out
from ser_core.settings import AnalysisSettings
from ser_core.work.jobs import Job

FILL_WORDS = texts(
    {"noise_floor": "noise floor", "band_mean": "mean of each band", "random": "random, from the same band"}
)
LAYER_WORDS = texts(
    {
        "both": "both branches",
        "vggish": "VGGish, fused map (12 x 8)",
        "yamnet": "YAMNet, last map (3 x 2)",
        "vggish_pool2": "VGGish, pool 2 (24 x 16)",
        "vggish_pool3": "VGGish, pool 3 (12 x 8)",
        "vggish_pool4": "VGGish, pool 4 (6 x 4)",
        "yamnet_layer12": "YAMNet, layer 12 (6 x 4)",
    }
)
TARGET_WORDS = texts({session.BEST: "best score", session.ALL_OTHERS: "all others"})


def sidebar() -> Chosen | None:
    """Draw the sidebar; return its choices, or None if there is no recording or no model yet."""
    cached.finish_deletions_daily()
    with st.sidebar:
        _recordings()
        saved_section.show()
        classifier = _model()
        recording = open_recordings.current()
        if recording is None and (long := open_recordings.current_long()) is not None:
            deletion.button(long)
        if recording is None or classifier is None:
            return None
        voice = voice_section.show(classifier, recording, _labels()) if _offers_voices(classifier) else None
        saved_section.show_what_changed(recording)
        _target(recording, classifier)
        _settings(classifier)
        settings = session.settings()
        _command_line(recording, settings, voice is not None)
        deletion.button(recording)
    adapted = voice_section.adapted(classifier, voice)
    return Chosen(recording, adapted, settings, None if adapted is classifier else classifier)


def classified_recording() -> tuple[Chosen, Job]:
    """Draw the sidebar, and return its choices and the finished classification; else stop the page."""
    chosen = sidebar()
    if chosen is None:
        samples_section.instead_of_recording()
        st.stop()
    return chosen, waiting.classify(chosen)


def _offers_voices(classifier: Classifier) -> bool:
    """Return whether to show *Voice*: for models that support it, and if it was switched on before."""
    return classifier.voice is not None or session.choice("voice_on")


def _recordings() -> None:
    held, long, current = open_recordings.held(), open_recordings.held_long(), open_recordings.current()
    if long is not None:
        st.page_link("app.py", label=t("Timeline: {name}", name=in_markdown(long.name)), icon=":material/timeline:")
    if not held and long is None:
        st.caption(t("No recording yet."))
        return
    if current is None:
        st.info(t("Open part of the timeline to see and hear its evidence."), icon=":material/hearing:")
    if not held:
        return
    labels = _labels()
    shown = current.sha256 if current else long.sha256
    if long is not None:
        labels[long.sha256] = t("{name} (whole)", name=long.name)
    chosen = st.selectbox(
        t("Recording"),
        list(labels),
        index=list(labels).index(shown),
        format_func=labels.get,
        help=t("The recordings of this visit. They are gone when you close the page, unless you save an analysis."),
    )
    if chosen != shown:
        open_recordings.make_current(chosen)
        st.rerun()


def _labels() -> dict[str, str]:
    """Return unique labels of this visit's recordings by SHA-256; Streamlit identifies an option by its text."""
    labels = {
        sha256: t("{name} ({seconds:.1f} s)", name=one.recording.name, seconds=one.recording.duration_s)
        for sha256, one in open_recordings.held().items()
    }
    alike = {label for label, count in Counter(labels.values()).items() if count > 1}
    return {sha256: f"{label} · {sha256[:6]}" if label in alike else label for sha256, label in labels.items()}


def model_name() -> str | None:
    """Return the chosen model, else the first; None if no model can be loaded."""
    names = model_names()
    return session.choice("model") if session.choice("model") in names else next(iter(names), None)


def _model() -> Classifier | None:
    names = model_names()
    for left_out, why in models_left_out().items():
        st.caption(t("{name} is not available. {why}", name=in_markdown(left_out), why=in_markdown(recognised(why))))
    if not names:
        st.error(t("There is no model yet. Train one: python -m ser_core train --help"), icon=":material/error:")
        return None
    name = st.selectbox(
        t("Model"),
        names,
        format_func=lambda name: t("{name} (peer)", name=name) if name in PEERS else name,
        help=t(
            "Peers are small versions of the systems in the paper's Table 1. The page Evaluate compares all models."
        ),
        **session.widget("model", model_name()),
    )
    try:
        return cached.model(name)
    except SerError as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
        return None


def _target(recording: Recording, classifier: Classifier) -> None:
    emotions = list(classifier.emotions)
    for name, default in (("emotion", session.BEST), ("against", session.ALL_OTHERS)):
        if session.choice(name) not in (default, *emotions):
            session.choose(name, default)
    st.selectbox(
        t("Emotion"),
        [session.BEST, *emotions],
        format_func=_target_in_words,
        help=t("The emotion whose evidence is shown."),
        **session.widget("emotion", session.choice("emotion")),
    )
    if session.choice("against") == session.choice("emotion"):
        session.choose("against", session.ALL_OTHERS)
    st.selectbox(
        t("Contrast with"),
        [session.ALL_OTHERS, *(e for e in emotions if e != session.choice("emotion"))],
        format_func=_target_in_words,
        help=t("The emotion to compare with: evidence for one emotion against this one, instead of all others."),
        **session.widget("against", session.choice("against")),
    )
    whole = (0.0, round(recording.duration_s, 2))
    if session.choice("stretch") and session.choice("stretch")[1] > whole[1]:
        session.choose("stretch", None)
    if recording.duration_s > 1:
        st.slider(
            t("Time range (s) from {start}", start=clock(recording.start_s))
            if recording.start_s
            else t("Time range (s)"),
            0.0,
            whole[1],
            step=0.01,
            format=number_format(2),
            help=t(
                "The part to explain, at most 30 s. By default the whole recording, or the best 15 s of a longer one."
            ),
            **session.widget("stretch", session.choice("stretch") or whole),
        )
        if session.choice("stretch") == whole:
            session.choose("stretch", None)


def _target_in_words(target: str) -> str:
    return t(TARGET_WORDS.get(target, target))


def _settings(classifier: Classifier) -> None:
    with st.expander(t("Settings"), icon=":material/tune:"):
        layers = list(classifier.layers)
        if session.choice("layer") not in (None, *layers):
            session.choose("layer", None)
        if len(layers) > 1:
            st.selectbox(
                t("Grad-CAM layer"),
                layers,
                format_func=lambda layer: t(LAYER_WORDS.get(layer, layer)),
                help=t("VGGish localises better. YAMNet's map is coarser: 3 by 2 cells per segment."),
                **session.widget("layer", session.choice("layer") or layers[0]),
            )
        st.selectbox(
            t("Replacement for masked parts"),
            FILLS,
            format_func=lambda fill: t(FILL_WORDS[fill]),
            help=t("What LIME and occlusion put in place of the parts they mask."),
            **session.widget("fill", session.choice("fill")),
        )
        st.number_input(
            t("LIME masks per window"),
            32,
            1_024,
            step=32,
            help=t(
                "At most. Each hides half of the cells of 0.16 s on average. More make maps more stable and slower."
            ),
            **session.widget("masks", session.choice("masks")),
        )
        st.number_input(
            t("Seed"),
            0,
            99_999,
            help=t("For LIME's masks and the random replacement."),
            **session.widget("seed", session.choice("seed")),
        )
        st.button(
            t("Reset to defaults"),
            on_click=session.reset(session.SETTINGS),
            icon=":material/restart_alt:",
            width="stretch",
        )


def _command_line(recording: Recording, settings: AnalysisSettings, voice: bool) -> None:
    shown = st.expander(t("Command line"), icon=":material/terminal:", key="command_line", on_change="rerun")
    if not shown.open:  # highlighted code loads 1.5 MB of scripts
        return
    with shown:
        st.code(
            command_line(
                recording.name,
                session.choice("model") or model_names()[0],
                settings,
                voice=voice,
                mixed=voice and session.choice("voice_mixed"),
            ),
            language="bash",
            wrap_lines=True,
        )
        if voice:
            st.caption(t("DIR: a folder with the recordings of this person."))


def command_line(name: str, model: str, settings: AnalysisSettings, *, voice: bool = False, mixed: bool = False) -> str:
    """Return the command that computes the same analysis."""
    default = AnalysisSettings()
    words = ["python", "-m", "ser_core", "analyse", name if not name.startswith("-") else f"./{name}", "--model", model]
    options = {
        "--voice": "DIR" if voice else None,
        "--emotion": settings.emotion,
        "--against": settings.against,
        "--stretch": settings.stretch_s and "{:.2f}:{:.2f}".format(*settings.stretch_s),
        "--layer": settings.grad_cam.layer,
        "--fill": settings.lime.fill if settings.lime.fill != default.lime.fill else None,
        "--masks": settings.lime.masks if settings.lime.masks != default.lime.masks else None,
        "--seed": settings.seed or None,
        "--smoothing": settings.focus.smoothing_s if settings.focus.smoothing_s != default.focus.smoothing_s else None,
        "--focus-by": settings.focus_by if settings.focus_by in FOCUS_METHODS[1:] else None,
        "--focus-share": settings.focus.share,
        "--threshold": settings.focus.threshold,
    }
    words += ["--mixed-voice"] if mixed else []
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    return shlex.join(words)
