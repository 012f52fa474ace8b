"""The vocabulary: sets of emotions, their colours, and impossible regions."""

import re

import pytest

from ser_core.analysis import Region
from ser_core.analysis.emotions import COLOURS, EMOTION_SETS, LINE_PATTERNS, emotion_index
from ser_core.errors import SettingsRefused


def test_the_core_set_is_angry_happy_neutral_sad_and_larger_sets_begin_with_it():
    assert EMOTION_SETS["core4"] == ("angry", "happy", "neutral", "sad")
    for smaller, larger in [("core4", "six"), ("six", "seven"), ("seven", "eight_calm"), ("seven", "eight_chagrin")]:
        assert EMOTION_SETS[larger][: len(EMOTION_SETS[smaller])] == EMOTION_SETS[smaller]
    assert [len(EMOTION_SETS[name]) for name in ("six", "seven", "eight_calm", "eight_chagrin")] == [6, 7, 8, 8]


def test_every_emotion_has_a_colour_and_a_line_and_within_a_set_no_two_share_one():
    for emotions in EMOTION_SETS.values():
        colours = [COLOURS[emotion] for emotion in emotions]
        assert len(set(colours)) == len(emotions) == len({LINE_PATTERNS[emotion] for emotion in emotions})
        assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in colours)


def test_calm_is_not_neutral():
    assert COLOURS["calm"] != COLOURS["neutral"]
    assert "calm" not in EMOTION_SETS["seven"]


def test_the_index_of_an_emotion_follows_the_models_order():
    assert [emotion_index(name, ("sad", "angry")) for name in ("sad", "angry")] == [0, 1]


def test_an_emotion_unknown_to_the_model_is_refused_and_the_known_ones_are_named():
    with pytest.raises(SettingsRefused, match=r"does not know the emotion 'bored'.* sad, angry"):
        emotion_index("bored", ("sad", "angry"))


def test_duration_of_a_region_is_its_end_minus_its_start():
    assert Region(0.25, 1.0).duration_s == 0.75


@pytest.mark.parametrize(("start_s", "end_s"), [(-0.1, 1), (1, 1), (2, 1), (float("nan"), 1), (0, float("nan"))])
def test_an_impossible_region_is_refused(start_s, end_s):
    with pytest.raises(SettingsRefused, match=f"A region from {start_s:g} to {end_s:g} s is impossible"):
        Region(start_s, end_s)
