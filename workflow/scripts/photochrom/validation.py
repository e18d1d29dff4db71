"""Measures of a network on the validation split, for the curves of training.

They are taken at the phase's own size and clip what sRGB cannot show. The figures of the report
come from `photochrom.metrics`, at full protocol.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from photochrom.batches import load_batch, shrunk
from photochrom.color import denormalize, lab_to_rgb_torch
from photochrom.models.base import Colorizer
from photochrom.shards import TrainingSet


@torch.no_grad()
def validate(
    network: Colorizer,
    data: TrainingSet,
    size: int,
    batch: int,
    device: torch.device,
    between_batches: Callable[[], None],
) -> dict[str, float]:
    """Means over the pictures of `data`, reduced to `size` pixels.

    `psnr_rgb` in dB compares predicted with true sRGB; `colourfulness` is that of the
    predictions, `colourfulness_truth` that of the photographs; `l1` is the mean error of ab in
    network units. `between_batches` is called before each batch and may raise.
    """
    network.eval()
    measures: list[Tensor] = []
    for first in range(0, len(data.ids), batch):
        between_batches()
        rows = np.arange(first, min(first + batch, len(data.ids)))
        L, ab = shrunk(*load_batch(data, rows, device), size)
        predicted = network(network.see(L))
        shown, truth = to_srgb(L, predicted), to_srgb(L, ab)
        measures.append(
            torch.stack(
                [
                    psnr(shown, truth),
                    colourfulness(shown),
                    colourfulness(truth),
                    (predicted - ab).abs().mean(dim=(1, 2, 3)),
                ]
            )
        )
    means = torch.cat(measures, dim=1).cpu().double().mean(dim=1).tolist()
    return dict(zip(["psnr_rgb", "colourfulness", "colourfulness_truth", "l1"], means, strict=True))


def to_srgb(L: Tensor, ab: Tensor) -> Tensor:
    """Normalized L (N,1,H,W) and ab (N,2,H,W) as sRGB (N,3,H,W), whole levels from 0 to 255."""
    return (255 * lab_to_rgb_torch(*denormalize(L, ab))).round()


def psnr(shown: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each picture (N,3,H,W) in 0..255; 100 if identical."""
    error = (shown - truth).square().mean(dim=(1, 2, 3))
    return (10 * torch.log10(255**2 / error)).clamp(max=100)


def colourfulness(rgb: Tensor) -> Tensor:
    """`photochrom.color.colourfulness` of each picture (N,3,H,W) in 0..255."""
    red, green, blue = rgb.unbind(dim=1)
    opponents = torch.stack([red - green, 0.5 * (red + green) - blue], dim=1).flatten(2)
    spread = opponents.std(dim=2, correction=0).norm(dim=1)
    return spread + 0.3 * opponents.mean(dim=2).norm(dim=1)
