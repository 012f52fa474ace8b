"""The focus regions beside the player: the rule that finds them, their table, and their downloads."""

import numpy as np
import streamlit as st

from pages.shared import session
from pages.shared.cached import measuring, sounds
from pages.shared.language import number, number_format, plural, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.player import RegionTable
from ser_core.analysis import Analysis, Region, moved
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats import FORMATS
from ser_core.audio.cutting import concatenate_regions, wav_bytes
from ser_core.output.focus_table import FocusRow, focus_rows, focus_zip
from ser_core.pipeline import focus_share
from ser_core.work.atomic_folder import folder_name

COLUMNS = texts(
    (
        ("No.", "The region's number in the player"),
        ("Start (s)", "Where it begins"),
        ("End (s)", "Where it ends"),
        ("Share of evidence", "Share of all evidence for the emotion that is inside"),
        ("Strength", "Mean of the profile inside, in the explainer's unit"),
        ("Level (dBFS)", "Mean level of the voiced frames inside, re full scale"),
        ("Louder by (dB)", "Compared with the voiced frames outside all focus regions"),
        ("Pitch (Hz)", "Median of the voiced frames inside"),
        ("Higher by (st)", "In semitones, compared with the median of the voiced frames outside all focus regions"),
        ("Words", "Words of which at least half is inside"),
    )
)
RULES = texts(
    {
        session.DECIDING: "What decides",
        session.SHARE: "Share of the speech",
        session.ABOVE: "Threshold",
    }
)
RULES_HELP = texts("""
- **What decides**: the fewest of the strongest stretches that suffice: from them alone the model predicts the same
  emotion, and without them another. At most four, none far weaker than the strongest; they start and end in dips of
  energy.
- **Share of the speech**: the strongest stretches, as much of the speech as you choose.
- **Threshold**: all stretches of at least 0.1 s where the evidence exceeds this percentage of its peak. At 0 % all
  evidence for the emotion counts, as in the paper.

Silence is never focus.
""")


def rule() -> None:
    """Ask for the rule that finds the focus regions, its size if it has one, and the smoothing of the profile."""
    has_size = session.choice("focus_rule") != session.DECIDING
    # An empty column would be a gap on a narrow screen.
    rules, *size, smoothing = st.columns([4, 3, 3] if has_size else [7, 3], gap="medium")
    rules.segmented_control(
        t("Focus"),
        list(RULES),
        format_func=lambda rule: t(RULES[rule]),
        required=True,
        help=t(RULES_HELP),
        **session.widget("focus_rule", session.choice("focus_rule")),
    )
    if session.choice("focus_rule") == session.SHARE:
        size[0].slider(
            t("Share of the speech (%)"), 5, 90, step=5, **session.widget("focus_share", session.choice("focus_share"))
        )
    if session.choice("focus_rule") == session.ABOVE:
        size[0].slider(
            t("Threshold (% of the peak)"), 0, 95, step=5, **session.widget("threshold", session.choice("threshold"))
        )
    smoothing.slider(
        t("Smoothing (s)"),
        0.0,
        0.5,
        step=0.01,
        format=number_format(2),
        help=t("The evidence over time is averaged over this long."),
        **session.widget("smoothing", session.choice("smoothing")),
    )


def in_words(analysis: Analysis) -> str:
    """Describe the focus: the number of stretches, their length, and their share of the speech that is explained."""
    count = len(analysis.focus)
    if not count:
        return t("No stretch is focus")
    seconds = sum(focus.region.duration_s for focus in analysis.focus)
    values = {"seconds": seconds, "share": 100 * focus_share(analysis, analysis.focus_by)}
    stretch, recording = analysis.stretch, analysis.recording
    if stretch.duration_s < recording.duration_s - 0.005:  # the time range has two decimals
        return plural(
            count,
            "One stretch, {seconds:.2f} s, {share:.0f} % of the speech from {start:.1f} to {end:.1f} s",
            "{n} stretches, {seconds:.2f} s, {share:.0f} % of the speech from {start:.1f} to {end:.1f} s",
            start=recording.start_s + stretch.start_s,
            end=recording.start_s + stretch.end_s,
            **values,
        )
    return plural(
        count,
        "One stretch, {seconds:.2f} s, {share:.0f} % of the speech",
        "{n} stretches, {seconds:.2f} s, {share:.0f} % of the speech",
        **values,
    )


def rows(analysis: Analysis, words: tuple[Region, ...]) -> list[FocusRow]:
    """Return the table's row of each focus region."""
    recording = analysis.recording
    return focus_rows(analysis, measuring.prosody(recording.sha256, recording), words) if analysis.focus else []


def table(analysis: Analysis, rows: list[FocusRow]) -> RegionTable:
    """Return the table for the player, with a column of words if there are any."""
    columns = len(COLUMNS) if any(row.words for row in rows) else len(COLUMNS) - 1
    recording, fade_s = analysis.recording, analysis.focus_settings.fade_s
    return RegionTable(
        columns=tuple((t(name), t(meaning)) for name, meaning in COLUMNS[:columns]),
        rows=tuple(_cells(row, recording.start_s)[:columns] for row in rows),
        sounds=tuple(
            sounds.region_sound(recording.sha256, focus.region, fade_s, recording) for focus in analysis.focus
        ),
    )


def _cells(row: FocusRow, from_s: float) -> tuple[str, ...]:
    def formatted(value: float | None, spec: str) -> str:
        return "–" if value is None else number(value, spec)

    return (
        str(row.number),
        number(from_s + row.start_s, ".2f"),
        number(from_s + row.end_s, ".2f"),
        t("{percent:.0f} %", percent=100 * row.share),
        number(row.strength, "#.2g").rstrip(".,"),  # 0.20 below 0.22, but no point without a digit
        formatted(row.level_dbfs, ".1f"),
        formatted(row.louder_db, "+z.1f"),
        formatted(row.pitch_hz, ".0f"),
        formatted(row.higher_st, "+z.1f"),
        row.words,
    )


def downloads(analysis: Analysis, rows: list[FocusRow]) -> None:
    """Offer all focus regions in one file."""
    recording, name = analysis.recording, folder_name(analysis.recording.name)
    with st.container(horizontal=True, gap="small"):  # wraps on a narrow screen
        st.download_button(
            t("One WAV"),
            lambda: wav_bytes(_concatenated(analysis), recording.sample_rate_hz),
            f"{name}-focus.wav",
            "audio/wav",
            help=t("All regions in a row, with 0.4 s of silence between them."),
            disabled=not rows,
            icon=":material/graphic_eq:",
            on_click="ignore",
        )
        st.download_button(
            t("ZIP with table"),
            lambda: focus_zip(analysis, rows),
            f"{name}-focus.zip",
            "application/zip",
            help=t("A WAV file for each region, and the table as focus.csv."),
            disabled=not rows,
            icon=":material/folder_zip:",
            on_click="ignore",
        )
        with st.popover(t("Annotation file"), icon=":material/label:", width="content", disabled=not rows):
            _offer_marks(analysis, name)


def _offer_marks(analysis: Analysis, name: str) -> None:
    st.markdown(t("The focus regions as intervals labelled *{emotion}*.", emotion=in_markdown(t(analysis.emotion))))
    marks = focus_marks(analysis)
    for key in ("textgrid", "elan", "csv"):
        file_format = FORMATS[key]
        st.download_button(
            file_format.name,
            lambda write=file_format.write: write([marks]).content,
            f"{name}-focus{file_format.endings[0]}",
            file_format.media_type,
            key=f"focus_{key}",
            on_click="ignore",
            width="stretch",
        )


def focus_marks(analysis: Analysis) -> AnnotatedRecording:
    """Return the focus regions as marks by the model with the explained emotion, in times of the whole recording.

    If the recording is a stretch, there is no SHA-256: a project without the whole recording would take the end of the
    stretch for its length.
    """
    recording = analysis.recording
    regions = [moved(one.region, recording.start_s) for one in analysis.focus]
    marks = [Annotation(region, annotator=analysis.model_name, emotion=analysis.emotion) for region in regions]
    sha256, until_s = None if recording.part_of else recording.sha256, recording.start_s + recording.duration_s
    return AnnotatedRecording(recording.name, sha256, until_s, recording.sample_rate_hz, tuple(marks))


def _concatenated(analysis: Analysis) -> np.ndarray:
    regions = [focus.region for focus in analysis.focus]
    return concatenate_regions(analysis.recording, regions, analysis.focus_settings.fade_s)
