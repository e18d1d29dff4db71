"""Processes that train together, each on its part of every batch.

`torchrun --nproc-per-node N -- train.py ...` starts them; Hugging Face Accelerate joins them, and
is imported only then. All hold the same weights: the gradients of each optimizer are averaged in
one message before it moves anything, which is exact for any number of networks and passes, and
cheap beside the convolutions at the sizes of networks trained here.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from photochrom.runtime import StageError

# How long the others wait while the first validates and writes.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Team:
    """This process is number `rank` of `size`; the first one validates, writes and reports.

    A process that works alone is a team of one, for which all of this does nothing.
    """

    rank: int = 0
    size: int = 1
    accelerator: Any = None

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in one message."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        means = self.accelerator.reduce(flat, "mean").split([each.numel() for each in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.detach().copy_(mean.view(tensor.shape))

    def any(self, flag: bool) -> bool:
        """Whether one of the processes says so. All have to ask at the same step."""
        if self.size == 1:
            return flag
        told = torch.tensor(float(flag), device=self.accelerator.device)
        return bool(self.accelerator.reduce(told, "sum").item() > 0)

    def most(self, value: float) -> float:
        """The largest of the processes' values. All have to ask at the same step."""
        if self.size == 1:
            return value
        told = torch.tensor([value], device=self.accelerator.device)
        return float(self.accelerator.gather(told).max().item())

    def gathered(self, value: Tensor) -> Tensor:
        """The values of all processes, stacked in their order, on the CPU."""
        if self.size == 1:
            return value[None]
        return self.accelerator.gather(value[None].to(self.accelerator.device)).cpu()

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The others do what follows after the first has done it."""
        if self.size == 1:
            yield
            return
        with self.accelerator.main_process_first():
            yield

    def join(self, module: nn.Module) -> None:
        """Let batch normalization see the whole batch. What keeps its statistics stays as it is."""
        if self.size == 1:
            return
        for parent in list(module.modules()):
            for name, part in parent.named_children():
                # Not of a subclass: timm's have an activation inside, and keep their statistics.
                if type(part) is nn.BatchNorm2d:
                    setattr(parent, name, SharedBatchNorm2d.like(part))

    def leave(self) -> None:
        """Part in an orderly way, at the end."""
        if self.accelerator is not None:
            self.accelerator.end_training()


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization (Ioffe and Szegedy 2015) over the parts of all processes, alike in size.

    torch's own SyncBatchNorm does the same for CUDA alone.
    """

    @classmethod
    def like(cls, norm: nn.BatchNorm2d) -> "SharedBatchNorm2d":
        """One with the numbers of `norm`, in the same mode and place."""
        options = {name: getattr(norm, name) for name in ("eps", "momentum", "affine")}
        shared = cls(norm.num_features, **options, track_running_stats=norm.track_running_stats)
        weight = next(iter(norm.state_dict().values()), torch.empty(0))
        shared.to(weight.device).load_state_dict(norm.state_dict())
        return shared.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        size = distributed.get_world_size()
        mean = _Sum.apply(x.float().mean(dim=(0, 2, 3))) / size
        centred = x.float() - mean[:, None, None]
        variance = _Sum.apply(centred.square().mean(dim=(0, 2, 3))) / size
        if self.running_mean is not None and self.running_var is not None:
            count = size * x.numel() / x.shape[1]
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
            share = self.momentum
            if share is None:
                share = 1 / int(self.num_batches_tracked)
            self.running_mean.lerp_(mean.detach(), share)
            self.running_var.lerp_(variance.detach() * count / (count - 1), share)
        scaled = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        if self.affine:
            scaled = scaled * self.weight[:, None, None] + self.bias[:, None, None]
        return scaled.to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


ALONE = Team()


def assemble(device: torch.device) -> tuple[Team, torch.device]:
    """The team that torchrun has started, and this process's own device."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return ALONE, device
    from accelerate import Accelerator, InitProcessGroupKwargs

    local = int(os.environ["LOCAL_RANK"])
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise StageError(
                f"torchrun started process {local + 1} on this machine, which has "
                f"{torch.cuda.device_count()} GPUs; lower --nproc-per-node"
            )
        device = torch.device("cuda", local)
    accelerator = Accelerator(
        cpu=device.type == "cpu", kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)]
    )
    return Team(accelerator.process_index, accelerator.num_processes, accelerator), device
