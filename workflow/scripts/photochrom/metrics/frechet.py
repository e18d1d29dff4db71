"""The Fréchet Inception distance, as pytorch-fid defines it.

Heusel et al. 2017 with the network, the weights, the resizing and the formula of pytorch-fid.
The weights come from pytorch-fid's own address or the cache; where they cannot be had there is no
FID, and nothing else is ever reported under that name.
"""

import socket
import urllib.error
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from photochrom.inference import exact_arithmetic
from photochrom.runtime import sha256_file

# With fewer pictures than features the covariance is singular and the distance says little.
FID_MIN_IMAGES = 2048
FEATURES = 2048
_SIDE = 299  # pixels that Inception sees

_DOWNLOAD_SECONDS = 30.0  # without an answer


class NotComputedError(Exception):
    """A distance cannot be had; the text says why."""


def load_inception(device: torch.device) -> torch.nn.Module:
    """pytorch-fid's InceptionV3 up to its 2048 pooled features, in evaluation mode.

    Raises NotComputedError when the weights are neither cached nor to be downloaded, or when what
    lies in the cache is not the published file.
    """
    from pytorch_fid.inception import FID_WEIGHTS_URL, InceptionV3

    hub_weights(FID_WEIGHTS_URL, "Inception")
    return InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[FEATURES]]).to(device).eval()


def hub_weights(url: str, network: str) -> Path:
    """The weights of a network in torch.hub's cache, fetched from `url` where they are not yet.

    The published file's name ends in the first digits of its SHA-256. Raises NotComputedError when
    they cannot be fetched, or when what lies in the cache is not the published file.
    """
    name = url.rsplit("/", 1)[-1]
    prefix = Path(name).stem.rsplit("-", 1)[-1]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not cached.is_file():
        _download(url, network, cached, prefix)
    if not sha256_file(cached).startswith(prefix):
        raise NotComputedError(f"{cached} is not the published file; delete it")
    return cached


def _download(url: str, network: str, path: Path, prefix: str) -> None:
    """Fetch the weights into the cache, whole or not at all, with a limit on silence."""
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_SECONDS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix, progress=False)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong digest is not
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        message = f"the {network} weights cannot be had from {url} ({cause})"
        raise NotComputedError(message) from error
    finally:
        socket.setdefaulttimeout(previous)


def inception_features(inception: torch.nn.Module, pictures: NDArray[Any]) -> NDArray[np.float64]:
    """Features (N, 2048) of pictures (N, H, W, 3), sRGB in 0..255.

    The network resizes them to 299 pixels, by bilinear interpolation that skips pixels of larger
    ones; those of `clean_resized` have that size already.
    """
    device = next(inception.parameters()).device
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    with exact_arithmetic(device):
        features = inception(batch.to(device))[0]
    return features.reshape(len(pictures), -1).cpu().double().numpy()


def clean_resized(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture (H, W, 3) at 299 pixels as clean-fid resizes (Parmar, Zhang and Zhu 2022).

    Pillow's bicubic filter, which takes in every pixel, on each channel in floating point, with
    no rounding to 8 bits; (299, 299, 3) in 0..255. With features of these by `inception_features`
    a FID has clean-fid's resizing and pytorch-fid's port of the network.
    """
    channels = [
        Image.fromarray(picture[..., channel].astype(np.float32)).resize(
            (_SIDE, _SIDE), Image.Resampling.BICUBIC
        )
        for channel in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1).clip(0, 255)


def frechet_distance(
    mean: NDArray[Any], covariance: NDArray[Any], mean2: NDArray[Any], covariance2: NDArray[Any]
) -> float:
    """The Fréchet distance between two normal distributions, by pytorch-fid's formula.

    Raises NotComputedError where pytorch-fid gives up (covariances far from a real root).
    """
    from pytorch_fid.fid_score import calculate_frechet_distance

    with warnings.catch_warnings():
        # It calls scipy.linalg.sqrtm with an argument that scipy 1.18 drops; pinned below that.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            distance = calculate_frechet_distance(mean, covariance, mean2, covariance2)
        except ValueError as error:
            raise NotComputedError(f"the covariances have no real root ({error})") from error
    return float(distance)
