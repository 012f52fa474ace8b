import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from ser_core.analysis import FocusRegion, Recording, Region
from ser_core.audio.cutting import region_samples
from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import audio_files
from ser_core.errors import Cancelled, SettingsRefused
from ser_core.explanation.focus import SHARES
from ser_core.explanation.focus_audio import sound_without
from ser_core.front_end.selection import segments_of
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.model.scores import NO_SPEECH, NOT_SURE, softmax
from ser_core.output.analysis_folder import save_analysis
from ser_core.output.overview_picture import save_overview
from ser_core.output.stored_results import read_results, results_bytes
from ser_core.pipeline import (
    add_explanation,
    analyse_recording,
    classify_recording,
    explainer_run,
    find_focus,
    judge_maps,
    score_focus_audio,
    target_of,
    with_deciding_focus,
    with_target,
)
from ser_core.settings import (
    AnalysisSettings,
    FocusSettings,
    LimeSettings,
    OcclusionSettings,
    SpectrogramSettings,
    VerdictSettings,
)
from ser_core.work.atomic_folder import folder_name
from ser_core.work.progress import Work
from tests.tiny_networks import (
    EMOTIONS,
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    everything_kept,
    fresh,
    noise_recording,
)

QUICK = AnalysisSettings(
    lime=LimeSettings(masks=40), occlusion=OcclusionSettings(stride_frames=16, stride_bands=8), seed=3
)
NOTHING = replace(QUICK, explain=(), focus_by=None)


@pytest.fixture(scope="module")
def classifier():
    return classifier_of(fresh(TinyNetwork))


@pytest.fixture(scope="module")
def analysis(classifier):
    return analyse_recording(noise_recording(), classifier, QUICK)


class LevelClassifier(LinearClassifier):
    """Predicts anger with more certainty for louder segments."""

    def __init__(self, weights, gain=3.0, level=-4.0, **others):
        super().__init__(weights, **others)
        self.gain, self.level = gain, level

    def score(self, segments):
        self.calls.append(np.array(segments))
        anger = self.gain * (segments.mean(axis=(1, 2)) - self.level)
        return np.stack([anger, *[np.zeros(len(anger))] * 3], axis=1).astype(np.float32)


def with_levels(levels, rate=16_000):
    """Return a recording of noise whose level follows (seconds, level) pairs."""
    noise = np.random.default_rng(0).normal(size=round(sum(s for s, _ in levels) * rate))
    envelope = np.concatenate([np.full(round(s * rate), level) for s, level in levels])
    return Recording("levels.wav", "2" * 64, np.clip(noise * envelope, -1, 1).astype(np.float32), rate)


# --- content of an analysis ---


def test_same_recording_model_and_settings_give_the_same_analysis(analysis, classifier):
    again = analyse_recording(noise_recording(), classifier, QUICK)
    np.testing.assert_array_equal(again.scores.segments, analysis.scores.segments)
    np.testing.assert_array_equal(again.profile, analysis.profile)
    assert again.focus == analysis.focus
    assert list(again.explanations) == ["grad_cam", "lime", "occlusion"]
    for method, explanation in analysis.explanations.items():
        np.testing.assert_array_equal(again.explanations[method].relevance, explanation.relevance)


def test_another_seed_changes_only_lime(analysis, classifier):
    other = analyse_recording(noise_recording(), classifier, replace(QUICK, seed=4))
    assert (other.explanations["lime"].relevance != analysis.explanations["lime"].relevance).any()
    for method in ("grad_cam", "occlusion"):
        np.testing.assert_array_equal(other.explanations[method].relevance, analysis.explanations[method].relevance)


def test_scores_are_the_mean_of_the_selected_segments_calibrated_probabilities(analysis, classifier):
    warm = classifier_of(fresh(TinyNetwork), temperature=2.0)
    found = classify_recording(noise_recording(), warm, NOTHING)
    logits = classifier.score(analysis.segments.values)
    np.testing.assert_allclose(found.scores.segments, softmax(logits, 2.0), atol=1e-5)
    np.testing.assert_allclose(
        found.scores.recording, found.scores.segments[found.segments.selected].mean(axis=0), atol=1e-12
    )
    assert found.scores.recording.sum() == pytest.approx(1)
    assert found.emotion == EMOTIONS[int(found.scores.recording.argmax())]


def test_a_model_that_pools_logits_scores_and_explains_the_softmax_of_their_mean(analysis, classifier):
    pooling = classifier_of(fresh(TinyNetwork), temperature=2.0, pooling="logits")
    found = classify_recording(noise_recording(), pooling, NOTHING)
    logits = pooling.score(found.segments.values[found.segments.selected])
    expected = softmax(logits.mean(axis=0), 2.0)
    assert np.abs(expected - softmax(logits, 2.0).mean(axis=0)).max() > 1e-5
    np.testing.assert_allclose(found.scores.recording, expected, atol=1e-6)
    for method in ("grad_cam", "lime", "occlusion"):
        run = explainer_run(found, method, pooling, QUICK).result
        np.testing.assert_allclose(run.original, expected, atol=1e-5)


def test_classification_explains_nothing_and_each_method_gives_its_own_profile_and_focus(analysis, classifier):
    classified = classify_recording(noise_recording(), classifier, QUICK)
    assert (classified.explanations, classified.profile, classified.focus, classified.focus_by) == ({}, None, (), None)
    both = add_explanation(add_explanation(classified, "occlusion", classifier, QUICK), "grad_cam", classifier, QUICK)
    assert list(both.explanations) == ["occlusion", "grad_cam"]
    assert both.profile is None
    by_map = find_focus(both, "occlusion", classifier, QUICK)
    assert by_map.focus_by is both.explanations["occlusion"], "what has been computed is not computed again"
    assert analysis.focus_by.method == "lime_time"
    assert (by_map.profile != analysis.profile).any()


def test_lime_over_time_is_the_same_in_all_bands(analysis):
    relevance = analysis.focus_by.relevance
    np.testing.assert_array_equal(relevance, np.repeat(relevance[:, :1], relevance.shape[1], axis=1))
    assert np.ptp(relevance[analysis.focus_by.covered, 0]) > 0


def test_the_focus_is_the_stretch_that_decides():
    """Loudness is evidence for anger and outweighs the quiet around it, so it is the focus of every explainer."""
    recording = with_levels([(1.2, 0.01), (0.6, 0.5), (1.2, 0.01)])
    classifier = LevelClassifier(np.zeros((4, 96, 64)), gain=1.0, level=-2.5)
    settings = replace(QUICK, explain=())
    for method in ("lime_time", "occlusion"):
        found = analyse_recording(recording, classifier, replace(settings, focus_by=method))
        assert found.emotion == "angry"
        (focus,) = found.focus
        assert 1.1 < focus.region.start_s < focus.region.end_s < 1.9
        assert found.focus_settings.threshold is None
        assert found.focus_settings.share in SHARES


def test_a_given_share_or_threshold_of_focus_runs_no_model(analysis):
    classifier = LinearClassifier(np.zeros((4, 96, 64)))
    for focus in (FocusSettings(share=0.2), FocusSettings(threshold=0.5)):
        found = with_deciding_focus(analysis, analysis.focus_by, classifier, replace(QUICK, focus=focus))
        assert found.focus_settings == focus
    assert classifier.calls == []


def test_segments_are_selected_once_and_dropped_ones_never_count_again():
    recording = with_levels([(2.4, 0.1), (1.5, 0.0), (2.4, 0.1)])
    classifier = LinearClassifier(np.random.default_rng(1).normal(size=(4, 96, 64)) * 0.003)
    classified = classify_recording(recording, classifier, QUICK)
    dropped = classified.segments.values[~classified.segments.selected]
    assert len(dropped) > 0
    np.testing.assert_array_equal(
        classified.segments.selected, segments_of(classified.spectrogram, classifier.front_end).selected
    )
    classifier.calls.clear()
    explained = add_explanation(classified, "lime", classifier, QUICK)
    explained = add_explanation(explained, "occlusion", classifier, QUICK)
    assert explained.segments is classified.segments
    np.testing.assert_array_equal(classifier.calls[0], classified.segments.values[classified.segments.selected])
    versions = sum(len(call) for call in classifier.calls[1:])
    assert versions > 0
    selected_at = classified.segments.start_frames[classified.segments.selected]
    reached = np.zeros(len(classified.spectrogram.log_mel), bool)
    for start in selected_at:
        reached[start : start + 96] = True
    for explanation in explained.explanations.values():
        np.testing.assert_array_equal(explanation.covered, reached)
        assert (explanation.relevance[~reached] == 0).all()
    assert not reached.all()
    assert (find_focus(explained, "lime", classifier, QUICK).profile[~reached] == 0).all()


def test_noise_is_given_scores_but_no_emotion(analysis):
    assert analysis.verdict == NO_SPEECH
    assert analysis.speech_s < 0.25
    assert analysis.scores.recording.sum() == pytest.approx(1)


@pytest.mark.corpora
def test_speech_is_given_an_emotion_only_if_the_score_is_high_enough(corpora, classifier):
    recording = read_recording(audio_files(corpora / "emodb")[0])
    lenient = replace(NOTHING, verdict=VerdictSettings(least_score=0.0))
    strict = replace(NOTHING, verdict=VerdictSettings(least_score=1.0))
    classified = classify_recording(recording, classifier, lenient)
    assert classified.speech_s > 0.5
    assert classified.verdict == classified.emotion
    assert classify_recording(recording, classifier, strict).verdict == NOT_SURE


def test_a_recording_shorter_than_a_segment_is_analysed_with_a_warning_and_without_focus_on_the_padding(classifier):
    recording = noise_recording(0.5)
    short = analyse_recording(recording, classifier, QUICK)
    assert any("Shorter than the 0.96 s" in warning for warning in short.warnings)
    assert short.profile.shape == (len(short.spectrogram.log_mel),)
    assert all(focus.region.end_s <= recording.duration_s for focus in short.focus)
    assert short.stretch == Region(0, 0.5)


def test_the_analysis_includes_the_recordings_warnings(analysis, classifier):
    warned = replace(noise_recording(), warnings=("Very quiet.",))
    assert classify_recording(warned, classifier, NOTHING).warnings == ("Very quiet.",)
    assert analysis.warnings == ()


# --- the emotion that is explained ---


def test_the_chosen_emotion_is_explained_whatever_scores_best(classifier):
    settings = replace(QUICK, explain=("grad_cam",))
    best = analyse_recording(noise_recording(), classifier, settings)
    other = next(emotion for emotion in EMOTIONS if emotion != best.emotion)
    found = analyse_recording(noise_recording(), classifier, replace(settings, emotion=other, against=best.emotion))
    explanation = found.explanations["grad_cam"]
    assert (found.emotion, explanation.emotion, explanation.against) == (other, other, best.emotion)
    np.testing.assert_array_equal(found.scores.recording, best.scores.recording)


@pytest.mark.parametrize("name", ["emotion", "against"])
def test_an_emotion_that_the_model_does_not_know_is_refused(classifier, name):
    with pytest.raises(SettingsRefused, match=r"does not know the emotion 'bored'.*: angry, happy, neutral, sad"):
        analyse_recording(noise_recording(), classifier, replace(QUICK, explain=("grad_cam",), **{name: "bored"}))


def test_an_emotion_against_itself_is_refused(classifier):
    with pytest.raises(SettingsRefused, match="sad cannot be explained against itself"):
        analyse_recording(noise_recording(), classifier, replace(QUICK, emotion="sad", against="sad"))


def test_with_target_equals_an_analysis_of_that_emotion_from_the_start(classifier):
    classified = classify_recording(noise_recording(), classifier, QUICK)
    other = next(emotion for emotion in EMOTIONS if emotion != classified.emotion)
    explained = analyse_recording(noise_recording(), classifier, replace(QUICK, explain=("grad_cam",)))
    for before in (classified, explained):
        other_target = with_target(before, other, QUICK)
        assert (other_target.emotion, other_target.stretch) == (other, classified.stretch)
        assert (other_target.explanations, other_target.profile, other_target.focus) == ({}, None, ())
    with pytest.raises(SettingsRefused, match="does not know the emotion 'bored'"):
        with_target(classified, "bored", QUICK)


def test_each_emotion_of_a_long_recording_has_its_own_best_stretch(classifier):
    long = noise_recording(seconds=40.0)
    settings = replace(QUICK, explain=())
    analysis = classify_recording(long, classifier, settings)
    for emotion in EMOTIONS:
        expected = classify_recording(long, classifier, replace(settings, emotion=emotion)).stretch
        assert with_target(analysis, emotion, settings).stretch == expected


# --- the stretch that is explained ---


def test_a_recording_of_up_to_30_seconds_is_explained_whole(analysis):
    assert analysis.stretch == Region(0, 2.0)
    assert analysis.explanations["lime"].covered.all()


def test_only_a_chosen_stretch_is_explained(classifier):
    settings = replace(QUICK, stretch_s=(0.5, 1.5), explain=("grad_cam", "lime"))
    found = analyse_recording(noise_recording(), classifier, settings)
    assert found.stretch == Region(0.5, 1.5)
    times = found.spectrogram.frame_times_s
    inside = (times > 0.5) & (times < 1.5)
    for explanation in found.explanations.values():
        np.testing.assert_array_equal(explanation.covered, inside)
        assert (explanation.relevance[~inside] == 0).all()
    assert all(f.region.start_s >= 0.49 and f.region.end_s <= 1.51 for f in found.focus)
    whole = classify_recording(noise_recording(), classifier, NOTHING)
    np.testing.assert_array_equal(found.scores.recording, whole.scores.recording)


def test_a_stretch_that_ends_after_the_recording_is_cut(classifier):
    found = classify_recording(noise_recording(), classifier, replace(NOTHING, stretch_s=(1.0, 99.0)))
    assert found.stretch == Region(1.0, 2.0)
    target = target_of(found, NOTHING)
    assert target.end_frame == len(found.spectrogram.log_mel)


def test_a_stretch_shorter_than_a_frame_is_the_frame_nearest_to_it(classifier):
    for stretch in ((0.0, 0.001), (1.234, 1.235), (1.9995, 2.0)):
        found = classify_recording(noise_recording(), classifier, replace(NOTHING, stretch_s=stretch))
        target = target_of(found, NOTHING)
        assert target.end_frame - target.first_frame == 1
        assert target.covered.sum() == 1, stretch


@pytest.mark.parametrize(
    "stretch", [(2.5, 3.0), (2.0, 2.5), (-1.0, 1.0), (1.0, 1.0), (1.5, 1.0), (float("nan"), 1.0), (0.5, float("nan"))]
)
def test_a_stretch_that_is_not_in_the_recording_is_refused(classifier, stretch):
    with pytest.raises(SettingsRefused, match=r"is not in the recording, which lasts 2\.00 s"):
        classify_recording(noise_recording(), classifier, replace(NOTHING, stretch_s=stretch))


def test_a_stretch_of_more_than_30_seconds_is_refused(classifier):
    with pytest.raises(SettingsRefused, match=r"lasts 31\.0 s; at most 30 s"):
        classify_recording(noise_recording(40.0), classifier, replace(NOTHING, stretch_s=(1.0, 32.0)))


def level_classifier():
    return LevelClassifier(np.zeros((4, 96, 64)), front_end=everything_kept())


def test_the_best_scoring_15_seconds_of_a_long_recording_are_explained():
    recording = with_levels([(12, 0.001), (13, 0.3), (15, 0.001)])
    stretch = classify_recording(recording, level_classifier(), NOTHING).stretch
    assert stretch.duration_s == pytest.approx(15)
    assert stretch.start_s <= 12
    assert stretch.end_s >= 25


def test_a_single_loud_second_at_the_end_does_not_attract_the_stretch():
    recording = with_levels([(12, 0.001), (13, 0.05), (14, 0.001), (1.0, 0.9)])
    stretch = classify_recording(recording, level_classifier(), NOTHING).stretch
    assert stretch.start_s <= 12
    assert stretch.end_s >= 25


def test_if_the_end_scores_best_the_stretch_ends_with_the_recording():
    recording = with_levels([(26, 0.001), (14, 0.3)])
    stretch = classify_recording(recording, level_classifier(), NOTHING).stretch
    assert stretch.start_s == pytest.approx(25)
    assert stretch.end_s == pytest.approx(40)


def test_the_best_stretch_is_that_of_the_chosen_emotion():
    recording = with_levels([(20, 0.3), (20, 0.001)])
    settings = replace(NOTHING, emotion="sad")  # the quiet half: loud is angry
    assert classify_recording(recording, level_classifier(), settings).stretch.start_s >= 19


# --- progress and stopping ---


def test_progress_grows_from_zero_to_one_and_names_the_step(classifier):
    reports = []
    analyse_recording(
        noise_recording(4.0), classifier, QUICK, Work(lambda fraction, text: reports.append((fraction, text)))
    )
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert 0.5 < fractions[-1] <= 1
    assert all(text for _, text in reports)


def test_an_analysis_stops_when_cancelled(classifier):
    with pytest.raises(Cancelled):
        analyse_recording(noise_recording(), classifier, QUICK, work=Work(stop=lambda: True))


# --- the folder ---


@pytest.fixture(scope="module")
def folder(analysis, tmp_path_factory):
    path = tmp_path_factory.mktemp("analyses") / "noise"
    save_analysis(analysis, path)
    return path


def test_the_folder_contains_the_documented_files_and_no_others(analysis, folder):
    assert sorted(path.name for path in folder.iterdir()) == ["analysis.json", "focus", "maps.npz", "overview.png"]
    assert len(list((folder / "focus").iterdir())) == len(analysis.focus) > 0
    assert [path.name for path in folder.parent.iterdir()] == ["noise"]


def test_analysis_json_has_the_documented_keys(analysis, folder):
    found = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    assert list(found) == [
        *("recording", "model", "emotions", "scores", "emotion", "verdict"),
        *("segments", "explanations", "focus", "focus_by", "focus_settings", "warnings"),
    ]
    assert found["recording"] == {
        "name": "noise.wav",
        "sha256": analysis.recording.sha256,
        "duration_s": 2.0,
        "sample_rate_hz": 16_000,
    }
    assert found["model"] == {"name": "small", "sha256": "1" * 64}
    assert found["emotions"] == list(EMOTIONS) == list(found["scores"])
    assert sum(found["scores"].values()) == pytest.approx(1, abs=1e-5)
    assert (found["emotion"], found["verdict"], found["warnings"]) == (analysis.emotion, NO_SPEECH, [])
    for segment in found["segments"]:
        assert list(segment) == ["start_s", "end_s", "kept", "gds_score", "scores"]
        assert list(segment["scores"]) == list(EMOTIONS)
        assert 0 <= segment["start_s"] < segment["end_s"] <= 2.0
    assert found["segments"][1]["start_s"] == pytest.approx(0.48 + 0.0075)
    assert list(found["explanations"]) == ["grad_cam", "lime", "occlusion"]
    for method, explanation in found["explanations"].items():
        assert {"emotion", "against", "seconds", "seed", "settings"} <= set(explanation)
        assert explanation["seed"] == 3
        assert explanation["settings"] == asdict(getattr(QUICK, method))
    for focus in found["focus"]:
        assert list(focus) == ["start_s", "end_s", "strength", "share", "file"]
        assert (folder / focus["file"]).is_file()


def test_maps_npz_has_the_documented_arrays_unscaled(analysis, folder):
    with np.load(folder / "maps.npz") as maps:
        assert sorted(maps) == sorted(
            ["log_mel", "frame_times_s", "band_hz", "covered", "grad_cam", "lime", "occlusion", "profile"]
        )
        frames = len(analysis.spectrogram.log_mel)
        assert {name: maps[name].shape for name in maps} == {
            **dict.fromkeys(("log_mel", "grad_cam", "lime", "occlusion"), (frames, 64)),
            **dict.fromkeys(("frame_times_s", "covered", "profile"), (frames,)),
            "band_hz": (64,),
        }
        for method, explanation in analysis.explanations.items():
            np.testing.assert_array_equal(maps[method], explanation.relevance)
            assert maps[method].dtype == np.float32
        np.testing.assert_array_equal(maps["log_mel"], analysis.spectrogram.log_mel)
        np.testing.assert_array_equal(maps["profile"], analysis.profile)
        np.testing.assert_array_equal(maps["band_hz"], band_centres_hz(analysis.spectrogram.settings))
        np.testing.assert_allclose(maps["frame_times_s"][:2], [0.0125, 0.0225])
        assert maps["covered"].dtype == bool


def test_the_sound_of_each_focus_region_has_the_recordings_samples(analysis, folder):
    files = [f["file"] for f in json.loads((folder / "analysis.json").read_text())["focus"]]
    for file, focus in zip(files, analysis.focus, strict=True):
        samples, rate = soundfile.read(folder / file, dtype="float32")
        expected = region_samples(analysis.recording, focus.region, QUICK.focus.fade_s)
        assert rate == 16_000
        assert samples.shape == expected.shape
        np.testing.assert_allclose(samples, expected, atol=1 / 32_768)
    first = analysis.focus[0].region
    own = analysis.recording.samples[round(first.start_s * 16_000) + 80 : round(first.end_s * 16_000) - 80]
    cut = region_samples(analysis.recording, first, 0.005)
    np.testing.assert_array_equal(cut[80:-80], own)


def test_overview_is_a_picture_that_is_not_blank(folder):
    assert (folder / "overview.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    picture = imread(folder / "overview.png")
    assert picture.shape[1] == 1300
    assert np.std(picture[..., :3]) > 0.05


def test_an_analysis_without_explanations_is_saved_too(classifier, tmp_path):
    save_analysis(classify_recording(noise_recording(), classifier, NOTHING), tmp_path / "bare")
    with np.load(tmp_path / "bare" / "maps.npz") as maps:
        assert sorted(maps) == ["band_hz", "frame_times_s", "log_mel"]
    found = json.loads((tmp_path / "bare" / "analysis.json").read_text())
    assert (found["explanations"], found["focus"]) == ({}, [])


def test_results_of_every_kind_are_read_back_unchanged_and_each_array_is_stored_once(analysis, classifier):
    lime = explainer_run(analysis, "lime", classifier, QUICK)
    judged = judge_maps(analysis, analysis.explanations, classifier, QUICK)
    audio = score_focus_audio(analysis, analysis.explanations["lime"].relevance > 0, classifier)
    key = ("explain", analysis.recording.sha256, analysis.stretch, QUICK.lime, None, 3)
    stored = results_bytes([(key, "lime", lime), ("judge", "", judged), ("a", "", audio), ("b", "", analysis)])
    assert len(results_bytes([("b", "", analysis), ("c", "", analysis)])) < 1.1 * len(
        results_bytes([("b", "", analysis)])
    )
    (again, title, lime_again), (_, _, judged_again), (_, _, audio_again), (_, _, analysis_again) = read_results(
        stored, analysis.recording
    )
    assert (again, title) == (key, "lime")
    target = target_of(analysis, QUICK)
    np.testing.assert_array_equal(lime_again.result.relevance(target), lime.result.relevance(target))
    assert {m: judged_again.of(m) for m in judged.curves} == {m: judged.of(m) for m in judged.curves}
    np.testing.assert_array_equal(audio_again.alone.samples, audio.alone.samples)
    assert analysis_again.recording is analysis.recording
    assert analysis_again.focus == analysis.focus
    assert analysis_again.focus_settings == analysis.focus_settings
    np.testing.assert_array_equal(analysis_again.segments.values, analysis.segments.values)


def test_settings_of_every_explainer_are_stored_and_read_again(analysis):
    key = ("classify", AnalysisSettings())
    assert read_results(results_bytes([(key, "", None)]), analysis.recording) == [(key, "", None)]


@pytest.mark.parametrize("spoilt", ["cut", "class", "array", "fields", "key", "empty", "flipped"])
def test_unreadable_results_are_refused_and_never_executed(analysis, spoilt):
    data = results_bytes([("key", "", analysis.scores)])
    trees = {
        "class": {"class": "system", "fields": {}},
        "array": {"array": 7},
        "fields": {"class": "Region", "fields": []},
        "key": 1,
    }
    if tree := trees.get(spoilt):
        file = io.BytesIO()
        key = ["key"] if spoilt == "key" else "key"
        np.savez(file, tree=np.frombuffer(json.dumps([[key, "", tree]]).encode(), np.uint8))
        data = file.getvalue()
    first = 30 + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")  # after the ZIP's header
    flipped = data[:first] + b"\xff" + data[first + 1 :]
    spoilt_data = {"cut": data[: len(data) // 2], "empty": b"", "flipped": flipped}.get(spoilt, data)
    with pytest.raises(SettingsRefused, match="cannot be read"):
        read_results(spoilt_data, analysis.recording)


def test_saving_again_replaces_the_old_folder(analysis, tmp_path):
    save_analysis(analysis, tmp_path / "a")
    (tmp_path / "a" / "focus" / "09_old.wav").write_bytes(b"old")
    save_analysis(analysis, tmp_path / "a")
    assert not (tmp_path / "a" / "focus" / "09_old.wav").exists()
    assert (tmp_path / "a" / "analysis.json").exists()


def test_a_failed_write_leaves_nothing_and_keeps_the_old_folder(analysis, tmp_path):
    impossible = replace(analysis, focus=(FocusRegion(Region(0.1, 0.4), float("nan"), 0.5),))
    with pytest.raises(ValueError, match="JSON"):
        save_analysis(impossible, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "analysis.json").write_text("{}")
    with pytest.raises(ValueError, match="JSON"):
        save_analysis(impossible, tmp_path / "old")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "old",
        "old/analysis.json",
    ]


@pytest.mark.parametrize("name", ["화남_03.wav", "Wütend $5 & $6.wav", "怒り.flac"])
def test_names_in_any_script_are_saved_and_drawn_without_warnings(classifier, tmp_path, name):
    found = analyse_recording(noise_recording(1.0, name=name), classifier, replace(QUICK, explain=("grad_cam",)))
    save_analysis(found, tmp_path / folder_name(name))
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "analysis.json").read_text(encoding="utf-8"))["recording"]["name"] == name


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("03a01Fa.wav", "03a01Fa"),
        ("Wütend 1.flac", "Wütend 1"),
        ("Wu\u0308tend.flac", "Wütend"),  # two code points for one letter
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.wav", "system"),
        ("/absolute/path.wav", "path"),
        ("..", "recording"),
        ("...", "recording"),
        ("", "recording"),
        (".hidden.wav", "hidden"),
        ("a\x00b\n:*?<>|.wav", "a_b_______"),
        ("~root.wav", "_root"),
        ("name. .wav", "name"),
    ],
)
def test_folder_names_cannot_contain_a_path(name, folder):
    assert folder_name(name) == folder


@pytest.mark.parametrize("letter", ["a", "é", "한", "𝐀", ". ", "../"])
def test_folder_names_fit_into_any_file_system(tmp_path, letter):
    name = folder_name(letter * 300 + ".wav")
    # 255 bytes are what file systems allow; a hash and the mark of a half-written folder come on top.
    assert 0 < len(name.encode()) <= 200
    assert name == name.strip(". ")
    (tmp_path / f".{name}-01234567.part").mkdir()
    assert [path.parent for path in tmp_path.iterdir()] == [tmp_path]


def test_focus_audio_and_the_rest_are_scored_as_recordings_of_their_own():
    classifier = classifier_of(fresh(TinyNetwork), front_end=everything_kept())
    analysis = classify_recording(noise_recording(2.0), classifier, AnalysisSettings())
    mask = np.zeros(analysis.spectrogram.log_mel.shape, bool)
    mask[40:120, 10:40] = True
    scored = score_focus_audio(analysis, mask, classifier)
    for sound, taken_out in ((scored.alone, ~mask), (scored.without, mask)):
        samples = sound_without(
            analysis.recording, taken_out, analysis.spectrogram.frame_times_s, SpectrogramSettings()
        )
        np.testing.assert_array_equal(sound.samples, samples)
        changed = replace(analysis.recording, samples=samples)
        np.testing.assert_allclose(
            sound.scores, classify_recording(changed, classifier, AnalysisSettings()).scores.recording
        )


def test_with_everything_in_focus_the_focus_alone_is_the_recording():
    classifier = classifier_of(fresh(TinyNetwork), front_end=everything_kept())
    analysis = classify_recording(noise_recording(2.0), classifier, AnalysisSettings())
    scored = score_focus_audio(analysis, np.ones(analysis.spectrogram.log_mel.shape, bool), classifier)
    np.testing.assert_allclose(scored.alone.samples, analysis.recording.samples, atol=1e-6)
    np.testing.assert_allclose(scored.alone.scores, analysis.scores.recording, atol=1e-4)
    assert np.abs(scored.without.scores - analysis.scores.recording).max() > 1e-3


def test_listening_to_the_focus_can_be_stopped():
    classifier = classifier_of(fresh(TinyNetwork), front_end=everything_kept())
    analysis = classify_recording(noise_recording(2.0), classifier, AnalysisSettings())
    with pytest.raises(Cancelled):
        score_focus_audio(
            analysis, np.zeros(analysis.spectrogram.log_mel.shape, bool), classifier, work=Work(stop=lambda: True)
        )


def test_the_picture_shows_the_scores_of_a_short_recording_and_names_the_contrast(classifier, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path, dpi: drawn.append(figure))
    settings = AnalysisSettings(explain=("grad_cam",), focus_by="grad_cam", emotion="angry", against="happy")
    for against in ("happy", None):
        analysis = analyse_recording(noise_recording(0.4), classifier, replace(settings, against=against))
        save_overview(analysis, tmp_path / "overview.png")
    (scores,) = [axis for axis in drawn[0].axes if axis.get_ylabel() == "Score"]
    assert [line.get_label() for line in scores.lines] == list(EMOTIONS)
    assert scores.lines[0].get_xdata() == pytest.approx([0.2], abs=0.01)  # the middle of what was recorded
    titles = [figure.get_suptitle() for figure in drawn]
    assert "Evidence for angry rather than happy, model" in titles[0]
    assert "Evidence for angry, model" in titles[1]
