"""The table of focus regions and its files, worked by hand."""

import csv
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from pages.shared.evidence.focus_section import focus_marks
from ser_core.analysis import FocusRegion, Region
from ser_core.annotations.formats import FORMATS
from ser_core.audio.cutting import concatenate_regions, region_samples
from ser_core.audio.prosody import Prosody
from ser_core.output.focus_table import FocusRow, focus_csv, focus_rows, focus_zip
from tests.player_page import analysis


def focused(*regions: tuple[float, float]):
    return replace(analysis(3.0, 0), focus=tuple(FocusRegion(Region(*region), 0.2, 0.25) for region in regions))


PROSODY = Prosody(np.arange(30) / 10 + 0.05, np.repeat([-20.0, -14, -30], 10), np.repeat([100.0, 200, 50], 10))


def test_a_row_compares_its_region_with_everything_outside_all_regions():
    rows = focus_rows(
        focused((1.0, 2.0), (2.0, 2.1)), PROSODY, [Region(1.2, 1.5, label="so"), Region(1.6, 1.9, label="much")]
    )
    outside = 10 * np.log10((10 * 10**-2 + 9 * 10**-3) / 19)
    first, second = rows
    assert (first.number, first.start_s, first.end_s, first.strength, first.share) == (1, 1.0, 2.0, 0.2, 0.25)
    assert first.level_dbfs == pytest.approx(-14)
    assert first.louder_db == pytest.approx(-14 - outside)
    assert first.pitch_hz == 200
    assert first.higher_st == pytest.approx(12)  # outside: ten frames of 100 Hz, nine of 50
    assert first.words == "so much"
    assert (second.level_dbfs, second.louder_db, second.pitch_hz, second.higher_st, second.words) == (
        None,
        None,
        None,
        None,
        "",
    )


def test_if_everything_is_focus_there_is_nothing_to_compare_with():
    (row,) = focus_rows(focused((0.0, 3.0)), PROSODY)
    assert row.pitch_hz is not None
    assert row.louder_db is None
    assert row.higher_st is None


def test_the_csv_has_names_and_units_of_columns_and_empty_cells_for_unknown_values():
    rows = [
        FocusRow(1, 0.5, 1.25, 0.1, 0.5, -20.0, 3.0, 200.0, 1.5, 'say "so", then'),
        FocusRow(2, 2.0, 2.5, 0.1, 0.5, None, None, None, None, ""),
    ]
    first, second = csv.DictReader(io.StringIO(focus_csv(rows)))
    assert first == {
        "number": "1", "start_s": "0.5", "end_s": "1.25", "strength": "0.1", "share": "0.5", "level_dbfs": "-20",
        "louder_db": "3", "pitch_hz": "200", "higher_st": "1.5", "words": 'say "so", then',
    }  # fmt: skip
    assert second["pitch_hz"] == second["louder_db"] == ""


def test_the_zip_contains_each_cut_region_and_the_table():
    analysis = focused((0.3, 0.9), (1.5, 2.25))
    rows = focus_rows(analysis, PROSODY)
    archive = zipfile.ZipFile(io.BytesIO(focus_zip(analysis, rows)))
    assert archive.testzip() is None
    assert archive.namelist() == ["focus.csv", "focus-01.wav", "focus-02.wav"]
    assert archive.read("focus.csv").decode() == focus_csv(rows)
    for name, focus in zip(archive.namelist()[1:], analysis.focus, strict=True):
        samples, rate = soundfile.read(io.BytesIO(archive.read(name)), dtype="float32")
        assert rate == analysis.recording.sample_rate_hz
        np.testing.assert_allclose(samples, region_samples(analysis.recording, focus.region, 0.005), atol=1 / 32_767)
    assert focus_zip(analysis, rows) == focus_zip(analysis, rows)


def test_regions_in_a_row_have_silence_only_between_them():
    recording = analysis(3.0, 0).recording
    regions = [Region(0.3, 0.9), Region(1.5, 2.25), Region(2.5, 2.6)]
    cuts = [region_samples(recording, region, 0.005) for region in regions]
    gap = np.zeros(round(0.4 * recording.sample_rate_hz), np.float32)
    expected = np.concatenate([cuts[0], gap, cuts[1], gap, cuts[2]])
    np.testing.assert_array_equal(concatenate_regions(recording, regions, 0.005), expected)
    assert len(concatenate_regions(recording, [], 0.005)) == 0


def test_marks_of_a_stretch_do_not_claim_that_the_recording_ends_with_it():
    found = focused((0.5, 1.0))
    whole = focus_marks(found)
    assert (whole.sha256, whole.duration_s) == (found.recording.sha256, 3.0)
    stretch = replace(found, recording=replace(found.recording, part_of="ab" * 32, start_s=600.0))
    marks = focus_marks(stretch)
    assert marks.annotations[0].region == Region(600.5, 601.0)
    assert marks.sha256 is None
    read = FORMATS["csv"].read(FORMATS["csv"].write([marks]).content, "a.csv").recordings
    assert [(one.name, one.sha256) for one in read] == [(found.recording.name, None)]
