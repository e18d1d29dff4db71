"""Losses by name.

All compare predicted with true ab, both (N,2,H,W) in [-1,1], and give one number.

PIXEL_LOSSES are means over all elements. Where a picture leaves the colour open, `l1` settles
for one of the candidates and changes its mind from place to place; `smooth_l1` (Girshick 2015:
squared near zero, linear far from it) settles for something like their mean, which is duller and
calmer.

PICTURE_LOSSES look at the sRGB picture, so they take L (N,1,H,W) too.

REBALANCED is the loss of networks that choose among colour bins, on their logits.

PERCEPTUAL_LOSSES compare what a pretrained network sees; `photochrom.perceptual` builds them.

GAN_LOSSES are adversarial, on the discriminator's logits, any shape; a recipe with one of them
has a discriminator.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.nn import functional as F

from photochrom.color import AB_SCALE, colourfulness_torch, denormalize, lab_to_rgb_torch
from photochrom.colour_bins import soft_encoding

PixelLoss = Callable[[Tensor, Tensor], Tensor]
PictureLoss = Callable[[Tensor, Tensor, Tensor], Tensor]

# Errors below this (22 Lab units) count by their square in smooth_l1, larger ones as in l1.
SMOOTH_BELOW = 0.2
# Colourfulness of an extremely colourful picture, a difference of which is one in the loss.
COLOURFUL = 100.0


def colourfulness_gap(L: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean of |M(predicted) - M(true)| / 100, with M of Hasler and Süsstrunk (2003) in sRGB.

    DDColor (Kang et al. 2023) has 1 - M(predicted) / 100, which asks for ever more colour and is
    known for red blocks. Here a picture is to be as colourful as its photograph, and no more.
    """
    painted, photograph = (
        colourfulness_torch(255 * lab_to_rgb_torch(*denormalize(L, ab)))
        for ab in (predicted, truth)
    )
    return (painted - photograph).abs().mean() / COLOURFUL


def rebalanced_cross_entropy(
    logits: Tensor, truth: Tensor, bins: Tensor, weights: Tensor, neighbours: int
) -> Tensor:
    """Zhang, Isola and Efros (2016), equation 2, as a mean over places.

    - w(q*) sum_q z(q) log softmax(logits)(q): z is the soft encoding of the true colour over its
    `neighbours` nearest bins, q* the nearest of them. `logits` (N,Q,h,w); `truth` (N,2,H,W) is
    averaged down to h x w; `bins` (Q,2) in Lab units; `weights` (Q).
    """
    target = F.interpolate(truth, logits.shape[-2:], mode="area") * AB_SCALE
    indices, shares = soft_encoding(target, bins, neighbours)
    surprise = -(shares * F.log_softmax(logits, dim=1).gather(1, indices)).sum(dim=1)
    return (weights[indices[:, 0]] * surprise).mean()


@dataclass(frozen=True)
class Gan:
    """`generator(fake)` is low when generated colours pass for true; `discriminator(real, fake)`
    when the two are told apart. Means over all logits; the latter is halved as in pix2pix, which
    slows the discriminator (not under Adam, whose steps do not depend on a loss's scale).
    """

    generator: Callable[[Tensor], Tensor]
    discriminator: Callable[[Tensor, Tensor], Tensor]


# Goodfellow et al. (2014), non-saturating: -log D; the seed's and pix2pix's.
_BCE = Gan(
    generator=lambda fake: F.softplus(-fake).mean(),
    discriminator=lambda real, fake: 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean()),
)
# Lim and Ye (2017); SAGAN: the discriminator stops learning from what it is sure of.
_HINGE = Gan(
    generator=lambda fake: -fake.mean(),
    discriminator=lambda real, fake: 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean()),
)
# Mao et al. (2017): squared distance to 1 for true, to 0 for generated.
_LEAST_SQUARES = Gan(
    generator=lambda fake: (fake - 1).square().mean(),
    discriminator=lambda real, fake: 0.5 * ((real - 1).square().mean() + fake.square().mean()),
)

PIXEL_LOSSES: dict[str, PixelLoss] = {
    "l1": F.l1_loss,
    "smooth_l1": partial(F.smooth_l1_loss, beta=SMOOTH_BELOW),
}
PICTURE_LOSSES: dict[str, PictureLoss] = {"colourfulness-gap": colourfulness_gap}
REBALANCED = "rebalanced-ce"
PERCEPTUAL_LOSSES = ("perceptual", "perceptual-vgg16")
GAN_LOSSES = {"gan": _BCE, "gan-hinge": _HINGE, "gan-lsgan": _LEAST_SQUARES}
NAMES = (*PIXEL_LOSSES, *PICTURE_LOSSES, REBALANCED, *PERCEPTUAL_LOSSES, *GAN_LOSSES)
