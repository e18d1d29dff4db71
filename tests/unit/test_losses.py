"""Losses: analytic values."""

import math

import pytest
import torch
from torch import Tensor

from photochrom import losses
from photochrom.color import colourfulness_torch, denormalize, lab_to_rgb_torch
from photochrom.colour_bins import gamut_bins, soft_encoding


def test_pixel_losses_of_a_constant_error() -> None:
    truth = torch.zeros(2, 2, 4, 4)
    assert losses.PIXEL_LOSSES["l1"](truth + 0.5, truth).item() == pytest.approx(0.5)
    # Beyond the threshold smooth L1 is L1 less half the threshold, below it half the square.
    assert losses.PIXEL_LOSSES["smooth_l1"](truth + 0.5, truth).item() == pytest.approx(0.4)
    assert losses.PIXEL_LOSSES["smooth_l1"](truth + 0.1, truth).item() == pytest.approx(0.025)


def test_l1_takes_the_likeliest_of_two_colours_and_smooth_l1_lies_between() -> None:
    """Where one photograph in three is blue, L1 predicts no blue at all; smooth L1 some."""
    truth = torch.tensor([0.0, 0.0, 0.15])
    guesses = torch.linspace(0, 0.15, 151)

    def best(name: str) -> float:
        errors = [losses.PIXEL_LOSSES[name](guess.expand(3), truth) for guess in guesses]
        return guesses[int(torch.stack(errors).argmin())].item()

    assert best("l1") == 0
    assert best("smooth_l1") == pytest.approx(0.05, abs=0.002)


GAN_BCE, GAN_HINGE, GAN_LSGAN = (losses.GAN_LOSSES[n] for n in ("gan", "gan-hinge", "gan-lsgan"))


def test_adversarial_losses_when_the_discriminator_cannot_tell() -> None:
    unsure = torch.zeros(3, 1, 2, 2)
    assert GAN_BCE.generator(unsure).item() == pytest.approx(math.log(2))
    assert GAN_BCE.discriminator(unsure, unsure).item() == pytest.approx(math.log(2))
    assert GAN_HINGE.generator(unsure).item() == 0
    assert GAN_HINGE.discriminator(unsure, unsure).item() == pytest.approx(1)
    assert GAN_LSGAN.generator(unsure + 0.5).item() == pytest.approx(0.25)
    assert GAN_LSGAN.discriminator(unsure + 0.5, unsure + 0.5).item() == pytest.approx(0.25)


def test_adversarial_losses_reward_the_right_side() -> None:
    sure_true, sure_false = torch.full((4,), 20.0), torch.full((4,), -20.0)
    assert GAN_BCE.generator(sure_true).item() < 1e-6
    assert GAN_BCE.generator(sure_false).item() == pytest.approx(20)
    assert GAN_BCE.discriminator(sure_true, sure_false).item() < 1e-6
    # Each half counts half.
    assert GAN_BCE.discriminator(sure_false, sure_false).item() == pytest.approx(10)
    assert GAN_HINGE.generator(sure_true).item() == -20
    assert GAN_HINGE.discriminator(sure_true, sure_false).item() == 0
    assert GAN_HINGE.discriminator(sure_false, sure_false).item() == pytest.approx(10.5)
    assert GAN_LSGAN.generator(torch.ones(4)).item() == 0
    assert GAN_LSGAN.discriminator(torch.ones(4), torch.zeros(4)).item() == 0
    assert GAN_LSGAN.discriminator(torch.zeros(4), torch.zeros(4)).item() == pytest.approx(0.5)


@pytest.mark.parametrize("gan", losses.GAN_LOSSES.values(), ids=losses.GAN_LOSSES)
def test_the_two_sides_pull_the_logits_apart(gan: losses.Gan) -> None:
    real, fake = (torch.full((4,), 0.5, requires_grad=True) for _ in range(2))
    gan.discriminator(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all()  # its logit shall rise
    assert (fake.grad > 0).all()
    fake.grad = None
    gan.generator(fake).backward()
    assert fake.grad is not None
    assert (fake.grad < 0).all()


BINS = torch.from_numpy(gamut_bins())
GREY = int((BINS.abs().sum(dim=1) == 0).nonzero())


def cross_entropy(logits: Tensor, ab: Tensor, weights: Tensor, neighbours: int = 1) -> Tensor:
    return losses.rebalanced_cross_entropy(logits, ab, BINS, weights, neighbours)


def test_rebalanced_cross_entropy_of_known_distributions() -> None:
    weights = torch.ones(261)
    grey = torch.zeros(2, 2, 8, 8)
    undecided = torch.zeros(2, 261, 4, 4)
    assert cross_entropy(undecided, grey, weights).item() == pytest.approx(math.log(261), rel=1e-5)
    sure = undecided.clone()
    sure[:, GREY] = 50
    assert cross_entropy(sure, grey, weights).item() == pytest.approx(0, abs=1e-6)
    # Five bins share the truth: the best that can be reached is its entropy.
    shares = torch.tensor([1] + 4 * [math.exp(-2)])
    shares /= shares.sum()
    indices, _ = soft_encoding(grey, BINS, 5)
    best = torch.full((2, 261, 8, 8), -60.0).scatter(
        1, indices, shares.log()[None, :, None, None].expand(2, 5, 8, 8)
    )
    value = cross_entropy(best, grey, weights, neighbours=5).item()
    assert value == pytest.approx(-(shares * shares.log()).sum().item(), rel=1e-4)


def test_rare_colours_count_by_their_weight() -> None:
    weights = torch.ones(261)
    weights[GREY] = 0.1
    undecided = torch.zeros(1, 261, 2, 2)
    grey, red = torch.zeros(1, 2, 2, 2), torch.full((1, 2, 2, 2), 50 / 110)
    assert cross_entropy(undecided, red, weights).item() == pytest.approx(math.log(261), rel=1e-5)
    assert cross_entropy(undecided, grey, weights).item() == pytest.approx(
        0.1 * math.log(261), rel=1e-5
    )
    logits = undecided.clone().requires_grad_()
    cross_entropy(logits, grey, weights).backward()
    assert logits.grad is not None
    # The gradient of cross-entropy: shares less truth, times the weight, over the places.
    expected = torch.full((1, 261, 2, 2), 1 / 261)
    expected[:, GREY] -= 1
    torch.testing.assert_close(logits.grad, 0.1 * expected / 4)


def test_the_colourfulness_gap() -> None:
    generator = torch.Generator().manual_seed(0)
    L = torch.rand(3, 1, 16, 16, generator=generator) * 0.4 - 0.2
    truth = 0.2 * torch.rand(3, 2, 16, 16, generator=generator) - 0.1
    gap = losses.PICTURE_LOSSES["colourfulness-gap"]
    assert gap(L, truth, truth).item() == 0
    rgb = 255 * lab_to_rgb_torch(*denormalize(L, truth))
    grey = 0 * truth
    assert gap(L, grey, truth).item() == pytest.approx(
        colourfulness_torch(rgb).mean().item() / 100, abs=0.01
    )
    predicted = (0.5 * truth).requires_grad_()
    value = gap(L, predicted, truth)
    value.backward()
    assert predicted.grad is not None
    # More of the same chroma closes the gap; too much opens it again.
    assert gap(L, (predicted - predicted.grad).detach(), truth) < value
    assert gap(L, 2 * truth, truth) > 0
    flat = torch.zeros(1, 2, 4, 4, requires_grad=True)
    gap(torch.zeros(1, 1, 4, 4), flat, torch.full((1, 2, 4, 4), 0.1)).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()


def test_names_are_told_apart() -> None:
    assert len(set(losses.NAMES)) == len(losses.NAMES) == 9
