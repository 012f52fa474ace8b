"""Train a model on corpora of this machine, and watch it learn."""

import json
import os
import re
from pathlib import Path

import streamlit as st

from pages.shared import cached, controls, frame, waiting
from pages.shared.charts.evaluation import history_chart
from ser_core.checkpoint import MODELS
from ser_core.corpora import READERS
from ser_core.learning.classifier_training import SPLITS
from ser_core.networks import NETWORKS
from ser_core.training_process import runs_folder, train_in_process

EVERYBODY = "everybody"  # a training belongs to the machine: whoever opens the page sees it
NETWORK_WORDS = {"fusion": "VGGish and YAMNet, fused", "vggish": "VGGish alone", "yamnet": "YAMNet alone (fastest)"}
SPLIT_WORDS = {
    "speaker": "other people (speaker-disjoint)",
    "random": "other recordings of the same people (random)",
    "corpus": "another corpus, so another language",
}


def corpus_folders() -> dict[str, str]:
    """Ask for corpora and their folders; those under SER_CORPORA are filled in."""
    known = Path(os.environ.get("SER_CORPORA") or "/nowhere")
    here = [name for name in READERS if (known / name).is_dir()]
    chosen = st.multiselect("Corpora", list(READERS), default=here, key="train_corpora")
    columns = st.columns(2)
    folders = {
        name: columns[place % 2].text_input(
            f"Folder of {name}", str(known / name) if name in here else "", key=f"train_folder_{name}"
        )
        for place, name in enumerate(chosen)
    }
    return {name: folder.strip() for name, folder in folders.items()}


def arguments_of_training() -> list[str] | None:
    """Ask what to train; return the command's arguments, or None where something is missing."""
    folders = corpus_folders()
    left, middle, right = st.columns(3)
    network = left.selectbox("Network", list(NETWORKS), format_func=NETWORK_WORDS.get, index=2, key="train_network")
    split = middle.selectbox("Tested on", SPLITS, format_func=SPLIT_WORDS.get, key="train_split")
    name = right.text_input("Name of the model", "mine", max_chars=40, key="train_name")
    left, middle, right = st.columns(3)
    epochs = left.number_input("Epochs", 1, 200, 40, key="train_epochs")
    fold = middle.number_input("Fold that is the test", 1, 5, 1, key="train_fold", disabled=split == "random")
    resume = right.toggle("Go on where an earlier run stopped", True, key="train_resume")
    missing = [corpus for corpus, folder in folders.items() if not Path(folder).is_dir() or not folder]
    if not folders or missing:
        st.info(f"Give the folder of {', '.join(missing) or 'at least one corpus'}.", icon=":material/folder_open:")
        return None
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name) or name in NETWORKS:
        st.info("Give the model a name of letters, digits, - and _, other than those of the shipped models.")
        return None
    corpora = [word for corpus, folder in folders.items() for word in ("--corpus", f"{corpus}={folder}")]
    options = ["--network", network, "--split", split, "--fold", str(fold if split != "random" else 1)]
    return [
        *corpora,
        *options,
        *("--epochs", str(epochs), "--out", str(MODELS / name)),
        *(["--resume"] if resume else []),
    ]


@st.fragment(run_every=3)
def show_history() -> None:
    """Draw how the newest runs on this machine learn or learnt."""
    files = sorted(runs_folder().glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)[:3]
    histories = {file.stem.rsplit("-", 1)[0]: json.loads(file.read_text(encoding="utf-8")) for file in files}
    if any(len(history) > 1 for history in histories.values()):
        st.markdown("**How the newest runs learnt** · UAR on validation speakers, mean over corpora")
        st.plotly_chart(history_chart(histories), width="stretch")


frame.begin("Train", "👂", "Teach a model on corpora of this machine. It goes on when you leave the page.")
controls.sidebar()
arguments = arguments_of_training()
known = cached.trainings().find(EVERYBODY, "training")
busy = known is not None and known.state in ("waiting", "running")
if st.button("Train", type="primary", icon=":material/model_training:", disabled=arguments is None or busy):
    if known is not None:
        cached.trainings().drop(known)
    known = cached.trainings().submit(
        EVERYBODY,
        "training",
        "Training",
        lambda progress, cancelled: train_in_process(arguments, progress, cancelled),
    )
if known is not None:
    done = waiting.results({"train": known})
    if "train" in done:
        st.success("Trained. Choose the model in the sidebar; its figures are on the page Evaluate.")
        st.code(done["train"], language=None)
show_history()
