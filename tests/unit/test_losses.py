"""Losses: analytic values."""

import math

import pytest
import torch

from photochrom import losses


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


def test_adversarial_losses_when_the_discriminator_cannot_tell() -> None:
    unsure = torch.zeros(3, 1, 2, 2)
    assert losses.generator_loss(unsure).item() == pytest.approx(math.log(2))
    assert losses.discriminator_loss(unsure, unsure).item() == pytest.approx(math.log(2))


def test_adversarial_losses_reward_the_right_side() -> None:
    sure_true, sure_false = torch.full((4,), 20.0), torch.full((4,), -20.0)
    assert losses.generator_loss(sure_true).item() < 1e-6
    assert losses.generator_loss(sure_false).item() == pytest.approx(20)
    assert losses.discriminator_loss(real=sure_true, fake=sure_false).item() < 1e-6
    # Each half counts half.
    assert losses.discriminator_loss(real=sure_false, fake=sure_false).item() == pytest.approx(10)
