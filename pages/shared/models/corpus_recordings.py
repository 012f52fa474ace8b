"""Recordings of the corpora on this machine, found by their SHA-256 under SER_CORPORA."""

import os
from pathlib import Path

import streamlit as st

from pages.shared.language import t
from ser_core.audio.cutting import wav_bytes
from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import recordings_by_sha256
from ser_core.corpora.manifest import SIMPLE_WORD


def folder_of(corpus: str) -> Path | None:
    """Return the corpus's folder under SER_CORPORA; None if it is missing, or if the name is not a simple word."""
    root = os.environ.get("SER_CORPORA")
    if not root or not SIMPLE_WORD.fullmatch(corpus):
        return None
    folder = Path(root) / corpus
    return folder if folder.is_dir() else None


def file_of(corpus: str, sha256: str) -> Path | None:
    """Return the file of a recording of a corpus, or None if it is not on this machine."""
    folder = folder_of(corpus)
    if folder is None:
        return None
    with st.spinner(t("Looking for the recordings on this machine")):
        return _files_under(folder).get(sha256)


@st.cache_data(ttl=3600, show_spinner=False)
def _files_under(folder: Path) -> dict[str, Path]:
    return recordings_by_sha256(folder)


@st.cache_data(max_entries=128, show_spinner=False)
def sound(sha256: str, _file: Path) -> bytes:
    """Return a recording as WAV, which every browser plays; keyed by its SHA-256 alone."""
    recording = read_recording(_file)
    return wav_bytes(recording.samples, recording.sample_rate_hz)
