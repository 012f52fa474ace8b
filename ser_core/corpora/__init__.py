"""Emotional speech corpora: a file for each, which reads the names that the corpus was published with."""

from collections.abc import Callable
from pathlib import Path

from ser_core.corpora import emodb, korean_emotional_tts, nemo, ravdess
from ser_core.corpora.labelled import Corpus, LabelledRecording, audio_files
from ser_core.errors import CorpusRefused

READERS: dict[str, Callable[[Path], LabelledRecording | str]] = {
    "ravdess": ravdess.read,
    "emodb": emodb.read,
    "nemo": nemo.read,
    "korean_emotional_tts": korean_emotional_tts.read,
}


def read_corpus(name: str, folder: str | Path) -> Corpus:
    """Read a corpus from its folder.

    Raises
    ------
    CorpusRefused
        If the name is not known, the folder is not there, or none of its files is named as in that corpus.
    """
    if name not in READERS:
        raise CorpusRefused(f"There is no reader for the corpus '{name}'; choose one of {', '.join(READERS)}.")
    files = audio_files(Path(folder))
    if not files:
        raise CorpusRefused(f"No audio was found under {folder}; give the folder that holds the corpus {name}.")
    found = [(path, READERS[name](path)) for path in files]
    recordings = tuple(item for _, item in found if isinstance(item, LabelledRecording))
    left_out = tuple((path, item) for path, item in found if isinstance(item, str))
    if not recordings:
        raise CorpusRefused(
            f"None of the {len(files)} files under {folder} is named as in {name} "
            f"({left_out[0][0].name}: {left_out[0][1]}). Give that corpus' folder."
        )
    return Corpus(name, recordings, left_out)
