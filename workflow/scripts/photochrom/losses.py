"""Losses by name.

Pixel losses compare predicted with true ab, both (N,2,H,W) in [-1,1], and give a mean over all
elements. Where a picture leaves the colour open, `l1` settles for one of the candidates and
changes its mind from place to place; `smooth_l1` (Girshick 2015: squared near zero, linear far
from it) settles for something like their mean, which is duller and calmer.

`gan` is the adversarial loss of the original GAN (Goodfellow et al. 2014) in its non-saturating
form, on the discriminator's logits; it needs a discriminator and is computed by the two functions
below.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

PixelLoss = Callable[[Tensor, Tensor], Tensor]

# Errors below this (22 Lab units) count by their square in smooth_l1, larger ones as in l1.
SMOOTH_BELOW = 0.2

PIXEL_LOSSES: dict[str, PixelLoss] = {
    "l1": F.l1_loss,
    "smooth_l1": partial(F.smooth_l1_loss, beta=SMOOTH_BELOW),
}
ADVERSARIAL = "gan"
NAMES = (*PIXEL_LOSSES, ADVERSARIAL)


def generator_loss(fake: Tensor) -> Tensor:
    """How far the discriminator is from taking the generator's colours for true ones.

    `fake` are its logits for them, any shape; 0.693 when it cannot tell.
    """
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """How badly the discriminator tells true from generated colours, from its logits for both.

    Halved as in pix2pix, which slows the discriminator relative to the generator; 0.693 when it
    cannot tell.
    """
    true = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    false = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return 0.5 * (true + false)
