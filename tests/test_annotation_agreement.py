"""Agreement of annotators in labels and in the positions of marks."""

from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, f1_score

from pages.shared.charts.annotators import agreement_matrix_chart, annotator_confusion_chart
from ser_core.analysis import Region
from ser_core.annotations.agreement.agreement import NONE_MATCHED, annotator_agreement, gold_agreement
from ser_core.annotations.agreement.bootstrap import SEED, Measured, measured, measured_ratio
from ser_core.annotations.agreement.coefficients import (
    cohen_kappa,
    coincidences,
    fleiss_kappa,
    fleiss_tally,
    interval_distance,
    krippendorff_alpha,
    nominal_distance,
)
from ser_core.annotations.agreement.label_agreement import ALL_THE_SAME, ALONE, NO_EMOTION, NO_MARK
from ser_core.annotations.agreement.matching import (
    frame_middles_s,
    frames_inside,
    marked_frames,
    marks_in_time,
    match_pairs,
    overlap_in_time,
)
from ser_core.annotations.annotation import GOLD, RECORDING_TIER, AnnotatedRecording, Annotation
from ser_core.learning.metrics import RESAMPLES

EMOTIONS = ("angry", "happy", "sad")


def whole_label(annotator, emotion, intensity=None, duration_s=2.0):
    return Annotation(Region(0, duration_s), RECORDING_TIER, annotator, emotion, intensity)


def mark(annotator, start_s, end_s, emotion="angry", **said):
    return Annotation(Region(start_s, end_s), annotator=annotator, emotion=emotion, **said)


def recording(*marks, duration_s=2.0, name="a.wav"):
    return AnnotatedRecording(name, None, duration_s, 16_000, marks)


def labelled(*emotions_of):
    """Return recordings with a label by each of ann, ben, cleo; None where there is none."""
    names = ("ann", "ben", "cleo")
    return [
        recording(*(whole_label(who, emotion) for who, emotion in zip(names, each, strict=False) if emotion))
        for each in emotions_of
    ]


def random_labels(recordings, annotators=3, missing=0.2, seed=0):
    """Return label indices (recordings, annotators) that agree more often than not; -1 for none."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=(recordings, 1))
    labels = np.where(rng.random((recordings, annotators)) < 0.6, truth, rng.integers(3, size=(recordings, annotators)))
    return np.where(rng.random(labels.shape) < missing, -1, labels)


def recordings_of(places):
    return labelled(*[[None if place < 0 else EMOTIONS[place] for place in row] for row in places])


def counts_of(places, labels=3):
    return (places[..., None] == np.arange(labels)).sum(axis=1)


# --- the coefficients ---

#: Fleiss 1971, Table 1: 30 patients, six psychiatrists each, five diagnoses.
PSYCHIATRISTS = np.array(
    [
        *([0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0], [2, 0, 4, 0, 0]),
        *([0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6], [1, 0, 0, 5, 0], [1, 1, 0, 4, 0]),
        *([0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1], [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0]),
        *([0, 2, 0, 4, 0], [1, 0, 2, 0, 3], [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0]),
        *([1, 0, 0, 4, 1], [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6]),
    ]
)
#: Krippendorff 2011, section C: four observers, twelve units, five values; 0 is missing.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)


def test_cohens_kappa_of_a_table_worked_by_hand():
    # 50 in all, 35 agreed: 0.70. By chance 25 * 30 + 25 * 20 of 2500: 0.50.
    assert cohen_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx((0.7 - 0.5) / 0.5)


def test_fleiss_kappa_reproduces_fleiss_example_of_psychiatrists():
    assert (PSYCHIATRISTS.sum(axis=1) == 6).all()
    assert fleiss_kappa(fleiss_tally(PSYCHIATRISTS), 6) == pytest.approx(0.430, abs=5e-4)


def test_krippendorffs_alpha_reproduces_his_own_example():
    table = coincidences(counts_of(OBSERVERS.T - 1, 5))
    # The paper prints the coincidences: 7 4/3 1/3 1/3 0 in the first row.
    np.testing.assert_allclose(table[0], [7, 4 / 3, 1 / 3, 1 / 3, 0])
    assert krippendorff_alpha(table, nominal_distance(5)) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(table, interval_distance(np.arange(1, 6))) == pytest.approx(0.849, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_cohens_kappa_equals_scikit_learns(seed):
    one, other = random_labels(80, 2, missing=0, seed=seed).T
    table = np.zeros((3, 3), int)
    np.add.at(table, (one, other), 1)
    assert cohen_kappa(table) == pytest.approx(cohen_kappa_score(one, other), abs=1e-12)


@pytest.mark.parametrize("annotators", [2, 3, 7])
def test_fleiss_kappa_equals_that_of_statsmodels(annotators):
    theirs = pytest.importorskip("statsmodels.stats.inter_rater")
    counts = counts_of(random_labels(60, annotators, missing=0))
    expected = theirs.fleiss_kappa(counts, method="fleiss")
    assert 0.1 < expected < 0.6
    assert fleiss_kappa(fleiss_tally(counts), annotators) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.7])
def test_krippendorffs_alpha_equals_that_of_the_package_krippendorff(missing):
    theirs = pytest.importorskip("krippendorff")
    places = random_labels(100, 4, missing)
    data = np.where(places < 0, np.nan, places)
    table = coincidences(counts_of(places))
    for level, distance in (("nominal", nominal_distance(3)), ("interval", interval_distance(np.arange(3)))):
        expected = theirs.alpha(reliability_data=data.T, value_domain=[0, 1, 2], level_of_measurement=level)
        assert krippendorff_alpha(table, distance) == pytest.approx(expected, abs=1e-12)


def alpha_slowly(places, distance):
    """Straight from the definition, pair by pair."""
    units = [[int(p) for p in row if p >= 0] for row in places]
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    observed = sum(
        distance[unit[i]][unit[j]] / (len(unit) - 1) for unit in units for i, j in permutations(range(len(unit)), 2)
    ) / len(values)
    expected = sum(distance[a][b] for a, b in permutations(values, 2)) / (len(values) * (len(values) - 1))
    return 1 - observed / expected


def test_krippendorffs_alpha_equals_its_definition_pair_by_pair():
    places, distance = random_labels(30, 4, 0.3), interval_distance(np.array([1, 2, 5]))
    found = krippendorff_alpha(coincidences(counts_of(places)), distance)
    assert found == pytest.approx(alpha_slowly(places, distance), abs=1e-12)


def test_a_stack_of_tables_gives_the_coefficient_of_each():
    tables = np.array([[[20, 5], [10, 15]], [[7, 0], [0, 0]], [[1, 2], [3, 4]]])
    np.testing.assert_array_equal(cohen_kappa(tables), [cohen_kappa(table) for table in tables])
    assert np.isnan(cohen_kappa(tables)).tolist() == [False, True, False]
    symmetric = tables + tables.swapaxes(1, 2)
    alphas = krippendorff_alpha(symmetric, nominal_distance(2))
    np.testing.assert_array_equal(alphas, [krippendorff_alpha(table, nominal_distance(2)) for table in symmetric])


# --- figures over recordings ---


def test_the_interval_equals_that_of_a_loop_over_resampled_recordings():
    tallies = np.random.default_rng(1).integers(1, 9, size=(6, 2)).astype(float)
    found = measured_ratio(tallies, nothing="", undefined="")
    drawn = np.random.default_rng(SEED).multinomial(6, [1 / 6] * 6, size=RESAMPLES)
    values = []
    for times in drawn:
        chosen = np.repeat(np.arange(6), times)
        assert len(chosen) == 6
        values.append(tallies[chosen, 0].sum() / tallies[chosen, 1].sum())
    assert found.value == tallies[:, 0].sum() / tallies[:, 1].sum()
    assert found.interval == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
    assert found.recordings == 6


def test_interval_of_one_right_and_one_wrong_recording_worked_by_hand():
    # Two draws: twice the first (1/4), one of each (1/2), twice the second (1/4).
    found = measured_ratio(np.array([[1.0, 1], [0, 1]]), nothing="", undefined="")
    assert (found.value, found.interval) == (0.5, (0.0, 1.0))


def test_resamples_with_an_undefined_figure_are_left_out_of_the_interval():
    found = measured(
        np.array([[1.0, 0], [0, 1]]),
        lambda sums: np.where(sums.min(axis=1) > 0, 0.25, np.nan),
        nothing="",
        undefined="",
    )
    assert (found.value, found.interval) == (0.25, (0.25, 0.25))


def test_without_recordings_or_without_a_value_there_is_a_reason_instead():
    words = {"nothing": "nobody came", "undefined": "no value"}
    assert measured_ratio(np.array([]), **words) == Measured(None, None, 0, "nobody came")
    assert measured_ratio(np.zeros((3, 2)), **words) == Measured(None, None, 3, "no value")
    assert measured_ratio(np.array([[3.0, 4]]), **words) == Measured(0.75, None, 1)


# --- labels of whole recordings ---


def test_agreement_in_labels_equals_other_libraries_with_missing_labels():
    krippendorff = pytest.importorskip("krippendorff")
    places = random_labels(60)
    found = annotator_agreement(recordings_of(places))
    assert found.annotators == ("ann", "ben", "cleo")
    labels = found.recordings
    assert labels.labels == EMOTIONS
    for (i, j), (one, other) in zip(combinations(range(3), 2), combinations(found.annotators, 2), strict=True):
        both = (places[:, [i, j]] >= 0).all(axis=1)
        kappa = labels.cohen[one, other]
        assert kappa.value == pytest.approx(cohen_kappa_score(*places[both][:, [i, j]].T))
        assert kappa.recordings == both.sum()
        assert kappa.interval[0] < kappa.value < kappa.interval[1]
        for a, b in permutations(range(3), 2):
            assert labels.confusion[one, other][a, b] == ((places[:, i] == a) & (places[:, j] == b)).sum()
    data = np.where(places < 0, np.nan, places).T
    expected = krippendorff.alpha(reliability_data=data, value_domain=[0, 1, 2], level_of_measurement="nominal")
    assert labels.alpha.value == pytest.approx(expected)
    by_all = places[(places >= 0).all(axis=1)]
    assert labels.fleiss.value == pytest.approx(float(fleiss_kappa(fleiss_tally(counts_of(by_all)), 3)))
    assert labels.fleiss.recordings == len(by_all) < 60
    assert labels.alpha.recordings == ((places >= 0).sum(axis=1) > 1).sum()


def test_annotators_who_always_agree_have_one_with_an_interval_of_no_width():
    labels = annotator_agreement(labelled(("angry",) * 3, ("sad",) * 3, ("happy",) * 3)).recordings
    for found in (*labels.cohen.values(), labels.fleiss, labels.alpha):
        assert (found.value, found.interval, found.reason) == (1.0, (1.0, 1.0), "")


@given(st.permutations(range(8)), st.permutations(EMOTIONS), st.permutations(["ann", "ben", "cleo"]))
def test_agreement_does_not_depend_on_order_or_names(order, emotions, names):
    places = random_labels(8, missing=0.1, seed=4)
    renamed = dict(zip(EMOTIONS, emotions, strict=True))
    people = dict(zip(("ann", "ben", "cleo"), names, strict=True))
    changed = [
        replace(
            r,
            annotations=tuple(
                replace(m, annotator=people[m.annotator], emotion=renamed[m.emotion]) for m in r.annotations
            ),
        )
        for r in recordings_of(places[order])
    ]
    one, other = annotator_agreement(recordings_of(places)).recordings, annotator_agreement(changed).recordings
    assert other.alpha.value == pytest.approx(one.alpha.value)
    assert other.fleiss.value == pytest.approx(one.fleiss.value)
    for pair, kappa in one.cohen.items():
        assert other.cohen[tuple(sorted(people[who] for who in pair))].value == pytest.approx(kappa.value)


def test_the_same_recordings_give_the_same_interval():
    recordings = recordings_of(random_labels(20))
    one, other = annotator_agreement(recordings), annotator_agreement(recordings)
    assert one.recordings.cohen == other.recordings.cohen
    assert one.recordings.alpha == other.recordings.alpha


def test_intensities_that_differ_by_little_agree_more_than_those_that_differ_by_much():
    theirs = pytest.importorskip("krippendorff")
    for data in ([[1, 2, 5, 4], [2, 2, 4, 4]], [[1, 2, 5, 4], [5, 2, 1, 4]]):
        recordings = [
            recording(whole_label("ann", "sad", one), whole_label("ben", "happy", other))
            for one, other in zip(*data, strict=True)
        ]
        found = annotator_agreement(recordings).recordings.intensity_alpha
        expected = theirs.alpha(reliability_data=data, level_of_measurement="interval")
        assert found.value == pytest.approx(expected)
        assert found.recordings == 4
    half = [recording(whole_label("ann", "sad", 3), whole_label("ben", "sad"))]
    reason = annotator_agreement(half).recordings.intensity_alpha.reason
    assert reason == "No two people rated the intensity of the same item."


# --- undefined figures ---


@pytest.mark.parametrize(
    ("recordings", "cohen", "fleiss", "alpha"),
    [
        (labelled(("angry",), ("sad",)), None, ALONE, ALONE),
        ([recording()], None, ALONE, ALONE),
        ([], None, ALONE, ALONE),
        (labelled(("sad", "sad"), ("sad", "sad")), ALL_THE_SAME, ALL_THE_SAME, ALL_THE_SAME),
        (
            labelled(("sad", None), (None, "angry")),
            "No recording was labelled by both.",
            "No recording was labelled by everybody.",
            "No recording was labelled by two people.",
        ),
        (
            [recording(mark("ann", 0, 1), mark("ben", 0, 1))],
            "No recording was labelled by both.",
            ALONE,
            ALONE,
        ),
    ],
    ids=["one annotator", "nobody", "nothing", "one label", "no overlap", "regions only"],
)
def test_an_undefined_figure_has_no_value_but_a_reason(recordings, cohen, fleiss, alpha):
    labels = annotator_agreement(recordings).recordings
    assert [kappa.reason for kappa in labels.cohen.values()] == ([cohen] if cohen else [])
    assert (labels.fleiss.reason, labels.alpha.reason) == (fleiss, alpha)
    for found in (*labels.cohen.values(), labels.fleiss, labels.alpha, labels.intensity_alpha):
        assert (found.value, found.interval) == (None, None)
        assert found.reason


def test_an_annotator_without_labels_of_a_kind_is_left_out():
    places = random_labels(40, annotators=2, missing=0)
    both = [replace(r, annotations=(*r.annotations, mark("zoe", 0, 1))) for r in recordings_of(places)]
    both[0] = replace(both[0], annotations=(*both[0].annotations, mark("yan", 0, 1)))
    found = annotator_agreement(both)
    assert found.annotators == ("ann", "ben", "yan", "zoe")
    assert found.recordings.fleiss == annotator_agreement(recordings_of(places)).recordings.fleiss
    assert found.recordings.fleiss.recordings == 40
    assert (found.frames.fleiss.value, found.frames.fleiss.recordings) == (1, 1)


# --- labels of frames ---


def test_each_frame_has_the_label_of_the_mark_at_its_centre():
    # 10 frames; ann: 3 free, 4 angry, 3 free; ben: 5 free, 3 angry, 2 sad.
    one = recording(mark("ann", 0.03, 0.07), mark("ben", 0.05, 0.08), mark("ben", 0.08, 0.1, "sad"), duration_s=0.1)
    frames = annotator_agreement([one]).frames
    assert frames.labels == ("angry", "sad", NO_MARK)
    assert frames.confusion["ann", "ben"].tolist() == [[2, 0, 2], [0, 0, 0], [1, 2, 3]]
    ann = [2, 2, 2, 0, 0, 0, 0, 2, 2, 2]
    ben = [2, 2, 2, 2, 2, 0, 0, 0, 1, 1]
    kappa = frames.cohen["ann", "ben"]
    assert kappa.value == pytest.approx(cohen_kappa_score(ann, ben))
    assert (kappa.interval, kappa.recordings) == (None, 1)
    assert frames.alpha.value == pytest.approx(alpha_slowly(np.array([ann, ben]).T, nominal_distance(3)))


def test_an_annotator_without_marks_in_a_recording_does_not_count_there():
    recordings = [
        recording(mark("ann", 0, 1), mark("ben", 0, 1)),
        recording(mark("ann", 0, 2), whole_label("ben", "sad")),
    ]
    both, alone = annotator_agreement(recordings).frames, annotator_agreement(recordings[:1]).frames
    assert both.confusion["ann", "ben"].sum() == 200
    assert both.cohen == alone.cohen
    assert both.cohen["ann", "ben"].value == 1


def test_of_overlapping_marks_of_one_person_the_one_that_begins_last_counts():
    one = recording(mark("ann", 0.05, 0.08, "sad"), mark("ann", 0.0, 0.1), mark("ben", 0.0, 0.1, None), duration_s=0.1)
    frames = annotator_agreement([one]).frames
    assert frames.labels == ("angry", "sad", NO_EMOTION, NO_MARK)
    assert frames.confusion["ann", "ben"].tolist() == [[0, 0, 7, 0], [0, 0, 3, 0], [0] * 4, [0] * 4]


def test_intensities_of_frames_count_where_two_marked():
    theirs = pytest.importorskip("krippendorff")
    one = recording(
        mark("ann", 0, 0.06, intensity=2),
        mark("ben", 0.02, 0.05, intensity=3),
        mark("ben", 0.05, 0.1, intensity=2),
        duration_s=0.1,
    )
    expected = theirs.alpha(reliability_data=[[2, 2, 2, 2], [3, 3, 3, 2]], level_of_measurement="interval")
    assert annotator_agreement([one]).frames.intensity_alpha.value == pytest.approx(expected)


def test_marks_of_other_tiers_are_no_labels():
    other = replace(mark("ann", 0, 1, "laughter"), tier="voice quality")
    found = annotator_agreement([recording(other, mark("ann", 0, 1), mark("ben", 0, 1, "sad"))])
    assert found.frames.labels == ("angry", "sad", NO_MARK)
    assert found.recordings.labels == ()
    assert found.regions["ann", "ben"].detection_f1.value == 1


def test_marks_are_cut_at_the_end_of_the_recording():
    one = recording(mark("ann", 0.05, 7), mark("ben", 0.08, 9), mark("cleo", 3, 4), duration_s=0.1)
    frames = annotator_agreement([one]).frames
    assert frames.confusion["ann", "ben"].tolist() == [[2, 3], [0, 5]]
    assert frames.confusion["ben", "cleo"].tolist() == [[0, 2], [0, 8]]


# --- regions ---


def regions(*edges):
    return [Region(start_s, end_s) for start_s, end_s in edges]


def test_overlap_in_time_is_worked_by_hand():
    found = overlap_in_time(regions((0, 1), (2, 4)), regions((0.5, 1.5), (2, 3), (1, 2)))
    np.testing.assert_allclose(found, [[0.5 / 1.5, 0, 0], [0, 0.5, 0]])


def test_regions_that_overlap_by_exactly_half_are_the_same_and_by_less_are_not():
    assert match_pairs(regions((0.1, 0.4)), regions((0.1, 0.25))) == [(0, 0)]
    assert match_pairs(regions((0.1, 0.4)), regions((0.1, 0.249))) == []
    assert match_pairs([], regions((0, 1))) == match_pairs(regions((0, 1)), []) == []


def test_matching_finds_as_many_pairs_as_possible():
    # Two pairs are the same to the sample and overlap by 2 in all; the three that there can be overlap by 1.5.
    one, other = regions((0, 1), (0, 2), (0, 4)), regions((0, 2), (0, 4), (0, 8))
    assert match_pairs(one, other) == [(0, 0), (1, 1), (2, 2)]


def best_matching(one, other):
    """Try all ways to pair: how many pairs, and their overlap."""
    if len(one) > len(other):
        one, other = other, one
    overlap = overlap_in_time(one, other)
    best = (0, 0.0)
    for places in permutations(range(len(other)), len(one)):
        found = [overlap[i, j] for i, j in enumerate(places) if overlap[i, j] >= 0.5]
        best = max(best, (len(found), sum(found)))
    return best


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9)), min_size=1, max_size=5).map(
        lambda each: regions(*((start, start + length) for start, length in each))
    ),
    st.integers(0, 4),
)
def test_matching_is_the_best_of_all_ways_to_pair(one, seed):
    rng = np.random.default_rng(seed)
    other = [Region(r.start_s + rng.integers(0, 2), r.end_s + rng.integers(1, 4)) for r in one][: 1 + seed]
    pairs = match_pairs(one, other)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    count, total = best_matching(one, other)
    assert len(pairs) == count
    overlap = overlap_in_time(one, other)
    assert sum(overlap[i, j] for i, j in pairs) == pytest.approx(total)


def test_agreement_in_regions_is_worked_by_hand():
    first = recording(
        mark("ann", 0.1, 0.5),
        mark("ann", 1.0, 1.4, "sad"),
        mark("ann", 1.8, 1.9),
        mark("ben", 0.15, 0.48),
        mark("ben", 1.1, 1.45),
    )
    second = recording(mark("ann", 0.0, 0.2), mark("ben", 0.0, 0.21, None))
    found = annotator_agreement([first, second]).regions["ann", "ben"]
    assert found.detection_f1.value == pytest.approx(2 * 3 / 7)
    assert found.detection_f1.recordings == 2
    assert found.start_error_ms.value == pytest.approx((50 + 100 + 0) / 3)
    assert found.end_error_ms.value == pytest.approx((20 + 50 + 10) / 3)
    assert found.same_emotion.value == pytest.approx(1 / 2)
    both, ann, ben = 33 + 30 + 20, 40 + 40 + 10 + 20, 33 + 35 + 21
    assert found.time_f1.value == pytest.approx(2 * both / (ann + ben))


def test_time_overlap_equals_scikit_learns_f1_of_frames():
    rng = np.random.default_rng(3)
    recordings, truth, predicted = [], [], []
    for _ in range(10):
        times = np.sort(rng.integers(0, 200, size=(2, 4)) / 100, axis=1) + np.arange(4) / 100
        one = recording(
            *(mark(who, *edges) for who, t in zip(("ann", "ben"), times, strict=True) for edges in (t[:2], t[2:]))
        )
        recordings.append(one)
        for frames, who in ((truth, "ann"), (predicted, "ben")):
            marks = marks_in_time(one, who)
            frames.append([any(m.region.start_s <= t < m.region.end_s for m in marks) for t in frame_middles_s(2.0)])
    found = annotator_agreement(recordings).regions["ann", "ben"].time_f1
    assert found.value == pytest.approx(f1_score(np.ravel(truth), np.ravel(predicted)))
    assert found.interval[0] < found.value < found.interval[1]


def test_regions_agree_fully_with_themselves():
    marks = [mark("ann", 0.1, 0.4), mark("ann", 0.9, 1.7, "sad")]
    one = recording(*marks, *(replace(m, annotator="ben") for m in marks))
    found = annotator_agreement([one, one]).regions["ann", "ben"]
    assert (found.detection_f1.value, found.time_f1.value, found.same_emotion.value) == (1, 1, 1)
    assert (found.start_error_ms.value, found.end_error_ms.value) == (0, 0)


def test_regions_that_never_overlap_have_no_boundary_error():
    found = annotator_agreement([recording(mark("ann", 0, 0.5), mark("ben", 1, 1.5))]).regions["ann", "ben"]
    assert (found.detection_f1.value, found.time_f1.value) == (0, 0)
    for error in (found.start_error_ms, found.end_error_ms):
        assert (error.value, error.reason) == (None, NONE_MATCHED)
    assert found.same_emotion.value is None


def test_without_a_recording_that_both_marked_there_is_no_agreement_in_regions():
    recordings = [recording(mark("ann", 0, 1)), recording(mark("ben", 0, 1), whole_label("ann", "sad"))]
    found = annotator_agreement(recordings).regions["ann", "ben"]
    for figure in (found.detection_f1, found.time_f1, found.start_error_ms, found.end_error_ms, found.same_emotion):
        assert figure == Measured(None, None, 0, "No recording was marked in time by both.")


def test_marks_shorter_than_a_frame_have_no_overlap_of_frames():
    found = annotator_agreement([recording(mark("ann", 0.001, 0.004), mark("ben", 0.001, 0.004))]).regions["ann", "ben"]
    assert found.detection_f1.value == 1
    assert found.time_f1.reason == "All marks are shorter than a frame of 10 ms."


# --- with the gold layer ---


def test_agreement_with_the_gold_layer_worked_by_hand():
    recordings = [
        recording(whole_label(GOLD, "angry"), whole_label("ann", "angry"), whole_label("ben", "sad")),
        recording(whole_label(GOLD, "sad"), whole_label("ann", "sad"), whole_label("ben", "sad")),
        # ann and the gold layer share 0.2 of 0.3 s, so these two match.
        recording(mark(GOLD, 0.0, 0.3, "happy"), mark("ann", 0.1, 0.3, "angry"), mark("ben", 1.0, 1.3)),
        recording(whole_label("ann", "happy"), whole_label("cleo", "sad")),  # not decided
    ]
    found = gold_agreement(recordings)
    assert list(found) == ["ann", "ben"]
    ann, ben = found.values()
    assert (ann.recordings, ann.same_label.value, ann.same_label.recordings) == (3, 1.0, 2)
    assert (ben.recordings, ben.same_label.value) == (3, 0.5)
    # ben said sad twice, so chance alone would agree in one of two as well.
    assert (ann.kappa.value, ben.kappa.value) == (1.0, 0.0)
    assert (ann.regions.detection_f1.value, ann.regions.same_emotion.value) == (1.0, 0.0)
    assert ann.regions.time_f1.value == pytest.approx(2 * 20 / (30 + 20))
    assert (ben.regions.detection_f1.value, ben.regions.time_f1.value) == (0.0, 0.0)


def test_without_a_gold_layer_nobody_is_compared_with_it():
    assert gold_agreement(labelled(("angry", "sad"), ("sad", None))) == {}


# --- frames ---


@given(st.floats(0, 3), st.floats(0.001, 3), st.floats(0.05, 3))
def test_a_frame_is_inside_a_region_if_its_centre_is(start_s, length_s, duration_s):
    region, middles_s = Region(start_s, start_s + length_s), frame_middles_s(duration_s)
    inside = np.zeros(len(middles_s), bool)
    inside[frames_inside(region, middles_s)] = True
    np.testing.assert_array_equal(inside, (middles_s >= region.start_s) & (middles_s < region.end_s))
    np.testing.assert_array_equal(marked_frames([region, region], middles_s), inside)


def test_a_recording_shorter_than_a_frame_has_one():
    assert frame_middles_s(0.001).tolist() == [0.005]
    assert len(frame_middles_s(0.25)) == 25


# --- pictures ---


def test_the_matrix_shows_kappa_and_interval_of_each_pair_in_both_triangles():
    found = annotator_agreement(recordings_of(random_labels(120)))
    figure = agreement_matrix_chart(found.recordings, found.annotators)
    (cells,) = figure.data
    assert list(cells.x) == list(cells.y) == ["ann", "ben", "cleo"]
    for (one, other), kappa in found.recordings.cohen.items():
        i, j = found.annotators.index(one), found.annotators.index(other)
        assert cells.z[i][j] == cells.z[j][i] == kappa.value
        low, high = kappa.interval
        assert cells.text[i][j] == cells.text[j][i] == f"{kappa.value:.2f}<br>({low:.2f} to {high:.2f})"
        assert cells.customdata[i][j].endswith(f", {kappa.recordings} recordings")
    assert [cells.z[i][i] for i in range(3)] == [None] * 3
    assert (cells.zmin, cells.zmax) == (-1, 1)
    assert cells.colorbar.title.text == "Cohen's kappa"
    assert figure.layout.xaxis.title.text == "Annotator"


def test_a_pair_without_kappa_is_an_empty_cell_that_says_why():
    found = annotator_agreement(labelled(("sad", "angry"), ("angry", "sad"), (None, None, "sad")))
    (cells,) = agreement_matrix_chart(found.recordings, found.annotators).data
    assert (cells.z[0][2], cells.text[0][2]) == (None, "")
    assert cells.customdata[0][2] == "No recording was labelled by both."
    assert cells.text[0][1] == "\N{MINUS SIGN}1.00<br>(\N{MINUS SIGN}1.00 to 0.00)"  # labels that agree as by chance


@pytest.mark.parametrize(("dark", "colour"), [(True, "white"), (False, None)])
def test_figures_in_cells_can_be_read_in_both_themes_and_names_are_never_markup(dark, colour):
    people = ("", "1", "<b>A&B")
    recordings = [recording(*(whole_label(who, emotion) for who in people)) for emotion in ("sad", "<i>odd")]
    found = annotator_agreement(recordings)
    figure = agreement_matrix_chart(found.recordings, found.annotators, dark=dark)
    assert list(figure.data[0].x) == ["(no name)", "1", "&lt;b&gt;A&amp;B"]
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "category"  # never numbers, even if all names are
    confusion = annotator_confusion_chart(found.recordings, ("1", "<b>A&B"), "recordings", dark=dark)
    assert list(confusion.data[0].x) == ["sad", "&lt;i&gt;odd"]
    assert confusion.layout.xaxis.title.text == "&lt;b&gt;A&amp;B"
    assert confusion.layout.yaxis.title.text == "1"
    for each in (figure, confusion):
        assert each.data[0].textfont.color == colour
        assert each.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_the_confusion_of_two_people_shows_counts_and_the_shares_of_each_row():
    found = annotator_agreement(labelled(("angry", "sad"), ("angry", "angry"), ("angry", "angry"), ("sad", "sad")))
    figure = annotator_confusion_chart(found.recordings, ("ann", "ben"), "recordings")
    cells, clicks = figure.data
    assert list(cells.x) == list(cells.y) == ["angry", "sad"]
    # A click is mapped to its row and column by this order.
    assert list(zip(clicks.y, clicks.x, strict=True)) == [(row, column) for row in cells.y for column in cells.x]
    np.testing.assert_allclose(cells.z, [[2 / 3, 1 / 3], [0, 1]])
    assert [list(row) for row in cells.text] == [["67 %<br>2", "33 %<br>1"], ["0 %<br>0", "100 %<br>1"]]
    assert (figure.layout.yaxis.title.text, figure.layout.xaxis.title.text) == ("ann", "ben")
    assert "recordings" in cells.hovertemplate
