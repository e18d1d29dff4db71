"""U-Nets in the manner of pix2pix (Isola et al. 2017), after Ronneberger et al. 2015.

There are two designs: `seed`, layer for layer the generator of the Image-Colorization-Project
(github.com/aandrijana) with which this work began, and `smooth`, which is smaller and calmer.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom.models.attention import SelfAttention
from photochrom.models.base import Colorizer, start_weights

# Channels stop doubling at this multiple of `width`, as in pix2pix.
WIDEST = 8
# Channels that share one mean and variance in group normalization (Wu and He 2018); where they
# cannot be so divided, all channels share one.
GROUP = 8
# The seed's: Keras's defaults where pix2pix has 0.2, 1e-5 and 0.1, and how many of the deepest
# enlarging stages drop out.
SEED_SLOPE = 0.3
SEED_EPS = 1e-3
SEED_MOMENTUM = 0.01
SEED_DROPOUTS = 3
# Where attention looks, as the halvings before it: at an eighth and a sixteenth of the size.
ATTENTION_LEVELS = (3, 4)


def unet(
    width: int, depth: int, dropout: float, design: str = "smooth", attention: bool = False
) -> Colorizer:
    """The U-Net of a design; ValueError for one that does not exist or impossible options."""
    if design not in DESIGNS:
        raise ValueError(f"design {design!r} is not one of {', '.join(DESIGNS)}")
    return DESIGNS[design](width, depth, dropout, attention)


class UNet(Colorizer):
    """Lightness to chroma through `depth` halvings and doublings with skip connections.

    It departs from pix2pix in three ways. Enlarging is nearest-neighbour followed by a 3x3
    convolution instead of a transposed convolution, which leaves a checkerboard in flat skies
    (Odena et al. 2016). Normalization is over groups of channels of one picture instead of over
    the batch, so that a photograph's colours depend neither on its neighbours in the batch nor
    on running statistics of the training pictures. The enlarging half has half as many channels
    as the shrinking half, because it would otherwise cost three times as much as the rest.

    `width` is the number of channels after the first halving, a multiple of 8; `dropout` is the
    share of channels dropped while training in the two deepest enlarging stages. With `attention`
    each place also looks at all others, at an eighth and a sixteenth of the size.
    Raises ValueError for impossible options.
    """

    def __init__(self, width: int, depth: int, dropout: float, attention: bool = False) -> None:
        super().__init__()
        _check(width, depth, dropout, attention)
        self.multiple = 2**depth
        # Channels at each scale, the full size first: going down, and coming up again.
        fine = [width // 2] + [width * min(2**level, WIDEST) for level in range(depth)]
        coarse = [channels // 2 for channels in fine[:-1]] + [fine[-1]]
        self.stem = nn.Conv2d(1, fine[0], 3, padding=1)
        self.down = nn.ModuleList(Shrink(fine[i], fine[i + 1]) for i in range(depth))
        self.attention = _attention(fine[1:], attention)
        self.middle = Normalized(nn.Conv2d(fine[-1], fine[-1], 3, padding=1, bias=False))
        self.up = nn.ModuleList(
            Enlarge(coarse[i + 1], fine[i], coarse[i], dropout if i >= depth - 2 else 0.0)
            for i in reversed(range(depth))
        )
        self.head = nn.Conv2d(coarse[0], 2, 3, padding=1)
        self.apply(start_weights)

    def forward(self, L: Tensor) -> Tensor:
        x = self.stem(L)
        skips = []
        for level, shrink in enumerate(self.down, 1):
            skips.append(x)
            x = _attended(self.attention, level, shrink(x))
        x = self.middle(F.leaky_relu(x, 0.2))
        for enlarge in self.up:
            x = enlarge(x, skips.pop())
        return torch.tanh(self.head(F.relu(x)))


class SeedUNet(Colorizer):
    """The seed's generator; with width 64, depth 7 and dropout 0.5 it holds 41,834,754 numbers.

    Down, at 1/2 to 1/128 of the size: 4x4 convolution with stride 2 (64, 128, 256, 512, 512, 512,
    512 channels), batch normalization but for the first, LeakyReLU of slope 0.3. Up: 4x4
    transposed convolution (512, 512, 512, 256, 128, 64), batch normalization, dropout in the first
    three, ReLU, then the skip connection joined; last a transposed convolution to ab, and tanh.
    The count includes the running statistics, as Keras counts; 128 x 128 pixels end in 1 x 1, of
    which batch normalization needs two in a training batch.

    `attention` as in UNet. Raises ValueError for impossible options.
    """

    def __init__(self, width: int, depth: int, dropout: float, attention: bool = False) -> None:
        super().__init__()
        _check(width, depth, dropout, attention)
        self.multiple = 2**depth
        channels = [width * min(2**level, WIDEST) for level in range(depth)]
        self.down = nn.ModuleList()
        for level, after in enumerate(channels):
            before = channels[level - 1] if level else 1
            layers: list[nn.Module] = [nn.Conv2d(before, after, 4, 2, padding=1, bias=False)]
            if level:
                layers.append(seed_norm(after))
            self.down.append(nn.Sequential(*layers, nn.LeakyReLU(SEED_SLOPE)))
        self.attention = _attention(channels, attention)
        self.up = nn.ModuleList()
        before = channels[-1]
        for stage, after in enumerate(reversed(channels[:-1])):
            layers = [
                nn.ConvTranspose2d(before, after, 4, 2, padding=1, bias=False),
                seed_norm(after),
                nn.Dropout(dropout if stage < SEED_DROPOUTS else 0.0),
                nn.ReLU(),
            ]
            self.up.append(nn.Sequential(*layers))
            before = 2 * after  # with the skip connection
        self.head = nn.ConvTranspose2d(before, 2, 4, 2, padding=1)
        self.apply(start_weights)

    def forward(self, L: Tensor) -> Tensor:
        x, skips = L, []
        for level, shrink in enumerate(self.down, 1):
            x = _attended(self.attention, level, shrink(x))
            skips.append(x)
        skips.pop()  # the deepest goes on by itself
        for enlarge in self.up:
            x = torch.cat([enlarge(x), skips.pop()], dim=1)
        return torch.tanh(self.head(x))


DESIGNS: dict[str, type[UNet] | type[SeedUNet]] = {"smooth": UNet, "seed": SeedUNet}


def seed_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalization with Keras's constants."""
    return nn.BatchNorm2d(channels, eps=SEED_EPS, momentum=SEED_MOMENTUM)


def _check(width: int, depth: int, dropout: float, attention: bool) -> None:
    if width < 8 or width % 8:
        raise ValueError(f"width {width} is not a positive multiple of 8")
    if not 2 <= depth <= 10:
        raise ValueError(f"depth {depth} is outside 2 to 10")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout {dropout} is outside 0 to 1")
    if attention and depth < ATTENTION_LEVELS[0]:
        raise ValueError(f"attention needs a depth of {ATTENTION_LEVELS[0]} or more, not {depth}")


def _attention(channels: list[int], wanted: bool) -> nn.ModuleDict:
    """Self-attention by level; `channels` are those after each halving."""
    levels = [level for level in ATTENTION_LEVELS if wanted and level <= len(channels)]
    return nn.ModuleDict({str(level): SelfAttention(channels[level - 1]) for level in levels})


def _attended(attention: nn.ModuleDict, level: int, x: Tensor) -> Tensor:
    return attention[str(level)](x) if str(level) in attention else x


class Normalized(nn.Module):
    """A convolution followed by group normalization."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        channels = convolution.out_channels
        self.norm = nn.GroupNorm(1 if channels % GROUP else channels // GROUP, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.convolution(x))


class Shrink(nn.Module):
    """Half the height and width: activation, 4x4 convolution with stride 2, normalization."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layer = Normalized(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(F.leaky_relu(x, 0.2))


class Enlarge(nn.Module):
    """Double the height and width, join the skip connection, then a 3x3 convolution."""

    def __init__(self, before: int, skip: int, after: int, dropout: float) -> None:
        super().__init__()
        self.layer = Normalized(nn.Conv2d(before + skip, after, 3, padding=1, bias=False))
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        larger = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.dropout(self.layer(F.relu(torch.cat([larger, skip], dim=1))))
