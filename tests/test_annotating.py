"""The logic of the page Annotate without its widgets: edits become steps, sounds are saved, queues are rated."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest

from pages.shared.annotation.marking.history_section import _change_in_words
from pages.shared.annotation.marking.shown_marks import Shown, in_words, overlap
from pages.shared.annotation.marking.stored_edits import change_mark, correct_f0, label_whole, store_edit
from pages.shared.player import Edit, Mark
from pages.shared.player.editing import _edit
from ser_core.analysis import Point, Region
from ser_core.annotations.agreement.agreement import annotator_agreement, disagreement
from ser_core.annotations.agreement.matching import match_pairs
from ser_core.annotations.annotation import RECORDING_TIER, AnnotatedRecording, Annotation, Tier
from ser_core.annotations.queue_rating import rate_by_marks, rate_by_model, uncertainty
from ser_core.annotations.saved_sounds import FOLDER, delete_sound, save_sound, saved_sound
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.work_queue import Queue
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused, Cancelled
from ser_core.work.progress import Work
from tests.databases import (  # noqa: F401
    fresh_project,
    fresh_schema,
    fresh_store,
    fresh_url,
    mark,
    sha,
    statements,
)
from tests.tiny_networks import LinearClassifier, noise_recording


@pytest.fixture
def classifier():
    return LinearClassifier(0.001 * np.random.default_rng(0).normal(size=(4, 96, 64)))


@pytest.fixture
def shown():
    return Shown(10.0)


def make_edit(store, project, shown, who="ann", **edit):
    """Make an edit as the page does, and return the marks after it."""
    step = store_edit(store, project, who, Edit(sha(0), **edit), shown)
    shown.update(store.marks.of(project, sha(0)), who)
    return step


def drawn(id_, start_s, end_s, label=None):
    return Mark(id_, Region(start_s, end_s, label=label))


# --- edits become steps ---


def test_a_drawn_mark_keeps_its_player_id_while_it_is_moved_and_labelled(store, project, shown):
    make_edit(store, project, shown, changed=(drawn("new 1", 1, 2),))
    make_edit(store, project, shown, changed=(drawn("new 1", 1.5, 2.5, "sad"),))
    assert list(shown.marks) == ["new 1"]
    (stored,) = store.marks.of(project, sha(0))
    assert (stored.region.start_s, stored.emotion, stored.annotator, stored.revision) == (1.5, "sad", "ann", 2)


def test_an_edit_sent_before_the_page_was_redrawn_builds_on_the_previous_one(store, project, shown):
    for edit in (
        Edit(sha(0), changed=(drawn("new 1", 1, 2),)),
        Edit(sha(0), changed=(drawn("new 1", 1, 3),)),
        Edit(sha(0), deleted=("new 1",)),
    ):
        store_edit(store, project, "ann", edit, shown)
    assert store.marks.of(project, sha(0)) == ()
    assert store.history.page(project, sha(0)).total == 3


def test_a_split_is_one_step_for_undo_and_redo(store, project, shown):
    make_edit(store, project, shown, changed=(drawn("new 1", 1, 3, "sad"),))
    make_edit(store, project, shown, changed=(drawn("new 1", 1, 2, "sad"), drawn("new 2", 2, 3, "sad")))
    assert [m.region.start_s for m in shown.marks.values()] == [1, 2]
    make_edit(store, project, shown, command="undo")
    assert [(m.region.start_s, m.region.end_s) for m in shown.marks.values()] == [(1, 3)]
    make_edit(store, project, shown, command="redo")
    assert set(shown.marks) == {"new 1", "new 2"}


def test_an_edit_of_a_mark_that_somebody_changed_meanwhile_is_refused(store, project, shown):
    make_edit(store, project, shown, changed=(drawn("new 1", 1, 2, "sad"),))
    (seen,) = shown.marks.values()
    change_mark(store, project, "bea", sha(0), seen, emotion="angry")
    with pytest.raises(AnnotationsOutdated, match=r"bea changed this mark .* Nothing was overwritten"):
        store_edit(store, project, "ann", Edit(sha(0), changed=(drawn("new 1", 1, 2, "happy"),)), shown)
    assert [m.emotion for m in store.marks.of(project, sha(0))] == ["angry"]


def test_a_suggestion_becomes_a_mark_with_its_provenance_or_stays_dismissed(store, project, shown):
    regions, provenance = [Region(1, 2), Region(4, 5)], {"model": "fusion"}
    shown.suggest(regions, "happy", provenance, "ann")
    first, second = shown.for_player()
    assert first == Mark(first.id, Region(1, 2, label="happy"), suggested=True)
    make_edit(store, project, shown, changed=(replace(first, suggested=False),))
    make_edit(store, project, shown, deleted=(second.id,))
    shown.suggest(regions, "happy", provenance, "ann")
    assert shown.suggestions == {}
    (taken,) = store.marks.of(project, sha(0))
    assert (taken.emotion, taken.region) == ("happy", Region(1, 2))
    assert next(iter(store.transfer.export(project))).provenance == provenance
    make_edit(store, project, shown, command="undo")
    shown.suggest(regions, "happy", provenance, "ann")
    # An accepted suggestion is offered again after an undo, a dismissed one is not.
    assert [mark.region for mark in shown.suggestions.values()] == [Region(1, 2)]


def test_f0_that_is_corrected_in_the_player_is_a_step_among_the_others(store, project, shown):
    measured_hz = np.array([100.0, 110.0, np.nan, 240.0])

    def corrected(value, start_s, end_s, hz=(), from_s=0.0):
        edit = Edit(sha(0), command="f0", value=value, changed=(drawn("new 1", start_s, end_s),), hz=hz)
        correct_f0(store, project, "ann", edit, shown, measured_hz, from_s)
        return store.recordings.open(project, sha(0), "ann").f0.hz

    assert corrected("halve", 0.03, 0.04) == {3: 120.0}
    # An edit that follows before the page has shown anything builds on the one before.
    assert corrected("draw", 0.01, 0.04, (90.0, 95.0, 110.0)) == {1: 90.0, 2: 95.0, 3: 110.0}
    # In a stretch of a long recording, the player has the time of the whole, and frames are numbered in it.
    assert corrected("double", 2.0, 2.01, from_s=2.0) == {1: 90.0, 2: 95.0, 3: 110.0, 200: 200.0}
    make_edit(store, project, shown, command="undo")
    make_edit(store, project, shown, command="undo")
    assert store.recordings.open(project, sha(0), "ann").f0.hz == {3: 120.0}
    store.marks.correct_f0(project, sha(0), "bea", {3: 60.0}, store.recordings.open(project, sha(0), "bea").f0.frames)
    with pytest.raises(AnnotationsOutdated, match=r"bea corrected F0 at 0\.04 s"):
        corrected("reset", 0.0, 0.04)
    for nonsense in ("delete", ["halve"], None):
        corrected(nonsense, 0.0, 0.04)


def test_suggestions_appear_in_a_tier_of_labels_with_the_label_of_the_emotion(store, project, shown):
    labels = {"content": "labels", "labels": ("low", "Freude", "high")}
    moods = [Tier("mood", "mood", **labels), Tier("arousal", "arousal", **labels, mapping=(("happy", "high"),))]
    moods.append(Tier("none", "none", **labels, mapping=(("happy", ""),)))
    moods.append(Tier("hidden", "hidden", **labels, shown=False))
    shown.tiers = tuple(store.tiers.add(project, tier) for tier in moods)
    shown.suggest([Region(1, 2), Region(4, 5)], "happy", {"model": "fusion"}, "ann")
    lanes = {lane.key: lane for lane in shown.tier_lanes("ann", {})}
    shown_labels = {key: {region.label for region in lane.marks.values()} for key, lane in lanes.items()}
    assert shown_labels == {"mood": {"Freude"}, "arousal": {"high"}, "none": set()}
    assert lanes["arousal"].suggested == lanes["arousal"].marks.keys()
    assert len(shown.for_player()) == 2  # only those of emotions
    first, second = lanes["arousal"].marks.items()
    make_edit(store, project, shown, tier="arousal", changed=(Mark(*first),), deleted=(second[0],))
    (taken,) = store.marks.of(project, sha(0))
    assert (taken.tier, taken.note, taken.emotion, taken.region) == ("arousal", "high", None, Region(1, 2))
    assert next(iter(store.transfer.export(project))).provenance == {"model": "fusion"}
    shown.tiers = store.tiers.of(project)
    shown.suggest([Region(1, 2), Region(4, 5)], "happy", {"model": "fusion"}, "ann")
    assert [mark.tier for mark in shown.suggestions.values()] == ["emotion", "emotion", "mood", "mood"]


def test_no_region_is_suggested_that_is_already_half_marked(shown):
    shown.marks["one"] = mark(1, 2)
    shown.suggest([Region(1.2, 2.3), Region(1.8, 3)], "sad", {}, "ann")
    assert [one.region.start_s for one in shown.suggestions.values()] == [1.8]
    assert overlap(Region(1, 2), Region(2, 3)) == 0


def test_nearly_all_of_a_recording_is_not_suggested_as_a_region(shown):
    shown.suggest([Region(0, 9.1)], "sad", {}, "ann")
    assert shown.suggestions == {}
    shown.suggest([Region(0, 8.9)], "sad", {}, "ann")
    assert len(shown.suggestions) == 1


def test_deleting_a_mark_that_is_no_longer_shown_does_nothing(store, project, shown):
    assert make_edit(store, project, shown, deleted=("gone",)) is None
    assert store.history.page(project, sha(0)).total == 0


def test_labelling_the_whole_recording_again_changes_its_label_and_sets_it_to_done(store, project, shown):
    make_edit(store, project, shown, command="label", value="sad")
    make_edit(store, project, shown, command="label", value="angry")
    label_whole(store, project, "ann", sha(0), shown, intensity=4)
    (label,) = store.marks.of(project, sha(0))
    assert (label.tier, label.emotion, label.intensity, label.status) == (RECORDING_TIER, "angry", 4, "done")
    assert label.region == Region(0, 10)
    assert store.recordings.count_by_status(project, "ann") == {"open": 4, "done": 1, "verified": 0}


def test_each_edit_from_the_player_takes_at_most_five_statements(store, project, shown):
    shown.suggest([Region(1, 2)], "sad", {"model": "m"}, "ann")
    for edit in (
        Edit(sha(0), changed=shown.for_player()),
        Edit(sha(0), changed=(drawn("new 1", 3, 4),)),
        Edit(sha(0), command="label", value="sad"),
        Edit(sha(0), command="undo"),
        Edit(sha(0), command="redo"),
        Edit(sha(0), deleted=("new 1",)),
    ):
        with statements() as sent:
            store_edit(store, project, "ann", edit, shown)
        assert 1 <= len(sent) <= 5, sent


# --- saved sounds ---


def test_a_saved_sound_is_found_by_its_content_else_at_its_last_path(tmp_path):
    source, data = b"RIFF and so on", tmp_path / "data"
    file = RecordingFile(hashlib.sha256(source).hexdigest(), "a.wav", 1.0, path=str(tmp_path / "a.wav"))
    assert saved_sound(file, data) is None
    (tmp_path / "a.wav").write_bytes(b"another sound")
    assert saved_sound(file, data) is None
    (tmp_path / "a.wav").write_bytes(source)
    assert saved_sound(file, data) == source
    (tmp_path / "a.wav").unlink()
    save_sound(source, data)
    assert saved_sound(file, data) == source
    assert [each.name for each in (data / FOLDER).iterdir()] == [file.sha256]
    delete_sound(file.sha256, data)
    assert saved_sound(file, data) is None


def test_a_sound_that_cannot_be_saved_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / FOLDER).write_text("in the way")
    with pytest.raises(AnnotationsRefused, match=r"cannot be saved in .* Free some space there"):
        save_sound(b"sound", tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [FOLDER]


def test_a_name_cannot_lead_out_of_the_data_folder(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    delete_sound("../secret", tmp_path / "data")
    assert (tmp_path / "secret").exists()
    assert saved_sound(RecordingFile("../secret", "a", 1.0), tmp_path / "data") is None


# --- ratings ---


def annotated(*marks: Annotation) -> AnnotatedRecording:
    return AnnotatedRecording("a.wav", sha(0), 10.0, None, marks)


def whole_label(who, emotion):
    return Annotation(Region(0, 10), tier=RECORDING_TIER, annotator=who, emotion=emotion)


def test_keys_set_status_intensity_and_confidence_of_a_mark_or_of_the_whole_recording(store, project, shown):
    make_edit(store, project, shown, changed=(drawn("new 1", 1, 2, "sad"),))
    make_edit(store, project, shown, command="intensity", value=4, mark="new 1")
    make_edit(store, project, shown, command="confidence", value=0.8)
    make_edit(store, project, shown, command="status", value="done")
    assert (shown.marks["new 1"].intensity, shown.marks["new 1"].confidence) == (4, None)
    assert in_words(shown.marks["new 1"]) == "sad, intensity 4, open"
    assert in_words(shown.label) == "no label, 80 % sure, done"
    assert store.recordings.count_by_status(project, "ann")["done"] == 1
    make_edit(store, project, shown, command="confidence", value=None)
    assert shown.label.confidence is None


def test_keys_set_the_channel_of_a_mark_and_undo_takes_it_back(store, project, shown):
    make_edit(store, project, shown, changed=(drawn("new 1", 1, 2, "sad"),))
    make_edit(store, project, shown, command="channel", value=2, mark="new 1")
    assert in_words(shown.marks["new 1"]) == "sad, channel 2, open"
    assert _change_in_words(store.history.page(project, sha(0)).items[0].changes[0], "ann").endswith("sad, channel 2")
    with pytest.raises(AnnotationsRefused, match="1 to 999"):
        make_edit(store, project, shown, command="channel", value=-1, mark="new 1")
    make_edit(store, project, shown, command="undo")
    assert shown.marks["new 1"].channel is None


def test_keys_set_intensity_and_confidence_of_a_mark_in_a_tier(store, project, shown):
    labels = Tier("mood", "mood", content="labels", labels=("high",))
    tiers = tuple(store.tiers.add(project, tier) for tier in (labels, Tier("words", "words")))
    shown.update((), "ann", tiers)
    for tier, label in (("mood", "high"), ("words", "nein")):
        store_edit(store, project, "ann", Edit(sha(0), changed=(drawn(f"new {tier}", 1, 2, label),), tier=tier), shown)
    lanes = dict(zip(("mood", "words"), shown.tier_lanes("ann", {}), strict=True))
    assert (lanes["mood"].states, lanes["words"].states) == ({"new mood": "high"}, {})
    for tier in lanes:
        of = {"mark": f"new {tier}", "tier": tier}
        store_edit(store, project, "ann", Edit(sha(0), command="intensity", value=4, **of), shown)
        store_edit(store, project, "ann", Edit(sha(0), command="confidence", value=0.8, **of), shown)
    states = [lane.states for lane in shown.tier_lanes("ann", {})]
    assert states == [{"new mood": "high, intensity 4, 80 % sure"}, {"new words": "nein, intensity 4, 80 % sure"}]
    assert shown.marks == {}
    store.history.undo(project, sha(0), "ann")
    stored = {mark.tier: (mark.intensity, mark.confidence) for mark in store.marks.of(project, sha(0))}
    assert stored == {"mood": (4, 0.8), "words": (4, None)}


@pytest.mark.parametrize(
    ("command", "value"), [("intensity", "many"), ("confidence", [1]), ("intensity", float("inf"))]
)
def test_commands_that_no_key_sends_are_not_stored(store, project, shown, command, value):
    assert make_edit(store, project, shown, command=command, value=value) is None
    assert not store.marks.of(project, sha(0))


def test_an_impossible_intensity_or_an_unknown_mark_is_refused(store, project, shown):
    with pytest.raises(AnnotationsRefused, match="1 to 5"):
        make_edit(store, project, shown, command="intensity", value=7)
    with pytest.raises(AnnotationsRefused, match="no longer there"):
        make_edit(store, project, shown, command="intensity", value=2, mark="gone")


def test_disagreement_by_hand():
    ann, bea = (mark(1, 3, annotator="ann", emotion="sad"), mark(2, 4, annotator="bea", emotion="sad"))
    assert disagreement(annotated()) is None
    assert disagreement(annotated(ann)) is None
    # 3 s are marked by at least one person, 1 s by both alike.
    assert disagreement(annotated(ann, bea)) == pytest.approx(2 / 3)
    assert disagreement(annotated(ann, replace(bea, emotion="angry"))) == 1
    assert disagreement(annotated(whole_label("ann", "sad"), whole_label("bea", "sad"))) == 0
    three = annotated(whole_label("ann", "sad"), whole_label("bea", "sad"), whole_label("cy", "happy"))
    assert disagreement(three) == pytest.approx(2 / 3)
    assert disagreement(annotated(ann, bea, whole_label("ann", "sad"), whole_label("bea", "sad"))) == pytest.approx(
        1 / 3
    )


def test_points_match_up_to_20_ms_apart_and_disagree_in_the_rest():
    def points(annotator, **labels):
        return [Annotation(Point(at_s, at_s), annotator=annotator, emotion=label) for label, at_s in labels.items()]

    ann = points("ann", low=1.0, high=2.0)
    assert disagreement(annotated(*ann, *points("bea", low=1.02, high=1.99))) == 0
    # Of three points (1.0, 2.0 and 3.0), one has the same label by both.
    assert disagreement(annotated(*ann, *points("bea", low=1.0, fall=2.0, rise=3.0))) == pytest.approx(2 / 3)
    assert disagreement(annotated(*ann, *points("bea", low=1.021, high=2.021))) == 1
    # Of two close points, the closer one matches another person's single point.
    near = [Point(1.0, 1.0), Point(1.015, 1.015)]
    assert match_pairs(near, [Point(1.02, 1.02)]) == [(1, 0)]
    agreement = annotator_agreement([annotated(*ann, *points("bea", low=1.01, fall=2.0, rise=3.0))])
    (found,) = agreement.regions.values()
    assert [found.detection_f1.value, found.start_error_ms.value, found.same_emotion.value] == pytest.approx(
        [4 / 5, 5, 1 / 2]
    )


def test_uncertainty_is_zero_for_one_sure_emotion_and_one_for_equal_scores():
    assert uncertainty(np.array([1.0, 0, 0, 0])) == pytest.approx(0, abs=1e-12)
    assert uncertainty(np.full(4, 0.25)) == pytest.approx(1)
    assert uncertainty(np.array([0.5, 0.5, 0, 0])) == pytest.approx(math.log(2) / math.log(4))


def test_recordings_are_rated_by_the_model_page_by_page_and_those_without_sound_are_counted(store, classifier):
    voice = noise_recording()
    project = store.projects.create("Long")
    store.recordings.add(project, [RecordingFile(sha(number), f"{number}.wav", 2.0) for number in range(52)])
    reports = []
    silent = rate_by_model(
        store,
        project,
        "uncertainty",
        lambda file: None if file.name in ("3.wav", "51.wav") else voice,
        classifier,
        Work(lambda fraction, text: reports.append((fraction, text))),
    )
    rated = store.recordings.page(project, Queue(order="uncertainty"), size=100).items
    assert silent == 2
    assert [one.file.name for one in rated if one.uncertainty is None] == ["51.wav", "3.wav"]
    assert len({one.uncertainty for one in rated}) == 2  # the same voice each time
    assert reports[-1] == (1.0, "52 of 52 recordings")
    assert [fraction for fraction, _ in reports] == sorted(fraction for fraction, _ in reports)


def test_ratings_made_before_a_stop_stay(store, project, classifier):
    calls = []

    def stop_at_third():
        calls.append(1)
        return len(calls) > 2

    with pytest.raises(Cancelled):
        rate_by_model(
            store, project, "uncertainty", lambda _: noise_recording(), classifier, work=Work(stop=stop_at_third)
        )
    assert sum(one.uncertainty is not None for one in store.recordings.page(project).items) == 2


def test_recordings_are_rated_by_their_marks(store, project):
    for who, emotion in (("ann", "sad"), ("bea", "happy")):
        store.marks.edit(project, sha(1), who, add=[whole_label(who, emotion)])
        store.marks.edit(project, sha(2), who, add=[whole_label(who, "sad")])
    rate_by_marks(store, project)
    first = store.recordings.page(project, Queue(order="annotators_disagreement")).items
    assert [one.annotators_disagreement for one in first] == [1, 0, None, None, None]


def test_recordings_are_rated_by_their_labels_in_a_tier_all_or_none(store, project):
    tier = store.tiers.add(project, Tier("mood", "mood", content="labels", labels=("high", "low")))
    for who, emotion, first_s in (("ann", "sad", 1.0), ("bea", "happy", 2.0)):
        store.marks.edit(project, sha(1), who, add=[whole_label(who, emotion)])
        labels = [Annotation(Region(first_s, 3.0), tier.key, note="low")]
        store.marks.edit(project, sha(2), who, add=labels)
    rate_by_marks(store, project)
    with pytest.raises(Cancelled, match="nothing was changed"):
        rate_by_marks(store, project, tier, Work(stop=lambda: True))
    before = [(one.annotators_disagreement, one.disagreement_tier) for one in store.recordings.page(project).items]
    assert before == [(None, None), (1, None), (None, None), (None, None), (None, None)]
    rate_by_marks(store, project, tier)
    rated = [(one.annotators_disagreement, one.disagreement_tier) for one in store.recordings.page(project).items]
    # Of two seconds marked by at least one person, both marked one.
    assert rated == [(None, "mood"), (None, "mood"), (0.5, "mood"), (None, "mood"), (None, "mood")]


REGION = {"id": "a", "start": 0, "end": 1, "low": None, "high": None, "label": "sad"}
WELL_FORMED = {"recording": sha(0), "owner": "me", "changed": [REGION], "deleted": ["b"]}


@pytest.mark.parametrize(
    "broken",
    [
        {"changed": [{}]},
        {"changed": [REGION | {"label": 3}]},
        {"changed": [REGION | {"end": float("inf")}]},
        {"changed": 3},
        {"changed": ["a"]},
        {"deleted": [3]},
        {"deleted": None},
        {"recording": []},
    ],
)
def test_a_browser_message_that_is_not_an_edit_is_ignored(broken):
    assert _edit(WELL_FORMED) is not None
    assert _edit(WELL_FORMED | broken) is None
    assert _edit({name: value for name, value in WELL_FORMED.items() if name not in broken}) is None
