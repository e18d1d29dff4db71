"""Figures of many pictures at once, on any device, for the curves of training.

Each function gives one figure a picture (N). They are the batched twins of `metrics.colour` and
`photochrom.color`, which the tests take as the reference; the report's figures come from those.
"""

import math

import torch
from torch import Tensor

from photochrom.metrics.colour import AUC_LIMIT, BIN_WIDTH

# Colours are counted in squares on this many rows and columns, as in metrics.colour.
_BINS_A_SIDE = 23


def psnr(shown: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of pictures (N,3,H,W) in 0..255; 100 if identical."""
    error = (shown - truth).square().mean(dim=(1, 2, 3))
    return (10 * torch.log10(255**2 / error)).clamp(max=100)


def ciede2000(truth: Tensor, lab: Tensor) -> Tensor:
    """Mean CIEDE2000 per picture of CIE Lab (N,3,H,W) (Sharma, Wu and Dalal 2005; all k are 1)."""
    (L1, a1, b1), (L2, a2, b2) = truth.unbind(dim=1), lab.unbind(dim=1)
    seventh = ((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * torch.sqrt(seventh / (seventh + 25.0**7))
    a1, a2 = a1 * stretch, a2 * stretch
    C1, C2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)
    grey = C1 * C2 == 0  # then hue means nothing
    turn = torch.where(grey, 0.0, torch.remainder(h2 - h1 + math.pi, 2 * math.pi) - math.pi)
    dL, dC, dH = L2 - L1, C2 - C1, 2 * torch.sqrt(C1 * C2) * torch.sin(turn / 2)
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    h = torch.where(
        grey, h1 + h2, torch.where((h1 - h2).abs() <= math.pi, h1 + h2, h1 + h2 + 2 * math.pi) / 2
    )
    T = (
        1
        - 0.17 * torch.cos(h - math.radians(30))
        + 0.24 * torch.cos(2 * h)
        + 0.32 * torch.cos(3 * h + math.radians(6))
        - 0.20 * torch.cos(4 * h - math.radians(63))
    )
    SL = 1 + 0.015 * (L - 50) ** 2 / torch.sqrt(20 + (L - 50) ** 2)
    SC, SH = 1 + 0.045 * C, 1 + 0.015 * C * T
    around = torch.remainder(torch.rad2deg(h), 360)
    angle = math.radians(30) * torch.exp(-(((around - 275) / 25) ** 2))
    RT = -torch.sin(2 * angle) * 2 * torch.sqrt(C**7 / (C**7 + 25.0**7))
    dC, dH = dC / SC, dH / SH
    squared = (dL / SL) ** 2 + dC**2 + dH**2 + RT * dC * dH
    return squared.clamp(min=0).sqrt().mean(dim=(1, 2))


def auc(truth_ab: Tensor, ab: Tensor) -> tuple[Tensor, Tensor]:
    """AuC and class-balanced AuC, 0..100, of ab (N,2,H,W) in Lab units, as in `metrics.colour`."""
    error = (ab - truth_ab).norm(dim=1).flatten(1)
    scores = (AUC_LIMIT + 1 - error.ceil()).clamp(min=0) / (AUC_LIMIT + 1)
    half = _BINS_A_SIDE // 2
    cells = (truth_ab / BIN_WIDTH).round().long().clamp(-half, half) + half
    bins = (cells[:, 0] * _BINS_A_SIDE + cells[:, 1]).flatten(1)
    sums = torch.zeros(len(bins), _BINS_A_SIDE**2, device=bins.device)
    pixels = sums.scatter_add(1, bins, torch.ones_like(scores))
    means = sums.scatter_add(1, bins, scores) / pixels.clamp(min=1)
    balanced = means.sum(dim=1) / (pixels > 0).sum(dim=1)
    return 100 * scores.mean(dim=1), 100 * balanced


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """The hue angle in [0, 2 pi)."""
    return torch.remainder(torch.atan2(b, a), 2 * math.pi)
