"""Colorful Image Colorization (Zhang, Isola and Efros 2016), the network of its released code."""

from torch import Tensor, nn
from torch.nn import functional as F

from photochrom.colour_bins import annealed_mean, paper_bins
from photochrom.models.base import Distribution

# Convolutions of each block: channels as multiples of `width`, how many, stride of the last, and
# dilation. Each but the last block ends in batch normalization.
BLOCKS = (
    (1, 2, 2, 1),
    (2, 2, 2, 1),
    (4, 3, 2, 1),
    (8, 3, 1, 1),
    (8, 3, 1, 2),
    (8, 3, 1, 2),
    (8, 3, 1, 1),
)


class Zhang16(Distribution):
    """A VGG-like network with dilation that classifies colour, at a quarter of the size.

    Blocks conv1 to conv7 (64, 128, 256, 512, 512, 512, 512 channels of 3x3 convolutions with
    ReLU, each block ending in batch normalization) shrink the picture to an eighth; conv5 and
    conv6 dilate by 2 instead of shrinking further. conv8 doubles the size with a 4x4 transposed
    convolution, has two more of 256 channels, and a 1x1 convolution gives the logits. `width` is
    the first block's channels, 64 in the paper.

    It chooses among the paper's 313 bins. It is trained by the loss rebalanced-ce (soft encoding
    over `neighbours` bins, 5 in the paper and 10 in its code; class rebalancing with lambda 0.5)
    and decoded by the annealed mean at `temperature`, 0.38 in the paper, enlarged bilinearly. The
    paper's training pictures were scaled to L - 50; here L is in [-1,1]. Raises ValueError for
    impossible options.
    """

    multiple = 8

    def __init__(self, width: int, neighbours: int, temperature: float) -> None:
        super().__init__(paper_bins(), neighbours, temperature)
        if width < 1:
            raise ValueError(f"width {width} is not positive")
        layers: list[nn.Module] = []
        before = 1
        for times, convolutions, stride, dilation in BLOCKS:
            for number in range(1, convolutions + 1):
                step = stride if number == convolutions else 1
                layers += [
                    nn.Conv2d(before, times * width, 3, step, padding=dilation, dilation=dilation),
                    nn.ReLU(),
                ]
                before = times * width
            layers.append(nn.BatchNorm2d(before))
        after = 4 * width
        layers += [nn.ConvTranspose2d(before, after, 4, 2, padding=1), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(after, after, 3, padding=1), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.classify = nn.Conv2d(after, len(self.bins), 1)
        self.apply(_he)

    def predict(self, L: Tensor, *seen: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.classify(self.body(L))
        ab = annealed_mean(logits, self.unit_bins, self.temperature)
        return logits, F.interpolate(ab, L.shape[-2:], mode="bilinear", align_corners=False)


def _he(module: nn.Module) -> None:
    """He et al. (2015): the signal keeps its size through a deep stack of ReLUs."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
