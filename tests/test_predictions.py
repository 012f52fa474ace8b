"""The table of tested recordings, and figures from it."""

import numpy as np
import pytest

from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.learning.metrics import abstention, all_figures, calibration, worst_speaker
from ser_core.learning.predictions import Predictions, indices_in_cell, read_predictions, write_predictions


def table(labels, best, scores, speakers=None, genders=None) -> Predictions:
    """Two emotions; `best` is the prediction, with its score."""
    probabilities = np.empty((len(labels), 2))
    probabilities[np.arange(len(labels)), best] = scores
    probabilities[np.arange(len(labels)), 1 - np.array(best)] = 1 - np.array(scores)
    count = len(labels)
    speakers = tuple(speakers or (f"made:{n % 3}" for n in range(count)))
    return Predictions(
        ("angry", "sad"),
        tuple(f"{n:064x}" for n in range(count)),
        ("made",) * count,
        speakers,
        tuple(genders or ("",) * count),
        np.array(labels),
        probabilities,
    )


def test_calibration_worked_by_hand():
    # Scores of 0.9 of which three in four are right, scores of 0.6 of which one in two is.
    p = table([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0], [0.9, 0.9, 0.9, 0.9, 0.6, 0.6])
    result = calibration(p)
    assert [(b["recordings"], round(b["accuracy"], 3)) for b in result["bins"]] == [(2, 0.5), (4, 0.75)]
    assert result["expected_error"] == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)


def test_scores_of_one_that_are_always_right_have_no_calibration_error():
    result = calibration(table([0, 1, 1], [0, 1, 1], [1.0, 1.0, 1.0]))
    assert result["expected_error"] == pytest.approx(0)
    assert [b["from"] for b in result["bins"]] == [0.9]


def test_abstention_starts_with_all_answers_and_gives_fewer_and_fewer():
    curve = abstention(table([0, 0, 1, 1], [0, 1, 1, 1], [0.92, 0.58, 0.78, 0.68]))
    assert curve[0] == {"least_score": 0.0, "answered": 1.0, "accuracy": 0.75}
    answered = [point["answered"] for point in curve]
    assert answered == sorted(answered, reverse=True)
    assert next(p for p in curve if p["least_score"] == pytest.approx(0.6)) == pytest.approx(
        {"least_score": 0.6, "answered": 0.75, "accuracy": 1.0}
    )
    assert curve[-1]["answered"] > 0


def test_the_worst_speaker_is_named_only_with_enough_recordings():
    speakers = ["made:few"] * 7 + ["made:good"] * 8 + ["made:poor"] * 8
    best = [1] * 7 + [0] * 8 + [0] * 5 + [1] * 3
    p = table([0] * 23, best, [0.8] * 23, speakers)
    assert worst_speaker(p) == {"speaker": "made:poor", "accuracy": 5 / 8, "recordings": 8}
    assert worst_speaker(p.subset(np.arange(7))) is None


def test_figures_by_gender_leave_out_speakers_of_unknown_gender():
    p = table([0, 1, 0, 1, 0], [0, 1, 1, 1, 0], [0.7] * 5, genders=["female", "female", "male", "male", ""])
    by_gender = all_figures(p)["gender"]
    assert {gender: f["accuracy"] for gender, f in by_gender.items()} == {"female": 1.0, "male": 0.5}


def test_a_confusion_cell_lists_its_recordings_most_confident_first():
    p = table([0, 0, 0, 1, 0, 0], [1, 0, 1, 1, 1, 1], [0.6, 0.9, 0.8, 0.7, 0.95, 0.8])
    assert indices_in_cell(p, "angry", "sad").tolist() == [4, 2, 5, 0]
    assert indices_in_cell(p, "angry", "angry").tolist() == [1]
    assert indices_in_cell(p, "sad", "angry").tolist() == []


def test_every_recording_is_in_one_cell_as_in_the_confusion_matrix():
    rng = np.random.default_rng(0)
    p = table(rng.integers(0, 2, 50), rng.integers(0, 2, 50), 0.5 + rng.random(50) / 2)
    cells = [[indices_in_cell(p, acted, heard) for heard in p.emotions] for acted in p.emotions]
    assert [[len(cell) for cell in row] for row in cells] == all_figures(p)["pooled"]["confusion"]
    assert sorted(place for row in cells for cell in row for place in cell) == list(range(50))


def test_a_cell_of_an_emotion_that_the_model_does_not_know_is_refused():
    with pytest.raises(SettingsRefused, match="'calm'"):
        indices_in_cell(table([0], [0], [0.9]), "angry", "calm")


def test_rows_can_be_selected_by_flags_and_by_indices():
    p = table([0, 1, 0], [0, 1, 1], [0.6, 0.7, 0.8])
    by_flags, by_places = p.subset(np.array([True, False, True])), p.subset(np.array([0, 2]))
    assert by_flags.sha256 == by_places.sha256 == (p.sha256[0], p.sha256[2])
    assert np.array_equal(by_flags.probabilities, p.probabilities[[0, 2]])


def test_a_table_is_read_back_to_four_digits(tmp_path):
    rng = np.random.default_rng(0)
    p = table([0, 1, 1, 0], [0, 1, 0, 0], 0.5 + rng.random(4) / 2, genders=["female", "", "male", ""])
    write_predictions(p, tmp_path / "test.csv")
    again = read_predictions(tmp_path / "test.csv")
    for name in ("emotions", "sha256", "corpora", "speakers", "genders"):
        assert getattr(again, name) == getattr(p, name)
    assert np.array_equal(again.labels, p.labels)
    assert np.abs(again.probabilities - p.probabilities).max() <= 0.5e-4


@pytest.mark.parametrize(
    "content", [None, "", "sha256,corpus\n", "sha256,corpus,speaker,gender,emotion,sad\na,b,c,d,glad,x\n"]
)
def test_a_missing_or_damaged_table_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "test.csv").write_text(content)
    with pytest.raises(ModelRefused, match="cannot be read" if content is not None else "it was not trained here"):
        read_predictions(tmp_path / "test.csv")
