"""Precision, layout, compilation, memory: what a test can know of a GPU without one."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mini_training import CPU, GAN, NETWORK, RECIPE, Killed, at_step, kill, pictures, train, untimed
from photochrom import device, training
from photochrom.batches import Resident, load_batch, resident
from photochrom.device import compile_network, computed, fitting_batch
from photochrom.models import build
from photochrom.recipes import Compute
from photochrom.runtime import EXIT_MEMORY, StageError, log


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO, logger="photochrom")


def test_bf16_answers_in_float32_and_nearly_the_same() -> None:
    torch.manual_seed(0)
    network = build(NETWORK).eval()
    L = torch.rand(2, 1, 8, 8)
    exact = computed(network, Compute(), L)
    half = computed(network, Compute(precision="bf16"), L)
    assert half.dtype == torch.float32
    assert 0 < (half - exact).abs().max() < 0.02
    pair = computed(lambda L: (network(L), L), Compute(precision="bf16"), L)
    assert [each.dtype for each in pair] == [torch.float32] * 2
    assert (
        torch.equal(computed(network, Compute(memory_format="channels_last"), L), exact)
        or (computed(network, Compute(memory_format="channels_last"), L) - exact).abs().max() < 1e-5
    )


@pytest.mark.parametrize(
    "compute", [Compute(precision="bf16"), Compute(memory_format="channels_last")]
)
def test_other_arithmetic_trains_and_resumes_exactly(
    compute: Compute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(RECIPE, phase=replace(GAN, compute=compute, epochs=3))
    whole, records = train(tmp_path / "whole", recipe=recipe)
    assert whole != train(tmp_path / "plain", recipe=replace(RECIPE, phase=GAN))[0]
    with monkeypatch.context() as patch:
        at_step(patch, 5, kill)
        with pytest.raises(Killed):
            train(tmp_path / "killed", every=0, recipe=recipe)
    again, continued = train(tmp_path / "killed", recipe=recipe)
    assert (again, untimed(continued)) == (whole, untimed(records))


def test_a_compilation_that_fails_is_announced_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any) -> Any:
            torch.rand(3)  # must not matter
            raise RuntimeError("no compiler\nand a long story")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    asked = replace(GAN, compute=Compute(compile=True), epochs=2)
    compiled, _ = train(tmp_path / "compiled", recipe=replace(RECIPE, phase=asked))
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert told == ["torch.compile fails, training goes on without it: no compiler"]
    plain, _ = train(tmp_path / "plain", recipe=replace(RECIPE, phase=replace(GAN, epochs=2)))
    assert compiled == plain


def test_a_compilation_that_works_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def accept(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any) -> Any:
            calls.append(function)
            return function(*inputs)

        return call

    monkeypatch.setattr(torch, "compile", accept)
    network = build(NETWORK)
    names = list(network.state_dict())
    before = torch.get_rng_state()
    L = torch.rand(2, 1, 8, 8, generator=torch.Generator())
    assert compile_network(network, [L], Compute())
    assert torch.equal(before, torch.get_rng_state())
    assert list(network.state_dict()) == names
    assert all(weight.grad is None for weight in network.parameters())
    calls.clear()
    network(torch.zeros(1, 1, 8, 8))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("fixed", "each", "limit", "batch", "fits"),
    [
        (100, 10, 1000, 128, 85),  # (0.95 * 1000 - 100) / 10
        (100, 10, 1000, 64, 63),  # it did not fit, so fewer
        (100, 10, 150, 128, 4),  # the first trials do not fit either
        (100, 10, 115, 128, 0),
        (980, 10, 1000, 2, 0),
    ],
)
def test_the_batch_that_fits(fixed: int, each: int, limit: int, batch: int, fits: int) -> None:
    def peak(count: int) -> int:
        if fixed + each * count > limit:
            raise torch.OutOfMemoryError
        return fixed + each * count

    assert fitting_batch(peak, limit, batch) == fits


def test_too_little_memory_is_one_line_with_the_batch_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training.update

    def update(state: training.State, phase: Any, L: torch.Tensor, ab: torch.Tensor) -> Any:
        if state.step == 2 and len(L) == 4:
            raise torch.OutOfMemoryError
        return real(state, phase, L, ab)

    monkeypatch.setattr(training, "update", update)
    with pytest.raises(StageError, match="memory for 4 pictures of 8 pixels") as fault:
        train(tmp_path)
    assert fault.value.code == EXIT_MEMORY
    assert not list(tmp_path.glob("step-*"))


def test_with_a_gpu_smaller_batches_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def peak_of(step: Callable[[int], object], where: torch.device) -> Callable[[int], int]:
        def peak(count: int) -> int:
            step(count)
            return 10 * count

        return peak

    monkeypatch.setattr(device, "cuda_peak", peak_of)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda where: (50, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda where: 20)
    error = device.out_of_memory("gan", 8, 64, tried.append, torch.device("cuda"))
    assert "8 pictures of 64 pixels in a step; a batch of 6 should fit" in str(error)
    assert (error.code, tried) == (EXIT_MEMORY, [1, 2])


def test_peak_memory_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(tmp_path, recipe=replace(RECIPE, phase=replace(GAN, epochs=1)))
    (line,) = [text for text in caplog.messages if "peak memory" in text]
    assert 50 < int(line.split()[-2]) < 100_000


@pytest.mark.parametrize(
    ("choice", "share", "moved"),
    [("auto", 3, True), ("auto", 1, False), ("always", 0, True), ("never", 9, False)],
)
def test_pictures_stay_on_the_device_when_they_fit(choice: str, share: int, moved: bool) -> None:
    data = pictures(6)
    meta = torch.device("meta")  # any device but the CPU
    held = resident(data, meta, choice, share * (data.L.nbytes + data.ab.nbytes))
    assert isinstance(held, Resident) == moved
    assert resident(data, CPU, choice, 10**9) is data


def test_resident_batches_are_the_same() -> None:
    data = pictures(6)
    held = Resident(data.ids, torch.from_numpy(data.L), torch.from_numpy(data.ab), data.scale)
    rows = np.array([4, 0, 5])
    for one, other in zip(load_batch(data, rows, CPU), load_batch(held, rows, CPU), strict=True):
        assert torch.equal(one, other)
