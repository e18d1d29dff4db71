"""The training stage as it is run: files in, files out, killed and continued."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import train
from photochrom.models import load_model
from photochrom.models.base import Distribution
from photochrom.runtime import EXIT_MODEL, StageError, csv_text
from photochrom.shards import index_rows, write_shard
from photochrom.tables import SHARDS_COLUMNS, SPLIT_COLUMNS

SCRIPT = Path(train.__file__)
GAN = yaml.safe_load("""
name: gan
size: 8
epochs: 8
batch: 4
parts: null
steps: null
ema: null
encoder: trained
on_nan: {rollbacks: 0, factor: 0.5}
compute: {precision: fp32, memory_format: contiguous, compile: false, deterministic: true}
losses: {l1: 100, gan: 1}
optimizer: {name: adam, lr: 0.001, betas: [0.5, 0.999], decay: 0.5, shape: linear,
  warmup: 0, weight_decay: 0, clip: null}
augment: {flip: true, crop: 0.5, chroma: [0.5, 1.0], aged: 0}
evaluate_every: 10
discriminator: {name: patchgan, width: 8, layers: 1, lr: 0.001, betas: [0.5, 0.999]}
""")
L1 = {**GAN, "name": "l1", "losses": {"l1": 100}, "discriminator": None, "epochs": 2}
NETWORK = {"name": "unet", "width": 8, "depth": 2, "dropout": 0.3}


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with shards, a split and the recipes of two phases."""
    generator = np.random.default_rng(0)
    ids = [f"picture-{number}" for number in range(12)]
    L = generator.uniform(-1, 1, (12, 12, 12))
    ab = np.stack([L / 4, -L / 3], axis=-1)
    shard = tmp_path / "shard-00000.h5"
    write_shard(shard, ids, L, ab, "digest of rows")
    (tmp_path / "shards.csv").write_text(csv_text(SHARDS_COLUMNS, index_rows([shard])))
    rows = [
        (id, shard.stem, row, id, 1 + row % 2, "val" if row < 3 else "train")
        for row, id in enumerate(ids)
    ]
    (tmp_path / "split.csv").write_text(csv_text(SPLIT_COLUMNS, rows))
    for phase in (L1, GAN):
        recipe = {"experiment": "mini", "seed": 1, "network": NETWORK, "phase": phase}
        recipe["input"] = {"clahe": None}
        (tmp_path / f"{phase['name']}.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def arguments(room: Path, phase: str, to: str, parent: str | None = None) -> list[str]:
    return [
        *("--recipe", str(room / f"{phase}.yaml"), "--out", str(room / to)),
        *("--shards", str(room / "shards.csv"), "--split", str(room / "split.csv")),
        *("--resume", str(room / to / "resume"), "--log", str(room / to / "train.log")),
        *("--threads", "1", "--device", "cpu"),
        *(("--parent", str(room / parent / "model.safetensors")) if parent else ()),
    ]


def edit(path: Path, **changes: Any) -> None:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_two_phases_and_what_they_leave(room: Path) -> None:
    assert train.main(arguments(room, "l1", "first")) == 0
    assert train.main(arguments(room, "gan", "second", parent="first")) == 0
    left = sorted(path.name for path in (room / "second").iterdir())
    assert left == [
        *("curves.svg", "log.jsonl", "model.safetensors"),
        *("strip.jpg", "tensorboard", "train.log"),
    ]
    first = load_model(room / "first" / "model.safetensors")
    second = load_model(room / "second" / "model.safetensors")
    assert first.metadata["parent_sha256"] == ""
    assert second.metadata["parent_sha256"] == first.digest
    assert second.metadata["data_sha256"] == first.metadata["data_sha256"]
    assert second.metadata["steps"] == 16
    assert (second.metadata["experiment"], second.metadata["phase"]) == ("mini", "gan")
    assert second.metadata["network"] == NETWORK
    assert not any(str(room) in str(value) for value in second.metadata.values())
    records = [json.loads(line) for line in (room / "second" / "log.jsonl").open()]
    assert [(each["kind"], each["step"]) for each in records] == [
        *(("val", 0), ("train", 10), ("val", 10), ("train", 16), ("val", 16)),
    ]
    assert "<svg" in (room / "second" / "curves.svg").read_text()
    last = (room / "second" / "train.log").read_text().splitlines()[-1]
    assert re.search(r"made \S*/second/model\.safetensors: 16 steps in .*, validation PSNR", last)


def test_parts_that_the_data_lack_are_refused_before_training(room: Path) -> None:
    """Also one of several, and those of later phases."""
    for parts, more in ([1, 7], []), (None, ["--require-parts", "2,7"]):
        edit(room / "l1.yaml", phase={**L1, "parts": parts})
        with pytest.raises(StageError, match=r"no training pictures of part 7, .* part 1, 2: "):
            train.main([*arguments(room, "l1", "first"), *more])
        assert not (room / "first" / "model.safetensors").exists()
    assert train.main([*arguments(room, "l1", "first"), "--require-parts", "any"]) == 0


def test_a_network_of_colour_bins_keeps_the_first_phases_prior(room: Path) -> None:
    network = {"name": "zhang16", "width": 2, "neighbours": 5, "temperature": 0.38}
    first = {**L1, "losses": {"rebalanced-ce": 1}, "epochs": 1}
    edit(room / "l1.yaml", network=network, phase=first)
    edit(room / "gan.yaml", network=network, phase={**first, "name": "gan", "parts": [1]})
    train.main(arguments(room, "l1", "first"))
    train.main(arguments(room, "gan", "second", parent="first"))
    one, two = (load_model(room / to / "model.safetensors").network for to in ("first", "second"))
    assert isinstance(one, Distribution)
    assert isinstance(two, Distribution)
    assert one.prior.std() > 0
    assert torch.equal(one.prior, two.prior)
    assert torch.equal(one.weights, two.weights)


def test_equal_runs_give_equal_bytes(room: Path) -> None:
    for to in ("a", "b"):
        train.main(arguments(room, "l1", to))
    one, other = (load_model(room / to / "model.safetensors") for to in ("a", "b"))
    assert one.digest == other.digest
    assert (room / "a" / "curves.svg").read_bytes() == (room / "b" / "curves.svg").read_bytes()


def test_kill_9_and_the_same_command_again(room: Path) -> None:
    """Real processes: SIGKILL in the adversarial phase, after a checkpoint."""
    edit(room / "gan.yaml", phase={**GAN, "epochs": 60})
    command = [sys.executable, str(SCRIPT), *arguments(room, "gan", "killed")]
    often = ["--checkpoint-seconds", "0"]
    process = subprocess.Popen([*command, *often], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((room / "killed").glob("resume/*/step-*.pt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (room / "killed" / "model.safetensors").exists()
    # From elsewhere, as `snakemake --directory` would: the script by a way round, the same key.
    command[1] = os.path.relpath(SCRIPT, room)
    again = subprocess.run(command, cwd=room, stderr=subprocess.PIPE, text=True, check=True)
    assert re.search(r"gan: continuing from step \d+ of 120", again.stderr)
    train.main(arguments(room, "gan", "whole"))
    models = [(room / to / "model.safetensors").read_bytes() for to in ("killed", "whole")]
    assert models[0] == models[1]
    assert not (room / "killed" / "resume").exists()


def test_pictures_left_in_the_shards_give_equal_bytes(room: Path) -> None:
    train.main([*arguments(room, "l1", "a"), "--workers", "2"])
    train.main(arguments(room, "l1", "b"))
    assert load_model(room / "a" / "model.safetensors").digest == (
        load_model(room / "b" / "model.safetensors").digest
    )


def test_parts_choose_the_training_pictures(room: Path) -> None:
    train.main(arguments(room, "l1", "all"))
    edit(room / "l1.yaml", phase={**L1, "parts": [2]})
    train.main(arguments(room, "l1", "part"))
    part, whole = (load_model(room / to / "model.safetensors") for to in ("part", "all"))
    assert part.metadata["data_sha256"] != whole.metadata["data_sha256"]
    assert part.metadata["steps"] < whole.metadata["steps"]
    edit(room / "l1.yaml", phase={**L1, "parts": [9]})
    with pytest.raises(StageError, match="part 9"):
        train.main(arguments(room, "l1", "none"))


def stop_at_once(patch: pytest.MonkeyPatch) -> None:
    from photochrom import training

    def update(*arguments: Any) -> torch.Tensor:
        signal.raise_signal(signal.SIGINT)
        return torch.zeros(3)

    patch.setattr(training, "update", update)


@pytest.mark.parametrize("what", ["recipe", "data", "parent", "sources", "nothing"])
def test_a_changed_recipe_data_parent_or_source_starts_afresh(
    what: str, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.main(arguments(room, "l1", "first"))
    parent = "first"
    with monkeypatch.context() as patch:
        stop_at_once(patch)
        with pytest.raises(KeyboardInterrupt):
            train.main(arguments(room, "gan", "second", parent=parent))
    resume = room / "second" / "resume"
    (resume / "notes").mkdir()  # not ours
    assert len(list(resume.glob("*/step-*.pt"))) == 1
    if what == "recipe":
        edit(room / "gan.yaml", seed=2)
    elif what == "data":
        text = (room / "split.csv").read_text().replace("train", "val", 1)
        (room / "split.csv").write_text(text)
    elif what == "parent":
        edit(room / "l1.yaml", seed=2)
        train.main(arguments(room, "l1", "other"))
        parent = "other"
    elif what == "sources":
        monkeypatch.setattr(train, "source_digests", lambda: {"train.py": "changed"})
    train.main(arguments(room, "gan", "second", parent=parent))
    continued = "continuing from step 1 of 16" in (room / "second" / "train.log").read_text()
    assert continued == (what == "nothing")
    assert [path.name for path in resume.iterdir()] == ["notes"]


def test_the_sources_are_those_that_decide_the_result() -> None:
    found = train.source_digests()
    assert {"train.py", "photochrom/training.py", "photochrom/models/unet.py"} <= found.keys()


def test_another_network_than_the_parent_is_refused(room: Path) -> None:
    train.main(arguments(room, "l1", "first"))
    edit(room / "gan.yaml", network={**NETWORK, "width": 16})
    with pytest.raises(StageError, match="train the phase before again") as fault:
        train.main(arguments(room, "gan", "second", parent="first"))
    assert fault.value.code == EXIT_MODEL


def test_another_input_transform_than_the_parents_is_refused(room: Path) -> None:
    train.main(arguments(room, "l1", "first"))
    edit(room / "gan.yaml", input={"clahe": {"clip": 2.0, "tiles": 2}})
    with pytest.raises(StageError, match=r"asks for Clahe\(clip=2.0, tiles=2\); train the phase"):
        train.main(arguments(room, "gan", "second", parent="first"))
    train.main(arguments(room, "gan", "alone"))
    metadata = load_model(room / "alone" / "model.safetensors").metadata
    assert metadata["input"] == {"clahe": {"clip": 2.0, "tiles": 2}}


def test_a_damaged_parent_is_refused(room: Path) -> None:
    (room / "first").mkdir()
    (room / "first" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(StageError, match="is refused") as fault:
        train.main(arguments(room, "gan", "second", parent="first"))
    assert fault.value.code == EXIT_MODEL


def test_an_impossible_network_is_refused(room: Path) -> None:
    edit(room / "l1.yaml", network={**NETWORK, "width": 9})
    with pytest.raises(StageError, match="experiment mini: width 9") as fault:
        train.main(arguments(room, "l1", "first"))
    assert fault.value.code == 2


def test_help_is_quick_and_needs_no_torch() -> None:
    code = (
        "import sys, train\ntry: train.main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPT.parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "--resume" in done.stdout) == (0, True), done.stderr
