"""The phase engine: exact continuation, signals, NaN, feasibility."""

import json
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mini_training import (
    CPU,
    GAN,
    NETWORK,
    RECIPE,
    STEPS,
    Killed,
    at_step,
    kill,
    pictures,
    train,
    untimed,
)
from photochrom import checkpoints, training
from photochrom.losses import GAN_LOSSES
from photochrom.models import build, weights_sha256
from photochrom.recipes import Augment, Discriminator, Optimizer
from photochrom.runtime import EXIT_MODEL, EXIT_TERMINATED, StageError, Terminated, log, run_stage
from photochrom.validation import MEASURES, Look


@pytest.fixture(autouse=True)
def one_thread(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO, logger="photochrom")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """The digest and the untimed log of an undisturbed run."""
    torch.set_num_threads(1)
    digest, records = train(tmp_path_factory.mktemp("whole"))
    return digest, untimed(records)


def test_equal_runs_give_equal_weights_and_logs(tmp_path: Path, whole: Any) -> None:
    again, records = train(tmp_path / "again", every=0)
    assert (again, untimed(records)) == whole
    other, _ = train(tmp_path / "other", recipe=replace(RECIPE, seed=2))
    assert other != again


def test_the_log_has_means_of_ten_steps_and_the_asked_for_validations(tmp_path: Path) -> None:
    _, records = train(tmp_path)
    found = [(each["kind"], each["step"], each["epoch"]) for each in records]
    assert found == [
        *(("val", 0, 0), ("val", 7, 3), ("train", 10, 4), ("val", 14, 5)),
        *(("train", 20, 7), ("train", 21, 7), ("val", 21, 7)),
    ]
    names = {"kind", "phase", "step", "epoch", "seconds"}
    assert records[2].keys() - names == {"l1", "gan", "d"}
    assert records[3].keys() - names == set(MEASURES)
    assert records[0].keys() - names == {*MEASURES, "not_computed"}
    assert records[0]["not_computed"]["fid"].startswith("not computed: 3 validation pictures")
    rows = sorted(path.name for path in tmp_path.glob("look-*.png"))
    assert rows == [f"look-{step:09d}.png" for step in (0, 7, 14, 21)]
    seconds = [each["seconds"] for each in records]
    assert seconds == sorted(seconds)
    assert (tmp_path / "log.jsonl").read_text().splitlines() == [json.dumps(r) for r in records]


def test_training_lowers_the_error(tmp_path: Path) -> None:
    phase = replace(GAN, losses={"smooth_l1": 100.0}, discriminator=None, epochs=40)
    augment = Augment(flip=True, crop=1.0, chroma=(1.0, 1.0))
    phase = replace(phase, size=12, augment=augment)  # the size that it is looked at
    _, records = train(tmp_path, recipe=replace(RECIPE, phase=phase))
    first, *_, last = [each for each in records if each["kind"] == "val"]
    assert last["l1"] < 0.6 * first["l1"]
    assert last["psnr_rgb"] > first["psnr_rgb"] + 2
    assert {"smooth_l1", "l1"} <= records[2].keys()


@pytest.mark.parametrize(("step", "every"), [(2, 4), (6, 1), (7, 4), (9, 3), (14, 7), (20, 1)])
def test_killed_anywhere_it_ends_as_if_undisturbed(
    step: int, every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """The adversarial phase with all augmentations and dropout, bit for bit."""
    with monkeypatch.context() as patch:
        at_step(patch, step, kill)
        with pytest.raises(Killed):
            train(tmp_path / "killed", steps=every)
    caplog.clear()
    digest, continued = train(tmp_path / "killed")
    saved = step // every * every
    if saved:
        assert f"gan: continuing from step {saved} of {STEPS}" in caplog.text
    assert (digest, untimed(continued)) == whole


def test_killed_over_and_over_with_a_damaged_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (3, 4, 11, 17):
        with monkeypatch.context() as patch:
            at_step(patch, step, kill)
            with pytest.raises(Killed):
                train(tmp_path / "killed", every=0)
        newest = max((tmp_path / "killed").glob("step-*"))
        newest.write_bytes(newest.read_bytes()[:-1])
    digest, continued = train(tmp_path / "killed")
    assert "continuing from step 16" in caplog.text
    assert (digest, untimed(continued)) == whole


def test_killed_during_the_last_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any
) -> None:
    real = training.validate

    def validate(*arguments: Any) -> Look:
        if max((tmp_path / "killed").glob("step-*"), default=Path()).name.startswith(
            f"step-{STEPS:09d}"
        ):
            raise Killed
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "validate", validate)
        with pytest.raises(Killed):
            train(tmp_path / "killed", every=0)
    digest, continued = train(tmp_path / "killed")
    assert (digest, untimed(continued)) == whole


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_saves_the_whole_step_first(
    number: signal.Signals, raised: type[BaseException], tmp_path: Path, whole: Any,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(patch, 8, lambda state: os.kill(os.getpid(), number))
        with pytest.raises(raised):
            train(tmp_path / "stopped")
    assert signal.getsignal(number) is before
    assert f"gan: checkpoint at step 9 of {STEPS}" in caplog.text
    digest, _ = train(tmp_path / "stopped")
    assert f"gan: continuing from step 9 of {STEPS}" in caplog.text
    assert digest == whole[0]


def test_a_signal_during_validation_is_answered_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any
) -> None:
    real = training.validate

    def validate(network: Any, data: Any, size: int, batch: int, *rest: Any) -> Look:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(network, data, size, batch, *rest)

    with monkeypatch.context() as patch:
        at_step(patch, 6, lambda state: patch.setattr(training, "validate", validate))
        with pytest.raises(Terminated):
            train(tmp_path / "stopped")
    state = checkpoints.load_state(tmp_path / "stopped")
    assert state is not None
    assert (state["step"], state["validated"]) == (7, 0)
    digest, continued = train(tmp_path / "stopped")
    assert (digest, untimed(continued)) == whole


def test_the_exit_code_of_sigterm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step(monkeypatch, 3, lambda state: os.kill(os.getpid(), signal.SIGTERM))

    def main() -> int:
        train(tmp_path)
        return 0

    assert run_stage("train", main) == EXIT_TERMINATED


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_that_nobody_answered_is_not_lost(times: int) -> None:
    """One is held to the end; who sends two cannot wait."""
    reached = []

    def handler(number: int, frame: object) -> None:
        raise Terminated

    def work() -> None:
        with training.held_signals() as received:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGTERM)
                reached.append(list(received))

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(Terminated):
            work()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert reached == [[signal.SIGTERM]]


def poison(state: training.State) -> None:
    with torch.no_grad():
        next(state.network.parameters()).fill_(torch.nan)


@pytest.mark.parametrize(
    ("step", "says"),
    [(4, "at step 6 the loss l1 is nan"), (9, "after step 10 some weights are not finite")],
)
def test_nan_stops_training_and_is_never_saved(
    step: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = replace(GAN, evaluate_every=100)
    at_step(monkeypatch, step, poison)
    with pytest.raises(StageError, match=says) as fault:
        train(tmp_path, recipe=replace(RECIPE, phase=phase))
    assert "lower the learning rate" in str(fault.value)
    assert not list(tmp_path.glob("step-*"))


def test_poisoned_weights_are_noticed_before_they_show_in_a_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_step(monkeypatch, 5, poison)
    with pytest.raises(StageError, match="after step 6 some weights are not finite"):
        train(tmp_path, every=0)
    state = checkpoints.load_state(tmp_path)
    assert state is not None
    assert state["step"] == 5
    assert all(value.isfinite().all() for value in state["network"].values())


def spoil_moments(state: training.State) -> None:
    first = next(state.network.parameters())
    state.optimizer.state[first]["exp_avg_sq"].view(-1)[0] = torch.inf


def spoil_statistics(state: training.State) -> None:
    assert state.average is not None
    name = next(name for name, _ in state.average.named_buffers() if name.endswith("running_var"))
    state.average.get_buffer(name).view(-1)[0] = torch.nan


@pytest.mark.parametrize(
    ("spoil", "what"), [(spoil_moments, "moments"), (spoil_statistics, "running statistics")]
)
def test_what_else_a_checkpoint_keeps_is_finite_too(
    spoil: Callable[[training.State], None],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seed = {"name": "unet", "design": "seed", "width": 8, "depth": 2, "dropout": 0}
    recipe = replace(RECIPE, network=seed, phase=replace(GAN, ema=0.9))
    at_step(monkeypatch, 5, spoil)
    with pytest.raises(StageError, match=f"after step 6 some {what} are not finite"):
        train(tmp_path, every=0, recipe=recipe)
    state = checkpoints.load_state(tmp_path)
    assert state is not None
    assert state["step"] == 5


@pytest.mark.parametrize("change", ["width", "content"])
def test_a_checkpoint_of_another_network_is_refused_in_one_line(
    change: str, tmp_path: Path
) -> None:
    train(tmp_path)
    recipe = RECIPE
    if change == "width":
        recipe = replace(RECIPE, network={**RECIPE.network, "width": 16})
    else:
        checkpoints.save_state(tmp_path, 99, {"step": 99})
    with pytest.raises(StageError, match="is not of this recipe's networks") as fault:
        train(tmp_path, recipe=recipe)
    assert str(tmp_path) in str(fault.value)
    assert "\n" not in str(fault.value)
    assert fault.value.code == EXIT_MODEL


def test_an_exploding_learning_rate_ends_in_one_line(tmp_path: Path) -> None:
    phase = replace(GAN, optimizer=replace(GAN.optimizer, lr=1e38), epochs=40)
    with pytest.raises(StageError, match=r"not finite|is nan|is inf"):
        train(tmp_path, recipe=replace(RECIPE, phase=phase))


@pytest.mark.parametrize(
    ("change", "count", "says"),
    [
        ({"batch": 15}, 14, "has 14 pictures, fewer than one batch of 15"),
        ({"size": 16}, 14, "size 16 is larger than the 12 of the shards"),
        ({"size": 10}, 14, "size 10 is not a multiple of 4, as the network needs; 8 would be"),
        ({"size": 4}, 14, "below 6, the least its discriminator can judge"),
        ({"optimizer": Optimizer("sgd", 1.0, (0.9, 0.9), 0.0)}, 14, "'sgd' is neither"),
        ({"discriminator": Discriminator("stylegan", 8, 1, 1.0, (0.5, 0.9))}, 14, "'stylegan'"),
        ({"discriminator": Discriminator("patchgan", 8, 9, 1.0, (0.5, 0.9))}, 14, "layers 9"),
    ],
)
def test_the_impossible_is_refused_before_training(
    change: dict[str, Any], count: int, says: str, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, phase=replace(GAN, **change))
    with pytest.raises(StageError, match=says) as fault:
        train(tmp_path / "resume", recipe=recipe, count=count)
    assert fault.value.code == 2
    assert not (tmp_path / "resume").exists()


CHOOSING = {"name": "zhang16", "width": 2, "neighbours": 5, "temperature": 0.38}


@pytest.mark.parametrize(
    ("network", "weights", "critic"),
    [
        (CHOOSING, {"rebalanced-ce": 1.0}, None),
        (CHOOSING, {"rebalanced-ce": 1.0, "smooth_l1": 5.0, "gan-lsgan": 0.1}, "patchgan-seed"),
        (NETWORK, {"l1": 10.0, "colourfulness-gap": 1.0, "gan-hinge": 1.0}, "patchgan"),
    ],
)
def test_every_kind_of_loss_trains_and_resumes_exactly(
    network: dict[str, Any], weights: dict[str, float], critic: str | None,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    discriminator = None if critic is None else Discriminator(critic, 8, 1, 0.001, (0.5, 0.9))
    phase = replace(GAN, losses=weights, discriminator=discriminator, epochs=4, evaluate_every=99)
    recipe = replace(RECIPE, network=network, phase=phase)
    whole, records = train(tmp_path / "whole", recipe=recipe)
    assert records[1].keys() >= {*weights, "l1"} | ({"d"} if critic else set())
    with monkeypatch.context() as patch:
        at_step(patch, 7, kill)
        with pytest.raises(Killed):
            train(tmp_path / "killed", every=0, recipe=recipe)
    assert train(tmp_path / "killed", recipe=recipe)[0] == whole


def test_perceptual_losses_are_built_once_and_never_saved() -> None:
    recipe = replace(RECIPE, phase=replace(GAN, losses={"perceptual": 1.0}, discriminator=None))
    state = training.start(recipe, build(NETWORK), CPU)
    before = weights_sha256(state.perceptual["perceptual"].state_dict())
    values = training.update(
        state, recipe.phase, torch.zeros(2, 1, 32, 32), torch.rand(2, 2, 32, 32) * 0.4
    )
    assert training.loss_names(recipe.phase) == ["perceptual", "l1"]
    assert (values > 0).all()
    assert weights_sha256(state.perceptual["perceptual"].state_dict()) == before
    assert "perceptual" not in training.pack(state, CPU)


def test_a_loss_on_bins_needs_a_network_that_has_them(tmp_path: Path) -> None:
    phase = replace(GAN, losses={"rebalanced-ce": 1.0}, discriminator=None)
    with pytest.raises(StageError, match="needs a network that chooses among colour bins"):
        train(tmp_path / "resume", recipe=replace(RECIPE, phase=phase))
    assert not (tmp_path / "resume").exists()


def test_batch_normalization_of_one_value_is_refused(tmp_path: Path) -> None:
    phase = replace(GAN, batch=1, losses={"l1": 1.0}, discriminator=None)
    with pytest.raises(StageError, match="raise batch to 2 or more"):
        train(tmp_path / "resume", recipe=replace(RECIPE, network=CHOOSING, phase=phase))
    train(tmp_path / "resume", recipe=replace(RECIPE, phase=replace(phase, epochs=1)))


def test_an_empty_validation_split_is_refused() -> None:
    state = training.start(RECIPE, build(NETWORK), CPU)
    with pytest.raises(StageError, match="the validation split is empty"):
        training.check_feasible(GAN, state, pictures(14), pictures(0))


def test_learning_rates_stay_and_then_fall_to_zero() -> None:
    state = training.start(RECIPE, build(NETWORK), CPU)
    assert state.adversary is not None
    rates = []
    for step in (0, 50, 75, 100):
        training.set_rates(state, GAN, step, 100)
        rates.append(state.optimizer.param_groups[0]["lr"])
        assert state.adversary.optimizer.param_groups[0]["lr"] == rates[-1]
    assert rates == pytest.approx([0.001, 0.001, 0.0005, 0.0])
    constant = replace(GAN, optimizer=replace(GAN.optimizer, decay=0.0))
    training.set_rates(state, constant, 100, 100)
    assert state.optimizer.param_groups[0]["lr"] == 0.001


def test_the_discriminator_learns_and_the_network_learns_from_it(tmp_path: Path) -> None:
    """With the adversarial loss alone each of the two moves, and only in its own step."""
    phase = replace(GAN, losses={"gan": 1.0})
    state = training.start(replace(RECIPE, phase=phase), build(NETWORK), CPU)
    assert state.adversary is not None
    critic = state.adversary.network
    L, ab = torch.rand(4, 1, 8, 8), torch.rand(4, 2, 8, 8)
    before = [weights_sha256(part.state_dict()) for part in (state.network, critic)]
    losses = training.update(state, phase, L, ab)
    after = [weights_sha256(part.state_dict()) for part in (state.network, critic)]
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert losses.shape == (3,)
    assert training.loss_names(phase) == ["gan", "l1", "d"]
    gan, compute = GAN_LOSSES["gan"], phase.compute
    training.teach(state.adversary, gan, compute, L, ab, torch.rand(4, 2, 8, 8))
    assert weights_sha256(state.network.state_dict()) == after[0]
