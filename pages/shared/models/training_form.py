"""Ask what to train on, what is told apart, by which network, how it learns, and how it is tested."""

import os
import re
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared.names import in_markdown
from ser_core.corpora import READERS
from ser_core.emotions import EMOTION_SETS
from ser_core.errors import SerError
from ser_core.learning.presets import FROZEN
from ser_core.learning.starting_weights import WHISPER_WEIGHTS, YAMNET_WEIGHTS
from ser_core.learning.training_plan import SPLITS, TRAINABLE, TrainingPlan
from ser_core.model.checkpoint import ARCHITECTURES, MODELS, find_model, model_names, read_card

FOLDS = 5
ALL_FOLDS = "all"
NETWORK_WORDS = {
    "fusion": "VGGish and YAMNet, fused",
    "vggish": "VGGish alone",
    "yamnet": "YAMNet alone",
    "whisper": "Whisper's encoder as it is, and a last layer (fastest)",
}
EMOTION_WORDS = {
    "core4": "4: angry, happy, neutral, sad",
    "six": "6: with fear and surprise",
    "seven": "7: with disgust as well",
    "eight_calm": "8: with calm as well",
    "eight_chagrin": "8: with chagrin as well",
}
PRESET_WORDS = {"default": "the default", "paper": "as the paper's Table 4"}
SPLIT_WORDS = {
    "speaker": "other people (speaker-disjoint)",
    "sentence": "other people with other sentences (both disjoint)",
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
    chosen = st.multiselect(
        "Corpora", list(READERS), default=here, key="train_corpora", placeholder="Choose one or more"
    )
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
        wanted = f"Give the folder of {', '.join(missing)}." if missing else "Choose at least one corpus."
        st.info(wanted, icon=":material/folder_open:")
    return folders


def arguments_of_training(folders: dict[str, str]) -> list[str] | None:
    """Ask what to train on these corpora; return the command's arguments, or None where something is missing."""
    left, middle, right = st.columns(3)
    network = left.selectbox(
        "Network",
        TRAINABLE,
        format_func=lambda name: NETWORK_WORDS.get(name, f"{name} (a peer)"),
        index=TRAINABLE.index("yamnet"),
        key="train_network",
        help="Peers are the systems that the paper stands on, and networks of your own.",
    )
    emotions = middle.selectbox(
        "What is told apart", list(EMOTION_SETS), format_func=EMOTION_WORDS.get, key="train_emotions"
    )
    name = right.text_input("Name of the model", "mine", max_chars=40, key="train_name")
    left, middle, right = st.columns(3)
    split = left.selectbox("Tested on", SPLITS, format_func=SPLIT_WORDS.get, key="train_split")
    fold = _fold(middle, split, sorted(folders))
    preset = right.selectbox(
        "How it learns",
        list(PRESET_WORDS),
        format_func=PRESET_WORDS.get,
        key="train_preset",
        help="The paper's: Adam at a rate of 0.01 for 20 epochs, and nothing else.",
    )
    more = _more(network, preset, fold)
    if not folders or not all(folders.values()):
        return None
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name) or name in TRAINABLE:
        st.info("Give the model a name of letters, digits, - and _, other than those of the shipped models.")
        return None
    corpora = [word for corpus, folder in folders.items() for word in ("--corpus", f"{corpus}={folder}")]
    options = ["--network", network, "--emotions", emotions, "--split", split, "--fold", fold, "--preset", preset]
    return [*corpora, *options, *more, "--out", str(MODELS / name)]


def _fold(place: DeltaGenerator, split: str, corpora: list[str]) -> str:
    """Ask which part is the test: a fold of the speakers, or a corpus; or each in turn."""
    count = {"random": 1, "corpus": len(corpora)}.get(split, FOLDS)
    folds = [str(number) for number in range(1, count + 1)]
    words = {fold: f"{fold} of {FOLDS}" for fold in folds} | {ALL_FOLDS: f"all {len(folds)} in turn"}
    if split == "random":
        words = {"1": "a part by chance"}
    if split == "corpus":
        words |= dict(zip(folds, corpora, strict=True))
    return place.selectbox(
        "Fold that is the test" if split != "corpus" else "Corpus that is the test",
        [*folds, ALL_FOLDS] if len(folds) > 1 else folds or ["1"],
        format_func=lambda fold: words.get(fold, fold),
        key=f"train_fold_{split}",
        disabled=len(folds) < 2,
        help="All in turn: everybody is tested once, by a model that never heard them. It takes that many times as "
        "long; the first of the models is kept.",
    )


def _more(network: str, preset: str, fold: str) -> list[str]:
    """Ask what is rarely changed; return the arguments."""
    plan = TrainingPlan({}, network=network, preset=preset)
    branches = [stage for stage in plan.stages if stage in ARCHITECTURES]
    audioset = bool(os.environ.get(YAMNET_WEIGHTS))
    nothing = "by chance"
    if "yamnet" in branches:
        nothing = "AudioSet's weights" if audioset else "the shipped YAMNet"
    if "whisper" in branches:
        nothing = "Whisper base" if os.environ.get(WHISPER_WEIGHTS) else "the shipped Whisper"
    taught = [branch for branch in branches if branch not in FROZEN]
    with st.expander("More", icon=":material/tune:"):
        left, middle, right = st.columns(3, vertical_alignment="bottom")
        begin = left.selectbox(
            "Begin as",
            [None, *(model for model in model_names() if branches and set(branches) <= _branches_of(model))],
            format_func=lambda model: model or nothing,
            key="train_begin",
            help="A model that has these branches, to go on from; whom it has heard is left out of the test. Otherwise "
            "YAMNet begins as AudioSet's weights or the shipped model, Whisper as the file of SER_WHISPER_WEIGHTS or "
            "the shipped model, VGGish as the weights that SER_VGGISH_WEIGHTS names, and all else by chance.",
        )
        epochs = middle.number_input(
            "Epochs",
            1,
            200,
            value=None,
            placeholder=", ".join(f"{plan.settings_of(branch).epochs} of {branch}" for branch in taught),
            key="train_epochs",
            disabled=not taught,
            help="Of each branch. Empty: as *How it learns* says. Whisper's last layer follows in one step, without.",
        )
        resume = right.toggle("Go on where an earlier run stopped", True, key="train_resume")
    if fold == ALL_FOLDS and taught and (begin or ("yamnet" in branches and not audioset)):
        st.warning(
            f"Whom {in_markdown(begin or nothing)} has heard is left out of every test, and training ends at a fold "
            "that has nobody else. To train on all folds of the same corpora, begin as AudioSet's weights"
            f"{'' if audioset else ', in the file that SER_YAMNET_WEIGHTS names'}.",
            icon=":material/warning:",
        )
    return [
        *(["--warm-start", begin] if begin else []),
        *(["--epochs", str(epochs)] if epochs and taught else []),
        *(["--resume"] if resume else []),
    ]


def _branches_of(model: str) -> set[str]:
    try:
        architecture = read_card(find_model(model)).get("architecture")
    except SerError:
        return set()
    return {"vggish", "yamnet"} if architecture == "fusion" else {architecture}
