"""Coverage-guided fuzzing of the file readers: for any bytes, a reader returns or raises a SerError.

    python fuzz/readers.py TARGET [libFuzzer options] [CORPUS]

The targets are the names in `TARGETS`. `make fuzz FUZZ_SECONDS=60` runs each of them for 60 seconds, starting from the
valid files of the tests. An input that fails is written as `crash-*` to the working directory; add it to the tests.
Audio is decoded in this process, so that its coverage is measured.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))

with atheris.instrument_imports(include=["ser_core", "praatio", "pympi", "safetensors"]):
    from ser_core.analysis import Region
    from ser_core.annotations.annotation import AnnotatedRecording, Annotation
    from ser_core.annotations.exchange.writing_into import write_into_file
    from ser_core.annotations.formats import READERS, read_annotations
    from ser_core.annotations.store.recordings import RecordingFile
    from ser_core.annotations.words import read_words
    from ser_core.audio import reading as audio
    from ser_core.audio.decoding import decode
    from ser_core.corpora.manifest import read_manifest
    from ser_core.errors import SerError
    from ser_core.learning.predictions import read_predictions
    from ser_core.model.checkpoint import CARD, TRAINING_LIST, WEIGHTS, training_list
    from ser_core.model.onnx_graph import OnnxGraph
    from ser_core.model.shipped_models import load_model


def annotations(data: bytes) -> None:
    read_annotations(data, "marks")


def textgrid(data: bytes) -> None:
    READERS["textgrid"].read(data, "marks")


def elan(data: bytes) -> None:
    READERS["elan"].read(data, "marks")


def emu(data: bytes) -> None:
    READERS["emu"].read(data, "marks")


def subtitles(data: bytes) -> None:
    READERS["srt"].read(data, "marks")


def rttm(data: bytes) -> None:
    READERS["rttm"].read(data, "marks")


def raven(data: bytes) -> None:
    READERS["raven"].read(data, "marks")


def transcriber(data: bytes) -> None:
    READERS["transcriber"].read(data, "marks")


def chat(data: bytes) -> None:
    READERS["chat"].read(data, "marks")


def into(data: bytes) -> None:
    """Write a mark into a file, and read the result."""
    recordings = [RecordingFile("ab" * 32, "marks", 100.0, 16_000)]
    ours = AnnotatedRecording("marks", "ab" * 32, 100.0, 16_000, (Annotation(Region(0.5, 1.0), emotion="sad"),))
    read_annotations(write_into_file(data, "marks", recordings, lambda _: ours).into.content, "again")


def words(data: bytes) -> None:
    read_words(data, "words")


def tables(data: bytes) -> None:
    file = FOLDER / "all.csv"
    file.write_bytes(data)
    (FOLDER / "a.wav").touch()
    with suppress(SerError):
        read_manifest("mine", file)
    read_predictions(file)


def model(data: bytes) -> None:
    """Load a model from its card (the first line) and its weights (the rest)."""
    card, _, weights = data.partition(b"\n")
    for name, content in ((CARD, card), (WEIGHTS, weights), (TRAINING_LIST, weights)):
        (FOLDER / name).write_bytes(content)
    with suppress(SerError):
        training_list(FOLDER)
    load_model(FOLDER)


def estimator(data: bytes) -> None:
    """Run a graph in this process, so that its coverage is measured."""
    OnnxGraph(data, "theirs", 4).run(np.zeros((2, 96, 64), np.float32))


def sound(data: bytes) -> None:
    audio.decode_in_subprocess = decode
    audio.read_recording(data, "sound", audio.AudioLimits(longest_s=20.0))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        *(annotations, textgrid, elan, emu, subtitles, rttm, raven, transcriber, chat, into),
        *(words, tables, model, estimator, sound),
    )
}


def valid_files(target: str) -> list[bytes]:
    """Return the files that fuzzing starts from."""
    from tests import hostile_files
    from tests.test_onnx_classifier import onnx_model

    marks = list(hostile_files.annotation_files().values())
    if target == "sound":
        texts = hostile_files.texts_that_name_files()
        return [*hostile_files.audio_files().values(), hostile_files.wav_header(), *texts.values()]
    if target == "model":
        card = (ROOT / "models" / "yamnet" / CARD).read_bytes()
        header = json.dumps({"a": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}).encode()
        return [json.dumps(json.loads(card)).encode() + b"\n" + len(header).to_bytes(8, "little") + header + bytes(2)]
    if target == "estimator":
        return [onnx_model()]
    if target == "tables":
        return [
            b"path,emotion,speaker\na.wav,anger,anna\n",
            b"sha256,corpus,speaker,gender,emotion,sad\na,b,c,,sad,1\n",
        ]
    return [*marks, b"start_s,end_s,word\n0.1,0.4,so\n"]


def main() -> None:
    target = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if target not in TARGETS:
        sys.exit(f"Name a target: {', '.join(TARGETS)}.")
    corpus = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-"))
    for number, data in enumerate(valid_files(target)):
        (corpus / str(number)).write_bytes(data)

    def one_input(data: bytes) -> None:
        with suppress(SerError):
            TARGETS[target](data)

    atheris.Setup([*sys.argv, "-rss_limit_mb=2048", "-timeout=20", str(corpus)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
