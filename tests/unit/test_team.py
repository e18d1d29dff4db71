"""Several processes on one phase: as one process, and continued after a signal."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed

import train
from mini_training import CPU, GAN, NETWORK, RECIPE, pictures
from photochrom import training
from photochrom.batches import step_plan
from photochrom.checkpoints import load_state
from photochrom.models import build
from photochrom.runtime import EXIT_OK, StageError, csv_text
from photochrom.shards import index_rows, write_shard
from photochrom.tables import SHARDS_COLUMNS, SPLIT_COLUMNS
from photochrom.team import ALONE, SharedBatchNorm2d, Team

RECIPE_FILE = """
experiment: mini
seed: 1
network: {name: unet, design: seed, width: 8, depth: 2, dropout: 0}
input: {clahe: null}
phase:
  name: gan
  size: 8
  epochs: null
  steps: 100
  batch: 4
  parts: null
  losses: {l1: 100, gan: 1}
  optimizer: {name: adam, lr: 0.001, betas: [0.5, 0.999], decay: 0.5, shape: linear, warmup: 10,
    weight_decay: 0, clip: 5}
  augment: {flip: true, crop: 0.5, chroma: [0.5, 1.0], aged: 0.5}
  evaluate_every: 25
  discriminator: {name: patchgan-seed, width: 8, layers: 1, lr: 0.001, betas: [0.5, 0.999]}
  ema: 0.9
  encoder: trained
  on_nan: {rollbacks: 1, factor: 0.5}
  compute: {precision: fp32, memory_format: contiguous, compile: false, deterministic: true}
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with shards, a split and a recipe."""
    L = np.random.default_rng(0).uniform(-1, 1, (18, 12, 12))
    ids = [f"picture-{number:02}" for number in range(18)]
    shard = tmp_path / "shard-00000.h5"
    write_shard(shard, ids, L, np.stack([L / 4, -L / 3], axis=-1), "digest")
    (tmp_path / "shards.csv").write_text(csv_text(SHARDS_COLUMNS, index_rows([shard])))
    rows = [
        (id, shard.stem, row, id, 1, "train" if row > 1 else "val") for row, id in enumerate(ids)
    ]
    (tmp_path / "split.csv").write_text(csv_text(SPLIT_COLUMNS, rows))
    (tmp_path / "recipe.yaml").write_text(RECIPE_FILE)
    return tmp_path


def arguments(room: Path, to: str) -> list[str]:
    return [
        *("--recipe", str(room / "recipe.yaml"), "--out", str(room / to)),
        *("--shards", str(room / "shards.csv"), "--split", str(room / "split.csv")),
        *("--resume", str(room / to / "resume"), "--log", str(room / to / "train.log")),
        *("--threads", "1", "--device", "cpu", "--checkpoint-seconds", "0"),
    ]


def figures(path: Path) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
    for line in path.read_text().splitlines():
        record = json.loads(line)
        del record["seconds"]
        record.pop("not_computed", None)
        keys = ("kind", "phase", "step", "epoch")
        yield tuple(record.pop(key) for key in keys), np.array(list(record.values()))


def test_two_processes_are_as_one_and_go_on_after_a_signal(room: Path) -> None:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", "2", "--", str(Path(train.__file__)), *arguments(room, "two")),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((room / "two").glob("resume/*/step-*.pt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) != EXIT_OK
    assert not (room / "two" / "model.safetensors").exists()
    subprocess.run(command, stderr=subprocess.DEVNULL, check=True, timeout=60)
    assert "gan: continuing from step" in (room / "two" / "train.log").read_text()
    assert not (room / "two" / "resume").exists()

    assert train.main(arguments(room, "one")) == EXIT_OK
    one, two = (list(figures(room / to / "log.jsonl")) for to in ("one", "two"))
    assert [when for when, _ in one] == [when for when, _ in two]
    for (when, values), (_, others) in zip(one, two, strict=True):
        if when[2] <= 50:
            np.testing.assert_allclose(others, values, rtol=1e-4, err_msg=str(when))


# train.py, whose steps or validation take so long that a signal comes in the middle of them.
SLOW = """
import sys, time
from pathlib import Path

sys.path.insert(0, {scripts!r})
import train
from photochrom import training

step, look, slow, room = training.update, training.validate, {slow!r}, Path({room!r})


def update(state, *rest):
    if state.step == 2:
        (room / "reached").touch()
    if slow == "steps":
        time.sleep(1)
    return step(state, *rest)


def validate(network, data, size, batch, device, between_batches, judges):
    if slow == "validation":
        (room / "reached").touch()
        for _ in range(1200):
            between_batches()
            time.sleep(0.05)
    return look(network, data, size, batch, device, between_batches, judges)


training.update, training.validate = update, validate
if __name__ == "__main__":
    sys.exit(train.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("slow", ["steps", "validation"])
def test_a_team_that_is_slow_saves_itself_before_torchrun_loses_patience(
    slow: str, room: Path
) -> None:
    """It is killed 30 s after the signal. Ten steps, or the rest of a validation, take longer."""
    script = room / "slow.py"
    scripts = str(Path(train.__file__).parent)
    script.write_text(SLOW.format(scripts=scripts, slow=slow, room=str(room)))
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("--", str(script), *arguments(room, "slow"), "--checkpoint-seconds", "1000"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (room / "reached").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) != EXIT_OK
    (saved,) = (room / "slow").glob("resume/*/step-*.pt")
    state = load_state(saved.parent)
    assert state is not None
    assert state["step"] == 0 if slow == "validation" else 2 < state["step"] < training.LOG_EVERY
    assert state["validated"] == (-1 if slow == "validation" else 0)


def test_the_parts_of_a_batch_make_the_batch() -> None:
    whole_rows, whole_chances = step_plan(1, GAN, 5, 14)
    parts = [step_plan(1, GAN, 5, 14, rank, 2) for rank in range(2)]
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in parts]), whole_rows)
    np.testing.assert_array_equal(np.concatenate([luck for _, luck in parts]), whole_chances)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    state = replace(training.start(RECIPE, build(NETWORK), CPU), team=Team(0, 3))
    with pytest.raises(StageError, match="batch of 4 cannot be shared by 3 processes"):
        training.check_feasible(GAN, state, pictures(14), pictures(3))


def test_processes_start_from_equal_weights_with_random_numbers_of_their_own() -> None:
    drawn = []
    for rank in (0, 1):
        torch.manual_seed(0)
        state = training.start(RECIPE, build(NETWORK), CPU, Team(rank, 2))
        assert state.adversary is not None
        drawn.append((state.adversary.network.state_dict(), torch.rand(3)))
    for name, value in drawn[0][0].items():
        assert torch.equal(value, drawn[1][0][name])
    assert not torch.equal(drawn[0][1], drawn[1][1])


class Activated(torch.nn.BatchNorm2d):
    """As timm's: an activation inside."""


def test_plain_batch_normalization_is_shared_and_that_of_encoders_left() -> None:
    module = torch.nn.Sequential(torch.nn.BatchNorm2d(2).eval(), Activated(2))
    torch.nn.init.ones_(module[0].running_mean)  # type: ignore[arg-type]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    ALONE.join(module)
    assert type(module[0]) is torch.nn.BatchNorm2d
    Team(0, 2).join(module)
    assert isinstance(module[0], SharedBatchNorm2d)
    assert not module[0].training
    assert type(module[1]) is Activated
    assert list(module.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_shared_batch_normalization_is_that_of_the_whole_batch(tmp_path: Path) -> None:
    """Outputs, gradients and statistics; one process has the whole batch."""
    distributed.init_process_group("gloo", f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        norm = torch.nn.BatchNorm2d(3, momentum=0.3)
        torch.nn.init.uniform_(norm.weight)
        shared = SharedBatchNorm2d.like(norm)
        x = (5 + torch.randn(4, 3, 5, 6)).requires_grad_()
        y = x.detach().clone().requires_grad_()
        aim = torch.randn(4, 3, 5, 6)
        for layer, value in ((norm, x), (shared, y)):
            (layer(value) * aim).sum().backward()
        assert y.grad is not None
        torch.testing.assert_close(y.grad, x.grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(shared.weight.grad, norm.weight.grad)
        torch.testing.assert_close(shared.state_dict(), norm.state_dict())
        torch.testing.assert_close(shared.eval()(x), norm.eval()(x))
    finally:
        distributed.destroy_process_group()


def test_alone_nothing_happens() -> None:
    value = torch.tensor([1.0, 2.0])
    ALONE.average([value])
    assert (value.tolist(), ALONE.any(True), ALONE.any(False)) == ([1, 2], True, False)
    assert torch.equal(ALONE.gathered(value), value[None])
    assert "WORLD_SIZE" not in os.environ
