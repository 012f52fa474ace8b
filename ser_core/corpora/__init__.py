"""Emotional speech corpora: a file for each, which reads the names that the corpus was published with.

Other data comes with a `manifest`.
"""

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


def read_corpus(name: str, place: str | Path) -> Corpus:
    """Read a corpus from its folder, or any data from a manifest: a file whose name ends in `.csv`.

    Raises
    ------
    CorpusRefused
        If the name is not known, the folder is not there, none of its files is named as in that corpus, or the manifest
        is refused (see `ser_core.corpora.manifest`).
    """
    place = Path(place)
    if place.suffix.lower() == ".csv":
        return read_manifest(name, place)
    if name in WITHOUT_READER:
        raise CorpusRefused(
            f"The corpus {name} is not public and no reader knows its files, so that {place} cannot be read; "
            f"list the recordings in a CSV file with the columns path, emotion, speaker and give {name}=FILE.csv."
        )
    if name not in READERS:
        raise CorpusRefused(
            f"There is no reader for the corpus '{name}'; choose one of {', '.join(READERS)}, or give a CSV manifest."
        )
    files = audio_files(place)
    if not files:
        raise CorpusRefused(f"No audio was found under {place}; give the folder that holds the corpus {name}.")
    found = [(path, READERS[name](path)) for path in files]
    recordings = tuple(item for _, item in found if isinstance(item, LabelledRecording))
    if name == "crema_d":
        recordings = crema_d.with_votes(recordings, place)
    left_out = tuple((path, item) for path, item in found if isinstance(item, str))
    if not recordings:
        raise CorpusRefused(
            f"None of the {len(files)} files under {place} is named as in {name} "
            f"({left_out[0][0].name}: {left_out[0][1]}). Give that corpus' folder."
        )
    return Corpus(name, recordings, left_out)


def corpus_names(folders: dict[str, str], emotions: Sequence[str]) -> list[str]:
    """Return, in order, the corpora that are found in folders and manifests; a manifest may hold several.

    Of a manifest count those that have a recording of one of the emotions.

    Raises
    ------
    CorpusRefused
        If a manifest is refused.
    """
    names = set()
    for name, place in folders.items():
        if Path(place).suffix.lower() == ".csv":
            names |= {item.corpus for item in read_manifest(name, Path(place)).recordings if item.emotion in emotions}
        else:
            names.add(name)
    return sorted(names)
