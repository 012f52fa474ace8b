"""How the voice decides: its acoustic correlates in the focus, and the changes of the voice that flip the verdict."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from pages.shared import session, waiting
from pages.shared.cached import explaining, measuring, sounds
from pages.shared.charts import axes
from pages.shared.charts.scores import lines_html, voice_curve_chart
from pages.shared.evidence.compared_models import listed
from pages.shared.evidence.spoken_words import Spoken
from pages.shared.language import language, recognised, t, texts
from pages.shared.player import player
from pages.shared.recording import voice_section
from ser_core.analysis import Analysis, Recording
from ser_core.audio.acoustic_correlates import Correlates, Differences, differences, notable_in_words
from ser_core.explanation.counterfactual.voice import (
    VoiceCounterfactuals,
    VoiceCurve,
    VoiceFlip,
    counterfactuals_in_words,
)
from ser_core.model.classifier import Classifier
from ser_core.model.scores import NO_SPEECH

HELP = texts("""
**What is different in the focus**: pitch, pitch range, level, syllable rate and spectral tilt of the focus regions,
compared with the rest, and with this person's other recordings if there are any under *Voice* in the sidebar. The
level there also depends on the microphone.

**What would change the verdict**: the voice is made higher or lower, livelier or flatter, faster or slower, louder or
softer, brighter or darker, breathier or less so, and creaky, one at a time, and the model classifies each changed
sound. Formants stay where they are. Breathiness is the level of the noise beside the harmonics; creak weakens the
periods between at most 80 irregular pulses a second.
The white part of each chart is natural: three in four pairs of recordings in which one speaker says one sentence in two
emotions differ by less. Circles are the control, a voice that was changed a little and changed back.
""")
CHANGED = texts({session.WHOLE: "The whole recording", session.FOCUS: "The focus alone"})
PER_ROW = 4
#: Maximum number of versions that the player offers beside the recording.
MAX_SOUNDS = 4
#: Name, format of the value and of the difference, by the fields of `Correlates` and `Differences`.
MEASURES = texts(
    {
        ("pitch_hz", "pitch_st"): ("Pitch", "{value:z.0f} Hz", "{value:+z.1f} st"),
        ("pitch_range_st", "pitch_range_st"): ("Pitch range", "{value:z.1f} st", "{value:+z.1f} st"),
        ("level_dbfs", "level_db"): ("Level", "{value:z.1f} dBFS", "{value:+z.1f} dB"),
        ("rate_hz", "rate_percent"): ("Rate", "{value:z.1f} syll./s", "{value:+z.0f} %"),
        ("tilt_db", "tilt_db"): ("Spectral tilt", "{value:z.1f} dB/oct", "{value:+z.1f} dB/oct"),
    }
)


def show(analysis: Analysis, classifier: Classifier, spoken: Spoken) -> None:
    """Show how the voice differs in the focus, and offer to change it and classify it again.

    Parameters
    ----------
    spoken : Spoken
        The words of the recording that are known so far.
    """
    st.header(t("How: what in the voice decides"), divider="gray", help=t(HELP))
    if analysis.verdict == NO_SPEECH:
        st.markdown(t("Hardly any speech was detected, so there is no voice to measure or change."))
        return
    regions = tuple(focus.region for focus in analysis.focus)
    if regions:
        measured = measuring.focus_correlates(analysis.recording.sha256, analysis.stretch, regions, analysis)
        _show_correlates(*measured, _correlates_of_others(analysis.recording))
    st.segmented_control(
        t("Change the voice of"),
        list(CHANGED),
        format_func=lambda changed: t(CHANGED[changed]),
        required=True,
        **session.widget("changed", session.choice("changed")),
    )
    changed_regions = regions if session.choice("changed") == session.FOCUS else ()
    if session.choice("changed") == session.FOCUS and not regions:
        st.markdown(t("No stretch is focus, so there is nothing to change in it alone."))
        return
    job = explaining.voice_changes_job(analysis, changed_regions, classifier, submit=False)
    if job is None:
        st.button(
            t("Change the voice and ask again"),
            icon=":material/graphic_eq:",
            on_click=explaining.voice_changes_job,  # a callback, so that another run cannot lose the click
            args=(analysis, changed_regions, classifier),
            kwargs={"submit": True},
        )
        st.caption(
            t(
                "Some ninety changed versions are classified: for a short recording this takes seconds, for 30 s "
                "a minute or more."
            )
        )
        return
    found = waiting.results({"voice changes": job}).get("voice changes")
    if found:
        _result(found, analysis, spoken.within(analysis.stretch), job.key)


def _correlates_of_others(recording: Recording) -> Correlates | None:
    """Return the median correlates of this visit's other recordings of this voice, once they are measured."""
    others = voice_section.others_of_voice(recording)
    if not others:
        return None
    return waiting.results({"usual voice": measuring.median_correlates_job(others)}).get("usual voice")


def _show_correlates(inside: Correlates, outside: Correlates, in_others: Correlates | None) -> None:
    """Describe what is unusual in the focus, and list the measures."""
    compared = [(t("In the rest"), t("Difference"), outside)]
    sentences = [differences_in_words(differences(inside, outside), reference=t("in the rest"))]
    if in_others is not None:
        compared.append((t("In other recordings"), t("Difference from those"), in_others))
        sentences.append(
            differences_in_words(differences(inside, in_others), reference=t("in the other recordings of this voice"))
        )
    st.markdown(f"**{' '.join(sentences)}**")
    rows = []
    for (measure, difference), (name, value_format, difference_format) in MEASURES.items():
        row = {"": t(name), t("In the focus"): _formatted(getattr(inside, measure), value_format)}
        for column, difference_column, other in compared:
            row[column] = _formatted(getattr(other, measure), value_format)
            row[difference_column] = _formatted(getattr(differences(inside, other), difference), difference_format)
        rows.append(row)
    st.table(rows, hide_index=True)


def differences_in_words(found: Differences, reference: str) -> str:
    """Return one sentence on what is unusual in the focus, the most unusual first."""
    if found == Differences(None, None, None, None, None):
        return t("There is too little voice in the focus or {reference} to compare them.", reference=reference)
    words = list(map(recognised, notable_in_words(found)))
    if not words:
        return t("The voice in the focus is similar to that {reference}.", reference=reference)
    return t(
        "The voice in the focus is {differences} than {reference}.", differences=listed(words), reference=reference
    )


def _formatted(value: float | None, template: str) -> str:
    return "–" if value is None else t(template, value=value).replace("-", "−")


def _result(found: VoiceCounterfactuals, analysis: Analysis, spoken: Spoken, key: object) -> None:
    """Show what flips the verdict, the curves, and the sounds before and after."""
    st.markdown(f"**{in_words(found, analysis.emotions)}**")
    _show_curves(found, analysis.emotions)
    flips = sorted((flip for curve in found.curves for flip in curve.flips), key=lambda flip: flip.size)[:MAX_SOUNDS]
    if flips:
        _play_before_and_after(found, flips, analysis, spoken, key)


def _show_curves(found: VoiceCounterfactuals, emotions: tuple[str, ...]) -> None:
    st.html(lines_html(emotions))
    st.caption(
        t(
            "Lines: the scores. Grey: unnatural. Circles: the control, a voice changed a little and back. Vertical "
            "dotted lines: the smallest natural changes that flip the verdict."
        )
    )
    dark = st.context.theme.type == "dark"
    for start in range(0, len(found.curves), PER_ROW):
        for column, curve in zip(
            st.columns(PER_ROW, gap="medium"), found.curves[start : start + PER_ROW], strict=False
        ):
            column.markdown(f"**{t(curve.property.name)}**")
            column.plotly_chart(
                voice_curve_chart(curve, emotions, dark),
                width="stretch",
                key=f"curve_{curve.property.field}",
                config=axes.config(buttons=False),
            )
            column.caption(curve_in_words(curve, found, emotions))


def _play_before_and_after(
    found: VoiceCounterfactuals, flips: Sequence[VoiceFlip], analysis: Analysis, spoken: Spoken, key: object
) -> None:
    names = {
        f"{recognised(flip.property.in_words(flip.amount))}: {t(analysis.emotions[flip.emotion])}": flip
        for flip in flips
    }
    voices = sounds.changed_voices((key, language()), found, names)
    st.markdown(
        t("**Before and after**"),
        help=t(
            "Switch while it plays, also with the keys 1 to 5. All versions are equally loud, unless "
            "loudness is what changed. At another tempo the same second is another moment of what is said; "
            "the words are the recording's."
        ),
    )
    player(
        voices.recording,
        key="how_player",
        regions=[*found.regions],
        regions_title=t("Changed regions"),
        words=spoken.words,
        word_evidence=spoken.evidence,
        other_sounds=voices.sounds,
        measure=partial(measuring.measures_job, made_from=analysis.recording.sha256),
    )


def in_words(found: VoiceCounterfactuals, emotions: tuple[str, ...]) -> str:
    """Describe the smallest natural change of all that flips the verdict, if there is one."""
    if found.smallest is None:
        return recognised(counterfactuals_in_words(found, tuple(map(t, emotions))))
    return t(
        "{flip} instead of {verdict}: the smallest natural change in the focus that does this."
        if found.regions
        else "{flip} instead of {verdict}: the smallest natural change of the voice that does this.",
        flip=_flip_in_words(found.smallest, emotions),
        verdict=t(emotions[int(found.original.argmax())]),
    )


def _flip_in_words(flip: VoiceFlip, emotions: tuple[str, ...]) -> str:
    change = recognised(flip.property.in_words(flip.amount))
    return t("{change}, and it is {emotion}", change=change[0].upper() + change[1:], emotion=t(emotions[flip.emotion]))


def curve_in_words(curve: VoiceCurve, found: VoiceCounterfactuals, emotions: tuple[str, ...]) -> str:
    """Describe the smallest natural changes of one property that flip the verdict, or the reason why none does."""
    if curve.flips:
        return "; ".join(_flip_in_words(flip, emotions) for flip in curve.flips) + "."
    verdict = int(found.original.argmax())
    if curve.control.argmax() != verdict:
        return t("Changing it and back already changes the verdict, so nothing can be said of this property.")
    if np.any(curve.scores.argmax(axis=1) != verdict):
        return t("Only an unnatural change flips the verdict.")
    return t("It stays {emotion}.", emotion=t(emotions[verdict]))
