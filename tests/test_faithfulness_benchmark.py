"""How the benchmark of faithfulness draws recordings, compares maps and sums up."""

from collections import Counter
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from benchmarks.faithfulness import (
    FILLS,
    MEASURES,
    REFERENCES,
    figures_of,
    maps_of,
    summary,
    table,
    with_differences,
)
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.splits import draw_evenly
from ser_core.explanation.agreement import consensus
from ser_core.explanation.faithfulness import MaskMetrics
from ser_core.settings import AnalysisSettings
from tests.tiny_networks import (
    TinyNetwork,
    classifier_of,
    everything_kept,
    fresh,
    noise_recording,
    random_log_mel,
    target_of_log_mel,
)

MAPS = ("grad_cam", "lime", "occlusion", "consensus", "random", "energy")


def items_of(**speakers):
    """Return recordings of corpora, an equal number of each speaker."""
    return [
        LabelledRecording(Path(f"{corpus}-{speaker}-{number}.wav"), corpus, speaker, "sad", "", "none")
        for corpus, counts in speakers.items()
        for speaker, count in counts.items()
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_recordings_are_drawn_in_turn_from_the_corpora_and_in_each_from_its_speakers(seed):
    items = items_of(large={"a": 200, "b": 2, "c": 30}, small={"a": 4, "b": 40}, tiny={"d": 2})
    drawn = draw_evenly(items, 14, seed)
    assert len(set(drawn)) == 14
    assert Counter(item.corpus for item in drawn) == {"large": 6, "small": 6, "tiny": 2}
    assert Counter(item.speaker_id for item in drawn) == {
        "large:a": 2, "large:b": 2, "large:c": 2, "small:a": 3, "small:b": 3, "tiny:d": 2
    }  # fmt: skip
    assert draw_evenly(items, 5, seed) == drawn[:5]


def test_the_seed_decides_which_recordings_are_drawn():
    items = items_of(large={"a": 200, "b": 200})
    found = [draw_evenly(items, 10, seed) for seed in (0, 0, 1)]
    assert found[0] == found[1]
    assert len(set(found[0]) & set(found[2])) < 5
    assert sorted(draw_evenly(items, 1_000, 0), key=lambda item: item.path) == sorted(items, key=lambda i: i.path)


def test_the_maps_are_those_of_the_explainers_their_consensus_and_two_baselines():
    target = target_of_log_mel(random_log_mel(150), 1)
    maps = maps_of(classifier_of(fresh(TinyNetwork)), target, AnalysisSettings().drafted())
    assert set(maps) == set(MAPS)
    explained = {name: maps[name] for name in MAPS[:3]}
    np.testing.assert_array_equal(maps["consensus"], consensus(explained, target.covered))


def test_every_measure_of_every_map_is_taken():
    classifier = classifier_of(fresh(TinyNetwork), front_end=everything_kept())
    found = with_differences(figures_of(noise_recording(1.2), classifier, AnalysisSettings().drafted(), 1))
    assert set(found) == set(MAPS)
    assert all(set(figures) == set(MEASURES) for figures in found.values())
    assert {field.name for field in fields(MaskMetrics)} <= set(MEASURES)
    assert all(np.isfinite(list(figures.values())).all() for figures in found.values())
    assert found["random"]["max_sensitivity"] == 0
    assert found["random"]["weight_randomisation"] == pytest.approx(1)
    assert found["energy"]["weight_randomisation"] == pytest.approx(1)
    assert 0 < found["energy"]["max_sensitivity"] < 0.2
    assert abs(found["lime"]["weight_randomisation"]) < 0.9
    assert found["lime"]["area_noise_floor"] != found["lime"]["area_band_mean"]
    assert len(table(summary([found], ["a"], 0)).splitlines()) == 1 + len(MEASURES)


def test_differences_are_taken_to_the_two_baseline_maps():
    areas = {"lime": (5.0, 3.0), "energy": (2.0, 2.5), "random": (-1.0, 0.5)}
    found = with_differences(
        {
            name: {f"area_{fill}": area for fill, area in zip(FILLS, of_map, strict=True)}
            for name, of_map in areas.items()
        }
    )
    assert [found["lime"][f"area_{fill}_above_{name}"] for fill in FILLS for name in REFERENCES] == [3, 6, 0.5, 2.5]
    assert found["random"]["area_noise_floor_above_energy"] == -3
    assert found["lime"]["area_noise_floor"] == 5


def measured(values):
    return [{"lime": dict.fromkeys(MEASURES, value)} for value in values]


def test_intervals_resample_speakers_with_replacement():
    values = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    found = summary(measured(values), ["a", "a", "a", "a", "b", "b"], 0)["drop"]["lime"]
    assert found == [pytest.approx(1 / 3, abs=1e-4), 0, 1]  # often one of the two speakers is drawn twice
    found = summary(measured(values), ["a", "b", "c", "a", "b", "c"], 0)["drop"]["lime"]
    assert found == [pytest.approx(1 / 3, abs=1e-4), 0, 0.5]  # b and c have half each
    found = summary(measured([0.3] * 6), ["a", "b", "c", "a", "b", "c"], 0)["drop"]["lime"]
    assert found == [0.3, 0.3, 0.3]


def test_the_interval_of_many_speakers_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(size=400)
    mean, low, high = summary(measured(values), [str(place) for place in range(400)], 0)["gain"]["lime"]
    assert mean == pytest.approx(values.mean(), abs=1e-4)
    half = 1.96 * values.std() / 20
    assert (low, high) == (pytest.approx(mean - half, abs=0.02), pytest.approx(mean + half, abs=0.02))


def test_missing_values_do_not_count():
    speakers = ["a", "a", "b", "b"]
    found = summary(measured([0.2, np.nan, 0.2, np.nan]), speakers, 0)["weight_randomisation"]["lime"]
    assert found == [0.2, 0.2, 0.2]
    found = summary(measured([0.2, 0.4, np.nan, np.nan]), speakers, 0)["weight_randomisation"]["lime"]
    assert found == [0.3, 0.3, 0.3]  # b has no value whenever it is drawn
    assert np.isnan(summary(measured([np.nan] * 4), speakers, 0)["weight_randomisation"]["lime"]).all()


def test_the_table_has_a_line_for_each_measure_and_a_column_for_each_map():
    result = {measure: {"lime": [1.234, 0.5, 2.0], "energy": [-0.5, -1.0, 0.25]} for measure in MEASURES}
    head, *lines = table(result).splitlines()
    assert head.split() == ["lime", "energy"]
    assert len(lines) == len(MEASURES)
    assert lines[0].startswith("area, noise floor (log-odds), high")
    assert lines[0].endswith("  1.23 [ 0.50, 2.00]  -0.50 [-1.00, 0.25]")
