"""Teach a model what people labelled, and offer it only where it did not get worse."""

import uuid
from pathlib import Path

import streamlit as st

from pages.shared import cached, controls, session, waiting
from pages.shared.annotation.place import Place
from pages.shared.names import in_markdown
from ser_core.annotations.formats.format import counted
from ser_core.annotations.store.kept_sounds import sounds_of
from ser_core.annotations.store.store import EVERY
from ser_core.annotations.teaching.acceptance import Acceptance, acceptance_of, recording_of_pieces
from ser_core.annotations.teaching.held_out import CORPUS
from ser_core.annotations.teaching.teaching import (
    TAUGHT,
    Teaching,
    first_teachable,
    require_teachable,
    training_arguments,
    write_teaching,
)
from ser_core.errors import ModelRefused
from ser_core.learning.model_evaluation import predict_corpora
from ser_core.model.checkpoint import MODELS, find_model, training_list
from ser_core.output.saved_analyses import data_folder
from ser_core.work.atomic_folder import folder_name
from ser_core.work.progress import Work
from ser_core.work.training_process import train_in_process

#: A server whose visitors are not to train comes without it.
TRAIN_PAGE = Path(__file__).parents[2] / "5_Train.py"
EVERYBODY = "everybody"  # as on the page Train: one training at a time for the machine


def show(place: Place) -> None:
    """Three steps: a corpus of what is labelled, a training that goes on from a model, and the comparison."""
    model = controls.model_name()
    if model is None:
        return
    try:
        require_teachable(model)
    except ModelRefused as refusal:
        model = first_teachable()
        st.info(f"{in_markdown(str(refusal))} Here **{in_markdown(model)}** is taught.", icon=":material/school:")
    st.markdown(
        f"What is labelled and *done* becomes a corpus, and **{in_markdown(model)}** learns from it. A part that the "
        "model has never heard is held out, and only a model that is not worse there is offered. Choose the model in "
        "the sidebar."
    )
    if st.button("1 · Make a corpus of the labels", type="primary", icon=":material/library_add:"):
        st.session_state[f"teaching {place.project}"] = _submit_corpus(place, model)
    job = st.session_state.get(f"teaching {place.project}")
    done = waiting.results({"teach": job}) if job else {}
    if "teach" not in done:
        return
    teaching, begun = done["teach"]
    _show_corpus(teaching)
    if TRAIN_PAGE.is_file():
        _train(place, teaching, begun)
    else:
        st.info(
            "Models are not trained on this server. Whoever runs it finds the corpus in the folder "
            f"`{in_markdown(teaching.train.parent.name)}` under `{TAUGHT}`.",
            icon=":material/model_training:",
        )


def _submit_corpus(place: Place, model: str) -> object:
    out = data_folder() / TAUGHT / f"{folder_name(place.project_name)}-{uuid.uuid4().hex[:8]}"

    def work(work: Work) -> tuple[Teaching, str]:
        files = [queued.file for queued in place.store.recordings(place.project, size=EVERY).items]
        recordings, sound_of = list(place.store.export(place.project)), sounds_of(files, data_folder())
        heard = training_list(find_model(model))
        teaching = write_teaching(recordings, sound_of, out, heard=heard, work=work)
        return teaching, model

    return cached.jobs().submit(session.owner(), ("teach", str(out)), "A corpus of the labels", work)


def _show_corpus(teaching: Teaching) -> None:
    for words, counts in (("To learn from", teaching.train_count), ("Held out", teaching.held_out_count)):
        found = ", ".join(f"{in_markdown(emotion)} {count}" for emotion, count in counts.items())
        st.markdown(f"**{words}:** {found or 'nothing'}")
    st.caption(in_markdown(teaching.words))
    for reason, count in teaching.reasons().items():
        st.caption(f"Left out: {counted(count, 'label')}, {in_markdown(reason).rstrip('.')}.")


def _train(place: Place, teaching: Teaching, begun: str) -> None:
    columns = st.columns([2, 1, 2], vertical_alignment="bottom")
    of_project = f"taught model {place.project}"
    name = columns[0].text_input("Name of the new model", f"{begun}-taught", max_chars=40, key="taught_name").strip()
    epochs = columns[1].number_input("Epochs", 1, 100, 10, key="taught_epochs")
    fits = name.replace("-", "").replace("_", "").isalnum() and not (MODELS / name).exists()
    known = cached.trainings().find(EVERYBODY, "training")
    busy = known is not None and known.state in ("waiting", "running")
    if columns[2].button(
        "2 · Train", type="primary", icon=":material/model_training:", width="stretch", disabled=busy or not fits
    ):
        if known is not None:
            cached.trainings().drop(known)
        arguments = [*training_arguments(teaching, begun, str(MODELS / name)), "--epochs", str(epochs)]
        known = cached.trainings().submit(
            EVERYBODY,
            "training",
            "Training",
            lambda work: train_in_process(arguments, work),
        )
        st.session_state[of_project] = name, teaching.train
    taught, learnt_from = st.session_state.get(of_project, (None, None))
    if learnt_from != teaching.train:
        taught = None  # of an older corpus, whose pieces may be among those that are held out now
    if not fits and taught != name:
        st.info("Give the model a name of letters, digits, - and _ that no model here has.", icon=":material/edit:")
    if taught is None or known is None:
        return
    if "train" in waiting.results({"train": known}) and (MODELS / taught).is_dir():
        _compare(teaching, begun, taught)


def _compare(teaching: Teaching, begun: str, taught: str) -> None:
    if teaching.held_out is None:
        st.warning("Nothing was held out, so that nobody knows whether it got better.", icon=":material/help:")
        return
    job = cached.jobs().submit(
        session.owner(),
        ("taught", str(teaching.held_out), begun, taught),
        "Before and after",
        lambda work: _compared(teaching.held_out, begun, taught, work),
    )
    done = waiting.results({"taught": job})
    if "taught" not in done:
        return
    better: Acceptance = done["taught"]
    show_words, icon = (st.success, ":material/thumb_up:") if better.offered else (st.warning, ":material/thumb_down:")
    show_words(f"**{in_markdown(taught)}** beside {in_markdown(begun)}: {in_markdown(better.words)}", icon=icon)
    if better.offered and st.button(f"3 · Use {in_markdown(taught)} from now on", icon=":material/check:"):
        session.choose("model", taught)
        st.rerun()


def _compared(held_out: Path, begun: str, taught: str, work: Work) -> Acceptance:
    before, after = (predict_corpora(model, {CORPUS: str(held_out)}, work)[0] for model in (begun, taught))
    return acceptance_of(before, after, recording_of_pieces(held_out))
