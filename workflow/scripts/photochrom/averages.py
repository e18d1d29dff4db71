"""The exponential moving average of a network's weights, which is validated and published."""

import copy

import torch
from torch import Tensor

from photochrom.models.base import Colorizer

# Batch normalization's running statistics, by the ends of their names.
STATISTICS = ("running_mean", "running_var")


def copy_of(network: Colorizer) -> Colorizer:
    """The average before the first step: a copy that no gradient reaches."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(average: Colorizer, network: Colorizer, decay: float, step: int) -> None:
    """Move `average` towards `network` after its step number `step`, 1 for the first.

    The decay grows to `decay` as (1 + step) / (10 + step), so that the first, random weights are
    soon forgotten. Running statistics of batch normalization are averaged as the weights are:
    what they measure follows the weights, and those of the last step belong to weights that the
    average is behind. Other buffers (counts, constants) are copied.
    """
    share = 1 - min(decay, (1 + step) / (10 + step))
    mine: list[Tensor] = list(average.parameters())
    its: list[Tensor] = list(network.parameters())
    counts: list[Tensor] = []
    its_counts: list[Tensor] = []
    for (name, buffer), other in zip(average.named_buffers(), network.buffers(), strict=True):
        if name.endswith(STATISTICS):
            mine.append(buffer)
            its.append(other)
        else:
            counts.append(buffer)
            its_counts.append(other)
    torch._foreach_lerp_(mine, its, share)
    if counts:
        torch._foreach_copy_(counts, its_counts)
