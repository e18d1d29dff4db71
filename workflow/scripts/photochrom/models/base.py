"""What every colorization network has in common."""

from torch import Tensor, nn

from photochrom.clahe import Clahe, equalized


class Colorizer(nn.Module):
    """A network that predicts chroma from lightness.

    `forward(L)` takes L (N,1,H,W) in [-1,1] and returns ab (N,2,H,W) in [-1,1]; H and W are
    multiples of `multiple`. Units are those of `photochrom.color`: L*/50-1 and ab/110.
    """

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


def start_weights(module: nn.Module) -> None:
    """Draw a convolution's weights from N(0, 0.02), its bias zero, as in pix2pix; for apply()."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
