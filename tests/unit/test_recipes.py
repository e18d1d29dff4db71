"""Recipes, the schema of experiments, and the shipped experiment."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from config_help import ConfigError, complete
from photochrom.losses import NAMES
from photochrom.models import NETWORKS, build
from photochrom.models.patchgan import PatchGAN
from photochrom.recipes import parse_recipe, read_recipe, recipe_sha256
from photochrom.runtime import StageError

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/experiment.schema.yaml").read_text())
RECIPE = yaml.safe_load("""
experiment: mini
seed: 1
network: {name: unet, width: 8, depth: 2, dropout: 0.0}
input: {clahe: null}
phase:
  name: gan
  size: 16
  epochs: 2
  batch: 4
  parts: null
  steps: null
  ema: null
  encoder: trained
  on_nan: {rollbacks: 0, factor: 0.5}
  compute: {precision: fp32, memory_format: contiguous, compile: false, deterministic: true}
  losses: {l1: 100, gan: 1}
  optimizer: {name: adam, lr: 0.001, betas: [0.5, 0.999], decay: 0.5,
    shape: linear, warmup: 0, weight_decay: 0, clip: null}
  augment: {flip: true, crop: 0.5, chroma: [0.5, 1.0], aged: 0.2}
  evaluate_every: 5
  discriminator: {name: patchgan, width: 8, layers: 1, lr: 0.001, betas: [0.5, 0.999]}
""")


def changed(path: str, value: Any) -> dict[str, Any]:
    """RECIPE with the key at `path` set to `value`, or left out when that is Ellipsis."""
    recipe = copy.deepcopy(RECIPE)
    *groups, key = path.split(".")
    group = recipe
    for name in groups:
        group = group[name]
    if value is ...:
        del group[key]
    else:
        group[key] = value
    return recipe


def experiment_recipes(experiment: dict[str, Any]) -> list[dict[str, Any]]:
    """What the workflow gives to train.py for each phase of a checked experiment."""
    shared = {"experiment": "mine", "seed": experiment["seed"], "network": experiment["network"]}
    shared["input"] = experiment["input"]
    return [{**shared, "phase": phase} for phase in experiment["phases"]]


def test_a_recipe_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    recipe = read_recipe(path)
    assert recipe.phase.losses == {"l1": 100, "gan": 1}
    assert recipe.phase.augment.chroma == (0.5, 1.0)
    assert recipe.phase.discriminator is not None
    assert recipe.phase.discriminator.layers == 1


def test_its_digest_is_about_what_it_says(tmp_path: Path) -> None:
    digest = recipe_sha256(parse_recipe(RECIPE))
    assert digest == recipe_sha256(parse_recipe(dict(reversed(RECIPE.items()))))
    assert digest != recipe_sha256(parse_recipe(changed("phase.optimizer.lr", 0.002)))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("seed", ..., "the recipe: seed is missing"),
        ("phase.epcohs", 3, "phase: epcohs is unknown"),
        ("phase.optimizer.decay", ..., "optimizer: decay is missing"),
        ("phase.augment", None, "augment is not a mapping"),
        ("phase.epochs", 0, "phase: epochs is 0, not above zero"),
        ("phase.epochs", None, "epochs is None and steps is None; give exactly one"),
        ("phase.steps", 7, "epochs is 2 and steps is 7; give exactly one"),
        ("phase.ema", 1, "ema is 1, not between 0 and 1"),
        ("phase.encoder", "thawed", "encoder is 'thawed', not trained or frozen or cached"),
        ("phase.encoder", "cached", "encoder is cached, and augment: crop is 0.5"),
        ("phase.on_nan.factor", 2, "rollbacks is 0 and factor 2"),
        ("phase.compute.precision", "fp16", "precision is 'fp16', not fp32 or bf16"),
        ("phase.optimizer.shape", "square", "shape is 'square', not linear or cosine"),
        ("phase.optimizer.warmup", -1, "warmup is -1"),
        ("phase.optimizer.weight_decay", 0.1, "weight_decay is for adamw"),
        ("phase.optimizer.clip", 0, "clip is 0"),
        ("input", {"gamma": 2}, "input: clahe is missing"),
        ("input.clahe", {"clip": 0, "tiles": 8}, "clahe: clip is 0"),
        ("phase.optimizer.lr", "2e-4", "lr is the text '2e-4'; write it like 0.0002"),
        ("phase.optimizer.lr", -1, "optimizer: lr is -1"),
        ("phase.optimizer.decay", 2, "decay is 2"),
        ("phase.augment.crop", 0, "crop is 0"),
        ("phase.augment.chroma", [1, 0.5], "chroma is"),
        ("phase.augment.aged", 1.5, "aged is 1.5, not a share"),
        ("phase.losses", {}, "losses is empty"),
        ("phase.losses", {"l3": 1}, "no loss is called 'l3'"),
        ("phase.losses", {"l1": 1}, "give both or neither"),
        ("phase.losses", {"gan": 1, "gan-hinge": 1}, "has gan and gan-hinge"),
        ("phase.discriminator", None, "give both or neither"),
        ("phase.discriminator.width", 0, "discriminator: width is 0"),
    ],
)
def test_faults_are_named(tmp_path: Path, path: str, value: Any, says: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)))
    with pytest.raises(StageError) as fault:
        read_recipe(file)
    assert says in str(fault.value)
    assert str(file) in str(fault.value)
    assert fault.value.code == 2


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="there is no recipe at"):
        read_recipe(tmp_path / "absent.yaml")
    for text in ("", "- a", "a: [", "7"):
        (tmp_path / "odd.yaml").write_text(text)
        with pytest.raises(StageError, match=r"odd\.yaml"):
            read_recipe(tmp_path / "odd.yaml")


def test_the_schema_completes_the_least_experiment_to_a_recipe() -> None:
    least = {"phases": [{"name": "only", "epochs": 3}]}
    (recipe,) = experiment_recipes(complete(least, SCHEMA, "least"))
    phase = parse_recipe(recipe).phase
    assert (phase.losses, phase.parts, phase.discriminator) == ({"l1": 100}, None, None)
    assert phase.size % build(recipe["network"]).multiple == 0


def test_the_schema_names_every_network_and_loss_with_options_that_work() -> None:
    network = SCHEMA["properties"]["network"]
    assert network["properties"]["name"]["enum"] == sorted(NETWORKS)
    losses = SCHEMA["properties"]["phases"]["items"]["properties"]["losses"]["properties"]
    assert sorted(losses) == sorted(NAMES)
    phases = [{"name": "only", "epochs": 3}]
    for name in NETWORKS:
        whole = complete({"network": {"name": name}, "phases": phases}, SCHEMA, "mine")
        assert whole == complete(whole, SCHEMA, "mine")
        with torch.device("meta"):
            build(whole["network"])


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ({"name": "umet"}, "network.name is umet; did you mean unet?"),
        (
            {"name": "fusion", "encoder": "a"},
            "unknown key encoder in network; allowed are name, wi",
        ),
        ({"name": "zhang16", "temperature": 2}, "network.temperature must be at most 1"),
        ({"temperature": 1}, "unknown key temperature in network"),
        ([], "network must be a group of keys"),
    ],
)
def test_each_network_has_its_own_options(network: Any, says: str) -> None:
    with pytest.raises(ConfigError) as fault:
        complete({"network": network, "phases": [{"name": "p", "epochs": 1}]}, SCHEMA, "mine")
    assert str(fault.value).startswith(f"mine: {says}")


@pytest.mark.parametrize(
    ("phase", "says"),
    [
        ({"losses": {"l2": 1}}, "unknown key l2"),
        ({"name": "a/b"}, "phases[0].name"),
        ({"augment": {"crop": 1.5}}, "crop must be at most 1"),
        ({"optimizer": {"name": "sgd"}}, "optimizer.name is sgd"),
        ({"steps": 0}, "phases[0].steps must be at least 1"),
        ({"ema": 1}, "ema must be less than 1"),
        ({"discriminator": {"layres": 2}}, "did you mean layers?"),
    ],
)
def test_the_schema_refuses(phase: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as fault:
        complete({"phases": [{"name": "p", "epochs": 1, **phase}]}, SCHEMA, "mine")
    assert says in str(fault.value)


SHIPPED = sorted((ROOT / "workflow/experiments").glob("*.yaml"))


def test_each_recipe_comes_with_a_quick_variant() -> None:
    names = {path.stem for path in SHIPPED}
    whole = {"seed", "seed-attention", "seed-clahe", "tutorial", "fusion", "zhang16", "photochrom"}
    assert names == {"quick", "photochrom-cpu", *whole, *(f"{name}-quick" for name in whole)}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_experiments_are_feasible(path: Path) -> None:
    """The quick ones with the shipped configuration, the others with the data meant for them."""
    quick = path.stem.endswith("quick")
    own = {"photochrom": "photochrom-1", "photochrom-cpu": "photochrom-1"}.get(path.stem, "seed")
    config = ROOT / ("config.yaml" if quick else f"workflow/configs/{own}.yaml")
    size = yaml.safe_load(config.read_text())["data"]["size"]
    experiment = complete(yaml.safe_load(path.read_text()), SCHEMA, path.stem)
    assert experiment["description"]
    for recipe in map(parse_recipe, experiment_recipes(experiment)):
        assert recipe.phase.size <= size
        with torch.device("meta"):
            assert recipe.phase.size % build(recipe.network).multiple == 0
        assert quick <= (recipe.phase.parts is None)  # the built-in photographs have one part
        critic = recipe.phase.discriminator
        assert critic is None or PatchGAN(critic.width, critic.layers).smallest <= recipe.phase.size
