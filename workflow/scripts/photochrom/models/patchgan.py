"""The PatchGAN discriminator of pix2pix (Isola et al. 2017), and the seed's."""

import torch
from torch import Tensor, nn

from photochrom.models.base import start_weights
from photochrom.models.unet import SEED_SLOPE, seed_norm

# Channels stop doubling at this multiple of `width`, as in pix2pix.
WIDEST = 8


class PatchGAN(nn.Module):
    """Whether each patch of a picture has true colours, given its lightness.

    `forward(L, ab)` takes L (N,1,H,W) and ab (N,2,H,W) in [-1,1] and returns logits (N,1,h,w),
    one for each patch. `layers` is the number of halvings; with 3 a patch is 70 pixels wide.
    Normalization is per picture (what batch normalization is at pix2pix's batch size of one), so
    that there are no running statistics to carry along. H and W are at least `smallest`.
    Raises ValueError for impossible options.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width {width} is not positive")
        if not 1 <= layers <= 6:
            raise ValueError(f"layers {layers} is outside 1 to 6")
        self.smallest = 3 * 2**layers
        channels = [3] + [width * min(2**level, WIDEST) for level in range(layers + 1)]
        stages: list[nn.Module] = []
        for level in range(layers + 1):
            stride = 2 if level < layers else 1
            stages += self.stage(channels[level], channels[level + 1], stride, level > 0)
        stages.append(nn.Conv2d(channels[-1], 1, 4, padding=1))
        self.stages = nn.Sequential(*stages)
        self.apply(start_weights)

    @staticmethod
    def stage(before: int, after: int, stride: int, normalize: bool) -> list[nn.Module]:
        """Convolution, normalization, activation."""
        norm: list[nn.Module] = [nn.InstanceNorm2d(after)] if normalize else []
        return [nn.Conv2d(before, after, 4, stride, padding=1), *norm, nn.LeakyReLU(0.2)]

    def forward(self, L: Tensor, ab: Tensor) -> Tensor:
        return self.stages(torch.cat([L, ab], dim=1))


class SeedPatchGAN(PatchGAN):
    """The seed's: batch normalization without biases before it, LeakyReLU of slope 0.3.

    With width 64 and 3 layers it holds 2,767,361 numbers, running statistics included, and gives
    14 x 14 logits for 128 x 128 pixels.
    """

    @staticmethod
    def stage(before: int, after: int, stride: int, normalize: bool) -> list[nn.Module]:
        norm: list[nn.Module] = [seed_norm(after)] if normalize else []
        convolution = nn.Conv2d(before, after, 4, stride, padding=1, bias=False)
        return [convolution, *norm, nn.LeakyReLU(SEED_SLOPE)]
