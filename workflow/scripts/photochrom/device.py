"""What training asks of the device: precision, layout, compilation and memory."""

import copy
import resource
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from photochrom.models.base import Colorizer, Distribution
from photochrom.recipes import Compute
from photochrom.runtime import EXIT_MEMORY, StageError, log

# Estimates of what fits leave this share of the device's memory alone.
SPARE = 0.05


def prepare(module: nn.Module, compute: Compute, device: torch.device) -> None:
    """Move a network to the device in the layout that the recipe asks for."""
    module.to(device)
    if compute.memory_format == "channels_last":
        module.to(memory_format=torch.channels_last)


def computed(function: Callable[..., Any], compute: Compute, *inputs: Tensor) -> Any:
    """What a network's `function` answers, in float32, calculated as the recipe asks.

    Under bf16 only the network itself runs in autocast: losses and colour conversions take the
    float32 answer. Backward follows the types of the forward pass by itself.
    """
    if compute.memory_format == "channels_last":
        inputs = tuple(each.contiguous(memory_format=torch.channels_last) for each in inputs)
    if compute.precision == "fp32":
        return function(*inputs)
    with torch.autocast(inputs[0].device.type, torch.bfloat16):
        answer = function(*inputs)
    if isinstance(answer, Tensor):
        return answer.float()
    return tuple(each.float() for each in answer)


def compile_network(network: Colorizer, inputs: Sequence[Tensor], compute: Compute) -> bool:
    """Compile the network's passes in place, after a trial on the `inputs`; whether it worked.

    The trial runs forward and backward on a copy, because torch.compile fails late, in the first
    step; where it fails the network stays as it is and one line says so. No random numbers are
    used up.
    """
    trial = copy.deepcopy(network).train()
    device = inputs[0].device
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            _compile(trial)
            computed(trial, compute, *inputs).sum().backward()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        log.warning("torch.compile fails, training goes on without it: %s", reason)
        return False
    _compile(network)
    return True


def _compile(network: Colorizer) -> None:
    # On the instance, not by wrapping it: names of weights and the class stay what they are.
    name = "predict" if isinstance(network, Distribution) else "forward"
    setattr(network, name, torch.compile(getattr(network, name)))


def peak_memory(device: torch.device) -> str:
    """The most memory that was used so far, in words."""
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB of the GPU"
    # In KiB on Linux.
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB"


def cuda_peak(step: Callable[[int], object], device: torch.device) -> Callable[[int], int]:
    """A function that runs `step` on so many pictures and gives its peak in bytes."""

    def peak(count: int) -> int:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        step(count)
        return torch.cuda.max_memory_allocated(device)

    return peak


def fitting_batch(peak: Callable[[int], int], limit: int, batch: int) -> int:
    """The largest batch below `batch` whose peak should stay below `limit` bytes; 0 for none.

    `peak(n)` is the bytes a step on n pictures needs, which grows linearly: it is measured at
    two small batches. OutOfMemoryError there leads to smaller ones.
    """
    few = max(1, batch // 8)
    try:
        less, more = peak(few), peak(2 * few)
    except torch.OutOfMemoryError:
        return fitting_batch(peak, limit, few) if few > 1 else 0
    each = max(1.0, (more - less) / few)
    most = int(((1 - SPARE) * limit - (less - each * few)) // each)
    return max(0, min(batch - 1, most))


def out_of_memory(
    phase: str, batch: int, size: int, step: Callable[[int], object] | None, device: torch.device
) -> StageError:
    """The error that says which batch would fit, tried out by `step(count)` on smaller ones."""
    fits = 0
    if step is not None and batch > 1 and device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        limit = free + torch.cuda.memory_reserved(device)
        fits = fitting_batch(cuda_peak(step, device), limit, batch)
    advice = (
        f"a batch of {fits} should fit"
        if fits
        else "lower its batch, its size or the network's width"
    )
    return StageError(
        f"phase {phase}: the device has not the memory for {batch} pictures of {size} pixels in a "
        f"step; {advice}",
        EXIT_MEMORY,
    )
