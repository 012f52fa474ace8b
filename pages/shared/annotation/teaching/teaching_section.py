"""The view Teach: fine-tune a model on the labels, and offer it only if it did not get worse."""

import uuid
from pathlib import Path

import streamlit as st

from pages.shared import cached, controls, session, waiting
from pages.shared.annotation.open_project import OpenProject, show_refusals
from pages.shared.annotation.teaching import foreseen_section
from pages.shared.annotation.teaching.foreseen_section import counts_in_words
from pages.shared.annotation.tiers.label_tiers import choose_label_tier
from pages.shared.language import plural, recognised, t
from pages.shared.language.names import in_markdown
from ser_core.annotations.annotation import Tier
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.annotations.store.recordings import speakers_of
from ser_core.annotations.teaching.corpus import CORPUS, TAUGHT, TaughtCorpus, write_taught_corpus
from ser_core.annotations.teaching.taught_model import (
    Acceptance,
    acceptance_of,
    first_teachable,
    learns_in_epochs,
    recording_of_pieces,
    require_teachable,
    training_arguments,
)
from ser_core.errors import ModelRefused
from ser_core.learning.evaluation import predict_corpora
from ser_core.model.checkpoint import training_list
from ser_core.model.shipped_models import MODELS, find_model
from ser_core.output.saved_analyses import data_folder
from ser_core.work.atomic_folder import folder_name
from ser_core.work.progress import Work
from ser_core.work.training_process import train_in_process

#: Missing on servers where visitors may not train.
TRAIN_PAGE = Path(__file__).parents[3] / "5_Train.py"
EVERYBODY = "everybody"  # as on the page Train: one training at a time on this machine


def show(project: OpenProject) -> None:
    """Show three steps: make a corpus of the labels, train a model further on it, compare before and after."""
    model = _model_to_teach()
    if model is None:
        return
    st.markdown(
        t(
            "Recordings labelled as *done* become a corpus, and **{model}** is trained further on it. Some "
            "recordings that were not in its training are held out; the new model is offered only if it is "
            "no worse on them. Choose the model to start from in the sidebar.",
            model=in_markdown(model),
        )
    )
    help_text = t(
        "Labels of a tier teach the emotion that they stand for: *Tiers*, on Mark, says which. They count as done once "
        "their annotator has set the recording to done."
    )
    tier = choose_label_tier(project, t("Learn from"), help_text)
    if tier is not None and tier.kind == "points":
        words = t("A point has no length, so there is no sound to learn from. Choose a tier of intervals.")
        st.info(words, icon=":material/school:")
        return
    with st.container():  # otherwise changes here would move the rest of the page
        show_refusals()
    foreseen = foreseen_section.show(project, model, tier)
    nothing = foreseen is not None and not foreseen.pieces
    if st.button(
        t("1 · Make a corpus"),
        type="primary",
        icon=":material/library_add:",
        disabled=nothing,
        help=t("There is nothing to teach yet: label recordings, and set them to *done*.") if nothing else None,
    ):
        st.session_state[f"teaching {project.id}"] = _submit_corpus(project, model, tier)
    job = st.session_state.get(f"teaching {project.id}")
    done = waiting.results({"teach": job}) if job else {}
    if "teach" in done:
        teaching, base_model = done["teach"]
        _show_corpus(teaching)
        if TRAIN_PAGE.is_file():
            _train(project, teaching, base_model)
        else:
            _leave_to_operator(teaching)


def _model_to_teach() -> str | None:
    """Return the visitor's model, or another with a note if theirs cannot be taught."""
    model = controls.model_name()
    if model is None:
        return None
    try:
        require_teachable(model)
    except ModelRefused as refusal:
        model = first_teachable()
        st.info(
            t(
                "{refusal} Using **{model}** instead.",
                refusal=in_markdown(recognised(str(refusal))),
                model=in_markdown(model),
            ),
            icon=":material/school:",
        )
    return model


def _submit_corpus(project: OpenProject, model: str, tier: Tier | None) -> object:
    out = data_folder() / TAUGHT / f"{folder_name(project.name)}-{uuid.uuid4().hex[:8]}"

    def work(work: Work) -> tuple[TaughtCorpus, str]:
        files = project.store.recordings.files(project.id)
        recordings, sound_of = list(project.store.transfer.export(project.id)), sounds_of(files, data_folder())
        teaching = write_taught_corpus(
            recordings,
            sound_of,
            out,
            speakers=speakers_of(files),
            trained_on=training_list(find_model(model)),
            tier=tier,
            work=work,
        )
        return teaching, model

    return cached.jobs().submit(session.owner(), ("teach", str(out)), "A corpus of the labels", work)


def _show_corpus(teaching: TaughtCorpus) -> None:
    st.markdown(t("**Training:** {counts}", counts=counts_in_words(teaching.train_count)))
    st.markdown(t("**Held out:** {counts}", counts=counts_in_words(teaching.held_out_count)))
    st.caption(in_markdown(recognised(teaching.words)))
    for reason, count in teaching.reasons().items():
        st.caption(
            plural(
                count,
                "Left out: {n} label, {reason}.",
                "Left out: {n} labels, {reason}.",
                reason=in_markdown(recognised(reason)).rstrip("."),
            )
        )


def _leave_to_operator(teaching: TaughtCorpus) -> None:
    st.info(
        t(
            "This server does not train models. Its operator finds the corpus in the folder `{name}` under `{parent}`.",
            name=in_markdown(teaching.train.parent.name),
            parent=TAUGHT,
        ),
        icon=":material/model_training:",
    )


def _train(project: OpenProject, teaching: TaughtCorpus, base_model: str) -> None:
    has_epochs = learns_in_epochs(base_model)
    widths = [2, 1, 2] if has_epochs else [3, 2]
    name_column, *epochs_columns, button_column = st.columns(widths, vertical_alignment="bottom")
    name = name_column.text_input(t("New model name"), _free_name(base_model), max_chars=40, key="taught_name").strip()
    epochs = [str(column.number_input(t("Epochs"), 1, 100, 10, key="taught_epochs")) for column in epochs_columns]
    is_valid = name.replace("-", "").replace("_", "").isalnum() and not (MODELS / name).exists()
    job = cached.trainings().find(EVERYBODY, "training")
    is_busy = job is not None and job.state in ("waiting", "running")
    taught_key = f"taught model {project.id}"
    if button_column.button(
        t("2 · Train"),
        type="primary",
        icon=":material/model_training:",
        width="stretch",
        disabled=is_busy or not is_valid,
    ):
        if job is not None:
            cached.trainings().drop(job)
        arguments = training_arguments(teaching, base_model, str(MODELS / name))
        if epochs:
            arguments = [*arguments, "--epochs", *epochs]
        job = cached.trainings().submit(
            EVERYBODY,
            "training",
            "Training",
            lambda work: train_in_process(arguments, work),
        )
        st.session_state[taught_key] = name, teaching.train
    taught, corpus = st.session_state.get(taught_key, (None, None))
    if corpus != teaching.train:
        taught = None  # trained on an older corpus, whose clips may be held out now
    if not is_valid and taught != name:
        st.info(t("Choose a new name of letters, digits, - and _."), icon=":material/edit:")
    if taught is None or job is None:
        return
    if "train" in waiting.results({"train": job}) and (MODELS / taught).is_dir():
        _compare(teaching, base_model, taught)


def _free_name(base_model: str) -> str:
    """Return the first unused name for a model taught from another one; "" if there is none."""
    suffixes = ("", *(f"-{number}" for number in range(2, 100)))
    names = (f"{base_model}-taught{suffix}" for suffix in suffixes)
    return next((name for name in names if not (MODELS / name).exists()), "")


def _compare(teaching: TaughtCorpus, base_model: str, taught: str) -> None:
    if teaching.held_out is None:
        st.warning(t("No recordings were held out, so the models cannot be compared."), icon=":material/help:")
        return
    job = cached.jobs().submit(
        session.owner(),
        ("taught", str(teaching.held_out), base_model, taught),
        "Before and after",
        lambda work: _evaluate(teaching.held_out, base_model, taught, work),
    )
    done = waiting.results({"taught": job})
    if "taught" not in done:
        return
    acceptance: Acceptance = done["taught"]
    words = t(
        "**{taught_model}** compared with {base_model}: {words}",
        taught_model=in_markdown(taught),
        base_model=in_markdown(base_model),
        words=in_markdown(recognised(acceptance.words)),
    )
    if not acceptance.offered:
        st.warning(words, icon=":material/thumb_down:")
        return
    st.success(words, icon=":material/thumb_up:")
    if st.button(t("3 · Use {taught_model} from now on", taught_model=in_markdown(taught)), icon=":material/check:"):
        session.choose("model", taught)
        st.rerun()


def _evaluate(held_out: Path, base_model: str, taught: str, work: Work) -> Acceptance:
    before, after = (predict_corpora(model, {CORPUS: str(held_out)}, work)[0] for model in (base_model, taught))
    return acceptance_of(before, after, recording_of_pieces(held_out))
