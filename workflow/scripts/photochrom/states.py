"""What a training phase has come to: everything that decides its next step, and its log."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from photochrom.models.base import Colorizer
from photochrom.models.patchgan import PatchGAN
from photochrom.team import ALONE, Team


@dataclass
class Adversary:
    """The discriminator with its optimizer."""

    network: PatchGAN
    optimizer: torch.optim.Optimizer


@dataclass
class State:
    """Everything that decides how training goes on, and the log so far.

    `average` is the moving average of the network where the phase has one, `perceptual` holds the
    perceptual losses, which never change. `step` counts the steps done, `rollbacks` how often
    training went back, `validated` is the step of the last val record, `window` holds the losses of
    the steps since the last train record, `seconds` is the time spent so far.
    """

    network: Colorizer
    optimizer: torch.optim.Optimizer
    adversary: Adversary | None
    average: Colorizer | None = None
    perceptual: dict[str, nn.Module] = field(default_factory=dict)
    team: Team = ALONE
    step: int = 0
    rollbacks: int = 0
    validated: int = -1
    seconds: float = 0.0
    window: list[Tensor] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)


def pack(state: State, device: torch.device) -> dict[str, Any]:
    """The state as plain values and tensors, for `save_state`; a team packs together."""
    packed: dict[str, Any] = {
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "rollbacks": state.rollbacks,
        "validated": state.validated,
        "seconds": state.seconds,
        "window": list(state.window),
        "records": state.records,
        "random": state.team.gathered(torch.get_rng_state()),
    }
    if device.type == "cuda":
        packed["random_cuda"] = state.team.gathered(torch.cuda.get_rng_state(device))
    if state.average is not None:
        packed["average"] = state.average.state_dict()
    if state.adversary is not None:
        packed["discriminator"] = state.adversary.network.state_dict()
        packed["discriminator_optimizer"] = state.adversary.optimizer.state_dict()
    return packed


def restore(state: State, packed: dict[str, Any], device: torch.device) -> None:
    """Bring `state` to where `pack` left it. What is of other networks raises what torch raises."""
    state.network.load_state_dict(packed["network"])
    state.optimizer.load_state_dict(packed["optimizer"])
    if state.adversary is not None:
        state.adversary.network.load_state_dict(packed["discriminator"])
        state.adversary.optimizer.load_state_dict(packed["discriminator_optimizer"])
    if state.average is not None:
        state.average.load_state_dict(packed["average"])
    state.step, state.validated = packed["step"], packed["validated"]
    state.rollbacks = packed["rollbacks"]
    state.seconds, state.records = packed["seconds"], packed["records"]
    state.window = [losses_of_step.to(device) for losses_of_step in packed["window"]]
    rank = state.team.rank
    if rank < len(packed["random"]):
        torch.set_rng_state(packed["random"][rank].clone())  # of a view torch reads too much
    if device.type == "cuda" and rank < len(packed.get("random_cuda", ())):
        torch.cuda.set_rng_state(packed["random_cuda"][rank].clone(), device)
