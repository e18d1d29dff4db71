"""The phase engine: one flat loop that trains a network on one phase of an experiment.

A run that was killed goes on from its last checkpoint as if nothing had happened. The order of
pictures and their augmentation are functions of the seed, the phase and the epoch; all else that
decides the next step is in the checkpoint. On the CPU, with the same number of threads, the
weights come out bit for bit as those of an undisturbed run.

Pictures stay in memory as the int16 of the shards. A batch is converted, resized and augmented
on the device, and the loop waits for the device only when it writes a record.
"""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom import losses
from photochrom.batches import augmented, epoch_plan, load_batch, random_key, shrunk
from photochrom.checkpoints import load_state, save_state
from photochrom.models.base import Colorizer, Distribution
from photochrom.models.patchgan import PatchGAN, SeedPatchGAN
from photochrom.perceptual import perceptual_loss
from photochrom.recipes import Phase, Recipe
from photochrom.runtime import StageError, Terminated, log, progress
from photochrom.shards import TrainingSet
from photochrom.validation import validate

# Steps that one train record of the log averages.
LOG_EVERY = 10

OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam}
DISCRIMINATORS: dict[str, type[PatchGAN]] = {
    "patchgan": PatchGAN,
    "patchgan-seed": SeedPatchGAN,
}


@dataclass
class Adversary:
    """The discriminator with its optimizer."""

    network: PatchGAN
    optimizer: torch.optim.Optimizer


@dataclass
class State:
    """Everything that decides how training goes on, and the log so far.

    `perceptual` holds the perceptual losses, which never change. `step` counts the steps done,
    `validated` is the step of the last val record, `window` holds the losses of the steps since the
    last train record, `seconds` is the time spent so far.
    """

    network: Colorizer
    optimizer: torch.optim.Optimizer
    adversary: Adversary | None
    perceptual: dict[str, nn.Module] = field(default_factory=dict)
    step: int = 0
    validated: int = -1
    seconds: float = 0.0
    window: list[Tensor] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)


def train_phase(
    recipe: Recipe,
    network: Colorizer,
    train: TrainingSet,
    val: TrainingSet,
    device: torch.device,
    folder: Path,
    checkpoint_seconds: float,
) -> list[dict[str, Any]]:
    """Train `network` in place, going on from the checkpoint in `folder` if there is one.

    Returns the records of the log, which also grows in `folder`/log.jsonl for eyes that cannot
    wait: `train` records with the mean losses of LOG_EVERY steps, `val` records with the measures
    of `validate`. SIGTERM and SIGINT save a checkpoint first. A loss or weight that is not finite
    is a StageError and never reaches a checkpoint; so is data that cannot serve the recipe.
    """
    phase = recipe.phase
    state = start(recipe, network, device)
    check_feasible(phase, state, train, val)
    per_epoch = len(train.ids) // phase.batch  # what is left over comes in other epochs
    total = per_epoch * phase.epochs
    folder.mkdir(parents=True, exist_ok=True)
    restore(state, load_state(folder), device)
    if state.step:
        log.info("%s: continuing from step %d of %d", phase.name, state.step, total)
    earlier, started = state.seconds, time.monotonic()
    saved = started

    def save() -> None:
        nonlocal saved
        check_finite(state, phase)
        state.seconds = earlier + time.monotonic() - started
        save_state(folder, state.step, pack(state, device))
        saved = time.monotonic()

    with (
        held_signals() as received,
        (folder / "log.jsonl").open("w", encoding="utf-8") as growing_log,
    ):

        def stop_if_asked() -> None:
            if received:
                save()
                log.info("%s: checkpoint at step %d of %d", phase.name, state.step, total)
                raise Terminated if received[0] == signal.SIGTERM else KeyboardInterrupt

        def record(kind: str, values: dict[str, float]) -> None:
            state.records.append(
                {
                    "kind": kind,
                    "phase": phase.name,
                    "step": state.step,
                    "epoch": -(-state.step // per_epoch),
                    **{name: float(f"{value:.6g}") for name, value in values.items()},
                    "seconds": round(earlier + time.monotonic() - started, 3),
                }
            )
            growing_log.write(json.dumps(state.records[-1]) + "\n")
            growing_log.flush()

        def look() -> None:
            if state.validated < state.step:
                check_finite(state, phase)
                values = validate(network, val, phase.size, phase.batch, device, stop_if_asked)
                record("val", values)
                state.validated = state.step

        growing_log.writelines(json.dumps(entry) + "\n" for entry in state.records)
        epoch, order, chances = -1, np.empty(0, np.int64), np.empty(0, np.float32)
        for step in progress(
            range(state.step, total), total, phase.name, unit="steps", done=state.step
        ):
            if step % phase.evaluate_every == 0:
                look()
            if step // per_epoch != epoch:
                epoch = step // per_epoch
                order, chances = epoch_plan(recipe.seed, phase.name, epoch, len(train.ids))
            first = step % per_epoch * phase.batch
            rows = order[first : first + phase.batch]
            L, ab = augmented(*load_batch(train, rows, device), chances[rows], phase.augment)
            L, ab = shrunk(L, ab, phase.size)
            set_rates(state, phase, step / total)
            state.window.append(update(state, phase, L, ab))
            state.step += 1
            if state.step % LOG_EVERY == 0 or state.step == total:
                check_finite(state, phase)
                means = torch.stack(state.window).cpu().double().mean(dim=0).tolist()
                record("train", dict(zip(loss_names(phase), means, strict=True)))
                state.window.clear()
            stop_if_asked()
            if time.monotonic() - saved >= checkpoint_seconds:
                save()
        look()
        save()
    return state.records


def start(recipe: Recipe, network: Colorizer, device: torch.device) -> State:
    """The state before the first step. Moves `network` to the device and seeds torch."""
    phase = recipe.phase
    wanted = [name for name in phase.losses if name in losses.PERCEPTUAL_LOSSES]
    perceptual: dict[str, nn.Module] = {name: perceptual_loss(name).to(device) for name in wanted}
    torch.manual_seed(random_key(recipe.seed, phase.name, "start"))
    torch.backends.cudnn.deterministic = True  # cuDNN's fastest gradients differ from run to run
    network.to(device)
    try:
        make = OPTIMIZERS[phase.optimizer.name]
        optimizer = make(network.parameters(), lr=phase.optimizer.lr, betas=phase.optimizer.betas)
        if phase.discriminator is None:
            return State(network, optimizer, None, perceptual)
        spec = phase.discriminator
        critic = DISCRIMINATORS[spec.name](spec.width, spec.layers).to(device)
    except KeyError as error:
        raise StageError(
            f"phase {phase.name}: {error} is neither an optimizer ({', '.join(OPTIMIZERS)}) "
            f"nor a discriminator ({', '.join(DISCRIMINATORS)})"
        ) from error
    except ValueError as error:
        raise StageError(f"phase {phase.name}: {error}") from error
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=spec.lr, betas=spec.betas)
    return State(network, optimizer, Adversary(critic, critic_optimizer), perceptual)


def check_feasible(phase: Phase, state: State, train: TrainingSet, val: TrainingSet) -> None:
    """StageError, before any training, when the data or a network cannot serve the phase."""
    where = f"phase {phase.name}:"
    if len(train.ids) < phase.batch:
        raise StageError(
            f"{where} its training split has {len(train.ids)} pictures, fewer than one batch of "
            f"{phase.batch}; lower batch or add photographs"
        )
    if not val.ids:
        raise StageError(f"{where} the validation split is empty; raise data.split.val")
    if losses.REBALANCED in phase.losses and not isinstance(state.network, Distribution):
        raise StageError(
            f"{where} the loss {losses.REBALANCED} needs a network that chooses among colour bins, "
            "as zhang16 and photochrom do; take another loss, such as l1"
        )
    stored, multiple = train.L.shape[-1], state.network.multiple
    if phase.size > stored:
        raise StageError(
            f"{where} size {phase.size} is larger than the {stored} of the shards; "
            "raise data.size or lower the phase's size"
        )
    if phase.size % multiple:
        raise StageError(
            f"{where} size {phase.size} is not a multiple of {multiple}, as the network needs; "
            f"{max(multiple, phase.size // multiple * multiple)} would be"
        )
    normalizes = any(
        isinstance(part, nn.BatchNorm2d) and part.training
        for part in state.network.train().modules()
    )
    if normalizes and phase.batch == 1 and phase.size == multiple:
        raise StageError(
            f"{where} batch normalization has nothing to compare where one picture of {phase.size} "
            "pixels has become a single one; raise batch to 2 or more"
        )
    if state.adversary is not None and phase.size < state.adversary.network.smallest:
        raise StageError(
            f"{where} size {phase.size} is below {state.adversary.network.smallest}, the least "
            "its discriminator can judge; raise size or lower the discriminator's layers"
        )


def set_rates(state: State, phase: Phase, done: float) -> None:
    """Set the learning rates for the share `done` of the phase: constant, then down to zero."""
    decay = phase.optimizer.decay
    factor = min(1.0, (1.0 - done) / decay) if decay else 1.0
    for group in state.optimizer.param_groups:
        group["lr"] = phase.optimizer.lr * factor
    if state.adversary is not None and phase.discriminator is not None:
        for group in state.adversary.optimizer.param_groups:
            group["lr"] = phase.discriminator.lr * factor


def update(state: State, phase: Phase, L: Tensor, ab: Tensor) -> Tensor:
    """One step on a batch; returns its unweighted losses on the device, as `loss_names` has them.

    The discriminator learns first and then judges the network, as in pix2pix.
    """
    state.network.train()
    logits: Tensor | None = None
    if isinstance(state.network, Distribution):
        logits, predicted = state.network.predict(L)
    else:
        predicted = state.network(L)
    told = [] if "l1" in phase.losses else [F.l1_loss(predicted.detach(), ab)]
    if state.adversary is not None:
        told.append(teach(state.adversary, adversarial_loss(phase), L, ab, predicted.detach()))
    values = [loss(name, state, logits, L, predicted, ab) for name in phase.losses]
    weighted = [weight * value for weight, value in zip(phase.losses.values(), values, strict=True)]
    state.optimizer.zero_grad()
    torch.stack(weighted).sum().backward()
    state.optimizer.step()
    return torch.stack([value.detach() for value in values + told])


def loss(
    name: str, state: State, logits: Tensor | None, L: Tensor, predicted: Tensor, ab: Tensor
) -> Tensor:
    """One unweighted loss of the network's answer, `predicted` and, if it gives them, `logits`."""
    if name in losses.PIXEL_LOSSES:
        return losses.PIXEL_LOSSES[name](predicted, ab)
    if name in losses.PICTURE_LOSSES:
        return losses.PICTURE_LOSSES[name](L, predicted, ab)
    if name in losses.PERCEPTUAL_LOSSES:
        return state.perceptual[name](L, predicted, ab)
    if name in losses.GAN_LOSSES:
        assert state.adversary is not None  # a recipe has both or neither
        return losses.GAN_LOSSES[name].generator(state.adversary.network(L, predicted))
    network = state.network
    assert isinstance(network, Distribution)  # check_feasible has seen to it
    assert logits is not None
    return losses.rebalanced_cross_entropy(
        logits, ab, network.bins, network.weights, network.neighbours
    )


def adversarial_loss(phase: Phase) -> losses.Gan:
    """The adversarial loss of a phase that has a discriminator, and so exactly one."""
    (name,) = phase.losses.keys() & losses.GAN_LOSSES.keys()
    return losses.GAN_LOSSES[name]


def teach(
    adversary: Adversary, gan: losses.Gan, L: Tensor, ab: Tensor, predicted: Tensor
) -> Tensor:
    """One step of the discriminator on true and predicted ab; returns its loss."""
    adversary.network.requires_grad_(True)
    value = gan.discriminator(adversary.network(L, ab), adversary.network(L, predicted))
    adversary.optimizer.zero_grad()
    value.backward()
    adversary.optimizer.step()
    adversary.network.requires_grad_(False)  # spares the network's step these gradients
    return value


def loss_names(phase: Phase) -> list[str]:
    """The losses of the recipe, `l1` in any case, and `d` for the discriminator's own."""
    names = list(phase.losses)
    names += [] if "l1" in names else ["l1"]
    return names + ([] if phase.discriminator is None else ["d"])


def check_finite(state: State, phase: Phase) -> None:
    """StageError when a loss since the last train record, or a weight, is infinite or NaN."""
    advice = (
        "this is never saved; lower the learning rates "
        f"(the network's is {phase.optimizer.lr:g}) or the losses' weights"
    )
    if state.window:
        table = torch.stack(state.window).cpu()
        for row, column in torch.nonzero(~torch.isfinite(table)).tolist():
            step = state.step - len(state.window) + row + 1
            raise StageError(
                f"phase {phase.name}: at step {step} the loss {loss_names(phase)[column]} is "
                f"{table[row, column].item()}; {advice}"
            )
    networks = [state.network] + ([state.adversary.network] if state.adversary else [])
    finite = [torch.isfinite(weight).all() for part in networks for weight in part.parameters()]
    if not torch.stack(finite).all():
        raise StageError(
            f"phase {phase.name}: after step {state.step} some weights are not finite; {advice}"
        )


def pack(state: State, device: torch.device) -> dict[str, Any]:
    """The state as plain values and tensors, for `save_state`."""
    packed: dict[str, Any] = {
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "validated": state.validated,
        "seconds": state.seconds,
        "window": list(state.window),
        "records": state.records,
        "random": torch.get_rng_state(),
    }
    if device.type == "cuda":
        packed["random_cuda"] = torch.cuda.get_rng_state(device)
    if state.adversary is not None:
        packed["discriminator"] = state.adversary.network.state_dict()
        packed["discriminator_optimizer"] = state.adversary.optimizer.state_dict()
    return packed


def restore(state: State, packed: dict[str, Any] | None, device: torch.device) -> None:
    """Bring `state` to where `pack` left it; nothing when there is no checkpoint."""
    if packed is None:
        return
    state.network.load_state_dict(packed["network"])
    state.optimizer.load_state_dict(packed["optimizer"])
    if state.adversary is not None:
        state.adversary.network.load_state_dict(packed["discriminator"])
        state.adversary.optimizer.load_state_dict(packed["discriminator_optimizer"])
    state.step, state.validated = packed["step"], packed["validated"]
    state.seconds, state.records = packed["seconds"], packed["records"]
    state.window = [losses_of_step.to(device) for losses_of_step in packed["window"]]
    torch.set_rng_state(packed["random"])
    if device.type == "cuda" and "random_cuda" in packed:
        torch.cuda.set_rng_state(packed["random_cuda"], device)


@contextmanager
def held_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT in the list, so that a step is never cut in half.

    One that nobody answered is delivered again afterwards. A second one is not held: who sends
    two cannot wait.
    """
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def hold(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for each, handler in handlers.items():
            signal.signal(each, handler)

    for number in handlers:
        signal.signal(number, hold)
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])
