"""A voice's own normal: how it is estimated, how much it counts, and the classifier that uses it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis import VoiceShare
from ser_core.errors import Cancelled, SettingsRefused
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.scores import softmax
from ser_core.model.voice import (
    PIECE_SEGMENTS,
    balancing_shift,
    caution_in_words,
    emotion_spread,
    logits_of_pieces,
    trust,
    voice_normal,
    voice_share,
    voice_shift,
)
from ser_core.output.analysis_folder import analysis_dict
from ser_core.output.report import report_html
from ser_core.pipeline import classify_recording
from ser_core.pipeline.voice import logits_for_normal, speaker_normal
from ser_core.settings import AnalysisSettings, FrontEnd, VoiceSettings
from ser_core.work.progress import Work
from tests.tiny_networks import EMOTIONS, TinyNetwork, classifier_of, fresh, noise_recording, random_log_mel

SETTINGS = VoiceSettings()
#: Fully known from the first recording on.
WHOLLY = replace(SETTINGS, shrinkage_recordings=0.0)
seeds = st.integers(0, 2**32 - 1)


def with_voices(settings=WHOLLY, seed=0) -> NetworkClassifier:
    network = fresh(TinyNetwork, seed=seed)
    return NetworkClassifier(
        network, name="small", sha256="1" * 64, emotions=EMOTIONS, front_end=FrontEnd(), voice=settings
    )


def segments_of_voice(n, seed=0):
    return np.stack([random_log_mel(seed=100 * seed + i) for i in range(n)])


def some_recordings(rng, count=None):
    """Return the pieces' logits of several recordings."""
    return [rng.normal(size=(n, 4)) for n in rng.integers(1, 4, size=count or rng.integers(1, 6))]


def recordings_showing(*emotions, scale=3.0):
    """Return recordings of one piece, each of which shows an emotion."""
    return [scale * np.eye(4)[[EMOTIONS.index(emotion)]] for emotion in emotions]


def test_long_recording_counts_by_its_pieces_of_like_length():
    logits = np.arange(20.0).reshape(10, 2)
    pieces = logits_of_pieces(logits)
    assert len(pieces) == math.ceil(10 / PIECE_SEGMENTS)
    np.testing.assert_allclose(pieces, [logits[:4].mean(axis=0), logits[4:7].mean(axis=0), logits[7:].mean(axis=0)])


@given(seeds, st.randoms(use_true_random=False))
def test_order_of_the_recordings_changes_nothing_not_even_the_hash(seed, random):
    of_voice = some_recordings(np.random.default_rng(seed))
    shuffled = random.sample(of_voice, len(of_voice))
    one, other = voice_normal(of_voice), voice_normal(shuffled)
    assert one.sha256 == other.sha256
    np.testing.assert_array_equal(voice_shift(one, SETTINGS), voice_shift(other, SETTINGS))


def test_share_grows_with_the_recordings_as_n_by_n_and_k():
    settings = replace(SETTINGS, shrinkage_recordings=5.0)
    of_one = recordings_showing("angry") * 20
    shares = [voice_share(voice_normal(of_one[:n], mixed=True), settings) for n in (0, 1, 5, 20)]
    assert shares == pytest.approx([0.0, 1 / 6, 1 / 2, 20 / 25])


def test_recordings_of_one_emotion_are_not_trusted_unless_a_person_says_they_differ():
    of_one, of_all = (
        voice_normal(recordings_showing(*emotions, scale=9.0)) for emotions in (("angry",) * 4, EMOTIONS * 2)
    )
    assert [trust(one, SETTINGS) for one in (of_one, of_all)] == [0, 1]
    assert trust(replace(of_one, mixed=True), SETTINGS) == 1
    np.testing.assert_array_equal(voice_shift(of_one, SETTINGS), 0)
    # Balanced at a softening of 4, a recording's own emotion is 2 ** 4 times as likely as each of the two absent ones:
    # 16 of 18. So which of two it is, half of the information about four, is known to 8 / 9.
    between = replace(SETTINGS, one_emotion_spread=0.25, mixed_spread=0.75)
    of_two = trust(voice_normal(recordings_showing("angry", "sad", scale=500.0)), between)
    assert of_two == pytest.approx((4 / 9 - 0.25) / 0.5)
    assert "not used" in caution_in_words(trust(of_one, SETTINGS))
    assert "39 %" in caution_in_words(of_two)
    assert caution_in_words(trust(of_all, SETTINGS)) == ""


def test_spread_is_what_a_recording_tells_of_its_emotion():
    assert emotion_spread(np.eye(4)) == pytest.approx(1)
    assert emotion_spread(np.tile([1.0, 0, 0, 0], (3, 1))) == pytest.approx(0)
    assert emotion_spread(np.full((3, 4), 0.25)) == pytest.approx(0)  # of all emotions, but none is distinguished
    assert emotion_spread(np.array([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])) == pytest.approx(0.5)


def test_voice_that_lies_elsewhere_in_all_emotions_is_brought_back_by_hand():
    offset = np.array([2.0, 0.0, -1.0, -1.0])
    recordings = [one + offset for one in recordings_showing(*EMOTIONS)]
    shift = voice_shift(voice_normal(recordings, mixed=True), WHOLLY)
    np.testing.assert_allclose(shift, offset, atol=1e-9)
    assert balancing_shift(np.concatenate(recordings), 1.0) == pytest.approx(offset)


def test_shift_of_one_recording_makes_all_emotions_equally_likely():
    logits = np.array([[3.0, -1.0, 0.5, 2.0]])
    np.testing.assert_allclose(balancing_shift(logits, 4.0), logits[0] - logits.mean(), atol=1e-8)


@pytest.mark.parametrize("softening", [0.5, 4.0])
def test_shift_is_that_of_a_slow_twin_which_scales_classes_until_they_are_alike(softening):
    """Sinkhorn's method: divide each class by how often it is predicted, repeatedly."""
    logits = np.random.default_rng(0).normal(0, 5, size=(30, 4)) + np.array([4, 0, 0, -3])
    twin = np.zeros(4)
    for _ in range(3000):
        twin += softening * np.log(4 * softmax(logits - twin, softening).mean(axis=0))
    np.testing.assert_allclose(balancing_shift(logits, softening), twin - twin.mean(), atol=1e-6)


@given(seeds, st.floats(0.0, 300.0), st.sampled_from([0.1, 1.0, 4.0]))
def test_emotions_come_out_equally_often_however_far_off_a_voice_is(seed, far, softening):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, size=(rng.integers(1, 9), 4)) + far * rng.normal(size=4)
    p = softmax(logits - balancing_shift(logits, softening), softening)
    np.testing.assert_allclose(p.mean(axis=0), 0.25, atol=1e-6)


def test_with_much_softening_only_the_mean_matters():
    logits = np.random.default_rng(1).normal(0, 5, size=(30, 4))
    mean = logits.mean(axis=0)
    np.testing.assert_allclose(balancing_shift(logits, 1e5), mean - mean.mean(), atol=1e-3)


@pytest.mark.parametrize("mixed", [True, False])
def test_adapted_classifier_scores_shifted_and_grad_cam_is_the_same(mixed):
    classifier, segments = with_voices(replace(WHOLLY, one_emotion_spread=-1.0)), segments_of_voice(7, seed=9)
    normal = voice_normal(
        (logits_of_pieces(classifier.score(segments_of_voice(5, seed=i))) for i in range(3)), mixed=mixed
    )
    adapted = classifier.with_voice(normal)
    shift = voice_shift(normal, classifier.voice)
    assert np.ptp(shift) > 0.1
    np.testing.assert_allclose(adapted.score(segments), classifier.score(segments) - shift, atol=1e-5)
    weights = np.array([1.0, 0, 0, -1])
    np.testing.assert_array_equal(
        adapted.class_activation(segments, weights, "tiny"), classifier.class_activation(segments, weights, "tiny")
    )


@pytest.mark.parametrize("seed", range(3))
def test_constant_added_to_all_logits_of_a_wholly_known_voice_changes_no_judgement(seed):
    rng = np.random.default_rng(seed)
    recordings, constant = some_recordings(rng, count=4), rng.normal(size=4)

    def judged(moved):
        of_voice = [one + moved for one in recordings]
        return np.concatenate(of_voice) - voice_shift(voice_normal(of_voice, mixed=True), WHOLLY)

    def free(logits):  # a constant added to all logits of a recording means nothing
        return logits - logits.mean(axis=1, keepdims=True)

    np.testing.assert_allclose(free(judged(constant)), free(judged(0.0)), atol=1e-6)


@pytest.mark.parametrize(("recordings", "temperature"), [(1, 1.25 * 0.25**0.25), (9, 1.25 * 0.25**0.75)])
def test_temperature_falls_with_the_share_of_the_own_normal(recordings, temperature):
    settings = replace(WHOLLY, shrinkage_recordings=3.0, known_temperature=0.25)
    classifier = with_voices(settings)
    classifier.temperature = 1.25
    known = [logits_of_pieces(classifier.score(segments_of_voice(4, seed=i))) for i in range(recordings)]
    assert classifier.with_voice(voice_normal(known, mixed=True)).temperature == pytest.approx(temperature)
    assert classifier.temperature == 1.25


def test_unknown_voice_is_judged_by_the_very_same_classifier():
    classifier = with_voices()
    assert classifier.with_voice(voice_normal([])) is classifier


def test_adapted_classifier_has_a_name_and_a_hash_of_its_own_and_leaves_the_first_as_it_was():
    classifier, segments = with_voices(), segments_of_voice(3)
    before = classifier.score(segments)
    pieces = [logits_of_pieces(classifier.score(segments_of_voice(3, seed=i))) for i in (1, 2)]
    normals = [voice_normal([one], mixed=True) for one in pieces]
    one, other = (classifier.with_voice(normal) for normal in normals)
    guarded = classifier.with_voice(replace(normals[0], mixed=False))
    assert len({classifier.sha256, one.sha256, other.sha256, guarded.sha256}) == 4
    assert classifier.with_voice(normals[0]).sha256 == one.sha256
    assert one.name == "small, this voice"
    assert (one.voice_share.recordings, one.voice_share.share) == (1, 1.0)
    np.testing.assert_array_equal(classifier.score(segments), before)
    assert classifier.voice_share is None
    with pytest.raises(SettingsRefused, match="cannot judge a voice"):
        one.with_voice(normals[0])


def test_model_without_settings_for_voices_refuses_one():
    classifier = classifier_of(fresh(TinyNetwork))
    with pytest.raises(SettingsRefused, match="small cannot judge a voice by its own normal"):
        classifier.with_voice(voice_normal(recordings_showing("angry")))


@pytest.mark.parametrize(
    "settings",
    [
        {"shrinkage_recordings": -1.0},
        {"one_emotion_spread": 0.9},
        {"mixed_spread": 1.5},
        {"shrinkage_recordings": math.nan},
        {"softening": 0.0},
        {"known_temperature": 0.0},
        {"softening": math.inf},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(SettingsRefused):
        replace(SETTINGS, **settings)


def test_analysis_says_how_far_the_voice_was_known_and_nothing_where_it_was_not():
    classifier = with_voices(replace(WHOLLY, shrinkage_recordings=1.0))
    recordings = [noise_recording(1.5, seed=seed) for seed in range(3)]
    adapted = classifier.with_voice(speaker_normal(recordings, classifier, mixed=True))
    analysis = classify_recording(recordings[0], adapted, AnalysisSettings())
    assert analysis.voice == VoiceShare(3, 0.75)
    assert analysis_dict(analysis, [])["voice"] == {"recordings": 3, "share": 0.75}
    assert "voice" not in analysis_dict(classify_recording(recordings[0], classifier, AnalysisSettings()), [])
    assert "judged 75 % by its own normal" in report_html(analysis)


def test_a_recording_is_known_by_the_segments_that_the_analysis_selects():
    classifier, recording = with_voices(), noise_recording(3.0)
    analysis = classify_recording(recording, classifier, AnalysisSettings())
    found = logits_for_normal(recording, classifier)
    selected = analysis.scores.segments[analysis.segments.selected]
    assert len(found) == math.ceil(len(selected) / PIECE_SEGMENTS)
    single = [piece for piece in np.array_split(selected, len(found)) if len(piece) == 1]
    for piece, logits in zip(single, found, strict=False):
        np.testing.assert_allclose(softmax(logits, classifier.temperature), piece[0], atol=1e-5)


def test_getting_to_know_a_recording_can_be_stopped():
    with pytest.raises(Cancelled):
        logits_for_normal(noise_recording(), with_voices(), Work(stop=lambda: True))
