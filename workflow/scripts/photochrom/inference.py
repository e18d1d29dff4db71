"""Lightness in, chroma out: the one way in which a trained network is applied to a photograph.

Evaluation and the archive both come through here, so that what is measured is what people get.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from photochrom.color import AB_SCALE, L_SCALE
from photochrom.guided import along, lines
from photochrom.models import Model
from photochrom.models.base import Colorizer
from photochrom.runtime import EXIT_MODEL, StageError
from photochrom.smoothing import hide_steps

# A panorama is shrunk until its long side is this many times the network's size.
MAX_ASPECT = 4

# cuDNN's switches are global: one photograph at a time may hold them.
_cudnn_switches = threading.Lock()


def network_size(width: int, height: int, size: int, multiple: int) -> tuple[int, int]:
    """The (width, height) at which a photograph of `width` x `height` pixels meets the network.

    The short side becomes `size`, the side the network was trained with, and the aspect is kept.
    Where the long side would exceed MAX_ASPECT * `size`, both shrink until it does not; the short
    side then stays at `multiple` pixels or more, so that even a line of pixels has a neighbourhood.
    """
    if min(width, height, size, multiple) < 1:
        raise ValueError(f"sizes below one pixel: {width} x {height}, {size}, {multiple}")
    scale = min(size / min(width, height), MAX_ASPECT * size / max(width, height))
    floor = min(size, multiple)
    return max(floor, round(width * scale)), max(floor, round(height * scale))


def resize(image: NDArray[np.floating[Any]], width: int, height: int) -> NDArray[np.float32]:
    """An image (H, W) or (H, W, C) as float32 at `width` x `height`.

    Bilinear, with the filter widened while shrinking (antialiased); pixel centres stay in place.
    """
    if width == 1 and height > 1:
        # torch 2.15 answers wrongly when one column is left and the rows change; not for one row.
        return resize(image.swapaxes(0, 1), height, 1).swapaxes(0, 1)
    planes = torch.from_numpy(np.require(image, np.float32, ["C", "W"]))
    planes = planes.reshape(*image.shape[:2], -1).permute(2, 0, 1)[None]
    resized = F.interpolate(
        planes, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    return resized[0].permute(1, 2, 0).contiguous().reshape(height, width, *image.shape[2:]).numpy()


def predict_ab(model: Model, L: NDArray[np.float32]) -> NDArray[np.float32]:
    """The network's ab (h, w, 2) in Lab units for a lightness (h, w) in L* units, 0..100.

    Works at the resolution given: pads by reflection to the network's multiple, runs, crops.
    Raises StageError when the network gives back anything but finite numbers.
    """
    return ask(model, L, lambda network, seen: network(seen)) * np.float32(AB_SCALE)


def ask(
    model: Model, L: NDArray[np.float32], question: Callable[[Any, torch.Tensor], torch.Tensor]
) -> NDArray[np.float32]:
    """What a network answers for a lightness (h, w) in L* units, as planes (h, w, C).

    `question(network, seen)` is given the network and the lightness as it sees it, (1,1,H,W) in
    [-1,1] and padded; it answers with (1,C,H,W). Raises StageError as `predict_ab`.
    """
    height, width = L.shape
    top, bottom = _margins(height, model.multiple)
    left, right = _margins(width, model.multiple)
    # numpy's reflection, unlike torch's, may be longer than the image and allows a single row.
    seen = _see(model.network, L.astype(np.float32) / L_SCALE - 1)
    padded = np.pad(seen, ((top, bottom), (left, right)), mode="reflect")
    answer = _run(model.network, torch.from_numpy(padded)[None, None], question)
    answer = answer[0, :, top : top + height, left : left + width].permute(1, 2, 0).contiguous()
    if not torch.isfinite(answer).all():
        raise StageError(
            f"the model {model.digest[:12]} answers with numbers that are not finite; "
            "train it again or choose another",
            EXIT_MODEL,
        )
    return answer.numpy()


def colorize_lightness(model: Model, L: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The model's ab (H, W, 2) in Lab units for a whole photograph's lightness (H, W), L* units.

    The lightness is shrunk to `network_size`, the chroma enlarged to the photograph along its
    edges (`guided`). The colours may lie outside sRGB: see `color.reduce_chroma`.
    """
    height, width = L.shape
    narrow = resize(L, *network_size(width, height, model.size, model.multiple))
    return enlarge_ab(narrow, predict_ab(model, narrow), L, model.smooth)


def enlarge_ab(
    narrow: NDArray[np.float32],
    ab: NDArray[np.float32],
    L: NDArray[np.floating[Any]],
    smooth: float,
) -> NDArray[np.float32]:
    """Chroma `ab` (h, w, 2) found at the lightness `narrow` (h, w), for `L` (H, W): (H, W, 2).

    `smooth` is the model's: see `smoothing.hide_steps`.
    """
    height, width = L.shape
    ab = hide_steps(narrow, ab, smooth, width / narrow.shape[1])
    return along(resize(lines(narrow, ab), width, height), L)


def _margins(length: int, multiple: int) -> tuple[int, int]:
    """How many pixels to add before and after `length` to reach a multiple of `multiple`."""
    missing = -length % multiple
    return missing // 2, missing - missing // 2


def _see(network: Colorizer, L: NDArray[np.float32]) -> NDArray[np.float32]:
    """A normalized lightness (h, w) as the network was trained to see it."""
    if network.clahe is None:
        return L
    return network.see(torch.from_numpy(L)[None, None])[0, 0].numpy()


def _run(
    network: torch.nn.Module,
    L: torch.Tensor,
    question: Callable[[Any, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """The answer to one question, computed on the network's device; on the CPU."""
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    with exact_arithmetic(device):
        return question(network, L.to(device)).float().cpu()


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """No gradients, full float32 and the same kernels each time, whatever the process has set."""
    with torch.inference_mode():
        if device.type != "cuda":
            yield
            return
        # TF32 keeps ten bits of each factor; the CPU keeps all twenty-three.
        with (
            _cudnn_switches,
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            yield
