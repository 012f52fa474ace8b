"""Measures of a stretch by hand, and of all marks as a table."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from ser_core.analysis import Recording, Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.exchange.measuring import MEASURES, measure_marks
from ser_core.annotations.formats import read_annotations
from ser_core.audio.acoustics import Tracks, fundamental_frequency, intensity
from ser_core.audio.cutting import region_samples
from ser_core.audio.measures import measures_of
from ser_core.errors import AudioRefused, Cancelled, SettingsRefused
from ser_core.pipeline import classify_recording
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import Work
from tests.tiny_networks import LinearClassifier

NONE = np.nan


def tracks() -> Tracks:
    """Ten frames of a tenth of a second; the voice rises an octave in two steps of 6 semitones."""
    rising = 200 * 2 ** np.array([0, 0.5, 1])
    f0 = np.array([NONE, NONE, *rising, NONE, NONE, NONE, NONE, NONE])
    return Tracks(
        0.1,
        f0,
        np.array([NONE, 40, 60, 60, 50, 40, 40, 40, 40, NONE]),
        np.array([[500, 1500, 2500, NONE]]) + 10 * np.arange(10)[:, None],
        np.where(np.isnan(f0), NONE, [0, 0, 10, 14, 18, 0, 0, 0, 0, 0]),
        np.where(np.isnan(f0), NONE, -6.0),
    )


def test_measures_of_a_stretch_by_hand():
    # The frames centred at 0.15 to 0.45 s: the first has no voice. The midpoint 0.30 s lies between two frames.
    found = measures_of(tracks(), Region(0.1, 0.5))
    assert found.duration_s == pytest.approx(0.4)
    assert found.voiced_percent == 75
    assert found.f0_mean_hz == pytest.approx((200 + 282.84 + 400) / 3, abs=0.01)
    assert (found.f0_lowest_hz, found.f0_highest_hz) == (200, 400)
    assert found.f0_range_st == pytest.approx(12)
    assert found.f0_slope_st_per_s == pytest.approx(60)
    # Powers of 40, 60, 60 and 50 dB: 1, 100, 100 and 10.
    assert found.intensity_db == pytest.approx(40 + 10 * np.log10(211 / 4))
    assert (found.f1_hz, found.f2_hz, found.f3_hz, found.f4_hz) == (525, 1525, 2525, None)
    assert (found.hnr_db, found.tilt_db_per_octave) == (14, -6)


@pytest.mark.parametrize(
    ("region", "missing"),
    [
        (Region(0.6, 0.9), {"f0_mean_hz", "f0_range_st", "f0_slope_st_per_s", "hnr_db", "tilt_db_per_octave"}),
        (Region(0.2, 0.4), {"f0_slope_st_per_s"}),  # two frames give no slope
        (Region(0.97, 1.0), {"voiced_percent", "f0_lowest_hz", "intensity_db", "f1_hz"}),  # no frame's centre
    ],
)
def test_measures_that_cannot_be_taken_are_none(region, missing):
    found = measures_of(tracks(), region)
    assert all(getattr(found, name) is None for name in missing)
    assert found.duration_s == pytest.approx(region.duration_s)


# --- marks ---

RATE = 16_000


def voice() -> Recording:
    time = np.arange(RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20))
    return Recording("v.wav", "a" * 64, (0.1 * tone).astype(np.float32), RATE)


def marked(sha256: str, *regions: Region) -> AnnotatedRecording:
    marks = tuple(Annotation(region, annotator="Ann", emotion="sad", note="=1+1") for region in regions)
    return AnnotatedRecording("v.wav", sha256, 1.0, RATE, marks)


def sound_of(sha256: str) -> Recording | None:
    if sha256 == "c" * 64:
        raise AudioRefused("This is no sound.")
    return voice() if sha256 == "a" * 64 else None


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_each_mark_is_a_row_and_marks_without_sound_have_no_measures():
    two = marked("a" * 64, Region(0.2, 0.5), Region(0.4, 0.8))
    found = measure_marks([two, marked("b" * 64, Region(0, 1)), marked("c" * 64, Region(0, 1))], sound_of)
    assert (found.marks, found.without_sound) == (4, 2)
    first, second, *others = rows_of(found.content)
    assert (first["start_s"], first["emotion"], first["note"]) == ("0.2", "sad", "'=1+1"), (
        "nothing runs in a spreadsheet"
    )
    assert float(first["f0_mean_hz"]) == pytest.approx(150, rel=0.01)
    assert float(second["duration_s"]) == pytest.approx(0.4)
    assert [[row[name] for name in MEASURES] for row in others] == [[""] * len(MEASURES)] * 2
    assert all(row["start_s"] for row in others)


def test_words_in_a_mark_and_model_scores_are_listed_beside_its_measures():
    words = (Region(0.1, 0.3), "so"), (Region(0.3, 0.5), "=much"), (Region(0.5, 0.9), "late")
    said = [Annotation(region, "words", who, note=word) for region, word in words for who in ("Ann", "Ben")]
    sad, noise = Annotation(Region(0.15, 0.6), annotator="Ann", emotion="sad"), Annotation(Region(0.8, 0.85), "noise")
    recording = replace(marked("a" * 64), annotations=(sad, noise, *said))
    classifier = LinearClassifier(0.01 * np.random.default_rng(0).normal(size=(4, 96, 64)))
    content = measure_marks([recording], sound_of, classifier=classifier).content
    rows = rows_of(content)
    within = {(row["tier"], row["words_within"]) for row in rows}
    assert within == {("emotion", "so =much"), ("noise", ""), ("words", "so"), ("words", "'=much"), ("words", "late")}
    cut = replace(voice(), samples=region_samples(voice(), sad.region, 0.005))
    expected = classify_recording(cut, classifier, AnalysisSettings()).scores.recording
    columns = [f"p_{emotion}" for emotion in classifier.emotions]
    (scored,), (too_short,) = (
        [[row[name] for name in columns] for row in rows if row["tier"] == tier] for tier in ("emotion", "noise")
    )
    assert [float(score) for score in scored] == pytest.approx(expected, abs=1e-5)
    assert too_short == [""] * 4
    assert read_annotations(content, "measures.csv").recordings


def test_a_table_of_measures_is_read_as_marks_again():
    two = marked("a" * 64, Region(0.2, 0.5), Region(0.4, 0.8))
    (again,) = read_annotations(measure_marks([two], sound_of).content, "measures.csv").recordings
    assert again == two


def test_measuring_can_be_stopped():
    with pytest.raises(Cancelled):
        measure_marks([marked("a" * 64, Region(0, 1))], sound_of, work=Work(stop=lambda: True))


def test_an_impossible_ceiling_is_refused():
    with pytest.raises(SettingsRefused, match="3000 to 8000"):
        measure_marks([marked("a" * 64, Region(0, 1))], sound_of, ceiling_hz=500)


def test_the_mean_over_a_steady_voice_equals_its_value_at_a_moment():
    found = rows_of(measure_marks([marked("a" * 64, Region(0.2, 0.8))], sound_of).content)[0]
    moment = np.array([0.5])
    assert float(found["intensity_db"]) == pytest.approx(intensity(voice(), moment)[0], abs=0.1)
    assert float(found["f0_mean_hz"]) == pytest.approx(fundamental_frequency(voice(), moment)[0], rel=0.002)
