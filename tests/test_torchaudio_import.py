"""torchaudio with and without its compiled extension, in interpreters of their own: an import cannot be undone."""

import json
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent

EXTENSION_THAT_DOES_NOT_LOAD = """
import sys
from importlib.abc import MetaPathFinder

class Refusing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torchaudio._extension":
            raise OSError("libc10_cuda.so: cannot open shared object file")

sys.meta_path.insert(0, Refusing())
"""


def run(code: str, *first_on_path: Path) -> subprocess.CompletedProcess:
    path = f"import sys; sys.path[:0] = {[str(folder) for folder in (*first_on_path, ROOT)]!r}\n"
    return subprocess.run([sys.executable, "-c", path + code], capture_output=True, text=True, timeout=300)


def printed(code: str, *first_on_path: Path) -> dict:
    done = run(code, *first_on_path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def package_named_torchaudio(folder: Path, extension: str) -> Path:
    package = folder / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text("from torchaudio import early, late\n")
    (package / "early.py").write_text("import torchaudio\nwhole = torchaudio\n")
    (package / "late.py").write_text("from torchaudio import _extension as extension\n")
    (package / "_extension.py").write_text(extension)
    return folder


def test_torchaudio_that_imports_is_returned_as_it_is(tmp_path):
    found = printed(
        "import json, sys\n"
        "from ser_core.front_end.torchaudio_import import import_torchaudio, torchaudio\n"
        "print(json.dumps({'file': torchaudio.__file__, 'compiled': torchaudio._extension.compiled,\n"
        "    'same': import_torchaudio() is torchaudio is sys.modules['torchaudio']}))",
        package_named_torchaudio(tmp_path, "compiled = True\n"),
    )
    assert found == {"file": str(tmp_path / "torchaudio" / "__init__.py"), "compiled": True, "same": True}


def test_extension_that_does_not_load_is_replaced_everywhere_by_one_that_says_so(tmp_path):
    found = printed(
        "import json, sys\n"
        "from ser_core.front_end.torchaudio_import import torchaudio\n"
        "stand_in = torchaudio.late.extension\n"
        "print(json.dumps({'early': torchaudio.early.whole is torchaudio,\n"
        "    'late': stand_in is sys.modules['torchaudio._extension'],\n"
        "    'flags': [stand_in._IS_TORCHAUDIO_EXT_AVAILABLE, stand_in._IS_ALIGN_AVAILABLE]}))",
        package_named_torchaudio(tmp_path, "raise OSError('libc10_cuda.so: cannot open shared object file')\n"),
    )
    # A module left from the first try would still refer to that half-initialised package.
    assert found == {"early": True, "late": True, "flags": [False, False]}


def test_other_errors_of_the_import_are_not_hidden(tmp_path):
    done = run(
        "import ser_core.front_end.torchaudio_import", package_named_torchaudio(tmp_path, "import no_such_module\n")
    )
    assert done.returncode != 0
    assert "ModuleNotFoundError: No module named 'no_such_module'" in done.stderr


def test_without_its_extension_the_real_torchaudio_works_and_what_needs_the_extension_says_so():
    found = printed(
        EXTENSION_THAT_DOES_NOT_LOAD + "import json, torch\n"
        "from ser_core.front_end.torchaudio_import import torchaudio\n"
        "filters = torchaudio.functional.melscale_fbanks(601, 125.0, 7500.0, 64, 48000, norm=None, mel_scale='htk')\n"
        "mel = torchaudio.transforms.MelSpectrogram(48000, n_fft=1200, hop_length=480, n_mels=64, center=False)\n"
        "masked = torchaudio.transforms.FrequencyMasking(30)(torch.ones(1, 64, 10))\n"
        "try:\n"
        "    torchaudio.functional.forced_align(torch.zeros(1, 5, 3), torch.ones(1, 2, dtype=torch.int32))\n"
        "except RuntimeError as error:\n"
        "    refusal = str(error)\n"
        "print(json.dumps({'filters': filters.T.tolist(), 'mel': list(mel(torch.ones(4800)).shape),\n"
        "    'masked': list(masked.shape), 'refusal': refusal}))"
    )
    expected = librosa.filters.mel(sr=48_000, n_fft=1_200, n_mels=64, fmin=125, fmax=7_500, htk=True, norm=None)
    np.testing.assert_allclose(found["filters"], expected, atol=1e-4)
    assert (found["mel"], found["masked"]) == ([64, 8], [1, 64, 10])
    assert "This build of torchaudio has no compiled extension." in found["refusal"]


def test_front_end_works_with_whatever_torchaudio_this_machine_has():
    from ser_core.front_end.torchaudio_import import torchaudio

    filters = torchaudio.functional.melscale_fbanks(257, 125.0, 7_500.0, 64, 16_000, norm=None, mel_scale="htk")
    expected = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=64, fmin=125, fmax=7_500, htk=True, norm=None)
    np.testing.assert_allclose(filters.T.numpy(), expected, atol=1e-4)
