"""Photochrom's own network: what an ImageNet encoder sees, asked for each colour in turn."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom.colour_bins import UNIFORM_SHARE, annealed_mean, gamut_bins
from photochrom.models.attention import CrossAttention, SelfAttention
from photochrom.models.base import Distribution, Pretrained, start_weights
from photochrom.models.encoder_unet import lateral
from photochrom.models.encoders import Encoder
from photochrom.models.unet import Enlarge

HEADS = 8
# Places around a coarse one, itself included, of which the fine ones are mixed.
AROUND = 9
# Share of a place too far away to count, when the mixing starts as bilinear enlarging.
BARELY = 1e-3


class Photochrom(Distribution, Pretrained):
    """A pretrained encoder, a decoder with attention, and one query for each colour bin.

    - Encoder: any timm encoder, as in `encoder-unet`; the offline one has 3.0 M parameters.
      Self-attention at its two coarsest scales (zero at the start) lets far parts of a picture
      agree on a colour.
    - Pixel decoder: U-Net stages up to a quarter of the size, of `width` channels each, as those
      to which the encoder's features are brought first.
    - Colour decoder, after DDColor (Kang et al. 2023) and ColorFormer (Ji et al. 2022): queries
      look at the decoder's scales in turn (cross-attention), then at each other, and their products
      with the features of a place are that place's scores. Unlike there, a query stands for a known
      colour, an ab bin as those of Zhang et al. (2016), of the 261 that sRGB can show: it starts
      from the bin's coordinates, learns what that colour would look like in this very picture, and
      its scores are the logits of a distribution. So the uncertainty comes for free, and Zhang's
      rebalancing against grey applies. The bias of each bin starts at its rebalanced prior. They
      look in `rounds`, each at one scale, the coarsest first; without any, the queries are the
      same for all pictures, and the scores those of a plain classifier.
    - Decoding: the annealed mean at `temperature`, which no network could make garish beyond
      the bins it believes in, and which is differentiable, so that pixel, perceptual and
      adversarial losses train the distribution too. A mean over what could be is duller than any
      of it: `gain` multiplies the chroma of what is decoded. And where neighbouring places decide
      otherwise, an even surface has a step, which is hidden where the picture is enlarged: by
      `smooth` (`smoothing.hide_steps`); the network's own output has it.
    - Size: chroma at a quarter of 256 px is good for 34.9 dB where the best networks reach 25,
      so the distribution is at a quarter, which keeps the network fast on a CPU, or by `stride` at
      an eighth, for a third of the decoder's time. What that lacks are edges: each fine pixel is a
      learned convex mixture of the 3 x 3 coarse ones around it (RAFT; Teed and Deng 2020), chosen
      with sight of L at the full size. A mixture invents no colour; it starts as bilinear
      enlarging.

    7.3 M parameters at width 128 and three rounds, each of 0.96 M.
    Raises ValueError for impossible options.
    """

    encoder: Encoder

    def __init__(
        self,
        encoder: str,
        width: int,
        neighbours: int,
        temperature: float,
        stride: int = 4,
        rounds: int = 3,
        uniform: float = UNIFORM_SHARE,
        gain: float = 1.0,
        smooth: float = 0.0,
    ) -> None:
        super().__init__(gamut_bins(), neighbours, temperature, uniform)
        if not gain > 0:
            raise ValueError(f"gain {gain} is not above 0")
        if smooth < 0:
            raise ValueError(f"smooth {smooth} is below 0")
        self.gain = gain
        self.smooth = smooth
        if width < 2 * HEADS or width % (2 * HEADS):
            raise ValueError(f"width {width} is not a positive multiple of {2 * HEADS}")
        encoding = Encoder(encoder)
        self.multiple = encoding.reductions[-1]
        if stride not in encoding.reductions[:-2]:
            raise ValueError(
                f"stride {stride} is none of {encoder}'s with two coarser ones: "
                + ", ".join(map(str, encoding.reductions[:-2]))
            )
        self.stride = stride
        self.finest = encoding.reductions.index(stride)
        channels = encoding.channels[self.finest :]
        if not 0 <= rounds <= len(channels):
            raise ValueError(f"rounds {rounds} is outside 0 to {len(channels)}, one for each scale")
        self.laterals = nn.ModuleList(lateral(each, width) for each in channels)
        self.far = nn.ModuleList(SelfAttention(width) for _ in range(2))
        self.up = nn.ModuleList(Enlarge(width, width, width, dropout=0.0) for _ in channels[1:])
        self.rounds = nn.ModuleList(Round(2 * width, width) for _ in range(rounds))
        self.known = nn.Linear(2, 2 * width)
        self.learned = nn.Parameter(torch.zeros(len(self.bins), 2 * width))
        self.match = nn.Linear(2 * width, width)
        self.places = nn.Conv2d(width, width, 3, padding=1)
        self.bias = nn.Parameter(torch.zeros(len(self.bins)))
        self.guide = nn.Conv2d(width + stride**2, width, 3, padding=1)
        self.mixture = nn.Conv2d(width, AROUND * stride**2, 1)
        self.apply(start_weights)
        nn.init.normal_(self.learned, 0.0, 0.02)
        with torch.no_grad():
            self.mixture.weight.zero_()
            self.mixture.bias.copy_(bilinear_mixture(stride))  # type: ignore[union-attr]
        self.encoder = encoding  # after apply(): its own start stays

    def seen(self, L: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.encoder(L)[self.finest :])

    def predict(self, L: Tensor, *seen: Tensor) -> tuple[Tensor, Tensor]:
        features = seen or self.seen(L)
        skips = [layer(x) for layer, x in zip(self.laterals, features, strict=True)]
        skips[-2:] = [attend(x) for attend, x in zip(self.far, skips[-2:], strict=True)]
        x = skips.pop()
        scales = [x]
        for enlarge in self.up:
            x = enlarge(x, skips.pop())
            scales.append(x)
        x = F.relu(x)
        logits = self.scores(x, scales)
        coarse = self.gain * annealed_mean(logits, self.unit_bins, self.temperature)
        return logits, mixed(
            coarse, self.mixture(F.relu(self.guide(self._with_detail(x, L)))), self.stride
        )

    def scores(self, x: Tensor, scales: list[Tensor]) -> Tensor:
        """Logits (N,Q,h,w) of the finest features `x`, with queries that saw all `scales`."""
        queries = (self.known(self.unit_bins) + self.learned).expand(len(x), -1, -1)
        for look, scale in zip(self.rounds, scales, strict=False):
            queries = look(queries, scale.flatten(2).transpose(1, 2))
        products = torch.einsum("nchw,nqc->nqhw", self.places(x), self.match(queries))
        return products / math.sqrt(x.shape[1]) + self.bias[:, None, None]

    def begin(self, ab: Iterable[NDArray[np.int16]], scale: float) -> None:
        super().begin(ab, scale)
        self.encoder.begin()
        with torch.no_grad():
            self.bias.copy_(torch.log(self.prior * self.weights))

    def _with_detail(self, x: Tensor, L: Tensor) -> Tensor:
        """Features joined by the stride x stride lightnesses that each place covers."""
        return torch.cat([x, F.pixel_unshuffle(L, self.stride)], dim=1)


class Round(nn.Module):
    """Queries (N,Q,C) look at a scale (N,M,D), then at each other, then think for themselves.

    Each step is normalized before it and added to what was (pre-norm).
    """

    def __init__(self, channels: int, memory: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.memory_norm = nn.LayerNorm(memory)
        self.picture = CrossAttention(channels, memory, HEADS)
        self.others = CrossAttention(channels, channels, HEADS)
        self.think = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        queries = queries + self.picture(self.norms[0](queries), self.memory_norm(memory))
        known = self.norms[1](queries)
        queries = queries + self.others(known, known)
        return queries + self.think(self.norms[2](queries))


def mixed(coarse: Tensor, scores: Tensor, stride: int) -> Tensor:
    """Colours (N,2,h,w) enlarged by `stride`, each fine one a mixture of the 3 x 3 coarse around.

    `scores` (N, AROUND * stride^2, h, w) are the logits of the shares, neighbour by neighbour.
    """
    height, width = coarse.shape[-2:]
    shares = torch.softmax(scores.unflatten(1, (AROUND, stride**2)), dim=1)
    around = F.unfold(F.pad(coarse, (1, 1, 1, 1), mode="replicate"), 3)
    around = around.reshape(len(coarse), 2, AROUND, 1, height, width)
    fine = (around * shares[:, None]).sum(dim=2).flatten(1, 2)
    return F.pixel_shuffle(fine, stride)


def bilinear_mixture(stride: int) -> Tensor:
    """Logits (AROUND * stride^2) with which `mixed` all but enlarges bilinearly."""
    centres = (torch.arange(stride, device="cpu") + 0.5) / stride - 0.5
    offsets = torch.arange(-1, 2, device="cpu")
    near = (1 - (centres[None] - offsets[:, None]).abs()).clamp(min=BARELY)  # offset, fine
    shares = near[:, None, :, None] * near[None, :, None, :]  # y, x, fine y, fine x
    return shares.log().flatten()
