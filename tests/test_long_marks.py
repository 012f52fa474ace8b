"""Marks in recordings of more than ten minutes: found, measured, taught and exported in the recording's own time."""

import csv
import io
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from pages.shared.annotation.marking import player_edits
from pages.shared.annotation.tiers.find_section import joined
from pages.shared.cached import long_recordings
from pages.shared.player import Edit, Mark
from pages.shared.recording import open_recordings
from ser_core.analysis import Region
from ser_core.annotations.annotation import RECORDING_TIER, AnnotatedRecording, Annotation
from ser_core.annotations.exchange import measuring
from ser_core.annotations.exchange.measuring import LONGEST_MEASURED_S, measure_marks
from ser_core.annotations.saved_sounds import audio_file, save_sound, sounds_of, wav_files_of
from ser_core.annotations.store.finding import Hit
from ser_core.annotations.teaching.corpus import write_taught_corpus
from ser_core.audio.reading import read_recording
from ser_core.errors import AnnotationsRefused, RecordingTooLong
from ser_core.settings import AudioLimits
from ser_core.work.progress import UNWATCHED
from tests.test_audio import RATE, encoded

LENGTH_S = 9.0
REGIONS = [Region(0.2, 0.9), Region(3.1, 3.6), Region(3.4, 5.1), Region(8.2, 9.0)]


@pytest.fixture(scope="module")
def data(make_voice):
    return encoded(make_voice(LENGTH_S, RATE), kind="FLAC")


@pytest.fixture
def limit_s(monkeypatch):
    """Make three seconds the longest recording that is analysed at once."""
    shortest_s, _, *others = AudioLimits.__init__.__defaults__
    monkeypatch.setattr(AudioLimits.__init__, "__defaults__", (shortest_s, 3.0, *others))
    monkeypatch.setattr(measuring, "TOGETHER_S", 2.5)


def added(data: bytes, folder):
    file = audio_file(io.BytesIO(data), "interview.flac", speaker="ann")
    save_sound(data, folder)
    return file


def marked(sha256: str, *marks: Annotation) -> AnnotatedRecording:
    return AnnotatedRecording("interview.flac", sha256, LENGTH_S, RATE, marks, {})


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_a_long_file_has_hash_and_length_like_a_short_one(data, limit_s):
    file = audio_file(io.BytesIO(data), "interview.flac")
    assert (file.duration_s, file.sample_rate_hz, file.is_long) == (LENGTH_S, RATE, True)
    assert file.sha256 == read_recording(data, limits=AudioLimits(longest_s=60.0)).sha256


def test_measures_of_marks_equal_those_from_the_whole_recording(data, tmp_path, limit_s):
    file = added(data, tmp_path)
    whole = read_recording(data, limits=AudioLimits(longest_s=60.0))
    marks = [Annotation(region, emotion="sad") for region in REGIONS]
    document = marked(file.sha256, *marks)
    found = measure_marks([document], sounds_of([file], tmp_path))
    expected = measure_marks([document], lambda _: whole)
    assert (found.without_sound, found.too_long) == (0, 0)
    for ours, theirs in zip(rows_of(found.content), rows_of(expected.content), strict=True):
        for name in measuring.MEASURES:
            assert bool(ours[name]) == bool(theirs[name]), name
            if theirs[name]:
                # The F0 detector sees less context at the ends of a stretch.
                assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=0.02, abs=0.1), name


def test_a_mark_too_long_to_measure_has_no_measures_and_is_counted(data, tmp_path, limit_s, monkeypatch):
    monkeypatch.setattr(measuring, "LONGEST_MEASURED_S", 5.0)
    file = added(data, tmp_path)
    whole, part = Annotation(Region(0, LENGTH_S), tier=RECORDING_TIER), Annotation(REGIONS[0])
    found = measure_marks([marked(file.sha256, whole, part)], sounds_of([file], tmp_path))
    assert (found.marks, found.too_long) == (2, 1)
    first, second = rows_of(found.content)
    assert not first["intensity_db"]
    assert second["intensity_db"]
    assert LONGEST_MEASURED_S == 594


def test_the_whole_is_refused_and_a_stretch_has_the_samples_around_a_region(data, tmp_path, limit_s):
    file = added(data, tmp_path)
    sound_of = sounds_of([file], tmp_path)
    with pytest.raises(RecordingTooLong, match=r"interview\.flac is longer than 0\.05 minutes.* Mark regions"):
        sound_of(file.sha256)
    stretch = sound_of(file.sha256, Region(3.1, 3.6))
    assert (stretch.start_s, stretch.part_of, stretch.duration_s) == (2.0, file.sha256, 3.0)
    whole = read_recording(data, limits=AudioLimits(longest_s=60.0)).samples
    np.testing.assert_array_equal(stretch.samples, whole[2 * RATE : 5 * RATE])
    assert sounds_of([], tmp_path)(file.sha256) is None


def test_a_file_that_is_no_longer_the_same_counts_as_missing(data, make_voice, tmp_path, limit_s):
    file = added(data, tmp_path)
    (tmp_path / "recordings" / file.sha256).write_bytes(encoded(make_voice(5.0, RATE, 1)))
    assert sounds_of([file], tmp_path)(file.sha256, REGIONS[0]) is None
    assert wav_files_of([file], tmp_path)(file.sha256) is None


def test_hits_are_cut_at_their_own_times(data, tmp_path, limit_s, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    file = added(data, tmp_path)
    hits = tuple(Hit(file, Annotation(region), None) for region in REGIONS)
    recording, regions = joined(hits, UNWATCHED)
    whole = read_recording(data, limits=AudioLimits(longest_s=60.0)).samples
    for found, region in zip(regions, REGIONS, strict=True):
        ours = recording.samples[round(found.start_s * RATE) : round(found.end_s * RATE)]
        theirs = whole[round(region.start_s * RATE) : round(region.end_s * RATE)]
        np.testing.assert_allclose(ours[200:-200], theirs[200:-200], atol=1e-6)  # between the fades


def test_only_regions_of_a_long_recording_are_taught(data, tmp_path, limit_s):
    file = added(data, tmp_path)
    marks = [Annotation(region, emotion="sad", annotator="ann", status="done") for region in (REGIONS[0], REGIONS[3])]
    whole = Annotation(Region(0, LENGTH_S), tier=RECORDING_TIER, emotion="sad", annotator="ann", status="done")
    taught = write_taught_corpus([marked(file.sha256, *marks)], sounds_of([file], tmp_path), tmp_path / "corpus")
    rows = list(csv.DictReader(io.StringIO(taught.train.read_text())))
    assert [(float(row["start_s"]), float(row["end_s"])) for row in rows] == [(0.2, 0.9), (8.2, 9.0)]
    assert {row["recording_sha256"] for row in rows} == {file.sha256}
    samples = read_recording(data, limits=AudioLimits(longest_s=60.0)).samples
    cut, _ = soundfile.read(taught.train.parent / rows[1]["path"], dtype="float32")
    np.testing.assert_allclose(cut, samples[round(8.2 * RATE) :], atol=2**-14)
    with pytest.raises(AnnotationsRefused, match="only stretches of it are analysed"):
        write_taught_corpus([marked(file.sha256, whole)], sounds_of([file], tmp_path), tmp_path / "none")


def test_a_long_recording_is_exported_as_a_wav_file(data, tmp_path, limit_s):
    file = added(data, tmp_path)
    content = wav_files_of([file], tmp_path)(file.sha256)
    found, rate = soundfile.read(io.BytesIO(content[:]), dtype="float32")
    assert rate == RATE
    np.testing.assert_array_equal(found, read_recording(data, limits=AudioLimits(longest_s=60.0)).samples)


@pytest.mark.parametrize(
    ("recording", "regions", "expected"),
    [
        ("a" * 64, [Region(2.0, 4.0)], [(2.0, 4.0)]),
        ("b" * 64, [Region(2.0, 4.0)], []),  # another one has been opened since
        ("a" * 64, [], []),
    ],
)
def test_only_a_stretch_of_the_recording_that_is_open_is_analysed(recording, regions, expected, monkeypatch):
    opened = []
    monkeypatch.setattr(
        open_recordings, "current_long", lambda: open_recordings.HeldLong("interview.wav", b"", "a" * 64)
    )
    monkeypatch.setattr(long_recordings, "working_copy_job", lambda long: SimpleNamespace(state="done", result=None))
    monkeypatch.setattr(long_recordings, "open_stretch", lambda long, copy, *times, replace_last: opened.append(times))
    marks = tuple(Mark("new 1", region) for region in regions)
    player_edits.handle_edit(None, Edit(recording, changed=marks, command="analyse"))
    assert opened == expected
