"""Ask what to train on, which network, and how it is tested."""

import os
import re
from pathlib import Path

import streamlit as st

from ser_core.checkpoint import MODELS
from ser_core.corpora import READERS
from ser_core.learning.training_plan import SPLITS
from ser_core.networks import NETWORKS

NETWORK_WORDS = {"fusion": "VGGish and YAMNet, fused", "vggish": "VGGish alone", "yamnet": "YAMNet alone (fastest)"}
SPLIT_WORDS = {
    "speaker": "other people (speaker-disjoint)",
    "random": "other recordings of the same people (random)",
    "corpus": "another corpus, so another language",
}


def corpus_folders() -> dict[str, str]:
    """Ask for corpora and their folders; those under SER_CORPORA are filled in.

    Returns
    -------
    dict
        The folder of each chosen corpus; empty where there is no such folder yet.
    """
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
    folders = {name: folder.strip() if os.path.isdir(folder.strip()) else "" for name, folder in folders.items()}
    missing = [name for name, folder in folders.items() if not folder]
    if not folders or missing:
        st.info(f"Give the folder of {', '.join(missing) or 'at least one corpus'}.", icon=":material/folder_open:")
    return folders


def arguments_of_training(folders: dict[str, str]) -> list[str] | None:
    """Ask what to train on these corpora; return the command's arguments, or None where something is missing."""
    left, middle, right = st.columns(3)
    network = left.selectbox("Network", list(NETWORKS), format_func=NETWORK_WORDS.get, index=2, key="train_network")
    split = middle.selectbox("Tested on", SPLITS, format_func=SPLIT_WORDS.get, key="train_split")
    name = right.text_input("Name of the model", "mine", max_chars=40, key="train_name")
    left, middle, right = st.columns(3)
    epochs = left.number_input("Epochs", 1, 200, 40, key="train_epochs")
    fold = middle.number_input("Fold that is the test", 1, 5, 1, key="train_fold", disabled=split == "random")
    resume = right.toggle("Go on where an earlier run stopped", True, key="train_resume")
    if not folders or not all(folders.values()):
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
