"""Train a model in the background: the settings, the progress, and the learning curves of the latest runs."""

import json
from pathlib import Path

import streamlit as st

from pages.shared import cached, waiting
from pages.shared.charts import axes
from pages.shared.charts.evaluation import history_chart
from pages.shared.language import t
from pages.shared.language.names import in_markdown
from pages.shared.models import training_form
from ser_core.work.jobs import Job
from ser_core.work.training_process import (
    forget_interrupted_training,
    interrupted_training,
    runs_folder,
    train_in_process,
)

EVERYBODY = "everybody"  # the owner of trainings, which every visitor sees


def show(folders: dict[str, str]) -> None:
    """Ask for the settings, train, and show the progress."""
    arguments = training_form.training_arguments(folders)
    job = cached.trainings().find(EVERYBODY, "training")
    busy = job is not None and job.state in ("waiting", "running")
    if st.button(t("Train"), type="primary", icon=":material/model_training:", disabled=arguments is None or busy):
        if job is not None:
            cached.trainings().drop(job)
        job = _begin(arguments)
    elif not busy and (resumed := _ask_to_resume()):
        if job is not None:
            cached.trainings().drop(job)
        _begin(resumed)
        st.rerun()
    if job is not None:
        done = waiting.results({"train": job})
        if "train" in done:
            st.success(
                t("Training is complete. Choose the model in the sidebar; its figures are on the page Evaluate.")
            )
            st.code(done["train"], language=None)
    _show_history()


def _begin(arguments: list[str]) -> Job:
    """Put a training in the queue."""
    return cached.trainings().submit(
        EVERYBODY,
        "training",
        "Training",
        lambda work: train_in_process(arguments, work),
    )


def _ask_to_resume() -> list[str] | None:
    """Offer to resume a training that ended with the app; return its arguments if the visitor agrees."""
    arguments = interrupted_training()
    if arguments is None:
        return None
    name = Path(arguments[arguments.index("--out") + 1]).name
    st.warning(
        t("The app ended while training **{name}**. Finished epochs are saved.", name=in_markdown(name)),
        icon=":material/power_off:",
    )
    resume, forget, _ = st.columns([1, 1, 3])
    if resume.button(t("Resume"), icon=":material/resume:", width="stretch"):
        return ["--resume", *(word for word in arguments if word != "--resume")]
    if forget.button(t("Discard"), icon=":material/close:", width="stretch"):
        forget_interrupted_training()
        st.rerun()
    return None


@st.fragment(run_every=3)
def _show_history() -> None:
    """Draw the learning curves of the newest runs on this machine."""
    files = sorted(runs_folder().glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)[:3]
    histories = {file.stem.rsplit("-", 1)[0]: json.loads(file.read_text(encoding="utf-8")) for file in files}
    if any(len(history) > 1 for history in histories.values()):
        st.markdown(t("**Learning curves of the latest runs** · UAR on validation speakers, mean over corpora"))
        st.plotly_chart(history_chart(histories), width="stretch", config=axes.config())
