import numpy as np
import pytest

from pages.shared.evidence.compared_models import verdicts_in_words
from pages.shared.evidence.shared_evidence_section import agreement_in_words
from ser_core.analysis import Analysis, Explanation, Recording, Region, Scores, Segments, Spectrogram
from ser_core.explanation.agreement import Agreement
from ser_core.explanation.model_agreement import (
    map_agreement,
    on_one_grid,
    shared_emotion,
    shared_map,
    shared_part,
)
from ser_core.model.scores import verdict_of
from ser_core.settings import SpectrogramSettings, VerdictSettings

CORE = ("angry", "happy", "neutral", "sad")
FIVE = (*CORE, "fear")
NAN = float("nan")
ALL = (True, True, True, True)


def analysis(scores, emotions=CORE, map_=None, covered=ALL, speech_s=2.0, bands=2, method="grad_cam") -> Analysis:
    """Return a model's analysis of four frames of two bands, with a map if given."""
    scores = np.asarray(scores, float)
    whole, settings = Region(0.0, 0.04), SpectrogramSettings(bands=bands)
    explanations = {}
    if map_ is not None:
        relevance = np.asarray(map_, np.float32)
        explanations[method] = Explanation(
            method, "angry", None, relevance, np.array(covered), whole, None, {}, 0, seconds=1.5
        )
    return Analysis(
        recording=Recording("voice.wav", "0" * 64, np.zeros(640, np.float32), 16_000),
        model_name="model",
        model_sha256="0" * 64,
        emotions=emotions,
        spectrogram=Spectrogram(np.zeros((4, bands), np.float32), settings),
        segments=Segments(np.zeros((1, 4, bands), np.float32), np.zeros(1, int), np.ones(1, bool), None),
        scores=Scores(scores[None], scores),
        emotion=emotions[int(scores.argmax())],
        verdict=verdict_of(scores, emotions, speech_s, VerdictSettings()),
        speech_s=speech_s,
        speech=np.ones(4, bool),
        stretch=whole,
        explanations=explanations,
    )


ANGRY, HAPPY, SAD = (0.9, 0.1, 0, 0), (0.2, 0.7, 0.1, 0), (0, 0.1, 0, 0.9)
NOBODY_SURE = (0.3, 0.4, 0.2, 0.1)


def predicted(**scores):
    return {name: analysis(one) for name, one in scores.items()}


# --- the emotion that all models explain ---


def test_the_emotion_that_most_models_score_best_is_chosen_whatever_the_scores():
    assert shared_emotion(predicted(a=SAD, b=(0.1, 0.4, 0.3, 0.2), c=(0.1, 0.4, 0.3, 0.2))) == "happy"


def test_ties_between_emotions_are_resolved_by_the_higher_mean_score():
    # angry: (0.9 + 0.2) / 2 = 0.55, happy: (0.1 + 0.7) / 2 = 0.4
    assert shared_emotion(predicted(a=ANGRY, b=HAPPY)) == "angry"
    # angry: (0.6 + 0) / 2 = 0.3, sad: (0 + 0.9) / 2 = 0.45
    assert shared_emotion(predicted(a=(0.6, 0.4, 0, 0), b=SAD)) == "sad"


def test_the_mean_score_is_over_models_that_know_the_emotion():
    # fear: 0.5 by the one model that knows it; angry: (0.9 + 0) / 2 = 0.45
    models = {"core": analysis(ANGRY), "five": analysis((0, 0.3, 0.2, 0, 0.5), FIVE)}
    assert shared_emotion(models) == "fear"


# --- the verdicts in words ---


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"a": ANGRY}, "a predicts angry."),
        ({"a": ANGRY, "b": ANGRY}, "Both predict angry."),
        ({"a": ANGRY, "b": ANGRY, "c": ANGRY}, "All 3 predict angry."),
        ({"a": HAPPY, "b": ANGRY, "c": ANGRY}, "2 of 3 predict angry; a predicts happy."),
        ({"a": HAPPY, "b": ANGRY}, "No two agree: a predicts happy; b predicts angry."),
        ({"a": ANGRY, "b": ANGRY, "c": SAD, "d": SAD}, "2 of 4 predict angry; c and d predict sad."),
        ({"a": ANGRY, "b": NOBODY_SURE}, "a predicts angry; b is not sure."),
        ({"a": ANGRY, "b": ANGRY, "c": NOBODY_SURE, "d": NOBODY_SURE}, "2 of 4 predict angry; c and d are not sure."),
        ({"a": NOBODY_SURE, "b": NOBODY_SURE, "c": NOBODY_SURE}, "a, b and c are not sure."),
    ],
)
def test_the_verdicts_are_summed_up_in_one_sentence(scores, said):
    assert verdicts_in_words(predicted(**scores)) == said


def test_models_that_do_not_know_an_emotion_are_named():
    models = predicted(a=ANGRY, b=ANGRY) | {"five": analysis((0, 0, 0.1, 0, 0.9), FIVE)}
    assert verdicts_in_words(models) == ("2 of 3 predict angry; five predicts fear. a and b do not know fear.")


def test_without_speech_no_emotion_is_named():
    models = {name: analysis(ANGRY, speech_s=0.1) for name in "ab"}
    assert verdicts_in_words(models) == "Hardly any speech was detected, so no emotion is named."


# --- whether they use the same evidence ---

RISING = [[1, 2], [3, 4], [5, 6], [7, 8]]
FALLING = [[8, 7], [6, 5], [4, 3], [2, 1]]


def explained(**maps):
    return {name: analysis(ANGRY, map_=map_) for name, map_ in maps.items()}


def test_each_pair_of_maps_is_compared_by_rank_and_by_strongest_tenth():
    compared = map_agreement(explained(a=RISING, b=10 * np.array(RISING), c=FALLING), "grad_cam")
    assert compared.methods == ("a", "b", "c")
    np.testing.assert_allclose(compared.rank_correlation, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    np.testing.assert_allclose(compared.top_overlap, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_a_pair_is_compared_only_where_both_maps_are_covered():
    # In the first two frames the maps fall and rise alike; the last two would reverse that.
    first = analysis(ANGRY, map_=[[1, 2], [3, 4], [0, 0], [0, 0]], covered=(True, True, False, False))
    other = analysis(ANGRY, map_=[[1, 2], [3, 4], [9, -9], [-9, 9]])
    elsewhere = analysis(ANGRY, map_=[[0, 0], [0, 0], [1, 2], [3, 4]], covered=(False, False, True, True))
    compared = map_agreement({"first": first, "other": other, "elsewhere": elsewhere}, "grad_cam")
    assert compared.rank_correlation[0, 1] == pytest.approx(1)
    assert np.isnan(compared.rank_correlation[0, 2])
    # 9, -9, -9, 9 against 1, 2, 3, 4: ranks 3.5, 1.5, 1.5, 3.5 have no slope
    assert compared.rank_correlation[1, 2] == pytest.approx(0)


def test_maps_of_other_front_ends_are_left_out_of_pairs_and_consensus():
    models = explained(a=RISING, b=FALLING) | {"wide": analysis(ANGRY, map_=np.ones((4, 3)), bands=3)}
    compared = map_agreement(models, "grad_cam")
    assert np.isnan(compared.rank_correlation[:2, 2]).all()
    assert compared.rank_correlation[0, 1] == pytest.approx(-1)
    assert list(on_one_grid(models)) == ["a", "b"]
    assert shared_map(models, "grad_cam").settings == {"of": ("a", "b")}


@pytest.mark.parametrize(("overlap", "part"), [(0, 0), (1, 1), (1 / 3, 0.5), (1 / 19, 0.1)])
def test_two_tenths_that_share_half_have_an_overlap_of_one_third(overlap, part):
    assert shared_part(overlap) == pytest.approx(part)


def compared(*correlations, names=("a", "b", "c"), overlap=1 / 3):
    """Return the agreement of a and b, a and c, b and c."""
    r = np.eye(len(names))
    for (i, j), value in zip(((0, 1), (0, 2), (1, 2)), correlations, strict=False):
        r[i, j] = r[j, i] = value
    return Agreement(names, r, np.where(np.eye(len(names), dtype=bool), 1.0, overlap))


@pytest.mark.parametrize(
    ("correlation", "evidence"),
    [
        (0.6, "much the same evidence"),
        (0.59, "partly the same evidence"),
        (0.29, "mostly different evidence"),
        (-0.21, "opposite evidence"),
    ],
)
def test_agreement_of_two_maps_is_described_without_naming_a_statistic(correlation, evidence):
    sentence = agreement_in_words(compared(correlation, names=("a", "b")))
    assert sentence.startswith(f"a and b use {evidence}:")
    assert "50 %" in sentence
    assert "10 % by chance" in sentence


def test_of_several_pairs_the_most_and_the_least_alike_are_named():
    sentence = agreement_in_words(compared(0.9, 0.1, 0.5))  # mean 0.5
    assert sentence.startswith("On average the models use partly the same evidence")
    assert sentence.endswith("Most alike: a and b (0.90). Least alike: a and c (0.10).")


def test_pairs_without_a_correlation_do_not_count():
    assert agreement_in_words(compared(NAN, NAN, 0.7)).startswith("b and c use much the same evidence")
    assert agreement_in_words(compared(NAN, NAN, NAN)) == "No two of these maps can be compared."


# --- the map that they share ---


def test_the_consensus_is_the_mean_positive_evidence_scaled_by_each_maps_strength():
    # Without evidence against: 2 and 0 of RMS 1 (4 of 8 cells: sqrt(4 * 2 / 8)); 10 in one half: RMS sqrt(50).
    one = [[np.sqrt(2), -5], [np.sqrt(2), -5], [np.sqrt(2), -5], [np.sqrt(2), -5]]
    other = [[10, 10], [10, 10], [-1, 0], [0, -1]]
    shared = shared_map(explained(one=one, other=other), "grad_cam")
    root = np.sqrt(2)
    np.testing.assert_allclose(
        shared.relevance, [[root, root / 2], [root, root / 2], [root / 2, 0], [root / 2, 0]], rtol=1e-6
    )
    assert (shared.method, shared.emotion, shared.seconds) == ("consensus", "angry", 3.0)


def test_a_map_without_evidence_for_the_emotion_counts_as_zeros():
    alone = [[2, 0], [2, 0], [2, 0], [2, 0]]  # RMS sqrt(2)
    shared = shared_map(explained(alone=alone, against=np.full((4, 2), -3.0)), "grad_cam")
    np.testing.assert_allclose(shared.relevance, np.array(alone) / np.sqrt(2) / 2, rtol=1e-6)


def test_the_consensus_covers_only_frames_of_all_models():
    models = {
        "early": analysis(ANGRY, map_=RISING, covered=(True, True, True, False)),
        "late": analysis(ANGRY, map_=RISING, covered=(False, True, True, True)),
    }
    shared = shared_map(models, "grad_cam")
    assert shared.covered.tolist() == [False, True, True, False]
    assert (shared.relevance[[0, 3]] == 0).all()
    assert (shared.relevance[[1, 2]] > 0).all()


def test_one_map_or_maps_without_a_common_frame_have_no_consensus():
    assert shared_map(explained(a=RISING), "grad_cam") is None
    assert shared_map({}, "grad_cam") is None
    first = analysis(ANGRY, map_=RISING, covered=(True, True, False, False))
    other = analysis(ANGRY, map_=RISING, covered=(False, False, True, True))
    assert shared_map({"a": first, "b": other}, "grad_cam") is None
