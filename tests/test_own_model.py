"""A model added by a user: the guide's file, trained and used; and an ONNX file in the app."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from ser_core.settings import FrontEnd, settings_from_dict

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "own_model.md").read_text(encoding="utf-8")


def printed(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return code


@pytest.fixture(scope="module")
def copy_with_guides_file(tmp_path_factory):
    """A copy of the library to which only the guide's file is added."""
    place = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "ser_core", place / "ser_core")  # with its compiled files
    (place / "ser_core" / "model" / "peers" / "mine.py").write_text(printed("python"), encoding="utf-8")
    (place / "models").mkdir()
    return place


def run(place: Path, *commands: list[str]) -> subprocess.CompletedProcess:
    """Run commands of the copy, one after another in one process, up to the first that fails."""
    environment = os.environ | {"SER_RUNS": str(place / "runs"), "OMP_NUM_THREADS": "1"}
    script = f"import sys; from ser_core.commands import main; sys.exit(any(main(each) for each in {commands!r}))"
    return subprocess.run([sys.executable, "-c", script], cwd=place, env=environment, capture_output=True, text=True)


def test_one_file_adds_a_network_that_is_trained_listed_and_explained(copy_with_guides_file, small_corpus, make_voice):
    soundfile.write(copy_with_guides_file / "speech.wav", make_voice(1.5, 16_000), 16_000)
    corpus = ["--corpus", f"emodb={small_corpus}"]
    ended = run(
        copy_with_guides_file,
        ["train", "--network", "mine", *corpus, "--epochs", "2", "--out", "models/mine"],
        ["analyse", "speech.wav", "--out", "out", "--masks", "16"],
    )
    assert ended.returncode == 0, ended.stderr
    assert "mean over corpora" in ended.stdout
    card = json.loads((copy_with_guides_file / "models" / "mine" / "card.json").read_text())
    assert card["architecture"] == "mine"
    assert card["front_end"]["selection"]["rule"] == "none"
    assert (card["training"]["mine"]["epochs"], set(card["training"]["mine"]["augmentation"].values())) == (2, {0})
    analysis = json.loads((copy_with_guides_file / "out" / "speech" / "analysis.json").read_text())
    assert analysis["model"]["name"] == "mine"
    assert list(analysis["explanations"]) == ["grad_cam", "lime", "occlusion"]


def test_the_card_in_the_guide_is_valid():
    card = json.loads(printed("json"))
    front_end = settings_from_dict(FrontEnd, card["front_end"])
    assert (front_end.segments.segment_frames, front_end.spectrogram.bands) == (96, 64)
