"""Exports contain none of the personal data in the recording's file."""

import base64
import io
import re
import zlib

import numpy as np
import pytest
import soundfile

from pages.shared.evidence.downloads import _npz, _png
from ser_core.audio.reading import read_recording
from ser_core.model.shipped_models import load_model, model_names
from ser_core.output.analysis_folder import save_analysis
from ser_core.output.report import report_html
from ser_core.pipeline import analyse_recording
from ser_core.settings import AnalysisSettings

TAGS = {"artist": "Jane Doe", "title": "Intake interview", "comment": "patient 4711", "date": "2025-03-14"}

pytestmark = pytest.mark.skipif(not model_names(), reason="no model is shipped in models/")


@pytest.fixture(scope="module", params=["WAV", "FLAC"])
def tagged(request, make_voice) -> tuple[bytes, object]:
    """A recording's file with personal data as recorders write it, and its analysis."""
    sound = io.BytesIO()
    with soundfile.SoundFile(sound, "w", 16_000, 1, format=request.param) as file:
        for name, value in TAGS.items():
            setattr(file, name, value)
        file.write(make_voice(1.5, 16_000))
    recording = read_recording(sound.getvalue(), "take.wav")
    settings = AnalysisSettings(explain=("grad_cam",))
    return sound.getvalue(), analyse_recording(recording, load_model("yamnet"), settings)


def unpacked(content: bytes) -> bytes:
    """Return bytes together with their unpacked content (PNG, npz, data URLs), as far as it can be unpacked."""
    found = [content]
    found += [base64.b64decode(data) for data in re.findall(rb"base64,([A-Za-z0-9+/=]+)", content)]
    for part in list(found):
        for place in (match.start() for match in re.finditer(rb"x[\x01\x5e\x9c\xda]", part)):
            try:
                found.append(zlib.decompressobj().decompress(part[place:]))
            except zlib.error:
                continue
    return b"\n".join(found)


@pytest.mark.slow
def test_no_exported_file_contains_the_tags_of_the_recording(tagged, tmp_path):
    source, analysis = tagged
    values = [value.encode() for value in TAGS.values()]
    assert all(value in source for value in values)
    save_analysis(analysis, tmp_path / "out")
    files = {str(path): path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    files |= {"npz": _npz(analysis), "png": _png(analysis), "html": report_html(analysis).encode()}
    assert len(files) >= 6
    for name, content in files.items():
        assert not [value for value in values if value in unpacked(content)], name


def test_an_exported_sound_has_no_tags_at_all(tagged, tmp_path):
    _, analysis = tagged
    save_analysis(analysis, tmp_path / "out")
    for file in (tmp_path / "out" / "focus").glob("*.wav"):
        with soundfile.SoundFile(file) as sound:
            assert sound.copy_metadata() == {}
    with np.load(tmp_path / "out" / "maps.npz") as arrays:
        assert all(array.dtype.kind == "f" or array.dtype.kind == "b" for array in arrays.values())
