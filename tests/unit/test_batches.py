"""What training sees: order, conversion, augmentation."""

import numpy as np
import pytest
import torch

from photochrom.batches import augmented, epoch_plan, load_batch, random_key, shrunk
from photochrom.recipes import Augment
from photochrom.shards import SCALE_FACTOR, TrainingSet

CPU = torch.device("cpu")
PLAIN = Augment(flip=False, crop=1.0, chroma=(1.0, 1.0))


def pictures(count: int, size: int) -> TrainingSet:
    generator = np.random.default_rng(0)
    L = generator.integers(-32767, 32768, (count, 1, size, size)).astype(np.int16)
    ab = generator.integers(-32767, 32768, (count, 2, size, size)).astype(np.int16)
    return TrainingSet([str(number) for number in range(count)], L, ab, SCALE_FACTOR, "digest")


def chances(count: int, value: float) -> np.ndarray:
    return np.full((count, 5), value, dtype=np.float32)


def test_an_epoch_shows_every_picture_once_and_depends_on_its_number_alone() -> None:
    order, luck = epoch_plan(seed=1, phase="gan", epoch=3, count=50)
    assert sorted(order) == list(range(50))
    assert luck.shape == (50, 11)
    assert (luck >= 0).all()
    assert (luck < 1).all()
    again, _ = epoch_plan(1, "gan", 3, 50)
    assert np.array_equal(order, again)
    for other in [(2, "gan", 3), (1, "l1", 3), (1, "gan", 4)]:
        assert not np.array_equal(order, epoch_plan(*other, 50)[0])


def test_keys_are_stable_and_fit_torch() -> None:
    assert random_key(1, "l1", "start") == 8281400434891399395
    torch.manual_seed(random_key("x" * 1000))


def test_batches_are_normalized_and_in_the_order_asked_for() -> None:
    data = pictures(5, 4)
    L, ab = load_batch(data, np.array([4, 1]), CPU)
    assert L.dtype == ab.dtype == torch.float32
    assert L.shape == (2, 1, 4, 4)
    np.testing.assert_allclose(L.numpy(), data.L[[4, 1]] / 32767, rtol=1e-6)
    np.testing.assert_allclose(ab.numpy(), data.ab[[4, 1]] / 32767, rtol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_shrinking_keeps_the_mean_and_averages_areas(size: int) -> None:
    L, ab = load_batch(pictures(3, 6), np.arange(3), CPU)
    small_L, small_ab = shrunk(L, ab, size)
    assert small_L.shape == (3, 1, size, size)
    if 6 % size == 0:
        torch.testing.assert_close(small_L.mean(dim=(1, 2, 3)), L.mean(dim=(1, 2, 3)))
        block = ab[:, :, : 6 // size, : 6 // size].mean(dim=(2, 3))
        torch.testing.assert_close(small_ab[:, :, 0, 0], block)


def test_no_augmentation_changes_nothing() -> None:
    L, ab = load_batch(pictures(3, 4), np.arange(3), CPU)
    after = augmented(L, ab, chances(3, 0.3), PLAIN)
    assert torch.equal(after[0], L)
    assert torch.equal(after[1], ab)


def test_mirroring_turns_lightness_and_chroma_together() -> None:
    L, ab = load_batch(pictures(2, 4), np.arange(2), CPU)
    luck = np.stack([chances(1, 0.1)[0], chances(1, 0.9)[0]])
    after_L, after_ab = augmented(L, ab, luck, Augment(flip=True, crop=1.0, chroma=(1.0, 1.0)))
    assert torch.equal(after_L[0], L[0].flip(-1))
    assert torch.equal(after_ab[0], ab[0].flip(-1))
    assert torch.equal(after_L[1], L[1])


def test_a_crop_is_a_part_of_the_picture_and_keeps_channels_aligned() -> None:
    # L rises from left to right, a from top to bottom, b is their sum.
    across = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32)
    L, ab = across, torch.cat([across.mT, (across + across.mT) / 2], dim=1)
    generator = np.random.default_rng(0)
    for _ in range(20):
        luck = generator.random((1, 5), dtype=np.float32)
        part_L, part_ab = augmented(L, ab, luck, Augment(False, 0.5, (1.0, 1.0)))
        share = 0.5 + 0.5 * luck[0, 1]
        for channel in (part_L, part_ab[:, :1]):
            assert float(channel.max() - channel.min()) == pytest.approx(2 * share, abs=0.1)
        mean = (part_L + part_ab[:, :1]) / 2
        torch.testing.assert_close(part_ab[:, 1:], mean, rtol=0, atol=1e-5)


def test_chroma_is_scaled_and_lightness_is_not() -> None:
    L, ab = load_batch(pictures(2, 4), np.arange(2), CPU)
    after_L, after_ab = augmented(L, ab, chances(2, 0.25), Augment(False, 1.0, (0.4, 0.8)))
    assert torch.equal(after_L, L)
    torch.testing.assert_close(after_ab, 0.5 * ab)
