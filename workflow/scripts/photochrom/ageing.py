"""Old photographs made of good ones while training, so that a network knows what it will meet.

What makes an archive's scan unlike the lightness of a photograph: a plate that saw blue above all,
a soft lens, grain, and contrast that has faded. `photochrom.degradations` are those that models are
judged on; these are other draws, milder and mixed, and never the same twice.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from photochrom.color import AB_SCALE, L_SCALE, lab_to_rgb_torch, rgb_to_lab_torch

# Chances that one picture takes.
CHANCES = 6

# Weights of gamma-coded red, green and blue: the eye's (ITU-R BT.601), and those of a plate.
EYE = (0.299, 0.587, 0.114)
PLATE = (0.0, 0.1, 0.9)
# L* up to which black may rise, and down to which white may sink.
BLACK, WHITE = 25.0, 80.0
# Largest standard deviation of the grain, in L*.
GRAIN = 6.0
# Standard deviation of the softest lens, in pixels of the training size, and its reach.
BLUR, REACH = 1.5, 4
# Side of the sheet of which each picture's grain is a part: large enough for each to be another.
SHEET = 1024


def aged(L: Tensor, ab: Tensor, chances: NDArray[np.float32], share: float) -> Tensor:
    """The lightness L (N,1,H,W), in [-1,1], with a `share` of the pictures aged.

    `ab` (N,2,H,W) are the true colours, by which a plate sees; `chances` (N,CHANCES) in [0,1)
    decide whether each picture is aged, and how: sensitivity, black, white, grain, blur.
    """
    chance = torch.from_numpy(chances).to(L.device)[:, :, None, None, None]
    plate, black, white, grain, blur = chance[:, 1:].unbind(dim=1)
    rgb = lab_to_rgb_torch((L + 1) * L_SCALE, ab * AB_SCALE)
    weights = torch.tensor([EYE, PLATE], device=L.device)
    sight = torch.lerp(weights[0], weights[1], plate.flatten()[:, None] ** 2)
    exposure = (rgb * sight[:, :, None, None]).sum(dim=1, keepdim=True)
    seen = rgb_to_lab_torch(exposure.expand(-1, 3, -1, -1))[0]
    seen = torch.lerp(seen, _soft(seen), blur)
    strength = GRAIN * grain * (4 * seen / 100 * (1 - seen / 100)).clamp(min=0).sqrt()
    seen = (seen + strength * _noise(chances, L)).clamp(0, 100)
    low, high = BLACK * black**2, 100 - (100 - WHITE) * white**2
    seen = (low + (high - low) * seen / 100) / L_SCALE - 1
    return torch.where(chance[:, 0] < share, seen, L)


def _soft(L: Tensor) -> Tensor:
    """L under the softest lens."""
    x = torch.arange(-REACH, REACH + 1, device=L.device)
    row = torch.exp(-(x**2) / (2 * BLUR**2))
    kernel = (row / row.sum())[None, None, None]
    wide = F.pad(L, (REACH, REACH, REACH, REACH), mode="replicate")
    return F.conv2d(F.conv2d(wide, kernel), kernel.mT)


def _noise(chances: NDArray[np.float32], like: Tensor) -> Tensor:
    """Grain of a standard deviation of one, a bit wider than a pixel; each picture has its own.

    It is cut out of one sheet of grain, which is drawn once, at a place that the chances decide.
    """
    height, width = like.shape[-2:]
    # Their sum as a whole number, spread over the sheet (Knuth's multiplicative hashing).
    lots = (chances.astype(np.float64).sum(axis=1) * 2**24).astype(np.int64) * 2654435761
    corner = torch.from_numpy(lots % 2**32 // (2**32 // SHEET**2)).to(like.device)[:, None]
    rows = (corner // SHEET + torch.arange(height, device=like.device)) % SHEET
    columns = (corner + torch.arange(width, device=like.device)) % SHEET
    cut = _sheet(like.device)[rows[:, :, None], columns[:, None, :]]
    smooth = F.avg_pool2d(cut[:, None], 3, 1, 1, count_include_pad=False)
    return smooth / smooth.std(dim=(1, 2, 3), keepdim=True)


@lru_cache(maxsize=1)
def _sheet(device: torch.device) -> Tensor:
    """White noise (SHEET,SHEET), the same on every device."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(SHEET, SHEET, generator=generator).to(device)
