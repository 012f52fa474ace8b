"""The view Teach: fine-tune a model on the labels, and offer it only if it did not get worse."""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from pages.shared import cached, controls, session, waiting
from pages.shared.annotation.open_project import OpenProject, attempt, choose_recordings, show_refusals
from pages.shared.annotation.tiers.tiers_section import label_tier
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from ser_core.annotations.annotation import STATUSES, Tier
from ser_core.annotations.saved_sounds import last_change_of_sounds, saved_file, sounds_of
from ser_core.annotations.store.recordings import speakers_of
from ser_core.annotations.teaching.corpus import CORPUS, TAUGHT, Teaching, write_teaching
from ser_core.annotations.teaching.foreseen import Foreseen, LeftOut, foresee
from ser_core.annotations.teaching.taught_model import (
    Acceptance,
    acceptance_of,
    first_teachable,
    learns_in_epochs,
    recording_of_pieces,
    require_teachable,
    speakers_in_words,
    training_arguments,
)
from ser_core.errors import ModelRefused
from ser_core.learning.evaluation import predict_corpora
from ser_core.model.checkpoint import MODELS, find_model, read_card, training_list
from ser_core.output.saved_analyses import data_folder
from ser_core.work.atomic_folder import folder_name
from ser_core.work.progress import Work
from ser_core.work.training_process import train_in_process

#: Missing on servers where visitors may not train.
TRAIN_PAGE = Path(__file__).parents[2] / "5_Train.py"
MINE, EVERYBODYS = texts(("my marks", "everybody's marks"))
EVERYBODY = "everybody"  # as on the page Train: one training at a time on this machine


def show(project: OpenProject) -> None:
    """Show three steps: make a corpus of the labels, train a model further, compare before and after."""
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
    words = t(
        "Labels of a tier teach the emotion that they stand for: *Tiers*, on Mark, says which. They count as done once "
        "their annotator has set the recording to done."
    )
    tier = label_tier(project, t("Learn from"), words)
    if tier is not None and tier.kind == "points":
        words = t("A point has no length, so there is no sound to learn from. Choose a tier of intervals.")
        st.info(words, icon=":material/school:")
        return
    with st.container():  # otherwise changes here would move the rest of the page
        show_refusals()
    foreseen = _show_foreseen(project, model, tier)
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
        teaching, begun = done["teach"]
        _show_corpus(teaching)
        if TRAIN_PAGE.is_file():
            _train(project, teaching, begun)
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


def _show_foreseen(project: OpenProject, model: str, tier: Tier | None) -> Foreseen | None:
    """Show what a corpus would contain and leave out, and offer to fix that; None until it is known."""
    # Besides the marks, what is taught depends on the recordings that are there, who speaks in each, and their sounds.
    files = project.store.recordings.files(project.id)
    steps, sounds = project.store.history.newest_step(), last_change_of_sounds(data_folder())
    key = ("foreseen", project.id, model, tier, steps, files, sounds)
    job = cached.jobs().find(session.owner(), key)
    if job is None:
        cached.jobs().forget(session.owner(), about="foreseen")
        words = "What would be taught"
        job = cached.jobs().submit(session.owner(), key, words, lambda _: _foreseen(project, model, tier))
    found: Foreseen | None = waiting.results({"foreseen": job}).get("foreseen")
    if found is None:
        return None
    _show_taught(found)
    if not found.left_out:
        st.caption(t("Nothing is left out."))
        return found
    st.markdown(
        t("**Would be left out**"), help=t("Select rows to set the status of their marks, or to see the recordings.")
    )
    table = st.dataframe(
        [_row(row) for row in found.left_out],
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"left out {hash(key)}",
    )
    chosen = [found.left_out[row] for row in table.selection.rows]
    if chosen:
        _fix(project, chosen, tier)
    else:
        st.caption(t("Select rows to fix them."))
    return found


def _show_taught(found: Foreseen) -> None:
    st.markdown(
        plural(
            found.recordings,
            "**Would be taught:** {counts}, in {n} recording.",
            "**Would be taught:** {counts}, in {n} recordings.",
            counts=_counts(found.pieces),
        )
    )
    if found.decided:
        st.caption(
            plural(
                found.decided,
                "In {n} recording the gold layer counts instead of everybody's marks.",
                "In {n} recordings the gold layer counts instead of everybody's marks.",
            )
        )
    st.caption(recognised(speakers_in_words(found.speakers)))


def _row(left_out: LeftOut) -> dict[str, object]:
    return {
        t("Reason"): _as_sentence(printable(recognised(left_out.reason))),
        t("Recordings"): len(left_out.recordings),
        t("Labels"): left_out.labels,
        t("How to fix it"): recognised(left_out.remedy),
    }


def _counts(pieces: Mapping[str, int]) -> str:
    return ", ".join(f"{in_markdown(t(emotion))} {count}" for emotion, count in pieces.items()) or t("nothing")


def _as_sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _foreseen(project: OpenProject, model: str, tier: Tier | None) -> Foreseen:
    files = {file.sha256: file for file in project.store.recordings.files(project.id)}
    emotions = read_card(find_model(model))["emotions"]
    folder = data_folder()
    recordings = project.store.transfer.export(project.id)
    return foresee(recordings, files, lambda file: saved_file(file, folder) is not None, emotions, model, tier)


def _fix(project: OpenProject, chosen: Sequence[LeftOut], tier: Tier | None) -> None:
    """Offer to set the status of all marks in recordings in one step, and to open these in the queue."""
    sha256 = sorted({one for row in chosen for one in row.recordings})
    n = len(sha256)
    may_review = project.store.people.may_review(project.id, project.annotator)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        status = st.selectbox(t("Status"), STATUSES, STATUSES.index("done"), format_func=t, width=130)
        whose = st.selectbox(t("Of"), [MINE, *([EVERYBODYS] if may_review else [])], format_func=t, width=190)
        annotator = project.annotator if whose == MINE else None
        st.button(
            plural(n, "Set it in {n} recording", "Set it in {n} recordings"),
            icon=":material/done_all:",
            help=t("All marks that are taught, in these recordings. Undo on Mark reverts it, one recording at a time."),
            on_click=attempt,
            args=(_set_status, project, sha256, status, annotator, tier and tier.key),
        )
        st.button(
            plural(n, "Open {n} recording in the queue", "Open {n} recordings in the queue"),
            icon=":material/queue_music:",
            on_click=choose_recordings,
            args=(
                project,
                sha256,
                plural(n, "{n} recording left out of teaching", "{n} recordings left out of teaching"),
            ),
        )


def _set_status(
    project: OpenProject, sha256: Sequence[str], status: str, annotator: str | None, tier: str | None
) -> None:
    count = project.store.marks.set_status(project.id, sha256, project.annotator, status, annotator, tier)
    words = plural(count, "{n} mark set to {status}.", "{n} marks set to {status}.", status=t(status))
    st.toast(words, icon=":material/done_all:")


def _submit_corpus(project: OpenProject, model: str, tier: Tier | None) -> object:
    out = data_folder() / TAUGHT / f"{folder_name(project.name)}-{uuid.uuid4().hex[:8]}"

    def work(work: Work) -> tuple[Teaching, str]:
        files = project.store.recordings.files(project.id)
        recordings, sound_of = list(project.store.transfer.export(project.id)), sounds_of(files, data_folder())
        known = training_list(find_model(model))
        of_project = {"speakers": speakers_of(files), "trained_on": known, "tier": tier}
        teaching = write_teaching(recordings, sound_of, out, **of_project, work=work)
        return teaching, model

    return cached.jobs().submit(session.owner(), ("teach", str(out)), "A corpus of the labels", work)


def _show_corpus(teaching: Teaching) -> None:
    st.markdown(t("**Training:** {counts}", counts=_counts(teaching.train_count)))
    st.markdown(t("**Held out:** {counts}", counts=_counts(teaching.held_out_count)))
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


def _leave_to_operator(teaching: Teaching) -> None:
    st.info(
        t(
            "This server does not train models. Its operator finds the corpus in the folder `{name}` under `{parent}`.",
            name=in_markdown(teaching.train.parent.name),
            parent=TAUGHT,
        ),
        icon=":material/model_training:",
    )


def _train(project: OpenProject, teaching: Teaching, begun: str) -> None:
    in_epochs = learns_in_epochs(begun)
    named, *counted_epochs, pressed = st.columns([2, 1, 2] if in_epochs else [3, 2], vertical_alignment="bottom")
    of_project = f"taught model {project.id}"
    names = (f"{begun}-taught{number}" for number in ("", *(f"-{count}" for count in range(2, 100))))
    usual = next((one for one in names if not (MODELS / one).exists()), "")
    name = named.text_input(t("New model name"), usual, max_chars=40, key="taught_name").strip()
    epochs = [str(column.number_input(t("Epochs"), 1, 100, 10, key="taught_epochs")) for column in counted_epochs]
    fits = name.replace("-", "").replace("_", "").isalnum() and not (MODELS / name).exists()
    known = cached.trainings().find(EVERYBODY, "training")
    busy = known is not None and known.state in ("waiting", "running")
    if pressed.button(
        t("2 · Train"), type="primary", icon=":material/model_training:", width="stretch", disabled=busy or not fits
    ):
        if known is not None:
            cached.trainings().drop(known)
        arguments = training_arguments(teaching, begun, str(MODELS / name)) + (["--epochs", *epochs] if epochs else [])
        known = cached.trainings().submit(
            EVERYBODY,
            "training",
            "Training",
            lambda work: train_in_process(arguments, work),
        )
        st.session_state[of_project] = name, teaching.train
    taught, learnt_from = st.session_state.get(of_project, (None, None))
    if learnt_from != teaching.train:
        taught = None  # trained on an older corpus, whose clips may be held out now
    if not fits and taught != name:
        st.info(t("Choose a new name of letters, digits, - and _."), icon=":material/edit:")
    if taught is None or known is None:
        return
    if "train" in waiting.results({"train": known}) and (MODELS / taught).is_dir():
        _compare(teaching, begun, taught)


def _compare(teaching: Teaching, begun: str, taught: str) -> None:
    if teaching.held_out is None:
        st.warning(t("No recordings were held out, so the models cannot be compared."), icon=":material/help:")
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
    words = t(
        "**{taught}** compared with {begun}: {words}",
        taught=in_markdown(taught),
        begun=in_markdown(begun),
        words=in_markdown(recognised(better.words)),
    )
    show_words(words, icon=icon)
    if better.offered and st.button(
        t("3 · Use {taught} from now on", taught=in_markdown(taught)), icon=":material/check:"
    ):
        session.choose("model", taught)
        st.rerun()


def _compared(held_out: Path, begun: str, taught: str, work: Work) -> Acceptance:
    before, after = (predict_corpora(model, {CORPUS: str(held_out)}, work)[0] for model in (begun, taught))
    return acceptance_of(before, after, recording_of_pieces(held_out))
