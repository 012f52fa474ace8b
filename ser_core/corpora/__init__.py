"""Emotional speech corpora: one module per corpus parses its published file names. Other data needs a `manifest`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ser_core.corpora import ased, casia, crema_d, emodb, korean_emotional_tts, nemo, ravdess, savee, tess, urdu
from ser_core.corpora.labelled import Corpus, LabelledRecording, audio_files
from ser_core.corpora.manifest import WITHOUT_READER, read_manifest
from ser_core.errors import CorpusRefused

READERS: dict[str, Callable[[Path], LabelledRecording | str]] = {
    "ravdess": ravdess.read,
    "emodb": emodb.read,
    "nemo": nemo.read,
    "korean_emotional_tts": korean_emotional_tts.read,
    "tess": tess.read,
    "savee": savee.read,
    "crema_d": crema_d.read,
    "urdu": urdu.read,
    "casia": casia.read,
    "ased": ased.read,
}


def read_corpus(name: str, path: str | Path) -> Corpus:
    """Read a corpus from its folder, or any data from a manifest: a file whose name ends in `.csv`.

    Raises
    ------
    CorpusRefused
        If the name is unknown, the folder is missing, none of its files is named as in that corpus, or the manifest is
        refused (see `ser_core.corpora.manifest`).
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        return read_manifest(name, path)
    if name in WITHOUT_READER:
        raise CorpusRefused(
            f"The corpus {name} is not public and has no reader, so {path} cannot be read; "
            f"list the recordings in a CSV file with the columns path, emotion, speaker and give {name}=FILE.csv."
        )
    if name not in READERS:
        raise CorpusRefused(
            f"There is no reader for the corpus '{name}'; choose one of {', '.join(READERS)}, or give a CSV manifest."
        )
    files = audio_files(path)
    if not files:
        raise CorpusRefused(f"No audio was found under {path}; give the folder that holds the corpus {name}.")
    parsed = [(file, READERS[name](file)) for file in files]
    recordings = tuple(item for _, item in parsed if isinstance(item, LabelledRecording))
    if name == "crema_d":
        recordings = crema_d.with_votes(recordings, path)
    left_out = tuple((file, item) for file, item in parsed if isinstance(item, str))
    if not recordings:
        raise CorpusRefused(
            f"None of the {len(files)} files under {path} is named as in {name} "
            f"({left_out[0][0].name}: {left_out[0][1]}). Give the folder of that corpus."
        )
    return Corpus(name, recordings, left_out)


def corpus_names(folders: dict[str, str], emotions: Sequence[str]) -> list[str]:
    """Return the sorted names of the corpora in folders and manifests; a manifest may hold several.

    A corpus in a manifest counts if it has a recording of one of the emotions.

    Raises
    ------
    CorpusRefused
        If a manifest is refused.
    """
    names = set()
    for name, path in folders.items():
        if Path(path).suffix.lower() == ".csv":
            names |= {item.corpus for item in read_manifest(name, Path(path)).recordings if item.emotion in emotions}
        else:
            names.add(name)
    return sorted(names)
