"""What training sees: the order of an epoch, and its batches on the device.

Whatever is random here is a function of the seed, the phase and the epoch, so that a run can go
on at any step without having kept a generator's state.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from photochrom.ageing import CHANCES, aged
from photochrom.recipes import Augment, Phase
from photochrom.shards import TrainingSet


def random_key(*parts: object) -> int:
    """A 63-bit seed that depends on all `parts` and on nothing else."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Resident:
    """A TrainingSet whose integers lie on a device."""

    ids: list[str]
    L: Tensor  # int16 (N, 1, H, W)
    ab: Tensor  # int16 (N, 2, H, W)
    scale: float


@lru_cache(maxsize=1)
def epoch_plan(
    seed: int, phase: str, epoch: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The order of `count` pictures in an epoch, and eleven chances in [0, 1) for each picture.

    The first five are those of `augmented`, the others those of `aged`.
    """
    generator = np.random.default_rng(random_key(seed, phase, epoch))
    order = generator.permutation(count)
    parts = [generator.random((count, many), dtype=np.float32) for many in (5, CHANCES)]
    return order, np.concatenate(parts, axis=1)


def step_plan(
    seed: int, phase: Phase, step: int, count: int, rank: int = 0, size: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of the pictures in a step, counted from 0, and the chances (n,11) of each.

    What does not fill a batch at the end of an epoch comes in other epochs. Process `rank` of
    `size` gets its part of the batch.
    """
    per_epoch = count // phase.batch
    order, chances = epoch_plan(seed, phase.name, step // per_epoch, count)
    own = phase.batch // size
    first = step % per_epoch * phase.batch + rank * own
    rows = order[first : first + own]
    return rows, chances[rows]


def load_batch(
    data: TrainingSet | Resident, rows: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor]:
    """L (n,1,H,W) and ab (n,2,H,W) of some rows, float32 in [-1,1], on the device."""
    if isinstance(data, Resident):
        index = torch.from_numpy(rows).to(data.L.device)
        L, ab = data.L[index], data.ab[index]
    else:
        L, ab = torch.from_numpy(data.L[rows]), torch.from_numpy(data.ab[rows])
    return L.to(device).float() * data.scale, ab.to(device).float() * data.scale


def resident(
    data: TrainingSet, device: torch.device, choice: str, free: int
) -> TrainingSet | Resident:
    """The pictures on the device, where batches are gathered without the CPU, if they fit.

    `choice` is `always`, `never` or `auto`: at most half of the `free` bytes of the device. In
    main memory they are on the CPU's device already.
    """
    size = data.L.nbytes + data.ab.nbytes
    if device.type == "cpu" or choice == "never" or (choice == "auto" and size > free / 2):
        return data
    L, ab = torch.from_numpy(data.L).to(device), torch.from_numpy(data.ab).to(device)
    return Resident(data.ids, L, ab, data.scale)


def augmented(
    L: Tensor, ab: Tensor, chances: NDArray[np.float32], augment: Augment
) -> tuple[Tensor, Tensor]:
    """The batch, each picture changed as the first five of its `chances` say.

    Mirrored or not; a square of it, at least `augment.crop` of its side, enlarged to the whole;
    its chroma multiplied by a factor from the range `augment.chroma`.
    """
    chance = torch.from_numpy(chances).to(L.device)
    if augment.flip:
        mirror = (chance[:, 0] < 0.5)[:, None, None, None]
        L, ab = torch.where(mirror, L.flip(-1), L), torch.where(mirror, ab.flip(-1), ab)
    if augment.crop < 1:
        share = augment.crop + (1 - augment.crop) * chance[:, 1]
        where = torch.zeros(len(L), 2, 3, device=L.device)  # to the square from the whole
        where[:, 0, 0] = where[:, 1, 1] = share
        where[:, :, 2] = (2 * chance[:, 2:4] - 1) * (1 - share)[:, None]
        grid = F.affine_grid(where, [len(L), 3, *L.shape[2:]], align_corners=False)
        whole = torch.cat([L, ab], dim=1)
        square = F.grid_sample(whole, grid, padding_mode="border", align_corners=False)
        L, ab = square[:, :1], square[:, 1:]
    low, high = augment.chroma
    if (low, high) != (1, 1):
        ab = ab * (low + (high - low) * chance[:, 4])[:, None, None, None]
    return L, ab


def as_seen(
    L: Tensor, ab: Tensor, chances: NDArray[np.float32], phase: Phase
) -> tuple[Tensor, Tensor]:
    """The stored batch as training sees it, at the phase's size; `chances` (n,11)."""
    L, ab = shrunk(*augmented(L, ab, chances, phase.augment), phase.size)
    if phase.augment.aged:
        L = aged(L, ab, chances[:, 5:], phase.augment.aged)
    return L, ab


def shrunk(L: Tensor, ab: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The batch at `size` pixels, at most its own: each pixel the mean of the area it covers."""
    if L.shape[-1] == size:
        return L, ab
    area = (size, size)
    return F.interpolate(L, area, mode="area"), F.interpolate(ab, area, mode="area")
