"""The phase engine's options: length, schedules, averaged weights, going back after a NaN."""

import json
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mini_training import (
    CPU,
    GAN,
    NETWORK,
    RECIPE,
    Killed,
    at_step,
    kill,
    pictures,
    train,
    untimed,
)
from photochrom import averages, checkpoints, training
from photochrom.clahe import Clahe
from photochrom.models import build, weights_sha256
from photochrom.models.base import Colorizer
from photochrom.recipes import Input, OnNaN, Optimizer, Phase, Recipe
from photochrom.runtime import StageError, log
from photochrom.training import train_phase


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO, logger="photochrom")


def recipe_with(**changes: Any) -> Recipe:
    return replace(RECIPE, phase=replace(GAN, **changes))


def rates(optimizer: Optimizer, total: int) -> list[float]:
    phase = replace(GAN, optimizer=optimizer)
    state = training.start(replace(RECIPE, phase=phase), build(NETWORK), CPU)
    found = []
    for step in range(total):
        training.set_rates(state, phase, step, total)
        found.append(state.optimizer.param_groups[0]["lr"])
    return found


def test_a_phase_in_steps_is_as_one_in_epochs(tmp_path: Path) -> None:
    whole = train(tmp_path / "epochs", recipe=recipe_with(epochs=3))
    same = train(tmp_path / "steps", recipe=recipe_with(epochs=None, steps=9))
    assert (same[0], untimed(same[1])) == (whole[0], untimed(whole[1]))
    _, records = train(tmp_path / "part", recipe=recipe_with(epochs=None, steps=8))
    assert (records[-1]["step"], records[-1]["epoch"]) == (8, 3)


def test_rates_rise_stay_and_fall() -> None:
    plain = Optimizer("adam", 1.0, (0.9, 0.999), decay=0.5, warmup=4)
    assert rates(plain, 8) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25])
    cosine = rates(replace(plain, shape="cosine", decay=1.0, warmup=0), 8)
    assert cosine == pytest.approx([0.5 + 0.5 * math.cos(math.pi * step / 8) for step in range(8)])


def test_a_warmup_longer_than_the_phase_is_refused(tmp_path: Path) -> None:
    slow = replace(GAN.optimizer, warmup=22)
    with pytest.raises(StageError, match="warmup 22 is longer than its 21 steps"):
        train(tmp_path, recipe=recipe_with(optimizer=slow))


def test_adamw_pulls_weights_to_zero_and_clip_shortens_gradients() -> None:
    phase = replace(GAN, losses={"l1": 1.0}, discriminator=None)
    heavy = replace(phase.optimizer, name="adamw", weight_decay=100.0, lr=0.001)
    L, ab = torch.rand(4, 1, 8, 8), torch.rand(4, 2, 8, 8)
    sizes, norms = {}, {}
    for name, optimizer in {
        "adam": phase.optimizer,
        "adamw": heavy,
        "clip": replace(phase.optimizer, clip=1e-3),
    }.items():
        torch.manual_seed(0)
        each = replace(phase, optimizer=optimizer)
        state = training.start(replace(RECIPE, phase=each), build(NETWORK), CPU)
        training.update(state, each, L, ab)
        sizes[name] = sum(weight.abs().sum() for weight in state.network.parameters())
        gradients = [weight.grad for weight in state.network.parameters()]
        norms[name] = nn.utils.get_total_norm([grad for grad in gradients if grad is not None])
    assert sizes["adamw"] < 0.92 * sizes["adam"]
    assert norms["clip"] == pytest.approx(1e-3, rel=1e-3)
    assert norms["clip"] < norms["adam"]


class Batchy(Colorizer):
    """A network with batch normalization, a constant and a counter."""

    multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        self.register_buffer("limit", torch.tensor([math.inf, -1.0]))

    def forward(self, L: torch.Tensor) -> torch.Tensor:
        return self.norm(self.convolution(L))


def test_the_average_follows_weights_and_statistics() -> None:
    network = Batchy().train()
    average = averages.copy_of(network)
    expected = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(1, 30):
        optimizer.zero_grad()
        network(torch.rand(3, 1, 4, 4)).square().mean().backward()
        optimizer.step()
        averages.follow(average, network, 0.7, step)
        decay = min(0.7, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if name == "limit" or name.endswith("num_batches_tracked"):
                expected[name] = value.clone()
            else:
                expected[name] = decay * expected[name] + (1 - decay) * value
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    assert not any(weight.requires_grad for weight in average.parameters())
    assert all(weight.requires_grad for weight in network.parameters())


def test_the_average_is_validated_and_published_and_resumes_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, before = train(tmp_path / "plain")
    recipe = recipe_with(ema=0.9)
    published, records = train(tmp_path / "whole", recipe=recipe)
    state = checkpoints.load_state(tmp_path / "whole")
    assert state is not None
    assert published == weights_sha256(state["average"])
    assert plain == weights_sha256(state["network"])  # training itself is as without it
    lasts = [[each for each in log if each["kind"] == "val"][-1] for log in (before, records)]
    assert lasts[0]["l1"] != lasts[1]["l1"]
    with monkeypatch.context() as patch:
        at_step(patch, 11, kill)
        with pytest.raises(Killed):
            train(tmp_path / "killed", every=0, recipe=recipe)
    again, continued = train(tmp_path / "killed", recipe=recipe)
    assert (again, untimed(continued)) == (published, untimed(records))
    # A finished phase that is asked for again publishes the same.
    assert train(tmp_path / "killed", recipe=recipe)[0] == published


FRAGILE = recipe_with(on_nan=OnNaN(rollbacks=2, factor=0.25), epochs=7)


def poison_once_at(patch: pytest.MonkeyPatch, step: int, times: int) -> None:
    """Spoil the weights in the step after `step`, while fewer rollbacks than `times` were made."""

    def poison(state: training.State) -> None:
        if state.rollbacks < times:
            with torch.no_grad():
                next(state.network.parameters()).fill_(torch.nan)

    at_step(patch, step, poison)


def test_training_goes_back_with_a_smaller_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    saved = []
    real = training.save_state

    def save(folder: Path, step: int, state: dict[str, Any]) -> None:
        saved.append(all(value.isfinite().all() for value in state["network"].values()))
        real(folder, step, state)

    monkeypatch.setattr(training, "save_state", save)
    poison_once_at(monkeypatch, 11, times=2)
    _, records = train(tmp_path / "run", every=0, recipe=FRAGILE)
    assert all(saved)
    backs = [each for each in records if each["kind"] == "rollback"]
    assert [(each["step"], each["factor"]) for each in backs] == [(7, 0.25), (7, 0.0625)]
    assert records[-1]["step"] == 21
    kept = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in kept] == [each["kind"] for each in records]
    assert "back at step 7, learning rates times 0.0625" in caplog.text


def test_a_rollback_is_the_same_whenever_checkpoints_were_made_and_survives_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        poison_once_at(patch, 11, times=1)
        whole, _ = train(tmp_path / "whole", recipe=FRAGILE)
        assert train(tmp_path / "often", every=0, recipe=FRAGILE)[0] == whole
    for killed_at in (10, 9, 13):
        folder = tmp_path / f"killed-{killed_at}"
        with monkeypatch.context() as patch:
            poison_once_at(patch, 11, times=1)
            after = 1 if killed_at == 9 else 0  # the second time that step 9 comes

            def stop(state: training.State, after: int = after) -> None:
                if state.rollbacks >= after:
                    raise Killed

            at_step(patch, killed_at, stop)
            with pytest.raises(Killed):
                train(folder, every=0, recipe=FRAGILE)
        with monkeypatch.context() as patch:
            poison_once_at(patch, 11, times=1)
            assert train(folder, recipe=FRAGILE)[0] == whole


def test_when_going_back_does_not_help_training_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison_once_at(monkeypatch, 11, times=99)
    with pytest.raises(StageError, match="not finite"):
        train(tmp_path, every=0, recipe=FRAGILE)
    state = checkpoints.load_state(tmp_path)
    assert state is not None
    assert all(value.isfinite().all() for value in state["network"].values())


def test_the_network_learns_from_what_it_will_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The equalized L reaches the network, in training and validation; losses keep the original."""
    seen: list[torch.Tensor] = []

    def see(self: Colorizer, L: torch.Tensor) -> torch.Tensor:
        seen.append(L)
        return torch.zeros_like(L)

    monkeypatch.setattr(Colorizer, "see", see)
    inputs: list[torch.Tensor] = []

    class Heard(Batchy):
        def forward(self, L: torch.Tensor) -> torch.Tensor:
            inputs.append(L)
            return super().forward(L)

    phase: Phase = replace(GAN, losses={"l1": 1.0}, discriminator=None, epochs=1)
    recipe = replace(RECIPE, phase=phase, input=Input(Clahe(2.0, 2)))
    train_phase(recipe, Heard(), pictures(14), pictures(3), CPU, tmp_path, 1e9)
    assert len(seen) == len(inputs) == 5
    assert all(bool((L == 0).all()) for L in inputs)
    assert not any(bool((L == 0).all()) for L in seen)
