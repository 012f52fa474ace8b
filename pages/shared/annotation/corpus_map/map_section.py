"""The view Map: all recordings of a project as points, to play, choose, label together or make the queue."""

import hashlib
from collections.abc import Mapping, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared import cached, controls, session, waiting
from pages.shared.annotation.corpus_map import MapContent, map_of_points
from pages.shared.annotation.corpus_map.axes_in_words import describe_axes
from pages.shared.annotation.corpus_map.choice_section import show_choice
from pages.shared.annotation.corpus_map.contents import COLOURINGS, content_of
from pages.shared.annotation.open_project import OpenProject
from pages.shared.annotation.queue import opening
from pages.shared.annotation.tiers.label_tiers import choose_label_tier, label_tiers
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.player.media import served
from ser_core.analysis import Region
from ser_core.annotations.annotation import Tier
from ser_core.annotations.corpus_map.features import require_features
from ser_core.annotations.corpus_map.layout import MIN_RECORDINGS_OF_SPEAKER
from ser_core.annotations.corpus_map.mapping import COMPONENTS, LAYOUTS, NEIGHBOURS, CorpusMap, corpus_map
from ser_core.annotations.corpus_map.points import point_of
from ser_core.annotations.corpus_map.saved_features import FeatureFolder
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.annotations.store.recordings import speakers_of
from ser_core.annotations.store.transactions.labels import LabelledRecording
from ser_core.audio.cutting import wav_bytes
from ser_core.errors import ModelRefused, SerError
from ser_core.model.classifier import NetworkClassifier
from ser_core.output.saved_analyses import data_folder
from ser_core.work.jobs import Job, work_owner
from ser_core.work.progress import Work

DEFAULT_MODEL = "whisper"
LAYOUT_NAMES = texts({COMPONENTS: "principal components", NEIGHBOURS: "neighbours"})
WHOLE_RECORDINGS = texts("whole recordings")
OWNERS = texts({"me": "mine", "anybody": "everybody's"})
#: The model runs on up to this many new recordings without a click.
MAX_WITHOUT_CLICK = 20
#: A recording is played up to here.
PLAYED_S = 20.0


def show(project: OpenProject) -> None:
    """Show the map and, below it, the recordings chosen there."""
    if not project.store.recordings.page(project.id, size=1).total:
        st.info(t("This project is empty. Add recordings in the view Queue."), icon=":material/scatter_plot:")
        return
    classifier = _classifier()
    if classifier is None:
        return
    recordings, tier = _controls(project)
    job = _job(recordings, classifier)
    found = waiting.results({"map": job}).get("map") if job else None
    if found is None:
        return
    if found.left_out:
        st.caption(
            plural(
                found.left_out,
                "{n} recording without a point: its sound is missing, cannot be read, or is longer than ten minutes.",
                "{n} recordings without a point: its sound is missing, cannot be read, or is longer than ten minutes.",
            )
        )
        st.button(t("Look again"), icon=":material/refresh:", on_click=job.queue.drop, args=(job,))
    if found.unadjusted:
        st.caption(
            plural(
                found.unadjusted,
                "{n} recording stays as it is: its speaker is not known, or has fewer than {limit} recordings.",
                "{n} recordings stay as they are: their speakers are not known, or have fewer than {limit} recordings.",
                limit=MIN_RECORDINGS_OF_SPEAKER,
            )
        )
    if not found.sha256:
        return
    by_sha256 = {recording.file.sha256: recording for recording in recordings}
    shown = [by_sha256[sha256] for sha256 in found.sha256]
    annotator = project.annotator if session.choice("map_whose") == "me" else None
    points = [
        point_of(recording, verdict, classifier.emotions, annotator, tier)
        for recording, verdict in zip(shown, found.verdicts, strict=True)
    ]
    content = content_of(found, [recording.file.name for recording in shown], points)
    _map(project, content, shown)
    describe_axes(found, points, classifier)
    show_choice(project, shown, points, found, tier)


def _classifier() -> NetworkClassifier | None:
    """Return the model of the sidebar or, if it gives no features, the default model."""
    name = controls.model_name()
    try:
        if name is not None:
            require_features(name)
    except ModelRefused as refusal:
        st.info(
            t(
                "{refusal} Using **{model}** instead.",
                refusal=in_markdown(recognised(str(refusal))),
                model=DEFAULT_MODEL,
            ),
            icon=":material/hearing:",
        )
        name = DEFAULT_MODEL
    return None if name is None else cached.model(name)


def _controls(project: OpenProject) -> tuple[Sequence[LabelledRecording], Tier | None]:
    """Show the choices of layout, colours and labels; return the recordings, and the chosen tier of labels if any."""
    if label_tiers(project):
        layout_column, label_column, owner_column = st.columns(3, vertical_alignment="bottom")
        colour_column = st.container()
    else:
        layout_column, colour_column, owner_column = st.columns([1.3, 2, 1], vertical_alignment="bottom")
        label_column = owner_column
    _layout_and_colour(layout_column, colour_column, owner_column)
    with label_column:
        help_text = t(
            "In a tier, a recording has the label that lasts longest there or, with points, the most frequent one."
        )
        tier = choose_label_tier(project, t("Labels of"), help_text, WHOLE_RECORDINGS, "stretch")
    recordings = project.store.labels.of(project.id, tier and tier.key)
    if speakers_of(recording.file for recording in recordings):
        st.toggle(
            t("Remove each speaker's mean"),
            help=t(
                "Voices differ more than emotions do, and so decide where recordings lie. Without the mean of their "
                "speaker, recordings lie by how they differ from that person's others. It needs at least "
                "{limit} recordings by a speaker.",
                limit=MIN_RECORDINGS_OF_SPEAKER,
            ),
            **session.widget("map_without_speakers", session.choice("map_without_speakers")),
        )
    return recordings, tier


def _layout_and_colour(
    layout_column: DeltaGenerator, colour_column: DeltaGenerator, owner_column: DeltaGenerator
) -> None:
    layout_column.selectbox(
        t("Lay out by"),
        LAYOUTS,
        format_func=lambda layout: t(LAYOUT_NAMES[layout]),
        help=t(
            "Principal components: the two directions in which the recordings differ most. Neighbours "
            "(t-SNE): those that the model finds alike lie together."
        ),
        **session.widget("map_layout", session.choice("map_layout")),
    )
    colour_column.segmented_control(
        t("Colour by"),
        list(COLOURINGS),
        format_func=lambda colouring: t(COLOURINGS[colouring]),
        required=True,
        **session.widget("map_colour", session.choice("map_colour")),
    )
    owner_column.selectbox(
        t("Whose labels"),
        list(OWNERS),
        format_func=lambda owner: t(OWNERS[owner]),
        help=t("Everybody's: the label that most people name."),
        **session.widget("map_whose", session.choice("map_whose")),
    )


def _job(recordings: Sequence[LabelledRecording], classifier: NetworkClassifier) -> Job | None:
    """Return the job that makes the map; running the model on many recordings takes a click first."""
    files = [recording.file for recording in recordings]
    sha256, kind, data = [file.sha256 for file in files], session.choice("map_layout"), data_folder()
    speakers = (session.choice("map_without_speakers") and speakers_of(files)) or None
    speakers_key = speakers and frozenset(speakers.items())
    key = ("map", classifier.sha256, kind, hashlib.sha256(" ".join(sha256).encode()).hexdigest(), speakers_key)
    if cached.jobs().find(session.owner(), key) is None:
        new = FeatureFolder(data, classifier.sha256, len(classifier.emotions)).missing(sha256)
        if len(new) > MAX_WITHOUT_CLICK and not st.button(
            plural(len(new), "Run the model on {n} recording", "Run the model on {n} recordings"),
            type="primary",
            icon=":material/hearing:",
            help=t(
                "{name} takes about a quarter of a second for each, once. You can go on working.", name=classifier.name
            ),
        ):
            return None
        cached.jobs().withdraw(session.owner(), ("map",), running=True)

    def work(work: Work) -> CorpusMap:
        return corpus_map(sha256, sounds_of(files, data), classifier, kind, data, work, speakers)

    return cached.jobs().submit(session.owner(), key, "Map of recordings", work)


@st.fragment
def _map(project: OpenProject, content: MapContent, shown: Sequence[LabelledRecording]) -> None:
    """Show the map in a fragment; the rest of the page runs again only after opening or choosing recordings."""
    chosen_key, heard_key, refusal_key = (f"map {name} {project.id}" for name in ("chosen", "heard", "leave"))

    def play(indices: list[int], number: int) -> None:
        st.session_state[heard_key] = (content.of, indices[0], number) if indices else None

    def open_one(indices: list[int], _: int) -> None:
        st.session_state[refusal_key] = None
        if indices:
            file = shown[indices[0]].file
            st.session_state[refusal_key] = opening.open_recording(project, file.sha256)

    def choose(indices: list[int], _: int) -> None:
        st.session_state[chosen_key] = [shown[index].file.sha256 for index in indices]
        st.session_state[refusal_key] = None

    index_of = {recording.file.sha256: index for index, recording in enumerate(shown)}
    map_of_points(
        content,
        f"map of {project.id}",
        colouring=session.choice("map_colour"),
        chosen=[index_of[sha256] for sha256 in st.session_state.get(chosen_key, ()) if sha256 in index_of],
        sound=_sound(st.session_state.get(heard_key), content, shown),
        callbacks={"heard": play, "opened": open_one, "chosen": choose},
    )
    if refusal_key in st.session_state:
        refusal = st.session_state.pop(refusal_key)
        if refusal is None:
            st.rerun()
        st.error(in_markdown(recognised(refusal)), icon=":material/volume_off:")


def _sound(
    request: tuple[str, int, int] | None, content: MapContent, shown: Sequence[LabelledRecording]
) -> Mapping[str, object] | None:
    """Return the address of the requested sound, or why there is none."""
    if request is None or request[0] != content.of:
        return None
    _, index, number = request
    file = shown[index].file
    work_owner.set(session.owner())
    try:
        recording = sounds_of([file], data_folder())(file.sha256, Region(0.0, min(PLAYED_S, file.duration_s)))
    except SerError as refusal:
        return {"index": index, "number": number, "refusal": recognised(str(refusal))}
    if recording is None:
        return {"index": index, "number": number, "refusal": t("Its sound is not on this machine.")}
    wav = wav_bytes(recording.samples[: round(PLAYED_S * recording.sample_rate_hz)], recording.sample_rate_hz)
    identity = hashlib.sha256(wav).hexdigest()
    return {"index": index, "number": number, "address": served(wav, "audio/wav", identity, "map sound")}
