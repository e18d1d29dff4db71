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
from torch import Tensor, nn

from photochrom.runtime import StageError, log

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

    def join(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The network with batch normalization over the whole batch, which only CUDA can do."""
        parts = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
        if self.size == 1 or not parts:
            return module
        if device.type == "cpu":
            if self.rank == 0:
                log.warning("on CPUs batch normalization is over each process's part of a batch")
            return module
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)

    def leave(self) -> None:
        """Part in an orderly way, at the end."""
        if self.accelerator is not None:
            self.accelerator.end_training()


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
