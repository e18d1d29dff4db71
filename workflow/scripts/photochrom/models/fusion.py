"""Deep Koalarization (Baldassarre, Gonzalez Morin and Rodes-Guirao 2017)."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom.models.base import Colorizer
from photochrom.models.encoders import CLASSES, Classifier, grey_rgb

# The side at which the classifier sees the whole picture, as it was trained to.
VIEW = 224
# Numbers are of the paper's network, whose first layer has 64 channels.
DOWN = ((1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 1), (4, 1))


class Fusion(Colorizer):
    """A plain encoder-decoder that is told at its bottleneck what the picture shows.

    The encoder's 3x3 convolutions (64, 128, 128, 256, 256, 512, 512, 256 channels; the first,
    third and fifth halve) lead to an eighth of the size. There the class scores of a pretrained
    classifier, before their softmax, are repeated at each place, joined, and mixed by a 1x1
    convolution of 256 channels. The decoder (128, twice 64, 32 channels and ab) doubles the size
    three times by nearest neighbours; there are no skip connections. `width` is the first layer's
    channels, 64 in the paper.

    The paper's classifier is Inception-ResNet-v2, seeing 299 x 299 pixels; here it is the offline
    encoder's, frozen, seeing the grey picture as 224 x 224. The paper trains by the mean squared
    error. Raises ValueError for impossible options.
    """

    multiple = 8

    def __init__(self, width: int) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"width {width} is not a positive even number")
        layers: list[nn.Module] = []
        before = 1
        for times, stride in DOWN:
            layers += [nn.Conv2d(before, times * width, 3, stride, padding=1), nn.ReLU()]
            before = times * width
        self.encoder = nn.Sequential(*layers)
        self.fuse = nn.Sequential(nn.Conv2d(before + CLASSES, before, 1), nn.ReLU())
        self.decoder = nn.Sequential(
            *(nn.Conv2d(4 * width, 2 * width, 3, padding=1), nn.ReLU()),
            nn.Upsample(scale_factor=2.0),
            *(nn.Conv2d(2 * width, width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
            nn.Upsample(scale_factor=2.0),
            *(nn.Conv2d(width, width // 2, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(width // 2, 2, 3, padding=1), nn.Tanh()),
            nn.Upsample(scale_factor=2.0),
        )
        self.classifier = Classifier()

    def forward(self, L: Tensor) -> Tensor:
        with torch.no_grad():
            view = F.interpolate(
                L, (VIEW, VIEW), mode="bilinear", align_corners=False, antialias=True
            )
            scores = self.classifier(grey_rgb(view))
        x = self.encoder(L)
        everywhere = scores[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.decoder(self.fuse(torch.cat([x, everywhere], dim=1)))

    def begin(self, ab: Iterable[NDArray[np.int16]], scale: float) -> None:
        self.classifier.begin()
