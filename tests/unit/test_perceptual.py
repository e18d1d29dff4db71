"""Perceptual losses: zero for the truth, larger the more differs, with gradients to ab alone."""

import pytest
import torch
import torchvision.models

from photochrom import perceptual
from photochrom.perceptual import VGG16_LAYERS, Perceptual, VggFeatures, perceptual_loss, relative
from photochrom.runtime import EXIT_MISSING, StageError


def picture() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    L = torch.rand(2, 1, 32, 32, generator=generator) - 0.5
    return L, 0.3 * torch.rand(2, 2, 32, 32, generator=generator)


def test_the_offline_one_sees_how_much_differs() -> None:
    compare = perceptual_loss("perceptual")
    L, ab = picture()
    assert compare(L, ab, ab).item() == 0
    near, far = compare(L, 0.9 * ab, ab).item(), compare(L, 0 * ab, ab).item()
    assert 0 < near < far
    predicted = (0.5 * ab).requires_grad_()
    compare.train()
    compare(L, predicted, ab).backward()
    assert predicted.grad is not None
    assert predicted.grad.abs().mean() > 0
    assert not any(weight.requires_grad for weight in compare.parameters())


def test_the_distance_is_relative() -> None:
    wanted = torch.tensor([[1.0, -3.0]])
    assert relative(torch.tensor([[2.0, -3.0]]), wanted).item() == pytest.approx(0.25)
    assert relative(torch.zeros(1, 2), torch.zeros(1, 2)).item() == 0


def test_the_parts_of_a_batch_have_the_mean_of_the_whole() -> None:
    compare = perceptual_loss("perceptual")
    L, ab = picture()
    whole = compare(L, 0.5 * ab, ab).item()
    parts = [compare(L[k : k + 1], 0.5 * ab[k : k + 1], ab[k : k + 1]).item() for k in (0, 1)]
    assert sum(parts) / 2 == pytest.approx(whole, rel=1e-5)


def test_vgg_looks_after_the_last_activation_of_each_block(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        layers = torchvision.models.vgg16().features
        seen = VggFeatures(layers)(torch.zeros(1, 3, 64, 64))
    assert [each.shape[1] for each in seen] == [64, 128, 256, 512, 512]
    assert [each.shape[2] for each in seen] == [64, 32, 16, 8, 4]
    assert all(isinstance(layers[index], torch.nn.ReLU) for index in VGG16_LAYERS)


def test_weights_of_vgg_that_cannot_be_fetched_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def vgg16(weights: object) -> None:
        raise OSError("no route\nto there")

    monkeypatch.setattr(torchvision.models, "vgg16", vgg16)
    with pytest.raises(StageError, match="VGG16 cannot be fetched: no route; connect") as fault:
        perceptual_loss("perceptual-vgg16")
    assert fault.value.code == EXIT_MISSING
    assert "\n" not in str(fault.value)


def test_pictures_are_decoded_to_srgb_first() -> None:
    class Seen(torch.nn.Module):
        def forward(self, rgb: torch.Tensor) -> list[torch.Tensor]:
            assert rgb.shape[1] == 3
            assert 0 <= rgb.min() <= rgb.max() <= 1
            return [rgb]

    L, ab = picture()
    assert Perceptual(Seen())(L, ab, 0 * ab) > 0
    assert perceptual.PERCEPTUAL_LOSSES == ("perceptual", "perceptual-vgg16")
