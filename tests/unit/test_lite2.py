"""The evaluation network: the right weights in the right places, and what it is told apart by."""

import numpy as np
import pytest
import skimage.data
import torch
from torch.nn import functional as F

from photochrom.metrics import lite2
from photochrom.metrics.frechet import NotComputedError

CPU = torch.device("cpu")
# Of ImageNet's 1,000 classes: tabby, tiger cat, Persian, Siamese and Egyptian cat; espresso, cup.
CATS, COFFEE = {281, 282, 283, 284, 285}, {967, 968, 504, 925}


@pytest.fixture(scope="module")
def network() -> object:
    return lite2.load_lite2(CPU)


def square(picture: np.ndarray) -> torch.Tensor:
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    cut = picture[top : top + side, left : left + side]
    rgb = torch.from_numpy(cut.copy()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(rgb, (260, 260), mode="area")


def test_it_sees_the_cat_and_the_coffee(network: object) -> None:
    pictures = torch.cat([square(skimage.data.chelsea()), square(skimage.data.coffee())])
    top = lite2.lite2_classes(network, pictures).topk(3).indices.tolist()
    assert CATS & set(top[0])
    assert COFFEE & set(top[1])


def test_features_are_of_the_picture_alone(network: object) -> None:
    pictures = torch.cat([square(skimage.data.chelsea()), square(skimage.data.coffee())])
    features = lite2.lite2_features(network, pictures)
    assert features.shape == (2, lite2.FEATURES)
    np.testing.assert_allclose(
        features[1:], lite2.lite2_features(network, pictures[1:]), rtol=1e-3, atol=1e-4
    )
    assert lite2.lite2_features(network, F.avg_pool2d(pictures, 2)).shape == (2, lite2.FEATURES)


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite2, "SHA256", "0" * 64)
    with pytest.raises(NotComputedError, match="not the published file"):
        lite2.load_lite2(CPU)
