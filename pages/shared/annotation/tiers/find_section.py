"""The view Find: find marks by label, length and the marks below them, and play the hits one after another."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

import numpy as np
import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.annotation.open_project import LABELS, OpenProject
from pages.shared.annotation.queue import opening
from pages.shared.language import number_column, plural, recognised, t, texts
from pages.shared.language.names import emotion_in_words, in_markdown, printable
from pages.shared.player import player
from ser_core.analysis import Point, Recording, Region, moved
from ser_core.annotations.annotation import REGION_TIER, Annotation, Tier
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.annotations.store.finding import MAX_HITS, Hit, MarkQuery
from ser_core.audio.cutting import region_samples
from ser_core.audio.reading import resample
from ser_core.errors import AnnotationsRefused, AudioRefused
from ser_core.output.saved_analyses import data_folder
from ser_core.work.progress import Work

#: At most this many hits are played, of this length in total, with this pause between them.
MAX_PLAYED, MAX_TOTAL_S, PAUSE_S = 50, 600.0, 0.4
#: What is played on each side of a point, and the fade at the edges of a hit.
AROUND_POINT_S, FADE_S = 0.15, 0.005
CUTTING = texts("Mark {number} of {total}")


def show(project: OpenProject) -> None:
    """Show the form and, once it is sent, the hits."""
    tiers = project.store.tiers.of(project.id)
    query = _form(project, tiers)
    if query is None:
        st.caption(t("For example: *angry* marks of at least 0.5 s over the word *nein*."))
        return
    hits = project.store.marks.find(project.id, query)
    if not hits:
        st.info(t("No mark matches."), icon=":material/search_off:")
        return
    st.markdown(
        t("**{n} marks**, the most that are listed", n=MAX_HITS)
        if len(hits) == MAX_HITS
        else plural(len(hits), "**{n} mark**", "**{n} marks**")
    )
    _table(project, hits)
    _sound(project, hits)


def _form(project: OpenProject, tiers: tuple[Tier, ...]) -> MarkQuery | None:
    """Show the form; return the query that was sent last in this project."""
    names = {tier.key: t(tier.name) if tier.key == REGION_TIER else tier.name for tier in tiers}
    others = {None: t("any other")} | names
    key = f"query of {project.id}"
    with st.form("find_marks"):
        label_column, tier_column, length_column = st.columns([2, 2, 1])
        label = label_column.selectbox(
            t("Marks labelled"),
            list(LABELS),
            index=None,
            format_func=emotion_in_words,
            accept_new_options=True,
            placeholder=t("anything"),
        )
        tier = tier_column.selectbox(t("In the tier"), list(names), format_func=lambda key: printable(names[key]))
        min_s = length_column.number_input(t("At least (s)"), 0.0, 3_600.0, 0.0, 0.1)
        label_column, tier_column, button_column = st.columns([2, 2, 1], vertical_alignment="bottom")
        over_label = label_column.text_input(t("Over marks labelled"), placeholder=t("anything"), max_chars=200)
        over_tier = tier_column.selectbox(
            t("Of the tier"), list(others), format_func=lambda key: printable(others[key])
        )
        if button_column.form_submit_button(t("Find"), type="primary", icon=":material/search:", width="stretch"):
            try:
                st.session_state[key] = MarkQuery(label or "", tier or REGION_TIER, min_s, over_tier, over_label)
            except AnnotationsRefused as refusal:
                st.error(in_markdown(recognised(str(refusal))), icon=":material/block:")
                return None
    return st.session_state.get(key)


def _table(project: OpenProject, hits: tuple[Hit, ...]) -> None:
    rows = [
        {
            t("Recording"): printable(hit.file.name),
            t("Mark"): _in_words(hit.mark),
            t("Start (s)"): round(hit.mark.region.start_s, 3),
            t("Length (s)"): round(hit.mark.region.duration_s, 3),
            t("Over"): "" if hit.over is None else _in_words(hit.over),
            t("Annotator"): printable(hit.mark.annotator),
        }
        for hit in hits
    ]
    chosen = st.dataframe(
        rows,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"hits of {project.id} {st.session_state[f'query of {project.id}']}",
        column_config={title: number_column(title, 3) for title in (t("Start (s)"), t("Length (s)"))},
    )
    chosen_rows = [row for row in chosen["selection"]["rows"] if row < len(hits)]
    if chosen_rows and st.button(t("Open at this mark"), icon=":material/edit:"):
        hit = hits[chosen_rows[0]]
        refusal = opening.open_recording(project, hit.file.sha256, hit.mark)
        if refusal is None:
            st.rerun()
        st.error(in_markdown(recognised(refusal)), icon=":material/volume_off:")


def _sound(project: OpenProject, hits: tuple[Hit, ...]) -> None:
    """Show the hits joined to one sound, in a player that plays all of them, or one by a click."""
    played = hits[:MAX_PLAYED]
    key = ("hits", project.id, tuple((hit.mark.key, hit.mark.revision) for hit in played))
    queue, owner = cached.jobs(), session.owner()
    if queue.find(owner, key) is None:  # only one such sound is stored at a time
        queue.forget(owner, about="hits")
    job = queue.submit(owner, key, "Cutting the hits", lambda work: joined(played, work))
    done = waiting.results({"hits": job})
    if "hits" not in done:
        return
    recording, regions = done["hits"]
    if recording is None:
        st.caption(t("None of these recordings has its sound on this machine."))
        return
    if len(regions) < len(hits):
        st.caption(
            plural(
                len(regions),
                "Below, one after another: {n} mark whose sound is here; at most {limit}, of {minutes:.0f} minutes.",
                "Below, one after another: {n} marks whose sound is here; at most {limit}, of {minutes:.0f} minutes.",
                limit=MAX_PLAYED,
                minutes=MAX_TOTAL_S / 60,
            )
        )
    labelled = [replace(region, label=region.label or t("no label")) for region in regions]
    player(recording, key="hits", regions=labelled, regions_title=t("Hits"))


def joined(hits: tuple[Hit, ...], work: Work) -> tuple[Recording | None, tuple[Region, ...]]:
    """Return the sounds of hits, one after another, as a recording, and the region of each in it."""
    read = sounds_of({hit.file for hit in hits}, data_folder())

    @lru_cache(maxsize=1)  # hits are ordered by recording
    def read_whole(sha256: str) -> Recording | None:
        return read(sha256)

    def sound_of(hit: Hit) -> Recording | None:
        with suppress(AudioRefused):
            return read(hit.file.sha256, hit.mark.region) if hit.file.is_long else read_whole(hit.file.sha256)
        return None

    pieces: list[np.ndarray] = []
    regions: list[Region] = []
    rate, position = 0, 0
    for number, hit in enumerate(hits):
        work.check("Cutting was stopped.")
        work.report(number / len(hits), CUTTING.format(number=number + 1, total=len(hits)))
        sound = sound_of(hit)
        if sound is None:
            continue
        rate = rate or sound.sample_rate_hz
        cut = region_samples(sound, _played_region(moved(hit.mark.region, -sound.start_s), sound.duration_s), FADE_S)
        if sound.sample_rate_hz != rate:
            cut = resample(cut, sound.sample_rate_hz, rate)
        if not len(cut):  # the mark is shorter than a sample
            continue
        if pieces and position + len(cut) > MAX_TOTAL_S * rate:
            break
        regions.append(Region(position / rate, (position + len(cut)) / rate, label=hit.mark.emotion or hit.mark.note))
        pieces += [cut, np.zeros(round(PAUSE_S * rate), np.float32)]
        position += len(cut) + len(pieces[-1])
    if not pieces:
        return None, ()
    samples = np.concatenate(pieces).astype(np.float32)
    samples.setflags(write=False)
    return Recording("Hits", hashlib.sha256(samples.tobytes()).hexdigest(), samples, rate), tuple(regions)


def _played_region(region: Region, duration_s: float) -> Region:
    if not isinstance(region, Point):
        return region
    return Region(max(0.0, region.start_s - AROUND_POINT_S), min(duration_s, region.end_s + AROUND_POINT_S))


def _in_words(mark: Annotation) -> str:
    return emotion_in_words(mark.emotion) if mark.emotion else printable(mark.note) or t("no label")
