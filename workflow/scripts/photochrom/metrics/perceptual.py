"""LPIPS, the distance of two pictures as AlexNet sees them (Zhang et al. 2018).

The package lpips, version 0.1 of its weights on the trunk alex. The trunk's ImageNet weights are
torchvision's and come from the network or torch.hub's cache; without them there is no LPIPS.
"""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photochrom.inference import exact_arithmetic
from photochrom.metrics.frechet import NotComputedError, hub_weights

# AlexNet's strides leave nothing of pictures that are smaller.
LPIPS_MIN_SIDE = 31


def load_lpips(device: torch.device) -> Any:
    """The network, in evaluation mode.

    Raises NotComputedError when lpips is not installed or the trunk's weights cannot be had.
    """
    try:
        import lpips
        from torchvision.models import AlexNet_Weights
    except ImportError as error:
        raise NotComputedError(f"the package {error.name} is not installed") from error
    hub_weights(AlexNet_Weights.IMAGENET1K_V1.url, "AlexNet")
    with warnings.catch_warnings():
        # It asks torchvision for them by an argument that is on its way out, with a warning.
        warnings.simplefilter("ignore", UserWarning)
        network = lpips.LPIPS(net="alex", version="0.1", verbose=False)
    return network.to(device).eval().requires_grad_(False)


def lpips_distance(network: Any, truth: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """LPIPS of two sRGB pictures (H, W, 3) of one size: 0 for the same, about 1 for the unlike.

    NaN for sides of less than LPIPS_MIN_SIDE pixels.
    """
    if min(truth.shape[:2]) < LPIPS_MIN_SIDE:
        return float("nan")
    device = next(network.buffers()).device
    # The network takes values in [-1, 1].
    pair = torch.from_numpy(np.stack([truth, picture])).permute(0, 3, 1, 2).float() / 127.5 - 1
    one, other = pair.to(device).split(1)
    with exact_arithmetic(device), torch.no_grad():
        return float(network(one, other))
