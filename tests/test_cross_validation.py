"""Every speaker tested by a model new to them: the folds' tables together, and what is not trained again."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from ser_core.errors import Cancelled, SettingsRefused
from ser_core.learning import cross_validation
from ser_core.learning.cross_validation import cross_validate, measure_recipe
from ser_core.learning.metrics import all_figures
from ser_core.learning.plan import TrainingPlan
from ser_core.learning.predictions import Predictions, read_predictions, write_predictions
from ser_core.learning.predictions import read_test_predictions as table_of_model
from ser_core.model.checkpoint import CARD, CORPORA_TABLE, FOLDS_TABLE, TEST_TABLE, TRAINING_LIST, WEIGHTS
from ser_core.settings import FrontEnd, SelectionSettings
from ser_core.work.progress import Work

PLAN = TrainingPlan({"toy": "nowhere"}, network="yamnet", folds=3)
SPEAKERS_A_FOLD = 2


def table_of(plan):
    """A fold's predictions for its two speakers, eight recordings each: the first fold's are right, others less so."""
    count = 8 * SPEAKERS_A_FOLD
    labels = np.arange(count) % 4
    wrong = np.arange(count) < 4 * (plan.fold - 1)
    probabilities = np.full((count, len(plan.emotions)), 0.3 / (len(plan.emotions) - 1))
    probabilities[np.arange(count), np.where(wrong, (labels + 1) % 4, labels)] = 0.7
    return Predictions(
        plan.emotions,
        tuple(f"{1000 * plan.fold + number:064x}" for number in range(count)),
        ("toy",) * count,
        tuple(f"toy:{SPEAKERS_A_FOLD * (plan.fold - 1) + number // 8}" for number in range(count)),
        ("",) * count,
        labels,
        probabilities,
    )


class FakeTraining:
    """Writes a fold's folder without training and records its calls."""

    def __init__(self):
        self.calls = []
        self.stop_at = None

    def __call__(self, plan, out, runs, *, resume, work):
        self.calls.append((plan, resume))
        if plan.fold == self.stop_at:
            raise Cancelled("Training was stopped; finished epochs are kept and it can be resumed.")
        table = table_of(plan)
        card = {
            "architecture": plan.network,
            "emotions": list(plan.emotions),
            "split": f"speaker-disjoint, fold {plan.fold} of {plan.last_fold}",
            "licence": "none",
            "test_figures": all_figures(table),
        }
        out.mkdir(parents=True, exist_ok=True)
        (out / CARD).write_text(json.dumps(card))
        (out / WEIGHTS).write_bytes(f"weights of fold {plan.fold}, seed {plan.seed}".encode())
        (out / TRAINING_LIST).write_text("sha256,speaker\n")
        (out / "README.md").write_text("# a fold\n")
        write_predictions(table, out / TEST_TABLE)
        work.report(0.5, "half way")
        return card

    @property
    def folds(self):
        return [plan.fold for plan, _ in self.calls]


@pytest.fixture
def training(monkeypatch):
    fake = FakeTraining()
    monkeypatch.setattr("ser_core.learning.cross_validation.train_classifier", fake)
    monkeypatch.setattr("ser_core.learning.cross_validation._input_hash", lambda plan: "what was always there")
    return fake


@pytest.fixture
def validate(training, tmp_path):
    def validating(plan=PLAN, folds=(1, 2, 3), **how):
        return cross_validate(plan, folds, tmp_path / "models" / "mine", tmp_path / "runs", **how)

    return validating


def test_the_pooled_table_contains_every_recording_of_all_folds_once(validate, tmp_path):
    validate()
    pooled = read_predictions(tmp_path / "models" / "mine" / FOLDS_TABLE)
    tables = [table_of(replace(PLAN, fold=fold)) for fold in (1, 2, 3)]
    assert sorted(pooled.sha256) == sorted(sha256 for table in tables for sha256 in table.sha256)
    assert sorted(set(pooled.speakers)) == [f"toy:{number}" for number in range(3 * SPEAKERS_A_FOLD)]
    probabilities = {
        sha256: row for table in tables for sha256, row in zip(table.sha256, table.probabilities, strict=True)
    }
    np.testing.assert_allclose(pooled.probabilities, [probabilities[sha256] for sha256 in pooled.sha256], atol=1e-4)
    assert table_of_model(tmp_path / "models" / "mine").sha256 == pooled.sha256


def test_the_card_has_the_figures_over_all_folds_beside_those_of_the_first(validate, tmp_path):
    card = validate()
    across = card["cross_validation"]
    # By hand: 16 recordings per fold, of which none, 4 and 8 are wrong.
    assert across["pooled"]["accuracy"] == pytest.approx(1 - 12 / 48)
    assert (across["pooled"]["recordings"], across["pooled"]["speakers"], across["folds"]) == (48, 6, 3)
    assert across["split"] == "speaker split, folds 1, 2, 3 of 3"
    assert card["test_figures"]["pooled"]["accuracy"] == 1.0
    assert card["split"] == "speaker-disjoint, fold 1 of 3"
    assert json.loads((tmp_path / "models" / "mine" / CARD).read_text()) == card


def test_the_folder_is_the_first_folds_model_with_the_folds_table_and_a_readme_of_both(validate, tmp_path):
    validate(folds=(2, 3))
    folder = tmp_path / "models" / "mine"
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(["README.md", CARD, FOLDS_TABLE, WEIGHTS, TEST_TABLE, TRAINING_LIST])
    assert (folder / WEIGHTS).read_bytes() == b"weights of fold 2, seed 0"
    readme = (folder / "README.md").read_text()
    assert readme.startswith("# mine\n")
    assert "| toy | 75.0 % " in readme  # fold 2 alone
    assert "The same training on 2 folds" in readme
    assert "| toy | 62.5 % " in readme  # 12 of 32 wrong
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["mine"]


def test_a_finished_fold_is_trained_again_only_without_resume(validate, training):
    first = validate()
    assert training.folds == [1, 2, 3]
    assert validate(resume=True) == first
    assert training.folds == [1, 2, 3]
    validate(resume=False)
    assert training.folds == [1, 2, 3] * 2


def test_resume_continues_the_unfinished_folds(validate, training):
    validate(folds=(1, 3))
    validate(resume=True)
    assert [(plan.fold, resume) for plan, resume in training.calls] == [(1, False), (3, False), (2, True)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"epochs": 2},
        {"preset": "paper"},
        {"emotion_set": "six"},
        {"warm_start": "yamnet"},
        {"corpora": {"toy": "elsewhere"}},
        {"front_end": FrontEnd(selection=SelectionSettings("none"))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_with_resume_a_fold_of_another_plan_is_trained_again(validate, training, change):
    validate()
    changed = replace(PLAN, **change)
    validate(changed, resume=True)
    assert training.folds == [1, 2, 3] * 2
    assert [plan for plan, _ in training.calls[3:]] == [replace(changed, fold=fold) for fold in (1, 2, 3)]
    validate(changed, resume=True)
    assert len(training.calls) == 6


def test_a_fold_whose_preset_has_changed_is_trained_again(validate, training, monkeypatch):
    validate()
    settings = PLAN.settings_of("yamnet")
    other = {"default": {"yamnet": replace(settings, rate=settings.rate / 2)}}
    monkeypatch.setattr("ser_core.learning.plan.PRESETS", other)
    validate(resume=True)
    assert training.folds == [1, 2, 3] * 2


def test_stopping_the_second_fold_writes_no_model_and_keeps_the_first_fold(validate, training, tmp_path):
    training.stop_at = 2
    with pytest.raises(Cancelled):
        validate()
    assert training.folds == [1, 2]
    assert not (tmp_path / "models").exists()
    assert not list(tmp_path.rglob("*.part"))
    training.stop_at = None
    assert validate(resume=True)["cross_validation"]["folds"] == 3
    assert training.folds == [1, 2, 2, 3]


def test_a_stopped_second_fold_leaves_the_previous_model_unchanged(validate, training, tmp_path):
    validate()
    folder = tmp_path / "models" / "mine"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    training.stop_at = 2
    with pytest.raises(Cancelled):
        validate(replace(PLAN, seed=1), resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    training.stop_at = None
    validate(replace(PLAN, seed=1), resume=True)
    assert (folder / WEIGHTS).read_bytes() == b"weights of fold 1, seed 1"


def test_a_fold_that_does_not_exist_is_refused_before_any_is_trained(validate, training):
    with pytest.raises(SettingsRefused, match="Fold 9 is outside 1 to 3"):
        validate(folds=(1, 9))
    assert training.calls == []


def test_progress_rises_over_the_folds_and_names_them(validate):
    reports = []
    validate(work=Work(lambda fraction, text: reports.append((fraction, text))))
    assert [text for _, text in reports] == [f"Fold {fold} · half way" for fold in (1, 2, 3)]
    assert [fraction for fraction, _ in reports] == pytest.approx([1 / 6, 3 / 6, 5 / 6])


def test_with_resume_folds_of_other_recordings_are_trained_again(validate, training, monkeypatch):
    validate()
    monkeypatch.setattr("ser_core.learning.cross_validation._input_hash", lambda plan: "what is there now")
    validate(resume=True)
    assert training.folds == [1, 2, 3, 1, 2, 3]


def test_the_data_hash_changes_with_sounds_labels_and_speakers_but_not_with_time(tmp_path):
    plan = TrainingPlan({"mine": str(tmp_path / "mine.csv")}, network="yamnet")

    def learnt_from(sound=b"a", emotion="sad", speaker="bob", text="1"):
        (tmp_path / "a.wav").write_bytes(sound)
        (tmp_path / "mine.csv").write_text(f"path,emotion,speaker,text\na.wav,{emotion},{speaker},{text}\n")
        return cross_validation._input_hash(plan)

    found = [
        learnt_from(),
        learnt_from(b"b"),
        learnt_from(emotion="happy"),
        learnt_from(speaker="ann"),
        learnt_from(text="2"),
    ]
    assert len(set(found)) == 5
    assert learnt_from() == found[0]


def test_a_finished_fold_records_its_plan(validate, tmp_path):
    validate()
    (plan,) = (tmp_path / "runs" / "folds").glob("*speaker2*/plan.json")
    assert json.loads(plan.read_text()).items() >= asdict(replace(PLAN, fold=2)).items()


def test_two_trainings_at_once_do_not_share_the_folder_of_a_fold(validate, tmp_path):
    validate(folds=(1, 2))
    validate(replace(PLAN, seed=1), folds=(1, 2))
    weights = [file.read_text() for file in (tmp_path / "runs" / "folds").glob(f"*/{WEIGHTS}")]
    assert sorted(weights) == [f"weights of fold {fold}, seed {seed}" for fold in (1, 2) for seed in (0, 1)]


# --- corpora left out in turn ---

CORPORA_PLAN = replace(PLAN, corpora={"a": "nowhere", "b": "nowhere", "c": "nowhere"}, split="corpus", folds=5)


@pytest.fixture
def by_corpora(monkeypatch):
    """Each fold is a corpus: a, b or c."""

    def of_corpus(plan):
        table, corpus = of_speakers(plan), "abc"[plan.fold - 1]
        speakers = tuple(name.replace("toy:", f"{corpus}:") for name in table.speakers)
        return replace(table, corpora=(corpus,) * len(table.labels), speakers=speakers)

    of_speakers = table_of
    monkeypatch.setitem(globals(), "table_of", of_corpus)


def test_corpora_left_out_in_turn_have_a_table_and_figures_of_their_own(validate, by_corpora, tmp_path):
    card = validate(CORPORA_PLAN)
    folder = tmp_path / "models" / "mine"
    assert not (folder / FOLDS_TABLE).exists()
    assert "cross_validation" not in card
    found = card["leave_one_corpus_out"]
    # By hand: of the 16 recordings of a, b and c none, the first 4 and the first 8 are wrong, of each emotion as many.
    assert {name: f["uar"] for name, f in found["headline"]["by_corpus"].items()} == {"a": 1, "b": 0.75, "c": 0.5}
    assert found["headline"]["uar"] == found["mean_over_corpora_uar"] == 0.75
    assert found["split"] == "corpus split, folds 1, 2, 3 of 3: a, b, c left out of training in turn"
    table = read_predictions(folder / CORPORA_TABLE)
    assert sorted(set(table.corpora)) == ["a", "b", "c"]
    assert len(table.labels) == 48
    assert "On new corpora (corpus split, folds 1, 2, 3 of 3" in (folder / "README.md").read_text()


def recipe(plan, **card):
    return {
        "architecture": plan.network,
        "emotions": list(plan.emotions),
        "preset": plan.preset,
        "corpora": sorted(plan.corpora),
        "front_end": asdict(plan.front_end),
        "warm_start": None,
        "training": {"yamnet": {"epochs": plan.settings_of("yamnet").epochs}},
    } | card


@pytest.fixture
def measured(validate, tmp_path):
    """A model trained on speaker folds, with its recipe in the card."""
    validate()
    folder = tmp_path / "models" / "mine"
    card = json.loads((folder / CARD).read_text()) | recipe(CORPORA_PLAN)
    (folder / CARD).write_text(json.dumps(card))
    return folder


def test_figures_of_left_out_corpora_are_added_to_an_otherwise_unchanged_model(
    measured, by_corpora, training, tmp_path
):
    before = {path.name: path.read_bytes() for path in measured.iterdir()}
    card = measure_recipe(CORPORA_PLAN, (1, 2, 3), measured, tmp_path / "runs")
    after = {path.name: path.read_bytes() for path in measured.iterdir()}
    assert after.keys() - before.keys() == {CORPORA_TABLE}
    assert {name for name in before if after[name] != before[name]} == {CARD, "README.md"}
    assert card == json.loads(after[CARD])
    assert card["cross_validation"] == json.loads(before[CARD])["cross_validation"]
    assert card["leave_one_corpus_out"]["headline"]["uar"] == 0.75
    assert [plan.split for plan, _ in training.calls] == ["speaker"] * 3 + ["corpus"] * 3


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"network": "vggish"}, "architecture"),
        ({"emotion_set": "six"}, "emotions"),
        ({"preset": "paper"}, "preset"),
        ({"corpora": {"a": "nowhere", "b": "nowhere"}, "fold": 1}, "corpora"),
        ({"front_end": FrontEnd(selection=SelectionSettings("none"))}, "front_end"),
        ({"epochs": 1}, "epochs"),
        ({"drop_unrecognised": True}, "drop_unrecognised"),
    ],
)
def test_figures_of_another_recipe_are_refused_before_any_training(measured, training, tmp_path, change, named):
    trained = len(training.calls)
    with pytest.raises(SettingsRefused, match=f"mine was trained with other settings .*{named}"):
        measure_recipe(replace(CORPORA_PLAN, **change), (1, 2), measured, tmp_path / "runs")
    assert len(training.calls) == trained


def test_newer_head_settings_do_not_make_an_older_model_differ(measured, training, tmp_path):
    plan = replace(CORPORA_PLAN, network="whisper", epochs=None)
    settings = asdict(plan.settings_of("whisper"))
    old = {name: value for name, value in settings.items() if name != "loyalty"}
    card = json.loads((measured / CARD).read_text()) | recipe(CORPORA_PLAN)
    card |= {"architecture": "whisper", "pooling": plan.pooling, "front_end": asdict(plan.front_end)}
    (measured / CARD).write_text(json.dumps(card | {"training": {"whisper": old}}))
    assert measure_recipe(plan, (1, 2, 3), measured, tmp_path / "runs")
    (measured / CARD).write_text(json.dumps(card | {"training": {"whisper": old | {"shrinkage": 9.0}}}))
    with pytest.raises(SettingsRefused, match="training"):
        measure_recipe(plan, (1, 2, 3), measured, tmp_path / "runs")


def test_a_manifest_counts_as_the_corpora_in_its_column(tmp_path):
    rows = ["path,emotion,speaker,corpus", *(f"{name}.wav,sad,{name},{name}" for name in "abc")]
    for name in "abc":
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "list.csv").write_text("\n".join(rows))
    plan = TrainingPlan({"made": str(tmp_path / "list.csv")}, network="yamnet", split="corpus", fold=3)
    assert plan.last_fold == 3
    with pytest.raises(SettingsRefused, match="Fold 4 is outside 1 to 3"):
        replace(plan, fold=4)
