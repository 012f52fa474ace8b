"""Sample recordings to try the app with: public-domain speech, downloaded once when the project is set up.

Five sentences of "Sense and Sensibility" (Jane Austen, 1811), read aloud for LibriVox. They are in the public domain
and part of the tests in the source archive of pocketsphinx.

    python -m ser_core.corpora.samples
"""

import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ser_core.work.atomic_folder import atomic_write

FOLDER = Path(__file__).parents[2] / "samples"
ARCHIVE = "pocketsphinx==5.1.1"
ARCHIVE_SHA256 = "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355"
PATH_IN_ARCHIVE = "pocketsphinx-5.1.1/test/data/librivox/sense_and_sensibility_01_austen_64kb-{number}.wav"


@dataclass(frozen=True)
class Sample:
    """A sentence: its number in the archive and its words."""

    number: str
    words: str

    @property
    def path(self) -> Path:
        return FOLDER / f"sense-and-sensibility-{self.number}.wav"


SAMPLES = (
    Sample(
        "0870", "And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power."
    ),
    Sample("0880", "He was not an ill-disposed young man,"),
    Sample("0890", "unless to be rather cold-hearted and rather selfish is to be ill-disposed."),
    Sample("0920", "Had he married a more amiable woman, he might have been made still more respectable than he was:"),
    Sample("0930", "he might even have been made amiable himself."),
)


def available_samples() -> list[Sample]:
    """Return the samples that have been downloaded."""
    return [sample for sample in SAMPLES if sample.path.is_file()]


def fetch() -> None:
    """Download the samples, checked by the archive's SHA-256, unless they are there.

    Raises
    ------
    subprocess.CalledProcessError
        If pip cannot download the archive, or its hash is wrong.
    """
    if len(available_samples()) == len(SAMPLES):
        return
    with tempfile.TemporaryDirectory() as temporary:
        requirements = Path(temporary) / "requirements.txt"
        requirements.write_text(f"{ARCHIVE} --hash=sha256:{ARCHIVE_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        options = ["--no-binary", "pocketsphinx", "--require-hashes", "--dest", temporary]
        subprocess.run([*pip, *options, "--requirement", str(requirements)], check=True, timeout=300)
        with tarfile.open(next(Path(temporary).glob("*.tar.gz"))) as archive:
            for sample in SAMPLES:
                data = archive.extractfile(PATH_IN_ARCHIVE.format(number=sample.number)).read()
                atomic_write(sample.path, data)
                print(f"{sample.path.name}: {sample.words}")


if __name__ == "__main__":
    try:
        fetch()
    except (OSError, subprocess.SubprocessError, tarfile.TarError, LookupError, StopIteration) as reason:
        sys.exit(f"The samples cannot be downloaded ({type(reason).__name__}). Check network and disk; all else works.")
