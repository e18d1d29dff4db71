"""The phase engine: one flat loop that trains a network on one phase of an experiment.

A run that was killed goes on from its last checkpoint as if nothing had happened. The order of
pictures and their augmentation are functions of the seed, the phase and the epoch; all else that
decides the next step is in the checkpoint. On the CPU, with the same number of threads, the
weights come out bit for bit as those of an undisturbed run.

Pictures stay in memory as the int16 of the shards, on the device when they fit there. A batch is
converted, resized and augmented on the device, and the loop waits for the device only when it
writes a record.
"""

import io
import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom import losses
from photochrom.averages import STATISTICS, copy_of, follow
from photochrom.batches import random_key
from photochrom.boards import add_pictures, add_record, open_board
from photochrom.checkpoints import drop_after, load_state, save_state
from photochrom.device import compile_network, computed, out_of_memory, peak_memory, prepare
from photochrom.features import with_features
from photochrom.loading import batch_source
from photochrom.models.base import Colorizer, Distribution, Pretrained
from photochrom.models.patchgan import PatchGAN, SeedPatchGAN
from photochrom.perceptual import perceptual_loss
from photochrom.recipes import Compute, Phase, Recipe
from photochrom.runtime import EXIT_MODEL, StageError, Terminated, held_signals, log, progress
from photochrom.shards import ShardSet, TrainingSet
from photochrom.states import Adversary, State, pack, restore
from photochrom.strips import save_row
from photochrom.team import ALONE, Team
from photochrom.validation import Judges, load_judges, validate, watched_size

# Steps that one train record of the log averages.
LOG_EVERY = 10
# Seconds after which a team asks again whether one of it was told to stop: torchrun, told to stop,
# kills its processes 30 s later.
ASK_EVERY = 1.0

OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
DISCRIMINATORS: dict[str, type[PatchGAN]] = {
    "patchgan": PatchGAN,
    "patchgan-seed": SeedPatchGAN,
}


class NotFiniteError(StageError):
    """A loss or a weight became infinite or NaN."""


def train_phase(
    recipe: Recipe,
    network: Colorizer,
    train: TrainingSet | ShardSet,
    val: TrainingSet,
    device: torch.device,
    folder: Path,
    checkpoint_seconds: float,
    checkpoint_steps: int = 0,
    on_device: str = "auto",
    workers: int = 0,
    team: Team = ALONE,
    board_folder: Path | None = None,
) -> list[dict[str, Any]]:
    """Train `network` in place, going on from the checkpoint in `folder` if there is one.

    Returns the records of the log, which also grows in `folder`/log.jsonl for eyes that cannot
    wait: `train` records with the mean losses of LOG_EVERY steps; `val` records with the measures
    of `validate`, and in the first under `not_computed` what cannot be had and why; `rollback`
    records where training went back. Each look at the validation pictures leaves a row of the
    strip (`strips.save_row`) in `folder`; TensorBoard's files lie in `board_folder`.

    There is a checkpoint after `checkpoint_seconds` and, unless it is 0, at every
    `checkpoint_steps`th step; SIGTERM and SIGINT save one first. A loss or weight that is not
    finite never reaches a checkpoint: it is a StageError, or leads back to the last good state as
    the recipe says. Data that cannot serve the recipe is a StageError; so is too little memory,
    with EXIT_MEMORY.
    `on_device` and `workers` say where the training pictures are kept, see `loading.batch_source`,
    and change nothing in the result. The processes of a `team` share each batch; the first one
    validates and writes, so that only it has all records.
    """
    phase = recipe.phase
    state = start(recipe, network, device, team)
    check_feasible(phase, state, train, val)
    total = total_steps(phase, len(train.ids))
    folder.mkdir(parents=True, exist_ok=True)
    with team.first_goes_first():
        go_on(state, folder, device)
    batch_at: Callable[[int], tuple[Tensor, ...]] = batch_source(
        train, recipe, total, device, on_device, workers, team
    )
    if phase.encoder == "cached" and state.step < total:
        assert isinstance(network, Pretrained)  # check_feasible has seen to it
        batch_at = with_features(batch_at, network, train, recipe, device, folder, team)
    if phase.compute.compile and state.step < total:
        batch = batch_at(state.step)
        compile_network(network, [network.see(batch[0]), *batch[2:]], phase.compute)
    judges = load_judges(len(val.ids), device) if team.rank == 0 else Judges()
    size = watched_size(network, val)
    if state.step:
        log.info("%s: continuing from step %d of %d", phase.name, state.step, total)
    earlier, started = state.seconds, time.monotonic()
    saved = started

    def open_log() -> TextIO:
        path = folder / "log.jsonl"
        return path.open("w", encoding="utf-8") if team.rank == 0 else io.StringIO()

    def write_state(to: Path) -> None:
        packed = pack(state, device)
        if team.rank == 0:
            save_state(to, state.step, packed)

    def save() -> None:
        nonlocal saved
        check_finite(state, phase)
        state.seconds = earlier + time.monotonic() - started
        write_state(folder)
        saved = time.monotonic()

    with (
        held_signals() as received,
        open_log() as growing_log,
    ):

        def stop_if_asked() -> None:
            if team.any(bool(received)):
                save()
                log.info("%s: checkpoint at step %d of %d", phase.name, state.step, total)
                raise KeyboardInterrupt if signal.SIGINT in received[:1] else Terminated

        def leave_validation() -> None:
            # The others of a team do not validate: all stop together, after it.
            if received:
                raise Terminated

        board: Any = None

        def record(kind: str, values: Mapping[str, float], **more: Any) -> None:
            state.records.append(
                {
                    "kind": kind,
                    "phase": phase.name,
                    "step": state.step,
                    "epoch": -(-state.step // (len(train.ids) // phase.batch)),
                    **{name: float(f"{value:.6g}") for name, value in values.items()},
                    **more,
                    "seconds": round(earlier + time.monotonic() - started, 3),
                }
            )
            growing_log.write(json.dumps(state.records[-1]) + "\n")
            growing_log.flush()
            add_record(board, state.records[-1])

        def see(between_batches: Callable[[], None]) -> None:
            shown = state.average or network
            seen = validate(shown, val, size, phase.batch, device, between_batches, judges)
            save_row(folder, state.step, seen.pictures)
            first = not any(entry["kind"] == "val" for entry in state.records)
            more = {"not_computed": judges.missing} if first and judges.missing else {}
            record("val", seen.values, **more)
            add_pictures(board, seen.pictures, state.step)
            state.validated = state.step

        def look() -> None:
            if state.validated < state.step:
                check_finite(state, phase)
                if team.size == 1:
                    see(stop_if_asked)
                else:
                    if team.rank == 0:
                        with suppress(Terminated):
                            see(leave_validation)
                    stop_if_asked()
                state.validated = state.step
                if phase.on_nan.rollbacks:
                    write_state(folder / "good")

        def write_log() -> None:
            nonlocal board
            growing_log.seek(0)
            growing_log.truncate()
            growing_log.writelines(json.dumps(entry) + "\n" for entry in state.records)
            board = open_board(board_folder if team.rank == 0 else None, state.records)

        def roll_back(fault: NotFiniteError) -> None:
            failed_at, times = state.step, state.rollbacks + 1
            with team.first_goes_first():
                back = times <= phase.on_nan.rollbacks and go_on(state, folder / "good", device)
            if not back:
                raise fault
            state.rollbacks = times
            factor = phase.on_nan.factor**times
            record("rollback", {"failed_at": failed_at, "factor": factor})
            write_log()
            save()
            write_state(folder / "good")
            if team.rank == 0:
                drop_after(folder, state.step)
            log.warning(
                "phase %s: not finite after step %d; back at step %d, learning rates times %g",
                *(phase.name, failed_at, state.step, factor),
            )

        write_log()
        # A team has to agree on when it stops or saves, which takes a message.
        asked, steps_since, ask_after = time.monotonic(), 0, 1
        steps = remaining(state, total)
        if team.rank == 0:
            steps = progress(steps, total, phase.name, unit="steps", done=state.step)
        for step in steps:
            try:
                if step % phase.evaluate_every == 0:
                    look()
                set_rates(state, phase, step, total)
                state.window.append(step_within_memory(state, phase, batch_at))
                team.average(state.window[-1:])
                state.step += 1
                if state.average is not None and phase.ema is not None:
                    follow(state.average, network, phase.ema, state.step)
                if state.step % LOG_EVERY == 0 or state.step == total:
                    check_finite(state, phase)
                    means = torch.stack(state.window).cpu().double().mean(dim=0).tolist()
                    record("train", dict(zip(loss_names(phase), means, strict=True)))
                    state.window.clear()
                due = bool(checkpoint_steps) and state.step % checkpoint_steps == 0
                if team.size > 1:
                    steps_since += 1
                    if steps_since < ask_after and not due:
                        continue
                    pace = team.most((time.monotonic() - asked) / steps_since)
                    ask_after = max(1, min(LOG_EVERY, int(ASK_EVERY / max(pace, 1e-6))))
                    asked, steps_since = time.monotonic(), 0
                stop_if_asked()
                if team.any(due or time.monotonic() - saved >= checkpoint_seconds):
                    save()
            except NotFiniteError as fault:
                roll_back(fault)
        look()
        save()
        if board is not None:
            board.close()
    log.info("%s: peak memory %s", phase.name, peak_memory(device))
    if state.average is not None:
        network.load_state_dict(state.average.state_dict())
    return state.records


def go_on(state: State, folder: Path, device: torch.device) -> bool:
    """Bring `state` to the newest checkpoint in `folder`; whether there is one.

    StageError when that is of another network, optimizer or format.
    """
    packed = load_state(folder)
    if packed is None:
        return False
    try:
        restore(state, packed, device)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StageError(
            f"the checkpoint in {folder} is not of this recipe's networks and optimizers "
            f"({type(error).__name__}: {reason}); remove that folder to train the phase afresh",
            EXIT_MODEL,
        ) from error
    return True


def total_steps(phase: Phase, count: int) -> int:
    """The length of the phase on `count` training pictures."""
    return phase.steps or (phase.epochs or 0) * (count // phase.batch)


def remaining(state: State, total: int) -> Iterator[int]:
    """The steps from here to the end, counted from 0, also when `state` goes back meanwhile."""
    while state.step < total:
        yield state.step


def start(recipe: Recipe, network: Colorizer, device: torch.device, team: Team = ALONE) -> State:
    """The state before the first step. Moves `network` to the device and seeds torch.

    Before an optimizer steps, its gradients are averaged over the team; the network's are then
    shortened to `clip`.
    """
    phase = recipe.phase
    seen = [name for name in phase.losses if name in losses.PERCEPTUAL_LOSSES]
    perceptual: dict[str, nn.Module] = {name: perceptual_loss(name).to(device) for name in seen}
    torch.manual_seed(random_key(recipe.seed, phase.name, "start"))
    # cuDNN's fastest gradients differ from run to run.
    torch.backends.cudnn.deterministic = phase.compute.deterministic
    torch.backends.cudnn.benchmark = not phase.compute.deterministic
    prepare(network, phase.compute, device)
    team.join(network)
    if isinstance(network, Pretrained):
        network.encoder.requires_grad_(phase.encoder == "trained")
    average = None if phase.ema is None else copy_of(network)
    wanted = phase.optimizer
    try:
        optimizer = OPTIMIZERS[wanted.name](
            network.parameters(),
            lr=wanted.lr,
            betas=wanted.betas,
            weight_decay=wanted.weight_decay,
        )
        optimizer.register_step_pre_hook(lambda *_: meet(team, network, wanted.clip))
        if phase.discriminator is None:
            seed_own(recipe, team)
            return State(network, optimizer, None, average, perceptual, team)
        spec = phase.discriminator
        critic = DISCRIMINATORS[spec.name](spec.width, spec.layers)
    except KeyError as error:
        raise StageError(
            f"phase {phase.name}: {error} is neither an optimizer ({', '.join(OPTIMIZERS)}) "
            f"nor a discriminator ({', '.join(DISCRIMINATORS)})"
        ) from error
    except ValueError as error:
        raise StageError(f"phase {phase.name}: {error}") from error
    prepare(critic, phase.compute, device)
    team.join(critic)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=spec.lr, betas=spec.betas)
    critic_optimizer.register_step_pre_hook(lambda *_: meet(team, critic, None))
    seed_own(recipe, team)
    adversary = Adversary(critic, critic_optimizer)
    return State(network, optimizer, adversary, average, perceptual, team)


def meet(team: Team, module: nn.Module, clip: float | None) -> None:
    """Average the gradients over the team, then shorten them to the norm `clip`."""
    team.average([each.grad for each in module.parameters() if each.grad is not None])
    if clip is not None:
        nn.utils.clip_grad_norm_(module.parameters(), clip)


def seed_own(recipe: Recipe, team: Team) -> None:
    """Random numbers of its own for each process but the first, once equal weights are drawn."""
    if team.rank:
        torch.manual_seed(random_key(recipe.seed, recipe.phase.name, "start", team.rank))


def check_feasible(
    phase: Phase, state: State, train: TrainingSet | ShardSet, val: TrainingSet
) -> None:
    """StageError, before any training, when the data or a network cannot serve the phase."""
    where = f"phase {phase.name}:"
    if len(train.ids) < phase.batch:
        raise StageError(
            f"{where} its training split has {len(train.ids)} pictures, fewer than one batch of "
            f"{phase.batch}; lower batch or add photographs"
        )
    if phase.batch % state.team.size:
        raise StageError(
            f"{where} a batch of {phase.batch} cannot be shared by {state.team.size} processes; "
            "make it a multiple"
        )
    if not val.ids:
        raise StageError(f"{where} the validation split is empty; raise data.split.val")
    if phase.encoder != "trained" and not isinstance(state.network, Pretrained):
        raise StageError(
            f"{where} encoder is {phase.encoder}, but the network has no pretrained encoder, as "
            "encoder-unet and photochrom have; leave that key out"
        )
    if losses.REBALANCED in phase.losses and not isinstance(state.network, Distribution):
        raise StageError(
            f"{where} the loss {losses.REBALANCED} needs a network that chooses among colour bins, "
            "as zhang16 and photochrom do; take another loss, such as l1"
        )
    stored, multiple = train.size, state.network.multiple
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
    total = total_steps(phase, len(train.ids))
    if phase.optimizer.warmup > total:
        raise StageError(
            f"{where} warmup {phase.optimizer.warmup} is longer than its {total} steps"
        )
    if state.adversary is not None and phase.size < state.adversary.network.smallest:
        raise StageError(
            f"{where} size {phase.size} is below {state.adversary.network.smallest}, the least "
            "its discriminator can judge; raise size or lower the discriminator's layers"
        )


def set_rates(state: State, phase: Phase, step: int, total: int) -> None:
    """Set the learning rates for a step, counted from 0: they rise, stay, and fall to zero.

    Each rollback has made them smaller.
    """
    spec = phase.optimizer
    factor = min(1.0, (1.0 - step / total) / spec.decay) if spec.decay else 1.0
    if spec.shape == "cosine":
        factor = 0.5 - 0.5 * math.cos(math.pi * factor)
    if step < spec.warmup:
        factor *= (step + 1) / spec.warmup
    factor *= phase.on_nan.factor**state.rollbacks
    for group in state.optimizer.param_groups:
        group["lr"] = phase.optimizer.lr * factor
    if state.adversary is not None and phase.discriminator is not None:
        for group in state.adversary.optimizer.param_groups:
            group["lr"] = phase.discriminator.lr * factor


def step_within_memory(
    state: State, phase: Phase, batch_at: Callable[[int], tuple[Tensor, ...]]
) -> Tensor:
    """`update` on the next batch; StageError says which batch would fit where memory ends."""
    try:
        return update(state, phase, *batch_at(state.step))
    except torch.OutOfMemoryError:
        pass  # what the failed step held is free only after this clause

    def part(count: int) -> None:
        batch = (each[:count] for each in batch_at(state.step))
        update(state, phase, *batch)  # no checkpoint will see it

    device = next(state.network.parameters()).device
    # The others of a team would not take part in trials.
    alone = state.team.size == 1
    raise out_of_memory(phase.name, phase.batch, phase.size, part if alone else None, device)


def update(state: State, phase: Phase, L: Tensor, ab: Tensor, *seen: Tensor) -> Tensor:
    """One step on a batch; returns its unweighted losses on the device, as `loss_names` has them.

    `seen` is what the network's encoder sees in L, where that is known already.
    The discriminator learns first and then judges the network, as in pix2pix.
    """
    state.network.train()
    logits: Tensor | None = None
    given = state.network.see(L), *seen
    if isinstance(state.network, Distribution):
        logits, predicted = computed(state.network.predict, phase.compute, *given)
    else:
        predicted = computed(state.network, phase.compute, *given)
    told = [] if "l1" in phase.losses else [F.l1_loss(predicted.detach(), ab)]
    if state.adversary is not None:
        gan = adversarial_loss(phase)
        told.append(teach(state.adversary, gan, phase.compute, L, ab, predicted.detach()))
    values = [loss(name, state, phase.compute, logits, L, predicted, ab) for name in phase.losses]
    weighted = [weight * value for weight, value in zip(phase.losses.values(), values, strict=True)]
    state.optimizer.zero_grad()
    torch.stack(weighted).sum().backward()
    state.optimizer.step()
    return torch.stack([value.detach() for value in values + told])


def loss(
    name: str,
    state: State,
    compute: Compute,
    logits: Tensor | None,
    L: Tensor,
    predicted: Tensor,
    ab: Tensor,
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
        judged = computed(state.adversary.network, compute, L, predicted)
        return losses.GAN_LOSSES[name].generator(judged)
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
    adversary: Adversary,
    gan: losses.Gan,
    compute: Compute,
    L: Tensor,
    ab: Tensor,
    predicted: Tensor,
) -> Tensor:
    """One step of the discriminator on true and predicted ab; returns its loss."""
    adversary.network.requires_grad_(True)
    real = computed(adversary.network, compute, L, ab)
    fake = computed(adversary.network, compute, L, predicted)
    value = gan.discriminator(real, fake)
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
    """NotFiniteError when a loss since the last train record is infinite or NaN, or a tensor that
    a checkpoint would keep: weights, running statistics, the average, an optimizer's moments."""
    advice = (
        "this is never saved; lower the learning rates "
        f"(the network's is {phase.optimizer.lr:g}) or the losses' weights"
    )
    if state.window:
        table = torch.stack(state.window).cpu()
        for row, column in torch.nonzero(~torch.isfinite(table)).tolist():
            step = state.step - len(state.window) + row + 1
            raise NotFiniteError(
                f"phase {phase.name}: at step {step} the loss {loss_names(phase)[column]} is "
                f"{table[row, column].item()}; {advice}"
            )
    networks: list[nn.Module] = [state.network]
    optimizers = [state.optimizer]
    if state.adversary is not None:
        networks.append(state.adversary.network)
        optimizers.append(state.adversary.optimizer)
    if state.average is not None:
        networks.append(state.average)
    buffers = [named for each in networks for named in each.named_buffers()]
    known = [values for each in optimizers for values in each.state.values()]
    kept: dict[str, list[Tensor]] = {
        "weights": [weight for each in networks for weight in each.parameters()],
        "running statistics": [value for name, value in buffers if name.endswith(STATISTICS)],
        # Not the counts of steps, which stay on the CPU.
        "moments": [value for values in known for value in values.values() if value.ndim],
    }
    for name, tensors in kept.items():
        numbers = [each.detach() for each in tensors if each.numel()]
        largest = torch._foreach_norm(numbers, math.inf) if numbers else ()
        if largest and not torch.isfinite(torch.stack(largest)).all():
            raise NotFiniteError(
                f"phase {phase.name}: after step {state.step} some {name} are not finite; {advice}"
            )
