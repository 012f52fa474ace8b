"""Effects of an edit in the tiers below, found by index and compared with a twin that checks all marks."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis import Region
from ser_core.annotations import nesting
from ser_core.annotations.annotation import Annotation, Tier
from ser_core.annotations.nesting import nested_edit

TIERS = (Tier("phrase", "phrase"), Tier("word", "word", parent="phrase"), Tier("phone", "phone", parent="word"))


class PlainRegions:
    def __init__(self, regions):
        self.regions = list(regions)

    def containing(self, region):
        middle_s = (region.start_s + region.end_s) / 2
        return [each for each in self.regions if each.start_s <= middle_s <= each.end_s]


class PlainRegionsByTier:
    def __init__(self, marks):
        self.marks = marks

    def of(self, tier, mark):
        same = [other for other in self.marks() if other.tier == tier and nesting._same_annotator(other, mark)]
        return PlainRegions([other.region for other in same])

    def forget(self, tier):
        pass


class PlainChildren:
    def __init__(self, marks, parent_of):
        self.marks, self.parent_of = list(marks), parent_of

    def __call__(self, parent):
        within = PlainRegions([parent.region])
        below = [mark for mark in self.marks if self.parent_of.get(mark.tier) == parent.tier]
        return [mark for mark in below if nesting._same_annotator(mark, parent) and within.containing(mark.region)]


def twin(*args, **edit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nesting, "_RegionsByTier", PlainRegionsByTier)
        patch.setattr(nesting, "_Children", PlainChildren)
        return nested_edit(*args, **edit)


# Few different times, so that edges meet.
TIMES = st.integers(0, 12).map(float)


@st.composite
def regions(draw):
    start_s = draw(TIMES)
    return Region(start_s, start_s + draw(st.sampled_from([1.0, 2.0, 3.0, 6.0])))


@st.composite
def edits(draw):
    of = st.tuples(st.sampled_from(["phrase", "word", "phone"]), regions(), st.sampled_from(["Ann", "Ben"]))
    marks = [
        Annotation(region, tier=tier, annotator=who, key=f"key {number}")
        for number, (tier, region, who) in enumerate(draw(st.lists(of, max_size=14)))
    ]
    numbers = draw(st.lists(st.integers(0, max(0, len(marks) - 1)), max_size=4, unique=True)) if marks else []
    changed = [nesting.replace(marks[number], region=draw(regions())) for number in numbers[::2]]
    deleted = [marks[number] for number in numbers[1::2]]
    added = [Annotation(region, tier=tier) for tier, region, _ in draw(st.lists(of, max_size=2))]
    return marks, {"change": changed, "add": added, "delete": deleted}


@given(edits())
def test_an_edit_has_the_same_result_as_in_a_twin_that_checks_every_mark(drawn):
    marks, edit = drawn
    assert nested_edit(marks, TIERS, **edit) == twin(marks, TIERS, **edit)


def test_thousands_of_words_are_moved_with_their_phones_quickly():
    words = [Annotation(Region(n, n + 1), tier="word", annotator="Ann", key=f"w{n}") for n in range(2_000)]
    phones = [Annotation(Region(n / 4, (n + 1) / 4), tier="phone", annotator="Ann", key=f"p{n}") for n in range(8_000)]
    later = [nesting.replace(word, region=Region(word.region.start_s + 0.1, word.region.end_s + 0.1)) for word in words]
    began = time.process_time()
    found = nested_edit([*words, *phones], TIERS[1:], change=later)
    assert time.process_time() - began < 3  # checking every mark each time took 13 s
    assert len(found.change) == 10_000
    assert not found.gone
