"""What every colorization network has in common.

The contract, in the units of `photochrom.color` (L*/50-1 and ab/110):

- `network(L)` takes L (N,1,H,W) in [-1,1] and returns ab (N,2,H,W) in [-1,1], whatever the
  network is inside. Inference, evaluation and the archive need no more than this.
- `network.multiple`: what H and W must be multiples of.
- `network.begin(ab, scale)` is called once, on a new network before its first step: there it
  takes pretrained weights, or priors of the training pictures. A saved network has them among
  its weights, so loading one fetches and counts nothing. For that, whatever a network needs is a
  parameter or a persistent buffer: it is built on the meta device and then filled from the file.
- A `Pretrained` network decodes what an encoder sees that has learned elsewhere. It offers
  `seen(L)`, and its passes take that as further arguments, so that it need not be looked at again:
  `network(L, *network.seen(L))` is `network(L)`.
- A `Distribution` is a network that chooses among colour bins. It offers `predict(L)`, which
  gives logits and ab together, so that a loss on either costs one pass; `logits(L)` alone;
  `uncertainty(L)`, and `judged(L)`, which is ab and its uncertainty.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom.clahe import Clahe, equalized
from photochrom.color import AB_SCALE
from photochrom.colour_bins import UNIFORM_SHARE, bin_prior, entropy, rebalancing_weights


class Colorizer(nn.Module):
    """A network that predicts chroma from lightness; see the contract above."""

    multiple: int
    # The experiment's input transform; see `see`.
    clahe: Clahe | None = None

    def see(self, L: Tensor) -> Tensor:
        """L as the network is to be given it, of the same shape and range.

        What the network does not see of the lightness, the picture still has: its L stays.
        """
        return L if self.clahe is None else equalized(L, self.clahe)

    def forward(self, L: Tensor) -> Tensor:
        raise NotImplementedError

    def begin(self, ab: Iterable[NDArray[np.int16]], scale: float) -> None:
        """Take what a new network starts from.

        `ab` gives the training pictures, some at a time: (n,2,H,W), times `scale` in [-1,1].

        Draws no random numbers. StageError when weights cannot be had.
        """


class Pretrained(Colorizer):
    """A network that decodes what its pretrained `encoder` sees; see the contract above."""

    encoder: nn.Module

    def seen(self, L: Tensor) -> tuple[Tensor, ...]:
        """What the encoder sees in L (N,1,H,W), at each scale that the decoder uses."""
        raise NotImplementedError

    def forward(self, L: Tensor, *seen: Tensor) -> Tensor:
        raise NotImplementedError


class Distribution(Colorizer):
    """A network that gives each place a distribution over the Q bins of the ab plane.

    Stored with the weights are `bins` (Q,2) in Lab units, their `prior` (Q) in the training
    pictures, and `weights` (Q), by which the loss rebalanced-ce counts their pixels. `neighbours`
    is the number of bins that share a true colour in that loss. `own_bins` are those that the
    network's code has, with which a file's `bins` must agree. `uniform` is the share of the
    uniform distribution in the rebalancing (`colour_bins.rebalancing_weights`): the less, the more
    rare colours count.
    """

    bins: Tensor
    prior: Tensor
    weights: Tensor

    def __init__(
        self,
        bins: NDArray[np.float32],
        neighbours: int,
        temperature: float,
        uniform: float = UNIFORM_SHARE,
    ) -> None:
        super().__init__()
        if not 1 <= neighbours <= len(bins):
            raise ValueError(f"neighbours {neighbours} is outside 1 to {len(bins)}")
        if not 0 < temperature <= 1:
            raise ValueError(f"temperature {temperature} is not above 0 and at most 1")
        if not 0 < uniform <= 1:
            raise ValueError(f"uniform {uniform} is not above 0 and at most 1")
        self.own_bins = bins
        self.neighbours = neighbours
        self.temperature = temperature
        self.uniform = uniform
        self.register_buffer("bins", torch.tensor(bins))
        self.register_buffer("prior", torch.full((len(bins),), 1 / len(bins)))
        self.register_buffer("weights", torch.ones(len(bins)))

    def predict(self, L: Tensor, *seen: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N,Q,h,w), where h and w divide H and W, and ab (N,2,H,W)."""
        raise NotImplementedError

    def forward(self, L: Tensor, *seen: Tensor) -> Tensor:
        return self.predict(L, *seen)[1]

    def logits(self, L: Tensor) -> Tensor:
        """Logits (N,Q,h,w)."""
        return self.predict(L)[0]

    def uncertainty(self, L: Tensor) -> Tensor:
        """How open the colour of each pixel is, (N,1,H,W): 0 for one sure bin, 1 for any.

        The entropy of the distribution over that of the uniform one, enlarged bilinearly. What
        the loss rebalanced-ce made of the distribution is first taken back: a loss that counts a
        bin's pixels w times teaches q ~ w p, so that p ~ q / w is what the pictures are like.
        """
        return self.judged(L)[1]

    def judged(self, L: Tensor) -> tuple[Tensor, Tensor]:
        """ab (N,2,H,W) and its uncertainty (N,1,H,W), by one pass."""
        logits, ab = self.predict(L)
        open_colour = entropy(logits - self.weights.log()[:, None, None])
        return ab, F.interpolate(open_colour, L.shape[-2:], mode="bilinear", align_corners=False)

    def begin(self, ab: Iterable[NDArray[np.int16]], scale: float) -> None:
        """Count the colours of the training pictures."""
        prior = bin_prior(ab, scale, self.bins.cpu().numpy())
        self.prior.copy_(torch.from_numpy(prior))
        self.weights.copy_(torch.from_numpy(rebalancing_weights(prior, self.uniform)))

    @property
    def unit_bins(self) -> Tensor:
        """The bins' colours (Q,2) in network units."""
        return self.bins / AB_SCALE


def start_weights(module: nn.Module) -> None:
    """Draw a convolution's weights from N(0, 0.02), its bias zero, as in pix2pix; for apply()."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def keep_statistics(module: nn.Module) -> None:
    """Leave the running statistics of batch normalization as they are, while the rest trains."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()


def count(module: nn.Module) -> int:
    """Numbers that a network holds, as Keras counts them: parameters and running statistics."""
    values: dict[str, Any] = module.state_dict()
    return sum(v.numel() for name, v in values.items() if not name.endswith("num_batches_tracked"))
