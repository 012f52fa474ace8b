"""The form of a training: corpora, network, emotions, preset, split and options."""

import os
import re
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared.language import t, texts
from pages.shared.language.names import corpus_name, in_markdown
from ser_core.analysis.emotions import EMOTION_SETS
from ser_core.corpora import READERS
from ser_core.errors import SerError
from ser_core.learning.plan import FROZEN, PRESETS, SPLITS, TRAINABLE, WHISPER_WEIGHTS, YAMNET_WEIGHTS, TrainingPlan
from ser_core.model.checkpoint import ARCHITECTURES, read_card
from ser_core.model.shipped_models import DEFAULT_MODEL, MODELS, find_model, model_names

FOLDS = 5
ALL_FOLDS = "all"
NETWORK_WORDS = texts(
    {
        "fusion": "VGGish and YAMNet, fused",
        "vggish": "VGGish alone",
        "yamnet": "YAMNet alone",
        "whisper": "Whisper, last layer only",
    }
)
EMOTION_WORDS = texts(
    {
        "core4": "4: angry, happy, neutral, sad",
        "six": "6: with fear and surprise",
        "seven": "7: and with disgust",
        "eight_calm": "8: and with calm",
        "eight_chagrin": "8: and with chagrin",
    }
)
PRESET_WORDS = texts({"default": "default", "paper": "as in the paper's Table 4"})
SPLIT_WORDS = texts(
    {
        "speaker": "held-out people",
        "sentence": "held-out people and sentences",
        "random": "random recordings of the same people",
        "corpus": "held-out corpus",
    }
)
RANDOM, AUDIOSET, SHIPPED_YAMNET = texts(("random weights", "AudioSet weights", "the shipped YAMNet"))
WHISPER_BASE, SHIPPED_WHISPER = texts(("Whisper base", "the shipped Whisper"))


def corpus_folders() -> dict[str, str]:
    """Ask for corpora and their folders; folders under SER_CORPORA are the defaults.

    Returns
    -------
    dict
        The folder of each chosen corpus; empty if it does not exist.
    """
    root = Path(os.environ.get("SER_CORPORA") or "/nowhere")
    available = [name for name in READERS if (root / name).is_dir()]
    chosen = st.multiselect(
        t("Corpora"),
        list(READERS),
        default=available,
        format_func=corpus_name,
        key="train_corpora",
        placeholder=t("Choose one or more"),
    )
    columns = st.columns(2)
    folders = {
        name: columns[index % 2].text_input(
            t("Folder of {name}", name=corpus_name(name)),
            str(root / name) if name in available else "",
            key=f"train_folder_{name}",
        )
        for index, name in enumerate(chosen)
    }
    folders = {name: folder.strip() if os.path.isdir(folder.strip()) else "" for name, folder in folders.items()}
    missing = [name for name, folder in folders.items() if not folder]
    if not folders or missing:
        message = t("Choose at least one corpus.")
        if missing:
            message = t("Enter the folder of {names}.", names=", ".join(map(corpus_name, missing)))
        st.info(message, icon=":material/folder_open:")
    return folders


def training_arguments(folders: dict[str, str]) -> list[str] | None:
    """Ask for the settings of a training; return the command's arguments, or None if something is missing."""
    left, middle, right = st.columns(3)
    network = left.selectbox(
        t("Network"),
        TRAINABLE,
        format_func=lambda name: t(NETWORK_WORDS[name]) if name in NETWORK_WORDS else t("{name} (peer)", name=name),
        index=TRAINABLE.index(DEFAULT_MODEL),
        key="train_network",
        help=t("Peers: small versions of the systems in the paper's Table 1, and your own networks."),
    )
    emotions = middle.selectbox(
        t("Emotions"), list(EMOTION_SETS), format_func=lambda one: t(EMOTION_WORDS[one]), key="train_emotions"
    )
    name = right.text_input(t("Model name"), "mine", max_chars=40, key="train_name")
    left, middle, right = st.columns(3)
    split = left.selectbox(t("Test on"), SPLITS, format_func=lambda one: t(SPLIT_WORDS[one]), key="train_split")
    fold = _fold(middle, split, sorted(folders))
    preset = "default"
    if set(TrainingPlan({}, network=network).stages) & set(PRESETS["paper"]):
        preset = right.selectbox(
            t("Preset"),
            list(PRESET_WORDS),
            format_func=lambda one: t(PRESET_WORDS[one]),
            key="train_preset",
            help=t("The paper's preset: Adam with a learning rate of 0.01 for 20 epochs, and nothing else."),
        )
    more = _more_options(network, preset, fold)
    if not folders or not all(folders.values()):
        return None
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name) or name in TRAINABLE:
        st.info(t("Choose a model name of letters, digits, - and _, other than those of the shipped models."))
        return None
    corpora = [word for corpus, folder in folders.items() for word in ("--corpus", f"{corpus}={folder}")]
    options = ["--network", network, "--emotions", emotions, "--split", split, "--fold", fold, "--preset", preset]
    return [*corpora, *options, *more, "--out", str(MODELS / name)]


def _fold(column: DeltaGenerator, split: str, corpora: list[str]) -> str:
    """Ask which fold of the speakers, or which corpus, to test on; or all in turn."""
    count = {"random": 1, "corpus": len(corpora)}.get(split, FOLDS)
    folds = [str(number) for number in range(1, count + 1)]
    words = {fold: t("{fold} of {n}", fold=fold, n=FOLDS) for fold in folds}
    words[ALL_FOLDS] = t("all {n} in turn", n=len(folds))
    if split == "random":
        words = {"1": t("a random part")}
    if split == "corpus":
        words |= dict(zip(folds, map(corpus_name, corpora), strict=True))
    return column.selectbox(
        t("Test fold") if split != "corpus" else t("Test corpus"),
        [*folds, ALL_FOLDS] if len(folds) > 1 else folds or ["1"],
        format_func=lambda fold: words.get(fold, fold),
        key=f"train_fold_{split}",
        disabled=len(folds) < 2,
        help=t(
            "All in turn: every speaker is tested once, by a model that was not trained on them. This takes "
            "that many times as long; the model of the first fold is saved."
        ),
    )


def _more_options(network: str, preset: str, fold: str) -> list[str]:
    """Ask for rarely changed options; return the arguments."""
    plan = TrainingPlan({}, network=network, preset=preset)
    branches = [stage for stage in plan.stages if stage in ARCHITECTURES]
    trained = [branch for branch in branches if branch not in FROZEN]
    default_start = _default_start(branches)
    with st.expander(t("More options"), icon=":material/tune:"):
        left, middle, right = st.columns(3, vertical_alignment="bottom")
        start = left.selectbox(
            t("Start from"),
            [None, *(model for model in model_names() if branches and set(branches) <= _branches_of(model))],
            format_func=lambda model: model or t(default_start),
            key="train_begin",
            help=t(
                "A model with the same branches; the people it was trained on are left out of the test. By "
                "default YAMNet starts from AudioSet weights or the shipped model, Whisper from the file "
                "SER_WHISPER_WEIGHTS or the shipped model, VGGish from the file SER_VGGISH_WEIGHTS, and "
                "everything else from random weights."
            ),
        )
        epochs = middle.number_input(
            t("Epochs"),
            1,
            200,
            value=None,
            placeholder=", ".join(
                t("{n} for {branch}", n=plan.settings_of(branch).epochs, branch=branch) for branch in trained
            ),
            key="train_epochs",
            disabled=not trained,
            help=t("For each branch. Empty: as in the preset. Whisper's last layer is fitted without epochs."),
        )
        resume = right.toggle(t("Resume an interrupted run"), True, key="train_resume")
    if fold == ALL_FOLDS and trained and (start or default_start == SHIPPED_YAMNET):
        _warn_of_lost_folds(start or t(default_start))
    return [
        *(["--warm-start", start] if start else []),
        *(["--epochs", str(epochs)] if epochs and trained else []),
        *(["--resume"] if resume else []),
    ]


def _default_start(branches: list[str]) -> str:
    """Return the weights that a training starts from unless the visitor chooses a model."""
    if "whisper" in branches:
        return WHISPER_BASE if os.environ.get(WHISPER_WEIGHTS) else SHIPPED_WHISPER
    if "yamnet" in branches:
        return AUDIOSET if os.environ.get(YAMNET_WEIGHTS) else SHIPPED_YAMNET
    return RANDOM


def _warn_of_lost_folds(start: str) -> None:
    st.warning(
        t(
            "The people that {start} was trained on are left out of every test, and training ends at a fold "
            "without anybody else. To train on all folds of the same corpora, start from AudioSet weights."
            if os.environ.get(YAMNET_WEIGHTS)
            else "The people that {start} was trained on are left out of every test, and training ends at a fold "
            "without anybody else. To train on all folds of the same corpora, start from AudioSet weights, in the "
            "file that SER_YAMNET_WEIGHTS names.",
            start=in_markdown(start),
        ),
        icon=":material/warning:",
    )


def _branches_of(model: str) -> set[str]:
    try:
        architecture = read_card(find_model(model)).get("architecture")
    except SerError:
        return set()
    return {"vggish", "yamnet"} if architecture == "fusion" else {architecture}
