"""The initial weights of a branch before training."""

import hashlib
import json
import shutil
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save_file

from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.learning.classifier_training.stages import train_stages
from ser_core.learning.plan import TrainingPlan, starting_branch
from ser_core.learning.training_data import TrainingData
from ser_core.model.checkpoint import load_network, save_model
from ser_core.model.networks import NETWORKS
from ser_core.model.networks.vggish import GROUPS, PUBLISHED_INDICES
from ser_core.model.shipped_models import find_model, model_names
from ser_core.settings import FrontEnd
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import EMOTIONS, fresh

PLAN = TrainingPlan({"emodb": "nowhere"}, network="yamnet", seed=3)


@pytest.fixture(autouse=True)
def no_published_weights(monkeypatch):
    monkeypatch.delenv("SER_YAMNET_WEIGHTS", raising=False)
    monkeypatch.delenv("SER_VGGISH_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a model of each architecture, all of four emotions."""
    folder = tmp_path_factory.mktemp("models")
    for architecture in NETWORKS:
        card = {
            "architecture": architecture,
            "emotions": list(EMOTIONS),
            "front_end": asdict(FrontEnd()),
            "temperature": 1.0,
        }
        save_model(folder / architecture, fresh(NETWORKS[architecture], seed=8), card, [], "")
    return folder


def by_chance(branch, plan):
    """Return the randomly initialised branch of a plan."""
    torch.manual_seed(plan.seed)
    return NETWORKS[branch](len(plan.emotions))


def are_equal(one, other, *, head):
    """Whether the heads of two networks, or everything before them, are equal."""
    names = [name for name in one if name.startswith("head.") == head]
    assert names
    assert set(names) <= set(other)
    return all(torch.equal(one[name], other[name]) for name in names)


@pytest.mark.parametrize("branch", ["yamnet", "vggish"])
def test_a_warm_start_copies_the_whole_model_including_its_head(models, branch):
    plan = replace(PLAN, network=branch, warm_start=str(models / branch))
    begun, model = starting_branch(branch, plan).state_dict(), load_network(models / branch)[0].state_dict()
    assert set(begun) == set(model)
    assert are_equal(begun, model, head=False)
    assert are_equal(begun, model, head=True)
    assert not are_equal(begun, by_chance(branch, plan).state_dict(), head=False)


@pytest.mark.parametrize("branch", ["yamnet", "vggish"])
def test_a_warm_start_from_a_fusion_copies_its_branch_with_a_new_head(models, branch):
    plan = replace(PLAN, network=branch, warm_start=str(models / "fusion"))
    begun = starting_branch(branch, plan).state_dict()
    assert are_equal(begun, getattr(load_network(models / "fusion")[0], branch).state_dict(), head=False)
    assert are_equal(begun, by_chance(branch, plan).state_dict(), head=True)


@pytest.mark.parametrize("branch", ["yamnet", "vggish"])
def test_a_warm_start_for_other_emotions_copies_everything_but_the_head(models, branch):
    plan = replace(PLAN, network=branch, emotion_set="six", warm_start=str(models / branch))
    begun = starting_branch(branch, plan).state_dict()
    assert begun["head.weight"].shape[0] == 6
    assert are_equal(begun, load_network(models / branch)[0].state_dict(), head=False)
    assert are_equal(begun, by_chance(branch, plan).state_dict(), head=True)


@pytest.mark.parametrize(("branch", "model"), [("vggish", "yamnet"), ("yamnet", "vggish")])
def test_a_model_without_the_branch_is_refused(models, branch, model):
    plan = replace(PLAN, warm_start=str(models / model))
    with pytest.raises(SettingsRefused, match=f"{model} has no {branch} to start from; give a model of {branch} or of"):
        starting_branch(branch, plan)


@pytest.mark.parametrize("network", ["fusion", "vggish"])
def test_a_warm_start_without_the_second_branch_is_refused_before_the_first_is_trained(
    models, tmp_path, monkeypatch, network
):
    trained = []
    monkeypatch.setattr("ser_core.learning.classifier_training.stages.train_network", lambda *_: trained.append("it"))
    plan = replace(PLAN, network=network, warm_start=str(models / "yamnet"))
    nothing = TrainingData([], [], [], [], {}, [], 0, 0, "")
    with pytest.raises(SettingsRefused, match="yamnet has no vggish to start from"):
        train_stages(plan, nothing, tmp_path, True, UNWATCHED)
    assert trained == []


def test_a_warm_start_from_no_model_is_refused(tmp_path):
    with pytest.raises(ModelRefused, match="There is no model 'gone'"):
        starting_branch("yamnet", replace(PLAN, warm_start=str(tmp_path / "gone")))


@pytest.mark.skipif("yamnet" not in model_names(), reason="no models/yamnet to start from")
def test_without_audiosets_weights_yamnet_begins_as_the_shipped_model():
    shipped = load_network(find_model("yamnet"))[0].state_dict()
    begun = starting_branch("yamnet", PLAN).state_dict()
    assert are_equal(begun, shipped, head=False)
    assert are_equal(begun, shipped, head=True)


def test_vggish_starts_from_random_weights_that_depend_on_the_seed():
    plan = replace(PLAN, network="vggish")
    begun = starting_branch("vggish", plan).state_dict()
    torch.manual_seed(77)
    assert are_equal(begun, starting_branch("vggish", plan).state_dict(), head=False)
    assert are_equal(begun, by_chance("vggish", plan).state_dict(), head=False)
    assert not are_equal(begun, starting_branch("vggish", replace(plan, seed=4)).state_dict(), head=False)


def test_vggish_begins_with_the_weights_that_its_variable_names(tmp_path, monkeypatch):
    counts = [count for group in GROUPS for count in group]
    published = {}
    for index, channels, out in zip(PUBLISHED_INDICES, [1, *counts], counts, strict=False):
        published |= {f"features.{index}.weight": torch.randn(out, channels, 3, 3)}
        published |= {f"features.{index}.bias": torch.randn(out)}
    torch.save(published, tmp_path / "made-up.pth")
    digits = hashlib.sha256((tmp_path / "made-up.pth").read_bytes()).hexdigest()[:8]
    monkeypatch.setattr("ser_core.model.networks.vggish.PUBLISHED_SHA256", digits)
    monkeypatch.setenv("SER_VGGISH_WEIGHTS", str(tmp_path / "made-up.pth"))
    plan = replace(PLAN, network="vggish")
    begun = starting_branch("vggish", plan)
    assert torch.equal(begun.groups[3][3].weight, published["features.13.weight"])
    assert are_equal(begun.state_dict(), by_chance("vggish", plan).state_dict(), head=True)


def test_a_warm_start_takes_precedence_over_published_weights(models, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_YAMNET_WEIGHTS", str(tmp_path / "never-opened.safetensors"))
    monkeypatch.setenv("SER_VGGISH_WEIGHTS", str(tmp_path / "never-opened.pth"))
    for branch in ("yamnet", "vggish"):
        begun = starting_branch(branch, replace(PLAN, network=branch, warm_start=str(models / "fusion")))
        assert are_equal(
            begun.state_dict(), getattr(load_network(models / "fusion")[0], branch).state_dict(), head=False
        )


def test_published_weights_take_precedence_over_the_shipped_model(tmp_path, monkeypatch):
    save_file({"layer1.conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    monkeypatch.setenv("SER_YAMNET_WEIGHTS", str(tmp_path / "other.safetensors"))
    with pytest.raises(ModelRefused, match=r"other\.safetensors: these are not YAMNet's weights"):
        starting_branch("yamnet", PLAN)


def test_a_warm_start_for_as_many_other_emotions_copies_everything_but_the_head(models, tmp_path):
    folder = shutil.copytree(models / "yamnet", tmp_path / "other")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"emotions": [*reversed(card["emotions"])]}))
    plan = replace(PLAN, warm_start=str(folder))
    begun = starting_branch("yamnet", plan).state_dict()
    assert are_equal(begun, load_network(folder)[0].state_dict(), head=False)
    assert are_equal(begun, by_chance("yamnet", plan).state_dict(), head=True)
