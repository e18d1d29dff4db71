"""The lightness of the scan is in the derivative's integers, at full size and depth."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from archive_room import fake_model, grey, save
from photochrom.archive import picture
from photochrom.archive.integers import LIGHTNESS_LIMIT, to_integers
from photochrom.archive.picture import Colorized, colorize_picture
from photochrom.archive.provenance import Settings
from photochrom.archive.scan import open_scan
from photochrom.color import rgb_to_lab
from photochrom.images import ImageError, load_lightness, open_image
from photochrom.inference import colorize_lightness

Floats = NDArray[np.float32]


LIMIT = Settings().coloured_deviation


def pixels(done: Colorized) -> NDArray[Any]:
    return np.asarray(done.picture.numpy())


def lightness_error(L: Floats, integers: NDArray[np.uint8 | np.uint16], depth: int) -> float:
    """By rgb_to_lab in float64: not by the code under test."""
    lab = rgb_to_lab(integers.astype(np.float64) / (2**depth - 1))
    return float(np.abs(lab[..., 0] - L).max())


# Bounds beyond what networks can answer (110), and lightness with its ends well visited.
LIGHTNESS = st.floats(0, 100, width=32) | st.sampled_from([0.0, 0.01, 0.5, 2.0, 99.0, 99.99, 100.0])
CHROMA = st.floats(-128, 128, width=32)


@settings(deadline=None, max_examples=100)
@given(
    hnp.arrays(np.float32, 24, elements=LIGHTNESS),
    hnp.arrays(np.float32, (24, 2), elements=CHROMA),
    st.sampled_from([8, 16]),
)
def test_every_pixel_keeps_its_lightness(L: Floats, ab: Floats, depth: int) -> None:
    integers, kept, dL = to_integers(L, ab, depth)
    assert lightness_error(L, integers, depth) <= LIGHTNESS_LIMIT[depth]
    assert abs(dL.max() - lightness_error(L, integers, depth)) < 1e-3
    assert np.hypot(*kept.T).max() <= np.hypot(*ab.T).max() * 1.0001 + 1e-3


@pytest.mark.parametrize("depth", [8, 16])
def test_strong_chroma_near_black_and_white_keeps_the_lightness(depth: int) -> None:
    ends = np.concatenate([np.geomspace(1e-3, 8, 60), 100 - np.geomspace(1e-3, 8, 60)])
    hues = np.linspace(0, 2 * np.pi, 73)
    L, hue, chroma = np.meshgrid(ends, hues, [0, 1, 5, 20, 60, 128], indexing="ij")
    ab = np.stack([chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    L, ab = L.astype(np.float32), ab.astype(np.float32)
    integers, kept, dL = to_integers(L, ab, depth)
    assert dL.max() <= LIGHTNESS_LIMIT[depth]
    assert lightness_error(L, integers, depth) <= LIGHTNESS_LIMIT[depth]
    # Reduced toward grey, never past it and never to another hue.
    strong = np.hypot(kept[..., 0], kept[..., 1]) > 0.1
    turned = np.arctan2(kept[..., 1], kept[..., 0]) - np.arctan2(ab[..., 1], ab[..., 0])
    assert np.abs(np.sin(turned[strong])).max() < 1e-3
    assert (np.cos(turned[strong]) > 0).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_no_chroma_gives_the_scans_own_greys(tmp_path: Path, bits: int) -> None:
    kind = np.uint16 if bits == 16 else np.uint8
    codes = np.arange(0, 2**bits, 2 ** (bits // 2 - 2)).astype(kind).reshape(-1, 32)
    scan = open_scan(save(tmp_path / "all.tif", codes))
    done = colorize_picture(scan.picture, fake_model(strength=0), bits)
    assert pixels(done).dtype == codes.dtype
    off = np.abs(pixels(done).astype(int) - codes[..., None])
    # The published constants' white is 8e-5 off white: two codes of 65535 in blue.
    assert off.max() <= (0 if bits == 8 else 2)
    assert done.chroma == 0


@pytest.mark.parametrize("shape", [(37, 53), (200, 31), (9, 150), (1, 1), (1, 60), (60, 1)])
def test_strips_give_what_the_whole_picture_gives(
    tmp_path: Path, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", grey(*shape, bits=16))
    model = fake_model()
    monkeypatch.setattr(picture, "STRIP_PIXELS", 300)
    done = colorize_picture(open_scan(path).picture, model, 16, threads=3)
    L = load_lightness(open_image(path))
    whole, _, dL = to_integers(L, colorize_lightness(model, L), 16)
    assert pixels(done).shape == (*shape, 3)
    # One part in 65535 here and there: sums in another order.
    assert np.abs(pixels(done).astype(int) - whole.astype(int)).max() <= 2
    assert done.max_error == pytest.approx(dL.max(), abs=1e-3)
    assert done.mean_error == pytest.approx(dL.mean(), abs=1e-4)


def test_threads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "STRIP_PIXELS", 256)
    scan = open_scan(save(tmp_path / "a.png", grey(90, 70)))
    one, four = (colorize_picture(scan.picture, fake_model(), 8, threads=n) for n in (1, 4))
    assert np.array_equal(pixels(one), pixels(four))
    assert (one.max_error, one.mean_error, one.chroma) == (
        four.max_error,
        four.mean_error,
        four.chroma,
    )


def toned(tone: Callable[[Floats], Floats], noise: float = 0.0) -> NDArray[np.uint8]:
    from photochrom.color import lab_to_rgb

    L = rgb_to_lab(np.repeat(grey(120, 90)[..., None], 3, 2))[..., 0]
    ab = tone(L) + np.random.default_rng(1).normal(0, noise, (*L.shape, 2))
    return np.rint(lab_to_rgb(np.concatenate([L[..., None], ab], -1)) * 255).astype(np.uint8)


def test_toned_monochrome_is_not_colour(tmp_path: Path) -> None:
    sepia = toned(lambda L: np.stack([0.002 * L * (100 - L), 0.1 * L * (1 - L / 150)], -1), 0.5)
    tint = open_scan(save(tmp_path / "sepia.png", sepia)).tint
    assert tint.chroma > 3
    assert not tint.coloured(LIMIT)
    assert tint.toned(LIMIT)


def test_real_colour_is_colour() -> None:
    from photochrom.archive.plan import _builtin_files

    folder, _ = next(iter(_builtin_files()))
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"):
        tint = open_scan(folder / name).tint
        assert tint.coloured(LIMIT), (name, tint)
        assert tint.deviation > 1.5 * LIMIT


def test_a_damaged_scan_is_known_when_it_is_opened(tmp_path: Path) -> None:
    whole = save(tmp_path / "a.jpg", grey(80, 80)).read_bytes()
    for share in (0.3, 0.6, 0.95):
        (tmp_path / "a.jpg").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageError):
            open_scan(tmp_path / "a.jpg")
