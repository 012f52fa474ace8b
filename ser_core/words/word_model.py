"""The model that transcribes, in the format of faster-whisper: found, loaded and fetched."""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ser_core.errors import Cancelled, WordModelRefused
from ser_core.work.atomic_folder import atomic_folder
from ser_core.work.progress import UNWATCHED, Work

FILES = ("config.json", "tokenizer.json", "vocabulary.txt", "model.bin")
#: Without a tokenizer in the folder, faster-whisper would look for one on the network.
NEEDED = ("config.json", "tokenizer.json", "model.bin")
REPOSITORY = "Systran/faster-whisper-base"
DOWNLOAD_MB, LARGE_BYTES = 145, 10_000_000
MAX_REASON_LENGTH = 200
#: Name of the folder of the downloaded model.
WORD_MODEL = "word-model"


class WordModel(Protocol):
    """The part of `faster_whisper.WhisperModel` that is used."""

    def transcribe(self, audio: np.ndarray, **options: Any) -> tuple[Iterable[Any], Any]:
        """Return segments with words, and information with the language, of samples at 16 kHz."""


def find_word_model(downloaded: Path) -> Path | None:
    """Return the folder of the word model: `SER_WORD_MODEL`, else the downloaded one, or None if there is neither.

    Raises
    ------
    WordModelRefused
        If `SER_WORD_MODEL` is set and is no such folder.
    """
    folder = os.environ.get("SER_WORD_MODEL")
    if folder:
        missing = [file for file in NEEDED if not (Path(folder) / file).is_file()]
        if missing:
            raise WordModelRefused(
                f"SER_WORD_MODEL names {folder}, which has no {' and no '.join(missing)}. "
                "Give a folder in the format of faster-whisper."
            )
        return Path(folder)
    return downloaded if (downloaded / "model.bin").is_file() else None


def load_word_model(folder: Path) -> WordModel:
    """Load a word model in 8-bit integers.

    Raises
    ------
    WordModelRefused
        If the package faster-whisper is missing or the folder cannot be loaded.
    """
    try:
        from faster_whisper import WhisperModel
    except ImportError:
        raise WordModelRefused(
            "The package faster-whisper is not installed. Install it with pip, or upload the words with their times."
        ) from None
    try:
        # Two threads, as for torch on a small machine. `resolve`: a name that is not a path would be fetched.
        return WhisperModel(
            str(folder.resolve()), device="cpu", compute_type="int8", cpu_threads=2, local_files_only=True
        )
    except Exception as reason:  # a damaged tokenizer raises a bare Exception
        raise WordModelRefused(
            f"The word model in {folder} cannot be loaded ({' '.join(str(reason).split())[:MAX_REASON_LENGTH]}). "
            "Fetch it again."
        ) from None


def download_word_model(folder: Path, work: Work = UNWATCHED) -> Path:
    """Fetch Whisper base (145 MB) from Hugging Face into a folder, unless it is there; return the folder.

    Raises
    ------
    WordModelRefused
        If it cannot be fetched.
    WriteRefused
        If it cannot be written, for instance because the disk is full.
    Cancelled
        Between two pieces of a file; then nothing is left behind.
    """
    if (folder / "model.bin").is_file():
        return folder
    try:
        from huggingface_hub import hf_hub_download
        from tqdm import tqdm
    except ImportError:
        raise WordModelRefused("The package faster-whisper is not installed. Install it with pip.") from None

    class Bar(tqdm):
        """Reports to the work instead of printing."""

        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **options | {"file": open(os.devnull, "w")})  # noqa: SIM115

        def update(self, n: float = 1) -> None:
            super().update(n)
            work.check()
            if self.total and self.total >= LARGE_BYTES:  # the other files take no time
                work.report(min(self.n / self.total, 1.0), f"{self.n / 1e6:.0f} of {self.total / 1e6:.0f} MB")

    with atomic_folder(folder, "model.bin") as half_written:
        for file in FILES:
            work.check()
            try:
                hf_hub_download(REPOSITORY, file, local_dir=half_written, tqdm_class=Bar)
            except Cancelled:
                raise
            except Exception as reason:  # the network fails in many ways, each with a class of its own
                if isinstance(reason, OSError) and reason.errno == errno.ENOSPC:
                    raise
                raise WordModelRefused(
                    f"The word model cannot be fetched from Hugging Face ({type(reason).__name__}). Check the network, "
                    "or set SER_WORD_MODEL to a folder in the format of faster-whisper."
                ) from None
        shutil.rmtree(half_written / ".cache", ignore_errors=True)
    return folder
