"""A U-Net whose shrinking half has learned from ImageNet: the seed's tutorial's second network."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from photochrom.models.base import Pretrained, start_weights
from photochrom.models.encoders import Encoder
from photochrom.models.unet import Enlarge, Normalized

# Fewest channels of a decoder stage.
NARROWEST = 16


class EncoderUNet(Pretrained):
    """A pretrained encoder with a U-Net decoder (Ronneberger et al. 2015).

    The idea is the ResNet18 backbone under a U-Net of Shariatnia's tutorial "Colorizing black &
    white images with U-Net and conditional GAN" (2020): what things are is learned from ImageNet,
    so that a few thousand photographs suffice to learn their colours. Any timm encoder will do
    whose scales halve. The decoder is that of `unet`, in its smooth design: one Enlarge a halving,
    of `width` channels at the coarsest, half as many at each finer one; at
    the full size, and at half of it where the encoder begins at a quarter, it is joined by 3x3
    convolutions of L, so that edges are sharp. The encoder's features pass a normalized 1x1
    convolution first, because those of most encoders mean something below zero too, which the
    decoder's ReLU would cut off.

    Raises ValueError for impossible options.
    """

    encoder: Encoder

    def __init__(self, encoder: str, width: int) -> None:
        super().__init__()
        if width < NARROWEST or width % 8:
            raise ValueError(f"width {width} is not a multiple of 8 from {NARROWEST} up")
        encoding = Encoder(encoder)
        # One convolution of L for each size above the encoder's: the full one, then its halves.
        halvings = encoding.reductions[0].bit_length() - 1
        self.stems = nn.ModuleList(
            nn.Conv2d(1, NARROWEST, 3, 2**level, padding=1) for level in range(halvings)
        )
        self.laterals = nn.ModuleList(lateral(each, each) for each in encoding.channels)
        skips = [NARROWEST] * halvings + encoding.channels
        self.multiple = encoding.reductions[-1]
        stages: list[nn.Module] = []
        before = skips[-1]
        for stage, skip in enumerate(reversed(skips[:-1])):
            after = max(NARROWEST, width // 2**stage)
            stages.append(Enlarge(before, skip, after, dropout=0.0))
            before = after
        self.up = nn.ModuleList(stages)
        self.head = nn.Conv2d(before, 2, 3, padding=1)
        self.apply(start_weights)
        self.encoder = encoding  # after apply(): its own start stays

    def seen(self, L: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.encoder(L))

    def forward(self, L: Tensor, *seen: Tensor) -> Tensor:
        features = zip(self.laterals, seen or self.seen(L), strict=True)
        skips = [*(stem(L) for stem in self.stems), *(layer(x) for layer, x in features)]
        x = skips.pop()
        for enlarge in self.up:
            x = enlarge(x, skips.pop())
        return torch.tanh(self.head(torch.relu(x)))

    def begin(self, ab: Iterable[NDArray[np.int16]], scale: float) -> None:
        self.encoder.begin()


def lateral(before: int, after: int) -> Normalized:
    """What leads from an encoder's features to a decoder."""
    return Normalized(nn.Conv2d(before, after, 1, bias=False))
