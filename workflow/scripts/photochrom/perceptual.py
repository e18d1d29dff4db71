"""Perceptual losses: two pictures differ by as much as a pretrained network sees of it.

Johnson, Alahi and Fei-Fei (2016), on sRGB decoded from L and ab in a way that gradients pass.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from photochrom.color import denormalize, lab_to_rgb_torch
from photochrom.losses import PERCEPTUAL_LOSSES
from photochrom.models.encoders import OFFLINE, Encoder, normalized
from photochrom.runtime import EXIT_MISSING, StageError

# ImageNet's mean and deviation of sRGB, with which VGG was trained.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# The last ReLU before each of VGG16's poolings: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3.
VGG16_LAYERS = (3, 8, 15, 22, 29)
# Keeps the quotient finite where a network sees nothing.
EPSILON = 1e-6


class Perceptual(nn.Module):
    """`forward(L, predicted, truth)`: the mean difference of what a frozen network sees.

    At each scale it is |f - g| summed over that of |g| summed, f being the features of a predicted
    picture and g those of the true one, so that all scales count alike; then the mean over scales
    and pictures. L is (N,1,H,W), the others are ab (N,2,H,W), all in [-1,1].
    """

    def __init__(self, see: nn.Module) -> None:
        super().__init__()
        self.network = see.eval().requires_grad_(False)

    def forward(self, L: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        found = self._see(L, predicted)
        with torch.no_grad():
            wanted = self._see(L, truth)
        return torch.stack([relative(f, g) for f, g in zip(found, wanted, strict=True)]).mean()

    def _see(self, L: Tensor, ab: Tensor) -> Sequence[Tensor]:
        return self.network(lab_to_rgb_torch(*denormalize(L, ab)))


class OfflineFeatures(nn.Module):
    """The offline encoder's five scales, from sRGB (N,3,H,W) in [0,1]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(OFFLINE)
        self.encoder.begin()

    def forward(self, rgb: Tensor) -> list[Tensor]:
        return self.encoder.see(rgb)


class VggFeatures(nn.Module):
    """VGG16_LAYERS of VGG16 (Simonyan and Zisserman 2015), from sRGB (N,3,H,W) in [0,1]."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers[: VGG16_LAYERS[-1] + 1]

    def forward(self, rgb: Tensor) -> list[Tensor]:
        x, seen = normalized(rgb, IMAGENET_MEAN, IMAGENET_STD), []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in VGG16_LAYERS:
                seen.append(x)
        return seen


def perceptual_loss(name: str) -> Perceptual:
    """The loss of that name; StageError when its weights cannot be had. Draws random numbers."""
    offline, vgg = PERCEPTUAL_LOSSES
    makers: dict[str, Callable[[], nn.Module]] = {offline: OfflineFeatures, vgg: _vgg16}
    return Perceptual(makers[name]())


def relative(found: Tensor, wanted: Tensor) -> Tensor:
    """Sum of |found - wanted| over the sum of |wanted| in each picture; the mean over pictures.

    A quotient for the whole batch would not be the mean of those of its parts, as processes that
    share a batch take it.
    """
    difference = (found - wanted).abs().flatten(1).sum(dim=1)
    return (difference / (wanted.abs().flatten(1).sum(dim=1) + EPSILON)).mean()


def _vgg16() -> VggFeatures:
    from torchvision.models import VGG16_Weights, vgg16

    try:
        return VggFeatures(vgg16(weights=VGG16_Weights.IMAGENET1K_V1).features)
    except Exception as error:  # whatever torch's hub, its cache or the net may raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StageError(
            f"the weights of VGG16 cannot be fetched: {reason}; connect to the network once, or "
            f"use the loss {PERCEPTUAL_LOSSES[0]}, whose weights are installed",
            EXIT_MISSING,
        ) from error
