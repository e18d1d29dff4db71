"""A small U-Net in the manner of pix2pix (Isola et al. 2017), after Ronneberger et al. 2015."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom.models.base import Colorizer, start_weights

# Channels stop doubling at this multiple of `width`, as in pix2pix.
WIDEST = 8
# Channels that share one mean and variance in group normalization (Wu and He 2018); where they
# cannot be so divided, all channels share one.
GROUP = 8


class UNet(Colorizer):
    """Lightness to chroma through `depth` halvings and doublings with skip connections.

    It departs from pix2pix in three ways. Enlarging is nearest-neighbour followed by a 3x3
    convolution instead of a transposed convolution, which leaves a checkerboard in flat skies
    (Odena et al. 2016). Normalization is over groups of channels of one picture instead of over
    the batch, so that a photograph's colours depend neither on its neighbours in the batch nor
    on running statistics of the training pictures. The enlarging half has half as many channels
    as the shrinking half, because it would otherwise cost three times as much as the rest.

    `width` is the number of channels after the first halving, a multiple of 8; `dropout` is the
    share of channels dropped while training in the two deepest enlarging stages.
    Raises ValueError for impossible options.
    """

    def __init__(self, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        if width < 8 or width % 8:
            raise ValueError(f"width {width} is not a positive multiple of 8")
        if not 2 <= depth <= 10:
            raise ValueError(f"depth {depth} is outside 2 to 10")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} is outside 0 to 1")
        self.multiple = 2**depth
        # Channels at each scale, the full size first: going down, and coming up again.
        fine = [width // 2] + [width * min(2**level, WIDEST) for level in range(depth)]
        coarse = [channels // 2 for channels in fine[:-1]] + [fine[-1]]
        self.stem = nn.Conv2d(1, fine[0], 3, padding=1)
        self.down = nn.ModuleList(Shrink(fine[i], fine[i + 1]) for i in range(depth))
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
        for shrink in self.down:
            skips.append(x)
            x = shrink(x)
        x = self.middle(F.leaky_relu(x, 0.2))
        for enlarge in self.up:
            x = enlarge(x, skips.pop())
        return torch.tanh(self.head(F.relu(x)))


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
