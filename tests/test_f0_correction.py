"""F0 corrected by hand: operations on frames, dependent measures, storage and files."""

import csv
import io
import json
import queue
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call
from sqlalchemy import func, select
from streamlit.testing.v1 import AppTest

from pages.shared.cached import jobs, measuring
from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, export_recordings
from ser_core.annotations.exchange.measuring import measure_marks
from ser_core.annotations.f0.corrections import CorrectedF0, Correction
from ser_core.annotations.f0.operations import corrected_tracks, f0_changes, with_corrected_f0
from ser_core.annotations.f0.tracks import f0_tracks, write_f0
from ser_core.annotations.formats import own, read_annotations
from ser_core.annotations.store import tables
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.store.trash import TRASH_PERIOD
from ser_core.audio.acoustics import harmonics_to_noise, spectral_tilt, tracks_of
from ser_core.audio.measures import measures_of
from ser_core.errors import (
    AnnotationsOutdated,
    AnnotationsRefused,
    AudioRefused,
    Cancelled,
    RecordingTooLong,
    SettingsRefused,
)
from ser_core.work.progress import Work
from tests.databases import file, fresh_project, fresh_store, fresh_url, mark, sha  # noqa: F401
from tests.test_measures import rows_of, voice

NONE = np.nan
AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
#: Frames 0 to 5: the third is unvoiced.
MEASURED = np.array([100.0, 400.0, NONE, 120.0, 130.0, 700.0])
ALL = Region(0.0, 0.06)


def corrected(hz: dict[int, float], by: str = "Ann", at: datetime = AT) -> CorrectedF0:
    return CorrectedF0({frame: Correction(value, by, at) for frame, value in hz.items()})


# --- operations on frames ---


@pytest.mark.parametrize(
    ("operation", "before", "region", "expected"),
    [
        ("halve", {}, Region(0.01, 0.03), {1: 200.0}),
        ("double", {}, Region(0.0, 0.02), {0: 200.0, 1: 800.0}),
        ("double", {1: 200.0}, Region(0.01, 0.02), {1: None}),  # measured again, so no correction is left
        ("halve", {3: 0.0, 4: 90.0}, Region(0.03, 0.05), {4: 45.0}),
        ("unvoice", {0: 90.0}, ALL, {0: 0.0, 1: 0.0, 3: 0.0, 4: 0.0, 5: 0.0}),
        ("unvoice", {2: 90.0}, Region(0.02, 0.03), {2: None}),
        ("voice", {1: 200.0, 3: 0.0}, ALL, {3: None}),
        ("reset", {1: 200.0, 2: 110.0, 3: 0.0}, Region(0.0, 0.03), {1: None, 2: None}),
    ],
)
def test_operations_by_hand(operation, before, region, expected):
    assert f0_changes(operation, MEASURED, before, region) == expected


def test_a_drawn_f0_replaces_it_frame_by_frame():
    drawn = f0_changes("draw", MEASURED, {0: 90.0}, Region(0.0, 0.03), [90.0, 150.5, 160.0])
    assert drawn == {1: 150.5, 2: 160.0}


@pytest.mark.parametrize(
    ("operation", "before", "drawn", "words"),
    [
        ("double", {}, (), "F0 would be 1800 Hz; it can be 30 to 1600 Hz"),
        ("halve", {0: 50.0}, (), "F0 would be 25 Hz"),
        ("voice", {1: 200.0}, (), "0.00 to 0.06 s stays as it is: no frame there was made unvoiced by hand"),
        ("reset", {}, (), "no frame there was corrected"),
        ("draw", {}, [100.0], "drawn for 1 frames instead of 6"),
        ("draw", {}, [1e9] * 6, r"F0 would be 1e\+09 Hz"),
    ],
)
def test_impossible_operations_are_refused(operation, before, drawn, words):
    measured = np.array([*MEASURED[:5], 900.0]) if operation == "double" else MEASURED
    with pytest.raises(SettingsRefused, match=words):
        f0_changes(operation, measured, before, ALL, drawn)


# --- dependent measures ---


def test_other_measures_follow_the_corrected_f0_as_if_it_had_been_measured():
    sound = voice()
    tracks = tracks_of(sound)
    hz = {20: 75.0, 21: 40.0, 30: 0.0, 40: 300.0, 10_000: 100.0}
    found = corrected_tracks(tracks, sound, hz)
    f0 = tracks.f0_hz.copy()
    f0[[20, 21, 30, 40]] = [75, 40, NONE, 300]
    np.testing.assert_array_equal(found.f0_hz, f0)
    np.testing.assert_allclose(found.hnr_db, harmonics_to_noise(sound, tracks.times_s, f0))
    tilt = spectral_tilt(sound, tracks.times_s)
    # Products of matrices round differently for another number of frames.
    np.testing.assert_allclose(found.tilt_db_per_octave, np.where(np.isnan(f0), NONE, tilt), rtol=1e-12)
    assert np.flatnonzero(found.f0_is_corrected).tolist() == [20, 21, 30, 40]
    measures = measures_of(found, Region(0.2, 0.32))
    assert (measures.f0_lowest_hz, measures.f0_corrected_frames) == (40, 3)
    assert measures_of(tracks, Region(0.2, 0.32)).f0_corrected_frames == 0
    # After an earlier correction only new frames are measured, with the same result as by one correction.
    again = corrected_tracks(tracks, sound, hz | {20: 80.0, 31: 120.0}, found)
    for line in ("f0_hz", "hnr_db", "tilt_db_per_octave"):
        expected = getattr(corrected_tracks(tracks, sound, hz | {20: 80.0, 31: 120.0}), line)
        np.testing.assert_allclose(getattr(again, line), expected, rtol=1e-6)
    shown = with_corrected_f0(tracks, hz)
    np.testing.assert_array_equal(shown.f0_hz, f0)
    assert np.isnan(shown.hnr_db[[20, 21, 30, 40]]).all()
    assert (
        np.isnan(shown.hnr_db).sum() == (np.isnan(tracks.hnr_db) | np.isin(np.arange(len(f0)), [20, 21, 30, 40])).sum()
    )
    assert corrected_tracks(tracks, sound, {}) is tracks


def test_measuring_with_a_corrected_f0_can_be_stopped():
    sound = voice()
    with pytest.raises(Cancelled):
        corrected_tracks(tracks_of(sound), sound, {20: 75.0}, work=Work(stop=lambda: True))


def test_the_table_of_measures_counts_corrected_frames_in_stretches_too():
    marks = tuple(Annotation(region, annotator="Ann") for region in (Region(0.2, 0.4), Region(0.6, 0.8)))
    recording = AnnotatedRecording("v.wav", "a" * 64, 1.0, 16_000, marks, f0=corrected({25: 75.0, 26: 75.0}))

    def in_stretches(sha256, region=None):
        if region is None:
            raise RecordingTooLong("too long")
        whole = voice()
        return replace(whole, samples=whole.samples[3_200:], start_s=0.2)

    for sound_of in (lambda _: voice(), in_stretches):
        first, second = rows_of(measure_marks([recording], sound_of).content)
        assert (first["f0_corrected_frames"], second["f0_corrected_frames"]) == ("2", "0")
        assert (float(first["f0_lowest_hz"]), float(second["f0_lowest_hz"])) == (75, pytest.approx(150, rel=0.01))


# --- stored ---


def f0_of(store, project):
    return store.recordings.open(project, sha(0), "Ann").f0


def test_corrections_are_stored_with_who_and_when_and_undone_with_the_marks(store, project, database_url):
    store.marks.correct_f0(project, sha(0), " Ann ", {3: 100.0, 4: 0.0, 5: 90.5}, {})
    store.marks.edit(project, sha(0), "Ann", add=[mark()])
    seen = f0_of(store, project)
    store.marks.correct_f0(project, sha(0), "Ben", {4: 95.0, 5: None}, seen.frames)
    with closing(open_store(database_url)) as again:
        found = f0_of(again, project)
    assert (found.hz, found.people) == ({3: 100.0, 4: 95.0}, {"Ann": 1, "Ben": 1})
    assert store.history.undo(project, sha(0), "Ben").f0.after == {4: seen.frames[4], 5: seen.frames[5]}
    assert f0_of(store, project) == seen  # Ann's again, with her name
    assert store.history.undo(project, sha(0), "Ann").f0 is None  # the mark, which came later
    assert store.history.undo(project, sha(0), "Ann").f0.after == {}
    assert not f0_of(store, project).frames
    assert store.history.redo(project, sha(0), "Ann").f0.after == seen.frames
    assert f0_of(store, project) == seen
    with store._database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.f0_corrections)) == 1


def test_corrections_made_meanwhile_by_others_are_not_overwritten(store, project):
    store.marks.correct_f0(project, sha(0), "Ann", {3: 100.0}, {})
    for wanted in ({3: 120.0, 4: 110.0}, {3: None}):
        with pytest.raises(AnnotationsOutdated, match=r"Ann corrected F0 at 0\.04 s on 20.* UTC\. Nothing"):
            store.marks.correct_f0(project, sha(0), "Ben", wanted, {})
    seen = f0_of(store, project)
    store.marks.correct_f0(project, sha(0), "Ben", {3: None, 4: 110.0}, seen.frames)
    with pytest.raises(AnnotationsOutdated, match=r"Somebody has undone a correction of F0 at 0\.04 s"):
        store.history.undo(project, sha(0), "Ann")
    assert f0_of(store, project).hz == {4: 110.0}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({1_000: 100.0}, r"corrected at 10\.00 s: the recording is 10 s long"),
        ({-1: 100.0}, "the recording is 10 s long"),
        ({1: 5_000.0}, "F0 of 5000 Hz is not possible; give 0, or 30 to 1600 Hz"),
        ({1: None}, "as measured there already"),
    ],
)
def test_impossible_corrections_are_refused_and_leave_nothing(store, project, wanted, words):
    with pytest.raises(AnnotationsRefused, match=words):
        store.marks.correct_f0(project, sha(0), "Ann", {2: 100.0} | wanted if 1 not in wanted else wanted, {})
    assert not f0_of(store, project).frames
    assert store.history.page(project, sha(0)).total == 0


def test_corrections_go_into_the_trash_with_their_recording_and_belong_to_a_person(store, project):
    store.recordings.add(project, [file(7)], "Cid")
    store.marks.correct_f0(project, sha(7), "Ann", {3: 100.0}, {})
    (ownership,) = store.trash.ownerships_of(sha(7))
    assert "F0 corrected by Ann" in ownership.in_words()
    with pytest.raises(AnnotationsRefused, match="neither owns the project nor made all"):
        store.trash.delete_recording(sha(7), "Cid")
    store.trash.delete_recording(sha(7), "Ben")
    (deleted,) = store.trash.items()
    store.trash.restore(deleted.id, "Ann")
    assert store.recordings.open(project, sha(7), "Ann").f0.hz == {3: 100.0}
    store.trash.delete_recording(sha(7), "Ben")
    store.trash.empty(datetime.now(UTC) + TRASH_PERIOD)
    with store._database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.f0_corrections)) == 0


# --- transfer to other projects ---


def test_our_json_contains_corrections_and_an_import_keeps_those_made_here(store, project):
    theirs = corrected({2: 90.0, 3: 0.0, 4: 110.0})
    document = AnnotatedRecording("take 0.wav", sha(0), 10.0, None, (mark(annotator="Ann"),), f0=theirs)
    content = own.write([document]).content
    (read,) = read_annotations(content, "a.json").recordings
    assert read.f0 == theirs
    store.marks.correct_f0(project, sha(0), "Ben", {4: 222.0, 5: 100.0}, {})
    imported = store.transfer.import_recordings(project, [read], "Ben")
    assert (imported.added, imported.f0_frames, imported.f0_left_out) == (1, 2, 1)
    assert f0_of(store, project).hz == {2: 90.0, 3: 0.0, 4: 222.0, 5: 100.0}
    again = store.transfer.import_recordings(project, [read], "Ben", mode="replace")
    assert (again.f0_frames, again.f0_left_out) == (0, 1), "what was corrected here is newer"
    newer = replace(read, f0=corrected({4: 111.0}, "Cid", datetime.now(UTC) + timedelta(hours=1)))
    assert store.transfer.import_recordings(project, [newer], "Ben", mode="show").f0_frames == 1
    assert store.transfer.import_recordings(project, [newer], "Ben", mode="replace").f0_frames == 1
    assert f0_of(store, project).people == {"Ann": 2, "Ben": 1, "Cid": 1}
    store.history.undo(project, sha(0), "Ben")
    store.history.undo(project, sha(0), "Ben")
    assert f0_of(store, project).hz == {4: 222.0, 5: 100.0}
    assert not store.marks.of(project, sha(0)), "marks and F0 of an import are one step"
    (ours,) = (each for each in store.transfer.export(project) if each.f0.frames)
    assert ours.f0 == f0_of(store, project)
    assert any("F0" in words for words in export_recordings([ours], EXPORT_FORMATS["textgrid"]).dropped)


def test_f0_of_an_import_can_be_undone_after_its_marks_are_deleted_for_good(store, project):
    document = AnnotatedRecording("take 0.wav", sha(0), 10.0, None, (mark(annotator="Ben"),), f0=corrected({2: 90.0}))
    store.transfer.import_recordings(project, [document], "Ben")
    store.marks.edit(project, sha(0), "Ann", change=[replace(store.marks.of(project, sha(0))[0], note="seen")])
    store.marks.edit(project, sha(0), "Ben", delete=store.marks.of(project, sha(0)))
    store.trash.empty(datetime.now(UTC) + TRASH_PERIOD + timedelta(minutes=1))
    assert f0_of(store, project).hz == {2: 90.0}
    assert store.history.undo(project, sha(0), "Ben").f0.after == {}
    assert not f0_of(store, project).frames


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"hop_s": 0.005}, r"every 0\.005 s from 60 to 800 Hz there, and every 0\.01 s"),
        ({"runs": None}, "has no list of runs"),
        ({"runs": [{"frame": -1, "hz": [100], "by": "Ann", "at": "2024-05-01"}]}, "lacks frames or a person"),
        ({"runs": [{"frame": 1, "hz": ["x"], "by": "Ann", "at": "2024-05-01"}]}, "F0 'x' is not a number"),
        ({"runs": [{"frame": 1, "hz": [1e7], "by": "Ann", "at": "2024-05-01"}]}, "F0 of 1e"),
    ],
)
def test_damaged_corrections_in_a_file_are_refused(changed, words):
    document = AnnotatedRecording("v.wav", sha(0), 10.0, None, (), f0=corrected({2: 90.0}))
    content = own.write([document]).content.decode()
    fields = json.loads(content)
    fields["recordings"][0]["f0"] |= changed
    with pytest.raises(AnnotationsRefused, match=words):
        read_annotations(json.dumps(fields).encode(), "a.json")


# --- files ---


def test_praat_opens_the_pitch_tier_with_the_same_values(tmp_path):
    recording = AnnotatedRecording("v.wav", "a" * 64, 1.0, 16_000, (), f0=corrected({25: 75.25, 26: 80.5, 30: 0.0}))
    (track,) = f0_tracks([recording], lambda _: voice())
    found = write_f0(
        [recording], False, lambda _: voice(), lambda name, content: (tmp_path / name).write_bytes(content), Work()
    )
    assert (found.recordings, found.without_sound, found.corrected) == (1, 0, 3)
    tier = parselmouth.read(str(tmp_path / "v.PitchTier"))
    points = [
        (call(tier, "Get time from index", number), call(tier, "Get value at index", number))
        for number in range(1, call(tier, "Get number of points") + 1)
    ]
    voiced = ~np.isnan(track.f0_hz)
    np.testing.assert_allclose(points, np.column_stack([track.times_s, track.f0_hz])[voiced], rtol=1e-12)
    assert (call(tier, "Get end time"), dict(points)[0.255]) == (1.0, 75.25)
    assert 0.305 not in dict(points)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "v-f0.csv").read_text("utf-8-sig"))))
    assert len(rows) == 100
    assert [rows[25], rows[30]] == [
        {"time_s": "0.255", "f0_hz": "75.25", "source": "corrected"},
        {"time_s": "0.305", "f0_hz": "", "source": "corrected"},
    ]
    assert {row["source"] for row in rows} == {"measured", "corrected"}


def test_tracks_of_recordings_with_equal_names_are_distinct_and_missing_sounds_have_none():
    def sound_of(sha256):
        if sha256 == "c" * 64:
            raise AudioRefused("This is no sound.")
        return voice()

    recordings = [AnnotatedRecording("v.wav", letter * 64, 1.0, 16_000, ()) for letter in "abc"]
    first, second, third = f0_tracks(recordings, sound_of)
    assert first.name != second.name
    assert third is None


# --- its progress on a page ---


def page_of_a_correction() -> None:
    from pages.shared import waiting
    from pages.shared.cached import measuring
    from tests.test_measures import voice

    waiting.results({"corrected": measuring.correction_job(voice(), 5_500.0, None, {20: 75.0})})


def test_measures_of_a_corrected_f0_can_be_stopped_on_the_page_and_started_again(monkeypatch):
    begun = queue.Queue()

    def measure(*given):
        begun.put(given)
        while True:
            given[-1].check()
            time.sleep(0.01)

    monkeypatch.setattr(measuring, "corrected_tracks", measure)
    app = AppTest.from_function(page_of_a_correction, default_timeout=60).run()
    owner = app.session_state["owner"]
    for _ in range(2):
        assert begun.get(timeout=60)[2] == {20: 75.0}
        job = jobs().find(owner, ("corrected", voice().sha256, 5_500.0, frozenset({(20, 75.0)})))
        app.button(key="stop_corrected").click().run()
        assert job.ended.wait(60)
        app.run()
        assert [info.value for info in app.info] == ["HNR and tilt with the corrected F0 was stopped."]
        app.button(key="again_corrected").click().run()
    jobs().forget(owner)
